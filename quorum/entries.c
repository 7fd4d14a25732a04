/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/entries.h"

#include "proto/log.pb-c.h"

#include <string.h>

static const struct rl_epoch no_epoch;

struct blob *blob_take(uint8_t *data, size_t len)
{
	struct blob *b = hv_xcalloc(1, sizeof(*b));

	b->refs = 1;
	b->len = len;
	b->data = data;
	return b;
}

/* One piece of memory for both: entries are many and small. */
struct blob *blob_copy(const uint8_t *data, size_t len)
{
	struct blob *b = hv_xcalloc(1, sizeof(*b) + len);

	b->refs = 1;
	b->len = len;
	b->data = (uint8_t *)(b + 1);
	if (len)
		memcpy(b->data, data, len);
	return b;
}

struct blob *blob_ref(struct blob *b)
{
	hv_assert(b->refs > 0);
	b->refs++;
	return b;
}

void blob_unref(struct blob *b)
{
	if (!b)
		return;
	hv_assert(b->refs > 0);
	if (--b->refs)
		return;
	if (b->data != (uint8_t *)(b + 1))
		free(b->data);
	free(b);
}

static void lineage_from_base(struct entries *e)
{
	struct lineage *l = &e->lineage;

	l->current = e->base_epoch;
	l->effective = e->base_effective;
	l->unknown = rl_epoch_cmp(&e->base_epoch, &e->base_effective) != 0;
	l->effective_index = l->unknown ? 0 : e->base_index;
	l->barrier.n = 0;
}

/* What a view entry that cannot be read holds is not guessed: its epoch never becomes effective. */
static void lineage_view(struct lineage *l, const struct log_entry *en)
{
	Hv__Event *ev = hv__event__unpack(NULL, en->blob->len, en->blob->data);

	l->current = en->epoch;
	l->barrier.n = 0;
	l->unknown = !ev || ev->body_case != HV__EVENT__BODY_VIEW;
	if (!l->unknown && ev->view->minority)
		l->unknown = !node_set_from(&l->barrier, ev->view->lost, ev->view->n_lost);
	if (ev)
		hv__event__free_unpacked(ev, NULL);
}

static void lineage_add(struct lineage *l, const struct log_entry *en, uint64_t index)
{
	if (en->type == RL_VIEW)
		lineage_view(l, en);
	else if (en->type == RL_FENCE && en->fenced_node)
		node_set_remove(&l->barrier, en->fenced_node);
	if (!l->unknown && !l->barrier.n && rl_epoch_cmp(&en->epoch, &l->current) == 0)
		l->effective = l->current;
	if (rl_epoch_cmp(&en->epoch, &l->effective) == 0)
		l->effective_index = index;
}

static void lineage_rebuild(struct entries *e)
{
	lineage_from_base(e);
	for (size_t i = 0; i < e->count; i++)
		lineage_add(&e->lineage, &e->items[e->head + i], e->base_index + i + 1);
}

void entries_init(struct entries *e, const struct rl_boot *boot)
{
	memset(e, 0, sizeof(*e));
	if (boot && !boot->damaged) {
		e->base_index = boot->base_index;
		e->base_epoch = boot->base_epoch;
		e->base_effective = boot->base_effective;
		if (boot->base_index)
			e->snapshot = blob_copy(boot->snapshot, boot->snapshot_len);
	}
	lineage_from_base(e);
	for (size_t i = 0; boot && !boot->damaged && i < boot->n_entries; i++) {
		const struct rl_entry *b = &boot->entries[i];
		struct log_entry en = {b->epoch, b->type, b->fenced_node,
				       blob_copy(b->data, b->len)};

		hv_assert(b->index == e->base_index + i + 1);
		entries_append(e, &en);
		blob_unref(en.blob);
	}
}

static void drop_items(struct entries *e)
{
	for (size_t i = 0; i < e->count; i++)
		blob_unref(e->items[e->head + i].blob);
	e->count = e->head = 0;
}

void entries_done(struct entries *e)
{
	drop_items(e);
	blob_unref(e->snapshot);
	free(e->items);
	memset(e, 0, sizeof(*e));
}

uint64_t entries_last_index(const struct entries *e)
{
	return e->base_index + e->count;
}

struct rl_epoch entries_last_epoch(const struct entries *e)
{
	return e->count ? e->items[e->head + e->count - 1].epoch : e->base_epoch;
}

