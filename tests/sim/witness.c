/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A quorum device that some hosts do not reach, and then others: its vote moves from one part to
 * the other while the parts stay what they are, so that both have been right in turn.
 *
 * hvsim run --witness: nothing else goes wrong. The network is parted for long; who is proven off
 * by time must not have had the vote, and fed its watchdog, in between.
 */
#include "tests/sim/faults.h"

#include <string.h>

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

/* ---- one alone: it fences all others, answers its clients, and is gone when they have booted */

static void on_again(struct sim *s, struct host *h, uint64_t arg)
{
	host_power_on(s, h);
}

static void one_again(struct sim *s, struct host *unused, uint64_t arg)
{
	if (s->healing)
		return;
	for (size_t i = 0; i < s->n; i++) {
		s->hosts[i].no_device = false;
		s->hosts[i].group = 0;
	}
	sim_trace(s, "quorum device: within reach of all");
	net_changed(s, true);
	votes_device(s, NULL, 0);
}

static void alone_over(struct sim *s, struct host *h, uint64_t away_us)
{
	if (s->healing)
		return;
	host_power_off(s, h);
	sim_at(s, away_us, on_again, h, 0);
	one_again(s, NULL, 0);
}

static void alone(struct sim *s, struct prng *r)
{
	struct host *h = &s->hosts[prng_range(r, 0, s->n - 1)];
	uint64_t over_us = prng_range(r, 80 * MS, 500 * MS), away_us = prng_range(r, 200, 900) * MS;

	sim_trace(s, "host %u is alone, with the quorum device", h->id);
	for (size_t i = 0; i < s->n; i++) {
		s->hosts[i].no_device = &s->hosts[i] != h;
		s->hosts[i].group = &s->hosts[i] != h;
	}
	net_changed(s, false);
	votes_device(s, NULL, 0);
	sim_at(s, over_us, alone_over, h, away_us);
}

/* ---- half of them: when they have fenced the others, one stands still, and comes back */

static void goes_on(struct sim *s, struct host *h, uint64_t arg)
{
	if (!sim_is_gone(s, h->id))
		process_pause(s, h, false);
}

static void look_at_half(struct sim *s, struct host *unused, uint64_t until_us)
{
	struct prng *r = sim_stream(s, STREAM_ALONE);

	if (s->healing || s->now_us > until_us)
		return;
	for (size_t i = 0; i < s->n; i++) {
		const struct rl_status *st =
		    process_runs(&s->hosts[i]) ? rl_status(s->hosts[i].proc.log) : NULL;
		struct host *h;

		if (!st || st->phase != RL_ACTIVE || !st->minority || st->barrier ||
		    st->n_members < 3)
			continue;
		h = sim_host(s, st->members[prng_range(r, 0, st->n_members - 1)]);
		process_pause(s, h, true);
		sim_at(s, s->swarm.ack_us + prng_range(r, 20 * MS, 200 * MS), goes_on, h, 0);
		return;
	}
	sim_at(s, 2 * MS, look_at_half, NULL, until_us);
}

static void half(struct sim *s, struct prng *r)
{
	size_t first = (size_t)prng_range(r, 0, s->n - 1);
	uint64_t over_us = prng_range(r, 600 * MS, 1500 * MS);

	sim_trace(s, "network: half of the hosts, with the quorum device");
	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[(first + i) % s->n];

		h->no_device = i >= s->n / 2;
		h->group = i >= s->n / 2;
	}
	net_changed(s, false);
	votes_device(s, NULL, 0);
	look_at_half(s, NULL, s->now_us + over_us);
	sim_at(s, over_us, one_again, NULL, 0);
}

static void one_alone(struct sim *s, struct host *unused, uint64_t arg)
{
	struct prng r;

	if (s->healing)
		return;
	prng_seed(&r, prng_next(sim_stream(s, STREAM_ALONE)));
	sim_at(s, prng_range(&r, 900 * MS, 2500 * MS), one_alone, NULL, 0);
	if (s->n >= 6 && prng_chance(&r, 600)) {
		if (sim_inject(s, "half go on, and one of them stands still"))
			half(s, &r);
	} else if (sim_inject(s, "one goes on alone, and leaves")) {
		alone(s, &r);
	}
}

/* In storms in which the device lets one of many go on: instead of a vote that moves. */
static bool alone_start(struct sim *s)
{
	struct prng *r = sim_stream(s, STREAM_ALONE);
	bool chosen = prng_chance(r, 300), nothing_else = prng_chance(r, 500);

	if (!chosen || !s->storm || s->device_votes < 2)
		return false;
	if (nothing_else)
		memset(s->swarm.weight, 0, sizeof(s->swarm.weight));
	sim_at(s, prng_range(r, SEC, 2 * SEC), one_alone, NULL, 0);
	return true;
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
	if (alone_start(s))
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
