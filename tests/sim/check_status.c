/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a node says of itself and asks of its disk: who may be at work, and what may happen behind a
 * barrier.
 */
#include "tests/sim/sim.h"

/*
 * votequorum decides who may work, and its answer for an earlier ring says nothing of this one. (A
 * scenario may tell a node to go on without.)
 */
static void check_worked(struct sim *s, struct host *h, const struct rl_status *st)
{
	struct process *p = &h->proc;
	bool yes = false;

	if (st->phase != RL_ACTIVE || st->epoch.node != h->id || s->scenario ||
	    rl_epoch_cmp(&st->epoch, &p->worked) == 0)
		return;
	p->worked = st->epoch;
	for (size_t i = 0; i < ARRAY_SIZE(p->answers); i++)
		yes |= p->answers[i].ring == p->view_ring && p->answers[i].quorate;
	if (!yes)
		sim_fail(s, "I6: node %u is at work in epoch %llu, and its ring is not quorate",
			 h->id, (unsigned long long)st->epoch.number);
}

/*
 * Of two nodes that need not hear each other: who lifts its barrier has seen to it that the other
 * one is off, or has been since it could lead alone.
 */
static void check_lifted(struct sim *s, const struct host *h, const struct rl_status *st)
{
	const struct host *o = h == &s->hosts[0] ? &s->hosts[1] : &s->hosts[0];

	if (s->two_node && s->n == 2 && !s->healing && !s->scenario && !st->barrier && o->proc.up &&
	    rl_status(o->proc.log)->caught_up)
		sim_fail(s, "I2: node %u lifts its barrier, and node %u can lead alone", h->id,
			 o->id);
}

/* Who was told that its ring is not quorate leaves its epoch, and follows no other. */
static void check_told_no(struct sim *s, const struct host *h, const struct rl_status *st)
{
	const struct answer *last = &h->proc.answers[0];

	if (st->phase != RL_ACTIVATING && st->phase != RL_SYNCING && st->phase != RL_ACTIVE)
		return;
	if (last->ring == h->proc.view_ring && !last->quorate && !s->scenario && !s->forced)
		sim_fail(s, "I6: node %u is in epoch %llu, and its ring is not quorate", h->id,
			 (unsigned long long)st->epoch.number);
}

void check_status(struct sim *s, struct host *h, const struct rl_status *st)
{
	struct process *p = &h->proc;

	check_worked(s, h, st);
	check_told_no(s, h, st);
	if (p->behind_barrier && st->phase == RL_ACTIVE && st->minority &&
	    rl_epoch_cmp(&st->epoch, &p->barrier_epoch) == 0)
		check_lifted(s, h, st);
	p->behind_barrier = st->phase == RL_ACTIVE && st->barrier;
	p->barrier_epoch = st->epoch;
}

/* A command of an epoch is taken when all that it has lost are off: it would be undone. */
void check_behind_barrier(struct sim *s, const struct host *h, const struct rl_entry *e)
{
	const struct rl_status *st = rl_status(h->proc.log);

	if (e->type == RL_COMMAND && rl_epoch_cmp(&e->epoch, &st->epoch) == 0)
		sim_fail(s, "I2: node %u takes a command behind its barrier, at %llu", h->id,
			 (unsigned long long)e->index);
}

/* What may have to be undone stays in the log. */
void check_asked_write(struct sim *s, const struct host *h, const struct rl_write *w)
{
	const struct rl_status *st = rl_status(h->proc.log);

	if (w->set_base && !w->drop_all && st->phase == RL_ACTIVE && st->barrier &&
	    rl_epoch_cmp(&w->base_epoch, &st->epoch) == 0)
		sim_fail(s, "I5: node %u compacts its log behind its barrier, up to %llu", h->id,
			 (unsigned long long)w->base_index);
}
