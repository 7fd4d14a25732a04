/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What administrators decide about nodes and the whole cluster: fencing on request, announced
 * shutdowns, return after maintenance, disarming. */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- fencing on request */

Test(brain_policy, a_member_is_fenced_on_request_and_its_vms_start_elsewhere)
{
	struct world *w = world_with_web1(3, 3);

	node_fence(w, "host3");
	cr_assert_eq(w->rc, HV_OK);
	cr_assert_eq(w->op, running(w, OP_FENCE, 0)->id);
	assert_node(w, 3, NODE_FENCING);
	cr_assert_eq(node(w, 3)->reason.code, REASON_FENCE_ASKED);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	cr_assert_eq(running_count(w, OP_VM_START), 0);

	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_OFFLINE);
	cr_assert(!node(w, 3)->fence_wanted);
	assert_vm(w, "web1", VM_STARTING, 1);
	view(w, "12", "", false);
	assert_node(w, 3, NODE_OFFLINE);
	world_free(w);
}

Test(brain_policy, a_victim_that_is_still_in_the_view_does_not_come_back)
{
	struct world *w = world_with_web1(3, 3);

	node_fence(w, "host3");

	view(w, "123", "", false);
	report(w, 3, "web1=running");
	observed(w, 3, "web1", RUNNING, HV__CAUSE__CAUSE_NONE);
	assert_node(w, 3, NODE_FENCING);
	assert_vm(w, "web1", VM_RECOVERING, 3);

	fence_result(w, 3, HV_AGENT_FAILED);
	view(w, "123", "", false);
	assert_node(w, 3, NODE_LOST);
	tick(w, 60000);
	assert_node(w, 3, NODE_FENCING);
	fence_result(w, 3, HV_OK);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_policy, a_new_clusterd_of_the_same_boot_does_not_end_the_fencing)
{
	struct world *w = world_with_web1(3, 3);

	node_fence(w, "host3");

	w->incarnation[3]++;
	view(w, "123", "", false);
	assert_node(w, 3, NODE_JOINING);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	report(w, 3, "web1=running");
	assert_node(w, 3, NODE_FENCING);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	world_free(w);
}

Test(brain_policy, a_new_boot_ends_the_fencing)
{
	struct world *w = world_with_web1(3, 3);

	node_fence(w, "host3");
	view(w, "12", "", false);

	rebooted(w, 3);
	view(w, "123", "", false);
	report(w, 3, "");
	assert_node(w, 3, NODE_ONLINE);
	cr_assert(!node(w, 3)->fence_wanted);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_policy, fencing_that_cannot_be_is_refused)
{
	struct world *w = world_configured(2);

	view(w, "12", "", false);
	report(w, 1, "");
	report(w, 2, "");
	node_fence(w, "host2");
	cr_assert_eq(w->rc, HV_REFUSED, "no device");
	fence_add(w, "host2", "bmc", 1);
	fence_add(w, "host1", "bmc", 1);
	node_fence(w, "host9");
	cr_assert_eq(w->rc, HV_NOT_FOUND);

	node_fence(w, "host2");
	cr_assert_eq(w->rc, HV_OK);
	node_fence(w, "host1");
	cr_assert_eq(w->rc, HV_REFUSED, "no one is left who could");
	assert_node(w, 1, NODE_ONLINE);
	world_free(w);
}

/* ---- a node that joined and says nothing */

Test(brain_policy, a_node_that_does_not_report_is_fenced_after_join_timeout)
{
	struct world *w = world_with_web1(3, 3);

	w->incarnation[3]++;
	view(w, "123", "", false);
	assert_node(w, 3, NODE_JOINING);
	tick(w, 59000);
	assert_node(w, 3, NODE_JOINING);

	tick(w, 1001);
	assert_node(w, 3, NODE_FENCING);
	cr_assert_eq(node(w, 3)->reason.code, REASON_JOIN_TIMEOUT);
	fence_result(w, 3, HV_OK);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_policy, a_leap_of_the_clock_is_no_waiting)
{
	struct world *w = world_new(3);

	/* The view is of a host that has just booted; the others have waited for it for minutes. */
	running_vm(w, "web1", 3);
	w->incarnation[3]++;
	view(w, "123", "", false);
	tick(w, 240000);
	assert_node(w, 3, NODE_JOINING);

	tick(w, 59000);
	assert_node(w, 3, NODE_JOINING);
	tick(w, 1001);
	assert_node(w, 3, NODE_FENCING);
	world_free(w);
}

Test(brain_policy, who_joins_can_report_after_a_time_without_quorum)
{
	struct world *w = world_new(3);

	running_vm(w, "web1", 3);
	w->incarnation[3]++;
	view(w, "123", "", false);
	tick(w, 5000);

	/* No quorum for 56 s, in which nobody can report; the view says how late it is. */
	w->now_us += 56 * HV_US_PER_S;
	view(w, "123", "", false);
	assert_node(w, 3, NODE_JOINING);
	tick(w, 9000);
	assert_node(w, 3, NODE_JOINING);
	tick(w, 1001);
	assert_node(w, 3, NODE_FENCING);
	world_free(w);
}

