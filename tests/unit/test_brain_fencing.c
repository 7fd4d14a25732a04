/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Delays and duels, brakes and quarantine, self-tests, unfencing. */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Lost, fenced, and back with another boot. */
static void fenced_and_back(struct world *w, hv_node_id id, const char *others, const char *all)
{
	view(w, others, "", false);
	assert_node(w, id, NODE_FENCING);
	fence_result(w, id, HV_OK);
	assert_node(w, id, NODE_OFFLINE);
	rebooted(w, id);
	view(w, all, "", false);
	report(w, id, "");
	assert_node(w, id, NODE_ONLINE);
}

/* ---- delays */

Test(brain_fencing, a_device_with_a_delay_waits_so_long)
{
	struct world *w = world_new(3);
	Hv__FenceAdd m = fence_device("slow", 1);

	fence_remove(w, "host3", "bmc");
	m.delay_s = 5;
	fence_add_with(w, "host3", m);
	running_vm(w, "web1", 3);

	view(w, "12", "", false);
	assert_node(w, 3, NODE_LOST);
	cr_assert_eq(node(w, 3)->reason.code, REASON_FENCE_DELAYED);
	cr_assert_eq(node(w, 3)->reason.number, 5000);
	tick(w, 4900);
	assert_node(w, 3, NODE_LOST);
	tick(w, 101);
	assert_node(w, 3, NODE_FENCING);
	fence_result(w, 3, HV_OK);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_fencing, a_random_delay_is_a_part_of_what_is_set_and_another_one_each_time)
{
	uint64_t seen[8];
	unsigned differ = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(seen); i++) {
		struct world *w = world_new(3);
		Hv__FenceAdd m = fence_device("slow", 1);

		fence_remove(w, "host3", "bmc");
		m.delay_s = 1;
		m.delay_random_s = 10;
		fence_add_with(w, "host3", m);
		running_vm(w, "web1", 3);
		tick(w, 1 + i);
		view(w, "12", "", false);
		seen[i] = node(w, 3)->deadline_us - cluster_now_us(w->c);
		cr_assert(seen[i] >= 1000000 && seen[i] <= 11000000, "%llu µs",
			  (unsigned long long)seen[i]);
		differ += i && seen[i] != seen[0];
		world_free(w);
	}
	cr_assert(differ >= 6);
}

Test(brain_fencing, who_comes_back_during_the_delay_is_not_fenced)
{
	struct world *w = world_new(3);
	Hv__FenceAdd m = fence_device("slow", 1);

	fence_remove(w, "host3", "bmc");
	m.delay_s = 5;
	fence_add_with(w, "host3", m);
	running_vm(w, "web1", 3);
	view(w, "12", "", false);
	tick(w, 1000);
	view(w, "123", "", false);
	report(w, 3, "web1=running");
	tick(w, 10000);
	assert_node(w, 3, NODE_ONLINE);
	assert_vm(w, "web1", VM_RUNNING, 3);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	world_free(w);
}

/* ---- duels: host1 and host2 have lost each other, and this is how each of them sees it */

static struct world *duel(const char *important)
{
	struct world *w = world_new(2);

	w->duel = true;
	running_vm(w, "a", 1);
	running_vm(w, "b", 2);
	if (*important)
		vm_set(w, important, "priority", "10");
	return w;
}

static bool shoots_at_once(const char *important, const char *member)
{
	struct world *w = duel(important);
	hv_node_id victim = *member == '1' ? 2 : 1;
	bool at_once;

	view(w, member, "", true);
	at_once = node(w, victim)->state == NODE_FENCING;
	if (!at_once) {
		cr_assert_eq(node(w, victim)->reason.code, REASON_FENCE_DELAYED);
		tick(w, 2990);
		assert_node(w, victim, NODE_LOST);
		tick(w, 11);
		assert_node(w, victim, NODE_FENCING);
	}
	world_free(w);
	return at_once;
}

