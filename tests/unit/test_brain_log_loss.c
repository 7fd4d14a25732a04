/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A member whose disk does not take the log: BEFORE / EVENT / AFTER. */
#include "resource/log_loss.h"

#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>

#define GRACE_MS 10000

/* web1 and db1 run on host1. */
static struct world *two_on_host1(void)
{
	struct world *w = world_new(3);

	running_vm(w, "web1", 1);
	running_vm(w, "db1", 1);
	assert_vm(w, "web1", VM_RUNNING, 1);
	assert_vm(w, "db1", VM_RUNNING, 1);
	return w;
}

Test(log_loss, its_vms_leave_live_when_its_grace_is_over)
{
	struct world *w = two_on_host1();

	view(w, "1!23", "", false);
	cr_assert_eq(node(w, 1)->state, NODE_ONLINE);
	cr_assert(journal_has(w, "node host1", "keeps the log", "does not keep the log"));
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 0, "it may come back");
	tick_due(w);
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 2);
	all_succeed(w);
	cr_assert_neq(vm(w, "web1")->node, 1);
	cr_assert_neq(vm(w, "db1")->node, 1);
	cr_assert_eq(running_count(w, OP_FENCE), 0);
	world_free(w);
}

Test(log_loss, one_that_comes_back_in_time_keeps_its_vms)
{
	struct world *w = two_on_host1();

	view(w, "1!23", "", false);
	tick(w, GRACE_MS / 2);
	view(w, "123", "", false);
	cr_assert(journal_has(w, "node host1", "does not keep the log", "keeps the log"));
	tick(w, 2 * GRACE_MS);
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 0);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(log_loss, it_gets_no_vms)
{
	struct world *w = world_new(1);

	view(w, "1!", "", false);
	vm_add(w, "web1", 256, 0, true);
	assert_vm(w, "web1", VM_BLOCKED, 0);
	view(w, "1", "", false);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING, "now it does");
	world_free(w);
}

Test(log_loss, who_cannot_leave_stays_and_runs)
{
	struct world *w = two_on_host1();

	vm_set(w, "web1", "live_migration", "off");
	vm_lock(w, "db1", "by hand");
	view(w, "1!23", "", false);
	tick(w, 2 * GRACE_MS);
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 0);
	assert_vm(w, "web1", VM_RUNNING, 1);
	assert_vm(w, "db1", VM_RUNNING, 1);
	world_free(w);
}

Test(log_loss, disarmed_nothing_moves)
{
	struct world *w = two_on_host1();

	disarm(w, false);
	view(w, "1!23", "", false);
	tick(w, 2 * GRACE_MS);
	cr_assert_eq(running_count(w, OP_VM_MIGRATE), 0);
	world_free(w);
}

Test(log_loss, one_that_is_lost_is_recovered_from_as_ever)
{
	struct world *w = two_on_host1();

	view(w, "1!23", "", false);
	view(w, "23", "", false);
	cr_assert_eq(node(w, 1)->state, NODE_FENCING);
	cr_assert_eq(node(w, 1)->log_lost_us, 0);
	assert_vm(w, "web1", VM_RECOVERING, 1);
	world_free(w);
}
