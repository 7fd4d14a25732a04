/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * epoch.h - identity and order of epochs, when votes suffice, and whose log is the best.
 *
 * PURE. doc/protocol.md says why each rule is as it is.
 */
#ifndef HV_QUORUM_EPOCH_H
#define HV_QUORUM_EPOCH_H

#include "quorum/view.h"

/* What commits an entry and opens an epoch; fixed by the Activate for as long as the epoch lasts.
 */
struct vote_rule {
	/*
	 * What a majority is reckoned of. In a whole epoch all configured nodes' votes: else two of
	 * four would commit with a device's vote what the two others, who may lead with it behind a
	 * barrier, do not have. In a minority epoch its members'.
	 */
	uint32_t base_votes;
	uint32_t quorum;       /* votequorum's */
	uint32_t device_votes; /* that votequorum counts besides the nodes' */
};
/* A strict majority of the base and, with the device's votes, at least the quorum. */
bool vote_rule_met(const struct vote_rule *r, uint32_t votes);
/* Do the members hold a strict majority of all configured node votes? The device does not count. */
bool epoch_is_whole(uint32_t member_votes, uint32_t total_votes);

/* What one node's log is, as its hello says. */
struct epoch_point {
	hv_node_id node;
	uint64_t incarnation;
	uint32_t votes, feature;
	struct rl_epoch effective; /* latest epoch that was whole or whose barrier was lifted */
	uint64_t
	    effective_index; /* its last entry; 0: not known, an earlier release does not say */
	struct rl_epoch last_epoch; /* of its last entry */
	uint64_t last_index;
	bool live;	  /* up without a break since it lifted a minority epoch's barrier */
	bool needs_state; /* may not be donor */
	bool synced;	  /* in an Activate: has the donor's log already */
	bool follows;	  /* in an Activate: is a member of the epoch that goes on */
	bool learner;	  /* its disk does not take the log: no vote, no donor */
};
/* Same log? Equal epoch and index of the last entry mean equal entries all the way down. */
bool epoch_point_same(const struct epoch_point *a, const struct epoch_point *b);
/*
 * Order of donors, > 0 when `a` is better: effective epoch, who has more of it, live, last epoch,
 * last index, then the lower node id. (Live must not come first: a live node that hung while the
 * others, who have its entries, went on as a whole epoch would take theirs away; nor before how
 * much it has: one that hung while the others, of the same epoch, committed more, and then went on
 * behind a barrier, would take that away.)
 */
int epoch_point_cmp(const struct epoch_point *a, const struct epoch_point *b);
/* Does `a` hold what may have had an effect, and `b` does not? */
bool epoch_point_has_more(const struct epoch_point *a, const struct epoch_point *b);
/* The best of those that have a vote and do not need state themselves; NULL if there is none. */
const struct epoch_point *epoch_donor(const struct epoch_point *points, size_t n);

#endif
