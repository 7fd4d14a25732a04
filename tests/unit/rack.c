/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/rack.h"

#include "proto/log.pb-c.h"

#include <stdarg.h>
#include <string.h>

struct rack_node *rack_node(struct rack *r, hv_node_id id)
{
	return &r->nodes[id - 1];
}

void rack_init(struct rack *r, size_t n)
{
	memset(r, 0, sizeof(*r));
	r->n = n;
	r->now_us = 1000000;
	r->snapshot_every = 1000000;
	for (size_t i = 0; i < n; i++) {
		r->nodes[i].id = (hv_node_id)i + 1;
		r->nodes[i].text = hv_xstrdup("");
		rack_boot(r, (hv_node_id)i + 1);
	}
}

static void disk_cut(struct rack_node *node, size_t keep)
{
	while (node->n_disk > keep)
		free(node->disk[--node->n_disk].data);
}

void rack_done(struct rack *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct rack_node *node = &r->nodes[i];

		rl_free(node->log);
		disk_cut(node, 0);
		free(node->disk);
		free(node->snapshot);
		free(node->text);
	}
	for (size_t i = 0; i < r->n_queue; i++)
		free(r->queue[i].data);
	free(r->queue);
}

/* The snapshot of this brain: its digest and text. */
static uint8_t *snapshot(void *user, uint64_t index, size_t *ret_len)
{
	struct rack_node *node = user;
	size_t len = strlen(node->text);
	uint8_t *data = hv_xcalloc(1, 8 + len);

	hv_assert(index == node->applied);
	memcpy(data, &node->digest, 8);
	memcpy(data + 8, node->text, len);
	*ret_len = 8 + len;
	return data;
}

static void write_done(struct rack_node *node, const struct rl_write *w)
{
	if (w->set_base) {
		size_t drop =
		    w->drop_all ? node->n_disk : (size_t)(w->base_index - node->base_index);

		for (size_t i = 0; i < drop; i++)
			free(node->disk[i].data);
		if (node->n_disk > drop)
			memmove(node->disk, node->disk + drop,
				(node->n_disk - drop) * sizeof(*node->disk));
		node->n_disk -= drop;
		free(node->snapshot);
		node->snapshot = w->snapshot ? hv_xmemdup(w->snapshot, w->snapshot_len) : NULL;
		node->snapshot_len = w->snapshot_len;
		node->base_index = w->base_index;
		node->base_epoch = w->base_epoch;
		node->base_effective = w->base_effective;
	}
	if (w->truncate)
		disk_cut(node, (size_t)(w->keep_index - node->base_index));
	node->disk = hv_xrealloc(node->disk, node->n_disk + w->n_entries, sizeof(*node->disk));
	for (size_t i = 0; i < w->n_entries; i++) {
		struct rack_entry *e = &node->disk[node->n_disk++];

		e->entry = w->entries[i];
		e->data = hv_xmemdup(e->entry.data, e->entry.len);
		e->entry.data = e->data;
		hv_assert(e->entry.index == node->base_index + node->n_disk);
	}
	if (w->set_promised)
		node->promised = w->promised;
	hv_assert(w->number == node->written + 1);
	node->written = w->number;
}

static void read_times(struct rack_node *node, const struct rl_entry *e)
{
	Hv__Event *ev = hv__event__unpack(NULL, e->len, e->data);

	hv_assert(ev && ev->view);
	node->view_us = ev->at_us;
	node->detected_us = ev->view->detected_us;
	hv__event__free_unpacked(ev, NULL);
}

static void applied(struct rack_node *node, const struct rl_entry *e)
{
	hv_assert(e->index == node->applied + 1);
	node->applied = e->index;
	node->applies++;
	for (size_t i = 0; i < e->len; i++)
		node->digest = node->digest * 31 + e->data[i];
	if (e->type == RL_VIEW) {
		node->views++;
		read_times(node, e);
	} else if (e->type == RL_COMMAND) {
		char *text =
		    hv_xasprintf("%s%.*s ", node->text, (int)e->len, (const char *)e->data);

		free(node->text);
		node->text = text;
	}
	rl_set_digest(node->log, e->index, node->digest + node->lie);
}

