/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one door: a step applies one event (facts), then settles (decisions), then closes the books.
 *
 *     facts:     view, report, observation, result, command  -> node_machine, vm_result,
 * vm_observe, admin decisions: 1 nodes (grace, fencing)   behind a barrier nothing else 2 VMs that
 * changed         vm_machine 3 drains, asked migrations drain, request 4 placement placement 5
 * requests that are over   request again from 2 while anything changes books:     ended operations,
 * digest
 */
#include "resource/brain.h"

#include "proto/mutant.h"
#include "resource/action.h"
#include "resource/admin.h"
#include "resource/arm.h"
#include "resource/drain.h"
#include "resource/failover.h"
#include "resource/fence_test.h"
#include "resource/fencing.h"
#include "resource/guest_health.h"
#include "resource/home.h"
#include "resource/journal.h"
#include "resource/log_loss.h"
#include "resource/leaving.h"
#include "resource/moves.h"
#include "resource/node_machine.h"
#include "resource/operation.h"
#include "resource/placement.h"
#include "resource/rule.h"
#include "resource/unfence.h"
#include "resource/storage.h"
#include "resource/vm_machine.h"
#include "resource/watchdog.h"

#define SETTLE_ROUNDS_MAX                                                                          \
	64 /* each round moves something forward; a few are usual, more is a loop */

/* ---- facts */

/* Seen before? Each proposer numbers its events; the log may deliver one twice across a view
 * change. */
static bool event_is_new(struct cluster *c, const Hv__Event *ev)
{
	struct node *n;

	if (ev->seq == 0 || MUTANT(event_twice))
		return true;
	n = node_make(c, ev->proposer);
	if (!n || ev->incarnation < n->seen_incarnation)
		return false;
	if (ev->incarnation == n->seen_incarnation && ev->seq <= n->seen_seq)
		return false;
	n->seen_incarnation = ev->incarnation;
	n->seen_seq = ev->seq;
	node_touch(c, n);
	return true;
}

static void apply_result(struct cluster *c, const Hv__OpResult *res)
{
	struct operation *op = op_get(c, res->op);

	if (!op || op->node != res->node)
		return;
	if ((op->state != OP_RUNNING || op->attempt != res->attempt) &&
	    !MUTANT(old_result_accepted))
		return;
	switch (op->kind) {
	case OP_FENCE:
		fencing_result(c, op, res);
		return;
	case OP_FENCE_TEST:
		fence_test_result(c, op, res);
		return;
	case OP_VM_START:
	case OP_VM_STOP:
	case OP_VM_DESTROY:
	case OP_VM_MIGRATE:
	case OP_VM_RESUME:
	case OP_VM_PAUSE:
	case OP_VM_PROBE:
	case OP_VM_RESET:
		vm_op_result(c, op, res);
		return;
	case OP_NODE_DRAIN:
	case OP_NODE_SHUTDOWN:
	case OP_VM_REQUEST:
	case OP_NONE:
		return;
	}
}

static void apply(struct cluster *c, const Hv__Event *ev)
{
	switch (ev->body_case) {
	case HV__EVENT__BODY_VIEW:
		node_view(c, ev->view);
		return;
	case HV__EVENT__BODY_NODES_CONFIGURED:
		nodes_configured(c, ev->nodes_configured);
		return;
	case HV__EVENT__BODY_NODE_REPORT:
		node_report(c, ev->node_report);
		return;
	case HV__EVENT__BODY_VM_OBSERVED:
		vm_observed(c, ev->vm_observed);
		return;
	case HV__EVENT__BODY_OP_RESULT:
		apply_result(c, ev->op_result);
		return;
	case HV__EVENT__BODY_COMMAND:
		admin_command(c, ev);
		return;
	case HV__EVENT__BODY_RAISE_FEATURE:
		if (ev->raise_feature->level > c->feature)
			c->feature = ev->raise_feature->level;
		return;
	case HV__EVENT__BODY_HOST_HEALTH:
		node_health(c, ev->host_health);
		return;
	case HV__EVENT__BODY_NODE_WATCHDOG:
		watchdog_said(c, ev->node_watchdog);
		return;
	case HV__EVENT__BODY_GUEST_HEALTH:
		guest_seen(c, ev->guest_health);
		return;
	case HV__EVENT__BODY_TICK:
	case HV__EVENT__BODY__NOT_SET:
	case _HV__EVENT__BODY__CASE_IS_INT_SIZE:
		return;
	}
}

/* ---- decisions */

static void settle_timers(struct cluster *c)
{
	while (is_armed(c) && c->timers.count) {
		struct vm *vm = c->timers.items[0];

		if (vm->retry_us > c->now_us)
			break;
		vm_set_retry(c, vm, 0); /* makes it dirty */
		rules_notice(c, vm);
	}
	for (size_t i = 0; i < c->stale.count; i++) {
		struct operation *op = c->stale.items[i];

		if (op->deadline_us && op->deadline_us <= c->now_us)
			op_again(c, op);
	}
	request_overdue(c);
}

