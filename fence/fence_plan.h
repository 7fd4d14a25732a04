/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fence_plan.h - which device fences a victim next, and who runs its agent.
 *
 * PURE. A victim's devices stand in levels. All devices of a level must succeed, one after the
 * other (two power supplies: both off, then proven); when one fails, the next level is tried from
 * its first device. After the last level the round is over: a pause, then again from the first.
 *
 *     level 1: bmc            fails -> level 2
 *     level 2: pdu-a, pdu-b   both must succeed; pdu-b's success is the proof
 */
#ifndef HV_FENCE_FENCE_PLAN_H
#define HV_FENCE_FENCE_PLAN_H

#include "proto/ids.h"

#include <stdbool.h>
#include <stddef.h>

/* The pseudo device of a node that resets itself (resource/watchdog.h): its last level. */
#define FENCE_PLAN_WATCHDOG "watchdog"
#define FENCE_PLAN_WATCHDOG_LEVEL (HV_MAX_FENCE_LEVELS + 1)

/* Of a list in order of (level, name). */
struct fence_plan_device {
	const char *name;
	uint32_t level;
};
/* Where a victim's fencing stands: level 0 is "not begun, or the round is over". */
struct fence_plan_at {
	uint32_t level;
	uint32_t device; /* place within the level, from 0 */
};

/* The device at this position, NULL if there is none (the list changed). *ret_final: the last of
 * its level. */
const struct fence_plan_device *fence_plan_device_at(const struct fence_plan_device *devices,
						     size_t count, struct fence_plan_at at,
						     bool *ret_final);
/* The first device of the first level above `level`; level 0 when there is none. */
struct fence_plan_at fence_plan_level_after(const struct fence_plan_device *devices, size_t count,
					    uint32_t level);
/* After a device succeeded that was not the last of its level. */
struct fence_plan_at fence_plan_next_device(struct fence_plan_at at);
/*
 * The member that runs the agent: the lowest id that is not the victim; with each attempt (from 1)
 * the next one. 0: there is none.
 */
hv_node_id fence_plan_executor(const hv_node_id *members, size_t count, hv_node_id victim,
			       uint32_t attempt);

#endif
