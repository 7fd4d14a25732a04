/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes wrong. Each seed has its own mix (a swarm): some kinds of faults not at all, others
 * often. Every fault is undone after a while; at the end all is healed, and then everything must
 * work.
 */
#include "tests/sim/sim.h"

#include <string.h>

static struct host *any_host(struct sim *s, struct prng *r)
{
	return &s->hosts[prng_range(r, 0, s->n - 1)];
}

static uint64_t soon(struct sim *s, struct prng *r)
{
	if (s->storm)
		return prng_range(r, MS, 90 * MS);
	return prng_chance(r, 500) ? prng_range(r, 10 * MS, 500 * MS)
				   : prng_range(r, 500 * MS, 12 * SEC);
}

/* ---- one kind each, and how it ends */

static void start_again(struct sim *s, struct host *h, uint64_t arg)
{
	process_start(s, h);
}

static void fault_kill(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	process_kill(s, h);
	sim_at(s, soon(s, r), start_again, h, 0);
}

static void power_on(struct sim *s, struct host *h, uint64_t arg)
{
	host_power_on(s, h);
}

static void fault_power(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	host_power_off(s, h);
	sim_at(s, soon(s, r), power_on, h, 0);
}

static void fault_blackout(struct sim *s, struct prng *r)
{
	sim_trace(s, "blackout");
	for (size_t i = 0; i < s->n; i++) {
		host_power_off(s, &s->hosts[i]);
		sim_at(s, soon(s, r), power_on, &s->hosts[i], 0);
	}
}

static void join_all(struct sim *s, struct host *h, uint64_t arg)
{
	sim_trace(s, "network: one again");
	for (size_t i = 0; i < s->n; i++)
		s->hosts[i].group = 0;
	net_changed(s, true);
}

static void fault_partition(struct sim *s, struct prng *r)
{
	sim_trace(s, "network: parted");
	for (size_t i = 0; i < s->n; i++) {
		s->hosts[i].group = (unsigned)prng_range(r, 0, s->n > 3 ? 2 : 1);
		sim_trace(s, "  host %zu on side %u", i + 1, s->hosts[i].group);
	}
	net_changed(s, false);
	sim_at(s, soon(s, r), join_all, NULL, 0);
}

static void thaw(struct sim *s, struct host *h, uint64_t arg)
{
	host_hang(s, h, false);
}

static void fault_hang(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	host_hang(s, h, true);
	sim_at(s, soon(s, r), thaw, h, 0);
}

static void go_on(struct sim *s, struct host *h, uint64_t arg)
{
	process_pause(s, h, false);
}

static void fault_pause(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	process_pause(s, h, true);
	sim_at(s, soon(s, r), go_on, h, 0);
}

static void disk_well(struct sim *s, struct host *h, uint64_t arg)
{
	h->disk.slow_us = 0;
	h->disk.stuck = false;
	disk_kick(s, h);
}

static void fault_disk_slow(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	sim_trace(s, "host %u: slow disk", h->id);
	h->disk.slow_us = s->storm ? prng_range(r, MS, 80 * MS) : prng_range(r, 10 * MS, 600 * MS);
	sim_at(s, soon(s, r), disk_well, h, 0);
}

static void fault_disk_stuck(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);

	sim_trace(s, "host %u: disk hangs", h->id);
	h->disk.stuck = true;
	sim_at(s, soon(s, r), disk_well, h, 0);
}

static void fault_disk_fail(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);
	struct rl_input in = {.kind = RL_IN_WRITE_FAILED};

	if (!process_runs(h))
		return;
	sim_trace(s, "host %u: disk fails", h->id);
	/* The store says it once and writes no more; a restart of the process finds the disk well.
	 */
	disk_process_gone(s, h);
	h->proc.disk_failed = true;
	process_feed(s, h, &in);
}

static bool all_active(struct sim *s)
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
 * disks of few: there a loss is only survived once all have it again.
 */
static void fault_damage(struct sim *s, struct prng *r)
{
	struct host *h = any_host(s, r);
	size_t damaged = 0;

	for (size_t i = 0; i < s->n; i++)
		damaged += s->hosts[i].disk.damaged;
	if (sim_minority_possible(s) ? !all_active(s) : damaged >= (s->n - 1) / 2)
		return;
	process_kill(s, h);
	sim_trace(s, "host %u: store damaged", h->id);
	disk_damage(h);
	sim_at(s, soon(s, r), start_again, h, 0);
}

/* ---- the swarm */

static unsigned weight(struct sim *s, unsigned most)
{
	return prng_chance(sim_stream(s, STREAM_SWARM), 450)
		   ? (unsigned)prng_range(sim_stream(s, STREAM_SWARM), 1, most)
		   : 0;
}

