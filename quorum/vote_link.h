/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vote_link.h - the votequorum client: is the ring `ring` quorate, and with which votes.
 *
 * Same four moments, and the same meaning of `down`, as cpg_link.h. `quorum` is called for each
 * answer of votequorum: when a ring was formed and its votes are counted, and when votes, the
 * quorum device or the votes needed change within a ring. It may come before or after CPG's own
 * news of the same ring. device_votes are the quorum device's votes while votequorum counts them,
 * else 0.
 */
#ifndef HV_QUORUM_VOTE_LINK_H
#define HV_QUORUM_VOTE_LINK_H

#include "quorum/forecast.h"

#include <qb/qbloop.h>

struct vote_link;
struct vote_link_ops {
	void (*quorum)(void *user, struct rl_ring ring, bool quorate, uint32_t quorum_votes,
		       uint32_t device_votes);
	void (*down)(void *user, const char *why);
};
struct vote_link *vote_link_new(qb_loop_t *loop, const struct vote_link_ops *ops, void *user);
/* With the answer that was told last; `known` is false while there is none. */
const struct vote_info *vote_link_info(const struct vote_link *l);
/*
 * The administrator's override: from now on, so many votes are all there are, and who has not been
 * seen since the start is not waited for (wait_for_all). Told to every node of this ring by
 * corosync; nodes that come back count again. Kept until corosync ends. *ret_text: malloc'ed, of a
 * failure.
 */
enum hv_rc vote_link_force(struct vote_link *l, uint32_t votes, char **ret_text);
void vote_link_free(struct vote_link *l);

#endif
