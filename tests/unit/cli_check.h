/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cli_check.h - what the tests of the command line ask of a run: its exit status, its JSON. */
#ifndef HV_TESTS_CLI_CHECK_H
#define HV_TESTS_CLI_CHECK_H

#include "tests/unit/cli_harness.h"

#include <criterion/criterion.h>
#include <jansson.h>

#define S(text) ((char *)(text))

/* The program against a server that answers so; it must end with `status`. */
static inline struct run *runs(server_fn answer, const char *line, int status)
{
	struct server server = {.answer = answer, .back_ms = 300};
	struct run *r = cli_run(&server, line);

	cr_assert_eq(r->status, status, "%s: exit status %d, not %d\n%s%s", line, r->status, status,
		     r->out, r->err);
	return r;
}

/* What it printed; the caller drops the reference. */
static inline json_t *json(const struct run *r)
{
	json_error_t error;
	json_t *object = json_loads(r->out, 0, &error);

	cr_assert(object, "%s in:\n%s", error.text, r->out);
	return object;
}

static inline const char *text_at(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	cr_assert(text, "no text '%s'", key);
	return text;
}

/* clusterd has accepted a command; 0: nothing follows from it. */
static inline enum server_act accept_op(Hv__ControlResponse *ret, uint64_t op)
{
	static Hv__CommandResponse command_body;

	hv__command_response__init(&command_body);
	command_body.op = op;
	command_body.index = 17;
	ret->body_case = HV__CONTROL_RESPONSE__BODY_COMMAND;
	ret->command = &command_body;
	return SERVER_ANSWER;
}

/* The operation as it is now: over when all is done or with an error. */
static inline enum server_act give_op(Hv__ControlResponse *ret, uint32_t done, uint32_t total,
				      enum hv_rc rc, const char *text)
{
	static char *held[] = {S("vm db1: no node can hold it")};
	static Hv__OpInfo op_body;

	hv__op_info__init(&op_body);
	op_body.id = 4096;
	op_body.kind = S("node-drain");
	op_body.target = S("host2");
	op_body.done = done;
	op_body.total = total;
	op_body.ended = done == total || rc;
	op_body.rc = rc;
	op_body.text = S(text);
	op_body.held_by = held;
	op_body.n_held_by = op_body.ended ? 0 : 1;
	ret->body_case = HV__CONTROL_RESPONSE__BODY_OP;
	ret->op = &op_body;
	return SERVER_ANSWER;
}

#endif
