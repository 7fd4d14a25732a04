/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an administrator sets of a VM, and what the cluster then does and does not do. */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- vm set */

Test(brain_limits, attributes_are_checked_all_and_then_stored)
{
	struct world *w = world_new(1);
	Hv__KeyValue a = HV__KEY_VALUE__INIT, b = HV__KEY_VALUE__INIT, *list[] = {&a, &b};
	Hv__VmSet set = HV__VM_SET__INIT;
	Hv__Command cmd = HV__COMMAND__INIT;

	running_vm(w, "web1", 1);
	a.key = "priority";
	a.value = "7";
	b.key = "failback";
	b.value = "maybe";
	set.name = "web1";
	set.attributes = list;
	set.n_attributes = 2;
	cmd.body_case = HV__COMMAND__BODY_VM_SET;
	cmd.vm_set = &set;

	command(w, &cmd);
	cr_assert_eq(w->rc, HV_BAD_INPUT);
	cr_assert(strstr(w->text, "failback: 'maybe' does not fit"), "%s", w->text);
	cr_assert_eq(vm(w, "web1")->priority, 0, "all or none");

	b.value = "off";
	command(w, &cmd);
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	cr_assert_eq(vm(w, "web1")->priority, 7);
	cr_assert(!vm(w, "web1")->failback);
	cr_assert(journal_has(w, "vm web1", "set", "priority=7"));
	world_free(w);
}

Test(brain_limits, what_is_no_attribute_or_out_of_range_is_refused)
{
	static const struct {
		const char *key, *value;
		enum hv_rc rc;
	} bad[] = {
	    {"colour", "blue", HV_NOT_FOUND},	   {"start_retries", "101", HV_BAD_INPUT},
	    {"start_retries", "-1", HV_BAD_INPUT}, {"start_retries", "", HV_BAD_INPUT},
	    {"max_relocate", "33", HV_BAD_INPUT},  {"start_retries", "unlimited", HV_BAD_INPUT},
	    {"managed", "yes", HV_BAD_INPUT},	   {"priority", "1x", HV_BAD_INPUT},
	    {"priority", "-", HV_BAD_INPUT},
	};
	struct world *w = world_new(1);

	vm_add(w, "web1", 512, 0, false);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		vm_set(w, "web1", bad[i].key, bad[i].value);
		cr_assert_eq(w->rc, bad[i].rc, "%s=%s", bad[i].key, bad[i].value);
	}
	vm_set(w, "nobody", "priority", "1");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	vm_set(w, "web1", "max_relocate", "unlimited");
	cr_assert_eq(vm(w, "web1")->max_relocate, VM_RELOCATE_UNLIMITED);
	vm_set(w, "web1", "max_relocate", "0");
	cr_assert_eq(vm(w, "web1")->max_relocate, 0);
	vm_set(w, "web1", "priority", "-5");
	cr_assert_eq(vm(w, "web1")->priority, -5);
	world_free(w);
}

Test(brain_limits, every_attribute_is_shown_as_it_is_set)
{
	struct world *w = world_new(1);

	vm_add(w, "web1", 512, 0, false);
	for (size_t i = 0; i < vm_attribute_count(); i++) {
		_cleanup_free_ char *text = vm_attribute_text(vm(w, "web1"), i);

		vm_set(w, "web1", vm_attribute_at(i)->key, text);
		cr_assert_eq(w->rc, HV_OK, "%s=%s: %s", vm_attribute_at(i)->key, text, w->text);
	}
	world_free(w);
}

Test(brain_limits, a_new_priority_changes_whose_turn_it_is)
{
	struct world *w = world_new(1);

	set(w, "start_parallel", "1");
	vm_add(w, "first", 512, 0, true);
	vm_add(w, "second", 512, 0, true);
	vm_add(w, "third", 512, 0, true);
	vm_set(w, "third", "priority", "1");
	result(w, "first", HV_OK, RUNNING);
	assert_vm(w, "third", VM_STARTING, 1);
	assert_vm(w, "second", VM_PENDING, 0);
	world_free(w);
}

/* ---- live_migration=off */

static struct world *stays_put(void)
{
	struct world *w = world_new(3);

	running_vm(w, "web1", 1);
	vm_set(w, "web1", "live_migration", "off");
	return w;
}