Test(brain_fencing, in_a_duel_the_side_with_the_more_important_vms_shoots_first)
{
	cr_assert(shoots_at_once("a", "1") && !shoots_at_once("a", "2"));
	cr_assert(shoots_at_once("b", "2") && !shoots_at_once("b", "1"));
}

Test(brain_fencing, equal_sides_go_by_the_lower_node_id)
{
	cr_assert(shoots_at_once("", "1") && !shoots_at_once("", "2"));
}

Test(brain_fencing, only_the_first_shot_of_a_duel_is_delayed)
{
	struct world *w = duel("");

	view(w, "2", "", true);
	tick(w, 3001);
	fence_result(w, 1, HV_AGENT_FAILED);
	tick(w, 2001);
	assert_node(w, 1, NODE_FENCING);
	world_free(w);
}

Test(brain_fencing, where_a_device_votes_there_is_no_duel)
{
	struct world *w = duel("");

	w->duel = false;
	view(w, "2", "", true);
	assert_node(w, 1, NODE_FENCING);
	world_free(w);
}

Test(brain_fencing, a_host_that_boots_beside_one_of_two_is_not_fenced_for_it)
{
	struct world *w = world_with_web1(2, 2);

	view(w, "1", "", true);
	fence_result(w, 2, HV_OK);
	result(w, "web1", HV_OK, RUNNING);
	view(w, "1", "2", true); /* its corosync is up, its clusterd not yet */
	assert_node(w, 2, NODE_LOST);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	tick(w, 9000);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	tick(w, 1001); /* manager_grace_ms */
	assert_node(w, 2, NODE_FENCING);
	world_free(w);
}

/* ---- at most half of the nodes */

Test(brain_fencing, more_than_half_of_the_nodes_wait_for_the_window)
{
	struct world *w = world_new(3);

	set(w, "fence_window_s", "300");
	running_vm(w, "web1", 2);
	running_vm(w, "web2", 3);
	fenced_and_back(w, 3, "12", "123");

	view(w, "13", "", false);
	assert_node(w, 2, NODE_LOST);
	cr_assert_eq(node(w, 2)->reason.code, REASON_BRAKE);
	cr_assert(strstr(node(w, 2)->reason.text, "host3"));
	cr_assert(journal_has(w, "node host2", "lost", "not fenced"));
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	tick(w, 290000);
	assert_node(w, 2, NODE_LOST);
	tick(w, 10001);
	assert_node(w, 2, NODE_FENCING);
	world_free(w);
}

Test(brain_fencing, an_administrator_fences_it_all_the_same)
{
	struct world *w = world_new(3);

	set(w, "fence_window_s", "300");
	running_vm(w, "web1", 2);
	running_vm(w, "web2", 3);
	fenced_and_back(w, 3, "12", "123");
	view(w, "13", "", false);
	node_fence(w, "host2");
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	assert_node(w, 2, NODE_FENCING);
	fence_result(w, 2, HV_AGENT_FAILED);
	tick(w, 2001);
	assert_node(w, 2, NODE_FENCING);
	world_free(w);
}

Test(brain_fencing, the_brake_lets_go_by_a_word_and_by_a_setting)
{
	struct world *w = world_new(3);

	set(w, "fence_window_s", "300");
	running_vm(w, "web1", 2);
	running_vm(w, "web2", 3);
	fenced_and_back(w, 3, "12", "123");
	view(w, "13", "", false);
	assert_node(w, 2, NODE_LOST);
	set(w, "fence_window_s", "0");
	assert_node(w, 2, NODE_FENCING);
	set(w, "fence_window_s", "300");
	fence_confirm(w, "host2");
	assert_node(w, 2, NODE_OFFLINE);
	assert_vm(w, "web1", VM_STARTING, 3);
	cr_assert_eq(node(w, 2)->n_fences, 0, "a word is no fence");
	world_free(w);
}

