/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * absence.h - since when, by this host's own clock, another node has been away.
 *
 * No clock, no I/O. The proof by time (resource/watchdog.h) is counted here and not in cluster
 * time: from the moment at which this node applied the view that the other is not in any more. It
 * had left the other's ring before. Whoever has just started, or got the state as a snapshot,
 * counts from then: later, never earlier.
 */
#ifndef HV_CLUSTERD_ABSENCE_H
#define HV_CLUSTERD_ABSENCE_H

#include "resource/cluster.h"

struct absence {
	struct absent {
		hv_node_id node;
		uint64_t index, since_us;
	} nodes[HV_MAX_NODES];
	size_t count;
};

/* After entries were applied, before anybody asks; `now_us`: CLOCK_MONOTONIC. */
void absence_look(struct absence *a, const struct cluster *c, uint64_t now_us);
/* The state was replaced: it may be another history that calls other views by the same index. */
void absence_forget(struct absence *a);
/*
 * When this FENCE operation that only waits is over; 0: never, since its victim is no longer away.
 */
uint64_t absence_proof_us(const struct absence *a, const struct cluster *c,
			  const struct operation *op);

#endif
