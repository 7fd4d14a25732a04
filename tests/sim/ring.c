/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * New rings: who hears whom, and what those deliver who move on together. One host that is heard
 * or hears on one way only disturbs all (measured: corosync 3.1.7): it forms a ring of its own
 * every 1.2 s, and each time the others lose their token. They deliver nothing, or have a ring for
 * a moment every 3 s. While that host's corosync is down they are as if it had no power.
 */
#include "tests/sim/sim.h"

#define DISTURB_MOST_US (8 * SEC)

void ring_drop_if_empty(struct sim *s, struct ring *r)
{
	struct ring **p = &s->rings;

	for (size_t i = 0; i < s->n; i++)
		if (s->hosts[i].ring == r)
			return;
	while (*p && *p != r)
		p = &(*p)->next;
	if (*p)
		*p = r->next;
	items_clear(&r->ordered);
	free(r);
}

/* Those of `set` who were in the ring `old` deliver the same messages of it before they leave it.
 */
static void finish_old(struct sim *s, const struct node_set *set, struct ring *old)
{
	size_t least = 0, cut;

	for (size_t i = 0; i < set->n; i++) {
		struct host *h = sim_host(s, set->ids[i]);

		if (h->ring == old && h->pos > least)
			least = h->pos;
	}
	cut = (size_t)prng_range(sim_stream(s, STREAM_WORLD), least, old->ordered.n);
	for (size_t i = 0; i < set->n; i++) {
		struct host *h = sim_host(s, set->ids[i]);

		if (h->ring == old)
			net_deliver_upto(s, h, cut);
	}
}

/* Is the process of `h` in the group, as the ring that it comes from has it at the host's place? */
static bool in_group(const struct host *h)
{
	return h->proc.up && h->proc.joined;
}

static void enter(struct sim *s, struct host *h, struct ring *r)
{
	struct ring *old = h->ring;
	bool joins = false;

	h->ring = r;
	h->stale_token = false;
	h->pos = h->reach = 0;
	h->arrives_us = 0;
	if (old)
		ring_drop_if_empty(s, old);
	net_order_later(s, h);
	for (size_t i = h->outgoing_pos; i < h->outgoing.n; i++)
		joins = joins ||
			(h->outgoing.items[i].kind == ITEM_CONF && !h->outgoing.items[i].leaves);
	/* Its join was ordered, but the ring broke before it came back to it. */
	if (h->proc.up && !h->proc.joined && !joins)
		net_join(s, h);
}

static void announce(struct sim *s, struct ring *r)
{
	struct item conf = net_conf_item(r);

	for (size_t i = 0; i < r->hosts.n; i++) {
		struct host *h = sim_host(s, r->hosts.ids[i]);
		bool votes_first = prng_chance(sim_stream(s, STREAM_WORLD), 300);

		if (votes_first)
			votes_arrive(s, h, r->seq);
		process_receive(s, h, &conf);
		if (!votes_first)
			sim_at(s, prng_range(sim_stream(s, STREAM_WORLD), 0, 8 * MS), votes_arrive,
			       h, r->seq);
	}
	/* Everyone has had it: it stands first in the order too. */
	items_push(&r->ordered, &conf);
	blob_unref(conf.data);
	for (size_t i = 0; i < r->hosts.n; i++)
		sim_host(s, r->hosts.ids[i])->pos = 1;
}

static void form_ring(struct sim *s, const struct node_set *set)
{
	struct ring *r = hv_xcalloc(1, sizeof(*r));

	for (size_t i = 0; i < set->n; i++) {
		struct ring *old = sim_host(s, set->ids[i])->ring;
		bool first = old;

		for (size_t k = 0; k < i; k++)
			first = first && sim_host(s, set->ids[k])->ring != old;
		if (first)
			finish_old(s, set, old);
	}
	r->seq = ++s->ring_seq;
	r->formed_us = s->now_us;
	r->hosts = *set;
	r->next = s->rings;
	s->rings = r;
	for (size_t i = 0; i < set->n; i++)
		if (in_group(sim_host(s, set->ids[i])) || sim_host(s, set->ids[i])->ghost)
			node_set_add(&r->cpg, set->ids[i]);
	sim_trace(s, "ring %llu of %zu hosts from %u", (unsigned long long)r->seq, set->n,
		  set->ids[0]);
	for (size_t i = 0; i < set->n; i++)
		enter(s, sim_host(s, set->ids[i]), r);
	announce(s, r);
}

/* Somebody disturbs all the others now. */
static bool disturbed(struct sim *s)
{
	return s->lonely && net_alive(sim_host(s, s->lonely));
}

static void regroup(struct sim *s, struct host *unused, uint64_t arg);

/* The others still take the old ring for theirs, which orders nothing any more. */
static bool the_rest_later(struct sim *s)
{
	struct prng *r = sim_stream(s, STREAM_WATCHDOG);

	if (!s->rings_apart || !prng_chance(r, 500))
		return false;
	s->regroup_due = true;
	sim_at(s, s->storm ? prng_range(r, 100, 20 * MS) : prng_range(r, 10 * MS, 1200 * MS),
	       regroup, NULL, 0);
	return true;
}

