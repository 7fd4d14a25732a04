/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in the VMs: guests with an agent or without, at work or idle, that hang, whose agent
 * dies, that panic, that are bitten by their watchdog or stopped by an I/O error; and what
 * hypervisord makes of that. It looks every LOOK_US at those that it was told to, and counts
 * silence and stillness from its last look that found something: what it could not look at counts
 * neither way.
 *
 * What the cluster may do is looked at in the guests themselves (vms_guest_check.c).
 */
#include "resource/guest_plan.h"

#include "tests/sim/vms_call.h"

#include <string.h>

#define LOOK_US (2 * SEC)

static struct prng *chance(struct sim *s)
{
	return sim_stream(s, STREAM_GUEST);
}

/* ---- truth */

static bool alive(struct sim *s, const struct host *h, int k)
{
	const struct domain *d = vms_dom(s, h->id, k);

	return h->power && !h->hung && d->state == DOM_RUNNING && !d->stalled && !d->guest.hung &&
	       vms_storage_works(s, h->id, k);
}

bool vms_guest_answers(struct sim *s, const struct host *h, int k)
{
	const struct sim_guest *g = &vms_dom(s, h->id, k)->guest;

	return alive(s, h, k) && g->agent && !g->dead && s->now_us >= g->ready_us;
}

bool vms_guest_works(struct sim *s, const struct host *h, int k)
{
	return alive(s, h, k) && vms_dom(s, h->id, k)->guest.busy;
}

/* It answers now: also if nobody asked, when it did so for as long as it is between two looks. */
static void account_for(struct sim *s, struct host *h, int k, bool looked)
{
	struct sim_guest *g = &vms_dom(s, h->id, k)->guest;

	if (vms_guest_answers(s, h, k)) {
		g->answered = true;
		if (looked || s->now_us - g->since_us >= LOOK_US)
			g->answered_us = s->now_us;
	}
	if (vms_guest_works(s, h, k))
		g->worked_us = s->now_us;
}

/* Up to now it was as it is. */
static void account(struct sim *s, struct host *h, int k)
{
	account_for(s, h, k, false);
	vms_dom(s, h->id, k)->guest.since_us = s->now_us;
}

/* ---- hypervisord */

static bool can_look(struct sim *s, const struct host *h, int k)
{
	const struct domain *d = vms_dom(s, h->id, k);

	return h->power && !h->hung && vms_layer_well(s, h->id) && !d->stalled &&
	       d->state == DOM_RUNNING && !vms_move_active(s, h->id, k);
}

static void tell(struct sim *s, struct host *h, int k, bool again)
{
	struct domain *d = vms_dom(s, h->id, k);
	struct sim_guest *g = &d->guest;
	Hv__GuestSeen seen = HV__GUEST_SEEN__INIT;

	if (!h->power || !h->proc.up || !h->proc.mind || !vms_layer_well(s, h->id))
		return;
	seen.uuid = vms_of(s)->uuid[k];
	seen.heartbeat = g->beat;
	seen.idle = g->idle && g->beat == HV__GUEST_HEARTBEAT__HEARTBEAT_LOST;
	seen.trouble = g->trouble;
	seen.storage_back = g->storage_back;
	seen.own_resets = g->own_resets;
	seen.text = g->trouble ? "simulated:\nit is so" : "";
	if (!again && g->told_beat == seen.heartbeat && g->told_idle == seen.idle &&
	    g->told_trouble == seen.trouble && g->told_back == seen.storage_back &&
	    g->told_own == seen.own_resets)
		return;
	g->told_beat = seen.heartbeat;
	g->told_idle = seen.idle;
	g->told_trouble = seen.trouble;
	g->told_back = seen.storage_back;
	g->told_own = seen.own_resets;
	intake_guest(h->proc.mind->intake, &seen);
	h->proc.mind->unsettled = true;
	if (process_runs(h))
		mind_wake(h->proc.mind);
}

static Hv__GuestHeartbeat beat_now(struct sim *s, const struct sim_guest *g)
{
	if (!g->heard)
		return HV__GUEST_HEARTBEAT__HEARTBEAT_NEVER;
	if (s->now_us - g->silent_us >= g->heartbeat_s * SEC)
		return HV__GUEST_HEARTBEAT__HEARTBEAT_LOST;
	/* It has not answered yet since one could not look: what was said last stands, if good. */
	if (g->blind_us == g->silent_us && g->beat != HV__GUEST_HEARTBEAT__HEARTBEAT_OK)
		return HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN;
	return HV__GUEST_HEARTBEAT__HEARTBEAT_OK;
}

