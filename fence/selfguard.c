/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fence/selfguard.h"

#include "proto/base.h"
#include "proto/mutant.h"

#define SUSPENDED_US                                                                               \
	(10 * HV_US_PER_MS) /* more than two clocks read one after the other differ                \
			     */

static enum selfguard_order order_of(enum selfguard_policy policy)
{
	switch (policy) {
	case SELFGUARD_STOP:
		return GUARD_STOP;
	case SELFGUARD_SELF_FENCE:
		return GUARD_RESET;
	case SELFGUARD_FREEZE:
	case SELFGUARD_IGNORE:
		break;
	}
	return GUARD_NONE;
}

enum selfguard_order selfguard_step(struct selfguard *g, const struct selfguard_input *in)
{
	/* An idle node is not stepped for hours: it was active until this first step that says no.
	 */
	if (in->active || (g->active && !MUTANT(calm_is_loss)) || in->stalled || !g->begun)
		g->ok_us = in->now_us;
	g->begun = true;
	g->active = in->active;
	if (in->active || in->now_us - g->ok_us < in->grace_us || MUTANT(guard_sleeps))
		return GUARD_NONE;
	return order_of(in->policy);
}

uint64_t selfguard_due_us(const struct selfguard *g, const struct selfguard_input *in)
{
	uint64_t due = g->ok_us + in->grace_us;

	if (in->active || order_of(in->policy) == GUARD_NONE || in->now_us >= due)
		return 0;
	return due;
}

/* ---- the lease */

/* The latest that was back before this one was sent; NULL: unknown. */
static const struct selfguard_heard *back_before(const struct selfguard_lease *l, uint64_t sent_us)
{
	if (l->newer.sent_us && sent_us >= l->newer.seen_us)
		return &l->newer;
	if (l->older.sent_us && sent_us >= l->older.seen_us)
		return &l->older;
	return NULL;
}

/* From when the lease counts by a heartbeat that is seen for the first time; 0: it does not. */
static uint64_t counts_from(const struct selfguard_lease *l, const struct selfguard_lease_input *in)
{
	uint64_t sent_us = in->heartbeat_sent_us;
	const struct selfguard_heard *e = back_before(l, sent_us);

	if (!e || sent_us < l->floor_us)
		return 0;
	if (sent_us > e->sent_us + in->left_us && !MUTANT(stale_ring_counts))
		return e->sent_us + in->left_us;
	return sent_us;
}

static void hear(struct selfguard_lease *l, const struct selfguard_lease_input *in)
{
	uint64_t sent_us = in->heartbeat_sent_us, from_us;

	if (!sent_us || sent_us == l->newer.sent_us)
		return;
	from_us = counts_from(l, in);
	if (from_us && from_us + in->lease_us <= in->now_us)
		l->floor_us = in->now_us + in->token_us;
	else if (from_us > l->from_us)
		l->from_us = from_us;
	if (sent_us >= l->newer.seen_us)
		l->older = l->newer;
	l->newer = (struct selfguard_heard){sent_us, in->now_us};
}

uint64_t selfguard_lease_step(struct selfguard_lease *l, const struct selfguard_lease_input *in)
{
	if (l->begun && in->suspended_us > l->suspended_us + SUSPENDED_US) {
		l->floor_us = in->now_us + in->token_us;
		l->from_us = 0;
	}
	l->begun = true;
	l->suspended_us = in->suspended_us;
	hear(l, in);
	if (MUTANT(fed_without_lease))
		return in->now_us + in->lease_us;
	if (!in->active || !in->heartbeat_sent_us || !l->from_us ||
	    in->now_us >= l->from_us + in->lease_us)
		return 0;
	return l->from_us + in->lease_us;
}
