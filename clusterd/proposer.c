/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/proposer.h"

#include "proto/mutant.h"

#include <string.h>

struct proposal {
	uint64_t mark;
	uint64_t seq;  /* 0 while it waits, and for ever with RL_FENCE */
	bool accepted; /* by the log */
	enum rl_entry_type type;
	hv_node_id fenced;
	uint8_t *body; /* packed Event with nothing but its body */
	size_t len;
};

struct proposer {
	hv_node_id self;
	uint64_t incarnation;
	struct proposer_ops ops;
	void *user;
	uint64_t next_mark, next_seq;
	/* Ascending by mark, which is the order they were put in. */
	struct proposal items[PROPOSER_MAX];
	size_t count;
	size_t waiting; /* of them, not yet accepted */
};

struct proposer *proposer_new(hv_node_id self, uint64_t incarnation, const struct proposer_ops *ops,
			      void *user)
{
	struct proposer *p = hv_xcalloc(1, sizeof(*p));

	p->self = self;
	p->incarnation = incarnation;
	p->ops = *ops;
	p->user = user;
	p->next_mark = 1;
	p->next_seq = 1;
	return p;
}

void proposer_free(struct proposer *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++)
		free(p->items[i].body);
	free(p);
}

size_t proposer_count(const struct proposer *p)
{
	return p->count;
}

uint64_t proposer_put(struct proposer *p, const Hv__Event *ev, enum rl_entry_type type,
		      hv_node_id fenced)
{
	Hv__Event body = *ev;
	struct proposal *item;

	body.at_us = body.wall_ms = body.incarnation = body.seq = body.mark = 0;
	body.proposer = 0;
	if (p->count == PROPOSER_MAX)
		return 0;
	item = &p->items[p->count];
	*item = (struct proposal){.mark = p->next_mark, .type = type, .fenced = fenced};
	item->len = hv__event__get_packed_size(&body);
	if (item->len > HV_EVENT_MAX - 128)
		return 0;
	item->body = hv_xcalloc(1, item->len);
	hv__event__pack(&body, item->body);
	p->count++;
	p->waiting++;
	return p->next_mark++;
}

/* Where `mark` is or would be. */
static size_t position(const struct proposer *p, uint64_t mark)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (p->items[mid].mark < mark)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool proposer_pending(const struct proposer *p, uint64_t mark)
{
	size_t i = position(p, mark);

	return mark != 0 && i < p->count && p->items[i].mark == mark;
}

static void remove_at(struct proposer *p, size_t i)
{
	if (!p->items[i].accepted)
		p->waiting--;
	free(p->items[i].body);
	p->count--;
	memmove(&p->items[i], &p->items[i + 1], (p->count - i) * sizeof(p->items[0]));
}

/*
 * The stamp and the body are packed apart and put one after the other: protobuf defines the
 * concatenation of two messages as their merger, so the body need not be unpacked to be stamped.
 */
static enum hv_rc propose_one(struct proposer *p, const struct proposal *item, uint64_t seq,
			      uint64_t cluster_us, uint64_t wall_ms)
{
	Hv__Event stamp = HV__EVENT__INIT;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	stamp.at_us = cluster_us;
	stamp.wall_ms = wall_ms;
	stamp.proposer = p->self;
	stamp.incarnation = p->incarnation;
	stamp.seq = seq;
	stamp.mark = item->mark;
	len = hv__event__get_packed_size(&stamp);
	data = hv_xcalloc(1, len + item->len);
	hv__event__pack(&stamp, data);
	memcpy(data + len, item->body, item->len);
	return p->ops.propose(p->user, item->type, item->fenced, data, len + item->len);
}

void proposer_flush(struct proposer *p, uint64_t cluster_us, uint64_t wall_ms)
{
	bool full = false;
	size_t i = 0;

	while (p->waiting > 0 && i < p->count) {
		struct proposal *item = &p->items[i];
		uint64_t seq = item->type == RL_FENCE ? 0 : p->next_seq;
		uint64_t mark = item->mark;
		enum hv_rc rc;

		/* The log is full of what waits for the barrier; what lifts it must pass. */
		if (item->accepted || (full && item->type != RL_FENCE)) {
			i++;
			continue;
		}
		rc = propose_one(p, item, seq, cluster_us, wall_ms);
		if (rc == HV_LIMIT) {
			full = true;
			i++;
			continue;
		}
		if (rc == HV_OK) {
			item->accepted = true;
			item->seq = seq;
			p->next_seq += seq != 0 && !MUTANT(proposal_numbers_stay);
			p->waiting--;
			i++;
			continue;
		}
		remove_at(p, i);
		p->ops.dropped(p->user, mark, rc);
	}
}

void proposer_applied(struct proposer *p, const Hv__Event *ev)
{
	size_t i;

	if (ev->proposer != p->self || ev->incarnation != p->incarnation || !ev->mark)
		return;
	i = position(p, ev->mark);
	if (i < p->count && p->items[i].mark == ev->mark)
		remove_at(p, i);
}

void proposer_log_is_empty(struct proposer *p)
{
	size_t i = 0;

	while (i < p->count) {
		if (p->items[i].accepted)
			remove_at(p, i);
		else
			i++;
	}
}
