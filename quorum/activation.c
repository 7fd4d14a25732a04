/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How an epoch begins: hello, activate, promise (doc/protocol.md, "View change"). */
#include "quorum/replog_priv.h"

#include <string.h>

void activation_own_point(const struct replog *log, struct epoch_point *ret)
{
	*ret = (struct epoch_point){
		.node = log->self,
		.incarnation = log->incarnation,
		.feature = log->feature,
		.effective = entries_effective(&log->log),
		.last_epoch = entries_last_epoch(&log->log),
		.last_index = entries_last_index(&log->log),
		.live = log->live,
		.needs_state = log->needs_state,
	};
}

void activation_hello_send(struct replog *log)
{
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__Hello h = HV__HELLO__INIT;
	Hv__RingId ring = HV__RING_ID__INIT;
	struct epoch_point p;
	Hv__EpochId effective, last;

	activation_own_point(log, &p);
	effective = peer_epoch_out(&p.effective);
	last = peer_epoch_out(&p.last_epoch);
	ring.node = log->ring.node;
	ring.seq = log->ring.seq;
	h.ring = &ring;
	h.effective = &effective;
	h.last_epoch = &last;
	h.last_index = p.last_index;
	h.first_index = log->log.base_index + 1;
	h.promised = log->promised;
	h.live = p.live;
	h.caught_up = log->caught_up;
	h.quorum_known = log->votes.known && rl_ring_equal(&log->votes.ring, &log->ring);
	h.quorate = rl_quorate(log);
	h.quorum = log->votes.quorum;
	h.device_votes = log->votes.device_votes;
	h.feature = log->feature;
	h.applied = log->applied_index;
	h.needs_state = p.needs_state;
	h.n_members = log->view.n;
	h.members = log->view.ids;
	h.seen = log->seen;
	/* Left out with writes under way: not before they are done, or we would be left out again. */
	h.disk_failed = log->disk_failed || (log->left_out && log->n_writes);
	msg.body_case = HV__PEER_MESSAGE__BODY_HELLO;
	msg.hello = &h;
	rl_send(log, &msg);
	log->hello_sent_us = log->now_us;
	log->hello_count++;
}

void activation_view(struct replog *log)
{
	for (size_t i = 0; i < log->n_peers; i++)
		log->peers[i].hello.valid = false;
	log->seen = 0;
	log->left_out = false;
	log->activate_sent_us = 0;
	log->hello_since_us = log->now_us;
	log->hello_count = 0;
	activation_hello_send(log);
}

void activation_leave(struct replog *log)
{
	catchup_stop(log);
	if (!log->ep.active)
		return;
	log->ep.active = false;
	log->ep.begun = false;
	log->activate_sent_us = 0;
	log->status_dirty = true;
	if (!log->in_view)
		return;
	log->hello_since_us = log->now_us;
	log->hello_count = 0;
	activation_hello_send(log);
}

void activation_hello(struct replog *log, struct peer *p, const Hv__PeerMessage *msg)
{
	const Hv__Hello *m = msg->hello;
	const struct rl_node_cfg *cfg = node_list_find(&log->nodes, p->id);
	struct hello *h = &p->hello;

	memset(h, 0, sizeof(*h));
	h->ring = (struct rl_ring){ m->ring->node, m->ring->seq };
	h->valid = node_set_from(&h->members, m->members, m->n_members);
	h->seen = m->seen;
	h->promised = m->promised;
	h->caught_up = m->caught_up;
	h->quorate = m->quorate;
	h->quorum_known = m->quorum_known;
	h->disk_failed = m->disk_failed;
	h->point = (struct epoch_point){
		.node = p->id,
		.incarnation = msg->incarnation,
		.votes = cfg ? cfg->votes : 0,
		.feature = m->feature,
		.effective = peer_epoch_in(m->effective),
		.last_epoch = peer_epoch_in(m->last_epoch),
		.last_index = m->last_index,
		.live = m->live,
		.needs_state = m->needs_state,
	};
	if (log->ep.active)
		activation_again(log);
	else
		activation_try(log);
}