/* A look that succeeds. */
static void look(struct sim *s, struct host *h, int k)
{
	struct sim_guest *g = &vms_dom(s, h->id, k)->guest;

	if (g->blind) {
		g->blind = false;
		g->silent_us = g->still_us = g->blind_us = s->now_us;
	}
	if (vms_guest_answers(s, h, k)) {
		g->heard = true;
		g->silent_us = s->now_us;
		g->blind_us = 0;
	}
	if (g->worked_us > g->counted_us) { /* its counters have moved */
		g->counted_us = g->worked_us;
		g->still_us = s->now_us;
	}
	g->beat = beat_now(s, g);
	g->idle = s->now_us - g->still_us >= g->idle_s * SEC;
}

static void on_look(struct sim *s, struct host *h, uint64_t arg)
{
	int k = (int)(arg & 255);
	struct sim_guest *g = &vms_dom(s, h->id, k)->guest;

	if (g->gen != arg >> 8 || !h->power || !g->heartbeat_s ||
	    vms_dom(s, h->id, k)->state == DOM_ABSENT)
		return;
	account_for(s, h, k, true);
	if (can_look(s, h, k)) {
		look(s, h, k);
	} else {
		g->blind = true;
		if (vms_layer_well(s, h->id) && !h->hung)
			g->beat = HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN;
	}
	tell(s, h, k, false);
	sim_at(s, LOOK_US, on_look, h, arg);
}

static void look_soon(struct sim *s, struct host *h, int k)
{
	struct sim_guest *g = &vms_dom(s, h->id, k)->guest;

	g->gen = ++vms_of(s)->guest_gen;
	if (g->heartbeat_s)
		sim_at(s, 100 * MS, on_look, h, g->gen << 8 | (uint64_t)k);
}

/* As clusterd's watchlist has it. What was heard of it before is believed of a guest that this
 * hypervisord has not seen to start. */
static void is_told(struct sim *s, struct host *h, const struct vm *vm, int k)
{
	struct sim_guest *g = &vms_dom(s, h->id, k)->guest;
	bool ask = vm->managed && vm->guest.heartbeat_s;

	if (ask && g->inherits && vm->guest.answered) {
		g->heard = true;
		g->inherits = false;
	}
	if (g->heartbeat_s == (ask ? vm->guest.heartbeat_s : 0) &&
	    g->idle_s == vm->guest.heartbeat_idle_s)
		return;
	g->heartbeat_s = ask ? vm->guest.heartbeat_s : 0;
	g->idle_s = vm->guest.heartbeat_idle_s;
	g->blind = true;
	if (!ask)
		g->beat = HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN;
	tell(s, h, k, false);
	look_soon(s, h, k);
}

void vms_guest_sync(struct mind *m)
{
	uint64_t index = cluster_index(m->c);

	if (!vms_of(m->s)->guests || m->guests_index == index || !vms_layer_well(m->s, m->h->id) ||
	    !mind_current(m))
		return;
	m->guests_index = index;
	for (size_t i = 0; i < cluster_node_vm_count(m->c, m->h->id); i++) {
		const struct vm *vm = cluster_node_vm_at(m->c, m->h->id, i);
		int k = vms_find(m->s, vm->uuid);

		if (k >= 0 && vms_dom(m->s, m->h->id, k)->state != DOM_ABSENT)
			is_told(m->s, m->h, vm, k);
	}
}

/* Its hypervisord is a new one. */
void vms_guests_anew(struct mind *m)
{
	for (int k = 0; k < VMS; k++) {
		struct sim_guest *g = &vms_dom(m->s, m->h->id, k)->guest;

		if (vms_dom(m->s, m->h->id, k)->state == DOM_ABSENT)
			continue;
		g->heard = false;
		g->own_resets = 0;
		g->inherits = g->blind = true;
		g->beat = HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN;
		g->heartbeat_s = 0;
		tell(m->s, m->h, k, g->trouble);
	}
	m->guests_index = 0;
}

/* ---- its life */

