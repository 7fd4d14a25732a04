/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/format.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

/* ---------------------------------------------------------------- vm list */

#define PAGE 1000 /* VMs asked for at once; the daemon sends as many as fit into a message */

/* All VMs, page after page. The pages are kept, since the entries lie in them. */
struct pages {
	Hv__ControlResponse **pages;
	size_t n_pages;
	Hv__VmInfo **vms;
	size_t n_vms;
};

static void pages_done(struct pages *p)
{
	for (size_t i = 0; i < p->n_pages; i++)
		hv__control_response__free_unpacked(p->pages[i], NULL);
	free(p->pages);
	free(p->vms);
}

static void pages_add(struct pages *p, Hv__ControlResponse *response)
{
	const Hv__VmListResponse *list = response->vm_list;

	p->pages = hv_xrealloc(p->pages, p->n_pages + 1, sizeof(Hv__ControlResponse *));
	p->pages[p->n_pages++] = response;
	p->vms = hv_xrealloc(p->vms, p->n_vms + list->n_vms, sizeof(Hv__VmInfo *));
	for (size_t i = 0; i < list->n_vms; i++)
		p->vms[p->n_vms++] = list->vms[i];
}

static enum hv_rc read_pages(struct cli *cli, struct pages *p)
{
	for (;;) {
		Hv__ControlResponse *response = NULL;
		Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
		Hv__VmListRequest list = HV__VM_LIST_REQUEST__INIT;
		enum hv_rc rc;

		list.after = p->n_vms ? p->vms[p->n_vms - 1]->name : (char *)"";
		list.limit = PAGE;
		list.node = (char *)(cli->options.node ? cli->options.node : "");
		request.body_case = HV__CONTROL_REQUEST__BODY_VM_LIST;
		request.vm_list = &list;
		rc = cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_VM_LIST, &response);
		if (rc != HV_OK)
			return rc;
		pages_add(p, response);
		/* A page without a VM in it could not move us on. */
		if (!response->vm_list->more || !response->vm_list->n_vms || p->n_vms > HV_MAX_VMS)
			return HV_OK;
	}
}

static void show_list_json(struct cli *cli, const struct pages *p)
{
	json_t *object = json_object(), *vms = json_array();

	for (size_t i = 0; i < p->n_vms; i++)
		json_array_append_new(vms, json_of(&p->vms[i]->base));
	json_object_set_new(object, "vms", vms);
	json_show(cli, p->pages[p->n_pages - 1], object, false);
}

enum hv_rc cmd_vm_list(struct cli *cli)
{
	_cleanup_(pages_done) struct pages p = {};
	enum hv_rc rc = cli->options.node ? cli_check_name(cli, "node", cli->options.node) : HV_OK;

	if (rc == HV_OK)
		rc = read_pages(cli, &p);
	if (rc != HV_OK)
		return rc;
	if (cli->options.json) {
		show_list_json(cli, &p);
		return HV_OK;
	}
	show_stale(cli, p.pages[0]);
	show_vms(cli, p.vms, p.n_vms, 0);
	if (!p.n_vms)
		out_printf(&cli->out, PLAIN, "No VMs%s%s. Add one: hvcluster vm add FILE.xml\n",
			   cli->options.node ? " on " : "",
			   cli->options.node ? cli->options.node : "");
	return HV_OK;
}

/* ---------------------------------------------------------------- vm show, vm explain */

static enum hv_rc ask_vm(struct cli *cli, bool xml, bool explain, Hv__ControlResponse **ret)
{
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__VmShowRequest show = HV__VM_SHOW_REQUEST__INIT;
	enum hv_rc rc = cli_check_name(cli, "VM", cli->args[0]);

	if (rc != HV_OK)
		return rc;
	show.name = (char *)cli->args[0];
	show.xml = xml;
	show.explain = explain;
	request.body_case = HV__CONTROL_REQUEST__BODY_VM_SHOW;
	request.vm_show = &show;
	rc = cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_VM_SHOW, ret);
	if (rc != HV_OK)
		return rc;
	if (!(*ret)->vm_show->vm)
		return cli_fail(cli, HV_PROTOCOL, "hvcluster --version",
				"clusterd's answer has no VM in it");
	if (cli->options.json)
		json_show(cli, *ret, json_of(&(*ret)->vm_show->base), false);
	else
		show_stale(cli, *ret);
	return HV_OK;
}

static void show_headline(const struct out *o, const Hv__VmInfo *vm)
{
	char ago[FORMAT_LEN];

	out_printf(o, BOLD, "%s", vm->name);
	fputs(" is ", o->file);
	out_printf(o, colour_of_state(vm->state), "%s", vm->state);
	if (*vm->node)
		out_printf(o, PLAIN, " on %s", vm->node);
	if (*vm->target)
		out_printf(o, PLAIN, ", on its way to %s", vm->target);
	if (vm->since_wall_ms)
		out_printf(o, PLAIN, ", since %s",
			   format_ago(ago, vm->since_wall_ms, cli_wall_ms()));
	fputc('\n', o->file);
}

