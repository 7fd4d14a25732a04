/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VMs as a scenario gives them: running, wanted, moving, crashed. */
#include "tests/sim/scenario_priv.h"

#include <string.h>

#define PLACED_US (180 * SEC)
#define TRIED_US (2 * SEC)

#define NODE_NAME(r, i) ((r)->sc->nodes[i].name)

bool given_runs_before(const struct scenario_run *r, int k)
{
	const struct sc_vm *vm = &r->sc->vms[k];

	if (vm->late || vm->node < 0)
		return false;
	if (r->sc->decision)
		return vm->state != SC_VM_STOPPED;
	return vm->wanted && !vm->start_fail_first;
}

static bool placed(struct scenario_run *r)
{
	const struct cluster *c = run_cluster(r);

	for (size_t k = 0; k < r->sc->n_vms; k++) {
		const struct vm *vm = c ? cluster_vm_by_name(c, r->sc->vms[k].name) : NULL;

		if (!given_runs_before(r, (int)k))
			continue;
		if (!vm || vm->state != VM_RUNNING ||
		    vm->node != (hv_node_id)r->sc->vms[k].node + 1)
			return false;
	}
	return true;
}

/* Wanted, and running nowhere: the cluster is to start it, and not before t = 0. */
static bool waits_for_start(const struct scenario_run *r, int k)
{
	const struct sc_vm *vm = &r->sc->vms[k];

	return r->sc->decision && vm->wanted && vm->managed && !vm->late &&
	       !given_runs_before(r, k);
}

bool given_add_vms(struct scenario_run *r)
{
	for (size_t k = 0; k < r->sc->n_vms; k++) {
		const struct sc_vm *vm = &r->sc->vms[k];
		char uuid[HV_UUID_LEN + 1];

		snprintf(uuid, sizeof(uuid), "00000000-0000-4000-8000-%012u", (unsigned)(k % VMS));
		vms_define(&r->s, (int)k, vm->name, uuid, vm->mem_mib ? vm->mem_mib : 1);
		guest_prepare(r, (int)k);
		r->wanted[k] = !vm->late && vm->wanted;
		r->unmanaged[k] = !vm->managed;
		r->there[k] = !vm->late;
		if (vm->late || waits_for_start(r, (int)k))
			continue;
		if (!cmd_wait(r, cmd_vm_add(r, (int)k, false)))
			return world_cannot(r, "a VM is not taken");
		cmd_vm_attributes(r, (int)k);
	}
	for (size_t k = 0; k < r->sc->n_vms; k++)
		if (given_runs_before(r, (int)k))
			cmd_vm_start(r, (int)k, NODE_NAME(r, r->sc->vms[k].node));
	return world_wait_for(r, placed, PLACED_US) ||
	       world_cannot(r, "its VMs do not all come to run where they are");
}

static bool moves_before(const struct scenario_run *r, size_t k)
{
	return r->sc->vms[k].state >= SC_VM_MIGRATING && r->sc->vms[k].migrating_to >= 0;
}

static bool moves_begun(struct scenario_run *r)
{
	for (size_t k = 0; k < r->sc->n_vms; k++) {
		const struct sc_vm *vm = &r->sc->vms[k];

		if (moves_before(r, k) && vm->state != SC_VM_MIGRATE_FAILED_SOURCE &&
		    vms_dom(&r->s, (hv_node_id)vm->migrating_to + 1, (int)k)->state != DOM_INCOMING)
			return false;
	}
	return true;
}

/* One that is to run on was to be moved by stop and start. */
static void stop_in_vain(struct scenario_run *r, int k)
{
	const struct sc_vm *vm = &r->sc->vms[k];
	size_t other = vm->node == 0 ? 1 : 0;

	if (!vm->wanted || r->s.n < 2) {
		cmd_wait(r, cmd_vm_stop(r, k, false));
		return;
	}
	while (other + 1 < r->sc->n_nodes && (int)other == vm->node)
		other++;
	cmd_wait(r, cmd_vm_set(r, k, "live_migration", "off"));
	cmd_wait(r, cmd_vm_migrate(r, k, r->s.hosts[other].name));
	if (vm->live != SC_NO)
		cmd_wait(r, cmd_vm_set(r, k, "live_migration", "on"));
}

/* However many at a time, and live: what the file has under way was begun somehow. */
static void migrate_at_once(struct scenario_run *r, int k)
{
	const struct sc_vm *vm = &r->sc->vms[k];

	r->w->most_migrations = 64;
	cmd_wait(r, cmd_setting(r, "migrate_parallel", "64"));
	if (vm->live == SC_NO)
		cmd_wait(r, cmd_vm_set(r, k, "live_migration", "on"));
	cmd_wait(r, cmd_vm_migrate(r, k, NODE_NAME(r, vm->migrating_to)));
	if (vm->live == SC_NO)
		cmd_wait(r, cmd_vm_set(r, k, "live_migration", "off"));
}

