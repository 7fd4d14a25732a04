/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drains: in what order, what holds them, and what ends them. */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

Test(brain_drain, a_drain_moves_all_by_rank_a_few_at_a_time_and_ends_in_maintenance)
{
	struct world *w = world_new(3);
	hv_op_id drain;

	running_vm(w, "a", 1);
	running_vm(w, "b", 1);
	running_vm(w, "c", 1);
	vm_add(w, "urgent", 512, 9, false);
	vm_start(w, "urgent", "host1");
	result(w, "urgent", HV_OK, RUNNING);
	vm_add(w, "off", 512, 0, false);

	node_drain(w, "host1");
	drain = w->op;
	cr_assert_eq(node(w, 1)->admin, NODE_DRAINING);
	assert_vm(w, "urgent", VM_MIGRATING, 1);
	assert_vm(w, "a", VM_MIGRATING, 1);
	assert_vm(w, "b", VM_RUNNING, 1);
	cr_assert_eq(op(w, drain)->total, 4);

	result(w, "a", HV_OK, ABSENT);
	assert_vm(w, "b", VM_MIGRATING, 1);
	cr_assert_eq(op(w, drain)->done, 1);
	all_succeed(w);
	cr_assert_eq(op(w, drain)->state, OP_DONE);
	cr_assert_eq(op(w, drain)->done, 4);
	cr_assert_eq(node(w, 1)->admin, NODE_MAINTENANCE);
	cr_assert_eq(node(w, 1)->vm_count, 0);

	vm_start(w, "off", "");
	cr_assert_neq(vm(w, "off")->node, 1, "nothing is placed on a drained node");
	node_drain(w, "host1");
	cr_assert_eq(w->rc, HV_OK, "a drained node is drained");
	node_resume(w, "host1");
	cr_assert_eq(node(w, 1)->admin, NODE_ACTIVE);
	world_free(w);
}

Test(brain_drain, a_drain_tries_three_times_then_says_what_holds_it_and_goes_on_when_asked_again)
{
	struct world *w = world_new(2);
	hv_op_id drain;
	size_t count;
	char **held;

	running_vm(w, "a", 1);
	running_vm(w, "b", 1);
	node_drain(w, "host1");
	drain = w->op;
	result(w, "b", HV_OK, ABSENT);
	result(w, "b", HV_OK, RUNNING);
	for (int i = 0; i < 3; i++) {
		result(w, "a", HV_HYPERVISOR, RUNNING);
		result_of(w, running(w, OP_VM_DESTROY, 0), HV_OK, ABSENT, "");
		tick(w, 10000);
	}
	cr_assert_eq(op(w, drain)->state, OP_FAILED);
	cr_assert_eq(op(w, drain)->rc, HV_HELD);
	cr_assert(strstr(op(w, drain)->text, "vm a: its migration to host2 failed"), "%s",
		  op(w, drain)->text);
	cr_assert_eq(node(w, 1)->admin, NODE_DRAINING);
	held = brain_drain_held_by(w->c, node(w, 1), &count);
	cr_assert_eq(count, 1);
	free(held[0]);
	free(held);

	node_drain(w, "host1");
	assert_vm(w, "a", VM_MIGRATING, 1);
	all_succeed(w);
	cr_assert_eq(node(w, 1)->admin, NODE_MAINTENANCE);
	world_free(w);
}

Test(brain_drain, a_drain_without_a_place_ends_at_once_and_goes_on_when_there_is_one)
{
	struct world *w = world_new(2);

	running_vm(w, "a", 1);
	vm_add(w, "fat", 8000, 0, true);
	all_succeed(w);
	assert_vm(w, "fat", VM_RUNNING, 2);
	node_drain(w, "host1");
	cr_assert_eq(op(w, w->op)->rc, HV_HELD);
	cr_assert(strstr(op(w, w->op)->text,
			 "vm a: drained: host1; not enough memory for 512 MiB: host2") ||
		      strstr(op(w, w->op)->text, "not enough memory for 512 MiB: host2"),
		  "%s", op(w, w->op)->text);

	vm_stop(w, "fat", true);
	all_succeed(w);
	assert_vm(w, "a", VM_RUNNING, 2);
	cr_assert_eq(node(w, 1)->admin, NODE_MAINTENANCE);
	world_free(w);
}

Test(brain_drain, resume_of_a_node_ends_its_drain)
{
	struct world *w = world_new(2);
	hv_op_id drain;

	running_vm(w, "a", 1);
	node_drain(w, "host1");
	drain = w->op;
	node_resume(w, "host1");
	cr_assert_eq(op(w, drain)->rc, HV_CANCELLED);
	result(w, "a", HV_OK, ABSENT);
	result(w, "a", HV_OK, RUNNING);
	assert_vm(w, "a", VM_MIGRATING, 2);
	cr_assert_eq(vm(w, "a")->reason.code, REASON_RETURNS, "what had left comes back");
	all_succeed(w);
	assert_vm(w, "a", VM_RUNNING, 1);
	cr_assert_eq(node(w, 1)->admin, NODE_ACTIVE);
	world_free(w);
}

Test(brain_drain, a_node_lost_in_its_drain_ends_the_drain_and_is_recovered)
{
	struct world *w = world_new(3);
	hv_op_id drain;

	running_vm(w, "a", 1);
	node_drain(w, "host1");
	drain = w->op;
	view(w, "23", "", false);
	cr_assert_eq(op(w, drain)->rc, HV_NODE_LOST);
	fence_result(w, 1, HV_OK);
	all_succeed(w);
	cr_assert_eq(vm(w, "a")->state, VM_RUNNING);
	world_free(w);
}

Test(brain_drain, a_drain_with_a_dead_hypervisor_layer_says_so)
{
	struct world *w = world_new(2);

	running_vm(w, "a", 1);
	health(w, 1, false);
	node_drain(w, "host1");
	cr_assert_eq(op(w, w->op)->rc, HV_HELD);
	cr_assert(strstr(op(w, w->op)->text, "hypervisor layer of host1 does not answer"), "%s",
		  op(w, w->op)->text);
	health(w, 1, true);
	assert_vm(w, "a", VM_MIGRATING, 1);
	world_free(w);
}
