/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/nodelist.h"

#include "quorum/corosync_client.h"

#include <corosync/cmap.h>
#include <inttypes.h>
#include <qb/qbdefs.h>
#include <qb/qblog.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "nodelist.node."
#define SETTLE_MS 100	      /* a reload changes key after key */
#define TOKEN_DEFAULT_MS 3000 /* corosync.conf(5) */

/* ------------------------------------------------------------- reading */

/* Nodes by their place in corosync.conf, until all keys were seen. */
struct draft {
	struct nodelist_node nodes[HV_MAX_NODES];
	bool used[HV_MAX_NODES];
};

static bool get_u32(cmap_handle_t h, const char *key, uint32_t *ret)
{
	return cmap_get_uint32(h, key, ret) == CS_OK;
}

/* false: the value is longer than any of our names. */
static bool get_name(cmap_handle_t h, const char *key, char name[HV_NAME_MAX + 1])
{
	char *value = NULL;
	size_t len;

	*name = '\0';
	if (cmap_get_string(h, key, &value) != CS_OK)
		return true;
	len = strlen(value);
	if (len <= HV_NAME_MAX)
		memcpy(name, value, len + 1);
	free(value);
	return len <= HV_NAME_MAX;
}

static enum hv_rc bad(char **ret_text, char *text)
{
	*ret_text = text;
	return HV_BAD_INPUT;
}

static enum hv_rc read_key(cmap_handle_t h, const char *key, struct draft *d, char **ret_text)
{
	char field[32];
	unsigned int place;
	struct nodelist_node *n;

	if (sscanf(key, PREFIX "%9u.%31s", &place, field) != 2)
		return HV_OK;
	if (place >= HV_MAX_NODES)
		return bad(ret_text,
			   hv_xasprintf("corosync.conf lists more than %d nodes", HV_MAX_NODES));
	n = &d->nodes[place];
	if (!d->used[place])
		n->votes = 1; /* corosync.conf(5), quorum_votes */
	d->used[place] = true;
	if (strcmp(field, "nodeid") == 0)
		get_u32(h, key, &n->id);
	else if (strcmp(field, "quorum_votes") == 0)
		get_u32(h, key, &n->votes);
	else if (strcmp(field, "name") == 0 && !get_name(h, key, n->name))
		return bad(ret_text,
			   hv_xasprintf(
			       "the name of node %u in corosync.conf is longer than %d characters",
			       place + 1, HV_NAME_MAX));
	return HV_OK;
}

static enum hv_rc read_nodes(cmap_handle_t h, struct draft *d, char **ret_text)
{
	char key[CMAP_KEYNAME_MAXLEN + 1];
	cmap_iter_handle_t it;
	cmap_value_types_t type;
	size_t len;
	enum hv_rc rc = HV_OK;
	cs_error_t err = cmap_iter_init(h, PREFIX, &it);

	if (err != CS_OK) {
		*ret_text = corosync_error_text(err, "read corosync's nodelist");
		return HV_COROSYNC_DOWN;
	}
	while (rc == HV_OK && (err = cmap_iter_next(h, it, key, &len, &type)) == CS_OK)
		rc = read_key(h, key, d, ret_text);
	cmap_iter_finalize(h, it);
	if (rc == HV_OK && err != CS_ERR_NO_SECTIONS) {
		*ret_text = corosync_error_text(err, "read corosync's nodelist");
		rc = HV_COROSYNC_DOWN;
	}
	return rc;
}

/* Into `list`, ascending by id. */
static enum hv_rc add_node(struct nodelist *list, const struct nodelist_node *n, size_t place,
			   char **ret_text)
{
	size_t i = list->n_nodes;

	if (n->id == 0)
		return bad(
		    ret_text,
		    hv_xasprintf("node %zu in corosync.conf has no nodeid: add one", place + 1));
	if (!hv_name_valid(n->name))
		return bad(ret_text,
			   hv_xasprintf("node %" PRIu32
					" in corosync.conf has no usable name: add name:, "
					"of letters, digits, '.', '_' and '-'",
					n->id));
	for (size_t k = 0; k < list->n_nodes; k++)
		if (list->nodes[k].id == n->id || strcmp(list->nodes[k].name, n->name) == 0)
			return bad(ret_text,
				   hv_xasprintf("corosync.conf has two nodes with nodeid %" PRIu32
						" or name %s",
						n->id, n->name));
	for (; i > 0 && list->nodes[i - 1].id > n->id; i--)
		list->nodes[i] = list->nodes[i - 1];
	list->nodes[i] = *n;
	list->n_nodes++;
	return HV_OK;
}

