/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/log_loss.h"

#include "proto/mutant.h"
#include "resource/arm.h"
#include "resource/journal.h"
#include "resource/moves.h"

static const char *word(bool lost)
{
	return lost ? "does not keep the log" : "keeps the log";
}

void log_loss_seen(struct cluster *c, struct node *n, bool learner)
{
	if (learner == (n->log_lost_us != 0))
		return;
	journal_why(
	    c, learner ? SEV_ERROR : SEV_NOTICE, "node", n->name, word(!learner), word(learner),
	    learner ? WHY(LOG_LOST, .subject = n->name) : WHY(LOG_KEPT, .subject = n->name));
	n->log_lost_us = learner ? c->now_us : 0;
	node_touch(c, n);
	c->freed = true; /* it may take VMs again */
}

void log_loss_forget(struct cluster *c, struct node *n)
{
	if (!n->log_lost_us)
		return;
	n->log_lost_us = 0;
	node_touch(c, n);
}

uint64_t log_loss_deadline_us(const struct cluster *c, const struct node *n)
{
	uint64_t at_us = n->log_lost_us + c->tuning.manager_grace_us;

	return n->log_lost_us && c->now_us < at_us ? at_us : 0;
}

void log_loss_settle(struct cluster *c)
{
	if (!is_armed(c) || MUTANT(logless_never_left))
		return;
	for (size_t i = 0; i < c->n_nodes; i++) {
		struct node *n = c->nodes[i];
		size_t count = n->by_rank.count;
		_cleanup_free_ struct vm **vms = NULL;

		/* Whoever drains it, or shuts it down, moves what is there. */
		if (!n->log_lost_us || log_loss_deadline_us(c, n) || n->admin != NODE_ACTIVE ||
		    n->leaving != NODE_STAYS)
			continue;
		vms = hv_xmemdup(n->by_rank.items, count * sizeof(*vms));
		for (size_t k = 0; k < count; k++)
			moves_leave(c, vms[k], WHY(LOG_LOST, .subject = n->name));
	}
}
