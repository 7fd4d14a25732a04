/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an administrator sets of a VM, and what the cluster then does and does not do. */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- vm set */

Test(brain_limits, attributes_are_checked_all_and_then_stored)
{
	struct world *w = world_new(1);
	Hv__KeyValue a = HV__KEY_VALUE__INIT, b = HV__KEY_VALUE__INIT, *list[] = {&a, &b};
	Hv__VmSet set = HV__VM_SET__INIT;
	Hv__Command cmd = HV__COMMAND__INIT;

	running_vm(w, "web1", 1);
	a.key = "priority";
	a.value = "7";
	b.key = "failback";
	b.value = "maybe";
	set.name = "web1";
	set.attributes = list;
	set.n_attributes = 2;
	cmd.body_case = HV__COMMAND__BODY_VM_SET;
	cmd.vm_set = &set;

	command(w, &cmd);
	cr_assert_eq(w->rc, HV_BAD_INPUT);
	cr_assert(strstr(w->text, "failback: 'maybe' does not fit"), "%s", w->text);
	cr_assert_eq(vm(w, "web1")->priority, 0, "all or none");

	b.value = "off";
	command(w, &cmd);
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	cr_assert_eq(vm(w, "web1")->priority, 7);
	cr_assert(!vm(w, "web1")->failback);
	cr_assert(journal_has(w, "vm web1", "set", "priority=7"));
	world_free(w);
}

Test(brain_limits, what_is_no_attribute_or_out_of_range_is_refused)
{
	static const struct {
		const char *key, *value;
		enum hv_rc rc;
	} bad[] = {
	    {"colour", "blue", HV_NOT_FOUND},	   {"start_retries", "101", HV_BAD_INPUT},
	    {"start_retries", "-1", HV_BAD_INPUT}, {"start_retries", "", HV_BAD_INPUT},
	    {"max_relocate", "33", HV_BAD_INPUT},  {"start_retries", "unlimited", HV_BAD_INPUT},
	    {"managed", "yes", HV_BAD_INPUT},	   {"priority", "1x", HV_BAD_INPUT},
	    {"priority", "-", HV_BAD_INPUT},
	};
	struct world *w = world_new(1);

	vm_add(w, "web1", 512, 0, false);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		vm_set(w, "web1", bad[i].key, bad[i].value);
		cr_assert_eq(w->rc, bad[i].rc, "%s=%s", bad[i].key, bad[i].value);
	}
	vm_set(w, "nobody", "priority", "1");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	vm_set(w, "web1", "max_relocate", "unlimited");
	cr_assert_eq(vm(w, "web1")->max_relocate, VM_RELOCATE_UNLIMITED);
	vm_set(w, "web1", "max_relocate", "0");
	cr_assert_eq(vm(w, "web1")->max_relocate, 0);
	vm_set(w, "web1", "priority", "-5");
	cr_assert_eq(vm(w, "web1")->priority, -5);
	world_free(w);
}

Test(brain_limits, every_attribute_is_shown_as_it_is_set)
{
	struct world *w = world_new(1);

	vm_add(w, "web1", 512, 0, false);
	for (size_t i = 0; i < vm_attribute_count(); i++) {
		_cleanup_free_ char *text = vm_attribute_text(vm(w, "web1"), i);

		vm_set(w, "web1", vm_attribute_at(i)->key, text);
		cr_assert_eq(w->rc, HV_OK, "%s=%s: %s", vm_attribute_at(i)->key, text, w->text);
	}
	world_free(w);
}

Test(brain_limits, a_new_priority_changes_whose_turn_it_is)
{
	struct world *w = world_new(1);

	set(w, "start_parallel", "1");
	vm_add(w, "first", 512, 0, true);
	vm_add(w, "second", 512, 0, true);
	vm_add(w, "third", 512, 0, true);
	vm_set(w, "third", "priority", "1");
	result(w, "first", HV_OK, RUNNING);
	assert_vm(w, "third", VM_STARTING, 1);
	assert_vm(w, "second", VM_PENDING, 0);
	world_free(w);
}

/* ---- managed=off */

static struct world *unmanaged(void)
{
	struct world *w = world_with_web1(3, 1);

	vm_set(w, "web1", "managed", "off");
	return w;
}

Test(brain_limits, unmanaged_it_is_neither_started_nor_stopped_nor_moved)
{
	struct world *w = unmanaged();

	vm_stop(w, "web1", false);
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert_str_eq(w->hint, "hvcluster vm set web1 managed=on");
	vm_migrate(w, "web1", "host2");
	cr_assert_eq(w->rc, HV_REFUSED);
	node_drain(w, "host1");
	tick(w, 60000);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert(strstr(op(w, w->op)->text, "vm web1: not managed"), "%s", op(w, w->op)->text);
	node_resume(w, "host1");

	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	tick(w, 60000);
	assert_vm(w, "web1", VM_PENDING, 0);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_UNMANAGED);
	cr_assert_eq(running_count(w, OP_VM_START), 0);
	vm_start(w, "web1", "");
	cr_assert_eq(w->rc, HV_REFUSED);

	vm_set(w, "web1", "managed", "on");
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_limits, unmanaged_it_is_followed_wherever_others_move_it)
{
	struct world *w = unmanaged();

	observed(w, 2, "web1", INCOMING, HV__CAUSE__CAUSE_NONE);
	cr_assert_eq(running_count(w, OP_VM_DESTROY), 0, "someone else's migration");
	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_MIGRATED);
	observed(w, 2, "web1", RUNNING, HV__CAUSE__CAUSE_NONE);
	assert_vm(w, "web1", VM_RUNNING, 2);
	vm_set(w, "web1", "managed", "on");
	assert_vm(w, "web1", VM_RUNNING, 2);
	cr_assert_eq(running_count(w, OP_VM_DESTROY), 0);
	world_free(w);
}

