/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Invariants of the log, seen from outside: on disks and in what is applied, not in its own books.
 *
 * Always: an epoch has one entry at an index, with one predecessor, on whatever disk, and one state
 * after it (I3, I4). A disk promises ever higher numbers, and takes no entry of an epoch below what
 * it has promised.
 * Where every epoch is whole: whatever two nodes apply at an index is the same entry, it is on a
 * majority of the disks when the first one applies it, stays there, and no disk that lacks it is
 * better than those of a majority (I5).
 * Where minority epochs are possible, views and fences of a lineage that is discarded may differ,
 * but commands at an index are the same, and one disk at least keeps each. What an earlier epoch
 * left uncommitted may be committed behind a barrier; it has no effect until the barrier is lifted,
 * and counts from then on.
 * An epoch begins with its view (I3), and what is behind its barrier are fences. In a storm: two
 * epochs are not at work in one ring for long (L3). What a node says of itself: check_status.c.
 */
#include "tests/sim/sim.h"

#include "quorum/replog_priv.h"

#include <string.h>

#define ENTRIES_SLACK 4096 /* I7: entries that wait for a compaction, besides snapshot_every */
#define WRITES_MAX 8192

struct truth {	       /* of an index */
	uint64_t hash; /* 0: not yet applied, or not the same for all */
	struct rl_epoch epoch;
	hv_node_id by;
	size_t n; /* so many nodes there were */
};
struct held { /* applied by a host behind its barrier */
	struct truth *items;
	uint64_t first, count; /* indices */
	size_t cap;
};
struct place { /* of an entry of an epoch */
	struct rl_epoch epoch, prev;
	uint64_t index, hash, digest;
};
struct check {
	struct held held[SIM_HOSTS];
	struct truth *all;
	size_t cap;
	struct place *places; /* open addressing; index 0: free */
	size_t n_places, cap_places;
};

static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0x9e3779b97f4a7c15;
	return h ^ h >> 29;
}

static uint64_t entry_hash(const struct rl_entry *e)
{
	uint64_t h = mix(mix(mix(1, e->type), e->fenced_node), e->len), word;
	size_t i = 0;

	for (; i + 8 <= e->len; i += 8) {
		memcpy(&word, e->data + i, 8);
		h = mix(h, word);
	}
	for (; i < e->len; i++)
		h = mix(h, e->data[i]);
	return h | 1;
}

static struct truth *truth_at(struct check *c, uint64_t index)
{
	if (index >= c->cap) {
		size_t cap = (size_t)index * 2 + 1024;

		c->all = hv_xrealloc(c->all, cap, sizeof(*c->all));
		memset(c->all + c->cap, 0, (cap - c->cap) * sizeof(*c->all));
		c->cap = cap;
	}
	return &c->all[index];
}

/* ---- entries by epoch and index */

static struct place *slot(struct place *places, size_t cap, const struct rl_epoch *e,
			  uint64_t index)
{
	size_t i = (size_t)mix(mix(mix(e->number, e->node), e->incarnation), index) & (cap - 1);

	while (places[i].index &&
	       (places[i].index != index || rl_epoch_cmp(&places[i].epoch, e) != 0))
		i = (i + 1) & (cap - 1);
	return &places[i];
}

static void places_grow(struct check *c)
{
	size_t cap = c->cap_places ? c->cap_places * 2 : 4096;
	struct place *bigger = hv_xcalloc(cap, sizeof(*bigger));

	for (size_t i = 0; i < c->cap_places; i++)
		if (c->places[i].index)
			*slot(bigger, cap, &c->places[i].epoch, c->places[i].index) = c->places[i];
	free(c->places);
	c->places = bigger;
	c->cap_places = cap;
}

static struct place *place_of(struct check *c, const struct rl_epoch *epoch, uint64_t index)
{
	struct place *p;

	if (c->n_places * 2 >= c->cap_places)
		places_grow(c);
	p = slot(c->places, c->cap_places, epoch, index);
	if (!p->index) {
		p->epoch = *epoch;
		p->index = index;
		c->n_places++;
	}
	return p;
}

/* ---- two epochs at work */

static bool at_work(const struct sim *s, struct host *h)
{
	return process_runs(h) && net_alive(h) && h->proc.joined && h->try_again_us < s->now_us &&
	       rl_status(h->proc.log)->phase == RL_ACTIVE;
}

