/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node is lost: fence, proof, recovery; who is fenced and who is not; nodes that come back. */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

Test(brain_failover, a_vm_of_a_lost_node_starts_elsewhere_after_proof_and_not_before)
{
	struct world *w = world_with_web1(3, 3);

	view(w, "12", "", false);
	assert_node(w, 3, NODE_FENCING);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	cr_assert_eq(running_count(w, OP_VM_START), 0);
	cr_assert_eq(running(w, OP_FENCE, 0)->node, 1);

	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_OFFLINE);
	assert_vm(w, "web1", VM_STARTING, 1);

	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_RECOVERED);
	world_free(w);
}

Test(brain_failover, the_report_tells_each_phase_in_order)
{
	struct world *w = world_new(3);
	const struct failover *f;

	running_vm(w, "web1", 3);
	view(w, "12", "", false);
	fence_result(w, 3, HV_OK);
	result(w, "web1", HV_OK, RUNNING);

	f = cluster_failover_at(w->c, cluster_failover_count(w->c) - 1);
	cr_assert_eq(f->victim, 3);
	cr_assert(f->done);
	cr_assert_eq(f->n_vms, 1);
	cr_assert(f->detected_us && f->detected_us < f->view_us);
	cr_assert(f->view_us <= f->fence_began_us && f->fence_began_us < f->fence_ended_us &&
		  f->fence_ended_us < f->fenced_us);
	cr_assert(f->fenced_us <= f->vms[0].decided_us &&
		  f->vms[0].decided_us < f->vms[0].began_us);
	cr_assert(f->vms[0].began_us < f->vms[0].ended_us &&
		  f->vms[0].ended_us < f->vms[0].running_us);
	cr_assert_eq(f->vms[0].node, 1);
	world_free(w);
}

Test(brain_failover, recovery_is_in_order_of_priority_then_name)
{
	struct world *w = world_new(3);

	set(w, "start_parallel", "1");
	running_vm(w, "low", 3);
	vm_add(w, "b-high", 512, 10, false);
	vm_add(w, "a-high", 512, 10, false);
	vm_start(w, "b-high", "host3");
	result(w, "b-high", HV_OK, RUNNING);
	vm_start(w, "a-high", "host3");
	result(w, "a-high", HV_OK, RUNNING);

	view(w, "12", "", false);
	fence_result(w, 3, HV_OK);

	assert_vm(w, "a-high", VM_STARTING, 1);
	assert_vm(w, "b-high", VM_STARTING, 2);
	assert_vm(w, "low", VM_PENDING, 0);
	cr_assert_eq(vm(w, "low")->reason.code, REASON_QUEUED);
	result(w, "b-high", HV_OK, RUNNING);
	assert_vm(w, "low", VM_STARTING, 2);
	world_free(w);
}

Test(brain_failover, a_failed_fence_is_tried_by_another_after_a_pause_and_nothing_starts)
{
	struct world *w = world_with_web1(3, 3);

	view(w, "12", "", false);

	fence_result(w, 3, HV_AGENT_FAILED);
	assert_node(w, 3, NODE_LOST);
	cr_assert_eq(node(w, 3)->reason.code, REASON_FENCE_FAILED);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	cr_assert_eq(brain_next_deadline_us(w->c), node(w, 3)->deadline_us);

	tick(w, 2001);
	cr_assert_eq(running(w, OP_FENCE, 0)->node, 2, "the next executor");
	cr_assert_eq(running(w, OP_FENCE, 0)->attempt, 2);
	fence_result(w, 3, HV_OK);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_failover, an_agent_that_succeeds_without_proof_proves_nothing)
{
	struct world *w = world_with_web1(3, 3);

	view(w, "12", "", false);
	result_of(w, running(w, OP_FENCE, 0), HV_OK, UNKNOWN, "");
	assert_node(w, 3, NODE_LOST);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	world_free(w);
}

