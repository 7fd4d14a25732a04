/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an executor answered. `observed` is believed first, the result code second. */
#include "proto/mutant.h"
#include "resource/failover.h"
#include "resource/guest_health.h"
#include "resource/node_machine.h"
#include "resource/operation.h"
#include "resource/vm_machine.h"

#define RESUME_TRIES 8 /* of a copy that came by migration, before the VM is started afresh */
#define STOP_TRIES 3   /* after which it counts as one that cannot be stopped */

static bool result_good(enum op_kind kind, const Hv__OpResult *res)
{
	Hv__Observed seen = res->observed;

	switch (kind) {
	case OP_VM_START:
	case OP_VM_RESUME:
		return seen == HV__OBSERVED__OBSERVED_RUNNING;
	case OP_VM_STOP:
	case OP_VM_DESTROY:
		return seen == HV__OBSERVED__OBSERVED_ABSENT;
	case OP_VM_MIGRATE:
		return seen == HV__OBSERVED__OBSERVED_ABSENT && res->rc == HV_OK;
	case OP_VM_PAUSE:
		return seen == HV__OBSERVED__OBSERVED_PAUSED;
	case OP_VM_PROBE:
		return seen != HV__OBSERVED__OBSERVED_UNKNOWN;
	case OP_VM_RESET:
		return seen == HV__OBSERVED__OBSERVED_RUNNING && res->rc == HV_OK;
	case OP_NONE:
	case OP_FENCE:
	case OP_FENCE_TEST:
	case OP_NODE_DRAIN:
	case OP_NODE_SHUTDOWN:
	case OP_VM_REQUEST:
		break;
	}
	return false;
}

static struct why unknown(struct cluster *c, const struct vm *vm)
{
	return WHY(UNKNOWN, .subject = node_name(c, vm->node));
}

static void count_attempt(struct vm *vm)
{
	if (vm->attempts < UINT32_MAX)
		vm->attempts++;
}

static void start_result(struct cluster *c, struct vm *vm, const Hv__OpResult *res, bool cancelled)
{
	failover_vm_tried(c, vm, res);
	switch (res->observed) {
	case HV__OBSERVED__OBSERVED_RUNNING:
		vm_running(c, vm, why_same(&vm->reason));
		return;
	case HV__OBSERVED__OBSERVED_ABSENT:
		if (cancelled && res->rc == HV_CANCELLED) {
			vm_absent(c, vm, why_same(&vm->reason));
			return;
		}
		count_attempt(vm);
		vm_start_failed(c, vm, res->text);
		return;
	case HV__OBSERVED__OBSERVED_PAUSED:
	case HV__OBSERVED__OBSERVED_INCOMING:
		/* Half started, never seen to run: destroyed and tried again. */
		count_attempt(vm);
		vm_move(c, vm, VM_STOPPING,
			WHY(START_FAILED, .subject = node_name(c, vm->node),
			    .text = "it was left paused"));
		return;
	case HV__OBSERVED__OBSERVED_UNKNOWN:
	case _HV__OBSERVED_IS_INT_SIZE:
		break;
	}
	if (MUTANT(failed_start_is_absence)) {
		vm_absent(c, vm, unknown(c, vm));
		return;
	}
	count_attempt(vm);
	vm_move(c, vm, VM_CHECKING, unknown(c, vm));
}

/* The setting on_stop_failure: its node is fenced, or (preset, or no device) it is tried for ever.
 */
static void cannot_stop(struct cluster *c, const struct vm *vm, hv_node_id node, const char *text)
{
	struct node *n = node_get(c, node);

	if (c->tuning.fence_on_stop_failure && !vm_held(vm) && !n->fence_wanted)
		node_want_fence(c, n, WHY(STOP_FAILED_FENCE, .subject = vm->name, .text = text));
}

static void stop_result(struct cluster *c, struct vm *vm, const Hv__OpResult *res)
{
	struct why failed = WHY(STOP_FAILED, .subject = node_name(c, vm->node), .text = res->text);

	bool back = vm->intent == INTENT_STARTED && !vm->relocating;

	if (res->observed == HV__OBSERVED__OBSERVED_ABSENT && back && vm->attempts) {
		vm_start_failed(c, vm, "it was left paused");
		return;
	}
	if (res->observed == HV__OBSERVED__OBSERVED_ABSENT) {
		vm_absent(c, vm, why_same(&vm->reason));
		return;
	}
	if (back && res->observed == HV__OBSERVED__OBSERVED_RUNNING)
		vm_running(c, vm, why_same(&vm->reason)); /* it was to stop, then to start again */
	else if (back && res->observed == HV__OBSERVED__OBSERVED_UNKNOWN)
		vm_move(c, vm, VM_CHECKING, unknown(c, vm));
	else if (res->rc == HV_CANCELLED) {
		vm->tries++; /* the administrator wants it destroyed: at once */
		vm_touch(c, vm);
	} else {
		vm_again_later(c, vm, failed);
		if (vm->tries >= STOP_TRIES)
			cannot_stop(c, vm, vm->node, res->text);
	}
}