static void is_born(struct sim *s, struct host *h, int k)
{
	struct vms_world *w = vms_of(s);
	struct sim_guest *g = &vms_dom(s, h->id, k)->guest;
	uint32_t heartbeat_s = g->heartbeat_s, idle_s = g->idle_s;
	uint32_t own_resets = g->own_resets, told_own = g->told_own; /* 0 if it is a new copy */

	*g = (struct sim_guest){.agent = w->agents[k],
				.heartbeat_s = heartbeat_s,
				.idle_s = idle_s,
				.own_resets = own_resets,
				.told_own = told_own,
				.blind = true,
				.busy = w->busy[k],
				.ready_us = s->now_us + prng_range(chance(s), SEC, 5 * SEC)};
	look_soon(s, h, k);
}

void vms_guest_changes(struct sim *s, struct host *h, int k, enum dom from, enum dom to)
{
	struct domain *d = vms_dom(s, h->id, k);
	struct sim_guest *g = &d->guest;

	if (to == DOM_ABSENT) {
		*g = (struct sim_guest){.gen = g->gen};
	} else if (to == DOM_RUNNING && from == DOM_ABSENT) {
		is_born(s, h, k);
	} else if (to == DOM_RUNNING) {
		g->blind = true;
		g->trouble = HV__GUEST_TROUBLE__TROUBLE_NONE;
		g->storage_back = false;
		tell(s, h, k, false);
		look_soon(s, h, k);
	}
}

/* All of its memory is there. */
void vms_guest_moves(struct sim *s, hv_node_id src, hv_node_id dst, int k)
{
	const struct sim_guest *from = &vms_dom(s, src, k)->guest;
	struct sim_guest *to = &vms_dom(s, dst, k)->guest;

	account(s, sim_host(s, src), k);
	*to = (struct sim_guest){.agent = from->agent,
				 .dead = from->dead,
				 .hung = from->hung,
				 .busy = from->busy,
				 .ready_us = from->ready_us,
				 .answered = from->answered,
				 .answered_us = from->answered_us,
				 .since_us = s->now_us,
				 .worked_us = from->worked_us,
				 .counted_us = from->worked_us,
				 .blind = true,
				 .inherits = true};
}

/* ---- what befalls it */

void vms_guest_hangs(struct sim *s, struct host *h, int k, bool hangs)
{
	account(s, h, k);
	sim_trace(s, "host %u: the guest of %s %s", h->id, vms_of(s)->name[k],
		  hangs ? "hangs" : "goes on");
	vms_dom(s, h->id, k)->guest.hung = hangs;
}

void vms_guest_agent_dies(struct sim *s, struct host *h, int k)
{
	account(s, h, k);
	sim_trace(s, "host %u: the agent of %s dies", h->id, vms_of(s)->name[k]);
	vms_dom(s, h->id, k)->guest.dead = true;
}

void vms_guest_busy(struct sim *s, struct host *h, int k, bool busy)
{
	account(s, h, k);
	vms_dom(s, h->id, k)->guest.busy = vms_of(s)->busy[k] = busy;
}

/* Its own watchdog resets it, and libvirt says so, if hypervisord is there to hear it. */
void vms_guest_resets_itself(struct sim *s, struct host *h, int k)
{
	struct sim_guest *g = &vms_dom(s, h->id, k)->guest;
	bool heard = vms_layer_well(s, h->id);

	account(s, h, k);
	sim_trace(s, "host %u: the watchdog of %s resets it", h->id, vms_of(s)->name[k]);
	vms_of(s)->reset_log[k].own++;
	g->hung = g->dead = false;
	g->ready_us = s->now_us + prng_range(chance(s), SEC, 5 * SEC);
	if (!heard)
		return;
	g->own_resets++;
	g->answered = g->heard = g->inherits = false;
	g->blind = true;
	if (g->heartbeat_s)
		g->beat = HV__GUEST_HEARTBEAT__HEARTBEAT_NEVER;
	tell(s, h, k, false);
}

void vms_guest_stops(struct sim *s, struct host *h, int k, Hv__GuestTrouble t)
{
	static const Hv__Cause causes[] = {
	    [HV__GUEST_TROUBLE__TROUBLE_PANICKED] = HV__CAUSE__CAUSE_CRASHED,
	    [HV__GUEST_TROUBLE__TROUBLE_WATCHDOG] = HV__CAUSE__CAUSE_WATCHDOG,
	    [HV__GUEST_TROUBLE__TROUBLE_NO_SPACE] = HV__CAUSE__CAUSE_IO_ERROR,
	    [HV__GUEST_TROUBLE__TROUBLE_IO_ERROR] = HV__CAUSE__CAUSE_IO_ERROR,
	};
	struct sim_guest *g = &vms_dom(s, h->id, k)->guest;

	account(s, h, k);
	sim_trace(s, "host %u: the guest of %s stops: %s", h->id, vms_of(s)->name[k],
		  guest_trouble_name(t));
	g->trouble = t;
	g->beat = HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN;
	g->storage_back = false;
	vms_set(s, h, k, DOM_PAUSED, causes[t]);
	tell(s, h, k, false);
}

