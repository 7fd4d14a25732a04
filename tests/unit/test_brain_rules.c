/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules: what each kind forbids, prefers, moves and refuses. */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

#define NODES HV__RULE_KIND__RULE_NODES
#define BAN HV__RULE_KIND__RULE_BAN
#define TOGETHER HV__RULE_KIND__RULE_TOGETHER
#define APART HV__RULE_KIND__RULE_APART
#define FOLLOW HV__RULE_KIND__RULE_FOLLOW
#define AFTER HV__RULE_KIND__RULE_AFTER

static struct world *count_world(unsigned nodes)
{
	struct world *w = world_new(nodes);

	set(w, "placement", "count");
	return w;
}

/* Nothing is left to do: another look, and time, change nothing. */
static void assert_quiet(struct world *w)
{
	all_succeed(w);
	for (int i = 0; i < 5; i++) {
		tick(w, 120000);
		cr_assert_eq(running_count(w, OP_VM_MIGRATE) + running_count(w, OP_VM_START) +
				 running_count(w, OP_VM_STOP),
			     0, "something still moves");
	}
}

static void lose(struct world *w, hv_node_id id, const char *left)
{
	view(w, left, "", false);
	fence_result(w, id, HV_OK);
}

/* ---- nodes */

Test(brain_rules, hard_nodes_hold_a_start_until_one_of_them_is_there)
{
	struct world *w = count_world(3);

	running_vm(w, "web1", 3);
	rule_add(w, "r", NODES, "web1", "host3", true);
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	lose(w, 3, "12");
	assert_vm(w, "web1", VM_BLOCKED, 0);
	cr_assert(strstr(vm(w, "web1")->reason.text, "rule r: host1, host2"), "%s",
		  vm(w, "web1")->reason.text);

	view(w, "123", "", false);
	report(w, 3, "");
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 3);
	assert_quiet(w);
	world_free(w);
}

Test(brain_rules, soft_nodes_give_way_and_the_vm_comes_back)
{
	struct world *w = count_world(3);

	running_vm(w, "web1", 3);
	rule_add(w, "r", NODES, "web1", "host3", false);
	lose(w, 3, "12");
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 1);
	assert_quiet(w);

	view(w, "123", "", false);
	report(w, 3, "");
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_PREFERRED);
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 3);
	assert_quiet(w);
	world_free(w);
}

Test(brain_rules, without_failback_it_stays)
{
	struct world *w = count_world(3);

	running_vm(w, "web1", 3);
	vm_set(w, "web1", "failback", "off");
	rule_add(w, "r", NODES, "web1", "host3", false);
	lose(w, 3, "12");
	all_succeed(w);
	view(w, "123", "", false);
	report(w, 3, "");
	assert_quiet(w);
	assert_vm(w, "web1", VM_RUNNING, 1);

	vm_set(w, "web1", "failback", "on");
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 3);
	world_free(w);
}

Test(brain_rules, the_highest_priority_that_is_there_is_taken)
{
	struct world *w = count_world(3);

	running_vm(w, "web1", 1);
	rule_add(w, "r", NODES, "web1", "host1=1 host2=5 host3=5", true);
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 2);
	node_drain(w, "host2");
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 3);
	node_drain(w, "host3");
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 1);
	assert_quiet(w);
	node_resume(w, "host3");
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 3);
	world_free(w);
}

Test(brain_rules, an_administrators_own_move_down_is_taken_back)
{
	struct world *w = count_world(3);

	running_vm(w, "web1", 2);
	rule_add(w, "r", NODES, "web1", "host1=1 host2=2", true);
	vm_migrate(w, "web1", "host1");
	cr_assert_eq(w->rc, HV_OK);
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 2);
	vm_migrate(w, "web1", "host3");
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert(strstr(w->text, "rule r (nodes) forbids it"), "%s", w->text);
	assert_quiet(w);
	world_free(w);
}

