/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_plan.h - what is to be done about a guest that ails (guest_health.h), when at the earliest,
 * or why nothing. PURE; decides, and changes nothing: for the brain and for `explain` alike.
 */
#ifndef HV_RESOURCE_GUEST_PLAN_H
#define HV_RESOURCE_GUEST_PLAN_H

#include "resource/cluster_priv.h"

enum guest_deed {
	GUEST_NOTHING,
	GUEST_RESET,
	GUEST_RESUME,
	GUEST_HOLD, /* the limit of resets has just been reached */
};
struct guest_plan {
	enum guest_deed deed;
	enum reset_if cause; /* RESET, HOLD */
	uint64_t at_us;	     /* not before; 0: now */
	const char *why_not; /* NOTHING: static, for people; may be NULL */
};

/* Is there something to think about? */
bool guest_ails(const struct vm *vm);
struct guest_plan guest_plan(const struct cluster *c, const struct vm *vm);
/* Resets within the window until now. */
unsigned guest_resets_counted(const struct cluster *c, const struct vm *vm);
enum reset_if op_reset_if(const struct operation *op); /* of a VM_RESET */
const char *guest_trouble_name(Hv__GuestTrouble t);

#endif
