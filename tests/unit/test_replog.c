/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The replicated log: views, whole epochs, laggards, disks, messages. Minorities:
 * test_replog_minority.c. */
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

Test(replog, one_node_alone_is_active_and_commits, .fini = cleanup)
{
	start(1);
	rack_view(&r, 1, 0);
	rack_settle(&r);
	cr_assert_eq(status(1)->phase, RL_ACTIVE);
	cr_assert_not(status(1)->minority);
	cr_assert_eq(rack_propose(&r, 1, "a"), HV_OK);
	rack_settle(&r);
	eq_text(1, "a ");
	cr_assert_eq(status(1)->pending, 0);
}

Test(replog, three_nodes_agree_without_any_timer, .fini = cleanup)
{
	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	for (hv_node_id id = 1; id <= 3; id++) {
		cr_assert_eq(status(id)->phase, RL_ACTIVE);
		cr_assert_eq(status(id)->coordinator, 1);
		cr_assert_eq(status(id)->n_members, 3);
		cr_assert(status(id)->caught_up);
	}
	cr_assert_eq(rack_propose(&r, 2, "a"), HV_OK);
	cr_assert_eq(rack_propose(&r, 3, "b"), HV_OK);
	cr_assert_eq(rack_propose(&r, 2, "c"), HV_OK);
	rack_settle(&r);
	for (hv_node_id id = 1; id <= 3; id++) {
		eq_text(id, "a b c ");
		cr_assert_eq(rack_node(&r, id)->digest, rack_node(&r, 1)->digest);
	}
}

Test(replog, the_votes_may_come_before_or_after_the_view, .fini = cleanup)
{
	start(3);
	rack_view_without_votes(&r, 1, 2, 3, 0);
	rack_settle(&r);
	cr_assert_eq(status(1)->phase, RL_NO_QUORUM);
	rack_votes(&r, true);
	rack_settle(&r);
	cr_assert_eq(status(3)->phase, RL_ACTIVE);
}

Test(replog, survivors_of_three_go_on_without_any_timer, .fini = cleanup)
{
	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	rack_propose(&r, 2, "a");
	rack_settle(&r);
	rack_crash(&r, 1);
	rack_view(&r, 2, 3, 0);
	rack_settle(&r);
	cr_assert_eq(status(2)->phase, RL_ACTIVE);
	cr_assert_eq(status(3)->phase, RL_ACTIVE);
	cr_assert_eq(status(2)->coordinator, 2);
	cr_assert_not(status(2)->minority);
	rack_propose(&r, 3, "b");
	rack_settle(&r);
	eq_text(2, "a b ");
}

Test(replog, a_rebooted_node_gets_the_entries_it_missed, .fini = cleanup)
{
	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	rack_propose(&r, 1, "a");
	rack_settle(&r);
	rack_crash(&r, 3);
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	rack_propose(&r, 1, "b");
	rack_propose(&r, 2, "c");
	rack_settle(&r);
	rack_boot(&r, 3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	cr_assert_eq(status(3)->phase, RL_ACTIVE);
	eq_text(3, "a b c ");
	cr_assert_eq(rack_node(&r, 3)->installs, 0, "its own log was the beginning of theirs");
}

Test(replog, a_laggard_behind_the_base_gets_the_snapshot, .fini = cleanup)
{
	char name[16];

	start(3);
	for (hv_node_id id = 1; id <= 3; id++) {
		r.snapshot_every = 10;
		rack_boot(&r, id);
	}
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "%d", i);
		cr_assert_eq(rack_propose(&r, 1, name), HV_OK);
		rack_settle(&r);
	}
	cr_assert_geq(status(1)->base_index, 40);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	cr_assert_eq(status(3)->phase, RL_ACTIVE);
	eq_text(3, rack_node(&r, 1)->text);
	cr_assert_eq(rack_node(&r, 3)->installs, 1);
	cr_assert_geq(rack_node(&r, 3)->base_index, 40, "and it is on its disk");
	/* All can begin again from what is on their disks. */
	for (hv_node_id id = 1; id <= 3; id++)
		rack_boot(&r, id);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	rack_propose(&r, 3, "end");
	rack_settle(&r);
	cr_assert(strstr(rack_node(&r, 2)->text, "49 end "));
}

Test(replog, a_silent_member_is_left_out_and_taken_in_again, .fini = cleanup)
{
	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	rack_node(&r, 1)->paused = true;
	rack_propose(&r, 2, "a");
	rack_pass(&r, 1500000);
	cr_assert_eq(status(2)->n_members, 2);
	cr_assert_eq(status(2)->coordinator, 2);
	rack_propose(&r, 2, "b");
	rack_settle(&r);
	rack_node(&r, 1)->paused = false;
	rack_pass(&r, 500000);
	cr_assert_eq(status(1)->phase, RL_ACTIVE);
	cr_assert_eq(status(2)->n_members, 3);
	eq_text(1, "a b ");
}

