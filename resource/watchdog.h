/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watchdog.h - what nodes say of their watchdogs, and when time is a proof.
 *
 * PURE. A node that has a watchdog says with which figures it feeds it (fence/timing.h). When it is
 * lost, "its watchdog" is the last level of its fencing: a pseudo device whose executor waits, on
 * its own clock, from the moment at which it saw the node leave (clusterd/absence.h), for the
 * deadline, and then answers with the proof. Time is a proof only
 *
 *   - of what the node said in its present incarnation: a new one feeds as it likes until it has
 *     said so itself;
 *   - while the node is away: no member, by the view that the log holds (away_index). A member
 *     feeds, so a member is fenced by devices alone;
 *   - while this side has had quorum without a break: where a quorum device votes, it may vote for
 *     either side in turn, so each view counts anew;
 *   - while watchdogs are in force: armed, and quorum_loss is not `ignore`. When they cease to be,
 *     every member's word is forgotten in the same step, before any node can close its watchdog;
 *     the generation (even: in force) tells words of before from those of after;
 *   - if a part without quorum ceases to be active: with two_node and no witness both go on.
 *
 * Cluster time only says when to begin and what to print: it jumps when a node speaks whose clock
 * is ahead after an hour in which nothing was written.
 */
#ifndef HV_RESOURCE_WATCHDOG_H
#define HV_RESOURCE_WATCHDOG_H

#include "fence/timing.h"
#include "resource/cluster_priv.h"

void watchdog_said(struct cluster *c, const Hv__NodeWatchdog *ev);
/* At each view: who is a member of it, and who is not. */
void watchdog_member(struct cluster *c, struct node *n, bool renewed);
void watchdog_away(struct cluster *c, struct node *n, const Hv__View *view);
/* In each step: whether they are in force may have changed. */
void watchdog_settle(struct cluster *c);
/* Will time prove this node off? */
bool watchdog_counts(const struct node *n);
/* How long the executor waits from its leaving on. */
uint64_t watchdog_wait_us(const struct node *n);

#endif