Test(brain_policy, without_a_fence_device_it_only_says_so)
{
	struct world *w = world_configured(2);

	view(w, "12", "", false);
	report(w, 1, "");
	tick(w, 61000);
	assert_node(w, 2, NODE_JOINING);
	cr_assert_eq(node(w, 2)->reason.code, REASON_JOIN_TIMEOUT);
	report(w, 2, "");
	assert_node(w, 2, NODE_ONLINE);
	world_free(w);
}

/* ---- hands off the whole cluster */

/* Everyone tells anew; then it acts again. */
static void all_tell(struct world *w, const char *at1, const char *at2, const char *at3)
{
	cr_assert_eq(cluster_arm(w->c), ARMING);
	report(w, 1, at1);
	report(w, 2, at2);
	report(w, 3, at3);
	cr_assert_eq(cluster_arm(w->c), ARMED);
}

Test(brain_policy, disarmed_a_lost_node_is_not_fenced_before_it_is_armed)
{
	struct world *w = world_with_web1(3, 3);

	disarm(w, false);
	view(w, "12", "", false);
	assert_node(w, 3, NODE_LOST);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	cr_assert_eq(brain_next_deadline_us(w->c), 0, "no ticks");

	arm(w);
	assert_node(w, 3, NODE_FENCING);
	fence_result(w, 3, HV_OK);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_policy, disarmed_a_guest_that_ends_stays_down)
{
	struct world *w = world_with_web1(3, 3);

	disarm(w, false);
	observed(w, 3, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	assert_vm(w, "web1", VM_PENDING, 0);
	tick(w, 60000);
	cr_assert_eq(running_count(w, OP_VM_START), 0);

	arm(w);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_policy, disarmed_requests_are_refused_with_the_way_out)
{
	struct world *w = world_with_web1(3, 3);

	disarm(w, true);
	vm_migrate(w, "web1", "host1");
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert_str_eq(w->hint, "hvcluster arm");
	node_fence(w, "host3");
	cr_assert_eq(w->rc, HV_REFUSED);
	node_drain(w, "host3");
	cr_assert_eq(w->rc, HV_OK, "begins when armed");
	assert_vm(w, "web1", VM_RUNNING, 3);

	arm(w);
	all_tell(w, "", "", "web1=running");
	assert_vm(w, "web1", VM_MIGRATING, 3);
	world_free(w);
}

Test(brain_policy, disarmed_what_is_meant_is_kept_and_done_when_armed)
{
	struct world *w = world_new(3);
	hv_op_id request;

	running_vm(w, "web1", 3);
	disarm(w, false);
	vm_stop(w, "web1", false);
	cr_assert_eq(w->rc, HV_OK);
	request = w->op;
	assert_vm(w, "web1", VM_RUNNING, 3);
	cr_assert_eq(running_count(w, OP_VM_STOP), 0);

	arm(w);
	assert_vm(w, "web1", VM_STOPPING, 3);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STOPPED, 0);
	cr_assert_eq(op(w, request)->rc, HV_OK);
	world_free(w);
}

Test(brain_policy, disarmed_what_is_under_way_is_finished)
{
	struct world *w = world_new(3);
	hv_op_id request;

	running_vm(w, "web1", 3);
	vm_migrate(w, "web1", "host1");
	request = w->op;
	disarm(w, false);
	cr_assert_eq(op(w, request)->rc, HV_HELD);

	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_RESUMING, 1);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_RESUME, "its guest is not left paused");
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_policy, what_was_moved_by_hand_is_taken_over)
{
	struct world *w = world_with_web1(3, 3);

	disarm(w, true);
	observed(w, 1, "web1", INCOMING, HV__CAUSE__CAUSE_NONE);
	cr_assert_eq(running_count(w, OP_VM_DESTROY), 0, "someone migrates it");
	observed(w, 1, "web1", RUNNING, HV__CAUSE__CAUSE_NONE);
	result(w, "web1", HV_OK, ABSENT);
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 1);
	arm(w);
	all_tell(w, "web1=running", "", "");
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_policy, what_was_started_by_hand_while_its_host_is_lost_is_not_started_again)
{
	struct world *w = world_with_web1(3, 3);

	disarm(w, true);
	view(w, "12", "", false);
	arm(w);
	report(w, 1, "");
	assert_vm(w, "web1", VM_RECOVERING, 3);
	report(w, 2, "web1=running");
	assert_vm(w, "web1", VM_RUNNING, 2);
	cr_assert_eq(running_count(w, OP_VM_START), 0);
	assert_node(w, 3, NODE_OFFLINE);
	world_free(w);
}

Test(brain_policy, arming_does_not_wait_for_ever_for_a_node_that_cannot_tell)
{
	struct world *w = world_new(3);

	disarm(w, true);
	arm(w);
	report(w, 1, "");
	report(w, 2, "");
	cr_assert_eq(cluster_arm(w->c), ARMING);
	tick(w, 15001);
	cr_assert_eq(cluster_arm(w->c), ARMED);
	cr_assert_eq(brain_next_deadline_us(w->c), 0);
	world_free(w);
}

Test(brain_policy, disarmed_while_it_is_being_armed_it_waits_for_nobody)
{
	struct world *w = world_new(3);

	disarm(w, true);
	arm(w);
	report(w, 1, "");
	disarm(w, false);
	cr_assert_eq(brain_next_deadline_us(w->c), 0);
	arm(w);
	cr_assert_eq(cluster_arm(w->c), ARMED);
	world_free(w);
}
