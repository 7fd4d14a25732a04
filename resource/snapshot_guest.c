/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/snapshot_guest.h"

#include "proto/base.h"

static char *text_or_null(const char *s)
{
	return s && *s ? hv_xstrdup(s) : NULL;
}

void snapshot_put_guest(Hv__SnapGuest *m, const struct guest *g)
{
	hv__snap_guest__init(m);
	m->heartbeat_s = g->heartbeat_s;
	m->heartbeat_idle_s = g->heartbeat_idle_s;
	m->heartbeat_uptime_s = g->heartbeat_uptime_s;
	m->reset_limit = g->reset_limit;
	m->reset_window_s = g->reset_window_s;
	m->panic_reset = g->panic_reset;
	m->watchdog_reset = g->watchdog_reset;
	m->io_resume = g->io_resume;
	m->heartbeat = g->heartbeat;
	m->idle = g->idle;
	m->trouble = g->trouble;
	m->storage_back = g->storage_back;
	m->own_resets = g->own_resets;
	m->answered = g->answered;
	m->asked = g->asked;
	m->held = g->held;
	m->reset_us = g->reset_us;
	m->again_us = g->again_us;
	m->storage_us = g->storage_us;
	m->resumed_us = g->resumed_us;
	m->resumes = g->resumes;
	m->reset_wall_ms = g->reset_wall_ms;
	m->evidence_node = g->evidence_node;
	m->text = g->text ? g->text : (char *)"";
	m->evidence = g->evidence ? g->evidence : (char *)"";
	m->n_resets_us = g->n_resets;
	m->resets_us = (uint64_t *)g->resets_us;
}

bool snapshot_guest_valid(const Hv__SnapGuest *m)
{
	return (unsigned)m->heartbeat <= HV__GUEST_HEARTBEAT__HEARTBEAT_LOST &&
	       (unsigned)m->trouble <= HV__GUEST_TROUBLE__TROUBLE_IO_ERROR &&
	       m->n_resets_us <= GUEST_RESETS_MAX;
}

void snapshot_get_guest(struct guest *g, const Hv__SnapGuest *m)
{
	g->heartbeat_s = m->heartbeat_s;
	g->heartbeat_idle_s = m->heartbeat_idle_s;
	g->heartbeat_uptime_s = m->heartbeat_uptime_s;
	g->reset_limit = m->reset_limit;
	g->reset_window_s = m->reset_window_s;
	g->panic_reset = m->panic_reset;
	g->watchdog_reset = m->watchdog_reset;
	g->io_resume = m->io_resume;
	g->heartbeat = m->heartbeat;
	g->idle = m->idle;
	g->trouble = m->trouble;
	g->storage_back = m->storage_back;
	g->own_resets = m->own_resets;
	g->answered = m->answered;
	g->asked = m->asked;
	g->held = m->held;
	g->reset_us = m->reset_us;
	g->again_us = m->again_us;
	g->storage_us = m->storage_us;
	g->resumed_us = m->resumed_us;
	g->resumes = m->resumes;
	g->reset_wall_ms = m->reset_wall_ms;
	g->evidence_node = m->evidence_node;
	g->text = text_or_null(m->text);
	g->evidence = text_or_null(m->evidence);
	for (; g->n_resets < m->n_resets_us; g->n_resets++)
		g->resets_us[g->n_resets] = m->resets_us[g->n_resets];
}
