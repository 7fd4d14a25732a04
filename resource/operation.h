/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * operation.h - pending work as part of the state: begun, tried again, cancelled, ended.
 *
 * PURE. An operation is begun by the brain, carried out by the executor of its node (which compares
 * the operations addressed to it with what it does, so a lost hint loses nothing), and ended by the
 * brain when the result is committed. Operations without an executor (drain, request) are ended by
 * the brain alone.
 */
#ifndef HV_RESOURCE_OPERATION_H
#define HV_RESOURCE_OPERATION_H

#include "resource/cluster_priv.h"

/* What to begin; strings are copied. */
struct op_spec {
	enum op_kind kind;
	const struct vm *vm;
	hv_node_id node, target, victim;
	const char *device;
	uint32_t attempt; /* 0: 1 */
	uint32_t timeout_s;
	uint64_t wait_us; /* FENCE with OP_F_WATCHDOG */
	hv_op_id parent;
	uint32_t flags;
	uint64_t deadline_us;
};
/* May one more be begun now? Keeps room for fencing. */
bool op_room(const struct cluster *c);
/*
 * Begins it. NULL when the cluster has too many operations: try again later. `own`: it becomes
 * vm->op (there must be none), else it is a stale copy's destruction or a request.
 */
struct operation *op_begin(struct cluster *c, const struct op_spec *spec, struct vm *own);
/* Once more: a new attempt of the same operation. */
void op_again(struct cluster *c, struct operation *op);
/* Ask the executor to give up; it still answers. */
void op_cancel(struct cluster *c, struct operation *op);
/* It is over: vm->op, vm->request and all books forget it. rc HV_OK means done. */
void op_end(struct cluster *c, struct operation *op, enum hv_rc rc, const char *text);
void op_progress(struct cluster *c, struct operation *op, uint32_t done, uint32_t total);

#endif