/*
 * Does the hello speak of this view as it is now? One sent before an activate was delivered is out
 * of date after it: whoever is still without an epoch then says hello again.
 */
bool activation_hello_current(const struct replog *log, const struct peer *p)
{
	const struct hello *h = &p->hello;

	return h->valid && rl_ring_equal(&h->ring, &log->ring) && node_set_equal(&h->members, &log->view) &&
	       h->seen == log->seen && node_set_has(&log->view, p->id);
}

/* ---- the first epoch of a view */

struct candidates {
	struct node_set set;
	struct epoch_point points[HV_MAX_NODES];
	size_t missing; /* configured members of the view that have not said hello */
	uint64_t top;	/* highest epoch number that any of them knows */
	uint32_t votes, intact_votes;
};

static void raise_to(uint64_t *top, uint64_t number)
{
	if (*top < number)
		*top = number;
}

static void candidates_collect(struct replog *log, struct candidates *c)
{
	memset(c, 0, sizeof(*c));
	c->top = log->promised > log->seen ? log->promised : log->seen;
	for (size_t i = 0; i < log->view.n; i++) {
		struct peer *p = rl_peer(log, log->view.ids[i]);

		if (!p)
			continue;
		if (!activation_hello_current(log, p)) {
			c->missing++;
			continue;
		}
		raise_to(&c->top, p->hello.promised);
		raise_to(&c->top, p->hello.point.last_epoch.number);
		if (p->hello.disk_failed)
			continue;
		c->points[c->set.n] = p->hello.point;
		c->votes += p->hello.point.votes;
		c->intact_votes += p->hello.point.needs_state ? 0 : p->hello.point.votes;
		node_set_add(&c->set, p->id);
	}
}

static bool may_lead(const struct hello *h, bool whole)
{
	return !h->point.needs_state && (whole || h->caught_up) && (h->quorate || !h->quorum_known);
}

/* How many of the candidates come before us: the first activates, the next ones wait for it to fail. -1: not us. */
static int leader_rank(struct replog *log, const struct candidates *c)
{
	bool whole = epoch_is_whole(c->votes, node_list_total(&log->nodes));
	int rank = 0;

	for (size_t i = 0; i < c->set.n; i++) {
		const struct peer *p = rl_peer(log, c->set.ids[i]);

		if (!may_lead(&p->hello, whole))
			continue;
		if (p->id == log->self)
			return rank;
		rank++;
	}
	return -1;
}

struct activation {
	struct node_set members;
	const struct epoch_point *points;
	uint64_t number;
	hv_node_id donor;
	bool again;
};

static void point_out(const struct epoch_point *p, Hv__MemberPoint *m, Hv__EpochId ids[2])
{
	hv__member_point__init(m);
	ids[0] = peer_epoch_out(&p->last_epoch);
	ids[1] = peer_epoch_out(&p->effective);
	m->node = p->node;
	m->last_epoch = &ids[0];
	m->effective = &ids[1];
	m->last_index = p->last_index;
	m->incarnation = p->incarnation;
	m->feature = p->feature;
	m->needs_state = p->needs_state;
	m->votes = p->votes;
	m->synced = p->synced;
}

