/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/rule.h"

#include "proto/mutant.h"

#define KIND(r, name) ((r)->kind == HV__RULE_KIND__RULE_##name)

bool vm_is_up(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSED || vm->state == VM_MIGRATING ||
	       vm->state == VM_RESUMING;
}

bool vm_is_waiting(const struct vm *vm)
{
	return vm->state == VM_PENDING || vm->state == VM_BLOCKED || vm->state == VM_FAILED;
}

static const struct rule_node *rule_lists(const struct rule *r, hv_node_id node)
{
	for (size_t i = 0; i < r->n_nodes; i++)
		if (r->nodes[i].node == node)
			return &r->nodes[i];
	return NULL;
}

/* ---- hard rules */

const struct rule *rule_excludes(const struct vm *vm, hv_node_id node)
{
	for (size_t i = 0; i < vm->n_rules && !MUTANT(hard_rule_ignored); i++) {
		const struct rule *r = vm->rules[i];

		if (KIND(r, NODES) && r->hard && !rule_lists(r, node))
			return r;
		if (KIND(r, BAN) && rule_lists(r, node))
			return r;
	}
	return NULL;
}

/* Is it there, may it be there, or is it coming? */
static bool vm_occupies(const struct cluster *c, const struct vm *vm, hv_node_id node)
{
	if (vm->node == node || vm->seen_on == node ||
	    (vm->target == node && !MUTANT(arrivals_forgotten)))
		return true;
	for (size_t i = 0; vm->stale_ops && i < c->stale.count; i++) {
		const struct operation *op = c->stale.items[i];

		if (op->node == node && strcmp(op->vm, vm->uuid) == 0)
			return true;
	}
	return false;
}

const struct rule *rule_forbids(const struct cluster *c, const struct vm *vm, hv_node_id node)
{
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct rule *r = vm->rules[i];

		if (!KIND(r, APART) || !r->hard)
			continue;
		for (size_t k = 0; k < r->n_vms; k++)
			if (r->members[k] != vm && vm_occupies(c, r->members[k], node))
				return r;
	}
	return rule_excludes(vm, node);
}

/* A partner that leaves is no reason to leave as well. */
static bool partner_stays(const struct rule *r, const struct vm *vm, hv_node_id node)
{
	for (size_t k = 0; k < r->n_vms; k++)
		if (r->members[k] != vm && vm_goes_to(r->members[k]) == node)
			return true;
	return false;
}

static bool partner_elsewhere(const struct rule *r, const struct vm *vm, hv_node_id node)
{
	for (size_t k = 0; k < r->n_vms; k++) {
		const struct vm *other = r->members[k];

		if (other != vm && vm_is_up(other) && vm_goes_to(other) != node)
			return true;
	}
	return false;
}

/* It runs, and is not on its way. */
static bool has_arrived(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSED;
}

bool rule_is_broken(const struct rule *r, const struct vm *vm)
{
	hv_node_id node = vm_goes_to(vm);

	if (!node || !(r->hard || KIND(r, FOLLOW)))
		return false;
	if (KIND(r, APART))
		return partner_stays(r, vm, node);
	if (KIND(r, TOGETHER))
		return partner_elsewhere(r, vm, node);
	/* A leader that has not arrived yet may come back. */
	if (KIND(r, FOLLOW))
		return r->members[0] == vm && has_arrived(r->members[1]) &&
		       r->members[1]->node != node;
	if (KIND(r, NODES))
		return !rule_lists(r, node);
	return KIND(r, BAN) && rule_lists(r, node);
}

const struct rule *rule_broken(const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_rules; i++)
		if (rule_is_broken(vm->rules[i], vm))
			return vm->rules[i];
	return NULL;
}

/* ---- dependence */

/* The VM that this rule makes it depend on, NULL none. */
static const struct vm *depends_on(const struct rule *r, const struct vm *vm)
{
	bool depends = KIND(r, FOLLOW) || KIND(r, AFTER);

	return depends && r->members[0] == vm ? r->members[1] : NULL;
}

/* Will it not run, so that who follows it cannot either? One that just starts anew is waited for.
 */
static bool is_out(const struct vm *vm)
{
	return vm->intent == INTENT_STOPPED || vm->state == VM_STOPPED || vm->state == VM_BLOCKED ||
	       vm->state == VM_FAILED;
}

static bool starts_anew(const struct vm *vm)
{
	return vm->state == VM_PENDING || vm->state == VM_STARTING ||
	       (vm->state == VM_STOPPING && vm->relocating);
}

