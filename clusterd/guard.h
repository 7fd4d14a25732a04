/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard.h - carries out what fence/selfguard.h orders on this host: VMs are shut down, or the host
 * is reset.
 *
 * No clock, no I/O: the time comes in, jobs go out through ops; the simulator runs it as it is. Its
 * jobs are no operations of the state: their ids have the highest bit set, and their results are
 * of no consequence, since what runs here is observed in any case. A VM that is still there when
 * its job should long have ended gets another.
 */
#ifndef HV_CLUSTERD_GUARD_H
#define HV_CLUSTERD_GUARD_H

#include "clusterd/intake.h"
#include "fence/selfguard.h"

#define GUARD_JOB 0x8000000000000000ULL
#define GUARD_LOOK_US (5 * HV_US_PER_S)	  /* while it stops VMs: one may have started late */
#define GUARD_AGAIN_US (30 * HV_US_PER_S) /* after a job's own timeout */

struct guard;
struct guard_ops {
	void (*stop)(void *user, const struct vm *vm, hv_op_id job, uint32_t timeout_s);
	void (*reset)(void *user); /* once per loss of quorum */
};
struct guard *guard_new(const struct guard_ops *ops, void *user);
void guard_free(struct guard *g);
/* This host stood still: see selfguard.h. */
void guard_stalled(struct guard *g);
/*
 * Looks and orders; `active`: this node may act. Returns when to be called again though nothing
 * changed, 0: never.
 */
uint64_t guard_reconcile(struct guard *g, const struct cluster *c, const struct intake *in,
			 bool active, uint64_t now_us);
/* What it does now, for status; NULL: nothing. Static. */
const char *guard_doing(const struct guard *g);
enum selfguard_policy guard_policy(const struct cluster *c);

#endif
