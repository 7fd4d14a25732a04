/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * logging.h - the daemon's log and its blackbox.
 *
 * libqb does both: lines go to stderr or to syslog, and everything, debug included, into a ring in
 * memory (the blackbox), which is written to DIR/clusterd.blackbox when an assertion of ours fails,
 * when a fatal signal arrives, and on SIGUSR1. Read it with qb-blackbox(8).
 *
 * One line for each change of state: object, old, new, cause. No line ever holds a fence secret.
 */
#ifndef HV_CLUSTERD_LOGGING_H
#define HV_CLUSTERD_LOGGING_H

#include "proto/base.h"

#include <qb/qblog.h>

#define log_error(...) qb_log(LOG_ERR, __VA_ARGS__)
#define log_warning(...) qb_log(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) qb_log(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) qb_log(LOG_INFO, __VA_ARGS__)
#define log_debug(...) qb_log(LOG_DEBUG, __VA_ARGS__)

/* `dir` is where the blackbox is dumped; it is copied. */
void logging_init(bool to_stderr, int level, const char *dir);
/* Writes the blackbox. Never fails loudly: it runs when things are bad already. */
void logging_dump(const char *why);
void logging_done(void);

#endif
