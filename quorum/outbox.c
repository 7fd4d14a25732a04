/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/outbox.h"

#include <string.h>

struct out_item {
	struct out_item *next;
	struct rl_output out;
	uint8_t *owned;
	struct blob *blob;     /* snapshot, or the entry's data */
	struct rl_entry entry; /* APPLY, and the usual WRITE of one entry */
	struct rl_entry *many; /* WRITE of several */
	struct blob **many_blobs;
	struct rl_write write;
};

void outbox_init(struct outbox *o)
{
	memset(o, 0, sizeof(*o));
}

static void item_free(struct out_item *it)
{
	if (!it)
		return;
	for (size_t i = 0; it->many_blobs && i < it->write.n_entries; i++)
		blob_unref(it->many_blobs[i]);
	free(it->many_blobs);
	free(it->many);
	blob_unref(it->blob);
	free(it->owned);
	free(it);
}

void outbox_done(struct outbox *o)
{
	while (o->first) {
		struct out_item *it = o->first;

		o->first = it->next;
		item_free(it);
	}
	item_free(o->given);
	memset(o, 0, sizeof(*o));
}

bool outbox_empty(const struct outbox *o)
{
	return !o->first;
}

bool outbox_take(struct outbox *o, struct rl_output *ret)
{
	item_free(o->given);
	o->given = o->first;
	if (!o->given)
		return false;
	o->first = o->given->next;
	if (!o->first)
		o->last = NULL;
	*ret = o->given->out;
	return true;
}

static struct out_item *add(struct outbox *o, enum rl_out_kind kind)
{
	struct out_item *it = hv_xcalloc(1, sizeof(*it));

	it->out.kind = kind;
	if (o->last)
		o->last->next = it;
	else
		o->first = it;
	o->last = it;
	return it;
}

void outbox_multicast(struct outbox *o, uint8_t *data, size_t len)
{
	struct out_item *it = add(o, RL_OUT_MULTICAST);

	it->owned = data;
	it->out.data = data;
	it->out.len = len;
}

void outbox_gossip(struct outbox *o, hv_node_id node, uint8_t *data, size_t len)
{
	struct out_item *it = add(o, RL_OUT_GOSSIP);

	it->owned = data;
	it->out.data = data;
	it->out.len = len;
	it->out.node = node;
}

void outbox_install(struct outbox *o, uint64_t index, struct blob *snapshot)
{
	struct out_item *it = add(o, RL_OUT_INSTALL);

	it->out.index = index;
	if (!snapshot)
		return;
	it->blob = blob_ref(snapshot);
	it->out.data = snapshot->data;
	it->out.len = snapshot->len;
}

static struct rl_entry entry_out(uint64_t index, const struct log_entry *en)
{
	struct rl_entry r = {
	    .epoch = en->epoch, .index = index, .type = en->type, .fenced_node = en->fenced_node};

	r.len = en->blob->len;
	r.data = en->blob->data;
	return r;
}

void outbox_apply(struct outbox *o, uint64_t index, const struct log_entry *en)
{
	struct out_item *it = add(o, RL_OUT_APPLY);

	it->blob = blob_ref(en->blob);
	it->entry = entry_out(index, en);
	it->out.entry = &it->entry;
}

void outbox_signal(struct outbox *o, enum rl_out_kind kind)
{
	add(o, kind);
}

static void write_many(struct out_item *it, const struct entries *log, uint64_t first, size_t n)
{
	it->many = hv_xcalloc(n, sizeof(*it->many));
	it->many_blobs = hv_xcalloc(n, sizeof(*it->many_blobs));
	for (size_t i = 0; i < n; i++) {
		const struct log_entry *en = entries_at(log, first + i);

		it->many_blobs[i] = blob_ref(en->blob);
		it->many[i] = entry_out(first + i, en);
	}
	it->write.entries = it->many;
}

void outbox_write(struct outbox *o, const struct rl_write *w, const struct entries *log,
		  uint64_t first, uint64_t last)
{
	struct out_item *it = add(o, RL_OUT_WRITE);

	it->write = *w;
	it->out.write = &it->write;
	it->write.n_entries = last >= first ? (size_t)(last - first + 1) : 0;
	if (w->set_base && log->snapshot) {
		it->blob = blob_ref(log->snapshot);
		it->write.snapshot = log->snapshot->data;
		it->write.snapshot_len = log->snapshot->len;
	}
	if (it->write.n_entries == 1 && !it->blob) {
		it->blob = blob_ref(entries_at(log, first)->blob);
		it->entry = entry_out(first, entries_at(log, first));
		it->write.entries = &it->entry;
	} else if (it->write.n_entries) {
		write_many(it, log, first, it->write.n_entries);
	}
}