/* Someone else of its ring is at work in a later epoch. */
static bool is_behind(struct sim *s, struct host *h)
{
	struct rl_epoch own = rl_status(h->proc.log)->epoch;

	for (size_t i = 0; i < s->n; i++) {
		struct host *o = &s->hosts[i];

		if (o != h && o->ring == h->ring && at_work(s, o) &&
		    rl_status(o->proc.log)->epoch.number > own.number)
			return true;
	}
	return false;
}

/* L3: of two epochs at work in one ring the earlier one gives way as soon as it hears the other. */
static void look_at_epochs(struct sim *s, struct host *unused, uint64_t arg)
{
	uint64_t patience = 4 * s->swarm.ack_us + 40 * MS;

	if (s->healing)
		return;
	sim_at(s, 10 * MS, look_at_epochs, NULL, 0);
	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[i];

		if (!h->ring || h->ring->stalled || !at_work(s, h) || !is_behind(s, h))
			h->proc.behind_us = 0;
		else if (!h->proc.behind_us)
			h->proc.behind_us = s->now_us;
		else if (s->now_us - h->proc.behind_us > patience)
			sim_fail(s, "L3: node %u stays in its epoch beside a later one", h->id);
	}
}

void check_start(struct sim *s)
{
	s->check = hv_xcalloc(1, sizeof(*s->check));
	if (s->storm && !s->scenario)
		sim_at(s, 10 * MS, look_at_epochs, NULL, 0);
}

void check_stop(struct sim *s)
{
	for (size_t i = 0; i < SIM_HOSTS; i++)
		free(s->check->held[i].items);
	free(s->check->all);
	free(s->check->places);
	free(s->check);
}

/* ---- disks */

static bool holds(const struct disk *d, uint64_t index, const struct rl_epoch *epoch)
{
	if (index <= d->base_index)
		return true;
	if (index > d->base_index + d->n)
		return false;
	return rl_epoch_cmp(&d->entries[index - d->base_index - 1].entry.epoch, epoch) == 0;
}

/* A committed entry is on enough disks. Who lost its store lost it lawfully. */
static void check_holders(struct sim *s, uint64_t index, const char *when)
{
	const struct truth *t = truth_at(s->check, index);
	size_t holders = 0, lost = 0, needed = (t->n < s->n ? t->n : s->n) / 2 + 1;

	for (size_t i = 0; i < s->n; i++) {
		holders += holds(&s->hosts[i].disk, index, &t->epoch);
		lost += s->hosts[i].disk.damaged;
	}
	if (sim_minority_possible(s))
		needed = 1;
	if (holders + lost < needed)
		sim_fail(s, "I5: entry %llu is on %zu disks, %s", (unsigned long long)index,
			 holders, when);
}

/* What the disk says of its log when it is read again: its last entry. */
static struct rl_epoch last_epoch(const struct disk *d)
{
	return d->n ? d->entries[d->n - 1].entry.epoch : d->base_epoch;
}

/* Is the log on `a` at least as good as that on `b`, by the rule of whole epochs? */
static bool is_as_good(const struct disk *a, const struct disk *b)
{
	struct rl_epoch of_a = last_epoch(a), of_b = last_epoch(b);
	int c = rl_epoch_cmp(&of_a, &of_b);

	return c > 0 || (c == 0 && a->base_index + a->n >= b->base_index + b->n);
}

/*
 * If all hosts lost their power now, could those that boot first go on without this entry? A disk
 * that lacks it must not be the best one of any majority. (Where every epoch is whole, no store is
 * lost and the list of nodes is at rest.)
 */
static void check_never_lost(struct sim *s, uint64_t index)
{
	const struct truth *t = truth_at(s->check, index);

	if (sim_minority_possible(s) || s->n_before)
		return;
	for (size_t i = 0; i < s->n; i++)
		if (s->hosts[i].disk.damaged)
			return;
	for (size_t i = 0; i < s->n; i++) {
		const struct disk *d = &s->hosts[i].disk;
		size_t behind = 0;

		if (holds(d, index, &t->epoch))
			continue;
		for (size_t k = 0; k < s->n; k++)
			behind += is_as_good(d, &s->hosts[k].disk);
		if (behind > s->n / 2)
			sim_fail(s, "I5: entry %llu is applied, and node %zu could lead without it",
				 (unsigned long long)index, i + 1);
	}
}

