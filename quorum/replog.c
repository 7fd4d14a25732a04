/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inputs, timers, status, proposals. */
#include "quorum/replog_priv.h"

#include "proto/mutant.h"

#include <string.h>

/* ---- helpers of all files */

bool rl_ring_equal(const struct rl_ring *a, const struct rl_ring *b)
{
	return a->node == b->node && a->seq == b->seq;
}

bool rl_quorate(const struct replog *log)
{
	return log->in_view && log->votes.known && log->votes.quorate &&
	       (rl_ring_equal(&log->votes.ring, &log->ring) || MUTANT(stale_quorum_counts));
}

bool rl_is_active(const struct replog *log)
{
	return log->ep.active && (log->ep.begun || MUTANT(view_not_first)) && !log->taking.on;
}

void rl_send(struct replog *log, Hv__PeerMessage *m)
{
	size_t len;
	uint8_t *data;

	m->version = PEER_MSG_VERSION;
	m->incarnation = log->incarnation;
	data = peer_msg_pack(m, &len);
	outbox_multicast(&log->out, data, len);
}

/*
 * Only configured nodes are peers, and members of our epoch: another one may have read a new list
 * before us or still go by the old one, and what a member says counts for all or for none.
 */
struct peer *rl_peer(struct replog *log, hv_node_id id)
{
	for (size_t i = 0; i < log->n_peers; i++)
		if (log->peers[i].id == id)
			return &log->peers[i];
	if (!node_list_find(&log->nodes, id) && !commit_member(log, id))
		return NULL;
	if (log->n_peers == HV_MAX_NODES)
		return NULL;
	log->peers[log->n_peers] = (struct peer){.id = id};
	return &log->peers[log->n_peers++];
}

uint64_t rl_stalls_us(const struct replog *log)
{
	return log->writes[log->writes_head].since_us +
	       log->cfg.ack_timeout_us / (log->stalled ? 8 : 2);
}

/*
 * Our disk has failed, or has had a write for so long that the others would soon leave us out for
 * it. Well again when all is written, or what is not is young.
 */
bool rl_stalled(const struct replog *log)
{
	if (log->disk_failed || MUTANT(stuck_disk_never_left_out))
		return log->disk_failed;
	return log->n_writes && log->now_us > rl_stalls_us(log);
}

uint64_t rl_write(struct replog *log, struct rl_write *w, uint64_t first, uint64_t last)
{
	size_t at;

	w->number = ++log->next_write;
	if (log->disk_failed)
		return w->number; /* it takes nothing any more */
	if (log->writes_head + log->n_writes == log->writes_cap) {
		if (log->writes_head > log->writes_cap / 2) {
			memmove(log->writes, log->writes + log->writes_head,
				log->n_writes * sizeof(log->writes[0]));
			log->writes_head = 0;
		} else {
			log->writes_cap = log->writes_cap ? log->writes_cap * 2 : 64;
			log->writes =
			    hv_xrealloc(log->writes, log->writes_cap, sizeof(log->writes[0]));
		}
	}
	at = log->writes_head + log->n_writes++;
	log->writes[at] =
	    (struct pending_write){w->number, entries_last_index(&log->log), log->now_us};
	outbox_write(&log->out, w, &log->log, first, last);
	return w->number;
}

void rl_gossip(struct replog *log, const uint8_t *gossip, size_t len)
{
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__Gossip *m;

	if (!log->in_view || len > HV_EVENT_MAX)
		return;
	m = hv__gossip__unpack(NULL, len, gossip);
	if (!m)
		return;
	msg.body_case = HV__PEER_MESSAGE__BODY_GOSSIP;
	msg.gossip = m;
	rl_send(log, &msg);
	hv__gossip__free_unpacked(m, NULL);
}

/* ---- inputs */

static void gossip_in(struct replog *log, hv_node_id sender, const Hv__Gossip *m)
{
	size_t len = hv__gossip__get_packed_size(m);
	uint8_t *data = hv_xcalloc(1, len);

	hv__gossip__pack(m, data);
	outbox_gossip(&log->out, sender, data, len);
}

