/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An activate is delivered: follow it or not, promise, open the epoch (doc/protocol.md, "View
 * change"). */
#include "quorum/replog_priv.h"

#include "proto/mutant.h"

#include <string.h>

/* ---- an activate is delivered */

static void promise_write(struct replog *log, uint64_t number)
{
	struct rl_write w = {.set_promised = !MUTANT(promise_not_durable), .promised = number};

	log->promised = number;
	log->ep.promise_write = rl_write(log, &w, 1, 0);
	log->ep.promise_sent = false;
}

static void epoch_fill(struct replog *log, const Hv__Activate *m)
{
	struct epoch_state *ep = &log->ep;
	uint64_t seq = ep->heartbeat_seq;
	uint32_t intact_votes = 0, votes = 0;

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
	if (m->minority && !MUTANT(no_barrier))
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
		me->learner = me->stalled = p->learner;
		me->heard_us = me->lag_us = log->now_us;
		votes += p->votes;
		intact_votes += p->needs_state && !MUTANT(lost_store_counts) ? 0 : p->votes;
	}
	ep->member_votes = votes;
	ep->rule.base_votes = m->whole_votes > votes ? m->whole_votes : votes;
	ep->promise_rule = ep->rule;
	if (m->alone)
		ep->promise_rule.base_votes = intact_votes;
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

static bool knows_later(const struct epoch_point *own, const Hv__Activate *m)
{
	const Hv__MemberPoint *p = point_of(m, m->donor);
	struct rl_epoch prev = peer_epoch_in(m->prev);
	struct epoch_point donor = {.effective = peer_epoch_in(p->effective),
				    .effective_index = p->effective_index};

	return rl_epoch_cmp(&own->last_epoch, &prev) > 0 || epoch_point_has_more(own, &donor);
}

/* votequorum may have taken its word back while the activate was on its way. */
static bool told_no(const struct replog *log)
{
	return log->votes.known && !log->votes.quorate &&
	       rl_ring_equal(&log->votes.ring, &log->ring) && !MUTANT(no_unheard);
}

/*
 * May we follow? Our point must say what our log is now, or the donor may have been chosen wrongly.
 * When an epoch goes on (again), we are in it, if it says so (or the activate is a late one of an
 * earlier view); or our log must not know a later one than the epoch that goes on.
 */
static bool acceptable(const struct replog *log, const Hv__Activate *m, bool was_active)
{
	const Hv__MemberPoint *p = point_of(m, log->self);
	struct epoch_point own;

	hello_own_point(log, &own);
	if (!p || p->incarnation != log->incarnation || (log->disk_failed && !p->learner) ||
	    told_no(log))
		return false;
	if (p->follows)
		return was_active || MUTANT(point_not_checked);
	if (m->again && !MUTANT(point_not_checked) &&
	    (was_active || m->donor == log->self || knows_later(&own, m)))
		return false;
	return MUTANT(point_not_checked) || point_matches(p, &own);
}

static bool needs_sync(const struct replog *log, const Hv__Activate *m, bool follows)
{
	const Hv__MemberPoint *donor = point_of(m, m->donor);
	struct rl_epoch last = peer_epoch_in(donor->last_epoch);
	struct epoch_point own;

	if (m->again)
		return !follows;
	hello_own_point(log, &own);
	if (m->donor == log->self)
		return false;
	return own.needs_state || own.last_index != donor->last_index ||
	       rl_epoch_cmp(&own.last_epoch, &last) != 0;
}

static void accept(struct replog *log, const Hv__Activate *m, bool follows)
{
	bool sync = needs_sync(log, m, follows);

	catchup_stop(log);
	epoch_fill(log, m);
	/* What the others commit may not reach our disk. */
	if (commit_member(log, log->self)->learner)
		log->caught_up = false;
	log->left_out = false;
	log->live = false;
	log->status_dirty = true;
	proposals_unsent(log);
	promise_write(log, log->ep.id.number);
	if (sync)
		catchup_begin(log);
	else
		log->ep.first_index = entries_last_index(&log->log) + 1;
}

static bool view_matches(const struct replog *log, const Hv__Activate *m)
{
	struct rl_ring ring = {m->ring->node, m->ring->seq};
	struct node_set view;

	return log->in_view && rl_ring_equal(&ring, &log->ring) &&
	       node_set_from(&view, m->view, m->n_view) && node_set_equal(&view, &log->view);
}

void accept_activate(struct replog *log, hv_node_id sender, const Hv__Activate *m)
{
	struct rl_epoch prev = peer_epoch_in(m->prev);
	bool was_active = log->ep.active, follows;

	if (m->epoch->node != sender || !view_matches(log, m))
		return;
	if (sender == log->self)
		log->activate_sent_us = 0;
	/* The first activate of a number counts for everyone, also for those whom it leaves out. */
	if (m->epoch->number <= log->seen && !MUTANT(stale_epoch_accepted))
		return;
	log->seen = m->epoch->number;
	if ((m->epoch->number <= log->promised && !MUTANT(stale_epoch_accepted)) ||
	    (was_active && !m->again))
		goto look_on;
	/* An epoch that goes on is the one that we are in, or it is none of our business. */
	if (was_active && rl_epoch_cmp(&prev, &log->ep.id) != 0)
		return;
	follows = m->again && was_active && !log->taking.on;
	if (!point_of(m, log->self)) {
		log->left_out = log->status_dirty = true;
		hello_leave_epoch(log);
		goto look_on;
	}
	if (acceptable(log, m, was_active)) {
		accept(log, m, follows);
		return;
	}
	hello_leave_epoch(log);
look_on:
	/* `seen` has changed: without an epoch, our earlier hello is out of date. */
	if (!log->ep.active && !was_active) {
		log->hello_since_us = log->now_us;
		hello_send(log);
	}
}

/* ---- promises */

void accept_durable(struct replog *log)
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

/*
 * The latest time that any member knows: the activating node may have booted just now, while the
 * others have waited for a quorum for minutes. Nothing must be due later than the view says it is.
 */
static uint64_t view_time_us(const struct replog *log)
{
	uint64_t latest = log->cluster_us;

	for (size_t i = 0; i < log->n_peers; i++) {
		const struct peer *p = &log->peers[i];

		if (p->hello.valid && node_set_has(&log->ep.members, p->id) &&
		    p->hello.cluster_us > latest && !MUTANT(booted_clock_rules) &&
		    !MUTANT(leap_is_waiting))
			latest = p->hello.cluster_us;
	}
	return latest;
}

/* The view: first entry of the epoch, written by the activating node. */
static uint8_t *view_event(const struct replog *log, size_t *ret_len)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__View view = HV__VIEW__INIT;
	Hv__Member members[HV_MAX_NODES], *pointers[HV_MAX_NODES];
	uint64_t at_us = view_time_us(log), ago_us = log->now_us - log->detected_us;
	uint8_t *data;

	for (size_t i = 0; i < log->ep.members.n; i++) {
		hv__member__init(&members[i]);
		members[i].node = log->ep.m[i].id;
		members[i].incarnation = log->ep.m[i].incarnation;
		members[i].feature = log->ep.m[i].feature;
		members[i].learner = log->ep.m[i].learner;
		pointers[i] = &members[i];
	}
	view.n_members = log->ep.members.n;
	view.members = pointers;
	view.n_lost = log->ep.lost.n;
	view.lost = (uint32_t *)log->ep.lost.ids;
	view.n_in_ring = log->ep.in_ring.n;
	view.in_ring = (uint32_t *)log->ep.in_ring.ids;
	view.minority = log->ep.minority;
	/* A device votes for one side only. */
	view.duel = log->ep.minority && !log->ep.rule.device_votes;
	view.detected_us = at_us > ago_us ? at_us - ago_us : 1;
	ev.at_us = at_us;
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

void accept_promise(struct replog *log, hv_node_id sender, const Hv__Promise *m)
{
	struct member *from = commit_heard(log, sender, m->epoch);
	uint32_t votes = 0;

	if (!from)
		return;
	from->promised = true;
	if (log->ep.opened || log->ep.id.node != log->self ||
	    log->ep.id.incarnation != log->incarnation)
		return;
	for (size_t i = 0; i < log->ep.members.n; i++)
		if (log->ep.m[i].promised && (log->ep.m[i].intact || MUTANT(lost_store_counts)))
			votes += log->ep.m[i].votes;
	if (vote_rule_met(&log->ep.promise_rule, votes) || MUTANT(open_before_promises))
		epoch_open(log);
}
