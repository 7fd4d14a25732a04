/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `hvsim run --lossy`: a network that loses one packet of twenty, and hosts and processes that
 * stand still for a moment, always shorter than corosync's token time. No ring breaks, so nobody
 * has lost anybody: who is fenced, or resets itself, is fenced for nothing.
 *
 * A lost packet is asked for again when the token comes by, and what comes after it waits for it: a
 * message is late, none is missing. A host that stands still keeps the token: for that long nothing
 * is ordered for anyone.
 */
#include "tests/sim/sim.h"

#define LOST_PERMILLE 50
#define TOKEN_MS 1000

uint64_t lossy_delay(struct sim *s)
{
	struct prng *r = sim_stream(s, STREAM_WORLD);
	uint64_t delay = 0;

	if (!s->options || !s->options->lossy)
		return 0;
	while (prng_chance(r, LOST_PERMILLE))
		delay += prng_range(r, 300, 30 * MS);
	return delay;
}

static void go_on(struct sim *s, struct host *h, uint64_t arg)
{
	process_pause(s, h, false);
}

/* The whole host: its process, and the token with it. */
static void stand_still(struct sim *s, struct host *h, uint64_t us)
{
	process_pause(s, h, true);
	sim_at(s, us, go_on, h, 0);
	for (size_t i = 0; i < s->n; i++)
		s->hosts[i].try_again_us = s->now_us + us;
}

static void step(struct sim *s, struct host *unused, uint64_t arg)
{
	struct prng r;
	struct host *h;
	uint64_t us;
	bool whole;

	if (s->healing)
		return;
	prng_seed(&r, prng_next(sim_stream(s, STREAM_FAULTS)));
	h = &s->hosts[prng_range(&r, 0, s->n - 1)];
	us = prng_range(&r, 5 * MS, (TOKEN_MS - 50) * MS);
	whole = prng_chance(&r, 500);
	sim_at(s, prng_range(&r, 200 * MS, 8 * SEC), step, NULL, 0);
	if (!sim_inject(s, whole ? "host stands still" : "process stands still"))
		return;
	if (whole) {
		stand_still(s, h, us);
	} else {
		process_pause(s, h, true);
		sim_at(s, us, go_on, h, 0);
	}
}

/* When all have booted. */
void lossy_start(struct sim *s)
{
	sim_at(s, 20 * SEC, step, NULL, 0);
}
