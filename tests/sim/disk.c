/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One transaction at a time, for all that is queued: whole or not at all, as the store does it. */
#include "tests/sim/sim.h"

#include <string.h>

static void copy_free(struct write_copy *c)
{
	for (size_t i = 0; i < c->w.n_entries; i++)
		blob_unref(c->entries[i].blob);
	free(c->entries);
	blob_unref(c->snapshot);
}

static void copy_make(struct write_copy *c, const struct rl_write *w)
{
	c->w = *w;
	c->w.entries = NULL; /* they are in c->entries */
	c->snapshot = w->snapshot ? blob_copy(w->snapshot, w->snapshot_len) : NULL;
	c->entries = hv_xcalloc(w->n_entries, sizeof(*c->entries));
	for (size_t i = 0; i < w->n_entries; i++) {
		c->entries[i].entry = w->entries[i];
		c->entries[i].blob = blob_copy(w->entries[i].data, w->entries[i].len);
		c->entries[i].entry.data = c->entries[i].blob->data;
	}
}

static void cut(struct disk *d, size_t keep)
{
	while (d->n > keep)
		blob_unref(d->entries[--d->n].blob);
}

static void set_base(struct disk *d, const struct write_copy *c)
{
	size_t drop = c->w.drop_all ? d->n : (size_t)(c->w.base_index - d->base_index);

	hv_assert(drop <= d->n);
	for (size_t i = 0; i < drop; i++)
		blob_unref(d->entries[i].blob);
	d->n -= drop;
	if (d->n)
		memmove(d->entries, d->entries + drop, d->n * sizeof(*d->entries));
	blob_unref(d->snapshot);
	d->snapshot = c->snapshot ? blob_ref(c->snapshot) : NULL;
	d->base_index = c->w.base_index;
	d->base_epoch = c->w.base_epoch;
	d->base_effective = c->w.base_effective;
}

static void apply(struct sim *s, struct host *h, const struct write_copy *c)
{
	struct disk *d = &h->disk;
	uint64_t old_last = d->base_index + d->n;

	check_before_write(s, h, c);
	if (c->w.set_base)
		set_base(d, c);
	if (c->w.drop_all)
		d->damaged = false;
	if (c->w.truncate)
		cut(d, (size_t)(c->w.keep_index - d->base_index));
	if (d->n + c->w.n_entries > d->cap) {
		d->cap = (d->n + c->w.n_entries) * 2;
		d->entries = hv_xrealloc(d->entries, d->cap, sizeof(*d->entries));
	}
	for (size_t i = 0; i < c->w.n_entries; i++) {
		hv_assert(c->entries[i].entry.index == d->base_index + d->n + 1);
		d->entries[d->n] = c->entries[i];
		blob_ref(d->entries[d->n++].blob);
	}
	if (c->w.set_promised)
		d->promised = c->w.promised;
	check_after_write(s, h, c, old_last);
}

static void batch_drop(struct process *p)
{
	for (size_t i = 0; i < p->n_batch; i++)
		copy_free(&p->batch[i]);
	free(p->batch);
	p->batch = NULL;
	p->n_batch = 0;
}

static void batch_done(struct sim *s, struct host *h, uint64_t number)
{
	struct process *p = &h->proc;
	struct rl_input in = {.kind = RL_IN_DURABLE};

	/* Of a process that is gone, or held up meanwhile: then it begins its wait again later. */
	if (!p->n_batch || p->batch[p->n_batch - 1].w.number != number)
		return;
	if (!process_runs(h) || h->disk.stuck)
		return;
	for (size_t i = 0; i < p->n_batch; i++)
		apply(s, h, &p->batch[i]);
	in.write = number;
	batch_drop(p);
	process_feed(s, h, &in);
	disk_kick(s, h);
}

