/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypervisors of the rack: what really runs where. They outlive clusterd and know nothing of
 * the cluster. Calls take time, fail, and go on when the process that asked is gone.
 *
 * I1 no VM has running vCPUs on two hosts. A hung host may thaw: what it runs counts as running.
 * I2 nothing is started while a host that has power still has a copy that ran.
 */
#include "tests/sim/vms.h"

#include <string.h>

int vms_find(const struct sim *s, const char *uuid)
{
	const struct vms_world *w = s->mind_world;

	for (int k = 0; k < VMS; k++)
		if (strcmp(w->uuid[k], uuid) == 0)
			return k;
	hv_assert(false);
	return -1;
}

static enum dom *dom_of(struct sim *s, hv_node_id host, int k)
{
	return &((struct vms_world *)s->mind_world)->dom[host - 1][k];
}

static Hv__Observed observed_of(enum dom d)
{
	switch (d) {
	case DOM_ABSENT:
		return HV__OBSERVED__OBSERVED_ABSENT;
	case DOM_RUNNING:
		return HV__OBSERVED__OBSERVED_RUNNING;
	case DOM_PAUSED:
		return HV__OBSERVED__OBSERVED_PAUSED;
	case DOM_INCOMING:
		return HV__OBSERVED__OBSERVED_INCOMING;
	}
	return HV__OBSERVED__OBSERVED_UNKNOWN;
}

static const char *dom_name(enum dom d)
{
	static const char *const names[] = {"absent", "running", "paused", "incoming"};

	return names[d];
}

static void check_single(struct sim *s, hv_node_id host, int k)
{
	for (size_t i = 0; i < s->n; i++) {
		struct host *o = &s->hosts[i];

		if (o->id != host && o->power && *dom_of(s, o->id, k) == DOM_RUNNING)
			sim_fail(s, "I1: vm%d runs on hosts %u and %u", k, host, o->id);
	}
}

static void check_no_copy(struct sim *s, hv_node_id host, int k)
{
	for (size_t i = 0; i < s->n; i++) {
		struct host *o = &s->hosts[i];
		enum dom d = *dom_of(s, o->id, k);

		if (o->id != host && o->power && (d == DOM_RUNNING || d == DOM_PAUSED))
			sim_fail(s, "I2: vm%d is started on host %u and is %s on host %u", k, host,
				 dom_name(d), o->id);
	}
}

static void tell(struct sim *s, struct host *h, int k, Hv__Cause cause)
{
	struct vms_world *w = s->mind_world;
	Hv__DomainSeen seen = HV__DOMAIN_SEEN__INIT;

	if (!h->proc.up || !h->proc.mind || w->hv_down[h->id - 1])
		return;
	seen.uuid = w->uuid[k];
	seen.name = w->name[k];
	seen.observed = observed_of(*dom_of(s, h->id, k));
	seen.cause = cause;
	intake_domain(h->proc.mind->intake, &seen);
	h->proc.mind->unsettled = true;
}

static void set_dom(struct sim *s, struct host *h, int k, enum dom d, Hv__Cause cause)
{
	enum dom *now = dom_of(s, h->id, k);

	if (*now == d)
		return;
	sim_trace(s, "host %u: vm%d %s -> %s", h->id, k, dom_name(*now), dom_name(d));
	*now = d;
	if (d == DOM_RUNNING)
		check_single(s, h->id, k);
	tell(s, h, k, cause);
}

void vms_power_off(struct sim *s, struct host *h)
{
	for (int k = 0; k < VMS; k++)
		*dom_of(s, h->id, k) = DOM_ABSENT;
}

/* ---- what a process is told */

void vms_health(struct mind *m)
{
	struct vms_world *w = m->s->mind_world;
	Hv__HvHealth health = HV__HV_HEALTH__INIT;

	health.libvirt_ok = !w->hv_down[m->h->id - 1];
	health.text = health.libvirt_ok ? "" : "simulated: libvirt does not answer";
	health.mem_mib = 4096;
	health.cpus = 8;
	intake_health(m->intake, &health, mind_mono(m));
	m->unsettled = true;
}

