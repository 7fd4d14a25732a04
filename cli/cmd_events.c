/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/steady.h"

#include <jansson.h>

#define LINES 50
#define LINES_FOLLOW 10
#define FOLLOW_MS 10000 /* one long-poll; libqb notices a dead server meanwhile */

static void show_batch(struct cli *cli, const Hv__ControlResponse *response)
{
	const Hv__EventsResponse *r = response->events;

	if (r->gap)
		cli_note(cli, "some events are missing here: more happened than is kept");
	for (size_t i = 0; cli->options.json && i < r->n_events; i++)
		json_show(cli, response, json_of(&r->events[i]->base), true);
	if (!cli->options.json)
		show_events(cli, r->events, r->n_events, 0);
	fflush(cli->out.file);
}

static void on_away(struct cli *cli, void *data)
{
	cli_note(cli, "clusterd does not answer; waiting for it to come back");
}

static enum hv_rc follow(struct cli *cli, uint64_t next)
{
	_cleanup_(steady_end) struct steady steady;

	steady_begin(&steady, on_away, NULL);
	for (;;) {
		_cleanup_response_ Hv__ControlResponse *response = NULL;
		Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
		Hv__EventsRequest events = HV__EVENTS_REQUEST__INIT;

		events.since = next;
		events.wait_ms = FOLLOW_MS;
		request.body_case = HV__CONTROL_REQUEST__BODY_EVENTS;
		request.events = &events;
		if (steady_ask(&steady, cli, &request, FOLLOW_MS, &response) != STEADY_ANSWERED)
			return cli_fail(cli, steady.rc, "hvcluster status", "the events end here: %s", steady.why);
		if (response->rc != HV_OK || response->body_case != HV__CONTROL_RESPONSE__BODY_EVENTS)
			return cli_fail(cli, response->rc ? (enum hv_rc)response->rc : HV_PROTOCOL, response->hint,
					"the events end here: %s", *response->text ? response->text : hv_rc_text(response->rc));
		show_batch(cli, response);
		if (ferror(cli->out.file))
			return HV_OK; /* cli_main() says it */
		next = response->events->next;
	}
}

enum hv_rc cmd_events(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__EventsRequest events = HV__EVENTS_REQUEST__INIT;
	uint32_t lines = cli->options.follow ? LINES_FOLLOW : LINES;
	enum hv_rc rc;

	events.tail = true;
	events.limit = cli->options.given & OPTION(LINES) ? cli->options.lines : lines;
	request.body_case = HV__CONTROL_REQUEST__BODY_EVENTS;
	request.events = &events;
	rc = cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_EVENTS, &response);
	if (rc != HV_OK)
		return rc;
	if (cli->options.json && !cli->options.follow) {
		json_show(cli, response, json_of(&response->events->base), false);
		return HV_OK;
	}
	show_stale(cli, response);
	show_batch(cli, response);
	return cli->options.follow ? follow(cli, response->events->next) : HV_OK;
}
