/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hypervisord's jobs, as hypervisor/job.h has them. Each takes a while, waits for what is in its
 * way (an earlier job of the VM, libvirt, the storage) until its deadline, has its effect
 * (vms_job.c), and is answered, if whoever asked is still there. One that was begun goes on
 * without.
 */
#include "tests/sim/vms_call.h"

#define LOOK_AGAIN_US (300 * MS)
#define JOB_DEADLINE_US (60 * SEC) /* of one that states none */

static struct prng *chance(struct sim *s)
{
	return sim_stream(s, STREAM_HYPERVISOR);
}

static bool is_fence(const struct call *call)
{
	return call->kind == OP_FENCE || call->kind == OP_FENCE_TEST;
}

static bool is_current(const struct sim *s, const struct call *call)
{
	const struct host *h = &s->hosts[call->host - 1];

	return call->used && h->power && h->powers == call->powers;
}

bool vms_is_starting(struct sim *s, hv_node_id host, int k)
{
	const struct vms_world *w = vms_of(s);

	for (size_t i = 0; i < w->n_calls; i++) {
		const struct call *call = &w->calls[i];

		if (call->kind == OP_VM_START && call->vm == k && call->host == host &&
		    call->phase != CALL_ANSWERS && is_current(s, call))
			return true;
	}
	return false;
}

/* ---- timers: the argument is the slot and its generation */

/* Its host has lost its power, and the device had got the order before. */
static bool was_sent(struct sim *s, const struct call *call)
{
	return call->kind == OP_FENCE && call->phase == CALL_WAITS && !call->cancelled &&
	       prng_chance(sim_stream(s, STREAM_FENCE), 400);
}

static void on_call(struct sim *s, struct host *h, uint64_t arg);

void call_at(struct sim *s, size_t n, uint64_t delay_us)
{
	struct call *call = &vms_of(s)->calls[n];

	sim_at(s, delay_us, on_call, sim_host(s, call->host), (uint64_t)++call->gen << 32 | n);
}

void call_again(struct sim *s, size_t n)
{
	const struct call *call = &vms_of(s)->calls[n];
	uint64_t left =
	    call->deadline_us > s->now_us ? call->deadline_us - s->now_us : LOOK_AGAIN_US;

	call_at(s, n, left < LOOK_AGAIN_US ? left + 1 : LOOK_AGAIN_US);
}

void vms_kick(struct sim *s, struct host *h, int k)
{
	struct vms_world *w = vms_of(s);

	for (size_t i = 0; i < w->n_calls; i++) {
		const struct call *call = &w->calls[i];

		if (call->used && call->host == h->id && !is_fence(call) &&
		    (k < 0 || call->vm == k) && call->phase != CALL_WAITS)
			call_at(s, i, MS);
	}
}

static void call_free(struct sim *s, size_t n)
{
	struct call *call = &vms_of(s)->calls[n];

	call->used = false;
	call->gen++;
}

/* ---- the answer */

static void answer(struct sim *s, struct host *h, size_t n)
{
	struct vms_world *w = vms_of(s);
	struct call call = w->calls[n];

	if (h->proc.up && h->proc.incarnation == call.incarnation && !process_runs(h)) {
		call_at(s, n, LOOK_AGAIN_US); /* it is in the socket */
		return;
	}
	call_free(s, n);
	if (call.vm >= 0)
		vms_kick(s, h, call.vm);
	if (!process_runs(h) || h->proc.incarnation != call.incarnation || call.orphan)
		return;
	if (call.out.fenced)
		vms_proven(s, call.out.fenced);
	if (call.vm >= 0 && call.out.observed == HV__OBSERVED__OBSERVED_ABSENT)
		vms_dom(s, h->id, call.vm)->owed = false;
	exec_result(h->proc.mind, &call, &call.out);
	/* What happened since the answer was written comes after it in the socket. */
	if (call.vm >= 0 && vms_observed(s, h->id, call.vm) != call.out.observed)
		vms_tell(s, h, call.vm, HV__CAUSE__CAUSE_NONE);
	mind_wake(h->proc.mind);
}

void call_done(struct sim *s, struct host *h, size_t n, enum hv_rc rc, Hv__Observed observed)
{
	struct call *call = &vms_of(s)->calls[n];

	call->phase = CALL_ANSWERS;
	call->out = (struct outcome){rc, observed, 0};
	answer(s, h, n);
}

void call_done_seen(struct sim *s, struct host *h, size_t n, enum hv_rc rc)
{
	struct call *call = &vms_of(s)->calls[n];

	call->phase = CALL_ANSWERS; /* a start that is over is not under way */
	call_done(s, h, n, rc, vms_observed(s, h->id, call->vm));
}

