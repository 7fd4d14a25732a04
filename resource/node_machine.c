/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/node_machine.h"

#include "proto/mutant.h"
#include "resource/arm.h"
#include "resource/brake.h"
#include "resource/failover.h"
#include "resource/fencing.h"
#include "resource/journal.h"
#include "resource/leaving.h"
#include "resource/log_loss.h"
#include "resource/operation.h"
#include "resource/unfence.h"
#include "resource/vm_machine.h"
#include "resource/watchdog.h"

#define TO(s) (1u << NODE_##s)
#define LEAP_US (2 * HV_US_PER_S)
#define REPORT_US (10 * HV_US_PER_S)

/* The machine: for each state, which states may follow. */
static const uint32_t node_next[] = {
    [NODE_OFFLINE] = TO(JOINING) | TO(LOST),
    [NODE_JOINING] = TO(ONLINE) | TO(MANAGER_DOWN) | TO(LOST) | TO(OFFLINE),
    [NODE_ONLINE] = TO(JOINING) | TO(MANAGER_DOWN) | TO(LOST) | TO(OFFLINE),
    [NODE_MANAGER_DOWN] = TO(JOINING) | TO(LOST) | TO(OFFLINE),
    [NODE_LOST] = TO(FENCING) | TO(JOINING) | TO(OFFLINE),
    [NODE_FENCING] = TO(LOST) | TO(JOINING) | TO(OFFLINE),
};

bool node_move_allowed(enum node_state from, enum node_state to)
{
	return node_next[from] & (1u << to);
}

void node_move(struct cluster *c, struct node *n, enum node_state to, struct why why)
{
	enum severity sev = to == NODE_LOST || to == NODE_FENCING ? SEV_ERROR
			    : to == NODE_MANAGER_DOWN		  ? SEV_WARNING
								  : SEV_NOTICE;

	hv_assert(node_move_allowed(n->state, to));
	journal_why(c, sev, "node", n->name, node_state_name(n->state), node_state_name(to), why);
	reason_copy(&n->reason, why, c->now_us);
	n->state = to;
	n->since_us = c->now_us;
	n->deadline_us = 0;
	node_touch(c, n);
	c->freed = true;
}

void node_reason(struct cluster *c, struct node *n, struct why why)
{
	const struct reason *r = &n->reason;
	const char *s = why.subject ? why.subject : "", *t = why.text ? why.text : "";

	if (r->code == why.code && r->number == why.number &&
	    strcmp(r->subject ? r->subject : "", s) == 0 && strcmp(r->text ? r->text : "", t) == 0)
		return;
	reason_copy(&n->reason, why, c->now_us);
	node_touch(c, n);
}

void node_admin_move(struct cluster *c, struct node *n, enum node_admin to, struct why why)
{
	if (n->admin == to)
		return;
	journal_why(c, SEV_NOTICE, "node", n->name, node_admin_name(n->admin), node_admin_name(to),
		    why);
	n->admin = to;
	node_touch(c, n);
	c->freed = true;
}

/* ---- loss */

/* Operations that it executed: fencing goes to another; VMs' own end with their VMs; copies stay
 * until proof. */
static void end_its_ops(struct cluster *c, struct node *n)
{
	size_t count = c->ops.count;
	_cleanup_free_ struct operation **ops = hv_xmemdup(c->ops.items, count * sizeof(*ops));

	for (size_t i = 0; i < count; i++) {
		struct operation *op = ops[i];

		if (op->state != OP_RUNNING || op->node != n->id)
			continue;
		if (op->kind == OP_FENCE)
			fencing_executor_lost(c, op);
		else if (op->kind == OP_FENCE_TEST)
			op_end(c, op, HV_NODE_LOST, "the node that ran the test was lost");
	}
}

/* It is not a member any more: migrations to it are called off, its fencing jobs go elsewhere. */
static void node_left(struct cluster *c, struct node *n)
{
	end_its_ops(c, n);
	for (size_t i = 0; i < n->incoming.count; i++) {
		struct vm *vm = n->incoming.items[i];

		if (vm->op)
			op_cancel(c, op_get(c, vm->op));
	}
}

