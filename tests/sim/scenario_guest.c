/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests in a scenario: "guest": {"agent": true, "busy": false, "attributes": {"heartbeat_s":
 * "10"}} of a VM, and what befalls them. Our own, as "cluster" and "fence" are.
 */
#include "tests/sim/faults.h"
#include "tests/sim/scenario_priv.h"

void guest_prepare(struct scenario_run *r, int vm)
{
	const struct sc_guest *g = &r->sc->vms[vm].guest;

	r->w->agents[vm] = g->agent;
	r->w->busy[vm] = g->busy;
	if (g->there)
		r->w->guests = 1;
}

bool guest_attributes(struct scenario_run *r, int vm)
{
	const struct sc_guest *g = &r->sc->vms[vm].guest;

	for (size_t i = 0; i < g->n_attributes; i++) {
		size_t request = cmd_vm_set(r, vm, g->attributes[i].key, g->attributes[i].value);

		if (!cmd_wait(r, request) || r->requests[request].rc != HV_OK)
			return false;
	}
	return true;
}

static struct host *where(struct scenario_run *r, int vm)
{
	for (size_t i = 0; i < r->s.n; i++) {
		enum dom d = vms_dom(&r->s, r->s.hosts[i].id, vm)->state;

		if (r->s.hosts[i].power && (d == DOM_RUNNING || d == DOM_PAUSED))
			return &r->s.hosts[i];
	}
	return NULL;
}

static void befalls(struct scenario_run *r, struct host *h, const struct sc_event *e)
{
	struct sim *s = &r->s;

	if (e->op == SC_GUEST_HANGS || e->op == SC_GUEST_GOES_ON)
		vms_guest_hangs(s, h, e->vm, e->op == SC_GUEST_HANGS);
	else if (e->op == SC_GUEST_AGENT_DIES)
		vms_guest_agent_dies(s, h, e->vm);
	else if (e->op == SC_GUEST_BUSY || e->op == SC_GUEST_IDLE)
		vms_guest_busy(s, h, e->vm, e->op == SC_GUEST_BUSY);
	else if (e->op == SC_GUEST_PANICS)
		vms_guest_stops(s, h, e->vm, HV__GUEST_TROUBLE__TROUBLE_PANICKED);
	else if (e->op == SC_GUEST_WATCHDOG)
		vms_guest_stops(s, h, e->vm, HV__GUEST_TROUBLE__TROUBLE_WATCHDOG);
	else if (e->op == SC_GUEST_NO_SPACE)
		vms_guest_stops(s, h, e->vm, HV__GUEST_TROUBLE__TROUBLE_NO_SPACE);
	else if (e->op == SC_GUEST_IO_ERROR)
		vms_guest_stops(s, h, e->vm, HV__GUEST_TROUBLE__TROUBLE_IO_ERROR);
	else if (e->op == SC_GUEST_CRASHES)
		vms_guest_ends(s, h, e->vm, HV__CAUSE__CAUSE_CRASHED);
	else if (e->op == SC_GUEST_SHUTS_DOWN)
		vms_guest_ends(s, h, e->vm, HV__CAUSE__CAUSE_GUEST_SHUTDOWN);
	else
		vms_guest_storage_back(s, h, e->vm, MS);
}

void run_guest_event(struct scenario_run *r, const struct sc_event *e)
{
	struct host *h = e->op < SC_STORAGE_BAD ? where(r, e->vm) : &r->s.hosts[e->node];

	if (!h)
		run_fail(r, "the guest of %s does not run at %llu s", r->sc->vms[e->vm].name,
			 (unsigned long long)e->t_ms / 1000);
	else if (e->op < SC_STORAGE_BAD)
		befalls(r, h, e);
	else if (e->op == SC_STORAGE_BAD)
		vms_storage_bad(&r->s, h, 0, 100000000);
	else if (e->op == SC_STORAGE_GOOD)
		vms_storage_good(&r->s, h);
	else if (e->op >= SC_LOG_DISK_FAILS)
		fault_log_disk(&r->s, h, e->op != SC_LOG_DISK_WELL, e->op == SC_LOG_DISK_HANGS);
	else
		vms_libvirt(&r->s, h, e->op == SC_LIBVIRT_HANGS);
}