Test(brain_rules, a_rule_that_comes_later_moves_what_breaks_it)
{
	struct world *w = count_world(3);

	running_vm(w, "web1", 1);
	rule_add(w, "r", BAN, "web1", "host1", true);
	cr_assert_eq(vm(w, "web1")->state, VM_MIGRATING);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_RULE);
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 2);
	assert_quiet(w);
	world_free(w);
}

Test(brain_rules, what_cannot_go_where_it_may_stays_and_is_not_stopped)
{
	struct world *w = count_world(2);

	running_vm(w, "web1", 1);
	node_drain(w, "host2");
	all_succeed(w);
	rule_add(w, "r", NODES, "web1", "host2", true);
	cr_assert_eq(w->rc, HV_OK);
	assert_quiet(w);
	assert_vm(w, "web1", VM_RUNNING, 1);
	node_resume(w, "host2");
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 2);
	world_free(w);
}

Test(brain_rules, a_move_that_fails_is_tried_again_after_pauses_that_grow)
{
	struct world *w = count_world(2);
	uint64_t first, second;

	running_vm(w, "web1", 1);
	rule_add(w, "r", BAN, "web1", "host1", true);
	result(w, "web1", HV_HYPERVISOR, RUNNING);
	result_of(w, running(w, OP_VM_DESTROY, 0), HV_OK, ABSENT, "");
	assert_vm(w, "web1", VM_RUNNING, 1);
	first = vm(w, "web1")->retry_us - w->now_us;
	tick(w, first / HV_US_PER_MS + 1);
	assert_vm(w, "web1", VM_MIGRATING, 1);
	result(w, "web1", HV_HYPERVISOR, RUNNING);
	result_of(w, running(w, OP_VM_DESTROY, 0), HV_OK, ABSENT, "");
	second = vm(w, "web1")->retry_us - w->now_us;
	cr_assert_gt(second, first);
	tick(w, second / HV_US_PER_MS + 1);
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 2);
	world_free(w);
}

/* ---- apart */

Test(brain_rules, apart_sends_it_to_the_busier_node)
{
	struct world *w = count_world(3);

	running_vm(w, "a", 2);
	running_vm(w, "b", 3);
	running_vm(w, "c", 1);
	running_vm(w, "d", 1);
	rule_add(w, "r", APART, "a b", "", true);
	lose(w, 3, "12");
	all_succeed(w);
	assert_vm(w, "b", VM_RUNNING, 1);
	assert_vm(w, "a", VM_RUNNING, 2);
	assert_quiet(w);
	world_free(w);
}

Test(brain_rules, apart_blocks_when_every_node_has_a_partner)
{
	struct world *w = count_world(3);

	running_vm(w, "a", 1);
	running_vm(w, "b", 2);
	running_vm(w, "c", 3);
	rule_add(w, "r", APART, "a b c", "", true);
	lose(w, 3, "12");
	assert_vm(w, "c", VM_BLOCKED, 0);
	assert_quiet(w);
	vm_stop(w, "a", false);
	all_succeed(w);
	assert_vm(w, "c", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_rules, apart_refuses_a_migration_to_a_partner_also_to_where_one_is_coming)
{
	struct world *w = count_world(3);

	running_vm(w, "a", 1);
	running_vm(w, "b", 2);
	rule_add(w, "r", APART, "a b", "", true);
	vm_migrate(w, "a", "host2");
	cr_assert_eq(w->rc, HV_REFUSED);
	vm_migrate(w, "b", "host3");
	cr_assert_eq(w->rc, HV_OK);
	vm_migrate(w, "a", "host2");
	cr_assert_eq(w->rc, HV_REFUSED, "it is still there");
	vm_migrate(w, "a", "host3");
	cr_assert_eq(w->rc, HV_REFUSED, "it is coming there");
	all_succeed(w);
	vm_migrate(w, "a", "host2");
	cr_assert_eq(w->rc, HV_OK);
	all_succeed(w);
	assert_quiet(w);
	world_free(w);
}

Test(brain_rules, apart_that_comes_later_moves_the_one_of_lower_rank_only)
{
	struct world *w = count_world(3);

	running_vm(w, "a", 1);
	running_vm(w, "b", 1);
	rule_add(w, "r", APART, "a b", "", true);
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 1);
	all_succeed(w);
	assert_vm(w, "a", VM_RUNNING, 1);
	assert_vm(w, "b", VM_RUNNING, 2);
	assert_quiet(w);
	world_free(w);
}

