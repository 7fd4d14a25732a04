/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * steady.h - a question that is asked again and again, and outlives restarts of clusterd.
 *
 * For what only looks (operations, events), never for commands: a command must not be sent twice.
 */
#ifndef HV_CLI_STEADY_H
#define HV_CLI_STEADY_H

#include "cli/cli.h"

#define STEADY_AWAY_MS                                                                             \
	30000 /* how long clusterd may be away: longer than a restart and catching up take */

enum steady_result {
	STEADY_ANSWERED,
	STEADY_AWAY, /* clusterd was away for too long, or speaks another language: rc and why say
			it */
	STEADY_LATE, /* the deadline passed meanwhile */
};

struct steady {
	uint64_t deadline_ms; /* of the monotonic clock; 0: none */
	void (*on_away)(struct cli *cli,
			void *data); /* once for each time that clusterd goes away */
	void *data;
	uint64_t away_since_ms; /* 0: it answers */
	unsigned away_limit_ms;
	enum hv_rc rc;
	char *why;
};

void steady_begin(struct steady *s, void (*on_away)(struct cli *cli, void *data), void *data);
void steady_end(struct steady *s);
/* The daemon was asked to wait for `wait_ms` at most. The answer may still be a refusal (rc). */
enum steady_result steady_ask(struct steady *s, struct cli *cli, Hv__ControlRequest *request,
			      unsigned wait_ms, Hv__ControlResponse **ret);

#endif
