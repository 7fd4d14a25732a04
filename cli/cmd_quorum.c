/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Votes and what each loss would mean; and the override when a majority is gone for good. */
#include "cli/cli.h"
#include "cli/format.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum hv_rc ask_quorum(struct cli *cli, Hv__ControlResponse **ret)
{
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__QuorumRequest quorum = HV__QUORUM_REQUEST__INIT;

	request.body_case = HV__CONTROL_REQUEST__BODY_QUORUM;
	request.quorum = &quorum;
	return cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_QUORUM, ret);
}

static void show_votes(const struct out *o, const Hv__QuorumResponse *q)
{
	out_printf(o, q->quorate ? GREEN : RED, "%s", q->quorate ? "Quorate" : "NOT QUORATE");
	out_printf(o, PLAIN, ": %u of %u votes, %u needed; mode %s\n", q->votes, q->votes_expected,
		   q->votes_needed, q->mode);
	if (*q->device)
		out_printf(o, strcmp(q->device_state, "votes") == 0 ? PLAIN : RED,
			   "Quorum device %s: %u vote%s, %s\n", q->device, q->device_votes,
			   q->device_votes == 1 ? "" : "s",
			   strcmp(q->device_state, "votes") == 0
			       ? "given to this part"
			       : "NOT GIVEN: is the witness reached?");
	out_printf(o, q->may_lose ? PLAIN : RED, "The cluster %s.\n", q->may_lose_text);
}

static void show_voters(const struct out *o, const Hv__QuorumResponse *q)
{
	_cleanup_(table_done) struct table t = {0};

	table_init(&t, 0, "NODE|>VOTES|SEEN|IF IT WERE LOST");
	for (size_t i = 0; i < q->n_nodes; i++) {
		const Hv__QuorumNode *n = q->nodes[i];
		const Hv__QuorumLoss *loss = NULL;

		for (size_t k = 0; k < q->n_losses; k++)
			if (!q->losses[k]->device && strcmp(q->losses[k]->lost, n->name) == 0)
				loss = q->losses[k];
		table_cell(&t, PLAIN, "%s", n->name);
		table_cell(&t, PLAIN, "%u", n->votes);
		table_cell(&t, n->present ? PLAIN : RED, "%s", n->present ? "yes" : "no");
		table_cell(&t, loss && !loss->quorate ? RED : PLAIN, "%s", loss ? loss->text : "-");
	}
	for (size_t k = 0; k < q->n_losses; k++) {
		if (!q->losses[k]->device)
			continue;
		table_cell(&t, PLAIN, "%s", q->losses[k]->lost);
		table_cell(&t, PLAIN, "%u", q->device_votes);
		table_cell(&t, PLAIN, "yes");
		table_cell(&t, q->losses[k]->quorate ? PLAIN : RED, "%s", q->losses[k]->text);
	}
	table_print(&t, o);
}

enum hv_rc cmd_quorum(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	enum hv_rc rc = ask_quorum(cli, &response);
	const Hv__QuorumResponse *q;

	if (rc != HV_OK)
		return rc;
	q = response->quorum;
	if (cli->options.json) {
		json_show(cli, response, json_of(&q->base), false);
		return HV_OK;
	}
	show_votes(&cli->out, q);
	fputc('\n', cli->out.file);
	show_voters(&cli->out, q);
	if (q->can_force)
		out_printf(
		    &cli->out, PLAIN,
		    "\nIf the missing nodes are gone for good: hvcluster help quorum force\n");
	return HV_OK;
}

/* ---------------------------------------------------------------- force */

