/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of one VM: start, stop, pause, failures of each, what is seen, copies that are nobody's.
 */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

Test(brain_vm, a_vm_that_is_added_to_run_is_placed_and_started)
{
	struct world *w = world_new(3);

	vm_add(w, "web1", 1024, 0, true);
	cr_assert_eq(w->rc, HV_OK);
	assert_vm(w, "web1", VM_STARTING, 1);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_START);
	cr_assert_eq(vm(w, "web1")->epoch, 1);

	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_eq(op(w, w->op)->state, OP_DONE, "what the client waits for has ended");
	world_free(w);
}

Test(brain_vm, a_failed_start_is_tried_at_once_on_each_other_node_then_everywhere_after_a_pause)
{
	struct world *w = world_new(3);

	vm_add(w, "web1", 1024, 0, true);
	result(w, "web1", HV_HYPERVISOR, ABSENT);
	assert_vm(w, "web1", VM_STARTING, 2);
	result(w, "web1", HV_HYPERVISOR, ABSENT);
	assert_vm(w, "web1", VM_STARTING, 3);
	cr_assert_eq(vm(w, "web1")->epoch, 3);

	result(w, "web1", HV_HYPERVISOR, ABSENT);
	assert_vm(w, "web1", VM_FAILED, 0);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_START_FAILED);
	cr_assert_eq(op(w, w->op)->state, OP_FAILED, "the client is told");
	cr_assert(strstr(op(w, w->op)->text, "its start on host3 failed: it did not work"), "%s",
		  op(w, w->op)->text);

	tick(w, 4001);
	assert_vm(w, "web1", VM_STARTING, 1);
	result(w, "web1", HV_OK, RUNNING);
	cr_assert_eq(vm(w, "web1")->attempts, 0);
	world_free(w);
}

Test(brain_vm, an_asked_start_of_a_failed_vm_does_not_wait)
{
	struct world *w = world_new(1);

	vm_add(w, "web1", 1024, 0, true);
	result(w, "web1", HV_HYPERVISOR, ABSENT);
	assert_vm(w, "web1", VM_FAILED, 0);
	vm_start(w, "web1", "");
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_vm, a_start_of_unknown_outcome_is_asked_after_and_never_repeated_elsewhere)
{
	struct world *w = world_new(3);

	vm_add(w, "web1", 1024, 0, true);
	result(w, "web1", HV_TIMEOUT, UNKNOWN);
	assert_vm(w, "web1", VM_CHECKING, 1);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_PROBE);

	result(w, "web1", HV_TIMEOUT, UNKNOWN);
	assert_vm(w, "web1", VM_CHECKING, 1);
	cr_assert_null(vm_op(w, "web1"));
	tick(w, 1001);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_vm, a_start_that_left_it_paused_is_destroyed_and_begun_afresh)
{
	struct world *w = world_new(1);

	vm_add(w, "web1", 1024, 0, true);
	result(w, "web1", HV_FAILED, PAUSED);
	assert_vm(w, "web1", VM_STOPPING, 1);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_DESTROY);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_FAILED, 0);
	cr_assert_eq(vm(w, "web1")->attempts, 1, "a start that did not succeed");
	tick(w, 1001);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_vm, stop_is_graceful_then_destroys_and_ends_only_when_it_is_gone)
{
	struct world *w = world_with_web1(1, 1);

	vm_stop(w, "web1", false);
	assert_vm(w, "web1", VM_STOPPING, 1);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_STOP);
	cr_assert_eq(vm_op(w, "web1")->timeout_s, 180);

	result(w, "web1", HV_TIMEOUT, RUNNING);
	assert_vm(w, "web1", VM_STOPPING, 1);
	cr_assert_eq(op(w, w->op)->state, OP_RUNNING);
	tick(w, 1001);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_DESTROY);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STOPPED, 0);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	world_free(w);
}

