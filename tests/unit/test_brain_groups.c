/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules that tie VMs to each other: together, follow, after. */
#include "tests/unit/brain_rules.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- together */

static struct world *trio(unsigned nodes, hv_node_id on)
{
	struct world *w = count_world(nodes);

	running_vm(w, "a", on);
	running_vm(w, "b", on);
	running_vm(w, "c", on);
	rule_add(w, "t", TOGETHER, "a b c", "", true);
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	assert_quiet(w);
	return w;
}

static void assert_all_on(struct world *w, const char *vms, hv_node_id on)
{
	for (char name[2] = ""; *vms; vms++) {
		*name = *vms;
		assert_vm(w, name, VM_RUNNING, on);
	}
}

Test(brain_groups, together_is_recovered_to_one_node)
{
	struct world *w = trio(3, 3);

	running_vm(w, "x", 1);
	running_vm(w, "y", 1);
	running_vm(w, "z", 2);
	lose(w, 3, "12");
	all_succeed(w);
	assert_all_on(w, "abc", 2);
	assert_quiet(w);
	world_free(w);
}

Test(brain_groups, together_goes_where_all_have_room_or_nowhere)
{
	struct world *w = trio(3, 3);

	vm_add(w, "x", 7000, 0, false); /* 8192 MiB in all, the three need 1536 */
	vm_start(w, "x", "host2");
	vm_add(w, "y", 7000, 0, false);
	vm_start(w, "y", "host1");
	all_succeed(w);
	lose(w, 3, "12");
	for (char name[2] = "a"; *name < 'd'; ++*name)
		assert_vm(w, name, VM_BLOCKED, 0);
	assert_quiet(w);
	vm_stop(w, "y", false);
	all_succeed(w);
	assert_all_on(w, "abc", 1);
	assert_quiet(w);
	world_free(w);
}

Test(brain_groups, together_is_migrated_as_one)
{
	struct world *w = trio(3, 3);

	vm_migrate(w, "b", "host1");
	cr_assert_eq(w->rc, HV_OK);
	all_succeed(w);
	assert_all_on(w, "abc", 1);
	assert_quiet(w);
	vm_migrate(w, "a", "");
	all_succeed(w);
	cr_assert_eq(vm(w, "a")->node, vm(w, "c")->node);
	cr_assert_neq(vm(w, "a")->node, 1);
	assert_quiet(w);
	world_free(w);
}

Test(brain_groups, together_is_drained_as_one_and_comes_home)
{
	struct world *w = trio(3, 3);

	node_drain(w, "host3");
	all_succeed(w);
	cr_assert_eq(node(w, 3)->admin, NODE_MAINTENANCE);
	cr_assert_eq(vm(w, "a")->node, vm(w, "b")->node);
	cr_assert_eq(vm(w, "a")->node, vm(w, "c")->node);
	assert_quiet(w);
	node_resume(w, "host3");
	all_succeed(w);
	assert_all_on(w, "abc", 3);
	assert_quiet(w);
	world_free(w);
}

Test(brain_groups, together_that_comes_later_gathers_with_the_fewest_moves)
{
	struct world *w = count_world(3);

	running_vm(w, "a", 1);
	running_vm(w, "b", 3);
	running_vm(w, "c", 3);
	rule_add(w, "t", TOGETHER, "b c", "", true);
	rule_add(w, "u", TOGETHER, "a b", "", true);
	all_succeed(w);
	assert_all_on(w, "abc", 3);
	assert_quiet(w);
	world_free(w);
}

Test(brain_groups, together_starts_with_its_partners_only)
{
	struct world *w = count_world(3);

	running_vm(w, "a", 2);
	vm_add(w, "b", 512, 0, false);
	rule_add(w, "t", TOGETHER, "a b", "", true);
	vm_start(w, "b", "host1");
	cr_assert_eq(w->rc, HV_REFUSED);
	vm_start(w, "b", "");
	assert_vm(w, "b", VM_STARTING, 2);
	world_free(w);
}