/* What is at stake, before anything is asked. */
static void say_risk(struct cli *cli, const Hv__QuorumResponse *q)
{
	const struct out *o = &cli->err;

	out_printf(o, RED,
		   "This part of the cluster has no quorum. You are about to make it go on "
		   "all the same.\n");
	if (q->n_missing)
		out_printf(
		    o, PLAIN,
		    "The VMs of the nodes that are not seen are started here at once. If one "
		    "of them still runs,\n"
		    "or is switched on again with its old disk while these nodes are not "
		    "reached, VMs run twice\n"
		    "and destroy their disks. What the missing nodes decided last and this "
		    "part has not heard is lost.\n"
		    "Look at each machine: its power LED, its cable. Being silent is not "
		    "being off.\n");
	else
		out_printf(
		    o, PLAIN,
		    "It goes on with the log that this node holds; what only a lost log held "
		    "is gone.\n");
}

static enum hv_rc ask_for_each(struct cli *cli, const Hv__QuorumResponse *q)
{
	char line[HV_NAME_MAX + 16];

	if (!isatty(fileno(cli->in)))
		return cli_fail(cli, HV_USAGE,
				"hvcluster quorum force --off NODE,... --yes, when you have seen "
				"that each of them is off",
				"there is no terminal to ask on");
	say_risk(cli, q);
	for (size_t i = 0; i < q->n_missing || i == 0; i++) {
		const char *word = q->n_missing ? q->missing[i] : "force";

		if (q->n_missing)
			out_printf(&cli->err, PLAIN,
				   "Have you seen that %s is off? Type its name: ", word);
		else
			out_printf(&cli->err, PLAIN, "Type '%s' to go on: ", word);
		fflush(cli->err.file);
		if (!fgets(line, sizeof(line), cli->in))
			line[0] = '\0';
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, word) != 0)
			return cli_fail(cli, HV_CANCELLED, NULL,
					"that is not '%s'; nothing was done", word);
	}
	return HV_OK;
}

/* --off a,b: who was seen to be off. The words point into `buf`. */
static size_t split_names(char *buf, char *names[HV_MAX_NODES])
{
	size_t n = 0;

	for (char *rest = buf, *word; n < HV_MAX_NODES && (word = strsep(&rest, ",")) != NULL;)
		if (*word)
			names[n++] = word;
	return n;
}

static enum hv_rc send_force(struct cli *cli, char **off, size_t n)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__QuorumForceRequest force = HV__QUORUM_FORCE_REQUEST__INIT;
	enum hv_rc rc;

	force.off = off;
	force.n_off = n;
	request.body_case = HV__CONTROL_REQUEST__BODY_QUORUM_FORCE;
	request.quorum_force = &force;
	cli_note(cli, "waiting for the cluster to go on");
	rc = cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_COMMAND, &response);
	if (rc != HV_OK)
		return rc;
	if (cli->options.json)
		json_show(cli, response, json_of(&response->command->base), false);
	else
		out_printf(
		    &cli->out, PLAIN,
		    "The cluster goes on. Nodes that are gone for good: take them out of "
		    "corosync.conf on all that are left,\n"
		    "then 'corosync-cfgtool -R'; until then a restart of corosync asks for "
		    "this again.\n"
		    "Should they come back: switch them on one by one, each when the one before "
		    "is online. Enough of them that see each\n"
		    "other before they see this part go on with what they knew, and what is "
		    "decided now is lost.\n");
	return HV_OK;
}

enum hv_rc cmd_quorum_force(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	_cleanup_free_ char *buf = NULL;
	char *off[HV_MAX_NODES];
	enum hv_rc rc = ask_quorum(cli, &response);
	const Hv__QuorumResponse *q;
	size_t n;

	if (rc != HV_OK)
		return rc;
	q = response->quorum;
	if (!q->can_force)
		return cli_fail(cli, HV_REFUSED, "hvcluster quorum; hvcluster status", "%s",
				*q->force_text ? q->force_text : "it is not needed here");
	if (cli->options.yes) {
		buf = hv_xstrdup(cli->options.off ? cli->options.off : "");
		n = split_names(buf, off);
		return send_force(cli, off, n);
	}
	rc = ask_for_each(cli, q);
	if (rc != HV_OK)
		return rc;
	return send_force(cli, q->missing, q->n_missing);
}
