/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/faults.h"

static struct host *any_host(struct sim *s, struct prng *r)
{
	return &s->hosts[prng_range(r, 0, s->n - 1)];
}

static uint64_t soon(struct sim *s, struct prng *r)
{
	if (s->storm)
		return prng_range(r, MS, 2 * s->swarm.gap_us);
	return prng_chance(r, 500) ? prng_range(r, 10 * MS, 500 * MS)
				   : prng_range(r, 500 * MS, 12 * SEC);
}

/* As soon(), but at times for minutes. */
static uint64_t a_while(struct sim *s, struct prng *r)
{
	uint64_t usual = soon(s, r), long_us = prng_range(r, 10 * SEC, 60 * SEC);
	bool is_long = prng_chance(r, 100), very = prng_chance(r, 150);

	if (s->storm || !is_long)
		return usual;
	return very ? long_us * 5 : long_us;
}

/* ---- processes */

static void start_again(struct sim *s, struct host *h, uint64_t arg)
{
	process_start(s, h);
}

void fault_kill(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	process_kill(s, h);
	sim_at(s, soon(s, r), start_again, h, 0);
}

static void go_on(struct sim *s, struct host *h, uint64_t arg)
{
	if (!sim_is_gone(s, h->id)) /* it stands still for good by now */
		process_pause(s, h, false);
}

void fault_pause(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	process_pause(s, h, true);
	sim_at(s, a_while(s, r), go_on, h, 0);
}

/* ---- hosts */

static void power_on(struct sim *s, struct host *h, uint64_t arg)
{
	host_power_on(s, h);
}

void fault_power(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	host_power_off(s, h);
	sim_at(s, a_while(s, r), power_on, h, 0);
}

/* A reboot that began before all was healed: with another host out of order for good by now, nobody
 * could lead but by an administrator's word. */
static void reset(struct sim *s, struct host *h, uint64_t arg)
{
	if (sim_gone(s))
		return;
	host_power_off(s, h);
	host_power_on(s, h);
}

/* clusterd leaves first, as at a shutdown. */
void fault_reboot(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	process_kill(s, h);
	sim_at(s, soon(s, r), reset, h, 0);
}

void fault_blackout(struct sim *s, struct prng *r)
{
	for (size_t i = 0; i < s->n; i++) {
		host_power_off(s, &s->hosts[i]);
		sim_at(s, soon(s, r), power_on, &s->hosts[i], 0);
	}
}

static void thaw(struct sim *s, struct host *h, uint64_t arg)
{
	if (!sim_is_gone(s, h->id))
		host_hang(s, h, false);
}

void fault_hang(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	host_hang(s, h, true);
	sim_at(s, a_while(s, r), thaw, h, 0);
}

/* ---- network and corosync */

static void join_all(struct sim *s, struct host *h, uint64_t arg)
{
	sim_trace(s, "network: one again");
	for (size_t i = 0; i < s->n; i++)
		s->hosts[i].group = 0;
	s->whole_us = s->now_us;
	net_changed(s, true);
}

void fault_partition(struct sim *s, struct prng *r)
{
	sim_trace(s, "network: parted");
	for (size_t i = 0; i < s->n; i++) {
		s->hosts[i].group = (unsigned)prng_range(r, 0, s->n > 3 ? 2 : 1);
		sim_trace(s, "host %zu is on side %u", i + 1, s->hosts[i].group);
	}
	net_changed(s, false);
	sim_at(s, soon(s, r), join_all, NULL, 0);
}

void fault_parted_for(struct sim *s, struct prng *r, uint64_t for_us)
{
	uint64_t bits = prng_range(r, 1, (1ULL << (s->n - 1)) - 1);

	sim_trace(s, "network: parted");
	for (size_t i = 1; i < s->n; i++)
		s->hosts[i].group = bits >> (i - 1) & 1;
	net_changed(s, false);
	sim_at(s, for_us, join_all, NULL, 0);
}

void fault_duel(struct sim *s, struct prng *r)
{
	sim_trace(s, "network: parted");
	s->hosts[1].group = 1;
	net_changed(s, false);
	sim_at(s, prng_range(r, 500 * MS, 20 * SEC), join_all, NULL, 0);
}