/* ---- what stands in its way */

/* Jobs of one VM on one host are carried out one after the other; a probe looks meanwhile. */
static bool must_wait(struct sim *s, size_t n)
{
	struct vms_world *w = vms_of(s);
	const struct call *call = &w->calls[n];
	bool wait = false;

	for (size_t i = 0; i < w->n_calls; i++) {
		struct call *o = &w->calls[i];

		if (i == n || o->vm != call->vm || o->host != call->host || !is_current(s, o) ||
		    o->phase == CALL_ANSWERS || o->asked_us > call->asked_us ||
		    (o->asked_us == call->asked_us && i > n))
			continue;
		if (call->kind == OP_VM_PROBE &&
		    (o->kind == OP_VM_STOP || o->kind == OP_VM_MIGRATE))
			continue;
		if (call->kind == OP_VM_DESTROY && !o->superseded && o->kind != OP_VM_DESTROY)
			o->superseded = true;
		wait = true;
	}
	return wait;
}

static bool stands_still(struct sim *s, const struct host *h, const struct call *call)
{
	return !vms_layer_well(s, h->id) || vms_dom(s, h->id, call->vm)->stalled;
}

static void on_fence(struct sim *s, struct host *h, size_t n)
{
	struct call *call = &vms_of(s)->calls[n];
	bool killed = call->cancelled || !h->proc.up || h->proc.incarnation != call->incarnation;
	uint64_t answer_us;

	if (call->phase == CALL_WAITS) {
		/* An agent that was killed may have done its work, or not. */
		call->phase = CALL_BEGUN;
		vms_fence_effect_us(s, call, &answer_us);
		if (!killed || prng_chance(sim_stream(s, STREAM_FENCE), 400))
			vms_fence_effect(s, h, &vms_of(s)->calls[n]);
		call_at(s, n, answer_us);
		return;
	}
	if (call->phase == CALL_BEGUN) {
		call->phase = CALL_ANSWERS;
		call->out =
		    killed ? (struct outcome){HV_CANCELLED, 0, 0} : vms_fence_answer(s, call);
	}
	answer(s, h, n);
}

static void on_call(struct sim *s, struct host *h, uint64_t arg)
{
	size_t n = (size_t)(arg & UINT32_MAX);
	struct call *call = &vms_of(s)->calls[n];

	if (!call->used || call->gen != (uint32_t)(arg >> 32))
		return;
	if (!is_current(s, call) && was_sent(s, call))
		vms_fence_effect(s, h, call);
	if (!is_current(s, call)) {
		call_free(s, n);
		return;
	}
	if (h->hung) {
		call_at(s, n, LOOK_AGAIN_US);
	} else if (is_fence(call)) {
		on_fence(s, h, n);
	} else if (call->phase == CALL_ANSWERS) {
		answer(s, h, n);
	} else if (must_wait(s, n)) {
		call->phase = CALL_BEGUN; /* a kick may wake it */
		if (s->now_us < call->deadline_us)
			call_again(s, n);
		else
			call_done(s, h, n, HV_TIMEOUT, HV__OBSERVED__OBSERVED_UNKNOWN);
	} else if (stands_still(s, h, call)) {
		call->phase = CALL_BEGUN;
		if (s->now_us < call->deadline_us)
			call_again(s, n);
		else if (call->kind == OP_VM_START && vms_of(s)->hyper[h->id - 1].hung)
			job_start_in_doubt(s, h, n);
		else
			call_done(s, h, n, HV_TIMEOUT, HV__OBSERVED__OBSERVED_UNKNOWN);
	} else if (call->kind == OP_VM_PROBE && s->now_us >= call->deadline_us) {
		call_done_seen(s, h, n, HV_TIMEOUT);
	} else {
		job_carry_out(s, h, n);
	}
}

/* ---- asking */

static uint64_t duration(struct sim *s, const struct call *call)
{
	struct prng *r = chance(s);
	unsigned slow = vms_of(s)->swarm.start_slow;

	switch (call->kind) {
	case OP_VM_START:
		return slow && prng_chance(r, slow)
			   ? prng_range(r, SEC, call->deadline_us - s->now_us)
			   : prng_range(r, 100 * MS, 900 * MS);
	case OP_VM_STOP:
		return prng_chance(r, 100) ? prng_range(r, 5 * SEC, 20 * SEC)
					   : prng_range(r, 200 * MS, 3 * SEC);
	case OP_FENCE:
	case OP_FENCE_TEST: {
		uint64_t answer_us;

		return vms_fence_effect_us(s, call, &answer_us);
	}
	case OP_VM_MIGRATE:
	case OP_VM_DESTROY:
	case OP_VM_RESUME:
	case OP_VM_PAUSE:
	case OP_VM_PROBE:
	case OP_VM_RESET:
	case OP_NONE:
	case OP_NODE_DRAIN:
	case OP_NODE_SHUTDOWN:
	case OP_VM_REQUEST:
		break;
	}
	return prng_range(r, 30 * MS, 400 * MS);
}