static void installed(struct rack_node *node, const struct rl_output *out)
{
	node->installs++;
	node->applied = out->index;
	node->digest = 0;
	free(node->text);
	if (out->len) {
		memcpy(&node->digest, out->data, 8);
		node->text = hv_xstrndup((const char *)out->data + 8, out->len - 8);
	} else {
		node->text = hv_xstrdup("");
	}
}

static void multicast(struct rack *r, struct rack_node *node, const struct rl_output *out)
{
	bool member = false;

	for (size_t i = 0; i < r->n_view; i++)
		member = member || r->view[i] == node->id;
	if (!member)
		return;
	r->queue = hv_xrealloc(r->queue, r->n_queue + 1, sizeof(*r->queue));
	r->queue[r->n_queue++] =
	    (struct rack_message){node->id, hv_xmemdup(out->data, out->len), out->len};
	r->messages++;
}

static void carry_out(struct rack *r, struct rack_node *node)
{
	struct rl_output out;

	while (rl_next_output(node->log, &out)) {
		switch (out.kind) {
		case RL_OUT_MULTICAST:
			multicast(r, node, &out);
			break;
		case RL_OUT_WRITE:
			node->writes++;
			/* A stuck disk is for good here: what it was given is lost. */
			if (!node->disk_stuck)
				write_done(node, out.write);
			break;
		case RL_OUT_APPLY:
			applied(node, out.entry);
			break;
		case RL_OUT_INSTALL:
			installed(node, &out);
			break;
		case RL_OUT_STATUS:
			node->statuses++;
			break;
		case RL_OUT_DIVERGED:
			node->diverged++;
			break;
		case RL_OUT_GOSSIP:
			break;
		}
	}
}

void rack_input(struct rack *r, hv_node_id id, const struct rl_input *in)
{
	struct rack_node *node = rack_node(r, id);
	struct rl_input copy = *in;

	if (!node->up || node->paused)
		return;
	copy.now_us = r->now_us;
	copy.cluster_us = r->now_us - node->behind_us;
	rl_input(node->log, &copy);
	carry_out(r, node);
}

void rack_boot(struct rack *r, hv_node_id id)
{
	struct rack_node *node = rack_node(r, id);
	struct rl_config cfg = {.self = id, .incarnation = ++node->incarnation, .feature = 1};
	struct rl_boot boot = {.promised = node->promised, .base_index = node->base_index};
	struct rl_entry *entries = hv_xcalloc(node->n_disk, sizeof(*entries));

	for (size_t i = 0; i < r->n; i++)
		cfg.nodes[cfg.n_nodes++] = (struct rl_node_cfg){(hv_node_id)i + 1, 1};
	cfg.hello_timeout_us = 100000;
	cfg.ack_timeout_us = 1000000;
	cfg.heartbeat_us = 100000;
	cfg.snapshot_every = r->snapshot_every;
	cfg.max_pending = 1000;
	for (size_t i = 0; i < node->n_disk; i++)
		entries[i] = node->disk[i].entry;
	boot.base_epoch = node->base_epoch;
	boot.base_effective = node->base_effective;
	boot.snapshot = node->snapshot;
	boot.snapshot_len = node->snapshot_len;
	boot.entries = entries;
	boot.n_entries = node->n_disk;
	boot.damaged = node->damaged;
	if (node->damaged)
		boot = (struct rl_boot){.damaged = true};
	node->damaged = false;
	rl_free(node->log);
	node->log = rl_new(&cfg, &boot, snapshot, node);
	node->up = true;
	node->written = node->told = node->applied = node->digest = 0;
	free(node->text);
	node->text = hv_xstrdup("");
	carry_out(r, node);
	free(entries);
}

void rack_crash(struct rack *r, hv_node_id id)
{
	rack_node(r, id)->up = false;
}

static void drop_queue(struct rack *r)
{
	for (size_t i = 0; i < r->n_queue; i++)
		free(r->queue[i].data);
	r->n_queue = 0;
	for (size_t i = 0; i < r->n; i++)
		r->nodes[i].pos = 0;
}

