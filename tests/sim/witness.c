/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A quorum device that some hosts do not reach, and then others: its vote moves from one part to
 * the other while the parts stay what they are, so that both have been right in turn.
 *
 * hvsim run --witness: nothing else goes wrong. The network is parted for long; who is proven off
 * by time must not have had the vote, and fed its watchdog, in between.
 */
#include "tests/sim/faults.h"

static void vote_moves(struct sim *s, struct prng *r)
{
	uint64_t bits = prng_range(r, 0, (1ULL << s->n) - 1);

	for (size_t i = 0; i < s->n; i++)
		s->hosts[i].no_device = bits >> i & 1;
	sim_trace(s, "quorum device: out of reach of 0x%llx", (unsigned long long)bits);
	sim_at(s, sim_pick(s, r, 10 * MS, 1300 * MS, 100, 20 * MS), votes_device, NULL, 0);
}

static uint64_t next_us(const struct sim *s, struct prng *r)
{
	bool at_once = prng_chance(r, 300);

	if (s->storm)
		return prng_range(r, MS, (at_once ? 1 : 4) * s->swarm.gap_us);
	return prng_range(r, 200 * MS, (at_once ? 1 : 6) * SEC);
}

static void one_move(struct sim *s, struct host *unused, uint64_t arg)
{
	struct prng r;

	if (s->healing)
		return;
	prng_seed(&r, prng_next(sim_stream(s, STREAM_WITNESS)));
	sim_at(s, next_us(s, &r), one_move, NULL, 0);
	if (sim_inject(s, "quorum device out of reach"))
		vote_moves(s, &r);
}

/* Nothing but this: for minutes they do not hear each other, and then they do. */
static void one_parting(struct sim *s, struct host *unused, uint64_t arg)
{
	struct prng r;

	if (s->healing)
		return;
	prng_seed(&r, prng_next(sim_stream(s, STREAM_WITNESS)));
	sim_at(s, prng_range(&r, 60, 200) * SEC, one_parting, NULL, 0);
	if (sim_inject(s, "network parted for long"))
		fault_parted_for(s, &r, prng_range(&r, 20, 150) * SEC);
}

void witness_start(struct sim *s)
{
	struct prng *r = sim_stream(s, STREAM_WITNESS);
	bool chosen = prng_chance(r, 300);

	if (!s->device || s->n > 9 || (s->options->calm && !s->options->witness) ||
	    (!chosen && !s->options->witness))
		return;
	sim_at(s, prng_range(r, 2, 20) * SEC / (s->storm ? 10 : 1), one_move, NULL, 0);
	if (s->options->witness && !s->storm)
		sim_at(s, prng_range(r, 20, 40) * SEC, one_parting, NULL, 0);
}

void witness_heal(struct sim *s)
{
	for (size_t i = 0; i < s->n; i++)
		s->hosts[i].no_device = false;
}
