/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The whole program against a server of our own: what is asked for, what is shown, what is done
 * when it goes wrong. */
#include "tests/unit/cli_check.h"

#include "cli/cli.h"
#include "cli/format.h"
#include "cli/steady.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(cli, .timeout = 30);

/* ---------------------------------------------------------------- status */

static Hv__NodeInfo nodes[3];
static Hv__NodeInfo *node_list[3] = {&nodes[0], &nodes[1], &nodes[2]};
static Hv__Count counts[2];
static Hv__Count *count_list[2] = {&counts[0], &counts[1]};
static Hv__VmInfo vms[2];
static Hv__VmInfo *vm_list[2] = {&vms[0], &vms[1]};
static Hv__OpInfo ops[3];
static Hv__OpInfo *op_list[3] = {&ops[0], &ops[1], &ops[2]};
static char *warnings[1] = {S("node host3 has no fence device")};
static Hv__StatusResponse status_body;

static void make_nodes(void)
{
	for (unsigned i = 0; i < 3; i++) {
		hv__node_info__init(&nodes[i]);
		nodes[i].id = i + 1;
		nodes[i].name = i == 0 ? S("host1") : i == 1 ? S("host2") : S("host3");
		nodes[i].state = i == 2 ? S("lost") : S("online");
		nodes[i].admin = i == 1 ? S("draining") : S("active");
		nodes[i].mem_mib = 32768;
		nodes[i].mem_used_mib = 2048;
		nodes[i].cpus = 16;
		nodes[i].vcpus_used = 4;
		nodes[i].vms = i == 2 ? 0 : 2;
		nodes[i].hypervisor_ok = true;
		nodes[i].fencing = i == 2 ? S("none") : S("ready");
		nodes[i].fence_devices = i == 2 ? 0 : 1;
		nodes[i].since_wall_ms = cli_wall_ms() - 240500;
	}
	nodes[0].coordinator = nodes[0].self = true;
	nodes[2].reason = S("node host3 was lost");
}

static void make_vms(void)
{
	for (unsigned i = 0; i < 2; i++) {
		hv__vm_info__init(&vms[i]);
		vms[i].name = i ? S("web1") : S("db1");
		vms[i].uuid = S("6f5f6c3a-0000-4000-8000-000000000001");
		vms[i].state = i ? S("running") : S("recovering");
		vms[i].intent = S("started");
		vms[i].node = i ? S("host1") : S("host3");
		vms[i].mem_mib = 1024;
		vms[i].vcpus = 2;
		vms[i].since_wall_ms = cli_wall_ms() - 4500;
	}
	vms[0].reason = S("waits for proof that node host3 is off");
	vms[0].priority = 10;
}

static void make_ops(void)
{
	hv__op_info__init(&ops[0]);
	ops[0].id = 4096001;
	ops[0].kind = S("fence");
	ops[0].victim = S("host3");
	ops[0].node = S("host1");
	ops[0].device = S("ipmi");
	ops[0].attempt = 2;
	ops[0].age_ms = 3000;
	hv__op_info__init(&ops[1]);
	ops[1].id = 4096002;
	ops[1].kind = S("vm-migrate");
	ops[1].vm = S("mail");
	ops[1].target = S("host2");
	ops[1].parent = 4096000;
	hv__op_info__init(&ops[2]);
	ops[2].id = 4096000;
	ops[2].kind = S("node-drain");
	ops[2].target = S("host4");
	ops[2].done = 3;
	ops[2].total = 10;
	ops[2].age_ms = 61000;
}

