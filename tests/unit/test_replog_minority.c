/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The replicated log in minority epochs: two nodes, witnesses, barriers, lineages that are
 * discarded. */
#include "tests/unit/rack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct rack r;

static const struct rl_status *status(hv_node_id id)
{
	return rl_status(rack_node(&r, id)->log);
}

static void cleanup(void)
{
	rack_done(&r);
}

static void start(size_t n)
{
	rack_init(&r, n);
}

#define eq_text(id, want) cr_assert_str_eq(rack_node(&r, id)->text, want)

Test(replog_minority, a_minority_does_nothing, .fini = cleanup)
{
	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	rack_view(&r, 1, 0);
	rack_pass(&r, 3000000);
	cr_assert_eq(status(1)->phase, RL_NO_QUORUM);
	cr_assert_eq(rack_propose(&r, 1, "a"), HV_NO_QUORUM);
}

Test(replog_minority, two_nodes_alone_wait_behind_the_barrier_until_the_other_is_fenced,
     .fini = cleanup)
{
	r.two_node = true;
	start(2);
	r.two_node = true;
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	rack_propose(&r, 1, "a");
	rack_settle(&r);
	rack_crash(&r, 1);
	rack_view(&r, 2, 0);
	rack_settle(&r);
	cr_assert_eq(status(2)->phase, RL_ACTIVE);
	cr_assert(status(2)->minority);
	cr_assert_eq(status(2)->barrier, 1);
	cr_assert_eq(rack_propose(&r, 2, "b"), HV_REFUSED);
	cr_assert_eq(rack_fenced(&r, 2, 1), HV_OK);
	rack_settle(&r);
	cr_assert_eq(status(2)->barrier, 0);
	cr_assert_eq(rack_propose(&r, 2, "b"), HV_OK);
	rack_settle(&r);
	eq_text(2, "a b ");
	/* The fenced one comes back with its old log and takes ours. */
	rack_boot(&r, 1);
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	cr_assert_eq(status(1)->phase, RL_ACTIVE);
	cr_assert_not(status(1)->minority);
	eq_text(1, "a b ");
}

/*
 * Two nodes: node 2 alone proves node 1 off, but nobody applies it before node 1 is back, in an
 * epoch that node 2 promises and never sees begin. Alone again it must not take the old proof: node
 * 1 has acked that epoch's first entry and may lead alone.
 */
Test(replog_minority, a_proof_of_an_earlier_epoch_lifts_no_barrier, .fini = cleanup)
{
	start(2);
	r.two_node = true;
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	rack_crash(&r, 1);
	rack_view(&r, 2, 0);
	rack_settle(&r);
	cr_assert_eq(rack_fenced(&r, 2, 1), HV_OK);
	rack_boot(&r, 1);
	rack_view(&r, 1, 2, 0);
	rack_view(&r, 2, 0);
	rack_settle(&r);
	cr_assert_eq(status(2)->phase, RL_ACTIVE);
	cr_assert(status(2)->minority);
	cr_assert_eq(status(2)->barrier, 1, "the proof is older than node 1's return");
	cr_assert_eq(status(2)->pending, 0);
	cr_assert_eq(rack_fenced(&r, 2, 1), HV_OK);
	rack_settle(&r);
	cr_assert_eq(status(2)->barrier, 0);
}

Test(replog_minority, a_rebooted_node_with_an_old_disk_does_not_lead_alone, .fini = cleanup)
{
	start(2);
	r.two_node = true;
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	rack_boot(&r, 1);
	rack_view(&r, 1, 0);
	rack_pass(&r, 2000000);
	cr_assert_eq(status(1)->phase, RL_HELLO);
	cr_assert_not(status(1)->caught_up);
	rack_force(&r, 1);
	rack_pass(&r, 500000);
	cr_assert_eq(status(1)->phase, RL_ACTIVE, "the administrator said so");
	cr_assert_eq(status(1)->barrier, 1);
}

Test(replog_minority, what_a_discarded_lineage_applied_is_undone, .fini = cleanup)
{
	start(2);
	r.two_node = true;
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	/* Node 1 alone: its view is applied behind the barrier. Then node 2 alone fences node 1. */
	rack_view(&r, 1, 0);
	rack_settle(&r);
	cr_assert_eq(status(1)->barrier, 1);
	cr_assert_eq(rack_node(&r, 1)->views, 2);
	rack_view(&r, 2, 0);
	rack_settle(&r);
	rack_fenced(&r, 2, 1);
	rack_settle(&r);
	rack_propose(&r, 2, "b");
	rack_settle(&r);
	/* Not rebooted, so that it must take back what it applied. */
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	cr_assert_eq(rack_node(&r, 1)->installs, 1);
	eq_text(1, "b ");
	cr_assert_eq(rack_node(&r, 1)->digest, rack_node(&r, 2)->digest);
}

Test(replog_minority, a_witness_side_is_a_minority_with_a_barrier, .fini = cleanup)
{
	start(4);
	r.device_votes = 1;
	rack_view(&r, 1, 2, 3, 4, 0);
	rack_settle(&r);
	cr_assert_not(status(1)->minority);
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	cr_assert_eq(status(1)->phase, RL_ACTIVE);
	cr_assert(status(1)->minority);
	cr_assert_eq(status(1)->barrier, 2);
	rack_fenced(&r, 2, 3);
	rack_settle(&r);
	cr_assert_eq(status(1)->barrier, 1);
	cr_assert_eq(rack_propose(&r, 1, "a"), HV_REFUSED);
	rack_fenced(&r, 1, 4);
	rack_settle(&r);
	rack_propose(&r, 1, "a");
	rack_settle(&r);
	eq_text(2, "a ");
}

