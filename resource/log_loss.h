/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log_loss.h - members whose disk does not take the log, and what becomes of their VMs.
 *
 * PURE. Such a node follows the others without a vote (doc/protocol.md, "Learners"): its executor
 * works, its VMs run, and only what it writes is not kept. From the first moment it gets no VM;
 * when its disk has not come back within manager_grace_ms, its VMs leave live, as many at a time as
 * elsewhere. What cannot leave stays and runs on: nothing is stopped or fenced for it.
 */
#ifndef HV_RESOURCE_LOG_LOSS_H
#define HV_RESOURCE_LOG_LOSS_H

#include "resource/cluster_priv.h"

/* As a view says it. */
void log_loss_seen(struct cluster *c, struct node *n, bool learner);
/* It is no member any more. */
void log_loss_forget(struct cluster *c, struct node *n);
/* VMs leave. */
void log_loss_settle(struct cluster *c);
/* When that begins, 0: not. */
uint64_t log_loss_deadline_us(const struct cluster *c, const struct node *n);

#endif
