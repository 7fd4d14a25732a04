/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/guest_mirror.h"

#include "proto/base.h"
#include "proto/mutant.h"

#include <string.h>

struct item {
	char uuid[HV_UUID_LEN + 1];
	Hv__GuestHeartbeat heartbeat;
	bool idle;
	Hv__GuestTrouble trouble;
	bool storage_back;
	uint32_t own_resets;
	char *text;
	uint64_t mark;	     /* the proposal in flight */
	uint64_t unknown_us; /* since when it is not known; 0: it is, or nothing is to be told */
};

struct guest_mirror {
	struct guest_mirror_ops ops;
	void *user;
	struct item *items; /* ascending uuid */
	size_t count, cap;
	bool gone;
};

struct guest_mirror *guest_mirror_new(const struct guest_mirror_ops *ops, void *user)
{
	struct guest_mirror *g = hv_xcalloc(1, sizeof(*g));

	g->ops = *ops;
	g->user = user;
	return g;
}

static void clear(struct guest_mirror *g)
{
	for (size_t i = 0; i < g->count; i++)
		free(g->items[i].text);
	g->count = 0;
}

void guest_mirror_free(struct guest_mirror *g)
{
	if (!g)
		return;
	clear(g);
	free(g->items);
	free(g);
}

static size_t position(const struct guest_mirror *g, const char *uuid)
{
	size_t low = 0, high = g->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (strcmp(g->items[mid].uuid, uuid) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct item *find(const struct guest_mirror *g, const char *uuid)
{
	size_t i = position(g, uuid);

	return i < g->count && strcmp(g->items[i].uuid, uuid) == 0 ? &g->items[i] : NULL;
}

static struct item *get(struct guest_mirror *g, const char *uuid)
{
	size_t i = position(g, uuid);

	if (i < g->count && strcmp(g->items[i].uuid, uuid) == 0)
		return &g->items[i];
	if (g->count == g->cap) {
		g->cap = g->cap ? 2 * g->cap : 32;
		g->items = hv_xrealloc(g->items, g->cap, sizeof(*g->items));
	}
	memmove(&g->items[i + 1], &g->items[i], (g->count - i) * sizeof(*g->items));
	g->count++;
	g->items[i] = (struct item){0};
	memcpy(g->items[i].uuid, uuid, HV_UUID_LEN + 1);
	return &g->items[i];
}

/* Numbers that this program does not know are as good as nothing. */
void guest_mirror_set(struct guest_mirror *g, const Hv__GuestSeen *seen)
{
	struct item *it;

	if (!hv_uuid_valid(seen->uuid) ||
	    (unsigned)seen->heartbeat > HV__GUEST_HEARTBEAT__HEARTBEAT_LOST ||
	    (unsigned)seen->trouble > HV__GUEST_TROUBLE__TROUBLE_IO_ERROR)
		return;
	it = get(g, seen->uuid);
	it->heartbeat = seen->heartbeat;
	it->idle = seen->idle && seen->heartbeat == HV__GUEST_HEARTBEAT__HEARTBEAT_LOST;
	it->trouble = seen->trouble;
	it->storage_back = seen->storage_back;
	it->own_resets = seen->own_resets;
	it->unknown_us = 0;
	free(it->text);
	it->text = *seen->text ? hv_xstrndup(seen->text, HV_TEXT_MAX - 1) : NULL;
	if (it->text)
		hv_text_flatten(it->text);
}

static void blank(struct item *it)
{
	free(it->text);
	it->text = NULL;
	it->heartbeat = HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN;
	it->trouble = HV__GUEST_TROUBLE__TROUBLE_NONE;
	it->idle = it->storage_back = false;
	it->own_resets = 0;
	it->unknown_us = 0;
}

void guest_mirror_forget(struct guest_mirror *g, const char *uuid)
{
	struct item *it = find(g, uuid);

	if (it)
		blank(it);
}

void guest_mirror_reset(struct guest_mirror *g, const char *uuid)
{
	struct item *it = find(g, uuid);
	uint32_t own_resets = it ? it->own_resets : 0;

	if (!it)
		return;
	blank(it);
	it->own_resets = own_resets;
}

void guest_mirror_gone(struct guest_mirror *g)
{
	g->gone = true;
	for (size_t i = 0; i < g->count; i++)
		blank(&g->items[i]);
}

void guest_mirror_back(struct guest_mirror *g)
{
	g->gone = false;
}

/* ---- comparing */

static bool is_blank(const struct item *it)
{
	return !it || (!it->heartbeat && !it->trouble && !it->storage_back && !it->own_resets &&
		       !it->text);
}

static bool same(const struct item *it, const struct guest *b)
{
	if (!it)
		return guest_has_no_facts(b) && !b->own_resets;
	return it->heartbeat == b->heartbeat && it->idle == b->idle && it->trouble == b->trouble &&
	       it->storage_back == b->storage_back &&
	       (it->own_resets == b->own_resets || MUTANT(own_resets_not_told)) &&
	       strcmp(it->text ? it->text : "", b->text ? b->text : "") == 0;
}

/* It was well when it was last heard of: is that to be taken back already? */
static bool may_wait(const struct item *it, const struct guest *b, uint64_t now_us)
{
	return is_blank(it) && b->heartbeat != HV__GUEST_HEARTBEAT__HEARTBEAT_LOST && !b->trouble &&
	       (!it || !it->unknown_us || now_us - it->unknown_us < GUEST_MIRROR_PATIENCE_US);
}

static void propose(struct guest_mirror *g, hv_node_id self, struct item *it)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__GuestHealth body = HV__GUEST_HEALTH__INIT;
	Hv__GuestSeen seen = HV__GUEST_SEEN__INIT;

	seen.uuid = it->uuid;
	seen.heartbeat = it->heartbeat;
	seen.idle = it->idle;
	seen.trouble = it->trouble;
	seen.storage_back = it->storage_back;
	seen.own_resets = it->own_resets;
	if (it->text)
		seen.text = it->text;
	body.node = self;
	body.guest = &seen;
	ev.body_case = HV__EVENT__BODY_GUEST_HEALTH;
	ev.guest_health = &body;
	it->mark = g->ops.propose(g->user, &ev);
}

/* When to look again, 0: when something changes. */
static uint64_t reconcile_vm(struct guest_mirror *g, const struct vm *vm, hv_node_id self,
			     uint64_t now_us)
{
	struct item *it = find(g, vm->uuid);

	if ((vm->state != VM_RUNNING && vm->state != VM_PAUSED) || vm->op || same(it, &vm->guest) ||
	    (it && it->mark && g->ops.pending(g->user, it->mark)))
		return 0;
	if (!it)
		it = get(g, vm->uuid);
	if (may_wait(it, &vm->guest, now_us)) {
		if (!it->unknown_us)
			it->unknown_us = now_us;
		return it->unknown_us + GUEST_MIRROR_PATIENCE_US;
	}
	propose(g, self, it);
	return it->mark ? 0 : now_us + HV_US_PER_S;
}

/* Of VMs that are not here any more. */
static void drop_blank(struct guest_mirror *g)
{
	size_t kept = 0;

	for (size_t i = 0; i < g->count; i++) {
		if (is_blank(&g->items[i]) && !g->items[i].unknown_us)
			continue;
		if (kept != i)
			g->items[kept] = g->items[i];
		kept++;
	}
	g->count = kept;
}

uint64_t guest_mirror_reconcile(struct guest_mirror *g, const struct cluster *c, hv_node_id self,
				uint64_t now_us)
{
	uint64_t next = 0;

	if (g->gone || MUTANT(guests_never_told))
		return 0;
	for (size_t i = 0; i < cluster_node_vm_count(c, self); i++) {
		uint64_t at = reconcile_vm(g, cluster_node_vm_at(c, self, i), self, now_us);

		if (at && (!next || at < next))
			next = at;
	}
	drop_blank(g);
	return next;
}