static void activate_send(struct replog *log, const struct activation *a)
{
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__Activate m = HV__ACTIVATE__INIT;
	Hv__RingId ring = HV__RING_ID__INIT;
	struct rl_epoch id = { a->number, log->self, log->incarnation };
	Hv__EpochId epoch = peer_epoch_out(&id), prev = peer_epoch_out(&log->ep.id), ids[HV_MAX_NODES][2];
	Hv__MemberPoint points[HV_MAX_NODES], *pointers[HV_MAX_NODES];
	struct node_set lost, in_ring = { .n = 0 };
	uint32_t votes = 0;

	node_list_minus(&log->nodes, &a->members, &lost);
	for (size_t i = 0; i < lost.n; i++)
		if (node_set_has(&log->ring_members, lost.ids[i]))
			node_set_add(&in_ring, lost.ids[i]);
	for (size_t i = 0; i < a->members.n; i++) {
		point_out(&a->points[i], &points[i], ids[i]);
		pointers[i] = &points[i];
		votes += a->points[i].votes;
	}
	ring.node = log->ring.node;
	ring.seq = log->ring.seq;
	m.ring = &ring;
	m.epoch = &epoch;
	m.n_members = a->members.n;
	m.members = (uint32_t *)a->members.ids;
	m.n_lost = lost.n;
	m.lost = lost.ids;
	m.n_in_ring = in_ring.n;
	m.in_ring = in_ring.ids;
	m.n_view = log->view.n;
	m.view = log->view.ids;
	m.donor = a->donor;
	m.again = a->again;
	m.prev = a->again ? &prev : NULL;
	m.minority = !epoch_is_whole(votes, node_list_total(&log->nodes));
	m.n_points = a->members.n;
	m.points = pointers;
	m.quorum = log->votes.quorum;
	m.device_votes = log->votes.device_votes;
	msg.body_case = HV__PEER_MESSAGE__BODY_ACTIVATE;
	msg.activate = &m;
	rl_send(log, &msg);
	log->activate_sent_us = log->now_us;
}

static struct vote_rule rule_for(const struct replog *log, uint32_t member_votes)
{
	return (struct vote_rule){ member_votes, log->votes.quorum, log->votes.device_votes };
}

/*
 * Activate as soon as every member of the view has said hello; without the missing ones after a
 * timeout. The first in line does it at once, the others only when it has not.
 */
void activation_try(struct replog *log)
{
	uint64_t waited = log->now_us - log->hello_since_us;
	const struct epoch_point *donor;
	struct candidates c;
	struct vote_rule rule;
	uint64_t patience;
	int rank;

	if (!log->in_view || log->ep.active || log->activate_sent_us || log->disk_failed || !rl_quorate(log))
		return;
	candidates_collect(log, &c);
	rank = leader_rank(log, &c);
	if (rank < 0)
		return;
	patience = log->cfg.hello_timeout_us * ((uint64_t)rank + (c.missing ? 1 : 0));
	if (waited < patience)
		return;
	rule = rule_for(log, c.votes);
	donor = epoch_donor(c.points, c.set.n);
	/* Whoever lost its store lost its memory of promises and entries too: it does not count yet. */
	if (!donor || !vote_rule_met(&rule, c.intact_votes))
		return;
	for (size_t i = 0; i < c.set.n; i++)
		c.points[i].synced = epoch_point_same(&c.points[i], donor) && !c.points[i].needs_state;
	activate_send(log, &(struct activation){ c.set, c.points, c.top + 1, donor->node, false });
}

/* ---- within a view: leaving a silent member out, taking one in again */

/* The point of a member that goes on: what matters is whether its memory counts. */
static struct epoch_point member_point(const struct replog *log, const struct member *m)
{
	struct epoch_point p = { .node = m->id, .incarnation = m->incarnation, .votes = m->votes };
	const struct rl_node_cfg *cfg = node_list_find(&log->nodes, m->id);

	if (cfg)
		p.votes = cfg->votes;
	p.feature = m->feature;
	p.last_epoch = log->ep.id;
	p.last_index = m->acked;
	p.synced = m->synced;
	p.needs_state = !m->intact && m->acked < log->ep.first_index;
	return p;
}

