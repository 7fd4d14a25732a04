/* SPDX-License-Identifier: GPL-2.0-or-later */
/* runner.h - many seeds in several processes, and what they add up to. */
#ifndef HV_TESTS_SIM_RUNNER_H
#define HV_TESTS_SIM_RUNNER_H

#include "tests/sim/sim.h"

struct totals {
	uint64_t passed, failed;
	uint64_t events, simulated_us, injections;
	uint64_t cpu_us; /* of all processes together */
	struct coverage coverage;
	bool stopped; /* by SIGINT or SIGTERM, before the last seed */
};

/* One seed in this process. A failure is printed. */
bool run_seed(uint64_t seed, const struct sim_options *o, struct sim_result *ret);
/*
 * One seed in a process of its own, which may die. false: it failed, and ret->failure says how;
 * with `quiet` an assertion prints nothing.
 */
bool run_apart(uint64_t seed, const struct sim_options *o, struct sim_result *ret, bool quiet);
struct run_how {
	unsigned jobs;
	unsigned limit_s; /* a seed that takes more of the processor's time has failed; 0: it may */
	bool first;	  /* ends with the first seed that fails */
};
/* All of first..last. Failures are printed as they come; a bar where standard output is a terminal.
 */
void run_many(uint64_t first, uint64_t last, const struct run_how *how, const struct sim_options *o,
	      struct totals *ret);
void totals_add(struct totals *t, const struct sim_result *r, bool ok);
/* Coverage, throughput, and as the last line how many passed and failed. */
void totals_print(const struct totals *t, FILE *f);
/* One JSON object in one line, at the end of the file: to be added up. false: errno. */
bool totals_json(const struct totals *t, uint64_t first, uint64_t last, const char *path);

/* shrink.c: drops injections while the seed still fails in the same way. Exit status. */
int shrink(uint64_t seed, const struct sim_options *o, const char *flags);

#endif