Test(brain_limits, not_to_be_migrated_live_it_is_shut_down_and_started_there)
{
	struct world *w = stays_put();

	vm_migrate(w, "web1", "host3");
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	assert_vm(w, "web1", VM_STOPPING, 1);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_STOP, "gracefully");
	result(w, "web1", HV_OK, ABSENT);
	cr_assert(journal_has(w, "vm web1", "stopping", "pending"));
	assert_vm(w, "web1", VM_STARTING, 3);
	cr_assert_eq(op(w, w->op)->state, OP_RUNNING);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 3);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	world_free(w);
}

Test(brain_limits, an_offline_move_that_cannot_stop_it_keeps_trying_and_starts_nothing)
{
	struct world *w = stays_put();

	vm_migrate(w, "web1", "host3");
	result(w, "web1", HV_TIMEOUT, RUNNING);
	assert_vm(w, "web1", VM_STOPPING, 1);
	cr_assert_eq(running_count(w, OP_VM_START), 0);
	tick(w, 1001);
	cr_assert_eq(vm_op(w, "web1")->kind, OP_VM_DESTROY);
	result(w, "web1", HV_TIMEOUT, UNKNOWN);
	assert_vm(w, "web1", VM_STOPPING, 1);
	tick(w, 2001);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STARTING, 3);
	world_free(w);
}

Test(brain_limits, an_offline_move_whose_node_is_lost_is_a_recovery)
{
	struct world *w = stays_put();

	vm_migrate(w, "web1", "host3");
	view(w, "23", "", false);
	assert_vm(w, "web1", VM_RECOVERING, 1);
	cr_assert_eq(op(w, w->op)->rc, HV_NODE_LOST);
	fence_result(w, 1, HV_OK);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_limits, an_offline_move_that_starts_elsewhere_says_so)
{
	struct world *w = stays_put();

	vm_migrate(w, "web1", "host3");
	result(w, "web1", HV_OK, ABSENT);
	result(w, "web1", HV_HYPERVISOR, ABSENT);
	cr_assert_eq(op(w, w->op)->state, OP_RUNNING);
	all_succeed(w);
	cr_assert_eq(vm(w, "web1")->state, VM_RUNNING);
	cr_assert_eq(op(w, w->op)->rc, HV_FAILED);
	cr_assert(strstr(op(w, w->op)->text, "it was started on host"), "%s", op(w, w->op)->text);
	world_free(w);
}

Test(brain_limits, a_paused_vm_is_not_moved_by_stop_and_start)
{
	struct world *w = stays_put();

	vm_pause(w, "web1");
	result(w, "web1", HV_OK, PAUSED);
	vm_migrate(w, "web1", "host3");
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert(strstr(w->text, "paused"), "%s", w->text);
	world_free(w);
}

Test(brain_limits, a_stop_asked_for_in_the_middle_of_an_offline_move_stops_it)
{
	struct world *w = stays_put();

	vm_migrate(w, "web1", "host3");
	vm_stop(w, "web1", false);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STOPPED, 0);
	world_free(w);
}

/* ---- start_retries, max_relocate */

static struct world *failing(const char *retries, const char *relocate)
{
	struct world *w = world_new(3);

	vm_add(w, "web1", 512, 0, false);
	vm_set(w, "web1", "start_retries", retries);
	vm_set(w, "web1", "max_relocate", relocate);
	vm_start(w, "web1", "host2");
	assert_vm(w, "web1", VM_STARTING, 2);
	return w;
}

/* Its start fails, and what pauses then is over. */
static void fails(struct world *w)
{
	result(w, "web1", HV_HYPERVISOR, ABSENT);
	if (vm(w, "web1")->state == VM_PENDING)
		tick(w, 60001);
}

Test(brain_limits, a_start_is_tried_again_on_its_node_before_it_goes_elsewhere)
{
	struct world *w = failing("2", "1");

	result(w, "web1", HV_HYPERVISOR, ABSENT);
	assert_vm(w, "web1", VM_PENDING, 0);
	tick(w, 1001);
	assert_vm(w, "web1", VM_STARTING, 2);
	result(w, "web1", HV_HYPERVISOR, ABSENT);
	tick(w, 1001);
	assert_vm(w, "web1", VM_PENDING, 0); /* the pauses grow */
	tick(w, 1001);
	assert_vm(w, "web1", VM_STARTING, 2);
	result(w, "web1", HV_HYPERVISOR, ABSENT);
	assert_vm(w, "web1", VM_STARTING, 1); /* at once: it is another node */
	cr_assert_eq(vm(w, "web1")->relocations, 1);
	result(w, "web1", HV_OK, RUNNING);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	cr_assert_eq(vm(w, "web1")->local_tries + vm(w, "web1")->relocations, 0, "forgotten");
	world_free(w);
}

