/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Watchdogs: what nodes say of theirs, and when time is a proof. */
#include "fence/selfguard.h"
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define DEADLINE_MS 13700 /* of 5 s and a lease of 2 s */

/* Three nodes with watchdogs and nothing else; web1 runs on node 3. */
static struct world *only_watchdogs(void)
{
	struct world *w = world_new(3);

	for (hv_node_id id = 1; id <= 3; id++) {
		char name[8];

		snprintf(name, sizeof(name), "host%u", id);
		fence_remove(w, name, "bmc");
		watchdog(w, id, true);
	}
	running_vm(w, "web1", 3);
	return w;
}

static const struct operation *fence_op(const struct world *w, hv_node_id id)
{
	return op(w, node(w, id)->fence_op);
}

Test(brain_watchdog, a_node_with_nothing_else_is_proven_off_by_time)
{
	struct world *w = only_watchdogs();
	const struct operation *o;

	view(w, "12", "", false);
	assert_node(w, 3, NODE_FENCING);
	o = fence_op(w, 3);
	cr_assert(o && (o->flags & OP_F_WATCHDOG) && (o->flags & OP_F_FINAL));
	cr_assert_str_eq(o->device, "watchdog");
	cr_assert_eq(o->wait_us, DEADLINE_MS * 1000);
	cr_assert_eq(o->node, 1);
	cr_assert_eq(node(w, 3)->away_index, w->index);

	tick(w, 60000);
	assert_vm(w, "web1", VM_RECOVERING, 3); /* the executor's clock counts, not this one */
	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_OFFLINE);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_watchdog, who_has_said_nothing_is_not)
{
	struct world *w = only_watchdogs();

	watchdog(w, 3, false);
	view(w, "12", "", false);
	assert_node(w, 3, NODE_LOST);
	cr_assert_eq(node(w, 3)->reason.code, REASON_NO_FENCE_DEVICE);
	tick(w, 60000);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	world_free(w);
}

Test(brain_watchdog, a_new_process_has_said_nothing_yet)
{
	struct world *w = only_watchdogs();

	w->incarnation[3]++;
	w->seq[3] = 0;
	view(w, "123", "", false);
	cr_assert_eq(node(w, 3)->watch.watchdog_ms, 0);
	view(w, "12", "", false);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	world_free(w);
}

Test(brain_watchdog, devices_come_first_and_time_is_the_last_level)
{
	struct world *w = only_watchdogs();
	const struct operation *o;

	fence_add(w, "host3", "pdu", 1);
	view(w, "12", "", false);
	o = fence_op(w, 3);
	cr_assert_str_eq(o->device, "pdu");
	cr_assert_not(o->flags & OP_F_WATCHDOG);
	fence_result(w, 3, HV_AGENT_FAILED);
	o = fence_op(w, 3);
	cr_assert(o->flags & OP_F_WATCHDOG);
	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_OFFLINE);
	world_free(w);
}

Test(brain_watchdog, a_device_that_hangs_is_overtaken_by_time)
{
	struct world *w = only_watchdogs();
	const struct operation *o;
	hv_op_id slow;

	fence_add(w, "host3", "pdu", 1);
	view(w, "12", "", false);
	slow = node(w, 3)->fence_op;
	cr_assert(brain_next_deadline_us(w->c));
	tick(w, DEADLINE_MS - 2000);
	cr_assert_eq(node(w, 3)->fence_op, slow);
	tick(w, 3000);
	o = fence_op(w, 3);
	cr_assert(o && (o->flags & OP_F_WATCHDOG));
	cr_assert(op(w, slow)->cancel, "its agent is killed");
	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_OFFLINE);
	world_free(w);
}

Test(brain_watchdog, who_is_back_feeds_again)
{
	struct world *w = only_watchdogs();
	hv_op_id waiting;

	view(w, "12", "", false);
	waiting = node(w, 3)->fence_op;
	view(w, "123", "", false);
	assert_node(w, 3, NODE_JOINING);
	cr_assert_eq(node(w, 3)->away_index, 0);
	cr_assert(op(w, waiting)->cancel);
	report(w, 3, "web1=running");
	assert_vm(w, "web1", VM_RUNNING, 3);
	view(w, "12", "", false);
	cr_assert_neq(node(w, 3)->fence_op, waiting, "and is waited for anew");
	cr_assert_eq(fence_op(w, 3)->wait_us, DEADLINE_MS * 1000, "as it said: the same process");
	world_free(w);
}

Test(brain_watchdog, a_member_that_is_to_be_fenced_is_fenced_by_devices_alone)
{
	struct world *w = only_watchdogs();

	fence_add(w, "host3", "pdu", 1);
	node_fence(w, "host3");
	cr_assert_eq(w->rc, HV_OK);
	fence_result(w, 3, HV_AGENT_FAILED);
	assert_node(w, 3, NODE_LOST);
	tick(w, 1000);
	cr_assert(!fence_op(w, 3) || !(fence_op(w, 3)->flags & OP_F_WATCHDOG), "it feeds");
	view(w, "12", "", false); /* now it does not */
	tick(w, 5000);
	if (!(fence_op(w, 3)->flags & OP_F_WATCHDOG))
		fence_result(w, 3, HV_AGENT_FAILED);
	cr_assert(fence_op(w, 3)->flags & OP_F_WATCHDOG);
	view(w, "123", "", false); /* back, with the fence still wanted */
	cr_assert(!fence_op(w, 3) || !(fence_op(w, 3)->flags & OP_F_WATCHDOG), "it feeds again");
	world_free(w);
}

