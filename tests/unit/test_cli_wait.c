/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that change something, and waiting for what follows, against a server of our own. */
#include "tests/unit/cli_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(cli_wait, .timeout = 30);

/* ---------------------------------------------------------------- commands and --wait */

static enum server_act drains(const Hv__ControlRequest *request, unsigned n,
			      Hv__ControlResponse *ret)
{
	if (n == 1) {
		cr_assert_eq(request->command->body_case, HV__COMMAND__BODY_NODE_DRAIN);
		cr_assert_str_eq(request->command->node_drain->node, "host2");
		return accept_op(ret, 4096);
	}
	cr_assert_eq(request->body_case, HV__CONTROL_REQUEST__BODY_OP);
	cr_assert_eq(request->op->id, 4096);
	return give_op(ret, n < 5 ? (n - 2) * 4 : 10, 10, HV_OK, "");
}

Test(cli_wait, a_command_without_wait_says_how_to_follow_it)
{
	struct run *r = runs(drains, "hvcluster node drain host2", 0);

	cr_assert_str_eq(r->out, "node host2: will be drained (operation 4096)\n"
				 "  follow it: hvcluster op show 4096 --wait\n");
}

Test(cli_wait, wait_shows_each_step_and_what_holds_it)
{
	struct run *r = runs(drains, "hvcluster node drain host2 --wait", 0);

	must_have(r->out, "node host2: 0 of 10, held by vm db1: no node can hold it\n"
			  "node host2: 4 of 10, held by vm db1: no node can hold it\n"
			  "node host2: 8 of 10, held by vm db1: no node can hold it\n"
			  "node host2: drained, 10 of 10, in ");
	cr_assert_eq(r->connections, 1);
}

Test(cli_wait, wait_as_json_is_one_document)
{
	json_t *s = json(runs(drains, "hvcluster node drain host2 --wait --json", 0));

	cr_assert_eq(json_integer_value(json_object_get(s, "op")), 4096);
	cr_assert_eq(json_integer_value(json_object_get(s, "index")), 17);
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(s, "operation"), "done")),
		     10);
	json_decref(s);
	s = json(runs(drains, "hvcluster node drain host2 --json", 0));
	cr_assert_eq(json_integer_value(json_object_get(s, "index")), 17);
	cr_assert(json_is_null(json_object_get(s, "operation")));
	json_decref(s);
}

static enum server_act drains_never(const Hv__ControlRequest *request, unsigned n,
				    Hv__ControlResponse *ret)
{
	return n == 1 ? accept_op(ret, 4096) : give_op(ret, 1, 10, HV_OK, "");
}

Test(cli_wait, wait_ends_at_its_timeout_and_says_what_holds_the_operation)
{
	struct run *r = runs(drains_never, "hvcluster node drain host2 --wait --timeout 1", 6);

	must_have(r->err,
		  "hvcluster: node host2: not drained after 1 s (1 of 10); the operation goes on\n"
		  "  held by vm db1: no node can hold it\n"
		  "  try: hvcluster op show 4096 --wait\n");
}

static enum server_act fails(const Hv__ControlRequest *request, unsigned n,
			     Hv__ControlResponse *ret)
{
	return n == 1 ? accept_op(ret, 4096)
		      : give_op(ret, 0, 0, HV_NO_CAPACITY,
				"no node can hold it: it needs 4 TiB of memory");
}

Test(cli_wait, an_operation_that_fails_gives_its_cause_and_its_exit_status)
{
	struct run *r = runs(fails, "hvcluster vm start huge --wait", 9);
	json_t *s;

	must_have(r->err,
		  "hvcluster: vm huge: not started: no node can hold it: it needs 4 TiB of memory\n"
		  "  try: hvcluster vm explain huge\n");
	s = json(runs(fails, "hvcluster vm start huge --wait --json", 9));
	cr_assert_str_eq(text_at(json_object_get(s, "error"), "code"), "NO_CAPACITY");
	json_decref(s);
}

