/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/drain.h"

#include "resource/journal.h"
#include "resource/node_machine.h"
#include "resource/operation.h"
#include "resource/placement.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"

#include <stdio.h>

#define HELD_NAMED 8 /* VMs that are named in one sentence */
static enum drain_item stuck(char **ret_why, char *why)
{
	*ret_why = why;
	return ITEM_STUCK;
}

enum drain_item drain_item(const struct cluster *c, const struct node *n, const struct vm *vm,
			   char **ret_why)
{
	hv_node_id target;

	*ret_why = NULL;
	if (vm->op)
		return ITEM_MOVING;
	if (vm_held(vm))
		return stuck(ret_why, why_sentence(vm_held_why(vm)));
	if (rules_awaited(vm) || rules_leader_comes(vm))
		return ITEM_MOVING;
	if (!n->hypervisor_ok)
		return stuck(ret_why,
			     hv_xasprintf("the hypervisor layer of %s does not answer", n->name));
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return vm->tries < DRAIN_STUCK_TRIES ? ITEM_MOVING
						     : stuck(ret_why, reason_sentence(&vm->reason));
	if (vm->intent == INTENT_STOPPED || vm->stale_ops)
		return ITEM_MOVING;
	if (!vm->live_migration && vm->state == VM_PAUSED)
		return stuck(ret_why, hv_xstrdup("it is paused, and not to be migrated live"));
	if (vm->retry_us && vm->migrate_attempts >= c->tuning.drain_tries)
		return stuck(ret_why, reason_sentence(&vm->reason)); /* after a pause it tries on */
	if (vm->retry_us)
		return ITEM_MOVING;
	switch (placement_pick(c, vm, vm->live_migration, &target)) {
	case FIT_OK:
		return ITEM_READY;
	case FIT_BUSY:
		return ITEM_MOVING;
	case FIT_AVOIDED:
	case FIT_HERE:
	case FIT_OFFLINE:
	case FIT_DRAINED:
	case FIT_QUARANTINED:
	case FIT_NO_LOG:
	case FIT_UNFENCED:
	case FIT_HYPERVISOR:
	case FIT_STORAGE:
	case FIT_RULE:
	case FIT_MEMORY:
	case FIT_CPU:
	case FIT_NEEDS:
	case FIT_TURN:
		break;
	}
	return stuck(ret_why, placement_why_none(c, vm, vm->live_migration));
}

void drain_begin(struct cluster *c, struct node *n, const char *actor)
{
	struct operation *op;

	for (size_t i = 0; i < n->owned.count; i++) {
		struct vm *vm = n->owned.items[i];

		if (!vm->migrate_attempts)
			continue;
		vm->migrate_attempts = 0;
		if (vm->state == VM_RUNNING || vm->state == VM_PAUSED)
			vm_set_retry(c, vm, 0);
		vm_touch(c, vm);
	}
	op = op_begin(c, &(struct op_spec){.kind = OP_NODE_DRAIN, .target = n->id}, NULL);
	if (op)
		op_progress(c, op, 0, (uint32_t)n->owned.count);
	n->drain_op = op ? op->id : 0;
	node_reason(c, n, WHY(DRAIN, .subject = n->name));
	node_admin_move(c, n, NODE_DRAINING, WHY(ADMIN, .subject = actor));
	node_touch(c, n);
}

void drain_cancel(struct cluster *c, struct node *n, const char *actor)
{
	if (n->drain_op)
		op_end(c, op_get(c, n->drain_op), HV_CANCELLED, "the node was resumed");
	n->drain_op = 0;
	node_reason(c, n, WHY(ADMIN, .subject = actor));
	node_admin_move(c, n, NODE_ACTIVE, WHY(ADMIN, .subject = actor));
	node_touch(c, n);
}

static void drain_done(struct cluster *c, struct node *n)
{
	if (n->drain_op)
		op_end(c, op_get(c, n->drain_op), HV_OK, NULL);
	n->drain_op = 0;
	node_reason(c, n, WHY(DRAINED, .subject = n->name));
	node_admin_move(c, n, NODE_MAINTENANCE, WHY(DRAINED, .subject = n->name));
	node_touch(c, n);
}