/* This node's id, or 0. votequorum knows it best; without it, corosync's note of its own place. */
static hv_node_id own_id(cmap_handle_t h, const struct draft *d)
{
	uint32_t id, place;

	if (get_u32(h, "runtime.votequorum.this_node_id", &id))
		return id;
	if (get_u32(h, "nodelist.local_node_pos", &place) && place < HV_MAX_NODES)
		return d->nodes[place].id;
	return 0;
}

static bool lists(const struct nodelist *list, hv_node_id id)
{
	for (size_t i = 0; i < list->n_nodes; i++)
		if (list->nodes[i].id == id)
			return true;
	return false;
}

/*
 * A host that is cut off from the others and from the device keeps the device's vote until the
 * device's client gives up (timeout), or votequorum stops waiting for it (sync_timeout); presets of
 * corosync-qdevice(8).
 */
static void read_device(cmap_handle_t h, struct nodelist *list)
{
	uint32_t timeout = 10000, sync_timeout = 30000;
	uint8_t two_node = 0;
	char *model = NULL;

	if (cmap_get_uint8(h, "quorum.two_node", &two_node) != CS_OK)
		two_node = 0;
	if (cmap_get_string(h, "quorum.device.model", &model) != CS_OK) {
		list->two_node = two_node;
		return;
	}
	free(model);
	get_u32(h, "quorum.device.timeout", &timeout);
	get_u32(h, "quorum.device.sync_timeout", &sync_timeout);
	list->device_ms = timeout + sync_timeout + list->token_ms + list->consensus_ms;
}

static enum hv_rc read_list(cmap_handle_t h, struct nodelist *list, char **ret_text)
{
	struct draft d;
	enum hv_rc rc;

	memset(&d, 0, sizeof(d));
	memset(list, 0, sizeof(*list)); /* padding too: lists are compared as bytes */
	rc = read_nodes(h, &d, ret_text);
	for (size_t i = 0; rc == HV_OK && i < HV_MAX_NODES; i++)
		if (d.used[i])
			rc = add_node(list, &d.nodes[i], i, ret_text);
	if (rc != HV_OK)
		return rc;
	if (list->n_nodes == 0)
		return bad(
		    ret_text,
		    hv_xasprintf("corosync.conf has no nodelist: add one, with nodeid and name"));
	if (!get_name(h, "totem.cluster_name", list->cluster))
		return bad(ret_text, hv_xasprintf("totem.cluster_name is longer than %d characters",
						  HV_NAME_MAX));
	if (!get_u32(h, "runtime.config.totem.token", &list->token_ms) &&
	    !get_u32(h, "totem.token", &list->token_ms))
		list->token_ms = TOKEN_DEFAULT_MS;
	if (!get_u32(h, "runtime.config.totem.consensus", &list->consensus_ms) &&
	    !get_u32(h, "totem.consensus", &list->consensus_ms))
		list->consensus_ms = list->token_ms * 12 / 10; /* corosync.conf(5) */
	read_device(h, list);
	list->self = own_id(h, &d);
	if (!lists(list, list->self)) {
		list->self = 0;
		*ret_text = hv_xasprintf(
		    "this node is not in the nodelist of corosync.conf: add it on all nodes, then "
		    "run 'corosync-cfgtool -R'");
		return HV_NOT_CONFIGURED;
	}
	return HV_OK;
}

enum hv_rc nodelist_read(struct nodelist *ret, char **ret_text)
{
	cmap_handle_t h;
	cs_error_t err = cmap_initialize(&h);
	enum hv_rc rc;

	*ret_text = NULL;
	if (err != CS_OK) {
		*ret_text = corosync_error_text(err, "read corosync's nodelist");
		return HV_COROSYNC_DOWN;
	}
	rc = read_list(h, ret, ret_text);
	cmap_finalize(h);
	return rc;
}

/* ------------------------------------------------------------- watching */

struct nodelist_watch {
	qb_loop_t *loop;
	void (*changed)(void *user, const struct nodelist *list);
	void *user;
	struct corosync_retry retry;
	bool up;
	cmap_handle_t handle;
	int fd;
	qb_loop_timer_handle timer;
	bool timer_set;
	struct nodelist last; /* given to `changed` */
};

