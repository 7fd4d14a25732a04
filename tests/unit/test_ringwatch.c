/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/ringwatch.h"

#include <criterion/criterion.h>

#define S 1000000ULL
#define MS 1000ULL

static struct ringwatch w;
static uint64_t seq;

static void begin(void)
{
	struct ringwatch_cfg cfg = ringwatch_preset(1000);

	ringwatch_init(&w, &cfg);
}

/* Node 1 forms a ring with these; what it is told a moment later. true: down. */
static bool ring_of(uint64_t at_us, size_t n, bool quorate)
{
	static const hv_node_id ids[] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct rl_ring ring = {1, seq += 4};

	ringwatch_ring(&w, at_us, ring, ids, n);
	ringwatch_votes(&w, at_us + MS, ring, quorate);
	return ringwatch_step(&w, at_us + 2 * MS, at_us);
}

/* As the lab shows it: three rings, one every 1.2 s. Returns when it is over. */
static uint64_t loss_at(uint64_t t)
{
	cr_assert_not(ring_of(t, 1, false));
	cr_assert_not(ring_of(t + 1200 * MS, 1, false));
	cr_assert(ring_of(t + 2400 * MS, 1, false));
	return t + 2402 * MS;
}

TestSuite(ringwatch, .init = begin);

Test(ringwatch, the_third_ring_without_quorum_takes_corosync_down)
{
	cr_assert_not(ring_of(100 * S, 3, true));
	loss_at(103 * S);
}

Test(ringwatch, the_second_ring_does_it_when_it_comes_late)
{
	cr_assert_not(ring_of(100 * S, 3, true));
	cr_assert_not(ring_of(104300 * MS, 1, false));
	cr_assert(ring_of(107500 * MS, 1, false));
}

Test(ringwatch, a_host_with_quorum_never_does)
{
	for (uint64_t t = 100; t < 200; t++)
		cr_assert_not(ring_of(t * S, t % 3 ? 3 : 2, true));
	cr_assert_eq(ringwatch_due_us(&w, 200 * S, 200 * S), 0);
}

Test(ringwatch, quorum_in_between_begins_the_count_anew)
{
	for (uint64_t t = 100; t < 200; t += 3) {
		cr_assert_not(ring_of(t * S, 1, false));
		cr_assert_not(ring_of((t + 1) * S, 1, false));
		cr_assert_not(ring_of((t + 2) * S, 3, true));
	}
}

Test(ringwatch, a_host_that_is_simply_alone_stays)
{
	cr_assert_not(ring_of(100 * S, 1, false));
	for (uint64_t t = 101; t < 500; t++)
		cr_assert_not(ringwatch_step(&w, t * S, 100 * S));
}

Test(ringwatch, the_same_ring_told_again_is_no_new_one)
{
	const hv_node_id self = 1;

	for (uint64_t i = 0; i < 10; i++)
		ringwatch_ring(&w, (100 + i) * S, (struct rl_ring){1, 8}, &self, 1);
	cr_assert_not(ringwatch_step(&w, 110 * S, 110 * S));
}

Test(ringwatch, hosts_that_boot_one_after_the_other_do_not_disturb)
{
	for (size_t n = 1; n <= 4; n++)
		cr_assert_not(ring_of((100 + n) * S, n, false));
	cr_assert_not(ring_of(106 * S, 5, true));
}

Test(ringwatch, rings_that_are_far_apart_do_not_count)
{
	for (uint64_t t = 100; t < 300; t += 11)
		cr_assert_not(ring_of(t * S, 1, false));
}

