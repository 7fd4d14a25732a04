/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Live migration: the hand-over of ownership, and every way it can fail. */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

static struct world *migrating(void)
{
	struct world *w = world_with_web1(3, 1);

	vm_migrate(w, "web1", "host2");
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	assert_vm(w, "web1", VM_MIGRATING, 1);
	cr_assert_eq(vm(w, "web1")->target, 2);
	cr_assert_eq(vm_op(w, "web1")->node, 1, "the source carries it out");
	return w;
}

Test(brain_migrate, ownership_goes_over_first_and_the_copy_is_resumed_after)
{
	struct world *w = migrating();
	uint64_t epoch = vm(w, "web1")->epoch;

	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_RESUMING, 2);
	cr_assert_gt(vm(w, "web1")->epoch, epoch);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_RESUME);
	cr_assert_eq(vm_op(w, "web1")->node, 2);
	cr_assert_eq(op(w, w->op)->state, OP_RUNNING);

	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 2);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	world_free(w);
}

Test(brain_migrate, it_counts_on_both_nodes_while_it_moves)
{
	struct world *w = migrating();

	cr_assert_eq(node(w, 1)->mem_used_mib, 512);
	cr_assert_eq(node(w, 2)->mem_used_mib, 512);
	cr_assert_eq(node(w, 2)->migrations_running, 1);
	result(w, "web1", HV_OK, ABSENT);
	cr_assert_eq(node(w, 1)->mem_used_mib, 0);
	cr_assert_eq(node(w, 2)->migrations_running, 0);
	world_free(w);
}

Test(brain_migrate, failed_and_the_source_runs_it_stays_and_the_targets_copy_is_destroyed)
{
	struct world *w = migrating();

	result(w, "web1", HV_HYPERVISOR, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_MIGRATION_FAILED);
	cr_assert_eq(running(w, OP_VM_DESTROY, 0)->node, 2);
	cr_assert_eq(op(w, w->op)->rc, HV_HYPERVISOR);

	vm_migrate(w, "web1", "host3");
	cr_assert_eq(w->rc, HV_BUSY, "not before the copy is gone");
	result_of(w, running(w, OP_VM_DESTROY, 0), HV_OK, ABSENT, "");
	vm_migrate(w, "web1", "host3");
	cr_assert_eq(w->rc, HV_OK);
	world_free(w);
}

Test(brain_migrate, failed_and_the_source_is_paused_it_is_resumed_there)
{
	struct world *w = migrating();

	result(w, "web1", HV_HYPERVISOR, PAUSED);
	assert_vm(w, "web1", VM_RESUMING, 1);
	cr_assert_eq(vm_op(w, "web1")->node, 1);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_migrate, failed_and_gone_from_the_source_nothing_is_resumed_it_starts_afresh)
{
	struct world *w = migrating();

	result(w, "web1", HV_HYPERVISOR, ABSENT);
	assert_vm(w, "web1", VM_PENDING, 0);
	cr_assert_eq(running_count(w, OP_VM_RESUME), 0);
	cr_assert_eq(running(w, OP_VM_DESTROY, 0)->node, 2);
	result_of(w, running(w, OP_VM_DESTROY, 0), HV_OK, ABSENT, "");
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_migrate, unknown_the_source_is_asked_until_it_can_tell)
{
	struct world *w = migrating();

	result(w, "web1", HV_TIMEOUT, UNKNOWN);
	assert_vm(w, "web1", VM_CHECKING, 1);
	cr_assert_eq(vm(w, "web1")->target, 2);
	result(w, "web1", HV_OK, PAUSED);
	assert_vm(w, "web1", VM_RESUMING, 1);
	cr_assert_eq(running(w, OP_VM_DESTROY, 0)->node, 2);
	world_free(w);
}

Test(brain_migrate, unknown_then_gone_it_starts_afresh_after_the_copy_is_destroyed)
{
	struct world *w = migrating();

	result(w, "web1", HV_TIMEOUT, UNKNOWN);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_PENDING, 0);
	cr_assert_eq(running(w, OP_VM_DESTROY, 0)->node, 2);
	world_free(w);
}

