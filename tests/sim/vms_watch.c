/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watchdogs: a device that resets its host when it is not fed, fed by clusterd's own feeder; and
 * those who feed it in the worst moments there are. A hardware timer runs on whatever hangs, and
 * runs 5 % wrong like any clock.
 *
 * I6 a host with a running watchdog that is no working member of an active epoch any more is off,
 *    or without VMs, by lease + 2 T of its own clocks.
 */
#include "tests/sim/vms.h"

#define LOOK_US (500 * MS)
#define PEEK_US (100) /* for a message on its way */
#define TOKEN_MS 1000
#define CONSENSUS_MS 1200
#define TOKEN_STORM_US (50 * MS)

static struct prng *chance(struct sim *s)
{
	return sim_stream(s, STREAM_WATCHDOG);
}

static struct watchdog *dog_of(struct sim *s, const struct host *h)
{
	return &vms_of(s)->watch.hosts[h->id - 1];
}

/* ---- the device */

static void boot(struct sim *s, struct host *h, uint64_t arg)
{
	host_power_on(s, h);
}

static void look_at_device(struct sim *s, struct host *h, uint64_t powers)
{
	struct watchdog *d = dog_of(s, h);

	d->looked_at = false;
	if (!d->running || h->powers != powers)
		return;
	if (s->now_us < d->expires_us) {
		d->looked_at = true;
		sim_at(s, d->expires_us - s->now_us, look_at_device, h, powers);
		return;
	}
	sim_trace(s, "host %u: its watchdog resets it", h->id);
	vms_of(s)->watch.resets++;
	vms_of(s)->self_resets[h->id - 1]++;
	host_power_off(s, h);
	sim_at(s, prng_range(chance(s), SEC, s->scenario ? 2 * SEC : 10 * SEC), boot, h, 0);
}

static void device_feed(struct sim *s, struct host *h)
{
	struct watchdog *d = dog_of(s, h);
	int64_t us = (int64_t)vms_of(s)->watch.timing.watchdog_ms * (int64_t)MS;

	d->running = true;
	d->expires_us = s->now_us + (uint64_t)(us + us * d->rate_ppm / 1000000);
	if (d->looked_at)
		return;
	d->looked_at = true;
	sim_at(s, d->expires_us - s->now_us, look_at_device, h, h->powers);
}

void vms_watch_power_off(struct sim *s, struct host *h)
{
	struct watchdog *d = dog_of(s, h);

	d->running = d->looked_at = false;
	d->record_us = d->in_touch_us = 0;
}

/* ---- stopped between the check and the feed */

static void stop(struct sim *s, struct host *h, uint64_t arg)
{
	process_pause(s, h, true);
}

static void feed_late(struct sim *s, struct host *h, uint64_t incarnation)
{
	if (!h->power || !h->proc.up || h->proc.incarnation != incarnation || !h->proc.paused ||
	    h->hung)
		return;
	sim_trace(s, "node %u feeds its watchdog, which it decided before it was stopped", h->id);
	device_feed(s, h);
	process_pause(s, h, false);
}

static bool ambushed(struct sim *s, struct host *h)
{
	const struct watchdog *d = dog_of(s, h);
	const struct timing *t = &vms_of(s)->watch.timing;
	uint64_t sent = rl_status(h->proc.log)->heartbeat_back_us;

	return !s->healing && d->ambush_us > s->now_us && d->running &&
	       host_mono_us(s, h) - sent >= (uint64_t)t->lease_ms * d->ambush_permille;
}

/*
 * What comes back was sent before the ring broke, or before the others could have left it: the
 * lease is over soon after.
 */
static void check_lease(struct sim *s, const struct host *h)
{
	const struct watchdogs *w = &vms_of(s)->watch;
	const struct ring *r = h->ring;
	uint64_t most_us = TIMING_WORST_MS(w->timing.lease_ms) * MS;

	if (h->stale_token)
		most_us += (uint64_t)w->consensus_ms * MS;
	if (r && r->stalled && s->now_us - r->stalled_us > most_us)
		sim_fail(s, "I6: node %u feeds its watchdog %llu ms after its ring broke", h->id,
			 (unsigned long long)((s->now_us - r->stalled_us) / MS));
}

