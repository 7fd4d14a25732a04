/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clusterd_priv.h - what the files of the composition share: the parts, and how they are wired.
 *
 *   clusterd.c   life: start, wait for corosync, signals, stop
 *   wiring.c     what each part says, handed to the others
 *   words.c      this node's condition in words, and the view for clients
 */
#ifndef HV_CLUSTERD_CLUSTERD_PRIV_H
#define HV_CLUSTERD_CLUSTERD_PRIV_H

#include "clusterd/clusterd.h"
#include "clusterd/control.h"
#include "clusterd/corosync_hold.h"
#include "clusterd/driver.h"
#include "clusterd/executor.h"
#include "clusterd/farewell.h"
#include "clusterd/feeder.h"
#include "clusterd/force.h"
#include "clusterd/guard.h"
#include "clusterd/hv_client.h"
#include "clusterd/intake.h"
#include "clusterd/ipc_server.h"
#include "clusterd/notify.h"
#include "clusterd/ticker.h"
#include "clusterd/watchlist.h"

#define MAX_WARNINGS 5

struct clusterd {
	const struct options *options;
	qb_loop_t *loop;
	enum hv_rc end; /* why the loop ended */
	struct notify *notify;
	struct ipc_server *ipc;
	struct control *control;
	struct hv_client *hv;
	struct nodelist list;
	struct nodelist_watch *watch;
	struct driver *driver; /* NULL until corosync answered */
	char *waiting_for;     /* why it is NULL */
	struct intake *intake;
	struct executor *executor;
	struct watchlist *watchlist;
	struct guard *guard;
	struct corosync_hold *hold;
	struct watchdog *dog; /* NULL: none is configured */
	struct feeder *feeder;
	struct timing timing; /* as wanted; the device's own timeout is the feeder's */
	uint32_t watchdog_s;
	bool leaving; /* when the watchdog is stopped, the process ends */
	qb_loop_timer_handle leave_late;
	struct force force;
	uint64_t stuck_us;	   /* since when there is nobody to act with; 0: there is */
	struct farewell *farewell; /* told to stop: NULL until then */
	struct ticker ticker;
	struct progress progress;
	bool was_current;
	qb_loop_timer_handle retry, due;
	char reason[256];
	const char *warnings[MAX_WARNINGS];
	char divergence[128], health[HV_TEXT_MAX + 64];
};

/* Ends the loop. */
void clusterd_end(struct clusterd *d, enum hv_rc rc);

/* watch_acts.c: the watchdog. HV_BAD_CONFIG: it cannot work, and was logged. */
enum hv_rc clusterd_watch_start(struct clusterd *d);
void clusterd_watch_recheck(struct clusterd *d);  /* corosync's timeouts may have changed */
uint64_t clusterd_watch_look(struct clusterd *d); /* when to look again */
void clusterd_watch_stop(struct clusterd *d);
/* Told to end: with the watchdog stopped, if that may be. */
void clusterd_leave(struct clusterd *d);

/* words.c: why this node is not current (NULL: it is); control_ops.view. */
const char *clusterd_local_reason(struct clusterd *d);
bool clusterd_view(void *user, struct view *ret, enum hv_rc *ret_rc, const char **ret_why);

/* wiring.c */
extern const struct driver_ops clusterd_driver_ops;
extern const struct intake_ops clusterd_intake_ops;
extern const struct executor_ops clusterd_executor_ops;
extern const struct watchlist_ops clusterd_watchlist_ops;
extern const struct guard_ops clusterd_guard_ops; /* guard_acts.c */
extern const struct farewell_ops clusterd_farewell_ops;
extern const struct control_ops clusterd_control_ops;
extern const struct hv_client_ops clusterd_hv_ops;
extern const struct ipc_server_ops clusterd_ipc_ops;

#endif
