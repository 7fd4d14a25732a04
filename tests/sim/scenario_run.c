/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The timeline: events at their times, or later where the cluster was still at work. */
#include "tests/sim/scenario_priv.h"

#include <stdarg.h>
#include <string.h>

#define SLICE_US (20 * MS)
#define CALM_US (8 * SEC)	  /* nothing happened for so long, and nothing is under way */
#define MOST_US (240 * SEC)	  /* that an event waits longer than the file says */
#define LEAVE_MOST_US (400 * SEC) /* a host that wants to go down waits so long for its VMs */
#define LEAVE_ALONE_US (10 * SEC) /* and so long where nobody answers */
#define REBOOT_US (20 * SEC)
#define BOOT_US (10 * SEC) /* from power to clusterd, at most */
#define SOON_US (12 * SEC) /* a retry that is further away is not waited for */

void run_fail(struct scenario_run *r, const char *fmt, ...)
{
	char text[900];
	va_list ap;

	if (r->n_fails == SC_FAILS)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = ' ';
	for (size_t i = 0; i < r->n_fails; i++)
		if (strcmp(r->fails[i], text) == 0)
			return;
	sim_trace(&r->s, "FAILED: %s", text);
	r->fails[r->n_fails++] = hv_xstrdup(text);
}

uint64_t run_time_us(const struct scenario_run *r, uint64_t t_ms)
{
	uint64_t at = r->t0_us, from = 0;

	if (t_ms == UINT64_MAX)
		return UINT64_MAX;
	for (size_t i = 0; i < r->n_marks; i++) {
		if (r->marks[i].t_ms > t_ms)
			break;
		from = r->marks[i].t_ms;
		at = r->marks[i].at_us;
	}
	return at + (t_ms - from) * MS;
}

static void mark(struct scenario_run *r, uint64_t t_ms)
{
	if (r->n_marks < SC_MARKS) {
		r->marks[r->n_marks].t_ms = t_ms;
		r->marks[r->n_marks++].at_us = r->s.now_us;
	}
}

/* ---- hosts */

void run_power_off(struct scenario_run *r, hv_node_id id)
{
	struct host *h = sim_host(&r->s, id);

	watch(r);
	watch_lost(r, id);
	r->down_at_us[id - 1] = r->s.now_us;
	host_power_off(&r->s, h);
	r->was_on[id - 1] = false;
}

static void power_on(struct scenario_run *r, hv_node_id id)
{
	struct host *h = sim_host(&r->s, id);

	watch(r);
	run_cut(r, id, false);
	host_power_on(&r->s, h);
	r->was_on[id - 1] = true;
	r->powers_seen[id - 1] = h->powers;
}

void run_cut(struct scenario_run *r, hv_node_id id, bool cut)
{
	struct host *h = sim_host(&r->s, id);
	unsigned group = cut ? id : 0;

	if (h->group == group)
		return;
	watch(r);
	if (cut)
		watch_lost(r, id);
	sim_trace(&r->s, "host %u: %s", id, cut ? "cut off" : "reached again");
	h->group = group;
	net_changed(&r->s, !cut);
}

void run_leave(struct scenario_run *r, hv_node_id id, bool reboot, size_t request)
{
	struct sc_leaving *l = &r->leaving[id - 1];

	*l = (struct sc_leaving){.on = true,
				 .reboot = reboot,
				 .request = request + 1,
				 .since_us = r->s.now_us,
				 .next_us = r->s.now_us};
}

/* Does the cluster want it to wait? */
static bool may_go(struct scenario_run *r, struct sc_leaving *l, hv_node_id id)
{
	uint64_t waited = r->s.now_us - l->since_us;
	const struct sc_request *q = l->request ? &r->requests[l->request - 1] : NULL;
	const struct cluster *c = run_cluster(r);
	const struct node *n = c ? cluster_node(c, id) : NULL;
	const struct operation *op;

	if (!q || waited > LEAVE_MOST_US)
		return true;
	if (!q->answered)
		return waited > LEAVE_ALONE_US;
	if (q->rc != HV_OK || !n)
		return true;
	op = n->leaving_op ? cluster_op(c, n->leaving_op) : NULL;
	return !op || op->state != OP_RUNNING;
}

/* What still runs there is ended by the host. */
static void stop_guests(struct scenario_run *r, struct host *h)
{
	for (int k = 0; k < VMS; k++)
		if (vms_dom(&r->s, h->id, k)->state != DOM_ABSENT)
			vms_set(&r->s, h, k, DOM_ABSENT, HV__CAUSE__CAUSE_GUEST_SHUTDOWN);
	if (process_runs(h))
		mind_wake(h->proc.mind);
}