static void ops_feed(void *user)
{
	struct mind *m = user;
	struct watchdog *d = dog_of(m->s, m->h);
	uint64_t late;

	check_lease(m->s, m->h);
	d->in_touch_us = m->s->now_us; /* a look every so often may miss the moments of a storm */
	if (!ambushed(m->s, m->h)) {
		device_feed(m->s, m->h);
		return;
	}
	late = prng_range(chance(m->s), MS, 20 * MS);
	d->ambush_us = 0;
	sim_trace(m->s, "node %u is stopped before it feeds", m->h->id);
	sim_at(m->s, 0, stop, m->h, 0);
	if (d->expires_us > m->s->now_us + late)
		sim_at(m->s, d->expires_us - m->s->now_us - late, feed_late, m->h,
		       m->h->proc.incarnation);
}

static bool ops_open(void *user, uint32_t *ret_ms)
{
	struct mind *m = user;

	sim_trace(m->s, "node %u opens its watchdog", m->h->id);
	check_lease(m->s, m->h); /* opening feeds */
	dog_of(m->s, m->h)->in_touch_us = m->s->now_us;
	*ret_ms = vms_of(m->s)->watch.timing.watchdog_ms;
	device_feed(m->s, m->h);
	return true;
}

static bool ops_close(void *user)
{
	struct mind *m = user;

	sim_trace(m->s, "node %u closes its watchdog", m->h->id);
	dog_of(m->s, m->h)->running = false;
	dog_of(m->s, m->h)->closed_us = m->s->now_us;
	return true;
}

static void ops_record(void *user, uint64_t heartbeat_us)
{
	struct mind *m = user;

	dog_of(m->s, m->h)->record_us = heartbeat_us;
}

static uint64_t ops_propose(void *user, const Hv__Event *ev)
{
	struct mind *m = user;

	dog_of(m->s, m->h)->said_us = m->s->now_us;
	vms_policy_at_word(m->s, m->h);
	return mind_propose(m, ev, RL_COMMAND, 0);
}

static bool ops_pending(void *user, uint64_t mark)
{
	struct mind *m = user;

	return proposer_pending(m->proposer, mark);
}

void mind_watch_start(struct mind *m)
{
	static const struct feeder_ops ops = {.open = ops_open,
					      .feed = ops_feed,
					      .close = ops_close,
					      .record = ops_record,
					      .propose = ops_propose,
					      .pending = ops_pending};
	const struct watchdogs *w = &vms_of(m->s)->watch;
	struct feeder_config cfg = {.timing = w->timing,
				    .token_us = w->token_us,
				    .left_us = w->left_us,
				    .both_go_on = m->s->two_node};

	if (!w->on || !dog_of(m->s, m->h)->there)
		return;
	m->feeder = feeder_new(&cfg, &ops, m);
	feeder_set_self(m->feeder, m->h->id, m->h->proc.incarnation);
	feeder_resume(m->feeder, dog_of(m->s, m->h)->record_us, mind_mono(m));
}

void mind_watch_look(struct mind *m)
{
	struct feeder_now now = {.now_us = mind_mono(m),
				 .current = mind_current(m),
				 .heartbeat_back_us = rl_status(m->h->proc.log)->heartbeat_back_us};

	if (m->feeder)
		m->feeder_due_us = feeder_look(m->feeder, m->c, &now);
}

/* ---- I6 */

static bool has_vms(struct sim *s, const struct host *h)
{
	for (int k = 0; k < VMS; k++)
		if (vms_dom(s, h->id, k)->state == DOM_RUNNING && !vms_dom(s, h->id, k)->stray)
			return true;
	return false;
}

static bool works(const struct host *h)
{
	return process_runs(h) && h->ring && !h->ring->stalled && mind_current(h->proc.mind);
}

static void check_i6(struct sim *s, struct host *unused, uint64_t arg)
{
	const struct timing *t = &vms_of(s)->watch.timing;
	uint64_t most_us =
	    TIMING_WORST_MS(TIMING_LEFT_MS(t->watchdog_ms, t->lease_ms, t->device_ms)) * MS +
	    2 * LOOK_US;

	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[i];
		struct watchdog *d = dog_of(s, h);

		if (!h->power || !d->running || !has_vms(s, h) || works(h))
			d->in_touch_us = s->now_us;
		else if (s->now_us - d->in_touch_us > most_us)
			sim_fail(s, "I6: host %u runs VMs %llu ms after it has lost the others",
				 h->id, (unsigned long long)((s->now_us - d->in_touch_us) / MS));
	}
	sim_at(s, LOOK_US, check_i6, NULL, 0);
}