Test(replog, a_replica_that_disagrees_with_the_majority_takes_their_state, .fini = cleanup)
{
	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	rack_node(&r, 3)->lie = true;
	rack_propose(&r, 2, "a");
	rack_settle(&r);
	rack_node(&r, 3)->lie = false;
	rack_pass(&r, 300000);
	cr_assert_eq(rack_node(&r, 3)->diverged, 1);
	cr_assert_eq(rack_node(&r, 1)->diverged + rack_node(&r, 2)->diverged, 0);
	cr_assert_eq(status(3)->phase, RL_ACTIVE);
	cr_assert_not(status(3)->needs_state);
	eq_text(3, "a ");
	cr_assert_eq(rack_node(&r, 3)->installs, 1);
}

Test(replog, a_damaged_store_neither_leads_nor_gives_nor_counts, .fini = cleanup)
{
	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	/* Committed by 1 and 2 only; then 2 is away and 1 has lost its store. */
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	rack_propose(&r, 1, "a");
	rack_settle(&r);
	rack_node(&r, 1)->damaged = true;
	rack_boot(&r, 1);
	rack_view(&r, 1, 3, 0);
	rack_pass(&r, 2000000);
	cr_assert_neq(status(3)->phase, RL_ACTIVE, "3 alone does not know all that was committed");
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	cr_assert_eq(status(1)->phase, RL_ACTIVE);
	eq_text(1, "a ");
	eq_text(3, "a ");
}

Test(replog, proposals_on_their_way_survive_a_view_change_in_order, .fini = cleanup)
{
	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	for (int i = 0; i < 5; i++)
		rack_propose(&r, 2, (const char *[]){"a", "b", "c", "d", "e"}[i]);
	/* The view changes before any of them is delivered. */
	rack_view(&r, 2, 3, 0);
	rack_settle(&r);
	eq_text(3, "a b c d e ");
	cr_assert_eq(status(2)->pending, 0);
}

Test(replog, an_idle_cluster_writes_nothing, .fini = cleanup)
{
	unsigned writes, messages;

	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	writes = rack_node(&r, 1)->writes;
	messages = r.messages;
	rack_pass(&r, 10000000);
	cr_assert_eq(rack_node(&r, 1)->writes, writes);
	cr_assert_gt(r.messages, messages, "but heartbeats are heard");
	cr_assert_eq(status(1)->phase, RL_ACTIVE);
}

Test(replog, malformed_and_foreign_messages_are_refused, .fini = cleanup)
{
	uint8_t junk[256];
	uint64_t last;

	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	last = status(1)->last_index;
	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (uint8_t)(i * 37 + 11);
	for (size_t len = 0; len < sizeof(junk); len++)
		rack_deliver_raw(&r, 1, 2, junk, len);
	cr_assert_gt(status(1)->refused, 200);
	rack_deliver_raw(&r, 1, 9, junk, 20);
	cr_assert_eq(status(1)->last_index, last);
	cr_assert_eq(status(1)->phase, RL_ACTIVE);
}

Test(replog, every_cut_or_flipped_message_is_survived, .fini = cleanup)
{
	size_t n;

	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	rack_propose(&r, 1, "a");
	rack_settle(&r);
	n = r.n_queue;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < r.queue[i].len; k++) {
			uint8_t *copy = hv_xmemdup(r.queue[i].data, r.queue[i].len);
			hv_node_id sender = r.queue[i].sender;

			copy[k] ^= (uint8_t)(1u << (k % 8));
			rack_deliver_raw(&r, 3, sender, copy, r.queue[i].len);
			rack_deliver_raw(&r, 3, sender, copy, k);
			free(copy);
		}
}

Test(replog, a_full_pipe_is_refused_not_queued_for_ever, .fini = cleanup)
{
	enum hv_rc rc = HV_OK;
	char name[16];
	int i;

	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	for (i = 0; i < 2000 && rc == HV_OK; i++) {
		snprintf(name, sizeof(name), "%d", i);
		rc = rack_propose(&r, 1, name);
	}
	cr_assert_eq(rc, HV_LIMIT);
	cr_assert_eq(i, 1001);
	rack_settle(&r);
	cr_assert_eq(status(1)->pending, 0);
	cr_assert_str_eq(rack_node(&r, 1)->text, rack_node(&r, 3)->text);
}

