/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/epoch.h"

#include "proto/mutant.h"

static int cmp_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

int rl_epoch_cmp(const struct rl_epoch *a, const struct rl_epoch *b)
{
	int c = cmp_u64(a->number, b->number);

	if (!c)
		c = cmp_u64(a->node, b->node);
	if (!c)
		c = cmp_u64(a->incarnation, b->incarnation);
	return c;
}

bool vote_rule_met(const struct vote_rule *r, uint32_t votes)
{
	return (MUTANT(quorum_without_majority) || (uint64_t)votes * 2 > r->base_votes) &&
	       (MUTANT(majority_without_quorum) || (uint64_t)votes + r->device_votes >= r->quorum);
}

bool epoch_is_whole(uint32_t member_votes, uint32_t total_votes)
{
	return (uint64_t)member_votes * 2 > total_votes;
}

bool epoch_point_same(const struct epoch_point *a, const struct epoch_point *b)
{
	return a->last_index == b->last_index && rl_epoch_cmp(&a->last_epoch, &b->last_epoch) == 0;
}

/* Both hold the same effective epoch: what one has of it beyond the other may have had an effect.
 */
static int cmp_effective_index(const struct epoch_point *a, const struct epoch_point *b)
{
	if (!a->effective_index || !b->effective_index || MUTANT(live_before_more))
		return 0;
	return cmp_u64(a->effective_index, b->effective_index);
}

bool epoch_point_has_more(const struct epoch_point *a, const struct epoch_point *b)
{
	int c = rl_epoch_cmp(&a->effective, &b->effective);

	return c > 0 || (c == 0 && cmp_effective_index(a, b) > 0);
}

int epoch_point_cmp(const struct epoch_point *a, const struct epoch_point *b)
{
	int c = MUTANT(live_first) ? (int)a->live - (int)b->live : 0;

	if (!c && !MUTANT(donor_by_length))
		c = rl_epoch_cmp(&a->effective, &b->effective);
	if (!c && !MUTANT(donor_by_length))
		c = cmp_effective_index(a, b);
	if (!c)
		c = (int)a->live - (int)b->live;
	if (!c && !MUTANT(donor_by_length))
		c = rl_epoch_cmp(&a->last_epoch, &b->last_epoch);
	if (!c)
		c = cmp_u64(a->last_index, b->last_index);
	if (!c)
		c = cmp_u64(b->node, a->node);
	return c;
}

const struct epoch_point *epoch_donor(const struct epoch_point *points, size_t n)
{
	const struct epoch_point *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (!points[i].needs_state && !points[i].learner &&
		    (!best || epoch_point_cmp(&points[i], best) > 0))
			best = &points[i];
	return best;
}
