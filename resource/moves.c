/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/moves.h"

#include "resource/placement.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"

/* Nothing else is being done with it, and its node can act. */
static bool is_free(struct cluster *c, const struct vm *vm)
{
	const struct node *n = node_get(c, vm->node);

	return !vm->op && !vm->stale_ops && !vm->retry_us && !vm->request && !vm->lock &&
	       vm->managed && vm->intent == INTENT_STARTED && node_reachable(n) &&
	       (vm->state == VM_RUNNING || (vm->state == VM_PAUSED && vm->live_migration)) &&
	       vm->reason.code != REASON_UNKNOWN;
}

/* A drain moves what is on its node by itself. */
static bool may_move(struct cluster *c, const struct vm *vm)
{
	const struct node *n = node_get(c, vm->node);

	return is_free(c, vm) && node_takes_vms(n) &&
	       n->migrations_running < c->tuning.migrate_parallel;
}

static void move_to(struct cluster *c, struct vm *vm, hv_node_id target, struct why why)
{
	if (placement_fit(c, vm, node_get(c, target), true) != FIT_OK)
		return;
	if (vm->live_migration) {
		vm_migrate_to(c, vm, target, 0, why);
		return;
	}
	vm->prefer = target;
	vm_relocate(c, vm, why);
}

/* It may be no worse off elsewhere by its rules, and must be better off to be moved. */
static void move_alone(struct cluster *c, struct vm *vm, const struct rule *broken)
{
	hv_node_id target = 0;
	struct standing here, there;

	if (placement_pick(c, vm, true, &target) != FIT_OK)
		return;
	if (broken) {
		move_to(c, vm, target, WHY(RULE, .subject = broken->name, .text = "broken here"));
		return;
	}
	here = rules_standing(c, vm, vm->node);
	there = rules_standing(c, vm, target);
	if (vm->failback && standing_cmp_nodes(&there, &here) > 0)
		move_to(c, vm, target, WHY(PREFERRED, .subject = node_name(c, target)));
}

static void move_with_group(struct cluster *c, struct vm *vm)
{
	hv_node_id home = placement_group_home(c, vm);

	if (home && home != vm->node)
		move_to(c, vm, home, WHY(RULE, .subject = vm->name, .text = "its group gathers"));
}

static void settle_one(struct cluster *c, struct vm *vm)
{
	if (!may_move(c, vm))
		return;
	if (vm->group)
		move_with_group(c, vm);
	else
		move_alone(c, vm, rule_broken(vm));
}

void moves_settle(struct cluster *c)
{
	_cleanup_free_ struct vm **vms = NULL;
	struct set order;

	if (!c->freed || !c->uneasy.count || c->arm != ARMED)
		return;
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
