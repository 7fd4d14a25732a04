/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Corosync as the log sees it, in three files: messages and the group here, votes.c, ring.c.
 *
 * A ring orders messages; every host of it delivers them in that
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

void items_drop(struct items *q)
{
	for (size_t i = 0; i < q->n; i++)
		blob_unref(q->items[i].data);
	q->n = 0;
}

void items_clear(struct items *q)
{
	items_drop(q);
	free(q->items);
	memset(q, 0, sizeof(*q));
}

/* ---- within a ring */

void net_deliver_upto(struct sim *s, struct host *h, size_t reach)
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

	if (!net_alive(h) || !h->ring || h->ring->seq != ring)
		return;
	if (h->reach < reach)
		h->reach = (size_t)reach;
	net_deliver_upto(s, h, h->reach);
}

static void send_to(struct sim *s, const struct ring *r, hv_node_id from, struct host *h)
{
	uint64_t us = sim_range(s, 20, 250, 100, 5 * MS);

	sim_at(s, lossy_delay(s, from, h, us), arrive, h, r->seq << 32 | r->ordered.n);
}

static void ring_add(struct sim *s, struct ring *r, const struct item *it)
{
	items_push(&r->ordered, it);
	for (size_t i = 0; i < r->hosts.n; i++)
		send_to(s, r, it->host, sim_host(s, r->hosts.ids[i]));
}

struct item net_conf_item(const struct ring *r)
{
	struct conf c = {.members = r->cpg, .ring_members = r->hosts};

	return (struct item){.kind = ITEM_CONF,
			     .ring = {r->hosts.ids[0], r->seq},
			     .data = blob_copy((const uint8_t *)&c, sizeof(c))};
}

static void order_conf(struct sim *s, struct host *h, struct ring *r, const struct item *it)
{
	struct item conf;

	/* A ghost: nobody is ever told that this member has left. */
	if (it->leaves && h->ghost)
		return;
	if (it->leaves)
		node_set_remove(&r->cpg, h->id);
	else
		node_set_add(&r->cpg, h->id);
	conf = net_conf_item(r);
	conf.host = h->id;
	conf.connection = it->connection;
	conf.leaves = it->leaves;
	ring_add(s, r, &conf);
	blob_unref(conf.data);
}

/* The next thing that this host had to say gets its place in the order. */
static void order_next(struct sim *s, struct host *h, uint64_t arg)
{
	struct ring *r = h->ring;
	struct item it;

	if (!net_alive(h) || !r || r->stalled || h->outgoing_pos == h->outgoing.n)
		return;
	lossy_token(s);
	if (h->try_again_us > s->now_us) {
		sim_at(s, h->try_again_us - s->now_us, order_next, h, 0);
		return;
	}
	it = h->outgoing.items[h->outgoing_pos++];
	if (it.kind != ITEM_MESSAGE)
		order_conf(s, h, r, &it);
	else if (node_set_has(&r->cpg, h->id))
		ring_add(s, r, &it);
	if (h->outgoing_pos == h->outgoing.n) {
		items_drop(&h->outgoing);
		h->outgoing_pos = 0;
	}
}

void net_order_later(struct sim *s, struct host *h)
{
	for (size_t i = h->outgoing_pos; i < h->outgoing.n; i++)
		sim_at(s, sim_range(s, 30, 600, 100, 4 * MS), order_next, h, 0);
}

static void say(struct sim *s, struct host *h, const struct item *it)
{
	items_push(&h->outgoing, it);
	sim_at(s, sim_range(s, 30, 300, 100, 4 * MS), order_next, h, 0);
}