Test(brain_limits, unmanaged_and_seen_twice_it_is_only_asked_after)
{
	struct world *w = unmanaged();

	observed(w, 2, "web1", RUNNING, HV__CAUSE__CAUSE_NONE);
	assert_vm(w, "web1", VM_CHECKING, 1);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_eq(running_count(w, OP_VM_DESTROY), 0);
	world_free(w);
}

Test(brain_limits, unmanaged_it_is_no_reason_to_fence_until_it_is_managed_again)
{
	struct world *w = unmanaged();

	view(w, "23", "", false);
	assert_node(w, 1, NODE_LOST);
	assert_vm(w, "web1", VM_RECOVERING, 1);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_UNMANAGED);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	tick(w, 600000);
	cr_assert_eq(running_count(w, OP_FENCE), 0);

	vm_set(w, "web1", "managed", "on");
	assert_node(w, 1, NODE_FENCING);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_WAIT_FENCE);
	fence_result(w, 1, HV_OK);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_limits, unmanaged_on_a_node_that_comes_back_it_is_as_that_says)
{
	struct world *w = unmanaged();

	view(w, "23", "", false);
	w->incarnation[1]++;
	w->seq[1] = 0;
	view(w, "123", "", false);
	report(w, 1, "web1=running");
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_limits, unmanaged_it_can_be_removed_while_it_runs)
{
	struct world *w = unmanaged();

	vm_remove(w, "web1", false);
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	cr_assert_null(vm(w, "web1"));
	cr_assert_eq(running_count(w, OP_VM_STOP), 0);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	world_free(w);
}

Test(brain_limits, what_was_begun_before_it_became_unmanaged_is_finished)
{
	struct world *w = world_with_web1(2, 1);

	vm_migrate(w, "web1", "host2");
	vm_set(w, "web1", "managed", "off");
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_RESUMING, 2);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 2);
	world_free(w);
}

/* ---- vm lock */

static struct world *locked(void)
{
	struct world *w = world_with_web1(3, 1);

	vm_lock(w, "web1", "backup");
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	return w;
}

Test(brain_limits, a_locked_vm_is_neither_moved_nor_stopped_until_it_is_unlocked)
{
	struct world *w = locked();

	vm_migrate(w, "web1", "host2");
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert_str_eq(w->text, "VM 'web1' is locked: backup");
	cr_assert_str_eq(w->hint, "hvcluster vm unlock web1");
	vm_stop(w, "web1", true);
	cr_assert_eq(w->rc, HV_REFUSED);
	vm_remove(w, "web1", true);
	cr_assert_eq(w->rc, HV_REFUSED);
	node_drain(w, "host1");
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_eq(op(w, w->op)->rc, HV_HELD, "the drain says what holds it");
	cr_assert(strstr(op(w, w->op)->text, "vm web1: locked: backup"), "%s", op(w, w->op)->text);
	vm_lock(w, "web1", "again");
	cr_assert_eq(w->rc, HV_REFUSED);

	vm_lock(w, "web1", "");
	assert_vm(w, "web1", VM_MIGRATING, 1);
	vm_lock(w, "web1", "late");
	cr_assert_eq(w->rc, HV_BUSY);
	world_free(w);
}

Test(brain_limits, a_locked_guest_that_crashed_waits_until_it_is_unlocked)
{
	struct world *w = locked();

	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	tick(w, 60000);
	assert_vm(w, "web1", VM_PENDING, 0);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_LOCKED);
	vm_lock(w, "web1", "");
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_limits, the_loss_of_its_node_ends_a_lock)
{
	struct world *w = locked();

	view(w, "23", "", false);
	cr_assert(vm(w, "web1")->lock, "it may still be at work there");
	fence_result(w, 1, HV_OK);
	cr_assert_null(vm(w, "web1")->lock);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_limits, a_lock_outlasts_a_node_that_was_only_cut_off)
{
	struct world *w = locked();

	view(w, "23", "", false);
	w->incarnation[1]++;
	w->seq[1] = 0;
	view(w, "123", "", false);
	report(w, 1, "web1=running");
	cr_assert(vm(w, "web1")->lock);
	view(w, "23", "", false);
	w->incarnation[1]++;
	w->seq[1] = 0;
	view(w, "123", "", false);
	report(w, 1, "");
	cr_assert_null(vm(w, "web1")->lock, "it does not run there: nor does the job");
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}
