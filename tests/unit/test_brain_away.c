/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hosts that go down on purpose or are in maintenance, and what becomes of their VMs. */
#include "tests/unit/brain_rules.h"
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- hosts that go down on purpose */

/* It is off, and the others see it. */
static void goes_down(struct world *w, hv_node_id id, const char *others)
{
	view(w, others, "", false);
	rebooted(w, id);
}

static void boots(struct world *w, hv_node_id id, const char *members)
{
	view(w, members, "", false);
	report(w, id, "");
}

Test(brain_away, a_rebooting_host_has_its_vms_shut_down_frozen_and_started_again)
{
	struct world *w = world_new(3);
	hv_op_id op_id;

	running_vm(w, "web1", 3);

	node_shutdown(w, "host3", true);
	op_id = w->op;
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_STOP, "in order");
	cr_assert_eq(op(w, op_id)->state, OP_RUNNING);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_FROZEN, 0);
	cr_assert_eq(op(w, op_id)->state, OP_DONE, "it may go down");

	goes_down(w, 3, "12");
	assert_node(w, 3, NODE_OFFLINE);
	tick(w, 300000);
	assert_vm(w, "web1", VM_FROZEN, 0);

	boots(w, 3, "123");
	assert_node(w, 3, NODE_ONLINE);
	cr_assert_eq(node(w, 3)->leaving, NODE_STAYS);
	assert_vm(w, "web1", VM_STARTING, 3);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	world_free(w);
}

Test(brain_away, an_announcement_proves_nothing_after_the_timeout_the_host_is_fenced)
{
	struct world *w = world_new(3);

	set(w, "frozen_timeout_s", "100");
	running_vm(w, "web1", 3);
	node_shutdown(w, "host3", true);

	goes_down(w, 3, "12");
	assert_node(w, 3, NODE_LOST);
	assert_vm(w, "web1", VM_FROZEN, 3);
	cr_assert_eq(running_count(w, OP_FENCE), 0, "it is waited for");
	vm_start(w, "web1", "host1");
	cr_assert_eq(w->rc, HV_REFUSED);

	tick(w, 100001);
	assert_node(w, 3, NODE_FENCING);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	fence_result(w, 3, HV_OK);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_away, a_host_that_vanished_before_its_vms_were_shut_down_starts_them_when_back)
{
	struct world *w = world_with_web1(3, 3);

	node_shutdown(w, "host3", true);
	goes_down(w, 3, "12");

	view(w, "123", "", false);
	assert_vm(w, "web1", VM_FROZEN, 3);
	report(w, 3, "");
	assert_vm(w, "web1", VM_STARTING, 3);
	world_free(w);
}

Test(brain_away, announced_anew_before_it_has_reported_its_vms_wait_for_that)
{
	struct world *w = world_with_web1(3, 3);

	node_shutdown(w, "host3", true);
	goes_down(w, 3, "12");
	view(w, "123", "", false);
	assert_vm(w, "web1", VM_FROZEN, 3);
	node_shutdown(w, "host3", false);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	report(w, 3, "");
	assert_vm(w, "web1", VM_STARTING, 3);
	world_free(w);
}

Test(brain_away, announced_before_it_has_reported_what_it_lost_waits_for_its_return)
{
	struct world *w = world_with_web1(3, 3);

	view(w, "12", "", false);
	view(w, "123", "", false);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	node_shutdown(w, "host3", true);
	report(w, 3, "");
	assert_vm(w, "web1", VM_FROZEN, 0);
	world_free(w);
}

Test(brain_away, a_host_that_goes_down_is_left_by_as_many_at_a_time_as_a_drain_moves)
{
	struct world *w = world_new(3);

	set(w, "node_shutdown", "migrate");
	for (int i = 0; i < 4; i++)
		running_vm(w, (const char *[]){"a", "b", "c", "d"}[i], 3);
	node_shutdown(w, "host3", true);
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 2);
	all_succeed(w);
	cr_assert_eq(node(w, 3)->owned.count, 0);
	world_free(w);
}