static enum server_act give_status(const Hv__ControlRequest *request, unsigned n,
				   Hv__ControlResponse *ret)
{
	cr_assert_eq(request->body_case, HV__CONTROL_REQUEST__BODY_STATUS);
	make_nodes();
	make_vms();
	make_ops();
	hv__status_response__init(&status_body);
	status_body.cluster = S("lab");
	status_body.quorate = status_body.active = true;
	status_body.epoch = S("7/1");
	status_body.applied = 1204;
	status_body.coordinator = S("host1");
	status_body.votes = 2;
	status_body.votes_needed = 2;
	status_body.votes_total = 3;
	status_body.nodes = node_list;
	status_body.n_nodes = 3;
	for (unsigned i = 0; i < 2; i++) {
		hv__count__init(&counts[i]);
		counts[i].name = vms[i].state;
		counts[i].count = i ? 9 : 1;
	}
	status_body.vm_states = count_list;
	status_body.n_vm_states = 2;
	status_body.vms = 10;
	status_body.ops = op_list;
	status_body.n_ops = 3;
	status_body.ops_total = 3;
	status_body.warnings = warnings;
	status_body.n_warnings = 1;
	status_body.attention = vm_list;
	status_body.n_attention = 1;
	status_body.attention_total = 3;
	status_body.fence_hosts = 3;
	status_body.fence_able = 2;
	status_body.fence_checked_wall_ms = cli_wall_ms() - 240500;
	ret->body_case = HV__CONTROL_RESPONSE__BODY_STATUS;
	ret->status = &status_body;
	return SERVER_ANSWER;
}

Test(cli, status_shows_the_cluster_on_one_screen)
{
	struct run *r = runs(give_status, "hvcluster status", 0);

	cr_assert_str_eq(
	    r->out,
	    "Cluster lab: quorate (2 of 3 votes, 2 needed), coordinator host1\n"
	    "Asked host1: in epoch 7/1, 1204 entries applied\n"
	    "\n"
	    "NODE     STATE             VMS        MEMORY  VCPUS  FENCING  SINCE      REMARK\n"
	    "host1 *  online              2  2.0/32.0 GiB   4/16  ready    4 min ago\n"
	    "host2    online, draining    2  2.0/32.0 GiB   4/16  ready    4 min ago\n"
	    "host3    lost                -  2.0/32.0 GiB   4/16  none     4 min ago  node host3 "
	    "was lost\n"
	    "\n"
	    "10 VMs: 1 recovering, 9 running\n"
	    "fencing: 2 of 3 hosts can be fenced, checked 4 min ago\n"
	    "\n"
	    "Needs attention\n"
	    "  VM   STATE       NODE   SINCE    WHY\n"
	    "  db1  recovering  host3  4 s ago  waits for proof that node host3 is off\n"
	    "  and 2 more: hvcluster vm list\n"
	    "\n"
	    "In progress\n"
	    "  OPERATION  WHAT              BY               ATTEMPT  PROGRESS        FOR\n"
	    "    4096001  fencing of host3  host1 with ipmi        2                  3 s\n"
	    "    4096000  drain of host4                               3 of 10  1 min 1 s\n"
	    "\n"
	    "Warnings\n"
	    "  node host3 has no fence device\n");
	cr_assert_str_empty(r->err);
	cr_assert_eq(r->requests, 1, "one round trip");
}

Test(cli, status_as_json_has_every_field_under_its_name)
{
	json_t *s = json(runs(give_status, "hvcluster status --json", 0));
	json_t *node = json_array_get(json_object_get(s, "nodes"), 0), *vm;

	cr_assert_str_eq(text_at(s, "cluster"), "lab");
	cr_assert_str_eq(text_at(s, "coordinator"), "host1");
	cr_assert_str_eq(text_at(s, "answered_by"), "host1");
	cr_assert(json_is_false(json_object_get(s, "stale")));
	cr_assert(json_is_true(json_object_get(s, "quorate")));
	cr_assert_eq(json_integer_value(json_object_get(s, "applied")), 1204);
	cr_assert_eq(json_array_size(json_object_get(s, "nodes")), 3);
	cr_assert_str_eq(text_at(node, "name"), "host1");
	cr_assert_eq(json_object_size(node), 33, "every field of NodeInfo");
	vm = json_array_get(json_object_get(s, "attention"), 0);
	cr_assert_str_eq(text_at(vm, "reason"), "waits for proof that node host3 is off");
	cr_assert_str_eq(json_string_value(json_array_get(json_object_get(s, "warnings"), 0)),
			 "node host3 has no fence device");
	json_decref(s);
}

Test(cli, json_may_stand_before_the_command)
{
	json_t *s = json(runs(give_status, "hvcluster --json node list", 0));

	cr_assert_eq(json_array_size(json_object_get(s, "nodes")), 3);
	cr_assert(!json_object_get(s, "cluster"), "the nodes only");
	json_decref(s);
}

