/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is done with a VM next: operations are begun, and called off where they serve nothing. */
#include "proto/mutant.h"
#include "resource/arm.h"
#include "resource/failover.h"
#include "resource/journal.h"
#include "resource/operation.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"

bool vm_start_on(struct cluster *c, struct vm *vm, hv_node_id node, const char *text)
{
	struct why why = WHY(PLACED, .subject = node_name(c, node), .text = text);

	hv_assert(vm->state == VM_PENDING && vm->node == 0 && vm->op == 0);
	hv_assert(vm->stale_ops == 0 || MUTANT(start_beside_stale_copy));
	hv_assert(node_reachable(node_get(c, node)));
	if (!op_room(c))
		return false;
	if (vm->recover_from)
		why = WHY(RECOVERED, .subject = node_name(c, vm->recover_from));
	if (vm->prefer != node) { /* they were another node's */
		vm->local_tries = 0;
		vm->crashes_here = MUTANT(crashes_follow) ? vm->crashes_here : 0;
	}
	vm_set_node(c, vm, node);
	vm->epoch += !MUTANT(ownership_epoch_stays);
	vm->prefer = 0;
	vm_move(c, vm, VM_STARTING, why);
	op_begin(c,
		 &(struct op_spec){.kind = OP_VM_START,
				   .vm = vm,
				   .node = node,
				   .timeout_s = c->tuning.start_timeout_s,
				   .parent = vm->request},
		 vm);
	failover_vm_placed(c, vm);
	return true;
}

bool vm_migrate_to(struct cluster *c, struct vm *vm, hv_node_id target, hv_op_id parent,
		   struct why why)
{
	struct op_spec spec = {.kind = OP_VM_MIGRATE,
			       .vm = vm,
			       .node = vm->node,
			       .target = target,
			       .timeout_s = c->tuning.migrate_timeout_s,
			       .parent = parent};

	hv_assert((vm->state == VM_RUNNING || vm->state == VM_PAUSED) && vm->op == 0);
	hv_assert(target != vm->node && vm->stale_ops == 0);
	if ((vm_held(vm) && !MUTANT(lock_ignored)) || !op_room(c))
		return false;
	if (vm->state == VM_PAUSED)
		spec.flags = OP_F_PAUSED;
	vm_set_target(c, vm, target);
	vm_move(c, vm, VM_MIGRATING, why);
	op_begin(c, &spec, vm);
	return true;
}

bool vm_relocate(struct cluster *c, struct vm *vm, struct why why)
{
	hv_assert(vm->state == VM_RUNNING && vm->op == 0 && vm->intent == INTENT_STARTED);
	if (vm_held(vm) && !MUTANT(lock_ignored))
		return false;
	vm_move(c, vm, VM_STOPPING, why);
	vm->relocating = true;
	return true;
}

bool vm_move_to(struct cluster *c, struct vm *vm, hv_node_id target, hv_op_id parent,
		struct why why)
{
	if (vm->live_migration)
		return vm_migrate_to(c, vm, target, parent, why);
	if (!vm_relocate(c, vm, why))
		return false; /* and nothing is changed */
	vm->prefer = target;
	return true;
}

/* The state's own operation, if its node can take it now. */
static void vm_begin(struct cluster *c, struct vm *vm, enum op_kind kind, uint32_t timeout_s)
{
	struct op_spec spec = {.kind = kind,
			       .vm = vm,
			       .node = vm->node,
			       .timeout_s = timeout_s,
			       .parent = vm->request};

	if (vm->retry_us || !node_reachable(node_get(c, vm->node)))
		return;
	if (!op_begin(c, &spec, vm))
		vm_set_retry(c, vm, c->now_us + HV_US_PER_S);
}

static void vm_begin_stop(struct cluster *c, struct vm *vm)
{
	const struct operation *req = request_of(c, vm);
	uint32_t timeout_s = vm->stop_timeout_s ? vm->stop_timeout_s : c->tuning.stop_timeout_s;
	bool force = req && (req->flags & OP_F_FORCE);

	if (req && req->timeout_s)
		timeout_s = req->timeout_s;
	/* Meant to run and yet stopping: a copy that its start left paused. */
	if (force || vm->tries || (vm->intent == INTENT_STARTED && !vm->relocating))
		vm_begin(c, vm, OP_VM_DESTROY, c->tuning.start_timeout_s);
	else
		vm_begin(c, vm, OP_VM_STOP, timeout_s);
}

/* An operation is in progress: does it still serve what is wanted? */
static void vm_settle_busy(struct cluster *c, struct vm *vm)
{
	struct operation *op = op_get(c, vm->op);
	const struct operation *req = request_of(c, vm);
	bool stop = vm->intent == INTENT_STOPPED;
	bool back = !stop && !vm->relocating; /* it was to stop, and is to run again */

	hv_assert(op && op->state == OP_RUNNING);
	if (vm_held(vm))
		return;
	if (stop && (op->kind == OP_VM_START || op->kind == OP_VM_MIGRATE))
		op_cancel(c, op);
	if (stop && op->kind == OP_VM_RESET)
		op_cancel(c, op);
	if (vm->stale_ops && op->kind == OP_VM_START)
		op_cancel(c, op); /* a copy turned up meanwhile: it goes first */
	if (op->kind == OP_VM_STOP && (back || (req && (req->flags & OP_F_FORCE))))
		op_cancel(c, op);
}