Test(brain_away, it_may_come_back_with_the_vm_still_running)
{
	struct world *w = world_with_web1(3, 3);

	node_shutdown(w, "host3", true);
	view(w, "12", "", false);
	assert_vm(w, "web1", VM_FROZEN, 3);

	view(w, "123", "", false);
	report(w, 3, "web1=running");
	cr_assert_eq(node(w, 3)->leaving, NODE_REBOOTS, "only corosync was away");
	assert_vm(w, "web1", VM_STOPPING, 3);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_STOP);
	world_free(w);
}

Test(brain_away, proven_stopped_frozen_vms_start_elsewhere_after_the_timeout_without_a_fence)
{
	struct world *w = world_new(3);

	set(w, "frozen_timeout_s", "100");
	running_vm(w, "web1", 3);
	node_shutdown(w, "host3", true);
	result(w, "web1", HV_OK, ABSENT);
	goes_down(w, 3, "12");

	tick(w, 100001);
	assert_vm(w, "web1", VM_STARTING, 1);
	assert_node(w, 3, NODE_OFFLINE);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	world_free(w);
}

Test(brain_away, a_host_that_never_goes_down_gives_its_frozen_vms_away)
{
	struct world *w = world_new(3);

	set(w, "frozen_timeout_s", "100");
	running_vm(w, "web1", 3);
	node_shutdown(w, "host3", true);
	result(w, "web1", HV_OK, ABSENT);
	cr_assert(brain_next_deadline_us(w->c), "no other event is needed");
	tick(w, 100001);
	assert_vm(w, "web1", VM_STARTING, 1);
	assert_node(w, 3, NODE_ONLINE);
	world_free(w);
}

Test(brain_away, the_administrators_word_ends_the_waiting)
{
	struct world *w = world_with_web1(3, 3);

	node_shutdown(w, "host3", true);
	goes_down(w, 3, "12");
	assert_vm(w, "web1", VM_FROZEN, 3);

	fence_confirm(w, "host3");
	cr_assert_eq(w->rc, HV_OK);
	assert_node(w, 3, NODE_OFFLINE);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_away, a_frozen_vm_may_be_started_elsewhere_once_it_is_proven_stopped)
{
	struct world *w = world_with_web1(3, 3);

	node_shutdown(w, "host3", true);
	result(w, "web1", HV_OK, ABSENT);
	vm_start(w, "web1", "host2");
	cr_assert_eq(w->rc, HV_OK);
	assert_vm(w, "web1", VM_STARTING, 2);
	world_free(w);
}

Test(brain_away, a_frozen_vm_may_be_stopped)
{
	struct world *w = world_with_web1(3, 3);

	running_vm(w, "web2", 3);
	node_shutdown(w, "host3", true);
	result(w, "web1", HV_OK, ABSENT);
	goes_down(w, 3, "12");
	vm_stop(w, "web1", false);
	assert_vm(w, "web1", VM_STOPPED, 0);
	vm_stop(w, "web2", false);
	assert_vm(w, "web2", VM_FROZEN, 3);

	boots(w, 3, "123");
	assert_vm(w, "web2", VM_STOPPED, 0);
	world_free(w);
}

Test(brain_away, a_host_that_shuts_down_has_its_vms_started_elsewhere_without_a_fence)
{
	struct world *w = world_new(3);
	hv_op_id op_id;

	set(w, "fence_lost", "always");
	running_vm(w, "web1", 3);

	node_shutdown(w, "host3", false);
	op_id = w->op;
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_STOP);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STARTING, 1);
	cr_assert_eq(op(w, op_id)->state, OP_DONE);

	goes_down(w, 3, "12");
	assert_node(w, 3, NODE_OFFLINE);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	cr_assert_eq(node(w, 3)->reason.code, REASON_WENT_DOWN);

	boots(w, 3, "123");
	cr_assert_eq(node(w, 3)->leaving, NODE_STAYS);
	world_free(w);
}

