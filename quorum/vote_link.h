/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vote_link.h - the votequorum client: is the ring `ring` quorate, and with which votes.
 * Same four moments as cpg_link.h. It also reports ring membership to cpg_link's owner.
 */
#ifndef HV_QUORUM_VOTE_LINK_H
#define HV_QUORUM_VOTE_LINK_H

#include "quorum/replog.h"

#include <qb/qbloop.h>

struct vote_link;
struct vote_link_ops {
	void (*quorum)(void *user, struct rl_ring ring, bool quorate, uint32_t quorum_votes, uint32_t device_votes);
	void (*down)(void *user, const char *why);
};
struct vote_link *vote_link_new(qb_loop_t *loop, const struct vote_link_ops *ops, void *user);
void vote_link_free(struct vote_link *l);

#endif