/* Asked again for the same attempt, the hypervisor layer goes on with the call that it has. */
static bool take_up(struct mind *m, const struct operation *op)
{
	struct vms_world *w = vms_of(m->s);

	for (size_t i = 0; op->kind != OP_FENCE && op->kind != OP_FENCE_TEST && i < w->n_calls;
	     i++) {
		struct call *call = &w->calls[i];

		if (!is_current(m->s, call) || call->host != m->h->id || call->op != op->id ||
		    call->attempt != op->attempt || call->superseded)
			continue;
		call->incarnation = m->h->proc.incarnation;
		call->cancelled = call->orphan = false;
		return true;
	}
	return false;
}

static size_t slot(struct vms_world *w)
{
	for (size_t i = 0; i < w->n_calls; i++)
		if (!w->calls[i].used)
			return i;
	if (w->n_calls == w->cap_calls) {
		size_t cap = w->cap_calls ? w->cap_calls * 2 : 64;

		w->calls = hv_xrealloc(w->calls, cap, sizeof(*w->calls));
		w->cap_calls = cap;
	}
	w->calls[w->n_calls].gen = 0;
	return w->n_calls++;
}

void vms_call(struct mind *m, const struct operation *op)
{
	struct sim *s = m->s;
	struct vms_world *w = vms_of(s);
	size_t n;
	struct call *call;

	if (take_up(m, op))
		return;
	n = slot(w);
	call = &w->calls[n];
	*call = (struct call){.used = true,
			      .gen = call->gen,
			      .host = m->h->id,
			      .powers = m->h->powers,
			      .incarnation = m->h->proc.incarnation};
	call->op = op->id;
	call->attempt = op->attempt;
	call->kind = op->kind;
	call->vm = op->vm ? vms_find(s, op->vm) : -1;
	call->target = op->target;
	call->victim = op->victim;
	call->device = op->device ? vms_fence_device_find(s, op->victim, op->device) : -1;
	call->flags = op->flags;
	call->timeout_s = op->timeout_s;
	call->began_us = mind_mono(m);
	call->asked_us = s->now_us;
	call->deadline_us = s->now_us + (op->timeout_s ? op->timeout_s * SEC : JOB_DEADLINE_US) +
			    (op->kind == OP_VM_STOP ? JOB_DEADLINE_US : 0);
	if (op->kind == OP_VM_START) {
		call->handed_over = w->swarm.start_slow && prng_chance(chance(s), 700);
		intake_starting(m->intake, op->vm);
		vms_chance_start(s, m->h);
	}
	sim_trace(s, "host %u: op %llu.%u %s %s", m->h->id, (unsigned long long)op->id, op->attempt,
		  op_kind_name(op->kind), call->vm >= 0 ? w->name[call->vm] : "");
	vms_check_call(m, call);
	call_at(s, n, duration(s, &w->calls[n]));
}

void vms_cancel(struct sim *s, struct host *h, hv_op_id op)
{
	struct vms_world *w = vms_of(s);

	for (size_t i = 0; i < w->n_calls; i++) {
		struct call *call = &w->calls[i];

		if (call->host != h->id || call->op != op || !is_current(s, call))
			continue;
		call->cancelled = true;
		if (call->kind == OP_VM_STOP || call->kind == OP_VM_MIGRATE)
			call_at(s, i, MS);
	}
}

/*
 * hypervisord is gone, its jobs with it. What libvirtd has of them it carries out; of a start it is
 * not known whether it has it.
 */
void vms_hypervisord_ends(struct sim *s, struct host *h)
{
	struct vms_world *w = vms_of(s);

	for (size_t i = 0; i < w->n_calls; i++) {
		struct call *call = &w->calls[i];
		bool taken = prng_chance(chance(s), 500);

		if (!is_current(s, call) || call->host != h->id || is_fence(call) ||
		    call->phase == CALL_ANSWERS)
			continue;
		if (call->kind == OP_VM_START) {
			struct domain *d = vms_dom(s, h->id, call->vm);

			d->create_lost = taken && d->state == DOM_ABSENT;
			job_register_keeps(s, h, call->vm);
		}
		call_free(s, i);
	}
	vms_creates_again(s, h);
	for (int k = 0; k < VMS; k++)
		vms_dom(s, h->id, k)->arrived = false;
}
