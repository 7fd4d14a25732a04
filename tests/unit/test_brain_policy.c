/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What administrators decide about nodes and the whole cluster: fencing on request, announced
 * shutdowns, return after maintenance, disarming. */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- fencing on request */

Test(brain_policy, a_member_is_fenced_on_request_and_its_vms_start_elsewhere)
{
	struct world *w = world_new(3);

	running_vm(w, "web1", 3);

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
	struct world *w = world_new(3);

	running_vm(w, "web1", 3);
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
	struct world *w = world_new(3);

	running_vm(w, "web1", 3);
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
	struct world *w = world_new(3);

	running_vm(w, "web1", 3);
	node_fence(w, "host3");
	view(w, "12", "", false);

	w->incarnation[3]++;
	w->boots[3]++;
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
