/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * moves.h - what rules want changed of VMs that run: repair of a broken hard rule, the way back to
 * a better node, a group that gathers, a VM that follows another or may not run without it, a
 * leader that goes to where its followers can be; and how a VM leaves a node that it cannot stay
 * on.
 *
 * PURE. Only VMs that are `uneasy` (rule.h) are thought about, and only when one of them was
 * noticed or something has become free. Bounded: a VM has one operation at a time, a node takes
 * part in migrate_parallel migrations, a move that failed is tried again after growing pauses.
 * A VM moves only to where it is strictly better by its rules, so in a settled cluster nothing
 * moves. What cannot be made good stays where it is: nothing is stopped for a rule about places.
 */
#ifndef HV_RESOURCE_MOVES_H
#define HV_RESOURCE_MOVES_H

#include "resource/cluster_priv.h"

void moves_settle(struct cluster *c);
/* Nothing else is being done with this VM, and its node can act. */
bool moves_free(struct cluster *c, const struct vm *vm);
/* It leaves its node live, if that may be now and another can take it. */
void moves_leave(struct cluster *c, struct vm *vm, struct why why);

#endif
