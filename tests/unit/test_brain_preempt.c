/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Room that is made for a VM of higher priority: who gives way, and who does not. */
#include "tests/unit/brain_rules.h"

#include <criterion/criterion.h>
#include <string.h>

Test(brain_preempt, room_is_made_for_who_has_the_higher_priority)
{
	struct world *w = count_world(2);

	set(w, "preemption", "on");
	vm_add(w, "low1", 4000, -5, false);
	vm_start(w, "low1", "host1");
	vm_add(w, "low2", 4000, 1, false);
	vm_start(w, "low2", "host1");
	vm_add(w, "mid", 7000, 5, false);
	vm_start(w, "mid", "host2");
	all_succeed(w);
	vm_add(w, "top", 4000, 9, true);
	assert_vm(w, "top", VM_BLOCKED, 0);
	assert_vm(w, "low1", VM_STOPPING, 1);
	cr_assert_eq(vm_op(w, "low1")->kind, OP_VM_STOP);
	assert_vm(w, "low2", VM_RUNNING, 1);
	result(w, "low1", HV_OK, ABSENT);
	assert_vm(w, "top", VM_STARTING, 1);
	assert_vm(w, "low1", VM_BLOCKED, 0);
	cr_assert_eq(vm(w, "low1")->reason.code, REASON_PREEMPTED);
	assert_quiet(w);
	vm_stop(w, "mid", false);
	all_succeed(w);
	assert_vm(w, "low1", VM_RUNNING, 2);
	assert_quiet(w);
	world_free(w);
}

Test(brain_preempt, who_gives_way_leaves_live_if_it_can_and_the_room_is_kept)
{
	struct world *w = count_world(2);

	set(w, "preemption", "on");
	vm_add(w, "small", 1000, 0, false);
	vm_start(w, "small", "host1");
	vm_add(w, "large", 6000, 1, false);
	vm_start(w, "large", "host1");
	vm_add(w, "other", 6500, 50, false);
	vm_start(w, "other", "host2");
	all_succeed(w);
	vm_add(w, "top", 8000, 9, true);
	assert_vm(w, "small", VM_MIGRATING, 1);
	assert_vm(w, "large", VM_STOPPING, 1);
	vm_add(w, "late", 1000, 3, true);
	assert_vm(w, "late", VM_BLOCKED, 0);
	result(w, "large", HV_OK, ABSENT);
	assert_vm(w, "late", VM_BLOCKED, 0);
	assert_vm(w, "large", VM_BLOCKED, 0);
	all_succeed(w);
	assert_vm(w, "top", VM_RUNNING, 1);
	/* Arrived, it gives way once more: to the one that came late, and outranks it. */
	assert_vm(w, "late", VM_RUNNING, 2);
	assert_vm(w, "small", VM_BLOCKED, 0);
	assert_quiet(w);
	world_free(w);
}

Test(brain_preempt, without_preemption_or_with_the_same_priority_nobody_gives_way)
{
	struct world *w = count_world(1);

	vm_add(w, "low", 8000, 0, true);
	all_succeed(w);
	vm_add(w, "top", 8000, 9, true);
	assert_vm(w, "top", VM_BLOCKED, 0);
	set(w, "preemption", "on");
	assert_vm(w, "low", VM_STOPPING, 1);
	all_succeed(w);
	assert_vm(w, "top", VM_RUNNING, 1);
	vm_add(w, "peer", 8000, 9, true);
	assert_quiet(w);
	assert_vm(w, "top", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_preempt, what_a_vm_that_matters_more_needs_does_not_give_way_unless_it_can_leave_live)
{
	struct world *w = count_world(2);

	set(w, "preemption", "on");
	vm_add(w, "db", 2000, 0, false);
	vm_start(w, "db", "host1");
	vm_add(w, "app", 1000, 9, false);
	vm_start(w, "app", "host1");
	rule_add(w, "first", AFTER, "app db", "", true);
	vm_add(w, "other", 7000, 50, false);
	vm_start(w, "other", "host2");
	all_succeed(w);

	vm_add(w, "top", 6000, 5, true);
	assert_vm(w, "top", VM_BLOCKED, 0);
	assert_vm(w, "db", VM_RUNNING, 1);
	assert_vm(w, "app", VM_RUNNING, 1);

	vm_stop(w, "other", false);
	all_succeed(w);
	assert_vm(w, "top", VM_RUNNING, 2);
	vm_add(w, "late", 6000, 6, true);
	assert_vm(w, "db", VM_MIGRATING, 1);
	world_free(w);
}

Test(brain_preempt, what_is_only_needed_by_who_matters_less_gives_way)
{
	struct world *w = count_world(1);

	set(w, "preemption", "on");
	vm_add(w, "db", 4000, 0, true);
	vm_add(w, "app", 1000, 4, true);
	rule_add(w, "first", AFTER, "app db", "", true);
	all_succeed(w);
	vm_add(w, "top", 5000, 5, true);
	assert_vm(w, "db", VM_STOPPING, 1);
	all_succeed(w);
	assert_vm(w, "top", VM_RUNNING, 1);
	world_free(w);
}
