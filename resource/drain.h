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
void drain_settle(struct cluster *c, struct node *n);

#endif