/* A device with a vote less than there are nodes lets one of three act, once the others are off. */
Test(replog_minority, who_was_fenced_by_one_of_three_does_not_lead_without_it, .fini = cleanup)
{
	start(3);
	r.device_votes = 2;
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	rack_view(&r, 2, 0);
	rack_settle(&r);
	cr_assert(status(2)->minority);
	rack_crash(&r, 1);
	rack_crash(&r, 3);
	rack_fenced(&r, 2, 1);
	rack_fenced(&r, 2, 3);
	rack_settle(&r);
	rack_propose(&r, 2, "a");
	rack_settle(&r);
	eq_text(2, "a ");
	/* It goes, and the others come: the device votes for them now. They know nothing of "a". */
	rack_crash(&r, 2);
	rack_boot(&r, 1);
	rack_boot(&r, 3);
	rack_view(&r, 1, 3, 0);
	rack_settle(&r);
	rack_pass(&r, 10000000);
	cr_assert_neq(status(1)->phase, RL_ACTIVE);
	cr_assert_neq(status(3)->phase, RL_ACTIVE);
	rack_boot(&r, 2);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	for (hv_node_id id = 1; id <= 3; id++)
		eq_text(id, "a ");
	/* Who stayed up was not fenced: two that have missed nothing go on without the third. */
	rack_view(&r, 1, 3, 0);
	rack_settle(&r);
	cr_assert_eq(status(1)->phase, RL_ACTIVE);
	cr_assert_not(status(1)->minority);
}

/* Two of four and a witness may lead behind a barrier: what two others have alone is not committed.
 */
Test(replog_minority, in_a_whole_epoch_a_witness_makes_up_for_no_disk, .fini = cleanup)
{
	start(4);
	r.device_votes = 1;
	rack_view(&r, 1, 2, 3, 4, 0);
	rack_settle(&r);
	rack_view(&r, 2, 3, 4, 0);
	rack_settle(&r);
	cr_assert_eq(status(3)->phase, RL_ACTIVE);
	cr_assert_not(status(3)->minority);
	rack_node(&r, 2)->disk_stuck = true;
	rack_propose(&r, 3, "x");
	rack_settle(&r);
	eq_text(3, "");
	/* Who has waited too long for the third goes on without it, behind a barrier. */
	rack_pass(&r, 5000000);
	cr_assert(status(3)->minority);
	cr_assert_eq(status(3)->barrier, 2);
	rack_fenced(&r, 3, 1);
	rack_fenced(&r, 4, 2);
	rack_settle(&r);
	eq_text(3, "x ");
	eq_text(4, "x ");
}

/* votequorum took its word back while the activate was on its way: whoever hears that does not
 * follow, not even itself. */
Test(replog_minority, who_is_told_that_it_is_not_quorate_follows_nobody, .fini = cleanup)
{
	start(1);
	rack_view_without_votes(&r, 1, 0);
	rack_settle(&r);
	rack_votes(&r, true);
	rack_votes(&r, false);
	rack_settle(&r);
	cr_assert_eq(status(1)->phase, RL_NO_QUORUM);
	rack_votes(&r, true);
	rack_pass(&r, 5000000);
	cr_assert_eq(status(1)->phase, RL_ACTIVE);
}

/* Applied behind a barrier, and undone: it is not done, and is proposed again. */
Test(replog_minority, what_is_undone_is_proposed_again, .fini = cleanup)
{
	start(2);
	r.two_node = true;
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	rack_node(&r, 2)->paused = true;
	cr_assert_eq(rack_propose(&r, 1, "x"), HV_OK);
	rack_settle(&r);
	eq_text(1, "");
	rack_view(&r, 1, 0);
	rack_settle(&r);
	eq_text(1, "x ");
	cr_assert_eq(status(1)->barrier, 1);
	cr_assert_eq(status(1)->pending, 1, "it may have to be said again");
	rack_node(&r, 2)->paused = false;
	rack_view(&r, 2, 0);
	rack_settle(&r);
	rack_fenced(&r, 2, 1);
	rack_settle(&r);
	cr_assert_eq(status(2)->barrier, 0);
	eq_text(2, "");
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	eq_text(1, "x ");
	eq_text(2, "x ");
	cr_assert_eq(status(1)->pending, 0);
}

/* The barrier is lifted: what was applied behind it is done. */
Test(replog_minority, what_was_applied_behind_a_barrier_is_done_when_it_is_lifted, .fini = cleanup)
{
	start(2);
	r.two_node = true;
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	rack_node(&r, 2)->paused = true;
	rack_propose(&r, 1, "x");
	rack_settle(&r);
	rack_view(&r, 1, 0);
	rack_settle(&r);
	rack_fenced(&r, 1, 2);
	rack_settle(&r);
	cr_assert_eq(status(1)->barrier, 0);
	cr_assert_eq(status(1)->pending, 0);
	rack_propose(&r, 1, "y");
	rack_settle(&r);
	eq_text(1, "x y ");
}
