/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests, placement, settings, and what is refused. */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

Test(brain_admin, names_and_uuids_are_unique)
{
	struct world *w = world_new(1);
	Hv__VmAdd add = HV__VM_ADD__INIT;
	Hv__Command cmd = HV__COMMAND__INIT;

	vm_add(w, "web1", 512, 0, false);
	vm_add(w, "web1", 512, 0, false);
	cr_assert_eq(w->rc, HV_EXISTS);
	add.name = (char *)"other";
	add.uuid = (char *)uuid_of("web1");
	add.xml = (char *)"<domain/>";
	add.mem_mib = add.vcpus = 1;
	cmd.body_case = HV__COMMAND__BODY_VM_ADD;
	cmd.vm_add = &add;
	command(w, &cmd);
	cr_assert_eq(w->rc, HV_EXISTS);
	cr_assert(strstr(w->text, "web1"), "%s", w->text);
	cr_assert_eq(cluster_vm_count(w->c), 1);
	world_free(w);
}

Test(brain_admin, a_vm_larger_than_any_node_is_refused)
{
	struct world *w = world_new(2);

	vm_add(w, "fat", 8193, 0, true);
	cr_assert_eq(w->rc, HV_NO_CAPACITY);
	cr_assert_null(vm(w, "fat"));
	vm_add(w, "fits", 8192, 0, true);
	cr_assert_eq(w->rc, HV_OK);
	world_free(w);
}

Test(brain_admin, before_all_sizes_are_known_a_vm_is_taken)
{
	struct world *w = world_configured(2);

	view(w, "1", "", false);
	report(w, 1, "");
	vm_add(w, "fat", 9000, 0, true);
	cr_assert_eq(w->rc, HV_OK);
	assert_vm(w, "fat", VM_BLOCKED, 0);
	world_free(w);
}

Test(brain_admin, placement_takes_the_least_loaded_node_then_the_lowest_id)
{
	struct world *w = world_new(3);

	running_vm(w, "x", 1);
	vm_add(w, "a", 512, 0, true);
	assert_vm(w, "a", VM_STARTING, 2);
	vm_add(w, "b", 512, 0, true);
	assert_vm(w, "b", VM_STARTING, 3);
	vm_add(w, "c", 512, 0, true);
	assert_vm(w, "c", VM_STARTING, 1);
	world_free(w);
}

