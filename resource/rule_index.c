/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of rules, ascending name, and what is derived from it: each VM's own rules, and the VMs
 * that hard together rules tie to each other. What a rule means is in rule.h. */
#include "resource/journal.h"
#include "resource/rule.h"

size_t cluster_rule_count(const struct cluster *c)
{
	return c->n_rules;
}

const struct rule *cluster_rule_at(const struct cluster *c, size_t i)
{
	return i < c->n_rules ? c->rules[i] : NULL;
}

/* Where it is in a list of ascending names, or where it would be put. */
static size_t rule_place(struct rule *const *rules, size_t count, const char *name, bool *ret_found)
{
	size_t lo = 0, hi = count;

	*ret_found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int cmp = strcmp(rules[mid]->name, name);

		if (cmp == 0) {
			*ret_found = true;
			return mid;
		}
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct rule *cluster_rule_by_name(const struct cluster *c, const char *name)
{
	bool found;
	size_t i = rule_place(c->rules, c->n_rules, name, &found);

	return found ? c->rules[i] : NULL;
}

struct rule *rule_get(struct cluster *c, const char *name)
{
	return (struct rule *)cluster_rule_by_name(c, name);
}

void rule_touch(struct cluster *c, struct rule *r)
{
	(void)c;
	r->touched = true;
}

/* ---- each VM's own list */

static void vm_rule_add(struct cluster *c, struct vm *vm, struct rule *r)
{
	bool found;
	size_t i = rule_place(vm->rules, vm->n_rules, r->name, &found);

	if (found)
		return;
	vm->rules = hv_xrealloc(vm->rules, vm->n_rules + 1, sizeof(struct rule *));
	memmove(vm->rules + i + 1, vm->rules + i, (vm->n_rules - i) * sizeof(struct rule *));
	vm->rules[i] = r;
	vm->n_rules++;
	rules_notice(c, vm);
}

static void vm_rule_remove(struct cluster *c, struct vm *vm, const struct rule *r)
{
	bool found;
	size_t i = rule_place(vm->rules, vm->n_rules, r->name, &found);

	if (!found)
		return;
	rules_notice(c, vm);
	memmove(vm->rules + i, vm->rules + i + 1, (vm->n_rules - i - 1) * sizeof(struct rule *));
	vm->n_rules--;
}

/* ---- the list itself */

bool rule_index(struct cluster *c, struct rule *r)
{
	bool found;
	size_t i = rule_place(c->rules, c->n_rules, r->name, &found);

	if (found || c->n_rules == HV_MAX_RULES)
		return false;
	memmove(c->rules + i + 1, c->rules + i, (c->n_rules - i) * sizeof(*c->rules));
	c->rules[i] = r;
	c->n_rules++;
	r->members = hv_xcalloc(r->n_vms, sizeof(*r->members));
	for (size_t k = 0; k < r->n_vms; k++) {
		r->members[k] = vm_get(c, r->vms[k]);
		hv_assert(r->members[k]);
	}
	for (size_t k = 0; k < r->n_vms; k++)
		vm_rule_add(c, r->members[k], r);
	rule_touch(c, r);
	c->freed = true;
	return true;
}

void rule_free(struct rule *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_vms; i++)
		free(r->vms[i]);
	free(r->vms);
	free(r->members);
	free(r->name);
	free(r);
}

void rule_unlink(struct cluster *c, struct rule *r)
{
	bool found;
	size_t i = rule_place(c->rules, c->n_rules, r->name, &found);

	hv_assert(found && c->rules[i] == r);
	for (size_t k = 0; k < r->n_vms; k++)
		vm_rule_remove(c, r->members[k], r);
	c->digest -= r->hash;
	memmove(c->rules + i, c->rules + i + 1, (c->n_rules - i - 1) * sizeof(*c->rules));
	c->n_rules--;
	c->freed = true;
	r->hash = 0;
	free(r->members);
	r->members = NULL;
}

void rule_forget(struct cluster *c, struct rule *r)
{
	rule_unlink(c, r);
	rule_free(r);
}

/* ---- what a rule speaks of may go */

static size_t least_vms(const struct rule *r)
{
	return r->kind == HV__RULE_KIND__RULE_NODES || r->kind == HV__RULE_KIND__RULE_BAN ? 1 : 2;
}

static void drop_rule(struct cluster *c, struct rule *r, const char *cause)
{
	journal(c, SEV_NOTICE, "rule", r->name, rule_kind_name(r->kind), "removed", cause);
	rule_forget(c, r);
}

static void drop_vm(struct cluster *c, struct rule *r, const struct vm *vm)
{
	size_t i = 0;

	while (r->members[i] != vm)
		i++;
	vm_rule_remove(c, r->members[i], r);
	free(r->vms[i]);
	r->n_vms--;
	memmove(r->vms + i, r->vms + i + 1, (r->n_vms - i) * sizeof(*r->vms));
	memmove(r->members + i, r->members + i + 1, (r->n_vms - i) * sizeof(struct vm *));
	rule_touch(c, r);
}

