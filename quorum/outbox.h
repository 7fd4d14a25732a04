/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * outbox.h - outputs of the log core that wait to be carried out, in order.
 *
 * PURE. Holds references to what the outputs point to until the next one is taken.
 */
#ifndef HV_QUORUM_OUTBOX_H
#define HV_QUORUM_OUTBOX_H

#include "quorum/entries.h"

struct out_item;
struct outbox {
	struct out_item *first, *last, *given;
};

void outbox_init(struct outbox *o);
void outbox_done(struct outbox *o);
bool outbox_empty(const struct outbox *o);
bool outbox_take(struct outbox *o, struct rl_output *ret);

/* Takes `data` (malloc'ed). */
void outbox_multicast(struct outbox *o, uint8_t *data, size_t len);
void outbox_gossip(struct outbox *o, hv_node_id node, uint8_t *data, size_t len);
/* Reference of its own; NULL: the empty state. */
void outbox_install(struct outbox *o, uint64_t index, struct blob *snapshot);
void outbox_apply(struct outbox *o, uint64_t index, const struct log_entry *en);
void outbox_signal(struct outbox *o, enum rl_out_kind kind);
/*
 * A write with entries first..last of `log` (none if first > last) and, with w->set_base, its
 * snapshot. `w` gives all other fields.
 */
void outbox_write(struct outbox *o, const struct rl_write *w, const struct entries *log,
		  uint64_t first, uint64_t last);

#endif
