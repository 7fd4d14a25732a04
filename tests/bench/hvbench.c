/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hvbench [--dir DIR] [NAME...] - runs the benchmarks named, or all; JSON lines on stdout. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct bench benches[] = {
    {"log_store", "the durable log of one node: commit latency, entries a second, reading at boot",
     bench_log_store},
};

const char *bench_dir = "/var/tmp";

uint64_t bench_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

void bench_emit(const char *bench, const char *metric, double value, const char *unit)
{
	printf("{\"bench\":\"%s\",\"metric\":\"%s\",\"value\":%.1f,\"unit\":\"%s\"}\n", bench,
	       metric, value, unit);
	fflush(stdout);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void bench_emit_latency(const char *bench, const char *metric, uint64_t *samples_ns, size_t n)
{
	static const struct {
		const char *name;
		size_t permille;
	} points[] = {{"p50", 500}, {"p99", 990}, {"max", 1000}};

	qsort(samples_ns, n, sizeof(*samples_ns), by_value);
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		size_t at = (n - 1) * points[i].permille / 1000;
		_cleanup_free_ char *name = hv_xasprintf("%s_%s", metric, points[i].name);

		bench_emit(bench, name, (double)samples_ns[at] / 1000.0, "us");
	}
}

static void usage(FILE *f)
{
	fprintf(f, "usage: hvbench [--dir DIR] [NAME...]\n");
	for (size_t i = 0; i < ARRAY_SIZE(benches); i++)
		fprintf(f, "  %-14s %s\n", benches[i].name, benches[i].about);
}

static const struct bench *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(benches); i++)
		if (strcmp(benches[i].name, name) == 0)
			return &benches[i];
	return NULL;
}

int main(int argc, char **argv)
{
	bool ok = true;
	int first = 1;

	if (argc > 2 && strcmp(argv[1], "--dir") == 0) {
		bench_dir = argv[2];
		first = 3;
	}
	for (int i = first; i < argc; i++) {
		if (!find(argv[i])) {
			usage(strcmp(argv[i], "--help") == 0 ? stdout : stderr);
			return strcmp(argv[i], "--help") == 0 ? 0 : 2;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(benches); i++) {
		bool wanted = first == argc;

		for (int k = first; k < argc; k++)
			wanted |= find(argv[k]) == &benches[i];
		if (wanted)
			ok &= benches[i].run();
	}
	return ok ? 0 : 1;
}
