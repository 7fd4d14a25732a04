/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/fencing.h"

#include "fence/fence_plan.h"
#include "proto/mutant.h"
#include "resource/arm.h"
#include "resource/brake.h"
#include "resource/failover.h"
#include "resource/fence_delay.h"
#include "resource/journal.h"
#include "resource/node_machine.h"
#include "resource/operation.h"
#include "resource/unfence.h"
#include "resource/vm_machine.h"
#include "resource/watchdog.h"

/* One that is not managed is not recovered: no reason to fence. */
static bool owns_managed(const struct node *n)
{
	for (size_t i = 0; i < n->owned.count; i++)
		if (((const struct vm *)n->owned.items[i])->managed)
			return true;
	return false;
}

bool fencing_needed(const struct cluster *c, const struct node *n)
{
	return c->tuning.fence_always || n->barrier || n->fence_wanted || n->incoming.count ||
	       n->stale_ops || owns_managed(n);
}

void barrier_lifted(struct cluster *c)
{
	c->freed = true;
	for (size_t i = 0; i < c->vms.count && !MUTANT(barrier_not_noticed); i++) {
		struct vm *vm = c->vms.items[i];

		vm_dirty(c, vm);
		/* What happened to it behind the barrier may be what its request waits for. */
		if (vm->request)
			vm_touch(c, vm);
	}
}

/* ONLINE members first; behind a barrier a member may not yet have been able to report. */
hv_node_id fencing_executor(const struct cluster *c, hv_node_id victim, uint32_t attempt)
{
	static const enum node_state order[] = {NODE_ONLINE, NODE_JOINING};
	hv_node_id ids[HV_MAX_NODES], found = 0;

	for (size_t pass = 0; pass < ARRAY_SIZE(order) && !found; pass++) {
		size_t count = 0;

		for (size_t i = 0; i < c->n_nodes; i++)
			if (c->nodes[i]->state == order[pass])
				ids[count++] = c->nodes[i]->id;
		found = fence_plan_executor(ids, count, victim, attempt);
	}
	return found;
}

bool cluster_must_see(const struct cluster *c, const struct node *n, uint32_t level)
{
	return c->tuning.fence_seen ||
	       (n->seen_levels & 1U << level && !MUTANT(level_demands_nothing));
}

/* Nobody sees what a watchdog does. */
static bool time_counts(const struct cluster *c, const struct node *n)
{
	return watchdog_counts(n) && !cluster_must_see(c, n, FENCE_PLAN_WATCHDOG_LEVEL);
}

/* With what resets itself behind all that others do to it. */
static size_t plan_of(const struct cluster *c, const struct node *n,
		      struct fence_plan_device *devices)
{
	size_t count = n->n_devices;

	for (size_t i = 0; i < count; i++)
		devices[i] = (struct fence_plan_device){.name = n->devices[i]->name,
							.level = n->devices[i]->level};
	if (time_counts(c, n))
		devices[count++] = (struct fence_plan_device){.name = FENCE_PLAN_WATCHDOG,
							      .level = FENCE_PLAN_WATCHDOG_LEVEL};
	return count;
}

static const struct fence_device *device_of(const struct node *n, const char *name)
{
	for (size_t i = 0; i < n->n_devices; i++)
		if (strcmp(n->devices[i]->name, name) == 0)
			return n->devices[i];
	return NULL;
}

static uint32_t device_timeout_s(const struct cluster *c, const struct node *n, const char *name)
{
	const struct fence_device *d = device_of(n, name);

	return d && d->timeout_s ? d->timeout_s : c->tuning.fence_timeout_s;
}

/* Self-tests that would be in the way of this device. */
static void stop_tests(struct cluster *c, const struct node *n, const struct fence_device *d)
{
	for (size_t i = 0; i < c->ops.count; i++) {
		struct operation *op = c->ops.items[i];

		if (op->kind == OP_FENCE_TEST && op->state == OP_RUNNING &&
		    (op->victim == n->id || (d->shared && strcmp(op->device, d->name) == 0)))
			op_cancel(c, op);
	}
}