Test(brain_failover, all_devices_of_a_level_must_succeed_and_levels_follow_each_other)
{
	struct world *w = world_new(3);

	fence_add(w, "host3", "pdu-a", 2);
	fence_add(w, "host3", "pdu-b", 2);
	running_vm(w, "web1", 3);
	view(w, "12", "", false);
	cr_assert_str_eq(running(w, OP_FENCE, 0)->device, "bmc");
	cr_assert(running(w, OP_FENCE, 0)->flags & OP_F_FINAL);

	fence_result(w, 3, HV_TIMEOUT);
	cr_assert_str_eq(running(w, OP_FENCE, 0)->device, "pdu-a");
	cr_assert(!(running(w, OP_FENCE, 0)->flags & OP_F_FINAL));

	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_FENCING);
	cr_assert_str_eq(running(w, OP_FENCE, 0)->device, "pdu-b");

	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_OFFLINE);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_failover, without_a_device_it_waits_for_the_administrators_word)
{
	struct world *w = world_configured(3);

	view(w, "123", "", false);
	for (hv_node_id id = 1; id <= 3; id++)
		report(w, id, "");
	running_vm(w, "web1", 3);
	view(w, "12", "", false);
	assert_node(w, 3, NODE_LOST);
	cr_assert_eq(node(w, 3)->reason.code, REASON_NO_FENCE_DEVICE);
	cr_assert_eq(brain_next_deadline_us(w->c), 0, "nothing is due: no ticks");

	vm_start(w, "web1", "");
	cr_assert_eq(op(w, w->op)->rc, HV_HELD,
		     "a request says what holds it instead of waiting for ever");
	cr_assert(strstr(op(w, w->op)->text, "fence confirm host3"));

	fence_confirm(w, "host3");
	cr_assert_eq(w->rc, HV_OK);
	assert_node(w, 3, NODE_OFFLINE);
	assert_vm(w, "web1", VM_STARTING, 1);
	cr_assert(journal_has(w, "node host3", "lost", "confirmed off"));
	world_free(w);
}

/* Asked while it was a member, applied when it is not: nobody has looked at it since. */
Test(brain_failover, a_word_about_a_member_is_not_taken_when_it_is_lost_meanwhile)
{
	struct world *w = world_with_web1(3, 3);

	view(w, "12", "", false);
	fence_confirm_seen(w, "host3", 0, true);
	cr_assert_eq(w->rc, HV_REFUSED);
	fence_confirm_seen(w, "host3", node(w, 3)->incarnation + 1, false);
	cr_assert_eq(w->rc, HV_REFUSED, "it came back and was lost again meanwhile");
	assert_vm(w, "web1", VM_RECOVERING, 3);
	fence_confirm_seen(w, "host3", node(w, 3)->incarnation, false);
	cr_assert_eq(w->rc, HV_OK);
	world_free(w);
}

Test(brain_failover, a_member_cannot_be_confirmed_off)
{
	struct world *w = world_new(3);

	fence_confirm(w, "host3");
	cr_assert_eq(w->rc, HV_REFUSED);
	assert_node(w, 3, NODE_ONLINE);
	view(w, "12", "3", false);
	fence_confirm(w, "host3");
	cr_assert_eq(w->rc, HV_REFUSED, "corosync still sees it");
	world_free(w);
}

Test(brain_failover, a_lost_node_that_nothing_depends_on_is_not_fenced)
{
	struct world *w = world_new(3);

	view(w, "12", "", false);
	assert_node(w, 3, NODE_OFFLINE);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	cr_assert_eq(node(w, 3)->reason.code, REASON_NOTHING_DEPENDS);
	world_free(w);
}

Test(brain_failover, fence_lost_always_fences_it_all_the_same)
{
	struct world *w = world_new(3);

	set(w, "fence_lost", "always");
	view(w, "12", "", false);
	assert_node(w, 3, NODE_FENCING);
	world_free(w);
}

Test(brain_failover, a_gone_clusterd_has_its_grace_and_its_vms_are_left_alone)
{
	struct world *w = world_with_web1(3, 3);

	view(w, "12", "3", false);
	assert_node(w, 3, NODE_MANAGER_DOWN);
	assert_vm(w, "web1", VM_RUNNING, 3);
	cr_assert_eq(brain_next_deadline_us(w->c), node(w, 3)->deadline_us);

	w->incarnation[3]++;
	w->seq[3] = 0;
	view(w, "123", "", false);
	assert_node(w, 3, NODE_JOINING);
	report(w, 3, "web1=running");
	assert_node(w, 3, NODE_ONLINE);
	assert_vm(w, "web1", VM_RUNNING, 3);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	world_free(w);
}

Test(brain_failover, after_its_grace_a_gone_clusterd_is_a_lost_node)
{
	struct world *w = world_with_web1(3, 3);

	view(w, "12", "3", false);
	tick(w, 9000);
	assert_node(w, 3, NODE_MANAGER_DOWN);
	tick(w, 1001);
	assert_node(w, 3, NODE_FENCING);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	world_free(w);
}

Test(brain_failover, a_node_that_returns_before_the_proof_keeps_its_vms)
{
	struct world *w = world_new(3);
	struct operation fence;

	running_vm(w, "web1", 3);
	running_vm(w, "web2", 3);
	view(w, "12", "", false);
	fence = *running(w, OP_FENCE, 0);

	w->incarnation[3]++;
	w->seq[3] = 0;
	view(w, "123", "", false);
	assert_node(w, 3, NODE_JOINING);
	cr_assert(op(w, fence.id)->cancel);
	assert_vm(w, "web1", VM_RECOVERING, 3);

	report(w, 3, "web1=running");
	assert_vm(w, "web1", VM_RUNNING, 3);
	assert_vm(w, "web2", VM_STARTING, 3); /* its own report is the proof */
	world_free(w);
}

