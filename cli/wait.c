/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --wait: follows an operation by its id until it ends.
 *
 * The operation belongs to the cluster, not to this program: clusterd may be restarted meanwhile,
 * and whoever waits is told how to wait again. So a lost connection is made anew (steady.h), and an
 * interrupt only ends the waiting.
 */
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/progress.h"
#include "cli/steady.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 1000 /* one long-poll; the bar's clock must go on */
#define POLL_TERMINAL_MS 250

/* Two arguments: "not ", "started" */
#define FAILED_WORDS(w) (w)->failed ? "" : "not ", (w)->failed ? (w)->failed : (w)->done

struct wait {
	struct cli *cli;
	uint64_t op;
	const struct request_words *words;
	struct progress progress;
	struct steady steady;
	char *hint;
};

/* ---------------------------------------------------------------- interrupted */

static char interrupted[256];
static size_t interrupted_len;

static void on_interrupt(int signal_number)
{
	ssize_t n = write(STDERR_FILENO, interrupted, interrupted_len);

	(void)n;
	_exit(128 + signal_number);
}

static void catch_interrupt(const struct wait *w)
{
	struct sigaction action = {.sa_handler = on_interrupt};
	int n = snprintf(interrupted, sizeof(interrupted),
			 "\nhvcluster: interrupted; the operation goes on without you\n  try: %s\n",
			 w->hint);

	interrupted_len = n < (int)sizeof(interrupted) ? (size_t)n : sizeof(interrupted) - 1;
	sigaction(SIGINT, &action, NULL);
}

static void release_interrupt(void)
{
	signal(SIGINT, SIG_DFL);
}

/* ---------------------------------------------------------------- results */

static char *list_held(const Hv__OpInfo *op)
{
	char *list = hv_xstrdup("");

	for (size_t i = 0; i < op->n_held_by; i++) {
		char *longer = hv_xasprintf("%s\n  held by %s", list, op->held_by[i]);

		free(list);
		list = longer;
	}
	return list;
}

static enum hv_rc fail_late(struct wait *w, const Hv__OpInfo *op)
{
	_cleanup_free_ char *list = op ? list_held(op) : hv_xstrdup("");
	char amount[48] = "";

	progress_clear(&w->progress);
	if (op && op->total > 1)
		snprintf(amount, sizeof(amount), " (%u of %u)", op->done, op->total);
	return cli_fail(w->cli, HV_TIMEOUT, w->hint,
			"%s: %s%s after %u s%s; the operation goes on%s", w->words->subject,
			FAILED_WORDS(w->words), w->cli->options.timeout_s, amount, list);
}

static enum hv_rc fail_ended(struct wait *w, const Hv__OpInfo *op)
{
	_cleanup_free_ char *list = list_held(op);

	return cli_fail(w->cli, (enum hv_rc)op->rc, w->words->look, "%s: %s%s: %s%s",
			w->words->subject, FAILED_WORDS(w->words),
			*op->text ? op->text : hv_rc_text(op->rc), list);
}

static void show_done(struct wait *w, const Hv__OpInfo *op)
{
	char took[FORMAT_LEN], amount[48] = "";

	if (op->total > 1)
		snprintf(amount, sizeof(amount), ", %u of %u", op->done, op->total);
	out_printf(&w->cli->out, PLAIN, "%s: %s%s, in %s%s%s\n", w->words->subject, w->words->done,
		   amount, format_duration(took, cli_monotonic_ms() - w->progress.began_ms),
		   *op->text ? ": " : "", op->text);
}

static void on_away(struct cli *cli, void *data)
{
	struct wait *w = data;

	progress_clear(&w->progress);
	cli_note(cli, "clusterd does not answer; waiting for it to come back");
}

/* One look at the operation, after `wait_ms` at most. */
static enum hv_rc ask_op(struct wait *w, unsigned wait_ms, Hv__ControlResponse **ret)
{
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__OpRequest op = HV__OP_REQUEST__INIT;

	request.body_case = HV__CONTROL_REQUEST__BODY_OP;
	request.op = &op;
	op.id = w->op;
	op.wait_ms = wait_ms;
	switch (steady_ask(&w->steady, w->cli, &request, wait_ms, ret)) {
	case STEADY_ANSWERED:
		return HV_OK;
	case STEADY_LATE:
		return fail_late(w, NULL);
	case STEADY_AWAY:
		progress_clear(&w->progress);
		return cli_fail(
		    w->cli, w->steady.rc, w->hint,
		    "%s: not known any more how it goes: %s; the operation itself goes on",
		    w->words->subject, w->steady.why);
	}
	return HV_INTERNAL;
}

static enum hv_rc wait_end(struct wait *w, Hv__ControlResponse **ret)
{
	unsigned poll = w->progress.out->terminal ? POLL_TERMINAL_MS : POLL_MS, wait_ms = 0;

	for (;;) {
		_cleanup_response_ Hv__ControlResponse *response = NULL;
		enum hv_rc rc = ask_op(w, wait_ms, &response);
		uint64_t now = cli_monotonic_ms();

		if (rc != HV_OK)
			return rc;
		if (response->rc != HV_OK || response->body_case != HV__CONTROL_RESPONSE__BODY_OP ||
		    response->op->ended) {
			*ret = steal_ptr(response);
			return HV_OK;
		}
		progress_show(&w->progress, w->words->subject, response->op, now);
		if (w->steady.deadline_ms && now >= w->steady.deadline_ms)
			return fail_late(w, response->op);
		wait_ms = poll;
		if (w->steady.deadline_ms && w->steady.deadline_ms - now < poll)
			wait_ms = (unsigned)(w->steady.deadline_ms - now);
	}
}

enum hv_rc cli_wait_op(struct cli *cli, uint64_t op, const struct request_words *words,
		       Hv__ControlResponse **ret)
{
	struct wait w = {.cli = cli, .op = op, .words = words};
	_cleanup_free_ char *hint =
	    hv_xasprintf("hvcluster op show %llu --wait", (unsigned long long)op);
	Hv__ControlResponse *response = NULL;
	uint64_t now = cli_monotonic_ms();
	enum hv_rc rc;

	w.hint = hint;
	steady_begin(&w.steady, on_away, &w);
	w.steady.deadline_ms =
	    cli->options.timeout_s ? now + (uint64_t)cli->options.timeout_s * 1000 : 0;
	/* Lines of progress are part of the output; when that is JSON only a terminal is told. */
	progress_begin(&w.progress, cli->options.json ? &cli->err : &cli->out, cli->options.json,
		       now);
	catch_interrupt(&w);
	rc = wait_end(&w, &response);
	release_interrupt();
	progress_end(&w.progress);
	steady_end(&w.steady);
	if (rc != HV_OK)
		return rc;
	if (response->rc == HV_NOT_FOUND)
		rc = cli_fail(cli, HV_NOT_FOUND, words->look,
			      "%s: the operation has ended, and its result is no longer kept",
			      words->subject);
	else if (response->rc != HV_OK || response->body_case != HV__CONTROL_RESPONSE__BODY_OP)
		rc = cli_fail(cli, response->rc ? (enum hv_rc)response->rc : HV_PROTOCOL, hint,
			      "%s: %s", words->subject,
			      *response->text ? response->text : hv_rc_text(response->rc));
	else if (response->op->rc != HV_OK)
		rc = fail_ended(&w, response->op);
	else if (!cli->options.json)
		show_done(&w, response->op);
	if (rc == HV_OK)
		*ret = response;
	else
		response_freep(&response);
	return rc;
}