Test(brain_fencing, the_brake_counts_those_that_are_being_fenced)
{
	struct world *w = world_new(4);

	set(w, "fence_window_s", "300");
	running_vm(w, "web1", 2);
	running_vm(w, "web2", 3);
	running_vm(w, "web3", 4);
	view(w, "1", "", true); /* a device's side */
	cr_assert_eq(running_count(w, OP_FENCE), 2);
	assert_node(w, 4, NODE_LOST);
	cr_assert_eq(node(w, 4)->reason.code, REASON_BRAKE);
	cr_assert(cluster_barrier(w->c));
	node_fence(w, "host4");
	cr_assert_eq(w->rc, HV_OK, "also behind the barrier: %s", w->text);
	assert_node(w, 4, NODE_FENCING);
	world_free(w);
}

/* ---- quarantine */

static struct world *quarantined(void)
{
	struct world *w = world_new(3);

	set(w, "quarantine_fences", "3");
	set(w, "fence_lost", "always");
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_not(node(w, 3)->quarantined);
		fenced_and_back(w, 3, "12", "123");
		tick(w, 60000);
	}
	cr_assert(node(w, 3)->quarantined);
	cr_assert(journal_has(w, "node host3", "in service", "quarantined"));
	return w;
}

Test(brain_fencing, a_node_that_is_fenced_three_times_within_an_hour_gets_no_vms)
{
	struct world *w = quarantined();

	vm_add(w, "web1", 512, 0, false);
	vm_start(w, "web1", "host3");
	cr_assert_neq(w->rc, HV_OK);
	vm_start(w, "web1", "");
	assert_vm(w, "web1", VM_STARTING, 1);
	result(w, "web1", HV_OK, RUNNING);
	vm_migrate(w, "web1", "host3");
	cr_assert_neq(w->rc, HV_OK);
	world_free(w);
}

Test(brain_fencing, an_administrator_releases_it)
{
	struct world *w = quarantined();

	node_release(w, "host1");
	cr_assert_eq(w->rc, HV_REFUSED);
	node_release(w, "nosuch");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	vm_add(w, "web1", 512, 0, false);
	node_drain(w, "host1");
	node_drain(w, "host2");
	vm_start(w, "web1", "");
	assert_vm(w, "web1", VM_BLOCKED, 0);
	node_release(w, "host3");
	cr_assert_eq(w->rc, HV_OK);
	assert_vm(w, "web1", VM_STARTING, 3);
	cr_assert_eq(node(w, 3)->n_fences, 1, "the next one does not bring it back at once");
	world_free(w);
}

Test(brain_fencing, its_time_releases_it)
{
	struct world *w = quarantined();

	cr_assert_eq(brain_next_deadline_us(w->c), node(w, 3)->quarantine_us);
	tick_due(w);
	cr_assert_not(node(w, 3)->quarantined);
	cr_assert_eq(brain_next_deadline_us(w->c), 0);
	world_free(w);
}

Test(brain_fencing, fences_of_more_than_an_hour_ago_do_not_count)
{
	struct world *w = world_new(3);

	set(w, "quarantine_fences", "3");
	set(w, "fence_lost", "always");
	for (unsigned i = 0; i < 6; i++) {
		fenced_and_back(w, 3, "12", "123");
		tick(w, 1801000);
	}
	cr_assert_not(node(w, 3)->quarantined);
	world_free(w);
}

/* ---- self-tests */

Test(brain_fencing, each_device_is_tested_one_at_a_time_by_each_node_in_turn)
{
	struct world *w = world_new(3);
	unsigned by[4][4] = {{0}}, tests = 0;
	uint64_t began;

	set(w, "fence_test_interval_s", "600");
	began = w->now_us;
	for (; tests < 12; tests++) {
		const struct operation *o;

		if (!running(w, OP_FENCE_TEST, 0))
			tick_due(w);
		cr_assert_eq(running_count(w, OP_FENCE_TEST), 1);
		o = running(w, OP_FENCE_TEST, 0);
		by[o->victim][o->node]++;
		result_of(w, o, HV_OK, UNKNOWN, "");
	}
	for (hv_node_id victim = 1; victim <= 3; victim++)
		for (hv_node_id node = 1; node <= 3; node++)
			cr_assert_eq(by[victim][node], victim == node ? 0 : 2);
	/* The first three at once, then one in 200 s. */
	cr_assert(w->now_us - began > 8 * 200000000ULL && w->now_us - began < 10 * 200000000ULL);
	cr_assert_eq(node(w, 3)->devices[0]->n_paths, 2);
	world_free(w);
}

