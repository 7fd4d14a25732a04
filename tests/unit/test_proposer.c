/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/proposer.h"

#include <criterion/criterion.h>
#include <string.h>

/* A log that answers what it is told to and keeps what it took. */
struct fake_log {
	enum hv_rc answer;	 /* to RL_COMMAND */
	enum hv_rc fence_answer; /* to RL_FENCE */
	Hv__Event *taken[16];
	enum rl_entry_type types[16];
	size_t n_taken;
	uint64_t dropped[16];
	size_t n_dropped;
};

static void log_done(struct fake_log *l)
{
	for (size_t i = 0; i < l->n_taken; i++)
		hv__event__free_unpacked(l->taken[i], NULL);
}
#define _cleanup_log_ _cleanup_(log_done)

static void proposer_drop(struct proposer **p)
{
	proposer_free(*p);
}
#define _cleanup_proposer_ _cleanup_(proposer_drop)

static enum hv_rc fake_propose(void *user, enum rl_entry_type type, hv_node_id fenced,
			       const uint8_t *data, size_t len)
{
	struct fake_log *l = user;
	enum hv_rc rc = type == RL_FENCE ? l->fence_answer : l->answer;

	if (rc != HV_OK)
		return rc;
	l->types[l->n_taken] = type;
	l->taken[l->n_taken] = hv__event__unpack(NULL, len, data);
	cr_assert(l->taken[l->n_taken]);
	l->n_taken++;
	return HV_OK;
}

static void fake_dropped(void *user, uint64_t mark, enum hv_rc rc)
{
	struct fake_log *l = user;

	l->dropped[l->n_dropped++] = mark;
}

static const struct proposer_ops ops = {.propose = fake_propose, .dropped = fake_dropped};

static uint64_t put_pause(struct proposer *p, const char *vm, enum rl_entry_type type)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmPause pause = HV__VM_PAUSE__INIT;

	pause.name = (char *)vm;
	cmd.body_case = HV__COMMAND__BODY_VM_PAUSE;
	cmd.vm_pause = &pause;
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = &cmd;
	return proposer_put(p, &ev, type, 0);
}

Test(proposer, what_the_log_takes_is_stamped_and_numbered_in_order)
{
	_cleanup_log_ struct fake_log log = {0};
	_cleanup_proposer_ struct proposer *p = proposer_new(7, 42, &ops, &log);
	uint64_t a = put_pause(p, "a", RL_COMMAND), b = put_pause(p, "b", RL_COMMAND);

	proposer_flush(p, 1000, 2000);
	cr_assert_eq(log.n_taken, 2);
	cr_assert_eq(log.taken[0]->seq, 1);
	cr_assert_eq(log.taken[1]->seq, 2);
	cr_assert_eq(log.taken[0]->mark, a);
	cr_assert_eq(log.taken[1]->mark, b);
	cr_assert_eq(log.taken[0]->proposer, 7);
	cr_assert_eq(log.taken[0]->incarnation, 42);
	cr_assert_eq(log.taken[0]->at_us, 1000);
	cr_assert_eq(log.taken[0]->wall_ms, 2000);
	cr_assert_str_eq(log.taken[1]->command->vm_pause->name, "b");
}

Test(proposer, a_proposal_is_pending_until_it_is_applied)
{
	_cleanup_log_ struct fake_log log = {0};
	_cleanup_proposer_ struct proposer *p = proposer_new(7, 42, &ops, &log);
	uint64_t a = put_pause(p, "a", RL_COMMAND);

	cr_assert(proposer_pending(p, a));
	proposer_flush(p, 1, 1);
	cr_assert(proposer_pending(p, a));
	proposer_flush(p, 1, 1);
	cr_assert_eq(log.n_taken, 1, "it is handed over once");
	log.taken[0]->incarnation = 41;
	proposer_applied(p, log.taken[0]);
	cr_assert(proposer_pending(p, a), "an earlier process's event is not ours");
	log.taken[0]->incarnation = 42;
	proposer_applied(p, log.taken[0]);
	cr_assert_not(proposer_pending(p, a));
	cr_assert_not(proposer_pending(p, 0));
}

Test(proposer, no_number_is_used_up_by_what_the_log_does_not_take)
{
	_cleanup_log_ struct fake_log log = {.answer = HV_NO_QUORUM};
	_cleanup_proposer_ struct proposer *p = proposer_new(7, 42, &ops, &log);
	uint64_t a = put_pause(p, "a", RL_COMMAND);

	proposer_flush(p, 1, 1);
	cr_assert_eq(log.n_dropped, 1);
	cr_assert_eq(log.dropped[0], a);
	cr_assert_not(proposer_pending(p, a));
	log.answer = HV_OK;
	put_pause(p, "b", RL_COMMAND);
	proposer_flush(p, 1, 1);
	cr_assert_eq(log.taken[0]->seq, 1);
}

Test(proposer, a_full_log_keeps_the_others_waiting_and_lets_a_fence_pass)
{
	_cleanup_log_ struct fake_log log = {.answer = HV_LIMIT};
	_cleanup_proposer_ struct proposer *p = proposer_new(7, 42, &ops, &log);
	uint64_t a = put_pause(p, "a", RL_COMMAND), f = put_pause(p, "f", RL_FENCE);

	proposer_flush(p, 1, 1);
	cr_assert_eq(log.n_taken, 1);
	cr_assert_eq(log.taken[0]->mark, f);
	cr_assert_eq(log.taken[0]->seq, 0, "what may overtake is not counted");
	cr_assert(proposer_pending(p, a));
	cr_assert_eq(log.n_dropped, 0);
	log.answer = HV_OK;
	proposer_flush(p, 1, 1);
	cr_assert_eq(log.n_taken, 2);
	cr_assert_eq(log.taken[1]->seq, 1);
}

Test(proposer, an_empty_log_means_that_what_was_in_flight_has_arrived)
{
	_cleanup_log_ struct fake_log log = {0};
	_cleanup_proposer_ struct proposer *p = proposer_new(7, 42, &ops, &log);
	uint64_t a = put_pause(p, "a", RL_COMMAND), b;

	proposer_flush(p, 1, 1);
	b = put_pause(p, "b", RL_COMMAND);
	proposer_log_is_empty(p);
	cr_assert_not(proposer_pending(p, a));
	cr_assert(proposer_pending(p, b), "it has not even been handed over");
}

Test(proposer, there_is_a_limit_and_it_is_an_answer)
{
	_cleanup_log_ struct fake_log log = {.answer = HV_LIMIT};
	_cleanup_proposer_ struct proposer *p = proposer_new(7, 42, &ops, &log);

	for (size_t i = 0; i < PROPOSER_MAX; i++)
		cr_assert_neq(put_pause(p, "a", RL_COMMAND), 0);
	cr_assert_eq(put_pause(p, "a", RL_COMMAND), 0);
}

Test(proposer, an_event_that_is_too_large_is_not_taken)
{
	_cleanup_log_ struct fake_log log = {0};
	_cleanup_proposer_ struct proposer *p = proposer_new(7, 42, &ops, &log);
	char *name = hv_xcalloc(1, HV_EVENT_MAX + 1);

	memset(name, 'x', HV_EVENT_MAX);
	cr_assert_eq(put_pause(p, name, RL_COMMAND), 0);
	cr_assert_eq(proposer_count(p), 0);
	free(name);
}