/*
 * Storms: from one quorum to the next one, and not by way of all. What only those know who are not
 * in both is tried; often one of them loses what is not yet on its disk.
 */
void fault_hop(struct sim *s, struct prng *r)
{
	bool half = sim_minority_possible(s) && prng_chance(r, 500);
	bool one = s->device_votes > 1 && prng_chance(r, 500);
	size_t left = half ? one ? 1 : (s->n + 1) / 2 : s->n / 2 + 1;
	hv_node_id side[SIM_HOSTS];
	size_t count = 0;
	struct host *victim;

	for (size_t i = 0; i < s->n; i++) {
		s->hosts[i].group = prng_range(r, 0, s->n - i - 1) >= left - count;
		if (!s->hosts[i].group)
			side[count++] = s->hosts[i].id;
	}
	victim = sim_host(s, side[prng_range(r, 0, count - 1)]);
	sim_trace(s, "network: %zu hosts from %u on one side", count, side[0]);
	net_changed(s, false);
	if (prng_chance(r, 300)) {
		host_power_off(s, victim);
		sim_at(s, prng_range(r, MS, s->swarm.gap_us), power_on, victim, 0);
	} else if (prng_chance(r, 500)) {
		process_kill(s, victim);
		sim_at(s, prng_range(r, 100, s->swarm.gap_us), start_again, victim, 0);
	}
}

static void both_ways(struct sim *s, struct host *h, uint64_t arg)
{
	net_one_way_over(s);
}

/* One host is heard, or hears, one way only; at times for minutes. */
void fault_one_way(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);
	bool flaps = prng_chance(r, 500), is_long = prng_chance(r, 400);
	uint64_t short_us = soon(s, r), long_us = prng_range(r, 10 * SEC, 200 * SEC);

	if (s->lonely)
		return;
	net_one_way(s, h->id, flaps);
	sim_at(s, is_long && !s->storm ? long_us : short_us, both_ways, NULL, 0);
}

/* Its process ends, but CPG goes on naming it as a member for ever (corosync 3.1.7). */
void fault_ghost(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	h->ghost = true;
	sim_trace(s, "host %u: its group member will be a ghost", h->id);
	process_kill(s, h);
	sim_at(s, a_while(s, r), start_again, h, 0);
}

void fault_try_again(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	h->try_again_us = s->now_us + soon(s, r);
	sim_trace(s, "host %u: CPG says: try again", h->id);
}

static void corosync_back(struct sim *s, struct host *h, uint64_t arg)
{
	net_corosync(s, h, false);
}

void fault_corosync(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	net_corosync(s, h, true);
	sim_at(s, soon(s, r), corosync_back, h, 0);
}

/* ---- disks */

static void disk_well(struct sim *s, struct host *h, uint64_t arg)
{
	if (sim_is_gone(s, h->id))
		return; /* it hangs for good by now */
	h->disk.slow_us = 0;
	h->disk.stuck = false;
	disk_kick(s, h);
}

void fault_disk_slow(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	sim_trace(s, "host %u: slow disk", h->id);
	h->disk.slow_us = sim_pick(s, r, 10 * MS, 600 * MS, MS, 80 * MS);
	sim_at(s, soon(s, r), disk_well, h, 0);
}

void fault_disk_stuck(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	sim_trace(s, "host %u: disk hangs", h->id);
	h->disk.stuck = true;
	sim_at(s, a_while(s, r), disk_well, h, 0);
}

void fault_disk_fail(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	sim_trace(s, "host %u: disk fails", h->id);
	disk_gives_up(s, h);
}

/* The administrator makes room, and restarts what gave up. */
static void room(struct sim *s, struct host *h, uint64_t arg)
{
	h->disk.full = false;
	if (!h->proc.up || !h->proc.disk_failed)
		return;
	process_kill(s, h);
	sim_at(s, 20 * MS, start_again, h, 0);
}

void fault_disk_full(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	sim_trace(s, "host %u: disk full", h->id);
	h->disk.full = true;
	sim_at(s, a_while(s, r), room, h, 0);
}

