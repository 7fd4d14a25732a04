/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/moves.h"

#include "proto/mutant.h"
#include "resource/balance.h"
#include "resource/placement.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"

bool moves_free(struct cluster *c, const struct vm *vm)
{
	const struct node *n = node_get(c, vm->node);

	return !vm->op && !vm->stale_ops && !vm->retry_us && !vm->request && !rules_awaited(vm) &&
	       (!vm->lock || MUTANT(lock_ignored)) && vm->managed && vm->intent == INTENT_STARTED &&
	       node_reachable(n) &&
	       (vm->state == VM_RUNNING || (vm->state == VM_PAUSED && vm->live_migration)) &&
	       vm->reason.code != REASON_UNKNOWN;
}

void moves_leave(struct cluster *c, struct vm *vm, struct why why)
{
	hv_node_id target = 0;

	if (!vm->live_migration || !moves_free(c, vm) ||
	    node_get(c, vm->node)->migrations_running >= c->tuning.migrate_parallel)
		return;
	if (placement_pick(c, vm, true, &target) == FIT_OK)
		vm_move_to(c, vm, target, 0, why);
}

/* A drain moves what is on its node by itself. */
static bool may_move(struct cluster *c, const struct vm *vm)
{
	const struct node *n = node_get(c, vm->node);

	return moves_free(c, vm) && node_takes_vms(n) &&
	       n->migrations_running < c->tuning.migrate_parallel;
}

static void move_to(struct cluster *c, struct vm *vm, hv_node_id target, struct why why)
{
	if (placement_fit(c, vm, node_get(c, target), true) == FIT_OK)
		vm_move_to(c, vm, target, 0, why);
}

/* By stop and start, or not at all for now: graceful, and its node must be able to. */
static bool stop(struct cluster *c, struct vm *vm, struct why why)
{
	bool free = vm->state == VM_RUNNING && !vm->op && !vm->lock && vm->managed &&
		    vm->intent == INTENT_STARTED && node_reachable(node_get(c, vm->node));

	if (free)
		vm_relocate(c, vm, why);
	return free;
}

/* To where more of those that follow it can be. True: that is under way, or will be soon. */
static bool move_for_followers(struct cluster *c, struct vm *vm)
{
	hv_node_id target = 0;
	enum fit fit;

	if (vm->group || !may_move(c, vm) || !placement_lonely(c, vm, vm->node))
		return vm->target || vm->relocating;
	fit = placement_pick(c, vm, true, &target);
	if ((fit != FIT_OK && fit != FIT_BUSY) ||
	    placement_lonely(c, vm, target) >= placement_lonely(c, vm, vm->node))
		return false;
	if (fit == FIT_OK)
		move_to(c, vm, target, WHY(FOLLOWERS));
	return true;
}

/* Whom it follows is where it cannot be, and does not come. */
static void stop_follower(struct cluster *c, struct vm *vm, const struct rule *broken)
{
	struct vm *leader = broken->members[1];

	if (!move_for_followers(c, leader))
		stop(c, vm, WHY(NEEDS, .subject = leader->name));
}

/* It is moved to repair what is broken, or to where its rules are better off. */
static void move_alone(struct cluster *c, struct vm *vm, const struct rule *broken)
{
	hv_node_id target = 0;
	enum fit fit = placement_pick(c, vm, true, &target);
	struct standing here, there;

	if (fit != FIT_OK) {
		if (fit != FIT_BUSY && broken && broken->kind == HV__RULE_KIND__RULE_FOLLOW)
			stop_follower(c, vm, broken);
		return;
	}
	if (broken) {
		move_to(c, vm, target,
			WHY(RULE, .subject = broken->name, .text = "it does not belong there"));
		return;
	}
	if (move_for_followers(c, vm) ||
	    placement_lonely(c, vm, target) > placement_lonely(c, vm, vm->node))
		return;
	here = rules_standing(c, vm, vm->node);
	there = rules_standing(c, vm, target);
	if (vm->failback && standing_cmp_nodes(&there, &here) > 0)
		move_to(c, vm, target, WHY(PREFERRED, .subject = node_name(c, target)));
	else if (!c->tuning.sticky && !rules_tied(vm) && standing_cmp_nodes(&there, &here) == 0 &&
		 there.soft > here.soft)
		move_to(c, vm, target, WHY(BALANCE, .text = "its rules would rather have it so"));
}

static void move_with_group(struct cluster *c, struct vm *vm)
{
	hv_node_id home = placement_group_home(c, vm);
	const struct rule *r = rule_broken(vm);

	if (!home && r && r->kind == HV__RULE_KIND__RULE_FOLLOW)
		stop_follower(c, vm, r);
	if (!home || home == vm->node)
		return;
	if (r)
		move_to(c, vm, home, WHY(RULE, .subject = r->name, .text = "its group gathers"));
	else
		move_to(c, vm, home, WHY(PREFERRED, .subject = node_name(c, home)));
}

/* Its drain would move it, and cannot. */
static void stop_on_drained(struct cluster *c, struct vm *vm)
{
	const struct rule *broken = rule_broken(vm);
	hv_node_id target;
	enum fit fit;

	if (!broken || broken->kind != HV__RULE_KIND__RULE_FOLLOW || !moves_free(c, vm) ||
	    node_takes_vms(node_get(c, vm->node)))
		return;
	fit = placement_pick(c, vm, vm->live_migration, &target);
	if (fit != FIT_OK && fit != FIT_BUSY)
		stop_follower(c, vm, broken);
}

static void settle_one(struct cluster *c, struct vm *vm)
{
	const struct vm *other = NULL;

	if (rule_stops(vm, &other)) {
		stop(c, vm, WHY(NEEDS, .subject = other->name));
		return;
	}
	if (!may_move(c, vm)) {
		stop_on_drained(c, vm);
		return;
	}
	if (vm->group)
		move_with_group(c, vm);
	else
		move_alone(c, vm, rule_broken(vm));
}

static void settle_uneasy(struct cluster *c)
{
	_cleanup_free_ struct vm **vms = NULL;
	struct set order;

	/* Of two that may not be together, the one of lower rank moves. */
	set_init(&order, vm_cmp_rank);
	for (size_t i = 0; i < c->uneasy.count; i++)
		set_append(&order, c->uneasy.items[i]);
	set_sort(&order);
	vms = (struct vm **)order.items;
	for (size_t i = order.count; i-- > 0;) {
		rules_look(c); /* what the former ones did counts for the next */
		if (vms[i]->uneasy)
			settle_one(c, vms[i]);
	}
}

void moves_settle(struct cluster *c)
{
	if (c->arm == ARMED && c->freed && c->uneasy.count)
		settle_uneasy(c);
	balance_settle(c);
}
