/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nodelist.h - the cmap client: who we are, which nodes are configured, with which names and votes;
 * follows changes (corosync-cfgtool -R). Same four moments as cpg_link.h.
 */
#ifndef HV_QUORUM_NODELIST_H
#define HV_QUORUM_NODELIST_H

#include "quorum/replog.h"

#include <qb/qbloop.h>

struct nodelist_node {
	hv_node_id id;
	uint32_t votes;
	char name[HV_NAME_MAX + 1];
};
struct nodelist {
	hv_node_id self; /* 0: this node is not in the list */
	char cluster[HV_NAME_MAX + 1];
	uint32_t token_ms, consensus_ms;
	uint32_t device_ms; /* how long a quorum device may leave a host that is cut off its vote;
			       0: there is none */
	bool two_node;	    /* and no device: both go on when they do not hear each other */
	struct nodelist_node nodes[HV_MAX_NODES];
	size_t n_nodes; /* ascending id */
};
/*
 * One-shot read. HV_OK, HV_COROSYNC_DOWN, HV_NOT_CONFIGURED (nodelist is usable, self is 0),
 * HV_BAD_INPUT (a node without nodeid or name, more than HV_MAX_NODES). *ret_text is malloc'ed.
 */
enum hv_rc nodelist_read(struct nodelist *ret, char **ret_text);

struct nodelist_watch;
/*
 * `changed` is called on the loop with the first list that can be read, and whenever the list
 * differs from the last one given. A list that is not usable is logged and the one before stays.
 */
struct nodelist_watch *nodelist_watch_new(qb_loop_t *loop,
					  void (*changed)(void *user, const struct nodelist *list),
					  void *user);
void nodelist_watch_free(struct nodelist_watch *w);

#endif
