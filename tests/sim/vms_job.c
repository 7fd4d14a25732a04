/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hypervisord's jobs do when nothing is in their way any more, as hypervisor/lifecycle.h has
 * it: each may fail, or lose its answer after it had its effect. vms_call.c says when.
 */
#include "tests/sim/vms_call.h"

#define LOOK_AGAIN_US (300 * MS)
#define SETTLE_US (20 * SEC) /* a migration that was aborted */
#define REGISTER_US (5 * SEC)

static struct prng *chance(struct sim *s)
{
	return sim_stream(s, STREAM_HYPERVISOR);
}

/* libvirt has it in its hands when the answer is due: it will do it when it thaws. */
void job_start_in_doubt(struct sim *s, struct host *h, size_t n)
{
	struct domain *d = vms_dom(s, h->id, vms_of(s)->calls[n].vm);

	d->create_lost = d->state == DOM_ABSENT;
	call_done(s, h, n, HV_TIMEOUT, HV__OBSERVED__OBSERVED_UNKNOWN);
}

static void register_over(struct sim *s, struct host *h, uint64_t k)
{
	vms_tell(s, h, (int)k, HV__CAUSE__CAUSE_NONE);
}

void job_register_keeps(struct sim *s, struct host *h, int k)
{
	vms_dom(s, h->id, k)->register_until_us = s->now_us + REGISTER_US;
	sim_at(s, REGISTER_US + MS, register_over, h, (uint64_t)k);
}

static void create(struct sim *s, struct host *h, int k, enum dom to)
{
	vms_of(s)->starts++;
	vms_check_takeover(s, h->id, k);
	vms_set(s, h, k, to, HV__CAUSE__CAUSE_ADMIN);
	vms_check_room(s, h->id, k);
}

static void late_create(struct sim *s, struct host *h, uint64_t arg)
{
	int k = (int)(arg & 255);
	struct domain *d = vms_dom(s, h->id, k);

	if (!h->power || h->powers != arg >> 8 || !d->create_lost)
		return;
	if (h->hung || d->stalled || vms_of(s)->hyper[h->id - 1].hung) {
		sim_at(s, LOOK_AGAIN_US, late_create, h, arg);
		return;
	}
	d->create_lost = false;
	if (d->state == DOM_ABSENT) {
		sim_trace(s, "host %u: libvirt carries out a start whose caller has gone", h->id);
		create(s, h, k, DOM_RUNNING);
	}
}

void vms_creates_again(struct sim *s, struct host *h)
{
	for (int k = 0; k < VMS; k++) {
		if (!vms_dom(s, h->id, k)->create_lost)
			continue;
		job_register_keeps(s, h, k);
		sim_at(s, prng_range(chance(s), MS, SEC), late_create, h,
		       h->powers << 8 | (uint64_t)k);
	}
}

static void do_start(struct sim *s, struct host *h, size_t n)
{
	static const enum hv_rc failures[] = {HV_HYPERVISOR, HV_HYPERVISOR_DOWN, HV_BAD_XML,
					      HV_LIMIT,	     HV_TIMEOUT,	 HV_IO};
	struct vms_world *w = vms_of(s);
	struct call *call = &w->calls[n];
	int k = call->vm;
	enum dom here = vms_dom(s, h->id, k)->state;
	bool hooked = w->hooks.start_fails && w->hooks.start_fails(s, h->id, k);
	uint64_t how = prng_range(chance(s), 0, 99);
	bool fails = prng_chance(chance(s), w->swarm.start_fails) && sim_inject(s, "start-fails");

	if (here != DOM_ABSENT) {
		call_done_seen(s, h, n, here == DOM_RUNNING ? HV_OK : HV_REFUSED);
		return;
	}
	vms_note(s, VMS_START_TRIED, k, h->id, 0, !fails && !hooked);
	if (call->cancelled && !call->handed_over) {
		call_done_seen(s, h, n, HV_CANCELLED);
	} else if (hooked || (fails && how < 55)) {
		call_done_seen(s, h, n, hooked ? HV_HYPERVISOR : failures[how % 6]);
	} else if (fails && how < 65) { /* nobody knows, and it is not there */
		job_register_keeps(s, h, k);
		call_done(s, h, n, HV_HYPERVISOR_DOWN, HV__OBSERVED__OBSERVED_UNKNOWN);
	} else {
		/* The reply may be lost, or it is left paused. */
		create(s, h, k, fails && how < 75 ? DOM_PAUSED : DOM_RUNNING);
		if (fails && how >= 75)
			call_done(s, h, n, HV_TIMEOUT, HV__OBSERVED__OBSERVED_UNKNOWN);
		else
			call_done_seen(s, h, n, fails ? HV_HYPERVISOR : HV_OK);
	}
}

