/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/format.h"

#include <inttypes.h>
#include <string.h>

static void show_node(struct cli *cli, const Hv__NodeShowResponse *r)
{
	const struct out *o = &cli->out;
	const Hv__NodeInfo *n = r->node;

	show_nodes(cli, &r->node, 1, 0);
	out_printf(o, PLAIN, "\nid %u, %u vote%s, protocol level %u, boot %s\n", n->id, n->votes,
		   n->votes == 1 ? "" : "s", n->feature, *n->boot_id ? n->boot_id : "unknown");
	if (*n->health)
		out_printf(o, PLAIN, "hypervisor: %s\n", n->health);
	if (*n->disk_lock)
		out_printf(o, PLAIN, "libvirt's lock manager: %s\n", n->disk_lock);
	for (size_t i = 0; i < n->n_setup; i++)
		out_printf(o, YELLOW, "to be mended: %s\n", n->setup[i]);
	for (size_t i = 0; i < n->n_bad_storage; i++)
		out_printf(o, RED, "storage %s\n", n->bad_storage[i]);
	if (*n->watchdog)
		out_printf(o, PLAIN, "%s\n", n->watchdog);
	if (n->proof_in_ms)
		out_printf(o, PLAIN, "proven off by that in %" PRIu64 " s\n",
			   n->proof_in_ms / 1000 + 1);
	if (r->n_fence) {
		out_printf(o, BOLD, "\nFence devices\n");
		show_devices(cli, r->fence, r->n_fence, 2);
	}
	if (r->n_ops) {
		out_printf(o, BOLD, "\nIn progress\n");
		show_ops(cli, r->ops, r->n_ops, 2);
	}
	if (r->n_vms) {
		out_printf(o, BOLD, "\nVMs\n");
		show_vms(cli, r->vms, r->n_vms, 2);
	}
	if (r->more)
		out_printf(o, DIM, "  and more: hvcluster vm list --node %s\n", n->name);
	if (r->n_events) {
		out_printf(o, BOLD, "\nWhat happened\n");
		show_events(cli, r->events, r->n_events, 2);
	}
}

enum hv_rc cmd_node_show(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__NodeShowRequest node = HV__NODE_SHOW_REQUEST__INIT;
	enum hv_rc rc = cli_check_name(cli, "node", cli->args[0]);

	if (rc != HV_OK)
		return rc;
	node.name = (char *)cli->args[0];
	request.body_case = HV__CONTROL_REQUEST__BODY_NODE_SHOW;
	request.node_show = &node;
	rc = cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_NODE_SHOW, &response);
	if (rc != HV_OK)
		return rc;
	if (!response->node_show->node)
		return cli_fail(cli, HV_PROTOCOL, "hvcluster --version",
				"clusterd's answer has no node in it");
	if (cli->options.json) {
		json_show(cli, response, json_of(&response->node_show->base), false);
		return HV_OK;
	}
	show_stale(cli, response);
	show_node(cli, response->node_show);
	return HV_OK;
}

static enum hv_rc node_command(struct cli *cli, Hv__Command *command, const char *done)
{
	_cleanup_free_ char *subject = hv_xasprintf("node %s", cli->args[0]);
	_cleanup_free_ char *look = hv_xasprintf("hvcluster node show %s", cli->args[0]);
	const struct request_words words = {subject, done, look, NULL, NULL};
	enum hv_rc rc = cli_check_name(cli, "node", cli->args[0]);

	return rc == HV_OK ? cli_command(cli, command, &words) : rc;
}

enum hv_rc cmd_node_drain(struct cli *cli)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__NodeDrain drain = HV__NODE_DRAIN__INIT;

	drain.node = (char *)cli->args[0];
	command.body_case = HV__COMMAND__BODY_NODE_DRAIN;
	command.node_drain = &drain;
	return node_command(cli, &command, "drained");
}

enum hv_rc cmd_node_resume(struct cli *cli)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__NodeResume resume = HV__NODE_RESUME__INIT;

	resume.node = (char *)cli->args[0];
	command.body_case = HV__COMMAND__BODY_NODE_RESUME;
	command.node_resume = &resume;
	return node_command(cli, &command, "resumed");
}

enum hv_rc cmd_node_release(struct cli *cli)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__NodeRelease release = HV__NODE_RELEASE__INIT;

	release.node = (char *)cli->args[0];
	command.body_case = HV__COMMAND__BODY_NODE_RELEASE;
	command.node_release = &release;
	return node_command(cli, &command, "released: it may hold VMs again");
}
