/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What proves a node off: seen or waited for, as the cluster or a level of its devices demands. */
#include "fence/fence_plan.h"
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

/* host3 has sbd, which waits, at level 1, and, if wanted, a BMC at level 2; web1 runs there. */
static struct world *with_sbd(bool bmc)
{
	struct world *w = world_new(3);
	Hv__FenceAdd m = fence_device("sbd", 1);

	fence_remove(w, "host3", "bmc");
	m.waited = true;
	fence_add_with(w, "host3", m);
	if (bmc)
		fence_add(w, "host3", "ipmi", 2);
	running_vm(w, "web1", 3);
	return w;
}

Test(brain_proof, where_seeing_is_demanded_waiting_is_no_proof)
{
	struct world *w = with_sbd(true);

	set(w, "fence_proof", "seen");
	view(w, "12", "", false);
	fence_result(w, 3, HV_OK);
	cr_assert_str_eq(running(w, OP_FENCE, 0)->device, "ipmi", "the next level must see it");
	fence_result(w, 3, HV_AGENT_FAILED);
	assert_node(w, 3, NODE_LOST);
	cr_assert_eq(node(w, 3)->reason.code, REASON_NOT_SEEN_OFF);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	set(w, "fence_proof", "any");
	tick_due(w);
	fence_result(w, 3, HV_OK);
	assert_vm(w, "web1", VM_STARTING, 1);
	cr_assert(strstr(node(w, 3)->reason.text, "waited for, not seen"));
	world_free(w);
}

Test(brain_proof, a_level_that_demands_to_see_leaves_it_to_the_next)
{
	struct world *w = with_sbd(true);

	fence_level(w, "host3", 1, true);
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	cr_assert(journal_has(w, "fence level 1 of host3", "any", "seen"));
	view(w, "12", "", false);
	cr_assert_str_eq(running(w, OP_FENCE, 0)->device, "sbd", "it is used");
	fence_result(w, 3, HV_OK);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	cr_assert_str_eq(running(w, OP_FENCE, 0)->device, "ipmi");
	fence_result(w, 3, HV_OK);
	assert_vm(w, "web1", VM_STARTING, 1);
	cr_assert(!strstr(node(w, 3)->reason.text, "waited for, not seen"));
	world_free(w);
}

Test(brain_proof, without_another_level_it_waits_for_the_administrator_or_less_demand)
{
	struct world *w = with_sbd(false);

	fence_level(w, "host3", 1, true);
	view(w, "12", "", false);
	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_LOST);
	cr_assert_eq(node(w, 3)->reason.code, REASON_NOT_SEEN_OFF);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	tick_due(w);
	fence_level(w, "host3", 1,
		    false); /* what is under way is judged by what holds at its end */
	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_OFFLINE);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_proof, a_demand_of_one_level_of_one_node_is_no_other_s)
{
	struct world *w = with_sbd(true);

	fence_level(w, "host2", 1, true);
	fence_level(w, "host3", 2, true);
	cr_assert(!cluster_must_see(w->c, node(w, 3), 1) && cluster_must_see(w->c, node(w, 3), 2));
	view(w, "12", "", false);
	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_OFFLINE);
	world_free(w);
}

Test(brain_proof, a_device_can_bring_its_level_s_demand_along)
{
	struct world *w = world_new(3);
	Hv__FenceAdd m = fence_device("sbd", 1);

	fence_remove(w, "host3", "bmc");
	m.waited = m.require_seen = true;
	fence_add_with(w, "host3", m);
	running_vm(w, "web1", 3);
	view(w, "12", "", false);
	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_LOST);
	fence_confirm(w, "host3");
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_proof, time_is_no_proof_where_the_watchdog_s_level_demands_to_see)
{
	struct world *w = world_new(3);

	for (hv_node_id id = 1; id <= 3; id++)
		watchdog(w, id, true);
	fence_remove(w, "host3", "bmc");
	running_vm(w, "web1", 3);
	cr_assert(cluster_watchdog_proves(w->c, node(w, 3)));
	fence_level(w, "host3", FENCE_PLAN_WATCHDOG_LEVEL, true);
	cr_assert(!cluster_watchdog_proves(w->c, node(w, 3)));
	cr_assert(cluster_watchdog_proves(w->c, node(w, 2)));
	view(w, "12", "", false);
	assert_node(w, 3, NODE_LOST);
	cr_assert_eq(node(w, 3)->reason.code, REASON_NO_FENCE_DEVICE);
	fence_level(w, "host3", FENCE_PLAN_WATCHDOG_LEVEL, false);
	assert_node(w, 3, NODE_FENCING);
	fence_level(w, "host3", FENCE_PLAN_WATCHDOG_LEVEL, true);
	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_LOST);
	assert_vm(w, "web1", VM_RECOVERING, 3);
	world_free(w);
}

Test(brain_proof, a_level_that_cannot_be_is_refused)
{
	struct world *w = world_new(2);

	fence_level(w, "nosuch", 1, true);
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	world_free(w);
}
