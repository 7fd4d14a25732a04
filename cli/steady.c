/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/steady.h"

#include <string.h>
#include <time.h>

#define RETRY_MS 200
#define SLACK_MS 10000 /* beyond what the daemon was asked to wait */

void steady_begin(struct steady *s, void (*on_away)(struct cli *cli, void *data), void *data)
{
	memset(s, 0, sizeof(*s));
	s->on_away = on_away;
	s->data = data;
	s->away_limit_ms = STEADY_AWAY_MS;
}

void steady_end(struct steady *s)
{
	free(s->why);
	s->why = NULL;
}

/* Answers that mean "not yet": of a clusterd that has just come back, or whose cluster has just
 * lost a member. */
static bool not_ready(const Hv__ControlResponse *response)
{
	return response->rc == HV_NO_QUORUM || response->rc == HV_TRY_AGAIN ||
	       response->rc == HV_COROSYNC_DOWN ||
	       (response->rc == HV_NOT_FOUND && response->stale);
}

/* Could it be better in a moment? */
static bool passing(enum client_result result)
{
	return result == CLIENT_LOST || result == CLIENT_NO_DAEMON || result == CLIENT_HUNG ||
	       result == CLIENT_SILENT || result == CLIENT_TROUBLE;
}

static void remember(struct steady *s, enum hv_rc rc, const char *why)
{
	free(s->why);
	s->rc = rc;
	s->why = hv_xstrdup(why);
}

static void pause_ms(unsigned ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static bool away_for_good(struct steady *s, struct cli *cli, uint64_t now)
{
	if (!s->away_since_ms) {
		s->away_since_ms = now;
		s->on_away(cli, s->data);
	}
	return now - s->away_since_ms >= s->away_limit_ms;
}

enum steady_result steady_ask(struct steady *s, struct cli *cli, Hv__ControlRequest *request,
			      unsigned wait_ms, Hv__ControlResponse **ret)
{
	request->version = HV_IPC_VERSION;
	for (;;) {
		_cleanup_response_ Hv__ControlResponse *response = NULL;
		enum client_result result;
		uint64_t now;

		result = client_ask(&cli->client, cli->service, request, (int)wait_ms + SLACK_MS,
				    &response);
		if (result == CLIENT_ANSWERED && !not_ready(response)) {
			s->away_since_ms = 0;
			*ret = steal_ptr(response);
			return STEADY_ANSWERED;
		}
		now = cli_monotonic_ms();
		if (s->deadline_ms && now >= s->deadline_ms)
			return STEADY_LATE;
		if (result == CLIENT_ANSWERED)
			remember(s, (enum hv_rc)response->rc,
				 *response->text ? response->text : hv_rc_text(response->rc));
		else if (passing(result))
			remember(s, HV_NO_DAEMON, hv_rc_text(HV_NO_DAEMON));
		else
			remember(s, HV_PROTOCOL, "clusterd's answer is not understood");
		if (s->rc == HV_PROTOCOL || away_for_good(s, cli, now))
			return STEADY_AWAY;
		pause_ms(RETRY_MS);
	}
}
