/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * forecast.h - what votequorum goes by, and what would become of the quorum if a node or the quorum
 * device were lost.
 *
 * PURE. The rules are votequorum(5)'s: a part is quorate with `quorum` votes, which is more than
 * half of what is expected (two_node: one). A quorum device's votes go to the part that is left.
 * auto_tie_breaker: exactly half is enough for the part with the lowest node. last_man_standing:
 * some time after each loss, what is left is what is expected. It is a forecast for people; nothing
 * is decided by it.
 */
#ifndef HV_QUORUM_FORECAST_H
#define HV_QUORUM_FORECAST_H

#include "quorum/view.h"

/* As votequorum said last. */
struct vote_info {
	bool known;
	bool two_node, wait_for_all, last_man_standing, auto_tie_breaker;
	uint32_t expected; /* votes, the device's among them */
	uint32_t quorum;
	bool device;	     /* there is one */
	bool device_votes;   /* and it gives its votes to this part now */
	uint32_t device_has; /* so many */
	char device_name[HV_NAME_MAX + 1];
};

struct forecast {
	bool quorate;
	bool minority; /* too few nodes for an epoch of all: nothing begins before the lost are
			  proven off */
};
/* When `lost` of the members goes (0: the quorum device). */
struct forecast forecast_loss(const struct vote_info *info, const struct node_list *nodes,
			      const struct node_set *members, hv_node_id lost);
/*
 * How many members may go and the rest is quorate, whoever they are: all at once, or (with
 * last_man_standing) one after the other.
 */
unsigned forecast_may_lose(const struct vote_info *info, const struct node_list *nodes,
			   const struct node_set *members);

#endif
