/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/guests_priv.h"

#include "hypervisor/guest_marks.h"
#include "hypervisor/job.h"

#include <string.h>

/* ---- facts and events */

static Hv__Cause stopped_by(const struct fact *f)
{
	if (f->observed != HV__OBSERVED__OBSERVED_PAUSED)
		return HV__CAUSE__CAUSE_NONE;
	if (f->cause == HV__CAUSE__CAUSE_CRASHED || f->cause == HV__CAUSE__CAUSE_WATCHDOG ||
	    f->cause == HV__CAUSE__CAUSE_IO_ERROR)
		return f->cause;
	return HV__CAUSE__CAUSE_NONE;
}

static void gone(struct guest *g)
{
	uint64_t now = job_now_us();

	if (!g->here)
		return;
	guest_marks_forget(g->uuid);
	g->turn++;
	g->here = g->fired = g->panicked = false;
	g->observed = HV__OBSERVED__OBSERVED_ABSENT;
	g->stopped_by = HV__CAUSE__CAUSE_NONE;
	g->own_resets = 0;
	beat_begin(&g->beat, g->beat.heartbeat_s, g->beat.idle_s, false, now);
}

static void stop_changes(struct guest *g, Hv__Cause by, uint64_t now)
{
	if (g->stopped_by == by)
		return;
	g->turn++;
	g->stopped_by = by;
	g->stopped_us = now;
	g->back = false;
	memset(&g->disks, 0, sizeof(g->disks));
	if (by == HV__CAUSE__CAUSE_IO_ERROR)
		g->next_us = now;
}

/* A guest that panicked and runs again, and not by us: on_crash has restarted it. */
static void runs(struct guest *g)
{
	if (g->panicked && !g->resetting) {
		g->own_resets++;
		guest_rebooted(g);
	}
	g->panicked = false;
}

static void note_fact(struct guest *g, const struct fact *f, uint64_t now)
{
	if (!g->here && g->watched) /* what is just there begins at its own moment */
		g->next_us = now + guest_jitter_us(g->uuid, beat_every_us(&g->beat));
	g->here = true;
	if (f->observed != g->observed)
		guest_begin_anew(g);
	g->observed = f->observed;
	stop_changes(g, stopped_by(f), now);
	if (f->observed == HV__OBSERVED__OBSERVED_RUNNING)
		runs(g);
}

static const struct fact *fact_of(const struct facts *fs, const char *uuid, size_t *at)
{
	const struct fact *f;

	while ((f = facts_at(fs, *at)) && strcmp(f->uuid, uuid) < 0)
		(*at)++;
	return f && strcmp(f->uuid, uuid) == 0 ? f : NULL;
}

/* Both are in the order of UUIDs. */
void guests_facts(struct guests *gs, const struct facts *fs, bool complete)
{
	uint64_t now = job_now_us();
	const struct fact *f;
	size_t at = 0;

	for (size_t i = 0; (f = facts_at(fs, i)); i++)
		if (stopped_by(f) != HV__CAUSE__CAUSE_NONE && hv_uuid_valid(f->uuid))
			guests_get(gs, f->uuid);
	for (size_t i = 0; i < gs->count; i++) {
		struct guest *g = gs->items[i];

		f = fact_of(fs, g->uuid, &at);
		if (f ? f->observed == HV__OBSERVED__OBSERVED_ABSENT : complete)
			gone(g);
		else if (f && f->observed != HV__OBSERVED__OBSERVED_UNKNOWN)
			note_fact(g, f, now);
		guests_tell(g);
	}
	guests_drop_idle(gs);
	guests_arm(gs);
}

void guests_event(struct guests *gs, const struct domain_event *ev)
{
	struct guest *g = ev->guest == GUEST_EVENT_WATCHDOG ||
				  ev->guest == GUEST_EVENT_WATCHDOG_RESET ||
				  ev->guest == GUEST_EVENT_PANICKED
			      ? guests_get(gs, ev->uuid)
			      : guests_find(gs, ev->uuid);

	if (!g)
		return;
	switch (ev->guest) {
	case GUEST_EVENT_NONE:
		return;
	case GUEST_EVENT_AGENT_HERE:
		g->next_us = 0;
		return;
	case GUEST_EVENT_REBOOTED:
		g->reset_seen = true;
		guest_rebooted(g);
		break;
	case GUEST_EVENT_WATCHDOG:
		g->here = g->fired = true;
		guest_marks_set_fired(g->uuid, true);
		break;
	case GUEST_EVENT_WATCHDOG_RESET:
		g->here = true;
		g->own_resets++;
		guest_rebooted(g);
		break;
	case GUEST_EVENT_PANICKED:
		g->here = g->panicked = true;
		return;
	}
	guests_tell(g);
}

void guests_reset_begins(struct guests *gs, const char *uuid)
{
	struct guest *g = guests_get(gs, uuid);

	g->resetting = true;
	g->reset_seen = false;
}

void guests_reset_ended(struct guests *gs, const char *uuid, bool done)
{
	struct guest *g = guests_find(gs, uuid);

	if (!g)
		return;
	g->resetting = false;
	if (done)
		g->panicked = false;
	if (done && !g->reset_seen) /* its event was lost */
		guest_rebooted(g);
	guests_tell(g);
	guests_drop_idle(gs);
}