/* What needs one that must stop itself is the first to stop. */
const struct rule *rule_stops(const struct vm *vm, const struct vm **ret_needs)
{
	const struct vm *further;

	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct rule *r = vm->rules[i];
		const struct vm *other = depends_on(r, vm);

		*ret_needs = other;
		if (!other || (KIND(r, AFTER) && !r->mandatory))
			continue;
		if (is_out(other) || rule_stops(other, &further))
			return r;
		if (KIND(r, AFTER) && starts_anew(other))
			return r;
	}
	return NULL;
}

static bool is_due(const struct vm *vm)
{
	return vm->intent == INTENT_STARTED &&
	       (vm->state == VM_STOPPED || vm->state == VM_STARTING ||
		(vm->state == VM_PENDING && !vm->retry_us));
}

/* It needs one that has ended, and is to be stopped for that. A stop that fails holds nobody up. */
static bool stops_first(const struct cluster *c, const struct vm *vm)
{
	if (vm->state == VM_STOPPING)
		return vm->tries == 0;
	return vm->state == VM_RUNNING && !vm_held(vm) && node_reachable(cluster_node(c, vm->node));
}

enum gate rules_gate(const struct cluster *c, const struct vm *vm, const struct vm **ret_other)
{
	enum gate gate = GATE_OPEN;
	const struct vm *further;

	for (size_t i = 0; i < vm->n_rules && !MUTANT(needs_ignored); i++) {
		const struct rule *r = vm->rules[i];
		const struct vm *other = depends_on(r, vm);

		if (KIND(r, AFTER) && r->mandatory && !other && stops_first(c, r->members[0])) {
			*ret_other = r->members[0];
			gate = GATE_TURN;
		}
		if (!other)
			continue;
		if (KIND(r, FOLLOW) || r->mandatory) {
			*ret_other = other;
			if (!vm_is_up(other) || other->intent != INTENT_STARTED ||
			    rule_stops(other, &further))
				return GATE_NEEDS;
			/* Where it will be is known when it has arrived. */
			if (KIND(r, FOLLOW) && !has_arrived(other))
				gate = GATE_TURN;
			continue;
		}
		if (is_due(other)) {
			*ret_other = other;
			gate = GATE_TURN;
		}
	}
	return gate;
}

/* ---- leaders and followers */

static bool on_its_way(const struct vm *vm)
{
	return vm->state == VM_STARTING || vm->state == VM_MIGRATING || vm->state == VM_RESUMING ||
	       vm->state == VM_CHECKING;
}

const struct vm *rules_leader(const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_rules; i++)
		if (KIND(vm->rules[i], FOLLOW) && vm->rules[i]->members[0] == vm)
			return vm->rules[i]->members[1];
	return NULL;
}

hv_node_id rules_leader_node(const struct vm *vm)
{
	const struct vm *leader = rules_leader(vm);

	return leader ? vm_goes_to(leader) : 0;
}

/* The one that follows `vm` by this rule, NULL none. */
static const struct vm *follows_by(const struct rule *r, const struct vm *vm)
{
	return KIND(r, FOLLOW) && r->members[1] == vm ? r->members[0] : NULL;
}

/* One that follows it, also through others, is not where it is, and cannot or need not come soon:
 * it may have to go to where both can be. */
static bool follower_missing(const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct vm *f = follows_by(vm->rules[i], vm);

		if (f && f->intent == INTENT_STARTED && !vm_held(f) &&
		    (vm_goes_to(f) != vm->node || rule_excludes(f, vm->node) ||
		     follower_missing(f)))
			return true;
	}
	return false;
}

bool rules_leader_moves(const struct vm *vm)
{
	const struct vm *leader = rules_leader(vm);

	return leader && !has_arrived(leader);
}

bool rules_leader_comes(const struct vm *vm)
{
	const struct vm *leader = rules_leader(vm);

	return leader &&
	       (on_its_way(leader) || leader->state == VM_PENDING || leader->state == VM_STOPPING);
}

bool rules_awaited(const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct vm *f = follows_by(vm->rules[i], vm);

		if (f && vm->node &&
		    (f->target == vm->node || (f->state == VM_STARTING && f->node == vm->node)))
			return true;
	}
	return false;
}

bool rules_carries(const struct vm *vm, int32_t priority)
{
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct rule *r = vm->rules[i];
		const struct vm *other = r->members[0];

		if (depends_on(r, other) != vm || (KIND(r, AFTER) && !r->mandatory))
			continue;
		if (other->state == VM_STARTING ||
		    (vm_is_up(other) &&
		     (other->priority >= priority || rules_carries(other, priority))))
			return true;
	}
	return false;
}

bool rules_tied(const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_rules; i++)
		if (KIND(vm->rules[i], FOLLOW))
			return true;
	return false;
}

