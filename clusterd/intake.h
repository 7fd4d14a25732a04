/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * intake.h - what this host sees, compared with what the cluster believes; proposes the difference.
 *
 * No clock, no I/O: the time comes in, proposals go out through ops. Level-triggered: it keeps a
 * mirror of what the hypervisor layer said last of each domain, and looks again whenever either
 * side changed, so that no message that was lost has to be found again. It proposes
 *
 *   NodeReport   when the state has this node joining with this incarnation: once the inventory is
 *                known, or after INTAKE_PATIENCE_US without it, and again when it is known
 *   VmObserved   when a VM is not as the state says and no operation of it is running here
 *   GuestHealth  when a guest is not as the state says (guest_mirror.h)
 *   HostHealth   when the hypervisor layer's health or the host's size is not as the state says;
 *                bad news after INTAKE_DEBOUNCE_US only, since hypervisord is back within 50 ms
 *
 * One proposal is in flight per object. One that the brain took note of without changing its mind
 * is repeated after INTAKE_REPEAT_US, not sooner.
 */
#ifndef HV_CLUSTERD_INTAKE_H
#define HV_CLUSTERD_INTAKE_H

#include "proto/hypervisor.pb-c.h"
#include "resource/cluster.h"

#define INTAKE_PATIENCE_US (5 * HV_US_PER_S)
#define INTAKE_DEBOUNCE_US (1 * HV_US_PER_S)
#define INTAKE_REPEAT_US (10 * HV_US_PER_S)
#define INTAKE_GATHER_US                                                                           \
	(50 * HV_US_PER_MS) /* changes of the state alone are looked at together                   \
			     */

struct intake;
struct intake_ops {
	uint64_t (*propose)(void *user, const Hv__Event *ev); /* mark, 0: not now */
	bool (*pending)(void *user, uint64_t mark);
};
/* It listens from the start; who this node is follows when corosync has said so. */
struct intake *intake_new(const char *boot_id, const struct intake_ops *ops, void *user);
void intake_set_self(struct intake *in, hv_node_id self, uint64_t incarnation);
void intake_free(struct intake *in);

/* What hypervisord said. */
void intake_inventory(struct intake *in, const Hv__HvInventory *inv);
void intake_domain(struct intake *in, const Hv__DomainSeen *seen);
void intake_guest(struct intake *in, const Hv__GuestSeen *seen);
/* It was: what was said of it before is over. */
void intake_guest_reset(struct intake *in, const char *uuid);
void intake_health(struct intake *in, const Hv__HvHealth *health, uint64_t now_us);
void intake_hypervisor_gone(struct intake *in, const char *why, uint64_t now_us);
/*
 * The hypervisor layer was told to start it. Until it says more, not seeing it proves nothing: this
 * node may be lost and back, and report, while the call is still under way.
 */
void intake_starting(struct intake *in, const char *uuid);
/* What an executor found out about a VM here is as good as an event. */
void intake_observed(struct intake *in, const char *uuid, Hv__Observed observed);
/* Why it is not here any more, if it is not and if that was said. */
Hv__Cause intake_cause(const struct intake *in, const char *uuid);

/* The state changed: VMs are compared soon. `all`: it was replaced. */
void intake_state_changed(struct intake *in, uint64_t now_us, bool all);
/* Compares and proposes. Only while this node may act. */
void intake_reconcile(struct intake *in, const struct cluster *c, uint64_t now_us);
/* When to call that again though nothing happened (CLOCK_MONOTONIC), 0: never. */
uint64_t intake_next_us(const struct intake *in);

/* Does a domain of that uuid exist on this host, running or not, as far as is known? */
/* All that fails on this host now. */
void intake_setup(struct intake *in, const Hv__HostSetup *setup);
void intake_storage(struct intake *in, const Hv__HvStorage *storage);
bool intake_has(const struct intake *in, const char *uuid);

/* For status: is the hypervisor layer all right, and if not why. */
bool intake_health_ok(const struct intake *in, const char **ret_why);

#endif
