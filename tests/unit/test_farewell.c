/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/farewell.h"

#include <criterion/criterion.h>

Test(farewell, systemds_jobs_tell_whether_the_host_goes_down)
{
	cr_assert_eq(farewell_read_jobs("1201 reboot.target start waiting\n"
					"1188 clusterd.service stop running\n"),
		     NODE_REBOOTS);
	cr_assert_eq(farewell_read_jobs("77 poweroff.target start waiting\n"), NODE_SHUTS_DOWN);
	cr_assert_eq(farewell_read_jobs("77 kexec.target start waiting\n"), NODE_REBOOTS);
	cr_assert_eq(farewell_read_jobs("12 shutdown.target start waiting\n"), NODE_SHUTS_DOWN);
}

Test(farewell, a_daemon_that_is_restarted_is_no_farewell)
{
	cr_assert_eq(farewell_read_jobs("88 clusterd.service restart running\n"), NODE_STAYS);
	cr_assert_eq(farewell_read_jobs(""), NODE_STAYS);
}
