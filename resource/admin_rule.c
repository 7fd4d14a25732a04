/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules: administrators' requests. */
#include "resource/admin.h"
#include "resource/journal.h"
#include "resource/rule.h"

#define ALL_RULES "hvcluster rule list"

static struct answer check_counts(const Hv__RuleAdd *cmd)
{
	if (rule_counts_right(cmd->kind, cmd->n_vms, cmd->n_nodes))
		return answer_ok(0);
	switch (cmd->kind) {
	case HV__RULE_KIND__RULE_NODES:
	case HV__RULE_KIND__RULE_BAN:
		return answer_no(HV_BAD_INPUT, "hvcluster help rule add",
				 "a rule of this kind names VMs, and nodes for them");
	case HV__RULE_KIND__RULE_FOLLOW:
	case HV__RULE_KIND__RULE_AFTER:
		return answer_no(HV_BAD_INPUT, "hvcluster help rule add",
				 "a rule of this kind names two VMs, and no nodes");
	case HV__RULE_KIND__RULE_TOGETHER:
	case HV__RULE_KIND__RULE_APART:
	case HV__RULE_KIND__RULE_NONE:
	case _HV__RULE_KIND_IS_INT_SIZE:
		break;
	}
	return answer_no(HV_BAD_INPUT, "hvcluster help rule add",
			 "a rule of this kind names two VMs or more, and no nodes");
}

static struct answer fill_vms(struct cluster *c, struct rule *r, const Hv__RuleAdd *cmd)
{
	r->vms = hv_xcalloc(cmd->n_vms, sizeof(*r->vms));
	for (size_t i = 0; i < cmd->n_vms; i++) {
		const struct vm *vm = vm_find_name(c, cmd->vms[i]);

		if (!vm)
			return answer_no_vm(cmd->vms[i]);
		for (size_t k = 0; k < i; k++)
			if (strcmp(r->vms[k], vm->uuid) == 0)
				return answer_no(HV_BAD_INPUT, NULL, "VM '%s' is named twice",
						 vm->name);
		r->vms[r->n_vms++] = hv_xstrdup(vm->uuid);
	}
	return answer_ok(0);
}

static struct answer fill_nodes(struct cluster *c, struct rule *r, const Hv__RuleAdd *cmd)
{
	for (size_t i = 0; i < cmd->n_nodes; i++) {
		const struct node *n = node_find_name(c, cmd->nodes[i]->node);

		if (!n)
			return answer_no_node(cmd->nodes[i]->node);
		for (size_t k = 0; k < i; k++)
			if (r->nodes[k].node == n->id)
				return answer_no(HV_BAD_INPUT, NULL, "node '%s' is named twice",
						 n->name);
		r->nodes[r->n_nodes++] = (struct rule_node){n->id, cmd->nodes[i]->priority};
	}
	return answer_ok(0);
}

/* In the place of one of the same name; as before if it contradicts the others. */
static struct answer put(struct cluster *c, const char *actor, struct rule *r)
{
	struct rule *old = rule_get(c, r->name);
	_cleanup_free_ char *why = NULL;

	if (old)
		rule_unlink(c, old);
	else if (c->n_rules == HV_MAX_RULES) {
		rule_free(r);
		return answer_no(HV_LIMIT, ALL_RULES, "there are as many rules as can be: %u",
				 HV_MAX_RULES);
	}
	hv_assert(rule_index(c, r));
	why = rule_contradicts(c, r);
	if (why) {
		rule_forget(c, r);
		if (old)
			hv_assert(rule_index(c, old));
	} else {
		journal_why(c, SEV_NOTICE, "rule", r->name,
			    old ? rule_kind_name(old->kind) : "none", rule_kind_name(r->kind),
			    WHY(ADMIN, .subject = actor));
		rule_free(old);
	}
	rules_group(c);
	return why ? answer_no(HV_REFUSED, ALL_RULES, "%s", why) : answer_ok(0);
}

struct answer admin_rule_add(struct cluster *c, const char *actor, const Hv__RuleAdd *cmd)
{
	struct answer a = check_counts(cmd);
	struct rule *r;

	if (a.rc != HV_OK)
		return a;
	r = hv_xcalloc(1, sizeof(*r));
	r->name = hv_xstrdup(cmd->name);
	r->kind = cmd->kind;
	r->hard = cmd->hard || cmd->kind == HV__RULE_KIND__RULE_BAN;
	r->mandatory = cmd->mandatory && cmd->kind == HV__RULE_KIND__RULE_AFTER;
	a = fill_vms(c, r, cmd);
	if (a.rc == HV_OK)
		a = fill_nodes(c, r, cmd);
	if (a.rc == HV_OK)
		return put(c, actor, r);
	rule_free(r);
	return a;
}

struct answer admin_rule_remove(struct cluster *c, const char *actor, const Hv__RuleRemove *cmd)
{
	struct rule *r = rule_get(c, cmd->name);

	if (!r && !hv_name_valid(cmd->name))
		return answer_no(HV_NOT_FOUND, ALL_RULES, "there is no rule of that name");
	if (!r)
		return answer_no(HV_NOT_FOUND, ALL_RULES, "there is no rule '%s'", cmd->name);
	journal_why(c, SEV_NOTICE, "rule", r->name, rule_kind_name(r->kind), "removed",
		    WHY(ADMIN, .subject = actor));
	rule_forget(c, r);
	rules_group(c);
	return answer_ok(0);
}
