/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/view.h"

#include <string.h>

/* Where `id` stands or would stand. Sets are small: a walk beats a bisection. */
static size_t position(const struct node_set *s, hv_node_id id)
{
	size_t i;

	/* Most are filled in order. */
	if (!s->n || s->ids[s->n - 1] < id)
		return s->n;
	for (i = 0; s->ids[i] < id; i++)
		;
	return i;
}

bool node_set_has(const struct node_set *s, hv_node_id id)
{
	size_t i = position(s, id);

	return i < s->n && s->ids[i] == id;
}

bool node_set_add(struct node_set *s, hv_node_id id)
{
	size_t i = position(s, id);

	if (id == 0 || (i < s->n && s->ids[i] == id))
		return true;
	if (s->n == HV_MAX_NODES)
		return false;
	if (i < s->n)
		memmove(&s->ids[i + 1], &s->ids[i], (s->n - i) * sizeof(s->ids[0]));
	s->ids[i] = id;
	s->n++;
	return true;
}

void node_set_remove(struct node_set *s, hv_node_id id)
{
	size_t i = position(s, id);

	if (i == s->n || s->ids[i] != id)
		return;
	memmove(&s->ids[i], &s->ids[i + 1], (s->n - i - 1) * sizeof(s->ids[0]));
	s->n--;
}

bool node_set_from(struct node_set *ret, const hv_node_id *ids, size_t n)
{
	struct node_set s = {.n = 0};

	for (size_t i = 0; i < n; i++)
		if (!node_set_add(&s, ids[i]))
			return false;
	*ret = s;
	return true;
}

bool node_set_equal(const struct node_set *a, const struct node_set *b)
{
	return a->n == b->n && memcmp(a->ids, b->ids, a->n * sizeof(a->ids[0])) == 0;
}

bool node_set_within(const struct node_set *a, const struct node_set *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (!node_set_has(b, a->ids[i]))
			return false;
	return true;
}

void node_list_from(struct node_list *ret, const struct rl_node_cfg *nodes, size_t n)
{
	struct node_list l = {.n = 0};

	for (size_t i = 0; i < n; i++) {
		size_t at = 0;

		while (at < l.n && l.nodes[at].id < nodes[i].id)
			at++;
		if (nodes[i].id == 0 || l.n == HV_MAX_NODES)
			continue;
		if (at < l.n && l.nodes[at].id == nodes[i].id)
			continue;
		memmove(&l.nodes[at + 1], &l.nodes[at], (l.n - at) * sizeof(l.nodes[0]));
		l.nodes[at] = nodes[i];
		l.n++;
	}
	*ret = l;
}

const struct rl_node_cfg *node_list_find(const struct node_list *l, hv_node_id id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->nodes[i].id == id)
			return &l->nodes[i];
	return NULL;
}

uint32_t node_list_total(const struct node_list *l)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < l->n; i++)
		sum += l->nodes[i].votes;
	return sum;
}

uint32_t node_list_votes(const struct node_list *l, const struct node_set *s)
{
	uint32_t sum = 0;

	/* Both are sorted. */
	for (size_t i = 0, k = 0; i < l->n && k < s->n; i++) {
		while (k < s->n && s->ids[k] < l->nodes[i].id)
			k++;
		if (k < s->n && s->ids[k] == l->nodes[i].id)
			sum += l->nodes[i].votes;
	}
	return sum;
}

void node_list_minus(const struct node_list *l, const struct node_set *s, struct node_set *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < l->n; i++)
		if (!node_set_has(s, l->nodes[i].id))
			node_set_add(ret, l->nodes[i].id);
}
