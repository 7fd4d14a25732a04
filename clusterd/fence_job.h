/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fence_job.h - one fence operation of the state, run through fence/fence_agent.h.
 *
 * Takes the device's options and secrets from the state for as long as the agent needs them.
 */
#ifndef HV_CLUSTERD_FENCE_JOB_H
#define HV_CLUSTERD_FENCE_JOB_H

#include "fence/fence_agent.h"
#include "resource/cluster.h"

struct fence_job;
/* OP_FENCE: off with proof; OP_FENCE_TEST: status. NULL: `victim` has no such device (any more). */
struct fence_job *fence_job_start(qb_loop_t *loop, const struct node *victim,
				  const struct operation *op, fence_done_fn done, void *user);
/* `done` comes with HV_CANCELLED. */
void fence_job_cancel(struct fence_job *j);
/* Before it is done: kills the agent, and `done` is not called. Also from within `done`. */
void fence_job_free(struct fence_job *j);

#endif
