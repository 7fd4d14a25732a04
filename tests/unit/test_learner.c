/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A member whose disk does not take the log: it follows without a vote beside a majority of the
 * others, and is left out where they are none (doc/protocol.md, "Learners").
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

static void start(size_t n)
{
	rack_init(&r, n);
	r.two_node = n == 2;
	if (n == 2)
		rack_view(&r, 1, 2, 0);
	else
		rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
}

static void fail(hv_node_id id)
{
	rack_node(&r, id)->disk_stuck = true;
	rack_input(&r, id, &(struct rl_input){.kind = RL_IN_WRITE_FAILED});
	rack_settle(&r);
}

static void eq_learner(hv_node_id of, hv_node_id learner)
{
	cr_assert_eq(status(of)->phase, RL_ACTIVE);
	cr_assert_eq(status(of)->n_learners, 1);
	cr_assert_eq(status(of)->learners[0], learner);
	cr_assert_eq(status(of)->n_members, 3);
}

Test(learner, a_failed_disk_is_said_at_once_and_its_node_follows, .fini = cleanup)
{
	start(3);
	fail(1);
	cr_assert(status(1)->disk_failed);
	for (hv_node_id id = 1; id <= 3; id++)
		eq_learner(id, 1);
	rack_propose(&r, 2, "a");
	rack_propose(&r, 1, "b");
	rack_settle(&r);
	for (hv_node_id id = 1; id <= 3; id++)
		cr_assert_str_eq(rack_node(&r, id)->text, "a b ", "node %u", id);
	cr_assert_leq(status(2)->epoch.number, 2);
	rack_pass(&r, 5000000);
	cr_assert_leq(status(2)->epoch.number, 2, "nobody is left out for not acking");
}

Test(learner, a_disk_that_hangs_makes_one_before_it_is_left_out, .fini = cleanup)
{
	start(3);
	rack_node(&r, 3)->disk_stuck = true;
	rack_propose(&r, 2, "a");
	rack_pass(&r, 5000000);
	for (hv_node_id id = 1; id <= 3; id++) {
		eq_learner(id, 3);
		cr_assert_str_eq(rack_node(&r, id)->text, "a ", "node %u", id);
	}
	cr_assert_leq(status(1)->epoch.number, 2, "it does not come and go");
}

Test(learner, its_disk_counts_for_nothing, .fini = cleanup)
{
	start(3);
	fail(1);
	rack_node(&r, 2)->disk_stuck = true;
	rack_propose(&r, 3, "a");
	rack_pass(&r, 5000000);
	cr_assert_str_eq(rack_node(&r, 3)->text, "", "one disk of three commits nothing");
}

Test(learner, it_is_one_in_the_next_view_too_and_does_not_lead_it, .fini = cleanup)
{
	start(3);
	fail(1);
	rack_propose(&r, 2, "a");
	rack_settle(&r);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	for (hv_node_id id = 1; id <= 3; id++)
		eq_learner(id, 1);
	cr_assert_eq(status(1)->epoch.node, 2);
	rack_propose(&r, 1, "b");
	rack_settle(&r);
	cr_assert_str_eq(rack_node(&r, 1)->text, "a b ");
}

Test(learner, one_that_restarts_with_a_good_disk_has_its_vote_again, .fini = cleanup)
{
	start(3);
	fail(1);
	rack_propose(&r, 2, "a");
	rack_settle(&r);
	rack_crash(&r, 1);
	rack_node(&r, 1)->disk_stuck = false;
	rack_view(&r, 2, 3, 0);
	rack_settle(&r);
	rack_boot(&r, 1);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	cr_assert_eq(status(1)->phase, RL_ACTIVE);
	cr_assert_eq(status(2)->n_learners, 0);
	cr_assert_str_eq(rack_node(&r, 1)->text, "a ");
}

Test(learner, the_others_lose_one_more_and_it_does_not_help, .fini = cleanup)
{
	start(3);
	fail(3);
	rack_view(&r, 2, 3, 0);
	rack_pass(&r, 5000000);
	cr_assert_neq(status(2)->phase, RL_ACTIVE);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	eq_learner(3, 3);
}

Test(learner, it_may_not_lead_alone_later, .fini = cleanup)
{
	start(3);
	cr_assert(status(1)->caught_up);
	rack_node(&r, 1)->disk_stuck = true;
	rack_propose(&r, 2, "a");
	rack_pass(&r, 5000000);
	eq_learner(1, 1);
	cr_assert_not(status(1)->caught_up);
}

Test(learner, of_two_it_is_left_out, .fini = cleanup)
{
	start(2);
	fail(1);
	rack_propose(&r, 2, "a");
	rack_pass(&r, 5000000);
	cr_assert_eq(status(2)->n_learners, 0);
	cr_assert_neq(status(1)->phase, RL_ACTIVE, "the other is no majority without it");
}