static void regroup(struct sim *s, struct host *unused, uint64_t arg)
{
	struct node_set done = {.n = 0};

	s->regroup_due = false;
	if (disturbed(s))
		return;
	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[i];
		struct node_set set = {.n = 0};

		if (!net_alive(h) || node_set_has(&done, h->id))
			continue;
		for (size_t k = i; k < s->n; k++) {
			struct host *o = &s->hosts[k];

			if (net_alive(o) && o->group == h->group) {
				node_set_add(&set, o->id);
				node_set_add(&done, o->id);
			}
		}
		if (h->ring && !h->ring->stalled && node_set_equal(&set, &h->ring->hosts))
			continue;
		form_ring(s, &set);
		if (the_rest_later(s))
			break;
	}
	sim_at(s, sim_range(s, 50 * MS, 2 * SEC, MS, 80 * MS) + votes_device_delay_us(s),
	       votes_device, NULL, 0);
}

void ring_stall(struct sim *s, struct ring *r)
{
	if (!r->stalled)
		r->stalled_us = s->now_us;
	r->stalled = true;
}

/* A ring whose hosts do not all hear each other any more has lost its token. */
static void stall_broken(struct sim *s)
{
	for (struct ring *r = s->rings; r; r = r->next)
		for (size_t i = 0; i < r->hosts.n; i++) {
			struct host *a = sim_host(s, r->hosts.ids[0]),
				    *b = sim_host(s, r->hosts.ids[i]);

			if (!net_alive(b) || b->ring != r || a->group != b->group)
				ring_stall(s, r);
		}
}

void net_changed(struct sim *s, bool host_came)
{
	stall_broken(s);
	if (s->regroup_due || disturbed(s))
		return;
	s->regroup_due = true;
	sim_at(s,
	       host_came ? sim_range(s, 50 * MS, SEC, 2 * MS, 30 * MS)
			 : sim_range(s, 300 * MS, 2500 * MS, 1 * MS, 30 * MS),
	       regroup, NULL, 0);
}

bool net_silent(struct sim *s)
{
	bool first = !s->regroup_due && !disturbed(s);

	stall_broken(s);
	if (!first)
		return false;
	s->regroup_due = true;
	sim_at(s, prng_range(sim_stream(s, STREAM_WORLD), 2200 * MS, 2500 * MS), regroup, NULL, 0);
	return true;
}

/* ---- loss one way */

static void ring_of(struct sim *s, bool lonely)
{
	struct node_set set = {.n = 0};

	for (size_t i = 0; i < s->n; i++)
		if (net_alive(&s->hosts[i]) && (s->hosts[i].id == s->lonely) == lonely)
			node_set_add(&set, s->hosts[i].id);
	if (set.n)
		form_ring(s, &set);
}

/*
 * It is to notice that it disturbs, and to go. It cannot while its process does not run, is not in
 * the group or is told that it has quorum (two_node, quorum_loss=ignore).
 */
static void check_it_goes(struct sim *s)
{
	const struct host *h = sim_host(s, s->lonely);
	const struct process *p = &h->proc;
	bool could = process_runs(h) && p->joined && p->votes.kind == ITEM_VOTES &&
		     !p->watch.quorate && h->try_again_us <= s->now_us;

	if (!could || !s->disturbed_us || s->disturbed_us < p->started_us)
		s->disturbed_us = s->now_us;
	if (!s->storm && s->now_us - s->disturbed_us > DISTURB_MOST_US)
		sim_fail(s, "L3: host %u keeps the others from working and does not go", h->id);
}

static void disturb_now(struct sim *s, uint32_t round)
{
	check_it_goes(s);
	for (struct ring *r = s->rings; r; r = r->next)
		ring_stall(s, r);
	ring_of(s, true);
	if (s->one_way_flaps && round % 3 == 0)
		ring_of(s, false);
	sim_at(s, 1 + votes_device_delay_us(s), votes_device, NULL, 0);
}

/* The lonely host forms its ring; in each third round, if they flap, the others do too. */
static void disturb(struct sim *s, struct host *unused, uint64_t round)
{
	if (!s->lonely || round >> 32 != s->one_way_count)
		return;
	if (disturbed(s))
		disturb_now(s, (uint32_t)round);
	else
		s->disturbed_us = 0;
	sim_at(s, s->storm ? 15 * MS : 1200 * MS, disturb, NULL, round + 1);
}

void net_one_way(struct sim *s, hv_node_id lonely, bool flaps)
{
	sim_trace(s, "network: host %u is heard one way only%s", lonely, flaps ? ", flapping" : "");
	s->lonely = lonely;
	s->one_way_flaps = flaps;
	s->disturbed_us = 0;
	disturb(s, NULL, (uint64_t)++s->one_way_count << 32);
}

void net_one_way_over(struct sim *s)
{
	if (!s->lonely)
		return;
	sim_trace(s, "network: host %u is heard again", s->lonely);
	s->lonely = 0;
	for (struct ring *r = s->rings; r; r = r->next)
		ring_stall(s, r);
	net_changed(s, true);
}
