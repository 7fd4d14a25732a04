/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/driver_priv.h"

#include "clusterd/guard.h"
#include "clusterd/host_time.h"
#include "clusterd/logging.h"

#include <string.h>

#define HEARTBEAT_US (400 * HV_US_PER_MS)
#define TICK_US (HEARTBEAT_US / 2)
#define HELLO_TIMEOUT_US (1 * HV_US_PER_S)
#define ACK_TIMEOUT_US (3 * HV_US_PER_S)
#define SNAPSHOT_EVERY 2000
#define MAX_IN_FLIGHT 1024
/*
 * The host stood still for so long (frozen, suspended) that the others have long gone on without
 * us, though corosync may take another second to tell. Nothing is done on what was true before.
 */
#define STALL_US (2 * HV_US_PER_S)

/* ---- inputs */

static void feed(struct driver *d, struct rl_input *in)
{
	if (d->closing)
		return;
	in->now_us = mono_us();
	in->cluster_us = cluster_time_at(&d->time, in->now_us);
	in->wall_ms = wall_ms();
	rl_input(d->log, in);
	driver_turn(d);
}

static void on_confchg(void *user, struct rl_ring ring, const hv_node_id *members, size_t n_members,
		       const hv_node_id *ring_members, size_t n_ring_members)
{
	struct driver *d = user;
	struct rl_input in = {.kind = RL_IN_CONFCHG,
			      .ring = ring,
			      .members = members,
			      .n_members = n_members,
			      .ring_members = ring_members,
			      .n_ring_members = n_ring_members};

	log_info("corosync: ring %u/%llu, %zu of %zu nodes in the group", ring.node,
		 (unsigned long long)ring.seq, n_members, n_ring_members);
	if (!d->closing)
		d->ops.ring(d->user, ring, ring_members, n_ring_members);
	feed(d, &in);
}

/* With quorum_loss=ignore the log is told otherwise. */
static void feed_votes(struct driver *d)
{
	struct rl_input in = d->votes;

	selfguard_quorum(d->ignoring ? SELFGUARD_IGNORE : SELFGUARD_FREEZE, &in.quorate,
			 &in.quorum);
	if (!d->closing)
		d->ops.votes(d->user, in.ring, in.quorate);
	feed(d, &in);
}

static void on_quorum(void *user, struct rl_ring ring, bool quorate, uint32_t quorum_votes,
		      uint32_t device_votes)
{
	struct driver *d = user;
	struct rl_input in = {.kind = RL_IN_QUORUM,
			      .ring = ring,
			      .quorate = quorate,
			      .quorum = quorum_votes,
			      .device_votes = device_votes};

	log_info("corosync: ring %u/%llu is %s", ring.node, (unsigned long long)ring.seq,
		 quorate ? "quorate" : "not quorate");
	d->votes = in;
	feed_votes(d);
	if (quorate)
		driver_force_log(d);
}

/* The administrator may have said that this view is to do without quorum, or no longer. */
static void look_at_policy(struct driver *d)
{
	bool ignoring = guard_policy(d->cluster) == SELFGUARD_IGNORE;

	if (ignoring == d->ignoring)
		return;
	d->ignoring = ignoring;
	if (d->votes.kind == RL_IN_QUORUM && !d->votes.quorate)
		feed_votes(d);
}

static void on_deliver(void *user, hv_node_id sender, const uint8_t *data, size_t len)
{
	struct rl_input in = {.kind = RL_IN_DELIVER, .sender = sender, .data = data, .len = len};

	feed(user, &in);
}

static void on_down(void *user, const char *why)
{
	struct driver *d = user;
	struct rl_input in = {.kind = RL_IN_DISCONNECT};

	if (d->closing)
		return;
	log_warning("corosync: connection lost: %s; trying again", why);
	feed(d, &in);
	d->ops.link_down(d->user);
}

static void on_durable(void *user, uint64_t write)
{
	struct rl_input in = {.kind = RL_IN_DURABLE, .write = write};

	feed(user, &in);
}