Test(brain_fencing, a_way_that_fails_is_an_event_and_so_is_its_mending)
{
	struct world *w = world_new(3);
	const struct fence_device *d = node(w, 3)->devices[0];

	fence_test(w, "host3", "bmc");
	cr_assert_eq(running(w, OP_FENCE_TEST, 0)->node, 1);
	result_of(w, running(w, OP_FENCE_TEST, 0), HV_OK, UNKNOWN, "");
	cr_assert_not(journal_has(w, "fence device of host3", "bmc ready", "bmc test failed"));
	fence_test(w, "host3", "bmc");
	cr_assert_eq(running(w, OP_FENCE_TEST, 0)->node, 2);
	result_of(w, running(w, OP_FENCE_TEST, 0), HV_AGENT_FAILED, UNKNOWN, "no route");
	cr_assert(journal_has(w, "fence device of host3", "bmc ready", "bmc test failed"));
	cr_assert_eq(d->n_paths, 2);
	cr_assert(d->paths[0].rc == HV_OK && d->paths[1].rc == HV_AGENT_FAILED);
	for (unsigned i = 0; i < 2; i++) {
		fence_test(w, "host3", "bmc");
		result_of(w, running(w, OP_FENCE_TEST, 0), HV_OK, UNKNOWN, "");
	}
	cr_assert(journal_has(w, "fence device of host3", "bmc test failed", "bmc ready"));
	world_free(w);
}

Test(brain_fencing, a_test_gives_way_to_a_fence_and_a_disarmed_cluster_tests_nothing)
{
	struct world *w = world_with_web1(3, 3);

	fence_test(w, "host3", "bmc");
	view(w, "12", "", false);
	assert_node(w, 3, NODE_FENCING);
	cr_assert(running(w, OP_FENCE_TEST, 0)->cancel);
	result_of(w, running(w, OP_FENCE_TEST, 0), HV_CANCELLED, UNKNOWN, "");
	cr_assert_not(node(w, 3)->devices[0]->tested);
	fence_result(w, 3, HV_OK);
	disarm(w, false);
	set(w, "fence_test_interval_s", "600");
	cr_assert_eq(running_count(w, OP_FENCE_TEST), 0);
	arm(w);
	cr_assert_eq(running_count(w, OP_FENCE_TEST), 1);
	world_free(w);
}

/* ---- unfencing */

static struct world *with_unfencing(void)
{
	struct world *w = world_new(3);
	Hv__FenceAdd m = fence_device("scsi", 2);

	m.unfence = true;
	fence_add_with(w, "host3", m);
	cr_assert_eq(running_count(w, OP_FENCE), 1, "a new device, too");
	cr_assert_eq(running(w, OP_FENCE, 0)->node, 3, "by itself");
	result_of(w, running(w, OP_FENCE, 0), HV_OK, UNKNOWN, "");
	cr_assert(node(w, 3)->devices[1]->unfenced);
	return w;
}

Test(brain_fencing, a_node_gets_vms_when_it_is_unfenced_and_not_before)
{
	struct world *w = with_unfencing();

	running_vm(w, "web1", 3);
	fenced_and_back(w, 3, "12", "123");
	node_drain(w, "host1");
	result(w, "web1", HV_OK, RUNNING);
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 1);
	cr_assert_eq(running(w, OP_VM_MIGRATE, 0)->target, 2, "not to host3");

	result_of(w, running(w, OP_FENCE, 0), HV_AGENT_FAILED, UNKNOWN, "no reservation");
	vm_add(w, "web2", 512, 0, false);
	vm_start(w, "web2", "host3");
	cr_assert_neq(w->rc, HV_OK);
	tick(w, 4001);
	result_of(w, running(w, OP_FENCE, 0), HV_OK, UNKNOWN, "");
	vm_start(w, "web2", "host3");
	assert_vm(w, "web2", VM_STARTING, 3);
	world_free(w);
}

