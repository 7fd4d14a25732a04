/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Append, durable, ack, commit, apply; digests; who is silent (doc/protocol.md, "An entry's way").
 */
#include "quorum/replog_priv.h"

#include "proto/mutant.h"

#include <string.h>

struct member *commit_member(struct replog *log, hv_node_id id)
{
	for (size_t i = 0; log->ep.active && i < log->ep.members.n; i++)
		if (log->ep.m[i].id == id)
			return &log->ep.m[i];
	return NULL;
}

/*
 * The member that speaks, if it speaks of our epoch; only then is it heard of: whoever has gone on
 * to another epoch is lost to this one, however loud it is there.
 */
struct member *commit_heard(struct replog *log, hv_node_id sender, const Hv__EpochId *epoch)
{
	struct rl_epoch id = peer_epoch_in(epoch);
	struct member *m = commit_member(log, sender);

	if (m && MUTANT(two_epochs_at_work))
		m->heard_us = log->now_us;
	if (!m || rl_epoch_cmp(&id, &log->ep.id) != 0)
		return NULL;
	m->heard_us = log->now_us;
	return m;
}

/* ---- append */

/* Who has acked all that there is begins to lag with the next entry, not before. */
static void lag_begins(struct replog *log)
{
	for (size_t i = 0; i < log->ep.members.n; i++)
		if (log->ep.m[i].acked >= entries_last_index(&log->log))
			log->ep.m[i].lag_us = log->now_us;
}

static void append_now(struct replog *log, const struct log_entry *en)
{
	struct rl_write w = {0};

	lag_begins(log);
	entries_append(&log->log, en);
	rl_write(log, &w, entries_last_index(&log->log), entries_last_index(&log->log));
}

void commit_append(struct replog *log, hv_node_id sender, const Hv__Append *m)
{
	struct log_entry en = {.type = m->type, .fenced_node = m->fenced_node};
	bool first = !log->ep.begun;

	if (!commit_heard(log, sender, m->epoch))
		return;
	/* The epoch begins with its view, written by the node that activated it, and has but one.
	 */
	if (!MUTANT(view_not_first) &&
	    (first != (m->type == RL_VIEW) || (first && sender != log->ep.id.node)))
		return;
	en.epoch = log->ep.id;
	en.blob = blob_copy(m->data.data, m->data.len);
	log->ep.begun = true;
	if (log->taking.on)
		catchup_hold(log, &en);
	else
		append_now(log, &en);
	blob_unref(en.blob);
	if (first) {
		log->status_dirty = true;
		proposals_flush(log);
		activation_again(log);
	}
}

/* ---- durable, ack */

static void ack_send(struct replog *log)
{
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__Ack m = HV__ACK__INIT;
	Hv__EpochId id = peer_epoch_out(&log->ep.id);

	m.epoch = &id;
	m.durable = MUTANT(ack_before_durable) ? entries_last_index(&log->log) : log->durable_index;
	m.applied = log->brain_index;
	m.digest = log->brain_digest;
	msg.body_case = HV__PEER_MESSAGE__BODY_ACK;
	msg.ack = &m;
	rl_send(log, &msg);
	log->ep.acked = log->durable_index;
}

void commit_durable(struct replog *log)
{
	struct epoch_state *ep = &log->ep;

	if (!rl_is_active(log) || log->disk_failed)
		return;
	if (log->durable_write < ep->ack_from_write && !MUTANT(old_writes_acked))
		return;
	if ((log->durable_index < ep->first_index && !MUTANT(earlier_epochs_count)) ||
	    log->durable_index <= ep->acked)
		return;
	ack_send(log);
	if (!ep->minority && !log->caught_up)
		log->caught_up = log->status_dirty = true;
}

/* ---- commit, apply */

static void lift_barrier(struct replog *log, const struct log_entry *en)
{
	size_t before = log->ep.barrier.n;

	if (en->type != RL_FENCE ||
	    (rl_epoch_cmp(&en->epoch, &log->ep.id) != 0 && !MUTANT(barrier_lifted_early)))
		return;
	node_set_remove(&log->ep.barrier, en->fenced_node);
	if (log->ep.barrier.n == before)
		return;
	log->status_dirty = true;
	if (log->ep.barrier.n)
		return;
	log->live = true;
	proposals_certain(log);
	proposals_flush(log);
}

static void apply_committed(struct replog *log)
{
	while (log->applied_index < log->commit_index) {
		const struct log_entry *en = entries_at(&log->log, ++log->applied_index);

		outbox_apply(&log->out, log->applied_index, en);
		proposals_applied(log, en);
		lift_barrier(log, en);
	}
}

