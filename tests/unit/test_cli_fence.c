/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fence devices, events and reports as the program shows them, against a server of our own. */
#include "tests/unit/cli_check.h"

#include "cli/format.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(cli_fence, .timeout = 30);

/* ---------------------------------------------------------------- fencing */

static enum server_act adds_device(const Hv__ControlRequest *request, unsigned n,
				   Hv__ControlResponse *ret)
{
	const Hv__FenceAdd *add = request->command->fence_add;

	cr_assert_eq(request->command->body_case, HV__COMMAND__BODY_FENCE_ADD);
	cr_assert_str_eq(add->node, "host1");
	cr_assert_str_eq(add->device, "ipmi");
	cr_assert_str_eq(add->agent, "fence_ipmilan");
	cr_assert_eq(add->level, 2);
	cr_assert_eq(add->timeout_s, 40);
	cr_assert_eq(add->n_options, 2);
	cr_assert_str_eq(add->options[1]->key, "lanplus");
	cr_assert_str_eq(add->options[1]->value, "1");
	cr_assert_eq(add->n_secrets, 1);
	cr_assert_str_eq(add->secrets[0]->key, "password");
	cr_assert_str_eq(add->secrets[0]->value, "hunter 2");
	return accept_op(ret, 0);
}

Test(cli_fence, fence_add_takes_the_secret_from_standard_input)
{
	struct server server = {.answer = adds_device, .in = "hunter 2\n"};
	struct run *r = cli_run(
	    &server,
	    "hvcluster fence add host1 ipmi -a fence_ipmilan --level 2 --timeout 40 -o ip=10.0.9.1 "
	    "-o lanplus=1 --secret-stdin password");

	cr_assert_eq(r->status, 0, "%s", r->err);
	must_have(r->out, "fence device ipmi of host1: added\n");
	must_have(r->out, "hvcluster fence test host1");
	must_lack(r->out, "hunter");
}

static enum server_act adds_map(const Hv__ControlRequest *request, unsigned n,
				Hv__ControlResponse *ret)
{
	const Hv__FenceAdd *add = request->command->fence_add;

	cr_assert_str_eq(add->node, "");
	cr_assert_str_eq(add->device, "pdu");
	cr_assert_eq(add->n_map, 2);
	cr_assert_str_eq(add->map[1]->key, "host2");
	cr_assert_str_eq(add->map[1]->value, "4");
	cr_assert(add->delay_s == 2 && add->delay_random_s == 3 && add->unfence && !add->waited);
	return accept_op(ret, 0);
}

static enum server_act adds_sbd(const Hv__ControlRequest *request, unsigned n,
				Hv__ControlResponse *ret)
{
	cr_assert(request->command->fence_add->waited, "fence_sbd does not see");
	return accept_op(ret, 0);
}

Test(cli_fence, fence_add_takes_a_map_of_nodes_delays_and_what_it_proves)
{
	struct run *r = runs(adds_map,
			     "hvcluster fence add pdu --map host1=3,host2=4 -a fence_apc --delay 2 "
			     "--delay-random 3 --unfence",
			     0);

	must_have(r->out, "fence device pdu: added\n");
	runs(adds_sbd, "hvcluster fence add host1 sbd -a fence_sbd", 0);
	must_have(runs(NULL, "hvcluster fence add host1 pdu --map host1=3 -a fence_apc", 2)->err,
		  "--map names the nodes");
	must_have(runs(NULL, "hvcluster fence add pdu --map host1 -a fence_apc", 7)->err,
		  "NODE=PLUG");
	must_have(runs(NULL, "hvcluster fence add host1 pdu --proof hoped -a fence_apc", 7)->err,
		  "--proof is seen or waited");
}

static enum server_act sets_level(const Hv__ControlRequest *request, unsigned n,
				  Hv__ControlResponse *ret)
{
	const Hv__FenceLevel *set = request->command->fence_level;

	cr_assert_str_eq(set->node, "host1");
	cr_assert(set->level == 2 && set->seen);
	return accept_op(ret, 0);
}

static enum server_act sets_watchdog(const Hv__ControlRequest *request, unsigned n,
				     Hv__ControlResponse *ret)
{
	const Hv__FenceLevel *set = request->command->fence_level;

	cr_assert(set->level == HV_MAX_FENCE_LEVELS + 1 && !set->seen);
	return accept_op(ret, 0);
}