static void disconnect(struct nodelist_watch *w)
{
	if (w->timer_set)
		qb_loop_timer_del(w->loop, w->timer);
	w->timer_set = false;
	if (!w->up)
		return;
	w->up = false;
	if (w->fd >= 0)
		qb_loop_poll_del(w->loop, w->fd);
	w->fd = -1;
	cmap_finalize(w->handle);
}

static void look(void *data);

static void look_later(struct nodelist_watch *w)
{
	if (w->timer_set)
		return;
	w->timer_set = qb_loop_timer_add(w->loop, QB_LOOP_MED, SETTLE_MS * 1000000ULL, w, look,
					 &w->timer) == 0;
	hv_assert(w->timer_set);
}

static bool reloading(cmap_handle_t h)
{
	uint8_t now = 0;

	return cmap_get_uint8(h, "config.reload_in_progress", &now) == CS_OK && now;
}

static void look(void *data)
{
	struct nodelist_watch *w = data;
	_cleanup_free_ char *text = NULL;
	struct nodelist list;
	enum hv_rc rc;

	w->timer_set = false;
	if (reloading(w->handle)) {
		look_later(w);
		return;
	}
	rc = read_list(w->handle, &list, &text);
	if (rc == HV_COROSYNC_DOWN) {
		disconnect(w);
		corosync_retry_later(&w->retry);
		return;
	}
	if (rc == HV_BAD_INPUT) {
		qb_log(LOG_ERR, "corosync's nodelist is not usable, the one before stays: %s",
		       text);
		return;
	}
	corosync_retry_reset(&w->retry);
	if (memcmp(&list, &w->last, sizeof(list)) == 0)
		return;
	w->last = list;
	w->changed(w->user, &list);
}

static void on_key(cmap_handle_t handle, cmap_track_handle_t track, int32_t event, const char *key,
		   struct cmap_notify_value new_value, struct cmap_notify_value old_value,
		   void *user)
{
	look_later(user);
}

static int32_t on_event(int32_t fd, int32_t revents, void *data)
{
	struct nodelist_watch *w = data;
	cs_error_t err = cmap_dispatch(w->handle, CS_DISPATCH_ALL);

	if (err == CS_OK && (revents & (POLLHUP | POLLERR)))
		err = CS_ERR_LIBRARY;
	if (err != CS_OK && err != CS_ERR_TRY_AGAIN) {
		disconnect(w);
		corosync_retry_later(&w->retry);
	}
	return 0;
}

static cs_error_t initialise(struct nodelist_watch *w)
{
	const int32_t all = CMAP_TRACK_ADD | CMAP_TRACK_DELETE | CMAP_TRACK_MODIFY;
	cmap_track_handle_t track;
	cs_error_t err = cmap_initialize(&w->handle);

	if (err != CS_OK)
		return err;
	w->up = true;
	w->fd = -1;
	err = cmap_fd_get(w->handle, &w->fd);
	if (err == CS_OK && qb_loop_poll_add(w->loop, QB_LOOP_MED, w->fd, POLLIN, w, on_event) < 0)
		err = CS_ERR_NO_RESOURCES;
	if (err == CS_OK)
		err = cmap_track_add(w->handle, "nodelist.", all | CMAP_TRACK_PREFIX, on_key, w,
				     &track);
	if (err == CS_OK)
		err =
		    cmap_track_add(w->handle, "runtime.config.totem.token", all, on_key, w, &track);
	return err;
}

static void connect_watch(void *user)
{
	struct nodelist_watch *w = user;

	if (initialise(w) == CS_OK) {
		look(w);
		return;
	}
	disconnect(w); /* cpg_link says that corosync is away, and why */
	corosync_retry_later(&w->retry);
}

struct nodelist_watch *nodelist_watch_new(qb_loop_t *loop,
					  void (*changed)(void *user, const struct nodelist *list),
					  void *user)
{
	struct nodelist_watch *w = hv_xcalloc(1, sizeof(*w));

	w->loop = loop;
	w->changed = changed;
	w->user = user;
	w->fd = -1;
	corosync_retry_init(&w->retry, loop, connect_watch, w);
	return w;
}

void nodelist_watch_free(struct nodelist_watch *w)
{
	if (!w)
		return;
	disconnect(w);
	corosync_retry_done(&w->retry);
	free(w);
}
