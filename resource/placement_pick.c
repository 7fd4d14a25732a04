/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Of the nodes that may hold a VM the best one: class, score, ties. */
#include "resource/home.h"
#include "resource/operation.h"
#include "resource/placement.h"
#include "resource/rule.h"

#define PARTS 1000000 /* of a node's size, in scores */

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

/* Where it is asked to go by name, else where it goes. */
static hv_node_id place_of(const struct cluster *c, const struct vm *vm)
{
	const struct operation *req = vm->request ? cluster_op(c, vm->request) : NULL;

	if (req && op_request(req) == REQ_MIGRATE && (req->flags & OP_F_NAMED) && !req->done)
		return req->target;
	return placement_settled(vm) ? vm_goes_to(vm) : 0;
}

/* A group is moved for a better class only if none of it is to stay where it is. */
static bool group_is_free(const struct vm *vm)
{
	bool settled = false, stays = false;

	for (size_t i = 0; i < vm->group->n_vms; i++) {
		settled |= placement_settled(vm->group->vms[i]);
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
	m.lonely = -placement_lonely(c, vm, n->id);
	m.standing = rules_standing(c, vm, n->id);
	if (vm->group)
		merit_of_group(c, vm, n, &m);
	return m;
}

/* Keeps the best of those that can take it now, the best of all that can at all, and the one that
 * was asked for by name. */
struct choice {
	struct merit now, any, named;
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
		m = merit_of(c, vm, n, fit);
		choice_see(&ch, &m);
		if (n->id == vm->prefer && (!migrate || fit == FIT_OK))
			ch.named = m;
	}
	/* Worth waiting for; but who leads is where the others can be. */
	if (ch.named.n && ch.named.lonely >= ch.any.lonely) {
		*ret_node = ch.named.n->id;
		return ch.named.fit;
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

	/* One that runs waits for its turn when it has stopped. */
	if (!migrate && !vm->node && vm->n_rules) {
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

		if (!placement_fits_group(c, vm, n))
			continue;
		m = merit_of(c, speaker, n, FIT_OK);
		if (!best.n || better(&m, &best))
			best = m;
	}
	return best.n ? best.n->id : 0;
}
