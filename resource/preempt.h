/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preempt.h - a VM that finds no room makes VMs of lower priority give way (setting preemption).
 *
 * PURE. Of the nodes that it could start on, that one is taken where those who must go have the
 * lowest priority, then the fewest of them. They leave live if another node can take them, else
 * they are shut down and wait. The room is kept for it meanwhile: it is BLOCKED with `prefer` set,
 * and what has a lower priority does not come there (placement.c). It cannot go round: who gives
 * way is strictly below whom it gives way to.
 */
#ifndef HV_RESOURCE_PREEMPT_H
#define HV_RESOURCE_PREEMPT_H

#include "resource/cluster_priv.h"

/* It is BLOCKED. Begins what can be begun; called again whenever something has become free. */
void preempt_for(struct cluster *c, struct vm *vm);

#endif
