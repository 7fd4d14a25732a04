/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node_machine.h - the life of a node: the declared table, the one function that moves it, and what
 * membership, reports and proofs do to it. The diagram is in doc/states.md.
 *
 * PURE.
 */
#ifndef HV_RESOURCE_NODE_MACHINE_H
#define HV_RESOURCE_NODE_MACHINE_H

#include "resource/cluster_priv.h"

const char *node_state_meaning(enum node_state s);
bool node_move_allowed(enum node_state from, enum node_state to);
void node_move(struct cluster *c, struct node *n, enum node_state to, struct why why);
void node_reason(struct cluster *c, struct node *n, struct why why);
void node_admin_move(struct cluster *c, struct node *n, enum node_admin to, struct why why);

void node_view(struct cluster *c, const Hv__View *view);
void nodes_configured(struct cluster *c, const Hv__NodesConfigured *ev);
void node_report(struct cluster *c, const Hv__NodeReport *ev);
void node_health(struct cluster *c, const Hv__HostHealth *ev);
/*
 * It is to be fenced though it is a member: from now on it counts as lost, its VMs recover when it
 * is proven off, and being in the next view with the same incarnation changes nothing. False, and
 * nothing is done: it has no fence device, no other member can run one, or it is off already.
 * A caller who holds one of its VMs finds it RECOVERING afterwards.
 */
bool node_want_fence(struct cluster *c, struct node *n, struct why why);
bool node_may_be_fenced(const struct cluster *c, const struct node *n);
/* The grace of a gone clusterd is over? */
void node_settle(struct cluster *c, struct node *n);
/* Proof: nothing of ours runs there. `how` is for the report: "fence agent bmc", "confirmed by
 * root@host1". */
void node_proven_off(struct cluster *c, struct node *n, struct why why, const char *how);

#endif