Test(brain_migrate, the_source_is_lost_the_targets_copy_is_destroyed_never_resumed)
{
	struct world *w = migrating();

	view(w, "23", "", false);
	assert_vm(w, "web1", VM_RECOVERING, 1);
	cr_assert_eq(running(w, OP_VM_DESTROY, 0)->node, 2);
	fence_result(w, 1, HV_OK);
	assert_vm(w, "web1", VM_PENDING, 0);
	result_of(w, running(w, OP_VM_DESTROY, 0), HV_OK, ABSENT, "");
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	cr_assert_eq(running_count(w, OP_VM_RESUME), 0);
	world_free(w);
}

Test(brain_migrate, the_target_is_lost_the_source_keeps_it)
{
	struct world *w = migrating();

	view(w, "13", "", false);
	assert_vm(w, "web1", VM_MIGRATING, 1);
	cr_assert(vm_op(w, "web1")->cancel);
	assert_node(w, 2, NODE_FENCING); /* it may yet get the VM */
	result(w, "web1", HV_CANCELLED, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_migrate, the_target_is_lost_but_the_migration_was_complete_it_is_recovered_from_there)
{
	struct world *w = migrating();

	view(w, "13", "", false);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_RECOVERING, 2);
	fence_result(w, 2, HV_OK);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_migrate, the_target_is_lost_while_it_resumes)
{
	struct world *w = migrating();

	result(w, "web1", HV_OK, ABSENT);
	view(w, "13", "", false);
	assert_vm(w, "web1", VM_RECOVERING, 2);
	w->incarnation[2]++;
	w->seq[2] = 0;
	view(w, "123", "", false);
	report(w, 2, "web1=paused"); /* it is back, with the only copy */
	assert_vm(w, "web1", VM_RESUMING, 2);
	world_free(w);
}

Test(brain_migrate, a_resume_that_cannot_tell_is_repeated_there_and_one_that_finds_nothing_restarts)
{
	struct world *w = migrating();

	result(w, "web1", HV_OK, ABSENT);
	result(w, "web1", HV_TIMEOUT, UNKNOWN);
	assert_vm(w, "web1", VM_RESUMING, 2);
	tick(w, 1001);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_RESUME);
	result(w, "web1", HV_FAILED, ABSENT);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_migrate, a_paused_vm_stays_paused_on_its_way)
{
	struct world *w = world_with_web1(2, 1);

	vm_pause(w, "web1");
	result(w, "web1", HV_OK, PAUSED);
	vm_migrate(w, "web1", "host2");
	cr_assert(vm_op(w, "web1")->flags & OP_F_PAUSED);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_PAUSED, 2);
	cr_assert_eq(running_count(w, OP_VM_RESUME), 0);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	world_free(w);
}

Test(brain_migrate, what_cannot_be_is_refused_with_its_cause_and_the_next_step)
{
	struct world *w = world_new(2);

	vm_migrate(w, "nosuch", "host2");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	running_vm(w, "web1", 1);
	vm_migrate(w, "web1", "nosuch");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	vm_migrate(w, "web1", "host1");
	cr_assert_eq(w->rc, HV_REFUSED);
	vm_add(w, "fat", 7900, 0, true);
	all_succeed(w);
	vm_migrate(w, "web1", "host2");
	cr_assert_eq(w->rc, HV_NO_CAPACITY);
	cr_assert(strstr(w->text, "not enough memory: needs 512 MiB, 292 of 8192 MiB free"), "%s",
		  w->text);
	cr_assert(*w->hint);
	vm_migrate(w, "web1", "");
	cr_assert_eq(w->rc, HV_NO_CAPACITY);
	vm_stop(w, "web1", true);
	all_succeed(w);
	vm_migrate(w, "web1", "host2");
	cr_assert_eq(w->rc, HV_REFUSED);
	world_free(w);
}

Test(brain_migrate, more_than_a_node_may_do_at_a_time_wait_for_their_turn)
{
	struct world *w = world_new(3);

	running_vm(w, "a", 1);
	running_vm(w, "b", 1);
	running_vm(w, "c", 1);
	vm_migrate(w, "a", "host2");
	vm_migrate(w, "b", "host3");
	vm_migrate(w, "c", "host2");
	cr_assert_eq(w->rc, HV_OK);
	assert_vm(w, "c", VM_RUNNING, 1);
	result(w, "a", HV_OK, ABSENT);
	assert_vm(w, "c", VM_MIGRATING, 1);
	world_free(w);
}

