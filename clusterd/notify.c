/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

struct notify {
	qb_loop_t *loop;
	uint64_t watchdog_us; /* 0: not asked for */
	qb_loop_timer_handle timer;
	char status[256];
};

/* The loop turns: that is what the watchdog is about. */
static void on_watchdog(void *user)
{
	struct notify *n = user;

	sd_notify(0, "WATCHDOG=1");
	qb_loop_timer_add(n->loop, QB_LOOP_HIGH, n->watchdog_us / 2 * 1000, n, on_watchdog,
			  &n->timer);
}

struct notify *notify_new(qb_loop_t *loop)
{
	struct notify *n = hv_xcalloc(1, sizeof(*n));

	n->loop = loop;
	if (sd_watchdog_enabled(0, &n->watchdog_us) > 0)
		on_watchdog(n);
	return n;
}

void notify_ready(struct notify *n)
{
	sd_notify(0, "READY=1");
}

void notify_status(struct notify *n, const char *fmt, ...)
{
	char text[sizeof(n->status)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (strcmp(text, n->status) == 0)
		return;
	memcpy(n->status, text, sizeof(text));
	sd_notifyf(0, "STATUS=%s", text);
}

void notify_stopping(struct notify *n)
{
	sd_notify(0, "STOPPING=1");
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	if (n->timer)
		qb_loop_timer_del(n->loop, n->timer);
	free(n);
}