Test(brain_limits, with_every_try_used_up_it_is_given_up)
{
	struct world *w = failing("1", "1");
	size_t n;
	char **lines;

	for (int i = 0; i < 3; i++) {
		fails(w);
		cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	}
	fails(w);
	assert_vm(w, "web1", VM_FAILED, 0);
	cr_assert(vm(w, "web1")->given_up);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_GIVEN_UP);
	cr_assert_eq(op(w, w->op)->state, OP_FAILED, "the client is told");
	cr_assert(strstr(op(w, w->op)->text, "4 times, at last on host1"), "%s",
		  op(w, w->op)->text);
	tick(w, 3600000);
	assert_vm(w, "web1", VM_FAILED, 0);
	cr_assert_eq(brain_next_deadline_us(w->c), 0, "nothing is waited for");

	lines = brain_explain_vm(w->c, vm(w, "web1"), &n);
	cr_assert(strstr(lines[0], "its start failed as often as it may"), "%s", lines[0]);
	cr_assert(strstr(lines[n - 1], "after 'hvcluster vm start web1'"), "%s", lines[n - 1]);
	for (size_t i = 0; i < n; i++)
		free(lines[i]);
	free(lines);
	world_free(w);
}

static struct world *given_up(void)
{
	struct world *w = failing("0", "0");

	fails(w);
	assert_vm(w, "web1", VM_FAILED, 0);
	cr_assert(vm(w, "web1")->given_up);
	return w;
}

Test(brain_limits, given_up_it_is_tried_again_when_asked_for)
{
	struct world *w = given_up();

	vm_start(w, "web1", "");
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_limits, given_up_it_is_tried_again_when_a_node_comes)
{
	struct world *w = given_up();

	view(w, "12", "", false);
	assert_vm(w, "web1", VM_FAILED, 0);
	w->incarnation[3]++;
	w->seq[3] = 0;
	view(w, "123", "", false);
	assert_vm(w, "web1", VM_FAILED, 0);
	report(w, 3, "");
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_limits, given_up_it_is_tried_again_when_its_limit_changes)
{
	struct world *w = given_up();

	vm_set(w, "web1", "max_relocate", "1");
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	fails(w);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	fails(w);
	cr_assert(vm(w, "web1")->given_up);
	vm_stop(w, "web1", false);
	assert_vm(w, "web1", VM_STOPPED, 0);
	world_free(w);
}

Test(brain_limits, distinct_nodes_come_first_however_often_it_may_move)
{
	struct world *w = failing("0", "5");
	unsigned tried[4] = {0};

	for (int i = 0; i < 3; i++) {
		tried[vm(w, "web1")->node]++;
		fails(w);
	}
	cr_assert(tried[1] == 1 && tried[2] == 1 && tried[3] == 1);
	assert_vm(w, "web1", VM_FAILED, 0);
	cr_assert(!vm(w, "web1")->given_up);
	for (int i = 0; i < 3; i++) {
		tick(w, 60001);
		cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
		fails(w);
	}
	cr_assert(vm(w, "web1")->given_up);
	world_free(w);
}

Test(brain_limits, a_recovery_begins_with_all_its_tries)
{
	struct world *w = failing("1", "0");

	fails(w);
	result(w, "web1", HV_OK, RUNNING);
	view(w, "13", "", false);
	fence_result(w, 2, HV_OK);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	fails(w);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	fails(w);
	cr_assert(vm(w, "web1")->given_up);
	world_free(w);
}

/* ---- a guest that ends is started where it was */

