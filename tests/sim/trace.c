/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trace: one line an event, in fixed columns.
 *
 *        time  lanes    what
 *   12.345678   C >A d  node 2 applies 17: ...
 *
 * One lane a host: its state now, and `>` before the one that the line is about.
 *   -  no power            o  power, no clusterd     d  no view             A  active
 *   H  hangs               P  clusterd is paused     n  no quorum           C  active, coordinator
 *                          h  looks for an epoch     a  activating          B  active, behind a
 * barrier s  syncing                l  left out
 */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <string.h>

static char lane(const struct host *h)
{
	static const char phases[] = {
	    [RL_DOWN] = 'd',	[RL_NO_QUORUM] = 'n', [RL_HELLO] = 'h',	   [RL_ACTIVATING] = 'a',
	    [RL_SYNCING] = 's', [RL_ACTIVE] = 'A',    [RL_LEFT_OUT] = 'l',
	};
	const struct rl_status *st;

	if (!h->power)
		return '-';
	if (h->hung)
		return 'H';
	if (!h->proc.up || !h->proc.log)
		return 'o';
	if (h->proc.paused)
		return 'P';
	st = rl_status(h->proc.log);
	if (st->phase == RL_ACTIVE && st->barrier)
		return 'B';
	return st->phase == RL_ACTIVE && st->coordinator == h->id ? 'C' : phases[st->phase];
}

/* "node 3 ...", "host 3 ...": 3; 0: about nobody or all. */
static unsigned about(const char *text)
{
	unsigned id = 0;

	if (strncmp(text, "node ", 5) != 0 && strncmp(text, "host ", 5) != 0)
		return 0;
	for (text += 5; *text >= '0' && *text <= '9' && id < 1000; text++)
		id = id * 10 + (unsigned)(*text - '0');
	return id;
}

void sim_trace(struct sim *s, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	unsigned id;
	va_list ap;

	if (!s->trace)
		return;
	va_start(ap, fmt);
	hv_assert(vasprintf(&text, fmt, ap) >= 0);
	va_end(ap);
	id = about(text);
	fprintf(s->trace, "%4llu.%06llu ", (unsigned long long)(s->now_us / SEC),
		(unsigned long long)(s->now_us % SEC));
	for (size_t i = 0; i < s->n; i++)
		fprintf(s->trace, "%c%c", s->hosts[i].id == id ? '>' : ' ', lane(&s->hosts[i]));
	fprintf(s->trace, "  %s\n", text);
}
