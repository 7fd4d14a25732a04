/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ticker.h - what the coordinator proposes for everyone: that time has passed, that corosync's node
 * list is another, that all members speak a higher feature level.
 *
 * No clock, no I/O. Nothing is proposed that is not due: an idle cluster writes nothing. Should the
 * coordinator be slow, the next one takes over with the next view.
 */
#ifndef HV_CLUSTERD_TICKER_H
#define HV_CLUSTERD_TICKER_H

#include "quorum/nodelist.h"
#include "resource/brain.h"

struct ticker {
	uint64_t tick_mark, nodes_mark, feature_mark;
	uint64_t ticked_due_us,
	    ticked_at_us; /* the deadline of the last tick, and when that was proposed */
};
struct ticker_ops {
	uint64_t (*propose)(void *user, const Hv__Event *ev, bool fence);
	bool (*pending)(void *user, uint64_t mark);
};
/* Cluster time at which to call again, 0: not before something happens. Only while this node may
 * act. */
uint64_t ticker_reconcile(struct ticker *t, const struct cluster *c, const struct nodelist *list,
			  const struct rl_status *status, uint64_t now_us,
			  const struct ticker_ops *ops, void *user);

#endif