Test(brain_rules, a_copy_that_is_not_proven_gone_keeps_its_partner_away)
{
	struct world *w = count_world(2);

	running_vm(w, "a", 1);
	vm_add(w, "b", 512, 0, false);
	vm_migrate(w, "a", "host2");
	result(w, "a", HV_HYPERVISOR, RUNNING);
	rule_add(w, "r", APART, "a b", "", true);
	vm_start(w, "b", "");
	assert_vm(w, "b", VM_BLOCKED, 0);
	result_of(w, running(w, OP_VM_DESTROY, 0), HV_OK, ABSENT, "");
	assert_vm(w, "b", VM_STARTING, 2);
	world_free(w);
}

/* ---- requests about rules */

Test(brain_rules, foolish_rules_are_refused_with_the_cause)
{
	struct world *w = count_world(3);

	for (char name[2] = "a"; *name < 'e'; ++*name)
		vm_add(w, name, 512, 0, false);
	rule_add(w, "r", APART, "a", "", true);
	cr_assert_eq(w->rc, HV_BAD_INPUT);
	rule_add(w, "r", APART, "a a", "", true);
	cr_assert_eq(w->rc, HV_BAD_INPUT);
	rule_add(w, "r", APART, "a nobody", "", true);
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	rule_add(w, "r", NODES, "a", "", true);
	cr_assert_eq(w->rc, HV_BAD_INPUT);
	rule_add(w, "r", NODES, "a", "host1 host1", true);
	cr_assert_eq(w->rc, HV_BAD_INPUT);
	rule_add(w, "r", NODES, "a", "host9", true);
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	rule_add(w, "r", BAN, "a", "host1 host2 host3", true);
	cr_assert_eq(w->rc, HV_REFUSED, "%s", w->text);
	rule_add(w, "r", FOLLOW, "a", "", true);
	cr_assert_eq(w->rc, HV_BAD_INPUT);
	rule_remove(w, "r");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	cr_assert_eq(cluster_rule_count(w->c), 0);
	world_free(w);
}

Test(brain_rules, contradictions_are_refused_and_leave_the_old_rule)
{
	struct world *w = count_world(3);

	for (char name[2] = "a"; *name < 'e'; ++*name)
		vm_add(w, name, 512, 0, false);
	rule_add(w, "t1", TOGETHER, "a b", "", true);
	rule_add(w, "t2", TOGETHER, "b c", "", true);
	rule_add(w, "x", APART, "a c", "", true);
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert(strstr(w->text, "must be on one node"), "%s", w->text);
	rule_add(w, "x", APART, "a c", "", false);
	cr_assert_eq(w->rc, HV_OK, "a wish contradicts nothing");
	rule_add(w, "x", APART, "a d", "", true);
	cr_assert_eq(w->rc, HV_OK);
	rule_add(w, "x", APART, "b c", "", true);
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert_str_eq(cluster_rule_by_name(w->c, "x")->vms[1], uuid_of("d"));

	rule_add(w, "n", NODES, "a", "host1", true);
	rule_add(w, "b", BAN, "c", "host1", true);
	cr_assert_eq(w->rc, HV_REFUSED, "the group would have no node left");
	rule_add(w, "f", FOLLOW, "a b", "", true);
	cr_assert_eq(w->rc, HV_OK);
	rule_add(w, "g", AFTER, "b a", "", false);
	cr_assert_eq(w->rc, HV_REFUSED, "a circle");
	rule_add(w, "h", FOLLOW, "a c", "", true);
	cr_assert_eq(w->rc, HV_REFUSED, "two leaders");
	cr_assert_eq(cluster_rule_count(w->c), 5);
	world_free(w);
}

