/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fence/selfguard.h"

#include <criterion/criterion.h>

#define S 1000000ULL

static struct selfguard guard;

static enum selfguard_order at(uint64_t s, bool active, enum selfguard_policy policy)
{
	struct selfguard_input in = {
	    .now_us = s * S, .active = active, .policy = policy, .grace_us = 30 * S};

	return selfguard_step(&guard, &in);
}

Test(selfguard, vms_are_stopped_after_the_grace_and_not_before)
{
	cr_assert_eq(at(100, true, SELFGUARD_STOP), GUARD_NONE);
	cr_assert_eq(at(101, false, SELFGUARD_STOP), GUARD_NONE);
	cr_assert_eq(at(129, false, SELFGUARD_STOP), GUARD_NONE);
	cr_assert_eq(at(130, false, SELFGUARD_STOP), GUARD_NONE);
	cr_assert_eq(at(131, false, SELFGUARD_STOP), GUARD_STOP);
	cr_assert_eq(at(500, false, SELFGUARD_STOP), GUARD_STOP, "as long as it lasts");
	cr_assert_eq(at(501, true, SELFGUARD_STOP), GUARD_NONE);
	cr_assert_eq(at(502, false, SELFGUARD_STOP), GUARD_NONE, "a new grace");
}

Test(selfguard, each_policy_has_its_order)
{
	at(100, true, SELFGUARD_FREEZE);
	at(170, false, SELFGUARD_FREEZE);
	cr_assert_eq(at(200, false, SELFGUARD_FREEZE), GUARD_NONE);
	cr_assert_eq(at(200, false, SELFGUARD_IGNORE), GUARD_NONE);
	cr_assert_eq(at(200, false, SELFGUARD_SELF_FENCE), GUARD_RESET);
	cr_assert_eq(at(200, false, SELFGUARD_STOP), GUARD_STOP);
}

Test(selfguard, a_node_that_was_idle_for_long_has_its_whole_grace)
{
	at(100, true, SELFGUARD_SELF_FENCE);
	cr_assert_eq(at(5000, false, SELFGUARD_SELF_FENCE), GUARD_NONE);
	cr_assert_eq(at(5029, false, SELFGUARD_SELF_FENCE), GUARD_NONE);
	cr_assert_eq(at(5030, false, SELFGUARD_SELF_FENCE), GUARD_RESET);
}

Test(selfguard, a_process_that_starts_without_quorum_has_its_grace)
{
	cr_assert_eq(at(1000, false, SELFGUARD_STOP), GUARD_NONE);
	cr_assert_eq(at(1029, false, SELFGUARD_STOP), GUARD_NONE);
	cr_assert_eq(at(1030, false, SELFGUARD_STOP), GUARD_STOP);
}

Test(selfguard, after_a_stall_it_watches_first)
{
	struct selfguard_input in = {
	    .now_us = 500 * S, .stalled = true, .policy = SELFGUARD_SELF_FENCE, .grace_us = 30 * S};

	at(100, true, SELFGUARD_SELF_FENCE);
	cr_assert_eq(selfguard_step(&guard, &in), GUARD_NONE);
	cr_assert_eq(at(529, false, SELFGUARD_SELF_FENCE), GUARD_NONE);
	cr_assert_eq(at(530, false, SELFGUARD_SELF_FENCE), GUARD_RESET);
}

Test(selfguard, it_says_when_it_wants_to_look_again)
{
	struct selfguard_input in = {
	    .now_us = 100 * S, .policy = SELFGUARD_STOP, .grace_us = 30 * S};

	at(90, true, SELFGUARD_STOP);
	selfguard_step(&guard, &in);
	cr_assert_eq(selfguard_due_us(&guard, &in), 130 * S);
	in.policy = SELFGUARD_FREEZE;
	cr_assert_eq(selfguard_due_us(&guard, &in), 0);
	in.policy = SELFGUARD_STOP;
	in.active = true;
	cr_assert_eq(selfguard_due_us(&guard, &in), 0);
	in.active = false;
	in.now_us = 131 * S;
	cr_assert_eq(selfguard_due_us(&guard, &in), 0, "it is due already");
}