/* hypervisord keeps a register of starts under way, which outlives it: absence then proves nothing.
 */
static bool is_starting(const struct mind *m, int k)
{
	const struct vms_world *w = m->s->mind_world;

	for (size_t i = 0; i < w->n_calls; i++) {
		const struct call *call = &w->calls[i];

		if (call->used && call->kind == OP_VM_START && call->vm == k &&
		    call->host == m->h->id && call->powers == m->h->powers)
			return true;
	}
	return false;
}

void vms_inventory(struct mind *m)
{
	struct vms_world *w = m->s->mind_world;
	Hv__HvInventory inv = HV__HV_INVENTORY__INIT;
	Hv__DomainSeen seen[VMS], *pointers[VMS];

	if (w->hv_down[m->h->id - 1])
		return;
	inv.complete = true;
	inv.domains = pointers;
	for (int k = 0; k < VMS; k++) {
		enum dom d = *dom_of(m->s, m->h->id, k);

		if (d == DOM_ABSENT && !is_starting(m, k))
			continue;
		hv__domain_seen__init(&seen[k]);
		seen[k].uuid = w->uuid[k];
		seen[k].name = w->name[k];
		seen[k].observed =
		    d == DOM_ABSENT ? HV__OBSERVED__OBSERVED_UNKNOWN : observed_of(d);
		pointers[inv.n_domains++] = &seen[k];
	}
	intake_inventory(m->intake, &inv);
	m->inventory_sent = true;
	vms_health(m);
}

/* ---- calls */

static void finish(struct sim *s, struct host *h, uint64_t n);

static uint64_t duration(struct sim *s, const struct call *call)
{
	struct prng *r = sim_stream(s, STREAM_HYPERVISOR);

	switch (call->kind) {
	case OP_VM_START:
		return prng_range(r, 100 * MS, 900 * MS);
	case OP_VM_STOP:
		return prng_chance(r, 100) ? prng_range(r, 5 * SEC, 20 * SEC)
					   : prng_range(r, 200 * MS, 3 * SEC);
	case OP_VM_MIGRATE:
		return prng_range(r, 300 * MS, 4 * SEC);
	case OP_FENCE:
		return prng_chance(r, 100) ? prng_range(r, 3 * SEC, 12 * SEC)
					   : prng_range(r, 100 * MS, 2 * SEC);
	case OP_VM_DESTROY:
	case OP_VM_RESUME:
	case OP_VM_PAUSE:
	case OP_VM_PROBE:
	case OP_NONE:
	case OP_FENCE_TEST:
	case OP_NODE_DRAIN:
	case OP_NODE_SHUTDOWN:
	case OP_VM_REQUEST:
		break;
	}
	return prng_range(r, 30 * MS, 400 * MS);
}

static bool can_reach(struct sim *s, const struct host *h, hv_node_id target)
{
	struct host *t = sim_host(s, target);

	return t && t->power && !t->hung && t->group == h->group;
}

/* Asked again for the same attempt, the hypervisor layer goes on with the call that it has. */
static bool take_up(struct mind *m, const struct operation *op)
{
	struct vms_world *w = m->s->mind_world;

	for (size_t i = 0; op->kind != OP_FENCE && i < w->n_calls; i++) {
		struct call *call = &w->calls[i];

		if (!call->used || call->host != m->h->id || call->powers != m->h->powers ||
		    call->op != op->id || call->attempt != op->attempt)
			continue;
		call->incarnation = m->h->proc.incarnation;
		call->cancelled = false;
		return true;
	}
	return false;
}

/* Calls about one VM on one host are carried out one after the other, as libvirt does. */
static bool must_wait(const struct vms_world *w, uint64_t n)
{
	const struct call *call = &w->calls[n];

	for (size_t i = 0; call->vm >= 0 && i < n; i++)
		if (w->calls[i].used && w->calls[i].host == call->host &&
		    w->calls[i].powers == call->powers && w->calls[i].vm == call->vm)
			return true;
	return false;
}