static void storage_is_back(struct sim *s, struct host *h, uint64_t k)
{
	struct sim_guest *g = &vms_dom(s, h->id, (int)k)->guest;

	if (!h->power || g->trouble < HV__GUEST_TROUBLE__TROUBLE_NO_SPACE || g->storage_back)
		return;
	if (h->hung || !vms_layer_well(s, h->id) || !vms_storage_works(s, h->id, (int)k)) {
		sim_at(s, SEC, storage_is_back, h, k);
		return;
	}
	g->storage_back = true;
	tell(s, h, (int)k, false);
}

void vms_guest_storage_back(struct sim *s, struct host *h, int k, uint64_t after_us)
{
	sim_at(s, after_us, storage_is_back, h, (uint64_t)k);
}

/* ---- the job */

static bool still_so(struct sim *s, const struct host *h, int k, enum reset_if cause)
{
	const struct sim_guest *g = &vms_dom(s, h->id, k)->guest;

	switch (cause) {
	case RESET_ASKED:
		return true;
	case RESET_LOST:
		return g->heartbeat_s && can_look(s, h, k) && !vms_guest_answers(s, h, k) &&
		       g->beat == HV__GUEST_HEARTBEAT__HEARTBEAT_LOST && g->idle;
	case RESET_PANICKED:
		return g->trouble == HV__GUEST_TROUBLE__TROUBLE_PANICKED;
	case RESET_WATCHDOG:
		return g->trouble == HV__GUEST_TROUBLE__TROUBLE_WATCHDOG;
	}
	return false;
}

static void hangs_again(struct sim *s, struct host *h, uint64_t arg)
{
	struct sim_guest *g = &vms_dom(s, h->id, (int)(arg & 255))->guest;

	if (g->gen == arg >> 8 && !s->healing && h->power)
		vms_guest_hangs(s, h, (int)(arg & 255), true);
}

static void do_reset(struct sim *s, struct host *h, const struct call *call, enum reset_if cause)
{
	int k = call->vm;

	vms_guest_check_reset(s, h, call, cause);
	sim_trace(s, "host %u: the guest of %s is reset", h->id, vms_of(s)->name[k]);
	vms_of(s)->resets++;
	vms_note(s, VMS_RESET, k, h->id, 0, cause != RESET_ASKED);
	vms_set(s, h, k, DOM_RUNNING, HV__CAUSE__CAUSE_ADMIN);
	is_born(s, h, k);
	tell(s, h, k, false);
	if (vms_of(s)->guests && prng_chance(chance(s), 400))
		sim_at(s, prng_range(chance(s), 6 * SEC, 20 * SEC), hangs_again, h,
		       vms_dom(s, h->id, k)->guest.gen << 8 | (uint64_t)k);
}

void job_reset(struct sim *s, struct host *h, size_t n)
{
	struct vms_world *w = vms_of(s);
	const struct call *call = &w->calls[n];
	struct domain *d = vms_dom(s, h->id, call->vm);
	enum reset_if cause = (enum reset_if)(call->flags >> OP_RESET_SHIFT & 3);
	bool fails = prng_chance(chance(s), w->swarm.call_fails) && sim_inject(s, "reset-fails");

	account(s, h, call->vm);
	if (d->state == DOM_RUNNING && d->guest.heartbeat_s && can_look(s, h, call->vm))
		look(s, h, call->vm);
	if (d->state == DOM_ABSENT) {
		call_done_seen(s, h, n, HV_NOT_FOUND);
	} else if (call->cancelled) {
		call_done_seen(s, h, n, HV_CANCELLED);
	} else if (d->state == DOM_INCOMING || !still_so(s, h, call->vm, cause)) {
		call_done_seen(s, h, n, HV_REFUSED);
	} else if (fails && prng_chance(chance(s), 500)) {
		call_done_seen(s, h, n, HV_HYPERVISOR);
	} else {
		do_reset(s, h, call, cause);
		if (fails)
			call_done(s, h, n, HV_TIMEOUT, HV__OBSERVED__OBSERVED_UNKNOWN);
		else
			call_done_seen(s, h, n, HV_OK);
	}
}
