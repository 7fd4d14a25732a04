/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_mirror.h - what the hypervisor layer said last of the guests of this host, compared with
 * what the cluster believes; proposes the difference (GuestHealth).
 *
 * No clock, no I/O, level-triggered: a part of intake.h. Only of VMs that this node owns, that run
 * or are paused, and with which nothing is being done: the state forgets what it knew with every
 * change of a VM, and is told anew. That a guest that was well is not known of any more is told
 * after GUEST_MIRROR_PATIENCE_US: a hypervisord that was restarted asks its agent again in a
 * moment.
 */
#ifndef HV_CLUSTERD_GUEST_MIRROR_H
#define HV_CLUSTERD_GUEST_MIRROR_H

#include "resource/cluster.h"

#define GUEST_MIRROR_PATIENCE_US (10 * HV_US_PER_S)

struct guest_mirror;
struct guest_mirror_ops {
	uint64_t (*propose)(void *user, const Hv__Event *ev); /* mark, 0: not now */
	bool (*pending)(void *user, uint64_t mark);
};
struct guest_mirror *guest_mirror_new(const struct guest_mirror_ops *ops, void *user);
void guest_mirror_free(struct guest_mirror *g);

void guest_mirror_set(struct guest_mirror *g, const Hv__GuestSeen *seen);
/* It is gone: what was said of it is over. */
void guest_mirror_forget(struct guest_mirror *g, const char *uuid);
/* It was reset by us: what was said is over but how often its own devices have done so. */
void guest_mirror_reset(struct guest_mirror *g, const char *uuid);
/* hypervisord is gone, or its next one is there and says all anew. */
void guest_mirror_gone(struct guest_mirror *g);
void guest_mirror_back(struct guest_mirror *g);
/* Returns when to call again though nothing happened, 0: never. */
uint64_t guest_mirror_reconcile(struct guest_mirror *g, const struct cluster *c, hv_node_id self,
				uint64_t now_us);

#endif
