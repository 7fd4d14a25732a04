/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/ticker.h"

#include "proto/mutant.h"

#include <string.h>

#define PATIENCE_US (200 * HV_US_PER_MS)

static bool same_nodes(const struct cluster *c, const struct nodelist *list)
{
	size_t configured = 0;

	for (size_t i = 0; i < cluster_node_count(c); i++)
		configured += cluster_node_at(c, i)->configured;
	if (configured != list->n_nodes)
		return false;
	for (size_t i = 0; i < list->n_nodes; i++) {
		const struct nodelist_node *want = &list->nodes[i];
		const struct node *n = cluster_node(c, want->id);

		if (!n || !n->configured || n->votes != want->votes ||
		    strcmp(n->name, want->name) != 0)
			return false;
	}
	return true;
}

static uint64_t propose_nodes(const struct nodelist *list, const struct ticker_ops *ops, void *user)
{
	Hv__ConfiguredNode nodes[HV_MAX_NODES], *pointers[HV_MAX_NODES];
	Hv__NodesConfigured body = HV__NODES_CONFIGURED__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	for (size_t i = 0; i < list->n_nodes; i++) {
		hv__configured_node__init(&nodes[i]);
		nodes[i].id = list->nodes[i].id;
		nodes[i].name = (char *)list->nodes[i].name;
		nodes[i].votes = list->nodes[i].votes;
		pointers[i] = &nodes[i];
	}
	body.nodes = pointers;
	body.n_nodes = list->n_nodes;
	ev.body_case = HV__EVENT__BODY_NODES_CONFIGURED;
	ev.nodes_configured = &body;
	return ops->propose(user, &ev, false);
}

static uint64_t propose_feature(uint32_t level, const struct ticker_ops *ops, void *user)
{
	Hv__RaiseFeature body = HV__RAISE_FEATURE__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	body.level = level;
	ev.body_case = HV__EVENT__BODY_RAISE_FEATURE;
	ev.raise_feature = &body;
	return ops->propose(user, &ev, false);
}

/* Behind a barrier ticks must pass: they are what tries a failed fence again. */
static uint64_t propose_tick(bool barrier, const struct ticker_ops *ops, void *user)
{
	Hv__Tick body = HV__TICK__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	ev.body_case = HV__EVENT__BODY_TICK;
	ev.tick = &body;
	return ops->propose(user, &ev, barrier);
}

uint64_t ticker_reconcile(struct ticker *t, const struct cluster *c, const struct nodelist *list,
			  const struct rl_status *status, uint64_t now_us,
			  const struct ticker_ops *ops, void *user)
{
	uint64_t due;

	if (status->barrier == 0) {
		if (!ops->pending(user, t->nodes_mark) && !same_nodes(c, list))
			t->nodes_mark = propose_nodes(list, ops, user);
		if (!ops->pending(user, t->feature_mark) && status->n_members == list->n_nodes &&
		    status->feature_min > cluster_feature(c))
			t->feature_mark = propose_feature((uint32_t)status->feature_min, ops, user);
	}
	due = brain_next_deadline_us(c);
	if (!due || ops->pending(user, t->tick_mark))
		return 0;
	if (due > now_us || MUTANT(tick_not_proposed))
		return due;
	/* A deadline that a tick did not move must not become a storm of ticks. */
	if (due == t->ticked_due_us && now_us - t->ticked_at_us < PATIENCE_US)
		return t->ticked_at_us + PATIENCE_US;
	t->ticked_due_us = due;
	t->ticked_at_us = now_us;
	t->tick_mark = propose_tick(status->barrier > 0, ops, user);
	return 0;
}
