/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/log_store.h"
#include "tests/bench/bench.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ENTRY_SIZE 256
#define SAMPLES 2000
#define ENTRIES 20000
#define BOOT_ENTRIES 10000

static struct {
	qb_loop_t *loop;
	struct log_store *store;
	char dir[256];
	uint64_t sent, durable, target, window;
	uint64_t sent_ns;
	uint64_t *samples;
	size_t n_samples;
	bool failed;
} b;

static void send_more(void)
{
	static uint8_t data[ENTRY_SIZE];

	while (b.sent < b.target && b.sent - b.durable < b.window) {
		struct rl_entry e = {.epoch = {1, 1, 1},
				     .index = ++b.sent,
				     .type = RL_COMMAND,
				     .len = sizeof(data),
				     .data = data};
		struct rl_write w = {.number = b.sent, .entries = &e, .n_entries = 1};

		b.sent_ns = bench_now_ns();
		log_store_write(b.store, &w);
	}
}

static void on_durable(void *user, uint64_t write)
{
	if (b.samples)
		b.samples[b.n_samples++] = bench_now_ns() - b.sent_ns;
	b.durable = write;
	if (write >= b.target)
		qb_loop_stop(b.loop);
	else
		send_more();
}

static void on_failed(void *user, enum hv_rc rc, const char *text)
{
	fprintf(stderr, "hvbench: %s\n", text);
	b.failed = true;
	qb_loop_stop(b.loop);
}

static bool open_store(void)
{
	static const struct log_store_ops ops = {on_durable, on_failed};
	_cleanup_free_ char *text = NULL;

	if (log_store_open(b.dir, b.loop, &ops, NULL, &b.store, &text) == HV_OK)
		return true;
	fprintf(stderr, "hvbench: %s\n", text);
	return false;
}

/* `n` more entries with at most `window` of them not yet durable; the time it took. */
static double pass(uint64_t n, uint64_t window)
{
	uint64_t began = bench_now_ns();

	b.target = b.sent + n;
	b.window = window;
	send_more();
	qb_loop_run(b.loop);
	return (double)(bench_now_ns() - began) / 1e9;
}

static void measure_latency(void)
{
	b.samples = hv_xcalloc(SAMPLES, sizeof(*b.samples));
	b.n_samples = 0;
	pass(SAMPLES, 1);
	bench_emit_latency("log_store", "commit", b.samples, b.n_samples);
	free(steal_ptr(b.samples));
}

static void measure_throughput(void)
{
	static const uint64_t windows[] = {16, 256};

	for (size_t i = 0; i < ARRAY_SIZE(windows) && !b.failed; i++) {
		_cleanup_free_ char *name = hv_xasprintf("entries_in_flight_%d", (int)windows[i]);
		double s = pass(ENTRIES, windows[i]);

		bench_emit("log_store", name, ENTRIES / s, "1/s", ENTRIES);
	}
}

/* A compaction down to BOOT_ENTRIES entries, as it holds up the commit that carries it; then a
 * boot. */
static void measure_compaction(void)
{
	static uint8_t state[4 << 20];
	struct rl_write w = {.number = b.sent + 1,
			     .set_base = true,
			     .base_index = b.sent - BOOT_ENTRIES,
			     .base_epoch = {1, 1, 1},
			     .base_effective = {1, 1, 1},
			     .snapshot = state,
			     .snapshot_len = sizeof(state)};
	uint64_t began = bench_now_ns();

	b.target = w.number;
	log_store_write(b.store, &w);
	qb_loop_run(b.loop);
	bench_emit("log_store", "compaction_commit_4MiB", (double)(bench_now_ns() - began) / 1e6,
		   "ms", 1);
}

static bool measure_boot(void)
{
	uint64_t began;

	log_store_close(steal_ptr(b.store));
	began = bench_now_ns();
	if (!open_store())
		return false;
	bench_emit("log_store", "open_10000_entries", (double)(bench_now_ns() - began) / 1e6, "ms",
		   1);
	return log_store_boot(b.store)->n_entries == BOOT_ENTRIES;
}

static void remove_dir(void)
{
	struct dirent *e;
	DIR *d = opendir(b.dir);

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(b.dir);
}

bool bench_log_store(void)
{
	bool ok;

	snprintf(b.dir, sizeof(b.dir), "%s/hvbench-XXXXXX", bench_dir);
	if (!mkdtemp(b.dir)) {
		fprintf(stderr, "hvbench: cannot make a directory in %s\n", bench_dir);
		return false;
	}
	b.loop = qb_loop_create();
	ok = open_store();
	if (ok) {
		measure_latency();
		measure_throughput();
	}
	if (ok && !b.failed)
		measure_compaction();
	ok = ok && !b.failed && measure_boot();
	log_store_close(b.store);
	qb_loop_destroy(b.loop);
	remove_dir();
	return ok;
}