void vms_call(struct mind *m, const struct operation *op)
{
	struct vms_world *w = m->s->mind_world;
	struct call *call;

	if (take_up(m, op))
		return;
	if (w->n_calls == w->cap_calls) {
		w->cap_calls = w->cap_calls ? w->cap_calls * 2 : 64;
		w->calls = hv_xrealloc(w->calls, w->cap_calls, sizeof(*w->calls));
	}
	call = &w->calls[w->n_calls];
	*call = (struct call){.used = true,
			      .host = m->h->id,
			      .powers = m->h->powers,
			      .incarnation = m->h->proc.incarnation};
	call->op = op->id;
	call->attempt = op->attempt;
	call->kind = op->kind;
	call->vm = op->vm ? vms_find(m->s, op->vm) : -1;
	call->target = op->target;
	call->victim = op->victim;
	call->flags = op->flags;
	call->began_us = mind_mono(m);
	if (op->kind == OP_VM_START)
		intake_starting(m->intake, op->vm);
	if (op->kind == OP_VM_MIGRATE && can_reach(m->s, m->h, op->target) &&
	    *dom_of(m->s, m->h->id, call->vm) != DOM_ABSENT &&
	    *dom_of(m->s, op->target, call->vm) == DOM_ABSENT)
		set_dom(m->s, sim_host(m->s, op->target), call->vm, DOM_INCOMING,
			HV__CAUSE__CAUSE_NONE);
	sim_trace(m->s, "host %u: op %llu.%u %s vm%d", m->h->id, (unsigned long long)op->id,
		  op->attempt, op_kind_name(op->kind), call->vm);
	sim_at(m->s, duration(m->s, call), finish, m->h, w->n_calls++);
}

void vms_cancel(struct sim *s, struct host *h, hv_op_id op)
{
	struct vms_world *w = s->mind_world;

	for (size_t i = 0; i < w->n_calls; i++)
		if (w->calls[i].used && w->calls[i].host == h->id && w->calls[i].op == op &&
		    w->calls[i].powers == h->powers)
			w->calls[i].cancelled = true;
}

struct outcome {
	enum hv_rc rc;
	Hv__Observed observed;
	hv_node_id fenced;
};

/* The source has stopped and the destination is paused, or nothing has happened; the answer may be
 * lost either way. */
static struct outcome do_migrate(struct sim *s, struct host *h, const struct call *call)
{
	enum dom *here = dom_of(s, h->id, call->vm), *there = dom_of(s, call->target, call->vm);
	bool lost_answer = prng_chance(sim_stream(s, STREAM_HYPERVISOR), 60);
	struct host *t = sim_host(s, call->target);

	if (*here == DOM_ABSENT)
		return (struct outcome){HV_NOT_FOUND, HV__OBSERVED__OBSERVED_ABSENT, 0};
	if (!can_reach(s, h, call->target) || *there != DOM_INCOMING || call->cancelled ||
	    prng_chance(sim_stream(s, STREAM_HYPERVISOR), 80)) {
		if (t->power && *there == DOM_INCOMING &&
		    prng_chance(sim_stream(s, STREAM_HYPERVISOR), 900))
			set_dom(s, t, call->vm, DOM_ABSENT, HV__CAUSE__CAUSE_FAILED);
		return (struct outcome){call->cancelled ? HV_CANCELLED : HV_HYPERVISOR,
					observed_of(*here), 0};
	}
	((struct vms_world *)s->mind_world)->migrations++;
	set_dom(s, h, call->vm, DOM_ABSENT, HV__CAUSE__CAUSE_MIGRATED);
	return (struct outcome){lost_answer ? HV_HYPERVISOR : HV_OK, HV__OBSERVED__OBSERVED_ABSENT,
				0};
}

static void on_again(struct sim *s, struct host *h, uint64_t arg)
{
	host_power_on(s, h);
}

static struct outcome do_fence(struct sim *s, struct host *h, const struct call *call)
{
	struct vms_world *w = s->mind_world;
	struct host *victim = sim_host(s, call->victim);
	bool final = call->flags & OP_F_FINAL;

