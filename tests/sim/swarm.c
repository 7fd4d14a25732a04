/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each seed has a cluster and a mix of faults of its own (a swarm): some kinds not at all, others
 * often. At the end all is healed, and then everything must work.
 */
#include "tests/sim/faults.h"

/* How often at most, in permille of the steps, and how many hosts there must be. */
static const struct fault_kind {
	const char *name;
	unsigned most;
	size_t hosts;
	void (*fn)(struct sim *s, struct prng *r);
} kinds[] = {
    {"process killed", 300, 1, fault_kill},
    {"process paused", 200, 1, fault_pause},
    {"power cut", 300, 1, fault_power},
    {"host rebooted", 150, 1, fault_reboot},
    {"blackout", 30, 1, fault_blackout},
    {"host hangs", 150, 1, fault_hang},
    {"network parted", 400, 2, fault_partition},
    {"loss one way", 100, 2, fault_one_way},
    {"ghost group member", 100, 2, fault_ghost},
    {"CPG says: try again", 150, 1, fault_try_again},
    {"corosync restarted", 150, 1, fault_corosync},
    {"disk slow", 150, 1, fault_disk_slow},
    {"disk hangs", 150, 1, fault_disk_stuck},
    {"disk fails", 60, 1, fault_disk_fail},
    {"disk full", 60, 1, fault_disk_full},
    {"store damaged", 60, 2, fault_damage},
    {"record corrupt after power cut", 60, 2, fault_corrupt},
    {"quorum hops", 600, 2, fault_hop},
    {"node added or removed", 60, 3, fault_nodes},
    {"clock rate", 100, 1, fault_clock_rate},
    {"wall clock set", 100, 1, fault_wall_clock},
};
_Static_assert(ARRAY_SIZE(kinds) <= SIM_FAULTS, "SIM_FAULTS is too small");

#define LOSSY_US (3600 * SEC)
#define LOSSY_HOSTS 9

static void choose_cluster(struct sim *s, struct prng *r)
{
	static const struct {
		size_t n;
		bool two_node, device;
		unsigned permille;
	} clusters[] = {
	    {1, false, false, 25},  {2, true, false, 170}, {2, false, true, 90},
	    {3, false, false, 370}, {4, false, false, 50}, {4, false, true, 80},
	    {5, false, false, 120}, {6, false, true, 30},  {6, false, false, 15},
	    {7, false, false, 20},  {8, false, false, 15}, {9, false, false, 10},
	    {32, false, false, 5},
	};
	uint64_t x = prng_range(r, 0, 999);
	bool wait_for_all = prng_chance(r, 150), more = prng_chance(r, 350);
	bool lms = prng_chance(r, 300);
	size_t i = 0;

	while (x >= clusters[i].permille)
		x -= clusters[i++].permille;
	s->n = clusters[i].n;
	s->two_node = clusters[i].two_node;
	s->device = clusters[i].device;
	if (s->options->n_nodes) {
		s->n = s->options->n_nodes;
		s->device = s->device || more;
		s->device = s->device && (s->n % 2 == 0 || lms) && s->n > 1;
		s->two_node = s->n == 2 && !s->device;
	}
	if (s->options->lossy && !s->options->n_nodes && s->n > LOSSY_HOSTS)
		s->n = LOSSY_HOSTS; /* 32 would take half of the time */
	if (s->options->duel) {
		s->n = 2;
		s->two_node = true;
		s->device = false;
	}
	if (s->options->witness) {
		s->n = s->options->n_nodes ? s->n : 2;
		s->device = s->n > 1;
		s->two_node = false;
		lms = lms || s->n % 2;
	}
	if (s->device)
		s->device_votes = lms ? (uint32_t)s->n - 1 : 1;
	/* A device's vote excludes it (votequorum(5)). */
	s->wait_for_all = s->two_node || (wait_for_all && !s->device);
}

static uint64_t one_of_ms(struct prng *r, const unsigned *ms, size_t n)
{
	return ms[prng_range(r, 0, n - 1)] * MS;
}

static void choose_storm(struct sim *s, struct prng *r)
{
	static const unsigned gap[] = {20, 45, 90, 180, 360}, hello[] = {1, 3, 8, 20},
			      ack[] = {12, 30, 70, 150}, disk[] = {4, 12, 30};

	s->swarm.gap_us = one_of_ms(r, gap, ARRAY_SIZE(gap));
	s->swarm.hello_us = one_of_ms(r, hello, ARRAY_SIZE(hello));
	s->swarm.ack_us = one_of_ms(r, ack, ARRAY_SIZE(ack));
	s->swarm.heartbeat_us = s->swarm.ack_us < 120 * MS ? s->swarm.ack_us / 3 : 40 * MS;
	s->swarm.disk_us = one_of_ms(r, disk, ARRAY_SIZE(disk));
	s->swarm.late = prng_chance(r, 300) ? (unsigned)prng_range(r, 2, 60) : 0;
	s->swarm.load = prng_chance(r, 300) ? 400 : 100;
	s->swarm.burst = prng_chance(r, 300) ? 200 : 20;
}

