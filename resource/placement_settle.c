/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All VMs that wait: placed where they can be, blocked with the reason where they cannot. */
#include "proto/mutant.h"
#include "resource/placement.h"
#include "resource/preempt.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"

#include <stdio.h>

#define QUEUE_TEXT "the nodes that can hold it are busy with other starts"

static bool start_slot_free(const struct cluster *c)
{
	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *n = c->nodes[i];

		if (MUTANT(starts_not_limited))
			return true;
		if (node_reachable(n) && node_takes_vms(n) &&
		    n->starts_running < c->tuning.start_parallel)
			return true;
	}
	return false;
}

static bool any_place(const struct cluster *c)
{
	for (size_t i = 0; i < c->n_nodes; i++)
		if (node_reachable(c->nodes[i]) && node_takes_vms(c->nodes[i]))
			return true;
	return false;
}

static void block(struct cluster *c, struct vm *vm)
{
	_cleanup_free_ char *text = NULL;
	const struct vm *other = NULL;
	struct why why;

	if (rules_gate(c, vm, &other) == GATE_NEEDS) {
		why = WHY(NEEDS, .subject = other->name);
	} else if (vm->reason.code == REASON_PREEMPTED) {
		why = why_same(&vm->reason);
	} else {
		text = placement_why_none(c, vm, false);
		why = WHY(NO_NODE_FITS, .text = text);
	}
	if (vm->state == VM_BLOCKED)
		vm_reason(c, vm, why);
	else
		vm_move(c, vm, VM_BLOCKED, why);
	if (why.code != REASON_NEEDS)
		preempt_for(c, vm);
}

static void fail(struct cluster *c, struct vm *vm)
{
	uint64_t pause =
	    backoff_us(c->tuning.start_retry_us, c->tuning.start_retry_max_us, vm->attempts);
	struct why why = why_same(&vm->reason);

	if (why.code != REASON_START_FAILED) /* it had to wait meanwhile */
		why = WHY(START_FAILED, .subject = node_name(c, vm->avoid[vm->n_avoid - 1]));
	vm->n_avoid = 0;
	vm_move(c, vm, VM_FAILED, why);
	vm_set_retry(c, vm, c->now_us + pause);
}

static void wait_turn(struct cluster *c, struct vm *vm)
{
	const struct vm *other = NULL;
	_cleanup_free_ char *text = NULL;

	if (rules_gate(c, vm, &other) == GATE_TURN && other == rules_leader(vm))
		text = hv_xasprintf("it starts where VM %s, which moves, arrives", other->name);
	else if (rules_gate(c, vm, &other) == GATE_TURN)
		text = hv_xasprintf(vm_is_up(other) || other->state == VM_STOPPING
					? "VM %s, which needs it, stops first"
					: "it starts after VM %s",
				    other->name);
	vm_reason(c, vm, WHY(QUEUED, .text = text));
}

/* One VM that is PENDING and not pausing. False: too many operations, no use to go on. */
static bool place(struct cluster *c, struct vm *vm)
{
	hv_node_id node = 0;
	char text[160];

	switch (placement_pick(c, vm, false, &node)) {
	case FIT_OK:
		placement_describe(c, vm, node_get(c, node), FIT_OK, text, sizeof(text));
		return vm_start_on(c, vm, node, text);
	case FIT_BUSY:
		vm_reason(c, vm, WHY(QUEUED, .text = QUEUE_TEXT));
		return true;
	case FIT_AVOIDED:
		if (vm_stays_after_all(c, vm))
			return place(c, vm);
		fail(c, vm);
		return true;
	case FIT_TURN:
		wait_turn(c, vm);
		return true;
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
		break;
	}
	block(c, vm);
	return true;
}

static struct vm **copy_of(const struct set *s, size_t *ret_count)
{
	*ret_count = s->count;
	return hv_xmemdup(s->items, s->count * sizeof(struct vm *));
}

static void reconsider_blocked(struct cluster *c)
{
	size_t count;
	_cleanup_free_ struct vm **vms = copy_of(&c->blocked, &count);

	for (size_t i = 0; i < count; i++) {
		enum fit fit;
		hv_node_id node;

		if (vms[i]->state != VM_BLOCKED)
			continue;
		fit = placement_pick(c, vms[i], false, &node);
		if (fit == FIT_OK || fit == FIT_BUSY || fit == FIT_AVOIDED || fit == FIT_TURN)
			vm_move(c, vms[i], VM_PENDING, why_same(&vms[i]->reason));
		else
			block(c, vms[i]);
	}
}

/* Those that came to wait in this step and were not reached: the others know it already. */
static void say_queued(struct cluster *c)
{
	for (size_t i = 0; i < c->n_touched_vms; i++) {
		struct vm *vm = c->touched_vms[i];

		if (!vm->gone && vm->ready && vm->reason.code != REASON_STALE_COPY)
			vm_reason(c, vm, WHY(QUEUED, .text = QUEUE_TEXT));
	}
}

void placement_settle(struct cluster *c)
{
	if (c->freed) {
		c->freed = false;
		if (!MUTANT(blocked_for_ever))
			reconsider_blocked(c);
	}
	/* In order of rank, until every slot is taken; placing one takes it out of the set. */
	for (size_t i = 0; i < c->ready.count;) {
		struct vm *vm = c->ready.items[i];

		if (any_place(c) && !start_slot_free(c)) {
			say_queued(c);
			return;
		}
		if (vm->stale_ops && !MUTANT(start_beside_stale_copy))
			vm_reason(c, vm, WHY(STALE_COPY, .subject = "another node"));
		else if (!place(c, vm))
			return;
		i += vm->ready;
	}
}