static enum server_act adds_demanding(const Hv__ControlRequest *request, unsigned n,
				      Hv__ControlResponse *ret)
{
	cr_assert(request->command->fence_add->require_seen);
	return accept_op(ret, 0);
}

Test(cli_fence, fence_level_says_what_a_level_demands)
{
	struct run *r = runs(sets_level, "hvcluster fence level host1 2 --require seen", 0);

	must_have(r->out, "fence level 2 of host1: set\n");
	runs(sets_watchdog, "hvcluster fence level host1 watchdog --require any", 0);
	runs(adds_demanding, "hvcluster fence add host1 sbd -a fence_sbd --require seen", 0);
	must_have(runs(NULL, "hvcluster fence level host1 2", 7)->err, "--require is missing");
	must_have(runs(NULL, "hvcluster fence level host1 2 --require maybe", 7)->err,
		  "seen or any, not 'maybe'");
	must_have(runs(NULL, "hvcluster fence level host1 9 --require seen", 7)->err,
		  "a level is 1 to 8, or 'watchdog'");
}

Test(cli_fence, fence_add_warns_of_a_secret_that_others_can_read)
{
	char path[] = "/tmp/hv-secret-XXXXXX", line[256];
	int fd = mkstemp(path);
	struct run *r;

	cr_assert_eq(write(fd, "hunter 2\n", 9), 9);
	fchmod(fd, 0644);
	close(fd);
	snprintf(
	    line, sizeof(line),
	    "hvcluster fence add host1 ipmi -a fence_ipmilan --level 2 --timeout 40 -o ip=10.0.9.1 "
	    "-o lanplus=1 --secret-file password=%s",
	    path);
	r = runs(adds_device, line, 0);
	unlink(path);
	must_have(r->err, "can be read by others: chmod 600");
}

static Hv__FenceDeviceInfo devices[2];
static Hv__FenceDeviceInfo *device_list[2] = {&devices[0], &devices[1]};

static enum server_act give_devices(Hv__ControlResponse *ret)
{
	static Hv__KeyValue ip, *options[1] = {&ip};
	static char *secrets[1] = {S("password")}, *unprotected[1] = {S("host3")};
	static Hv__FenceListResponse list;

	hv__key_value__init(&ip);
	ip.key = S("ip");
	ip.value = S("10.0.9.1");
	hv__fence_list_response__init(&list);
	for (unsigned i = 0; i < 2; i++) {
		hv__fence_device_info__init(&devices[i]);
		devices[i].node = S("host1");
		devices[i].device = i ? S("pdu") : S("ipmi");
		devices[i].level = i + 1;
		devices[i].agent = i ? S("fence_apc") : S("fence_ipmilan");
		devices[i].options = options;
		devices[i].n_options = 1;
		devices[i].secret_names = secrets;
		devices[i].n_secret_names = 1 - i;
	}
	devices[0].tested = true;
	devices[0].test_wall_ms = cli_wall_ms() - 61000;
	list.devices = device_list;
	list.n_devices = 2;
	list.unprotected = unprotected;
	list.n_unprotected = 1;
	ret->body_case = HV__CONTROL_RESPONSE__BODY_FENCE_LIST;
	ret->fence_list = &list;
	return SERVER_ANSWER;
}

static enum server_act tests_devices(const Hv__ControlRequest *request, unsigned n,
				     Hv__ControlResponse *ret)
{
	if (request->body_case == HV__CONTROL_REQUEST__BODY_FENCE_LIST)
		return give_devices(ret);
	if (request->body_case == HV__CONTROL_REQUEST__BODY_COMMAND) {
		cr_assert_str_eq(request->command->fence_test->device, n == 2 ? "ipmi" : "pdu");
		return accept_op(ret, 4096 + n);
	}
	return n == 3 ? give_op(ret, 0, 0, HV_AGENT_FAILED, "login failed")
		      : give_op(ret, 0, 0, HV_OK, "the host is on");
}