static void fence_begin(struct cluster *c, struct node *n, const char *device, bool final)
{
	struct op_spec spec = {
	    .kind = OP_FENCE, .victim = n->id, .device = device, .flags = final ? OP_F_FINAL : 0};
	bool by_time = n->fence_level == FENCE_PLAN_WATCHDOG_LEVEL;
	struct operation *op;

	spec.node = fencing_executor(c, n->id, n->fence_attempt + 1);
	if (!spec.node)
		return; /* no other member: nothing can be decided anyway */
	spec.attempt = n->fence_attempt + 1;
	spec.timeout_s = device_timeout_s(c, n, device);
	if (by_time) {
		spec.flags |= OP_F_WATCHDOG;
		spec.wait_us = watchdog_wait_us(n);
	}
	op = op_begin(c, &spec, NULL);
	if (!op) {
		n->deadline_us = c->now_us + HV_US_PER_S;
		node_touch(c, n);
		return;
	}
	if (!by_time)
		stop_tests(c, n, device_of(n, device));
	n->fence_attempt++;
	n->fence_op = op->id;
	n->fence_delayed = false;
	if (n->state != NODE_FENCING)
		node_move(c, n, NODE_FENCING,
			  n->fence_wanted ? why_same(&n->reason)
					  : WHY(NODE_LOST, .subject = n->name));
	if (!by_time && time_counts(c, n)) /* a device may take longer than time itself */
		n->deadline_us = cluster_watchdog_proof_us(n);
	node_touch(c, n);
}

/*
 * A device is still at work, and time is a proof by now: devices with time-outs of minutes are not
 * waited for. The executor of the new operation knows when it really is (watchdog.h).
 */
static void time_overtakes(struct cluster *c, struct node *n)
{
	struct operation *op = n->fence_op ? op_get(c, n->fence_op) : NULL;

	if (n->state != NODE_FENCING || !op || (op->flags & OP_F_WATCHDOG) || !n->deadline_us ||
	    c->now_us < n->deadline_us)
		return;
	n->deadline_us = 0;
	node_touch(c, n);
	if (!time_counts(c, n))
		return;
	op_cancel(c, op);
	n->fence_op = 0;
	n->fence_level = FENCE_PLAN_WATCHDOG_LEVEL;
	n->fence_device = 0;
	node_move(c, n, NODE_LOST, why_same(&n->reason));
}

void fencing_time_is_no_proof(struct cluster *c, struct node *n)
{
	struct operation *op = n->fence_op ? op_get(c, n->fence_op) : NULL;

	if (!op || !(op->flags & OP_F_WATCHDOG))
		return;
	op_cancel(c, op);
	n->fence_op = 0;
	n->fence_level = n->fence_device = 0;
	node_touch(c, n);
}

/* Where the plan stands now: begins the first level of a round, leaves positions that no longer
 * exist. */
static const struct fence_plan_device *
plan_current(struct node *n, struct fence_plan_device *devices, size_t count, bool *ret_final)
{
	struct fence_plan_at at = {n->fence_level, n->fence_device};
	const struct fence_plan_device *d =
	    at.level ? fence_plan_device_at(devices, count, at, ret_final) : NULL;

	if (!d) {
		at = fence_plan_level_after(devices, count, 0);
		d = at.level ? fence_plan_device_at(devices, count, at, ret_final) : NULL;
	}
	n->fence_level = at.level;
	n->fence_device = at.device;
	return d;
}

/* A device of several hosts does one thing at a time. */
static bool device_busy(struct cluster *c, struct node *n, const struct fence_device *d)
{
	if (!d->shared)
		return false;
	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct operation *op =
		    c->nodes[i]->fence_op ? op_get(c, c->nodes[i]->fence_op) : NULL;

		if (!op || c->nodes[i] == n || strcmp(op->device, d->name) != 0)
			continue;
		node_reason(c, n, WHY(QUEUED, .text = "its fence device is at work for another"));
		return true;
	}
	return false;
}

/* true: not yet. */
static bool wait_delay(struct cluster *c, struct node *n, const struct fence_device *d)
{
	const char *what = NULL;
	uint64_t delay_us;

	if (n->fence_delayed)
		return false;
	n->fence_delayed = true;
	node_touch(c, n);
	delay_us = fence_delay_us(c, n, d, &what);
	if (!delay_us)
		return false;
	n->deadline_us = c->now_us + delay_us;
	node_reason(c, n,
		    WHY(FENCE_DELAYED, .subject = n->name, .number = delay_us / HV_US_PER_MS,
			.text = what));
	return true;
}

