/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal.h - every change of state in one line of one form: object, from, to, cause. PURE.
 * The last HV_MAX_JOURNAL lines are kept.
 */
#ifndef HV_RESOURCE_JOURNAL_H
#define HV_RESOURCE_JOURNAL_H

#include "resource/cluster_priv.h"

void journal(struct cluster *c, enum severity sev, const char *what, const char *name,
	     const char *from, const char *to, const char *cause);
/* The same with a reason as the cause. */
void journal_why(struct cluster *c, enum severity sev, const char *what, const char *name,
		 const char *from, const char *to, struct why why);
/* A line read back, for decode: takes the strings over. */
void journal_restore(struct cluster *c, struct journal_line *line);

#endif
