/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Storage that cannot be used on a node: BEFORE / EVENT / AFTER. */
#include "resource/storage.h"

#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>

/* host `id` tells what fails there: "" nothing, else one path. */
static void storage_as(struct world *w, hv_node_id id, const char *path, bool hangs, bool lasts)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__HostHealth h = HV__HOST_HEALTH__INIT;
	Hv__StorageSeen seen = HV__STORAGE_SEEN__INIT, *list[] = {&seen};

	h.node = id;
	h.hypervisor_ok = true;
	h.storage_told = true;
	seen.path = (char *)path;
	seen.text = (char *)"no luck";
	seen.hangs = hangs;
	seen.lasts = lasts;
	h.bad_storage = list;
	h.n_bad_storage = *path ? 1 : 0;
	ev.body_case = HV__EVENT__BODY_HOST_HEALTH;
	ev.host_health = &h;
	step(w, &ev, id);
}

static void storage(struct world *w, hv_node_id id, const char *path)
{
	storage_as(w, id, path, false, false);
}

static void add(struct world *w, const char *name, const char *path, bool started)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmAdd m = HV__VM_ADD__INIT;
	char *list[] = {(char *)path};

	m.name = (char *)name;
	m.uuid = (char *)uuid_of(name);
	m.xml = (char *)"<domain/>";
	m.mem_mib = 256;
	m.vcpus = 1;
	m.started = started;
	m.storage = list;
	m.n_storage = 1;
	cmd.body_case = HV__COMMAND__BODY_VM_ADD;
	cmd.vm_add = &m;
	command(w, &cmd);
}

/* web1 (on /srv/a) and db1 (on /srv/b) run on host1. */
static struct world *two_on_host1(void)
{
	struct world *w = world_new(3);

	add(w, "web1", "/srv/a", false);
	add(w, "db1", "/srv/b", false);
	vm_start(w, "web1", "host1");
	vm_start(w, "db1", "host1");
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 1);
	assert_vm(w, "db1", VM_RUNNING, 1);
	return w;
}

Test(storage, who_needs_it_leaves_live_and_nobody_else)
{
	struct world *w = two_on_host1();

	storage(w, 1, "/srv/a");
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 1);
	cr_assert_eq(vm(w, "web1")->state, VM_MIGRATING);
	assert_vm(w, "db1", VM_RUNNING, 1);
	cr_assert(journal_has(w, "node host1", "storage good", "storage bad"));
	all_succeed(w);
	cr_assert_neq(vm(w, "web1")->node, 1);
	assert_vm(w, "db1", VM_RUNNING, 1);
	world_free(w);
}

Test(storage, nothing_that_needs_it_goes_there)
{
	struct world *w = world_new(2);

	storage(w, 1, "/srv/a");
	add(w, "web1", "/srv/a", true);
	cr_assert_eq(vm(w, "web1")->node, 2);
	add(w, "db1", "/srv/b", true);
	cr_assert_eq(vm(w, "db1")->node, 1, "it needs another one");
	vm_migrate(w, "web1", "host1");
	cr_assert_neq(w->rc, HV_OK);
	world_free(w);
}

Test(storage, bad_everywhere_nobody_moves_and_what_waits_is_told_why)
{
	struct world *w = two_on_host1();

	for (hv_node_id id = 3; id >= 1; id--)
		storage(w, id, "/srv/a");
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 0);
	assert_vm(w, "web1", VM_RUNNING, 1);
	add(w, "web2", "/srv/a", true);
	cr_assert_eq(vm(w, "web2")->state, VM_BLOCKED);
	storage(w, 3, "");
	cr_assert(journal_has(w, "node host3", "storage bad", "storage good"));
	all_succeed(w);
	assert_vm(w, "web2", VM_RUNNING, 3);
	assert_vm(w, "web1", VM_RUNNING, 3);
	world_free(w);
}

Test(storage, where_it_hangs_nobody_is_asked_to_leave)
{
	struct world *w = two_on_host1();

	storage_as(w, 1, "/srv/a", true, false);
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 0);
	assert_vm(w, "web1", VM_RUNNING, 1);
	storage_as(w, 1, "/srv/a", true, true);
	cr_assert_eq(running_count(w, OP_FENCE), 0, "that was not asked for");
	storage(w, 1, "/srv/a");
	cr_assert_eq(vm(w, "web1")->state, VM_MIGRATING, "it answers, with errors");
	world_free(w);
}

Test(storage, asked_for_a_node_is_fenced_when_it_hangs_for_long)
{
	struct world *w = two_on_host1();

	set(w, "storage_loss", "fence");
	storage_as(w, 1, "/srv/b", true, false);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	storage_as(w, 1, "/srv/b", true, true);
	cr_assert_eq(running_count(w, OP_FENCE), 1);
	cr_assert_eq(running(w, OP_FENCE, 0)->victim, 1);
	world_free(w);
}

