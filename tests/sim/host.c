/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Power and process of a host, and the driver of the log core: what clusterd does around it. */
#include "tests/sim/sim.h"

#include <string.h>

#define STALL_US (2 * SEC) /* as clusterd: it stood still for so long: it joins anew */
#define STALL_STORM_US (100 * MS)
#define POLL_US (100 * MS) /* a mind is not asked more often than so */
#define POLL_STORM_US (10 * MS)

bool process_runs(const struct host *h)
{
	return h->power && !h->hung && h->proc.up && !h->proc.paused;
}

uint64_t process_cluster_us(struct sim *s, struct host *h)
{
	struct process *p = &h->proc;
	return p->mind ? s->mind->cluster_us(p->mind) : 1;
}

static void applied(struct sim *s, struct host *h, const struct rl_entry *e)
{
	struct process *p = &h->proc;
	uint64_t digest;

	hv_assert(e->index == p->applied + 1);
	p->applied = e->index;
	p->applied_epoch = e->epoch;
	check_applied(s, h, e);
	s->mind->apply(p->mind, e);
	p->applied_at_us = s->now_us;
	if (!p->up)
		return;
	digest = s->mind->digest(p->mind);
	check_digest(s, h, e->index, digest);
	rl_set_digest(p->log, e->index, digest);
}

static void carry_out(struct sim *s, struct host *h, const struct rl_output *out)
{
	struct process *p = &h->proc;

	switch (out->kind) {
	case RL_OUT_MULTICAST:
		p->must_leave = !net_multicast(s, h, out->data, out->len) || p->must_leave;
		break;
	case RL_OUT_WRITE:
		check_asked_write(s, h, out->write);
		disk_write(s, h, out->write);
		break;
	case RL_OUT_APPLY:
		applied(s, h, out->entry);
		break;
	case RL_OUT_INSTALL:
		sim_trace(s, "node %u installs the state at %llu", h->id,
			  (unsigned long long)out->index);
		p->applied = out->index;
		p->applied_epoch = (struct rl_epoch){0};
		p->applied_at_us = s->now_us;
		s->mind->install(p->mind, out->index, out->data, out->len);
		break;
	case RL_OUT_STATUS: {
		const struct rl_status *st = rl_status(p->log);

		sim_trace(s, "node %u is %s in epoch %llu/%u, %zu members, barrier %zu", h->id,
			  rl_phase_name(st->phase), (unsigned long long)st->epoch.number,
			  st->epoch.node, st->n_members, st->barrier);
		check_status(s, h, st);
		s->mind->status(p->mind, st);
		break;
	}
	case RL_OUT_DIVERGED:
		sim_fail(s, "I4: node %u diverged from the majority", h->id);
		break;
	case RL_OUT_GOSSIP:
		break;
	}
}

/* ---- timers: an event for the next thing that is due, and none when nothing is */

static void tick(struct sim *s, struct host *h, uint64_t at_us);
static void rejoin(struct sim *s, struct host *h);

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static uint64_t next_poll(struct sim *s, struct host *h)
{
	uint64_t next = s->mind->next_us(h->proc.mind);
	uint64_t gap = s->storm ? POLL_STORM_US : POLL_US;

	return next && h->proc.polled_us && next < h->proc.polled_us + gap ? h->proc.polled_us + gap
									   : next;
}

static void arm(struct sim *s, struct host *h)
{
	struct process *p = &h->proc;
	uint64_t due, at;

	if (!process_runs(h) || s->failed)
		return;
	due = rl_next_due_us(p->log);
	at = earlier(due ? host_when_us(s, h, due) : 0, next_poll(s, h));
	at = earlier(at, process_watch_due_us(s, h));
	if (p->must_leave)
		at = earlier(at, s->now_us + MS);
	if (!at || (p->tick_at_us && p->tick_at_us <= at))
		return;
	if (at < s->now_us)
		at = s->now_us;
	p->tick_at_us = at;
	sim_at(s, at - s->now_us, tick, h, at);
}

