/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/placement.h"

#include "proto/mutant.h"
#include "resource/home.h"
#include "resource/operation.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"

#define PARTS 1000000 /* of a node's size, in scores */

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
	if (!node_unfenced(n) && !MUTANT(unfencing_skipped))
		return FIT_UNFENCED;
	if ((n->admin != NODE_ACTIVE || n->leaving != NODE_STAYS) && !MUTANT(drained_takes_vms))
		return FIT_DRAINED;
	return n->hypervisor_ok ? FIT_OK : FIT_HYPERVISOR;
}

bool placement_counts(const struct vm *vm)
{
	return vm->intent == INTENT_STARTED && vm->state != VM_STOPPED;
}

/* It is or goes where it can be found: whoever must be with it has no choice. */
static bool is_settled(const struct vm *vm)
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

/* The others of its group: what forbids them this node forbids it the whole group. */
static const struct rule *group_rule(const struct cluster *c, const struct vm *vm,
				     const struct node *n, bool migrate)
{
	for (size_t i = 0; vm->group && i < vm->group->n_vms; i++) {
		const struct vm *m = vm->group->vms[i];
		const struct rule *r;

		if (m == vm || !placement_counts(m) || vm_goes_to(m) == n->id)
			continue;
		if (!migrate && is_settled(m))
			return rule_of_tie(vm);
		r = rule_forbids(c, m, n->id);
		if (r)
			return r;
	}
	return NULL;
}

const struct rule *placement_rule(const struct cluster *c, const struct vm *vm,
				  const struct node *n, bool migrate)
{
	hv_node_id leader = rules_leader_node(vm);
	const struct rule *r;

	if (!vm->n_rules)
		return NULL;
	if (leader && leader != n->id)
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
	return fit_node(n) == FIT_OK && !placement_rule(c, vm, n, false) && !avoided(vm, n->id);
}

enum fit placement_fit(const struct cluster *c, const struct vm *vm, const struct node *n,
		       bool migrate)
{
	enum fit fit;

	if (migrate && n->id == vm->node)
		return FIT_HERE;
	fit = fit_node(n);
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

/* ---- score */

static int64_t part_of(uint64_t used, uint64_t size)
{
	if (size == 0)
		return used ? PARTS : 0;
	return used > size * 1000 ? (int64_t)PARTS * 1000 : (int64_t)(used * PARTS / size);
}

int64_t placement_score(const struct cluster *c, const struct vm *vm, const struct node *n)
{
	bool there = vm_goes_to(vm) == n->id;
	uint64_t mem = n->mem_used_mib + (there ? 0 : vm->mem_mib);
	uint64_t vcpus = (uint64_t)n->vcpus_used + (there ? 0 : vm->vcpus);

	switch (c->tuning.placement) {
	case PLACE_BALANCED:
		return (int64_t)n->vcpus_used * 1000 / (n->cpus ? n->cpus : 1);
	case PLACE_COUNT:
		return n->vm_count - there;
	case PLACE_CAPACITY: /* memory cannot be shared, processors can: it weighs more */
		return 5 * part_of(mem, n->mem_mib) + part_of(vcpus, n->cpus);
	case PLACE_PACK:
		return n->mem_mib > mem ? (int64_t)(n->mem_mib - mem) : 0;
	}
	return 0;
}

/* ---- choice */

struct merit {
	const struct node *n;
	enum fit fit;
	int64_t lonely; /* minus: VMs that follow it and could not be there */
	struct standing standing;
	int64_t placed; /* of its group, that are there or are asked to go there */
	int64_t score;
};

static int cmp(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

/* > 0: `a` is of a better class. */
static int class_cmp(const struct merit *a, const struct merit *b)
{
	int by = cmp(a->lonely, b->lonely);

	by = by ? by : standing_cmp_nodes(&a->standing, &b->standing);
	by = by ? by : cmp(a->placed, b->placed);
	return by ? by : cmp(a->standing.soft, b->standing.soft);
}

static bool better(const struct merit *a, const struct merit *b)
{
	int by = class_cmp(a, b);

	if (by)
		return by > 0;
	if (a->score != b->score)
		return a->score < b->score;
	return a->n->vm_count != b->n->vm_count ? a->n->vm_count < b->n->vm_count
						: a->n->id < b->n->id;
}

/* Those that follow it and would have to stop if it came to this node. */
static int64_t count_lonely(const struct cluster *c, const struct vm *vm, const struct node *n)
{
	struct load load = {0};
	int64_t lonely = 0;

	if (vm_goes_to(vm) != n->id)
		load_add(&load, vm);
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct rule *r = vm->rules[i];
		const struct vm *f = r->members[0];

		if (r->kind != HV__RULE_KIND__RULE_FOLLOW || r->members[1] != vm ||
		    f->intent == INTENT_STOPPED || vm_goes_to(f) == n->id)
			continue;
		load_add(&load, f);
		lonely += rule_forbids(c, f, n->id) || fit_room(c, n, &load) != FIT_OK;
	}
	return lonely;
}

/* Where it is asked to go by name, else where it goes. */
static hv_node_id place_of(const struct cluster *c, const struct vm *vm)
{
	const struct operation *req = vm->request ? cluster_op(c, vm->request) : NULL;

	if (req && op_request(req) == REQ_MIGRATE && (req->flags & OP_F_NAMED) && !req->done)
		return req->target;
	return is_settled(vm) ? vm_goes_to(vm) : 0;
}

/* A group is moved for a better class only if none of it is to stay where it is. */
static bool group_is_free(const struct vm *vm)
{
	bool settled = false, stays = false;

	for (size_t i = 0; i < vm->group->n_vms; i++) {
		settled |= is_settled(vm->group->vms[i]);
		stays |= !vm->group->vms[i]->failback;
	}
	return !settled || !stays;
}

static void merit_of_group(const struct cluster *c, const struct vm *vm, const struct node *n,
			   struct merit *m)
{
	bool is_free = group_is_free(vm);

	m->standing = (struct standing){0};
	for (size_t i = 0; i < vm->group->n_vms; i++) {
		const struct vm *one = vm->group->vms[i];
		struct standing s;

		if (one != vm && !placement_counts(one))
			continue;
		s = rules_standing(c, one, n->id);
		m->standing.listed += is_free ? s.listed : 0;
		m->standing.priority += is_free ? s.priority : 0;
		m->standing.soft += s.soft;
		/* A home may be out of reach: that it calls does not make the present place less.
		 */
		m->placed += place_of(c, one) == n->id;
		m->placed += home_calls(c, one) && one->home == n->id ? 2 : 0;
	}
}

static struct merit merit_of(const struct cluster *c, const struct vm *vm, const struct node *n,
			     enum fit fit)
{
	struct merit m = {.n = n, .fit = fit, .score = placement_score(c, vm, n)};

	if (!vm->n_rules)
		return m;
	m.lonely = -count_lonely(c, vm, n);
	m.standing = rules_standing(c, vm, n->id);
	if (vm->group)
		merit_of_group(c, vm, n, &m);
	return m;
}

/* Keeps the best of those that can take it now, and the best of all that can at all. */
struct choice {
	struct merit now, any;
};

static void choice_see(struct choice *ch, const struct merit *m)
{
	if (!ch->any.n || class_cmp(m, &ch->any) > 0)
		ch->any = *m;
	if (m->fit == FIT_OK && (!ch->now.n || better(m, &ch->now)))
		ch->now = *m;
}

/* Most VMs have no rules, so that all nodes are of one class; thousands may be placed in a step. */
static enum fit pick_plain(const struct cluster *c, const struct vm *vm, bool migrate,
			   hv_node_id *ret_node)
{
	const struct node *best = NULL;
	bool busy = false, avoids = false;
	int64_t least = 0;

	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *n = c->nodes[i];
		enum fit fit = placement_fit(c, vm, n, migrate);
		int64_t score;

		busy |= fit == FIT_BUSY;
		avoids |= fit == FIT_AVOIDED;
		if (n->id == vm->prefer && (fit == FIT_OK || (fit == FIT_BUSY && !migrate))) {
			*ret_node = n->id; /* asked for by name: worth waiting for */
			return fit;
		}
		if (fit != FIT_OK)
			continue;
		score = placement_score(c, vm, n);
		if (best && (score > least || (score == least && n->vm_count >= best->vm_count)))
			continue; /* of equals the first one, by id */
		best = n;
		least = score;
	}
	if (best)
		*ret_node = best->id;
	return best ? FIT_OK : busy ? FIT_BUSY : avoids ? FIT_AVOIDED : FIT_MEMORY;
}

