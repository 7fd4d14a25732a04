/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drain.h - empties a node by live migration, in priority order, a few at a time.
 *
 * PURE. While admin is DRAINING each step looks at what is left. The NODE_DRAIN operation ends DONE
 * when nothing is (MAINTENANCE), or FAILED with HELD when each VM that is left cannot go; the node
 * stays DRAINING then, and goes on by itself when there is room again.
 */
#ifndef HV_RESOURCE_DRAIN_H
#define HV_RESOURCE_DRAIN_H

#include "resource/cluster_priv.h"

void drain_begin(struct cluster *c, struct node *n, const char *actor);
/* Back to ACTIVE; a drain in progress ends as cancelled, migrations in progress go on. */
void drain_cancel(struct cluster *c, struct node *n, const char *actor);
/* What is with this VM of a node that is being emptied? */
enum drain_item {
	ITEM_MOVING, /* on its way, or about to be: wait */
	ITEM_READY,  /* may be moved now */
	ITEM_STUCK,  /* cannot go: ret_why, which the caller frees */
};
/* Failed stops, resumes or probes after which a VM is not waited for. */
#define DRAIN_STUCK_TRIES 3
enum drain_item drain_item(const struct cluster *c, const struct node *n, const struct vm *vm,
			   char **ret_why);
/* Move one that is READY: live if it may be, else by stop and start; it remembers its home. */
void drain_one(struct cluster *c, struct node *n, struct vm *vm, hv_op_id parent, struct why why);
void drain_settle(struct cluster *c, struct node *n);

#endif
