/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_health.h - guests that hang, panic, or were stopped by an I/O error.
 *
 * PURE. All of it is for VMs that the administrator has opted in (attributes of guest.h). The model
 * is VM monitoring as others have it: a guest is reset, on its host, as if by its reset button,
 * when
 *
 *   - its agent answered since it was started, and has not for heartbeat_s, AND it did no disk and
 *     no network I/O for heartbeat_idle_s. An agent that dies in a guest that works resets nothing.
 *   - or it panicked (guest_panic=reset), or its watchdog fired (guest_watchdog=reset).
 *
 * and nothing speaks against it:
 *
 *   - it has run, and been here, for heartbeat_uptime_s (the heartbeat's reset only): what was just
 *     started, resumed or moved is not judged;
 *   - its host can tell: a hypervisor layer that does not answer makes nothing lost;
 *   - its storage works there, and has for heartbeat_uptime_s: who waits for disks is not at fault;
 *   - it is managed, not locked, meant to run, not paused by an administrator, the cluster is
 *     armed, and nothing else is being done with it;
 *   - fewer than reset_limit resets within reset_window_s. Then it is left as it is, and `status`
 *     says so, until an administrator resets, stops or starts it, or it is well again by itself.
 *
 * The host looks once more right before the reset, and does not reset what answers or works again
 * (REFUSED); it keeps a screenshot and the end of the serial log first. A guest that QEMU has
 * paused because of an I/O error is resumed (io_error=resume) when its host has seen the storage
 * work again, each time in a row after a longer pause; it is never started elsewhere for that.
 */
#ifndef HV_RESOURCE_GUEST_HEALTH_H
#define HV_RESOURCE_GUEST_HEALTH_H

#include "resource/cluster_priv.h"

/* A host says it. */
void guest_seen(struct cluster *c, const Hv__GuestHealth *ev);
/* The VM's state changes: what was said of its guest is over. */
void guest_moves(struct cluster *c, struct vm *vm, enum vm_state to);
/* This node cannot tell what runs on it: what it said is over. */
void guest_node_blind(struct cluster *c, const struct node *n);
/* Its storage, which did not on its node, works again: it has been waiting for that. */
void guest_storage_works(struct cluster *c, struct vm *vm);
/* An administrator has started it anew, or wants it reset: no grudge. */
void guest_forget_resets(struct cluster *c, struct vm *vm);
void guest_ask_reset(struct cluster *c, struct vm *vm, bool asked);
/* Into c->ailing, or out of it, as its facts are now. */
void guest_index(struct cluster *c, struct vm *vm);

void guest_settle(struct cluster *c);
uint64_t guest_deadline_us(const struct cluster *c);
/* The executor's answer to a reset; the operation has ended. */
void guest_reset_result(struct cluster *c, struct vm *vm, const struct operation *op,
			const Hv__OpResult *res);

/* For people: what ails it, and what is done about it; NULL: nothing. Caller frees. */
char *guest_trouble_text(const struct cluster *c, const struct vm *vm);

#endif
