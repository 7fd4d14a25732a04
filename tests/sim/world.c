/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run: boot, faults, healing, quiet, verdict. */
#include "tests/sim/faults.h"

#include <string.h>

#define FORCE_US (12 * SEC)   /* after healing: the administrator looks */
#define HEALED_US (400 * SEC) /* at most: backed-off retries are up to a minute apart */
#define LOOK_US (2 * SEC)
#define LOOK_STORM_US SEC /* has the log come to rest? */
#define LOOKS 3		  /* quiet so many times in a row */

static void first_boot(struct sim *s, struct host *h, uint64_t arg)
{
	host_power_on(s, h);
}

void sim_begin(struct sim *s)
{
	for (size_t i = 0; i < s->n; i++)
		host_init(s, &s->hosts[i], (hv_node_id)i + 1);
	check_start(s);
	s->mind->start(s);
}

static void world_start(struct sim *s)
{
	sim_begin(s);
	for (size_t i = 0; i < s->n; i++)
		sim_at(s, prng_range(sim_stream(s, STREAM_WORLD), 0, 2 * SEC), first_boot,
		       &s->hosts[i], 0);
	swarm_start(s);
}

void sim_end(struct sim *s)
{
	for (size_t i = 0; i < SIM_HOSTS; i++) {
		struct process *p = &s->hosts[i].proc;

		if (p->up) {
			disk_process_gone(s, &s->hosts[i]);
			s->mind->free(p->mind);
			rl_free(p->log);
		}
		items_clear(&p->inbox);
		disk_done(&s->hosts[i].disk);
	}
	s->mind->stop(s);
	net_done(s);
	check_stop(s);
	free(s->heap);
}

void until_quiet(struct sim *s)
{
	uint64_t end = s->now_us + HEALED_US, force = s->now_us + FORCE_US;
	unsigned looks = 0;
	char buf[256];

	while (!s->failed && s->now_us < end && looks < LOOKS) {
		bool hasty = s->hasty, rests;

		sim_run_until(s, s->now_us + (hasty ? LOOK_STORM_US : LOOK_US));
		rests = !s->failed && !check_quiet(s, buf, sizeof(buf));
		if (rests)
			patience_begins(s);
		looks = rests && !hasty && s->mind->quiet(s) ? looks + 1 : 0;
		if (!s->failed && force && s->now_us >= force)
			force = gone_administrator(s) ? 0 : s->now_us + FORCE_US;
	}
}

bool sim_run(uint64_t seed, const struct sim_options *o, struct sim_result *ret)
{
	struct sim s = {.seed = seed, .mind = o->mind, .trace = o->trace, .storm = o->storm};

	memset(ret, 0, sizeof(*ret));
	s.options = o;
	s.result = ret;
	streams_start(&s);
	swarm_configure(&s);
	world_start(&s);
	sim_run_until(&s, s.swarm.faults_us);
	if (!s.failed)
		swarm_heal(&s);
	until_quiet(&s);
	gone_one(&s);
	gone_majority(&s);
	if (!s.failed)
		check_end(&s);
	if (!s.failed)
		s.mind->end(&s);
	sim_trace(&s, "%llu events", (unsigned long long)ret->events);
	ret->simulated_us = s.now_us;
	lossy_end(&s);
	sim_end(&s);
	return !s.failed;
}
