/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fence/timing.h"

#include <criterion/criterion.h>

static const struct timing usual = {.watchdog_ms = 5000, .lease_ms = 2000};

Test(timing, the_worked_example)
{
	cr_assert_eq(timing_deadline_us(&usual), 13700 * HV_US_PER_MS);
}

Test(timing, without_a_watchdog_time_proves_nothing)
{
	struct timing none = {.lease_ms = 2000};

	cr_assert_eq(timing_deadline_us(&none), 0);
}

Test(timing, a_quorum_device_is_waited_for)
{
	struct timing t = {.watchdog_ms = 5000, .lease_ms = 2000, .device_ms = 40000};

	cr_assert_eq(timing_deadline_us(&t), 57700 * HV_US_PER_MS);
	cr_assert_null(timing_wrong(&t, 500, 600));
}

Test(timing, every_length_that_is_allowed_covers_the_worst_clocks)
{
	for (uint32_t lease = 500; lease <= 20000; lease += 100)
		for (uint32_t t = lease + TIMING_FEED_MARGIN_MS;
		     TIMING_LEFT_MS(t, lease, 0) <= TIMING_LONGEST_MS; t += 100)
			cr_assert_geq(TIMING_DEADLINE_MS(t, lease, 0),
				      TIMING_WORST_MS(TIMING_LEFT_MS(t, lease, 0)) + 100);
}

Test(timing, a_lease_outlasts_a_ring_that_forms_anew)
{
	struct timing t = usual;

	cr_assert_null(timing_wrong(&t, 500, 600));
	cr_assert_not_null(timing_wrong(&t, 1000, 1200), "2.2 s");
	t.lease_ms = timing_least_lease_ms(1000, 1200);
	cr_assert_eq(t.lease_ms, 2700);
	cr_assert_null(timing_wrong(&t, 1000, 1200));
	cr_assert_eq(timing_least_lease_ms(1650, 1980), 4200, "in tenths, upwards");
}

Test(timing, the_watchdog_waits_longer_than_the_lease)
{
	struct timing t = usual;

	t.watchdog_ms = 2999;
	cr_assert_not_null(timing_wrong(&t, 500, 600));
	t.watchdog_ms = 3000;
	cr_assert_null(timing_wrong(&t, 500, 600));
	t.watchdog_ms = 40000;
	cr_assert_not_null(timing_wrong(&t, 500, 600), "two clocks would differ by too much");
}

Test(timing, a_ring_may_stand_for_more_than_two_pauses_of_a_token_each)
{
	for (uint32_t token = 100; token <= 10000; token += 100) {
		uint32_t lease = timing_least_lease_ms(token, token + token / 5);
		uint32_t watchdog = lease + TIMING_FEED_MARGIN_MS;

		if (TIMING_LEFT_MS(watchdog, lease, 0) <= TIMING_LONGEST_MS)
			cr_assert_gt(TIMING_STAND_MS(watchdog, lease, token), 2 * token, "token %u",
				     token);
	}
}

Test(timing, who_is_silent_is_not_left_before_consensus_by_any_clock)
{
	cr_assert_eq(timing_left_us(1200), 1085000);
	cr_assert_leq(timing_left_us(600) * 105, 600000 * 95);
}

Test(timing, a_lease_lasts_until_the_heartbeat_after_the_next)
{
	struct timing t = {.watchdog_ms = 5000, .lease_ms = timing_least_lease_ms(100, 120)};

	cr_assert_eq(t.lease_ms, 1200);
	cr_assert_null(timing_wrong(&t, 100, 120));
	t.lease_ms = 1100;
	cr_assert_not_null(timing_wrong(&t, 100, 120));
}