static enum fit pick(const struct cluster *c, const struct vm *vm, bool migrate,
		     hv_node_id *ret_node)
{
	struct choice ch = {0};
	bool avoids = false;

	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *n = c->nodes[i];
		enum fit fit = placement_fit(c, vm, n, migrate);
		struct merit m;

		avoids |= fit == FIT_AVOIDED;
		if (fit != FIT_OK && fit != FIT_BUSY)
			continue;
		if (n->id == vm->prefer && (!migrate || fit == FIT_OK)) {
			*ret_node = n->id; /* asked for by name: worth waiting for */
			return fit;
		}
		m = merit_of(c, vm, n, fit);
		choice_see(&ch, &m);
	}
	if (ch.now.n && class_cmp(&ch.now, &ch.any) >= 0) {
		*ret_node = ch.now.n->id;
		return FIT_OK;
	}
	if (ch.any.n)
		*ret_node = ch.any.n->id;
	return ch.any.n ? FIT_BUSY : avoids ? FIT_AVOIDED : FIT_MEMORY;
}

enum fit placement_pick(const struct cluster *c, const struct vm *vm, bool migrate,
			hv_node_id *ret_node)
{
	const struct vm *other;

	if (!migrate && vm->n_rules) {
		enum gate gate = rules_gate(c, vm, &other);

		if (gate != GATE_OPEN)
			return gate == GATE_TURN ? FIT_TURN : FIT_NEEDS;
	}
	return vm->n_rules ? pick(c, vm, migrate, ret_node) : pick_plain(c, vm, migrate, ret_node);
}

/* For whom the merits of nodes are reckoned: one for all, or each would rather stay where it is. */
static const struct vm *group_speaker(const struct vm *vm)
{
	for (size_t i = 0; i < vm->group->n_vms; i++)
		if (placement_counts(vm->group->vms[i]))
			return vm->group->vms[i];
	return vm;
}

hv_node_id placement_group_home(const struct cluster *c, const struct vm *vm)
{
	const struct vm *speaker = group_speaker(vm);
	struct merit best = {0};

	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *n = c->nodes[i];
		struct merit m;

		if (fit_node(n) != FIT_OK || rule_excludes(vm, n->id) ||
		    (vm_goes_to(vm) != n->id && rule_forbids(c, vm, n->id)) ||
		    group_rule(c, vm, n, true) || fit_with_group(c, vm, n) != FIT_OK)
			continue;
		m = merit_of(c, speaker, n, FIT_OK);
		if (!best.n || better(&m, &best))
			best = m;
	}
	return best.n ? best.n->id : 0;
}
