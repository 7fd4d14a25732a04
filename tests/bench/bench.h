/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench.h - what the benchmarks share: a table of them, and one way to print.
 *
 * Each figure is one JSON line, n being of how many measurements it speaks:
 * {"bench":"log_store","metric":"commit_p50","value":141.0,"unit":"us","n":2000}
 * A benchmark is a function in a file of its own and a row in hvbench.c's table.
 */
#ifndef HV_TESTS_BENCH_H
#define HV_TESTS_BENCH_H

#include "proto/base.h"

struct bench {
	const char *name;
	const char *about;
	bool (*run)(void); /* false: it could not be measured; the reason went to stderr */
};

/* Where files are made: --dir, else /var/tmp (a real disk, other than /tmp on many hosts). */
extern const char *bench_dir;

uint64_t bench_now_ns(void);
void bench_emit(const char *bench, const char *metric, double value, const char *unit, size_t n);
/* Sorts the samples and emits NAME_min, _p50, _p99 and _max, in microseconds. */
void bench_emit_latency(const char *bench, const char *metric, uint64_t *samples_ns, size_t n);

/* Sorts the samples and emits NAME_min, _p50 and _max, each divided by `per`. On a busy machine the
 * minimum is the figure that can be compared. */
void bench_emit_spread(const char *bench, const char *metric, const char *unit, unsigned per,
		       uint64_t *samples, size_t n);

bool bench_log_store(void);
bool bench_brain(void);

#endif
