/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What fails is tried again, and how often: moves by stop and start, starts, stops, drains;
 * requests end nevertheless. */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- live_migration=off */

static struct world *stays_put(void)
{
	struct world *w = world_with_web1(3, 1);

	vm_set(w, "web1", "live_migration", "off");
	return w;
}

Test(brain_tries, not_to_be_migrated_live_it_is_shut_down_and_started_there)
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

Test(brain_tries, an_offline_move_that_cannot_stop_it_keeps_trying_and_starts_nothing)
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

Test(brain_tries, an_offline_move_whose_node_is_lost_is_a_recovery)
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

Test(brain_tries, an_offline_move_that_starts_elsewhere_says_so)
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

Test(brain_tries, a_paused_vm_is_not_moved_by_stop_and_start)
{
	struct world *w = stays_put();

	vm_pause(w, "web1");
	result(w, "web1", HV_OK, PAUSED);
	vm_migrate(w, "web1", "host3");
	cr_assert_eq(w->rc, HV_REFUSED);
	cr_assert(strstr(w->text, "paused"), "%s", w->text);
	world_free(w);
}

Test(brain_tries, a_stop_asked_for_in_the_middle_of_an_offline_move_stops_it)
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

Test(brain_tries, a_start_is_tried_again_on_its_node_before_it_goes_elsewhere)
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

Test(brain_tries, with_every_try_used_up_it_is_given_up)
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

Test(brain_tries, given_up_it_is_tried_again_when_asked_for)
{
	struct world *w = given_up();

	vm_start(w, "web1", "");
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	world_free(w);
}

Test(brain_tries, given_up_it_is_tried_again_when_a_node_comes)
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

Test(brain_tries, given_up_it_is_tried_again_when_its_limit_changes)
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

Test(brain_tries, distinct_nodes_come_first_however_often_it_may_move)
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

Test(brain_tries, a_recovery_begins_with_all_its_tries)
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

Test(brain_tries, a_guest_that_crashed_is_started_where_it_was)
{
	struct world *w = world_new(3);

	running_vm(w, "other", 1);
	running_vm(w, "web1", 1);
	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
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

Test(brain_tries, a_vm_that_cannot_be_stopped_stays_and_is_tried_again)
{
	struct world *w = world_with_web1(2, 1);

	vm_stop(w, "web1", false);
	stop_fails(w, 5);
	assert_vm(w, "web1", VM_STOPPING, 1);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_STOP_FAILED);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	result(w, "web1", HV_OK, ABSENT);
	assert_vm(w, "web1", VM_STOPPED, 0);
	world_free(w);
}

Test(brain_tries, or_its_node_is_fenced)
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

Test(brain_tries, a_drain_stops_and_starts_what_is_not_to_be_migrated_live)
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

Test(brain_tries, a_drain_stops_as_many_at_a_time_as_it_would_migrate)
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

Test(brain_tries, a_drain_that_is_held_by_failing_migrations_tries_on_after_a_pause)
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

Test(brain_tries, a_drain_that_is_held_by_a_stop_goes_on_when_it_succeeds)
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

Test(brain_tries, a_request_to_stop_ends_and_the_stop_goes_on)
{
	struct world *w = world_with_web1(1, 1);

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

Test(brain_tries, a_request_to_start_ends_and_the_start_goes_on)
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

Test(brain_tries, a_migration_that_never_began_is_over)
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

Test(brain_tries, a_pause_that_could_not_be_begun_is_over)
{
	struct world *w = world_with_web1(1, 1);

	health(w, 1, false);
	vm_pause(w, "web1");
	tick(w, 600001);
	overdue_as(w, "it is running", "it is not paused any more");
	health(w, 1, true);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert_null(vm_op(w, "web1"));
	world_free(w);
}
