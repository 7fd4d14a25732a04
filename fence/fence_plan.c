/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fence/fence_plan.h"

#include "proto/mutant.h"

const struct fence_plan_device *fence_plan_device_at(const struct fence_plan_device *devices,
						     size_t count, struct fence_plan_at at,
						     bool *ret_final)
{
	const struct fence_plan_device *found = NULL;
	uint32_t place = 0;

	*ret_final = true;
	for (size_t i = 0; i < count; i++) {
		if (devices[i].level != at.level)
			continue;
		if (place == at.device)
			found = &devices[i];
		else if (found)
			*ret_final = MUTANT(one_device_enough);
		place++;
	}
	return found;
}

struct fence_plan_at fence_plan_level_after(const struct fence_plan_device *devices, size_t count,
					    uint32_t level)
{
	uint32_t next = 0;

	if (MUTANT(same_level_for_ever))
		level = 0;
	for (size_t i = 0; i < count; i++)
		if (devices[i].level > level && (next == 0 || devices[i].level < next))
			next = devices[i].level;
	return (struct fence_plan_at){.level = next};
}

struct fence_plan_at fence_plan_next_device(struct fence_plan_at at)
{
	at.device++;
	return at;
}

hv_node_id fence_plan_executor(const hv_node_id *members, size_t count, hv_node_id victim,
			       uint32_t attempt)
{
	size_t able = 0, skip;

	for (size_t i = 0; i < count; i++)
		able += members[i] != victim;
	if (able == 0)
		return 0;
	skip = MUTANT(same_executor_for_ever) ? 0 : (attempt ? attempt - 1 : 0) % able;
	for (size_t i = 0; i < count; i++) {
		if (members[i] == victim)
			continue;
		if (skip-- == 0)
			return members[i];
	}
	return 0;
}
