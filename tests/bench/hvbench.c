/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hvbench [--dir DIR] [NAME...] - runs the benchmarks named, or all; JSON lines on stdout. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct bench benches[] = {
    {"log_store", "the durable log of one node: commit latency, entries a second, reading at boot",
     bench_log_store},
    {"brain", "the mind: a step, the loss of a node, the snapshot, at 100, 1000 and 10000 VMs",
     bench_brain},
};

const char *bench_dir = "/var/tmp";

uint64_t bench_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

void bench_emit(const char *bench, const char *metric, double value, const char *unit, size_t n)
{
	printf("{\"bench\":\"%s\",\"metric\":\"%s\",\"value\":%.1f,\"unit\":\"%s\",\"n\":%zu}\n",
	       bench, metric, value, unit, n);
	fflush(stdout);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct point {
	const char *name;
	size_t permille;
};

static void emit_points(const char *bench, const char *metric, const char *unit, unsigned per,
			uint64_t *samples, size_t n, const struct point *points)
{
	if (n == 0)
		return;
	qsort(samples, n, sizeof(*samples), by_value);
	for (size_t i = 0; points[i].name; i++) {
		size_t at = (n - 1) * points[i].permille / 1000;
		_cleanup_free_ char *name = hv_xasprintf("%s_%s", metric, points[i].name);

		bench_emit(bench, name, (double)samples[at] / per, unit, n);
	}
}

void bench_emit_latency(const char *bench, const char *metric, uint64_t *samples_ns, size_t n)
{
	static const struct point points[] = {
	    {"min", 0}, {"p50", 500}, {"p99", 990}, {"max", 1000}, {0}};

	emit_points(bench, metric, "us", 1000, samples_ns, n, points);
}

void bench_emit_spread(const char *bench, const char *metric, const char *unit, unsigned per,
		       uint64_t *samples, size_t n)
{
	static const struct point points[] = {{"min", 0}, {"p50", 500}, {"max", 1000}, {0}};

	emit_points(bench, metric, unit, per, samples, n, points);
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
