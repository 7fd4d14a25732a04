/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is set of VMs: attributes and locks. Which keys there are, clusterd knows. */
#include "cli/cli.h"

#include <string.h>

/* "KEY=VALUE" of the command line as a message's pair; the strings are the pair's own. */
struct pairs {
	Hv__KeyValue pair[CLI_ARGS_MAX];
	Hv__KeyValue *list[CLI_ARGS_MAX];
	size_t n;
};

static void pairs_done(struct pairs *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->pair[i].key);
		free(p->pair[i].value);
	}
}

static enum hv_rc add_pair(struct cli *cli, struct pairs *p, const char *given)
{
	size_t len = strcspn(given, "=");
	Hv__KeyValue *pair = &p->pair[p->n];

	if (!len || !given[len] || len > HV_NAME_MAX || strlen(given + len + 1) > HV_NAME_MAX)
		return cli_fail(cli, HV_BAD_INPUT, "hvcluster help vm set",
				"'vm set' takes KEY=VALUE, not '%.80s'", given);
	hv__key_value__init(pair);
	pair->key = hv_xstrndup(given, len);
	pair->value = hv_xstrdup(given + len + 1);
	p->list[p->n++] = pair;
	return HV_OK;
}

static enum hv_rc vm_command(struct cli *cli, Hv__Command *command, const char *done)
{
	_cleanup_free_ char *subject = hv_xasprintf("vm %s", cli->args[0]);
	_cleanup_free_ char *look = hv_xasprintf("hvcluster vm show %s", cli->args[0]);

	return cli_command(cli, command, &(struct request_words){subject, done, look, NULL, NULL});
}

enum hv_rc cmd_vm_set(struct cli *cli)
{
	_cleanup_(pairs_done) struct pairs p = {.n = 0};
	Hv__Command command = HV__COMMAND__INIT;
	Hv__VmSet set = HV__VM_SET__INIT;
	enum hv_rc rc = cli_check_name(cli, "VM", cli->args[0]);

	for (size_t i = 1; rc == HV_OK && i < cli->n_args; i++)
		rc = add_pair(cli, &p, cli->args[i]);
	if (rc != HV_OK)
		return rc;
	set.name = (char *)cli->args[0];
	set.attributes = p.list;
	set.n_attributes = p.n;
	command.body_case = HV__COMMAND__BODY_VM_SET;
	command.vm_set = &set;
	return vm_command(cli, &command, "set");
}

static enum hv_rc set_lock(struct cli *cli, const char *reason, const char *done)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__VmLock lock = HV__VM_LOCK__INIT;
	enum hv_rc rc = cli_check_name(cli, "VM", cli->args[0]);

	if (rc != HV_OK)
		return rc;
	lock.name = (char *)cli->args[0];
	lock.reason = (char *)reason;
	command.body_case = HV__COMMAND__BODY_VM_LOCK;
	command.vm_lock = &lock;
	return vm_command(cli, &command, done);
}

enum hv_rc cmd_vm_lock(struct cli *cli)
{
	const char *reason = cli->args[1];

	if (!*reason || strlen(reason) > HV_NAME_MAX)
		return cli_fail(cli, HV_BAD_INPUT, "hvcluster vm lock VM backup",
				"the reason has 1 to %d characters", HV_NAME_MAX);
	return set_lock(cli, reason, "locked");
}

enum hv_rc cmd_vm_unlock(struct cli *cli)
{
	return set_lock(cli, "", "unlocked");
}