static void node_lose(struct cluster *c, struct node *n, struct why why, uint64_t detected_us)
{
	size_t count = n->owned.count;
	_cleanup_free_ struct vm **owned = NULL;

	leaving_thaw(c, n, false);
	fencing_begin_anew(n);
	log_loss_forget(c, n);
	node_move(c, n, NODE_LOST, why);
	node_left(c, n);
	if (fencing_needed(c, n))
		failover_open(c, n, detected_us);
	owned = hv_xmemdup(n->owned.items, count * sizeof(*owned));
	for (size_t i = 0; i < count; i++)
		vm_owner_lost(c, owned[i]);
	if (n->drain_op) {
		op_end(c, op_get(c, n->drain_op), HV_NODE_LOST,
		       "the node was lost while it was drained");
		n->drain_op = 0;
	}
	if (n->leaving_op) {
		op_end(c, op_get(c, n->leaving_op), HV_NODE_LOST,
		       "the node was lost before its VMs were shut down");
		n->leaving_op = 0;
	}
}

/* It is gone, as announced, or lost. */
static void node_gone(struct cluster *c, struct node *n, struct why why, uint64_t detected_us)
{
	if (n->leaving != NODE_STAYS) {
		node_left(c, n);
		if (leaving_left(c, n))
			return;
	}
	node_lose(c, n, why, detected_us);
	/* Announced, and everything has left it: it may take its time to go down. */
	if (n->leaving != NODE_STAYS && !n->owned.count && !n->incoming.count && !n->stale_ops)
		n->deadline_us = c->now_us + c->tuning.startup_grace_us;
}

bool node_want_fence(struct cluster *c, struct node *n, struct why why)
{
	if (!node_may_be_fenced(c, n))
		return false;
	leaving_give_up(c, n);
	if (!n->fence_wanted)
		journal_why(c, SEV_WARNING, "node", n->name, node_state_name(n->state),
			    "to be fenced", why);
	n->fence_wanted = true;
	node_touch(c, n);
	if (n->state != NODE_LOST && n->state != NODE_FENCING)
		node_lose(c, n, why, 0);
	return true;
}

bool node_may_be_fenced(const struct cluster *c, const struct node *n)
{
	return is_armed(c) && n->state != NODE_OFFLINE && n->n_devices &&
	       fencing_executor(c, n->id, 1);
}

/* ---- membership */

/*
 * Its fencing is asked for: being in the view, which it was all along, changes nothing. A new
 * clusterd may be that of a new boot, which its report tells.
 */
static bool still_to_be_fenced(const struct node *n, const Hv__Member *m)
{
	return n->fence_wanted && n->incarnation == m->incarnation &&
	       (n->state == NODE_LOST || n->state == NODE_FENCING);
}

/*
 * It joins since before this view. Nobody can report without quorum, and however long there was
 * none counts as well: whoever is at its end of patience gets time enough to do it.
 */
static void still_joins(struct cluster *c, struct node *n)
{
	uint64_t enough =
	    c->tuning.join_timeout_us < REPORT_US ? c->tuning.join_timeout_us : REPORT_US;

	if (n->state != NODE_JOINING || n->deadline_us >= c->now_us + enough ||
	    MUTANT(no_time_to_report))
		return;
	n->deadline_us = c->now_us + enough;
	node_touch(c, n);
}

static void member_joins(struct cluster *c, const Hv__Member *m)
{
	struct node *n = node_make(c, m->node);
	bool same, wanted, renewed;

	if (!n)
		return;
	renewed = n->incarnation != m->incarnation;
	wanted = still_to_be_fenced(n, m);
	same = node_is_member(n) && n->incarnation == m->incarnation;
	n->barrier = false;
	watchdog_member(c, n, renewed);
	fencing_time_is_no_proof(c, n);
	n->incarnation = m->incarnation;
	n->feature = m->feature;
	node_touch(c, n);
	if (same)
		still_joins(c, n);
	if (!wanted)
		log_loss_seen(c, n, m->learner);
	if (same || wanted)
		return;
	fencing_call_off(c, n);
	if (n->state == NODE_LOST || n->state == NODE_FENCING)
		failover_over(c, n->id, "it came back before it was fenced");
	if (n->leaving != NODE_STAYS && renewed && n->state != NODE_MANAGER_DOWN)
		leaving_returned(c, n);
	n->hypervisor_ok = false;
	n->inventory_known = false;
	if (n->state != NODE_JOINING)
		node_move(c, n, NODE_JOINING,
			  n->state == NODE_OFFLINE ? WHY(VIEW)
						   : WHY(NODE_RETURNED, .subject = n->name));
	n->deadline_us = c->now_us + c->tuning.join_timeout_us;
	if (MUTANT(rejoined_at_once)) {
		n->hypervisor_ok = true;
		node_move(c, n, NODE_ONLINE, WHY(VIEW));
	}
}

