/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * failover.h - the phases of each fail-over with their times, for `report failover`.
 *
 * PURE. A record is opened when a node is lost that something depends on, and is done when each of
 * its VMs runs again (or will not), or the node came back before it was fenced. It is a report:
 * no decision looks at it.
 */
#ifndef HV_RESOURCE_FAILOVER_H
#define HV_RESOURCE_FAILOVER_H

#include "resource/cluster_priv.h"

/* The node is lost: a record with all VMs it owns. detected_us 0: now. */
void failover_open(struct cluster *c, const struct node *victim, uint64_t detected_us);
/* The first event after the view was committed tells when that was. */
void failover_see_commit(struct cluster *c, uint64_t at_us);
void failover_fence_ran(struct cluster *c, hv_node_id victim, uint64_t began_us, uint64_t ended_us);
void failover_proven(struct cluster *c, hv_node_id victim, const char *proof);
/* It came back, or nothing depends on it: the record ends with what is known. */
void failover_over(struct cluster *c, hv_node_id victim, const char *how);
/* One of its VMs (vm->recover_from tells of which record): placed, its start ended, it runs, it
 * will not. */
void failover_vm_placed(struct cluster *c, const struct vm *vm);
void failover_vm_tried(struct cluster *c, const struct vm *vm, const Hv__OpResult *res);
void failover_vm_settled(struct cluster *c, const struct vm *vm, bool running, enum hv_rc rc);

#endif
