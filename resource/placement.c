/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/placement.h"

#include "proto/mutant.h"
#include "resource/rule.h"
#include "resource/storage.h"

/* ---- filter */

static bool avoided(const struct vm *vm, hv_node_id id)
{
	for (size_t i = 0; i < vm->n_avoid; i++)
		if (vm->avoid[i] == id)
			return true;
	return false;
}

uint64_t placement_free_mib(const struct node *n)
{
	uint64_t used = n->mem_used_mib + (MUTANT(copies_hold_no_memory) ? 0 : n->stale_mem_mib);

	return n->mem_mib > used ? n->mem_mib - used : 0;
}

/* What is to come to a node. */
struct load {
	uint64_t mem_mib;
	uint32_t vcpus;
};

static void load_add(struct load *l, const struct vm *vm)
{
	l->mem_mib += vm->mem_mib;
	l->vcpus += vm->vcpus;
}

static enum fit fit_room(const struct cluster *c, const struct node *n, const struct load *l)
{
	uint64_t vcpus = (uint64_t)n->cpus * c->tuning.vcpus_per_cpu;

	if (l->mem_mib > placement_free_mib(n) && !MUTANT(memory_overcommitted))
		return FIT_MEMORY;
	if (c->tuning.vcpus_per_cpu && l->vcpus && (uint64_t)n->vcpus_used + l->vcpus > vcpus)
		return FIT_CPU;
	return FIT_OK;
}

static enum fit fit_node(const struct node *n)
{
	if (n->state != NODE_ONLINE)
		return FIT_OFFLINE;
	if (n->quarantined && !MUTANT(quarantine_ignored))
		return FIT_QUARANTINED;
	if (n->log_lost_us && !MUTANT(logless_takes_vms))
		return FIT_NO_LOG;
	if (!node_unfenced(n) && !MUTANT(unfencing_skipped))
		return FIT_UNFENCED;
	if ((n->admin != NODE_ACTIVE || n->leaving != NODE_STAYS) && !MUTANT(drained_takes_vms))
		return FIT_DRAINED;
	return n->hypervisor_ok ? FIT_OK : FIT_HYPERVISOR;
}

/* The node, and what the VM needs of it wherever there is room. */
static enum fit fit_place(const struct vm *vm, const struct node *n)
{
	enum fit fit = fit_node(n);

	if (fit == FIT_OK && n->n_bad_storage && storage_fault_of_group(vm, n) &&
	    !MUTANT(bad_storage_ignored))
		return FIT_STORAGE;
	return fit;
}

bool placement_counts(const struct vm *vm)
{
	/* What is held runs on, though it is to stop. */
	return (vm->intent == INTENT_STARTED && vm->state != VM_STOPPED) ||
	       (vm_held(vm) && vm_is_up(vm));
}

bool placement_settled(const struct vm *vm)
{
	return vm_is_up(vm) || vm->state == VM_STARTING || vm->state == VM_CHECKING;
}

/* The rule that ties `vm` to this member of its group, or any such rule of its own. */
static const struct rule *rule_of_tie(const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_rules; i++)
		if (vm->rules[i]->kind == HV__RULE_KIND__RULE_TOGETHER && vm->rules[i]->hard)
			return vm->rules[i];
	return NULL;
}

static const struct rule *rule_of_following(const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_rules; i++)
		if (vm->rules[i]->kind == HV__RULE_KIND__RULE_FOLLOW &&
		    vm->rules[i]->members[0] == vm)
			return vm->rules[i];
	return NULL;
}

/* Whom it follows is elsewhere, and does not come along with its group. */
static const struct rule *led_elsewhere(const struct vm *vm, const struct node *n)
{
	const struct vm *leader = rules_leader(vm);
	hv_node_id at = leader ? vm_goes_to(leader) : 0;

	if (!at || at == n->id || (leader->group && leader->group == vm->group))
		return NULL;
	return rule_of_following(vm);
}

/* It cannot leave where it is: the others do not leave it alone. */
static bool is_stuck(const struct vm *vm)
{
	return vm->node && (vm_held(vm) || (vm->state == VM_STOPPING && vm->tries));
}

/* The others of its group: what forbids them this node forbids it the whole group. */
static const struct rule *group_rule(const struct cluster *c, const struct vm *vm,
				     const struct node *n, bool migrate)
{
	for (size_t i = 0; vm->group && i < vm->group->n_vms; i++) {
		const struct vm *m = vm->group->vms[i];
		const struct rule *r;

		if (m == vm || !placement_counts(m) || vm_goes_to(m) == n->id)
			continue;
		/* What runs can leave with the others; what waits goes to where they are. */
		if (vm->node ? is_stuck(m) : !migrate && placement_settled(m))
			return rule_of_tie(vm);
		r = rule_forbids(c, m, n->id);
		r = r ? r : led_elsewhere(m, n);
		if (r)
			return r;
	}
	return NULL;
}

const struct rule *placement_rule(const struct cluster *c, const struct vm *vm,
				  const struct node *n, bool migrate)
{
	const struct vm *leader = rules_leader(vm);
	const struct rule *r;

	if (!vm->n_rules)
		return NULL;
	/* One that runs goes to where its leader has arrived, not before. */
	if (leader && vm->node && (rules_leader_moves(vm) || leader->node != n->id))
		return rule_of_following(vm);
	if (leader && vm_goes_to(leader) && vm_goes_to(leader) != n->id &&
	    !MUTANT(leader_elsewhere))
		return rule_of_following(vm);
	r = rule_forbids(c, vm, n->id);
	return r ? r : group_rule(c, vm, n, migrate);
}

