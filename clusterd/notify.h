/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * notify.h - tells the service manager how we are (sd_notify(3)): READY, STATUS, STOPPING,
 * WATCHDOG. Without a service manager all of it does nothing.
 */
#ifndef HV_CLUSTERD_NOTIFY_H
#define HV_CLUSTERD_NOTIFY_H

#include "proto/base.h"

#include <qb/qbloop.h>

struct notify;
struct notify *notify_new(qb_loop_t *loop);
void notify_ready(struct notify *n);
/* Said only when it differs from what was said last. */
void notify_status(struct notify *n, const char *fmt, ...) _printf_(2, 3);
void notify_stopping(struct notify *n);
void notify_free(struct notify *n);

#endif
