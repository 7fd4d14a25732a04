/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Live migration between two libvirtds: protocol version 3, peer to peer, VIR_MIGRATE_PAUSED. The
 * source's libvirtd leads; it goes on when hypervisord or clusterd are gone.
 *
 *   BEGIN    source    looks
 *   PREPARE  target    makes an incoming QEMU, which it destroys when the source's connection goes
 *   PERFORM  source    sends the memory, then stops its vCPUs
 *   FINISH   target    keeps the QEMU, paused; from here on it outlives the connection
 *   CONFIRM  source    Finish said yes: destroys its own; no, or no answer: runs on
 *
 * An answer of Finish that is lost leaves two copies, of which only the source runs. When the
 * source's libvirtd ends between PERFORM and CONFIRM, the source stays stopped.
 */
#include "tests/sim/vms.h"

#define LOOK_AGAIN_US (300 * MS)
#define SILENCE_US (5 * SEC) /* keepalive of the connection between the two */

static struct prng *chance(struct sim *s)
{
	return sim_stream(s, STREAM_HYPERVISOR);
}

static const char *phase_name(enum move_phase p)
{
	static const char *const names[] = {"begin", "prepare", "perform", "finish", "confirm"};

	return names[p];
}

static struct move *find(struct sim *s, hv_node_id host, int k)
{
	struct vms_world *w = vms_of(s);
	const struct host *h = sim_host(s, host);

	for (size_t i = 0; i < w->n_moves; i++)
		if (w->moves[i].used && w->moves[i].vm == k && w->moves[i].src == host &&
		    w->moves[i].src_powers == h->powers)
			return &w->moves[i];
	return NULL;
}

bool vms_move_active(struct sim *s, hv_node_id host, int k)
{
	return find(s, host, k) != NULL;
}

static void on_move(struct sim *s, struct host *h, uint64_t arg);

static void move_at(struct sim *s, struct move *v, uint64_t delay_us)
{
	sim_at(s, delay_us, on_move, sim_host(s, v->src),
	       (uint64_t)++v->gen << 32 | (uint64_t)(v - vms_of(s)->moves));
}

void vms_move_abort(struct sim *s, hv_node_id host, int k)
{
	struct move *v = find(s, host, k);

	if (!v || v->cancel)
		return;
	v->cancel = true;
	if (v->phase == MOVE_PERFORM)
		move_at(s, v, 20 * MS);
}

void vms_move_given_up(struct sim *s, hv_node_id target, int k)
{
	struct vms_world *w = vms_of(s);

	for (size_t i = 0; i < w->n_moves; i++)
		if (w->moves[i].used && w->moves[i].vm == k && w->moves[i].dst == target)
			w->moves[i].given_up = true;
}

static uint64_t phase_us(struct sim *s, enum move_phase p)
{
	struct prng *r = chance(s);
	uint64_t x = prng_range(r, 0, 99);

	if (p == MOVE_PERFORM)
		return x < 5 && !s->scenario ? prng_range(r, 10 * SEC, 60 * SEC)
					     : prng_range(r, 200 * MS, 4 * SEC);
	return prng_range(r, 5 * MS, 150 * MS);
}

static bool target_there(struct sim *s, const struct move *v)
{
	const struct host *t = sim_host(s, v->dst);

	return t->power && t->powers == v->dst_powers;
}

bool vms_move_begin(struct sim *s, struct host *h, int k, hv_node_id target, bool hot)
{
	struct vms_world *w = vms_of(s);
	struct host *t = sim_host(s, target);
	size_t i = 0;
	struct move *v;

	if (!t || t == h || vms_move_active(s, h->id, k))
		return false;
	while (i < w->n_moves && w->moves[i].used)
		i++;
	if (i == w->cap_moves) {
		w->cap_moves = w->cap_moves ? w->cap_moves * 2 : 16;
		w->moves = hv_xrealloc(w->moves, w->cap_moves, sizeof(*w->moves));
	}
	v = &w->moves[i];
	if (i == w->n_moves) {
		w->n_moves++;
		v->gen = 0;
	}
	*v = (struct move){.used = true,
			   .gen = v->gen,
			   .hot = hot,
			   .vm = k,
			   .src = h->id,
			   .dst = target,
			   .src_powers = h->powers,
			   .dst_powers = t->powers,
			   .src_life = w->hyper[h->id - 1].life,
			   .dst_life = w->hyper[target - 1].life};
	v->was_paused = vms_resting(s, h->id, k) == DOM_PAUSED;
	sim_trace(s, "host %u: %s begins to move to host %u%s", h->id, w->name[k], target,
		  hot ? ", by a person" : "");
	move_at(s, v, phase_us(s, MOVE_BEGIN));
	return true;
}

