/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/unfence.h"

#include "resource/fencing.h"
#include "resource/journal.h"
#include "resource/operation.h"
#include "resource/vm_machine.h"

static struct fence_device *next_due(const struct node *n)
{
	for (size_t i = 0; i < n->n_devices; i++)
		if (n->devices[i]->unfence && !n->devices[i]->unfenced)
			return n->devices[i];
	return NULL;
}

bool node_unfenced(const struct node *n)
{
	return !next_due(n);
}

void unfence_due(struct cluster *c, struct node *n)
{
	for (size_t i = 0; i < n->n_devices; i++)
		n->devices[i]->unfenced = false;
	n->unfence_us = 0;
	n->unfence_tries = 0;
	node_touch(c, n);
}

static bool may_be_told(const struct cluster *c, const struct node *n)
{
	return n->state == NODE_ONLINE && !n->fence_wanted && !n->unfence_op &&
	       !cluster_barrier(c) && next_due(n);
}

void unfence_settle(struct cluster *c, struct node *n)
{
	struct op_spec spec = {.kind = OP_FENCE,
			       .node = n->id,
			       .victim = n->id,
			       .flags = OP_F_POWER_ON | OP_F_UNFENCE};
	const struct fence_device *d;
	const struct operation *op;

	if (!may_be_told(c, n) || c->now_us < n->unfence_us)
		return;
	d = next_due(n);
	spec.device = d->name;
	spec.timeout_s = d->timeout_s ? d->timeout_s : c->tuning.fence_timeout_s;
	if (!n->unfence_tries)
		journal_why(c, SEV_NOTICE, "node", n->name, "fenced off", "unfencing",
			    WHY(UNFENCE, .subject = n->name, .text = d->name));
	op = op_begin(c, &spec, NULL);
	n->unfence_op = op ? op->id : 0;
	if (!op)
		n->unfence_us = c->now_us + HV_US_PER_S;
	node_touch(c, n);
}

static struct fence_device *device_named(const struct node *n, const char *name)
{
	for (size_t i = 0; i < n->n_devices; i++)
		if (strcmp(n->devices[i]->name, name) == 0)
			return n->devices[i];
	return NULL;
}

void unfence_result(struct cluster *c, struct operation *op, const Hv__OpResult *res)
{
	struct node *n = node_get(c, op->victim);
	struct fence_device *d = n ? device_named(n, op->device) : NULL;
	bool current = n && n->unfence_op == op->id;

	op_end(c, op, res->rc, res->text);
	if (!current)
		return;
	n->unfence_op = 0;
	node_touch(c, n);
	if (d && res->rc == HV_OK) {
		d->unfenced = true;
		n->unfence_us = 0;
		n->unfence_tries = 0;
		c->freed = true;
		journal(c, SEV_NOTICE, "node", n->name, "unfencing", "unfenced", d->name);
	} else if (d) {
		if (!n->unfence_tries++)
			journal_why(c, SEV_ERROR, "node", n->name, "unfencing", "not unfenced",
				    WHY(UNFENCE_FAILED, .subject = n->name, .text = res->text));
		n->unfence_us =
		    c->now_us + backoff_us(c->tuning.fence_retry_us, c->tuning.fence_retry_max_us,
					   n->unfence_tries);
	}
}

void unfence_ended(struct cluster *c, struct node *n, const struct operation *op)
{
	if (n->unfence_op != op->id)
		return;
	n->unfence_op = 0;
	node_touch(c, n);
}

uint64_t unfence_deadline_us(const struct cluster *c, const struct node *n)
{
	return may_be_told(c, n) ? (n->unfence_us ? n->unfence_us : c->now_us) : 0;
}
