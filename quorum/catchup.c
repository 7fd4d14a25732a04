/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a laggard gets what it lacks. It asks (SyncRequest: where its epochs end); the donor sends
 * the entries after the last common one, or its snapshot and all entries, in chunks that everyone
 * hears. The laggard puts them aside and replaces its log in one write when all are there: what it
 * acked before stays durable until then (doc/protocol.md, "Catching up").
 */
#include "quorum/replog_priv.h"

#include "proto/mutant.h"

#include <string.h>

#define ENTRY_OVERHEAD 64 /* of an entry in a chunk, besides its data */
#define WINDOW 2	  /* chunks under way */

static void drop_entries(struct log_entry **items, size_t *n, size_t *cap)
{
	for (size_t i = 0; i < *n; i++)
		blob_unref((*items)[i].blob);
	free(*items);
	*items = NULL;
	*n = *cap = 0;
}

static void push_entry(struct log_entry **items, size_t *n, size_t *cap, const struct log_entry *en)
{
	if (*n == *cap) {
		*cap = *cap ? *cap * 2 : 64;
		*items = hv_xrealloc(*items, *cap, sizeof(**items));
	}
	(*items)[*n] = *en;
	blob_ref(en->blob);
	(*n)++;
}

/* ---- laggard */

static void transfer_drop(struct taking *t)
{
	t->running = false;
	free(t->state);
	t->state = NULL;
	t->state_len = t->state_have = 0;
	drop_entries(&t->got, &t->n_got, &t->cap_got);
}

static void giving_stop(struct giving *g)
{
	for (size_t i = 0; i < g->n; i++)
		blob_unref(g->items[i].blob);
	free(g->items);
	blob_unref(g->state);
	memset(g, 0, sizeof(*g));
}

void catchup_stop(struct replog *log)
{
	transfer_drop(&log->taking);
	drop_entries(&log->taking.held, &log->taking.n_held, &log->taking.cap_held);
	memset(&log->taking, 0, sizeof(log->taking));
	giving_stop(&log->giving);
}

static void request_send(struct replog *log)
{
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__SyncRequest m = HV__SYNC_REQUEST__INIT;
	Hv__EpochId id = peer_epoch_out(&log->ep.id), epochs[ENTRIES_MAX_RUNS];
	Hv__EpochRun runs[ENTRIES_MAX_RUNS], *pointers[ENTRIES_MAX_RUNS];
	struct epoch_run own[ENTRIES_MAX_RUNS];

	m.n_runs = log->needs_state ? 0 : entries_runs(&log->log, own);
	for (size_t i = 0; i < m.n_runs; i++) {
		hv__epoch_run__init(&runs[i]);
		epochs[i] = peer_epoch_out(&own[i].epoch);
		runs[i].epoch = &epochs[i];
		runs[i].last_index = own[i].last_index;
		pointers[i] = &runs[i];
	}
	m.epoch = &id;
	m.runs = pointers;
	msg.body_case = HV__PEER_MESSAGE__BODY_SYNC_REQUEST;
	msg.sync_request = &m;
	rl_send(log, &msg);
	log->taking.asked_us = log->now_us;
}

void catchup_begin(struct replog *log)
{
	log->taking.on = true;
	log->taking.moved_us = log->now_us;
	request_send(log);
}

void catchup_hold(struct replog *log, const struct log_entry *en)
{
	struct taking *t = &log->taking;

	if (t->n_held == BUFFER_MAX) {
		hello_leave_epoch(log);
		return;
	}
	push_entry(&t->held, &t->n_held, &t->cap_held, en);
}

/* Anyone can use a snapshot; entries are for those who hold the one before them. */
static bool usable(const struct replog *log, const Hv__SyncChunk *m)
{
	struct rl_epoch here, common = peer_epoch_in(m->common_epoch);

	if (m->snapshot || MUTANT(suffix_of_another_log))
		return true;
	return !log->needs_state && entries_epoch_at(&log->log, m->common_index, &here) &&
	       rl_epoch_cmp(&here, &common) == 0;
}

