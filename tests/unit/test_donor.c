/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose log a view goes on with when some have more of a minority epoch than others: what was
 * answered there is not taken away (doc/protocol.md, "Donor").
 */
#include "tests/unit/rack.h"

#include <criterion/criterion.h>

static struct rack r;

static void cleanup(void)
{
	rack_done(&r);
}

static const struct rl_status *status(hv_node_id id)
{
	return rl_status(rack_node(&r, id)->log);
}

/*
 * Three of six and a device lift their barrier. One of them stands still, the others commit "b",
 * say so, and go on without it, behind a barrier again. It comes back: active without a break since
 * the barrier was lifted, and without "b".
 */
static void one_stands_still(void)
{
	rack_init(&r, 6);
	r.device_votes = 5;
	rack_view(&r, 1, 2, 3, 4, 5, 6, 0);
	rack_settle(&r);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	for (hv_node_id id = 4; id <= 6; id++) {
		rack_fenced(&r, 1, id);
		rack_settle(&r);
	}
	cr_assert(status(1)->minority);
	cr_assert_eq(status(3)->barrier, 0);
	rack_propose(&r, 1, "a");
	rack_settle(&r);
	rack_node(&r, 3)->paused = true;
	rack_propose(&r, 1, "b");
	rack_settle(&r);
	cr_assert_str_eq(rack_node(&r, 1)->text, "a b ");
	cr_assert_str_eq(rack_node(&r, 3)->text, "a ");
	rack_pass(&r, 5000000);
	cr_assert_eq(status(2)->phase, RL_ACTIVE);
	cr_assert_eq(status(2)->barrier, 4, "also for the one that stands still");
}

Test(donor, who_stood_still_takes_nothing_away, .fini = cleanup)
{
	one_stands_still();
	rack_node(&r, 3)->paused = false;
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	for (hv_node_id id = 1; id <= 3; id++) {
		cr_assert_eq(status(id)->phase, RL_ACTIVE);
		cr_assert_str_eq(rack_node(&r, id)->text, "a b ");
	}
}

/* With the last of the three that has "b": it alone is the better one. */
Test(donor, one_that_has_more_is_enough, .fini = cleanup)
{
	one_stands_still();
	rack_crash(&r, 1);
	rack_node(&r, 3)->paused = false;
	rack_view(&r, 2, 3, 0);
	rack_settle(&r);
	rack_pass(&r, 5000000);
	for (hv_node_id id = 2; id <= 3; id++) {
		cr_assert_eq(status(id)->phase, RL_ACTIVE);
		cr_assert_str_eq(rack_node(&r, id)->text, "a b ");
	}
}

/*
 * Three of four, of which one has a new disk: a minority by what is remembered. What two of them
 * and a device's vote would commit, the third and the fourth could lead without.
 */
Test(donor, a_new_disk_makes_no_majority_of_two, .fini = cleanup)
{
	rack_init(&r, 4);
	r.device_votes = 1;
	rack_view(&r, 1, 2, 3, 4, 0);
	rack_settle(&r);
	rack_view(&r, 2, 3, 0);
	rack_settle(&r);
	rack_fenced(&r, 2, 1);
	rack_fenced(&r, 3, 4);
	rack_settle(&r);
	rack_crash(&r, 1);
	rack_node(&r, 1)->damaged = true;
	rack_boot(&r, 1);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	cr_assert_eq(status(2)->phase, RL_ACTIVE);
	cr_assert(status(2)->minority);
	rack_crash(&r, 4);
	rack_fenced(&r, 2, 4);
	rack_settle(&r);
	cr_assert_eq(status(2)->barrier, 0);
	cr_assert_eq(rack_propose(&r, 2, "x"), HV_OK);
	rack_settle(&r);
	cr_assert_str_eq(rack_node(&r, 2)->text, "x ", "on three of four disks");
	rack_node(&r, 3)->disk_stuck = true;
	cr_assert_eq(rack_propose(&r, 2, "y"), HV_OK);
	rack_settle(&r);
	cr_assert_str_eq(rack_node(&r, 2)->text, "x ", "on two of four");
}
