/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables that several commands show, and the words for operations. */
#include "cli/cli.h"
#include "cli/format.h"

#include <stdio.h>
#include <string.h>

void show_stale(struct cli *cli, const Hv__ControlResponse *response)
{
	if (response->stale)
		cli_note(cli, "%s is not part of an active cluster now: this may be old",
			 *response->node ? response->node : "this node");
}

static void node_load(struct table *t, const Hv__NodeInfo *n)
{
	char buf[FORMAT_LEN];

	if (n->vms || strcmp(n->state, "online") == 0)
		table_cell(t, PLAIN, "%u", n->vms);
	else
		table_cell(t, PLAIN, "-");
	if (!n->mem_mib) { /* it has not said yet */
		table_cell(t, PLAIN, "-");
		table_cell(t, PLAIN, "-");
		return;
	}
	table_cell(t, PLAIN, "%s", format_mib_of(buf, n->mem_used_mib, n->mem_mib));
	table_cell(t, PLAIN, "%u/%u", n->vcpus_used, n->cpus);
}

/* What a person has to know of it, in one cell: nothing while it is as it should be. */
static void node_remark(struct table *t, const Hv__NodeInfo *n)
{
	bool online = strcmp(n->state, "online") == 0;
	bool down = online && !n->hypervisor_ok;
	const char *health = !down	  ? ""
			     : *n->health ? n->health
					  : "the hypervisor layer does not answer";
	const char *reason = n->quarantined ? "gets no VMs"
			     : n->log_lost  ? "its disk does not take the log"
			     : n->unfencing ? "not unfenced yet"
			     : online && strcmp(n->admin, "active") == 0 ? ""
									 : n->reason;

	table_cell(t, down ? RED : PLAIN, "%s%s%s", health, *health && *reason ? "; " : "", reason);
}

void show_nodes(struct cli *cli, Hv__NodeInfo *const *nodes, size_t n, unsigned indent)
{
	_cleanup_(table_done) struct table t = {0};
	uint64_t now = cli_wall_ms();
	char buf[FORMAT_LEN];

	table_init(&t, indent, "NODE|STATE|>VMS|>MEMORY|>VCPUS|FENCING|SINCE|REMARK");
	for (size_t i = 0; i < n; i++) {
		const Hv__NodeInfo *node = nodes[i];
		bool active = strcmp(node->admin, "active") == 0 || !*node->admin;

		table_cell(&t, node->self ? BOLD : PLAIN, "%s%s", node->name,
			   node->coordinator ? " *" : "");
		table_cell(&t,
			   node->quarantined || node->log_lost ? RED
			   : active && !*node->leaving	       ? colour_of_state(node->state)
							       : YELLOW,
			   "%s%s%s%s%s%s", node->state, active ? "" : ", ",
			   active ? "" : node->admin, *node->leaving ? ", " : "", node->leaving,
			   node->quarantined ? ", quarantined" : "");
		node_load(&t, node);
		table_cell(&t,
			   strcmp(node->fencing, "ready") == 0 ||
				   strcmp(node->fencing, "watchdog") == 0
			       ? PLAIN
			       : RED,
			   "%s", node->fencing);
		table_cell(&t, DIM, "%s", format_ago(buf, node->since_wall_ms, now));
		node_remark(&t, node);
	}
	table_print(&t, &cli->out);
}

/* Then nobody asks why. `vm show` and `vm explain` say it all the same. */
static bool is_as_meant(const Hv__VmInfo *vm)
{
	return strcmp(vm->state, strcmp(vm->intent, "started") == 0 ? "running" : "stopped") == 0;
}

void show_vms(struct cli *cli, Hv__VmInfo *const *vms, size_t n, unsigned indent)
{
	_cleanup_(table_done) struct table t = {0};
	uint64_t now = cli_wall_ms();
	char buf[FORMAT_LEN];

	table_init(&t, indent, "VM|STATE|NODE|>MEMORY|>VCPUS|>PRIORITY|SINCE|WHY");
	for (size_t i = 0; i < n; i++) {
		const Hv__VmInfo *vm = vms[i];

		table_cell(&t, PLAIN, "%s", vm->name);
		table_cell(&t, colour_of_state(vm->state), "%s", vm->state);
		table_cell(&t, PLAIN, "%s%s%s", *vm->node ? vm->node : "-",
			   *vm->target ? " > " : "", vm->target);
		table_cell(&t, PLAIN, "%s", format_mib(buf, vm->mem_mib));
		table_cell(&t, PLAIN, "%u", vm->vcpus);
		if (vm->priority)
			table_cell(&t, PLAIN, "%d", vm->priority);
		else
			table_cell(&t, PLAIN, "%s", "");
		table_cell(&t, DIM, "%s", format_ago(buf, vm->since_wall_ms, now));
		table_cell(&t, *vm->guest_text ? YELLOW : PLAIN, "%s",
			   *vm->guest_text   ? vm->guest_text
			   : is_as_meant(vm) ? ""
					     : vm->reason);
	}
	table_print(&t, &cli->out);
}