Test(brain_migrate, a_request_is_cancelled_with_its_migration)
{
	struct world *w = migrating();
	hv_op_id request = w->op;

	op_cancel_cmd(w, request);
	cr_assert_eq(w->rc, HV_OK);
	cr_assert_eq(op(w, request)->rc, HV_CANCELLED);
	cr_assert(vm_op(w, "web1")->cancel);
	result(w, "web1", HV_CANCELLED, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

/* ---- absent from the source: did it go to the target? */

static void result_why(struct world *w, const char *name, enum hv_rc rc, Hv__Cause cause)
{
	const struct operation *o = vm_op(w, name);
	Hv__Event ev = HV__EVENT__INIT;
	Hv__OpResult r = HV__OP_RESULT__INIT;

	r.op = o->id;
	r.attempt = o->attempt;
	r.node = o->node;
	r.rc = rc;
	r.observed = ABSENT;
	r.cause = cause;
	ev.body_case = HV__EVENT__BODY_OP_RESULT;
	ev.op_result = &r;
	step(w, &ev, o->node);
}

Test(brain_migrate, of_unknown_outcome_it_is_resumed_there_when_libvirt_says_that_it_left)
{
	struct world *w = migrating();

	result(w, "web1", HV_TIMEOUT, UNKNOWN);
	assert_vm(w, "web1", VM_CHECKING, 1);
	result_why(w, "web1", HV_OK, HV__CAUSE__CAUSE_MIGRATED);
	assert_vm(w, "web1", VM_RESUMING, 2);
	cr_assert_eq(running_count(w, OP_VM_DESTROY), 0);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 2);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	world_free(w);
}

Test(brain_migrate, of_unknown_outcome_and_gone_without_a_cause_it_is_started_afresh)
{
	struct world *w = migrating();

	result(w, "web1", HV_TIMEOUT, UNKNOWN);
	result_why(w, "web1", HV_OK, HV__CAUSE__CAUSE_NONE);
	cr_assert_eq(running(w, OP_VM_DESTROY, 0)->node, 2, "the source may have run on");
	assert_vm(w, "web1", VM_PENDING, 0);
	world_free(w);
}

Test(brain_migrate, a_source_that_crashed_after_a_success_that_was_none_is_started_afresh)
{
	struct world *w = migrating();

	result_why(w, "web1", HV_OK, HV__CAUSE__CAUSE_CRASHED);
	cr_assert_eq(running(w, OP_VM_DESTROY, 0)->node, 2);
	assert_vm(w, "web1", VM_PENDING, 0);
	world_free(w);
}

Test(brain_migrate, what_was_paused_before_an_unknown_outcome_stays_paused_where_it_arrived)
{
	struct world *w = world_with_web1(2, 1);

	vm_pause(w, "web1");
	result(w, "web1", HV_OK, PAUSED);
	vm_migrate(w, "web1", "host2");
	result(w, "web1", HV_TIMEOUT, UNKNOWN);
	result_why(w, "web1", HV_OK, HV__CAUSE__CAUSE_MIGRATED);
	assert_vm(w, "web1", VM_PAUSED, 2);
	cr_assert_eq(running_count(w, OP_VM_RESUME), 0);
	world_free(w);
}

Test(brain_migrate, a_copy_that_never_runs_is_given_up_for_a_fresh_start)
{
	struct world *w = migrating();

	result_why(w, "web1", HV_OK, HV__CAUSE__CAUSE_MIGRATED);
	for (int i = 0; i < 7; i++) {
		result(w, "web1", HV_TIMEOUT, INCOMING);
		tick(w, 60001);
	}
	assert_vm(w, "web1", VM_RESUMING, 2);
	result(w, "web1", HV_TIMEOUT, INCOMING);
	assert_vm(w, "web1", VM_STOPPING, 2);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_DESTROY);
	result(w, "web1", HV_OK, ABSENT);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_migrate, migrated_by_someone_else_it_is_waited_for_before_it_is_started)
{
	struct world *w = world_with_web1(2, 1);

	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_MIGRATED);
	assert_vm(w, "web1", VM_PENDING, 0);
	observed(w, 2, "web1", RUNNING, HV__CAUSE__CAUSE_NONE);
	assert_vm(w, "web1", VM_RUNNING, 2);

	observed(w, 2, "web1", ABSENT, HV__CAUSE__CAUSE_MIGRATED);
	tick(w, 9000);
	assert_vm(w, "web1", VM_PENDING, 0);
	tick(w, 1001);
	assert_vm(w, "web1", VM_STARTING, 2);
	world_free(w);
}

