/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/format.h"

#include <inttypes.h>
#include <string.h>

static void show_cluster(const struct out *o, const Hv__ControlResponse *response,
			 const Hv__StatusResponse *s)
{
	out_printf(o, BOLD, "Cluster %s: ", s->cluster);
	if (s->quorate)
		out_printf(o, GREEN, "quorate");
	else
		out_printf(o, RED, "NOT QUORATE");
	out_printf(o, PLAIN, " (%u of %u votes, %u needed)", s->votes, s->votes_total,
		   s->votes_needed);
	if (*s->coordinator)
		out_printf(o, PLAIN, ", coordinator %s", s->coordinator);
	if (s->quorate && *s->may_lose_text)
		out_printf(o, s->may_lose ? PLAIN : YELLOW, "; %s", s->may_lose_text);
	fputc('\n', o->file);
	out_printf(o, PLAIN, "Asked %s: ", *response->node ? response->node : "this node");
	if (s->active)
		out_printf(o, PLAIN, "in epoch %s, %" PRIu64 " entries applied", s->epoch,
			   s->applied);
	else
		out_printf(o, RED, "not active%s%s", *s->local_reason ? ": " : "", s->local_reason);
	fputc('\n', o->file);
	if (!s->active || response->stale)
		out_printf(o, YELLOW, "What follows is what this node knew last; it may be old.\n");
}

static void show_counts(const struct out *o, const Hv__StatusResponse *s)
{
	bool first = true;

	out_printf(o, BOLD, "%u VM%s", s->vms, s->vms == 1 ? "" : "s");
	for (size_t i = 0; i < s->n_vm_states; i++) {
		const Hv__Count *c = s->vm_states[i];

		if (!c->count)
			continue;
		out_printf(o, PLAIN, "%s%u ", first ? ": " : ", ", c->count);
		out_text(o, colour_of_state(c->name), c->name);
		first = false;
	}
	fputc('\n', o->file);
}

/* "fencing: 3 of 3 hosts can be fenced, checked 4 min ago" */
static void show_fencing(const struct out *o, const Hv__StatusResponse *s)
{
	bool all = s->fence_able == s->fence_hosts;
	char ago[FORMAT_LEN];

	if (!s->fence_hosts)
		return;
	out_printf(o, PLAIN, "fencing: ");
	out_printf(o, all ? GREEN : RED, "%u of %u hosts can be fenced", s->fence_able,
		   s->fence_hosts);
	if (s->fence_waited)
		out_printf(o, YELLOW, ", %u of them without being seen off", s->fence_waited);
	if (s->fence_by_watchdog)
		out_printf(o, PLAIN, ", %u of them by their watchdog alone", s->fence_by_watchdog);
	if (s->fence_able && s->fence_by_watchdog == s->fence_able)
		out_printf(o, PLAIN, "\n");
	else if (s->fence_checked_wall_ms)
		out_printf(o, PLAIN, ", checked %s\n",
			   format_ago(ago, s->fence_checked_wall_ms, cli_wall_ms()));
	else
		out_printf(o, YELLOW, ", never checked: hvcluster fence test --all\n");
}

/* Not the table of `vm list`: here only what is wrong and why matters. */
static void show_attention(struct cli *cli, const Hv__StatusResponse *s)
{
	_cleanup_(table_done) struct table t = {0};
	uint64_t now = cli_wall_ms();
	char buf[FORMAT_LEN];

	if (!s->n_attention)
		return;
	out_printf(&cli->out, BOLD, "\nNeeds attention\n");
	table_init(&t, 2, "VM|STATE|NODE|SINCE|WHY");
	for (size_t i = 0; i < s->n_attention; i++) {
		const Hv__VmInfo *vm = s->attention[i];

		table_cell(&t, PLAIN, "%s", vm->name);
		table_cell(&t, colour_of_state(vm->state), "%s", vm->state);
		table_cell(&t, PLAIN, "%s", vm->node);
		table_cell(&t, DIM, "%s", format_ago(buf, vm->since_wall_ms, now));
		table_cell(&t, PLAIN, "%s", vm->reason);
	}
	table_print(&t, &cli->out);
	if (s->attention_total > s->n_attention)
		out_printf(&cli->out, DIM, "  and %zu more: hvcluster vm list\n",
			   s->attention_total - s->n_attention);
}