static void choose_cluster(struct sim *s)
{
	static const struct {
		size_t n;
		bool two_node, device;
		unsigned permille;
	} kinds[] = {{1, false, false, 20},  {2, true, false, 180}, {2, false, true, 100},
		     {3, false, false, 450}, {4, false, true, 100}, {5, false, false, 150}};
	uint64_t x = prng_range(sim_stream(s, STREAM_SWARM), 0, 999);
	size_t i = 0;

	while (x >= kinds[i].permille)
		x -= kinds[i++].permille;
	s->n = s->options->n_nodes ? s->options->n_nodes : kinds[i].n;
	s->two_node = kinds[i].two_node;
	s->device = kinds[i].device;
}

void faults_configure(struct sim *s)
{
	choose_cluster(s);
	s->storm = prng_chance(sim_stream(s, STREAM_SWARM), 400) || s->storm;
	s->snapshot_every = prng_chance(sim_stream(s, STREAM_SWARM), 500)
				? prng_range(sim_stream(s, STREAM_SWARM), 5, 60)
				: 100000;
	s->swarm = (struct swarm){
	    .kill = weight(s, 300),
	    .power = weight(s, 300),
	    .partition = s->n > 1 ? weight(s, 400) : 0,
	    .hang = weight(s, 150),
	    .pause = weight(s, 200),
	    .disk_slow = weight(s, 150),
	    .disk_stuck = weight(s, 150),
	    .disk_fail = weight(s, 60),
	    .damage = s->n > 1 ? weight(s, 60) : 0,
	    .blackout = weight(s, 30),
	};
	if (s->options->calm) {
		s->swarm = (struct swarm){0};
		s->storm = false;
	}
	sim_trace(s, "seed %llu: %zu hosts%s%s%s, snapshot every %llu", (unsigned long long)s->seed,
		  s->n, s->two_node ? ", two_node" : "", s->device ? ", quorum device" : "",
		  s->storm ? ", storm" : "", (unsigned long long)s->snapshot_every);
}

/* Every step draws one number, whatever comes of it: what is left out shifts nothing. */
static void one_fault(struct sim *s, struct host *h, uint64_t arg)
{
	const struct {
		const char *name;
		unsigned weight;
		void (*fn)(struct sim *s, struct prng *r);
	} kinds[] = {{"process killed", s->swarm.kill, fault_kill},
		     {"power cut", s->swarm.power, fault_power},
		     {"network parted", s->swarm.partition, fault_partition},
		     {"host hangs", s->swarm.hang, fault_hang},
		     {"process paused", s->swarm.pause, fault_pause},
		     {"disk slow", s->swarm.disk_slow, fault_disk_slow},
		     {"disk hangs", s->swarm.disk_stuck, fault_disk_stuck},
		     {"disk fails", s->swarm.disk_fail, fault_disk_fail},
		     {"store damaged", s->swarm.damage, fault_damage},
		     {"blackout", s->swarm.blackout, fault_blackout}};
	uint64_t sum = 0, x;
	struct prng r;

	if (s->healing)
		return;
	prng_seed(&r, prng_next(sim_stream(s, STREAM_FAULTS)));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		sum += kinds[i].weight;
	/* In a storm every step is a fault. */
	x = prng_range(&r, 0, s->storm && sum ? sum - 1 : 999);
	if (s->storm || prng_chance(&r, 300))
		sim_at(s, prng_range(&r, 1 * MS, (s->storm ? 45 : 100) * MS), one_fault, NULL, 0);
	else
		sim_at(s, prng_range(&r, 100 * MS, 4 * SEC), one_fault, NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (x < kinds[i].weight) {
			if (sim_inject(s, kinds[i].name))
				kinds[i].fn(s, &r);
			return;
		}
		x -= kinds[i].weight;
	}
}

void faults_start(struct sim *s)
{
	sim_at(s, prng_range(sim_stream(s, STREAM_FAULTS), 500 * MS, 6 * SEC), one_fault, NULL, 0);
}

void faults_heal(struct sim *s)
{
	sim_trace(s, "all is healed");
	s->healing = true;
	join_all(s, NULL, 0);
	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[i];

		host_power_on(s, h);
		host_hang(s, h, false);
		disk_well(s, h, 0);
		if (h->proc.up && rl_status(h->proc.log)->disk_failed)
			process_kill(s, h);
		process_pause(s, h, false);
		if (h->power && !h->proc.up)
			sim_at(s, prng_range(sim_stream(s, STREAM_WORLD), 10 * MS, SEC),
			       start_again, h, 0);
	}
	s->mind->heal(s);
}