/* ---- the incoming copy when the connection has gone */

static void auto_destroy(struct sim *s, struct host *t, uint64_t arg)
{
	struct vms_world *w = vms_of(s);
	int k = (int)(arg & 255);
	struct domain *d = vms_dom(s, t->id, k);

	if (!t->power || t->powers != arg >> 8 || d->state != DOM_INCOMING || d->whole)
		return;
	if (t->hung || w->hyper[t->id - 1].hung || w->hyper[t->id - 1].down || d->stalled) {
		sim_at(s, LOOK_AGAIN_US, auto_destroy, t, arg);
		return;
	}
	vms_set(s, t, k, DOM_ABSENT, HV__CAUSE__CAUSE_FAILED);
}

static void leave_target(struct sim *s, const struct move *v, uint64_t delay_us)
{
	if (target_there(s, v))
		sim_at(s, delay_us, auto_destroy, sim_host(s, v->dst),
		       v->dst_powers << 8 | (uint64_t)v->vm);
}

static void over(struct sim *s, struct move *v, const char *how)
{
	struct host *h = sim_host(s, v->src);

	sim_trace(s, "host %u: %s's move to host %u, %s: %s", v->src, vms_of(s)->name[v->vm],
		  v->dst, phase_name(v->phase), how);
	v->used = false;
	v->gen++;
	if (h->power && h->powers == v->src_powers)
		vms_kick(s, h, v->vm);
}

/* The source runs on, the target's copy goes, unless Finish has made it whole. */
static void fails(struct sim *s, struct move *v, const char *how)
{
	if (vms_dom(s, v->src, v->vm)->state == DOM_RUNNING)
		vms_runs_on(s, v->src, v->vm);
	leave_target(s, v, prng_range(chance(s), MS, 300 * MS));
	over(s, v, how);
}

/* ---- the target's part */

static bool prepare(struct sim *s, struct move *v)
{
	struct domain *d = vms_dom(s, v->dst, v->vm);
	struct host *t = sim_host(s, v->dst);

	if (d->state != DOM_ABSENT || d->create_lost)
		return false;
	d->stray = v->hot;
	d->unplanned = v->given_up;
	vms_set(s, t, v->vm, DOM_INCOMING, HV__CAUSE__CAUSE_NONE);
	d->arrived = vms_layer_well(s, v->dst);
	return true;
}

static bool finish(struct sim *s, struct move *v)
{
	struct domain *d = vms_dom(s, v->dst, v->vm);
	struct host *t = sim_host(s, v->dst);

	if (!target_there(s, v) || d->state != DOM_INCOMING || d->whole)
		return false;
	d->whole = true;
	vms_guest_moves(s, v->src, v->dst, v->vm);
	if (v->hot && !v->was_paused) {
		d->stray = true;
		vms_set(s, t, v->vm, DOM_RUNNING, HV__CAUSE__CAUSE_MIGRATED);
	} else {
		vms_tell(s, t, v->vm, HV__CAUSE__CAUSE_MIGRATED);
	}
	return true;
}

/* ---- the source's part */

static void confirm(struct sim *s, struct move *v)
{
	struct host *h = sim_host(s, v->src);
	struct vms_world *w = vms_of(s);

	w->migrations++;
	vms_note(s, VMS_MOVED, v->vm, v->src, v->dst, true);
	vms_set(s, h, v->vm, DOM_ABSENT, HV__CAUSE__CAUSE_MIGRATED);
	over(s, v, "done");
}

/* Can the two speak? Silence lasts until keepalive ends it. */
static bool silent(struct sim *s, const struct move *v)
{
	const struct host *h = sim_host(s, v->src), *t = sim_host(s, v->dst);
	const struct hyper *y = &vms_of(s)->hyper[v->dst - 1];

	return !target_there(s, v) || t->hung || y->hung || h->group != t->group;
}

