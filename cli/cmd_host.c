/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hosts that go down on purpose or by force, and hands off the whole cluster. */
#include "cli/cli.h"
#include "cli/format.h"

#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

/* Is this the node that we run on? What is executed, is executed here. */
static enum hv_rc check_local(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	_cleanup_free_ char *hint = NULL;
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__NodeShowRequest node = HV__NODE_SHOW_REQUEST__INIT;
	enum hv_rc rc;

	node.name = (char *)cli->args[0];
	request.body_case = HV__CONTROL_REQUEST__BODY_NODE_SHOW;
	request.node_show = &node;
	rc = cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_NODE_SHOW, &response);
	if (rc != HV_OK)
		return rc;
	if (response->node_show->node && response->node_show->node->self)
		return HV_OK;
	hint = hv_xasprintf("ssh %s hvcluster node %s %s --execute", cli->args[0],
			    cli->command->name, cli->args[0]);
	return cli_fail(cli, HV_REFUSED, hint, "--execute works on the node itself");
}

static enum hv_rc systemctl(struct cli *cli, const char *verb)
{
	char *argv[] = {(char *)"systemctl", (char *)verb, NULL};
	int status = 0;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0 ||
	    waitpid(pid, &status, 0) != pid || status != 0)
		return cli_fail(cli, HV_FAILED, NULL, "systemctl %s failed", verb);
	return HV_OK;
}

static enum hv_rc announce(struct cli *cli, bool reboot)
{
	_cleanup_free_ char *subject = hv_xasprintf("node %s", cli->args[0]);
	_cleanup_free_ char *look = hv_xasprintf("hvcluster node show %s", cli->args[0]);
	const struct request_words words = {
	    subject, cli->options.cancel ? "stays" : "may go down now", look, NULL, NULL};
	Hv__Command command = HV__COMMAND__INIT;
	Hv__NodeShutdown down = HV__NODE_SHUTDOWN__INIT;
	enum hv_rc rc = cli_check_name(cli, "node", cli->args[0]);

	if (rc == HV_OK && cli->options.execute)
		rc = check_local(cli);
	if (rc != HV_OK)
		return rc;
	down.node = (char *)cli->args[0];
	down.reboot = reboot;
	down.cancel = cli->options.cancel;
	command.body_case = HV__COMMAND__BODY_NODE_SHUTDOWN;
	command.node_shutdown = &down;
	/* What is wanted is to know when it may go down. */
	cli->options.wait = !down.cancel;
	rc = cli_command(cli, &command, &words);
	if (rc != HV_OK || !cli->options.execute || down.cancel)
		return rc;
	return systemctl(cli, reboot ? "reboot" : "poweroff");
}

enum hv_rc cmd_node_shutdown(struct cli *cli)
{
	return announce(cli, false);
}

enum hv_rc cmd_node_reboot(struct cli *cli)
{
	return announce(cli, true);
}

enum hv_rc cmd_fence_node(struct cli *cli)
{
	_cleanup_free_ char *subject = hv_xasprintf("node %s", cli->args[0]);
	_cleanup_free_ char *look = hv_xasprintf("hvcluster node show %s", cli->args[0]);
	_cleanup_free_ char *hint = hv_xasprintf("hvcluster fence node %s --yes", cli->args[0]);
	const struct request_words words = {subject, "fenced", look, NULL, NULL};
	Hv__Command command = HV__COMMAND__INIT;
	Hv__NodeFence fence = HV__NODE_FENCE__INIT;
	enum hv_rc rc = cli_check_name(cli, "node", cli->args[0]);

	if (rc == HV_OK && !cli->options.yes)
		rc = cli_fail(cli, HV_USAGE, hint,
			      "%s is switched off at once, with all that runs on it", cli->args[0]);
	if (rc != HV_OK)
		return rc;
	fence.node = (char *)cli->args[0];
	command.body_case = HV__COMMAND__BODY_NODE_FENCE;
	command.node_fence = &fence;
	return cli_command(cli, &command, &words);
}

static enum hv_rc set_arm(struct cli *cli, bool disarm, const char *done)
{
	const struct request_words words = {"the cluster", done, "hvcluster status", NULL, NULL};
	Hv__Command command = HV__COMMAND__INIT;
	Hv__Arm arm = HV__ARM__INIT;

	arm.disarm = disarm;
	arm.ignore = cli->options.ignore;
	command.body_case = HV__COMMAND__BODY_ARM;
	command.arm = &arm;
	return cli_command(cli, &command, &words);
}

enum hv_rc cmd_arm(struct cli *cli)
{
	return set_arm(cli, false, "armed");
}

enum hv_rc cmd_disarm(struct cli *cli)
{
	return set_arm(cli, true, "disarmed: nothing is fenced, started or moved");
}