void fault_log_disk(struct sim *s, struct host *h, bool bad, bool hangs)
{
	if (!bad) {
		disk_well(s, h, 0);
		room(s, h, 0);
	} else if (hangs) {
		h->disk.stuck = true;
	} else {
		disk_gives_up(s, h);
	}
}

bool faults_all_active(const struct sim *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct process *p = &s->hosts[i].proc;

		if (!p->up || rl_status(p->log)->phase != RL_ACTIVE ||
		    rl_status(p->log)->n_members != s->n)
			return false;
	}
	return true;
}

/*
 * Only as many at a time as a quorum can do without. What a minority epoch committed is on the
 * disks of few: there a loss is only survived once all have it again, on their disks.
 */
static bool may_lose_store(struct sim *s)
{
	size_t damaged = 0;

	for (size_t i = 0; i < s->n; i++)
		damaged += s->hosts[i].disk.damaged;
	return sim_minority_possible(s) ? !damaged && faults_all_active(s)
					: damaged < (s->n - 1) / 2;
}

void fault_damage(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	if (!may_lose_store(s))
		return;
	process_kill(s, h);
	sim_trace(s, "host %u: store damaged", h->id);
	disk_damage(h);
	sim_at(s, soon(s, r), start_again, h, 0);
}

/* The power goes, and a record that was on the disk cannot be read when it is back. */
void fault_corrupt(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	if (!may_lose_store(s))
		return;
	host_power_off(s, h);
	sim_trace(s, "host %u: a record of its store is corrupt", h->id);
	disk_damage(h);
	sim_at(s, soon(s, r), power_on, h, 0);
}

/* ---- clocks */

void fault_clock_rate(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);
	int ppm = (int)prng_range(r, 0, 100000) - 50000;

	sim_trace(s, "host %u: its clock is %d ppm too fast", h->id, ppm);
	host_clock_rate(s, h, ppm);
}

void fault_wall_clock(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);
	uint64_t most = prng_chance(r, 500) ? 10 * 1000 : 86400ULL * 1000;
	int64_t step = (int64_t)prng_range(r, 0, 2 * most) - (int64_t)most;

	sim_trace(s, "host %u: its wall clock is set by %lld ms", h->id, (long long)step);
	h->clock.wall_ms += step;
}

/* ---- one host is not healed */

void fault_for_good(struct sim *s, hv_node_id id, struct prng *r)
{
	struct host *h = sim_host(s, id);
	struct host *other = sim_host(s, s->n > 2 ? id % s->n + 1 : id);
	uint64_t kind = prng_range(r, 0, 3);

	sim_trace(s, "host %u: out of order", id);
	s->gone = id;
	if (kind == 0)
		host_power_off(s, h);
	else if (kind == 1)
		host_hang(s, h, true);
	else if (kind == 2)
		process_pause(s, h, true);
	if (kind < 3)
		return;
	/* A disk that hangs is noticed when something is to be written. Of two nodes, the other one
	 * will have to lead alone: after a restart it must not. */
	h->disk.stuck = true;
	process_kill(s, other);
	sim_at(s, 10 * MS, start_again, other, 0);
}

void fault_for_good_over(struct sim *s)
{
	struct host *h = sim_host(s, s->gone);

	s->gone = 0;
	host_power_on(s, h);
	host_hang(s, h, false);
	process_pause(s, h, false);
	disk_well(s, h, 0);
}

/* ---- the end */

void faults_undo(struct sim *s)
{
	net_one_way_over(s);
	witness_heal(s);
	join_all(s, NULL, 0);
	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[i];

		host_power_on(s, h);
		host_hang(s, h, false);
		net_stop(s, h, false);
		net_corosync(s, h, false);
		h->try_again_us = 0;
		disk_well(s, h, 0);
		h->disk.full = false;
		if (h->proc.up && (h->proc.disk_failed || rl_status(h->proc.log)->disk_failed))
			process_kill(s, h);
		process_pause(s, h, false);
		if (h->power && !h->proc.up)
			sim_at(s, prng_range(sim_stream(s, STREAM_WORLD), 10 * MS, SEC),
			       start_again, h, 0);
	}
}
