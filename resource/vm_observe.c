/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nodes say without being asked: a VM changed, or all that a node runs. */
#include "resource/arm.h"
#include "resource/operation.h"
#include "proto/mutant.h"
#include "resource/vm_machine.h"

/* Someone may be at work there: it is told of again when that is over. */
static void destroy_seen(struct cluster *c, struct vm *vm, hv_node_id node)
{
	if (!is_left_alone(c))
		vm_destroy_copy(c, vm, node);
}

#define MOVED_AWAY_US (10 * HV_US_PER_S)

/* Its owner has it: what was seen elsewhere is nobody's. Not managed, it is left alone even so. */
static void forget_seen(struct cluster *c, struct vm *vm)
{
	if (vm->seen_on && vm->managed)
		destroy_seen(c, vm, vm->seen_on);
	vm->seen_on = 0;
	vm_touch(c, vm);
}

static void owner_runs(struct cluster *c, struct vm *vm)
{
	struct why why = WHY(REPORTED, .subject = node_name(c, vm->node));

	if (vm->target) { /* CHECKING: the migration did not happen */
		vm->want_paused = false;
		vm_migrate_failed(c, vm, HV__OBSERVED__OBSERVED_RUNNING, false, false, HV_FAILED,
				  NULL);
		return;
	}
	forget_seen(c, vm);
	if (vm->state == VM_STOPPING && vm->intent == INTENT_STOPPED && !vm_held(vm))
		return;
	if (vm->state == VM_RUNNING && vm->reason.code != REASON_UNKNOWN)
		return;
	if (vm->state == VM_PAUSED)
		vm->want_paused = false; /* someone let it run, not through us */
	if (vm->state == VM_RECOVERING || vm->state == VM_FROZEN)
		why = WHY(NODE_RETURNED, .subject = node_name(c, vm->node));
	vm_running(c, vm, why);
}

/* What was not known is known now; any other reason stands. */
static struct why why_known(struct cluster *c, const struct vm *vm)
{
	if (vm->reason.code == REASON_UNKNOWN)
		return WHY(REPORTED, .subject = node_name(c, vm->node));
	return why_same(&vm->reason);
}

static void owner_has_it_paused(struct cluster *c, struct vm *vm, const char *text)
{
	struct why outside = WHY(PAUSED_OUTSIDE, .subject = node_name(c, vm->node), .text = text);

	if (vm->target) {
		vm_migrate_failed(c, vm, HV__OBSERVED__OBSERVED_PAUSED, false, false, HV_FAILED,
				  NULL);
		return;
	}
	forget_seen(c, vm);
	if (vm->state == VM_STOPPING || vm->state == VM_PAUSED || vm->state == VM_RESUMING)
		return;
	if (vm->want_paused) {
		vm_move(c, vm, VM_PAUSED, why_known(c, vm));
	} else if (vm->arriving) {
		/* Ownership has come to it by a committed migration: it is the only copy. What was
		 * paused before it came stays so, though it has never run there. */
		vm_move(c, vm, VM_RESUMING, why_known(c, vm));
	} else {
		vm_move(c, vm, VM_PAUSED, outside);
	}
}

/* It ended on its owner without being asked: meant to run, it is started again, after a pause when
 * that repeats. */
static void owner_lost_it(struct cluster *c, struct vm *vm, struct why gone)
{
	bool ran = vm->state == VM_RUNNING || vm->state == VM_PAUSED;
	/* Not by a person's hand, nor by the guest's own. */
	bool crashed = (gone.code == REASON_CRASHED && gone.number) || MUTANT(any_end_is_a_crash);
	hv_node_id node = vm->node;

	if (vm->state == VM_RECOVERING || vm->state == VM_FROZEN)
		vm_unlock(c, vm, WHY(NODE_RETURNED, .subject = node_name(c, node)));
	if (ran && c->now_us - vm->since_us > c->tuning.restart_window_us)
		vm->restarts = vm->crashes_here = vm->crash_moves = 0;
	else if (ran && vm->restarts < UINT32_MAX)
		vm->restarts++;
	if (ran && crashed && vm->crashes_here < UINT32_MAX)
		vm->crashes_here++;
	vm_absent(c, vm, gone);
	if (vm->state == VM_PENDING)
		vm->prefer = node; /* it is no worse than any other, and has been its place */
	if (ran && crashed)
		vm_crashed_again(c, vm, node);
	if (ran && vm->state == VM_PENDING && vm->restarts > 1)
		vm_set_retry(c, vm,
			     c->now_us + backoff_us(c->tuning.start_retry_us,
						    c->tuning.start_retry_max_us,
						    vm->restarts - 1));
}