/* Members of the next epoch of this view; false if they would be the same. */
static bool next_members(struct replog *log, struct candidates *c)
{
	bool changed = log->want_again;

	memset(c, 0, sizeof(*c));
	c->top = log->promised > log->seen ? log->promised : log->seen;
	for (size_t i = 0; i < log->view.n; i++) {
		struct peer *p = rl_peer(log, log->view.ids[i]);
		struct member *m = commit_member(log, log->view.ids[i]);
		bool says_hello = p && p->id != log->self && activation_hello_current(log, p);
		struct epoch_point point;

		if (!p)
			continue;
		raise_to(&c->top, p->hello.valid ? p->hello.promised : 0);
		if (says_hello && !p->hello.disk_failed)
			point = p->hello.point;
		else if (!says_hello && m && !commit_silent(log, m))
			point = member_point(log, m);
		else {
			changed = changed || m;
			continue;
		}
		changed = changed || says_hello;
		c->points[c->set.n] = point;
		c->votes += point.votes;
		c->intact_votes += point.needs_state ? 0 : point.votes;
		node_set_add(&c->set, p->id);
	}
	return changed;
}

/* The lowest member that is not silent and holds the log sees to it. */
static bool is_steward(struct replog *log)
{
	for (size_t i = 0; i < log->ep.members.n; i++) {
		struct member *m = &log->ep.m[i];
		struct peer *p = rl_peer(log, m->id);

		if (m->id == log->self)
			return true;
		if (p && m->synced && !commit_silent(log, m) && !activation_hello_current(log, p))
			return false;
	}
	return false;
}

void activation_again(struct replog *log)
{
	struct candidates c;
	struct vote_rule rule;

	if (!rl_is_active(log) || log->activate_sent_us || log->disk_failed || !rl_quorate(log) || !is_steward(log))
		return;
	if (!next_members(log, &c))
		return;
	rule = rule_for(log, c.votes);
	if (!vote_rule_met(&rule, c.intact_votes))
		return;
	if (!epoch_is_whole(c.votes, node_list_total(&log->nodes)) && !log->caught_up)
		return;
	log->detected_us = log->cluster_us;
	log->want_again = false;
	activate_send(log, &(struct activation){ c.set, c.points, c.top + 1, log->self, true });
}

/* ---- an activate is delivered */

static void promise_write(struct replog *log, uint64_t number)
{
	struct rl_write w = { .set_promised = true, .promised = number };

	log->promised = number;
	log->ep.promise_write = rl_write(log, &w, 1, 0);
	log->ep.promise_sent = false;
}

static void epoch_fill(struct replog *log, const Hv__Activate *m)
{
	struct epoch_state *ep = &log->ep;
	uint64_t seq = ep->heartbeat_seq;

	memset(ep, 0, sizeof(*ep));
	ep->active = true;
	ep->heartbeat_seq = seq;
	ep->id = peer_epoch_in(m->epoch);
	ep->minority = m->minority;
	ep->donor = m->donor;
	ep->since_us = log->now_us;
	node_set_from(&ep->members, m->members, m->n_members);
	node_set_from(&ep->lost, m->lost, m->n_lost);
	node_set_from(&ep->in_ring, m->in_ring, m->n_in_ring);
	if (m->minority)
		ep->barrier = ep->lost;
	ep->rule.quorum = m->quorum;
	ep->rule.device_votes = m->device_votes;
	for (size_t i = 0; i < m->n_points; i++) {
		const Hv__MemberPoint *p = m->points[i];
		struct member *me = &ep->m[i];

		me->id = p->node;
		me->incarnation = p->incarnation;
		me->votes = p->votes;
		me->feature = p->feature;
		me->intact = !p->needs_state;
		me->synced = p->synced;
		me->heard_us = me->lag_us = log->now_us;
		ep->rule.member_votes += p->votes;
	}
}

static const Hv__MemberPoint *point_of(const Hv__Activate *m, hv_node_id id)
{
	for (size_t i = 0; i < m->n_points; i++)
		if (m->points[i]->node == id)
			return m->points[i];
	return NULL;
}