Test(brain_vm, a_forced_stop_overtakes_a_graceful_one)
{
	struct world *w = world_new(1);
	hv_op_id graceful;

	running_vm(w, "web1", 1);
	vm_stop(w, "web1", false);
	graceful = w->op;
	vm_stop(w, "web1", true);
	cr_assert_eq(op(w, graceful)->rc, HV_SUPERSEDED);
	cr_assert(vm_op(w, "web1")->cancel);
	result(w, "web1", HV_CANCELLED, RUNNING);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_DESTROY, "at once, without a pause");
	world_free(w);
}

Test(brain_vm, a_start_asked_for_while_it_stops_brings_it_back)
{
	struct world *w = world_with_web1(1, 1);

	vm_stop(w, "web1", false);
	vm_start(w, "web1", "");
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STARTING, 1);

	vm_stop(w, "web1", false);
	cr_assert(vm_op(w, "web1")->cancel);
	result(w, "web1", HV_OK, RUNNING); /* too late to cancel */
	assert_vm(w, "web1", VM_STOPPING, 1);
	vm_start(w, "web1", "");
	result(w, "web1", HV_CANCELLED, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_vm, a_guest_that_shuts_down_is_started_again_with_growing_pauses)
{
	struct world *w = world_with_web1(1, 1);

	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_GUEST_SHUTDOWN);
	assert_vm(w, "web1", VM_STARTING, 1);
	cr_assert(journal_has(w, "vm web1", "running", "pending"));
	result(w, "web1", HV_OK, RUNNING);

	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	assert_vm(w, "web1", VM_PENDING, 0);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_CRASHED);
	tick(w, 1001);
	assert_vm(w, "web1", VM_STARTING, 1);
	result(w, "web1", HV_OK, RUNNING);

	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	tick(w, 1001);
	assert_vm(w, "web1", VM_PENDING, 0);
	tick(w, 1001);
	assert_vm(w, "web1", VM_STARTING, 1);
	result(w, "web1", HV_OK, RUNNING);

	tick(w, 601000); /* it has run for long enough */
	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_vm, what_is_seen_while_an_operation_is_in_progress_waits_for_its_result)
{
	struct world *w = world_new(2);

	vm_add(w, "web1", 512, 0, true);
	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_NONE);
	assert_vm(w, "web1", VM_STARTING, 1);
	observed(w, 1, "web1", PAUSED, HV__CAUSE__CAUSE_NONE);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_vm, unknown_never_kills)
{
	struct world *w = world_with_web1(2, 1);

	health(w, 1, false);
	observed(w, 1, "web1", UNKNOWN, HV__CAUSE__CAUSE_NONE);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_UNKNOWN);
	vm_add(w, "web2", 512, 0, true);
	assert_vm(w, "web2", VM_STARTING, 2); /* nothing new goes there */

	health(w, 1, true);
	assert_vm(w, "web1", VM_CHECKING, 1);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_vm, a_paused_vm_of_a_node_that_could_not_tell_is_asked_after_once)
{
	struct world *w = world_with_web1(2, 1);

	vm_pause(w, "web1");
	result(w, "web1", HV_OK, PAUSED);
	health(w, 1, false);
	observed(w, 1, "web1", UNKNOWN, HV__CAUSE__CAUSE_NONE);
	health(w, 1, true);
	assert_vm(w, "web1", VM_CHECKING, 1);
	result(w, "web1", HV_OK, PAUSED);
	assert_vm(w, "web1", VM_PAUSED, 1);
	cr_assert_null(vm_op(w, "web1"));
	world_free(w);
}

Test(brain_vm, a_rejoined_node_that_cannot_tell_keeps_its_vms)
{
	struct world *w = world_with_web1(3, 3);

	view(w, "12", "", false);
	w->incarnation[3]++;
	w->seq[3] = 0;
	view(w, "123", "", false);
	report(w, 3, NULL);
	assert_node(w, 3, NODE_ONLINE);
	assert_vm(w, "web1", VM_CHECKING, 3);
	cr_assert_null(vm_op(w, "web1"), "its hypervisor layer does not answer yet");
	health(w, 3, true);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STARTING, 3);
	world_free(w);
}

