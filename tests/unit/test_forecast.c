/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/forecast.h"

#include <criterion/criterion.h>

static struct node_list nodes;
static struct node_set all;

static struct vote_info of(size_t n, uint32_t device)
{
	struct vote_info info = {.known = true,
				 .expected = (uint32_t)n + device,
				 .device = device > 0,
				 .device_votes = device > 0,
				 .device_has = device};

	nodes.n = all.n = 0;
	for (size_t i = 0; i < n; i++) {
		nodes.nodes[nodes.n++] = (struct rl_node_cfg){(hv_node_id)i + 1, 1};
		node_set_add(&all, (hv_node_id)i + 1);
	}
	info.quorum = info.expected / 2 + 1;
	return info;
}

static unsigned may_lose(const struct vote_info *info)
{
	return forecast_may_lose(info, &nodes, &all);
}

Test(forecast, a_majority_may_lose_less_than_half)
{
	static const unsigned expected[] = {0, 0, 0, 1, 1, 2, 2, 3, 3, 4};

	for (size_t n = 1; n < ARRAY_SIZE(expected); n++) {
		struct vote_info info = of(n, 0);

		cr_assert_eq(may_lose(&info), expected[n], "%zu nodes", n);
	}
}

Test(forecast, one_of_three_is_gone_already)
{
	struct vote_info info = of(3, 0);

	node_set_remove(&all, 2);
	cr_assert_eq(may_lose(&info), 0);
	cr_assert_not(forecast_loss(&info, &nodes, &all, 1).quorate);
}

Test(forecast, two_nodes_go_on_alone_but_behind_the_barrier)
{
	struct vote_info info = of(2, 0);
	struct forecast f;

	info.two_node = true;
	info.quorum = 1;
	f = forecast_loss(&info, &nodes, &all, 1);
	cr_assert(f.quorate && f.minority);
	cr_assert_eq(may_lose(&info), 1);
}

Test(forecast, a_device_stays_with_those_who_are_left)
{
	struct vote_info info = of(2, 1);
	struct forecast f = forecast_loss(&info, &nodes, &all, 2);

	cr_assert(f.quorate && f.minority);
	f = forecast_loss(&info, &nodes, &all, 0);
	cr_assert(f.quorate && !f.minority, "both nodes are enough without it");
	cr_assert_eq(may_lose(&info), 1);
	info.device_votes = false;
	cr_assert_eq(may_lose(&info), 0);
	cr_assert_not(forecast_loss(&info, &nodes, &all, 2).quorate);
}

Test(forecast, four_nodes_and_a_device_may_lose_two)
{
	struct vote_info info = of(4, 1);

	cr_assert_eq(may_lose(&info), 2);
	cr_assert_not(forecast_loss(&info, &nodes, &all, 1).minority);
}

Test(forecast, the_last_men_are_two)
{
	struct vote_info info = of(5, 0);

	info.last_man_standing = true;
	cr_assert_eq(may_lose(&info), 3, "one after the other");
	cr_assert(forecast_loss(&info, &nodes, &all, 1).quorate);
}

Test(forecast, half_is_enough_with_the_lowest_node)
{
	struct vote_info info = of(4, 0);

	info.auto_tie_breaker = true;
	cr_assert_eq(may_lose(&info), 1, "the other half may be the one that is left");
	node_set_remove(&all, 4);
	cr_assert(forecast_loss(&info, &nodes, &all, 3).quorate);
	cr_assert_not(forecast_loss(&info, &nodes, &all, 1).quorate);
}

Test(forecast, votes_that_are_not_equal_count_by_the_worst)
{
	struct vote_info info = of(3, 0);

	nodes.nodes[1].votes = 3;
	info.expected = 5;
	info.quorum = 3;
	cr_assert_eq(may_lose(&info), 0);
	cr_assert(forecast_loss(&info, &nodes, &all, 1).quorate);
	cr_assert_not(forecast_loss(&info, &nodes, &all, 2).quorate);
}

Test(forecast, nothing_is_said_of_what_is_not_known)
{
	struct vote_info info = of(3, 0);

	info.known = false;
	cr_assert_eq(may_lose(&info), 0);
}