bool net_multicast(struct sim *s, struct host *h, const uint8_t *data, size_t len)
{
	struct item it = {.kind = ITEM_MESSAGE, .host = h->id, .data = blob_copy(data, len)};
	bool room = h->outgoing.n - h->outgoing_pos < NET_QUEUE_MAX;
	unsigned late = s->storm && !s->healing ? s->swarm.late : 0;
	struct prng *r = sim_stream(s, STREAM_WORLD);

	/* Its ring's flow control: this very message is late, and what comes after it. */
	if (late && prng_chance(r, late) && h->try_again_us <= s->now_us)
		h->try_again_us = s->now_us + prng_range(r, MS, 3 * s->swarm.ack_us);
	if (room) {
		moments_said(s, h, data, len);
		say(s, h, &it);
	}
	blob_unref(it.data);
	return room;
}

void net_join(struct sim *s, struct host *h)
{
	h->proc.connection = ++h->connections;
	say(s, h,
	    &(struct item){.kind = ITEM_CONF, .host = h->id, .connection = h->proc.connection});
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
			   .connection = h->proc.connection,
			   .leaves = true});
}

bool net_alive(const struct host *h)
{
	return h->power && !h->hung && !h->corosync_down && !h->held && !h->stopped;
}

void net_host_off(struct sim *s, struct host *h)
{
	struct ring *r = h->ring;

	items_clear(&h->outgoing);
	h->outgoing_pos = 0;
	h->pos = h->reach = 0;
	if (r)
		ring_stall(s, r);
	h->ring = NULL;
	if (r)
		ring_drop_if_empty(s, r);
	net_changed(s, false);
}

void net_corosync(struct sim *s, struct host *h, bool down)
{
	if (!h->power || h->corosync_down == down)
		return;
	sim_trace(s, "host %u: corosync %s", h->id, down ? "dies" : "starts");
	h->corosync_down = down;
	h->seen_all = false;
	if (!down) {
		net_changed(s, true);
		return;
	}
	net_host_off(s, h);
	process_disconnected(s, h);
}

/*
 * The token that waited in its socket: it orders what its process has said meanwhile, and delivers
 * it, to nobody else any more; after what was ordered before it came, which waits there, too. That
 * token is one.
 */
static void handle_stale_token(struct sim *s, struct host *h, uint64_t ring)
{
	size_t left = h->outgoing.n - h->outgoing_pos;

	if (net_alive(h) && h->ring && h->ring->seq == ring && h->ring->stalled)
		net_deliver_upto(s, h, h->ring->ordered.n);
	while (left-- && net_alive(h) && h->ring && h->ring->seq == ring && h->ring->stalled &&
	       h->outgoing_pos < h->outgoing.n) {
		struct item it = h->outgoing.items[h->outgoing_pos];

		if (it.kind != ITEM_MESSAGE)
			return;
		h->outgoing_pos++;
		blob_ref(it.data);
		process_receive(s, h, &it);
		blob_unref(it.data);
	}
}

void net_stop(struct sim *s, struct host *h, bool stop)
{
	if (!h->power || h->stopped == stop || (stop && !net_alive(h)))
		return;
	sim_trace(s, "host %u: corosync %s", h->id, stop ? "stands still" : "goes on");
	h->stopped = stop;
	if (stop) {
		h->stale_token = net_silent(s);
		return;
	}
	if (h->stale_token && h->ring)
		sim_at(s, prng_range(sim_stream(s, STREAM_WATCHDOG), 100, 5 * MS),
		       handle_stale_token, h, h->ring->seq);
	net_changed(s, true);
}

void net_hold(struct sim *s, struct host *h, bool down)
{
	if (!h->power || h->held == down)
		return;
	sim_trace(s, "host %u: corosync is %s by its own process", h->id,
		  down ? "taken down" : "started again");
	h->held = down;
	h->seen_all = false;
	if (!down) {
		net_changed(s, true);
		return;
	}
	coverage_add(&s->result->coverage, "corosync taken down by itself", 1);
	net_host_off(s, h);
	process_disconnected(s, h);
}

void net_done(struct sim *s)
{
	for (size_t i = 0; i < SIM_HOSTS; i++)
		items_clear(&s->hosts[i].outgoing);
	while (s->rings) {
		struct ring *r = s->rings;

		s->rings = r->next;
		items_clear(&r->ordered);
		free(r);
	}
}