/* "vm a: cause; vm b: cause; and 4 more" */
static char *held_text(const struct cluster *c, const struct node *n)
{
	char *buf = hv_xcalloc(1, HV_TEXT_MAX + 1);
	size_t len = 0, named = 0, left = 0;

	for (size_t i = 0; i < n->owned.count; i++) {
		const struct vm *vm = n->owned.items[i];
		_cleanup_free_ char *why = NULL;

		if (drain_item(c, n, vm, &why) != ITEM_STUCK)
			continue;
		if (named == HELD_NAMED ||
		    len + strlen(why) + strlen(vm->name) + 40 > HV_TEXT_MAX) {
			left++;
			continue;
		}
		len += (size_t)snprintf(buf + len, HV_TEXT_MAX - len, "%svm %s: %s",
					named ? "; " : "", vm->name, why);
		named++;
	}
	if (left)
		snprintf(buf + len, HV_TEXT_MAX - len, "%s%zu VMs%s", named ? "; and " : "", left,
			 named ? " more" : "");
	return buf;
}

static void drain_held(struct cluster *c, struct node *n)
{
	_cleanup_free_ char *text = held_text(c, n);

	node_reason(c, n, WHY(HELD, .text = text));
	if (!n->drain_op)
		return;
	journal_why(c, SEV_WARNING, "node", n->name, "draining", "held", WHY(HELD, .text = text));
	op_end(c, op_get(c, n->drain_op), HV_HELD, text);
	n->drain_op = 0;
	node_touch(c, n);
}

/* By stop and start: as many at a time as would be migrated live. */
static bool offline_slot_free(const struct cluster *c, const struct node *n)
{
	uint32_t busy = 0;

	for (size_t i = 0; i < n->owned.count; i++)
		busy += ((const struct vm *)n->owned.items[i])->relocating;
	return busy < c->tuning.migrate_parallel;
}

void drain_one(struct cluster *c, struct node *n, struct vm *vm, hv_op_id parent, struct why why)
{
	hv_node_id target = 0;

	if (placement_pick(c, vm, vm->live_migration, &target) != FIT_OK)
		return;
	if (vm_held(vm) || (!vm->live_migration && !offline_slot_free(c, n)))
		return;
	if (c->tuning.maintenance_return && !vm->home)
		vm_set_home(c, vm, n->id);
	vm_move_to(c, vm, target, parent, why);
}

/* Begin what may begin; true if anything is, or soon will be, on its way. */
static bool drain_move(struct cluster *c, struct node *n)
{
	bool moving = n->incoming.count > 0;

	if (n->migrations_running >= c->tuning.migrate_parallel)
		return true;
	for (size_t i = 0;
	     i < n->by_rank.count && n->migrations_running < c->tuning.migrate_parallel; i++) {
		_cleanup_free_ char *why = NULL;
		enum drain_item item = drain_item(c, n, n->by_rank.items[i], &why);

		if (item == ITEM_READY)
			drain_one(c, n, n->by_rank.items[i], n->drain_op,
				  WHY(DRAIN, .subject = n->name));
		moving |= item != ITEM_STUCK;
	}
	return moving;
}

void drain_settle(struct cluster *c, struct node *n)
{
	struct operation *op = n->drain_op ? op_get(c, n->drain_op) : NULL;
	uint32_t left = (uint32_t)n->owned.count;

	if (n->admin != NODE_DRAINING)
		return;
	if (op)
		op_progress(c, op, op->total > left ? op->total - left : 0,
			    op->total > left ? op->total : left);
	if (!n->owned.count && !n->incoming.count) {
		drain_done(c, n);
		return;
	}
	if (n->state != NODE_ONLINE)
		return;
	if (!drain_move(c, n))
		drain_held(c, n);
}

char **brain_drain_held_by(const struct cluster *c, const struct node *n, size_t *ret_count)
{
	char **lines = hv_xcalloc(n->owned.count, sizeof(*lines));
	size_t count = 0;

	for (size_t i = 0; n->admin == NODE_DRAINING && i < n->owned.count; i++) {
		const struct vm *vm = n->owned.items[i];
		_cleanup_free_ char *why = NULL;

		if (drain_item(c, n, vm, &why) == ITEM_STUCK)
			lines[count++] = hv_xasprintf("vm %s: %s", vm->name, why);
	}
	*ret_count = count;
	return lines;
}
