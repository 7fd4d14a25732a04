/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * force.h - `hvcluster quorum force`: a part without quorum goes on by an administrator's word.
 *
 * For when a majority is gone for good, or one of two hosts that were both down. The administrator
 * says of every node that this one does not see that it is off. Then
 *   - corosync is told that the votes it sees are all there are (driver_force), and this node's log
 *     may lead;
 *   - the epoch that begins is a minority's, behind its barrier: the word is written to the audit
 *     trail, and each node that was named gets its proof, as by `fence confirm`;
 *   - with the barrier lifted the cluster works, and starts what the others had.
 * Refused where it is not needed, where the others are at work, where the list is not exactly that
 * of the missing nodes, and on a node whose own log is lost. Kept until all are proven.
 */
#ifndef HV_CLUSTERD_FORCE_H
#define HV_CLUSTERD_FORCE_H

#include "clusterd/views.h"

#define FORCE_AFTER_MS 10000 /* without an active cluster for so long: others may yet come */

struct force_ops {
	enum hv_rc (*begin)(void *user, char **ret_text); /* driver_force() */
	uint64_t (*propose)(void *user, const Hv__Event *ev, enum rl_entry_type type,
			    hv_node_id fenced);
	bool (*pending)(void *user, uint64_t mark);
};
struct force {
	bool on, audited;
	char *actor;
	hv_node_id off[HV_MAX_NODES];
	uint64_t marks[HV_MAX_NODES];
	size_t n_off;
};
/* Configured nodes that this one does not see. */
void force_missing(const struct view *v, struct node_set *ret);
const char *force_name(const struct view *v, hv_node_id id);
/* Why it is refused here and now, NULL: it is not. Static. */
const char *force_refusal(const struct view *v);
/* *ret_text (malloc'ed) and *ret_hint of a refusal. */
enum hv_rc force_begin(struct force *f, const struct view *v, const Hv__QuorumForceRequest *req,
		       const struct force_ops *ops, void *user, char **ret_text,
		       const char **ret_hint);
/* Whenever the state has settled and this node may act. */
void force_look(struct force *f, const struct cluster *c, size_t barrier,
		const struct force_ops *ops, void *user);
void force_done(struct force *f);

#endif