Test(brain_away, a_host_that_vanishes_before_its_shutdown_is_finished_is_lost)
{
	struct world *w = world_new(3);
	hv_op_id op_id;

	running_vm(w, "web1", 3);
	node_shutdown(w, "host3", false);
	op_id = w->op;

	goes_down(w, 3, "12");
	assert_node(w, 3, NODE_FENCING);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	cr_assert_eq(op(w, op_id)->rc, HV_NODE_LOST);
	world_free(w);
}

Test(brain_away, with_migrate_vms_leave_live_and_come_home)
{
	struct world *w = world_new(3);
	hv_op_id op_id;

	set(w, "node_shutdown", "migrate");
	running_vm(w, "web1", 3);

	node_shutdown(w, "host3", false);
	op_id = w->op;
	assert_vm(w, "web1", VM_MIGRATING, 3);
	cr_assert_eq(vm(w, "web1")->home, 3);
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_eq(op(w, op_id)->state, OP_DONE);

	goes_down(w, 3, "12");
	assert_node(w, 3, NODE_OFFLINE);
	boots(w, 3, "123");
	assert_vm(w, "web1", VM_MIGRATING, 1);
	cr_assert_eq(vm(w, "web1")->target, 3);
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 3);
	cr_assert_eq(vm(w, "web1")->home, 0);
	world_free(w);
}

Test(brain_away, with_migrate_what_cannot_go_is_shut_down)
{
	struct world *w = world_new(2);

	set(w, "node_shutdown", "migrate");
	running_vm(w, "big1", 1);
	vm_add(w, "big2", 8000, 0, false);
	vm_start(w, "big2", "host2");
	result(w, "big2", HV_OK, RUNNING);

	node_shutdown(w, "host2", false);
	assert_vm(w, "big2", VM_STOPPING, 2);
	result(w, "big2", HV_OK, ABSENT);
	assert_vm(w, "big2", VM_BLOCKED, 0);
	world_free(w);
}

Test(brain_away, nothing_is_started_on_a_host_that_is_about_to_go_down)
{
	struct world *w = world_new(2);

	node_shutdown(w, "host1", false);
	cr_assert_eq(op(w, w->op)->state, OP_DONE, "it had nothing");
	vm_add(w, "web1", 512, 0, true);
	assert_vm(w, "web1", VM_STARTING, 2);
	vm_start(w, "web1", "host1");
	cr_assert_eq(w->rc, HV_REFUSED);
	world_free(w);
}

Test(brain_away, an_announcement_can_be_taken_back)
{
	struct world *w = world_new(3);
	hv_op_id op_id;

	running_vm(w, "web1", 3);
	running_vm(w, "web2", 3);
	node_shutdown(w, "host3", true);
	op_id = w->op;
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_FROZEN, 0);

	node_shutdown_cancel(w, "host3");
	cr_assert_eq(op(w, op_id)->rc, HV_CANCELLED);
	assert_vm(w, "web1", VM_STARTING, 3);
	cr_assert(vm_op(w, "web2")->cancel, "its shutdown is called off");
	result(w, "web2", HV_CANCELLED, RUNNING);
	assert_vm(w, "web2", VM_RUNNING, 3);
	world_free(w);
}

/* Locked, it stays; its database was to come back, and then is not. */
Test(brain_away, taken_back_who_needs_a_vm_hears_that_it_does_not_come_back)
{
	struct world *w = world_new(3);

	running_vm(w, "app", 1);
	running_vm(w, "db", 1);
	rule_add(w, "o", AFTER, "app db", "", true);
	vm_lock(w, "app", "backup");
	node_shutdown(w, "host1", true);
	node_shutdown_cancel(w, "host1");
	world_free(w);
}