static void leave_step(struct scenario_run *r, hv_node_id id)
{
	struct sc_leaving *l = &r->leaving[id - 1];
	struct host *h = sim_host(&r->s, id);

	l->next_us = r->s.now_us + 500 * MS;
	switch (l->phase) {
	case 0:
		if (!may_go(r, l, id))
			return;
		stop_guests(r, h);
		break;
	case 1:
		process_kill(&r->s, h);
		break;
	case 2:
		r->was_on[id - 1] = false;
		host_power_off(&r->s, h);
		l->next_us = r->s.now_us + REBOOT_US;
		l->on = l->reboot;
		break;
	default:
		power_on(r, id);
		l->on = false;
	}
	l->phase++;
}

static void leave_all(struct scenario_run *r)
{
	for (hv_node_id id = 1; id <= r->s.n; id++) {
		struct sc_leaving *l = &r->leaving[id - 1];

		if (!l->on || l->next_us > r->s.now_us)
			continue;
		/* It was fenced meanwhile. */
		if (l->phase <= 2 && !sim_host(&r->s, id)->power)
			l->on = false;
		else
			leave_step(r, id);
	}
}

void run_for(struct scenario_run *r, uint64_t us)
{
	uint64_t end = r->s.now_us + us;

	while (r->s.now_us < end && !r->s.failed) {
		uint64_t next = r->s.now_us + SLICE_US;

		sim_run_until(&r->s, next < end ? next : end);
		watch(r);
		leave_all(r);
	}
}

/* ---- settled */

const struct cluster *run_cluster(struct scenario_run *r)
{
	const struct host *best = NULL;

	for (size_t i = 0; i < r->s.n; i++) {
		const struct host *h = &r->s.hosts[i];

		if (!process_runs(h))
			continue;
		if (mind_current(h->proc.mind))
			return h->proc.mind->c;
		if (!best || h->proc.applied > best->proc.applied)
			best = h;
	}
	return best ? best->proc.mind->c : NULL;
}

static bool node_busy(const struct cluster *c, const struct node *n)
{
	switch (n->state) {
	case NODE_OFFLINE:
	case NODE_ONLINE:
		return false;
	case NODE_LOST:
		return n->n_devices && cluster_node_vm_count(c, n->id) > 0;
	case NODE_JOINING:
	case NODE_MANAGER_DOWN:
	case NODE_FENCING:
		break;
	}
	return true;
}

static bool vm_busy(const struct cluster *c, const struct vm *vm)
{
	switch (vm->state) {
	case VM_STARTING:
	case VM_MIGRATING:
	case VM_RESUMING:
	case VM_PENDING:
		return true;
	case VM_STOPPING:
	case VM_RECOVERING:
	case VM_CHECKING:
	case VM_STOPPED:
	case VM_RUNNING:
	case VM_PAUSED:
	case VM_FAILED:
	case VM_BLOCKED:
	case VM_FROZEN:
		break;
	}
	return vm->retry_us && vm->retry_us < cluster_now_us(c) + SOON_US;
}

static bool busy(struct scenario_run *r)
{
	const struct cluster *c = run_cluster(r);

	for (size_t i = 0; i < r->s.n; i++) {
		const struct host *h = &r->s.hosts[i];

		if (r->leaving[i].on)
			return true;
		if (h->power && !h->proc.up && r->s.now_us - h->powered_us < BOOT_US)
			return true;
	}
	for (size_t i = 0; c && i < cluster_node_count(c); i++)
		if (node_busy(c, cluster_node_at(c, i)))
			return true;
	for (size_t i = 0; c && i < cluster_vm_count(c); i++)
		if (vm_busy(c, cluster_vm_at(c, i)))
			return true;
	return false;
}

bool run_settle(struct scenario_run *r, uint64_t most_us)
{
	uint64_t end = r->s.now_us + most_us;
	uint64_t quiet_since = r->n_facts ? r->facts[r->n_facts - 1].at_us : r->t0_us;
	size_t facts = r->n_facts;

	while (r->s.now_us < end && !r->s.failed) {
		if (busy(r) || facts != r->n_facts)
			quiet_since = r->s.now_us;
		else if (r->s.now_us - quiet_since >= CALM_US)
			return true;
		facts = r->n_facts;
		run_for(r, 500 * MS);
	}
	return false;
}

/* ---- events */

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

