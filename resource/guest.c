/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/guest.h"

#include "proto/base.h"

#define IDLE_S 120 /* vSphere's presets: failure with no I/O for 120 s, 120 s after a start */
#define UPTIME_S 120
#define LIMIT 3
#define WINDOW_S 3600

void guest_init(struct guest *g)
{
	*g = (struct guest){.heartbeat_idle_s = IDLE_S,
			    .heartbeat_uptime_s = UPTIME_S,
			    .reset_limit = LIMIT,
			    .reset_window_s = WINDOW_S};
}

void guest_done(struct guest *g)
{
	free(g->text);
	free(g->evidence);
	*g = (struct guest){0};
}

bool guest_has_no_facts(const struct guest *g)
{
	return g->heartbeat == HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN && !g->idle &&
	       g->trouble == HV__GUEST_TROUBLE__TROUBLE_NONE && !g->storage_back && !g->text;
}

static bool nothing_set(const struct guest *g)
{
	return !g->heartbeat_s && g->heartbeat_idle_s == IDLE_S &&
	       g->heartbeat_uptime_s == UPTIME_S && g->reset_limit == LIMIT &&
	       g->reset_window_s == WINDOW_S && !g->panic_reset && !g->watchdog_reset &&
	       !g->io_resume;
}

static bool nothing_done(const struct guest *g)
{
	return !g->own_resets && !g->answered && !g->asked && !g->held && !g->n_resets &&
	       !g->reset_us && !g->again_us && !g->storage_us && !g->resumed_us && !g->resumes &&
	       !g->reset_wall_ms && !g->evidence_node && !g->evidence;
}

bool guest_is_plain(const struct guest *g)
{
	return nothing_set(g) && guest_has_no_facts(g) && nothing_done(g);
}