static bool listed(const uint32_t *ids, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static bool is_member_of(const Hv__View *view, hv_node_id id)
{
	for (size_t i = 0; i < view->n_members; i++)
		if (view->members[i]->node == id)
			return true;
	return false;
}

/*
 * Every member is newly started: the whole site was off, and some hosts boot more slowly than
 * others. They are given time before they are fenced for not being here.
 */
static bool is_cold_start(struct cluster *c, const Hv__View *view)
{
	for (size_t i = 0; i < view->n_members; i++) {
		const struct node *n = node_get(c, view->members[i]->node);

		if (n && n->incarnation == view->members[i]->incarnation)
			return false;
	}
	return true;
}

static void node_leaves(struct cluster *c, struct node *n, const Hv__View *view, bool cold)
{
	bool in_ring = listed(view->in_ring, view->n_in_ring, n->id);
	struct why lost = WHY(NODE_LOST, .subject = n->name);
	uint64_t frozen_until;

	n->barrier = view->minority && listed(view->lost, view->n_lost, n->id);
	watchdog_away(c, n, view);
	log_loss_forget(c, n);
	node_touch(c, n);
	if (node_is_member(n) && in_ring) {
		node_move(c, n, NODE_MANAGER_DOWN, WHY(MANAGER_DOWN, .subject = n->name));
		n->deadline_us = c->now_us + c->tuning.manager_grace_us;
		node_left(c, n);
	} else if (node_is_member(n) || (n->state == NODE_MANAGER_DOWN && !in_ring)) {
		node_gone(c, n, lost, view->detected_us);
		if (cold && n->state == NODE_LOST && !n->frozen)
			n->deadline_us = c->now_us + c->tuning.startup_grace_us;
	} else if (n->state == NODE_OFFLINE && n->barrier && n->frozen) {
		frozen_until = n->deadline_us;
		node_move(c, n, NODE_LOST, WHY(WENT_DOWN, .subject = n->name));
		n->deadline_us = frozen_until;
	} else if (n->state == NODE_OFFLINE && n->barrier) {
		/* A minority takes no one's word of before: it proves again what it relies on. */
		node_lose(c, n, WHY(BARRIER, .subject = n->name), view->detected_us);
		/* It boots: corosync is there, and its clusterd is about to be. */
		if (in_ring && !MUTANT(booting_host_fenced))
			n->deadline_us = c->now_us + c->tuning.manager_grace_us;
	}
}

void node_view(struct cluster *c, const Hv__View *view)
{
	bool barrier = cluster_barrier(c), cold = is_cold_start(c, view);

	c->minority = view->minority;
	c->duel = view->duel;
	for (size_t i = 0; i < view->n_lost; i++)
		node_make(c, view->lost[i]);
	for (size_t i = 0; i < view->n_members; i++)
		member_joins(c, view->members[i]);
	for (size_t i = 0; i < c->n_nodes; i++)
		if (!is_member_of(view, c->nodes[i]->id))
			node_leaves(c, c->nodes[i], view, cold);
	if (barrier && !cluster_barrier(c))
		barrier_lifted(c);
}

static const Hv__ConfiguredNode *configured_as(const Hv__NodesConfigured *ev, hv_node_id id)
{
	for (size_t i = 0; i < ev->n_nodes; i++)
		if (ev->nodes[i]->id == id)
			return ev->nodes[i];
	return NULL;
}

/* Names are unique: one that another node has had so far is taken from it. */
static void node_rename(struct cluster *c, struct node *n, const char *name)
{
	struct node *other = node_find_name(c, name);

	if (other == n)
		return;
	if (other) {
		free(other->name);
		other->name = hv_xasprintf("node%u", other->id);
		node_touch(c, other);
	}
	free(n->name);
	n->name = hv_xstrdup(name);
}

void nodes_configured(struct cluster *c, const Hv__NodesConfigured *ev)
{
	for (size_t i = c->n_nodes; i-- > 0;) {
		struct node *n = c->nodes[i];

		if (configured_as(ev, n->id))
			continue;
		n->configured = false;
		n->votes = 0;
		node_touch(c, n);
		if (n->state == NODE_OFFLINE && !n->vm_count && !n->stale_ops && !n->n_devices &&
		    !n->drain_op && !n->frozen && !rules_need_node(c, n->id))
			node_forget(c, n);
	}
	for (size_t i = 0; i < ev->n_nodes; i++) {
		struct node *n = node_make(c, ev->nodes[i]->id);

		if (!n)
			continue;
		n->configured = true;
		n->votes = ev->nodes[i]->votes;
		node_rename(c, n, ev->nodes[i]->name);
		node_touch(c, n);
	}
}

/* ---- time and proof */

/* It is a member and says nothing: it is not known what runs there, nor can it be asked. */
static void join_overdue(struct cluster *c, struct node *n)
{
	struct why why = WHY(JOIN_TIMEOUT, .subject = n->name);
	bool able = false;

	for (size_t i = 0; i < c->n_nodes; i++)
		able |= c->nodes[i]->state == NODE_ONLINE;
	n->deadline_us = c->now_us + c->tuning.join_timeout_us;
	node_touch(c, n);
	if (!able || cluster_barrier(c) || !node_want_fence(c, n, why))
		node_reason(c, n, why);
}

/*
 * Is its time over? The cluster's clock stands while there is no quorum, and the view that ends
 * that may come from a host that has just booted and knows no later time: the next event of any
 * other leaps over what the view has set. Ticks come when a deadline is due, not seconds later; so
 * who is that late was not waited for, and gets its time now.
 */
static bool time_is_over(struct cluster *c, struct node *n, uint64_t timeout_us)
{
	if (c->now_us < n->deadline_us)
		return false;
	if (c->now_us - n->deadline_us <= LEAP_US || MUTANT(leap_is_waiting))
		return true;
	n->deadline_us = c->now_us + timeout_us;
	node_touch(c, n);
	return false;
}

void node_settle(struct cluster *c, struct node *n)
{
	if (n->state == NODE_MANAGER_DOWN && time_is_over(c, n, c->tuning.manager_grace_us))
		node_gone(c, n, WHY(MANAGER_GRACE_OVER, .subject = n->name), 0);
	if (is_armed(c) && n->state == NODE_JOINING &&
	    time_is_over(c, n, c->tuning.join_timeout_us))
		join_overdue(c, n);
	if (is_armed(c))
		leaving_timer(c, n);
	fencing_settle(c, n);
	if (is_armed(c)) {
		brake_settle(c, n);
		unfence_settle(c, n);
	}
}

/* Copies that were to be destroyed there are gone with it. */
static void end_its_copies(struct cluster *c, struct node *n)
{
	size_t count = c->stale.count;
	_cleanup_free_ struct operation **ops = hv_xmemdup(c->stale.items, count * sizeof(*ops));

	for (size_t i = 0; i < count; i++)
		if (ops[i]->node == n->id)
			op_end(c, ops[i], HV_OK, "the node is off");
}

static void free_its_vms(struct cluster *c, struct node *n)
{
	size_t count = n->owned.count;
	_cleanup_free_ struct vm **owned = hv_xmemdup(n->owned.items, count * sizeof(*owned));

	for (size_t i = 0; i < count; i++) {
		vm_forget_failures(c, owned[i]);
		vm_unlock(c, owned[i], WHY(NODE_LOST, .subject = n->name));
		vm_absent(c, owned[i], WHY(RECOVERED, .subject = n->name));
	}
}

void node_proven_off(struct cluster *c, struct node *n, struct why why, const char *how)
{
	bool barrier = cluster_barrier(c);

	hv_assert(!node_is_member(n));
	leaving_thaw(c, n, false);
	n->barrier = n->fence_wanted = n->fence_forced = false;
	fencing_begin_anew(n);
	unfence_due(c, n);
	failover_proven(c, n->id, how);
	if (n->state != NODE_OFFLINE)
		node_move(c, n, NODE_OFFLINE, why);
	end_its_copies(c, n);
	free_its_vms(c, n);
	node_touch(c, n);
	if (barrier && !cluster_barrier(c))
		barrier_lifted(c);
}