void vm_owner_says(struct cluster *c, struct vm *vm, Hv__Observed observed, struct why gone)
{
	if (vm->op)
		return; /* its result tells, in the right order */
	if (MUTANT(unknown_taken_for_absent) && observed == HV__OBSERVED__OBSERVED_UNKNOWN)
		observed = HV__OBSERVED__OBSERVED_ABSENT;
	switch (observed) {
	case HV__OBSERVED__OBSERVED_RUNNING:
		owner_runs(c, vm);
		return;
	case HV__OBSERVED__OBSERVED_PAUSED:
	case HV__OBSERVED__OBSERVED_INCOMING:
		owner_has_it_paused(c, vm, gone.text);
		return;
	case HV__OBSERVED__OBSERVED_ABSENT:
		owner_lost_it(c, vm, gone);
		return;
	case HV__OBSERVED__OBSERVED_UNKNOWN:
	case _HV__OBSERVED_IS_INT_SIZE:
		break;
	}
	if (vm->state == VM_RECOVERING || vm->state == VM_FROZEN)
		vm_move(c, vm, VM_CHECKING, WHY(UNKNOWN, .subject = node_name(c, vm->node)));
	else if (vm->state == VM_RUNNING || vm->state == VM_PAUSED)
		vm_reason(c, vm, WHY(UNKNOWN, .subject = node_name(c, vm->node)));
}

/*
 * Whoever works by hand is not disturbed. True: that is all; a copy that is still not
 * where it belongs is told of again when the cluster is armed. The VM of a lost node is where it
 * was started by hand.
 */
static bool follow_hands(struct cluster *c, struct vm *vm, hv_node_id node, bool runs)
{
	const struct node *owner = node_get(c, vm->node);
	bool lost = owner && (owner->state == NODE_LOST || owner->state == NODE_FENCING);

	if (!runs || vm->op || vm->stale_ops)
		return true;
	if (!lost)
		return owner && !node_reachable(owner);
	vm_set_node(c, vm, node);
	vm->epoch++;
	vm_running(c, vm, WHY(ADOPTED, .subject = node_name(c, node)));
	return true;
}

void vm_copy_seen(struct cluster *c, struct vm *vm, hv_node_id node, Hv__Observed observed)
{
	bool runs = observed == HV__OBSERVED__OBSERVED_RUNNING;
	bool calm = vm->state == VM_RUNNING || vm->state == VM_PAUSED ||
		    (vm->state == VM_CHECKING && !vm->target);
	/* What a rejoining node brings along is old: no need to ask the owner. */
	bool ask = node_reachable(node_get(c, node)) && node_reachable(node_get(c, vm->node));

	if (observed == HV__OBSERVED__OBSERVED_ABSENT && vm->seen_on == node) {
		vm->seen_on = 0;
		vm_touch(c, vm);
	}
	if (observed == HV__OBSERVED__OBSERVED_ABSENT || observed == HV__OBSERVED__OBSERVED_UNKNOWN)
		return;
	if (vm->target == node)
		return; /* the source's answer decides */
	if (is_left_alone(c) && follow_hands(c, vm, node, runs))
		return;
	if (!vm->managed && (!runs || !ask) && vm->node)
		return; /* someone else moves it */
	if (runs && vm->node == 0 && vm->stale_ops == 0) {
		vm_adopt(c, vm, node);
	} else if (runs && ask && calm && !vm->op && !vm->stale_ops) {
		/* Moved behind our back, or twice: its owner is asked before anything is done. */
		if (vm->seen_on && vm->seen_on != node)
			destroy_seen(c, vm, node);
		else
			vm->seen_on = node;
		vm_touch(c, vm);
		if (vm->state != VM_CHECKING)
			vm_move(c, vm, VM_CHECKING,
				WHY(UNKNOWN, .subject = node_name(c, vm->node)));
	} else if (vm->seen_on != node && !MUTANT(stale_copy_stays)) {
		destroy_seen(c, vm, node);
	}
}