char *op_title(const Hv__OpInfo *op)
{
	static const struct {
		const char *kind, *words;
	} rows[] = {
	    {"vm-start", "start"},
	    {"vm-stop", "stop"},
	    {"vm-destroy", "switching off"},
	    {"vm-migrate", "migration"},
	    {"vm-resume", "resuming"},
	    {"vm-pause", "pausing"},
	    {"vm-probe", "check"},
	    {"vm-reset", "reset"},
	    {"fence", "fencing"},
	    {"fence-test", "test of fencing"},
	    {"node-drain", "drain"},
	    {"vm-request", "request"},
	};
	const char *words = op->kind;
	const char *object = *op->vm	   ? op->vm
			     : *op->victim ? op->victim
			     : *op->target ? op->target
					   : op->node;
	const char *target = *op->vm ? op->target : "";

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].kind, op->kind) == 0)
			words = rows[i].words;
	}
	return hv_xasprintf("%s%s%s%s%s", words, *object ? " of " : "", object,
			    *target ? " to " : "", target);
}

/* "3 of 10", "45 %", or how it ended */
static void op_progress(struct table *t, const Hv__OpInfo *op)
{
	if (op->ended)
		table_cell(t, op->rc ? RED : GREEN, "%s", op->rc ? hv_rc_text(op->rc) : "done");
	else if (op->total > 1)
		table_cell(t, PLAIN, "%u of %u", op->done, op->total);
	else if (op->permille)
		table_cell(t, PLAIN, "%u %%", op->permille / 10);
	else
		table_cell(t, PLAIN, "%s", "");
}

void show_ops(struct cli *cli, Hv__OpInfo *const *ops, size_t n, unsigned indent)
{
	_cleanup_(table_done) struct table t = {0};
	char buf[FORMAT_LEN];

	table_init(&t, indent, ">OPERATION|WHAT|BY|>ATTEMPT|>PROGRESS|>FOR|REMARK");
	for (size_t i = 0; i < n; i++) {
		const Hv__OpInfo *op = ops[i];
		_cleanup_free_ char *title = op_title(op);

		table_cell(&t, PLAIN, "%llu", (unsigned long long)op->id);
		table_cell(&t, PLAIN, "%s", title);
		table_cell(&t, PLAIN, "%s%s%s", op->node, *op->device ? " with " : "", op->device);
		if (op->attempt > 1)
			table_cell(&t, YELLOW, "%u", op->attempt);
		else
			table_cell(&t, PLAIN, "%s", "");
		op_progress(&t, op);
		table_cell(&t, DIM, "%s", format_duration(buf, op->age_ms));
		table_cell(&t, PLAIN, "%s%s%s", op->n_held_by ? "held by " : "",
			   op->n_held_by ? op->held_by[0] : "", op->n_held_by ? "" : op->text);
	}
	table_print(&t, &cli->out);
}

static enum colour severity_colour(const char *severity)
{
	return strcmp(severity, "error") == 0	  ? RED
	       : strcmp(severity, "warning") == 0 ? YELLOW
	       : strcmp(severity, "info") == 0	  ? DIM
						  : PLAIN;
}

#define OBJECT_WIDTH 14 /* "vm" and a short name; longer ones widen the column */
#define OBJECT_WIDTH_MAX 28

static void widen_column(struct cli *cli, Hv__EventInfo *const *events, size_t n)
{
	if (!cli->object_width)
		cli->object_width = OBJECT_WIDTH;
	for (size_t i = 0; i < n; i++) {
		size_t width = format_width(events[i]->object);

		if (width > cli->object_width && width <= OBJECT_WIDTH_MAX)
			cli->object_width = width;
	}
}