Test(brain_groups, together_obeys_the_node_rules_of_each_of_them)
{
	struct world *w = trio(3, 1);

	rule_add(w, "n", NODES, "a", "host2 host3", true);
	rule_add(w, "m", BAN, "c", "host2", true);
	all_succeed(w);
	assert_all_on(w, "abc", 3);
	assert_quiet(w);
	vm_migrate(w, "b", "host2");
	cr_assert_eq(w->rc, HV_REFUSED);
	world_free(w);
}

Test(brain_groups, two_groups_that_are_apart)
{
	struct world *w = count_world(3);

	running_vm(w, "a", 3);
	running_vm(w, "b", 3);
	running_vm(w, "c", 2);
	running_vm(w, "d", 2);
	rule_add(w, "t", TOGETHER, "a b", "", true);
	rule_add(w, "u", TOGETHER, "c d", "", true);
	rule_add(w, "x", APART, "a c", "", true);
	lose(w, 3, "12");
	all_succeed(w);
	assert_all_on(w, "ab", 1);
	assert_all_on(w, "cd", 2);
	assert_quiet(w);
	world_free(w);
}

Test(brain_groups, one_that_cannot_start_takes_its_group_elsewhere_but_not_round_and_round)
{
	struct world *w = trio(3, 3);
	unsigned moves = 0;

	lose(w, 3, "12");
	result(w, "a", HV_OK, RUNNING);
	result(w, "b", HV_OK, RUNNING);
	cr_assert_eq(vm(w, "c")->node, 1);
	result(w, "c", HV_HYPERVISOR, ABSENT);
	cr_assert_eq(vm(w, "a")->state, VM_MIGRATING);
	cr_assert_eq(vm(w, "a")->target, 2);
	for (int i = 0; i < 60; i++) {
		if (vm_op(w, "c"))
			result(w, "c", HV_HYPERVISOR, ABSENT);
		for (const char *name = "a"; name; name = *name == 'a' ? "b" : NULL) {
			if (!vm_op(w, name))
				continue;
			moves += vm_op(w, name)->kind == OP_VM_MIGRATE;
			result(w, name, HV_OK,
			       vm(w, name)->state == VM_MIGRATING ? ABSENT : RUNNING);
		}
		tick(w, 30000);
	}
	cr_assert_leq(moves, 6, "%u migrations", moves);
	world_free(w);
}

/* ---- follow, after */

Test(brain_groups, who_follows_starts_after_moves_along_and_stops_before)
{
	struct world *w = count_world(3);

	running_vm(w, "db", 2);
	vm_add(w, "app", 512, 0, false);
	rule_add(w, "f", FOLLOW, "app db", "", true);
	vm_start(w, "app", "host1");
	cr_assert_eq(w->rc, HV_REFUSED);
	vm_start(w, "app", "");
	assert_vm(w, "app", VM_STARTING, 2);
	all_succeed(w);

	vm_migrate(w, "app", "host1");
	cr_assert_eq(w->rc, HV_REFUSED);
	vm_migrate(w, "db", "host3");
	all_succeed(w);
	assert_vm(w, "db", VM_RUNNING, 3);
	assert_vm(w, "app", VM_RUNNING, 3);
	assert_quiet(w);

	vm_stop(w, "db", false);
	assert_vm(w, "db", VM_RUNNING, 3);
	assert_vm(w, "app", VM_STOPPING, 3);
	cr_assert_eq(vm_op(w, "app")->kind, OP_VM_STOP, "graceful");
	result(w, "app", HV_OK, ABSENT);
	assert_vm(w, "app", VM_BLOCKED, 0);
	cr_assert_eq(vm(w, "app")->reason.code, REASON_NEEDS);
	assert_vm(w, "db", VM_STOPPING, 3);
	all_succeed(w);
	assert_quiet(w);

	vm_start(w, "db", "");
	all_succeed(w);
	cr_assert_eq(vm(w, "app")->state, VM_RUNNING);
	cr_assert_eq(vm(w, "app")->node, vm(w, "db")->node);
	assert_quiet(w);
	world_free(w);
}