static void dispatch(struct replog *log, struct peer *p, const Hv__PeerMessage *msg)
{
	bool of_epoch = msg->body_case != HV__PEER_MESSAGE__BODY_HELLO &&
			msg->body_case != HV__PEER_MESSAGE__BODY_ACTIVATE &&
			msg->body_case != HV__PEER_MESSAGE__BODY_GOSSIP;

	if (of_epoch)
		p->epoch_heard_us = log->now_us;
	switch (msg->body_case) {
	case HV__PEER_MESSAGE__BODY_HELLO:
		hello_in(log, p, msg);
		break;
	case HV__PEER_MESSAGE__BODY_ACTIVATE:
		accept_activate(log, p->id, msg->activate);
		break;
	case HV__PEER_MESSAGE__BODY_PROMISE:
		accept_promise(log, p->id, msg->promise);
		break;
	case HV__PEER_MESSAGE__BODY_APPEND:
		commit_append(log, p->id, msg->append);
		break;
	case HV__PEER_MESSAGE__BODY_ACK:
		commit_ack(log, p->id, msg->ack);
		break;
	case HV__PEER_MESSAGE__BODY_HEARTBEAT:
		commit_heartbeat(log, p->id, msg->heartbeat);
		break;
	case HV__PEER_MESSAGE__BODY_SYNC_CHUNK:
		catchup_chunk(log, p->id, msg->sync_chunk);
		break;
	case HV__PEER_MESSAGE__BODY_SYNC_DONE:
		catchup_done(log, p->id, msg->sync_done);
		break;
	case HV__PEER_MESSAGE__BODY_SYNC_REQUEST:
		catchup_request(log, p->id, msg->sync_request);
		break;
	case HV__PEER_MESSAGE__BODY_GOSSIP:
		gossip_in(log, p->id, msg->gossip);
		break;
	case HV__PEER_MESSAGE__BODY__NOT_SET:
	case _HV__PEER_MESSAGE__BODY__CASE_IS_INT_SIZE:
		break;
	}
}

static void deliver(struct replog *log, const struct rl_input *in)
{
	struct peer *p =
	    log->in_view && node_set_has(&log->view, in->sender) ? rl_peer(log, in->sender) : NULL;
	const Hv__PeerMessage *msg;

	if (!p)
		return;
	msg = peer_msg_unpack(&log->room, in->data, in->len);
	if (!msg) {
		log->refused++;
		return;
	}
	if (msg->incarnation >= p->incarnation) {
		p->incarnation = msg->incarnation;
		dispatch(log, p, msg);
	}
}

static void leave_view(struct replog *log)
{
	log->in_view = false;
	hello_leave_epoch(log);
	log->left_out = false;
	log->status_dirty = true;
}

/*
 * May someone else have gone on without us since we were caught up? If votequorum says that we are
 * not quorate and the others could be a whole epoch, our log may be old.
 */
static void doubt_caught_up(struct replog *log)
{
	uint32_t total = node_list_total(&log->nodes);
	uint32_t others = total - node_list_votes(&log->nodes, &log->view);

	if (log->in_view && log->votes.known && !log->votes.quorate &&
	    rl_ring_equal(&log->votes.ring, &log->ring) && epoch_is_whole(others, total) &&
	    !MUTANT(caught_up_for_ever))
		log->caught_up = false;
}

static void confchg(struct replog *log, const struct rl_input *in)
{
	struct node_set view, ring_members;

	leave_view(log);
	if (!node_set_from(&view, in->members, in->n_members) || !node_set_has(&view, log->self) ||
	    !node_set_from(&ring_members, in->ring_members, in->n_ring_members))
		return;
	log->in_view = true;
	log->ring = in->ring;
	log->view = view;
	log->ring_members = ring_members;
	log->detected_us = log->now_us;
	doubt_caught_up(log);
	hello_view(log);
}

