/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules as the program takes and shows them, against a server of our own. */
#include "tests/unit/cli_check.h"

#include <string.h>

TestSuite(cli_rule, .timeout = 30);

static enum server_act adds_nodes(const Hv__ControlRequest *request, unsigned n,
				  Hv__ControlResponse *ret)
{
	const Hv__RuleAdd *add = request->command->rule_add;

	cr_assert_eq(request->command->body_case, HV__COMMAND__BODY_RULE_ADD);
	cr_assert_str_eq(add->name, "home");
	cr_assert_eq(add->kind, HV__RULE_KIND__RULE_NODES);
	cr_assert(!add->hard);
	cr_assert_eq(add->n_vms, 2);
	cr_assert_str_eq(add->vms[1], "db2");
	cr_assert_eq(add->n_nodes, 2);
	cr_assert_str_eq(add->nodes[0]->node, "host1");
	cr_assert_eq(add->nodes[0]->priority, -2);
	cr_assert_eq(add->nodes[1]->priority, 0);
	return accept_op(ret, 0);
}

Test(cli_rule, nodes_come_with_priorities)
{
	struct run *r =
	    runs(adds_nodes, "hvcluster rule add home nodes db1,db2 host1=-2,host2 --soft", 0);

	must_have(r->out, "rule home: added");
}

static enum server_act adds_after(const Hv__ControlRequest *request, unsigned n,
				  Hv__ControlResponse *ret)
{
	const Hv__RuleAdd *add = request->command->rule_add;

	cr_assert_eq(add->kind, HV__RULE_KIND__RULE_AFTER);
	cr_assert(add->hard && add->mandatory);
	cr_assert_eq(add->n_vms, 2);
	cr_assert_str_eq(add->vms[0], "app");
	cr_assert_str_eq(add->vms[1], "db");
	return accept_op(ret, 0);
}

Test(cli_rule, who_needs_whom_stands_in_that_order)
{
	runs(adds_after, "hvcluster rule add order after app db", 0);
}

static enum server_act never(const Hv__ControlRequest *request, unsigned n,
			     Hv__ControlResponse *ret)
{
	cr_assert_fail("this must not reach the server");
	return SERVER_DIE;
}

Test(cli_rule, what_makes_no_sense_is_not_sent)
{
	must_have(runs(never, "hvcluster rule add r near a,b", 2)->err, "no rule of kind 'near'");
	must_have(runs(never, "hvcluster rule add r apart a,,b", 7)->err, "without spaces");
	must_have(runs(never, "hvcluster rule add r apart a,b host1", 2)->err, "names VMs only");
	must_have(runs(never, "hvcluster rule add r nodes a", 2)->err, "needs a node after the VM");
	must_have(runs(never, "hvcluster rule add r nodes a host1=high", 7)->err, "whole number");
	must_have(runs(never, "hvcluster rule add r follow a,b c", 2)->err, "one VM and another");
	must_have(runs(never, "hvcluster rule add r apart a,b/c", 7)->err, "b/c");
}

static Hv__RuleInfo rules[2];
static Hv__RuleInfo *rule_list[2] = {&rules[0], &rules[1]};

static enum server_act gives_rules(const Hv__ControlRequest *request, unsigned n,
				   Hv__ControlResponse *ret)
{
	static char *vms[] = {S("web1"), S("web2")};
	static Hv__RuleNodeInfo node, *nodes[] = {&node};
	static Hv__RuleListResponse list;

	cr_assert_eq(request->body_case, HV__CONTROL_REQUEST__BODY_RULE_LIST);
	for (int i = 0; i < 2; i++) {
		hv__rule_info__init(&rules[i]);
		rules[i].vms = vms;
		rules[i].n_vms = 2;
	}
	hv__rule_node_info__init(&node);
	node.node = S("host2");
	node.priority = 7;
	rules[0].name = S("home");
	rules[0].kind = S("nodes");
	rules[0].nodes = nodes;
	rules[0].n_nodes = 1;
	rules[1].name = S("spread");
	rules[1].kind = S("apart");
	rules[1].hard = true;
	rules[1].broken_by = vms + 1;
	rules[1].n_broken_by = 1;
	hv__rule_list_response__init(&list);
	/* two pages of one rule */
	list.rules = rule_list + (*request->rule_list->after != 0);
	list.n_rules = 1;
	list.more = *request->rule_list->after == 0;
	ret->body_case = HV__CONTROL_RESPONSE__BODY_RULE_LIST;
	ret->rule_list = &list;
	return SERVER_ANSWER;
}

Test(cli_rule, the_list_is_read_page_after_page)
{
	struct run *r = runs(gives_rules, "hvcluster rule list", 0);
	json_t *object;

	cr_assert_eq(r->requests, 2);
	must_have(r->out, "home    nodes  soft      web1 web2  host2=7");
	must_have(r->out, "spread  apart  hard      web1 web2");
	object = json(runs(gives_rules, "hvcluster rule list --json", 0));
	cr_assert_eq(json_array_size(json_object_get(object, "rules")), 2);
	json_decref(object);
}
