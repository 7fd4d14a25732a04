/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests: what a client waits for, ended when the VM has arrived where it was asked to, or
 * cannot. */
#include "resource/guest_health.h"
#include "resource/operation.h"
#include "resource/placement.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"

#define REQUEST_SPARE_S 600

struct operation *request_of(struct cluster *c, const struct vm *vm)
{
	return vm->request ? op_get(c, vm->request) : NULL;
}

void request_end(struct cluster *c, struct vm *vm, enum hv_rc rc, const char *text)
{
	struct operation *req = request_of(c, vm);

	if (!req)
		return;
	op_end(c, req, rc, text);
	/* As when it comes to run: vm_move(). */
	if (c->tuning.preemption && c->blocked.count)
		c->freed = true;
}

/*
 * A client that waits is told something after this long, however it stands. Generous: longer than
 * the work itself may take, a queue before it included.
 */
static uint64_t request_limit_us(const struct cluster *c, const struct vm *vm, enum vm_request r,
				 uint32_t timeout_s)
{
	uint64_t s = REQUEST_SPARE_S, stop_s = c->tuning.stop_timeout_s;

	if (vm->stop_timeout_s)
		stop_s = vm->stop_timeout_s;
	if (timeout_s)
		stop_s = timeout_s;
	switch (r) {
	case REQ_START:
		s += 10ULL * c->tuning.start_timeout_s;
		break;
	case REQ_STOP:
	case REQ_REMOVE:
		s += stop_s;
		break;
	case REQ_MIGRATE:
		s += c->tuning.migrate_timeout_s + stop_s;
		break;
	case REQ_PAUSE:
	case REQ_RESUME:
	case REQ_RESET:
	case REQ_NONE:
		break;
	}
	return s * HV_US_PER_S;
}

struct operation *request_begin(struct cluster *c, struct vm *vm, enum vm_request r, uint32_t flags,
				uint32_t timeout_s, hv_node_id target)
{
	struct op_spec spec = {.kind = OP_VM_REQUEST,
			       .vm = vm,
			       .target = target,
			       .timeout_s = timeout_s,
			       .flags = flags | OP_F_REQUEST(r),
			       .deadline_us = c->now_us + request_limit_us(c, vm, r, timeout_s)};

	request_end(c, vm, HV_SUPERSEDED, NULL);
	vm_dirty(c, vm);
	return op_begin(c, &spec, NULL);
}

static void end_with_reason(struct cluster *c, struct vm *vm, enum hv_rc rc)
{
	_cleanup_free_ char *text = reason_sentence(&vm->reason);

	request_end(c, vm, rc, text);
}

static void settle_start(struct cluster *c, struct vm *vm)
{
	if (vm->state == VM_RUNNING || vm->state == VM_PAUSED)
		request_end(c, vm, HV_OK, NULL);
	else if (vm->state == VM_FAILED)
		end_with_reason(c, vm, HV_FAILED);
	else if (vm->state == VM_BLOCKED)
		end_with_reason(c, vm, HV_NO_CAPACITY);
	else if (vm->state == VM_STOPPED)
		end_with_reason(c, vm, HV_CANCELLED);
}

/* By stop and start: what is on its way to run again is waited for. */
static void settle_offline_move(struct cluster *c, struct vm *vm, const struct operation *req)
{
	_cleanup_free_ char *text = NULL;

	if (vm->state == VM_STOPPED || vm->state == VM_FAILED || vm->state == VM_BLOCKED ||
	    vm->state == VM_RECOVERING)
		end_with_reason(c, vm, vm->state == VM_RECOVERING ? HV_NODE_LOST : HV_FAILED);
	if (vm->state != VM_RUNNING)
		return;
	text = hv_xasprintf("it was started on %s", node_name(c, vm->node));
	request_end(c, vm, vm->node == req->target ? HV_OK : HV_FAILED,
		    vm->node == req->target ? NULL : text);
}

/* It does not run any more: what happened to it, and what comes next. Caller frees. */
static char *lost_on_the_way(struct cluster *c, const struct vm *vm)
{
	_cleanup_free_ char *why = reason_sentence(&vm->reason);
	const char *node = node_name(c, vm->node);

	if (vm->state == VM_RECOVERING && vm->managed)
		return hv_xasprintf("%s was lost before it had moved: it is started elsewhere when "
				    "%s is proven off",
				    node, node);
	if (vm->state == VM_STARTING)
		return hv_xasprintf("it ended before it had moved, and is being started anew on %s",
				    node);
	if (vm->state == VM_PENDING || vm->state == VM_BLOCKED || vm->state == VM_FAILED)
		return hv_xasprintf("it ended before it had moved, and is to be started anew: %s",
				    why);
	return hv_xasprintf("it is %s now: %s", vm_state_name(vm->state), why);
}

static void settle_migrate(struct cluster *c, struct vm *vm, const struct operation *req)
{
	_cleanup_free_ char *text = NULL;
	bool up = vm->state == VM_RUNNING || vm->state == VM_PAUSED;

	if (req->flags & OP_F_OFFLINE)
		settle_offline_move(c, vm, req);
	else if (req->done && up)
		request_end(c, vm, HV_OK, NULL);
	else if (!up && vm->state != VM_MIGRATING && vm->state != VM_CHECKING &&
		 vm->state != VM_RESUMING) {
		text = lost_on_the_way(c, vm);
		request_end(c, vm, vm->state == VM_RECOVERING ? HV_NODE_LOST : HV_FAILED, text);
	}
}

static void settle_resume(struct cluster *c, struct vm *vm)
{
	if (vm->state == VM_RUNNING)
		request_end(c, vm, HV_OK, NULL);
	else if (vm->state != VM_RESUMING && (vm->state != VM_PAUSED || !vm->arriving))
		end_with_reason(c, vm, HV_FAILED);
}