Test(brain_vm, pause_and_resume)
{
	struct world *w = world_with_web1(2, 1);

	vm_pause(w, "web1");
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_PAUSE);
	result(w, "web1", HV_OK, PAUSED);
	assert_vm(w, "web1", VM_PAUSED, 1);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	vm_start(w, "web1", "");
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert_str_eq(w->hint, "hvcluster vm resume web1");
	vm_stop(w, "web1", false);
	cr_assert_eq(w->rc, HV_REFUSED, "a paused guest cannot shut itself down");

	vm_resume(w, "web1");
	assert_vm(w, "web1", VM_RESUMING, 1);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	world_free(w);
}

Test(brain_vm, a_pause_that_nobody_asked_for_is_shown_and_left_alone)
{
	struct world *w = world_with_web1(2, 1);

	observed(w, 1, "web1", PAUSED, HV__CAUSE__CAUSE_IO_ERROR);
	assert_vm(w, "web1", VM_PAUSED, 1);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_PAUSED_OUTSIDE);
	cr_assert_str_eq(vm(w, "web1")->reason.text, "I/O error");
	cr_assert_eq(running_count(w, OP_VM_RESUME), 0);
	observed(w, 1, "web1", RUNNING, HV__CAUSE__CAUSE_NONE);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_vm, remove_needs_it_stopped_or_stops_it_first)
{
	struct world *w = world_with_web1(1, 1);

	vm_remove(w, "web1", false);
	cr_assert_eq(w->rc, HV_REFUSED);
	vm_remove(w, "web1", true);
	cr_assert_eq(w->rc, HV_OK);
	vm_start(w, "web1", "");
	cr_assert_eq(w->rc, HV_REFUSED);
	vm_remove(w, "web1", true);
	result(w, "web1", HV_OK, ABSENT);
	cr_assert_null(vm(w, "web1"));
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	vm_add(w, "web1", 512, 0, false);
	cr_assert_eq(w->rc, HV_OK, "the name is free again");
	world_free(w);
}

/* ---- copies */

Test(brain_vm, a_stale_copy_of_a_rejoining_node_is_destroyed_at_once)
{
	struct world *w = world_with_web1(3, 3);

	view(w, "12", "", false);
	fence_result(w, 3, HV_OK);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);

	w->incarnation[3]++;
	w->seq[3] = 0;
	view(w, "123", "", false);
	report(w, 3, "web1=running");
	cr_assert_eq(running(w, OP_VM_DESTROY, 0)->node, 3);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_eq(vm(w, "web1")->stale_ops, 1);
	world_free(w);
}

Test(brain_vm, a_copy_holds_its_memory_until_it_is_destroyed)
{
	struct world *w = world_new(2);

	vm_add(w, "big", 6000, 0, true);
	result(w, "big", HV_OK, RUNNING);
	assert_vm(w, "big", VM_RUNNING, 1);
	observed(w, 2, "big", INCOMING, HV__CAUSE__CAUSE_NONE);
	vm_add(w, "other", 4000, 0, true);
	assert_vm(w, "other", VM_BLOCKED, 0);
	result_of(w, running(w, OP_VM_DESTROY, 0), HV_OK, ABSENT, "");
	assert_vm(w, "other", VM_STARTING, 2);
	world_free(w);
}

