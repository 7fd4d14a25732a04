/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unfence.h - devices that must be told `on` before a node may hold VMs.
 *
 * PURE. A device that cuts a node off from its storage (fence_scsi, a switch's port) leaves it cut
 * off when it comes back. Those marked `unfence` are told `on`, one after the other, by the node
 * itself (fence_scsi can only be), when it is online, whenever it has booted or was proven off
 * since, and when the device is new. Until all of them are, node_takes_vms() says no. A failure is
 * tried again after a pause, without an end.
 */
#ifndef HV_RESOURCE_UNFENCE_H
#define HV_RESOURCE_UNFENCE_H

#include "resource/cluster_priv.h"

/* It has booted, or was proven off: all over again. */
void unfence_due(struct cluster *c, struct node *n);
void unfence_settle(struct cluster *c, struct node *n);
void unfence_result(struct cluster *c, struct operation *op, const Hv__OpResult *res);
/* Its operation was ended otherwise. */
void unfence_ended(struct cluster *c, struct node *n, const struct operation *op);
/* When unfence_settle() has something to do, 0: not by time. */
uint64_t unfence_deadline_us(const struct cluster *c, const struct node *n);

#endif
