/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who activates an epoch, when, with which members and which donor (doc/protocol.md, "View
 * change"). */
#include "quorum/replog_priv.h"

#include "proto/mutant.h"

#include <string.h>

/* ---- the first epoch of a view */

struct candidates {
	struct node_set set;
	struct epoch_point points[HV_MAX_NODES];
	size_t missing;		      /* configured members of the view that have not said hello */
	bool busy;		      /* one of those is at work in an epoch: it will take us in */
	uint64_t top;		      /* highest epoch number that any of them knows */
	uint32_t votes, intact_votes; /* without the learners' */
};

/* Not its points, of which only those that are set are read: it is done for each hello. */
static void candidates_init(struct candidates *c)
{
	c->set.n = c->missing = 0;
	c->busy = false;
	c->top = 0;
	c->votes = c->intact_votes = 0;
}

static void candidates_add(struct candidates *c, const struct epoch_point *point)
{
	struct epoch_point *p = &c->points[c->set.n];

	*p = *point;
	if (p->learner)
		p->votes = 0;
	c->votes += p->votes;
	c->intact_votes += p->needs_state && !MUTANT(lost_store_counts) ? 0 : p->votes;
	node_set_add(&c->set, p->node);
}

/*
 * Learners: members whose disk does not take the log. They follow and act, and their VMs can leave
 * them. Only beside a majority of the others: what these commit is then safe without them, and
 * nobody can lead without one of these. Else such a disk's node is left out.
 */
static bool learners_welcome(const struct replog *log, uint32_t votes)
{
	return epoch_is_whole(votes, node_list_total(&log->nodes)) ||
	       MUTANT(learner_without_majority);
}

static void candidates_drop_learners(struct candidates *c)
{
	struct node_set all = c->set;

	c->set.n = 0;
	for (size_t i = 0; i < all.n; i++) {
		if (c->points[i].learner)
			continue;
		c->points[c->set.n] = c->points[i];
		node_set_add(&c->set, all.ids[i]);
	}
}

static void raise_to(uint64_t *top, uint64_t number)
{
	if (*top < number)
		*top = number;
}

static void candidates_collect(struct replog *log, struct candidates *c)
{
	candidates_init(c);
	c->top = log->promised > log->seen ? log->promised : log->seen;
	for (size_t i = 0; i < log->view.n; i++) {
		struct peer *p = rl_peer(log, log->view.ids[i]);

		if (!p)
			continue;
		if (!hello_current(log, p)) {
			c->missing++;
			c->busy = c->busy ||
				  (p->epoch_heard_us &&
				   log->now_us - p->epoch_heard_us <= 2 * log->cfg.ack_timeout_us);
			continue;
		}
		raise_to(&c->top, p->hello.promised);
		raise_to(&c->top, p->hello.point.last_epoch.number);
		candidates_add(c, &p->hello.point);
	}
	if (!learners_welcome(log, c->votes))
		candidates_drop_learners(c);
}

/*
 * Can nodes with these votes have missed nothing that had an effect, also if all of them have just
 * been started? Only a whole epoch's: those that it leaves out have not acted alone. But a device
 * with more than one vote may have let them, behind a barrier that ended with our fencing.
 */
static bool has_missed_nothing(const struct replog *log, uint32_t votes)
{
	uint32_t total = node_list_total(&log->nodes), others = total - votes;
	bool alone = others && log->votes.device_votes &&
		     others + log->votes.device_votes >= log->votes.quorum;

	return epoch_is_whole(votes, total) && (!alone || MUTANT(old_disks_lead_together));
}

static bool may_lead(const struct hello *h, bool missed_nothing)
{
	return !h->point.needs_state && !h->disk_failed &&
	       (missed_nothing || h->caught_up || MUTANT(old_disk_leads_alone)) &&
	       (h->quorate || !h->quorum_known);
}

/* How many of the candidates come before us: the first activates, the next ones wait for it to
 * fail. -1: not us. */
static int leader_rank(struct replog *log, const struct candidates *c)
{
	bool missed_nothing = has_missed_nothing(log, c->votes);
	int rank = 0;

	for (size_t i = 0; i < c->set.n; i++) {
		const struct peer *p = rl_peer(log, c->set.ids[i]);

		if (!may_lead(&p->hello, missed_nothing))
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
	bool again, alone;
};

static void point_out(const struct epoch_point *p, Hv__MemberPoint *m, Hv__EpochId ids[2])
{
	hv__member_point__init(m);
	ids[0] = peer_epoch_out(&p->last_epoch);
	ids[1] = peer_epoch_out(&p->effective);
	m->node = p->node;
	m->last_epoch = &ids[0];
	m->effective = &ids[1];
	m->effective_index = p->effective_index;
	m->last_index = p->last_index;
	m->incarnation = p->incarnation;
	m->feature = p->feature;
	m->needs_state = p->needs_state;
	m->votes = p->votes;
	m->synced = p->synced;
	m->follows = p->follows;
	m->learner = p->learner;
}

static void activate_send(struct replog *log, const struct activation *a)
{
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__Activate m = HV__ACTIVATE__INIT;
	Hv__RingId ring = HV__RING_ID__INIT;
	struct rl_epoch id = {a->number, log->self, log->incarnation};
	Hv__EpochId epoch = peer_epoch_out(&id), prev = peer_epoch_out(&log->ep.id),
		    ids[HV_MAX_NODES][2];
	Hv__MemberPoint points[HV_MAX_NODES], *pointers[HV_MAX_NODES];
	struct node_set lost, in_ring = {.n = 0};
	uint32_t votes = 0, all_votes = 0, total = node_list_total(&log->nodes);

	node_list_minus(&log->nodes, &a->members, &lost);
	for (size_t i = 0; i < lost.n; i++)
		if (node_set_has(&log->ring_members, lost.ids[i]))
			node_set_add(&in_ring, lost.ids[i]);
	for (size_t i = 0; i < a->members.n; i++) {
		point_out(&a->points[i], &points[i], ids[i]);
		pointers[i] = &points[i];
		all_votes += a->points[i].votes;
		votes += a->alone && a->points[i].needs_state ? 0 : a->points[i].votes;
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
	m.minority = lost.n && !epoch_is_whole(votes, total);
	/* Also if some have lost their store: else the others would commit what those who are not
	 * members may lack together with one of ours. */
	m.whole_votes = epoch_is_whole(all_votes, total) || !m.minority ? total : 0;
	m.alone = a->alone;
	m.n_points = a->members.n;
	m.points = pointers;
	m.quorum = log->votes.quorum;
	m.device_votes = log->votes.device_votes;
	msg.body_case = HV__PEER_MESSAGE__BODY_ACTIVATE;
	msg.activate = &m;
	rl_send(log, &msg);
	log->activate_sent_us = log->now_us;
}

static bool votes_suffice(const struct replog *log, uint32_t member_votes, uint32_t votes)
{
	uint32_t total = node_list_total(&log->nodes);
	struct vote_rule rule = {epoch_is_whole(member_votes, total) ? total : member_votes,
				 log->votes.quorum, log->votes.device_votes};

	return vote_rule_met(&rule, votes);
}

/*
 * Whoever lost its store lost its memory of promises and entries too: its promise does not count.
 * If the others alone do not suffice for an epoch of all, they may still take it in if they could
 * lead without it: the usual case is one of two nodes with a new disk.
 */
static bool promises_possible(const struct replog *log, const struct candidates *c, bool *ret_alone)
{
	*ret_alone = !votes_suffice(log, c->votes, c->intact_votes);
	return !*ret_alone ||
	       (log->caught_up && votes_suffice(log, c->intact_votes, c->intact_votes));
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
	uint64_t patience;
	bool alone;
	int rank;

	if (!log->in_view || log->ep.active || log->activate_sent_us || log->disk_failed ||
	    !rl_quorate(log))
		return;
	candidates_collect(log, &c);
	rank = leader_rank(log, &c);
	if (rank < 0 || c.busy)
		return;
	patience = log->cfg.hello_timeout_us * ((uint64_t)rank + (c.missing ? 1 : 0));
	if (waited < patience)
		return;
	donor = epoch_donor(c.points, c.set.n);
	if (!donor || !promises_possible(log, &c, &alone))
		return;
	for (size_t i = 0; i < c.set.n; i++)
		c.points[i].synced =
		    epoch_point_same(&c.points[i], donor) && !c.points[i].needs_state;
	activate_send(log,
		      &(struct activation){c.set, c.points, c.top + 1, donor->node, false, alone});
}

/* ---- within a view: leaving a silent member out, taking one in again */

/* The point of a member that goes on: what matters is whether its memory counts. */
static struct epoch_point member_point(const struct replog *log, const struct member *m)
{
	struct epoch_point p = {.node = m->id, .incarnation = m->incarnation, .votes = m->votes};
	const struct rl_node_cfg *cfg = node_list_find(&log->nodes, m->id);

	if (cfg)
		p.votes = cfg->votes;
	p.feature = m->feature;
	p.last_epoch = log->ep.id;
	p.effective = entries_effective(&log->log);
	p.effective_index = entries_effective_index(&log->log);
	p.last_index = m->acked;
	p.synced = m->synced;
	p.follows = true;
	p.needs_state = !m->intact && m->acked < log->ep.first_index;
	p.learner = m->stalled;
	return p;
}

static bool says_hello(const struct replog *log, const struct peer *p)
{
	return p->id != log->self && hello_current(log, p);
}

/* What `p` would be in the next epoch; false: not a member. */
static bool next_point(struct replog *log, const struct peer *p, struct epoch_point *ret)
{
	const struct member *m = commit_member(log, p->id);

	if (says_hello(log, p))
		*ret = p->hello.point;
	else if (m && !commit_silent(log, m))
		*ret = member_point(log, m);
	else
		return false;
	return true;
}

/* With too few disks for learners: who is a member and has not been silent so far goes on as one.
 */
static void without_learners(struct replog *log, struct candidates *c)
{
	for (size_t i = 0; i < c->set.n; i++) {
		struct epoch_point *p = &c->points[i];
		const struct member *m = commit_member(log, p->node);

		if (!p->learner || !p->follows || m->learner)
			continue;
		p->learner = false;
		p->votes = m->votes;
		c->votes += p->votes;
		c->intact_votes += p->needs_state ? 0 : p->votes;
	}
	candidates_drop_learners(c);
}

/* Is there another member than before, or one with another part? */
static bool members_differ(struct replog *log, const struct candidates *c)
{
	bool differ = !node_set_equal(&c->set, &log->ep.members);

	for (size_t i = 0; !differ && i < c->set.n; i++)
		differ = !c->points[i].follows || c->points[i].learner != log->ep.m[i].learner;
	return differ;
}

/* Members of the next epoch of this view; false if they would be the same. */
static bool next_members(struct replog *log, struct candidates *c)
{
	candidates_init(c);
	c->top = log->promised > log->seen ? log->promised : log->seen;
	for (size_t i = 0; i < log->view.n; i++) {
		struct peer *p = rl_peer(log, log->view.ids[i]);
		struct epoch_point point;

		if (!p)
			continue;
		raise_to(&c->top, p->hello.valid ? p->hello.promised : 0);
		if (next_point(log, p, &point))
			candidates_add(c, &point);
	}
	if (!learners_welcome(log, c->votes))
		without_learners(log, c);
	return log->want_again || members_differ(log, c);
}

/* The lowest member that is not silent and holds the log sees to it. */
static bool is_steward(struct replog *log)
{
	for (size_t i = 0; i < log->ep.members.n; i++) {
		struct member *m = &log->ep.m[i];
		struct peer *p = rl_peer(log, m->id);

		if (m->stalled)
			continue;
		if (m->id == log->self)
			return true;
		if (p && m->synced && !commit_silent(log, m) && !hello_current(log, p))
			return false;
	}
	return false;
}

void activation_again(struct replog *log)
{
	struct candidates c;
	bool alone;

	if (!rl_is_active(log) || log->activate_sent_us || log->disk_failed || !rl_quorate(log) ||
	    !is_steward(log))
		return;
	if (!next_members(log, &c))
		return;
	if (!promises_possible(log, &c, &alone))
		return;
	if (!has_missed_nothing(log, c.votes) && !log->caught_up)
		return;
	log->detected_us = log->now_us;
	log->want_again = false;
	activate_send(log,
		      &(struct activation){c.set, c.points, c.top + 1, log->self, true, alone});
}