Test(brain_rules, a_vm_that_is_removed_leaves_its_rules_and_takes_along_what_makes_no_sense_then)
{
	struct world *w = count_world(3);

	for (char name[2] = "a"; *name < 'e'; ++*name)
		vm_add(w, name, 512, 0, false);
	rule_add(w, "apart", APART, "a b c", "", true);
	rule_add(w, "pair", TOGETHER, "c d", "", true);
	rule_add(w, "pin", NODES, "c", "host1", true);
	rule_add(w, "first", AFTER, "b c", "", true);
	vm_remove(w, "c", false);
	cr_assert_eq(w->rc, HV_OK);
	cr_assert_null(vm(w, "c"));
	cr_assert_eq(cluster_rule_count(w->c), 1);
	cr_assert_eq(cluster_rule_by_name(w->c, "apart")->n_vms, 2);
	cr_assert(journal_has(w, "rule pair", "together", "removed"));
	world_free(w);
}

/* ---- placement modes */

Test(brain_rules, count_takes_the_node_with_the_fewest)
{
	struct world *w = count_world(3);

	running_vm(w, "a", 1);
	running_vm(w, "b", 1);
	running_vm(w, "c", 2);
	vm_add(w, "d", 512, 0, true);
	assert_vm(w, "d", VM_STARTING, 3);
	vm_add(w, "e", 512, 0, true);
	assert_vm(w, "e", VM_STARTING, 2);
	world_free(w);
}

Test(brain_rules, capacity_and_pack_go_by_what_is_left)
{
	struct world *w = world_new(3);

	vm_add(w, "a", 4096, 0, false);
	vm_start(w, "a", "host2");
	set(w, "placement", "pack");
	vm_add(w, "b", 1024, 0, true);
	assert_vm(w, "b", VM_STARTING, 2);
	vm_add(w, "c", 6000, 0, true);
	assert_vm(w, "c", VM_STARTING, 1);
	set(w, "placement", "capacity");
	vm_add(w, "d", 1024, 0, true);
	assert_vm(w, "d", VM_STARTING, 3);
	vm_add(w, "e", 1024, 0, true);
	assert_vm(w, "e", VM_STARTING, 3);
	world_free(w);
}

Test(brain_rules, processors_are_a_limit_only_if_the_setting_says_so)
{
	struct world *w = count_world(1);

	for (char name[2] = "a"; *name < 'k'; ++*name)
		vm_add(w, name, 100, 0, true);
	all_succeed(w);
	cr_assert_eq(cluster_vms_in_state(w->c, VM_RUNNING), 10);
	set(w, "vcpus_per_cpu", "1");
	vm_add(w, "k", 100, 0, true);
	assert_vm(w, "k", VM_BLOCKED, 0);
	cr_assert(strstr(vm(w, "k")->reason.text, "not enough processors"), "%s",
		  vm(w, "k")->reason.text);
	set(w, "vcpus_per_cpu", "");
	assert_vm(w, "k", VM_STARTING, 1);
	world_free(w);
}

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

Test(brain_rules, together_is_recovered_to_one_node)
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

Test(brain_rules, together_goes_where_all_have_room_or_nowhere)
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

Test(brain_rules, together_is_migrated_as_one)
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

Test(brain_rules, together_is_drained_as_one_and_comes_home)
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

Test(brain_rules, together_that_comes_later_gathers_with_the_fewest_moves)
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

Test(brain_rules, together_starts_with_its_partners_only)
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