static void source_ended(struct sim *s, struct move *v)
{
	struct host *h = sim_host(s, v->src);

	/* It finds its QEMU stopped, and does not know what Finish said. */
	if (v->phase >= MOVE_FINISH && vms_dom(s, v->src, v->vm)->state == DOM_RUNNING) {
		if (v->phase == MOVE_FINISH && prng_chance(chance(s), 500))
			finish(s, v);
		vms_set(s, h, v->vm, DOM_PAUSED, HV__CAUSE__CAUSE_MIGRATED);
	}
	fails(s, v, "the source's libvirtd has ended");
}

/* The target's libvirtd has ended, or was not heard for too long. */
static void target_gone(struct sim *s, struct move *v, const char *how)
{
	if (v->phase == MOVE_FINISH && prng_chance(chance(s), 500))
		finish(s, v); /* and its answer is lost */
	if (v->phase == MOVE_CONFIRM)
		confirm(s, v);
	else
		fails(s, v, how);
}

static bool waits(struct sim *s, const struct move *v)
{
	const struct vms_hooks *hooks = &vms_of(s)->hooks;

	return v->phase == MOVE_PERFORM && !v->cancel && hooks->move_waits &&
	       hooks->move_waits(s, v->src, v->vm);
}

static void advance(struct sim *s, struct move *v)
{
	struct vms_world *w = vms_of(s);
	bool lost = prng_chance(chance(s), w->swarm.move_fails) && sim_inject(s, "move-fails");
	bool hooked = v->phase == MOVE_PERFORM && w->hooks.move_fails &&
		      w->hooks.move_fails(s, v->src, v->dst, v->vm);

	if (v->cancel && v->phase <= MOVE_PERFORM) {
		fails(s, v, "cancelled");
	} else if (v->phase == MOVE_PREPARE && (lost || !prepare(s, v))) {
		fails(s, v, "the target refuses");
	} else if (v->phase == MOVE_PERFORM &&
		   (lost || hooked || vms_dom(s, v->dst, v->vm)->state != DOM_INCOMING)) {
		fails(s, v, "failed");
	} else if (v->phase == MOVE_FINISH && !finish(s, v)) {
		fails(s, v, "the target does not have it");
	} else if (v->phase == MOVE_FINISH && lost) {
		fails(s, v, "the answer is lost");
	} else if (v->phase == MOVE_CONFIRM) {
		confirm(s, v);
	} else {
		v->phase++;
		move_at(s, v, phase_us(s, v->phase));
	}
}

static void on_move(struct sim *s, struct host *h, uint64_t arg)
{
	struct vms_world *w = vms_of(s);
	struct move *v = &w->moves[arg & UINT32_MAX];
	enum dom here;

	if (!v->used || v->gen != (uint32_t)(arg >> 32))
		return;
	if (!h->power || h->powers != v->src_powers) {
		leave_target(s, v, prng_range(chance(s), 10 * MS, SILENCE_US));
		over(s, v, "the source is off");
		return;
	}
	here = vms_resting(s, v->src, v->vm);
	if (h->hung || w->hyper[v->src - 1].hung) {
		move_at(s, v, LOOK_AGAIN_US);
	} else if (w->hyper[v->src - 1].life != v->src_life) {
		source_ended(s, v);
	} else if (here != DOM_RUNNING && here != DOM_PAUSED) {
		fails(s, v, "it is not there any more");
	} else if (w->hyper[v->dst - 1].life != v->dst_life && target_there(s, v)) {
		target_gone(s, v, "the target's libvirtd has ended");
	} else if (v->phase != MOVE_BEGIN && silent(s, v)) {
		if (!v->silent_us)
			v->silent_us = s->now_us;
		if (s->now_us - v->silent_us >= SILENCE_US)
			target_gone(s, v, "the target is silent");
		else
			move_at(s, v, LOOK_AGAIN_US);
	} else if (waits(s, v)) {
		move_at(s, v, LOOK_AGAIN_US);
	} else {
		v->silent_us = 0;
		advance(s, v);
	}
}
