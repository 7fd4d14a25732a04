/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/set.h"

#include "proto/base.h"

#include <string.h>

void set_init(struct set *s, set_cmp cmp)
{
	*s = (struct set){.cmp = cmp};
}

void set_done(struct set *s)
{
	free(s->items);
	*s = (struct set){.cmp = s->cmp};
}

size_t set_lower(const struct set *s, const void *key)
{
	size_t lo = 0, hi = s->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->cmp(s->items[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void *set_find(const struct set *s, const void *key)
{
	size_t i = set_lower(s, key);

	return i < s->count && s->cmp(s->items[i], key) == 0 ? s->items[i] : NULL;
}

static void set_room(struct set *s)
{
	if (s->count < s->cap)
		return;
	s->cap = s->cap ? s->cap * 2 : 8;
	s->items = hv_xrealloc(s->items, s->cap, sizeof(*s->items));
}

bool set_add(struct set *s, void *item)
{
	/* Most additions belong at the end: ids grow, lists are filled in order. */
	bool last = s->count && s->cmp(s->items[s->count - 1], item) < 0;
	size_t i = last ? s->count : set_lower(s, item);

	if (i < s->count && s->cmp(s->items[i], item) == 0)
		return false;
	set_room(s);
	memmove(s->items + i + 1, s->items + i, (s->count - i) * sizeof(*s->items));
	s->items[i] = item;
	s->count++;
	return true;
}

bool set_remove(struct set *s, const void *item)
{
	size_t i = set_lower(s, item);

	if (i == s->count || s->cmp(s->items[i], item) != 0)
		return false;
	memmove(s->items + i, s->items + i + 1, (s->count - i - 1) * sizeof(*s->items));
	s->count--;
	return true;
}

void set_append(struct set *s, void *item)
{
	set_room(s);
	s->items[s->count++] = item;
}

static void sift(struct set *s, size_t root, size_t end)
{
	for (size_t child; (child = 2 * root + 1) < end; root = child) {
		void *tmp = s->items[root];

		if (child + 1 < end && s->cmp(s->items[child], s->items[child + 1]) < 0)
			child++;
		if (s->cmp(tmp, s->items[child]) >= 0)
			return;
		s->items[root] = s->items[child];
		s->items[child] = tmp;
	}
}

/* Heap sort: no memory of its own, no worst case. */
bool set_sort(struct set *s)
{
	for (size_t i = s->count / 2; i-- > 0;)
		sift(s, i, s->count);
	for (size_t end = s->count; end-- > 1;) {
		void *tmp = s->items[0];

		s->items[0] = s->items[end];
		s->items[end] = tmp;
		sift(s, 0, end);
	}
	for (size_t i = 1; i < s->count; i++)
		if (s->cmp(s->items[i - 1], s->items[i]) >= 0)
			return false;
	return true;
}