static void settle_vms(struct cluster *c)
{
	while (c->dirty.count) {
		struct vm *vm = c->dirty.items[0];

		set_remove(&c->dirty, vm);
		vm->dirty = false;
		if (vm->request)
			vm_touch(c, vm); /* and its request is looked at */
		vm_settle(c, vm);
	}
}

static void settle_requests(struct cluster *c)
{
	for (size_t i = 0; i < c->n_touched_vms; i++)
		if (!c->touched_vms[i]->gone)
			request_settle(c, c->touched_vms[i]);
}

/* What moves, and where what waits is started. */
static void settle_places(struct cluster *c)
{
	storage_fence(c);
	guest_settle(c);
	for (size_t i = 0; i < c->n_nodes; i++)
		drain_settle(c, c->nodes[i]);
	for (size_t i = 0; i < c->n_nodes; i++)
		leaving_settle(c, c->nodes[i]);
	request_move(c);
	home_settle(c);
	storage_settle(c);
	log_loss_settle(c);
	moves_settle(c);
	placement_settle(c);
}

static void forget_dirty(struct cluster *c)
{
	for (size_t i = 0; i < c->dirty.count; i++)
		((struct vm *)c->dirty.items[i])->dirty = false;
	c->dirty.count = 0;
	c->freed = false;
}

static void settle(struct cluster *c)
{
	unsigned rounds = 0;

	arm_settle(c);
	watchdog_settle(c);
	for (size_t i = 0; i < c->n_nodes; i++)
		node_settle(c, c->nodes[i]);
	if (cluster_barrier(c)) {
		rules_look(c);
		forget_dirty(c); /* barrier_lifted() looks at everything */
		return;
	}
	fence_test_settle(c);
	settle_timers(c);
	do {
		hv_assert(rounds++ < SETTLE_ROUNDS_MAX);
		rules_look(c);
		settle_vms(c);
		if (is_armed(c))
			settle_places(c);
		else
			c->freed = false; /* all of it is looked at when it is armed */
		settle_requests(c);
	} while (c->dirty.count || c->noticed.count || c->freed);
}

/* ---- books */

static void close_books(struct cluster *c)
{
	digest_update(c);
	op_trim(c);
	for (size_t i = 0; i < c->n_gone; i++)
		vm_free(c->gone[i]);
	c->n_gone = 0;
	hv_assert(c->dirty.count == 0 && c->noticed.count == 0 && !c->freed);
}

void brain_step(struct cluster *c, uint64_t index, const Hv__Event *ev, struct action_list *out)
{
	const char *why = "";
	bool valid = event_valid(ev, &why);

	hv_assert(index > c->index);
	hv_assert(c->n_touched_vms == 0 && c->n_touched_ops == 0);
	c->index = index;
	c->out = out;
	c->op_seq = 0;
	c->changed = false;
	if (!valid) {
		journal(c, SEV_ERROR, "cluster", "", "event", "skipped", why);
	} else if (event_is_new(c, ev)) {
		if (ev->at_us > c->now_us)
			c->now_us = ev->at_us;
		if (ev->wall_ms > c->wall_ms)
			c->wall_ms = ev->wall_ms;
		failover_see_commit(c, ev->body_case == HV__EVENT__BODY_OP_RESULT &&
					       ev->op_result->began_us
					   ? ev->op_result->began_us
					   : c->now_us);
		apply(c, ev);
		settle(c);
	}
	close_books(c);
	c->out = NULL;
}

static void earlier(uint64_t *deadline, uint64_t at)
{
	if (at && (!*deadline || at < *deadline))
		*deadline = at;
}

/* Disarmed, a node is only found to be lost, and asked what it runs. */
static bool disarmed_deadline(const struct cluster *c, const struct node *n)
{
	return n->state == NODE_MANAGER_DOWN || (c->arm == ARMING && n->state == NODE_ONLINE);
}

uint64_t brain_next_deadline_us(const struct cluster *c)
{
	uint64_t deadline = 0;

	for (size_t i = 0; i < c->n_nodes; i++)
		if (is_armed(c) || disarmed_deadline(c, c->nodes[i]))
			earlier(&deadline, c->nodes[i]->deadline_us);
	for (size_t i = 0; i < c->n_nodes && is_armed(c); i++) {
		if (c->nodes[i]->quarantined)
			earlier(&deadline, c->nodes[i]->quarantine_us);
		earlier(&deadline, unfence_deadline_us(c, c->nodes[i]));
		earlier(&deadline, log_loss_deadline_us(c, c->nodes[i]));
	}
	if (cluster_barrier(c))
		return deadline;
	earlier(&deadline, fence_test_deadline_us(c));
	if (c->timers.count && is_armed(c))
		earlier(&deadline, ((const struct vm *)c->timers.items[0])->retry_us);
	earlier(&deadline, c->balance_us);
	if (is_armed(c))
		earlier(&deadline, guest_deadline_us(c));
	if (c->due.count)
		earlier(&deadline, ((const struct operation *)c->due.items[0])->deadline_us);
	for (size_t i = 0; i < c->stale.count; i++)
		earlier(&deadline, ((const struct operation *)c->stale.items[i])->deadline_us);
	return deadline;
}
