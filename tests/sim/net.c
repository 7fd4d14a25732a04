/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Corosync as the log sees it. A ring orders messages; every host of it delivers them in that
 * order, each at its own pace. When hosts fail or the network parts, the ring loses its token and
 * orders nothing more; after the token timeout the hosts that hear each other form a new one. Hosts
 * that move on together first deliver the same messages of the old ring (extended virtual
 * synchrony); what a host had not yet got ordered is ordered in the new ring. CPG joins and leaves
 * are ordered like messages.
 */
#include "tests/sim/sim.h"

#include <string.h>

void items_push(struct items *q, const struct item *it)
{
	if (q->n == q->cap) {
		q->cap = q->cap ? q->cap * 2 : 64;
		q->items = hv_xrealloc(q->items, q->cap, sizeof(*q->items));
	}
	q->items[q->n] = *it;
	if (it->data)
		blob_ref(it->data);
	q->n++;
}

void items_clear(struct items *q)
{
	for (size_t i = 0; i < q->n; i++)
		blob_unref(q->items[i].data);
	free(q->items);
	memset(q, 0, sizeof(*q));
}

/* ---- within a ring */

static void deliver_upto(struct sim *s, struct host *h, size_t reach)
{
	struct ring *r = h->ring;

	if (reach > r->ordered.n)
		reach = r->ordered.n;
	while (h->power && h->ring == r && h->pos < reach) {
		struct item it = r->ordered.items[h->pos++];

		process_receive(s, h, &it);
	}
}

static void arrive(struct sim *s, struct host *h, uint64_t arg)
{
	uint64_t ring = arg >> 32, reach = arg & 0xffffffff;

	if (!h->power || h->hung || !h->ring || h->ring->seq != ring)
		return;
	if (h->reach < reach)
		h->reach = (size_t)reach;
	deliver_upto(s, h, h->reach);
}

static void ring_add(struct sim *s, struct ring *r, const struct item *it)
{
	items_push(&r->ordered, it);
	for (size_t i = 0; i < r->hosts.n; i++)
		sim_at(s, sim_range(s, 20, 250, 100, 5 * MS), arrive, sim_host(s, r->hosts.ids[i]),
		       r->seq << 32 | r->ordered.n);
}

static struct item conf_item(const struct ring *r)
{
	struct item it = {.kind = ITEM_CONF, .members = r->cpg, .ring_members = r->hosts};

	it.ring = (struct rl_ring){r->hosts.ids[0], r->seq};
	return it;
}

/* The next thing that this host had to say gets its place in the order. */
static void order_next(struct sim *s, struct host *h, uint64_t arg)
{
	struct ring *r = h->ring;
	struct item it, conf;

	if (!h->power || h->hung || !r || r->stalled || h->outgoing_pos == h->outgoing.n)
		return;
	it = h->outgoing.items[h->outgoing_pos++];
	if (it.kind == ITEM_MESSAGE) {
		if (node_set_has(&r->cpg, h->id))
			ring_add(s, r, &it);
	} else {
		if (it.leaves)
			node_set_remove(&r->cpg, h->id);
		else
			node_set_add(&r->cpg, h->id);
		conf = conf_item(r);
		conf.host = h->id;
		conf.incarnation = it.incarnation;
		conf.leaves = it.leaves;
		ring_add(s, r, &conf);
	}
	if (h->outgoing_pos == h->outgoing.n) {
		items_clear(&h->outgoing);
		h->outgoing_pos = 0;
	}
}

static void say(struct sim *s, struct host *h, const struct item *it)
{
	items_push(&h->outgoing, it);
	sim_at(s, sim_range(s, 30, 300, 100, 4 * MS), order_next, h, 0);
}

void net_multicast(struct sim *s, struct host *h, const uint8_t *data, size_t len)
{
	struct item it = {.kind = ITEM_MESSAGE, .host = h->id, .data = blob_copy(data, len)};

	say(s, h, &it);
	blob_unref(it.data);
}

void net_join(struct sim *s, struct host *h)
{
	say(s, h,
	    &(struct item){.kind = ITEM_CONF, .host = h->id, .incarnation = h->proc.incarnation});
}

void net_leave(struct sim *s, struct host *h)
{
	/* What it had not yet sent is gone with it. */
	struct items kept = {0};

	for (size_t i = h->outgoing_pos; i < h->outgoing.n; i++)
		if (h->outgoing.items[i].kind == ITEM_CONF)
			items_push(&kept, &h->outgoing.items[i]);
	items_clear(&h->outgoing);
	h->outgoing = kept;
	h->outgoing_pos = 0;
	say(s, h,
	    &(struct item){.kind = ITEM_CONF,
			   .host = h->id,
			   .incarnation = h->proc.incarnation,
			   .leaves = true});
}

/* ---- votes */

static void votes_arrive(struct sim *s, struct host *h, uint64_t ring)
{
	struct item it = {.kind = ITEM_VOTES};
	struct ring *r = h->ring;
	uint32_t expected = (uint32_t)s->n + (s->device ? 1 : 0);

	if (!h->power || h->hung || !r || r->seq != ring)
		return;
	if (r->hosts.n == s->n)
		h->seen_all = true;
	it.ring = (struct rl_ring){r->hosts.ids[0], r->seq};
	it.device_votes = r->has_device ? 1 : 0;
	it.quorum = s->two_node ? 1 : expected / 2 + 1;
	it.quorate = r->hosts.n + it.device_votes >= it.quorum && (!s->two_node || h->seen_all) &&
		     !s->no_votes;
	process_receive(s, h, &it);
}

