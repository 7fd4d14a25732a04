/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/progress.h"

#include <stdio.h>

const struct progress_item *progress_find(const struct progress *p, hv_op_id op)
{
	for (size_t i = 0; op && i < PROGRESS_MAX; i++) {
		if (p->items[i].op == op)
			return &p->items[i];
	}
	return NULL;
}

void progress_set(struct progress *p, hv_op_id op, uint32_t permille, const char *text)
{
	struct progress_item *item = (struct progress_item *)progress_find(p, op);

	if (!item) {
		item = &p->items[p->next];
		p->next = (p->next + 1) % PROGRESS_MAX;
	}
	item->op = op;
	item->permille = permille > 1000 ? 1000 : permille;
	snprintf(item->text, sizeof(item->text), "%s", text ? text : "");
}