/* Migrations that are under way, or have failed; stops that have. */
bool given_begin_vm_states(struct scenario_run *r)
{
	bool any = false;

	for (size_t k = 0; k < r->sc->n_vms; k++) {
		const struct sc_vm *vm = &r->sc->vms[k];

		if (moves_before(r, k))
			migrate_at_once(r, (int)k);
		else if (vm->state == SC_VM_STOP_FAILED)
			stop_in_vain(r, (int)k);
		else
			continue;
		any = true;
	}
	if (!any)
		return true;
	if (!world_wait_for(r, moves_begun, PLACED_US))
		return world_cannot(r, "a migration does not begin");
	cmd_wait(r, cmd_setting(r, "migrate_parallel", ""));
	run_for(r, TRIED_US);
	return true;
}

/* A cluster that is disarmed takes note that it is wanted; any other tries at once, and fails. */
void given_add_wanted(struct scenario_run *r, bool disarmed)
{
	for (size_t k = 0; k < r->sc->n_vms; k++) {
		if (!waits_for_start(r, (int)k))
			continue;
		r->hold_starts[k] = true;
		cmd_wait(r, cmd_vm_add(r, (int)k, disarmed));
		cmd_vm_attributes(r, (int)k);
	}
}

void given_start_wanted(struct scenario_run *r)
{
	for (size_t k = 0; k < r->sc->n_vms; k++)
		if (waits_for_start(r, (int)k))
			cmd_vm_start(r, (int)k, NULL);
	run_for(r, 20 * MS); /* it is taken note of */
}

void given_leave_unmanaged(struct scenario_run *r)
{
	for (size_t k = 0; k < r->sc->n_vms; k++)
		if (r->there[k] && !r->sc->vms[k].managed)
			cmd_wait(r, cmd_vm_set(r, (int)k, "managed", "off"));
}

/* ---- VMs' faults */

static void crash(struct scenario_run *r, int k)
{
	struct host *h = sim_host(&r->s, r->holder[k]);

	if (!h)
		return;
	vms_set(&r->s, h, k, DOM_ABSENT, HV__CAUSE__CAUSE_CRASHED);
	if (process_runs(h))
		mind_wake(h->proc.mind);
}

/* Its source has ended, and the target's copy came to nothing. */
static void fail_on_target(struct scenario_run *r, int k)
{
	hv_node_id src = (hv_node_id)r->sc->vms[k].node + 1,
		   dst = (hv_node_id)r->sc->vms[k].migrating_to + 1;

	vms_dom(&r->s, dst, k)->whole = true;
	vms_set(&r->s, sim_host(&r->s, dst), k, DOM_ABSENT, HV__CAUSE__CAUSE_FAILED);
	vms_set(&r->s, sim_host(&r->s, src), k, DOM_ABSENT, HV__CAUSE__CAUSE_MIGRATED);
}

/* It runs on the source; the target's copy is whole and paused, and the answer that said so is
 * lost. */
static void leave_on_both(struct scenario_run *r, int k)
{
	hv_node_id src = (hv_node_id)r->sc->vms[k].node + 1,
		   dst = (hv_node_id)r->sc->vms[k].migrating_to + 1;

	vms_dom(&r->s, dst, k)->whole = true;
	vms_move_abort(&r->s, src, k);
}

void given_fault(struct scenario_run *r, int k)
{
	const struct sc_vm *vm = &r->sc->vms[k];

	switch (vm->state) {
	case SC_VM_FAILED:
		crash(r, k);
		break;
	case SC_VM_UNKNOWN:
		vms_dom(&r->s, (hv_node_id)vm->node + 1, k)->stalled = true;
		vms_tell(&r->s, sim_host(&r->s, (hv_node_id)vm->node + 1), k,
			 HV__CAUSE__CAUSE_NONE);
		break;
	case SC_VM_MIGRATE_FAILED_TARGET:
		fail_on_target(r, k);
		break;
	case SC_VM_MAYBE_ON_BOTH:
		leave_on_both(r, k);
		break;
	case SC_VM_RUNNING:
	case SC_VM_STOPPED:
	case SC_VM_STOP_FAILED:
	case SC_VM_MIGRATING:
	case SC_VM_MIGRATE_FAILED_SOURCE:
		break;
	}
}

/* What runs, and is to be stopped. */
void given_stops(struct scenario_run *r)
{
	for (size_t k = 0; k < r->sc->n_vms; k++)
		if (given_runs_before(r, (int)k) && !r->sc->vms[k].wanted)
			cmd_wait(r, cmd_vm_stop(r, (int)k, false));
}

/* What is to be started now, since its starts count. */
void given_starts(struct scenario_run *r)
{
	for (size_t k = 0; k < r->sc->n_vms; k++) {
		const struct sc_vm *vm = &r->sc->vms[k];

		if (!r->sc->decision && !vm->late && vm->wanted && !given_runs_before(r, (int)k))
			cmd_vm_start(r, (int)k, vm->node >= 0 ? NODE_NAME(r, vm->node) : NULL);
	}
}