	if (call->flags & OP_F_POWER_ON) {
		host_power_on(s, victim);
		return (struct outcome){HV_OK, HV__OBSERVED__OBSERVED_UNKNOWN, 0};
	}
	if (w->fence_broken[call->victim - 1] || prng_chance(sim_stream(s, STREAM_HYPERVISOR), 80))
		return (struct outcome){HV_AGENT_FAILED, HV__OBSERVED__OBSERVED_UNKNOWN, 0};
	sim_trace(s, "host %u is fenced by %u", call->victim, h->id);
	w->fences++;
	host_power_off(s, victim);
	sim_at(s, prng_range(sim_stream(s, STREAM_HYPERVISOR), 2 * SEC, 15 * SEC), on_again, victim,
	       0);
	return (struct outcome){HV_OK, HV__OBSERVED__OBSERVED_UNKNOWN, final ? call->victim : 0};
}

static struct outcome do_start(struct sim *s, struct host *h, const struct call *call)
{
	enum dom *here = dom_of(s, h->id, call->vm);

	if (*here == DOM_RUNNING)
		return (struct outcome){HV_OK, HV__OBSERVED__OBSERVED_RUNNING, 0};
	if (*here != DOM_ABSENT)
		return (struct outcome){HV_EXISTS, observed_of(*here), 0};
	if (prng_chance(sim_stream(s, STREAM_HYPERVISOR), 60))
		return (struct outcome){HV_HYPERVISOR, HV__OBSERVED__OBSERVED_ABSENT, 0};
	((struct vms_world *)s->mind_world)->starts++;
	check_no_copy(s, h->id, call->vm);
	set_dom(s, h, call->vm, DOM_RUNNING, HV__CAUSE__CAUSE_ADMIN);
	return (struct outcome){HV_OK, HV__OBSERVED__OBSERVED_RUNNING, 0};
}

static struct outcome do_pause(struct sim *s, struct host *h, const struct call *call, enum dom to)
{
	enum dom here = *dom_of(s, h->id, call->vm);

	if (here == DOM_ABSENT)
		return (struct outcome){HV_NOT_FOUND, HV__OBSERVED__OBSERVED_ABSENT, 0};
	if (prng_chance(sim_stream(s, STREAM_HYPERVISOR), 30))
		return (struct outcome){HV_HYPERVISOR, observed_of(here), 0};
	set_dom(s, h, call->vm, to, HV__CAUSE__CAUSE_ADMIN);
	return (struct outcome){HV_OK, observed_of(to), 0};
}

static struct outcome carry_out(struct sim *s, struct host *h, const struct call *call)
{
	switch (call->kind) {
	case OP_VM_START:
		return do_start(s, h, call);
	case OP_VM_STOP:
	case OP_VM_DESTROY:
		if (prng_chance(sim_stream(s, STREAM_HYPERVISOR), 30))
			return (struct outcome){HV_HYPERVISOR,
						observed_of(*dom_of(s, h->id, call->vm)), 0};
		set_dom(s, h, call->vm, DOM_ABSENT, HV__CAUSE__CAUSE_ADMIN);
		return (struct outcome){HV_OK, HV__OBSERVED__OBSERVED_ABSENT, 0};
	case OP_VM_MIGRATE:
		return do_migrate(s, h, call);
	case OP_VM_RESUME:
		return do_pause(s, h, call, DOM_RUNNING);
	case OP_VM_PAUSE:
		return do_pause(s, h, call, DOM_PAUSED);
	case OP_VM_PROBE:
		return (struct outcome){HV_OK, observed_of(*dom_of(s, h->id, call->vm)), 0};
	case OP_FENCE:
		return do_fence(s, h, call);
	case OP_FENCE_TEST:
	case OP_NONE:
	case OP_NODE_DRAIN:
	case OP_NODE_SHUTDOWN:
	case OP_VM_REQUEST:
		break;
	}
	return (struct outcome){HV_OK, HV__OBSERVED__OBSERVED_UNKNOWN, 0};
}