static void transfer_start(struct replog *log, const Hv__SyncChunk *m)
{
	struct taking *t = &log->taking;

	transfer_drop(t);
	if (m->part != 0 || !usable(log, m))
		return;
	t->running = true;
	t->transfer = m->transfer;
	t->parts = m->parts;
	t->next_part = 0;
	t->snapshot = m->snapshot;
	t->base_index = m->base_index;
	t->base_epoch = peer_epoch_in(m->base_epoch);
	t->base_effective = peer_epoch_in(m->base_effective);
	t->common_index = m->common_index;
	t->last_index = m->last_index;
	t->first_index = m->first_index;
	t->state_len = m->snapshot ? m->state_len : 0;
	t->state = hv_xcalloc(1, (size_t)t->state_len);
}

static uint64_t transfer_after(const struct taking *t)
{
	return t->snapshot ? t->base_index : t->common_index;
}

/* false: the chunk does not fit what came before it. */
static bool transfer_add(struct taking *t, const Hv__SyncChunk *m)
{
	if (m->part != t->next_part || m->parts != t->parts ||
	    m->state.len > t->state_len - t->state_have)
		return false;
	if (m->state.len)
		memcpy(t->state + t->state_have, m->state.data, m->state.len);
	t->state_have += m->state.len;
	for (size_t i = 0; i < m->n_entries; i++) {
		const Hv__LogEntry *e = m->entries[i];
		struct log_entry en = {peer_epoch_in(e->epoch), e->type, e->fenced_node, NULL};

		if (e->index != transfer_after(t) + t->n_got + 1)
			return false;
		if (t->n_got && rl_epoch_cmp(&en.epoch, &t->got[t->n_got - 1].epoch) < 0)
			return false;
		en.blob = blob_copy(e->data.data, e->data.len);
		push_entry(&t->got, &t->n_got, &t->cap_got, &en);
		blob_unref(en.blob);
	}
	t->next_part++;
	t->progress++;
	return true;
}

static bool transfer_whole(const struct taking *t)
{
	return t->state_have == t->state_len && transfer_after(t) + t->n_got == t->last_index &&
	       t->first_index > 0 && t->first_index <= t->last_index + 1;
}

static void done_send(struct replog *log)
{
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__SyncDone m = HV__SYNC_DONE__INIT;
	Hv__EpochId id = peer_epoch_out(&log->ep.id);

	m.epoch = &id;
	m.node = log->self;
	m.last_index = entries_last_index(&log->log);
	msg.body_case = HV__PEER_MESSAGE__BODY_SYNC_DONE;
	msg.sync_done = &m;
	rl_send(log, &msg);
}

/* The mutant: a write that empties the log, and the next one brings all of it. */
static void empty_first(struct replog *log, struct rl_write *w)
{
	struct rl_write none = {.set_base = true, .drop_all = true};

	rl_write(log, &none, 1, 0);
	if (w->set_base)
		return;
	w->truncate = false;
	w->set_base = w->drop_all = true;
	w->base_index = log->log.base_index;
	w->base_epoch = log->log.base_epoch;
	w->base_effective = log->log.base_effective;
}

/* The log becomes the donor's, in memory now, on disk by one atomic write. */
static void replace_log(struct replog *log, struct taking *t)
{
	struct rl_write w = {0};
	struct blob *state =
	    t->base_index ? blob_take(steal_ptr(t->state), (size_t)t->state_len) : NULL;

	if (t->snapshot) {
		entries_reset(&log->log, t->base_index, &t->base_epoch, &t->base_effective, state);
		w.set_base = w.drop_all = true;
		w.base_index = t->base_index;
		w.base_epoch = t->base_epoch;
		w.base_effective = t->base_effective;
	} else {
		blob_unref(state);
		entries_truncate(&log->log, t->common_index);
		w.truncate = true;
		w.keep_index = t->common_index;
	}
	for (size_t i = 0; i < t->n_got; i++)
		entries_append(&log->log, &t->got[i]);
	for (size_t i = 0; i < t->n_held && !MUTANT(held_entries_lost); i++)
		if (t->first_index + i > t->last_index)
			entries_append(&log->log, &t->held[i]);
	if (MUTANT(replace_not_atomic))
		empty_first(log, &w);
	log->ep.first_index = t->first_index;
	log->ep.ack_from_write = rl_write(
	    log, &w, (MUTANT(replace_not_atomic) ? log->log.base_index : transfer_after(t)) + 1,
	    entries_last_index(&log->log));
	if (t->snapshot || (log->applied_index > t->common_index && !MUTANT(no_rewind)))
		commit_rewind(log);
}

