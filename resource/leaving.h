/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * leaving.h - hosts that go down on purpose: what becomes of their VMs (setting node_shutdown).
 *
 * PURE. An announced host takes no VM any more, and the cluster shuts down what it runs, or moves
 * it live first (`migrate`). The NODE_SHUTDOWN operation ends DONE when the node has reported
 * nothing of ours any more: it may go down. It ends FAILED with HELD when what is left can neither
 * go nor be stopped.
 *
 *     failover, migrate   a VM that was shut down is started elsewhere at once: its own node says
 *                         that it does not run, which is proof. The node then leaves OFFLINE.
 *     freeze              it becomes FROZEN and waits. Shut down, it belongs to no node (node 0)
 *                         and waits for vm->prefer. A host that vanishes before has it FROZEN on
 *                         it: nothing is proven, the node is LOST, but not fenced yet.
 *
 * FROZEN ends when the host has booted and reported (VMs start there again), when the announcement
 * is taken back, or after frozen_timeout_s: a node that is LOST then is fenced like any other. An
 * announcement proves nothing.
 */
#ifndef HV_RESOURCE_LEAVING_H
#define HV_RESOURCE_LEAVING_H

#include "resource/cluster_priv.h"

/* Announced, or announced otherwise. The operation to wait for, 0: too many operations. */
hv_op_id leaving_begin(struct cluster *c, struct node *n, bool reboot, const char *actor);
/* Taken back: what is frozen starts again. */
void leaving_cancel(struct cluster *c, struct node *n, const char *actor);
/* Shut down or move what is left there. */
void leaving_settle(struct cluster *c, struct node *n);
/* frozen_timeout_s: begins, ends. */
void leaving_timer(struct cluster *c, struct node *n);
/*
 * It is no member any more. True: it is OFFLINE as announced, or LOST with its VMs FROZEN; false:
 * it is lost like any other.
 */
bool leaving_left(struct cluster *c, struct node *n);
/* It came back from being off. Its VMs stay frozen until it has reported. */
void leaving_returned(struct cluster *c, struct node *n);
/* No VM is frozen for it any more. `back`: they start there again, else wherever there is room. */
void leaving_thaw(struct cluster *c, struct node *n, bool back);
/* It is not waited for any longer. */
void leaving_give_up(struct cluster *c, struct node *n);
/* Is a VM that ends there frozen? */
static inline bool leaving_freezes(const struct node *n)
{
	return n && n->frozen && n->leaving != NODE_STAYS;
}

#endif