static void on_store_failed(void *user, enum hv_rc rc, const char *text)
{
	struct driver *d = user;
	struct rl_input in = {.kind = RL_IN_WRITE_FAILED};

	log_error("log store: %s (%s): this node no longer counts for a commit", text,
		  hv_rc_name(rc));
	free(d->store_warning);
	d->store_warning =
	    hv_xasprintf("the log store failed: %s; repair the disk and restart clusterd", text);
	feed(d, &in);
}

static const struct cpg_link_ops cpg_ops = {
    .confchg = on_confchg, .deliver = on_deliver, .down = on_down};
static const struct vote_link_ops vote_ops = {.quorum = on_quorum, .down = on_down};
static const struct log_store_ops store_ops = {.durable = on_durable, .failed = on_store_failed};

/* Leaves the group and joins it again: what was missed comes back through the ordinary join. */
static void rejoin(struct driver *d)
{
	struct rl_input in = {.kind = RL_IN_EVICTED};

	log_warning("leaving the group and joining it again");
	d->must_leave = false;
	feed(d, &in);
	cpg_link_free(d->cpg);
	d->cpg = cpg_link_new(d->loop, &cpg_ops, d);
}

static void on_tick(void *user)
{
	struct driver *d = user;
	struct rl_input in = {.kind = RL_IN_TICK};
	/* Unlike CLOCK_MONOTONIC it also runs while the host is suspended. */
	uint64_t now = host_time_us(CLOCK_BOOTTIME);
	uint64_t gap = d->last_tick_us ? now - d->last_tick_us : 0;

	d->last_tick_us = now;
	qb_loop_timer_add(d->loop, QB_LOOP_HIGH, TICK_US * 1000, d, on_tick, &d->tick);
	if (gap > STALL_US) {
		log_warning("this host stood still for %llu ms",
			    (unsigned long long)(gap / HV_US_PER_MS));
		d->must_leave = true;
		d->ops.stalled(d->user);
	}
	if (d->must_leave)
		rejoin(d);
	look_at_policy(d);
	feed(d, &in);
}

/* ---- outputs */

static void apply(struct driver *d, const struct rl_entry *entry)
{
	Hv__Event *ev = hv__event__unpack(NULL, entry->len, entry->data);
	Hv__Event nothing = HV__EVENT__INIT;
	uint64_t index = entry->index;

	if (!ev)
		log_error("entry %llu cannot be read; every node skips it",
			  (unsigned long long)index);
	d->applied_epoch = entry->epoch;
	action_list_clear(&d->actions);
	brain_step(d->cluster, index, ev ? ev : &nothing, &d->actions);
	cluster_time_applied(&d->time, cluster_now_us(d->cluster), mono_us());
	rl_set_digest(d->log, index, cluster_digest(d->cluster));
	history_entry(d->history, entry, cluster_digest(d->cluster));
	if (ev)
		proposer_applied(d->proposer, ev);
	d->ops.applied(d->user, index, ev ? ev : &nothing, &d->actions);
	if (ev)
		hv__event__free_unpacked(ev, NULL);
	d->unsettled = true;
}

static void install(struct driver *d, const struct rl_output *out)
{
	const char *why = "it is damaged";
	struct cluster *c = out->len ? brain_decode(out->data, out->len, &why) : cluster_new();

	if (!c) {
		log_error("the snapshot at entry %llu cannot be used: %s",
			  (unsigned long long)out->index, why);
		d->ops.fatal(d->user, HV_CORRUPT,
			     "a snapshot of the cluster's state cannot be read; is this version "
			     "older than the others'?");
		return;
	}
	cluster_free(d->cluster);
	d->cluster = c;
	d->applied_epoch = (struct rl_epoch){0};
	cluster_time_installed(&d->time, cluster_now_us(c), mono_us());
	rl_set_digest(d->log, out->index, cluster_digest(c));
	history_state(d->history, !d->booted, wall_ms(), out->index, cluster_digest(c), out->data,
		      out->len);
	d->booted = true;
	log_info("state: installed as of entry %llu", (unsigned long long)out->index);
	d->ops.installed(d->user);
	d->unsettled = true;
}

