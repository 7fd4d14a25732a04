/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/balance.h"

#include "resource/moves.h"
#include "resource/placement.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"

#define THOUSAND 1000
#define CALM_US (10 * HV_US_PER_S)
#define PARTS_MARGIN 150000 /* of the score of `capacity`: a fortieth of all it can be */

static bool is_quiet(const struct cluster *c)
{
	static const enum vm_state busy[] = {VM_STARTING, VM_MIGRATING, VM_RESUMING,  VM_STOPPING,
					     VM_CHECKING, VM_PENDING,	VM_RECOVERING};

	for (size_t i = 0; i < ARRAY_SIZE(busy); i++)
		if (c->vms_in_state[busy[i]])
			return false;
	return c->movers.count == 0;
}

/* How full `n` is with the VM there, and how much less is clearly less. */
static int64_t fullness(const struct cluster *c, const struct vm *vm, const struct node *n)
{
	uint64_t vcpus = (uint64_t)n->vcpus_used + (vm->node == n->id ? 0 : vm->vcpus);

	if (c->tuning.placement == PLACE_BALANCED)
		return (int64_t)(vcpus * THOUSAND / (n->cpus ? n->cpus : 1));
	return placement_score(c, vm, n);
}

static int64_t margin(const struct cluster *c)
{
	switch (c->tuning.placement) {
	case PLACE_COUNT:
		return 1;
	case PLACE_CAPACITY:
		return PARTS_MARGIN;
	case PLACE_BALANCED:
		return THOUSAND / 20;
	case PLACE_PACK:
		break;
	}
	return 0;
}

/* What others must follow, or be together with, is left alone. */
static bool has_ties(const struct vm *vm)
{
	bool ties = rules_tied(vm);

	for (size_t i = 0; i < vm->n_rules; i++)
		ties |= vm->rules[i]->kind == HV__RULE_KIND__RULE_TOGETHER;
	return ties;
}

static bool improves(const struct cluster *c, const struct vm *vm, const struct node *from,
		     const struct node *to)
{
	struct standing here = rules_standing(c, vm, from->id),
			there = rules_standing(c, vm, to->id);

	return standing_cmp(&there, &here) >= 0 &&
	       fullness(c, vm, to) + margin(c) <= fullness(c, vm, from) &&
	       placement_fit(c, vm, to, true) == FIT_OK;
}

/* The node that would be emptiest with it, NULL none that is better than its own. */
static const struct node *emptier(const struct cluster *c, const struct vm *vm,
				  const struct node *from)
{
	const struct node *best = NULL;

	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *n = c->nodes[i];

		if (n != from && improves(c, vm, from, n) &&
		    (!best || fullness(c, vm, n) < fullness(c, vm, best)))
			best = n;
	}
	return best;
}

static bool move_from(struct cluster *c, struct node *from)
{
	for (size_t i = from->by_rank.count; i-- > 0;) {
		struct vm *vm = from->by_rank.items[i];
		const struct node *to;

		if (!moves_free(c, vm) || !vm->live_migration || vm->uneasy || vm->home ||
		    has_ties(vm))
			continue;
		to = emptier(c, vm, from);
		if (!to)
			continue;
		vm_migrate_to(c, vm, to->id, 0,
			      WHY(BALANCE, .text = c->tuning.placement == PLACE_COUNT
						       ? "fewer VMs there"
						       : "more room there"));
		return true;
	}
	return false;
}

static void balance_one(struct cluster *c)
{
	for (size_t i = 0; i < c->n_nodes; i++) {
		struct node *n = c->nodes[i];

		if (node_reachable(n) && node_takes_vms(n) && move_from(c, n))
			return;
	}
}

void balance_settle(struct cluster *c)
{
	bool wanted = !c->tuning.sticky && c->tuning.placement != PLACE_PACK && c->arm == ARMED;

	c->changed |= c->freed || c->n_touched_vms;
	if (!wanted) {
		c->balance_us = 0;
	} else if (c->changed) {
		c->balance_us = c->now_us + CALM_US;
	} else if (c->balance_us && c->balance_us <= c->now_us) {
		c->balance_us = 0;
		if (is_quiet(c))
			balance_one(c);
	}
}