Test(replog, it_says_when_it_wants_to_look_at_its_clock, .fini = cleanup)
{
	const struct replog *log;
	uint64_t due;

	start(2);
	log = rack_node(&r, 1)->log;
	/* Without a view nothing waits. */
	cr_assert_eq(rl_next_due_us(log), 0);
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	cr_assert_eq(status(1)->phase, RL_ACTIVE);
	/* An epoch that has just begun has a heartbeat to send, and then another one. */
	for (int i = 0; i < 3; i++) {
		due = rl_next_due_us(log);
		cr_assert(due > 0 && due <= r.now_us + 100000);
		rack_pass(&r, 100000);
	}
}

/* What a watchdog's lease goes by (fence/selfguard.h): sent when, not read when. */
Test(replog, a_node_knows_when_it_sent_what_came_back, .fini = cleanup)
{
	uint64_t sent;

	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	rack_pass(&r, 1000000);
	rack_settle(&r);
	sent = status(3)->heartbeat_back_us;
	cr_assert(sent && r.now_us - sent <= 1000000);
	rack_pass(&r, 1000000);
	rack_settle(&r);
	cr_assert_gt(status(3)->heartbeat_back_us, sent, "the next one");

	/* It stands still, and what it sent waits to be read. */
	rack_node(&r, 3)->paused = true;
	sent = status(3)->heartbeat_back_us;
	rack_pass(&r, 500000);
	cr_assert_eq(status(3)->heartbeat_back_us, sent);
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	cr_assert_eq(status(1)->phase, RL_ACTIVE);
	cr_assert(!status(1)->heartbeat_back_us || status(1)->heartbeat_back_us > sent,
		  "of this epoch, or none");
	rack_view_without_votes(&r, 1, 2, 0);
	cr_assert_eq(status(1)->heartbeat_back_us, 0, "without an epoch there is none");
}

/* What it applied behind a barrier is about to be undone: that others have another state there is
 * no error of anybody. */
Test(replog, states_are_compared_when_the_logs_are_one, .fini = cleanup)
{
	start(4);
	r.device_votes = 1;
	rack_view(&r, 1, 2, 3, 4, 0);
	rack_settle(&r);
	rack_view(&r, 1, 2, 0);
	rack_settle(&r);
	rack_view(&r, 3, 4, 0);
	rack_settle(&r);
	cr_assert_eq(status(2)->applied_index, status(3)->applied_index);
	cr_assert_neq(rack_node(&r, 2)->digest, rack_node(&r, 3)->digest);
	rack_view(&r, 2, 3, 4, 0);
	rack_node(&r, 2)->paused = true;
	rack_pass(&r, 3000000);
	cr_assert_eq(status(3)->phase, RL_ACTIVE);
	rack_node(&r, 2)->paused = false;
	rack_pass(&r, 1000000);
	rack_settle(&r);
	cr_assert_eq(rack_node(&r, 2)->diverged, 0);
	cr_assert_eq(status(2)->phase, RL_ACTIVE);
	cr_assert_eq(rack_node(&r, 2)->digest, rack_node(&r, 3)->digest);
}

Test(replog, a_view_has_the_latest_time_that_a_member_knows, .fini = cleanup)
{
	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	rack_crash(&r, 1);
	rack_view(&r, 3, 0);
	rack_pass(&r, 240000000); /* one of three: nothing goes on */
	rack_boot(&r, 1);
	rack_node(&r, 1)->behind_us = 239000000;
	rack_view(&r, 1, 3, 0);
	rack_settle(&r);
	cr_assert_eq(status(3)->epoch.node, 1, "who has just booted activates");
	cr_assert_eq(rack_node(&r, 3)->view_us, r.now_us);
}

Test(replog, a_change_is_as_long_ago_as_it_took_whatever_the_time_was_taken_for, .fini = cleanup)
{
	uint64_t seen_us;

	start(3);
	rack_view(&r, 1, 2, 3, 0);
	rack_settle(&r);
	rack_crash(&r, 1);
	rack_view(&r, 3, 0);
	rack_pass(&r, 240000000);
	rack_boot(&r, 1);
	rack_node(&r, 1)->behind_us = 239000000;
	rack_view_without_votes(&r, 1, 3, 0);
	seen_us = r.now_us;
	rack_pass(&r, 50000);
	rack_node(&r, 1)->behind_us = 0; /* it has caught up */
	rack_votes(&r, true);
	rack_settle(&r);
	cr_assert_eq(status(3)->epoch.node, 1);
	cr_assert_eq(rack_node(&r, 3)->view_us, r.now_us);
	cr_assert_eq(rack_node(&r, 3)->detected_us, seen_us);
}
