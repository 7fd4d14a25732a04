/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules: what each kind forbids, prefers, moves and refuses. */
#include "tests/unit/brain_rules.h"

#include <criterion/criterion.h>
#include <string.h>

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

/* The world's checks look after each step whether the leader knows. */
Test(brain_rules, a_leader_hears_when_its_follower_is_locked_or_let_go)
{
	struct world *w = world_new(3);

	running_vm(w, "a", 1);
	running_vm(w, "b", 2);
	disarm(w, false);
	rule_add(w, "f", FOLLOW, "a b", "", true);
	cr_assert(vm(w, "b")->uneasy, "its follower is elsewhere");
	vm_lock(w, "a", "backup");
	cr_assert_not(vm(w, "b")->uneasy, "a lock holds it there");
	vm_lock(w, "a", "");
	cr_assert(vm(w, "b")->uneasy);
	vm_set(w, "a", "managed", "off");
	cr_assert_not(vm(w, "b")->uneasy);
	vm_set(w, "a", "managed", "on");
	cr_assert(vm(w, "b")->uneasy);
	world_free(w);
}
