/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vm_machine.h - the life of a VM: the declared table, the one function that moves it, and what it
 * does next. The diagram is in doc/states.md.
 *
 * PURE. Facts come in through vm_owner_says(), vm_copy_seen(), vm_op_result(), vm_owner_lost() and
 * vm_absent(); each brings the state up to date. vm_settle() then looks at state and intent, never
 * at what led there, and begins or cancels operations. It can be called at any time: settling twice
 * changes nothing (vm_settle.c).
 */
#ifndef HV_RESOURCE_VM_MACHINE_H
#define HV_RESOURCE_VM_MACHINE_H

#include "resource/cluster_priv.h"

const char *vm_state_meaning(enum vm_state s);
bool vm_move_allowed(enum vm_state from, enum vm_state to);
/* The only place where a VM's state changes. Journals; clears retry_us and tries. */
void vm_move(struct cluster *c, struct vm *vm, enum vm_state to, struct why why);
/* A new reason, the same state. No change, no trace. */
void vm_reason(struct cluster *c, struct vm *vm, struct why why);
void vm_settle(struct cluster *c, struct vm *vm);
/* base << (times - 1), at most max. */
uint64_t backoff_us(uint64_t base, uint64_t max, uint32_t times);
/* Try the state's operation again after a pause that grows. */
void vm_again_later(struct cluster *c, struct vm *vm, struct why why);

/* It runs on its owner: nothing of its start is to be remembered. */
void vm_running(struct cluster *c, struct vm *vm, struct why why);
/* Proven to run nowhere but, perhaps, as copies that are destroyed first. */
void vm_absent(struct cluster *c, struct vm *vm, struct why why);
/* Its owner is lost. */
void vm_owner_lost(struct cluster *c, struct vm *vm);
/* Why it waits while its owner is lost. */
struct why vm_why_recovering(const struct cluster *c, const struct vm *vm);
/* The job that had locked it is over, or gone with its node. */
void vm_unlock(struct cluster *c, struct vm *vm, struct why why);
/* A copy on `node` is nobody's: destroyed, and until then the VM is not started anywhere. */
void vm_destroy_copy(struct cluster *c, struct vm *vm, hv_node_id node);
/* It was found running where it had no owner. */
void vm_adopt(struct cluster *c, struct vm *vm, hv_node_id node);

/* Placed: ownership, epoch and START operation. False: too many operations now. */
bool vm_start_on(struct cluster *c, struct vm *vm, hv_node_id node, const char *text);
/*
 * Move it without live migration: shut down where it runs, then started on vm->prefer if that can
 * take it, else where placement says (its old node is no worse than others there). It must be
 * RUNNING without an operation and meant to run; the caller has made sure that some node can take
 * it, and sets vm->prefer first. False: it is held.
 */
bool vm_relocate(struct cluster *c, struct vm *vm, struct why why);
/* Live, RUNNING or PAUSED. False: it is held, or there are too many operations now. */
bool vm_migrate_to(struct cluster *c, struct vm *vm, hv_node_id target, hv_op_id parent,
		   struct why why);
/* Either, as its `live_migration` says: one that may not be migrated live must be RUNNING. */
bool vm_move_to(struct cluster *c, struct vm *vm, hv_node_id target, hv_op_id parent,
		struct why why);
/* ---- vm_limits.c: starts that fail, and crashes */
/*
 * Its start failed on its node, where it is absent; vm->attempts counts it already. It is tried
 * start_retries times more there, after growing pauses, then on other nodes, max_relocate of them,
 * then given up. Without that limit it is tried everywhere, again and again, with growing pauses.
 */
void vm_start_failed(struct cluster *c, struct vm *vm, const char *text);
/*
 * It has crashed on `node`, is absent and waits: after restart_limit restarts there it is started
 * on another node, max_relocate times at most, if there is one that can take it. Else it stays, and
 * its reason says why.
 */
void vm_crashed_again(struct cluster *c, struct vm *vm, hv_node_id node);
/* Why it is not started elsewhere though it crashes; the caller frees. */
char *vm_why_it_stays(const struct cluster *c, const struct vm *vm);
/* No node takes it but those that it avoids. True: it crashed there, its start never failed; when
 * there was another one to go to, and now is not, they will do. */
bool vm_stays_after_all(struct cluster *c, struct vm *vm);
/* What is asked anew is tried anew: no pause, no grudge. */
void vm_forget_failures(struct cluster *c, struct vm *vm);
/* The cause may have gone: those that were given up are tried again. */
void vm_retry_given_up(struct cluster *c);

/* ---- vm_result.c: an executor's answer to the VM's own operation, or to a copy's destruction */
void vm_op_result(struct cluster *c, struct operation *op, const Hv__OpResult *res);
/* A migration ended and the source has it, running or paused. */
void vm_migrate_failed(struct cluster *c, struct vm *vm, Hv__Observed source, bool stay_paused,
		       bool cancelled, enum hv_rc rc, const char *text);

/* ---- vm_observe.c: what a node says without being asked */
void vm_owner_says(struct cluster *c, struct vm *vm, Hv__Observed observed, struct why gone);
void vm_copy_seen(struct cluster *c, struct vm *vm, hv_node_id node, Hv__Observed observed);
void vm_observed(struct cluster *c, const Hv__VmObserved *ev);
void vm_reconcile(struct cluster *c, struct node *n, const Hv__NodeReport *report);

/* ---- request.c: what a client waits for */
struct operation *request_begin(struct cluster *c, struct vm *vm, enum vm_request r, uint32_t flags,
				uint32_t timeout_s, hv_node_id target);
struct operation *request_of(struct cluster *c, const struct vm *vm);
void request_end(struct cluster *c, struct vm *vm, enum hv_rc rc, const char *text);
void request_settle(struct cluster *c, struct vm *vm);
/* Those whose time is over end; what they have set going goes on, and they say what that is. */
void request_overdue(struct cluster *c);
/* Migrations that were asked for and may begin now. */
void request_move(struct cluster *c);

#endif