Test(brain_migrate, a_source_that_has_booted_meanwhile_proves_no_arrival)
{
	struct world *w = world_with_web1(3, 3);

	vm_migrate(w, "web1", "host1");
	assert_vm(w, "web1", VM_MIGRATING, 3);
	view(w, "12", "3", false); /* clusterd is gone, for less than its grace */
	rebooted(w, 3);
	view(w, "123", "", false);
	report(w, 3, "");
	result(w, "web1", HV_OK, ABSENT); /* asked anew, its executor finds nothing */
	cr_assert_eq(running(w, OP_VM_DESTROY, 0)->node, 1, "the source may have run on");
	cr_assert_eq(running_count(w, OP_VM_RESUME), 0);
	assert_vm(w, "web1", VM_PENDING, 0);
	world_free(w);
}

/* Somebody paused it by hand; it never runs at its new place, which says so. */
Test(brain_migrate, what_was_paused_stays_so_when_its_new_host_is_asked)
{
	struct world *w = world_with_web1(3, 1);

	observed(w, 1, "web1", PAUSED, HV__CAUSE__CAUSE_ADMIN);
	assert_vm(w, "web1", VM_PAUSED, 1);
	vm_migrate(w, "web1", "host2");
	cr_assert_eq(vm(w, "web1")->state, VM_MIGRATING);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_PAUSED, 2);
	report(w, 2, NULL);
	report(w, 2, "web1=incoming");
	assert_vm(w, "web1", VM_CHECKING, 2);
	result(w, "web1", HV_OK, INCOMING);
	assert_vm(w, "web1", VM_PAUSED, 2);
	cr_assert(!vm_op(w, "web1"), "it is not let run");
	world_free(w);
}

Test(brain_migrate, what_was_paused_stays_so_when_its_new_host_was_away)
{
	struct world *w = world_with_web1(3, 1);

	observed(w, 1, "web1", PAUSED, HV__CAUSE__CAUSE_IO_ERROR);
	vm_migrate(w, "web1", "host2");
	result(w, "web1", HV_OK, ABSENT);
	view(w, "13", "", false);
	assert_vm(w, "web1", VM_RECOVERING, 2);
	view(w, "123", "", false);
	report(w, 2, "web1=incoming");
	assert_vm(w, "web1", VM_PAUSED, 2);
	cr_assert_eq(running_count(w, OP_VM_RESUME), 0);
	world_free(w);
}

static void assert_told(struct world *w, hv_op_id id, enum hv_rc rc, const char *part)
{
	cr_assert_eq(op(w, id)->rc, rc, "%s", hv_rc_text(op(w, id)->rc));
	cr_assert(op(w, id)->text && strstr(op(w, id)->text, part), "%s", op(w, id)->text);
}

Test(brain_migrate, whoever_moved_one_that_ended_is_told_so_and_what_comes_next)
{
	struct world *w = migrating();
	hv_op_id asked = w->op;

	result(w, "web1", HV_HYPERVISOR, ABSENT);
	assert_vm(w, "web1", VM_PENDING, 0);
	assert_told(w, asked, HV_FAILED, "it ended before it had moved, and is to be started anew");
	world_free(w);

	w = world_with_web1(3, 1); /* before it began */
	set(w, "migrate_parallel", "1");
	running_vm(w, "a", 1);
	vm_migrate(w, "a", "host2");
	vm_migrate(w, "web1", "host2");
	asked = w->op;
	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	assert_vm(w, "web1", VM_STARTING, 1);
	assert_told(w, asked, HV_FAILED,
		    "it ended before it had moved, and is being started anew on host1");
	world_free(w);
}

Test(brain_migrate, whoever_moved_one_whose_host_was_lost_is_told_so)
{
	struct world *w = migrating();
	hv_op_id asked = w->op;

	fence_add(w, "host1", "ipmi1", 1);
	view(w, "2 3", "", false);
	assert_vm(w, "web1", VM_RECOVERING, 1);
	assert_told(w, asked, HV_NODE_LOST,
		    "host1 was lost before it had moved: it is started elsewhere when host1 is "
		    "proven off");
	world_free(w);
}