static void tick(struct sim *s, struct host *h, uint64_t at_us)
{
	struct process *p = &h->proc;
	struct rl_input in = {.kind = RL_IN_TICK};
	uint64_t due;

	if (!p->up || p->tick_at_us != at_us)
		return;
	p->tick_at_us = 0;
	if (!process_runs(h))
		return;
	if (p->must_leave)
		rejoin(s, h);
	process_watch_look(s, h);
	due = p->up ? rl_next_due_us(p->log) : 0;
	if (due && due <= host_mono_us(s, h))
		process_feed(s, h, &in);
	if (p->up) {
		due = next_poll(s, h);
		if (due && due <= s->now_us) {
			p->polled_us = s->now_us;
			s->mind->poll(p->mind);
		}
	}
	process_drain(s, h);
}

void process_drain(struct sim *s, struct host *h)
{
	struct process *p = &h->proc;
	struct rl_output out;

	do {
		while (p->log && rl_next_output(p->log, &out))
			if (!s->failed && p->up)
				carry_out(s, h, &out);
	} while (p->up && !s->failed && s->mind->settled(p->mind));
	arm(s, h);
}

void process_feed(struct sim *s, struct host *h, struct rl_input *in)
{
	struct process *p = &h->proc;

	in->now_us = host_mono_us(s, h);
	in->cluster_us = process_cluster_us(s, h);
	in->wall_ms = host_wall_ms(s, h);
	rl_input(p->log, in);
	process_drain(s, h);
}

enum hv_rc process_propose(struct sim *s, struct host *h, enum rl_entry_type type,
			   hv_node_id fenced, const uint8_t *data, size_t len)
{
	enum hv_rc rc = rl_propose(h->proc.log, host_mono_us(s, h), type, fenced, data, len);

	return rc;
}

/* ---- what corosync says */

static void conf_in(struct sim *s, struct host *h, const struct item *it)
{
	struct rl_input in = {.kind = RL_IN_CONFCHG, .ring = it->ring};
	const struct conf *c = (const void *)it->data->data;

	in.members = c->members.ids;
	in.n_members = c->members.n;
	in.ring_members = c->ring_members.ids;
	in.n_ring_members = c->ring_members.n;
	ringwatch_ring(&h->proc.watch, host_mono_us(s, h), it->ring, in.ring_members,
		       in.n_ring_members);
	h->proc.view_ring = it->ring.seq;
	process_feed(s, h, &in);
}

static void votes_in(struct sim *s, struct host *h, const struct item *it)
{
	struct rl_input in = {.kind = RL_IN_QUORUM, .ring = it->ring};
	struct answer *told = h->proc.answers;

	if (told[0].ring != it->ring.seq)
		told[1] = told[0];
	told[0] = (struct answer){it->ring.seq, it->quorate};
	in.quorate = it->quorate;
	in.quorum = it->quorum;
	in.device_votes = it->device_votes;
	if (s->mind->told_votes)
		s->mind->told_votes(h->proc.mind, &in.quorate, &in.quorum);
	ringwatch_votes(&h->proc.watch, host_mono_us(s, h), it->ring, in.quorate);
	process_feed(s, h, &in);
}

void host_votes_again(struct sim *s, struct host *h)
{
	if (h->proc.votes.kind == ITEM_VOTES)
		votes_in(s, h, &h->proc.votes);
}

static void read_item(struct sim *s, struct host *h, const struct item *it)
{
	struct rl_input in = {0};

	switch (it->kind) {
	case ITEM_CONF:
		conf_in(s, h, it);
		break;
	case ITEM_VOTES:
		h->proc.votes = *it;
		votes_in(s, h, it);
		break;
	case ITEM_DISCONNECT:
		in.kind = RL_IN_DISCONNECT;
		process_feed(s, h, &in);
		break;
	case ITEM_MESSAGE:
		in.kind = RL_IN_DELIVER;
		in.sender = it->host;
		in.data = it->data->data;
		in.len = it->data->len;
		if (it->host == h->id)
			h->proc.self_us = host_mono_us(s, h);
		process_feed(s, h, &in);
		break;
	}
}