static struct why why_gone(struct cluster *c, const struct vm *vm, const Hv__DomainSeen *d)
{
	const char *owner = node_name(c, vm->node);

	switch (d->cause) {
	case HV__CAUSE__CAUSE_GUEST_SHUTDOWN:
		return WHY(GUEST_STOPPED, .subject = owner);
	case HV__CAUSE__CAUSE_CRASHED:
		return WHY(CRASHED, .subject = owner, .number = 1, .text = "crashed");
	case HV__CAUSE__CAUSE_FAILED:
		return WHY(CRASHED, .subject = owner, .number = 1, .text = "its emulator failed");
	case HV__CAUSE__CAUSE_WATCHDOG:
		return WHY(CRASHED, .subject = owner, .number = 1, .text = "its watchdog");
	case HV__CAUSE__CAUSE_DESTROYED:
		return WHY(CRASHED, .subject = owner, .text = "destroyed, not by the cluster");
	case HV__CAUSE__CAUSE_IO_ERROR:
		return WHY(GONE, .subject = owner, .text = "I/O error");
	case HV__CAUSE__CAUSE_NONE:
	case HV__CAUSE__CAUSE_MIGRATED:
	case HV__CAUSE__CAUSE_ADMIN:
	case _HV__CAUSE_IS_INT_SIZE:
		break;
	}
	return WHY(GONE, .subject = owner);
}

void vm_observed(struct cluster *c, const Hv__VmObserved *ev)
{
	const struct node *n = node_get(c, ev->node);
	struct vm *vm = vm_get(c, ev->domain->uuid);

	/* A node that has not reported yet will tell all; one that is not a member has nothing to
	 * say. */
	if (!vm || !n || n->state != NODE_ONLINE)
		return;
	if (vm->node != n->id)
		vm_copy_seen(c, vm, n->id, ev->domain->observed);
	else
		vm_owner_says(c, vm, ev->domain->observed, why_gone(c, vm, ev->domain));
	/* Someone else migrated it: the host that has it now will say so. */
	if (ev->domain->cause == HV__CAUSE__CAUSE_MIGRATED && vm->state == VM_PENDING &&
	    ev->domain->observed == HV__OBSERVED__OBSERVED_ABSENT && vm->prefer == n->id)
		vm_set_retry(c, vm, c->now_us + MOVED_AWAY_US);
}

static int seen_cmp(const void *a, const void *b)
{
	return strcmp(((const Hv__DomainSeen *)a)->uuid, ((const Hv__DomainSeen *)b)->uuid);
}

/* The VMs it owns, walked on a copy of the list: facts move them out of it. */
static void reconcile_owned(struct cluster *c, struct node *n, const Hv__NodeReport *report,
			    const struct set *seen)
{
	size_t count = n->owned.count;
	_cleanup_free_ struct vm **owned = hv_xmemdup(n->owned.items, count * sizeof(*owned));

	for (size_t i = 0; i < count; i++) {
		struct vm *vm = owned[i];
		Hv__DomainSeen key = {.uuid = vm->uuid};
		const Hv__DomainSeen *d = set_find(seen, &key);
		struct why gone = WHY(GONE, .subject = n->name);

		if (!report->inventory_known && !MUTANT(no_inventory_is_empty))
			vm_owner_says(c, vm, HV__OBSERVED__OBSERVED_UNKNOWN, gone);
		else
			vm_owner_says(c, vm, d ? d->observed : HV__OBSERVED__OBSERVED_ABSENT, gone);
	}
}

void vm_reconcile(struct cluster *c, struct node *n, const Hv__NodeReport *report)
{
	struct set seen;

	set_init(&seen, seen_cmp);
	for (size_t i = 0; report->inventory_known && i < report->n_domains; i++)
		set_append(&seen, report->domains[i]);
	set_sort(&seen);
	reconcile_owned(c, n, report, &seen);
	for (size_t i = 0; i < seen.count && op_room(c); i++) {
		const Hv__DomainSeen *d = seen.items[i];
		struct vm *vm = vm_get(c, d->uuid);

		if (vm && vm->node != n->id)
			vm_copy_seen(c, vm, n->id, d->observed);
	}
	set_done(&seen);
}