Test(brain_limits, a_guest_that_crashed_is_started_where_it_was)
{
	struct world *w = world_new(3);

	running_vm(w, "other", 1);
	running_vm(w, "web1", 1);
	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

/* ---- managed=off */

static struct world *unmanaged(void)
{
	struct world *w = world_new(3);

	running_vm(w, "web1", 1);
	vm_set(w, "web1", "managed", "off");
	return w;
}

Test(brain_limits, unmanaged_it_is_neither_started_nor_stopped_nor_moved)
{
	struct world *w = unmanaged();

	vm_stop(w, "web1", false);
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert_str_eq(w->hint, "hvcluster vm set web1 managed=on");
	vm_migrate(w, "web1", "host2");
	cr_assert_eq(w->rc, HV_REFUSED);
	node_drain(w, "host1");
	tick(w, 60000);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert(strstr(op(w, w->op)->text, "vm web1: not managed"), "%s", op(w, w->op)->text);
	node_resume(w, "host1");

	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	tick(w, 60000);
	assert_vm(w, "web1", VM_PENDING, 0);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_UNMANAGED);
	cr_assert_eq(running_count(w, OP_VM_START), 0);
	vm_start(w, "web1", "");
	cr_assert_eq(w->rc, HV_REFUSED);

	vm_set(w, "web1", "managed", "on");
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_limits, unmanaged_it_is_followed_wherever_others_move_it)
{
	struct world *w = unmanaged();

	observed(w, 2, "web1", INCOMING, HV__CAUSE__CAUSE_NONE);
	cr_assert_eq(running_count(w, OP_VM_DESTROY), 0, "someone else's migration");
	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_MIGRATED);
	observed(w, 2, "web1", RUNNING, HV__CAUSE__CAUSE_NONE);
	assert_vm(w, "web1", VM_RUNNING, 2);
	vm_set(w, "web1", "managed", "on");
	assert_vm(w, "web1", VM_RUNNING, 2);
	cr_assert_eq(running_count(w, OP_VM_DESTROY), 0);
	world_free(w);
}

Test(brain_limits, unmanaged_and_seen_twice_it_is_only_asked_after)
{
	struct world *w = unmanaged();

	observed(w, 2, "web1", RUNNING, HV__CAUSE__CAUSE_NONE);
	assert_vm(w, "web1", VM_CHECKING, 1);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_eq(running_count(w, OP_VM_DESTROY), 0);
	world_free(w);
}

Test(brain_limits, unmanaged_it_is_no_reason_to_fence_until_it_is_managed_again)
{
	struct world *w = unmanaged();

	view(w, "23", "", false);
	assert_node(w, 1, NODE_LOST);
	assert_vm(w, "web1", VM_RECOVERING, 1);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_UNMANAGED);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	tick(w, 600000);
	cr_assert_eq(running_count(w, OP_FENCE), 0);

	vm_set(w, "web1", "managed", "on");
	assert_node(w, 1, NODE_FENCING);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_WAIT_FENCE);
	fence_result(w, 1, HV_OK);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_limits, unmanaged_on_a_node_that_comes_back_it_is_as_that_says)
{
	struct world *w = unmanaged();

	view(w, "23", "", false);
	w->incarnation[1]++;
	w->seq[1] = 0;
	view(w, "123", "", false);
	report(w, 1, "web1=running");
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_limits, unmanaged_it_can_be_removed_while_it_runs)
{
	struct world *w = unmanaged();

	vm_remove(w, "web1", false);
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	cr_assert_null(vm(w, "web1"));
	cr_assert_eq(running_count(w, OP_VM_STOP), 0);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	world_free(w);
}

Test(brain_limits, what_was_begun_before_it_became_unmanaged_is_finished)
{
	struct world *w = world_new(2);

	running_vm(w, "web1", 1);
	vm_migrate(w, "web1", "host2");
	vm_set(w, "web1", "managed", "off");
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_RESUMING, 2);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 2);
	world_free(w);
}

/* ---- vm lock */

static struct world *locked(void)
{
	struct world *w = world_new(3);

	running_vm(w, "web1", 1);
	vm_lock(w, "web1", "backup");
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	return w;
}