static void read_inbox(struct sim *s, struct host *h)
{
	struct process *p = &h->proc;

	while (process_runs(h) && p->inbox_pos < p->inbox.n && !s->failed) {
		struct item it = p->inbox.items[p->inbox_pos++];

		read_item(s, h, &it);
		process_watch_look(s, h);
	}
	if (p->up && p->inbox_pos == p->inbox.n) {
		items_drop(&p->inbox);
		p->inbox_pos = 0;
	}
}

void process_receive(struct sim *s, struct host *h, const struct item *it)
{
	struct process *p = &h->proc;

	if (!h->power || !p->up)
		return;
	/* A process is in the group from its own join on. */
	if (it->kind == ITEM_CONF && it->host == h->id && !it->leaves &&
	    it->connection == p->connection) {
		p->joined = true;
		p->self_us = host_mono_us(s, h);
	}
	if ((it->kind == ITEM_MESSAGE || it->kind == ITEM_CONF) && !p->joined)
		return;
	if (p->inbox.n == p->inbox_pos && process_runs(h) && !s->failed) {
		struct item now = *it;

		/* Its ring may be gone before it has been read. */
		if (now.data)
			blob_ref(now.data);
		read_item(s, h, &now);
		blob_unref(now.data);
	} else {
		items_push(&p->inbox, it);
	}
}

/* ---- leaving and joining anew */

/* What CPG had for it; votequorum is another connection. */
static void inbox_drop(struct process *p, bool votes_too)
{
	struct items kept = {0};

	for (size_t i = p->inbox_pos; i < p->inbox.n && !votes_too; i++)
		if (p->inbox.items[i].kind == ITEM_VOTES)
			items_push(&kept, &p->inbox.items[i]);
	items_clear(&p->inbox);
	p->inbox = kept;
	p->inbox_pos = 0;
}

void process_disconnected(struct sim *s, struct host *h)
{
	struct process *p = &h->proc;

	if (!p->up)
		return;
	inbox_drop(p, true);
	p->joined = false;
	process_receive(s, h, &(struct item){.kind = ITEM_DISCONNECT});
}

/* As clusterd's driver does it: what was missed comes back through the ordinary join. */
static void rejoin(struct sim *s, struct host *h)
{
	struct process *p = &h->proc;
	struct rl_input in = {.kind = RL_IN_EVICTED};

	sim_trace(s, "node %u leaves the group and joins it again", h->id);
	p->must_leave = false;
	process_feed(s, h, &in);
	if (!p->up)
		return;
	inbox_drop(p, false);
	p->joined = false;
	net_leave(s, h);
	net_join(s, h);
}

/* It goes on after a pause of its own or of the host: its timers first, or what corosync said. */
static void wake(struct sim *s, struct host *h)
{
	struct process *p = &h->proc;
	uint64_t stall = s->storm ? STALL_STORM_US : STALL_US;

	if (!process_runs(h))
		return;
	if (s->now_us - p->stood_us > stall)
		p->must_leave = true;
	disk_kick(s, h);
	if (p->must_leave && prng_chance(sim_stream(s, STREAM_WORLD), 500))
		rejoin(s, h);
	read_inbox(s, h);
	if (process_runs(h))
		arm(s, h);
}

/* ---- process */

static uint8_t *take_snapshot(void *user, uint64_t index, size_t *ret_len)
{
	struct host *h = user;
	struct process *p = &h->proc;

	hv_assert(p->applied == index);
	return h->sim->mind->snapshot(p->mind, index, ret_len);
}