Test(storage, nothing_is_moved_to_a_host_that_the_same_step_fences)
{
	struct world *w = world_new(3);

	set(w, "storage_loss", "fence");
	add(w, "web1", "/srv/b", false);
	add(w, "db1", "/srv/a", false);
	vm_start(w, "web1", "host3");
	vm_start(w, "db1", "host1");
	all_succeed(w);
	storage(w, 2, "/srv/a");
	storage(w, 3, "/srv/a");
	node_drain(w, "host1");
	assert_vm(w, "db1", VM_RUNNING, 1);

	storage_as(w, 3, "/srv/b", true, true); /* /srv/a works again */
	cr_assert_eq(running_count(w, OP_FENCE), 1);
	cr_assert_eq(running(w, OP_FENCE, 0)->victim, 3);
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 0);
	assert_vm(w, "db1", VM_RUNNING, 1);
	world_free(w);
}

Test(storage, whom_it_was_fencing_is_fenced_by_another)
{
	struct world *w = two_on_host1();

	set(w, "storage_loss", "fence");
	set(w, "fence_window_s", "0");
	set(w, "fence_lost", "always");
	view(w, "12", "", false);
	cr_assert_eq(running_count(w, OP_FENCE), 1);
	cr_assert_eq(running(w, OP_FENCE, 0)->node, 1);

	storage_as(w, 1, "/srv/b", true, true);
	cr_assert_eq(running_count(w, OP_FENCE), 2);
	cr_assert_eq(running(w, OP_FENCE, 0)->node, 2);
	cr_assert_eq(running(w, OP_FENCE, 1)->node, 2);
	cr_assert_null(brain_check(w->c));
	world_free(w);
}

Test(storage, stay_means_stay)
{
	struct world *w = two_on_host1();

	set(w, "storage_loss", "stay");
	storage(w, 1, "/srv/a");
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 0);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

static void fail_to_leave(struct world *w, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		for (int k = 0; k < 100 && vm(w, "web1")->state != VM_MIGRATING; k++)
			tick(w, 10000);
		cr_assert_eq(vm(w, "web1")->state, VM_MIGRATING, "try %u", i);
		result(w, "web1", HV_TIMEOUT, RUNNING);
		for (int k = 0; k < 5 && running_count(w, OP_VM_DESTROY); k++)
			result_of(w, running(w, OP_VM_DESTROY, 0), HV_OK, ABSENT, "");
	}
}

Test(storage, a_host_is_not_fenced_for_it_unless_that_was_asked_for)
{
	struct world *w = two_on_host1();

	storage(w, 1, "/srv/a");
	fail_to_leave(w, 5);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(storage, asked_for_it_is_fenced_when_a_vm_cannot_leave_and_could_run_elsewhere)
{
	struct world *w = two_on_host1();

	set(w, "storage_loss", "fence");
	storage(w, 1, "/srv/a");
	fail_to_leave(w, 2);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	fail_to_leave(w, 1);
	cr_assert_eq(running_count(w, OP_FENCE), 1);
	cr_assert_eq(running(w, OP_FENCE, 0)->victim, 1);
	world_free(w);
}

Test(storage, not_even_then_if_no_other_host_has_it)
{
	struct world *w = two_on_host1();

	set(w, "storage_loss", "fence");
	storage(w, 1, "/srv/a");
	fail_to_leave(w, 2);
	storage(w, 2, "/srv/a");
	storage(w, 3, "/srv/a");
	for (int k = 0; k < 20; k++)
		tick(w, 10000);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	world_free(w);
}

Test(storage, lists_that_make_no_sense_are_refused)
{
	static char *const twice[] = {(char *)"/a", (char *)"/a"};
	static char *const wrong[] = {(char *)"/b", (char *)"/a"};
	static char *const relative[] = {(char *)"a"};
	static char *const odd[] = {(char *)"/a\n"};
	static char *const good[] = {(char *)"/a", (char *)"/b"};

	cr_assert_not(storage_paths_valid(twice, 2));
	cr_assert_not(storage_paths_valid(wrong, 2));
	cr_assert_not(storage_paths_valid(relative, 1));
	cr_assert_not(storage_paths_valid(odd, 1));
	cr_assert_not(storage_paths_valid(good, HV_MAX_VM_STORAGE + 1));
	cr_assert(storage_paths_valid(good, 2));
}

/* host1 says of web1: its agent is silent, and it does no I/O. */
static void is_silent(struct world *w)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__GuestHealth body = HV__GUEST_HEALTH__INIT;
	Hv__GuestSeen g = HV__GUEST_SEEN__INIT;

	g.uuid = (char *)uuid_of("web1");
	g.heartbeat = HV__GUEST_HEARTBEAT__HEARTBEAT_LOST;
	g.idle = true;
	body.node = 1;
	body.guest = &g;
	ev.body_case = HV__EVENT__BODY_GUEST_HEALTH;
	ev.guest_health = &body;
	step(w, &ev, 1);
}

Test(storage, a_guest_that_waited_for_it_is_not_judged_at_once_whoever_starts_it)
{
	struct world *w = two_on_host1();

	vm_set(w, "web1", "heartbeat_s", "30");
	vm_set(w, "web1", "live_migration", "off");
	tick(w, 200000);
	storage_as(w, 1, "/srv/a", true, false);
	storage(w, 1, "");
	vm_start(w, "web1", "");
	cr_assert_eq(w->rc, HV_OK);
	is_silent(w);
	tick(w, 60000);
	cr_assert(!vm_op(w, "web1"), "it may still be catching up");
	tick(w, 61000);
	cr_assert(vm_op(w, "web1") && vm_op(w, "web1")->kind == OP_VM_RESET);
	world_free(w);
}
