/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arm.h - hands off the whole cluster, and on again.
 *
 * PURE. Disarmed, the cluster watches and begins nothing: no fence, no start, no stop, no move.
 * What executors are at is finished: a migration's target is resumed, copies that belong nowhere
 * are destroyed. A node that goes is LOST and waits. What happens to VMs meanwhile is followed.
 * With `ignore` an administrator may start, stop and move guests by hand, also those of a lost
 * node: nothing that he has begun is touched.
 *
 *     ARMED --disarm--> DISARMED_FREEZE --arm--> ARMED
 *     ARMED --disarm--> DISARMED_IGNORE --arm--> ARMING --> ARMED
 *
 * ARMING asks every node what it runs, and acts when they have told, or ARM_PATIENCE_US later: what
 * was done by hand a moment ago is known before anything is started.
 */
#ifndef HV_RESOURCE_ARM_H
#define HV_RESOURCE_ARM_H

#include "resource/cluster_priv.h"

#define ARM_PATIENCE_US (15 * HV_US_PER_S)

static inline bool is_armed(const struct cluster *c)
{
	return c->arm == ARMED;
}
/* Is someone at work by hand? */
static inline bool is_left_alone(const struct cluster *c)
{
	return c->arm == DISARMED_IGNORE || c->arm == ARMING;
}
void arm_disarm(struct cluster *c, bool ignore, const char *actor);
void arm_arm(struct cluster *c, const char *actor);
/* ARMING: have all told? */
void arm_settle(struct cluster *c);

#endif