Test(selfguard, only_ignore_makes_a_view_quorate)
{
	bool quorate = false;
	uint32_t quorum = 2;

	selfguard_quorum(SELFGUARD_STOP, &quorate, &quorum);
	cr_assert(!quorate && quorum == 2);
	selfguard_quorum(SELFGUARD_IGNORE, &quorate, &quorum);
	cr_assert(quorate && quorum == 1);
	quorum = 2;
	selfguard_quorum(SELFGUARD_IGNORE, &quorate, &quorum);
	cr_assert_eq(quorum, 2, "a real quorum counts as it is");
}

/* ---- the lease */

static struct selfguard_lease lease;

/* At `s`, having heard a heartbeat again that was sent at `sent`; how long it is valid then. */
static uint64_t left_at(double s, double sent, bool active)
{
	struct selfguard_lease_input in = {.now_us = (uint64_t)(s * S),
					   .active = active,
					   .heartbeat_sent_us = (uint64_t)(sent * S),
					   .lease_us = 2 * S,
					   .stall_us = S};
	uint64_t until = selfguard_lease_step(&lease, &in);

	return until ? until - in.now_us : 0;
}

Test(lease, counts_from_when_the_heartbeat_was_sent)
{
	cr_assert_eq(left_at(100, 0, true), 0, "none has come back yet");
	cr_assert_eq(left_at(100.5, 100.4, true), 19 * S / 10);
	cr_assert_eq(left_at(101.4, 100.4, true), S);
	cr_assert_eq(left_at(102.3, 100.4, true), S / 10);
	cr_assert_eq(left_at(102.4, 100.4, true), 0, "not at its very end");
	cr_assert_eq(left_at(102.5, 100.4, true), 0);
	cr_assert_eq(left_at(102.6, 102.5, true), 19 * S / 10, "it goes on");
}

Test(lease, is_a_members_of_an_active_epoch)
{
	cr_assert_gt(left_at(100, 99.9, true), 0);
	cr_assert_eq(left_at(100.1, 99.9, false), 0);
	cr_assert_gt(left_at(100.2, 99.9, true), 0);
}

Test(lease, a_thawed_host_finds_it_expired_and_waits_one_more)
{
	cr_assert_gt(left_at(100, 99.9, true), 0);
	cr_assert_eq(left_at(103, 99.9, true), 0, "expired");
	cr_assert_eq(left_at(103.1, 103, true), 0, "a ring of ghosts may have sent that back");
	for (double s = 103.5; s < 105; s += 0.5)
		cr_assert_eq(left_at(s, s - 0.1, true), 0);
	cr_assert_eq(left_at(105.1, 104.9, true), 0, "sent too early");
	cr_assert_gt(left_at(105.2, 105.1, true), 0);
}

Test(lease, a_short_stall_counts_too)
{
	cr_assert_gt(left_at(100, 99.9, true), 0);
	cr_assert_gt(left_at(101, 99.9, true), 0, "it was looked at in time");
	cr_assert_gt(left_at(101.5, 101.4, true), 0);
	cr_assert_eq(left_at(102.6, 102.5, true), 0, "1.1 s: longer than a token waits");
}

Test(lease, suspended_is_stood_still_though_the_clock_does_not_show_it)
{
	struct selfguard_lease_input in = {.now_us = 100 * S,
					   .active = true,
					   .heartbeat_sent_us = 100 * S - 1,
					   .lease_us = 2 * S,
					   .stall_us = S};

	cr_assert_gt(selfguard_lease_step(&lease, &in), 0);
	in.now_us += S / 10;
	in.suspended_us = 30 * S;
	cr_assert_eq(selfguard_lease_step(&lease, &in), 0);
	in.now_us += S / 10;
	cr_assert_eq(selfguard_lease_step(&lease, &in), 0, "it was sent before");
}
