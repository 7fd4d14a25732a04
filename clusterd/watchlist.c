/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/watchlist.h"

#include <stdlib.h>
#include <string.h>

/* UUIDs, one after the other; the pointers for the message are made when it is sent. */
struct uuids {
	char (*items)[HV_UUID_LEN + 1];
	size_t count, cap;
};

/* A VM whose guest agent hypervisord is to ask. */
struct watched {
	char uuid[HV_UUID_LEN + 1];
	uint32_t heartbeat_s, idle_s;
	bool answered;
};

struct watchlist {
	struct watchlist_ops ops;
	void *user;
	struct uuids managed, incoming; /* as sent */
	char *storages[HV_MAX_STORAGE]; /* as sent, ascending */
	size_t n_storages;
	struct watched *guests; /* as sent, ascending uuid */
	size_t n_guests;
	bool sent;
	uint64_t seen_index; /* of the state that was compared last */
	uint64_t compare_us; /* the whole list is compared then; 0: nothing has changed */
	uint64_t renew_us;
};

static void uuids_add(struct uuids *l, const char *uuid)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 16;
		l->items = hv_xrealloc(l->items, l->cap, sizeof(*l->items));
	}
	memcpy(l->items[l->count++], uuid, sizeof(*l->items));
}

static bool uuids_equal(const struct uuids *a, const struct uuids *b)
{
	return a->count == b->count &&
	       (!a->count || memcmp(a->items, b->items, a->count * sizeof(*a->items)) == 0);
}

static void uuids_take(struct uuids *to, struct uuids *from)
{
	free(to->items);
	*to = *from;
	memset(from, 0, sizeof(*from));
}

static char **pointers(const struct uuids *l)
{
	char **list = hv_xcalloc(l->count + 1, sizeof(*list));

	for (size_t i = 0; i < l->count; i++)
		list[i] = l->items[i];
	return list;
}

static void drop_paths(char **paths, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(paths[i]);
}

struct watchlist *watchlist_new(const struct watchlist_ops *ops, void *user)
{
	struct watchlist *w = hv_xcalloc(1, sizeof(*w));

	w->ops = *ops;
	w->user = user;
	return w;
}

void watchlist_free(struct watchlist *w)
{
	if (!w)
		return;
	free(w->managed.items);
	free(w->incoming.items);
	drop_paths(w->storages, w->n_storages);
	free(w->guests);
	free(w);
}

void watchlist_forget(struct watchlist *w)
{
	w->sent = false;
}

/* Whoever works by hand may start it: nobody refuses that. */
static bool is_ours(const struct cluster *c, const struct vm *vm)
{
	return vm->managed && cluster_arm(c) != DISARMED_IGNORE;
}

static void send_managed(struct watchlist *w, const struct cluster *c)
{
	_cleanup_free_ char **list = NULL;
	Hv__HvManaged body = HV__HV_MANAGED__INIT;
	Hv__HvRequest req = HV__HV_REQUEST__INIT;
	struct uuids now = {0};

	for (size_t i = 0; i < cluster_vm_count(c); i++)
		if (is_ours(c, cluster_vm_at(c, i)))
			uuids_add(&now, cluster_vm_at(c, i)->uuid);
	if (w->sent && uuids_equal(&w->managed, &now)) {
		free(now.items);
		return;
	}
	uuids_take(&w->managed, &now);
	list = pointers(&w->managed);
	body.uuids = list;
	body.n_uuids = w->managed.count;
	req.body_case = HV__HV_REQUEST__BODY_MANAGED;
	req.managed = &body;
	w->ops.request(w->user, &req);
}

/* Into an ascending list, once; what is too much is not probed. */
static void add_path(char **paths, size_t *n, const char *path)
{
	size_t i = 0;

	while (i < *n && strcmp(paths[i], path) < 0)
		i++;
	if ((i < *n && strcmp(paths[i], path) == 0) || *n == HV_MAX_STORAGE)
		return;
	memmove(paths + i + 1, paths + i, (*n - i) * sizeof(*paths));
	paths[i] = hv_xstrdup(path);
	(*n)++;
}

static bool same_paths(const struct watchlist *w, char *const *paths, size_t n)
{
	if (n != w->n_storages)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(paths[i], w->storages[i]) != 0)
			return false;
	return true;
}

static void send_storages(struct watchlist *w, const struct cluster *c)
{
	Hv__HvStorages body = HV__HV_STORAGES__INIT;
	Hv__HvRequest req = HV__HV_REQUEST__INIT;
	char *paths[HV_MAX_STORAGE];
	size_t n = 0;

	for (size_t i = 0; i < cluster_vm_count(c); i++)
		for (size_t k = 0; k < cluster_vm_at(c, i)->n_storage; k++)
			add_path(paths, &n, cluster_vm_at(c, i)->storage[k]);
	if (w->sent && same_paths(w, paths, n)) {
		drop_paths(paths, n);
		return;
	}
	drop_paths(w->storages, w->n_storages);
	memcpy(w->storages, paths, n * sizeof(*paths));
	w->n_storages = n;
	body.paths = w->storages;
	body.n_paths = n;
	req.body_case = HV__HV_REQUEST__BODY_STORAGES;
	req.storages = &body;
	w->ops.request(w->user, &req);
}

