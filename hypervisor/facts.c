/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/facts.h"

#include <stdio.h>
#include <string.h>

struct facts {
	struct fact *items; /* ascending by UUID */
	size_t count, cap;
	_Atomic uint64_t events; /* facts_mark() is called by threads, too */
};

struct facts *facts_new(void)
{
	return hv_xcalloc(1, sizeof(struct facts));
}

void facts_free(struct facts *fs)
{
	if (!fs)
		return;
	free(fs->items);
	free(fs);
}

/* Where it is, or would be. */
static size_t place(const struct facts *fs, const char *uuid)
{
	size_t low = 0, high = fs->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(fs->items[mid].uuid, uuid) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct fact *find(const struct facts *fs, const char *uuid)
{
	size_t i = place(fs, uuid);

	return i < fs->count && strcmp(fs->items[i].uuid, uuid) == 0 ? &fs->items[i] : NULL;
}

/* A VM never heard of is as good as absent: saying so would be no news. */
static struct fact *get(struct facts *fs, const char *uuid)
{
	size_t i = place(fs, uuid);
	struct fact *f;

	if (i < fs->count && strcmp(fs->items[i].uuid, uuid) == 0)
		return &fs->items[i];
	if (fs->count == fs->cap) {
		fs->cap = fs->cap ? 2 * fs->cap : 32;
		fs->items = hv_xrealloc(fs->items, fs->cap, sizeof(*fs->items));
	}
	f = &fs->items[i];
	memmove(f + 1, f, (fs->count - i) * sizeof(*f));
	fs->count++;
	memset(f, 0, sizeof(*f));
	snprintf(f->uuid, sizeof(f->uuid), "%s", uuid);
	f->observed = HV__OBSERVED__OBSERVED_ABSENT;
	return f;
}

uint64_t facts_mark(const struct facts *fs)
{
	return fs->events;
}

bool facts_newer(const struct facts *fs, const char *uuid, uint64_t mark)
{
	const struct fact *f = find(fs, uuid);

	return f && f->event > mark;
}

Hv__Observed facts_refine(const struct facts *fs, const char *uuid, Hv__Observed observed)
{
	const struct fact *f = find(fs, uuid);

	return f && f->incoming && observed == HV__OBSERVED__OBSERVED_PAUSED
		   ? HV__OBSERVED__OBSERVED_INCOMING
		   : observed;
}

/*
 * A cause that comes later is remembered, though it is no news: of a guest that panics libvirt may
 * first say that it was paused, and only then why.
 */
static const struct fact *note(struct fact *f, const char *name, Hv__Observed observed,
			       Hv__Cause cause)
{
	bool news = f->observed != observed;

	if (name && name[0])
		snprintf(f->name, sizeof(f->name), "%s", name);
	f->observed = observed;
	if (news || cause != HV__CAUSE__CAUSE_NONE)
		f->cause = cause;
	return news ? f : NULL;
}

static void note_incoming(struct fact *f, Hv__Observed observed, bool arrived)
{
	if (arrived)
		f->incoming = true;
	else if (observed == HV__OBSERVED__OBSERVED_RUNNING ||
		 observed == HV__OBSERVED__OBSERVED_ABSENT)
		f->incoming = false;
}

const struct fact *facts_event(struct facts *fs, const char *uuid, const char *name,
			       Hv__Observed observed, Hv__Cause cause, bool arrived)
{
	struct fact *f = get(fs, uuid);

	f->event = ++fs->events;
	note_incoming(f, observed, arrived);
	return note(f, name, facts_refine(fs, uuid, observed), cause);
}

void facts_touch(struct facts *fs, const char *uuid)
{
	get(fs, uuid)->event = ++fs->events;
}

const struct fact *facts_look(struct facts *fs, const char *uuid, const char *name,
			      Hv__Observed observed, Hv__Cause cause, uint64_t mark)
{
	struct fact *f = get(fs, uuid);

	if (f->event > mark)
		return NULL;
	note_incoming(f, observed, observed == HV__OBSERVED__OBSERVED_INCOMING);
	return note(f, name, facts_refine(fs, uuid, observed), cause);
}

const struct fact *facts_at(const struct facts *fs, size_t i)
{
	return i < fs->count ? &fs->items[i] : NULL;
}

void facts_drop_absent(struct facts *fs, uint64_t mark)
{
	size_t kept = 0;

	for (size_t i = 0; i < fs->count; i++) {
		const struct fact *f = &fs->items[i];

		if (f->observed != HV__OBSERVED__OBSERVED_ABSENT || f->event > mark)
			fs->items[kept++] = *f;
	}
	fs->count = kept;
}