Test(brain_failover, the_proof_of_a_fence_that_was_called_off_is_none)
{
	struct world *w = world_new(3);
	hv_op_id old;

	running_vm(w, "web1", 3);
	view(w, "12", "", false);
	old = running(w, OP_FENCE, 0)->id;
	w->incarnation[3]++;
	w->seq[3] = 0;
	view(w, "123", "", false);
	report(w, 3, "web1=running");
	view(w, "12", "", false);
	cr_assert_neq(node(w, 3)->fence_op, old);

	/* The first agent reports late: it switched the node off before it had come back. */
	{
		struct operation o = *op(w, old);
		Hv__OpResult r = HV__OP_RESULT__INIT;
		Hv__Event ev = HV__EVENT__INIT;

		r.op = o.id;
		r.attempt = o.attempt;
		r.node = o.node;
		r.fenced_node = 3;
		ev.body_case = HV__EVENT__BODY_OP_RESULT;
		ev.op_result = &r;
		step(w, &ev, o.node);
	}
	assert_node(w, 3, NODE_FENCING);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	world_free(w);
}

Test(brain_failover, when_the_executor_is_lost_too_another_one_fences)
{
	struct world *w = world_with_web1(5, 5);

	view(w, "1234", "", false);
	cr_assert_eq(running(w, OP_FENCE, 0)->node, 1);
	view(w, "234", "", false);
	cr_assert_eq(running_count(w, OP_FENCE), 1);
	cr_assert_neq(running(w, OP_FENCE, 0)->node, 1);
	cr_assert_eq(running(w, OP_FENCE, 0)->victim, 5);
	fence_result(w, 5, HV_OK);
	assert_vm(w, "web1", VM_STARTING, 2);
	world_free(w);
}

Test(brain_failover, behind_the_barrier_only_fencing_goes_on)
{
	struct world *w = world_with_web1(2, 1);

	running_vm(w, "web2", 2);
	view(w, "1", "", true);
	cr_assert(cluster_barrier(w->c));
	assert_node(w, 2, NODE_FENCING);
	vm_stop(w, "web1", false);
	cr_assert_eq(w->rc, HV_TRY_AGAIN);
	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	cr_assert_eq(running_count(w, OP_VM_START), 0);

	fence_result(w, 2, HV_OK);
	cr_assert(!cluster_barrier(w->c));
	assert_vm(w, "web1", VM_STARTING, 1);
	assert_vm(w, "web2", VM_STARTING, 1);
	world_free(w);
}

Test(brain_failover, a_minority_proves_again_what_was_proven_before)
{
	struct world *w = world_new(2);

	view(w, "1", "", true);
	fence_result(w, 2, HV_OK);
	assert_node(w, 2, NODE_OFFLINE);
	w->incarnation[1]++;
	w->seq[1] = 0;
	view(w, "1", "", true);
	cr_assert(cluster_barrier(w->c));
	assert_node(w, 2, NODE_FENCING);
	cr_assert_eq(running(w, OP_FENCE, 0)->node, 1,
		     "a member that could not report yet may fence");
	world_free(w);
}

Test(brain_failover, power_is_switched_on_again_when_asked_for)
{
	struct world *w = world_new(3);

	set(w, "after_fence", "on");
	running_vm(w, "web1", 3);
	view(w, "12", "", false);
	fence_result(w, 3, HV_OK);
	cr_assert(running(w, OP_FENCE, 0)->flags & OP_F_POWER_ON);
	result_of(w, running(w, OP_FENCE, 0), HV_AGENT_FAILED, UNKNOWN, "no luck");
	assert_node(w, 3, NODE_OFFLINE);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_failover, a_stopped_vm_of_a_lost_node_stays_stopped)
{
	struct world *w = world_with_web1(3, 3);

	vm_stop(w, "web1", false);
	view(w, "12", "", false);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	fence_result(w, 3, HV_OK);
	assert_vm(w, "web1", VM_STOPPED, 0);
	world_free(w);
}

Test(brain_failover, a_device_that_is_added_while_it_fences_must_succeed_too)
{
	struct world *w = world_new(3);
	hv_op_id first;

	running_vm(w, "web1", 3);
	view(w, "12", "", false);
	first = running(w, OP_FENCE, 0)->id;
	fence_add(w, "host3", "outlet", 1);
	cr_assert(cluster_op(w->c, first)->cancel, "its success alone proves nothing any more");
	assert_vm(w, "web1", VM_RECOVERING, 3);
	fence_result(w, 3, HV_OK);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	fence_result(w, 3, HV_OK);
	assert_vm(w, "web1", VM_STARTING, cluster_vm_by_name(w->c, "web1")->node);
	world_free(w);
}
