/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events: what is done by hand, and what is asked of the cluster. */
#include "tests/sim/scenario_priv.h"

static void external_move(struct scenario_run *r, const struct sc_event *e)
{
	hv_node_id from = r->holder[e->vm], to = (hv_node_id)e->node + 1;
	struct host *src = sim_host(&r->s, from), *dst = sim_host(&r->s, to);

	r->last[e->vm] = to;
	if (!src || from == to || !dst->power)
		return;
	watch(r);
	vms_dom(&r->s, to, e->vm)->stray = true;
	vms_set(&r->s, dst, e->vm, DOM_RUNNING, HV__CAUSE__CAUSE_MIGRATED);
	vms_set(&r->s, src, e->vm, DOM_ABSENT, HV__CAUSE__CAUSE_MIGRATED);
	r->by_hand = true;
	watch(r);
	r->by_hand = false;
	if (process_runs(dst))
		mind_wake(dst->proc.mind);
	if (process_runs(src))
		mind_wake(src->proc.mind);
}

/* Where it was last, or where the file has it; NULL: wherever the cluster thinks best. */
static const char *home(struct scenario_run *r, int vm)
{
	hv_node_id id = r->last[vm];

	if (r->sc->settings.rebalance_on_start == SC_YES)
		return NULL;
	if (!id && r->sc->vms[vm].node >= 0)
		id = (hv_node_id)r->sc->vms[vm].node + 1;
	return id ? r->s.hosts[id - 1].name : NULL;
}

static size_t set_want(struct scenario_run *r, const struct sc_event *e)
{
	bool managed = r->sc->vms[e->vm].managed && !r->unmanaged[e->vm];

	watch(r);
	if (e->unmanaged) {
		r->unmanaged[e->vm] = true;
		return cmd_vm_set(r, e->vm, "managed", "off");
	}
	if (!managed)
		cmd_wait(r, cmd_vm_set(r, e->vm, "managed", "on"));
	r->unmanaged[e->vm] = false;
	r->wanted[e->vm] = e->want;
	if (!e->want)
		return cmd_vm_stop(r, e->vm, false);
	return cmd_vm_start(r, e->vm, home(r, e->vm));
}

static size_t vm_add(struct scenario_run *r, const struct sc_event *e)
{
	const struct sc_vm *vm = &r->sc->vms[e->vm];
	size_t request = cmd_vm_add(r, e->vm, false);

	r->wanted[e->vm] = vm->wanted;
	r->there[e->vm] = true;
	if (!cmd_wait(r, request))
		return request;
	cmd_vm_attributes(r, e->vm);
	world_rules_again(r, e->vm);
	return vm->wanted ? cmd_vm_start(r, e->vm, home(r, e->vm)) : request;
}

/* What runs is no longer the cluster's, and runs on. */
static size_t vm_remove(struct scenario_run *r, const struct sc_event *e)
{
	size_t request = cmd_vm_remove(r, e->vm);

	r->there[e->vm] = false;
	r->unmanaged[e->vm] = true;
	if (!cmd_wait(r, request) || r->requests[request].rc == HV_OK)
		return request;
	cmd_wait(r, cmd_vm_set(r, e->vm, "managed", "off"));
	return cmd_vm_remove(r, e->vm);
}

/* One that does not run goes along in thought: it starts there. */
static size_t migrate(struct scenario_run *r, const struct sc_event *e)
{
	size_t request = cmd_vm_migrate(r, e->vm, r->sc->nodes[e->node].name);

	cmd_wait(r, request);
	if (!r->wanted[e->vm] && !r->holder[e->vm] && e->expect != SC_REJECTED)
		r->last[e->vm] = (hv_node_id)e->node + 1;
	return request;
}

static size_t vm_request(struct scenario_run *r, const struct sc_event *e)
{
	switch (e->op) {
	case SC_MIGRATE:
		return migrate(r, e);
	case SC_STOP_REQUEST:
		watch(r);
		r->wanted[e->vm] = false;
		return cmd_vm_stop(r, e->vm, e->force);
	case SC_SET_WANT:
		return set_want(r, e);
	case SC_VM_ADD:
		return vm_add(r, e);
	case SC_VM_REMOVE:
		return vm_remove(r, e);
	case SC_VM_RESET:
		return cmd_vm_reset(r, e->vm);
	case SC_SET_LOCK:
		return cmd_vm_lock(r, e->vm, e->lock ? e->lock : "");
	case SC_POWER_ON:
	case SC_POWER_OFF:
	case SC_NET_DOWN:
	case SC_NET_UP:
	case SC_ONE_WAY:
	case SC_BOTH_WAYS:
	case SC_SHUTDOWN:
	case SC_REBOOT:
	case SC_FENCE_NODE:
	case SC_FENCE_CONFIRM:
	case SC_NODE_RELEASE:
	case SC_MAINTENANCE_ON:
	case SC_MAINTENANCE_OFF:
	case SC_EXTERNAL_MOVE:
	case SC_HA_DISARM:
	case SC_HA_ARM:
	case SC_GUEST_HANGS:
	case SC_GUEST_GOES_ON:
	case SC_GUEST_AGENT_DIES:
	case SC_GUEST_BUSY:
	case SC_GUEST_IDLE:
	case SC_GUEST_PANICS:
	case SC_GUEST_WATCHDOG:
	case SC_GUEST_NO_SPACE:
	case SC_GUEST_IO_ERROR:
	case SC_GUEST_CRASHES:
	case SC_GUEST_SHUTS_DOWN:
	case SC_GUEST_STORAGE_BACK:
	case SC_STORAGE_BAD:
	case SC_STORAGE_GOOD:
	case SC_LIBVIRT_HANGS:
	case SC_LIBVIRT_ANSWERS:
	case SC_LOG_DISK_FAILS:
	case SC_LOG_DISK_HANGS:
	case SC_LOG_DISK_WELL:
		break;
	}
	return NO_REQUEST;
}