static void quorum_answer(struct replog *log, const struct rl_input *in)
{
	bool was = rl_quorate(log);
	bool changed =
	    in->quorum != log->votes.quorum || in->device_votes != log->votes.device_votes;

	log->votes.known = true;
	log->votes.quorate = in->quorate;
	log->votes.ring = in->ring;
	log->votes.quorum = in->quorum;
	log->votes.device_votes = in->device_votes;
	log->status_dirty = true;
	doubt_caught_up(log);
	if (!in->quorate) {
		hello_leave_epoch(log);
	} else if (log->ep.active) {
		log->want_again = log->want_again || changed;
	} else if (log->in_view) {
		if (was != rl_quorate(log) || changed)
			hello_send(log);
		activation_try(log);
	}
}

static void durable(struct replog *log, uint64_t write)
{
	if (write > log->next_write || write <= log->durable_write)
		return;
	log->durable_write = write;
	while (log->n_writes && log->writes[log->writes_head].number <= write) {
		log->durable_index = log->writes[log->writes_head].last_index;
		log->writes_head++;
		log->n_writes--;
	}
	if (!log->n_writes)
		log->writes_head = 0;
	if (log->disk_failed)
		return;
	accept_durable(log);
	commit_durable(log);
	commit_stalled(log);
}

static void nodes_changed(struct replog *log, const struct rl_input *in)
{
	size_t kept = 0;

	node_list_from(&log->nodes, in->nodes, in->n_nodes);
	for (size_t i = 0; i < log->n_peers; i++)
		if (node_list_find(&log->nodes, log->peers[i].id) ||
		    commit_member(log, log->peers[i].id))
			log->peers[kept++] = log->peers[i];
	log->n_peers = kept;
	log->want_again = log->status_dirty = true;
	activation_try(log);
}

/*
 * After a stall of our own everyone looks silent. Look again before acting on it: all patience
 * begins anew.
 */
static void notice_stall(struct replog *log, uint64_t now_us)
{
	uint64_t gap = now_us - log->now_us;

	if (log->now_us == 0 || gap <= log->cfg.ack_timeout_us / 2)
		return;
	for (size_t i = 0; i < log->ep.members.n; i++) {
		log->ep.m[i].heard_us += gap;
		log->ep.m[i].lag_us += gap;
	}
	for (size_t i = 0; i < log->n_writes; i++)
		log->writes[log->writes_head + i].since_us += gap;
	log->ep.since_us += gap;
	log->hello_since_us += gap;
	if (log->activate_sent_us)
		log->activate_sent_us += gap;
}

static void tick(struct replog *log)
{
	log->ticked_us = log->now_us;
	hello_tick(log);
	commit_tick(log);
	catchup_tick(log);
}

static void handle(struct replog *log, const struct rl_input *in)
{
	switch (in->kind) {
	case RL_IN_TICK:
		tick(log);
		break;
	case RL_IN_CONFCHG:
		confchg(log, in);
		break;
	case RL_IN_QUORUM:
		quorum_answer(log, in);
		break;
	case RL_IN_DELIVER:
		deliver(log, in);
		break;
	case RL_IN_DURABLE:
		durable(log, in->write);
		break;
	case RL_IN_WRITE_FAILED:
		log->disk_failed = log->status_dirty = true;
		log->n_writes = log->writes_head = 0;
		commit_stalled(log);
		break;
	case RL_IN_DISCONNECT:
		leave_view(log);
		log->votes.known = false;
		break;
	case RL_IN_NODES:
		nodes_changed(log, in);
		break;
	case RL_IN_EVICTED:
		leave_view(log);
		break;
	}
}

void rl_input(struct replog *log, const struct rl_input *in)
{
	/* The driver has carried out everything: the brain stands where we think it does. */
	hv_assert(outbox_empty(&log->out));
	notice_stall(log, in->now_us);
	log->now_us = in->now_us;
	log->cluster_us = in->cluster_us;
	log->wall_ms = in->wall_ms;
	commit_compact(log);
	handle(log, in);
	if (log->status_dirty) {
		log->status_dirty = false;
		outbox_signal(&log->out, RL_OUT_STATUS);
	}
}

bool rl_next_output(struct replog *log, struct rl_output *ret_out)
{
	return outbox_take(&log->out, ret_out);
}

void rl_force(struct replog *log, uint64_t now_us)
{
	log->caught_up = true;
	log->needs_state = false;
	log->status_dirty = true;
	if (log->in_view && !log->ep.active)
		hello_send(log);
}