Test(brain_rules, together_obeys_the_node_rules_of_each_of_them)
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

Test(brain_rules, two_groups_that_are_apart)
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

Test(brain_rules, one_that_cannot_start_takes_its_group_elsewhere_but_not_round_and_round)
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

/* ---- soft */

Test(brain_rules, soft_rules_are_wishes)
{
	struct world *w = count_world(2);

	running_vm(w, "a", 1);
	running_vm(w, "b", 2);
	vm_add(w, "c", 512, 0, false);
	vm_add(w, "d", 512, 0, false);
	rule_add(w, "apart", APART, "a c", "", false);
	rule_add(w, "near", TOGETHER, "d a", "", false);
	vm_start(w, "c", "");
	assert_vm(w, "c", VM_STARTING, 2);
	vm_start(w, "d", "");
	assert_vm(w, "d", VM_STARTING, 1);
	all_succeed(w);
	lose(w, 2, "1");
	all_succeed(w);
	assert_vm(w, "c", VM_RUNNING, 1);
	assert_quiet(w);
	view(w, "12", "", false);
	report(w, 2, "");
	assert_quiet(w);
	assert_vm(w, "c", VM_RUNNING, 1);
	set(w, "stickiness", "off");
	all_succeed(w);
	cr_assert_neq(vm(w, "a")->node, vm(w, "c")->node);
	tick(w, 11000);
	assert_quiet(w);
	world_free(w);
}

/* ---- follow, after */

Test(brain_rules, who_follows_starts_after_moves_along_and_stops_before)
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
Test(brain_rules, a_paused_follower_is_not_waited_for)
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

Test(brain_rules, a_leader_is_placed_where_its_follower_may_be)
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

Test(brain_rules, both_are_recovered_the_leader_first)
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

Test(brain_rules, mandatory_after_goes_down_with_what_it_needs)
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

Test(brain_rules, a_stop_that_fails_does_not_hold_up_what_is_needed)
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

Test(brain_rules, optional_after_orders_starts_and_nothing_else)
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

/* ---- preemption */

Test(brain_rules, room_is_made_for_who_has_the_higher_priority)
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

Test(brain_rules, who_gives_way_leaves_live_if_it_can_and_the_room_is_kept)
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

Test(brain_rules, without_preemption_or_with_the_same_priority_nobody_gives_way)
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

/* ---- balance */

static void even_out(struct world *w)
{
	for (int i = 0; i < 10; i++) {
		all_succeed(w);
		tick(w, 11000);
	}
}

Test(brain_rules, stickiness_off_evens_out_one_at_a_time_and_then_rests)
{
	struct world *w = count_world(3);

	for (char name[2] = "a"; *name < 'h'; ++*name)
		running_vm(w, name, 1);
	assert_quiet(w);
	cr_assert_eq(node(w, 1)->vm_count, 7);
	set(w, "stickiness", "off");
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 0, "it waits until it is calm");
	tick(w, 11000);
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 1);
	even_out(w);
	cr_assert_eq(node(w, 1)->vm_count, 3);
	cr_assert_eq(node(w, 2)->vm_count, 2);
	cr_assert_eq(node(w, 3)->vm_count, 2);
	assert_quiet(w);
	world_free(w);
}

Test(brain_rules, balance_by_room_comes_to_rest_too)
{
	struct world *w = count_world(3);

	set(w, "placement", "capacity");
	for (char name[2] = "a"; *name < 'f'; ++*name) {
		vm_add(w, name, 400 * (uint64_t)(*name - 'a' + 1), 0, false);
		vm_start(w, name, "host2");
	}
	all_succeed(w);
	set(w, "stickiness", "off");
	even_out(w);
	cr_assert_leq(node(w, 2)->mem_used_mib, 2800);
	assert_quiet(w);
	set(w, "placement", "balanced");
	even_out(w);
	assert_quiet(w);
	world_free(w);
}