static bool point_matches(const Hv__MemberPoint *p, const struct epoch_point *own)
{
	struct rl_epoch last = peer_epoch_in(p->last_epoch);

	return p->last_index == own->last_index && rl_epoch_cmp(&last, &own->last_epoch) == 0 &&
	       p->needs_state == own->needs_state;
}

/*
 * May we follow? Our point must say what our log is now, or the donor may have been chosen wrongly.
 * When an epoch goes on (again), our log must not know a later one than the epoch that goes on.
 */
static bool acceptable(const struct replog *log, const Hv__Activate *m, bool follows)
{
	const Hv__MemberPoint *p = point_of(m, log->self);
	struct rl_epoch prev = peer_epoch_in(m->prev);
	struct epoch_point own;

	activation_own_point(log, &own);
	if (!p || p->incarnation != log->incarnation || log->disk_failed)
		return false;
	if (follows)
		return true;
	if (m->again)
		return rl_epoch_cmp(&own.last_epoch, &prev) <= 0;
	return point_matches(p, &own);
}

static bool needs_sync(const struct replog *log, const Hv__Activate *m, bool follows)
{
	const Hv__MemberPoint *donor = point_of(m, m->donor);
	struct rl_epoch last = peer_epoch_in(donor->last_epoch);
	struct epoch_point own;

	if (m->again)
		return !follows;
	activation_own_point(log, &own);
	if (m->donor == log->self)
		return false;
	return own.needs_state || own.last_index != donor->last_index || rl_epoch_cmp(&own.last_epoch, &last) != 0;
}

static void accept(struct replog *log, const Hv__Activate *m, bool follows)
{
	bool sync = needs_sync(log, m, follows);

	catchup_stop(log);
	epoch_fill(log, m);
	log->left_out = false;
	log->live = false;
	log->status_dirty = true;
	rl_pending_unsent(log);
	promise_write(log, log->ep.id.number);
	if (sync)
		catchup_begin(log);
	else
		log->ep.first_index = entries_last_index(&log->log) + 1;
}

static bool view_matches(const struct replog *log, const Hv__Activate *m)
{
	struct rl_ring ring = { m->ring->node, m->ring->seq };
	struct node_set view;

	return log->in_view && rl_ring_equal(&ring, &log->ring) && node_set_from(&view, m->view, m->n_view) &&
	       node_set_equal(&view, &log->view);
}

void activation_activate(struct replog *log, hv_node_id sender, const Hv__Activate *m)
{
	struct rl_epoch prev = peer_epoch_in(m->prev);
	bool was_active = log->ep.active, follows;

	if (m->epoch->node != sender || !view_matches(log, m))
		return;
	if (sender == log->self)
		log->activate_sent_us = 0;
	/* The first activate of a number counts for everyone, also for those whom it leaves out. */
	if (m->epoch->number <= log->seen)
		return;
	log->seen = m->epoch->number;
	if (m->epoch->number <= log->promised || (was_active && !m->again))
		goto look_on;
	/* An epoch that goes on is the one that we are in, or it is none of our business. */
	if (was_active && rl_epoch_cmp(&prev, &log->ep.id) != 0)
		return;
	follows = m->again && was_active && !log->taking.on;
	if (!point_of(m, log->self)) {
		log->left_out = log->status_dirty = true;
		activation_leave(log);
		goto look_on;
	}
	if (acceptable(log, m, follows)) {
		accept(log, m, follows);
		return;
	}
	activation_leave(log);
look_on:
	/* `seen` has changed: without an epoch, our earlier hello is out of date. */
	if (!log->ep.active && !was_active) {
		log->hello_since_us = log->now_us;
		activation_hello_send(log);
	}
}

/* ---- promises */

