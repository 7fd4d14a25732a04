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

/* ---- live_migration=off */

static struct world *stays_put(void)
{
	struct world *w = world_new(3);

	running_vm(w, "web1", 1);
	vm_set(w, "web1", "live_migration", "off");
	return w;
}

Test(brain_limits, not_to_be_migrated_live_it_is_shut_down_and_started_there)
{
	struct world *w = stays_put();

	vm_migrate(w, "web1", "host3");
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	assert_vm(w, "web1", VM_STOPPING, 1);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_STOP, "gracefully");
	result(w, "web1", HV_OK, ABSENT);
	cr_assert(journal_has(w, "vm web1", "stopping", "pending"));
	assert_vm(w, "web1", VM_STARTING, 3);
	cr_assert_eq(op(w, w->op)->state, OP_RUNNING);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 3);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	world_free(w);
}

Test(brain_limits, an_offline_move_that_cannot_stop_it_keeps_trying_and_starts_nothing)
{
	struct world *w = stays_put();

	vm_migrate(w, "web1", "host3");
	result(w, "web1", HV_TIMEOUT, RUNNING);
	assert_vm(w, "web1", VM_STOPPING, 1);
	cr_assert_eq(running_count(w, OP_VM_START), 0);
	tick(w, 1001);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_DESTROY);
	result(w, "web1", HV_TIMEOUT, UNKNOWN);
	assert_vm(w, "web1", VM_STOPPING, 1);
	tick(w, 2001);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STARTING, 3);
	world_free(w);
}

Test(brain_limits, an_offline_move_whose_node_is_lost_is_a_recovery)
{
	struct world *w = stays_put();

	vm_migrate(w, "web1", "host3");
	view(w, "23", "", false);
	assert_vm(w, "web1", VM_RECOVERING, 1);
	cr_assert_eq(op(w, w->op)->rc, HV_NODE_LOST);
	fence_result(w, 1, HV_OK);
	assert_vm(w, "web1", VM_STARTING, 3);
	world_free(w);
}

Test(brain_limits, an_offline_move_that_starts_elsewhere_says_so)
{
	struct world *w = stays_put();

	vm_migrate(w, "web1", "host3");
	result(w, "web1", HV_OK, ABSENT);
	result(w, "web1", HV_HYPERVISOR, ABSENT);
	cr_assert_eq(op(w, w->op)->state, OP_RUNNING);
	all_succeed(w);
	cr_assert_eq(vm(w, "web1")->state, VM_RUNNING);
	cr_assert_eq(op(w, w->op)->rc, HV_FAILED);
	cr_assert(strstr(op(w, w->op)->text, "it was started on host"), "%s", op(w, w->op)->text);
	world_free(w);
}

Test(brain_limits, a_paused_vm_is_not_moved_by_stop_and_start)
{
	struct world *w = stays_put();

	vm_pause(w, "web1");
	result(w, "web1", HV_OK, PAUSED);
	vm_migrate(w, "web1", "host3");
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert(strstr(w->text, "paused"), "%s", w->text);
	world_free(w);
}

Test(brain_limits, a_stop_asked_for_in_the_middle_of_an_offline_move_stops_it)
{
	struct world *w = stays_put();

	vm_migrate(w, "web1", "host3");
	vm_stop(w, "web1", false);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STOPPED, 0);
	world_free(w);
}
