/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules: added, removed, shown. */
#include "cli/cli.h"

#include "cli/format.h"

#include <string.h>

static const struct {
	const char *name;
	Hv__RuleKind kind;
	const char *fourth; /* what stands after the VMs: "node", "VM", NULL nothing */
} kinds[] = {
    {"nodes", HV__RULE_KIND__RULE_NODES, "node"},     {"ban", HV__RULE_KIND__RULE_BAN, "node"},
    {"together", HV__RULE_KIND__RULE_TOGETHER, NULL}, {"apart", HV__RULE_KIND__RULE_APART, NULL},
    {"follow", HV__RULE_KIND__RULE_FOLLOW, "VM"},     {"after", HV__RULE_KIND__RULE_AFTER, "VM"},
};

/* The request while it is put together; all that it points to is its own. */
struct request {
	Hv__RuleAdd add;
	char *vm_text, *node_text; /* the lists, cut into words */
	char *vms[HV_MAX_RULE_VMS];
	Hv__RuleNode node[HV_MAX_NODES];
	Hv__RuleNode *nodes[HV_MAX_NODES];
};

static void request_done(struct request *r)
{
	free(r->vm_text);
	free(r->node_text);
}

/* Cuts "a,b,c"; false: an empty word, or more than `max`. */
static bool cut(char *text, char **words, size_t max, size_t *n)
{
	for (char *end; text; text = end) {
		end = strchr(text, ',');
		if (end)
			*end++ = '\0';
		if (!*text || *n == max)
			return false;
		words[(*n)++] = text;
	}
	return true;
}

static enum hv_rc take_vms(struct cli *cli, struct request *r, const char *list)
{
	r->vm_text = hv_xstrdup(list);
	r->add.vms = r->vms;
	if (!cut(r->vm_text, r->vms, HV_MAX_RULE_VMS, &r->add.n_vms))
		return cli_fail(cli, HV_BAD_INPUT, "hvcluster help rule add",
				"VMs are given as VM,VM,... without spaces, at most %d",
				HV_MAX_RULE_VMS);
	for (size_t i = 0; i < r->add.n_vms; i++) {
		enum hv_rc rc = cli_check_name(cli, "VM", r->vms[i]);

		if (rc != HV_OK)
			return rc;
	}
	return HV_OK;
}

static enum hv_rc take_node(struct cli *cli, Hv__RuleNode *n, char *word)
{
	char *equals = strchr(word, '=');
	int64_t priority = 0;

	if (equals)
		*equals++ = '\0';
	if (equals && !options_number(equals, -1000000, 1000000, &priority))
		return cli_fail(cli, HV_BAD_INPUT, "hvcluster help rule add",
				"the priority of node '%.64s' is a whole number, not '%.64s'", word,
				equals);
	hv__rule_node__init(n);
	n->node = word;
	n->priority = (int32_t)priority;
	return cli_check_name(cli, "node", word);
}

static enum hv_rc take_nodes(struct cli *cli, struct request *r, const char *list)
{
	char *words[HV_MAX_NODES];
	enum hv_rc rc = HV_OK;

	r->node_text = hv_xstrdup(list);
	r->add.nodes = r->nodes;
	if (!cut(r->node_text, words, HV_MAX_NODES, &r->add.n_nodes))
		return cli_fail(cli, HV_BAD_INPUT, "hvcluster help rule add",
				"nodes are given as NODE=PRIORITY,NODE,... without spaces");
	for (size_t i = 0; rc == HV_OK && i < r->add.n_nodes; i++) {
		r->nodes[i] = &r->node[i];
		rc = take_node(cli, &r->node[i], words[i]);
	}
	return rc;
}

/* What stands after the VMs, as the kind wants it. */
static enum hv_rc take_fourth(struct cli *cli, struct request *r, const char *fourth)
{
	const char *word = cli->args[3];

	if (!word != !fourth)
		return cli_fail(cli, HV_USAGE, "hvcluster help rule add",
				fourth ? "a rule of kind '%s' needs a %s after the VM"
				       : "a rule of kind '%s' names VMs only, as VM,VM,...%s",
				cli->args[1], fourth ? fourth : "");
	if (!fourth)
		return HV_OK;
	if (strcmp(fourth, "node") == 0)
		return take_nodes(cli, r, word);
	if (r->add.n_vms != 1)
		return cli_fail(cli, HV_USAGE, "hvcluster help rule add",
				"a rule of kind '%s' is about one VM and another", cli->args[1]);
	r->vms[r->add.n_vms++] = (char *)word;
	return cli_check_name(cli, "VM", word);
}

static enum hv_rc take_all(struct cli *cli, struct request *r)
{
	enum hv_rc rc = cli_check_name(cli, "rule", cli->args[0]);
	size_t k = 0;

	if (rc != HV_OK)
		return rc;
	while (k < ARRAY_SIZE(kinds) && strcmp(kinds[k].name, cli->args[1]) != 0)
		k++;
	if (k == ARRAY_SIZE(kinds))
		return cli_fail(cli, HV_USAGE, "hvcluster help rule add",
				"there is no rule of kind '%.64s'", cli->args[1]);
	r->add.name = (char *)cli->args[0];
	r->add.kind = kinds[k].kind;
	r->add.hard = r->add.mandatory = !cli->options.soft;
	rc = take_vms(cli, r, cli->args[2]);
	return rc == HV_OK ? take_fourth(cli, r, kinds[k].fourth) : rc;
}

static enum hv_rc rule_command(struct cli *cli, Hv__Command *command, const char *done)
{
	_cleanup_free_ char *subject = hv_xasprintf("rule %s", cli->args[0]);