void activation_durable(struct replog *log)
{
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__Promise m = HV__PROMISE__INIT;
	Hv__EpochId id = peer_epoch_out(&log->ep.id);

	if (!log->ep.active || log->ep.promise_sent || log->durable_write < log->ep.promise_write)
		return;
	log->ep.promise_sent = true;
	m.epoch = &id;
	msg.body_case = HV__PEER_MESSAGE__BODY_PROMISE;
	msg.promise = &m;
	rl_send(log, &msg);
}

/* The view: first entry of the epoch, written by the activating node. */
static uint8_t *view_event(const struct replog *log, size_t *ret_len)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__View view = HV__VIEW__INIT;
	Hv__Member members[HV_MAX_NODES], *pointers[HV_MAX_NODES];
	uint8_t *data;

	for (size_t i = 0; i < log->ep.members.n; i++) {
		hv__member__init(&members[i]);
		members[i].node = log->ep.m[i].id;
		members[i].incarnation = log->ep.m[i].incarnation;
		members[i].feature = log->ep.m[i].feature;
		pointers[i] = &members[i];
	}
	view.n_members = log->ep.members.n;
	view.members = pointers;
	view.n_lost = log->ep.lost.n;
	view.lost = (uint32_t *)log->ep.lost.ids;
	view.n_in_ring = log->ep.in_ring.n;
	view.in_ring = (uint32_t *)log->ep.in_ring.ids;
	view.minority = log->ep.minority;
	view.detected_us = log->detected_us;
	ev.at_us = log->cluster_us;
	ev.wall_ms = log->wall_ms;
	ev.proposer = log->self;
	ev.incarnation = log->incarnation;
	ev.body_case = HV__EVENT__BODY_VIEW;
	ev.view = &view;
	data = hv_xcalloc(1, hv__event__get_packed_size(&ev));
	*ret_len = hv__event__pack(&ev, data);
	return data;
}

static void epoch_open(struct replog *log)
{
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__Append m = HV__APPEND__INIT;
	Hv__EpochId id = peer_epoch_out(&log->ep.id);
	_cleanup_free_ uint8_t *data = view_event(log, &m.data.len);

	log->ep.opened = true;
	m.data.data = data;
	m.epoch = &id;
	m.type = RL_VIEW;
	msg.body_case = HV__PEER_MESSAGE__BODY_APPEND;
	msg.append = &m;
	rl_send(log, &msg);
}

void activation_promise(struct replog *log, hv_node_id sender, const Hv__Promise *m)
{
	struct rl_epoch id = peer_epoch_in(m->epoch);
	struct member *from = commit_member(log, sender);
	uint32_t votes = 0;

	if (!log->ep.active || !from || rl_epoch_cmp(&id, &log->ep.id) != 0)
		return;
	from->promised = true;
	if (log->ep.opened || log->ep.id.node != log->self || log->ep.id.incarnation != log->incarnation)
		return;
	for (size_t i = 0; i < log->ep.members.n; i++)
		if (log->ep.m[i].promised && log->ep.m[i].intact)
			votes += log->ep.m[i].votes;
	if (vote_rule_met(&log->ep.rule, votes))
		epoch_open(log);
}

/* ---- timers */

void activation_tick(struct replog *log)
{
	uint64_t again_us = log->cfg.hello_timeout_us;

	if (!log->in_view)
		return;
	/* An activate of ours that never came back: nothing of the kind is lost in a view, but ask again. */
	if (log->activate_sent_us && log->now_us - log->activate_sent_us > log->cfg.ack_timeout_us)
		log->activate_sent_us = 0;
	if (log->ep.active) {
		if (!log->ep.begun && log->now_us - log->ep.since_us > log->cfg.ack_timeout_us)
			activation_leave(log);
		return;
	}
	if (log->hello_count > 5 && again_us < log->cfg.heartbeat_us)
		again_us = log->cfg.heartbeat_us;
	if (log->now_us - log->hello_sent_us >= again_us)
		activation_hello_send(log);
	activation_try(log);
}
