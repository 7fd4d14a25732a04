/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a domain's latest life ended, by libvirt's log of it. */
#include "hypervisor/domain_log.h"

#include <criterion/criterion.h>
#include <string.h>

#define AT "2026-01-01 10:00:00.000+0000: "

static bool left(const char *text)
{
	return domain_log_says_left(text, strlen(text));
}

Test(domain_log, the_last_life_counts)
{
	cr_assert(
	    left(AT "starting up libvirt version: 9.0.0\n" AT "shutting down, reason=migrated\n"));
	cr_assert_not(
	    left(AT "shutting down, reason=migrated\n" AT "starting up libvirt version: 9.0.0\n"));
	cr_assert_not(left(AT "shutting down, reason=migrated\n" AT
			      "starting up libvirt version: 9.0.0\n" AT
			      "shutting down, reason=shutdown\n"));
	cr_assert(left(AT "shutting down, reason=crashed\n" AT "starting up\nqemu: warning\n" AT
			  "shutting down, reason=migrated"));
}

Test(domain_log, every_other_end_is_none)
{
	static const char *const reasons[] = {"unknown", "shutdown", "destroyed", "crashed",
					      "saved",	 "failed",   "daemon",	  "migratedx",
					      "migrate", ""};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		_cleanup_free_ char *text =
		    hv_xasprintf(AT "shutting down, reason=%s\n", reasons[i]);

		cr_assert_not(left(text), "%s", reasons[i]);
	}
	cr_assert_not(left(""));
	cr_assert_not(left("\n\n"));
}

Test(domain_log, what_qemu_prints_does_not_count)
{
	cr_assert_not(left("shutting down, reason=migrated\n"));
	cr_assert_not(left("guest says: " AT "shutting down, reason=migrated\n"));
	cr_assert_not(left("2026-01-01 10:00:00.000: shutting down, reason=migrated\n"));
	cr_assert_not(left(AT "says shutting down, reason=migrated\n"));
}

Test(domain_log, no_log_is_no_word)
{
	cr_assert_not(domain_log_left("there-is-no-such-vm"));
	cr_assert_not(domain_log_left("../../../etc/passwd"));
	cr_assert_not(domain_log_left(""));
}