/* ---- life cycle */

struct replog *rl_new(const struct rl_config *cfg, const struct rl_boot *boot, rl_snapshot_fn fn,
		      void *user)
{
	struct replog *log = hv_xcalloc(1, sizeof(*log));

	hv_assert(cfg->self && cfg->incarnation && cfg->ack_timeout_us && cfg->heartbeat_us &&
		  cfg->max_pending);
	log->self = cfg->self;
	log->incarnation = cfg->incarnation;
	log->feature = cfg->feature;
	log->cfg = *cfg;
	log->snapshot_fn = fn;
	log->user = user;
	node_list_from(&log->nodes, cfg->nodes, cfg->n_nodes);
	entries_init(&log->log, boot);
	outbox_init(&log->out);
	if (boot) {
		log->needs_state = boot->damaged;
		log->promised = boot->promised;
	}
	log->durable_index = entries_last_index(&log->log);
	log->commit_index = log->applied_index = log->log.base_index;
	if (log->log.base_index)
		outbox_install(&log->out, log->log.base_index, log->log.snapshot);
	return log;
}

void rl_free(struct replog *log)
{
	if (!log)
		return;
	catchup_stop(log);
	proposals_done(log);
	free(log->writes);
	entries_done(&log->log);
	outbox_done(&log->out);
	unpack_done(&log->room);
	free(log);
}

/* ---- status */

static enum rl_phase phase_of(const struct replog *log)
{
	if (!log->in_view)
		return RL_DOWN;
	if (log->ep.active && log->taking.on)
		return RL_SYNCING;
	if (log->ep.active)
		return log->ep.begun ? RL_ACTIVE : RL_ACTIVATING;
	if (!rl_quorate(log))
		return RL_NO_QUORUM;
	return log->left_out ? RL_LEFT_OUT : RL_HELLO;
}

static void status_members(const struct replog *log, struct rl_status *s)
{
	s->feature_min = 0;
	s->coordinator = 0;
	for (size_t i = 0; i < log->ep.members.n; i++) {
		const struct member *m = &log->ep.m[i];

		s->members[i] = m->id;
		if (m->learner)
			s->learners[s->n_learners++] = m->id;
		if (i == 0 || m->feature < s->feature_min)
			s->feature_min = m->feature;
		if (!s->coordinator && m->synced)
			s->coordinator = m->id;
	}
	s->n_members = log->ep.members.n;
	s->minority = log->ep.minority;
	s->barrier = log->ep.barrier.n;
	s->epoch = log->ep.id;
	s->heartbeat_back_us = log->ep.heartbeat_back_us;
}

const struct rl_status *rl_status(const struct replog *log)
{
	struct rl_status *s = (struct rl_status *)&log->status;

	*s = (struct rl_status){.phase = phase_of(log)};
	if (log->ep.active)
		status_members(log, s);
	s->last_index = entries_last_index(&log->log);
	s->durable_index = log->durable_index;
	s->commit_index = log->commit_index;
	s->applied_index = log->applied_index;
	s->base_index = log->log.base_index;
	s->n_view = log->in_view ? log->view.n : 0;
	memcpy(s->view, log->view.ids, s->n_view * sizeof(s->view[0]));
	s->quorate = rl_quorate(log);
	s->votes = log->in_view ? node_list_votes(&log->nodes, &log->view) : 0;
	s->votes_needed = log->votes.quorum;
	s->votes_total = node_list_total(&log->nodes);
	s->disk_failed = log->disk_failed;
	s->pending = log->n_pending;
	s->caught_up = log->caught_up;
	s->needs_state = log->needs_state;
	s->refused = log->refused;
	return s;
}

const char *rl_phase_name(enum rl_phase phase)
{
	switch (phase) {
	case RL_DOWN:
		return "down";
	case RL_NO_QUORUM:
		return "no-quorum";
	case RL_HELLO:
		return "hello";
	case RL_ACTIVATING:
		return "activating";
	case RL_SYNCING:
		return "syncing";
	case RL_ACTIVE:
		return "active";
	case RL_LEFT_OUT:
		return "left-out";
	}
	return "unknown";
}
