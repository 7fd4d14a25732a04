/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/leaving.h"

#include "proto/mutant.h"
#include "resource/drain.h"
#include "resource/failover.h"
#include "resource/journal.h"
#include "resource/node_machine.h"
#include "resource/operation.h"
#include "resource/vm_machine.h"

#include <stdio.h>

static const char *leaving_word(enum node_leaving to)
{
	return to == NODE_REBOOTS ? "it reboots" : "it shuts down";
}

static bool setting_freezes(const struct cluster *c, enum node_leaving to)
{
	switch (c->tuning.node_shutdown) {
	case SHUTDOWN_FREEZE:
		return true;
	case SHUTDOWN_CONDITIONAL:
		return to == NODE_REBOOTS;
	case SHUTDOWN_FAILOVER:
	case SHUTDOWN_MIGRATE:
		break;
	}
	return false;
}

static void leaving_move(struct cluster *c, struct node *n, enum node_leaving to, struct why why)
{
	if (n->leaving == to)
		return;
	journal_why(c, SEV_NOTICE, "node", n->name, node_leaving_name(n->leaving),
		    node_leaving_name(to), why);
	n->leaving = to;
	c->freed = true;
	node_touch(c, n);
}

static void leaving_op_end(struct cluster *c, struct node *n, enum hv_rc rc, const char *text)
{
	if (n->leaving_op)
		op_end(c, op_get(c, n->leaving_op), rc, text);
	n->leaving_op = 0;
	node_touch(c, n);
}

/* ---- frozen */

/* Back, and has not reported: what it still has of them it will say. */
static void owned_thaw(struct cluster *c, struct node *n)
{
	for (size_t i = 0; i < n->owned.count; i++) {
		struct vm *vm = n->owned.items[i];

		if (vm->state == VM_FROZEN)
			vm_move(c, vm, VM_RECOVERING, WHY(NODE_RETURNED, .subject = n->name));
	}
}

void leaving_thaw(struct cluster *c, struct node *n, bool back)
{
	bool any = n->frozen;

	n->frozen = false;
	node_touch(c, n);
	if (node_is_member(n))
		owned_thaw(c, n);
	for (size_t i = 0; any && c->vms_in_state[VM_FROZEN] && i < c->vms.count; i++) {
		struct vm *vm = c->vms.items[i];

		if (vm->state != VM_FROZEN || vm->node || vm->prefer != n->id)
			continue;
		if (!back)
			vm->prefer = 0;
		if (vm->intent == INTENT_STARTED)
			vm_move(c, vm, VM_PENDING, why_same(&vm->reason));
	}
}

/* Those that may still run there: from now on they wait for proof. */
static void recover_frozen(struct cluster *c, struct node *n)
{
	size_t count = n->owned.count;
	_cleanup_free_ struct vm **owned = hv_xmemdup(n->owned.items, count * sizeof(*owned));

	failover_open(c, n, 0);
	for (size_t i = 0; i < count; i++)
		vm_owner_lost(c, owned[i]);
}

static void frozen_over(struct cluster *c, struct node *n)
{
	struct why why = WHY(FROZEN_OVER, .subject = n->name);

	journal_why(c, SEV_WARNING, "node", n->name, "frozen", "not waited for", why);
	leaving_thaw(c, n, false);
	n->deadline_us = 0;
	node_reason(c, n, why);
	if (n->state == NODE_LOST && n->owned.count)
		recover_frozen(c, n);
}

void leaving_give_up(struct cluster *c, struct node *n)
{
	if (n->frozen)
		frozen_over(c, n);
}

void leaving_timer(struct cluster *c, struct node *n)
{
	bool waits = n->state == NODE_LOST || n->state == NODE_OFFLINE ||
		     (n->state == NODE_ONLINE && !n->leaving_op);

	if (!n->frozen || !waits || !c->tuning.frozen_timeout_us || MUTANT(frozen_for_ever))
		return;
	if (!n->deadline_us) {
		n->deadline_us = c->now_us + c->tuning.frozen_timeout_us;
		node_touch(c, n);
	} else if (c->now_us >= n->deadline_us) {
		frozen_over(c, n);
	}
}

