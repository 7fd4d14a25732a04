/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cluster_time.h - this node's estimate of the cluster's clock.
 *
 * PURE. The cluster's clock is the greatest Event.at_us that was applied. Between two events a node
 * takes it to run on at the speed of its own CLOCK_MONOTONIC. Two nodes' estimates differ by no
 * more than the time an entry takes from one to the other, plus their clocks' drift since; the
 * greatest one counts, so the clock never goes back.
 *
 * Example: the last event was applied at 7:00.0 here and said 50.0 s. At 7:02.5 this node proposes
 * with at_us = 52.5 s. Should another node have said 53.0 s meanwhile, applying that sets us right.
 */
#ifndef HV_CLUSTERD_CLUSTER_TIME_H
#define HV_CLUSTERD_CLUSTER_TIME_H

#include <stdint.h>

struct cluster_time {
	uint64_t base_us;   /* cluster time ... */
	uint64_t base_mono; /* ... when this host's clock said so */
};

/* The state says that it is `cluster_us`. Moves the estimate on, never back. */
void cluster_time_applied(struct cluster_time *t, uint64_t cluster_us, uint64_t mono_us);
/* The state was replaced: its clock counts, also when it goes back. */
void cluster_time_installed(struct cluster_time *t, uint64_t cluster_us, uint64_t mono_us);
/* Now, and at a moment of this host's clock (which may lie before the last event). Never 0: that
 * means "none". */
uint64_t cluster_time_at(const struct cluster_time *t, uint64_t mono_us);

#endif