/* Votes of the members whose disks hold `index`. */
static uint32_t votes_at(const struct replog *log, uint64_t index)
{
	uint32_t votes = 0;

	for (size_t i = 0; i < log->ep.members.n; i++)
		if (log->ep.m[i].acked >= index)
			votes += log->ep.m[i].votes;
	return votes;
}

/*
 * The commit rule. Earlier epochs' entries ride along: nothing counts before the first entry of
 * this epoch is committed, since the acks are for logs as this epoch made them.
 */
void commit_advance(struct replog *log)
{
	uint64_t best = log->commit_index, last = entries_last_index(&log->log);

	if (!rl_is_active(log))
		return;
	for (size_t i = 0; i < log->ep.members.n; i++) {
		uint64_t index = log->ep.m[i].acked;

		if (index > last)
			index = last;
		if (index > best &&
		    (index >= log->ep.first_index || MUTANT(earlier_epochs_count)) &&
		    vote_rule_met(&log->ep.rule, votes_at(log, index)))
			best = index;
	}
	if (best == log->commit_index)
		return;
	log->commit_index = best;
	apply_committed(log);
}

/* ---- digests */

static bool own_digest(const struct replog *log, uint64_t index, uint64_t *ret)
{
	size_t slot = (size_t)(index % OWN_DIGESTS);

	*ret = log->digests[slot].digest;
	return index && log->digests[slot].index == index;
}

static bool reported(const struct member *m, uint64_t index, uint64_t digest)
{
	for (size_t i = 0; i < REPORTS; i++)
		if (m->reports[i].index == index && m->reports[i].digest == digest)
			return true;
	return false;
}

static void diverged(struct replog *log)
{
	log->needs_state = true;
	log->status_dirty = true;
	outbox_signal(&log->out, RL_OUT_DIVERGED);
	hello_leave_epoch(log);
}

/* A majority that agrees with each other at an index, and not with us, is right; unless our log is
 * about to be replaced by theirs, and what we have applied of it with it. */
static void digest_report(struct replog *log, struct member *m, uint64_t index, uint64_t digest)
{
	uint32_t votes = 0;
	uint64_t own;

	if (index == 0)
		return;
	m->reports[m->next_report % REPORTS].index = index;
	m->reports[m->next_report % REPORTS].digest = digest;
	m->next_report++;
	if (!own_digest(log, index, &own) || own == digest || m->id == log->self ||
	    (log->taking.on && !MUTANT(discarded_state_compared)))
		return;
	for (size_t i = 0; i < log->ep.members.n; i++)
		if (log->ep.m[i].id != log->self && reported(&log->ep.m[i], index, digest))
			votes += log->ep.m[i].votes;
	if ((uint64_t)votes * 2 > log->ep.member_votes)
		diverged(log);
}

void rl_set_digest(struct replog *log, uint64_t index, uint64_t digest)
{
	size_t slot = (size_t)(index % OWN_DIGESTS);

	log->digests[slot].index = index;
	log->digests[slot].digest = digest;
	log->brain_index = index;
	log->brain_digest = digest;
}

/* What a lineage applied and another one discards is undone: the base, and again from there. */
void commit_rewind(struct replog *log)
{
	log->commit_index = log->applied_index = log->log.base_index;
	log->brain_index = log->brain_digest = 0;
	memset(log->digests, 0, sizeof(log->digests));
	outbox_install(&log->out, log->log.base_index, log->log.snapshot);
}

/* ---- acks and heartbeats come in */

static void follow_lag(struct replog *log, struct member *m)
{
	uint64_t last = entries_last_index(&log->log);

	if (m->acked >= last || m->acked > m->lag_target) {
		m->lag_target = m->acked;
		m->lag_us = log->now_us;
	}
}

void commit_ack(struct replog *log, hv_node_id sender, const Hv__Ack *m)
{
	struct member *from = commit_heard(log, sender, m->epoch);

	if (!from)
		return;
	from->synced = true;
	if (m->durable > from->acked) {
		from->acked = m->durable;
		follow_lag(log, from);
		commit_advance(log);
	}
	digest_report(log, from, m->applied, m->digest);
}

/*
 * Two epochs at work in one view (a member was left out and led alone, or slept through its being
 * left out): the older one gives way, and its members are taken in.
 */
static void yield_to(struct replog *log, const Hv__Heartbeat *m)
{
	if (log->ep.active && m->begun && m->epoch->number > log->ep.id.number &&
	    !MUTANT(two_epochs_at_work))
		hello_leave_epoch(log);
}

/* Without a vote it need not ack, and everyone goes on with what it learns. */
static void stalled_said(struct replog *log, struct member *m, bool stalled)
{
	if (m->stalled == stalled)
		return;
	m->stalled = stalled;
	activation_again(log);
}

