/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starts that fail, and crashes: how often a VM is tried where, and when it is given up. */
#include "proto/mutant.h"
#include "resource/failover.h"
#include "resource/journal.h"
#include "resource/placement.h"
#include "resource/vm_machine.h"

static bool vm_avoids(const struct vm *vm, hv_node_id node)
{
	for (size_t i = 0; i < vm->n_avoid; i++)
		if (vm->avoid[i] == node)
			return true;
	return false;
}

/* Every try that it has is used up: it stays down until something is different. */
static void vm_give_up(struct cluster *c, struct vm *vm, hv_node_id node, const char *text)
{
	_cleanup_free_ char *why =
	    hv_xasprintf("%u times, at last on %s: %s", vm->attempts, node_name(c, node),
			 text && *text ? text : "no cause given");

	failover_vm_settled(c, vm, false, HV_FAILED);
	vm->recover_from = 0;
	vm_move(c, vm, VM_FAILED, WHY(GIVEN_UP, .text = why));
	vm->given_up = true;
}

void vm_start_failed(struct cluster *c, struct vm *vm, const char *text)
{
	hv_node_id node = vm->node;
	bool here = vm->local_tries < vm->start_retries;
	bool elsewhere = vm->relocations < vm->max_relocate;

	if (here)
		vm->local_tries++;
	else if (!vm_avoids(vm, node) && vm->n_avoid < HV_MAX_NODES)
		vm->avoid[vm->n_avoid++] = node;
	vm_absent(c, vm, WHY(START_FAILED, .subject = node_name(c, node), .text = text));
	if (vm->state != VM_PENDING)
		return; /* meanwhile it is not meant to run */
	if (here) {
		vm->prefer = node;
		vm_set_retry(c, vm,
			     c->now_us + backoff_us(c->tuning.start_retry_us,
						    c->tuning.start_retry_max_us, vm->local_tries));
	} else if (elsewhere) {
		if (vm->relocations < UINT32_MAX)
			vm->relocations++;
	} else {
		vm_give_up(c, vm, node, text);
	}
}

/* Is there another node for it now, or soon? Its own is left out then. */
static bool goes_elsewhere(struct cluster *c, struct vm *vm, hv_node_id node)
{
	hv_node_id other = 0;
	enum fit fit;

	if (vm_avoids(vm, node) || vm->n_avoid == HV_MAX_NODES)
		return false;
	vm->avoid[vm->n_avoid++] = node;
	vm->prefer = 0;
	fit = placement_pick(c, vm, false, &other);
	if ((fit == FIT_OK || fit == FIT_BUSY) && other != node)
		return true;
	vm->n_avoid--;
	vm->prefer = node;
	return false;
}

char *vm_why_it_stays(const struct cluster *c, const struct vm *vm)
{
	char *why;

	if (vm->crash_moves >= vm->max_relocate)
		return hv_xasprintf("it may be moved %u times for that (max_relocate)",
				    vm->max_relocate);
	why = placement_why_none(c, vm, vm->node != 0);
	if (*why)
		return why;
	free(why);
	return hv_xstrdup("no other node takes it");
}

static void stays(struct cluster *c, struct vm *vm, hv_node_id node)
{
	_cleanup_free_ char *text = vm_why_it_stays(c, vm);
	struct why why = WHY(CRASHES_STAYS, .subject = node_name(c, node),
			     .number = vm->crashes_here, .text = text);

	journal_why(c, SEV_WARNING, "vm", vm->name, "restarted", "started there again", why);
	vm_reason(c, vm, why);
}

void vm_crashed_again(struct cluster *c, struct vm *vm, hv_node_id node)
{
	uint32_t times = vm->crashes_here;

	if (vm->state != VM_PENDING || MUTANT(crash_never_relocates))
		return;
	if (times <= vm->restart_limit && !MUTANT(first_crash_relocates))
		return;
	if ((vm->crash_moves >= vm->max_relocate && !MUTANT(crash_moves_not_limited)) ||
	    !goes_elsewhere(c, vm, node)) {
		stays(c, vm, node);
		return;
	}
	vm->crashes_here = MUTANT(crashes_follow) ? times : 0;
	vm->crash_moves++;
	journal_why(c, SEV_WARNING, "vm", vm->name, "restarted", "started elsewhere",
		    WHY(CRASHES, .subject = node_name(c, node), .number = times));
}

bool vm_stays_after_all(struct cluster *c, struct vm *vm)
{
	if (vm->attempts || !vm->n_avoid)
		return false;
	vm->n_avoid = 0;
	if (vm->crash_moves)
		vm->crash_moves--;
	vm_touch(c, vm);
	return true;
}

void vm_forget_failures(struct cluster *c, struct vm *vm)
{
	vm->attempts = vm->restarts = 0;
	vm->local_tries = vm->relocations = 0;
	vm->crashes_here = vm->crash_moves = 0;
	vm->given_up = false;
	vm->n_avoid = 0;
	if (vm->retry_us)
		vm_set_retry(c, vm, 0);
	vm_touch(c, vm);
	vm_dirty(c, vm);
}

void vm_retry_given_up(struct cluster *c)
{
	for (size_t i = 0; c->vms_in_state[VM_FAILED] && i < c->vms.count; i++) {
		struct vm *vm = c->vms.items[i];

		if (vm->given_up)
			vm_forget_failures(c, vm);
	}
}
