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
	if (in->active || g->active || in->stalled || !g->begun)
		g->ok_us = in->now_us;
	g->begun = true;
	g->active = in->active;
	if (in->active || in->now_us - g->ok_us < in->grace_us)
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

uint64_t selfguard_lease_step(struct selfguard_lease *l, const struct selfguard_lease_input *in)
{
	bool stood_still = l->begun && (in->now_us - l->stepped_us > in->stall_us ||
					in->suspended_us > l->suspended_us + SUSPENDED_US);
	uint64_t until_us = in->heartbeat_sent_us + in->lease_us;

	if (stood_still)
		l->floor_us = in->now_us + in->lease_us;
	l->begun = true;
	l->stepped_us = in->now_us;
	l->suspended_us = in->suspended_us;
	if (MUTANT(fed_without_lease))
		return in->now_us + in->lease_us;
	if (!in->active || !in->heartbeat_sent_us || in->heartbeat_sent_us < l->floor_us ||
	    in->now_us >= until_us)
		return 0;
	return until_us;
}