/* Nothing is done to it: no brake, and no delay. */
static void fence_by_time(struct cluster *c, struct node *n)
{
	n->braked = false;
	n->fence_level = FENCE_PLAN_WATCHDOG_LEVEL;
	n->fence_device = 0;
	fence_begin(c, n, FENCE_PLAN_WATCHDOG, true);
}

/* The node is to be fenced, with this one. */
static void fence_with(struct cluster *c, struct node *n, const struct fence_device *d, bool final)
{
	if (brake_holds(c, n)) {
		if (time_counts(c, n))
			fence_by_time(c, n);
		return;
	}
	if (wait_delay(c, n, d) || device_busy(c, n, d))
		return;
	fence_begin(c, n, d->name, final);
}

void fencing_settle(struct cluster *c, struct node *n)
{
	struct fence_plan_device devices[HV_MAX_FENCE_DEVICES + 1];
	const struct fence_plan_device *d;
	bool final = false;

	if (n->state == NODE_FENCING && !n->fence_op)
		node_move(c, n, NODE_LOST,
			  why_same(&n->reason)); /* its executor was lost: at once, elsewhere */
	if (!is_armed(c) && !MUTANT(disarmed_fences))
		return;
	time_overtakes(c, n);
	if (n->frozen && n->state == NODE_LOST)
		return; /* it went down as announced */
	if (n->state != NODE_LOST || (n->deadline_us && c->now_us < n->deadline_us && !n->braked))
		return;
	if (n->deadline_us && !n->braked) {
		n->deadline_us = 0;
		node_touch(c, n);
	}
	if (!fencing_needed(c, n)) {
		n->braked = false;
		n->deadline_us = 0;
	}
	if (!fencing_needed(c, n) && n->owned.count) {
		node_reason(c, n, WHY(UNMANAGED)); /* what it has may run on: it is not off */
		return;
	}
	if (!fencing_needed(c, n)) {
		failover_over(c, n->id, "nothing depends on it any more");
		node_move(c, n, NODE_OFFLINE, WHY(NOTHING_DEPENDS, .subject = n->name));
		return;
	}
	d = plan_current(n, devices, plan_of(c, n, devices), &final);
	if (d && d->level == FENCE_PLAN_WATCHDOG_LEVEL)
		fence_by_time(c, n);
	else if (d)
		fence_with(c, n, device_of(n, d->name), final);
	else if (n->both_go_on)
		node_reason(c, n, WHY(TIME_NO_PROOF, .subject = n->name));
	else
		node_reason(c, n, WHY(NO_FENCE_DEVICE, .subject = n->name));
}

/* This device failed: the next level, or, after the last, a pause. */
static void fence_failed(struct cluster *c, struct node *n, const char *text)
{
	struct fence_plan_device devices[HV_MAX_FENCE_DEVICES + 1];
	size_t count = plan_of(c, n, devices);
	struct fence_plan_at at = fence_plan_level_after(devices, count, n->fence_level);

	n->fence_level = at.level;
	n->fence_device = 0;
	node_move(c, n, NODE_LOST,
		  n->waited_only ? WHY(NOT_SEEN_OFF, .subject = n->name)
				 : WHY(FENCE_FAILED, .subject = n->name, .text = text));
	if (at.level == 0)
		n->deadline_us =
		    c->now_us + backoff_us(c->tuning.fence_retry_us, c->tuning.fence_retry_max_us,
					   n->fence_attempt / (uint32_t)(count ? count : 1));
}

/* Every device of the level that has switched it off: a host may have two power supplies. */
static void power_on(struct cluster *c, struct node *n, uint32_t level, hv_node_id executor)
{
	for (size_t i = 0; i < n->n_devices; i++) {
		struct op_spec spec = {.kind = OP_FENCE,
				       .node = executor,
				       .victim = n->id,
				       .device = n->devices[i]->name,
				       .flags = OP_F_POWER_ON};

		if (n->devices[i]->level != level)
			continue;
		spec.timeout_s = device_timeout_s(c, n, spec.device);
		op_begin(c, &spec, NULL);
	}
}

/* Does one of this level only wait? Then it has not been seen off. */
static bool only_waited(const struct node *n, uint32_t level)
{
	for (size_t i = 0; i < n->n_devices; i++)
		if (n->devices[i]->level == level && n->devices[i]->waited)
			return true;
	return false;
}

