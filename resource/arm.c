/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/arm.h"

#include "resource/fencing.h"
#include "resource/journal.h"
#include "resource/operation.h"
#include "resource/vm_machine.h"

static void arm_move(struct cluster *c, enum arm_state to, struct why why)
{
	enum severity sev = to == ARMED ? SEV_NOTICE : SEV_WARNING;

	if (c->arm == to)
		return;
	journal_why(c, sev, "cluster", "", arm_state_name(c->arm), arm_state_name(to), why);
	c->arm = to;
}

/* What clients wait for does not happen now. */
static void end_requests(struct cluster *c)
{
	for (size_t i = 0; i < c->vms.count; i++) {
		struct vm *vm = c->vms.items[i];

		if (vm->request)
			request_end(c, vm, HV_HELD, "the cluster was disarmed");
	}
}

/* Nothing is waited for any more from the nodes that were to report. */
static void forget_patience(struct cluster *c)
{
	for (size_t i = 0; i < c->n_nodes; i++) {
		if (c->nodes[i]->state != NODE_ONLINE || !c->nodes[i]->deadline_us)
			continue;
		c->nodes[i]->deadline_us = 0;
		node_touch(c, c->nodes[i]);
	}
}

void arm_disarm(struct cluster *c, bool ignore, const char *actor)
{
	if (c->arm == ARMING)
		forget_patience(c);
	arm_move(c, ignore ? DISARMED_IGNORE : DISARMED_FREEZE, WHY(DISARMED, .subject = actor));
	end_requests(c);
}

static void armed(struct cluster *c, struct why why)
{
	arm_move(c, ARMED, why);
	barrier_lifted(c); /* everything that waited is looked at */
}

void arm_arm(struct cluster *c, const char *actor)
{
	if (c->arm == DISARMED_FREEZE)
		armed(c, WHY(ADMIN, .subject = actor));
	if (c->arm != DISARMED_IGNORE)
		return;
	arm_move(c, ARMING, WHY(ADMIN, .subject = actor));
	for (size_t i = 0; i < c->n_nodes; i++) {
		struct node *n = c->nodes[i];

		if (n->state != NODE_ONLINE)
			continue;
		n->inventory_known = false; /* it reports again */
		n->deadline_us = c->now_us + ARM_PATIENCE_US;
		node_touch(c, n);
	}
}

static bool has_told(const struct cluster *c, const struct node *n)
{
	return n->state != NODE_ONLINE || n->inventory_known || c->now_us >= n->deadline_us;
}

void arm_settle(struct cluster *c)
{
	if (c->arm != ARMING)
		return;
	for (size_t i = 0; i < c->n_nodes; i++)
		if (!has_told(c, c->nodes[i]))
			return;
	forget_patience(c);
	armed(c, WHY(ARMED_AGAIN));
}