/* Gone from the source, whole at the target, paused: from here on the target owns it. */
static void migrate_arrived(struct cluster *c, struct vm *vm, bool stay_paused)
{
	hv_node_id target = vm->target;
	const struct node *t = node_get(c, target);
	struct operation *req = request_of(c, vm);

	if (req && op_request(req) == REQ_MIGRATE)
		op_progress(c, req, 1, 1);
	vm_set_target(c, vm, 0);
	vm_set_node(c, vm, target);
	vm->epoch++;
	vm->migrate_attempts = 0;
	vm->arriving = !stay_paused;
	vm_touch(c, vm);
	if (t->state == NODE_OFFLINE)
		vm_absent(c, vm, WHY(NODE_LOST, .subject = t->name));
	else if (t->state == NODE_LOST || t->state == NODE_FENCING)
		vm_owner_lost(c, vm);
	else
		vm_move(c, vm, stay_paused ? VM_PAUSED : VM_RESUMING, why_same(&vm->reason));
}

/* After so many failures that a drain says that it is held, the pause is the longest. */
static uint64_t migrate_pause_us(const struct cluster *c, const struct vm *vm)
{
	const struct node *n = cluster_node(c, vm->node);

	if (vm->migrate_attempts >= c->tuning.drain_tries && n->admin == NODE_DRAINING)
		return c->tuning.start_retry_max_us;
	return backoff_us(c->tuning.start_retry_us, c->tuning.start_retry_max_us,
			  vm->migrate_attempts);
}

void vm_migrate_failed(struct cluster *c, struct vm *vm, Hv__Observed source, bool stay_paused,
		       bool cancelled, enum hv_rc rc, const char *text)
{
	hv_node_id target = vm->target;
	struct why why = WHY(MIGRATION_FAILED, .subject = node_name(c, target), .text = text);
	const struct operation *req = request_of(c, vm);

	vm_set_target(c, vm, 0);
	/* A target that is not a member reports its copy when it comes back; it is not fenced for
	 * that. */
	if (node_is_member(node_get(c, target)))
		vm_destroy_copy(c, vm, target);
	if (!cancelled && vm->migrate_attempts < UINT32_MAX)
		vm->migrate_attempts++;
	if (req && op_request(req) == REQ_MIGRATE)
		request_end(c, vm, rc == HV_OK ? HV_FAILED : rc, text);
	vm_touch(c, vm);
	if (source == HV__OBSERVED__OBSERVED_RUNNING) {
		vm_running(c, vm, why);
	} else if (stay_paused || vm->want_paused) {
		vm_move(c, vm, VM_PAUSED, why);
	} else {
		vm->arriving = true;
		vm_move(c, vm, VM_RESUMING, why);
		return;
	}
	if (!cancelled)
		vm_set_retry(c, vm, c->now_us + migrate_pause_us(c, vm));
}

/*
 * Absence alone does not say that it went to the target: the source may have run on and ended there
 * later, and a copy that is older than that must never run. Success is believed unless libvirt gave
 * another cause; without success it takes libvirt's word.
 */
static bool left_by_migration(const Hv__OpResult *res)
{
	switch (res->cause) {
	case HV__CAUSE__CAUSE_MIGRATED:
		return true;
	case HV__CAUSE__CAUSE_GUEST_SHUTDOWN:
	case HV__CAUSE__CAUSE_CRASHED:
	case HV__CAUSE__CAUSE_DESTROYED:
	case HV__CAUSE__CAUSE_FAILED:
	case HV__CAUSE__CAUSE_WATCHDOG:
		return false;
	case HV__CAUSE__CAUSE_NONE:
	case HV__CAUSE__CAUSE_IO_ERROR:
	case HV__CAUSE__CAUSE_ADMIN:
	case _HV__CAUSE_IS_INT_SIZE:
		break;
	}
	return res->rc == HV_OK;
}

static void migrate_result(struct cluster *c, struct vm *vm, const struct operation *op,
			   const Hv__OpResult *res)
{
	bool stay_paused = op->flags & OP_F_PAUSED;

	switch (res->observed) {
	case HV__OBSERVED__OBSERVED_ABSENT:
		if ((left_by_migration(res) && !(op->flags & OP_F_REBOOTED)) ||
		    MUTANT(arrival_assumed))
			migrate_arrived(c, vm, stay_paused);
		else /* whole at the target or not, no one knows: destroyed there, started afresh */
			vm_absent(c, vm,
				  WHY(MIGRATION_FAILED, .subject = node_name(c, op->target),
				      .text = res->text));
		return;
	case HV__OBSERVED__OBSERVED_RUNNING:
	case HV__OBSERVED__OBSERVED_PAUSED:
		vm_migrate_failed(c, vm, res->observed, stay_paused, op->cancel, res->rc,
				  res->text);
		return;
	case HV__OBSERVED__OBSERVED_UNKNOWN:
	case HV__OBSERVED__OBSERVED_INCOMING:
	case _HV__OBSERVED_IS_INT_SIZE:
		break;
	}
	if (stay_paused)
		vm->want_paused = true;
	vm_move(c, vm, VM_CHECKING, unknown(c, vm)); /* target is remembered */
}

