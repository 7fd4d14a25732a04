/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `hvsim run --lossy`: a network that loses one packet of twenty, and hosts and processes that
 * stand still for a moment, always shorter than corosync's token time. No ring breaks, so nobody
 * has lost anybody: who is fenced, or resets itself, is fenced for nothing.
 *
 * A lost message is asked for again when the token comes by, and what comes after it waits for it:
 * a message is late, none is missing. A lost token is sent again after corosync's token_retransmit,
 * and a host that stands still keeps it: for that long nothing is ordered for anyone. All that
 * together is shorter than the token time too, or the ring would break; then the token goes round
 * once, and the next one may happen.
 */
#include "tests/sim/sim.h"

#define LOST_PERMILLE 50
#define LONGEST_MS 950	  /* of a token time of 1,000 */
#define RETRANSMIT_MS 238 /* corosync's, for that token */
#define ROTATION_MS 20	  /* for so long it goes round, and takes what everyone has */
#define LOST_MOST 3 /* in a rotation: with a fourth one it takes too long, and the ring breaks */

bool lossy(const struct sim *s)
{
	return s->options && s->options->lossy;
}

uint64_t lossy_delay(struct sim *s, hv_node_id from, struct host *to, uint64_t usual_us)
{
	struct prng *r = sim_stream(s, STREAM_WORLD);
	uint64_t at_us = s->now_us + usual_us;

	if (!lossy(s))
		return usual_us;
	while (to->id != from && prng_chance(r, LOST_PERMILLE)) {
		at_us += prng_range(r, 300, 30 * MS);
		s->lossy.messages++;
	}
	if (at_us < to->arrives_us)
		at_us = to->arrives_us;
	to->arrives_us = at_us;
	return at_us - s->now_us;
}

/* Nobody orders anything for so long, or as long as the ring bears it: then that is returned. */
static uint64_t hold_token(struct sim *s, uint64_t us)
{
	struct lossy *l = &s->lossy;

	if (s->now_us > l->held_us)
		l->held_from_us = s->now_us;
	if (s->now_us + us > l->held_from_us + LONGEST_MS * MS)
		us = l->held_from_us + LONGEST_MS * MS - s->now_us;
	if (l->held_us < s->now_us + us)
		l->held_us = s->now_us + us;
	l->rotation_us = l->held_us + ROTATION_MS * MS;
	for (size_t i = 0; i < s->n; i++)
		s->hosts[i].try_again_us = l->held_us;
	return us;
}

void lossy_token(struct sim *s)
{
	struct prng *r = sim_stream(s, STREAM_WORLD);
	unsigned lost = 0;

	if (!lossy(s) || s->now_us < s->lossy.rotation_us)
		return;
	for (size_t i = 0; i < s->n && s->n > 1; i++)
		while (lost < LOST_MOST && prng_chance(r, LOST_PERMILLE))
			lost++;
	s->lossy.tokens += lost;
	hold_token(s, lost * RETRANSMIT_MS * MS);
}

void lossy_end(struct sim *s)
{
	struct coverage *c = &s->result->coverage;

	if (!lossy(s))
		return;
	coverage_add(c, "message lost", s->lossy.messages);
	coverage_add(c, "token lost", s->lossy.tokens);
}

static void go_on(struct sim *s, struct host *h, uint64_t arg)
{
	process_pause(s, h, false);
}

/* The whole host: its process, and the token with it. */
static void stand_still(struct sim *s, struct host *h, uint64_t us)
{
	us = hold_token(s, us);
	process_pause(s, h, true);
	sim_at(s, us, go_on, h, 0);
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
	us = prng_range(&r, 5 * MS, LONGEST_MS * MS);
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
