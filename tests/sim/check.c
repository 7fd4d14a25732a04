/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Invariants of the log, seen from outside.
 *
 * Where every epoch is whole, whatever two nodes apply at an index is the same entry. Where
 * minority epochs are possible, views and fences of a lineage that is discarded may differ, but
 * commands at an index are the same. What an earlier epoch left uncommitted may be committed behind
 * a barrier; it has no effect until the barrier is lifted, and counts from then on.
 */
#include "tests/sim/sim.h"

#include <string.h>

struct truth {
	uint64_t hash; /* 0: not yet */
	uint64_t digest;
	hv_node_id by;
};
struct held { /* applied by a host behind its barrier */
	struct truth *items;
	uint64_t first, count; /* indices */
	size_t cap;
};
struct check {
	struct held held[SIM_HOSTS];
	struct truth *all;
	size_t cap;
};

static uint64_t hash(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3;
	return h;
}

static uint64_t entry_hash(const struct rl_entry *e)
{
	uint64_t h = 0xcbf29ce484222325,
		 fields[5] = {e->epoch.number, e->epoch.node, e->epoch.incarnation, e->type,
			      e->fenced_node};

	return hash(hash(h, fields, sizeof(fields)), e->data, e->len) | 1;
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

void check_start(struct sim *s)
{
	s->check = hv_xcalloc(1, sizeof(*s->check));
}

void check_stop(struct sim *s)
{
	for (size_t i = 0; i < SIM_HOSTS; i++)
		free(s->check->held[i].items);
	free(s->check->all);
	free(s->check);
}

static void has_effect(struct sim *s, hv_node_id host, uint64_t index, uint64_t is)
{
	struct truth *t = truth_at(s->check, index);

	if (!t->hash) {
		t->hash = is;
		t->by = host;
	} else if (t->hash != is) {
		sim_fail(s, "I3: nodes %u and %u apply different entries at %llu", host, t->by,
			 (unsigned long long)index);
	}
}

static void hold(struct held *d, uint64_t index, uint64_t is)
{
	if (index != d->first + d->count)
		*d = (struct held){.items = d->items, .first = index, .cap = d->cap};
	if (d->count == d->cap) {
		d->cap = d->cap * 2 + 64;
		d->items = hv_xrealloc(d->items, d->cap, sizeof(*d->items));
	}
	d->items[d->count++].hash = is;
}

static void release(struct sim *s, hv_node_id host, struct held *d, uint64_t index)
{
	/* Or it has begun anew, from its base. */
	for (uint64_t i = 0; index == d->first + d->count && i < d->count; i++)
		if (d->items[i].hash)
			has_effect(s, host, d->first + i, d->items[i].hash);
	d->count = 0;
}

void check_applied(struct sim *s, struct host *h, const struct rl_entry *e)
{
	struct held *d = &s->check->held[h->id - 1];
	bool command = e->type == RL_COMMAND || !sim_minority_possible(s);

	sim_trace(s, "node %u applies %llu: epoch %llu/%u type %d, %zu bytes", h->id,
		  (unsigned long long)e->index, (unsigned long long)e->epoch.number, e->epoch.node,
		  e->type, e->len);
	if (rl_status(h->proc.log)->barrier) {
		hold(d, e->index, command ? entry_hash(e) : 0);
		return;
	}
	release(s, h->id, d, e->index);
	if (command)
		has_effect(s, h->id, e->index, entry_hash(e));
}

void check_digest(struct sim *s, struct host *h, uint64_t index, uint64_t digest)
{
	struct truth *t = truth_at(s->check, index);

	if (sim_minority_possible(s))
		return;
	if (!t->digest)
		t->digest = digest;
	else if (t->digest != digest)
		sim_fail(s, "I4: node %u has another digest at %llu", h->id,
			 (unsigned long long)index);
}

/* Healed and quiet: everyone is a member, holds the same, and nothing waits. */
const char *check_quiet(struct sim *s, char *buf, size_t size)
{
	const struct process *first = &s->hosts[0].proc;

	for (size_t i = 0; i < s->n; i++) {
		struct process *p = &s->hosts[i].proc;
		const struct rl_status *st = p->up ? rl_status(p->log) : NULL;

		if (!st || st->phase != RL_ACTIVE)
			snprintf(buf, size, "L1: node %zu is %s", i + 1,
				 st ? rl_phase_name(st->phase) : "not running");
		else if (st->n_members != s->n)
			snprintf(buf, size, "L1: node %zu knows only %zu members", i + 1,
				 st->n_members);
		else if (st->pending)
			snprintf(buf, size, "L1: node %zu still has %zu proposals", i + 1,
				 st->pending);
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