void rules_forget_vm(struct cluster *c, struct vm *vm)
{
	if (!vm->n_rules)
		return;
	while (vm->n_rules) {
		struct rule *r = vm->rules[0];

		if (r->n_vms > least_vms(r))
			drop_vm(c, r, vm);
		else
			drop_rule(c, r, "a VM that it needs was removed");
	}
	rules_group(c);
	c->freed = true;
}

static bool names_node(const struct rule *r, hv_node_id node, size_t *ret_at)
{
	for (*ret_at = 0; *ret_at < r->n_nodes; (*ret_at)++)
		if (r->nodes[*ret_at].node == node)
			return true;
	return false;
}

bool rules_need_node(const struct cluster *c, hv_node_id node)
{
	size_t at;

	for (size_t i = 0; i < c->n_rules; i++) {
		const struct rule *r = c->rules[i];

		if (r->hard && r->kind == HV__RULE_KIND__RULE_NODES && r->n_nodes == 1 &&
		    names_node(r, node, &at))
			return true;
	}
	return false;
}

void rules_forget_node(struct cluster *c, struct node *n)
{
	size_t at;

	for (size_t i = c->n_rules; i-- > 0;) {
		struct rule *r = c->rules[i];

		if (!names_node(r, n->id, &at))
			continue;
		if (r->n_nodes == 1) {
			drop_rule(c, r, "its last node was taken out of the cluster");
			continue;
		}
		r->n_nodes--;
		memmove(r->nodes + at, r->nodes + at + 1, (r->n_nodes - at) * sizeof(*r->nodes));
		rule_touch(c, r);
		for (size_t k = 0; k < r->n_vms; k++)
			rules_notice(c, r->members[k]);
	}
}

/* ---- groups */

void vm_group_free(struct vm_group *g)
{
	free(g->vms);
	free(g);
}

static bool ties(const struct rule *r)
{
	return r->hard && r->kind == HV__RULE_KIND__RULE_TOGETHER;
}

/* Everyone that is tied to those in the set already. */
static void gather(struct set *all, struct vm *vm)
{
	set_add(all, vm);
	for (bool grown = true; grown;) {
		size_t before = all->count;

		for (size_t i = 0; i < all->count; i++) {
			const struct vm *one = all->items[i];

			for (size_t k = 0; k < one->n_rules; k++)
				for (size_t m = 0; ties(one->rules[k]) && m < one->rules[k]->n_vms;
				     m++)
					set_add(all, one->rules[k]->members[m]);
		}
		grown = all->count > before;
	}
}

static void group_new(struct cluster *c, struct vm *vm)
{
	struct vm_group *g = hv_xcalloc(1, sizeof(*g));
	struct set all;

	set_init(&all, vm_cmp_name);
	gather(&all, vm);
	g->vms = (struct vm **)all.items;
	g->n_vms = all.count;
	for (size_t i = 0; i < g->n_vms; i++)
		g->vms[i]->group = g;
	c->groups = hv_xrealloc(c->groups, c->n_groups + 1, sizeof(*c->groups));
	c->groups[c->n_groups++] = g;
}

void rules_group(struct cluster *c)
{
	for (size_t i = 0; i < c->n_groups; i++) {
		for (size_t k = 0; k < c->groups[i]->n_vms; k++) {
			rules_notice(c, c->groups[i]->vms[k]);
			c->groups[i]->vms[k]->group = NULL;
		}
		vm_group_free(c->groups[i]);
	}
	c->n_groups = 0;
	for (size_t i = 0; i < c->n_rules; i++) {
		struct rule *r = c->rules[i];

		if (ties(r) && !r->members[0]->group)
			group_new(c, r->members[0]);
	}
}

/* ---- what is to be looked at anew */

static bool depends(const struct rule *r)
{
	return r->kind == HV__RULE_KIND__RULE_FOLLOW || r->kind == HV__RULE_KIND__RULE_AFTER;
}

/* It, and those that depend on it or on which it does, also through others. */
static void notice(struct cluster *c, struct vm *vm)
{
	if (vm->noticed || vm->gone)
		return;
	vm->noticed = true;
	set_add(&c->noticed, vm);
	for (size_t i = 0; i < vm->n_rules; i++)
		for (size_t k = 0; depends(vm->rules[i]) && k < vm->rules[i]->n_vms; k++)
			notice(c, vm->rules[i]->members[k]);
}

void rules_notice(struct cluster *c, struct vm *vm)
{
	if (!vm->n_rules)
		return;
	notice(c, vm);
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct rule *r = vm->rules[i];

		if (r->kind == HV__RULE_KIND__RULE_NODES || r->kind == HV__RULE_KIND__RULE_BAN)
			continue;
		for (size_t k = 0; k < r->n_vms; k++)
			notice(c, r->members[k]);
	}
	for (size_t i = 0; vm->group && i < vm->group->n_vms; i++)
		notice(c, vm->group->vms[i]);
}
