/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/guests_priv.h"

#include "hypervisor/guest_marks.h"
#include "hypervisor/job.h"

#include <string.h>

/* ---- looks */

void guest_begin_anew(struct guest *g)
{
	g->turn++;
	beat_break(&g->beat, job_now_us());
}

void guest_rebooted(struct guest *g)
{
	g->turn++;
	g->next_us = 0;
	beat_reboot(&g->beat, job_now_us());
	if (g->fired)
		guest_marks_set_fired(g->uuid, false);
	g->fired = false;
}

/* On a worker. What it needs of the guest does not change while it looks. */
static void look_run(struct pool_task *task)
{
	struct guest *g = (struct guest *)task;
	_cleanup_lease_ struct conn_lease lease = {0};

	atomic_store(&g->began_us, job_now_us());
	conn_lease(g->gs->conn, &lease);
	if (g->look == LOOK_DISKS)
		guest_look_disks(lease.v, g->uuid, g->gs->probe, &g->seen);
	else
		guest_look_ask(lease.v, g->uuid, &g->heard);
}

static void asked(struct guest *g, uint64_t now)
{
	bool known = g->heard.answer != BEAT_NOBODY_KNOWS;

	if (known && !g->given_up && g->look_turn == g->turn)
		beat_heard(&g->beat, g->heard.answer, g->heard.io_known, g->heard.io, now);
	else if (!known && !g->given_up)
		guest_begin_anew(g);
	g->next_us = now + beat_every_us(&g->beat);
}

/*
 * Whether its storage is back is believed from the second look on only: a guest that is resumed and
 * stopped again at once shall not be so over and over.
 */
static void disks_seen(struct guest *g, uint64_t now)
{
	uint64_t for_us = now - g->stopped_us;

	g->next_us = now + GUESTS_DISKS_EVERY_MS * HV_US_PER_MS;
	if (!g->seen.known || g->look_turn != g->turn || g->stopped_by != HV__CAUSE__CAUSE_IO_ERROR)
		return;
	g->disks = g->seen;
	if (for_us < GUESTS_DISKS_EVERY_MS * HV_US_PER_MS)
		g->back = false;
	else
		g->back = g->seen.back &&
			  (g->seen.told || for_us >= GUESTS_DISKS_BLIND_MS * HV_US_PER_MS);
}

static void look_done(struct pool_task *task)
{
	struct guest *g = (struct guest *)task;
	uint64_t now = job_now_us();

	g->looking = false;
	if (g->look == LOOK_DISKS)
		disks_seen(g, now);
	else
		asked(g, now);
	guests_tell(g);
	guests_drop_idle(g->gs);
}

static void look_begin(struct guest *g, enum look look)
{
	g->looking = true;
	g->given_up = false;
	g->look = look;
	g->look_turn = g->turn;
	atomic_store(&g->began_us, 0);
	memset(&g->heard, 0, sizeof(g->heard));
	g->heard.answer = BEAT_NOBODY_KNOWS;
	memset(&g->seen, 0, sizeof(g->seen));
	g->task.run = look_run;
	g->task.done = look_done;
	pool_submit(g->gs->pool, &g->task);
}

/* A call that does not come back says nothing of the guest, but that nobody knows. */
static void give_up_late(struct guest *g, uint64_t now)
{
	uint64_t began = atomic_load(&g->began_us);

	if (g->given_up || !began || now < began || now - began < GUESTS_GIVE_UP_MS * HV_US_PER_MS)
		return;
	g->given_up = true;
	guest_begin_anew(g);
	pool_give_up(g->gs->pool, &g->task); /* it has begun: `done` comes if it ever returns */
	guests_tell(g);
}

/* ---- time */

/* Where in its interval a guest is asked, so that not all are at once. */
uint64_t guest_jitter_us(const char *uuid, uint64_t every_us)
{
	uint64_t h = 1469598103934665603ULL;

	for (; *uuid; uuid++)
		h = (h ^ (unsigned char)*uuid) * 1099511628211ULL;
	return (h >> 16) % every_us;
}

static void look_if_due(struct guest *g, uint64_t now)
{
	if (g->looking)
		give_up_late(g, now);
	else if (!g->here || now < g->next_us)
		return;
	else if (g->stopped_by == HV__CAUSE__CAUSE_IO_ERROR)
		look_begin(g, LOOK_DISKS);
	else if (g->watched && g->observed == HV__OBSERVED__OBSERVED_RUNNING)
		look_begin(g, LOOK_ASK);
}

static void on_tick(void *data)
{
	struct guests *gs = data;
	uint64_t now = job_now_us();
	bool late = now > gs->tick_due_us + GUESTS_LATE_MS * HV_US_PER_MS;

	gs->timer = 0;
	for (size_t i = 0; i < gs->count; i++) {
		struct guest *g = gs->items[i];

		if (late) {
			guest_begin_anew(g);
			guests_tell(g);
		}
		look_if_due(g, now);
	}
	guests_arm(gs);
}

static bool has_work(const struct guests *gs)
{
	for (size_t i = 0; i < gs->count; i++) {
		const struct guest *g = gs->items[i];

		if (g->looking || g->watched || g->stopped_by == HV__CAUSE__CAUSE_IO_ERROR)
			return true;
	}
	return false;
}

void guests_arm(struct guests *gs)
{
	if (gs->timer || !has_work(gs))
		return;
	gs->tick_due_us = job_now_us() + GUESTS_TICK_MS * HV_US_PER_MS;
	qb_loop_timer_add(gs->loop, QB_LOOP_LOW, GUESTS_TICK_MS * 1000000ULL, gs, on_tick,
			  &gs->timer);
}
