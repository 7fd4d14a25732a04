/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * set.h - a set of borrowed pointers, kept as a sorted array.
 *
 * PURE. The order is the comparison's and nothing else's, so that two replicas walk it alike. Keys
 * must be unique, and must not change while an item is inside. At 10,000 items an insertion moves
 * at most 80 KB of pointers, a few microseconds.
 */
#ifndef HV_RESOURCE_SET_H
#define HV_RESOURCE_SET_H

#include <stdbool.h>
#include <stddef.h>

typedef int (*set_cmp)(const void *a, const void *b);
struct set {
	void **items;
	size_t count, cap;
	set_cmp cmp;
};

void set_init(struct set *s, set_cmp cmp);
void set_done(struct set *s);
/* First position whose item is not below `key`. */
size_t set_lower(const struct set *s, const void *key);
void *set_find(const struct set *s, const void *key);
/* False if an equal item is inside already. */
bool set_add(struct set *s, void *item);
bool set_remove(struct set *s, const void *item);
/* Fill a large set: append all, then sort once. */
void set_append(struct set *s, void *item);
/* False if two items are equal. */
bool set_sort(struct set *s);

#endif