void check_before_write(struct sim *s, struct host *h, const struct write_copy *c)
{
	const struct rl_write *w = &c->w;
	const struct disk *d = &h->disk;

	if (w->set_promised && w->promised <= d->promised)
		sim_fail(s, "I3: the disk of node %u promises %llu after %llu", h->id,
			 (unsigned long long)w->promised, (unsigned long long)d->promised);
	if (w->n_entries && !w->truncate && !w->set_base &&
	    c->entries[0].entry.epoch.number < d->promised)
		sim_fail(
		    s,
		    "I3: the disk of node %u takes entry %llu of epoch %llu and has promised %llu",
		    h->id, (unsigned long long)c->entries[0].entry.index,
		    (unsigned long long)c->entries[0].entry.epoch.number,
		    (unsigned long long)d->promised);
}

static void check_entry(struct sim *s, struct host *h, const struct rl_entry *e,
			const struct rl_epoch *prev)
{
	struct place *p = place_of(s->check, &e->epoch, e->index);
	uint64_t is = entry_hash(e);

	if (rl_epoch_cmp(prev, &e->epoch) > 0)
		sim_fail(s, "I3: on the disk of node %u epochs go back at entry %llu", h->id,
			 (unsigned long long)e->index);
	if (rl_epoch_cmp(prev, &e->epoch) < 0 && e->type != RL_VIEW)
		sim_fail(s, "I3: on the disk of node %u an epoch begins without its view: %llu",
			 h->id, (unsigned long long)e->index);
	if (!p->hash) {
		p->hash = is;
		p->prev = *prev;
	} else if (p->hash != is || rl_epoch_cmp(&p->prev, prev) != 0) {
		sim_fail(s, "I3: epoch %llu/%u has two entries %llu, one on the disk of node %u",
			 (unsigned long long)e->epoch.number, e->epoch.node,
			 (unsigned long long)e->index, h->id);
	}
}

void check_after_write(struct sim *s, struct host *h, const struct write_copy *c, uint64_t old_last)
{
	const struct rl_write *w = &c->w;
	const struct disk *d = &h->disk;
	uint64_t first = w->n_entries ? c->entries[0].entry.index : 0, from = UINT64_MAX;

	for (uint64_t i = first; w->n_entries && i < first + w->n_entries; i++) {
		size_t at = (size_t)(i - d->base_index - 1);

		check_entry(s, h, &d->entries[at].entry,
			    at ? &d->entries[at - 1].entry.epoch : &d->base_epoch);
	}
	/* What was taken away. */
	if (w->truncate)
		from = w->keep_index + 1;
	if (w->drop_all)
		from = w->base_index + 1;
	for (uint64_t i = from; i <= old_last && !s->failed; i++)
		if (truth_at(s->check, i)->hash)
			check_holders(s, i, "after one has replaced its log");
}

/* ---- what is applied */

/* Each epoch takes once more what its members have proposed, until it is committed and compacted.
 */
static uint64_t most_entries(const struct sim *s, const struct host *h)
{
	const struct replog *log = h->proc.log;
	uint64_t views = 0;

	for (uint64_t i = log->log.base_index + 1; i <= entries_last_index(&log->log); i++)
		views += entries_at(&log->log, i)->type == RL_VIEW;
	return s->snapshot_every + ENTRIES_SLACK + views * s->n * SIM_MAX_PENDING;
}

static void check_bounds(struct sim *s, struct host *h)
{
	const struct rl_status *st = rl_status(h->proc.log);
	uint64_t held = st->last_index - st->base_index;

	if (st->pending > SIM_MAX_PENDING || h->proc.n_queue > WRITES_MAX ||
	    h->outgoing.n - h->outgoing_pos > NET_QUEUE_MAX + 8 ||
	    (held > s->snapshot_every + ENTRIES_SLACK && held > most_entries(s, h)))
		sim_fail(s, "I7: node %u: %zu proposals, %zu writes, %zu messages, %llu entries",
			 h->id, st->pending, h->proc.n_queue, h->outgoing.n - h->outgoing_pos,
			 (unsigned long long)held);
}

static void has_effect(struct sim *s, uint64_t index, const struct truth *is)
{
	struct truth *t = truth_at(s->check, index);

	if (!t->hash) {
		*t = *is;
		check_holders(s, index, "and is applied");
		check_never_lost(s, index);
	} else if (t->hash != is->hash) {
		sim_fail(s, "I3: nodes %u and %u apply different entries at %llu", is->by, t->by,
			 (unsigned long long)index);
	}
}

