/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_client.h - starts hypervisord, speaks with it, and starts it again when it ends or goes
 * silent.
 *
 * The two share a socket pair (frames of proto/wire.h). Each incarnation of hypervisord is pinged;
 * one that does not answer within HV_CLIENT_SILENCE_US is killed. Restarts pause 50 ms, 100 ms ...
 * 5 s; an incarnation that lived for 10 s starts the row anew. Nothing is kept for the next
 * incarnation: on `up` the owner says again what it wants (jobs are idempotent).
 *
 * hypervisord ends by itself when its socket closes, also when clusterd is killed. VMs never do.
 */
#ifndef HV_CLUSTERD_HV_CLIENT_H
#define HV_CLUSTERD_HV_CLIENT_H

#include "proto/hypervisor.pb-c.h"
#include "proto/ids.h"
#include "proto/base.h"

#include <qb/qbloop.h>

#define HV_CLIENT_PING_US (4 * HV_US_PER_S)
#define HV_CLIENT_SILENCE_US (10 * HV_US_PER_S)
#define HV_CLIENT_UNSENT_MAX                                                                       \
	(64U << 20) /* bytes that it has not taken; above it counts as hung                        \
		     */

struct hv_client;
struct hv_client_ops {
	void (*up)(void *user);
	void (*down)(void *user, const char *why);
	/* Everything but Ready and Pong; valid during the call. */
	void (*message)(void *user, const Hv__HvMessage *msg);
};
/* `uri` may be NULL. */
struct hv_client *hv_client_new(qb_loop_t *loop, const char *path, const char *uri,
				const char *state_dir, const struct hv_client_ops *ops, void *user);
/* Nothing happens while it is down. */
void hv_client_send(struct hv_client *c, const Hv__HvRequest *req);
bool hv_client_up(const struct hv_client *c);
/* Ends hypervisord: waits a second for it, then kills it. */
void hv_client_free(struct hv_client *c);

#endif
