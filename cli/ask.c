/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests whose failures are said here, where cause and next step are known. */
#include "cli/cli.h"
#include "cli/commands.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define ANSWER_MS 10000 /* a question is answered from memory */
#define COMMIT_MS                                                                                  \
	60000 /* a command when it is committed: the daemon itself gives up long before            \
	       */

static const char *hint_of(unsigned rc)
{
	switch (rc) {
	case HV_NO_QUORUM:
	case HV_NOT_FOUND:
	case HV_BUSY:
	case HV_REFUSED:
	case HV_TRY_AGAIN:
	case HV_HELD:
		return "hvcluster status";
	case HV_NOT_PERMITTED:
		return "the same command as root";
	case HV_COROSYNC_DOWN:
		return "systemctl start corosync";
	case HV_NOT_CONFIGURED:
		return "corosync-cmapctl nodelist, and compare the names and addresses with this "
		       "host's";
	default:
		return "hvcluster events -n 20";
	}
}

/* When clusterd gave no hint of its own. The caller frees. */
static char *usual_hint(struct cli *cli, unsigned rc)
{
	_cleanup_free_ char *title = command_title(cli->command);

	if (hv_rc_exit_status(rc) == 7) /* something is wrong with what was typed */
		return hv_xasprintf("hvcluster help %s", title);
	return hv_xstrdup(hint_of(rc));
}
/* Nothing was sent, or a question got no answer: nothing has changed. */
static enum hv_rc fail_harmless(struct cli *cli, enum client_result result)
{
	switch (result) {
	case CLIENT_NO_DAEMON:
		return cli_fail(
		    cli, HV_NO_DAEMON,
		    "systemctl start clusterd, or look why it ended: journalctl -u clusterd",
		    "clusterd is not running on this node");
	case CLIENT_DENIED:
		return cli_fail(cli, HV_NOT_PERMITTED, "the same command as root",
				"clusterd talks to root only");
	case CLIENT_IMPOSTOR:
		return cli_fail(cli, HV_NOT_PERMITTED, "ss -xlp, to see which program it is",
				"the program that answers in clusterd's place is not run by root");
	case CLIENT_HUNG:
		return cli_fail(cli, HV_TIMEOUT, "systemctl status clusterd",
				"clusterd is there, but does not take connections");
	case CLIENT_TOO_LARGE:
		return cli_fail(cli, HV_TOO_LARGE, NULL,
				"the request is larger than a message may be (%u bytes)",
				HV_IPC_MAX);
	case CLIENT_TROUBLE:
		return cli_fail(cli, HV_FAILED, "journalctl -u clusterd",
				"clusterd cannot be asked: %s", strerror(errno));
	case CLIENT_LOST:
		return cli_fail(cli, HV_TRY_AGAIN, "the same command again",
				"clusterd ended before it answered");
	case CLIENT_SILENT:
		return cli_fail(cli, HV_TIMEOUT, "systemctl status clusterd",
				"clusterd does not answer");
	case CLIENT_GARBLED:
		return cli_fail(cli, HV_PROTOCOL,
				"hvcluster --version, and compare with 'clusterd --version'",
				"clusterd's answer is not understood");
	case CLIENT_ANSWERED:
		break;
	}
	return HV_INTERNAL;
}

static bool was_sent(enum client_result result)
{
	return result == CLIENT_LOST || result == CLIENT_SILENT || result == CLIENT_GARBLED;
}

static enum hv_rc fail_uncertain(struct cli *cli, enum client_result result,
				 const struct request_words *words)
{
	const char *why = result == CLIENT_LOST	    ? "clusterd ended before it answered"
			  : result == CLIENT_SILENT ? "clusterd has not answered"
						    : "clusterd's answer is not understood";

	return cli_fail(cli, HV_UNCERTAIN, words->look,
			"%s: %s; the request may or may not have been accepted", words->subject,
			why);
}

/* The daemon's "no", or an answer to something else. */
static enum hv_rc check_response(struct cli *cli, const Hv__ControlResponse *response, int expected)
{
	_cleanup_free_ char *usual = usual_hint(cli, response->rc);

	if (response->rc != HV_OK)
		return cli_fail(cli, (enum hv_rc)response->rc,
				*response->hint ? response->hint : usual, "%s",
				*response->text ? response->text : hv_rc_text(response->rc));
	if ((int)response->body_case != expected)
		return fail_harmless(cli, CLIENT_GARBLED);
	return HV_OK;
}

enum hv_rc cli_ask(struct cli *cli, Hv__ControlRequest *request, int expected,
		   Hv__ControlResponse **ret)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	enum client_result result;
	enum hv_rc rc;

	request->version = HV_IPC_VERSION;
	result = client_ask(&cli->client, cli->service, request, ANSWER_MS, &response);
	if (result != CLIENT_ANSWERED)
		return fail_harmless(cli, result);
	rc = check_response(cli, response, expected);
	if (rc == HV_OK)
		*ret = steal_ptr(response);
	return rc;
}

/* `ended` is the answer about the operation, if it was waited for. */
static void show_accepted_json(struct cli *cli, const Hv__ControlResponse *response,
			       const Hv__ControlResponse *ended)
{
	json_t *object = json_of(&response->command->base);

	json_object_set_new(object, "operation", ended ? json_of(&ended->op->base) : json_null());
	json_show(cli, ended ? ended : response, object, false);
}

static void show_accepted(struct cli *cli, uint64_t op, const struct request_words *words)
{
	if (op == 0) {
		out_printf(&cli->out, PLAIN, "%s: %s\n", words->subject, words->done);
		return;
	}
	out_printf(&cli->out, PLAIN, "%s: %s%s (operation %llu)\n", words->subject,
		   words->accepted ? "" : "will be ",
		   words->accepted ? words->accepted : words->done, (unsigned long long)op);
	out_printf(&cli->out, DIM, "  follow it: hvcluster op show %llu --wait\n",
		   (unsigned long long)op);
}

/* What follows from an accepted command: waiting, words. */
static enum hv_rc finish(struct cli *cli, const Hv__ControlResponse *response,
			 const struct request_words *words)
{
	_cleanup_response_ Hv__ControlResponse *ended = NULL;
	const Hv__CommandResponse *r = response->command;
	struct request_words named = *words;
	_cleanup_free_ char *subject = NULL, *look = NULL;
	enum hv_rc rc = HV_OK;

	if (*r->object) { /* only the daemon knew the name of what was made */
		named.subject = subject = hv_xasprintf("vm %s", r->object);
		named.look = look = hv_xasprintf("hvcluster vm explain %s", r->object);
	}
	if (cli->options.wait && r->op)
		rc = cli_wait_op(cli, r->op, &named, &ended);
	else if (!cli->options.json)
		show_accepted(cli, r->op, &named);
	if (rc == HV_OK && cli->options.json)
		show_accepted_json(cli, response, ended);
	return rc;
}

enum hv_rc cli_command(struct cli *cli, Hv__Command *command, const struct request_words *words)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	enum client_result result;
	enum hv_rc rc;

	request.version = HV_IPC_VERSION;
	request.body_case = HV__CONTROL_REQUEST__BODY_COMMAND;
	request.command = command;
	result = client_ask(&cli->client, cli->service, &request, COMMIT_MS, &response);
	if (was_sent(result))
		return fail_uncertain(cli, result, words);
	if (result != CLIENT_ANSWERED)
		return fail_harmless(cli, result);
	rc = check_response(cli, response, HV__CONTROL_RESPONSE__BODY_COMMAND);
	return rc == HV_OK ? finish(cli, response, words) : rc;
}
