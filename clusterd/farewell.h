/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * farewell.h - clusterd is told to stop: does only the daemon stop, or the whole host?
 *
 * systemd is asked which of its targets is on its way (`systemctl list-jobs`, a child process, at
 * most FAREWELL_ASK_US). When the host goes down the shutdown is announced as `hvcluster node
 * shutdown` would, and clusterd goes on until its operation has ended, at most FAREWELL_US: less
 * than TimeoutStopSec of the unit. A second signal ends it at once.
 */
#ifndef HV_CLUSTERD_FAREWELL_H
#define HV_CLUSTERD_FAREWELL_H

#include "proto/ids.h"
#include "resource/cluster.h"

#include <qb/qbloop.h>

#define FAREWELL_ASK_US (3 * HV_US_PER_S)
#define FAREWELL_US (240 * HV_US_PER_S)

struct farewell;
struct farewell_ops {
	/* Announce it; false: not possible now. */
	bool (*announce)(void *user, bool reboot);
	void (*over)(void *user); /* nothing more to wait for */
};
struct farewell *farewell_begin(qb_loop_t *loop, const struct farewell_ops *ops, void *user);
/* The state may have changed; `self` may be NULL. May call over(). */
void farewell_look(struct farewell *f, const struct node *self);
void farewell_free(struct farewell *f);

/* What systemd is at, by the output of list-jobs. */
enum node_leaving farewell_read_jobs(const char *text);

#endif