Test(cli, op_list_shows_also_the_parts_of_operations)
{
	must_have(runs(give_status, "hvcluster op list", 0)->out, "migration of mail to host2");
}

Test(cli, colours_can_be_asked_for)
{
	must_have(runs(give_status, "hvcluster --color always status", 0)->out,
		  "\033[31mlost\033[0m");
	must_lack(runs(give_status, "hvcluster status --color never", 0)->out, "\033");
}

static enum server_act give_stale_status(const Hv__ControlRequest *request, unsigned n,
					 Hv__ControlResponse *ret)
{
	give_status(request, n, ret);
	status_body.quorate = status_body.active = false;
	status_body.local_reason = S("this node sees 1 of 3 votes, 2 are needed");
	ret->stale = true;
	return SERVER_ANSWER;
}

Test(cli, a_node_without_quorum_says_so_and_shows_what_it_knew)
{
	struct run *r = runs(give_stale_status, "hvcluster status", 0);

	must_have(r->out, "NOT QUORATE");
	must_have(r->out, "not active: this node sees 1 of 3 votes");
	must_have(r->out, "it may be old");
	r = runs(give_stale_status, "hvcluster node list", 0);
	must_have(r->err, "this may be old");
}

static enum server_act give_hostile_status(const Hv__ControlRequest *request, unsigned n,
					   Hv__ControlResponse *ret)
{
	give_status(request, n, ret);
	nodes[2].reason = S("boom \033]0;owned\007 \xff");
	return SERVER_ANSWER;
}

Test(cli, text_that_would_command_the_terminal_does_not_get_through)
{
	must_lack(runs(give_hostile_status, "hvcluster status", 0)->out, "\033");
	json_decref(json(runs(give_hostile_status, "hvcluster status --json", 0)));
}

/* ---------------------------------------------------------------- VMs */

/* Two pages. */
static enum server_act give_vms(const Hv__ControlRequest *request, unsigned n,
				Hv__ControlResponse *ret)
{
	static Hv__VmListResponse list;

	cr_assert_eq(request->body_case, HV__CONTROL_REQUEST__BODY_VM_LIST);
	cr_assert_str_eq(request->vm_list->after, n == 1 ? "" : "db1");
	make_vms();
	hv__vm_list_response__init(&list);
	list.vms = &vm_list[n - 1];
	list.n_vms = 1;
	list.more = n == 1;
	ret->body_case = HV__CONTROL_RESPONSE__BODY_VM_LIST;
	ret->vm_list = &list;
	return SERVER_ANSWER;
}

Test(cli, vm_list_reads_page_after_page)
{
	json_t *s;

	cr_assert_str_eq(runs(give_vms, "hvcluster vm list", 0)->out,
			 "VM    STATE       NODE    MEMORY  VCPUS  PRIORITY  SINCE    WHY\n"
			 "db1   recovering  host3  1.0 GiB      2        10  4 s ago  waits for "
			 "proof that node host3 is off\n"
			 "web1  running     host1  1.0 GiB      2            4 s ago\n");
	s = json(runs(give_vms, "hvcluster vm list --json", 0));
	cr_assert_eq(json_array_size(json_object_get(s, "vms")), 2);
	json_decref(s);
}

static enum server_act explain_vm(const Hv__ControlRequest *request, unsigned n,
				  Hv__ControlResponse *ret)
{
	static char *sentences[] = {
	    S("its node host3 was lost"),
	    S("check that it is off, then run 'hvcluster fence confirm host3'")};
	static Hv__PlacementLine lines[2], *list[2] = {&lines[0], &lines[1]};
	static Hv__VmShowResponse show;

	cr_assert_eq(request->body_case, HV__CONTROL_REQUEST__BODY_VM_SHOW);
	cr_assert_str_eq(request->vm_show->name, "db1");
	make_vms();
	hv__vm_show_response__init(&show);
	show.vm = &vms[0];
	show.explain = sentences;
	show.n_explain = request->vm_show->explain ? 2 : 0;
	for (unsigned i = 0; i < 2; i++) {
		hv__placement_line__init(&lines[i]);
		lines[i].node = i ? S("host2") : S("host1");
		lines[i].fits = lines[i].chosen = i == 0;
		lines[i].score = 120;
		lines[i].why = i ? S("is being drained") : S("most room");
	}
	show.placement = list;
	show.n_placement = show.n_explain;
	show.xml = request->vm_show->xml ? S("<domain>\n</domain>\n") : S("");
	ret->body_case = HV__CONTROL_RESPONSE__BODY_VM_SHOW;
	ret->vm_show = &show;
	return SERVER_ANSWER;
}