Test(ringwatch, whoever_hears_nothing_of_itself_goes_with_the_second_ring)
{
	const hv_node_id self = 1;
	uint64_t heard = 100 * S;

	ringwatch_votes(&w, 100 * S, (struct rl_ring){1, 4}, false);
	ringwatch_ring(&w, 101 * S, (struct rl_ring){1, 8}, &self, 1);
	ringwatch_ring(&w, 102 * S, (struct rl_ring){1, 12}, &self, 1);
	cr_assert_not(ringwatch_step(&w, 103 * S, heard));
	cr_assert_eq(ringwatch_due_us(&w, 103 * S, heard), 103 * S + 1);
	cr_assert(ringwatch_step(&w, 103 * S + 1, heard));
}

Test(ringwatch, an_answer_that_comes_before_the_ring_counts_for_it)
{
	const hv_node_id both[] = {1, 2};

	for (uint64_t i = 0; i < 5; i++) {
		struct rl_ring ring = {1, 100 + i};

		ringwatch_votes(&w, (100 + i) * S, ring, true);
		ringwatch_ring(&w, (100 + i) * S + MS, ring, both, 2);
		cr_assert_not(ringwatch_step(&w, (100 + i) * S + MS, 0));
	}
	cr_assert_eq(w.n_formed, 0);
}

Test(ringwatch, pauses_grow_up_to_two_minutes)
{
	static const uint64_t pauses[] = {5, 10, 20, 40, 80, 120, 120};
	uint64_t t = loss_at(100 * S);

	for (size_t i = 0; i < ARRAY_SIZE(pauses); i++) {
		cr_assert_eq(ringwatch_due_us(&w, t, 0), t + pauses[i] * S);
		cr_assert(ringwatch_step(&w, t + pauses[i] * S - 1, 0));
		t += pauses[i] * S;
		cr_assert_not(ringwatch_step(&w, t, 0), "it returns");
		cr_assert_not(ring_of(t + S, 1, false));
		cr_assert(ring_of(t + 2200 * MS, 1, false), "in vain: with the second ring");
		t += 2202 * MS;
	}
}

Test(ringwatch, quorate_for_a_minute_all_is_forgotten)
{
	uint64_t t = loss_at(100 * S) + 5 * S;

	cr_assert_not(ringwatch_step(&w, t, 0));
	cr_assert_not(ring_of(t, 1, false));
	cr_assert_not(ring_of(t + S, 3, true));
	cr_assert_eq(ringwatch_due_us(&w, t + S, 0), t + 61 * S + MS);
	cr_assert_not(ringwatch_step(&w, t + 61 * S + MS, 0));
	cr_assert_eq(w.state, RINGWATCH_WATCHING);
	t = loss_at(t + 100 * S);
	cr_assert_eq(ringwatch_due_us(&w, t, 0), t + 5 * S, "pauses begin anew");
}

Test(ringwatch, quorate_for_a_moment_is_not_enough)
{
	uint64_t t = loss_at(100 * S) + 5 * S;

	ringwatch_step(&w, t, 0);
	cr_assert_not(ring_of(t + S, 3, true));
	cr_assert_not(ring_of(t + 20 * S, 1, false));
	cr_assert(ring_of(t + 21 * S, 1, false));
	cr_assert_eq(ringwatch_due_us(&w, t, 0), t + 21 * S + 2 * MS + 10 * S);
}

Test(ringwatch, whoever_starts_corosync_meanwhile_is_right)
{
	uint64_t t = loss_at(100 * S);

	ringwatch_came_up(&w);
	cr_assert_not(ringwatch_step(&w, t + S, t));
	cr_assert_not(ring_of(t + 2 * S, 1, false));
	cr_assert(ring_of(t + 3 * S, 1, false));
}

Test(ringwatch, slow_tokens_have_a_longer_window)
{
	struct ringwatch_cfg cfg = ringwatch_preset(10000);

	ringwatch_init(&w, &cfg);
	cr_assert_not(ring_of(100 * S, 1, false));
	cr_assert_not(ring_of(112 * S, 1, false));
	cr_assert(ring_of(124 * S, 1, false));
	cr_assert_eq(ringwatch_preset(0).window_us, 10 * S);
}
