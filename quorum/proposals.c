/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our own proposals: kept in order, sent in each new epoch until they are applied. */
#include "quorum/replog_priv.h"

#include "proto/mutant.h"

#include <string.h>

static void proposal_send(struct replog *log, struct proposal *p)
{
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__Append m = HV__APPEND__INIT;
	Hv__EpochId id = peer_epoch_out(&log->ep.id);

	m.epoch = &id;
	m.type = p->type;
	m.fenced_node = p->fenced_node;
	m.data.len = p->blob->len;
	m.data.data = p->blob->data;
	msg.body_case = HV__PEER_MESSAGE__BODY_APPEND;
	msg.append = &m;
	rl_send(log, &msg);
	p->sent = true;
	log->n_unsent--;
}

/* In order; behind a barrier only what may pass it. */
void proposals_flush(struct replog *log)
{
	if (!rl_is_active(log))
		return;
	for (size_t i = 0; i < log->n_pending && log->n_unsent; i++) {
		struct proposal *p = &log->pending[log->pending_head + i];

		if (!p->sent && !p->applied &&
		    (!log->ep.barrier.n || p->type == RL_FENCE || MUTANT(barrier_passed)))
			proposal_send(log, p);
	}
}

static bool is_proposal(const struct proposal *p, const struct log_entry *en)
{
	return p->type == en->type && p->fenced_node == en->fenced_node &&
	       p->blob->len == en->blob->len &&
	       memcmp(p->blob->data, en->blob->data, en->blob->len) == 0;
}

static void pending_remove(struct replog *log, size_t i)
{
	struct proposal *p = &log->pending[log->pending_head + i];

	if (!p->sent)
		log->n_unsent--;
	blob_unref(p->blob);
	if (i == 0)
		log->pending_head++;
	else
		memmove(p, p + 1, (log->n_pending - i - 1) * sizeof(*p));
	if (--log->n_pending == 0)
		log->pending_head = 0;
}

/*
 * A new epoch: everything is sent again, but for proofs. That a node was off in an earlier epoch
 * says nothing of what it did since: it may be back, in an epoch of which our log knows nothing,
 * and a barrier is lifted for those only who cannot lead. What was applied behind a barrier may be
 * undone by the new epoch; if not, it is skipped when it comes a second time.
 */
void proposals_unsent(struct replog *log)
{
	if (MUTANT(proposals_not_repeated))
		return;
	for (size_t i = 0; i < log->n_pending; i++) {
		log->pending[log->pending_head + i].sent = false;
		log->pending[log->pending_head + i].applied = false;
	}
	log->n_unsent = log->n_pending;
	for (size_t i = 0; i < log->n_pending;) {
		const struct proposal *p = &log->pending[log->pending_head + i];

		if (p->type == RL_FENCE && p->fenced_node && !MUTANT(proof_outlives_epoch))
			pending_remove(log, i);
		else
			i++;
	}
}

/*
 * Is this entry one of ours that waits? Events carry their proposer and number, so equal bytes are
 * the same proposal. It is nearly always the first in line. Behind a barrier it goes on waiting.
 */
void proposals_applied(struct replog *log, const struct log_entry *en)
{
	for (size_t i = 0; i < log->n_pending; i++) {
		struct proposal *p = &log->pending[log->pending_head + i];

		if (p->applied || !is_proposal(p, en))
			continue;
		if (log->ep.barrier.n && !MUTANT(undone_not_repeated))
			p->applied = true;
		else
			pending_remove(log, i);
		return;
	}
}

void proposals_certain(struct replog *log)
{
	for (size_t i = 0; i < log->n_pending;)
		if (log->pending[log->pending_head + i].applied)
			pending_remove(log, i);
		else
			i++;
}

static struct proposal *pending_add(struct replog *log)
{
	if (log->pending_head + log->n_pending == log->pending_cap) {
		if (log->n_pending)
			memmove(log->pending, log->pending + log->pending_head,
				log->n_pending * sizeof(log->pending[0]));
		log->pending_head = 0;
		if (log->n_pending == log->pending_cap) {
			log->pending_cap = log->pending_cap ? log->pending_cap * 2 : 64;
			log->pending =
			    hv_xrealloc(log->pending, log->pending_cap, sizeof(log->pending[0]));
		}
	}
	log->n_unsent++;
	return &log->pending[log->pending_head + log->n_pending++];
}

enum hv_rc rl_propose(struct replog *log, uint64_t now_us, enum rl_entry_type type,
		      hv_node_id fenced_node, const uint8_t *data, size_t len)
{
	struct proposal *p;

	if (!rl_is_active(log) || !rl_quorate(log))
		return HV_NO_QUORUM;
	if (type == RL_VIEW || !data || !len)
		return HV_BAD_INPUT;
	if (len > HV_EVENT_MAX)
		return HV_TOO_LARGE;
	if (log->ep.barrier.n && type != RL_FENCE && !MUTANT(barrier_passed))
		return HV_REFUSED;
	if (log->n_pending >= log->cfg.max_pending)
		return HV_LIMIT;
	p = pending_add(log);
	*p = (struct proposal){
	    .type = type, .fenced_node = fenced_node, .blob = blob_copy(data, len)};
	if (log->n_unsent == 1)
		proposal_send(log, p);
	else
		proposals_flush(log);
	return HV_OK;
}

void proposals_done(struct replog *log)
{
	for (size_t i = 0; i < log->n_pending; i++)
		blob_unref(log->pending[log->pending_head + i].blob);
	free(log->pending);
}
