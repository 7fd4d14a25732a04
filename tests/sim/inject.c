/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Streams of chance, and the injections: numbered, counted by kind, and left out when the shrinker
 * says so. */
#include "tests/sim/sim.h"

#include <string.h>

void streams_start(struct sim *s)
{
	for (unsigned i = 0; i < STREAM_COUNT; i++)
		prng_seed(&s->streams[i], s->seed + (uint64_t)i * 0xd1342543de82ef95);
}

struct prng *sim_stream(struct sim *s, enum sim_stream which)
{
	return &s->streams[which];
}

static bool dropped(const struct sim_options *o, uint32_t number)
{
	for (size_t i = 0; i < o->n_drop; i++)
		if (o->drop[i].first <= number && number <= o->drop[i].last)
			return true;
	return false;
}

void coverage_add(struct coverage *c, const char *kind, uint64_t count)
{
	size_t i = 0;

	while (i < c->n && strcmp(c->kinds[i].kind, kind) != 0)
		i++;
	hv_assert(i < SIM_KINDS);
	if (i == c->n)
		c->kinds[c->n++].kind = kind;
	c->kinds[i].count += count;
}

bool sim_inject(struct sim *s, const char *kind)
{
	uint32_t number = ++s->result->injections;

	if (dropped(s->options, number)) {
		sim_trace(s, "#%u %s: left out", number, kind);
		return false;
	}
	coverage_add(&s->result->coverage, kind, 1);
	sim_trace(s, "#%u %s", number, kind);
	return true;
}
