/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A site that is without quorum for about as long as a node that joins is waited for. So many hosts
 * lose their power that the others cannot go on; one of these has a clusterd that has just been
 * started again and does not report yet. The first host that boots may be the one that begins the
 * next epoch, and knows nothing of the time that has passed.
 */
#include "tests/sim/vms.h"

#define JOIN_US (60 * SEC) /* join_timeout_ms, as it is when nobody sets it */

static void boot(struct sim *s, struct host *h, uint64_t arg)
{
	host_power_on(s, h);
}

static void off(struct sim *s, struct host *h, uint64_t arg)
{
	if (!s->healing)
		host_power_off(s, h);
}

static void speak(struct sim *s, struct host *h, uint64_t arg)
{
	vms_of(s)->mute[h->id - 1] = false;
	if (process_runs(h))
		mind_wake(h->proc.mind);
}

static void start_again(struct sim *s, struct host *h, uint64_t arg)
{
	process_start(s, h);
}

/* Its clusterd begins anew, and says nothing of what runs there until `for_us` have passed. */
static void joins_slowly(struct sim *s, struct host *h, uint64_t for_us)
{
	vms_of(s)->mute[h->id - 1] = true;
	process_kill(s, h);
	sim_at(s, 50 * MS, start_again, h, 0);
	sim_at(s, for_us, speak, h, 0);
}

static void outage(struct sim *s, struct prng *r)
{
	size_t n_off = s->n - s->n / 2, order[SIM_HOSTS], first = 0;
	uint64_t begins = prng_range(r, 2 * SEC, 8 * SEC);
	uint64_t ends = prng_chance(r, 600) ? prng_range(r, JOIN_US - 2 * SEC, JOIN_US + 4 * SEC)
					    : prng_range(r, 20 * SEC, 120 * SEC);

	sim_trace(s, "outage: %zu hosts will be off, for %llu ms", n_off,
		  (unsigned long long)((ends - begins) / MS));
	for (size_t i = 0; i < s->n; i++) {
		size_t at = (size_t)prng_range(r, 0, i);

		order[i] = order[at];
		order[at] = i;
	}
	for (size_t i = 1; i < n_off; i++)
		first = order[i] < order[first] ? i : first;
	for (size_t i = 0; i < n_off; i++) {
		sim_at(s, begins, off, &s->hosts[order[i]], 0);
		sim_at(s, ends + (i == first ? 0 : prng_range(r, 4 * SEC, 30 * SEC)), boot,
		       &s->hosts[order[i]], 0);
	}
	if (s->n - n_off > 1) /* somebody must be able to fence it */
		joins_slowly(s, &s->hosts[order[n_off]], ends + 5 * SEC);
}

static void one_outage(struct sim *s, struct host *unused, uint64_t seed)
{
	struct prng r;

	prng_seed(&r, seed);
	if (!s->healing && sim_inject(s, "outage"))
		outage(s, &r);
}

void vms_outage_setup(struct sim *s)
{
	struct prng *r = sim_stream(s, STREAM_OUTAGE);
	bool chosen = prng_chance(r, 250);
	uint64_t at = prng_range(r, 15 * SEC, 60 * SEC), seed = prng_next(r);

	if (chosen && !s->scenario && !s->storm && !s->options->calm && s->n > 2 && s->n <= 9)
		sim_at(s, at, one_outage, NULL, seed);
}

void vms_outage_heal(struct sim *s)
{
	for (size_t i = 0; i < s->n && !s->scenario; i++)
		speak(s, &s->hosts[i], 0);
}