static void regroup(struct rack *r)
{
	struct rl_input in = {.kind = RL_IN_CONFCHG, .members = r->view, .n_members = r->n_view};

	drop_queue(r);
	r->ring++;
	in.ring = (struct rl_ring){r->view[0], r->ring};
	in.ring_members = r->view;
	in.n_ring_members = r->n_view;
	for (size_t i = 0; i < r->n_view; i++)
		rack_input(r, r->view[i], &in);
	/* Whoever is not in the view has lost corosync. */
	for (size_t i = 0; i < r->n; i++) {
		bool member = false;

		for (size_t k = 0; k < r->n_view; k++)
			member = member || r->view[k] == r->nodes[i].id;
		if (!member)
			rack_input(r, r->nodes[i].id, &(struct rl_input){.kind = RL_IN_DISCONNECT});
	}
}

void rack_votes(struct rack *r, bool quorate)
{
	struct rl_input in = {
	    .kind = RL_IN_QUORUM, .quorate = quorate, .device_votes = r->device_votes};

	in.quorum = r->two_node ? 1 : ((uint32_t)r->n + r->device_votes) / 2 + 1;
	in.ring = (struct rl_ring){r->view[0], r->ring};
	for (size_t i = 0; i < r->n_view; i++)
		rack_input(r, r->view[i], &in);
}

static void read_view(struct rack *r, va_list ap)
{
	hv_node_id id;

	r->n_view = 0;
	while ((id = va_arg(ap, hv_node_id)) != 0)
		r->view[r->n_view++] = id;
}

void rack_view_without_votes(struct rack *r, ...)
{
	va_list ap;

	va_start(ap, r);
	read_view(r, ap);
	va_end(ap);
	regroup(r);
}

void rack_view(struct rack *r, ...)
{
	va_list ap;

	va_start(ap, r);
	read_view(r, ap);
	va_end(ap);
	regroup(r);
	rack_votes(r, r->two_node
			  ? r->n_view > 0
			  : r->n_view + r->device_votes >= (r->n + r->device_votes) / 2 + 1);
}

void rack_deliver_raw(struct rack *r, hv_node_id id, hv_node_id sender, const uint8_t *data,
		      size_t len)
{
	rack_input(
	    r, id,
	    &(struct rl_input){.kind = RL_IN_DELIVER, .sender = sender, .data = data, .len = len});
}

static bool step(struct rack *r)
{
	bool moved = false;

	for (size_t i = 0; i < r->n_view; i++) {
		struct rack_node *node = rack_node(r, r->view[i]);
		struct rack_message m;

		if (!node->up || node->paused)
			continue;
		if (node->pos < r->n_queue) {
			m = r->queue[node->pos++];
			rack_deliver_raw(r, node->id, m.sender, m.data, m.len);
			moved = true;
		}
		if (node->told < node->written) {
			node->told = node->written;
			rack_input(
			    r, node->id,
			    &(struct rl_input){.kind = RL_IN_DURABLE, .write = node->written});
			moved = true;
		}
	}
	return moved;
}

void rack_settle(struct rack *r)
{
	while (step(r))
		;
}

void rack_pass(struct rack *r, uint64_t us)
{
	uint64_t end = r->now_us + us;

	rack_settle(r);
	while (r->now_us < end) {
		r->now_us += 50000;
		for (size_t i = 0; i < r->n; i++)
			rack_input(r, r->nodes[i].id, &(struct rl_input){.kind = RL_IN_TICK});
		rack_settle(r);
	}
}

enum hv_rc rack_propose(struct rack *r, hv_node_id id, const char *text)
{
	struct rack_node *node = rack_node(r, id);
	enum hv_rc rc =
	    rl_propose(node->log, r->now_us, RL_COMMAND, 0, (const uint8_t *)text, strlen(text));

	carry_out(r, node);
	return rc;
}

enum hv_rc rack_fenced(struct rack *r, hv_node_id id, hv_node_id victim)
{
	struct rack_node *node = rack_node(r, id);
	enum hv_rc rc =
	    rl_propose(node->log, r->now_us, RL_FENCE, victim, (const uint8_t *)"fenced", 6);

	carry_out(r, node);
	return rc;
}

void rack_force(struct rack *r, hv_node_id id)
{
	rl_force(rack_node(r, id)->log, r->now_us);
	carry_out(r, rack_node(r, id));
}