/* What is asked of the cluster; NO_REQUEST: nothing, or nobody answers. */
static size_t request_of(struct scenario_run *r, const struct sc_event *e)
{
	hv_node_id id = (hv_node_id)(e->node + 1);
	const char *node = e->node >= 0 ? r->sc->nodes[e->node].name : NULL;
	size_t request;

	if (e->op == SC_MAINTENANCE_ON || e->op == SC_MAINTENANCE_OFF)
		return cmd_drain(r, node, e->op == SC_MAINTENANCE_ON);
	if (e->op == SC_FENCE_NODE)
		return cmd_node_fence(r, node);
	if (e->op == SC_FENCE_CONFIRM) {
		watch_confirmed(r, id);
		return cmd_fence_confirm(r, node);
	}
	if (e->op == SC_NODE_RELEASE)
		return cmd_release(r, node);
	if (e->op == SC_HA_DISARM || e->op == SC_HA_ARM)
		return cmd_arm(r, e->op == SC_HA_DISARM, e->ignore);
	if (e->op == SC_SHUTDOWN || e->op == SC_REBOOT) {
		request = cmd_shutdown(r, node, e->op == SC_REBOOT);
		run_leave(r, id, e->op == SC_REBOOT, request);
		return request;
	}
	return vm_request(r, e);
}

/* true: it was done by hand, without the cluster. */
static bool by_hand(struct scenario_run *r, const struct sc_event *e)
{
	hv_node_id id = (hv_node_id)(e->node + 1);

	switch (e->op) {
	case SC_POWER_ON:
		run_power_on(r, id);
		return true;
	case SC_POWER_OFF:
		run_power_off(r, id);
		return true;
	case SC_NET_DOWN:
	case SC_NET_UP:
		run_cut(r, id, e->op == SC_NET_DOWN);
		return true;
	case SC_ONE_WAY:
	case SC_BOTH_WAYS:
		run_one_way(r, id, e->op == SC_ONE_WAY);
		return true;
	case SC_EXTERNAL_MOVE:
		external_move(r, e);
		return true;
	case SC_GUEST_HANGS:
	case SC_GUEST_GOES_ON:
	case SC_GUEST_AGENT_DIES:
	case SC_GUEST_BUSY:
	case SC_GUEST_IDLE:
	case SC_GUEST_PANICS:
	case SC_GUEST_WATCHDOG:
	case SC_GUEST_NO_SPACE:
	case SC_GUEST_IO_ERROR:
	case SC_GUEST_CRASHES:
	case SC_GUEST_SHUTS_DOWN:
	case SC_GUEST_STORAGE_BACK:
	case SC_STORAGE_BAD:
	case SC_STORAGE_GOOD:
	case SC_LIBVIRT_HANGS:
	case SC_LIBVIRT_ANSWERS:
	case SC_LOG_DISK_FAILS:
	case SC_LOG_DISK_HANGS:
	case SC_LOG_DISK_WELL:
		run_guest_event(r, e);
		return true;
	case SC_SHUTDOWN:
	case SC_REBOOT:
	case SC_FENCE_NODE:
	case SC_FENCE_CONFIRM:
	case SC_NODE_RELEASE:
	case SC_MAINTENANCE_ON:
	case SC_MAINTENANCE_OFF:
	case SC_MIGRATE:
	case SC_STOP_REQUEST:
	case SC_SET_WANT:
	case SC_VM_ADD:
	case SC_VM_REMOVE:
	case SC_SET_LOCK:
	case SC_HA_DISARM:
	case SC_HA_ARM:
	case SC_VM_RESET:
		break;
	}
	return false;
}

static void check_answer(struct scenario_run *r, const struct sc_event *e, size_t request)
{
	bool yes = request != NO_REQUEST && r->requests[request].answered &&
		   r->requests[request].rc == HV_OK;
	const char *text = request == NO_REQUEST ? "nobody answers" : r->requests[request].text;

	sim_trace(&r->s, "request at %llu s: %s", (unsigned long long)e->t_ms / 1000,
		  yes ? "granted" : text);
	if (e->expect == SC_REJECTED && yes)
		run_fail(r, "the request at %llu s was expected to be rejected, and was granted",
			 (unsigned long long)e->t_ms / 1000);
	if (e->expect == SC_ACCEPTED && !yes)
		run_fail(r, "the request at %llu s was expected to be granted: %s",
			 (unsigned long long)e->t_ms / 1000, text);
}

static bool wants_start(const struct scenario_run *r, const struct sc_event *e)
{
	return (e->op == SC_SET_WANT && e->want) || (e->op == SC_VM_ADD && r->wanted[e->vm]);
}

void run_event(struct scenario_run *r, const struct sc_event *e)
{
	size_t request;

	if (by_hand(r, e))
		return;
	request = request_of(r, e);
	cmd_wait(r, request);
	/* Its old place may be closed to it: then the cluster finds another. */
	if (wants_start(r, e) && request != NO_REQUEST && r->requests[request].rc != HV_OK) {
		request = cmd_vm_start(r, e->vm, NULL);
		cmd_wait(r, request);
	}
	check_answer(r, e, request);
}
