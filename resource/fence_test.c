/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/fence_test.h"

#include "fence/fence_plan.h"
#include "proto/mutant.h"
#include "resource/arm.h"
#include "resource/journal.h"
#include "resource/operation.h"

/* ---- which one, when */

static hv_node_id tester(const struct cluster *c, const struct node *n,
			 const struct fence_device *d)
{
	hv_node_id ids[HV_MAX_NODES];
	size_t count = 0;

	for (size_t i = 0; i < c->n_nodes; i++)
		if (c->nodes[i]->state == NODE_ONLINE)
			ids[count++] = c->nodes[i]->id;
	return fence_plan_executor(ids, count, n->id,
				   MUTANT(tested_by_one_only) ? 1 : d->test_round + 1);
}

/* Not of a node that is being fenced: it would be in the way. */
static bool is_testable(const struct cluster *c, const struct node *n)
{
	return n->configured && n->state != NODE_LOST && n->state != NODE_FENCING &&
	       (!n->n_devices || tester(c, n, n->devices[0]));
}

struct next_test {
	struct node *n;
	struct fence_device *d;
	uint64_t due_us;
};

static bool next_test(const struct cluster *c, struct next_test *ret)
{
	uint64_t count = 0;

	*ret = (struct next_test){0};
	if (!c->tuning.fence_test_interval_us)
		return false;
	for (size_t i = 0; i < c->n_nodes; i++) {
		struct node *n = c->nodes[i];

		for (size_t k = 0; k < n->n_devices && is_testable(c, n); k++, count++)
			if (!ret->d || n->devices[k]->test_us < ret->d->test_us) {
				ret->n = n;
				ret->d = n->devices[k];
			}
	}
	if (!ret->d)
		return false;
	ret->due_us =
	    ret->d->test_us ? c->test_us + c->tuning.fence_test_interval_us / count : c->now_us;
	return true;
}

static bool test_runs(const struct cluster *c)
{
	const struct operation *op = c->test_op ? cluster_op(c, c->test_op) : NULL;

	return op && op->state == OP_RUNNING && !MUTANT(tests_all_at_once);
}

static bool may_test(const struct cluster *c)
{
	return is_armed(c) && !cluster_barrier(c) && !test_runs(c);
}

struct operation *fence_test_begin(struct cluster *c, struct node *n, struct fence_device *d)
{
	struct op_spec spec = {.kind = OP_FENCE_TEST,
			       .victim = n->id,
			       .device = d->name,
			       .timeout_s =
				   d->timeout_s ? d->timeout_s : c->tuning.fence_timeout_s};
	struct operation *op;

	spec.node = tester(c, n, d);
	if (!spec.node && node_is_member(n))
		spec.node =
		    n->id; /* alone: asking one's own device for its status is still a test */
	op = spec.node ? op_begin(c, &spec, NULL) : NULL;
	if (!op)
		return NULL;
	d->test_us = c->now_us;
	d->test_round++;
	node_touch(c, n);
	return op;
}

void fence_test_settle(struct cluster *c)
{
	struct next_test next;
	const struct operation *op;

	if (!may_test(c) || !next_test(c, &next) || c->now_us < next.due_us)
		return;
	op = fence_test_begin(c, next.n, next.d);
	next.d->test_us = c->test_us = c->now_us;
	c->test_op = op ? op->id : 0;
	node_touch(c, next.n);
}

uint64_t fence_test_deadline_us(const struct cluster *c)
{
	struct next_test next;

	return may_test(c) && next_test(c, &next) ? next.due_us : 0;
}

/* ---- what comes of it */

static struct fence_path *path_of(struct fence_device *d, hv_node_id node)
{
	struct fence_path *oldest = &d->paths[0];
	size_t i = 0;

	while (i < d->n_paths && d->paths[i].node < node)
		i++;
	if (i < d->n_paths && d->paths[i].node == node)
		return &d->paths[i];
	if (d->n_paths < ARRAY_SIZE(d->paths)) {
		memmove(d->paths + i + 1, d->paths + i, (d->n_paths - i) * sizeof(*d->paths));
		d->n_paths++;
		d->paths[i] = (struct fence_path){.node = node};
		return &d->paths[i];
	}
	/* Nodes come and go: the way of one that went is the oldest. */
	for (i = 1; i < d->n_paths; i++)
		if (d->paths[i].wall_ms < oldest->wall_ms)
			oldest = &d->paths[i];
	memmove(oldest, oldest + 1,
		(size_t)(d->paths + d->n_paths - (oldest + 1)) * sizeof(*d->paths));
	d->n_paths--;
	return path_of(d, node);
}

static void tell_change(struct cluster *c, const struct node *n, const struct fence_device *d,
			const struct operation *op, const Hv__OpResult *res)
{
	bool ok = res->rc == HV_OK;
	_cleanup_free_ char *from = hv_xasprintf("%s %s", d->name, ok ? "test failed" : "ready"),
			    *to = hv_xasprintf("%s %s", d->name, ok ? "ready" : "test failed");
	const char *by = node_name(c, op->node);

	journal_why(c, ok ? SEV_NOTICE : SEV_ERROR, "fence device of", n->name, from, to,
		    ok ? WHY(FENCE_TEST_OK, .subject = by)
		       : WHY(FENCE_TEST_FAILED, .subject = by, .text = res->text));
}

void fence_test_result(struct cluster *c, struct operation *op, const Hv__OpResult *res)
{
	struct node *n = node_get(c, op->victim);
	struct fence_device *d = NULL;
	struct fence_path *path;

	for (size_t i = 0; n && i < n->n_devices; i++)
		if (strcmp(n->devices[i]->name, op->device) == 0)
			d = n->devices[i];
	op_end(c, op, res->rc, res->text);
	if (!d || res->rc == HV_CANCELLED)
		return;
	path = path_of(d, op->node);
	if (path->wall_ms ? (path->rc == HV_OK) != (res->rc == HV_OK) : res->rc != HV_OK)
		tell_change(c, n, d, op, res);
	path->rc = res->rc;
	path->wall_ms = c->wall_ms;
	d->tested = true;
	d->test_rc = res->rc;
	d->test_wall_ms = c->wall_ms;
	free(d->test_text);
	d->test_text = hv_xstrndup(res->text ? res->text : "", HV_TEXT_MAX);
	node_touch(c, n);
}