/* It cannot shut itself down, and does not run. */
Test(brain_groups, a_paused_follower_is_not_waited_for)
{
	struct world *w = count_world(3);

	running_vm(w, "db", 2);
	running_vm(w, "app", 2);
	rule_add(w, "f", FOLLOW, "app db", "", true);
	vm_pause(w, "app");
	all_succeed(w);
	assert_vm(w, "app", VM_PAUSED, 2);
	vm_stop(w, "db", false);
	assert_vm(w, "db", VM_STOPPING, 2);
	world_free(w);
}

Test(brain_groups, a_leader_is_placed_where_its_follower_may_be)
{
	struct world *w = count_world(3);

	vm_add(w, "app", 512, 0, false);
	vm_add(w, "db", 512, 0, false);
	rule_add(w, "f", FOLLOW, "app db", "", true);
	rule_add(w, "b", NODES, "app", "host3", true);
	vm_start(w, "app", "");
	assert_vm(w, "app", VM_BLOCKED, 0);
	vm_start(w, "db", "");
	assert_vm(w, "db", VM_STARTING, 3);
	all_succeed(w);
	assert_vm(w, "app", VM_RUNNING, 3);
	world_free(w);
}

Test(brain_groups, both_are_recovered_the_leader_first)
{
	struct world *w = count_world(3);

	running_vm(w, "db", 3);
	running_vm(w, "app", 3);
	rule_add(w, "f", FOLLOW, "app db", "", true);
	lose(w, 3, "12");
	cr_assert_eq(vm(w, "db")->state, VM_STARTING);
	cr_assert_eq(vm(w, "app")->node, 0);
	all_succeed(w);
	cr_assert_eq(vm(w, "app")->state, VM_RUNNING);
	cr_assert_eq(vm(w, "app")->node, vm(w, "db")->node);
	assert_quiet(w);
	world_free(w);
}

Test(brain_groups, mandatory_after_goes_down_with_what_it_needs)
{
	struct world *w = count_world(3);

	running_vm(w, "db", 1);
	running_vm(w, "app", 2);
	rule_add(w, "o", AFTER, "app db", "", true);
	observed(w, 1, "db", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	assert_vm(w, "app", VM_STOPPING, 2);
	assert_vm(w, "db", VM_PENDING, 0);
	result(w, "app", HV_OK, ABSENT);
	cr_assert_eq(vm(w, "db")->state, VM_STARTING);
	assert_vm(w, "app", VM_BLOCKED, 0);
	all_succeed(w);
	cr_assert_eq(vm(w, "app")->state, VM_RUNNING);
	assert_quiet(w);
	world_free(w);
}

Test(brain_groups, a_stop_that_fails_does_not_hold_up_what_is_needed)
{
	struct world *w = count_world(3);

	running_vm(w, "db", 1);
	running_vm(w, "app", 2);
	rule_add(w, "o", AFTER, "app db", "", true);
	observed(w, 1, "db", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	assert_vm(w, "db", VM_PENDING, 0);
	result(w, "app", HV_HYPERVISOR, RUNNING);
	assert_vm(w, "app", VM_STOPPING, 2);
	cr_assert_eq(vm(w, "db")->state, VM_STARTING);
	world_free(w);
}

Test(brain_groups, optional_after_orders_starts_and_nothing_else)
{
	struct world *w = count_world(3);

	running_vm(w, "app", 3);
	running_vm(w, "db", 3);
	rule_add(w, "o", AFTER, "app db", "", false);
	lose(w, 3, "12");
	cr_assert_eq(vm(w, "db")->state, VM_STARTING);
	cr_assert_eq(vm(w, "app")->state, VM_PENDING);
	result(w, "db", HV_OK, RUNNING);
	cr_assert_eq(vm(w, "app")->state, VM_STARTING);
	all_succeed(w);
	vm_stop(w, "db", false);
	all_succeed(w);
	cr_assert_eq(vm(w, "app")->state, VM_RUNNING);
	vm_stop(w, "app", false);
	all_succeed(w);
	vm_start(w, "app", "");
	cr_assert_eq(vm(w, "app")->state, VM_STARTING, "db is not due");
	world_free(w);
}
