/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fencing.h - which lost node is fenced, by what, and what its outcome means.
 *
 * PURE. A lost node is fenced when something depends on it: it owns VMs, may hold a copy, is a
 * migration's target, carries the barrier of a minority, or its fencing is asked for
 * (node_want_fence(); setting fence_lost=always: in any case). Only fencing goes on behind a
 * barrier. The order of devices is fence/fence_plan.h's; how long one waits before it is used,
 * fence_delay.h's; whether it may be used now, brake.h's.
 *
 * What proves it off: a level whose devices have all done it. Some only wait (fence_sbd: the poison
 * was written, msgwait has passed; a watchdog: time has), and where seeing is demanded, by the
 * setting fence_proof for all or by node->seen_levels for one level, such a level is no proof: the
 * next one is tried, and in the end an administrator has to look.
 */
#ifndef HV_RESOURCE_FENCING_H
#define HV_RESOURCE_FENCING_H

#include "resource/cluster_priv.h"

bool fencing_needed(const struct cluster *c, const struct node *n);
/* Look at a LOST node: fence it, wait for its deadline, or find that nothing depends on it. */
void fencing_settle(struct cluster *c, struct node *n);
void fencing_result(struct cluster *c, struct operation *op, const Hv__OpResult *res);
/* The executor of this FENCE operation is no member any more. */
void fencing_executor_lost(struct cluster *c, struct operation *op);
/* Where its fencing stands is forgotten: it is lost anew, or not any more. */
void fencing_begin_anew(struct node *n);
/* The victim came back as a member: what comes of the agent now is no proof. */
void fencing_call_off(struct cluster *c, struct node *n);
/* It is a member again: it feeds its watchdog. Devices go on if it is to be fenced. */
void fencing_time_is_no_proof(struct cluster *c, struct node *n);
/* The administrator's word. */
void fencing_confirm(struct cluster *c, struct node *n, const char *actor);
/* Who runs an agent against `victim`: 0 when no other member is there. */
hv_node_id fencing_executor(const struct cluster *c, hv_node_id victim, uint32_t attempt);
/* What this level of its devices demands is changed; what is under way is judged by it. */
void fencing_demand(struct cluster *c, struct node *n, uint32_t level, bool seen,
		    const char *actor);
/* The last lost node of a minority is proven off: everything that waited is looked at. */
void barrier_lifted(struct cluster *c);

#endif
