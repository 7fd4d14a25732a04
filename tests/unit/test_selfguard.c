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

/* token 1 s, consensus 1.2 s: a silent host is not left before 1.08 s, here 1.1 */
#define LEFT_US (11 * S / 10)

static struct selfguard_lease_input seen_at(double s, double sent)
{
	return (struct selfguard_lease_input){.now_us = (uint64_t)(s * S + 0.5),
					      .active = true,
					      .heartbeat_sent_us = (uint64_t)(sent * S + 0.5),
					      .lease_us = 2 * S,
					      .token_us = S,
					      .left_us = LEFT_US};
}

/* At `s`, having heard a heartbeat again that was sent at `sent`; how long it is valid then, in ms.
 */
static unsigned left_at(double s, double sent, bool active)
{
	struct selfguard_lease_input in = seen_at(s, sent);
	uint64_t until;

	in.active = active;
	until = selfguard_lease_step(&lease, &in);
	return until ? (unsigned)((until - in.now_us) / 1000) : 0;
}

static void at_work(void)
{
	left_at(99.6, 99.5, true);
	cr_assert_eq(left_at(100, 99.9, true), 1900);
}

Test(lease, counts_from_when_the_heartbeat_was_sent)
{
	cr_assert_eq(left_at(99, 0, true), 0, "none has come back yet");
	cr_assert_eq(left_at(100, 99.9, true), 0, "nothing is known of the time before it");
	cr_assert_eq(left_at(100.5, 100.4, true), 1900);
	cr_assert_eq(left_at(101.4, 100.4, true), 1000);
	cr_assert_eq(left_at(102.3, 100.4, true), 100);
	cr_assert_eq(left_at(102.4, 100.4, true), 0, "not at its very end");
	cr_assert_eq(left_at(102.5, 100.4, true), 0);
}

Test(lease, is_a_members_of_an_active_epoch)
{
	at_work();
	cr_assert_eq(left_at(100.1, 99.9, false), 0);
	cr_assert_eq(left_at(100.2, 0, true), 0, "none has come back in this one");
	cr_assert_gt(left_at(100.3, 99.9, true), 0);
}

Test(lease, a_pause_below_the_token_costs_nothing)
{
	at_work();
	cr_assert_eq(left_at(101, 100.95, true), 1950, "1.05 s after the one before");
	cr_assert_eq(left_at(101.9, 101.89, true), 1990);
}

Test(lease, what_a_stale_ring_may_have_brought_back_counts_from_when_it_was_not_stale_yet)
{
	at_work();
	cr_assert_eq(left_at(102.1, 102, true), 900, "from 99.9 + 1.1");
	cr_assert_eq(left_at(102.5, 102.4, true), 1900, "sent when that one was back");
}

Test(lease, what_was_sent_before_another_was_back_proves_nothing_by_it)
{
	at_work();
	cr_assert_eq(left_at(101.8, 100.4, true), 600);
	cr_assert_eq(left_at(101.81, 101.7, true), 1190, "from 99.9 + 1.1 still");
	cr_assert_eq(left_at(101.95, 101.9, true), 1950, "sent when both were back");
}

Test(lease, a_corosync_that_stood_still_brings_back_all_at_once)
{
	at_work();
	for (double s = 100.3; s < 102.8; s += 0.4)
		left_at(s, 99.9, true);
	cr_assert_eq(left_at(103.1, 103.05, true), 0, "from 101 on it lasted until 103");
	cr_assert_eq(left_at(103.5, 103.45, true), 0, "TILT: for a token");
	cr_assert_eq(left_at(104.0, 103.95, true), 0);
	cr_assert_eq(left_at(104.5, 104.35, true), 1850);
}

Test(lease, a_thawed_host_finds_it_expired_and_waits_a_token)
{
	at_work();
	cr_assert_eq(left_at(105, 99.9, true), 0, "expired");
	cr_assert_eq(left_at(105.1, 105, true), 0, "a ring of ghosts may have sent that back");
	cr_assert_eq(left_at(105.6, 105.5, true), 0);
	cr_assert_eq(left_at(106.05, 106, true), 0, "sent too early");
	cr_assert_eq(left_at(106.4, 106.2, true), 1800);
}

Test(lease, suspended_is_stood_still_though_the_clock_does_not_show_it)
{
	struct selfguard_lease_input in;

	at_work();
	in = seen_at(100.1, 99.9);
	in.suspended_us = 30 * S;
	cr_assert_eq(selfguard_lease_step(&lease, &in), 0);
	in = seen_at(100.5, 100.4);
	in.suspended_us = 30 * S;
	cr_assert_eq(selfguard_lease_step(&lease, &in), 0, "by a stale token, who knows");
	in = seen_at(101.0, 100.9);
	in.suspended_us = 30 * S;
	cr_assert_eq(selfguard_lease_step(&lease, &in), 0, "not yet a token");
	in = seen_at(101.3, 101.2);
	in.suspended_us = 30 * S;
	cr_assert_eq(selfguard_lease_step(&lease, &in), in.heartbeat_sent_us + 2 * S);
}
