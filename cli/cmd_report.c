/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/format.h"

#include <inttypes.h>
#include <string.h>

/* The VM whose time at `offset` is the least, or with `latest` the greatest; NULL if it never came.
 */
static const Hv__FailoverVm *extreme_vm(const Hv__FailoverReport *r, size_t offset, bool latest)
{
	const Hv__FailoverVm *found = NULL;
	uint64_t best = 0;

	for (size_t i = 0; i < r->n_vms; i++) {
		uint64_t us = *(const uint64_t *)((const char *)r->vms[i] + offset);

		if (us == FORMAT_NEVER || (found && (latest ? us <= best : us >= best)))
			continue;
		found = r->vms[i];
		best = us;
	}
	return found;
}

/* A row of the timeline. What has not happened is left out; `last` is the moment of the row before.
 */
static void phase(struct table *t, uint64_t us, uint64_t *last, const char *text)
{
	char at[FORMAT_LEN], step[FORMAT_LEN];

	if (us == FORMAT_NEVER)
		return;
	table_cell(t, PLAIN, "%s", format_us(at, us));
	table_cell(t, DIM, "%s", *last == FORMAT_NEVER ? "" : format_step_us(step, *last, us));
	table_cell(t, PLAIN, "%s", text);
	*last = us;
}

static void vm_phase(struct table *t, const Hv__FailoverVm *vm, uint64_t us, uint64_t *last,
		     const char *what)
{
	_cleanup_free_ char *text = NULL;

	if (!vm)
		return;
	text = hv_xasprintf("%s: %s on %s", what, vm->name, vm->node);
	phase(t, us, last, text);
}

static void show_timeline(const struct out *o, const Hv__FailoverReport *r)
{
	_cleanup_(table_done) struct table t = {0};
	const Hv__FailoverVm *began = extreme_vm(r, offsetof(Hv__FailoverVm, began_us), false);
	const Hv__FailoverVm *first = extreme_vm(r, offsetof(Hv__FailoverVm, running_us), false);
	const Hv__FailoverVm *final = extreme_vm(r, offsetof(Hv__FailoverVm, running_us), true);
	uint64_t last = FORMAT_NEVER;

	table_init(&t, 2, ">AFTER|>STEP|PHASE");
	phase(&t, 0, &last, "detected: corosync reported the loss");
	phase(&t, r->view_us, &last, "view committed: every node knows");
	phase(&t, r->fence_began_us, &last, "fence started");
	phase(&t, r->fence_ended_us, &last, "fence agent: it is off");
	phase(&t, r->fenced_us, &last, "fenced: the proof is committed");
	vm_phase(&t, began, began ? began->began_us : 0, &last, "first start");
	vm_phase(&t, first, first ? first->running_us : 0, &last, "first VM running");
	if (final != first)
		vm_phase(&t, final, final ? final->running_us : 0, &last, "last VM running");
	table_print(&t, o);
}

static void show_failover_vms(const struct out *o, const Hv__FailoverReport *r)
{
	_cleanup_(table_done) struct table t = {0};
	char a[FORMAT_LEN], b[FORMAT_LEN], c[FORMAT_LEN], d[FORMAT_LEN];

	if (!r->n_vms)
		return;
	fputc('\n', o->file);
	table_init(&t, 2, "VM|NODE|>DECIDED|>START BEGAN|>CREATED|>RUNNING|RESULT");
	for (size_t i = 0; i < r->n_vms; i++) {
		const Hv__FailoverVm *vm = r->vms[i];
		bool running = vm->running_us != FORMAT_NEVER;

		table_cell(&t, PLAIN, "%s", vm->name);
		table_cell(&t, PLAIN, "%s", *vm->node ? vm->node : "-");
		table_cell(&t, PLAIN, "%s", format_us(a, vm->decided_us));
		table_cell(&t, PLAIN, "%s", format_us(b, vm->began_us));
		table_cell(&t, PLAIN, "%s", format_us(c, vm->ended_us));
		table_cell(&t, running ? GREEN : YELLOW, "%s",
			   running ? format_us(d, vm->running_us) : "not yet");
		table_cell(&t, RED, "%s", running ? "" : vm->result);
	}
	table_print(&t, o);
}

static void show_report(const struct out *o, const Hv__FailoverReport *r)
{
	uint64_t now = cli_wall_ms();
	char moment[FORMAT_LEN], ago[FORMAT_LEN];

	out_printf(o, BOLD, "Failover %" PRIu64 ": %s was lost", r->id, r->victim);
	out_printf(o, PLAIN, " at %s (%s), %s\n", format_moment(moment, r->wall_ms, now),
		   format_ago(ago, r->wall_ms, now), r->done ? "over" : "not over yet");
	if (*r->proof)
		out_printf(o, PLAIN, "  proof that it was off: %s\n", r->proof);
	fputc('\n', o->file);
	show_timeline(o, r);
	show_failover_vms(o, r);
	if (r->own_first_us == FORMAT_NEVER || !r->n_vms)
		return;
	out_printf(o, BOLD, "\nOur own share: ");
	out_printf(o, PLAIN, "%s for the first VM", format_step_us(moment, 0, r->own_first_us) + 1);
	if (r->own_last_us != FORMAT_NEVER)
		out_printf(o, PLAIN, ", %s for the last",
			   format_step_us(moment, 0, r->own_last_us) + 1);
	out_printf(o, DIM,
		   "\n  (all but the fence agent's run and libvirt's work; corosync noticed the "
		   "loss before 0)\n");
}

enum hv_rc cmd_report_failover(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__ReportRequest report = HV__REPORT_REQUEST__INIT;
	int64_t id = 0;
	enum hv_rc rc;

	if (cli->n_args && !options_number(cli->args[0], 1, INT64_MAX, &id))
		return cli_fail(cli, HV_BAD_INPUT, "hvcluster report failover, for the latest",
				"'%s' is not the number of a failover", cli->args[0]);
	report.id = (uint64_t)id;
	request.body_case = HV__CONTROL_REQUEST__BODY_REPORT_FAILOVER;
	request.report_failover = &report;
	rc = cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_REPORT_FAILOVER, &response);
	if (rc != HV_OK)
		return rc;
	if (cli->options.json) {
		json_show(cli, response, json_of(&response->report_failover->base), false);
		return HV_OK;
	}
	show_stale(cli, response);
	show_report(&cli->out, response->report_failover);
	return HV_OK;
}