static void show_attributes(const struct out *o, const Hv__VmShowResponse *r)
{
	if (*r->lock)
		out_printf(o, YELLOW, "  locked: %s\n", r->lock);
	for (size_t i = 0; i < r->n_attributes; i++) {
		const Hv__KeyValue *kv = r->attributes[i];

		out_printf(o, PLAIN, "%s%s %s%s", i ? ", " : "  ", kv->key, kv->value,
			   i + 1 == r->n_attributes ? "\n" : "");
	}
}

static void show_guest(const struct out *o, const Hv__VmShowResponse *r)
{
	char ago[FORMAT_LEN];

	if (*r->vm->guest && strcmp(r->vm->guest, "off") != 0)
		out_printf(o, *r->vm->guest_text ? YELLOW : PLAIN, "  guest: %s\n", r->vm->guest);
	if (*r->vm->guest_text)
		out_wrapped(o, 2, r->vm->guest_text);
	if (!r->reset_wall_ms)
		return;
	out_printf(o, r->reset_held ? RED : PLAIN,
		   "  guest reset %s, %u time%s within its window%s\n",
		   format_ago(ago, r->reset_wall_ms, cli_wall_ms()), r->resets,
		   r->resets == 1 ? "" : "s", r->reset_held ? ", and not any more" : "");
	if (*r->evidence)
		out_printf(o, PLAIN, "  what was kept before: %s on %s\n", r->evidence,
			   r->evidence_node);
}

static void show_vm(struct cli *cli, const Hv__VmShowResponse *r)
{
	const struct out *o = &cli->out;
	const Hv__VmInfo *vm = r->vm;
	char buf[FORMAT_LEN];

	show_headline(o, vm);
	if (*vm->reason)
		out_wrapped(o, 2, vm->reason);
	out_printf(o, PLAIN, "  meant to be %s; memory %s, %u vCPU%s, priority %d", vm->intent,
		   format_mib(buf, vm->mem_mib), vm->vcpus, vm->vcpus == 1 ? "" : "s",
		   vm->priority);
	if (r->stop_timeout_s)
		out_printf(o, PLAIN, ", has %u s to shut down", r->stop_timeout_s);
	out_printf(o, PLAIN, "\n  uuid %s, had %" PRIu64 " owner%s so far\n", vm->uuid, vm->epoch,
		   vm->epoch == 1 ? "" : "s");
	show_attributes(o, r);
	show_guest(o, r);
	if (vm->attempts)
		out_printf(o, YELLOW, "  %u start%s failed in a row\n", vm->attempts,
			   vm->attempts == 1 ? "" : "s");
	if (vm->retry_in_ms)
		out_printf(o, YELLOW, "  tried again in %s\n",
			   format_duration(buf, vm->retry_in_ms));
	if (vm->op)
		out_printf(o, PLAIN, "  operation %" PRIu64 " is at work on it\n", vm->op);
	if (r->n_rules) {
		out_printf(o, BOLD, "\nRules\n");
		show_rules(cli, r->rules, r->n_rules, 2);
	}
	if (r->n_events) {
		out_printf(o, BOLD, "\nWhat happened\n");
		show_events(cli, r->events, r->n_events, 2);
	}
}

enum hv_rc cmd_vm_show(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	enum hv_rc rc = ask_vm(cli, cli->options.xml, false, &response);

	if (rc != HV_OK || cli->options.json)
		return rc;
	if (!cli->options.xml) {
		show_vm(cli, response->vm_show);
		return HV_OK;
	}
	if (cli->out.terminal)
		out_text(&cli->out, PLAIN, response->vm_show->xml);
	else
		fputs(response->vm_show->xml, cli->out.file); /* byte for byte as it was added */
	return HV_OK;
}

static void show_placement(const struct out *o, const Hv__VmShowResponse *r)
{
	_cleanup_(table_done) struct table t = {0};

	table_init(&t, 2, "NODE|FITS|>SCORE|WHY");
	for (size_t i = 0; i < r->n_placement; i++) {
		const Hv__PlacementLine *p = r->placement[i];

		table_cell(&t, p->chosen ? BOLD : PLAIN, "%s%s", p->node, p->chosen ? " *" : "");
		table_cell(&t, p->fits ? GREEN : RED, "%s", p->fits ? "yes" : "no");
		if (p->fits)
			table_cell(&t, PLAIN, "%" PRId64, p->score);
		else
			table_cell(&t, PLAIN, "%s", "");
		table_cell(&t, PLAIN, "%s", p->why);
	}
	if (!table_rows(&t))
		return;
	out_printf(o, BOLD, "\nWhere it could be started now");
	out_printf(o, DIM, "  (the lowest score wins: *)\n");
	table_print(&t, o);
}

enum hv_rc cmd_vm_explain(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	enum hv_rc rc = ask_vm(cli, false, true, &response);
	const Hv__VmShowResponse *r;

	if (rc != HV_OK || cli->options.json)
		return rc;
	r = response->vm_show;
	show_headline(&cli->out, r->vm);
	for (size_t i = 0; i < r->n_explain; i++)
		out_wrapped(&cli->out, 2, r->explain[i]);
	show_placement(&cli->out, r);
	if (r->n_events) {
		out_printf(&cli->out, BOLD, "\nWhat happened\n");
		show_events(cli, r->events, r->n_events, 2);
	}
	return HV_OK;
}
