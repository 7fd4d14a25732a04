/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.h - how far an operation is: a bar that is drawn again and again on a terminal, a line
 * for each step anywhere else.
 */
#ifndef HV_CLI_PROGRESS_H
#define HV_CLI_PROGRESS_H

#include "cli/output.h"
#include "proto/control.pb-c.h"

struct progress {
	const struct out *out;
	bool silent; /* no terminal to draw on, and nobody who reads lines */
	bool drawn;  /* a bar stands on the terminal's last line */
	uint64_t began_ms;
	char *last; /* the last plain line */
};

void progress_begin(struct progress *p, const struct out *out, bool silent, uint64_t now_ms);
void progress_show(struct progress *p, const char *title, const Hv__OpInfo *op, uint64_t now_ms);
/* Takes the bar away, so that other lines can be written. */
void progress_clear(struct progress *p);
void progress_end(struct progress *p);

/* What progress_show() draws, `width` columns at most (0: no limit); the caller frees. */
char *progress_bar(const char *title, const Hv__OpInfo *op, uint64_t elapsed_ms, unsigned width,
		   bool utf8);
/* What progress_show() prints elsewhere: without what changes all the time; NULL when that is
 * nothing. The caller frees. */
char *progress_line(const char *title, const Hv__OpInfo *op);

#endif
