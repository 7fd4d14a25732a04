/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hello: what a node says of its log when it looks for an epoch (doc/protocol.md, "View change").
 */
#include "quorum/replog_priv.h"

#include <string.h>

void hello_own_point(const struct replog *log, struct epoch_point *ret)
{
	*ret = (struct epoch_point){
	    .node = log->self,
	    .incarnation = log->incarnation,
	    .feature = log->feature,
	    .effective = entries_effective(&log->log),
	    .effective_index = entries_effective_index(&log->log),
	    .last_epoch = entries_last_epoch(&log->log),
	    .last_index = entries_last_index(&log->log),
	    .live = log->live,
	    .needs_state = log->needs_state,
	};
}

void hello_send(struct replog *log)
{
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__Hello h = HV__HELLO__INIT;
	Hv__RingId ring = HV__RING_ID__INIT;
	struct epoch_point p;
	Hv__EpochId effective, last;

	hello_own_point(log, &p);
	effective = peer_epoch_out(&p.effective);
	last = peer_epoch_out(&p.last_epoch);
	ring.node = log->ring.node;
	ring.seq = log->ring.seq;
	h.ring = &ring;
	h.effective = &effective;
	h.effective_index = p.effective_index;
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
	h.cluster_us = log->cluster_us;
	/* Left out with writes under way: not before they are done, or we would be left out again.
	 */
	h.disk_failed = rl_stalled(log) || (log->left_out && log->n_writes);
	msg.body_case = HV__PEER_MESSAGE__BODY_HELLO;
	msg.hello = &h;
	rl_send(log, &msg);
	log->hello_sent_us = log->now_us;
	log->hello_count++;
}

void hello_view(struct replog *log)
{
	for (size_t i = 0; i < log->n_peers; i++) {
		log->peers[i].hello.valid = false;
		log->peers[i].epoch_heard_us = 0;
	}
	log->seen = 0;
	log->left_out = false;
	log->activate_sent_us = 0;
	log->hello_since_us = log->now_us;
	log->hello_count = 0;
	hello_send(log);
}

void hello_leave_epoch(struct replog *log)
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
	hello_send(log);
}

void hello_in(struct replog *log, struct peer *p, const Hv__PeerMessage *msg)
{
	const Hv__Hello *m = msg->hello;
	const struct rl_node_cfg *cfg = node_list_find(&log->nodes, p->id);
	struct hello *h = &p->hello;

	p->epoch_heard_us = 0;
	memset(h, 0, sizeof(*h));
	h->ring = (struct rl_ring){m->ring->node, m->ring->seq};
	h->valid = node_set_from(&h->members, m->members, m->n_members);
	h->seen = m->seen;
	h->promised = m->promised;
	h->cluster_us = m->cluster_us;
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
	    .effective_index = m->effective_index,
	    .last_epoch = peer_epoch_in(m->last_epoch),
	    .last_index = m->last_index,
	    .live = m->live,
	    .needs_state = m->needs_state,
	    .learner = m->disk_failed,
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
bool hello_current(const struct replog *log, const struct peer *p)
{
	const struct hello *h = &p->hello;

	return h->valid && rl_ring_equal(&h->ring, &log->ring) &&
	       node_set_equal(&h->members, &log->view) && h->seen == log->seen &&
	       node_set_has(&log->view, p->id);
}

/* ---- timers */

/* How long until we say it again; after some times less often. */
uint64_t hello_again_us(const struct replog *log)
{
	uint64_t again_us = log->cfg.hello_timeout_us;

	return log->hello_count > 5 && again_us < log->cfg.heartbeat_us ? log->cfg.heartbeat_us
									: again_us;
}

void hello_tick(struct replog *log)
{
	if (!log->in_view)
		return;
	/* An activate of ours that never came back: nothing of the kind is lost in a view, but ask
	 * again. */
	if (log->activate_sent_us && log->now_us - log->activate_sent_us > log->cfg.ack_timeout_us)
		log->activate_sent_us = 0;
	if (log->ep.active) {
		if (!log->ep.begun && log->now_us - log->ep.since_us > log->cfg.ack_timeout_us)
			hello_leave_epoch(log);
		return;
	}
	if (log->now_us - log->hello_sent_us >= hello_again_us(log))
		hello_send(log);
	activation_try(log);
}