/* Its start failed here: its group takes it elsewhere, but not round and round. */
static bool waits_to_start_elsewhere(const struct cluster *c, const struct vm *m,
				     const struct node *n)
{
	return vm_is_waiting(m) && avoided(m, n->id) && m->attempts < c->n_nodes;
}

/* Room that a VM of higher rank waits for, where others make way for it. */
static const struct vm *reserved_for(const struct cluster *c, const struct vm *vm,
				     const struct node *n)
{
	for (size_t i = 0; c->tuning.preemption && i < c->blocked.count; i++) {
		const struct vm *other = c->blocked.items[i];

		if (other->priority <= vm->priority)
			break;
		if (other->prefer == n->id)
			return other;
	}
	return NULL;
}

/* Room for it and all of its group that is not there yet. */
static enum fit fit_with_group(const struct cluster *c, const struct vm *vm, const struct node *n)
{
	const struct vm *first = reserved_for(c, vm, n);
	struct load load = {0};
	bool avoids = false;
	enum fit fit;

	if (vm_goes_to(vm) != n->id)
		load_add(&load, vm);
	if (first && vm_goes_to(vm) != n->id)
		load_add(&load, first);
	for (size_t i = 0; vm->group && i < vm->group->n_vms; i++) {
		const struct vm *m = vm->group->vms[i];

		if (m == vm || !placement_counts(m) || vm_goes_to(m) == n->id)
			continue;
		load_add(&load, m);
		avoids |= waits_to_start_elsewhere(c, m, n);
	}
	fit = fit_room(c, n, &load);
	return fit == FIT_OK && avoids ? FIT_AVOIDED : fit;
}

enum fit placement_room(const struct cluster *c, const struct node *n, uint64_t mem_mib,
			uint32_t vcpus)
{
	return fit_room(c, n, &(struct load){mem_mib, vcpus});
}

bool placement_but_for_room(const struct cluster *c, const struct vm *vm, const struct node *n)
{
	return fit_place(vm, n) == FIT_OK && !placement_rule(c, vm, n, false) &&
	       !avoided(vm, n->id);
}

enum fit placement_fit(const struct cluster *c, const struct vm *vm, const struct node *n,
		       bool migrate)
{
	enum fit fit;

	if (migrate && n->id == vm->node)
		return FIT_HERE;
	fit = fit_place(vm, n);
	if (fit == FIT_OK && vm->n_rules && placement_rule(c, vm, n, migrate))
		fit = FIT_RULE;
	if (fit == FIT_OK)
		fit = vm->n_rules || c->tuning.preemption
			  ? fit_with_group(c, vm, n)
			  : fit_room(c, n, &(struct load){vm->mem_mib, vm->vcpus});
	if (fit != FIT_OK)
		return fit;
	if (!migrate && avoided(vm, n->id))
		return FIT_AVOIDED;
	if (migrate ? n->migrations_running >= c->tuning.migrate_parallel
		    : n->starts_running >= c->tuning.start_parallel && !MUTANT(starts_not_limited))
		return FIT_BUSY;
	return FIT_OK;
}

/* ---- those that follow it */

/* Could it follow to this node, with its group? */
static bool can_follow(const struct cluster *c, const struct vm *f, const struct node *n,
		       const struct load *load)
{
	for (size_t i = 0; f->group && i < f->group->n_vms; i++)
		if (placement_counts(f->group->vms[i]) && vm_goes_to(f->group->vms[i]) != n->id &&
		    rule_forbids(c, f->group->vms[i], n->id))
			return false;
	return !rule_forbids(c, f, n->id) && fit_room(c, n, load) == FIT_OK;
}

/* Those that follow it, also through others, and would have to stop if it came to this node. */
static int64_t count_lonely(const struct cluster *c, const struct vm *vm, const struct node *n,
			    struct load *load)
{
	int64_t lonely = 0;

	if (vm_goes_to(vm) != n->id)
		load_add(load, vm);
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct rule *r = vm->rules[i];
		const struct vm *f = r->members[0];

		if (r->kind != HV__RULE_KIND__RULE_FOLLOW || r->members[1] != vm ||
		    f->intent == INTENT_STOPPED)
			continue;
		lonely += count_lonely(c, f, n, load);
		if (vm_goes_to(f) == n->id)
			lonely += rule_excludes(f, n->id) != NULL;
		else
			lonely += !can_follow(c, f, n, load);
	}
	return lonely;
}

int64_t placement_lonely(const struct cluster *c, const struct vm *vm, hv_node_id node)
{
	struct load load = {0};

	return vm->n_rules ? count_lonely(c, vm, cluster_node(c, node), &load) : 0;
}

bool placement_fits_group(const struct cluster *c, const struct vm *vm, const struct node *n)
{
	if (fit_place(vm, n) != FIT_OK || rule_excludes(vm, n->id) || led_elsewhere(vm, n))
		return false;
	if (vm_goes_to(vm) != n->id && rule_forbids(c, vm, n->id))
		return false;
	for (size_t i = 0; vm->group && i < vm->group->n_vms; i++)
		if (placement_counts(vm->group->vms[i]) && rule_excludes(vm->group->vms[i], n->id))
			return false;
	return !group_rule(c, vm, n, true) && fit_with_group(c, vm, n) == FIT_OK;
}
