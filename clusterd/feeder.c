/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/feeder.h"

#include "proto/mutant.h"

#define LOOKS_A_TOKEN 2
#define OPEN_AGAIN_US (5 * HV_US_PER_S)

struct feeder {
	struct feeder_config cfg;
	struct feeder_ops ops;
	void *user;
	hv_node_id self;
	uint64_t incarnation;
	struct selfguard_lease lease;
	bool open, retiring;
	bool stuck;  /* it was to be closed, and was not */
	bool hungry; /* open, and the lease is not valid */
	uint64_t fed_us, tried_us, recorded_us;
	uint64_t mark;
};

struct feeder *feeder_new(const struct feeder_config *cfg, const struct feeder_ops *ops, void *user)
{
	struct feeder *f = hv_xcalloc(1, sizeof(*f));

	f->cfg = *cfg;
	f->ops = *ops;
	f->user = user;
	return f;
}

void feeder_free(struct feeder *f)
{
	free(f);
}

void feeder_set_self(struct feeder *f, hv_node_id self, uint64_t incarnation)
{
	f->self = self;
	f->incarnation = incarnation;
}

void feeder_retire(struct feeder *f, bool retire)
{
	f->retiring = retire;
}

bool feeder_is_open(const struct feeder *f)
{
	return f->open;
}

const char *feeder_trouble(const struct feeder *f)
{
	if (f->stuck)
		return "the watchdog device cannot be stopped (nowayout?): it goes on being fed";
	if (f->hungry)
		return "the watchdog is not fed: this host has lost touch with the cluster, and is "
		       "about to be reset";
	if (f->tried_us && !f->open)
		return "the watchdog device cannot be opened: see the log of clusterd";
	return NULL;
}

static uint64_t lease_us(const struct feeder *f)
{
	return f->cfg.timing.lease_ms * HV_US_PER_MS;
}

static uint64_t feed_every_us(const struct feeder *f)
{
	return f->cfg.timing.watchdog_ms * HV_US_PER_MS / TIMING_FEEDS;
}

static void try_to_open(struct feeder *f, uint64_t now_us)
{
	if (f->tried_us && now_us - f->tried_us < OPEN_AGAIN_US)
		return;
	f->tried_us = now_us;
	f->open = f->ops.open(f->user, &f->cfg.timing.watchdog_ms);
	f->fed_us = now_us;
}

void feeder_resume(struct feeder *f, uint64_t from_us, uint64_t now_us)
{
	bool valid = from_us && from_us <= now_us && now_us - from_us < lease_us(f);

	if (valid || MUTANT(crash_loop_feeds))
		try_to_open(f, now_us);
}

/* ---- what the cluster knows of it */

static bool in_flight(const struct feeder *f)
{
	return f->mark && f->ops.pending(f->user, f->mark);
}

static void tell(struct feeder *f, const struct cluster *c, const struct node *n)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__NodeWatchdog w = HV__NODE_WATCHDOG__INIT;
	bool counts = f->open && !f->retiring;

	if (in_flight(f))
		return;
	w.node = f->self;
	w.incarnation_seen = f->incarnation;
	w.generation = cluster_watchdog_generation(c);
	if (counts) {
		w.watchdog_ms = f->cfg.timing.watchdog_ms;
		w.lease_ms = f->cfg.timing.lease_ms;
		w.device_ms = f->cfg.timing.device_ms;
		w.both_go_on = f->cfg.both_go_on;
	}
	if (n->watch.watchdog_ms == w.watchdog_ms && n->watch.lease_ms == w.lease_ms &&
	    n->watch.device_ms == w.device_ms && n->both_go_on == w.both_go_on)
		return;
	ev.body_case = HV__EVENT__BODY_NODE_WATCHDOG;
	ev.node_watchdog = &w;
	f->mark = f->ops.propose(f->user, &ev);
}

/* ---- looking */

static void close_it(struct feeder *f)
{
	if (!f->open)
		return;
	f->stuck = !f->ops.close(f->user);
	if (f->stuck)
		return;
	f->open = f->hungry = false;
	f->tried_us = 0;
	f->recorded_us = 0;
	f->ops.record(f->user, 0);
}

static void feed(struct feeder *f, uint64_t now_us)
{
	if (now_us - f->fed_us < feed_every_us(f))
		return;
	f->fed_us = now_us;
	f->ops.feed(f->user);
}

static void keep_record(struct feeder *f, uint64_t from_us)
{
	if (!f->open || from_us == f->recorded_us)
		return;
	f->recorded_us = from_us;
	f->ops.record(f->user, from_us);
}

/* In force, and the lease is valid. */
static void go_on(struct feeder *f, const struct feeder_now *now, uint64_t until_us)
{
	f->stuck = f->hungry = false;
	if (!f->open && !f->retiring)
		try_to_open(f, now->now_us);
	if (f->open)
		feed(f, now->now_us);
	keep_record(f, until_us - lease_us(f));
}

static uint64_t next_look_us(const struct feeder *f, uint64_t now_us)
{
	uint64_t wait_us = f->cfg.token_us / LOOKS_A_TOKEN;

	return now_us + (wait_us < feed_every_us(f) ? wait_us : feed_every_us(f));
}

uint64_t feeder_look(struct feeder *f, const struct cluster *c, const struct feeder_now *now)
{
	const struct node *n = cluster_node(c, f->self);
	struct selfguard_lease_input in = {.now_us = now->now_us,
					   .suspended_us = now->suspended_us,
					   .active = now->current,
					   .heartbeat_sent_us = now->heartbeat_back_us,
					   .lease_us = lease_us(f),
					   .token_us = f->cfg.token_us,
					   .left_us = f->cfg.left_us};
	uint64_t until_us = selfguard_lease_step(&f->lease, &in);
	bool on = cluster_watchdogs_on(c);
	/* Not yet the node that joined with this process: its figures are an earlier one's. */
	bool ours = now->current && n && n->incarnation == f->incarnation && !n->away_index;

	if (on && until_us)
		go_on(f, now, until_us);
	else if (on)
		f->hungry = f->open;
	if (ours && on)
		tell(f, c, n);
	if (ours && !n->watch.watchdog_ms && (!on || (f->retiring && !in_flight(f))))
		close_it(f);
	if (f->stuck && !on)
		feed(f, now->now_us);
	return f->open || now->current ? next_look_us(f, now->now_us) : 0;
}