Test(cli, vm_explain_gives_sentences_and_the_nodes_that_could_hold_it)
{
	cr_assert_str_eq(runs(explain_vm, "hvcluster vm explain db1", 0)->out,
			 "db1 is recovering on host3, since 4 s ago\n"
			 "  its node host3 was lost\n"
			 "  check that it is off, then run 'hvcluster fence confirm host3'\n"
			 "\n"
			 "Where it could be started now  (the lowest score wins: *)\n"
			 "  NODE     FITS  SCORE  WHY\n"
			 "  host1 *  yes     120  most room\n"
			 "  host2    no           is being drained\n");
}

Test(cli, vm_show_xml_prints_the_xml_and_nothing_else)
{
	cr_assert_str_eq(runs(explain_vm, "hvcluster vm show db1 --xml", 0)->out,
			 "<domain>\n</domain>\n");
}

static enum server_act take_attributes(const Hv__ControlRequest *request, unsigned n,
				       Hv__ControlResponse *ret)
{
	static Hv__CommandResponse done = HV__COMMAND_RESPONSE__INIT;
	const Hv__VmSet *set;

	cr_assert_eq(request->body_case, HV__CONTROL_REQUEST__BODY_COMMAND);
	ret->body_case = HV__CONTROL_RESPONSE__BODY_COMMAND;
	ret->command = &done;
	if (request->command->body_case == HV__COMMAND__BODY_VM_LOCK)
		return SERVER_ANSWER;
	cr_assert_eq(request->command->body_case, HV__COMMAND__BODY_VM_SET);
	set = request->command->vm_set;
	cr_assert_str_eq(set->name, "db1");
	cr_assert_eq(set->n_attributes, 2);
	cr_assert_str_eq(set->attributes[0]->key, "failback");
	cr_assert_str_eq(set->attributes[0]->value, "off");
	cr_assert_str_eq(set->attributes[1]->key, "max_relocate");
	cr_assert_str_eq(set->attributes[1]->value, "3");
	return SERVER_ANSWER;
}

Test(cli, attributes_of_a_vm_are_set_in_one_request)
{
	cr_assert_str_eq(
	    runs(take_attributes, "hvcluster vm set db1 failback=off max_relocate=3", 0)->out,
	    "vm db1: set\n");
	cr_assert_str_eq(runs(take_attributes, "hvcluster vm lock db1 backup", 0)->out,
			 "vm db1: locked\n");
	cr_assert_str_eq(runs(take_attributes, "hvcluster vm unlock db1", 0)->out,
			 "vm db1: unlocked\n");
}

/* ---------------------------------------------------------------- a server that misbehaves */

Test(cli, a_missing_daemon_is_told_with_what_to_do)
{
	struct run *r = runs(NULL, "hvcluster status", 5);
	json_t *s;

	must_have(
	    r->err,
	    "hvcluster: clusterd is not running on this node\n  try: systemctl start clusterd");
	s = json(runs(NULL, "hvcluster status --json", 5));
	cr_assert_str_eq(text_at(json_object_get(s, "error"), "code"), "NO_DAEMON");
	json_decref(s);
}

static enum server_act garbles(const Hv__ControlRequest *request, unsigned n,
			       Hv__ControlResponse *ret)
{
	return SERVER_GARBLE;
}

static enum server_act cuts(const Hv__ControlRequest *request, unsigned n, Hv__ControlResponse *ret)
{
	ret->text = S("a long text so that there is an end that can be missing");
	return SERVER_SHORT;
}

static Hv__CommandResponse command_body;

static enum server_act answers_another_question(const Hv__ControlRequest *request, unsigned n,
						Hv__ControlResponse *ret)
{
	ret->body_case = HV__CONTROL_RESPONSE__BODY_COMMAND;
	hv__command_response__init(&command_body);
	ret->command = &command_body;
	return SERVER_ANSWER;
}

