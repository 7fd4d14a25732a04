/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/brake.h"

#include "proto/mutant.h"
#include "resource/journal.h"
#include "resource/node_machine.h"

#include <stdio.h>

#define QUARANTINE_WINDOW_US (3600 * HV_US_PER_S)

/* ---- at most half of the nodes */

static uint32_t most_fenced(const struct cluster *c)
{
	uint32_t configured = 0;

	for (size_t i = 0; i < c->n_nodes; i++)
		configured += c->nodes[i]->configured;
	return configured / 2 ? configured / 2 : 1;
}

/* When its latest fence leaves the window; 0: it is not in it. */
static uint64_t counts_until(const struct cluster *c, const struct node *n)
{
	uint64_t until =
	    n->n_fences ? n->fences_us[n->n_fences - 1] + c->tuning.fence_window_us : 0;

	return until > c->now_us ? until : 0;
}

/* A device is at work against it, or pauses between two tries. */
static bool being_fenced(const struct node *n)
{
	return n->state == NODE_FENCING || (n->state == NODE_LOST && n->fence_attempt);
}

static void hold(struct cluster *c, struct node *n, const char *others, uint64_t until_us)
{
	_cleanup_free_ char *text = hv_xasprintf(
	    "at most %u of its nodes are fenced within %llu s, and%s already; "
	    "'hvcluster fence node %s' fences it all the same, 'hvcluster fence "
	    "confirm %s' says that it is off",
	    most_fenced(c), (unsigned long long)(c->tuning.fence_window_us / HV_US_PER_S), others,
	    n->name, n->name);
	struct why why = WHY(BRAKE, .subject = n->name, .text = text);

	if (!n->braked)
		journal_why(c, SEV_ERROR, "node", n->name, node_state_name(n->state), "not fenced",
			    why);
	n->braked = true;
	n->deadline_us = until_us;
	node_reason(c, n, why);
	node_touch(c, n);
}

static void let_go(struct cluster *c, struct node *n)
{
	if (!n->braked)
		return;
	journal_why(c, SEV_WARNING, "node", n->name, "not fenced", node_state_name(n->state),
		    WHY(BRAKE_OFF, .subject = n->name));
	n->braked = false;
	n->deadline_us = 0;
	node_touch(c, n);
}

bool brake_holds(struct cluster *c, struct node *n)
{
	char others[HV_TEXT_MAX / 4] = "";
	uint64_t until_us = 0;
	uint32_t count = 0;

	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *o = c->nodes[i];
		uint64_t until = counts_until(c, o);
		size_t len = strlen(others);

		if (o == n || !(until || being_fenced(o)))
			continue;
		snprintf(others + len, sizeof(others) - len, "%s %s", count ? "," : "", o->name);
		count++;
		if (until && !being_fenced(o) && (!until_us || until < until_us))
			until_us = until;
	}
	if (!c->tuning.fence_window_us || n->fence_forced || count < most_fenced(c) ||
	    MUTANT(brake_ignored)) {
		let_go(c, n);
		return false;
	}
	hold(c, n, others, until_us);
	return true;
}

/* ---- quarantine */

static uint32_t fences_within(const struct cluster *c, const struct node *n, uint64_t window_us)
{
	uint32_t count = 0;

	for (size_t i = 0; i < n->n_fences; i++)
		count += n->fences_us[i] + window_us > c->now_us;
	return count;
}

void brake_count(struct cluster *c, struct node *n)
{
	uint32_t count;

	if (n->n_fences == ARRAY_SIZE(n->fences_us)) {
		n->n_fences--;
		memmove(n->fences_us, n->fences_us + 1, n->n_fences * sizeof(*n->fences_us));
	}
	n->fences_us[n->n_fences++] = c->now_us;
	node_touch(c, n);
	count = fences_within(c, n, QUARANTINE_WINDOW_US);
	if (!c->tuning.quarantine_fences || count < c->tuning.quarantine_fences)
		return;
	if (!n->quarantined)
		journal_why(c, SEV_ERROR, "node", n->name, "in service", "quarantined",
			    WHY(QUARANTINED, .subject = n->name, .number = count));
	n->quarantined = true;
	n->quarantine_us = c->tuning.quarantine_us ? c->now_us + c->tuning.quarantine_us : 0;
}

/* What it was fenced for is forgotten with it; the window still counts its latest fence. */
void brake_release(struct cluster *c, struct node *n, struct why why)
{
	if (!n->quarantined)
		return;
	journal_why(c, SEV_NOTICE, "node", n->name, "quarantined", "in service", why);
	n->quarantined = false;
	n->quarantine_us = 0;
	n->fences_us[0] = n->fences_us[n->n_fences - 1];
	n->n_fences = 1;
	node_touch(c, n);
	c->freed = true;
}

void brake_settle(struct cluster *c, struct node *n)
{
	if (n->quarantined && n->quarantine_us && c->now_us >= n->quarantine_us)
		brake_release(c, n, WHY(QUARANTINE_OVER));
}