static void taking_finish(struct replog *log)
{
	struct member *self = commit_member(log, log->self);

	replace_log(log, &log->taking);
	transfer_drop(&log->taking);
	drop_entries(&log->taking.held, &log->taking.n_held, &log->taking.cap_held);
	log->taking.on = false;
	log->needs_state = false;
	log->status_dirty = true;
	if (self)
		self->synced = true;
	done_send(log);
	proposals_flush(log);
	commit_advance(log);
}

static void take_chunk(struct replog *log, const Hv__SyncChunk *m)
{
	struct taking *t = &log->taking;

	if (!t->running || t->transfer != m->transfer)
		transfer_start(log, m);
	if (t->running && !transfer_add(t, m))
		transfer_drop(t);
	else if (t->running)
		t->moved_us = log->now_us;
	if (t->running && t->next_part == t->parts) {
		if (transfer_whole(t)) {
			taking_finish(log);
			return;
		}
		transfer_drop(t);
	}
	/* One that was not for us is over: the donor is free. */
	if (!t->running && m->part + 1 == m->parts)
		request_send(log);
}

/* ---- donor */

static size_t entry_size(const struct log_entry *en)
{
	return en->blob->len + ENTRY_OVERHEAD;
}

/* How many entries from `pos` go into one chunk; at least one, if there are any. */
static size_t chunk_entries(const struct giving *g, size_t pos)
{
	size_t n = 0, bytes = 0;

	while (pos + n < g->n &&
	       (n == 0 || bytes + entry_size(&g->items[pos + n]) <= HV_SYNC_CHUNK))
		bytes += entry_size(&g->items[pos + n++]);
	return n;
}

static uint32_t count_parts(const struct giving *g)
{
	uint64_t state_len = g->state ? g->state->len : 0;
	uint32_t parts = (uint32_t)((state_len + HV_SYNC_CHUNK - 1) / HV_SYNC_CHUNK);

	for (size_t pos = 0; pos < g->n; pos += chunk_entries(g, pos))
		parts++;
	return parts ? parts : 1;
}

static void chunk_fill_entries(struct giving *g, Hv__SyncChunk *m, Hv__LogEntry *entries,
			       Hv__EpochId *ids)
{
	for (size_t i = 0; i < m->n_entries; i++) {
		const struct log_entry *en = &g->items[g->pos + i];

		hv__log_entry__init(&entries[i]);
		ids[i] = peer_epoch_out(&en->epoch);
		entries[i].epoch = &ids[i];
		entries[i].index = (g->snapshot ? g->base_index : g->common_index) + g->pos + i + 1;
		entries[i].type = en->type;
		entries[i].fenced_node = en->fenced_node;
		entries[i].data.len = en->blob->len;
		entries[i].data.data = en->blob->data;
		m->entries[i] = &entries[i];
	}
}

/* State first, then entries. */
static void chunk_fill(struct giving *g, Hv__SyncChunk *m)
{
	uint64_t state_len = g->state ? g->state->len : 0;

	m->transfer = g->transfer;
	m->snapshot = g->snapshot;
	m->base_index = g->base_index;
	m->common_index = g->common_index;
	m->first_index = g->first_index;
	m->last_index = g->last_index;
	m->state_len = state_len;
	m->part = g->part;
	m->parts = g->parts;
	if (g->state_pos < state_len) {
		m->state.data = g->state->data + g->state_pos;
		m->state.len = (size_t)(state_len - g->state_pos);
		if (m->state.len > HV_SYNC_CHUNK)
			m->state.len = HV_SYNC_CHUNK;
	} else {
		m->n_entries = chunk_entries(g, g->pos);
	}
}

