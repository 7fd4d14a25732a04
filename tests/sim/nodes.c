/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of configured nodes changes: one at a time, the highest, and only while all of them are
 * members (doc/protocol.md, "Limits"). Every node hears of it at a time of its own.
 */
#include "tests/sim/faults.h"

#define NODES_MIN 3
#define NODES_MAX 9

static void hear(struct sim *s, struct host *h, uint64_t incarnation)
{
	struct rl_input in = {.kind = RL_IN_NODES};
	struct rl_node_cfg nodes[SIM_HOSTS];

	if (!h->proc.up || h->proc.incarnation != incarnation)
		return;
	if (!process_runs(h)) {
		sim_at(s, 50 * MS, hear, h, incarnation);
		return;
	}
	for (size_t i = 0; i < s->n; i++)
		nodes[i] = (struct rl_node_cfg){s->hosts[i].id, 1};
	in.nodes = nodes;
	in.n_nodes = s->n;
	process_feed(s, h, &in);
}

/* A process that starts meanwhile reads the new list. */
static void tell_all(struct sim *s, struct prng *r)
{
	for (size_t i = 0; i < s->n; i++) {
		uint64_t delay = sim_pick(s, r, MS, 900 * MS, 100, 20 * MS);

		if (s->hosts[i].proc.up)
			sim_at(s, delay, hear, &s->hosts[i], s->hosts[i].proc.incarnation);
	}
	net_votes_anew(s);
}

static void first_boot(struct sim *s, struct host *h, uint64_t arg)
{
	host_power_on(s, h);
}

static void add(struct sim *s, struct prng *r)
{
	struct host *h = &s->hosts[s->n];

	s->n_before = s->n++;
	sim_trace(s, "host %zu: added", s->n);
	host_init(s, h, (hv_node_id)s->n);
	tell_all(s, r);
	sim_at(s, sim_pick(s, r, 10 * MS, 5 * SEC, MS, 50 * MS), first_boot, h, 0);
}

static void take_away(struct sim *s, struct prng *r)
{
	struct host *h = &s->hosts[s->n - 1];

	sim_trace(s, "host %zu: removed", s->n);
	host_power_off(s, h);
	s->n_before = s->n--;
	tell_all(s, r);
}

void fault_nodes(struct sim *s, struct prng *r)
{
	bool more = prng_chance(r, 500);

	if (sim_minority_possible(s) || s->wait_for_all || s->mind != &plain_mind || s->lonely ||
	    s->n < NODES_MIN || !faults_all_active(s))
		return;
	if (more && s->n < NODES_MAX)
		add(s, r);
	else if (!more && s->n > NODES_MIN)
		take_away(s, r);
}