Test(cli_fence, fence_list_shows_devices_and_hides_secrets)
{
	cr_assert_str_eq(
	    runs(tests_devices, "hvcluster fence list", 0)->out,
	    "NODE   DEVICE  LEVEL  AGENT          TESTED          OPTIONS\n"
	    "host1  ipmi        1  fence_ipmilan  good 1 min ago  ip=10.0.9.1 password=(secret)\n"
	    "host1  pdu         2  fence_apc      never           ip=10.0.9.1\n"
	    "host3 has no fence device: if it is lost, its VMs wait for 'hvcluster fence confirm "
	    "host3'\n");
}

Test(cli_fence, fence_test_tries_every_device_and_fails_if_one_does)
{
	struct run *r = runs(tests_devices, "hvcluster fence test host1", 1);

	must_have(r->err, "hvcluster: fence device ipmi of host1: not tested: login failed\n");
	must_have(r->out, "fence device pdu of host1: tested, in ");
	must_have(r->out, ": the host is on\n");
}

Test(cli_fence, fence_test_all_says_how_far_it_is_and_how_it_ended)
{
	struct run *r = runs(tests_devices, "hvcluster fence test --all", 1);

	must_have(r->out, "1 of 2: ");
	must_have(r->out, "2 of 2: fence device pdu of host1: tested, in ");
	must_have(r->out, "1 of 2 fence devices answer\n");
	must_have(r->err, "host3 has no fence device");
	must_have(runs(NULL, "hvcluster fence test", 2)->err, "which node's devices? or --all");
	must_have(runs(NULL, "hvcluster fence test host1 --all", 2)->err, "none is named");
}

static enum server_act releases(const Hv__ControlRequest *request, unsigned n,
				Hv__ControlResponse *ret)
{
	cr_assert_eq(request->command->body_case, HV__COMMAND__BODY_NODE_RELEASE);
	cr_assert_str_eq(request->command->node_release->node, "host3");
	return accept_op(ret, 0);
}

Test(cli_fence, node_release_ends_a_quarantine)
{
	must_have(runs(releases, "hvcluster node release host3", 0)->out,
		  "node host3: released: it may hold VMs again\n");
}

static enum server_act confirms(const Hv__ControlRequest *request, unsigned n,
				Hv__ControlResponse *ret)
{
	cr_assert_eq(request->command->body_case, HV__COMMAND__BODY_FENCE_CONFIRM);
	return accept_op(ret, 0);
}

Test(cli_fence, fence_confirm_takes_yes_for_an_answer)
{
	cr_assert_str_eq(runs(confirms, "hvcluster fence confirm host3 --yes", 0)->out,
			 "node host3: confirmed to be off\n");
}

/* ---------------------------------------------------------------- events, report */

static Hv__EventInfo events[3];
static Hv__EventInfo *event_list[3] = {&events[0], &events[1], &events[2]};

/* Events 1 to 12 are kept; one more, 13, comes while we follow. */
static enum server_act give_events(const Hv__ControlRequest *request, unsigned n,
				   Hv__ControlResponse *ret)
{
	static Hv__EventsResponse body;
	const Hv__EventsRequest *e = request->events;
	uint64_t last = e->wait_ms ? 13 : 12, id = e->tail ? 12 : e->since;

	hv__events_response__init(&body);
	for (; id && id <= last && body.n_events < 3; id++) {
		Hv__EventInfo *i = &events[body.n_events++];

		hv__event_info__init(i);
		i->id = id;
		i->wall_ms = 1700000000000 + id * 1000;
		i->object = S("vm web1");
		i->from = S("running");
		i->to = S("recovering");
		i->cause = S("node host3 was lost");
		i->severity = S("warning");
	}
	body.events = event_list;
	body.next = id;
	ret->body_case = HV__CONTROL_RESPONSE__BODY_EVENTS;
	ret->events = &body;
	if (e->wait_ms && e->since == 14) {
		ret->rc = HV_INTERNAL;
		ret->text = S("enough");
		ret->body_case = HV__CONTROL_RESPONSE__BODY__NOT_SET;
	}
	return SERVER_ANSWER;
}

static unsigned lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