static void config(struct sim *s, struct host *h, struct rl_config *cfg)
{
	*cfg = (struct rl_config){.self = h->id, .incarnation = h->proc.incarnation, .feature = 1};
	for (size_t i = 0; i < s->n; i++)
		cfg->nodes[cfg->n_nodes++] = (struct rl_node_cfg){s->hosts[i].id, 1};
	patience_config(s, cfg);
	cfg->snapshot_every = s->snapshot_every;
	cfg->max_pending = SIM_MAX_PENDING;
}

void process_start(struct sim *s, struct host *h)
{
	struct process *p = &h->proc;
	struct rl_config cfg;
	struct rl_boot boot;
	struct rl_entry *entries;

	if (!h->power || p->up || h->id > s->n)
		return;
	memset(p, 0, sizeof(*p));
	p->up = true;
	p->incarnation = ++h->disk.incarnation;
	p->started_us = s->now_us;
	sim_trace(s, "node %u starts, incarnation %llu%s", h->id,
		  (unsigned long long)p->incarnation, h->disk.damaged ? ", store damaged" : "");
	p->mind = s->mind->new (s, h);
	config(s, h, &cfg);
	disk_boot(h, &boot, &entries);
	p->log = rl_new(&cfg, &boot, take_snapshot, h);
	free(entries);
	process_drain(s, h);
	process_watch_start(s, h);
	net_join(s, h);
	net_votes(s, h);
}

void process_kill(struct sim *s, struct host *h)
{
	struct process *p = &h->proc;

	if (!p->up)
		return;
	sim_trace(s, "node %u: process ends", h->id);
	p->up = false;
	disk_process_gone(s, h);
	items_clear(&p->inbox);
	s->mind->free(p->mind);
	p->mind = NULL;
	rl_free(p->log);
	p->log = NULL;
	if (h->power)
		net_leave(s, h);
}

void process_pause(struct sim *s, struct host *h, bool pause)
{
	if (!h->proc.up || h->proc.paused == pause)
		return;
	sim_trace(s, "node %u: process %s", h->id, pause ? "paused" : "goes on");
	if (pause && !h->hung)
		h->proc.stood_us = s->now_us;
	h->proc.paused = pause;
	if (!pause)
		wake(s, h);
}

/* ---- power */

static void boot_done(struct sim *s, struct host *h, uint64_t powers)
{
	if (h->power && h->powers == powers)
		process_start(s, h);
}

void host_init(struct sim *s, struct host *h, hv_node_id id)
{
	h->sim = s;
	h->id = id;
	if (!h->name[0])
		snprintf(h->name, sizeof(h->name), "host%u", id);
}

void host_power_on(struct sim *s, struct host *h)
{
	if (h->id > s->n || h->power || sim_is_gone(s, h->id))
		return;
	sim_trace(s, "host %u: power on", h->id);
	h->power = true;
	h->hung = h->corosync_down = h->held = h->stopped = h->stale_token = false;
	h->seen_all = false;
	h->powered_us = s->now_us;
	h->clock.sim_us = s->now_us;
	h->clock.mono_us = 1;
	h->powers++;
	net_changed(s, true);
	sim_at(s, sim_range(s, 10 * MS, 1500 * MS, MS, 60 * MS), boot_done, h, h->powers);
}

void host_power_off(struct sim *s, struct host *h)
{
	if (!h->power)
		return;
	sim_trace(s, "host %u: power off", h->id);
	if (lossy(s))
		sim_fail(s, "host %u is switched off, and nothing was wrong", h->id);
	h->power = false;
	s->mind->power_off(s, h);
	process_kill(s, h);
	net_host_off(s, h);
}

void host_hang(struct sim *s, struct host *h, bool hang)
{
	if (!h->power || h->hung == hang)
		return;
	sim_trace(s, "host %u: %s", h->id, hang ? "hangs" : "thaws");
	if (hang && !h->proc.paused)
		h->proc.stood_us = s->now_us;
	h->hung = hang;
	net_changed(s, !hang);
	if (!hang && h->proc.up)
		wake(s, h);
}