static void resume_result(struct cluster *c, struct vm *vm, const Hv__OpResult *res)
{
	struct why gone = WHY(GONE, .subject = node_name(c, vm->node));

	if (res->observed == HV__OBSERVED__OBSERVED_RUNNING)
		vm_running(c, vm, why_same(&vm->reason));
	else if (res->observed == HV__OBSERVED__OBSERVED_ABSENT)
		vm_absent(c, vm, gone);
	else if (res->observed == HV__OBSERVED__OBSERVED_PAUSED && !vm->arriving)
		vm_move(c, vm, VM_PAUSED, /* its storage has failed again */
			WHY(PAUSED_OUTSIDE, .subject = node_name(c, vm->node), .text = res->text));
	else
		vm_again_later(c, vm,
			       WHY(BACKOFF, .text = res->text,
				   .number = c->tuning.start_retry_us / HV_US_PER_MS));
	if (vm->state == VM_RESUMING && vm->tries >= RESUME_TRIES &&
	    res->observed == HV__OBSERVED__OBSERVED_INCOMING)
		vm_move(c, vm, VM_STOPPING,
			WHY(MIGRATION_FAILED, .subject = node_name(c, vm->node),
			    .text = "its copy there cannot be made to run"));
}

static void pause_result(struct cluster *c, struct vm *vm, const Hv__OpResult *res)
{
	if (res->observed == HV__OBSERVED__OBSERVED_PAUSED) {
		vm_move(c, vm, VM_PAUSED, why_same(&vm->reason));
	} else if (res->observed == HV__OBSERVED__OBSERVED_ABSENT) {
		vm_absent(c, vm, WHY(GONE, .subject = node_name(c, vm->node)));
	} else {
		vm->want_paused = false; /* a pause is asked for once, not for ever */
		vm_touch(c, vm);
		request_end(c, vm, res->rc ? res->rc : HV_FAILED, res->text);
	}
}

/* The outcome was not known; its source has no doubt now. */
static void found_arrived(struct cluster *c, struct vm *vm)
{
	vm_reason(c, vm, WHY(REPORTED, .subject = node_name(c, vm->node)));
	migrate_arrived(c, vm, vm->want_paused);
}

static void probe_result(struct cluster *c, struct vm *vm, const Hv__OpResult *res)
{
	if (res->observed == HV__OBSERVED__OBSERVED_UNKNOWN)
		vm_again_later(c, vm, unknown(c, vm));
	else if (res->observed == HV__OBSERVED__OBSERVED_ABSENT && vm->attempts && !vm->target &&
		 !vm->seen_on)
		vm_start_failed(c, vm, "it does not run");
	else if (res->observed == HV__OBSERVED__OBSERVED_ABSENT && vm->target &&
		 res->cause == HV__CAUSE__CAUSE_MIGRATED)
		found_arrived(c, vm);
	else
		vm_owner_says(c, vm, res->observed, WHY(GONE, .subject = node_name(c, vm->node)));
}

static void own_result(struct cluster *c, struct vm *vm, struct operation *op,
		       const Hv__OpResult *res)
{
	enum hv_rc rc = result_good(op->kind, res) ? HV_OK : res->rc ? res->rc : HV_FAILED;

	op_end(c, op, rc, res->text);
	switch (op->kind) {
	case OP_VM_START:
		start_result(c, vm, res, op->cancel);
		return;
	case OP_VM_STOP:
	case OP_VM_DESTROY:
		stop_result(c, vm, res);
		return;
	case OP_VM_MIGRATE:
		migrate_result(c, vm, op, res);
		return;
	case OP_VM_RESUME:
		resume_result(c, vm, res);
		return;
	case OP_VM_PAUSE:
		pause_result(c, vm, res);
		return;
	case OP_VM_PROBE:
		probe_result(c, vm, res);
		return;
	case OP_VM_RESET:
		guest_reset_result(c, vm, op, res);
		return;
	case OP_NONE:
	case OP_FENCE:
	case OP_FENCE_TEST:
	case OP_NODE_DRAIN:
	case OP_NODE_SHUTDOWN:
	case OP_VM_REQUEST:
		return;
	}
}

static void copy_result(struct cluster *c, struct operation *op, const Hv__OpResult *res)
{
	if (res->observed == HV__OBSERVED__OBSERVED_ABSENT) {
		op_end(c, op, HV_OK, res->text);
		c->freed = true;
		return;
	}
	if (op->deadline_us || MUTANT(copy_never_retried))
		return; /* answered already, waits for its next attempt */
	op->deadline_us = c->now_us + backoff_us(c->tuning.start_retry_us,
						 c->tuning.start_retry_max_us, op->attempt);
	op_touch(c, op);
	if (op->attempt >= STOP_TRIES)
		cannot_stop(c, vm_get(c, op->vm), op->node, res->text);
}

void vm_op_result(struct cluster *c, struct operation *op, const Hv__OpResult *res)
{
	struct vm *vm = vm_get(c, op->vm);

	if (vm && vm->op == op->id)
		own_result(c, vm, op, res);
	else if (op->kind == OP_VM_DESTROY)
		copy_result(c, op, res);
}
