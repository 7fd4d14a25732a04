/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watchlist.h - what hypervisord has to know of the state beside its jobs: which VMs are the
 * cluster's, which of them may arrive here by migration now (hypervisor/permit.h), which storage
 * they need, and whose guest agents are to be asked.
 *
 * Level-triggered: what was sent last is compared with the state after each settled change; after a
 * restart of hypervisord all is sent again. The whole list of VMs is compared WATCHLIST_GATHER_US
 * after the first change, migrations at once: their source may already have begun.
 */
#ifndef HV_CLUSTERD_WATCHLIST_H
#define HV_CLUSTERD_WATCHLIST_H

#include "proto/hypervisor.pb-c.h"
#include "resource/cluster.h"

#define WATCHLIST_GATHER_US (200 * HV_US_PER_MS)
#define WATCHLIST_RENEW_US (30 * HV_US_PER_S) /* of permits to arrive */

struct watchlist_ops {
	void (*request)(void *user, const Hv__HvRequest *req);
};

struct watchlist;
struct watchlist *watchlist_new(const struct watchlist_ops *ops, void *user);
void watchlist_free(struct watchlist *w);
/* hypervisord is another one: it knows nothing. */
void watchlist_forget(struct watchlist *w);
/* Only with the state of an active epoch. Returns when to call again (CLOCK_MONOTONIC, 0: on the
 * next change). */
uint64_t watchlist_reconcile(struct watchlist *w, const struct cluster *c, hv_node_id self,
			     uint64_t now_us);

#endif
