/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corosync_client.h - what the three corosync clients (cpg_link, vote_link, nodelist) share: the
 * timer that tries again, and the words for corosync's errors.
 *
 * A client is connected or it has a retry pending: after 100 ms at first, then 200, 400, 800, and
 * 1000 ms from there on, so that a host whose corosync is down for good is not busy asking.
 */
#ifndef HV_QUORUM_COROSYNC_CLIENT_H
#define HV_QUORUM_COROSYNC_CLIENT_H

#include "proto/base.h"

#include <corosync/corotypes.h>
#include <qb/qbloop.h>

struct corosync_retry {
	qb_loop_t *loop;
	void (*connect)(void *user);
	void *user;
	qb_loop_timer_handle timer;
	bool set;
	uint32_t delay_ms;
};

/* Calls `connect` from the loop as soon as it runs. */
void corosync_retry_init(struct corosync_retry *r, qb_loop_t *loop, void (*connect)(void *user),
			 void *user);
/* Once more, after the present delay; delays grow until corosync_retry_reset(). */
void corosync_retry_later(struct corosync_retry *r);
void corosync_retry_reset(struct corosync_retry *r);
void corosync_retry_done(struct corosync_retry *r);

/* Cause and next step; malloc'ed. `what` failed: "join the process group". */
char *corosync_error_text(cs_error_t err, const char *what);
uint64_t corosync_now_us(void);

#endif
