/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules as messages: all of them, or those that name a VM. */
#include "clusterd/view_items.h"

#include <string.h>

static char **name_list(size_t n)
{
	return hv_xcalloc(n, sizeof(char *));
}

static void fill_nodes(const struct view *v, const struct rule *rule, Hv__RuleInfo *info)
{
	info->nodes = hv_xcalloc(rule->n_nodes, sizeof(*info->nodes));
	for (size_t i = 0; i < rule->n_nodes; i++) {
		Hv__RuleNodeInfo *n = hv_xcalloc(1, sizeof(*n));

		hv__rule_node_info__init(n);
		n->node = view_str(view_node_name(v, rule->nodes[i].node));
		n->priority = rule->nodes[i].priority;
		info->nodes[info->n_nodes++] = n;
	}
}

static Hv__RuleInfo *rule_info(const struct view *v, const struct rule *rule)
{
	Hv__RuleInfo *info = hv_xcalloc(1, sizeof(*info));

	hv__rule_info__init(info);
	info->name = view_str(rule->name);
	info->kind = view_str(rule_kind_name(rule->kind));
	info->hard = rule->hard;
	info->mandatory = rule->mandatory;
	info->vms = name_list(rule->n_vms);
	info->broken_by = name_list(rule->n_vms);
	for (size_t i = 0; i < rule->n_vms; i++) {
		const struct vm *vm = rule->members[i];

		info->vms[info->n_vms++] = view_str(vm->name);
		if (brain_rule_broken(rule, vm))
			info->broken_by[info->n_broken_by++] = view_str(vm->name);
	}
	fill_nodes(v, rule, info);
	return info;
}

void view_rules_of(const struct view *v, const struct vm *vm, struct view_budget *b,
		   Hv__RuleInfo ***list, size_t *count)
{
	for (size_t i = 0; i < vm->n_rules; i++)
		if (!view_add(b, list, count, rule_info(v, vm->rules[i])))
			return;
}

static bool names_vm(const struct rule *rule, const struct vm *vm)
{
	for (size_t i = 0; i < rule->n_vms; i++)
		if (rule->members[i] == vm)
			return true;
	return false;
}

enum hv_rc view_rule_list(const struct view *v, const Hv__RuleListRequest *req,
			  Hv__ControlResponse *r)
{
	struct view_budget budget = {.left = VIEW_BYTES};
	const struct vm *only = NULL;
	Hv__RuleListResponse *list;

	if (*req->vm && !(only = cluster_vm_by_name(v->c, req->vm)))
		return view_fail(r, HV_NOT_FOUND, "hvcluster vm list", "there is no VM '%.64s'",
				 req->vm);
	list = hv_xcalloc(1, sizeof(*list));
	hv__rule_list_response__init(list);
	r->body_case = HV__CONTROL_RESPONSE__BODY_RULE_LIST;
	r->rule_list = list;
	for (size_t i = 0; i < cluster_rule_count(v->c); i++) {
		const struct rule *rule = cluster_rule_at(v->c, i);

		if (strcmp(rule->name, req->after) <= 0 || (only && !names_vm(rule, only)))
			continue;
		if (!view_add(&budget, &list->rules, &list->n_rules, rule_info(v, rule))) {
			list->more = true;
			break;
		}
	}
	return HV_OK;
}
