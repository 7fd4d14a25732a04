/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/steady.h"

#include <jansson.h>

#define LINES 50
#define LINES_FOLLOW 10
#define FOLLOW_MS 10000 /* one long-poll; libqb notices a dead server meanwhile */

static void show_lines(struct cli *cli, const Hv__ControlResponse *response)
{
	const Hv__EventsResponse *r = response->events;

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
			return cli_fail(cli, steady.rc, "hvcluster status",
					"the events end here: %s", steady.why);
		if (response->rc != HV_OK ||
		    response->body_case != HV__CONTROL_RESPONSE__BODY_EVENTS)
			return cli_fail(cli, response->rc ? (enum hv_rc)response->rc : HV_PROTOCOL,
					response->hint, "the events end here: %s",
					*response->text ? response->text
							: hv_rc_text(response->rc));
		if (response->events->gap)
			cli_note(cli, "some events are missing here: more happened than is kept");
		show_lines(cli, response);
		if (ferror(cli->out.file))
			return HV_OK; /* cli_main() says it */
		next = response->events->next;
	}
}

static enum hv_rc ask_page(struct cli *cli, Hv__EventsRequest *events, Hv__ControlResponse **ret)
{
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;

	request.body_case = HV__CONTROL_REQUEST__BODY_EVENTS;
	request.events = events;
	return cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_EVENTS, ret);
}

/* Where the last `lines` events begin. An answer holds so many only: the rest comes page after
 * page. */
static enum hv_rc find_start(struct cli *cli, uint64_t lines, uint64_t *ret_since,
			     Hv__ControlResponse **ret)
{
	Hv__EventsRequest events = HV__EVENTS_REQUEST__INIT;
	enum hv_rc rc;
	uint64_t next, first;

	events.tail = true;
	events.limit = 1;
	rc = ask_page(cli, &events, ret);
	if (rc != HV_OK)
		return rc;
	next = (*ret)->events->next;
	first = next > lines ? next - lines : 0;
	*ret_since = lines ? first : next;
	return HV_OK;
}

/* From *since on, as far as there are any now; shown at once, or with `array` collected there. */
static enum hv_rc read_pages(struct cli *cli, uint64_t *since, json_t *array)
{
	for (;;) {
		_cleanup_response_ Hv__ControlResponse *response = NULL;
		Hv__EventsRequest events = HV__EVENTS_REQUEST__INIT;
		const Hv__EventsResponse *r;
		enum hv_rc rc;

		events.since = *since;
		rc = ask_page(cli, &events, &response);
		if (rc != HV_OK)
			return rc;
		r = response->events;
		if (!r->n_events)
			return HV_OK;
		for (size_t i = 0; array && i < r->n_events; i++)
			json_array_append_new(array, json_of(&r->events[i]->base));
		if (!array)
			show_lines(cli, response);
		*since = r->next;
	}
}

enum hv_rc cmd_events(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	uint32_t lines = cli->options.follow ? LINES_FOLLOW : LINES;
	json_t *array = NULL, *object;
	uint64_t since = 0;
	enum hv_rc rc;

	if (cli->options.given & OPTION(LINES))
		lines = cli->options.lines;
	rc = find_start(cli, lines, &since, &response);
	if (rc != HV_OK)
		return rc;
	if (cli->options.json && !cli->options.follow)
		array = json_array();
	show_stale(cli, response);
	rc = read_pages(cli, &since, array);
	if (array) {
		object = json_pack("{s:o,s:I}", "events", array, "next", (json_int_t)since);
		if (rc == HV_OK)
			json_show(cli, response, object, false);
		else
			json_decref(object);
	}
	return rc == HV_OK && cli->options.follow ? follow(cli, since) : rc;
}