/* ---- bad moments */

static uint64_t timeout_us(struct sim *s)
{
	return vms_of(s)->watch.timing.watchdog_ms * MS;
}

static void join_again(struct sim *s, struct host *h, uint64_t arg)
{
	if (h->group != 100 + h->id)
		return;
	sim_trace(s, "network: host %u is one of all again", h->id);
	h->group = 0;
	net_changed(s, true);
}

static void cut(struct sim *s, struct host *h, uint64_t for_us)
{
	sim_trace(s, "network: host %u is cut off", h->id);
	h->group = 100 + h->id;
	net_changed(s, false);
	sim_at(s, for_us, join_again, h, 0);
}

static void cut_now(struct sim *s, struct host *h, uint64_t for_us)
{
	if (!s->healing)
		cut(s, h, for_us);
}

/* Check, stop, cut; feed at the last moment. */
static void bad_ambush(struct sim *s, struct host *h, struct prng *r)
{
	struct watchdog *d = dog_of(s, h);

	d->ambush_permille = (unsigned)prng_range(r, 0, 950);
	d->ambush_us = s->now_us + 3 * timeout_us(s);
	cut(s, h, prng_range(r, 3, 8) * timeout_us(s));
}

static void crash_on(struct sim *s, struct host *h, uint64_t arg)
{
	struct watchdog *d = dog_of(s, h);

	if (s->healing || s->now_us >= d->crash_until_us) {
		process_start(s, h);
		return;
	}
	if (h->proc.up)
		process_kill(s, h);
	else
		process_start(s, h);
	sim_at(s,
	       h->proc.up ? prng_range(chance(s), timeout_us(s) / 8, timeout_us(s) * 7 / 8)
			  : prng_range(chance(s), MS, timeout_us(s) / 16),
	       crash_on, h, 0);
}

static void bad_crash_loop(struct sim *s, struct host *h, struct prng *r)
{
	dog_of(s, h)->crash_until_us = s->now_us + prng_range(r, 3, 6) * timeout_us(s);
	cut(s, h, prng_range(r, 4, 8) * timeout_us(s));
	crash_on(s, h, 0);
}

static void wake_late(struct sim *s, struct host *h, uint64_t incarnation)
{
	if (h->power && h->proc.up && h->proc.incarnation == incarnation)
		process_pause(s, h, false);
}

/* Stopped with a message of its own on the way, for less than is noticed; cut off meanwhile. */
static void bad_late_reader(struct sim *s, struct host *h, uint64_t until_us)
{
	bool said = h->outgoing_pos < h->outgoing.n;
	uint64_t stop_us = vms_of(s)->watch.token_us * prng_range(chance(s), 30, 95) / 100;

	if (s->healing || !process_runs(h))
		return;
	if (!said && s->now_us < until_us) {
		sim_at(s, PEEK_US, bad_late_reader, h, until_us);
		return;
	}
	process_pause(s, h, true);
	sim_at(s, stop_us / 20, cut_now, h, 4 * timeout_us(s));
	sim_at(s, stop_us, wake_late, h, h->proc.incarnation);
}

static void thaw(struct sim *s, struct host *h, uint64_t powers)
{
	if (h->power && h->powers == powers)
		host_hang(s, h, false);
}

static void corosync_goes_on(struct sim *s, struct host *h, uint64_t powers)
{
	if (h->power && h->powers == powers)
		net_stop(s, h, false);
}

/* Where the watchdog does not bite before: what was said meanwhile comes back all at once. */
static void bad_corosync(struct sim *s, struct host *h, struct prng *r)
{
	uint64_t us = vms_of(s)->watch.timing.lease_ms * MS + timeout_us(s) * 3 / 4;

	us = us * prng_range(r, 20, 110) / 100;
	if (s->storm)
		return;
	net_stop(s, h, true);
	sim_at(s, us, corosync_goes_on, h, h->powers);
}

