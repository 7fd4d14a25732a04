/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/entries.h"
#include "quorum/epoch.h"

#include "proto/log.pb-c.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- view */

Test(view, a_set_is_sorted_and_has_no_doubles)
{
	struct node_set s;

	cr_assert(node_set_from(&s, (hv_node_id[]){7, 3, 0, 7, 1}, 5));
	cr_assert_eq(s.n, 3);
	cr_assert_eq(s.ids[0], 1);
	cr_assert_eq(s.ids[2], 7);
	node_set_remove(&s, 3);
	cr_assert_not(node_set_has(&s, 3));
	cr_assert(node_set_has(&s, 7));
}

Test(view, a_set_that_is_full_refuses)
{
	hv_node_id ids[HV_MAX_NODES + 1];
	struct node_set s = {.n = 1, .ids = {99}};

	for (size_t i = 0; i <= HV_MAX_NODES; i++)
		ids[i] = (hv_node_id)i + 1;
	cr_assert_not(node_set_from(&s, ids, HV_MAX_NODES + 1));
	cr_assert_eq(s.n, 1, "and leaves what was there");
	cr_assert(node_set_from(&s, ids, HV_MAX_NODES));
	cr_assert_not(node_set_add(&s, 1000));
	cr_assert(node_set_add(&s, 5), "a member already");
}

Test(view, votes_are_those_of_configured_nodes)
{
	struct node_list l;
	struct node_set s, lost;

	node_list_from(&l, (struct rl_node_cfg[]){{3, 1}, {1, 2}, {2, 1}, {3, 9}}, 4);
	node_set_from(&s, (hv_node_id[]){1, 8}, 2);
	cr_assert_eq(node_list_total(&l), 4);
	cr_assert_eq(node_list_votes(&l, &s), 2);
	node_list_minus(&l, &s, &lost);
	cr_assert_eq(lost.n, 2);
	cr_assert_eq(lost.ids[0], 2);
}

/* ---- epoch */

Test(epoch, identity_is_ordered_by_number_then_node_then_incarnation)
{
	struct rl_epoch a = {5, 2, 9}, b = {5, 3, 1}, c = {6, 1, 1}, d = {5, 2, 10};

	cr_assert_lt(rl_epoch_cmp(&a, &b), 0);
	cr_assert_lt(rl_epoch_cmp(&b, &c), 0);
	cr_assert_lt(rl_epoch_cmp(&a, &d), 0);
	cr_assert_eq(rl_epoch_cmp(&a, &a), 0);
}

Test(epoch, a_commit_needs_a_strict_majority_and_the_quorum)
{
	struct vote_rule two_of_four = {4, 3, 1}, alone = {1, 1, 0}, three = {3, 2, 0};

	cr_assert_not(vote_rule_met(&two_of_four, 2), "half is no majority");
	cr_assert(vote_rule_met(&two_of_four, 3));
	cr_assert(vote_rule_met(&alone, 1));
	cr_assert_not(vote_rule_met(&three, 1));
	cr_assert(vote_rule_met(&(struct vote_rule){2, 3, 1}, 2), "with the device's vote");
	cr_assert_not(vote_rule_met(&(struct vote_rule){2, 3, 0}, 2), "without it");
}

Test(epoch, whole_is_more_than_half_of_the_node_votes)
{
	cr_assert(epoch_is_whole(2, 3));
	cr_assert_not(epoch_is_whole(2, 4));
	cr_assert_not(epoch_is_whole(1, 2));
}

Test(epoch, the_donor_has_the_latest_effective_epoch_then_most_of_it_then_is_live)
{
	struct epoch_point p[4] = {
	    {.node = 1,
	     .effective = {4, 1, 1},
	     .last_epoch = {9, 1, 1},
	     .last_index = 900,
	     .live = true},
	    {.node = 2, .effective = {5, 1, 1}, .last_epoch = {5, 1, 1}, .last_index = 10},
	    {.node = 3, .effective = {5, 1, 1}, .last_epoch = {5, 1, 1}, .last_index = 12},
	    {.node = 4,
	     .effective = {8, 1, 1},
	     .last_epoch = {8, 1, 1},
	     .last_index = 99,
	     .needs_state = true},
	};

	cr_assert_eq(epoch_donor(p, 4)->node, 3);
	p[1].live = true;
	cr_assert_eq(epoch_donor(p, 4)->node, 2);
	p[1].effective_index = 10;
	cr_assert_eq(epoch_donor(p, 4)->node, 2, "an earlier release does not say how much it has");
	p[2].effective_index = 12;
	cr_assert_eq(epoch_donor(p, 4)->node, 3, "more of the epoch comes before live");
	p[2].last_epoch.number = 7; /* behind a barrier that was not lifted */
	cr_assert_eq(epoch_donor(p, 4)->node, 3);
	p[1].effective_index = p[1].last_index = 12;
	cr_assert_eq(epoch_donor(p, 4)->node, 2,
		     "what was done behind a barrier counts for nothing");
	cr_assert_null(epoch_donor(&p[3], 1), "whoever needs state has none to give");
}