static void finish(struct sim *s, struct host *h, uint64_t n)
{
	struct vms_world *w = s->mind_world;
	struct call *call = &w->calls[n];
	bool fence = call->kind == OP_FENCE || call->kind == OP_FENCE_TEST;
	bool killed = call->cancelled || !h->proc.up || h->proc.incarnation != call->incarnation;
	struct outcome out = {HV_CANCELLED, HV__OBSERVED__OBSERVED_UNKNOWN, 0};

	if (!h->power || h->powers != call->powers) {
		call->used = false;
		return;
	}
	if (h->hung || (!fence && w->hv_down[h->id - 1])) {
		sim_at(s, 300 * MS, finish, h, n);
		return;
	}
	if ((!process_runs(h) && h->proc.up && !fence) || must_wait(w, n)) {
		sim_at(s, 200 * MS, finish, h, n);
		return;
	}
	/* An agent that was killed may have done its work, or not. A VM call that was begun goes
	 * on. */
	if (!fence || !killed || prng_chance(sim_stream(s, STREAM_HYPERVISOR), 300))
		out = carry_out(s, h, call);
	call = &w->calls[n];
	call->used = false;
	if (!process_runs(h) || h->proc.incarnation != call->incarnation)
		return;
	exec_result(h->proc.mind, call, out.rc, out.observed, killed ? 0 : out.fenced);
	mind_wake(h->proc.mind);
}

/* ---- chance */

static void hv_back(struct sim *s, struct host *h, uint64_t arg)
{
	struct vms_world *w = s->mind_world;

	if (!w->hv_down[h->id - 1])
		return;
	w->hv_down[h->id - 1] = false;
	sim_trace(s, "host %u: hypervisor layer answers again", h->id);
	if (process_runs(h)) {
		vms_inventory(h->proc.mind);
		mind_wake(h->proc.mind);
	} else if (h->proc.up) {
		h->proc.mind->inventory_sent = false;
	}
}

static void hv_goes(struct sim *s, struct host *h)
{
	struct vms_world *w = s->mind_world;

	if (!sim_inject(s, "hypervisor layer silent") || !h->power || w->hv_down[h->id - 1])
		return;
	w->hv_down[h->id - 1] = true;
	sim_trace(s, "host %u: hypervisor layer does not answer", h->id);
	if (process_runs(h)) {
		intake_hypervisor_gone(h->proc.mind->intake, "simulated", mind_mono(h->proc.mind));
		mind_wake(h->proc.mind);
	}
	sim_at(s, prng_range(sim_stream(s, STREAM_HYPERVISOR), 50 * MS, 9 * SEC), hv_back, h, 0);
}

static void fence_back(struct sim *s, struct host *h, uint64_t arg)
{
	((struct vms_world *)s->mind_world)->fence_broken[h->id - 1] = false;
}

void vms_chance(struct sim *s)
{
	struct host *h = &s->hosts[prng_range(sim_stream(s, STREAM_HYPERVISOR), 0, s->n - 1)];
	int k = (int)prng_range(sim_stream(s, STREAM_HYPERVISOR), 0, VMS - 1);
	uint64_t x = prng_range(sim_stream(s, STREAM_HYPERVISOR), 0, 999);

	if (x < 25 && h->power && !h->hung && *dom_of(s, h->id, k) == DOM_RUNNING) {
		if (!sim_inject(s, x < 15 ? "guest crashes" : "guest shuts down"))
			return;
		set_dom(s, h, k, DOM_ABSENT,
			x < 15 ? HV__CAUSE__CAUSE_CRASHED : HV__CAUSE__CAUSE_GUEST_SHUTDOWN);
		if (process_runs(h))
			mind_wake(h->proc.mind);
	} else if (x >= 25 && x < 40) {
		hv_goes(s, h);
	} else if (x >= 40 && x < 60) {
		if (!sim_inject(s, "fence device silent"))
			return;
		((struct vms_world *)s->mind_world)->fence_broken[h->id - 1] = true;
		sim_at(s, prng_range(sim_stream(s, STREAM_HYPERVISOR), SEC, 12 * SEC), fence_back,
		       h, 0);
	}
}

void vms_heal(struct sim *s)
{
	for (size_t i = 0; i < s->n; i++) {
		fence_back(s, &s->hosts[i], 0);
		hv_back(s, &s->hosts[i], 0);
	}
}
