/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * placement.h - may this VM run there, and where is it best: filter, score, tie-break, with
 * reasons.
 *
 * PURE. Hard: an online, active node whose hypervisor layer answers, with memory for all that runs,
 * starts or arrives there. Soft, lower is better: vCPUs used per CPU (in thousandths), then the
 * number of VMs, then the node id.
 */
#ifndef HV_RESOURCE_PLACEMENT_H
#define HV_RESOURCE_PLACEMENT_H

#include "resource/cluster_priv.h"

enum fit {
	FIT_OK,
	FIT_BUSY,	/* fits, but the node starts or migrates as many as it may */
	FIT_AVOIDED,	/* would fit; its start failed there */
	FIT_HERE,	/* its own node (migration) */
	FIT_OFFLINE,	/* not an online member */
	FIT_DRAINED,	/* draining or in maintenance */
	FIT_HYPERVISOR, /* its hypervisor layer does not answer */
	FIT_MEMORY,
};
/* `migrate`: to come live from its node, else to be started. */
enum fit placement_fit(const struct cluster *c, const struct vm *vm, const struct node *n,
		       bool migrate);
int64_t placement_score(const struct node *n);
/*
 * The best node. FIT_OK: *ret_node. FIT_BUSY: there is one, later. FIT_AVOIDED: only such as it
 * failed on. Else FIT_MEMORY: none.
 */
enum fit placement_pick(const struct cluster *c, const struct vm *vm, bool migrate,
			hv_node_id *ret_node);
/* "offline: host3; not enough memory for 4096 MiB: host1, host2"; HV_TEXT_MAX at most. Caller
 * frees. */
char *placement_why_none(const struct cluster *c, const struct vm *vm, bool migrate);
/* One node's line: "2048 of 4096 MiB free", "is being drained". */
void placement_describe(const struct cluster *c, const struct vm *vm, const struct node *n,
			enum fit fit, char *buf, size_t len);
/* All VMs that wait: place what can be placed. */
void placement_settle(struct cluster *c);

#endif