Test(brain_away, taken_back_after_the_host_vanished_it_is_lost_like_any_other)
{
	struct world *w = world_with_web1(3, 3);

	node_shutdown(w, "host3", true);
	goes_down(w, 3, "12");
	node_shutdown_cancel(w, "host3");
	assert_node(w, 3, NODE_FENCING);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	world_free(w);
}

Test(brain_away, a_shutdown_that_cannot_end_says_what_holds_it)
{
	struct world *w = world_new(3);
	hv_op_id op_id;

	running_vm(w, "web1", 3);
	health(w, 3, false);
	node_shutdown(w, "host3", false);
	op_id = w->op;
	cr_assert_eq(op(w, op_id)->rc, HV_HELD);
	cr_assert(strstr(op(w, op_id)->text, "web1"));

	health(w, 3, true);
	assert_vm(w, "web1", VM_STOPPING, 3);
	node_shutdown(w, "host3", false);
	result(w, "web1", HV_OK, ABSENT);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	world_free(w);
}

/* ---- return after maintenance */

Test(brain_away, after_maintenance_vms_go_home_live)
{
	struct world *w = world_with_web1(3, 3);

	node_drain(w, "host3");
	all_succeed(w);
	cr_assert_eq(node(w, 3)->admin, NODE_MAINTENANCE);
	cr_assert_neq(vm(w, "web1")->node, 3);
	goes_down(w, 3, "12");
	assert_node(w, 3, NODE_OFFLINE);
	boots(w, 3, "123");
	cr_assert_eq(node(w, 3)->admin, NODE_MAINTENANCE, "a power cycle does not end it");
	cr_assert_neq(vm(w, "web1")->node, 3);

	node_resume(w, "host3");
	cr_assert_eq(vm(w, "web1")->state, VM_MIGRATING);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_RETURNS);
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 3);
	world_free(w);
}

Test(brain_away, a_vm_that_was_moved_by_hand_stays)
{
	struct world *w = world_with_web1(3, 3);

	node_drain(w, "host3");
	all_succeed(w);
	vm_migrate(w, "web1", vm(w, "web1")->node == 1 ? "host2" : "host1");
	all_succeed(w);
	node_resume(w, "host3");
	cr_assert_eq(vm(w, "web1")->state, VM_RUNNING);
	cr_assert_neq(vm(w, "web1")->node, 3);
	world_free(w);
}

Test(brain_away, recovery_keeps_the_home)
{
	struct world *w = world_with_web1(3, 3);

	node_drain(w, "host3");
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 1);
	view(w, "23", "", false);
	fence_result(w, 1, HV_OK);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 2);
	node_resume(w, "host3");
	assert_vm(w, "web1", VM_MIGRATING, 2);
	world_free(w);
}

/* It would be stopped, placed where its follower can be with it, and called home again, for ever.
 */
Test(brain_away, home_is_not_where_its_follower_cannot_be)
{
	struct world *w = world_new(2);

	running_vm(w, "db", 2);
	running_vm(w, "app", 2);
	vm_set(w, "db", "live_migration", "off");
	node_drain(w, "host2");
	all_succeed(w);
	assert_vm(w, "db", VM_RUNNING, 1);
	cr_assert_eq(vm(w, "db")->home, 2);
	rule_add(w, "f", HV__RULE_KIND__RULE_FOLLOW, "app db", "", true);
	rule_add(w, "b", HV__RULE_KIND__RULE_BAN, "app", "host2", true);
	node_resume(w, "host2");
	assert_vm(w, "db", VM_RUNNING, 1);
	cr_assert_eq(vm(w, "db")->home, 0);
	assert_vm(w, "app", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_away, without_maintenance_return_it_stays)
{
	struct world *w = world_new(3);

	set(w, "maintenance_return", "off");
	running_vm(w, "web1", 3);
	node_drain(w, "host3");
	all_succeed(w);
	node_resume(w, "host3");
	cr_assert_eq(vm(w, "web1")->state, VM_RUNNING);
	world_free(w);
}