static bool waits_for_a_person(struct cluster *c, const struct vm *vm)
{
	const struct node *n = node_get(c, vm->node);

	return vm->state == VM_FROZEN ||
	       (vm->state == VM_RECOVERING && n && n->reason.code == REASON_NO_FENCE_DEVICE);
}

void request_settle(struct cluster *c, struct vm *vm)
{
	struct operation *req = request_of(c, vm);

	if (!req)
		return;
	switch (op_request(req)) {
	case REQ_START:
		settle_start(c, vm);
		break;
	case REQ_STOP:
		if (vm->state == VM_STOPPED)
			request_end(c, vm, HV_OK, NULL);
		break;
	case REQ_MIGRATE:
		settle_migrate(c, vm, req);
		break;
	case REQ_PAUSE:
		if (vm->state == VM_PAUSED)
			request_end(c, vm, HV_OK, NULL);
		else if (vm->state != VM_RUNNING)
			end_with_reason(c, vm, HV_FAILED);
		break;
	case REQ_RESUME:
		settle_resume(c, vm);
		break;
	case REQ_RESET: /* ended by its result, or when there is nothing to be reset any more */
		if (!vm->guest.asked && (!vm->op || op_get(c, vm->op)->kind != OP_VM_RESET))
			end_with_reason(c, vm, HV_FAILED);
		break;
	case REQ_REMOVE: /* ended by the removal */
	case REQ_NONE:
		break;
	}
	if (vm->request && waits_for_a_person(c, vm)) {
		const struct node *n = node_get(c, vm->node);
		_cleanup_free_ char *text =
		    reason_sentence(vm->state == VM_FROZEN ? &vm->reason : &n->reason);

		request_end(c, vm, HV_HELD, text);
	}
}

static const char *goes_on(const struct vm *vm, enum vm_request r)
{
	switch (r) {
	case REQ_START:
		return "it is started as soon as that is possible";
	case REQ_STOP:
		return "the cluster goes on trying to stop it";
	case REQ_REMOVE:
		return "it is removed once it is stopped";
	case REQ_MIGRATE:
		return vm->target || vm->relocating ? "its move goes on"
						    : "it is not moved any more";
	case REQ_PAUSE:
		return "it is not paused any more";
	case REQ_RESUME:
		return "it is resumed as soon as that is possible";
	case REQ_RESET:
		return "it is not reset any more";
	case REQ_NONE:
		break;
	}
	return "";
}

static void overdue(struct cluster *c, struct vm *vm, const struct operation *req)
{
	enum vm_request r = op_request(req);
	_cleanup_free_ char *why = reason_sentence(&vm->reason);
	_cleanup_free_ char *text =
	    hv_xasprintf("after %llu s it is %s (%s); %s",
			 (unsigned long long)((c->now_us - req->began_us) / HV_US_PER_S),
			 vm_state_name(vm->state), why, goes_on(vm, r));

	if (r == REQ_PAUSE && !vm->op)
		vm->want_paused = false; /* a pause is asked for once, not for ever */
	if (r == REQ_RESET)
		guest_ask_reset(c, vm, false);
	request_end(c, vm, HV_TIMEOUT, text);
}

void request_overdue(struct cluster *c)
{
	while (c->due.count) {
		const struct operation *req = c->due.items[0];

		if (req->deadline_us > c->now_us)
			return;
		overdue(c, vm_get(c, req->vm), req);
	}
}

static void begin_move(struct cluster *c, struct vm *vm, struct operation *req)
{
	bool live = vm->live_migration;

	if (vm_move_to(c, vm, req->target, req->id, why_same(&vm->reason)) && !live)
		req->flags |= OP_F_OFFLINE;
}

/* A guest that is paused cannot shut itself down, and would lose what it has in memory. */
static bool cannot_move(const struct vm *vm)
{
	return !vm->live_migration && vm->state == VM_PAUSED;
}

static void move_one(struct cluster *c, struct vm *vm, struct operation *req)
{
	hv_node_id target = req->target;
	const struct node *source = node_get(c, vm->node);
	enum fit fit;

	if (vm->op || req->done || (req->flags & OP_F_OFFLINE) || vm->stale_ops ||
	    (vm->state != VM_RUNNING && vm->state != VM_PAUSED))
		return;
	if (vm_held(vm)) {
		_cleanup_free_ char *text = why_sentence(vm_held_why(vm));

		request_end(c, vm, HV_REFUSED, text);
		return;
	}
	if (cannot_move(vm)) {
		request_end(c, vm, HV_REFUSED, "it is paused, and not to be migrated live");
		return;
	}
	if (rules_awaited(vm) || !node_reachable(source) ||
	    source->migrations_running >= c->tuning.migrate_parallel)
		return;
	if (req->flags & OP_F_NAMED)
		fit = placement_fit(c, vm, node_get(c, target), true);
	else
		fit = placement_pick(c, vm, true, &target);
	if (fit == FIT_OK) {
		req->target = target;
		op_touch(c, req);
		begin_move(c, vm, req);
	} else if (fit != FIT_BUSY) {
		_cleanup_free_ char *text = placement_why_none(c, vm, true);

		request_end(c, vm, HV_NO_CAPACITY, text);
	}
}

void request_move(struct cluster *c)
{
	size_t count = c->movers.count;
	_cleanup_free_ struct vm **vms = hv_xmemdup(c->movers.items, count * sizeof(*vms));

	for (size_t i = 0; i < count; i++) {
		struct operation *req = request_of(c, vms[i]);

		if (req && op_request(req) == REQ_MIGRATE)
			move_one(c, vms[i], req);
	}
}