Test(cli, an_answer_that_is_none_is_an_error)
{
	must_have(runs(garbles, "hvcluster status", 1)->err, "clusterd's answer is not understood");
	must_have(runs(cuts, "hvcluster status", 1)->err, "clusterd's answer is not understood");
	must_have(runs(answers_another_question, "hvcluster status", 1)->err,
		  "clusterd's answer is not understood");
	must_have(runs(garbles, "hvcluster vm start web1", 5)->err,
		  "may or may not have been accepted");
}

Test(cli, whoever_is_not_allowed_is_told_so)
{
	struct server server = {.answer = garbles, .refuse = EACCES};
	struct run *r = cli_run(&server, "hvcluster status");

	cr_assert_eq(r->status, 8);
	must_have(r->err, "clusterd talks to root only");
}

static enum server_act give_full_report(const Hv__ControlRequest *request, unsigned n,
					Hv__ControlResponse *ret)
{
	static char large[HV_IPC_MAX - 200];

	memset(large, 'x', sizeof(large) - 1);
	explain_vm(request, n, ret);
	ret->vm_show->xml = large;
	return SERVER_ANSWER;
}

Test(cli, the_largest_message_gets_through)
{
	cr_assert_gt(strlen(runs(give_full_report, "hvcluster vm show db1 --xml", 0)->out),
		     RUN_MAX - 2);
}

static enum server_act answers_the_second(const Hv__ControlRequest *request, unsigned n,
					  Hv__ControlResponse *ret)
{
	return n == 1 ? SERVER_SILENCE : give_status(request, n, ret);
}

static int asks_twice(const char *service, FILE *out)
{
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__StatusRequest status = HV__STATUS_REQUEST__INIT;
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	struct client client;

	client_init(&client);
	request.version = HV_IPC_VERSION;
	request.body_case = HV__CONTROL_REQUEST__BODY_STATUS;
	request.status = &status;
	if (client_ask(&client, service, &request, 300, &response) != CLIENT_SILENT || response)
		return 1;
	if (client_ask(&client, service, &request, 5000, &response) != CLIENT_ANSWERED)
		return 2;
	client_done(&client);
	return response->body_case == HV__CONTROL_RESPONSE__BODY_STATUS ? 0 : 3;
}

Test(cli, after_a_silence_a_late_answer_is_never_taken_for_the_next)
{
	struct server server = {.answer = answers_the_second};
	struct run *r = child_run(&server, asks_twice);

	cr_assert_eq(r->status, 0);
	cr_assert_eq(r->connections, 2, "the next request goes over a connection of its own");
	cr_assert_geq(r->took_ms, 300);
}

static int is_impressed(const char *service, FILE *out)
{
	char *argv[] = {S("hvcluster"), S("status"), NULL};

	return cli_main(2, argv, service, stdin, out, out);
}

Test(cli, who_poses_as_clusterd_is_not_listened_to)
{
	struct server server = {.answer = give_status, .uid = 65534};
	struct run *r;

	if (geteuid() != 0)
		cr_skip_test("root is needed to be somebody else");
	r = child_run(&server, is_impressed);
	cr_assert_eq(r->status, 8, "%s", r->out);
	must_have(r->out, "is not run by root");
	cr_assert_eq(r->requests, 0, "it was told something");
}

static unsigned times_away;

static void count_away(struct cli *cli, void *data)
{
	times_away++;
}

Test(cli, a_daemon_that_does_not_come_back_is_given_up)
{
	struct cli cli = {.service = "hvcluster-test-nobody"};
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__ControlResponse *response = NULL;
	struct steady steady;

	steady_begin(&steady, count_away, NULL);
	steady.away_limit_ms = 500;
	cr_assert_eq(steady_ask(&steady, &cli, &request, 0, &response), STEADY_AWAY);
	cr_assert_eq(steady.rc, HV_NO_DAEMON);
	cr_assert_eq(times_away, 1, "said once");
	steady.deadline_ms = cli_monotonic_ms();
	cr_assert_eq(steady_ask(&steady, &cli, &request, 0, &response), STEADY_LATE);
	steady_end(&steady);
	client_done(&cli.client);
}
