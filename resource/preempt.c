/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/preempt.h"

#include "proto/mutant.h"
#include "resource/moves.h"
#include "resource/placement.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"

/* Who would have to leave a node. */
struct eviction {
	const struct node *n;
	struct vm *victims[HV_MAX_EVICTIONS];
	size_t count;
	int32_t priority; /* the highest of theirs */
};

/* What a node will have when all that leaves it has left. */
struct room {
	int64_t mem_mib, vcpus;
};

static bool leaves(const struct vm *vm, const struct node *n)
{
	return vm->node == n->id && (vm->target || vm->state == VM_STOPPING);
}

static struct room room_of(const struct cluster *c, const struct node *n)
{
	struct room r = {(int64_t)n->mem_mib - (int64_t)n->mem_used_mib - (int64_t)n->stale_mem_mib,
			 INT32_MAX};

	if (c->tuning.vcpus_per_cpu)
		r.vcpus = (int64_t)n->cpus * c->tuning.vcpus_per_cpu - n->vcpus_used;
	for (size_t i = 0; i < n->owned.count; i++) {
		const struct vm *vm = n->owned.items[i];

		r.mem_mib += leaves(vm, n) ? (int64_t)vm->mem_mib : 0;
		r.vcpus += leaves(vm, n) ? vm->vcpus : 0;
	}
	return r;
}

static bool enough(const struct room *r, const struct vm *vm)
{
	return r->mem_mib >= (int64_t)vm->mem_mib && r->vcpus >= vm->vcpus;
}

static void give(struct room *r, const struct vm *vm, int sign)
{
	r->mem_mib += sign * (int64_t)vm->mem_mib;
	r->vcpus += sign * (int64_t)vm->vcpus;
}

/* Another node can take it. */
static bool can_go(struct cluster *c, const struct vm *victim, hv_node_id *ret_target)
{
	bool tried = victim->live_migration && victim->migrate_attempts;

	return !victim->group && !tried && placement_pick(c, victim, true, ret_target) == FIT_OK;
}

/* Who needs it is not disturbed when it leaves live. */
static bool gives_way(struct cluster *c, const struct vm *victim, const struct vm *vm)
{
	hv_node_id target;

	return !rules_carries(victim, vm->priority) ||
	       (victim->live_migration && can_go(c, victim, &target));
}

/* From the lowest rank upwards until there is room, then without those that were not needed. */
static bool plan(struct cluster *c, const struct vm *vm, const struct node *n, struct eviction *ret)
{
	struct room room = room_of(c, n);
	size_t kept = 0;

	*ret = (struct eviction){.n = n, .priority = INT32_MIN};
	for (size_t i = n->by_rank.count; i-- > 0 && !enough(&room, vm);) {
		struct vm *low = n->by_rank.items[i];

		if (low->priority >= vm->priority + MUTANT(equal_gives_way) ||
		    ret->count == HV_MAX_EVICTIONS)
			break;
		if (leaves(low, n) || !moves_free(c, low) || !gives_way(c, low, vm))
			continue;
		give(&room, low, +1);
		ret->victims[ret->count++] = low;
	}
	if (!enough(&room, vm))
		return false;
	for (size_t i = ret->count; i-- > 0;) {
		give(&room, ret->victims[i], -1);
		if (enough(&room, vm)) {
			ret->victims[i] = NULL;
			continue;
		}
		give(&room, ret->victims[i], +1);
		if (ret->victims[i]->priority > ret->priority)
			ret->priority = ret->victims[i]->priority;
	}
	for (size_t i = 0; i < ret->count; i++)
		if (ret->victims[i])
			ret->victims[kept++] = ret->victims[i];
	ret->count = kept;
	return true;
}

static bool gentler(const struct eviction *a, const struct eviction *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority;
	return a->count < b->count;
}

static void evict(struct cluster *c, struct vm *victim, const struct vm *vm)
{
	struct why why = WHY(PREEMPTED, .subject = vm->name);
	const struct node *n = node_get(c, victim->node);
	hv_node_id target = 0;

	if (can_go(c, victim, &target)) {
		if (!victim->live_migration || n->migrations_running < c->tuning.migrate_parallel)
			vm_move_to(c, victim, target, 0, why);
	} else if (victim->state == VM_RUNNING && !rules_carries(victim, vm->priority)) {
		vm_relocate(c, victim, why);
	}
}

void preempt_for(struct cluster *c, struct vm *vm)
{
	struct eviction best = {0}, e;

	if (!c->tuning.preemption || c->arm != ARMED || vm->group)
		return;
	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *n = c->nodes[i];

		if (placement_but_for_room(c, vm, n) && plan(c, vm, n, &e) &&
		    (!best.n || gentler(&e, &best)))
			best = e;
	}
	if (!best.n)
		return;
	vm->prefer = best.n->id;
	vm_touch(c, vm);
	for (size_t i = 0; i < best.count; i++)
		evict(c, best.victims[i], vm);
}
