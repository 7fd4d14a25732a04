/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * driver.h - runs the replicated log and the brain on a real host.
 *
 * Feeds the log (quorum/replog.h) with what corosync, the store and the timer say, carries out its
 * outputs in order, and gives committed entries to the brain, which it owns. Decides nothing.
 *
 * One turn: an input is fed, all outputs are carried out, then `settled` is called once, in which
 * the owner looks at the new state and proposes; what that makes the log put out is carried out in
 * the same turn. Nothing here waits: a commit costs what CPG and the disk cost.
 *
 * Life cycle: open (store and log; corosync's links begin to connect by themselves) -> turns ->
 * close. Links come back by themselves when corosync was restarted.
 */
#ifndef HV_CLUSTERD_DRIVER_H
#define HV_CLUSTERD_DRIVER_H

#include "quorum/forecast.h"
#include "quorum/nodelist.h"
#include "quorum/replog.h"
#include "resource/brain.h"

#include <qb/qbloop.h>

struct driver;
struct driver_ops {
	/* One entry was applied; the actions are valid during the call only. */
	void (*applied)(void *user, uint64_t index, const Hv__Event *ev,
			const struct action_list *actions);
	/* The whole state was replaced. */
	void (*installed)(void *user);
	/* Everything is carried out: look at the state, propose. */
	void (*settled)(void *user);
	void (*gossip)(void *user, hv_node_id node, const Hv__Gossip *gossip);
	/* The proposal was dropped (see proposer.h). */
	void (*dropped)(void *user, uint64_t mark, enum hv_rc rc);
	/* What corosync said of its rings: see corosync_hold.h. */
	void (*ring)(void *user, struct rl_ring ring, const hv_node_id *members, size_t n);
	void (*votes)(void *user, struct rl_ring ring, bool quorate);
	void (*link_down)(void *user);
	/* This host stood still for a while. */
	void (*stalled)(void *user);
	/* This process cannot go on; the text says why and what to do. */
	void (*fatal)(void *user, enum hv_rc rc, const char *text);
};
/* `history_bytes` bounds what is kept for replay (history.h). On failure *ret_text (malloc'ed)
 * explains. `list` must name this node. */
enum hv_rc driver_open(qb_loop_t *loop, const char *state_dir, uint64_t history_bytes,
		       const struct nodelist *list, const struct driver_ops *ops, void *user,
		       struct driver **ret, char **ret_text);
void driver_close(struct driver *d);

/* corosync's node list changed. */
void driver_nodes_changed(struct driver *d, const struct nodelist *list);
/* Something outside the log changed that `settled` looks at. Never calls it from within itself. */
void driver_wake(struct driver *d);

const struct cluster *driver_cluster(const struct driver *d);
const struct rl_status *driver_status(const struct driver *d);
hv_node_id driver_self(const struct driver *d);
uint64_t driver_incarnation(const struct driver *d);
/*
 * May this node act: it is a member of an active epoch *and* an entry of that epoch was applied, so
 * that the state is not one from before it was away.
 */
bool driver_current(const struct driver *d);
bool driver_corosync_up(const struct driver *d);
/* When our own latest message came back through the ring; CLOCK_MONOTONIC. */
uint64_t driver_self_delivered_us(const struct driver *d);
/* What votequorum goes by. */
const struct vote_info *driver_votes(const struct driver *d);
/*
 * The administrator's override (force.h): corosync is told that the votes of the nodes that it sees
 * are all there are, and this node may lead with the log it holds. *ret_text: malloc'ed, of a
 * failure.
 */
enum hv_rc driver_force(struct driver *d, char **ret_text);
/* What an operator must know about the store, or NULL. */
const char *driver_store_warning(const struct driver *d);
/* How often our state turned out to differ from the majority's. */
unsigned driver_divergences(const struct driver *d);

/* Cluster time: now, and at a moment of CLOCK_MONOTONIC. */
uint64_t driver_now_us(const struct driver *d);
uint64_t driver_time_at(const struct driver *d, uint64_t mono_us);

/* See proposer.h. 0: not accepted (not current, behind a barrier, or no room). */
uint64_t driver_propose(struct driver *d, const Hv__Event *ev, enum rl_entry_type type,
			hv_node_id fenced);
bool driver_pending(const struct driver *d, uint64_t mark);
size_t driver_proposals(const struct driver *d);
void driver_gossip(struct driver *d, const Hv__Gossip *gossip);

#endif