Test(brain_fencing, a_new_clusterd_on_the_same_boot_needs_no_unfencing)
{
	struct world *w = with_unfencing();

	running_vm(w, "web1", 3);
	w->incarnation[3]++;
	w->seq[3] = 0;
	view(w, "123", "", false);
	report(w, 3, "web1=running");
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	cr_assert(node(w, 3)->devices[1]->unfenced);
	world_free(w);
}

Test(brain_fencing, an_unfencing_whose_node_is_lost_is_forgotten)
{
	struct world *w = with_unfencing();

	running_vm(w, "web1", 3);
	fenced_and_back(w, 3, "12", "123");
	cr_assert(node(w, 3)->unfence_op);
	view(w, "12", "", false);
	cr_assert_eq(node(w, 3)->unfence_op, 0);
	world_free(w);
}

/* ---- devices of several hosts; power supplies */

static void map_add(struct world *w, const char *hosts[][2], size_t count)
{
	Hv__KeyValue kv[4], *map[4];
	Hv__FenceAdd m = fence_device("pdu", 1);

	for (size_t i = 0; i < count; i++) {
		hv__key_value__init(&kv[i]);
		kv[i].key = (char *)hosts[i][0];
		kv[i].value = (char *)hosts[i][1];
		map[i] = &kv[i];
	}
	m.map = map;
	m.n_map = count;
	fence_add_with(w, "", m);
}

Test(brain_fencing, one_device_for_several_hosts_is_added_to_all_or_none)
{
	const char *good[][2] = {{"host2", "4"}, {"host3", "5"}},
		   *bad[][2] = {{"host1", "3"}, {"nosuch", "4"}};
	struct world *w = world_new(3);

	map_add(w, bad, 2);
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	cr_assert_eq(node(w, 1)->n_devices, 1);
	map_add(w, good, 2);
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	cr_assert_eq(node(w, 3)->n_devices, 2);
	cr_assert_str_eq(node(w, 3)->devices[1]->options[0].key, "plug");
	cr_assert_str_eq(node(w, 3)->devices[1]->options[0].value, "5");
	map_add(w, good, 2);
	cr_assert_eq(w->rc, HV_EXISTS);
	world_free(w);
}

Test(brain_fencing, a_shared_device_fences_one_host_at_a_time)
{
	const char *hosts[][2] = {{"host4", "4"}, {"host5", "5"}};
	struct world *w = world_new(5);

	fence_remove(w, "host4", "bmc");
	fence_remove(w, "host5", "bmc");
	map_add(w, hosts, 2);
	running_vm(w, "web1", 4);
	running_vm(w, "web2", 5);
	view(w, "123", "", false);
	assert_node(w, 4, NODE_FENCING);
	assert_node(w, 5, NODE_LOST);
	cr_assert_eq(node(w, 5)->reason.code, REASON_QUEUED);
	fence_result(w, 4, HV_OK);
	assert_node(w, 5, NODE_FENCING);
	world_free(w);
}

Test(brain_fencing, after_a_fence_every_power_supply_is_switched_on_again)
{
	struct world *w = world_new(3);
	unsigned on = 0;

	fence_add(w, "host3", "outlet", 1);
	set(w, "after_fence", "on");
	running_vm(w, "web1", 3);
	view(w, "12", "", false);
	fence_result(w, 3, HV_OK);
	fence_result(w, 3, HV_OK);
	for (unsigned i = 0; running(w, OP_FENCE, i); i++)
		on += (running(w, OP_FENCE, i)->flags & OP_F_POWER_ON) != 0;
	cr_assert_eq(on, 2);
	world_free(w);
}
