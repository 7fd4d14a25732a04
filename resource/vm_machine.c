/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/vm_machine.h"

#include "proto/mutant.h"
#include "resource/failover.h"
#include "resource/guest_health.h"
#include "resource/journal.h"
#include "resource/leaving.h"
#include "resource/operation.h"

#include <stdio.h>

#define TO(s) (1u << VM_##s)

/* The machine: for each state, which states may follow. */
static const uint32_t vm_next[STATE_COUNT_VM] = {
    [VM_STOPPED] = TO(PENDING) | TO(RUNNING) | TO(STOPPING),
    [VM_PENDING] =
	TO(STARTING) | TO(STOPPED) | TO(BLOCKED) | TO(FAILED) | TO(RUNNING) | TO(STOPPING),
    [VM_FAILED] = TO(PENDING) | TO(STOPPED) | TO(RUNNING) | TO(STOPPING),
    [VM_BLOCKED] = TO(PENDING) | TO(STOPPED) | TO(RUNNING) | TO(STOPPING),
    [VM_STARTING] = TO(RUNNING) | TO(PENDING) | TO(STOPPED) | TO(CHECKING) | TO(STOPPING) |
		    TO(RECOVERING) | TO(FROZEN),
    [VM_RUNNING] = TO(STOPPING) | TO(MIGRATING) | TO(PAUSED) | TO(RESUMING) | TO(CHECKING) |
		   TO(RECOVERING) | TO(FROZEN) | TO(PENDING) | TO(STOPPED),
    [VM_PAUSED] = TO(RUNNING) | TO(RESUMING) | TO(MIGRATING) | TO(STOPPING) | TO(CHECKING) |
		  TO(RECOVERING) | TO(FROZEN) | TO(PENDING) | TO(STOPPED),
    [VM_MIGRATING] = TO(RESUMING) | TO(RUNNING) | TO(PAUSED) | TO(CHECKING) | TO(RECOVERING) |
		     TO(FROZEN) | TO(PENDING) | TO(STOPPED),
    [VM_RESUMING] = TO(RUNNING) | TO(PAUSED) | TO(STOPPING) | TO(RECOVERING) | TO(FROZEN) |
		    TO(PENDING) | TO(STOPPED) | TO(CHECKING),
    [VM_STOPPING] =
	TO(STOPPED) | TO(PENDING) | TO(RUNNING) | TO(CHECKING) | TO(RECOVERING) | TO(FROZEN),
    [VM_CHECKING] = TO(RUNNING) | TO(PAUSED) | TO(RESUMING) | TO(STOPPING) | TO(RECOVERING) |
		    TO(FROZEN) | TO(PENDING) | TO(STOPPED),
    [VM_RECOVERING] = TO(RUNNING) | TO(PAUSED) | TO(RESUMING) | TO(CHECKING) | TO(PENDING) |
		      TO(FROZEN) | TO(STOPPED),
    [VM_FROZEN] = TO(RUNNING) | TO(PAUSED) | TO(RESUMING) | TO(CHECKING) | TO(PENDING) |
		  TO(STOPPED) | TO(STOPPING) | TO(RECOVERING) | TO(FROZEN),
};

bool vm_move_allowed(enum vm_state from, enum vm_state to)
{
	return vm_next[from] & (1u << to);
}

static enum severity vm_severity(enum vm_state to)
{
	if (to == VM_FAILED)
		return SEV_ERROR;
	if (to == VM_RECOVERING || to == VM_BLOCKED || to == VM_CHECKING)
		return SEV_WARNING;
	return to == VM_RUNNING || to == VM_STOPPED ? SEV_NOTICE : SEV_INFO;
}

