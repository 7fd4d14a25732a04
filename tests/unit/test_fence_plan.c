/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fence/fence_plan.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct fence_plan_device devices[] = {{"bmc", 1}, {"pdu-a", 3}, {"pdu-b", 3}};

Test(fence_plan, levels_are_visited_in_order_and_gaps_do_not_matter)
{
	cr_assert_eq(fence_plan_level_after(devices, 3, 0).level, 1);
	cr_assert_eq(fence_plan_level_after(devices, 3, 1).level, 3);
	cr_assert_eq(fence_plan_level_after(devices, 3, 3).level, 0);
	cr_assert_eq(fence_plan_level_after(devices, 0, 0).level, 0);
}

Test(fence_plan, only_the_last_device_of_a_level_is_final)
{
	struct fence_plan_at at = fence_plan_level_after(devices, 3, 1);
	bool final;

	cr_assert_str_eq(fence_plan_device_at(devices, 3, at, &final)->name, "pdu-a");
	cr_assert(!final);
	at = fence_plan_next_device(at);
	cr_assert_str_eq(fence_plan_device_at(devices, 3, at, &final)->name, "pdu-b");
	cr_assert(final);
	at = fence_plan_next_device(at);
	cr_assert_null(fence_plan_device_at(devices, 3, at, &final));
}

Test(fence_plan, executors_take_turns_and_the_victim_is_never_one)
{
	static const hv_node_id members[] = {1, 2, 4};

	cr_assert_eq(fence_plan_executor(members, 3, 1, 1), 2);
	cr_assert_eq(fence_plan_executor(members, 3, 1, 2), 4);
	cr_assert_eq(fence_plan_executor(members, 3, 1, 3), 2);
	cr_assert_eq(fence_plan_executor(members, 3, 9, 1), 1);
	cr_assert_eq(fence_plan_executor(members, 1, 1, 1), 0);
	cr_assert_eq(fence_plan_executor(members, 0, 1, 1), 0);
}
