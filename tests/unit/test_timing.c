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