void net_votes(struct sim *s, struct host *h)
{
	if (h->ring)
		sim_at(s, prng_range(sim_stream(s, STREAM_WORLD), 0, 20 * MS), votes_arrive, h,
		       h->ring->seq);
}

void net_votes_anew(struct sim *s)
{
	for (size_t i = 0; i < s->n; i++)
		net_votes(s, &s->hosts[i]);
}

/* ffsplit: one side only; the larger one, or the one with the lowest node. It keeps what it has. */
static void device_decides(struct sim *s, struct host *h, uint64_t arg)
{
	struct ring *best = NULL;

	if (!s->device)
		return;
	for (struct ring *r = s->rings; r; r = r->next) {
		bool better = !best || r->hosts.n > best->hosts.n ||
			      (r->hosts.n == best->hosts.n && r->hosts.ids[0] < best->hosts.ids[0]);

		if (!r->stalled && better)
			best = r;
	}
	for (struct ring *r = s->rings; r; r = r->next) {
		bool has = r == best;

		if (r->has_device == has || r->stalled)
			continue;
		r->has_device = has;
		for (size_t i = 0; i < r->hosts.n; i++)
			sim_at(s, sim_range(s, 10, 900 * MS, 10, 40 * MS), votes_arrive,
			       sim_host(s, r->hosts.ids[i]), r->seq);
	}
}

/* ---- new rings */

static void ring_drop_if_empty(struct sim *s, struct ring *r)
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
			deliver_upto(s, h, cut);
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
	h->pos = h->reach = 0;
	if (old)
		ring_drop_if_empty(s, old);
	for (size_t i = h->outgoing_pos; i < h->outgoing.n; i++) {
		sim_at(s, sim_range(s, 30, 600, 100, 4 * MS), order_next, h, 0);
		joins = joins ||
			(h->outgoing.items[i].kind == ITEM_CONF && !h->outgoing.items[i].leaves);
	}
	/* Its join was ordered, but the ring broke before it came back to it. */
	if (h->proc.up && !h->proc.joined && !joins)
		net_join(s, h);
}

static void announce(struct sim *s, struct ring *r)
{
	struct item conf = conf_item(r);

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
	r->hosts = *set;
	r->next = s->rings;
	s->rings = r;
	for (size_t i = 0; i < set->n; i++)
		if (in_group(sim_host(s, set->ids[i])))
			node_set_add(&r->cpg, set->ids[i]);
	sim_trace(s, "ring %llu of %zu hosts from %u", (unsigned long long)r->seq, set->n,
		  set->ids[0]);
	for (size_t i = 0; i < set->n; i++)
		enter(s, sim_host(s, set->ids[i]), r);
	announce(s, r);
}

static void regroup(struct sim *s, struct host *unused, uint64_t arg)
{
	struct node_set done = {.n = 0};

	s->regroup_due = false;
	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[i];
		struct node_set set = {.n = 0};

		if (!h->power || h->hung || node_set_has(&done, h->id))
			continue;
		for (size_t k = i; k < s->n; k++) {
			struct host *o = &s->hosts[k];

			if (o->power && !o->hung && o->group == h->group) {
				node_set_add(&set, o->id);
				node_set_add(&done, o->id);
			}
		}
		if (!h->ring || h->ring->stalled || !node_set_equal(&set, &h->ring->hosts))
			form_ring(s, &set);
	}
	sim_at(s, sim_range(s, 50 * MS, 2 * SEC, MS, 80 * MS), device_decides, NULL, 0);
}

/* A ring whose hosts do not all hear each other any more has lost its token. */
static void stall_broken(struct sim *s)
{
	for (struct ring *r = s->rings; r; r = r->next)
		for (size_t i = 0; i < r->hosts.n; i++) {
			struct host *a = sim_host(s, r->hosts.ids[0]),
				    *b = sim_host(s, r->hosts.ids[i]);

			if (!b->power || b->hung || b->ring != r || a->group != b->group)
				r->stalled = true;
		}
}

void net_changed(struct sim *s, bool host_came)
{
	stall_broken(s);
	if (s->regroup_due)
		return;
	s->regroup_due = true;
	sim_at(s,
	       host_came ? sim_range(s, 50 * MS, SEC, 2 * MS, 30 * MS)
			 : sim_range(s, 300 * MS, 2500 * MS, 1 * MS, 30 * MS),
	       regroup, NULL, 0);
}

void net_host_off(struct sim *s, struct host *h)
{
	struct ring *r = h->ring;

	items_clear(&h->outgoing);
	h->outgoing_pos = 0;
	h->pos = h->reach = 0;
	if (r)
		r->stalled = true;
	h->ring = NULL;
	if (r)
		ring_drop_if_empty(s, r);
	net_changed(s, false);
}

void net_done(struct sim *s)
{
	for (size_t i = 0; i < s->n; i++)
		items_clear(&s->hosts[i].outgoing);
	while (s->rings) {
		struct ring *r = s->rings;

		s->rings = r->next;
		items_clear(&r->ordered);
		free(r);
	}
}