struct rl_epoch entries_effective(const struct entries *e)
{
	return e->lineage.effective;
}

uint64_t entries_effective_index(const struct entries *e)
{
	return e->lineage.effective_index;
}

const struct log_entry *entries_at(const struct entries *e, uint64_t index)
{
	hv_assert(index > e->base_index && index <= entries_last_index(e));
	return &e->items[e->head + (size_t)(index - e->base_index - 1)];
}

bool entries_epoch_at(const struct entries *e, uint64_t index, struct rl_epoch *ret)
{
	if (index < e->base_index || index > entries_last_index(e))
		return false;
	*ret = index == e->base_index ? e->base_epoch : entries_at(e, index)->epoch;
	return true;
}

/* Room at the end: first what compaction left free at the front. */
static void make_room(struct entries *e)
{
	if (e->head + e->count < e->cap)
		return;
	if (e->head > e->cap / 2) {
		memmove(e->items, e->items + e->head, e->count * sizeof(e->items[0]));
		e->head = 0;
		return;
	}
	e->cap = e->cap ? e->cap * 2 : 64;
	e->items = hv_xrealloc(e->items, e->cap, sizeof(e->items[0]));
}

void entries_append(struct entries *e, const struct log_entry *en)
{
	make_room(e);
	e->items[e->head + e->count] = *en;
	blob_ref(en->blob);
	e->count++;
	lineage_add(&e->lineage, en, entries_last_index(e));
}

void entries_truncate(struct entries *e, uint64_t keep)
{
	hv_assert(keep >= e->base_index);
	if (keep >= entries_last_index(e))
		return;
	while (entries_last_index(e) > keep)
		blob_unref(e->items[e->head + --e->count].blob);
	lineage_rebuild(e);
}

void entries_compact(struct entries *e, uint64_t index, struct blob *snapshot)
{
	size_t drop = (size_t)(index - e->base_index);
	struct rl_epoch epoch;

	hv_assert(index > e->base_index && entries_epoch_at(e, index, &epoch));
	for (size_t i = 0; i < drop; i++)
		blob_unref(e->items[e->head + i].blob);
	e->head += drop;
	e->count -= drop;
	e->base_index = index;
	e->base_epoch = e->base_effective = epoch;
	blob_unref(e->snapshot);
	e->snapshot = snapshot;
	if (!e->count)
		e->head = 0;
}

void entries_reset(struct entries *e, uint64_t index, const struct rl_epoch *epoch,
		   const struct rl_epoch *effective, struct blob *snapshot)
{
	drop_items(e);
	blob_unref(e->snapshot);
	e->snapshot = snapshot;
	e->base_index = index;
	e->base_epoch = *epoch;
	e->base_effective = *effective;
	lineage_from_base(e);
}

size_t entries_runs(const struct entries *e, struct epoch_run ret[ENTRIES_MAX_RUNS])
{
	size_t n = 0;

	for (uint64_t index = entries_last_index(e);; index--) {
		struct rl_epoch epoch = no_epoch;

		entries_epoch_at(e, index, &epoch);
		if (index == 0 || n == ENTRIES_MAX_RUNS)
			break;
		if (n == 0 || rl_epoch_cmp(&ret[n - 1].epoch, &epoch) != 0)
			ret[n++] = (struct epoch_run){epoch, index};
		if (index == e->base_index)
			break;
	}
	return n;
}

/* Our last entry of `epoch` at or below `limit`; false if there is none. */
static bool last_of_epoch(const struct entries *e, const struct rl_epoch *epoch, uint64_t limit,
			  uint64_t *ret)
{
	uint64_t last = entries_last_index(e);

	for (uint64_t index = limit < last ? limit : last; index >= e->base_index && index > 0;
	     index--) {
		struct rl_epoch here = no_epoch;
		int c;

		entries_epoch_at(e, index, &here);
		c = rl_epoch_cmp(&here, epoch);
		if (c == 0)
			*ret = index;
		if (c <= 0)
			return c == 0;
	}
	return false;
}

bool entries_common(const struct entries *e, const struct epoch_run *runs, size_t n,
		    uint64_t *ret_index)
{
	for (size_t i = 0; i < n; i++)
		if (last_of_epoch(e, &runs[i].epoch, runs[i].last_index, ret_index))
			return true;
	return false;
}