static void hold(struct held *d, uint64_t index, const struct truth *is)
{
	if (index != d->first + d->count)
		*d = (struct held){.items = d->items, .first = index, .cap = d->cap};
	if (d->count == d->cap) {
		d->cap = d->cap * 2 + 64;
		d->items = hv_xrealloc(d->items, d->cap, sizeof(*d->items));
	}
	d->items[d->count++] = *is;
}

static void release(struct sim *s, struct held *d, uint64_t index)
{
	/* Or it has begun anew, from its base. */
	for (uint64_t i = 0; index == d->first + d->count && i < d->count; i++)
		if (d->items[i].hash)
			has_effect(s, d->first + i, &d->items[i]);
	d->count = 0;
}

void check_applied(struct sim *s, struct host *h, const struct rl_entry *e)
{
	struct held *d = &s->check->held[h->id - 1];
	bool command = e->type == RL_COMMAND || !sim_minority_possible(s);
	struct truth is = {.epoch = e->epoch, .by = h->id, .n = s->n};

	/* By the rule of the list that this node knows: a majority of either shares a disk. */
	if (s->n_before && s->n_before < s->n)
		is.n = s->n_before;
	/* One has gone: what it had counted for a majority of before, and half meets any of now. */
	if (s->n_before > s->n)
		is.n = s->n - 1;

	sim_trace(s, "node %u applies %llu: epoch %llu/%u type %d, %zu bytes", h->id,
		  (unsigned long long)e->index, (unsigned long long)e->epoch.number, e->epoch.node,
		  e->type, e->len);
	check_bounds(s, h);
	if (command)
		is.hash = mix(mix(entry_hash(e), e->epoch.number), e->epoch.node) | 1;
	if (rl_status(h->proc.log)->barrier) {
		check_behind_barrier(s, h, e);
		hold(d, e->index, &is);
		return;
	}
	release(s, d, e->index);
	if (command)
		has_effect(s, e->index, &is);
}

void check_digest(struct sim *s, struct host *h, uint64_t index, uint64_t digest)
{
	struct place *p = place_of(s->check, &h->proc.applied_epoch, index);

	if (!p->digest)
		p->digest = digest;
	else if (p->digest != digest)
		sim_fail(s, "I4: node %u has another digest at %llu", h->id,
			 (unsigned long long)index);
}

/* Out of order for good is nothing but their disk: they are to follow the others. */
static size_t disks_gone(const struct sim *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->hosts[i].power && s->hosts[i].disk.stuck;
	return n;
}

/* Healed and quiet: everyone (but a host that is gone for good) is a member, holds the same, and
 * nothing waits. */
const char *check_quiet(struct sim *s, char *buf, size_t size)
{
	const struct process *first = NULL;

	for (size_t i = 0; i < s->n && !first; i++)
		if (!sim_is_gone(s, s->hosts[i].id))
			first = &s->hosts[i].proc;
	for (size_t i = 0; i < s->n; i++) {
		struct process *p = &s->hosts[i].proc;
		const struct rl_status *st = p->up ? rl_status(p->log) : NULL;

		if (sim_is_gone(s, s->hosts[i].id))
			continue;
		if (!st || st->phase != RL_ACTIVE)
			snprintf(buf, size, "L1: node %zu is %s", i + 1,
				 st ? rl_phase_name(st->phase) : "not running");
		else if (st->n_members - st->n_learners != s->n - sim_gone(s))
			snprintf(buf, size, "L1: node %zu knows only %zu members with a vote",
				 i + 1, st->n_members - st->n_learners);
		else if (s->n > 2 && st->n_learners != disks_gone(s))
			snprintf(buf, size, "L1: node %zu knows %zu learners", i + 1,
				 st->n_learners);
		else if (st->pending)
			snprintf(buf, size, "L1: node %zu still has %zu proposals", i + 1,
				 st->pending);
		else if (st->barrier)
			snprintf(buf, size, "L1: node %zu is behind its barrier", i + 1);
		else if (p->applied != first->applied)
			snprintf(buf, size, "L1: node %zu applied %llu, node 1 %llu", i + 1,
				 (unsigned long long)p->applied,
				 (unsigned long long)first->applied);
		else if (s->mind->digest(p->mind) != s->mind->digest(first->mind))
			snprintf(buf, size, "I4: nodes %zu and 1 differ at %llu", i + 1,
				 (unsigned long long)p->applied);
		else
			continue;
		return buf;
	}
	return NULL;
}

void check_end(struct sim *s)
{
	char buf[256];

	if (check_quiet(s, buf, sizeof(buf)))
		sim_fail(s, "long after all was healed: %s", buf);
}
