/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cpg_link.h - the CPG client (model_v1): join, send queue with back-pressure, deliveries,
 * membership.
 *
 * Four moments: start (retried by a timer until corosync is there), dispatch, corosync restarts
 * (one `down` callback, the queue is forgotten, then start again by itself), stop. `down` is also
 * called when the first start fails; then not again before the link was up. Sending never blocks:
 * CS_ERR_TRY_AGAIN keeps the queue and a timer tries again after 2 ms, up to 50.
 * Members of `confchg` are those of CPG that are in the totem ring too: corosync 3.1.7 can leave a
 * ghost, a member of the group that no change of membership removes. It is told whenever either of
 * the two changes, before the next message; both lists ascend. Everything is called from the loop,
 * never from within cpg_link_send(); callbacks may send but not free the link.
 * Group name: "hvcluster".
 * self-delivery: the time of the last own message that came back is kept, so that a node that is no
 * longer heard can know it.
 */
#ifndef HV_QUORUM_CPG_LINK_H
#define HV_QUORUM_CPG_LINK_H

#include "quorum/replog.h"

#include <qb/qbloop.h>

struct cpg_link;
struct cpg_link_ops {
	void (*confchg)(void *user, struct rl_ring ring, const hv_node_id *members,
			size_t n_members, const hv_node_id *ring_members, size_t n_ring_members);
	void (*deliver)(void *user, hv_node_id sender, const uint8_t *data, size_t len);
	void (*down)(void *user, const char *why);
};
struct cpg_link *cpg_link_new(qb_loop_t *loop, const struct cpg_link_ops *ops, void *user);
/* Copies. HV_OK, HV_LIMIT (queue full: 4,096 messages or 64 MiB), HV_COROSYNC_DOWN. */
enum hv_rc cpg_link_send(struct cpg_link *l, const uint8_t *data, size_t len);
bool cpg_link_up(const struct cpg_link *l);
hv_node_id cpg_link_self(const struct cpg_link *l); /* 0 while down */
uint64_t cpg_link_unsent(const struct cpg_link *l, uint64_t *ret_oldest_us);
uint64_t cpg_link_self_delivered_us(const struct cpg_link *l); /* CLOCK_MONOTONIC */
void cpg_link_free(struct cpg_link *l);			       /* leaves the group */

#endif