Test(brain_limits, a_locked_vm_is_neither_moved_nor_stopped_until_it_is_unlocked)
{
	struct world *w = locked();

	vm_migrate(w, "web1", "host2");
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert_str_eq(w->text, "VM 'web1' is locked: backup");
	cr_assert_str_eq(w->hint, "hvcluster vm unlock web1");
	vm_stop(w, "web1", true);
	cr_assert_eq(w->rc, HV_REFUSED);
	vm_remove(w, "web1", true);
	cr_assert_eq(w->rc, HV_REFUSED);
	node_drain(w, "host1");
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_eq(op(w, w->op)->rc, HV_HELD, "the drain says what holds it");
	cr_assert(strstr(op(w, w->op)->text, "vm web1: locked: backup"), "%s", op(w, w->op)->text);
	vm_lock(w, "web1", "again");
	cr_assert_eq(w->rc, HV_REFUSED);

	vm_lock(w, "web1", "");
	assert_vm(w, "web1", VM_MIGRATING, 1);
	vm_lock(w, "web1", "late");
	cr_assert_eq(w->rc, HV_BUSY);
	world_free(w);
}

Test(brain_limits, a_locked_guest_that_crashed_waits_until_it_is_unlocked)
{
	struct world *w = locked();

	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	tick(w, 60000);
	assert_vm(w, "web1", VM_PENDING, 0);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_LOCKED);
	vm_lock(w, "web1", "");
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

Test(brain_limits, the_loss_of_its_node_ends_a_lock)
{
	struct world *w = locked();

	view(w, "23", "", false);
	cr_assert(vm(w, "web1")->lock, "it may still be at work there");
	fence_result(w, 1, HV_OK);
	cr_assert_null(vm(w, "web1")->lock);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_limits, a_lock_outlasts_a_node_that_was_only_cut_off)
{
	struct world *w = locked();

	view(w, "23", "", false);
	w->incarnation[1]++;
	w->seq[1] = 0;
	view(w, "123", "", false);
	report(w, 1, "web1=running");
	cr_assert(vm(w, "web1")->lock);
	view(w, "23", "", false);
	w->incarnation[1]++;
	w->seq[1] = 0;
	view(w, "123", "", false);
	report(w, 1, "");
	cr_assert_null(vm(w, "web1")->lock, "it does not run there: nor does the job");
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

/* ---- on_stop_failure */

static void stop_fails(struct world *w, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		result(w, "web1", HV_HYPERVISOR, RUNNING);
		tick(w, 60001);
	}
}

Test(brain_limits, a_vm_that_cannot_be_stopped_stays_and_is_tried_again)
{
	struct world *w = world_new(2);

	running_vm(w, "web1", 1);
	vm_stop(w, "web1", false);
	stop_fails(w, 5);
	assert_vm(w, "web1", VM_STOPPING, 1);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_STOP_FAILED);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STOPPED, 0);
	world_free(w);
}

Test(brain_limits, or_its_node_is_fenced)
{
	struct world *w = world_new(3);

	set(w, "on_stop_failure", "fence");
	running_vm(w, "other", 1);
	running_vm(w, "web1", 1);
	vm_stop(w, "web1", false);
	stop_fails(w, 2);
	assert_node(w, 1, NODE_ONLINE);
	result(w, "web1", HV_HYPERVISOR, RUNNING);
	assert_node(w, 1, NODE_FENCING);
	fence_result(w, 1, HV_OK);
	assert_vm(w, "web1", VM_STOPPED, 0);
	cr_assert_eq(vm(w, "other")->state, VM_STARTING);
	world_free(w);
}

/* ---- drains */

Test(brain_limits, a_drain_stops_and_starts_what_is_not_to_be_migrated_live)
{
	struct world *w = stays_put();
	hv_op_id drain;

	running_vm(w, "web2", 1);
	node_drain(w, "host1");
	drain = w->op;
	assert_vm(w, "web1", VM_STOPPING, 1);
	assert_vm(w, "web2", VM_MIGRATING, 1);
	result(w, "web1", HV_OK, ABSENT);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	cr_assert_neq(vm(w, "web1")->node, 1);
	all_succeed(w);
	cr_assert_eq(op(w, drain)->state, OP_DONE);
	cr_assert_eq(node(w, 1)->admin, NODE_MAINTENANCE);
	world_free(w);
}

Test(brain_limits, a_drain_stops_as_many_at_a_time_as_it_would_migrate)
{
	struct world *w = world_new(2);
	static const char *const names[] = {"a", "b", "c"};

	set(w, "migrate_parallel", "2");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		running_vm(w, names[i], 1);
		vm_set(w, names[i], "live_migration", "off");
	}
	node_drain(w, "host1");
	cr_assert_eq(running_count(w, OP_VM_STOP), 2);
	all_succeed(w);
	cr_assert_eq(node(w, 1)->admin, NODE_MAINTENANCE);
	world_free(w);
}