void disk_kick(struct sim *s, struct host *h)
{
	struct process *p = &h->proc;
	uint64_t latency = sim_range(s, 80, 1500, 200, s->swarm.disk_us) + h->disk.slow_us;

	if (!process_runs(h) || h->disk.stuck)
		return;
	if (p->n_batch) {
		/* It was held up: begin its wait again. */
		sim_at(s, latency, batch_done, h, p->batch[p->n_batch - 1].w.number);
		return;
	}
	if (!p->n_queue)
		return;
	if (prng_chance(sim_stream(s, STREAM_WORLD), 10))
		latency += prng_range(sim_stream(s, STREAM_WORLD), 5 * MS, 200 * MS);
	p->batch = steal_ptr(p->queue);
	p->n_batch = p->n_queue;
	p->n_queue = p->cap_queue = 0;
	sim_at(s, latency, batch_done, h, p->batch[p->n_batch - 1].w.number);
}

static void write_fails(struct sim *s, struct host *h, uint64_t incarnation)
{
	struct rl_input in = {.kind = RL_IN_WRITE_FAILED};

	if (!h->proc.up || h->proc.incarnation != incarnation)
		return;
	if (process_runs(h))
		process_feed(s, h, &in);
	else
		sim_at(s, 50 * MS, write_fails, h, incarnation);
}

/* The store says it once and writes no more; after a restart of the process it tries again. */
void disk_gives_up(struct sim *s, struct host *h)
{
	if (!h->proc.up || h->proc.disk_failed)
		return;
	disk_process_gone(s, h);
	h->proc.disk_failed = true;
	sim_at(s, 1, write_fails, h, h->proc.incarnation);
}

void disk_write(struct sim *s, struct host *h, const struct rl_write *w)
{
	struct process *p = &h->proc;

	if (h->disk.full)
		disk_gives_up(s, h);
	if (p->disk_failed)
		return;
	if (p->n_queue == p->cap_queue) {
		p->cap_queue = p->cap_queue ? p->cap_queue * 2 : 8;
		p->queue = hv_xrealloc(p->queue, p->cap_queue, sizeof(*p->queue));
	}
	copy_make(&p->queue[p->n_queue++], w);
	if (!p->n_batch)
		disk_kick(s, h);
}

void disk_process_gone(struct sim *s, struct host *h)
{
	struct process *p = &h->proc;

	/* The transaction that was under way has reached the platter, or it has not. */
	if (p->n_batch && !h->disk.stuck && prng_chance(sim_stream(s, STREAM_WORLD), 500))
		for (size_t i = 0; i < p->n_batch; i++)
			apply(s, h, &p->batch[i]);
	batch_drop(p);
	for (size_t i = 0; i < p->n_queue; i++)
		copy_free(&p->queue[i]);
	free(p->queue);
	p->queue = NULL;
	p->n_queue = p->cap_queue = 0;
}

void disk_boot(struct host *h, struct rl_boot *ret, struct rl_entry **ret_entries)
{
	struct disk *d = &h->disk;
	struct rl_entry *entries = hv_xcalloc(d->n, sizeof(*entries));

	for (size_t i = 0; i < d->n; i++)
		entries[i] = d->entries[i].entry;
	*ret = (struct rl_boot){
	    .promised = d->promised,
	    .base_index = d->base_index,
	    .base_epoch = d->base_epoch,
	    .base_effective = d->base_effective,
	    .snapshot = d->snapshot ? d->snapshot->data : NULL,
	    .snapshot_len = d->snapshot ? d->snapshot->len : 0,
	    .entries = entries,
	    .n_entries = d->n,
	    .damaged = d->damaged,
	};
	*ret_entries = entries;
}

/* The store is moved aside and an empty one takes its place; it stays "damaged" until a donor has
 * filled it. */
void disk_damage(struct host *h)
{
	struct disk *d = &h->disk;

	cut(d, 0);
	blob_unref(d->snapshot);
	d->snapshot = NULL;
	d->promised = d->base_index = 0;
	d->base_epoch = d->base_effective = (struct rl_epoch){0};
	d->damaged = true;
}

void disk_done(struct disk *d)
{
	cut(d, 0);
	free(d->entries);
	blob_unref(d->snapshot);
}
