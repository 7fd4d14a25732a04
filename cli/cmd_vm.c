/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is done to VMs; what is shown of them is in cmd_vm_show.c. */
#include "cli/cli.h"
#include "cli/file.h"

#include <string.h>

/* `node`: the value of --on or --to, NULL if not given. */
static enum hv_rc vm_command(struct cli *cli, Hv__Command *command, const char *done,
			     const char *node)
{
	_cleanup_free_ char *subject = hv_xasprintf("vm %s", cli->args[0]);
	_cleanup_free_ char *look = hv_xasprintf("hvcluster vm explain %s", cli->args[0]);
	const struct request_words words = {subject, done, look, NULL, NULL};
	enum hv_rc rc = cli_check_name(cli, "VM", cli->args[0]);

	if (rc == HV_OK && node)
		rc = cli_check_name(cli, "node", node);
	return rc == HV_OK ? cli_command(cli, command, &words) : rc;
}

enum hv_rc cmd_vm_add(struct cli *cli)
{
	const char *path = cli->args[0], *name = cli->options.name;
	_cleanup_free_ char *xml = NULL, *why = NULL;
	struct request_words words = {name ? name : path, "added", "hvcluster vm list", NULL, NULL};
	Hv__Command command = HV__COMMAND__INIT;
	Hv__VmAdd add = HV__VM_ADD__INIT;
	enum hv_rc rc = name ? cli_check_name(cli, "VM", name) : HV_OK;
	size_t len;

	if (rc != HV_OK)
		return rc;
	rc = file_read(path, cli->in, HV_XML_MAX, &xml, &len, &why);
	if (rc == HV_OK && len == 0) {
		rc = HV_BAD_XML;
		why = hv_xasprintf("%s is empty: it has no domain XML", path);
	} else if (rc == HV_OK && strlen(xml) != len) {
		rc = HV_BAD_XML;
		why = hv_xasprintf("%s is not XML: it has zero bytes in it", path);
	}
	if (rc != HV_OK)
		return cli_fail(cli, rc, "hvcluster help vm add", "%s", why);
	if (!cli->options.stopped) {
		words.done = "added and started";
		words.accepted = "added; it is started now";
		words.failed = "added, but not started";
	}
	add.xml = xml;
	add.name = (char *)(name ? name : "");
	add.priority = cli->options.priority;
	add.started = !cli->options.stopped;
	add.stop_timeout_s = cli->options.stop_timeout_s;
	command.body_case = HV__COMMAND__BODY_VM_ADD;
	command.vm_add = &add;
	return cli_command(cli, &command, &words);
}

enum hv_rc cmd_vm_remove(struct cli *cli)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__VmRemove remove = HV__VM_REMOVE__INIT;

	remove.name = (char *)cli->args[0];
	remove.stop_first = cli->options.stop_first;
	command.body_case = HV__COMMAND__BODY_VM_REMOVE;
	command.vm_remove = &remove;
	return vm_command(cli, &command, "removed", NULL);
}

enum hv_rc cmd_vm_start(struct cli *cli)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__VmStart start = HV__VM_START__INIT;

	start.name = (char *)cli->args[0];
	start.node = (char *)(cli->options.on ? cli->options.on : "");
	command.body_case = HV__COMMAND__BODY_VM_START;
	command.vm_start = &start;
	return vm_command(cli, &command, "started", cli->options.on);
}

enum hv_rc cmd_vm_stop(struct cli *cli)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__VmStop stop = HV__VM_STOP__INIT;

	if (cli->options.force && (cli->options.given & OPTION(GRACE)))
		return cli_fail(cli, HV_USAGE, "hvcluster help vm stop",
				"--force does not wait, so it does not take --timeout");
	stop.name = (char *)cli->args[0];
	stop.force = cli->options.force;
	stop.timeout_s = cli->options.grace_s;
	command.body_case = HV__COMMAND__BODY_VM_STOP;
	command.vm_stop = &stop;
	return vm_command(cli, &command, "stopped", NULL);
}

enum hv_rc cmd_vm_migrate(struct cli *cli)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__VmMigrate migrate = HV__VM_MIGRATE__INIT;

	migrate.name = (char *)cli->args[0];
	migrate.node = (char *)(cli->options.to ? cli->options.to : "");
	command.body_case = HV__COMMAND__BODY_VM_MIGRATE;
	command.vm_migrate = &migrate;
	return vm_command(cli, &command, "migrated", cli->options.to);
}

enum hv_rc cmd_vm_pause(struct cli *cli)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__VmPause pause = HV__VM_PAUSE__INIT;

	pause.name = (char *)cli->args[0];
	command.body_case = HV__COMMAND__BODY_VM_PAUSE;
	command.vm_pause = &pause;
	return vm_command(cli, &command, "paused", NULL);
}

enum hv_rc cmd_vm_resume(struct cli *cli)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__VmResume resume = HV__VM_RESUME__INIT;

	resume.name = (char *)cli->args[0];
	command.body_case = HV__COMMAND__BODY_VM_RESUME;
	command.vm_resume = &resume;
	return vm_command(cli, &command, "resumed", NULL);
}

enum hv_rc cmd_vm_reset(struct cli *cli)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__VmReset reset = HV__VM_RESET__INIT;

	reset.name = (char *)cli->args[0];
	command.body_case = HV__COMMAND__BODY_VM_RESET;
	command.vm_reset = &reset;
	return vm_command(cli, &command, "reset", NULL);
}