/* ---- who stops first */

bool rules_hold_stop(const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct rule *r = vm->rules[i];
		const struct vm *other = r->members[0];
		bool ours = KIND(r, FOLLOW) || (KIND(r, AFTER) && r->mandatory);

		/* A paused one would never stop by itself, and does not run; one that is not
		 * managed is a person's affair. */
		if (ours && r->members[1] == vm && other->state != VM_PAUSED && other->managed &&
		    (vm_is_up(other) || other->state == VM_STARTING ||
		     other->state == VM_STOPPING || other->state == VM_CHECKING))
			return true;
	}
	return false;
}

bool rules_hold_restart(const struct cluster *c, const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct rule *r = vm->rules[i];
		const struct vm *other = r->members[0], *needs;

		if (depends_on(r, other) != vm || !rule_stops(other, &needs))
			continue;
		if (stops_first(c, other) ||
		    (on_its_way(other) && node_reachable(cluster_node(c, other->node))))
			return true;
	}
	return false;
}

/* ---- how well a node suits */

/* Soft rules about other VMs: does coming here go against it? */
static bool goes_against(const struct rule *r, const struct vm *vm, hv_node_id node)
{
	if (r->hard)
		return false;
	if (KIND(r, APART))
		return partner_stays(r, vm, node);
	return KIND(r, TOGETHER) && partner_elsewhere(r, vm, node) && !partner_stays(r, vm, node);
}

struct standing rules_standing(const struct cluster *c, const struct vm *vm, hv_node_id node)
{
	struct standing s = {0};

	(void)c;
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct rule *r = vm->rules[i];
		const struct rule_node *n = KIND(r, NODES) ? rule_lists(r, node) : NULL;

		s.listed += n != NULL;
		s.priority += n ? n->priority : 0;
		s.soft -= goes_against(r, vm, node);
	}
	return s;
}

static int cmp(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

int standing_cmp_nodes(const struct standing *a, const struct standing *b)
{
	int by_list = cmp(a->listed, b->listed);

	return by_list ? by_list : cmp(a->priority, b->priority);
}

int standing_cmp(const struct standing *a, const struct standing *b)
{
	int by_nodes = standing_cmp_nodes(a, b);

	return by_nodes ? by_nodes : cmp(a->soft, b->soft);
}

bool rules_node_worse(const struct cluster *c, const struct vm *vm, hv_node_id node,
		      hv_node_id than)
{
	struct standing a = rules_standing(c, vm, node), b = rules_standing(c, vm, than);

	return standing_cmp_nodes(&a, &b) < 0;
}

/* ---- who is not where it should be */

/* Is there a node that its rules like better, whether it is available or not? */
static bool could_be_better(const struct cluster *c, const struct vm *vm)
{
	struct standing here = rules_standing(c, vm, vm->node);

	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct rule *r = vm->rules[i];

		for (size_t k = 0; KIND(r, NODES) && k < r->n_nodes; k++) {
			hv_node_id node = r->nodes[k].node;
			struct standing there = rules_standing(c, vm, node);

			if (node != vm->node && !rule_excludes(vm, node) &&
			    standing_cmp_nodes(&there, &here) > 0)
				return true;
		}
	}
	return here.soft < 0;
}

static bool partner_waits(const struct vm *vm)
{
	for (size_t i = 0; vm->group && i < vm->group->n_vms; i++)
		if (vm_is_waiting(vm->group->vms[i]))
			return true;
	return false;
}

bool rules_uneasy(const struct cluster *c, const struct vm *vm)
{
	const struct vm *other;

	if (!vm->n_rules || (vm->state != VM_RUNNING && vm->state != VM_PAUSED))
		return false;
	return rule_broken(vm) || rule_stops(vm, &other) || partner_waits(vm) ||
	       follower_missing(vm) || could_be_better(c, vm);
}

bool rules_look(struct cluster *c)
{
	bool uneasy = false;

	for (size_t i = 0; i < c->noticed.count; i++) {
		struct vm *vm = c->noticed.items[i];
		bool now = rules_uneasy(c, vm);

		vm->noticed = false;
		if (now != vm->uneasy)
			now ? (void)set_add(&c->uneasy, vm) : (void)set_remove(&c->uneasy, vm);
		vm->uneasy = now;
		uneasy |= now;
		/* Its stop may have waited for those that need it. */
		if ((vm->intent == INTENT_STOPPED && vm_is_up(vm)) || vm->relocating)
			vm_dirty(c, vm);
	}
	if (c->noticed.count)
		c->freed = true;
	c->noticed.count = 0;
	return uneasy;
}