static void choose_faults(struct sim *s, struct prng *r)
{
	static const unsigned paces[] = {2, 3, 4, 6, 8, 12};
	bool wrong_clocks = prng_chance(r, 300);
	/* Many kinds at once, or a few that come again and again. */
	unsigned chosen = prng_chance(r, 500) ? 450 : 150;
	bool hops = prng_chance(r, 150) && s->storm && s->n > 2 && !s->options->calm;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		unsigned weight = (unsigned)prng_range(r, 1, kinds[i].most);

		if (prng_chance(r, chosen) && s->n >= kinds[i].hosts && !s->options->calm &&
		    (s->storm || kinds[i].fn != fault_hop))
			s->swarm.weight[i] = weight;
	}
	/* Or nothing but ways from one majority to the next. */
	for (size_t i = 0; i < ARRAY_SIZE(kinds) && hops; i++)
		s->swarm.weight[i] = kinds[i].fn == fault_hop ? 1000 : 0;
	s->swarm.pace = paces[prng_range(r, 0, ARRAY_SIZE(paces) - 1)];
	s->swarm.faults_us = sim_pick(s, r, 120 * SEC, 280 * SEC, 6 * SEC, 12 * SEC);
	if (s->n > 9)
		s->swarm.faults_us /= 6; /* everyone speaks to everyone */
	if (s->options->duel)
		s->swarm.faults_us = 900 * SEC;
	if (s->options->witness && !s->storm)
		s->swarm.faults_us = 600 * SEC;
	if (s->options->lossy)
		s->swarm.faults_us = LOSSY_US;
	choose_storm(s, r);
	for (size_t i = 0; i < s->n; i++) {
		int ppm = (int)prng_range(r, 0, 100000) - 50000;

		if (wrong_clocks && !s->options->calm)
			s->hosts[i].clock.rate_ppm = ppm;
	}
}

void swarm_configure(struct sim *s)
{
	struct prng *r = sim_stream(s, STREAM_SWARM);

	choose_cluster(s, r);
	/* Many hosts with short timeouts: nothing but heartbeats. */
	s->storm = (prng_chance(r, 400) || s->storm) && !s->options->calm && s->n <= 9;
	s->hasty = s->storm;
	s->snapshot_every =
	    prng_chance(r, 500) ? prng_range(r, s->storm ? 1 : 5, 60) : prng_range(r, 100, 600);
	choose_faults(s, r);
	moments_configure(s);
	sim_trace(s, "seed %llu: %zu hosts%s%s%s%s, snapshot every %llu, pace %u",
		  (unsigned long long)s->seed, s->n, s->two_node ? ", two_node" : "",
		  s->device_votes > 1 ? ", lms device"
		  : s->device	      ? ", quorum device"
				      : "",
		  s->wait_for_all ? ", wait_for_all" : "", s->storm ? ", storm" : "",
		  (unsigned long long)s->snapshot_every, s->swarm.pace);
}

static void one_fault(struct sim *s, struct host *unused, uint64_t arg);

static void next_step(struct sim *s, struct prng *r)
{
	bool burst = prng_chance(r, 300);

	if (s->storm || burst)
		sim_at(s, prng_range(r, 1 * MS, s->storm ? s->swarm.gap_us : 100 * MS), one_fault,
		       NULL, 0);
	else
		sim_at(s, prng_range(r, 100 * MS, 4 * SEC) * s->swarm.pace, one_fault, NULL, 0);
}

/* Every step draws one number, whatever comes of it: what is left out shifts nothing. */
static void one_fault(struct sim *s, struct host *unused, uint64_t arg)
{
	uint64_t sum = 0, x;
	struct prng r;

	if (s->healing)
		return;
	prng_seed(&r, prng_next(sim_stream(s, STREAM_FAULTS)));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		sum += s->swarm.weight[i];
	/* In a storm every step is a fault. */
	x = prng_range(&r, 0, (s->storm || sum > 1000) && sum ? sum - 1 : 999);
	next_step(s, &r);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (x < s->swarm.weight[i]) {
			if (sim_inject(s, kinds[i].name))
				kinds[i].fn(s, &r);
			return;
		}
		x -= s->swarm.weight[i];
	}
}

/* Both are whole again in between, most of the time. */
static void one_duel(struct sim *s, struct host *unused, uint64_t arg)
{
	struct prng r;

	if (s->healing)
		return;
	prng_seed(&r, prng_next(sim_stream(s, STREAM_FAULTS)));
	if (sim_inject(s, "duel"))
		fault_duel(s, &r);
	sim_at(s, prng_range(&r, 30, 70) * SEC, one_duel, NULL, 0);
}

void swarm_start(struct sim *s)
{
	if (s->options->lossy) {
		lossy_start(s);
		return;
	}
	witness_start(s);
	if (s->options->duel) {
		sim_at(s, 20 * SEC, one_duel, NULL, 0);
		return;
	}
	sim_at(s, prng_range(sim_stream(s, STREAM_FAULTS), 500 * MS, 6 * SEC), one_fault, NULL, 0);
}

void swarm_heal(struct sim *s)
{
	sim_trace(s, "all is healed");
	s->healing = true;
	faults_undo(s);
	s->mind->heal(s);
}