static void chunk_send(struct replog *log)
{
	struct giving *g = &log->giving;
	Hv__PeerMessage msg = HV__PEER_MESSAGE__INIT;
	Hv__SyncChunk m = HV__SYNC_CHUNK__INIT;
	Hv__EpochId id = peer_epoch_out(&log->ep.id), base = peer_epoch_out(&g->base_epoch);
	Hv__EpochId effective = peer_epoch_out(&g->base_effective),
		    common = peer_epoch_out(&g->common_epoch);
	_cleanup_free_ Hv__LogEntry *entries = NULL;
	_cleanup_free_ Hv__EpochId *ids = NULL;

	if (!g->on || g->part == g->parts)
		return;
	chunk_fill(g, &m);
	m.epoch = &id;
	m.base_epoch = &base;
	m.base_effective = &effective;
	m.common_epoch = &common;
	entries = hv_xcalloc(m.n_entries, sizeof(*entries));
	ids = hv_xcalloc(m.n_entries, sizeof(*ids));
	m.entries = hv_xcalloc(m.n_entries, sizeof(*m.entries));
	chunk_fill_entries(g, &m, entries, ids);
	msg.body_case = HV__PEER_MESSAGE__BODY_SYNC_CHUNK;
	msg.sync_chunk = &m;
	rl_send(log, &msg);
	free(m.entries);
	g->state_pos += m.state.len;
	g->pos += m.n_entries;
	g->part++;
}

static void giving_start(struct replog *log, bool snapshot, uint64_t common)
{
	struct giving *g = &log->giving;
	uint64_t after = snapshot ? log->log.base_index : common;

	g->on = true;
	g->transfer = ++log->transfers;
	g->snapshot = snapshot;
	g->base_index = log->log.base_index;
	g->base_epoch = log->log.base_epoch;
	g->base_effective = log->log.base_effective;
	g->common_index = snapshot ? 0 : common;
	if (!snapshot)
		entries_epoch_at(&log->log, common, &g->common_epoch);
	g->first_index = log->ep.first_index;
	g->last_index = entries_last_index(&log->log);
	if (snapshot && log->log.snapshot)
		g->state = blob_ref(log->log.snapshot);
	g->n = (size_t)(g->last_index - after);
	g->items = hv_xcalloc(g->n, sizeof(*g->items));
	for (size_t i = 0; i < g->n; i++) {
		g->items[i] = *entries_at(&log->log, after + i + 1);
		blob_ref(g->items[i].blob);
	}
	g->parts = count_parts(g);
	for (int i = 0; i < WINDOW; i++)
		chunk_send(log);
}

void catchup_request(struct replog *log, hv_node_id sender, const Hv__SyncRequest *m)
{
	struct epoch_run runs[ENTRIES_MAX_RUNS];
	uint64_t common = 0;
	bool found;

	/* While another transfer runs, whoever cannot use it asks again at its end. */
	if (!commit_heard(log, sender, m->epoch) || log->ep.donor != log->self || log->taking.on ||
	    log->giving.on)
		return;
	for (size_t i = 0; i < m->n_runs; i++)
		runs[i] =
		    (struct epoch_run){peer_epoch_in(m->runs[i]->epoch), m->runs[i]->last_index};
	found = entries_common(&log->log, runs, m->n_runs, &common);
	giving_start(log, !found, common);
}

void catchup_chunk(struct replog *log, hv_node_id sender, const Hv__SyncChunk *m)
{
	if (!commit_heard(log, sender, m->epoch) || sender != log->ep.donor)
		return;
	if (log->taking.on) {
		take_chunk(log, m);
		return;
	}
	/* Our own chunk came back: the ring has carried it, here is the next. */
	if (sender != log->self || !log->giving.on || m->transfer != log->giving.transfer)
		return;
	if (m->part + 1 == m->parts)
		giving_stop(&log->giving);
	else
		chunk_send(log);
}

void catchup_done(struct replog *log, hv_node_id sender, const Hv__SyncDone *m)
{
	struct member *from = commit_heard(log, sender, m->epoch);

	if (!from)
		return;
	from->synced = true;
	from->lag_us = log->now_us;
	log->status_dirty = true;
}

void catchup_tick(struct replog *log)
{
	struct taking *t = &log->taking;

	if (!log->ep.active || !t->on)
		return;
	/* The donor does not give: look for another epoch. */
	if (log->now_us - t->moved_us > log->cfg.ack_timeout_us * SYNC_PATIENCE)
		hello_leave_epoch(log);
	else if (!t->running && log->now_us - t->asked_us > log->cfg.ack_timeout_us)
		request_send(log);
}