static char *proof_text(const struct cluster *c, const struct operation *op, bool waited)
{
	uint64_t ms = op->wait_us / HV_US_PER_MS;

	if (op->flags & OP_F_WATCHDOG)
		return hv_xasprintf(
		    "its watchdog has reset it: %llu.%llu s since its loss, as %s counts",
		    (unsigned long long)(ms / 1000), (unsigned long long)(ms / 100 % 10),
		    node_name(c, op->node));
	return hv_xasprintf("fence device %s, run by %s%s", op->device, node_name(c, op->node),
			    waited ? " (waited for, not seen)" : "");
}

/* The last device of a level has done it. */
static void level_done(struct cluster *c, struct node *n, const struct operation *op)
{
	uint32_t level = n->fence_level;
	bool waited = only_waited(n, level) || (op->flags & OP_F_WATCHDOG);
	_cleanup_free_ char *how = proof_text(c, op, waited);

	if (waited && cluster_must_see(c, n, level) && !MUTANT(waiting_is_seeing)) {
		n->waited_only = true;
		fence_failed(c, n, "");
		return;
	}
	brake_count(c, n);
	node_proven_off(c, n, WHY(FENCED, .subject = n->name, .text = how), how);
	if (c->tuning.power_on)
		power_on(c, n, level, op->node);
}

void fencing_result(struct cluster *c, struct operation *op, const Hv__OpResult *res)
{
	struct node *n = node_get(c, op->victim);
	bool current = n && n->fence_op == op->id && !node_is_member(n);
	bool proof = current && res->fenced_node == op->victim && (op->flags & OP_F_FINAL);

	if (MUTANT(fence_assumed_at_timeout))
		proof = current;

	if (op->flags & OP_F_UNFENCE) {
		unfence_result(c, op, res);
		return;
	}
	op_end(c, op, res->rc, res->text);
	if (!current)
		return; /* power on, or called off: of no consequence */
	failover_fence_ran(c, n->id, res->began_us, res->ended_us);
	n->fence_op = 0;
	node_touch(c, n);
	if (proof) {
		level_done(c, n, op);
	} else if (res->rc == HV_OK && !(op->flags & OP_F_FINAL)) {
		n->fence_device++;
	} else {
		fence_failed(c, n, res->rc == HV_OK ? "the agent gave no proof" : res->text);
	}
}

void fencing_executor_lost(struct cluster *c, struct operation *op)
{
	struct node *n = node_get(c, op->victim);

	op_end(c, op, HV_NODE_LOST, "the node that ran the agent was lost");
	if (n)
		unfence_ended(c, n, op);
	if (n && n->fence_op == op->id && !MUTANT(lost_executor_waited_for)) {
		n->fence_op = 0;
		node_touch(c, n);
	}
}

void fencing_demand(struct cluster *c, struct node *n, uint32_t level, bool seen, const char *actor)
{
	_cleanup_free_ char *what = level == FENCE_PLAN_WATCHDOG_LEVEL
					? hv_xstrdup("fence level watchdog of")
					: hv_xasprintf("fence level %u of", level);
	bool had = n->seen_levels & 1U << level;

	if (had == seen)
		return;
	n->seen_levels ^= 1U << level;
	node_touch(c, n);
	journal_why(c, SEV_NOTICE, what, n->name, had ? "seen" : "any", seen ? "seen" : "any",
		    WHY(ADMIN, .subject = actor));
}

void fencing_begin_anew(struct node *n)
{
	n->fence_attempt = n->fence_level = n->fence_device = 0;
	n->fence_delayed = n->waited_only = n->braked = false;
}

void fencing_call_off(struct cluster *c, struct node *n)
{
	fencing_begin_anew(n);
	if (n->fence_op)
		op_cancel(c, op_get(c, n->fence_op));
	n->fence_op = 0;
	node_touch(c, n);
}

void fencing_confirm(struct cluster *c, struct node *n, const char *actor)
{
	_cleanup_free_ char *how = hv_xasprintf("confirmed by %s", actor);

	fencing_call_off(c, n);
	journal(c, SEV_WARNING, "node", n->name, node_state_name(n->state), "confirmed off", how);
	node_proven_off(c, n, WHY(CONFIRMED, .subject = n->name), how);
}