Test(brain_limits, a_drain_that_is_held_by_failing_migrations_tries_on_after_a_pause)
{
	struct world *w = world_new(2);
	hv_op_id drain;

	running_vm(w, "web1", 1);
	node_drain(w, "host1");
	drain = w->op;
	for (int i = 0; i < 3; i++) {
		result(w, "web1", HV_HYPERVISOR, RUNNING);
		all_succeed(w);
		if (i < 2)
			tick(w, 60001);
	}
	cr_assert_eq(op(w, drain)->rc, HV_HELD);
	assert_vm(w, "web1", VM_RUNNING, 1);
	tick(w, 60001);
	assert_vm(w, "web1", VM_MIGRATING, 1);
	all_succeed(w);
	cr_assert_eq(node(w, 1)->admin, NODE_MAINTENANCE);
	world_free(w);
}

Test(brain_limits, a_drain_that_is_held_by_a_stop_goes_on_when_it_succeeds)
{
	struct world *w = stays_put();
	hv_op_id drain;

	node_drain(w, "host1");
	drain = w->op;
	stop_fails(w, 4);
	cr_assert_eq(op(w, drain)->rc, HV_HELD);
	cr_assert(strstr(op(w, drain)->text, "it could not be stopped on host1"), "%s",
		  op(w, drain)->text);
	all_succeed(w);
	cr_assert_eq(vm(w, "web1")->state, VM_RUNNING);
	cr_assert_eq(node(w, 1)->admin, NODE_MAINTENANCE);
	world_free(w);
}

/* ---- requests end */

static void overdue_as(struct world *w, const char *state, const char *then)
{
	const struct operation *o = op(w, w->op);

	cr_assert_eq(o->state, OP_FAILED);
	cr_assert_eq(o->rc, HV_TIMEOUT, "%s", hv_rc_name(o->rc));
	cr_assert(strstr(o->text, state), "%s", o->text);
	cr_assert(strstr(o->text, then), "%s", o->text);
}

Test(brain_limits, a_request_to_stop_ends_and_the_stop_goes_on)
{
	struct world *w = world_new(1);

	running_vm(w, "web1", 1);
	vm_stop(w, "web1", false);
	for (int i = 0; i < 12; i++)
		stop_fails(w, 1);
	cr_assert_eq(op(w, w->op)->state, OP_RUNNING, "600 s more than the guest may take");
	stop_fails(w, 1);
	overdue_as(w, "after 780 s it is stopping (it could not be stopped on host1", "goes on");
	assert_vm(w, "web1", VM_STOPPING, 1);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STOPPED, 0);
	world_free(w);
}

Test(brain_limits, a_request_to_start_ends_and_the_start_goes_on)
{
	struct world *w = world_new(1);

	health(w, 1, true);
	vm_add(w, "web1", 512, 0, true);
	result(w, "web1", HV_TIMEOUT, UNKNOWN);
	health(w, 1, false);
	tick(w, 1200001);
	overdue_as(w, "it is checking (node host1 cannot tell whether it runs)", "it is started");
	health(w, 1, true);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_limits, a_migration_that_never_began_is_over)
{
	struct world *w = world_new(2);

	set(w, "migrate_parallel", "1");
	running_vm(w, "web1", 1);
	running_vm(w, "web2", 1);
	vm_migrate(w, "web1", "host2");
	vm_migrate(w, "web2", "host2");
	tick(w, 600000);
	tick(w, 1980001);
	overdue_as(w, "it is running", "it is not moved any more");
	assert_vm(w, "web1", VM_MIGRATING, 1);
	result(w, "web1", HV_OK, ABSENT);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web2", VM_RUNNING, 1);
	world_free(w);
}

Test(brain_limits, a_pause_that_could_not_be_begun_is_over)
{
	struct world *w = world_new(1);

	running_vm(w, "web1", 1);
	health(w, 1, false);
	vm_pause(w, "web1");
	tick(w, 600001);
	overdue_as(w, "it is running", "it is not paused any more");
	health(w, 1, true);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_null(vm_op(w, "web1"));
	world_free(w);
}