Test(cli_fence, events_shows_the_last_ones)
{
	struct run *r = runs(give_events, "hvcluster events -n 5", 0);
	json_t *s;

	cr_assert_eq(lines(r->out), 5);
	must_have(
	    r->out,
	    "2023-11-14 22:13:28  vm web1         running -> recovering     node host3 was lost\n");
	must_lack(r->out, "22:13:27");
	cr_assert_eq(lines(runs(give_events, "hvcluster events -n 0", 0)->out), 0);
	s = json(runs(give_events, "hvcluster events -n 5 --json", 0));
	cr_assert_eq(json_array_size(json_object_get(s, "events")), 5);
	cr_assert_eq(json_integer_value(json_object_get(s, "next")), 13);
	json_decref(s);
}

Test(cli_fence, events_follow_goes_on_from_there)
{
	struct run *r = runs(give_events, "hvcluster events --follow -n 2 --json", 1);

	must_have(r->err, "the events end here: enough");
	must_have(r->out, "{\"id\":13,");
	cr_assert_eq(lines(r->out), 4, "two old, one new, the error; each a line:\n%s", r->out);
}

static enum server_act give_report(const Hv__ControlRequest *request, unsigned n,
				   Hv__ControlResponse *ret)
{
	static Hv__FailoverVm v[2], *list[2] = {&v[0], &v[1]};
	static Hv__FailoverReport body;

	cr_assert_eq(request->body_case, HV__CONTROL_REQUEST__BODY_REPORT_FAILOVER);
	hv__failover_report__init(&body);
	body.id = 3;
	body.victim = S("host3");
	body.wall_ms = 1700000000000;
	body.view_us = 4100;
	body.fence_began_us = 5000;
	body.fence_ended_us = 345000;
	body.fenced_us = 349500;
	body.proof = S("ipmi by host1: off");
	body.own_first_us = 23000;
	body.own_last_us = FORMAT_NEVER;
	for (unsigned i = 0; i < 2; i++) {
		hv__failover_vm__init(&v[i]);
		v[i].name = i ? S("web1") : S("db1");
		v[i].node = S("host1");
		v[i].decided_us = 350000;
		v[i].began_us = 351000 + i * 1000;
		v[i].ended_us = i ? FORMAT_NEVER : 560000;
		v[i].running_us = i ? FORMAT_NEVER : 566000;
		v[i].result = i ? S("waiting") : S("running");
	}
	body.vms = list;
	body.n_vms = 2;
	ret->body_case = HV__CONTROL_RESPONSE__BODY_REPORT_FAILOVER;
	ret->report_failover = &body;
	return SERVER_ANSWER;
}

Test(cli_fence, report_failover_is_a_timeline)
{
	struct run *r = runs(give_report, "hvcluster report failover", 0);

	must_have(r->out, "Failover 3: host3 was lost at 2023-11-14 22:13:20 (");
	must_have(r->out, "  proof that it was off: ipmi by host1: off\n"
			  "\n"
			  "    AFTER     STEP  PHASE\n"
			  "  0.000 s           detected: corosync reported the loss\n"
			  "  0.004 s  +4.1 ms  view committed: every node knows\n"
			  "  0.005 s  +0.9 ms  fence started\n"
			  "  0.345 s  +340 ms  fence agent: it is off\n"
			  "  0.349 s  +4.5 ms  fenced: the proof is committed\n"
			  "  0.351 s  +1.5 ms  first start: db1 on host1\n"
			  "  0.566 s  +215 ms  first VM running: db1 on host1\n"
			  "\n"
			  "  VM    NODE   DECIDED  START BEGAN  CREATED  RUNNING  RESULT\n"
			  "  db1   host1  0.350 s      0.351 s  0.560 s  0.566 s\n"
			  "  web1  host1  0.350 s      0.352 s        -  not yet  waiting\n"
			  "\n"
			  "Our own share: 23 ms for the first VM\n");
}

Test(cli_fence, report_failover_as_json_has_null_for_what_has_not_happened)
{
	json_t *s = json(runs(give_report, "hvcluster report failover 3 --json", 0));
	json_t *web = json_array_get(json_object_get(s, "vms"), 1);

	cr_assert_eq(json_integer_value(json_object_get(s, "fenced_us")), 349500);
	cr_assert(json_is_null(json_object_get(web, "running_us")));
	json_decref(s);
}