static void show_event(const struct out *o, const Hv__EventInfo *e, size_t column)
{
	_cleanup_free_ char *object = format_clean(e->object, false);
	_cleanup_free_ char *cause = format_clean(e->cause, false), *moved = NULL;
	size_t width = format_width(object);
	char moment[FORMAT_LEN];

	moved = *e->from && *e->to ? hv_xasprintf("%s -> %s", e->from, e->to)
				   : hv_xasprintf("%s%s", e->from, e->to);
	out_printf(o, DIM, "%s", format_moment(moment, e->wall_ms, cli_wall_ms()));
	fprintf(o->file, "  %s%*s  ", object, width < column ? (int)(column - width) : 0, "");
	out_printf(o, severity_colour(e->severity), *cause ? "%-24s" : "%s", moved);
	fprintf(o->file, "%s%s\n", *cause ? "  " : "", cause);
}

/* Not a table: its lines are also printed one by one, as they come. */
void show_events(struct cli *cli, Hv__EventInfo *const *events, size_t n, unsigned indent)
{
	widen_column(cli, events, n);
	for (size_t i = 0; i < n; i++) {
		fprintf(cli->out.file, "%*s", (int)indent, "");
		show_event(&cli->out, events[i], cli->object_width);
	}
}

/* What is out of the ordinary with it: how it waits, proves, and which way to it fails. */
static void device_words(struct table *t, const Hv__FenceDeviceInfo *d)
{
	char words[256] = "";
	size_t len = 0;

	if (d->delay_random_s)
		len += (size_t)snprintf(words + len, sizeof(words) - len, ", waits %u to %u s",
					d->delay_s, d->delay_s + d->delay_random_s);
	else if (d->delay_s)
		len +=
		    (size_t)snprintf(words + len, sizeof(words) - len, ", waits %u s", d->delay_s);
	if (strcmp(d->proof, "waited") == 0)
		len += (size_t)snprintf(words + len, sizeof(words) - len,
					strcmp(d->require, "seen") == 0
					    ? ", does not see: no proof here"
					    : ", does not see");
	if (d->shared)
		len += (size_t)snprintf(words + len, sizeof(words) - len, ", shared");
	if (d->unfence)
		len += (size_t)snprintf(words + len, sizeof(words) - len, ", %s",
					d->unfenced ? "unfenced" : "to be unfenced");
	for (size_t i = 0; i < d->n_paths && len < sizeof(words); i++)
		if (!d->paths[i]->ok)
			len += (size_t)snprintf(words + len, sizeof(words) - len, ", fails from %s",
						d->paths[i]->node);
	table_cell(t, PLAIN, "%s", *words ? words + 2 : "");
}

void show_devices(struct cli *cli, Hv__FenceDeviceInfo *const *devices, size_t n, unsigned indent)
{
	_cleanup_(table_done) struct table t = {0};
	uint64_t now = cli_wall_ms();
	char buf[FORMAT_LEN];

	table_init(&t, indent, "NODE|DEVICE|>LEVEL|AGENT|TESTED|NOTE|OPTIONS");
	for (size_t i = 0; i < n; i++) {
		const Hv__FenceDeviceInfo *d = devices[i];
		_cleanup_free_ char *options = hv_xstrdup("");

		table_cell(&t, PLAIN, "%s", d->node);
		table_cell(&t, PLAIN, "%s", d->device);
		table_cell(&t, PLAIN, "%u", d->level);
		table_cell(&t, PLAIN, "%s", d->agent);
		if (!d->tested)
			table_cell(&t, YELLOW, "never");
		else if (d->test_rc)
			table_cell(&t, RED, "failed %s: %s", format_ago(buf, d->test_wall_ms, now),
				   d->test_text);
		else
			table_cell(&t, GREEN, "good %s", format_ago(buf, d->test_wall_ms, now));
		device_words(&t, d);
		for (size_t k = 0; k < d->n_options + d->n_secret_names; k++) {
			bool secret = k >= d->n_options;
			const char *key =
			    secret ? d->secret_names[k - d->n_options] : d->options[k]->key;
			char *longer = hv_xasprintf("%s%s%s=%s", options, k ? " " : "", key,
						    secret ? "(secret)" : d->options[k]->value);

			free(options);
			options = longer;
		}
		table_cell(&t, DIM, "%s", options);
	}
	table_print(&t, &cli->out);
}