static enum server_act dies_twice(const Hv__ControlRequest *request, unsigned n,
				  Hv__ControlResponse *ret)
{
	if (n == 1)
		return accept_op(ret, 4096);
	if (n == 2 || n == 4)
		return SERVER_DIE;
	if (n == 5) { /* back, but not yet a member again */
		ret->rc = HV_NOT_FOUND;
		ret->stale = true;
		return SERVER_ANSWER;
	}
	return give_op(ret, n < 7 ? 1 : 10, 10, HV_OK, "");
}

Test(cli_wait, wait_goes_on_when_clusterd_comes_back)
{
	struct run *r = runs(dies_twice, "hvcluster node drain host2 --wait", 0);

	must_have(r->err, "note: clusterd does not answer; waiting for it to come back");
	must_have(r->out, "node host2: drained, 10 of 10");
	cr_assert_eq(r->connections, 3);
}

static enum server_act dies_at_once(const Hv__ControlRequest *request, unsigned n,
				    Hv__ControlResponse *ret)
{
	return SERVER_DIE;
}

Test(cli_wait, a_command_whose_answer_was_lost_may_have_been_accepted)
{
	struct run *r = runs(dies_at_once, "hvcluster vm start web1 --wait", 5);

	must_have(
	    r->err,
	    "the request may or may not have been accepted\n  try: hvcluster vm explain web1\n");
	cr_assert_eq(r->requests, 1, "a command is not sent twice");
	r = runs(dies_at_once, "hvcluster status", 5);
	must_have(r->err, "clusterd ended before it answered\n  try: the same command again\n");
}

static enum server_act forgotten(const Hv__ControlRequest *request, unsigned n,
				 Hv__ControlResponse *ret)
{
	if (n == 1)
		return accept_op(ret, 4096);
	ret->rc = HV_NOT_FOUND;
	return SERVER_ANSWER;
}

Test(cli_wait, an_operation_whose_result_is_no_longer_kept_is_no_success)
{
	must_have(runs(forgotten, "hvcluster vm start web1 --wait", 3)->err,
		  "its result is no longer kept");
}

static enum server_act adds(const Hv__ControlRequest *request, unsigned n, Hv__ControlResponse *ret)
{
	const Hv__VmAdd *add = request->command->vm_add;

	cr_assert_eq(request->command->body_case, HV__COMMAND__BODY_VM_ADD);
	cr_assert_str_eq(add->xml, "<domain/>");
	cr_assert_str_eq(add->name, "web1");
	cr_assert_eq(add->priority, -3);
	cr_assert_eq(add->stop_timeout_s, 30);
	cr_assert(!add->started);
	accept_op(ret, 0);
	ret->command->object = S("web1");
	return SERVER_ANSWER;
}

Test(cli_wait, vm_add_sends_the_file_and_what_the_options_say)
{
	struct server server = {.answer = adds, .in = "<domain/>"};
	struct run *r = cli_run(
	    &server,
	    "hvcluster vm add - --name web1 --priority -3 --stopped --stop-timeout 30 --wait");

	cr_assert_eq(r->status, 0, "%s", r->err);
	cr_assert_str_eq(r->out, "vm web1: added\n");
}

static enum server_act no_xml(const Hv__ControlRequest *request, unsigned n,
			      Hv__ControlResponse *ret)
{
	ret->rc = HV_BAD_XML;
	ret->text = S("line 3: Opening and ending tag mismatch");
	return SERVER_ANSWER;
}

Test(cli_wait, a_refusal_is_told_in_the_daemons_words)
{
	struct server server = {.answer = no_xml, .in = "<domain>"};
	struct run *r = cli_run(&server, "hvcluster vm add -");

	cr_assert_eq(r->status, 7);
	cr_assert_str_eq(
	    r->err,
	    "hvcluster: line 3: Opening and ending tag mismatch\n  try: hvcluster help vm add\n");
	cr_assert_str_empty(r->out);
}
