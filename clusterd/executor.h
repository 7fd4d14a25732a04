/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * executor.h - carries out the operations that the state addresses to this node.
 *
 * Level-triggered: the truth is the set of running operations in the state; the brain's actions are
 * hints where to look. A full scan is made at the start, when the state was replaced, and when
 * hypervisord came (back), which gets all running VM jobs again. Results are proposed until
 * the state shows that the operation is over or has another attempt.
 *
 *   VM operations  -> a job of hypervisord (id = the operation's, attempt)
 *   fence          -> fence_off: off, then status until off; the only thing that carries proof
 *   fence-test     -> the agent's status action
 *
 * A view change takes milliseconds; a fence that runs goes on meanwhile. A node that is not current
 * again after EXECUTOR_FENCE_GRACE_US stops: a partition without quorum fences nobody. VM jobs go
 * on: they are about VMs that this node owns.
 */
#ifndef HV_CLUSTERD_EXECUTOR_H
#define HV_CLUSTERD_EXECUTOR_H

#include "proto/hypervisor.pb-c.h"
#include "resource/brain.h"

#include <qb/qbloop.h>

#define EXECUTOR_FENCE_GRACE_US (2 * HV_US_PER_S)

struct executor;
struct executor_ops {
	/* To hypervisord. */
	void (*request)(void *user, const Hv__HvRequest *req);
	/* Proposes; `fence`: may pass a barrier; `fenced`: the proof is about this node. Mark, or
	 * 0. */
	uint64_t (*propose)(void *user, const Hv__Event *ev, bool fence, hv_node_id fenced);
	bool (*pending)(void *user, uint64_t mark);
	/* Why a VM is not on this host any more. */
	Hv__Cause (*cause)(void *user, const char *uuid);
	/* Cluster time at a moment of CLOCK_MONOTONIC. */
	uint64_t (*time_at)(void *user, uint64_t mono_us);
	/* An agent ended: reconcile. Called from the loop. */
	void (*wake)(void *user);
};
struct executor *executor_new(qb_loop_t *loop, hv_node_id self, const struct executor_ops *ops,
			      void *user);
/* Kills running agents. VM jobs end with hypervisord. */
void executor_free(struct executor *e);

/* Hints and events. */
void executor_hint(struct executor *e, hv_op_id op);
void executor_rescan(struct executor *e);
void executor_installed(struct executor *e); /* the whole state was replaced */
void executor_hypervisor_up(struct executor *e);
void executor_result(struct executor *e, const Hv__HvResult *result);
/* Is this job of ours, in its present attempt? (progress of others is not passed on) */
bool executor_knows(const struct executor *e, hv_op_id op);

/*
 * Looks at what was hinted at, starts and cancels, proposes results. `current`: this node may act
 * (behind the barrier of a minority epoch: only fence).
 * Returns when to call again though nothing happened (CLOCK_MONOTONIC), 0: never.
 */
uint64_t executor_reconcile(struct executor *e, const struct cluster *c, bool current,
			    bool hypervisor_up, uint64_t now_us);
size_t executor_jobs(const struct executor *e);

#endif