/* ---- announced, taken back */

hv_op_id leaving_begin(struct cluster *c, struct node *n, bool reboot, const char *actor)
{
	enum node_leaving to = reboot ? NODE_REBOOTS : NODE_SHUTS_DOWN;
	bool frozen = setting_freezes(c, to);
	struct operation *op = n->leaving_op ? op_get(c, n->leaving_op) : NULL;

	if (!op)
		op =
		    op_begin(c, &(struct op_spec){.kind = OP_NODE_SHUTDOWN, .target = n->id}, NULL);
	if (!op)
		return 0;
	leaving_move(c, n, to, WHY(ADMIN, .subject = actor));
	node_reason(c, n, WHY(NODE_STOPPING, .subject = n->name, .text = leaving_word(to)));
	if (n->frozen && !frozen)
		leaving_thaw(c, n, false);
	n->frozen = frozen;
	n->leaving_op = op->id;
	op_progress(c, op, 0, (uint32_t)n->owned.count);
	node_touch(c, n);
	return op->id;
}

void leaving_cancel(struct cluster *c, struct node *n, const char *actor)
{
	for (size_t i = 0; i < n->owned.count; i++) {
		struct vm *vm = n->owned.items[i];

		if (vm->op) /* a guest that may still run on is let run on */
			vm->relocating = false;
		rules_notice(c, vm); /* who needs it does not wait for it to come back */
		vm_touch(c, vm);
		vm_dirty(c, vm);
	}
	leaving_op_end(c, n, HV_CANCELLED, "the announcement was taken back");
	leaving_move(c, n, NODE_STAYS, WHY(ADMIN, .subject = actor));
	if (n->frozen && n->state == NODE_LOST)
		frozen_over(c, n);
	leaving_thaw(c, n, true);
	n->deadline_us = n->state == NODE_ONLINE ? 0 : n->deadline_us;
	node_reason(c, n, WHY(ADMIN, .subject = actor));
}

/* ---- what is left there */

/* A paused guest cannot shut itself down, and what it holds ends with its host in any case. */
static void stop_away(struct cluster *c, struct node *n, struct vm *vm)
{
	struct why why = WHY(NODE_STOPPING, .subject = n->name, .text = leaving_word(n->leaving));
	bool paused = vm->state == VM_PAUSED;

	if (paused)
		vm_move(c, vm, VM_STOPPING, why);
	else
		vm_relocate(c, vm, why);
	vm->relocating = true;
	vm->tries = paused;
}

static enum drain_item shut_down(struct cluster *c, struct node *n, struct vm *vm, char **ret_why)
{
	free(steal_ptr(*ret_why));
	if (vm->op || vm->intent == INTENT_STOPPED || vm->stale_ops || vm->retry_us)
		return ITEM_MOVING;
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED && vm->tries < DRAIN_STUCK_TRIES)
		return ITEM_MOVING;
	if (vm->lock || !n->hypervisor_ok || (vm->state != VM_RUNNING && vm->state != VM_PAUSED)) {
		*ret_why = vm->lock	       ? hv_xasprintf("locked: %s", vm->lock)
			   : !n->hypervisor_ok ? hv_xasprintf("the hypervisor layer of %s does "
							      "not answer",
							      n->name)
					       : reason_sentence(&vm->reason);
		return ITEM_STUCK;
	}
	stop_away(c, n, vm);
	return ITEM_MOVING;
}

/* One VM of a host that is to go down. *ret_why (STUCK only): caller frees. */
static enum drain_item leave_one(struct cluster *c, struct node *n, struct vm *vm, char **ret_why)
{
	bool live = c->tuning.node_shutdown == SHUTDOWN_MIGRATE && !n->frozen;
	struct why why = WHY(NODE_STOPPING, .subject = n->name, .text = leaving_word(n->leaving));
	enum drain_item item;

