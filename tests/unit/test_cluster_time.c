/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/cluster_time.h"

#include <criterion/criterion.h>

Test(cluster_time, it_runs_on_at_this_hosts_speed)
{
	struct cluster_time t = {0};

	cluster_time_installed(&t, 50000, 7000);
	cr_assert_eq(cluster_time_at(&t, 7000), 50000);
	cr_assert_eq(cluster_time_at(&t, 9500), 52500);
}

Test(cluster_time, the_greatest_estimate_counts_and_it_never_goes_back)
{
	struct cluster_time t = {0};

	cluster_time_installed(&t, 50000, 7000);
	cluster_time_applied(&t, 53000, 9500); /* somebody was ahead */
	cr_assert_eq(cluster_time_at(&t, 9500), 53000);
	cluster_time_applied(&t, 53100, 10000); /* somebody is behind: we are at 53500 */
	cr_assert_eq(cluster_time_at(&t, 10000), 53500);
}

Test(cluster_time, a_new_state_may_set_it_back)
{
	struct cluster_time t = {0};

	cluster_time_installed(&t, 50000, 7000);
	cluster_time_installed(&t, 20000, 8000);
	cr_assert_eq(cluster_time_at(&t, 8000), 20000);
}

Test(cluster_time, a_call_that_began_before_the_last_event_has_its_place)
{
	struct cluster_time t = {0};

	cluster_time_installed(&t, 50000, 7000);
	cr_assert_eq(cluster_time_at(&t, 6000), 49000);
}

Test(cluster_time, it_is_never_the_zero_that_means_none)
{
	struct cluster_time t = {0};

	cr_assert_eq(cluster_time_at(&t, 0), 1);
	cluster_time_installed(&t, 10, 7000);
	cr_assert_eq(cluster_time_at(&t, 0), 1);
}
