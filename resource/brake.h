/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * brake.h - what keeps a cluster from switching itself off, host by host.
 *
 * PURE. Two brakes, both by cluster time:
 *
 *   window      at most half of the configured nodes (rounded down, at least 1) are fenced within
 *               fence_window_s, those that are being fenced counted. The next one waits, LOST and
 *               with its reason, until there is room, an administrator says that it is off (fence
 *               confirm), or says that it is to be fenced all the same (node fence).
 *   quarantine  a node that was fenced quarantine_fences times within an hour may join, vote and
 *               run agents, and is given no VMs until quarantine_s has passed or it is released.
 *
 * A fence counts when it was proven by a device: an administrator's word does not.
 */
#ifndef HV_RESOURCE_BRAKE_H
#define HV_RESOURCE_BRAKE_H

#include "resource/cluster_priv.h"

/* A LOST node that is about to be fenced: must it wait? Then its reason and deadline are set. */
bool brake_holds(struct cluster *c, struct node *n);
/* A device has proven it off. */
void brake_count(struct cluster *c, struct node *n);
/* Its quarantine ends, if it has one. */
void brake_release(struct cluster *c, struct node *n, struct why why);
/* Is its quarantine's time over? */
void brake_settle(struct cluster *c, struct node *n);

#endif