Test(brain_watchdog, disarmed_watchdogs_are_closed_and_prove_nothing)
{
	struct world *w = only_watchdogs();
	uint64_t generation = cluster_watchdog_generation(w->c);

	disarm(w, false);
	cr_assert_not(cluster_watchdogs_on(w->c));
	for (hv_node_id id = 1; id <= 3; id++)
		cr_assert_eq(node(w, id)->watch.watchdog_ms, 0);
	watchdog(w, 3, true);
	cr_assert_eq(node(w, 3)->watch.watchdog_ms, 0, "said too late");
	arm(w);
	cr_assert(cluster_watchdogs_on(w->c));
	cr_assert_neq(cluster_watchdog_generation(w->c), generation);
	view(w, "12", "", false);
	cr_assert_eq(running_count(w, OP_FENCE), 0,
		     "it has not opened it again, as far as we know");
	world_free(w);
}

Test(brain_watchdog, a_word_of_before_the_disarming_is_no_word)
{
	struct world *w = only_watchdogs();
	Hv__NodeWatchdog dog = HV__NODE_WATCHDOG__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	dog.node = 3;
	dog.incarnation_seen = w->incarnation[3];
	dog.generation = cluster_watchdog_generation(w->c);
	dog.watchdog_ms = 5000;
	dog.lease_ms = 2000;
	ev.body_case = HV__EVENT__BODY_NODE_WATCHDOG;
	ev.node_watchdog = &dog;
	disarm(w, false);
	arm(w);
	step(w, &ev, 3); /* it was on its way */
	cr_assert_eq(node(w, 3)->watch.watchdog_ms, 0);
	world_free(w);
}

Test(brain_watchdog, who_was_lost_before_the_disarming_does_not_know_of_it)
{
	struct world *w = only_watchdogs();

	view(w, "12", "", false);
	disarm(w, false);
	cr_assert_eq(node(w, 3)->watch.watchdog_ms, 5000);
	arm(w);
	cr_assert(fence_op(w, 3) && (fence_op(w, 3)->flags & OP_F_WATCHDOG));
	fence_result(w, 3, HV_OK);
	assert_node(w, 3, NODE_OFFLINE);
	world_free(w);
}

Test(brain_watchdog, without_need_of_quorum_time_proves_nothing)
{
	struct world *w = only_watchdogs();

	set(w, "quorum_loss", "ignore");
	cr_assert_not(cluster_watchdogs_on(w->c));
	cr_assert_eq(node(w, 3)->watch.watchdog_ms, 0);
	set(w, "quorum_loss", "freeze");
	cr_assert(cluster_watchdogs_on(w->c));
	world_free(w);
}

Test(brain_watchdog, two_nodes_without_a_witness_both_go_on)
{
	struct world *w = world_new(2);
	Hv__NodeWatchdog dog = HV__NODE_WATCHDOG__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	fence_remove(w, "host1", "bmc");
	fence_remove(w, "host2", "bmc");
	running_vm(w, "web1", 2);
	dog.node = 2;
	dog.incarnation_seen = w->incarnation[2];
	dog.watchdog_ms = 5000;
	dog.lease_ms = 2000;
	dog.both_go_on = true;
	ev.body_case = HV__EVENT__BODY_NODE_WATCHDOG;
	ev.node_watchdog = &dog;
	step(w, &ev, 2);
	view(w, "1", "", true);
	assert_node(w, 2, NODE_LOST);
	cr_assert_eq(node(w, 2)->reason.code, REASON_TIME_NO_PROOF);
	world_free(w);
}

Test(brain_watchdog, quorum_loss_is_by_itself_what_suits)
{
	struct world *w = world_new(3);
	uint64_t grace_us;

	cr_assert_eq(cluster_quorum_loss(w->c, &grace_us), SELFGUARD_FREEZE);
	watchdog(w, 1, true);
	cr_assert_eq(cluster_quorum_loss(w->c, &grace_us), SELFGUARD_FREEZE, "it has devices");
	fence_remove(w, "host1", "bmc");
	fence_remove(w, "host2", "bmc");
	fence_remove(w, "host3", "bmc");
	cr_assert_eq(cluster_quorum_loss(w->c, &grace_us), SELFGUARD_SELF_FENCE);
	set(w, "quorum_loss", "stop");
	cr_assert_eq(cluster_quorum_loss(w->c, &grace_us), SELFGUARD_STOP, "said is said");
	world_free(w);
}

Test(brain_watchdog, its_name_is_taken)
{
	struct world *w = world_new(2);
	const char *why = NULL;
	Hv__Event ev = HV__EVENT__INIT;
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__FenceAdd f = HV__FENCE_ADD__INIT;

	f.node = "host1";
	f.device = "watchdog";
	f.agent = "fence_ipmilan";
	cmd.actor = "root@host1";
	cmd.body_case = HV__COMMAND__BODY_FENCE_ADD;
	cmd.fence_add = &f;
	ev.proposer = 1;
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = &cmd;
	cr_assert_not(event_valid(&ev, &why));
	world_free(w);
}

/* A device may vote for either side in turn: whoever had its vote in between fed. */
Test(brain_watchdog, a_minority_counts_anew_from_each_view)
{
	struct world *w = only_watchdogs();
	uint64_t first;

	view(w, "12", "", false);
	first = node(w, 3)->away_index;
	view(w, "12", "", false);
	cr_assert_eq(node(w, 3)->away_index, first, "a majority has had quorum all the time");
	view(w, "1", "", true);
	first = node(w, 3)->away_index;
	cr_assert_eq(first, w->index);
	view(w, "1", "", true);
	cr_assert_gt(node(w, 3)->away_index, first);
	cr_assert_eq(node(w, 2)->away_index, node(w, 3)->away_index);
	world_free(w);
}
