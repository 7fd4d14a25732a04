/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/guests_priv.h"

#include "hypervisor/guest_marks.h"
#include "hypervisor/job.h"

#include <stdio.h>
#include <string.h>

/* ---- the table */

static size_t place(const struct guests *gs, const char *uuid)
{
	size_t low = 0, high = gs->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(gs->items[mid]->uuid, uuid) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct guest *guests_find(const struct guests *gs, const char *uuid)
{
	size_t i = place(gs, uuid);

	return i < gs->count && strcmp(gs->items[i]->uuid, uuid) == 0 ? gs->items[i] : NULL;
}

struct guest *guests_get(struct guests *gs, const char *uuid)
{
	struct guest *g = guests_find(gs, uuid);
	size_t i = place(gs, uuid);

	if (g)
		return g;
	if (gs->count == gs->cap) {
		gs->cap = gs->cap ? 2 * gs->cap : 16;
		gs->items = hv_xrealloc(gs->items, gs->cap, sizeof(struct guest *));
	}
	memmove(gs->items + i + 1, gs->items + i, (gs->count - i) * sizeof(struct guest *));
	gs->count++;
	g = gs->items[i] = hv_xcalloc(1, sizeof(*g));
	g->gs = gs;
	snprintf(g->uuid, sizeof(g->uuid), "%s", uuid);
	hv__guest_seen__init(&g->said);
	g->said.text = g->said_text;
	return g;
}

/* Nothing is left to be remembered of it. */
static bool is_idle(const struct guest *g)
{
	return !g->watched && !g->looking && !g->fired && !g->panicked && !g->resetting &&
	       !g->own_resets && g->stopped_by == HV__CAUSE__CAUSE_NONE;
}

void guests_drop_idle(struct guests *gs)
{
	size_t kept = 0;

	for (size_t i = 0; i < gs->count; i++) {
		if (is_idle(gs->items[i]))
			free(gs->items[i]);
		else
			gs->items[kept++] = gs->items[i];
	}
	gs->count = kept;
}

/* ---- telling */

/* A guest stopped by its disks is told of when it is known by what. */
static Hv__GuestTrouble trouble_of(const struct guest *g)
{
	if (g->stopped_by == HV__CAUSE__CAUSE_CRASHED)
		return HV__GUEST_TROUBLE__TROUBLE_PANICKED;
	if (g->stopped_by == HV__CAUSE__CAUSE_WATCHDOG || g->fired)
		return HV__GUEST_TROUBLE__TROUBLE_WATCHDOG;
	if (g->stopped_by != HV__CAUSE__CAUSE_IO_ERROR || !g->disks.known)
		return HV__GUEST_TROUBLE__TROUBLE_NONE;
	return g->disks.no_space ? HV__GUEST_TROUBLE__TROUBLE_NO_SPACE
				 : HV__GUEST_TROUBLE__TROUBLE_IO_ERROR;
}

static const char *text_of(const struct guest *g)
{
	switch (trouble_of(g)) {
	case HV__GUEST_TROUBLE__TROUBLE_PANICKED:
		return "its kernel has panicked";
	case HV__GUEST_TROUBLE__TROUBLE_WATCHDOG:
		return g->fired ? "its watchdog was not fed"
				: "its watchdog was not fed and paused it";
	case HV__GUEST_TROUBLE__TROUBLE_NO_SPACE:
	case HV__GUEST_TROUBLE__TROUBLE_IO_ERROR:
		return g->disks.text;
	case HV__GUEST_TROUBLE__TROUBLE_NONE:
	case _HV__GUEST_TROUBLE_IS_INT_SIZE:
		break;
	}
	return "";
}

void guests_tell(struct guest *g)
{
	Hv__GuestSeen now = HV__GUEST_SEEN__INIT;
	bool same;

	now.heartbeat =
	    g->watched && g->here ? g->beat.state : HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN;
	now.idle = now.heartbeat == HV__GUEST_HEARTBEAT__HEARTBEAT_LOST && g->beat.idle;
	now.trouble = trouble_of(g);
	now.storage_back = (now.trouble == HV__GUEST_TROUBLE__TROUBLE_NO_SPACE ||
			    now.trouble == HV__GUEST_TROUBLE__TROUBLE_IO_ERROR) &&
			   g->back;
	now.own_resets = g->own_resets;
	same = now.heartbeat == g->said.heartbeat && now.idle == g->said.idle &&
	       now.trouble == g->said.trouble && now.storage_back == g->said.storage_back &&
	       now.own_resets == g->said.own_resets && strcmp(text_of(g), g->said_text) == 0;
	if (same)
		return;
	snprintf(g->said_text, sizeof(g->said_text), "%s", text_of(g));
	now.uuid = g->uuid;
	now.text = g->said_text;
	g->said = now;
	g->gs->hooks.tell(&g->said, g->gs->hooks.user);
}

void guests_tell_all(struct guests *gs)
{
	for (size_t i = 0; i < gs->count; i++) {
		const struct guest *g = gs->items[i];

		if (g->said.heartbeat != HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN ||
		    g->said.trouble != HV__GUEST_TROUBLE__TROUBLE_NONE || g->said.own_resets)
			gs->hooks.tell(&g->said, gs->hooks.user);
	}
}

/* ---- what clusterd wants */

static void watch(struct guest *g, const Hv__HvGuest *w, uint64_t now)
{
	if (g->watched) {
		beat_want(&g->beat, w->heartbeat_s, w->idle_s);
		return;
	}
	g->watched = true;
	g->turn++;
	beat_begin(&g->beat, w->heartbeat_s, w->idle_s, w->answered, now);
	g->next_us = now + guest_jitter_us(g->uuid, beat_every_us(&g->beat));
}

static bool is_wanted(const Hv__HvGuests *wanted, const char *uuid)
{
	size_t low = 0, high = wanted->n_guests;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(wanted->guests[mid]->uuid, uuid);

		if (c == 0)
			return true;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

void guests_want(struct guests *gs, const Hv__HvGuests *wanted)
{
	uint64_t now = job_now_us();

	for (size_t i = 0; i < gs->count; i++)
		if (gs->items[i]->watched && !is_wanted(wanted, gs->items[i]->uuid)) {
			gs->items[i]->watched = false;
			gs->items[i]->turn++;
			guests_tell(gs->items[i]);
		}
	for (size_t i = 0; i < wanted->n_guests && i < HV_MAX_VMS; i++) {
		const Hv__HvGuest *w = wanted->guests[i];

		if (hv_uuid_valid(w->uuid) && w->heartbeat_s > 0)
			watch(guests_get(gs, w->uuid), w, now);
	}
	guests_drop_idle(gs);
	guests_tell_all(gs);
	guests_arm(gs);
}

/* ---- life */

static void remember_fired(const char *uuid, void *user)
{
	struct guest *g = guests_get(user, uuid);

	g->fired = g->here = true; /* if it is gone the first inventory says so */
}

struct guests *guests_new(qb_loop_t *loop, struct mailbox *mailbox, const char *probe,
			  const struct guests_hooks *hooks)
{
	struct guests *gs = hv_xcalloc(1, sizeof(*gs));

	gs->loop = loop;
	gs->pool = pool_new(mailbox, GUESTS_WORKERS);
	gs->probe = hv_xstrdup(probe);
	gs->hooks = *hooks;
	guest_marks_each_fired(remember_fired, gs);
	return gs;
}

void guests_free(struct guests *gs)
{
	if (!gs)
		return;
	if (gs->timer)
		qb_loop_timer_del(gs->loop, gs->timer);
	for (size_t i = 0; i < gs->count; i++)
		free(gs->items[i]);
	pool_free(gs->pool);
	free(gs->items);
	free(gs->probe);
	free(gs);
}

void guests_use(struct guests *gs, struct conn *conn)
{
	gs->conn = conn;
}
