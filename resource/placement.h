/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * placement.h - may this VM run there, and where is it best: filter, class, score, tie-break, with
 * reasons.
 *
 * PURE. Filter: an online, active node whose hypervisor layer answers, that no hard rule forbids,
 * with memory (and vCPUs, if vcpus_per_cpu says so) for all that runs, starts or arrives there.
 * Class: what the VM's soft rules and the priorities of its node rules say; a better class is worth
 * waiting for when its nodes are only busy. Score, lower is better: what the setting `placement`
 * goes by. Ties: the number of VMs, then the node id.
 *
 * VMs that hard together rules tie to each other are placed as one: a node is fit when it can take
 * all of them that are not there yet.
 */
#ifndef HV_RESOURCE_PLACEMENT_H
#define HV_RESOURCE_PLACEMENT_H

#include "resource/cluster_priv.h"

enum fit {
	FIT_OK,
	FIT_BUSY,	 /* fits, but the node starts or migrates as many as it may */
	FIT_AVOIDED,	 /* would fit; its start failed there */
	FIT_HERE,	 /* its own node (migration) */
	FIT_OFFLINE,	 /* not an online member */
	FIT_DRAINED,	 /* draining or in maintenance */
	FIT_QUARANTINED, /* fenced too often */
	FIT_NO_LOG,	 /* its disk does not take the log */
	FIT_UNFENCED,	 /* a fence device must be told `on` first */
	FIT_HYPERVISOR,	 /* its hypervisor layer does not answer */
	FIT_STORAGE,	 /* a storage that it needs cannot be used there */
	FIT_RULE,	 /* a hard rule forbids it: placement_rule() */
	FIT_MEMORY,
	FIT_CPU,
	FIT_NEEDS, /* placement_pick() only: another VM must run first */
	FIT_TURN,  /* placement_pick() only: another VM starts first */
};
#define FIT_NODE_LAST FIT_CPU /* the last one that speaks of a node */

/* `migrate`: to come live from its node, else to be started. */
enum fit placement_fit(const struct cluster *c, const struct vm *vm, const struct node *n,
		       bool migrate);
/* The rule behind FIT_RULE. */
const struct rule *placement_rule(const struct cluster *c, const struct vm *vm,
				  const struct node *n, bool migrate);
/* A copy that is still being destroyed holds its memory. */
uint64_t placement_free_mib(const struct node *n);
/* FIT_OK, FIT_MEMORY or FIT_CPU: could as much come to it? */
enum fit placement_room(const struct cluster *c, const struct node *n, uint64_t mem_mib,
			uint32_t vcpus);
/* Could it start here if there were room? */
bool placement_but_for_room(const struct cluster *c, const struct vm *vm, const struct node *n);
/* How many of those that follow it would have to stop if it came to this node. */
int64_t placement_lonely(const struct cluster *c, const struct vm *vm, hv_node_id node);
/* By the setting `placement`, as if the VM were there already. */
int64_t placement_score(const struct cluster *c, const struct vm *vm, const struct node *n);
/*
 * The best node. FIT_OK: *ret_node. FIT_BUSY: there is one, later, likely *ret_node. FIT_AVOIDED:
 * only such as it failed on. FIT_NEEDS, FIT_TURN: not now, wherever. Else FIT_MEMORY: none.
 */
enum fit placement_pick(const struct cluster *c, const struct vm *vm, bool migrate,
			hv_node_id *ret_node);
/* Where a group belongs as it is now, its present node included; 0: nowhere can it be as a whole.
 */
hv_node_id placement_group_home(const struct cluster *c, const struct vm *vm);
/* Could all of its group be here, those included that are? */
bool placement_fits_group(const struct cluster *c, const struct vm *vm, const struct node *n);
/* It is or goes where it can be found: whoever must be with it has no choice. */
bool placement_settled(const struct vm *vm);
/* Is it of those of its group that run or are meant to? */
bool placement_counts(const struct vm *vm);

/* ---- placement_text.c */
/* "offline: host3; not enough memory for 4096 MiB: host1, host2"; HV_TEXT_MAX at most. Caller
 * frees. */
char *placement_why_none(const struct cluster *c, const struct vm *vm, bool migrate);
/* One node's line: "2048 of 4096 MiB free", "is being drained". */
void placement_describe(const struct cluster *c, const struct vm *vm, const struct node *n,
			enum fit fit, char *buf, size_t len);

/* ---- placement_settle.c */
/* All VMs that wait: place what can be placed. */
void placement_settle(struct cluster *c);

#endif