/* Ours came back: we hear ourselves in this epoch, as of when it was sent. */
static void own_heartbeat(struct replog *log, const Hv__Heartbeat *m)
{
	struct epoch_state *ep = &log->ep;

	if (m->seq > ep->heartbeat_seq || m->seq + OWN_HEARTBEATS <= ep->heartbeat_seq)
		return;
	ep->heartbeat_back_us = ep->heartbeats_us[m->seq % OWN_HEARTBEATS];
	if (MUTANT(lease_by_receipt))
		ep->heartbeat_back_us = log->now_us;
}

void commit_heartbeat(struct replog *log, hv_node_id sender, const Hv__Heartbeat *m)
{
	struct member *from = commit_heard(log, sender, m->epoch);

	if (!from) {
		yield_to(log, m);
		return;
	}
	if (sender == log->self)
		own_heartbeat(log, m);
	stalled_said(log, from, m->stalled);
	if (m->progress > from->progress) {
		from->progress = m->progress;
		from->lag_us = log->now_us;
	}
	if (!m->syncing)
		digest_report(log, from, m->applied, m->digest);
}

static void heartbeat_send(struct replog *log)
{
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__Heartbeat m = HV__HEARTBEAT__INIT;
	Hv__EpochId id = peer_epoch_out(&log->ep.id);

	m.epoch = &id;
	m.durable = log->durable_index;
	m.applied = log->brain_index;
	m.digest = log->brain_digest;
	m.seq = ++log->ep.heartbeat_seq;
	m.syncing = log->taking.on;
	m.progress = log->taking.progress;
	m.begun = log->ep.begun;
	m.stalled = log->stalled = rl_stalled(log);
	msg.body_case = HV__PEER_MESSAGE__BODY_HEARTBEAT;
	msg.heartbeat = &m;
	log->ep.heartbeats_us[m.seq % OWN_HEARTBEATS] = log->now_us;
	rl_send(log, &msg);
	log->ep.heartbeat_us = log->now_us;
}

void commit_stalled(struct replog *log)
{
	if (log->ep.active && rl_stalled(log) != log->stalled)
		heartbeat_send(log);
}

/* ---- silence */

/* Not heard of, or an entry that it should have acked is older than the patience. Never ourselves.
 */
bool commit_silent(const struct replog *log, const struct member *m)
{
	uint64_t patience = log->cfg.ack_timeout_us;

	if (m->id == log->self || MUTANT(silent_never_left_out))
		return false;
	if (log->now_us - m->heard_us > patience)
		return true;
	return !MUTANT(stuck_disk_never_left_out) && !m->learner &&
	       log->now_us - m->lag_us > patience * (m->synced ? 1 : SYNC_PATIENCE);
}

/* Do we still hear enough members to commit anything? */
static bool hears_enough(const struct replog *log)
{
	uint32_t votes = 0;

	for (size_t i = 0; i < log->ep.members.n; i++) {
		const struct member *m = &log->ep.m[i];

		if (m->id == log->self || log->now_us - m->heard_us <= 2 * log->cfg.ack_timeout_us)
			votes += m->votes;
	}
	return vote_rule_met(&log->ep.rule, votes);
}

void commit_tick(struct replog *log)
{
	if (!log->ep.active)
		return;
	if (log->now_us - log->ep.heartbeat_us >= log->cfg.heartbeat_us)
		heartbeat_send(log);
	commit_stalled(log);
	if (!rl_is_active(log))
		return;
	for (size_t i = 0; i < log->ep.members.n; i++)
		follow_lag(log, &log->ep.m[i]);
	activation_again(log);
	if (log->ep.active && !hears_enough(log))
		hello_leave_epoch(log);
}

/* ---- compaction */

/*
 * Called when no output waits: the brain then stands at the applied index. Never behind a barrier:
 * what was applied there may have to be undone, and the base must be of an effective epoch.
 */
void commit_compact(struct replog *log)
{
	uint64_t index = log->applied_index;
	struct rl_write w = {.set_base = true};
	uint8_t *data;
	size_t len = 0;

	if (index - log->log.base_index < log->cfg.snapshot_every)
		return;
	if (!rl_is_active(log) || (log->ep.barrier.n && !MUTANT(compaction_behind_barrier)) ||
	    index < log->ep.first_index || log->needs_state)
		return;
	data = log->snapshot_fn(log->user, index, &len);
	hv_assert(data && len <= HV_SNAPSHOT_MAX);
	entries_compact(&log->log, index, blob_take(data, len));
	w.base_index = log->log.base_index;
	w.base_epoch = log->log.base_epoch;
	w.base_effective = log->log.base_effective;
	rl_write(log, &w, 1, 0);
}
