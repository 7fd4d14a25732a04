/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When all is healed and quiet: one host is out of order for good, and the others must go on; or a
 * majority is, and nobody may go on before an administrator has looked and said so.
 */
#include "tests/sim/faults.h"

#define LOOK_US (12 * SEC) /* the administrator comes */

static void force(struct sim *s, struct host *h)
{
	sim_trace(s, "node %u: quorum force", h->id);
	rl_force(h->proc.log, host_mono_us(s, h));
	process_drain(s, h);
}

/*
 * A store was lost and its peer was not caught up since its start: nobody may lead. This is for
 * the administrator to decide, who looks for a node that still has its log, and comes again while
 * that one boots.
 */
bool gone_administrator(struct sim *s)
{
	bool stuck = false;

	for (size_t i = 0; i < s->n; i++)
		stuck = stuck || s->hosts[i].disk.damaged;
	for (size_t i = 0; i < s->n && stuck; i++) {
		struct process *p = &s->hosts[i].proc;

		if (!p->up || s->hosts[i].disk.damaged || rl_status(p->log)->phase == RL_ACTIVE)
			continue;
		force(s, &s->hosts[i]);
		return true;
	}
	return !stuck;
}

/* The others go on without it, once they have found out, and take it in again. */
void gone_one(struct sim *s)
{
	struct prng *r = sim_stream(s, STREAM_FAULTS);
	hv_node_id id = (hv_node_id)prng_range(r, 1, s->n);
	bool chosen = prng_chance(r, 300);

	/* A brain has more to say about it: tests/scenarios. */
	if (s->failed || s->n < 2 || !chosen || s->mind != &plain_mind || s->options->lossy ||
	    !sim_inject(s, "out of order for good"))
		return;
	patience_ends(s);
	fault_for_good(s, id, r);
	until_quiet(s);
	if (!s->failed)
		check_end(s);
	patience_ends(s);
	fault_for_good_over(s);
	until_quiet(s);
}

/* ---- a majority */

/*
 * Only the first `left` hosts of a random order stay. With `all`, they have lost their power, too,
 * and are the only ones to boot again: they were not caught up since.
 */
static void destroy(struct sim *s, struct prng *r, size_t left, bool all)
{
	hv_node_id order[SIM_HOSTS];

	for (size_t i = 0; i < s->n; i++)
		order[i] = (hv_node_id)i + 1;
	for (size_t i = 0; i + 1 < s->n; i++) {
		size_t k = (size_t)prng_range(r, i, s->n - 1);
		hv_node_id id = order[i];

		order[i] = order[k];
		order[k] = id;
	}
	for (size_t i = left; i < s->n; i++)
		node_set_add(&s->destroyed, order[i]);
	for (size_t i = 0; i < s->n; i++)
		if (all || i >= left)
			host_power_off(s, sim_host(s, order[i]));
	for (size_t i = 0; all && i < left; i++)
		host_power_on(s, sim_host(s, order[i]));
}

/* Nobody is at work: without a quorum nothing may have begun. */
static struct host *survivor(struct sim *s)
{
	struct host *found = NULL;

	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[i];

		if (!process_runs(h))
			continue;
		if (rl_status(h->proc.log)->phase == RL_ACTIVE)
			sim_fail(s, "node %u goes on although a majority is gone", h->id);
		found = h;
	}
	return found;
}

/* The truth allows it: every host that is not seen is off, and stays off. */
static void say_so(struct sim *s)
{
	struct host *h = survivor(s);

	if (s->failed || !h)
		return;
	s->forced = s->n - s->destroyed.n;
	net_votes_anew(s);
	sim_run_until(s, s->now_us + 100 * MS);
	if (!s->failed && process_runs(h))
		force(s, h);
}

void gone_majority(struct sim *s)
{
	struct prng *r = sim_stream(s, STREAM_FAULTS);
	size_t left = (size_t)prng_range(r, 1, s->n > 1 ? s->n / 2 : 1);
	bool chosen = prng_chance(r, 250), all = prng_chance(r, 400) || s->two_node;

	/* A device would let some of them go on; one of two that sees no other does by itself. */
	if (s->failed || s->n < 2 || !chosen || s->mind != &plain_mind || s->options->lossy ||
	    s->device || !sim_inject(s, "majority destroyed"))
		return;
	destroy(s, r, left, all);
	sim_run_until(s, s->now_us + LOOK_US);
	say_so(s);
	until_quiet(s);
	if (!s->failed)
		check_end(s);
	s->destroyed.n = 0;
	for (size_t i = 0; i < s->n; i++)
		host_power_on(s, &s->hosts[i]);
	until_quiet(s);
	s->forced = 0;
}