static void vm_settle_removed(struct cluster *c, struct vm *vm)
{
	if (vm->stale_ops)
		return;
	journal_why(c, SEV_NOTICE, "vm", vm->name, vm_state_name(vm->state), "removed",
		    why_same(&vm->reason));
	request_end(c, vm, HV_OK, NULL);
	vm_delete(c, vm);
}

static void vm_settle_stopped(struct cluster *c, struct vm *vm)
{
	if (vm->removing)
		vm_settle_removed(c, vm);
	else if (vm->intent == INTENT_STARTED && !vm_held(vm))
		vm_move(c, vm, VM_PENDING, why_same(&vm->reason));
}

/* It waits to be started. */
static void vm_settle_down(struct cluster *c, struct vm *vm)
{
	if (vm->intent == INTENT_STOPPED)
		vm_absent(c, vm, why_same(&vm->reason));
	else if (vm->state == VM_FAILED && vm->retry_us == 0 && !vm->given_up &&
		 !MUTANT(failed_for_ever))
		vm_move(c, vm, VM_PENDING, why_same(&vm->reason));
	else if (vm->state == VM_PENDING && vm_held(vm))
		vm_reason(c, vm, vm_held_why(vm));
}

/* Those that need it are stopped first, unless it is to be destroyed at once. */
static bool must_wait_to_stop(struct cluster *c, const struct vm *vm)
{
	const struct operation *req = request_of(c, vm);

	return vm->n_rules && !(req && (req->flags & OP_F_FORCE)) && rules_hold_stop(vm);
}

static void vm_settle_up(struct cluster *c, struct vm *vm)
{
	bool stop = vm->intent == INTENT_STOPPED && !vm_held(vm);
	bool doubtful = vm->reason.code == REASON_UNKNOWN && vm->state != VM_RESUMING;

	if (doubtful && node_reachable(node_get(c, vm->node)))
		vm_move(c, vm, VM_CHECKING,
			why_same(&vm->reason)); /* its node can tell again: ask */
	else if (stop && !must_wait_to_stop(c, vm))
		vm_move(c, vm, VM_STOPPING, why_same(&vm->reason));
	else if (stop)
		return;
	else if (vm->state == VM_RUNNING && vm->want_paused && !vm_held(vm))
		vm_begin(c, vm, OP_VM_PAUSE, c->tuning.start_timeout_s);
	else if (vm->state == VM_PAUSED && vm->arriving && !vm->want_paused)
		vm_move(c, vm, VM_RESUMING, why_same(&vm->reason));
	else if (vm->state == VM_RESUMING && vm->want_paused)
		vm_move(c, vm, VM_PAUSED, why_same(&vm->reason));
	else if (vm->state == VM_RESUMING)
		vm_begin(c, vm, OP_VM_RESUME, c->tuning.start_timeout_s);
}

/* What goes on though the cluster is disarmed: the end of a migration, questions, and what begins
 * nothing. */
static bool finishes(const struct vm *vm)
{
	if (vm->op || vm->node == 0)
		return true;
	return vm->intent == INTENT_STARTED &&
	       (vm->state == VM_RESUMING || vm->state == VM_CHECKING ||
		(vm->state == VM_PAUSED && vm->arriving) || vm->reason.code == REASON_UNKNOWN);
}

void vm_settle(struct cluster *c, struct vm *vm)
{
	if (!is_armed(c) && !finishes(vm))
		return;
	if (vm->op) {
		vm_settle_busy(c, vm);
		return;
	}
	if (vm->removing && !vm->managed) {
		vm_settle_removed(c, vm); /* whatever it does */
		return;
	}
	switch (vm->state) {
	case VM_STOPPED:
		vm_settle_stopped(c, vm);
		return;
	case VM_PENDING:
	case VM_FAILED:
	case VM_BLOCKED:
		vm_settle_down(c, vm);
		return;
	case VM_RUNNING:
	case VM_PAUSED:
	case VM_RESUMING:
		vm_settle_up(c, vm);
		return;
	case VM_STOPPING:
		if (!vm_held(vm) && (!vm->relocating || vm->tries || !rules_hold_restart(c, vm)))
			vm_begin_stop(c, vm);
		return;
	case VM_CHECKING:
		vm_begin(c, vm, OP_VM_PROBE, c->tuning.start_timeout_s);
		return;
	case VM_STARTING:
	case VM_MIGRATING:
		hv_panic(__FILE__, __LINE__, "a VM that starts or migrates has no operation");
	case VM_FROZEN:
		if (vm->intent == INTENT_STOPPED && vm->node == 0)
			vm_absent(c, vm, why_same(&vm->reason));
		return;
	case VM_RECOVERING:
		if (vm->managed == (vm->reason.code == REASON_UNMANAGED))
			vm_reason(c, vm, vm_why_recovering(c, vm));
		return;
	}
}
