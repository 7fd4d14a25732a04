/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/operation.h"

#include "proto/mutant.h"
#include "resource/action.h"

#define OP_SEQ_MAX 4095 /* ids of one step: index * 4096 + 1 .. 4095 (proto/ids.h) */
#define OP_SPARE 64	/* always left for fencing, drains and what nodes need */

bool op_room(const struct cluster *c)
{
	return c->op_seq < OP_SEQ_MAX - OP_SPARE && c->ops.count < HV_MAX_OPS - OP_SPARE;
}

static bool op_has_room(const struct cluster *c, enum op_kind kind)
{
	if (kind == OP_FENCE || kind == OP_NODE_DRAIN || kind == OP_NODE_SHUTDOWN ||
	    kind == OP_FENCE_TEST)
		return c->op_seq < OP_SEQ_MAX && c->ops.count < HV_MAX_OPS;
	return op_room(c);
}

struct operation *op_begin(struct cluster *c, const struct op_spec *spec, struct vm *own)
{
	struct operation *op;

	if (!op_has_room(c, spec->kind))
		return NULL;
	op = hv_xcalloc(1, sizeof(*op));
	op->id = c->index * 4096 + ++c->op_seq;
	op->kind = spec->kind;
	op->state = OP_RUNNING;
	op->vm = spec->vm ? hv_xstrdup(spec->vm->uuid) : NULL;
	op->node = spec->node;
	op->target = spec->target;
	op->victim = spec->victim;
	op->device = spec->device ? hv_xstrdup(spec->device) : NULL;
	op->attempt = spec->attempt ? spec->attempt : 1;
	op->timeout_s = spec->timeout_s;
	op->wait_us = spec->wait_us;
	op->parent = spec->parent;
	op->flags = spec->flags;
	op->deadline_us = spec->deadline_us;
	op->began_us = c->now_us;
	op->wall_ms = c->wall_ms;
	if (own) {
		hv_assert(own->op == 0);
		own->op = op->id;
		vm_touch(c, own);
	}
	set_add(&c->ops, op);
	op_index(c, op, +1);
	op_touch(c, op);
	if (op->node)
		action_op(c->out, ACTION_OP_BEGUN, op);
	return op;
}

void op_again(struct cluster *c, struct operation *op)
{
	op->attempt++;
	op->deadline_us = 0;
	op_touch(c, op);
	action_op(c->out, ACTION_OP_BEGUN, op);
}

void op_cancel(struct cluster *c, struct operation *op)
{
	if (op->cancel || op->state != OP_RUNNING)
		return;
	op->cancel = true;
	op_touch(c, op);
	action_op(c->out, ACTION_OP_CANCEL, op);
}

static bool op_waitable(enum op_kind kind)
{
	return kind == OP_VM_REQUEST || kind == OP_NODE_DRAIN || kind == OP_NODE_SHUTDOWN ||
	       kind == OP_FENCE_TEST || kind == OP_FENCE;
}

void op_end(struct cluster *c, struct operation *op, enum hv_rc rc, const char *text)
{
	struct vm *vm = op->vm ? vm_get(c, op->vm) : NULL;

	hv_assert(op->state == OP_RUNNING);
	op_index(c, op, -1);
	if (vm && vm->op == op->id)
		vm->op = 0;
	if (vm) {
		vm_touch(c, vm);
		vm_dirty(c, vm);
		rules_notice(c, vm); /* moves wait while something else is done with it */
	}
	op->state = rc == HV_OK ? OP_DONE : OP_FAILED;
	op->rc = rc;
	op->ended_us = c->now_us;
	op->deadline_us = 0;
	free(op->text);
	op->text = text && *text ? hv_xstrndup(text, HV_TEXT_MAX) : NULL;
	op_restore_ended(c, op);
	op_touch(c, op);
	action_op(c->out, ACTION_OP_ENDED, op);
}

void op_restore_ended(struct cluster *c, struct operation *op)
{
	set_add(&c->ended[op_waitable(op->kind) ? 0 : 1], op);
}

void op_progress(struct cluster *c, struct operation *op, uint32_t done, uint32_t total)
{
	if (op->done == done && op->total == total)
		return;
	op->done = done;
	op->total = total;
	if (!MUTANT(digest_misses_change))
		op_touch(c, op);
}

enum vm_request op_request(const struct operation *op)
{
	uint32_t r = (op->flags >> OP_REQUEST_SHIFT) & 0xff;

	return op->kind == OP_VM_REQUEST && r <= REQ_RESET ? (enum vm_request)r : REQ_NONE;
}