/* ---- entries */

static struct log_entry entry(uint64_t number, enum rl_entry_type type, hv_node_id fenced,
			      struct blob *blob)
{
	return (struct log_entry){
	    .epoch = {number, 1, 1}, .type = type, .fenced_node = fenced, .blob = blob};
}

static void add(struct entries *e, uint64_t number, enum rl_entry_type type, hv_node_id fenced)
{
	struct blob *b = blob_copy((const uint8_t *)"x", 1);
	struct log_entry en = entry(number, type, fenced, b);

	entries_append(e, &en);
	blob_unref(b);
}

static void add_view(struct entries *e, uint64_t number, bool minority, uint32_t lost)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__View view = HV__VIEW__INIT;
	uint8_t data[64];
	struct blob *b;
	struct log_entry en;

	view.minority = minority;
	view.lost = &lost;
	view.n_lost = lost ? 1 : 0;
	ev.body_case = HV__EVENT__BODY_VIEW;
	ev.view = &view;
	b = blob_copy(data, hv__event__pack(&ev, data));
	en = entry(number, RL_VIEW, 0, b);
	entries_append(e, &en);
	blob_unref(b);
}

Test(entries, a_minority_epoch_is_effective_once_its_own_fences_lift_the_barrier)
{
	struct entries e;

	entries_init(&e, NULL);
	add_view(&e, 1, false, 2);
	cr_assert_eq(entries_effective(&e).number, 1);
	add_view(&e, 2, true, 2);
	cr_assert_eq(entries_effective(&e).number, 1);
	add(&e, 2, RL_FENCE, 3);
	cr_assert_eq(entries_effective(&e).number, 1, "another node's fence");
	cr_assert_eq(entries_effective_index(&e), 1, "what comes after it has had no effect");
	add(&e, 2, RL_FENCE, 2);
	cr_assert_eq(entries_effective(&e).number, 2);
	add(&e, 2, RL_COMMAND, 0);
	cr_assert_eq(entries_effective_index(&e), 5);
	entries_truncate(&e, 3);
	cr_assert_eq(entries_effective(&e).number, 1, "taken back with the entry");
	cr_assert_eq(entries_effective_index(&e), 1);
	entries_done(&e);
}

Test(entries, a_view_that_cannot_be_read_never_makes_its_epoch_effective)
{
	struct entries e;

	entries_init(&e, NULL);
	add(&e, 3, RL_VIEW, 0);
	add(&e, 3, RL_FENCE, 2);
	cr_assert_eq(entries_effective(&e).number, 0);
	entries_done(&e);
}

Test(entries, logs_part_where_their_epochs_say)
{
	struct entries donor, mine;
	struct epoch_run runs[ENTRIES_MAX_RUNS];
	uint64_t common = 0;
	size_t n;

	entries_init(&donor, NULL);
	entries_init(&mine, NULL);
	for (int i = 0; i < 5; i++) {
		add(&donor, 1, RL_COMMAND, 0);
		add(&mine, 1, RL_COMMAND, 0);
	}
	add(&mine, 2, RL_COMMAND, 0);
	add(&mine, 2, RL_COMMAND, 0);
	add(&donor, 3, RL_COMMAND, 0);
	n = entries_runs(&mine, runs);
	cr_assert_eq(n, 2);
	cr_assert(entries_common(&donor, runs, n, &common));
	cr_assert_eq(common, 5);
	/* Compacted beyond it: only a snapshot helps. */
	entries_compact(&donor, 6, blob_copy((const uint8_t *)"s", 1));
	cr_assert_not(entries_common(&donor, runs, n, &common));
	cr_assert_eq(donor.base_epoch.number, 3);
	cr_assert_eq(entries_last_index(&donor), 6);
	entries_done(&donor);
	entries_done(&mine);
}

Test(entries, many_appends_and_compactions_keep_every_index_in_its_place)
{
	struct entries e;
	struct rl_epoch epoch;

	entries_init(&e, NULL);
	for (uint64_t i = 1; i <= 2000; i++) {
		add(&e, i, RL_COMMAND, 0);
		if (i % 300 == 0)
			entries_compact(&e, i - 20, blob_copy((const uint8_t *)"s", 1));
	}
	cr_assert_eq(entries_last_index(&e), 2000);
	for (uint64_t i = e.base_index; i <= 2000; i++) {
		cr_assert(entries_epoch_at(&e, i, &epoch));
		cr_assert_eq(epoch.number, i);
	}
	cr_assert_not(entries_epoch_at(&e, e.base_index - 1, &epoch));
	entries_done(&e);
}