	*ret_why = NULL;
	if (!live || !vm->live_migration)
		return shut_down(c, n, vm, ret_why);
	item = drain_item(c, n, vm, ret_why);
	if (item == ITEM_READY && n->migrations_running < c->tuning.migrate_parallel)
		drain_one(c, n, vm, n->leaving_op, why);
	/* It cannot go: shut down in order is better than losing power. */
	return item == ITEM_STUCK ? shut_down(c, n, vm, ret_why) : item;
}

static void finish(struct cluster *c, struct node *n, uint32_t left, uint32_t stuck,
		   const char *text)
{
	struct operation *op = op_get(c, n->leaving_op);
	_cleanup_free_ char *held = NULL;

	if (op->total < left)
		op_progress(c, op, 0, left);
	op_progress(c, op, op->total - left, op->total);
	if (left == 0 && !n->incoming.count && !n->stale_ops) {
		leaving_op_end(c, n, HV_OK, NULL);
	} else if (left && left == stuck) {
		held =
		    stuck > 1 ? hv_xasprintf("%s; and %u more", text, stuck - 1) : hv_xstrdup(text);
		journal_why(c, SEV_WARNING, "node", n->name, node_leaving_name(n->leaving), "held",
			    WHY(HELD, .text = held));
		leaving_op_end(c, n, HV_HELD, held);
	}
	leaving_timer(c, n); /* it is waited for from here on */
}

void leaving_settle(struct cluster *c, struct node *n)
{
	size_t count = n->by_rank.count;
	_cleanup_free_ struct vm **vms = NULL;
	_cleanup_free_ char *first = NULL;
	uint32_t left = 0, stuck = 0;

	if (n->leaving == NODE_STAYS || n->state != NODE_ONLINE || n->drain_op)
		return;
	for (size_t i = 0; i < n->incoming.count; i++) {
		const struct vm *vm = n->incoming.items[i];

		if (vm->op)
			op_cancel(c, op_get(c, vm->op));
	}
	vms = hv_xmemdup(n->by_rank.items, count * sizeof(*vms));
	for (size_t i = 0; i < count; i++) {
		_cleanup_free_ char *why = NULL;

		if (!vms[i]->managed)
			continue; /* whoever manages it knows what is to be done */
		left++;
		if (leave_one(c, n, vms[i], &why) != ITEM_STUCK)
			continue;
		stuck++;
		if (!first)
			first = hv_xasprintf("vm %s: %s", vms[i]->name, why);
	}
	if (n->leaving_op)
		finish(c, n, left, stuck, first);
}

/* ---- gone, and back */

static void freeze_owned(struct cluster *c, struct node *n)
{
	size_t count = n->owned.count;
	_cleanup_free_ struct vm **owned = hv_xmemdup(n->owned.items, count * sizeof(*owned));

	for (size_t i = 0; i < count; i++)
		vm_owner_lost(c, owned[i]);
}

bool leaving_left(struct cluster *c, struct node *n)
{
	bool empty = !n->owned.count && !n->incoming.count && !n->stale_ops;

	if (n->fence_wanted || n->leaving == NODE_STAYS)
		return false;
	leaving_op_end(c, n, empty ? HV_OK : HV_NODE_LOST,
		       empty ? NULL : "it went down before its VMs were shut down");
	if ((empty || MUTANT(announced_is_off)) && !n->barrier) {
		node_move(c, n, NODE_OFFLINE, WHY(WENT_DOWN, .subject = n->name));
	} else if (n->frozen) {
		node_move(c, n, NODE_LOST, WHY(WENT_DOWN, .subject = n->name));
		freeze_owned(c, n);
	} else {
		return false;
	}
	leaving_timer(c, n);
	return true;
}

void leaving_returned(struct cluster *c, struct node *n)
{
	leaving_op_end(c, n, HV_NODE_LOST, "it went down before its VMs were shut down");
	leaving_move(c, n, NODE_STAYS, WHY(NODE_RETURNED, .subject = n->name));
	for (size_t i = 0; i < n->owned.count; i++) {
		struct vm *vm = n->owned.items[i];

		if (vm->state != VM_FROZEN)
			continue;
		vm->prefer = n->id;
		vm_touch(c, vm);
	}
}