	return cli_command(
	    cli, command,
	    &(struct request_words){subject, done, "hvcluster rule list", NULL, NULL});
}

enum hv_rc cmd_rule_add(struct cli *cli)
{
	_cleanup_(request_done) struct request r = {.add = HV__RULE_ADD__INIT};
	Hv__Command command = HV__COMMAND__INIT;
	enum hv_rc rc = take_all(cli, &r);

	if (rc != HV_OK)
		return rc;
	command.body_case = HV__COMMAND__BODY_RULE_ADD;
	command.rule_add = &r.add;
	return rule_command(cli, &command, "added");
}

enum hv_rc cmd_rule_remove(struct cli *cli)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__RuleRemove remove = HV__RULE_REMOVE__INIT;
	enum hv_rc rc = cli_check_name(cli, "rule", cli->args[0]);

	if (rc != HV_OK)
		return rc;
	remove.name = (char *)cli->args[0];
	command.body_case = HV__COMMAND__BODY_RULE_REMOVE;
	command.rule_remove = &remove;
	return rule_command(cli, &command, "removed");
}

/* ---------------------------------------------------------------- rule list */

static char *join(char *text, const char *word)
{
	char *longer = hv_xasprintf("%s%s%s", text ? text : "", text ? " " : "", word);

	free(text);
	return longer;
}

static char *nodes_text(const Hv__RuleInfo *rule)
{
	char *text = NULL;

	for (size_t i = 0; i < rule->n_nodes; i++) {
		const Hv__RuleNodeInfo *n = rule->nodes[i];
		_cleanup_free_ char *word =
		    n->priority ? hv_xasprintf("%s=%d", n->node, n->priority) : hv_xstrdup(n->node);

		text = join(text, word);
	}
	return text ? text : hv_xstrdup("");
}

static char *names_text(char *const *names, size_t n)
{
	char *text = NULL;

	for (size_t i = 0; i < n; i++)
		text = join(text, names[i]);
	return text ? text : hv_xstrdup("");
}

/* "after" is hard when it is mandatory. */
static const char *strength(const Hv__RuleInfo *rule)
{
	if (strcmp(rule->kind, "after") == 0)
		return rule->mandatory ? "hard" : "soft";
	return rule->hard || strcmp(rule->kind, "follow") == 0 ? "hard" : "soft";
}

void show_rules(struct cli *cli, Hv__RuleInfo *const *rules, size_t n, unsigned indent)
{
	_cleanup_(table_done) struct table t = {0};

	table_init(&t, indent, "RULE|KIND|STRENGTH|VMS|NODES|BROKEN BY");
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *vms = names_text(rules[i]->vms, rules[i]->n_vms);
		_cleanup_free_ char *nodes = nodes_text(rules[i]);
		_cleanup_free_ char *broken =
		    names_text(rules[i]->broken_by, rules[i]->n_broken_by);

		table_cell(&t, PLAIN, "%s", rules[i]->name);
		table_cell(&t, PLAIN, "%s", rules[i]->kind);
		table_cell(&t, PLAIN, "%s", strength(rules[i]));
		table_cell(&t, PLAIN, "%s", vms);
		table_cell(&t, PLAIN, "%s", nodes);
		table_cell(&t, RED, "%s", broken);
	}
	table_print(&t, &cli->out);
}

static enum hv_rc ask_page(struct cli *cli, const char *after, Hv__ControlResponse **ret)
{
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__RuleListRequest list = HV__RULE_LIST_REQUEST__INIT;

	list.after = (char *)after;
	list.vm = (char *)(cli->options.vm ? cli->options.vm : "");
	request.body_case = HV__CONTROL_REQUEST__BODY_RULE_LIST;
	request.rule_list = &list;
	return cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_RULE_LIST, ret);
}

/* What the page holds, appended to the list that grows. */
static void add_page(Hv__RuleListResponse *all, Hv__RuleListResponse *page)
{
	all->rules = hv_xrealloc(all->rules, all->n_rules + page->n_rules, sizeof(*all->rules));
	if (page->n_rules)
		memcpy(all->rules + all->n_rules, page->rules, page->n_rules * sizeof(*all->rules));
	all->n_rules += page->n_rules;
	page->n_rules = 0; /* theirs now */
}

static enum hv_rc read_rules(struct cli *cli, Hv__ControlResponse **ret)
{
	Hv__RuleListResponse *all;
	enum hv_rc rc = ask_page(cli, "", ret);

	if (rc != HV_OK)
		return rc;
	all = (*ret)->rule_list;
	while (all->more && all->n_rules) {
		_cleanup_response_ Hv__ControlResponse *next = NULL;

		rc = ask_page(cli, all->rules[all->n_rules - 1]->name, &next);
		if (rc != HV_OK)
			return rc;
		all->more = next->rule_list->more && next->rule_list->n_rules;
		add_page(all, next->rule_list);
	}
	return HV_OK;
}

enum hv_rc cmd_rule_list(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	enum hv_rc rc = cli->options.vm ? cli_check_name(cli, "VM", cli->options.vm) : HV_OK;

	if (rc == HV_OK)
		rc = read_rules(cli, &response);
	if (rc != HV_OK)
		return rc;
	if (cli->options.json) {
		json_show(cli, response, json_of(&response->rule_list->base), false);
		return HV_OK;
	}
	show_stale(cli, response);
	show_rules(cli, response->rule_list->rules, response->rule_list->n_rules, 0);
	if (!response->rule_list->n_rules)
		out_printf(&cli->out, PLAIN, "No rules. Add one: hvcluster help rule add\n");
	return HV_OK;
}