static void do_stop(struct sim *s, struct host *h, size_t n)
{
	struct vms_world *w = vms_of(s);
	struct call *call = &w->calls[n];
	struct domain *d = vms_dom(s, h->id, call->vm);
	bool over = s->now_us >= call->asked_us + call->timeout_s * SEC;
	bool fails = prng_chance(chance(s), w->swarm.call_fails) && sim_inject(s, "stop-fails");

	if (d->state == DOM_ABSENT) {
		vms_move_given_up(s, h->id, call->vm);
		call_done_seen(s, h, n, HV_OK);
	} else if (call->kind == OP_VM_STOP && (call->cancelled || call->superseded)) {
		call_done_seen(s, h, n, call->superseded ? HV_SUPERSEDED : HV_CANCELLED);
	} else if (fails || (w->hooks.stop_fails && w->hooks.stop_fails(s, h->id, call->vm))) {
		call_done_seen(s, h, n, HV_HYPERVISOR);
	} else if (call->kind == OP_VM_STOP && d->deaf && d->state == DOM_RUNNING && !over) {
		call_at(s, n, call->asked_us + call->timeout_s * SEC - s->now_us);
	} else {
		w->stops++;
		vms_move_abort(s, h->id, call->vm);
		vms_set(s, h, call->vm, DOM_ABSENT, HV__CAUSE__CAUSE_ADMIN);
		call_done_seen(s, h, n, HV_OK);
	}
}

static void do_vcpus(struct sim *s, struct host *h, size_t n, enum dom to)
{
	struct vms_world *w = vms_of(s);
	const struct call *call = &w->calls[n];
	struct domain *d = vms_dom(s, h->id, call->vm);
	bool fails = prng_chance(chance(s), w->swarm.call_fails) && sim_inject(s, "vcpus-fail");

	if (d->state == DOM_ABSENT) {
		call_done_seen(s, h, n, HV_NOT_FOUND);
	} else if (d->state == to || (to == DOM_PAUSED && d->state == DOM_INCOMING)) {
		call_done_seen(s, h, n, HV_OK);
	} else if (call->cancelled) {
		call_done_seen(s, h, n, HV_CANCELLED);
	} else if (d->state == DOM_INCOMING && !d->whole) {
		call_again(s, n); /* its migration has not ended */
	} else if (fails) {
		call_done_seen(s, h, n, HV_HYPERVISOR);
	} else {
		if (to == DOM_RUNNING)
			vms_check_takeover(s, h->id, call->vm);
		vms_set(s, h, call->vm, to, HV__CAUSE__CAUSE_ADMIN);
		call_done_seen(s, h, n, HV_OK);
	}
}

static void do_move(struct sim *s, struct host *h, size_t n)
{
	struct vms_world *w = vms_of(s);
	struct call *call = &w->calls[n];
	enum dom here = vms_resting(s, h->id, call->vm);
	bool late = s->now_us >= call->deadline_us;

	if (here == DOM_ABSENT) { /* it has left, or has ended here */
		call_done_seen(s, h, n, vms_dom(s, h->id, call->vm)->left ? HV_OK : HV_NOT_FOUND);
	} else if (vms_move_active(s, h->id, call->vm)) {
		if (call->cancelled || call->superseded || late)
			vms_move_abort(s, h->id, call->vm);
		if (late)
			call->deadline_us = s->now_us + SETTLE_US;
		call_again(s, n);
	} else if (call->phase == CALL_BEGUN && call->out.rc == HV_TRY_AGAIN) {
		call_done_seen(s, h, n,
			       call->superseded	 ? HV_SUPERSEDED
			       : call->cancelled ? HV_CANCELLED
						 : HV_HYPERVISOR);
	} else if (call->cancelled) {
		call_done_seen(s, h, n, HV_CANCELLED);
	} else if (here == DOM_INCOMING || (here == DOM_PAUSED && !(call->flags & OP_F_PAUSED))) {
		call_done_seen(s, h, n, HV_REFUSED);
	} else if (!vms_move_begin(s, h, call->vm, call->target, false)) {
		call_done_seen(s, h, n, HV_HYPERVISOR);
	} else {
		w->calls[n].out.rc = HV_TRY_AGAIN; /* under way: waits for its end */
		call_again(s, n);
	}
}

static void do_probe(struct sim *s, struct host *h, size_t n)
{
	const struct call *call = &vms_of(s)->calls[n];

	if (vms_observed(s, h->id, call->vm) != HV__OBSERVED__OBSERVED_UNKNOWN)
		call_done_seen(s, h, n, HV_OK);
	else if (call->cancelled)
		call_done_seen(s, h, n, HV_CANCELLED);
	else
		call_again(s, n);
}

void job_carry_out(struct sim *s, struct host *h, size_t n)
{
	struct call *call = &vms_of(s)->calls[n];

	call->phase = CALL_BEGUN;
	switch (call->kind) {
	case OP_VM_START:
		do_start(s, h, n);
		return;
	case OP_VM_STOP:
	case OP_VM_DESTROY:
		do_stop(s, h, n);
		return;
	case OP_VM_MIGRATE:
		do_move(s, h, n);
		return;
	case OP_VM_RESUME:
		do_vcpus(s, h, n, DOM_RUNNING);
		return;
	case OP_VM_PAUSE:
		do_vcpus(s, h, n, DOM_PAUSED);
		return;
	case OP_VM_PROBE:
		do_probe(s, h, n);
		return;
	case OP_VM_RESET:
		job_reset(s, h, n);
		return;
	case OP_FENCE:
	case OP_FENCE_TEST:
	case OP_NONE:
	case OP_NODE_DRAIN:
	case OP_NODE_SHUTDOWN:
	case OP_VM_REQUEST:
		break;
	}
	hv_assert(false);
}