/* The log was compacted: its new base is the state as it is now. */
static void keep_base(struct driver *d, const struct rl_write *w)
{
	if (w->set_base && !w->drop_all && w->base_index == cluster_index(d->cluster))
		history_goes_on(d->history, wall_ms(), w->base_index, cluster_digest(d->cluster),
				w->snapshot, w->snapshot_len);
}

static void multicast(struct driver *d, const struct rl_output *out)
{
	enum hv_rc rc = d->cpg ? cpg_link_send(d->cpg, out->data, out->len) : HV_COROSYNC_DOWN;

	/* Down: the view is over and with it all that was to be said. Full: none may be left out
	 * alone. */
	if (rc == HV_LIMIT) {
		log_error("corosync takes no messages and the queue is full");
		d->must_leave = true;
	}
}

static void log_status_changes(struct driver *d)
{
	const struct rl_status *s = rl_status(d->log);

	if (s->phase == d->phase && rl_epoch_cmp(&s->epoch, &d->epoch) == 0 &&
	    s->barrier == d->barrier)
		return;
	log_notice("log: %s -> %s, epoch %llu of node %u, %zu members, coordinator %u%s%s",
		   rl_phase_name(d->phase), rl_phase_name(s->phase),
		   (unsigned long long)s->epoch.number, s->epoch.node, s->n_members, s->coordinator,
		   s->minority ? ", minority" : "", s->barrier ? ", behind its barrier" : "");
	d->phase = s->phase;
	d->epoch = s->epoch;
	d->barrier = s->barrier;
}

static void gossip_in(struct driver *d, const struct rl_output *out)
{
	Hv__Gossip *g = hv__gossip__unpack(NULL, out->len, out->data);

	if (!g)
		return;
	d->ops.gossip(d->user, out->node, g);
	hv__gossip__free_unpacked(g, NULL);
}

static void carry_out(struct driver *d, const struct rl_output *out)
{
	switch (out->kind) {
	case RL_OUT_MULTICAST:
		multicast(d, out);
		break;
	case RL_OUT_WRITE:
		log_store_write(d->store, out->write);
		keep_base(d, out->write);
		break;
	case RL_OUT_APPLY:
		apply(d, out->entry);
		break;
	case RL_OUT_INSTALL:
		install(d, out);
		break;
	case RL_OUT_STATUS:
		log_status_changes(d);
		d->unsettled = true;
		break;
	case RL_OUT_DIVERGED:
		d->divergences++;
		log_error("state: this node's state differs from the majority's; dropping it and "
			  "asking the others for theirs");
		d->unsettled = true;
		break;
	case RL_OUT_GOSSIP:
		gossip_in(d, out);
		break;
	}
}

static void settle(struct driver *d)
{
	d->unsettled = false;
	if (proposer_count(d->proposer) && rl_status(d->log)->pending == 0)
		proposer_log_is_empty(d->proposer);
	d->ops.settled(d->user);
	proposer_flush(d->proposer, driver_now_us(d), wall_ms());
}

void driver_turn(struct driver *d)
{
	struct rl_output out;

	if (d->turning)
		return;
	d->turning = true;
	do {
		while (rl_next_output(d->log, &out))
			carry_out(d, &out);
		if (!d->unsettled)
			break;
		settle(d);
	} while (true);
	d->turning = false;
}

void driver_wake(struct driver *d)
{
	d->unsettled = true;
	driver_turn(d);
}

/* ---- life */

static enum hv_rc propose(void *user, enum rl_entry_type type, hv_node_id fenced,
			  const uint8_t *data, size_t len)
{
	struct driver *d = user;

	return rl_propose(d->log, mono_us(), type, fenced, data, len);
}

static void dropped(void *user, uint64_t mark, enum hv_rc rc)
{
	struct driver *d = user;

	d->ops.dropped(d->user, mark, rc);
}

static uint8_t *snapshot(void *user, uint64_t index, size_t *ret_len)
{
	struct driver *d = user;

	/* A new cluster's first snapshot may be asked for before anything was applied. */
	hv_assert(cluster_index(d->cluster) == index);
	return brain_encode(d->cluster, ret_len);
}