Test(brain_vm, it_is_not_started_anywhere_while_a_copy_is_being_destroyed)
{
	struct world *w = world_with_web1(3, 1);

	observed(w, 3, "web1", INCOMING, HV__CAUSE__CAUSE_NONE);
	cr_assert_eq(running(w, OP_VM_DESTROY, 0)->node, 3);
	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	assert_vm(w, "web1", VM_PENDING, 0);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_STALE_COPY);

	result_of(w, running(w, OP_VM_DESTROY, 0), HV_FAILED, RUNNING, "busy");
	assert_vm(w, "web1", VM_PENDING, 0);
	cr_assert(brain_next_deadline_us(w->c));
	tick(w, 1001);
	cr_assert_eq(running(w, OP_VM_DESTROY, 0)->attempt, 2);
	result_of(w, running(w, OP_VM_DESTROY, 0), HV_OK, ABSENT, "");
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_vm, a_node_that_may_hold_a_copy_is_fenced_when_it_is_lost)
{
	struct world *w = world_with_web1(3, 1);

	observed(w, 3, "web1", INCOMING, HV__CAUSE__CAUSE_NONE);
	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	view(w, "12", "", false);
	assert_node(w, 3, NODE_FENCING);
	assert_vm(w, "web1", VM_PENDING, 0);
	fence_result(w, 3, HV_OK);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_vm, a_running_copy_without_an_owner_is_adopted_or_stopped_as_intended)
{
	struct world *w = world_new(2);

	vm_add(w, "web1", 512, 0, false);
	observed(w, 2, "web1", RUNNING, HV__CAUSE__CAUSE_NONE);
	assert_vm(w, "web1", VM_STOPPING, 2);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STOPPED, 0);

	vm_add(w, "big", 8000, 0, true);
	result(w, "big", HV_OK, RUNNING);
	vm_add(w, "big2", 8000, 0, true);
	result(w, "big2", HV_OK, RUNNING);
	vm_add(w, "web2", 512, 0, true);
	assert_vm(w, "web2", VM_BLOCKED, 0);
	observed(w, 2, "web2", RUNNING, HV__CAUSE__CAUSE_NONE);
	assert_vm(w, "web2", VM_RUNNING, 2);
	cr_assert_eq(vm(w, "web2")->reason.code, REASON_ADOPTED);
	world_free(w);
}

Test(brain_vm, a_vm_moved_behind_our_back_is_followed_after_its_owner_was_asked)
{
	struct world *w = world_with_web1(3, 1);

	observed(w, 2, "web1", RUNNING, HV__CAUSE__CAUSE_NONE);
	assert_vm(w, "web1", VM_CHECKING, 1);
	cr_assert_eq(running_count(w, OP_VM_DESTROY), 0);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_CHECKING, 2);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 2);
	cr_assert_eq(vm(w, "web1")->epoch, 2);
	world_free(w);
}

Test(brain_vm, a_second_running_copy_is_destroyed_when_the_owner_has_its_own)
{
	struct world *w = world_with_web1(3, 1);

	observed(w, 2, "web1", RUNNING, HV__CAUSE__CAUSE_NONE);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_eq(running(w, OP_VM_DESTROY, 0)->node, 2);
	world_free(w);
}

/* ---- events that count once */

Test(brain_vm, an_event_delivered_twice_counts_once)
{
	struct world *w = world_new(1);
	struct operation o;

	vm_add(w, "web1", 512, 0, true);
	o = *vm_op(w, "web1");
	result(w, "web1", HV_HYPERVISOR, ABSENT);
	cr_assert_eq(vm(w, "web1")->attempts, 1);
	w->seq[1]--; /* the same number again */
	result_of(w, &o, HV_HYPERVISOR, ABSENT, "");
	cr_assert_eq(vm(w, "web1")->attempts, 1);
	w->seq[1]--;
	tick(w, 5000);
	cr_assert_eq(vm(w, "web1")->state, VM_FAILED, "a tick seen before does not move time");
	world_free(w);
}

Test(brain_vm, a_result_of_another_attempt_or_node_is_ignored)
{
	struct world *w = world_new(2);
	struct operation o;

	vm_add(w, "web1", 512, 0, true);
	o = *vm_op(w, "web1");
	o.attempt = 2;
	result_of(w, &o, HV_OK, RUNNING, "");
	assert_vm(w, "web1", VM_STARTING, 1);
	o.attempt = 1;
	o.node = 2;
	result_of(w, &o, HV_OK, RUNNING, "");
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_vm, time_never_goes_back)
{
	struct world *w = world_new(1);
	uint64_t before = cluster_now_us(w->c);

	w->now_us = 5;
	vm_add(w, "web1", 512, 0, false);
	cr_assert_eq(cluster_now_us(w->c), before);
	world_free(w);
}
