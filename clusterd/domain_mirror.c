/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/domain_mirror.h"

#include "proto/base.h"

#include <stdio.h>
#include <string.h>

struct domain_mirror {
	struct mirror_item *items; /* ascending uuid */
	size_t count, cap;
};

struct domain_mirror *domain_mirror_new(void)
{
	return hv_xcalloc(1, sizeof(struct domain_mirror));
}

void domain_mirror_free(struct domain_mirror *m)
{
	if (!m)
		return;
	free(m->items);
	free(m);
}

static size_t position(const struct domain_mirror *m, const char *uuid)
{
	size_t low = 0, high = m->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (strcmp(m->items[mid].uuid, uuid) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct mirror_item *domain_mirror_find(struct domain_mirror *m, const char *uuid)
{
	size_t i = position(m, uuid);

	return i < m->count && strcmp(m->items[i].uuid, uuid) == 0 ? &m->items[i] : NULL;
}

struct mirror_item *domain_mirror_add_absent(struct domain_mirror *m, const char *uuid)
{
	size_t i = position(m, uuid);

	hv_assert(strlen(uuid) == HV_UUID_LEN);
	if (m->count == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 64;
		m->items = hv_xrealloc(m->items, m->cap, sizeof(m->items[0]));
	}
	memmove(&m->items[i + 1], &m->items[i], (m->count - i) * sizeof(m->items[0]));
	m->count++;
	m->items[i] = (struct mirror_item){.observed = HV__OBSERVED__OBSERVED_ABSENT};
	memcpy(m->items[i].uuid, uuid, HV_UUID_LEN + 1);
	return &m->items[i];
}

void domain_mirror_set(struct domain_mirror *m, const Hv__DomainSeen *seen)
{
	struct mirror_item *item = domain_mirror_find(m, seen->uuid);

	if (!item)
		item = domain_mirror_add_absent(m, seen->uuid);
	item->observed = (unsigned)seen->observed <= HV__OBSERVED__OBSERVED_INCOMING
			     ? seen->observed
			     : HV__OBSERVED__OBSERVED_UNKNOWN;
	item->cause = seen->cause;
	item->confirmed = true;
	item->starting = false;
	if (seen->name && seen->name[0])
		snprintf(item->name, sizeof(item->name), "%s", seen->name);
}

void domain_mirror_replace(struct domain_mirror *m, Hv__DomainSeen *const *domains, size_t count)
{
	for (size_t i = 0; i < m->count; i++)
		m->items[i].confirmed = false;
	for (size_t i = 0; i < count; i++) {
		struct mirror_item *item;

		if (!hv_uuid_valid(domains[i]->uuid))
			continue;
		item = domain_mirror_find(m, domains[i]->uuid);
		/* The event told why; a list does not. */
		if (item && item->observed == domains[i]->observed)
			item->confirmed = true;
		else
			domain_mirror_set(m, domains[i]);
	}
	for (size_t i = 0; i < m->count; i++) {
		if (m->items[i].confirmed || m->items[i].observed == HV__OBSERVED__OBSERVED_ABSENT)
			continue;
		if (m->items[i].starting) {
			m->items[i].starting = false;
			continue;
		}
		m->items[i].observed = HV__OBSERVED__OBSERVED_ABSENT;
		m->items[i].cause = HV__CAUSE__CAUSE_NONE;
	}
}

void domain_mirror_forget_absent(struct domain_mirror *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->count; i++) {
		if (m->items[i].observed == HV__OBSERVED__OBSERVED_ABSENT && !m->items[i].told &&
		    m->items[i].cause != HV__CAUSE__CAUSE_MIGRATED)
			continue;
		if (kept != i)
			m->items[kept] = m->items[i];
		kept++;
	}
	m->count = kept;
}

size_t domain_mirror_present(const struct domain_mirror *m, Hv__DomainSeen **ret_items,
			     Hv__DomainSeen ***ret_list)
{
	Hv__DomainSeen *items = hv_xcalloc(m->count, sizeof(*items));
	Hv__DomainSeen **list = hv_xcalloc(m->count, sizeof(*list));
	size_t n = 0;

	for (size_t i = 0; i < m->count; i++) {
		if (m->items[i].observed == HV__OBSERVED__OBSERVED_ABSENT)
			continue;
		hv__domain_seen__init(&items[n]);
		items[n].uuid = m->items[i].uuid;
		items[n].name = m->items[i].name;
		items[n].observed = m->items[i].observed;
		items[n].cause = m->items[i].cause;
		list[n] = &items[n];
		n++;
	}
	*ret_items = items;
	*ret_list = list;
	return n;
}