static bool same_guests(const struct watchlist *w, const struct watched *now, size_t n)
{
	bool same = n == w->n_guests;

	for (size_t i = 0; same && i < n; i++)
		same = strcmp(now[i].uuid, w->guests[i].uuid) == 0 &&
		       now[i].heartbeat_s == w->guests[i].heartbeat_s &&
		       now[i].idle_s == w->guests[i].idle_s &&
		       now[i].answered == w->guests[i].answered;
	return same;
}

static void say_guests(struct watchlist *w)
{
	_cleanup_free_ Hv__HvGuest *items = hv_xcalloc(w->n_guests + 1, sizeof(*items));
	_cleanup_free_ Hv__HvGuest **list = hv_xcalloc(w->n_guests + 1, sizeof(*list));
	Hv__HvGuests body = HV__HV_GUESTS__INIT;
	Hv__HvRequest req = HV__HV_REQUEST__INIT;

	for (size_t i = 0; i < w->n_guests; i++) {
		list[i] = &items[i];
		hv__hv_guest__init(list[i]);
		list[i]->uuid = w->guests[i].uuid;
		list[i]->heartbeat_s = w->guests[i].heartbeat_s;
		list[i]->idle_s = w->guests[i].idle_s;
		list[i]->answered = w->guests[i].answered;
	}
	body.guests = list;
	body.n_guests = w->n_guests;
	req.body_case = HV__HV_REQUEST__BODY_GUESTS;
	req.guests = &body;
	w->ops.request(w->user, &req);
}

static int by_uuid(const void *a, const void *b)
{
	return strcmp(((const struct watched *)a)->uuid, ((const struct watched *)b)->uuid);
}

static void send_guests(struct watchlist *w, const struct cluster *c, hv_node_id self)
{
	size_t owned = cluster_node_vm_count(c, self), n = 0;
	struct watched *now = hv_xcalloc(owned + 1, sizeof(*now));

	for (size_t i = 0; i < owned; i++) {
		const struct vm *vm = cluster_node_vm_at(c, self, i);

		if (!vm->guest.heartbeat_s || !is_ours(c, vm))
			continue;
		memcpy(now[n].uuid, vm->uuid, sizeof(now[n].uuid));
		now[n].heartbeat_s = vm->guest.heartbeat_s;
		now[n].idle_s = vm->guest.heartbeat_idle_s;
		now[n++].answered = vm->guest.answered;
	}
	qsort(now, n, sizeof(*now), by_uuid);
	if (w->sent && same_guests(w, now, n)) {
		free(now);
		return;
	}
	free(w->guests);
	w->guests = now;
	w->n_guests = n;
	say_guests(w);
}

static void send_incoming(struct watchlist *w, const struct cluster *c, hv_node_id self,
			  uint64_t now_us)
{
	_cleanup_free_ char **list = NULL;
	Hv__HvIncoming body = HV__HV_INCOMING__INIT;
	Hv__HvRequest req = HV__HV_REQUEST__INIT;
	struct uuids now = {0};

	for (size_t i = 0; i < cluster_op_count(c); i++) {
		const struct operation *op = cluster_op_at(c, i);

		if (op->kind == OP_VM_MIGRATE && op->state == OP_RUNNING && op->target == self)
			uuids_add(&now, op->vm);
	}
	if (w->sent && uuids_equal(&w->incoming, &now) && (!now.count || now_us < w->renew_us)) {
		free(now.items);
		return;
	}
	uuids_take(&w->incoming, &now);
	list = pointers(&w->incoming);
	body.uuids = list;
	body.n_uuids = w->incoming.count;
	req.body_case = HV__HV_REQUEST__BODY_INCOMING;
	req.incoming = &body;
	w->ops.request(w->user, &req);
	w->renew_us = now_us + WATCHLIST_RENEW_US;
}

uint64_t watchlist_reconcile(struct watchlist *w, const struct cluster *c, hv_node_id self,
			     uint64_t now_us)
{
	bool changed = !w->sent || w->seen_index != cluster_index(c);

	if (changed || (w->incoming.count && now_us >= w->renew_us))
		send_incoming(w, c, self, now_us);
	if (changed && !w->compare_us)
		w->compare_us = w->sent ? now_us + WATCHLIST_GATHER_US : now_us;
	if (w->compare_us && now_us >= w->compare_us) {
		send_managed(w, c);
		send_storages(w, c);
		send_guests(w, c, self);
		w->compare_us = 0;
	}
	w->sent = true;
	w->seen_index = cluster_index(c);
	if (w->compare_us)
		return w->compare_us;
	return w->incoming.count ? w->renew_us : 0;
}
