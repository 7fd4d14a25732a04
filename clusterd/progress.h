/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.h - how far running operations are, as their executors gossip. For display only, not
 * part of the state: it may be old or missing.
 */
#ifndef HV_CLUSTERD_PROGRESS_H
#define HV_CLUSTERD_PROGRESS_H

#include "resource/cluster.h"

#define PROGRESS_MAX 256 /* operations remembered; older ones give way */

struct progress {
	struct progress_item {
		hv_op_id op;
		uint32_t permille;
		char text[96];
	} items[PROGRESS_MAX];
	size_t next;
};
void progress_set(struct progress *p, hv_op_id op, uint32_t permille, const char *text);
/* NULL: nothing is known. */
const struct progress_item *progress_find(const struct progress *p, hv_op_id op);

#endif