void vm_move(struct cluster *c, struct vm *vm, enum vm_state to, struct why why)
{
	hv_assert(!vm->gone);
	hv_assert(vm_move_allowed(vm->state, to));
	journal_why(c, vm_severity(to), "vm", vm->name, vm_state_name(vm->state), vm_state_name(to),
		    why);
	reason_copy(&vm->reason, why, c->now_us);
	guest_moves(c, vm, to);
	vm_set_state(c, vm, to);
	vm_set_retry(c, vm, 0);
	vm->since_us = c->now_us;
	vm->tries = 0;
	if (to != VM_STOPPING)
		vm->relocating = false;
	vm->given_up = false;
	/* Whoever waits for room may have it from this one, now that it can be moved. */
	if (to == VM_RUNNING && c->tuning.preemption && c->blocked.count)
		c->freed = true;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

void vm_reason(struct cluster *c, struct vm *vm, struct why why)
{
	const struct reason *r = &vm->reason;

	if (r->code == why.code && r->number == why.number && same_text(r->subject, why.subject) &&
	    same_text(r->text, why.text))
		return;
	reason_copy(&vm->reason, why, c->now_us);
	vm_touch(c, vm);
}

uint64_t backoff_us(uint64_t base, uint64_t max, uint32_t times)
{
	uint32_t shift = times ? times - 1 : 0;
	uint64_t pause = base << (shift < 20 ? shift : 20);

	return pause < max ? pause : max;
}

void vm_again_later(struct cluster *c, struct vm *vm, struct why why)
{
	if (vm->tries < UINT32_MAX)
		vm->tries++;
	vm_reason(c, vm, why);
	vm_set_retry(c, vm,
		     c->now_us + backoff_us(c->tuning.start_retry_us, c->tuning.start_retry_max_us,
					    vm->tries));
	vm_touch(c, vm);
}

/* ---- facts */

void vm_running(struct cluster *c, struct vm *vm, struct why why)
{
	failover_vm_settled(c, vm, true, HV_OK);
	vm->arriving = false;
	vm->attempts = 0;
	vm->local_tries = 0;
	vm->relocations = 0;
	vm->n_avoid = 0;
	vm->seen_on = 0;
	vm->recover_from = 0;
	vm->prefer = 0;
	vm_touch(c, vm);
	if (vm->state != VM_RUNNING)
		vm_move(c, vm, VM_RUNNING, why);
	else
		vm_reason(c, vm, why);
}

void vm_destroy_copy(struct cluster *c, struct vm *vm, hv_node_id node)
{
	const struct node *n = node_get(c, node);
	char from[HV_NAME_MAX + 16];

	if (!n || n->state == NODE_OFFLINE)
		return; /* proven: nothing of ours runs there */
	for (size_t i = 0; vm->stale_ops && i < c->stale.count; i++) {
		const struct operation *op = c->stale.items[i];

		if (op->node == node && strcmp(op->vm, vm->uuid) == 0)
			return;
	}
	snprintf(from, sizeof(from), "copy on %s", n->name);
	op_begin(c,
		 &(struct op_spec){.kind = OP_VM_DESTROY,
				   .vm = vm,
				   .node = node,
				   .timeout_s = c->tuning.start_timeout_s},
		 NULL);
	journal_why(c, SEV_WARNING, "vm", vm->name, from, "destroying",
		    WHY(STALE_COPY, .subject = n->name));
	vm_dirty(c, vm);
}

void vm_adopt(struct cluster *c, struct vm *vm, hv_node_id node)
{
	struct why why = WHY(ADOPTED, .subject = node_name(c, node));

	if (vm->prefer != node && !MUTANT(crashes_follow))
		vm->crashes_here = 0;
	vm_set_node(c, vm, node);
	vm->epoch++;
	if (vm->intent == INTENT_STARTED || vm_held(vm))
		vm_running(c, vm, why);
	else
		vm_move(c, vm, VM_STOPPING, why);
}

/* The owner does not have it, but a running copy was seen elsewhere: it was moved behind our back.
 */
static bool vm_follow(struct cluster *c, struct vm *vm)
{
	hv_node_id seen = vm->seen_on;

	vm->seen_on = 0;
	if (!seen || !node_is_member(node_get(c, seen)))
		return false;
	vm_set_node(c, vm, seen);
	vm->epoch++;
	vm_reason(c, vm, WHY(ADOPTED, .subject = node_name(c, seen)));
	return true;
}

/* Proven stopped and meant to run: elsewhere, or on its old node when that is back. */
static void vm_waits(struct cluster *c, struct vm *vm, hv_node_id was, struct why why)
{
	const struct node *n = node_get(c, was);

	if (!leaving_freezes(n)) {
		vm_move(c, vm, VM_PENDING, why);
		return;
	}
	vm->prefer = was;
	vm_move(c, vm, VM_FROZEN, WHY(FROZEN, .subject = n->name));
}

void vm_absent(struct cluster *c, struct vm *vm, struct why why)
{
	hv_node_id target = vm->target, was = vm->node;

	hv_assert(vm->op == 0);
	if (vm->state == VM_CHECKING && vm_follow(c, vm))
		return;
	vm_set_target(c, vm, 0);
	vm_set_node(c, vm, 0);
	if (target)
		vm_destroy_copy(c, vm, target);
	vm->arriving = false;
	vm->want_paused = false;
	vm->migrate_attempts = 0;
	vm_touch(c, vm);
	if (vm->relocating && why.code != REASON_PREEMPTED && why.code != REASON_NEEDS)
		why = WHY(OFFLINE_MOVE, .subject = node_name(c, was));
	if (vm->intent == INTENT_STARTED) {
		vm_waits(c, vm, was, why);
		return;
	}
	vm_set_home(c, vm, 0);
	failover_vm_settled(c, vm, false, HV_CANCELLED);
	vm->recover_from = 0;
	vm_move(c, vm, VM_STOPPED, why);
}

struct why vm_held_why(const struct vm *vm)
{
	return vm->managed ? WHY(LOCKED, .text = vm->lock) : WHY(UNMANAGED);
}

struct why vm_why_recovering(const struct cluster *c, const struct vm *vm)
{
	if (!vm->managed)
		return WHY(UNMANAGED); /* no one fences for it */
	return WHY(WAIT_FENCE, .subject = node_name(c, vm->node));
}

void vm_unlock(struct cluster *c, struct vm *vm, struct why why)
{
	if (!vm->lock)
		return;
	journal_why(c, SEV_NOTICE, "vm", vm->name, "locked", "unlocked", why);
	vm_set_lock(c, vm, NULL);
}

void vm_owner_lost(struct cluster *c, struct vm *vm)
{
	hv_node_id target = vm->target, seen = vm->seen_on, owner = vm->node;

	if (vm->op)
		op_end(c, op_get(c, vm->op), HV_NODE_LOST, NULL);
	vm_set_target(c, vm, 0);
	vm->seen_on = 0;
	if (MUTANT(stop_forgotten))
		vm->intent = INTENT_STARTED;
	/* The target's paused copy is never resumed: the source may have run on. */
	if (target && MUTANT(paused_copy_resumed) && vm->state == VM_MIGRATING) {
		vm_set_node(c, vm, target);
		vm->epoch++;
		vm_move(c, vm, VM_RESUMING, why_same(&vm->reason));
		return;
	}
	if (target)
		vm_destroy_copy(c, vm, target);
	if (seen && vm->managed)
		vm_destroy_copy(c, vm, seen);
	failover_vm_settled(c, vm, false, HV_NODE_LOST); /* in the record of an earlier loss */
	vm->migrate_attempts = 0;
	if (leaving_freezes(node_get(c, owner))) {
		if (vm->state != VM_FROZEN)
			vm_move(c, vm, VM_FROZEN, WHY(FROZEN, .subject = node_name(c, owner)));
		return;
	}
	vm->prefer = 0; /* what was asked for ends with its host */
	vm->recover_from = owner;
	if (vm->state != VM_RECOVERING)
		vm_move(c, vm, VM_RECOVERING, vm_why_recovering(c, vm));
	if (MUTANT(takeover_without_proof))
		vm_absent(c, vm, WHY(RECOVERED, .subject = node_name(c, owner)));
}