static size_t node_cfg(const struct nodelist *list, struct rl_node_cfg *ret)
{
	for (size_t i = 0; i < list->n_nodes; i++)
		ret[i] =
		    (struct rl_node_cfg){.id = list->nodes[i].id, .votes = list->nodes[i].votes};
	return list->n_nodes;
}

void driver_nodes_changed(struct driver *d, const struct nodelist *list)
{
	struct rl_node_cfg nodes[HV_MAX_NODES];
	struct rl_input in = {.kind = RL_IN_NODES, .nodes = nodes};

	in.n_nodes = node_cfg(list, nodes);
	feed(d, &in);
}

static void make_log(struct driver *d, const struct nodelist *list)
{
	struct rl_config cfg = {.self = list->self,
				.incarnation = log_store_incarnation(d->store),
				.feature = 1,
				.hello_timeout_us = HELLO_TIMEOUT_US,
				.ack_timeout_us = ACK_TIMEOUT_US,
				.heartbeat_us = HEARTBEAT_US,
				.snapshot_every = SNAPSHOT_EVERY,
				.max_pending = MAX_IN_FLIGHT};
	static const struct proposer_ops proposer_ops = {.propose = propose, .dropped = dropped};

	cfg.n_nodes = node_cfg(list, cfg.nodes);
	d->proposer = proposer_new(list->self, cfg.incarnation, &proposer_ops, d);
	d->log = rl_new(&cfg, log_store_boot(d->store), snapshot, d);
	log_store_boot_done(d->store);
	d->phase = rl_status(d->log)->phase;
}

static void make_history(struct driver *d, const char *state_dir, uint64_t history_bytes)
{
	_cleanup_free_ char *dir = hv_xasprintf("%s/history", state_dir);

	d->history =
	    history_new(dir, history_bytes, d->self, log_store_incarnation(d->store), HV_VERSION);
}

enum hv_rc driver_open(qb_loop_t *loop, const char *state_dir, uint64_t history_bytes,
		       const struct nodelist *list, const struct driver_ops *ops, void *user,
		       struct driver **ret, char **ret_text)
{
	struct driver *d = hv_xcalloc(1, sizeof(*d));
	enum hv_rc rc;

	hv_assert(list->self != 0);
	d->loop = loop;
	d->ops = *ops;
	d->user = user;
	d->self = list->self;
	action_list_init(&d->actions);
	d->cluster = cluster_new();
	cluster_time_installed(&d->time, cluster_now_us(d->cluster), mono_us());
	rc = log_store_open(state_dir, loop, &store_ops, d, &d->store, ret_text);
	if (rc != HV_OK) {
		driver_close(d);
		return rc;
	}
	if (log_store_damage(d->store)) {
		d->store_warning = hv_xasprintf("the log store was damaged and put aside (%s): the "
						"state came from the other nodes",
						log_store_damage(d->store));
		log_error("log store: %s: put aside; this node asks its peers for everything",
			  log_store_damage(d->store));
	}
	make_log(d, list);
	make_history(d, state_dir, history_bytes);
	*ret = d;
	/* The owner has its pointer before the first callback runs. */
	driver_turn(d);
	if (!d->booted)
		history_state(d->history, true, wall_ms(), 0, cluster_digest(d->cluster), NULL, 0);
	d->booted = true;
	d->cpg = cpg_link_new(loop, &cpg_ops, d);
	d->vote = vote_link_new(loop, &vote_ops, d);
	on_tick(d);
	return HV_OK;
}

void driver_close(struct driver *d)
{
	if (!d)
		return;
	d->closing = true;
	if (d->tick)
		qb_loop_timer_del(d->loop, d->tick);
	cpg_link_free(d->cpg);
	vote_link_free(d->vote);
	if (d->store)
		log_store_close(d->store);
	history_free(d->history);
	rl_free(d->log);
	proposer_free(d->proposer);
	action_list_done(&d->actions);
	cluster_free(d->cluster);
	free(d->store_warning);
	free(d);
}