/* Where it was last, or where the file has it. */
static const char *home(struct scenario_run *r, int vm)
{
	hv_node_id id = r->last[vm];

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
	bool here = vm->wanted && vm->node >= 0;
	size_t request = cmd_vm_add(r, e->vm, vm->wanted && !here);

	r->wanted[e->vm] = vm->wanted;
	r->there[e->vm] = true;
	if (!cmd_wait(r, request))
		return request;
	cmd_vm_attributes(r, e->vm);
	return here ? cmd_vm_start(r, e->vm, home(r, e->vm)) : request;
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
	case SC_SET_LOCK:
		return cmd_vm_lock(r, e->vm, e->lock ? e->lock : "");
	case SC_POWER_ON:
	case SC_POWER_OFF:
	case SC_NET_DOWN:
	case SC_NET_UP:
	case SC_SHUTDOWN:
	case SC_REBOOT:
	case SC_MAINTENANCE_ON:
	case SC_MAINTENANCE_OFF:
	case SC_EXTERNAL_MOVE:
	case SC_HA_DISARM:
	case SC_HA_ARM:
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
		power_on(r, id);
		return true;
	case SC_POWER_OFF:
		run_power_off(r, id);
		return true;
	case SC_NET_DOWN:
	case SC_NET_UP:
		run_cut(r, id, e->op == SC_NET_DOWN);
		return true;
	case SC_EXTERNAL_MOVE:
		external_move(r, e);
		return true;
	case SC_SHUTDOWN:
	case SC_REBOOT:
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

static void play_event(struct scenario_run *r, const struct sc_event *e)
{
	size_t request;

	if (by_hand(r, e))
		return;
	request = request_of(r, e);
	cmd_wait(r, request);
	/* Its old place may be closed to it: then the cluster finds another. */
	if (e->op == SC_SET_WANT && e->want && request != NO_REQUEST &&
	    r->requests[request].rc != HV_OK) {
		request = cmd_vm_start(r, e->vm, NULL);
		cmd_wait(r, request);
	}
	check_answer(r, e, request);
}

/* The hosts' own fates first: of one moment, no time passes between them. */
static void play_moment(struct scenario_run *r, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		play_event(r, &r->sc->events[i]);
}

/* The next time of the file after `t_ms` at which something is to be done or looked at. */
static uint64_t next_stop(const struct scenario *sc, uint64_t t_ms, size_t event)
{
	uint64_t next = event < sc->n_events ? sc->events[event].t_ms : UINT64_MAX;

	for (size_t i = 0; i < sc->n_checks; i++)
		if (!sc->checks[i].at_end && sc->checks[i].span.to_ms > t_ms &&
		    sc->checks[i].span.to_ms < next)
			next = sc->checks[i].span.to_ms;
	return next;
}

static void run_until_time(struct scenario_run *r, uint64_t t_ms)
{
	uint64_t at = run_time_us(r, t_ms);

	if (at > r->s.now_us)
		run_for(r, at - r->s.now_us);
	run_settle(r, MOST_US);
	mark(r, t_ms);
}

static void timeline(struct scenario_run *r)
{
	const struct scenario *sc = r->sc;
	uint64_t t_ms = 0;
	size_t i = 0;

	while (!r->s.failed) {
		size_t first = i;
		uint64_t next =
		    i == 0 && sc->n_events && sc->events[0].t_ms == 0 ? 0 : next_stop(sc, t_ms, i);

		if (next == UINT64_MAX)
			break;
		if (next > 0)
			run_until_time(r, next);
		check_at(r, next);
		while (i < sc->n_events && sc->events[i].t_ms <= next)
			i++;
		play_moment(r, first, i);
		mark(r, next);
		t_ms = next;
	}
	if (!r->s.failed)
		run_for(r, sc->settle_ms * MS);
	run_settle(r, MOST_US);
}

/* ---- the whole */

static void run_begin(struct scenario_run *r, const struct scenario *sc, FILE *trace)
{
	r->sc = sc;
	r->s = (struct sim){.seed = 1, .mind = &vms_mind, .trace = trace, .scenario = r};
	r->s.options = &r->options;
	r->s.result = &r->result;
	r->s.snapshot_every = 100000;
}

static char *verdict(struct scenario_run *r)
{
	char *text = NULL;

	if (r->s.failed)
		run_fail(r, "%s", r->result.failure);
	if (r->n_fails && r->refused_why[0])
		run_fail(r, "%s", r->refused_why);
	for (size_t i = 0; i < r->n_fails; i++) {
		char *more =
		    text ? hv_xasprintf("%s; %s", text, r->fails[i]) : hv_xstrdup(r->fails[i]);

		free(text);
		text = more;
	}
	return text;
}

static void run_end(struct scenario_run *r)
{
	sim_end(&r->s);
	for (size_t i = 0; i < r->n_fails; i++)
		free(r->fails[i]);
	free(r->facts);
	free(r->requests);
	free(r);
}

char *scenario_play(const struct scenario *sc, FILE *trace)
{
	struct scenario_run *r = hv_xcalloc(1, sizeof(*r));
	char *text;

	run_begin(r, sc, trace);
	if (world_make(r)) {
		timeline(r);
		if (!r->s.failed) {
			check_at(r, UINT64_MAX);
			check_whole(r);
			watch_end(r);
		}
	}
	text = verdict(r);
	run_end(r);
	return text;
}