Test(brain_admin, a_blocked_vm_says_why_and_starts_when_there_is_room)
{
	struct world *w = world_new(2);

	vm_add(w, "a", 8000, 0, true);
	vm_add(w, "b", 8000, 0, true);
	all_succeed(w);
	vm_add(w, "c", 512, 0, true);
	assert_vm(w, "c", VM_BLOCKED, 0);
	cr_assert_eq(vm(w, "c")->reason.code, REASON_NO_NODE_FITS);
	cr_assert_str_eq(vm(w, "c")->reason.text, "not enough memory for 512 MiB: host1, host2");
	cr_assert_eq(op(w, w->op)->rc, HV_NO_CAPACITY);
	cr_assert_eq(brain_next_deadline_us(w->c), 0, "nothing is polled");
	vm_stop(w, "a", true);
	all_succeed(w);
	assert_vm(w, "c", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_admin, explain_has_a_line_for_each_node)
{
	struct world *w = world_new(3);
	struct placement_line lines[HV_MAX_NODES];
	size_t count, n;
	char **say;

	node_drain(w, "host1");
	health(w, 2, false);
	vm_add(w, "a", 512, 0, true);
	n = brain_explain_placement(w->c, vm(w, "a"), lines, HV_MAX_NODES);
	cr_assert_eq(n, 3);
	cr_assert_str_eq(lines[0].why, "the node is in maintenance");
	cr_assert(strstr(lines[1].why, "does not answer"));
	cr_assert(!lines[0].fits && !lines[1].fits && lines[2].node == 3);
	say = brain_explain_vm(w->c, vm(w, "a"), &count);
	cr_assert_geq(count, 2);
	cr_assert(strstr(say[0], "a is starting on host3: placed on host3"), "%s", say[0]);
	while (count)
		free(say[--count]);
	free(say);
	world_free(w);
}

Test(brain_admin, start_on_a_named_node)
{
	struct world *w = world_new(2);

	vm_add(w, "a", 512, 0, false);
	vm_start(w, "a", "nosuch");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	node_drain(w, "host2");
	vm_start(w, "a", "host2");
	cr_assert_eq(w->rc, HV_REFUSED);
	assert_vm(w, "a", VM_STOPPED, 0);
	node_resume(w, "host2");
	vm_start(w, "a", "host2");
	assert_vm(w, "a", VM_STARTING, 2);
	result(w, "a", HV_OK, RUNNING);
	vm_start(w, "a", "host1");
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert_str_eq(w->hint, "hvcluster vm migrate a host1");
	vm_start(w, "a", "");
	cr_assert_eq(w->rc, HV_OK);
	cr_assert_eq(op(w, w->op)->state, OP_DONE, "it runs already");
	world_free(w);
}

Test(brain_admin, no_more_starts_at_a_time_than_a_node_may_do)
{
	struct world *w = world_new(1);

	set(w, "start_parallel", "2");
	vm_add(w, "a", 512, 0, true);
	vm_add(w, "b", 512, 0, true);
	vm_add(w, "c", 512, 0, true);
	assert_vm(w, "c", VM_PENDING, 0);
	cr_assert_eq(vm(w, "c")->reason.code, REASON_QUEUED);
	result(w, "a", HV_OK, RUNNING);
	assert_vm(w, "c", VM_STARTING, 1);
	world_free(w);
}

Test(brain_admin, a_later_request_takes_the_place_of_an_earlier)
{
	struct world *w = world_new(1);
	hv_op_id start;

	vm_add(w, "a", 512, 0, true);
	start = w->op;
	vm_stop(w, "a", false);
	cr_assert_eq(op(w, start)->rc, HV_SUPERSEDED);
	result(w, "a", HV_CANCELLED, ABSENT);
	assert_vm(w, "a", VM_STOPPED, 0);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	cr_assert_eq(vm(w, "a")->attempts, 0, "called off is not failed");
	world_free(w);
}

Test(brain_admin, settings_are_checked_against_their_table)
{
	struct world *w = world_new(1);

	set(w, "nosuch", "1");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	set(w, "start_parallel", "many");
	cr_assert_eq(w->rc, HV_BAD_INPUT);
	set(w, "start_parallel", "0");
	cr_assert_eq(w->rc, HV_BAD_INPUT);
	set(w, "fence_lost", "sometimes");
	cr_assert_eq(w->rc, HV_BAD_INPUT);
	set(w, "start_parallel", "3");
	cr_assert_eq(w->rc, HV_OK);
	cr_assert_str_eq(cluster_setting(w->c, "start_parallel"), "3");
	set(w, "start_parallel", "");
	cr_assert_str_eq(cluster_setting(w->c, "start_parallel"), "8", "empty: the preset");
	cr_assert_null(cluster_setting(w->c, "nosuch"));
	for (size_t i = 0; i < setting_count(); i++) {
		set(w, setting_at(i)->key, setting_at(i)->preset);
		cr_assert_eq(w->rc, HV_OK, "the preset of %s does not fit", setting_at(i)->key);
	}
	world_free(w);
}

Test(brain_admin, fence_devices_are_kept_by_level_and_their_secrets_out_of_sight)
{
	struct world *w = world_new(1);
	char *dump;

	fence_add(w, "host1", "bmc", 1);
	cr_assert_eq(w->rc, HV_EXISTS);
	fence_add(w, "nosuch", "bmc", 1);
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	fence_add(w, "host1", "a-pdu", 2);
	cr_assert_str_eq(node(w, 1)->devices[0]->name, "bmc");
	cr_assert_str_eq(node(w, 1)->devices[1]->name, "a-pdu");
	cr_assert_str_eq(node(w, 1)->devices[0]->secrets[0].value, "swordfish");
	dump = brain_dump(w->c);
	cr_assert_null(strstr(dump, "swordfish"));
	free(dump);
	for (uint64_t id = cluster_journal_first(w->c); id < cluster_journal_next(w->c); id++)
		cr_assert_null(strstr(cluster_journal(w->c, id)->cause, "swordfish"));
	world_free(w);
}

Test(brain_admin, a_fence_test_is_run_by_another_node_and_remembered)
{
	struct world *w = world_new(2);
	Hv__FenceTest test = HV__FENCE_TEST__INIT;
	Hv__Command cmd = HV__COMMAND__INIT;

	test.node = (char *)"host1";
	test.device = (char *)"bmc";
	cmd.body_case = HV__COMMAND__BODY_FENCE_TEST;
	cmd.fence_test = &test;
	command(w, &cmd);
	cr_assert_eq(op(w, w->op)->node, 2);
	result_of(w, op(w, w->op), HV_AGENT_FAILED, UNKNOWN, "wrong password");
	cr_assert(node(w, 1)->devices[0]->tested);
	cr_assert_eq(node(w, 1)->devices[0]->test_rc, HV_AGENT_FAILED);
	cr_assert_str_eq(node(w, 1)->devices[0]->test_text, "wrong password");
	cr_assert_eq(op(w, w->op)->state, OP_FAILED);
	assert_node(w, 1, NODE_ONLINE);
	world_free(w);
}

Test(brain_admin, operations_are_cancelled_or_it_is_said_why_not)
{
	struct world *w = world_new(3);
	hv_op_id start;

	op_cancel_cmd(w, 12345);
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	vm_add(w, "a", 512, 0, true);
	start = w->op;
	op_cancel_cmd(w, start);
	cr_assert_eq(w->rc, HV_OK);
	result(w, "a", HV_CANCELLED, ABSENT);
	assert_vm(w, "a", VM_STOPPED, 0);
	op_cancel_cmd(w, start);
	cr_assert_eq(w->rc, HV_REFUSED);

	running_vm(w, "b", 3);
	view(w, "12", "", false);
	op_cancel_cmd(w, running(w, OP_FENCE, 0)->id);
	cr_assert_eq(w->rc, HV_REFUSED);
	world_free(w);
}

Test(brain_admin, unknown_things_are_not_found_and_nothing_changes)
{
	struct world *w = world_new(1);
	uint64_t lines = cluster_journal_next(w->c);

	vm_start(w, "no\033[31mthing", "");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	cr_assert_null(strchr(w->text, '\033'), "what came in is not echoed raw");
	vm_stop(w, "nosuch", false);
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	vm_pause(w, "nosuch");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	vm_remove(w, "nosuch", true);
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	node_drain(w, "nosuch");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	fence_confirm(w, "nosuch");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	cr_assert(*w->hint);
	cr_assert_eq(cluster_journal_next(w->c), lines);
	world_free(w);
}
