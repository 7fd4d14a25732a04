/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Can a rule stand beside the others? What no placement could ever satisfy is refused at once. */
#include "resource/rule.h"

#define KIND(r, name) ((r)->kind == HV__RULE_KIND__RULE_##name)

bool rule_counts_right(Hv__RuleKind kind, size_t vms, size_t nodes)
{
	switch (kind) {
	case HV__RULE_KIND__RULE_NODES:
	case HV__RULE_KIND__RULE_BAN:
		return vms >= 1 && nodes >= 1;
	case HV__RULE_KIND__RULE_TOGETHER:
	case HV__RULE_KIND__RULE_APART:
		return vms >= 2 && nodes == 0;
	case HV__RULE_KIND__RULE_FOLLOW:
	case HV__RULE_KIND__RULE_AFTER:
		return vms == 2 && nodes == 0;
	case HV__RULE_KIND__RULE_NONE:
	case _HV__RULE_KIND_IS_INT_SIZE:
		break;
	}
	return false;
}

/* Does this rule oblige its VMs to be on one node? */
static bool ties(const struct rule *r)
{
	return (KIND(r, TOGETHER) && r->hard) || KIND(r, FOLLOW);
}

static bool depends(const struct rule *r)
{
	return KIND(r, FOLLOW) || KIND(r, AFTER);
}

/* All that must be where `vm` is. */
static void tied_to(struct vm *vm, struct set *ret)
{
	size_t before = 0;

	set_init(ret, vm_cmp_name);
	set_add(ret, vm);
	while (ret->count > before) {
		before = ret->count;
		for (size_t i = 0; i < ret->count; i++) {
			const struct vm *one = ret->items[i];

			for (size_t k = 0; k < one->n_rules; k++)
				for (size_t m = 0; ties(one->rules[k]) && m < one->rules[k]->n_vms;
				     m++)
					set_add(ret, one->rules[k]->members[m]);
		}
	}
}

static char *apart_and_tied(const struct set *tied)
{
	for (size_t i = 0; i < tied->count; i++) {
		const struct vm *vm = tied->items[i];

		for (size_t k = 0; k < vm->n_rules; k++) {
			const struct rule *r = vm->rules[k];

			if (!KIND(r, APART) || !r->hard)
				continue;
			for (size_t m = 0; m < r->n_vms; m++)
				if (r->members[m] != vm && set_find(tied, r->members[m]))
					return hv_xasprintf("VMs '%s' and '%s' must be on one "
							    "node, and apart by rule '%s'",
							    vm->name, r->members[m]->name, r->name);
		}
	}
	return NULL;
}

/* The rule that keeps one of them from this node, NULL none. */
static const struct rule *excludes(const struct set *tied, hv_node_id node)
{
	for (size_t i = 0; i < tied->count; i++) {
		const struct rule *r = rule_excludes(tied->items[i], node);

		if (r)
			return r;
	}
	return NULL;
}

static char *no_node_left(const struct cluster *c, const struct rule *self, const struct set *tied)
{
	const struct rule *other = NULL;

	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct rule *r = excludes(tied, c->nodes[i]->id);

		if (!r)
			return NULL;
		if (r != self)
			other = r;
	}
	return hv_xasprintf("no node would be left for VM '%s'%s%s",
			    ((const struct vm *)tied->items[0])->name, other ? ": see rule " : "",
			    other ? other->name : "");
}

static char *places(const struct cluster *c, const struct rule *r, struct vm *vm)
{
	struct set tied;
	char *why;

	tied_to(vm, &tied);
	why = apart_and_tied(&tied);
	if (!why)
		why = no_node_left(c, r, &tied);
	set_done(&tied);
	return why;
}

/* Would vms[0] come, through others, to wait for itself? */
static char *circle(const struct rule *r)
{
	struct set seen;
	bool found = false;

	set_init(&seen, vm_cmp_name);
	set_add(&seen, r->members[1]);
	for (size_t before = 0; seen.count > before && !found;) {
		before = seen.count;
		for (size_t i = 0; i < seen.count; i++) {
			const struct vm *vm = seen.items[i];

			for (size_t k = 0; k < vm->n_rules; k++)
				if (depends(vm->rules[k]) && vm->rules[k]->members[0] == vm)
					set_add(&seen, vm->rules[k]->members[1]);
		}
		found = set_find(&seen, r->members[0]);
	}
	set_done(&seen);
	return found ? hv_xasprintf("VM '%s' waits for '%s' already, by other rules",
				    r->members[1]->name, r->members[0]->name)
		     : NULL;
}

static char *two_leaders(const struct rule *r)
{
	const struct vm *vm = r->members[0];

	for (size_t i = 0; i < vm->n_rules; i++)
		if (vm->rules[i] != r && KIND(vm->rules[i], FOLLOW) &&
		    vm->rules[i]->members[0] == vm)
			return hv_xasprintf("VM '%s' follows '%s' already, by rule '%s'", vm->name,
					    vm->rules[i]->members[1]->name, vm->rules[i]->name);
	return NULL;
}

char *rule_contradicts(const struct cluster *c, const struct rule *r)
{
	char *why = NULL;

	if (depends(r))
		why = circle(r);
	if (!why && KIND(r, FOLLOW))
		why = two_leaders(r);
	for (size_t i = 0; !why && i < r->n_vms; i++) {
		why = places(c, r, r->members[i]);
		if (KIND(r, TOGETHER))
			break; /* the others are tied to the first */
	}
	return why;
}