static const Hv__OpInfo *op_by_id(const Hv__StatusResponse *s, uint64_t id)
{
	for (size_t i = 0; i < s->n_ops; i++) {
		if (s->ops[i]->id == id)
			return s->ops[i];
	}
	return NULL;
}

static bool has_parts(const Hv__StatusResponse *s, uint64_t id)
{
	for (size_t i = 0; i < s->n_ops; i++) {
		if (s->ops[i]->parent == id)
			return true;
	}
	return false;
}

/*
 * A drain counts its migrations, so they are left out; a request says less than what is at work for
 * it, so that is shown in its place. `op list` has them all.
 */
static bool tells(const Hv__StatusResponse *s, const Hv__OpInfo *op)
{
	const Hv__OpInfo *parent = op->parent ? op_by_id(s, op->parent) : NULL;

	if (strcmp(op->kind, "vm-request") == 0 && has_parts(s, op->id))
		return false;
	return !parent || strcmp(parent->kind, "vm-request") == 0;
}

static void show_running(struct cli *cli, const Hv__StatusResponse *s)
{
	_cleanup_free_ Hv__OpInfo **ops = hv_xcalloc(s->n_ops, sizeof(Hv__OpInfo *));
	size_t n = 0;

	for (size_t i = 0; i < s->n_ops; i++) {
		if (tells(s, s->ops[i]))
			ops[n++] = s->ops[i];
	}
	if (!n)
		return;
	out_printf(&cli->out, BOLD, "\nIn progress\n");
	show_ops(cli, ops, n, 2);
}

static void show_warnings(const struct out *o, const Hv__StatusResponse *s)
{
	for (size_t i = 0; i < s->n_warnings; i++) {
		if (i == 0)
			out_printf(o, BOLD, "\nWarnings\n");
		out_wrapped(o, 2, s->warnings[i]);
	}
}

static enum hv_rc ask_status(struct cli *cli, Hv__ControlResponse **ret)
{
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__StatusRequest status = HV__STATUS_REQUEST__INIT;

	request.body_case = HV__CONTROL_REQUEST__BODY_STATUS;
	request.status = &status;
	return cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_STATUS, ret);
}

enum hv_rc cmd_status(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	enum hv_rc rc = ask_status(cli, &response);
	const Hv__StatusResponse *s;

	if (rc != HV_OK)
		return rc;
	s = response->status;
	if (cli->options.json) {
		json_show(cli, response, json_of(&s->base), false);
		return HV_OK;
	}
	show_cluster(&cli->out, response, s);
	fputc('\n', cli->out.file);
	show_nodes(cli, s->nodes, s->n_nodes, 0);
	fputc('\n', cli->out.file);
	show_counts(&cli->out, s);
	show_fencing(&cli->out, s);
	show_attention(cli, s);
	show_running(cli, s);
	show_warnings(&cli->out, s);
	return HV_OK;
}

/* One part of the status under its own key. */
static enum hv_rc show_part(struct cli *cli, const char *key,
			    void (*show)(struct cli *cli, const Hv__StatusResponse *s))
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	enum hv_rc rc = ask_status(cli, &response);

	if (rc != HV_OK)
		return rc;
	if (cli->options.json) {
		json_show_part(cli, response, json_of(&response->status->base), key);
		return HV_OK;
	}
	show_stale(cli, response);
	show(cli, response->status);
	return HV_OK;
}

static void show_all_nodes(struct cli *cli, const Hv__StatusResponse *s)
{
	show_nodes(cli, s->nodes, s->n_nodes, 0);
}

enum hv_rc cmd_node_list(struct cli *cli)
{
	return show_part(cli, "nodes", show_all_nodes);
}

static void show_all_ops(struct cli *cli, const Hv__StatusResponse *s)
{
	if (!s->n_ops)
		out_printf(&cli->out, PLAIN, "Nothing is in progress.\n");
	show_ops(cli, s->ops, s->n_ops, 0);
	if (s->ops_total > s->n_ops)
		out_printf(&cli->out, DIM, "and %zu more\n", s->ops_total - s->n_ops);
}

enum hv_rc cmd_op_list(struct cli *cli)
{
	return show_part(cli, "ops", show_all_ops);
}