static void one_bad_moment(struct sim *s, struct host *unused, uint64_t arg)
{
	struct prng r;
	struct host *h;
	uint64_t what;

	if (s->healing)
		return;
	prng_seed(&r, prng_next(chance(s)));
	h = &s->hosts[prng_range(&r, 0, s->n - 1)];
	what = prng_range(&r, 0, 99);
	sim_at(s, prng_range(&r, timeout_us(s), 8 * timeout_us(s)), one_bad_moment, NULL, 0);
	if (what < 30) {
		if (sim_inject(s, "watchdog: stopped before the feed"))
			bad_ambush(s, h, &r);
	} else if (what < 50) {
		if (sim_inject(s, "watchdog: clusterd crashes in a loop"))
			bad_crash_loop(s, h, &r);
	} else if (what < 70) {
		if (sim_inject(s, "watchdog: reads its heartbeat late"))
			bad_late_reader(s, h, s->now_us + SEC);
	} else if (what < 85) {
		if (sim_inject(s, "watchdog: host cut off for long"))
			cut(s, h, prng_range(&r, 2, 8) * timeout_us(s));
	} else if (what < 93) {
		if (sim_inject(s, "watchdog: corosync stands still"))
			bad_corosync(s, h, &r);
	} else if (sim_inject(s, "watchdog: host frozen, nearly too long")) {
		host_hang(s, h, true);
		sim_at(s, timeout_us(s) * prng_range(&r, 20, 98) / 100, thaw, h, h->powers);
	}
}

/* ---- which hosts have one */

void vms_watch_give(struct sim *s, hv_node_id host, const struct timing *t)
{
	struct watchdogs *w = &vms_of(s)->watch;

	if (!w->on)
		sim_at(s, LOOK_US, check_i6, NULL, 0);
	w->on = true;
	w->timing = *t;
	w->token_us = TOKEN_MS * MS;
	w->consensus_ms = CONSENSUS_MS;
	w->left_us = timing_left_us(w->consensus_ms);
	w->hosts[host - 1].there = true;
}

/* As clusterd demands it; the shortest that it takes are among them. */
static void fit_to_ring(struct timing *t)
{
	if (t->lease_ms < timing_least_lease_ms(TOKEN_MS, CONSENSUS_MS))
		t->lease_ms = timing_least_lease_ms(TOKEN_MS, CONSENSUS_MS);
	if (t->watchdog_ms < t->lease_ms + TIMING_FEED_MARGIN_MS || t->watchdog_ms == 4000)
		t->watchdog_ms = t->lease_ms + TIMING_FEED_MARGIN_MS;
	hv_assert(!timing_wrong(t, TOKEN_MS, CONSENSUS_MS));
}

void vms_watch_setup(struct sim *s)
{
	static const uint32_t timeouts[] = {4000, 6000, 10000, 15000},
			      leases[] = {1500, 2000, 3000};
	struct watchdogs *w = &vms_of(s)->watch;
	struct prng *r = chance(s);
	struct timing t = {0};
	bool on = prng_chance(r, lossy(s) ? 800 : 400), nothing_else = prng_chance(r, 600);

	if (s->options && s->options->witness)
		on = nothing_else = true;
	if (s->scenario || !on)
		return;
	t.watchdog_ms = s->storm ? 1000 : timeouts[prng_range(r, 0, 3)];
	t.lease_ms = s->storm ? 300 : leases[prng_range(r, 0, 2)];
	t.device_ms = s->device ? (s->storm ? 200 : 4000) : 0;
	if (lossy(s))
		fit_to_ring(&t);
	s->rings_apart = !s->options->calm;
	for (size_t i = 0; i < s->n; i++) {
		int ppm = (int)prng_range(r, 0, 100000) - 50000;

		if (nothing_else)
			vms_of(s)->n_devices[i] = 0;
		if (prng_chance(r, 100))
			continue;
		vms_watch_give(s, s->hosts[i].id, &t);
		w->hosts[i].rate_ppm = ppm;
	}
	if (s->storm)
		w->token_us =
		    TOKEN_STORM_US; /* rings are left within milliseconds: none is stale */
	sim_trace(s, "watchdogs: %u ms, lease %u ms%s", t.watchdog_ms, t.lease_ms,
		  nothing_else ? ", no fence devices" : "");
	if (w->on && !s->options->calm)
		sim_at(s, prng_range(r, 5 * SEC, 20 * SEC), one_bad_moment, NULL, 0);
}

void vms_watch_heal(struct sim *s)
{
	for (size_t i = 0; i < s->n; i++)
		vms_of(s)->watch.hosts[i].ambush_us = 0;
	s->rings_apart = false;
}
