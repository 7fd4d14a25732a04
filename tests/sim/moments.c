/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Storms in which things happen at the very moment that one kind of message is said: it is late,
 * the network parts before all have it, somebody's process or power ends, a disk is slow. Faults at
 * any time hardly ever meet the milliseconds between an activate and the epoch that it begins, or
 * between a fence and the entry that says so.
 */
#include "tests/sim/faults.h"

#include "proto/log.pb-c.h"

#include <string.h>

static const struct {
	const char *name;
	int body;
	int entry; /* APPEND: of this type */
	bool rare;
} kinds[] = {
    {"at a hello", HV__PEER_MESSAGE__BODY_HELLO, 0, false},
    {"at an activate", HV__PEER_MESSAGE__BODY_ACTIVATE, 0, false},
    {"at a promise", HV__PEER_MESSAGE__BODY_PROMISE, 0, false},
    {"at a view", HV__PEER_MESSAGE__BODY_APPEND, RL_VIEW, true},
    {"at a command", HV__PEER_MESSAGE__BODY_APPEND, RL_COMMAND, false},
    {"at a fence", HV__PEER_MESSAGE__BODY_APPEND, RL_FENCE, true},
    {"at an ack", HV__PEER_MESSAGE__BODY_ACK, 0, false},
    {"at a sync request", HV__PEER_MESSAGE__BODY_SYNC_REQUEST, 0, true},
    {"at a sync chunk", HV__PEER_MESSAGE__BODY_SYNC_CHUNK, 0, true},
};

void moments_configure(struct sim *s)
{
	static const unsigned often[] = {20, 60, 150, 400};
	struct prng *r = sim_stream(s, STREAM_MOMENTS);
	bool chosen = prng_chance(r, 500);
	unsigned kind = (unsigned)prng_range(r, 0, ARRAY_SIZE(kinds) - 1);
	unsigned permille =
	    often[prng_range(r, 0, ARRAY_SIZE(often) - 1)] * (kinds[kind].rare ? 2 : 1);

	if (!s->storm || !chosen || s->options->lossy)
		return;
	s->swarm.moment = kind;
	s->swarm.moment_permille = permille;
	sim_trace(s, "things happen %s, %u of 1000", kinds[kind].name, permille);
}

static bool is_of_kind(unsigned kind, const uint8_t *data, size_t len)
{
	Hv__PeerMessage *m = hv__peer_message__unpack(NULL, len, data);
	bool is = m && (int)m->body_case == kinds[kind].body &&
		  (!kinds[kind].entry || (int)m->append->type == kinds[kind].entry);

	if (m)
		hv__peer_message__free_unpacked(m, NULL);
	return is;
}

static void happens(struct sim *s, struct host *unused, uint64_t seed)
{
	struct prng r;
	uint64_t what;

	if (s->healing)
		return;
	prng_seed(&r, seed);
	what = prng_range(&r, 0, 99);
	if (what < 45)
		fault_partition(s, &r);
	else if (what < 65)
		fault_kill(s, &r);
	else if (what < 80)
		fault_power(s, &r);
	else if (what < 90)
		fault_disk_slow(s, &r);
	else
		fault_pause(s, &r);
}

/* Whoever says it says nothing more for a while; often somebody else's process begins anew. */
static void is_late(struct sim *s, struct host *h, struct prng *r)
{
	uint64_t until_us = s->now_us + prng_range(r, MS, 4 * s->swarm.ack_us);

	if (h->try_again_us < until_us)
		h->try_again_us = until_us;
}

void moments_said(struct sim *s, struct host *h, const uint8_t *data, size_t len)
{
	struct prng r;
	bool late, more;

	if (!s->swarm.moment_permille || s->healing || !is_of_kind(s->swarm.moment, data, len))
		return;
	prng_seed(&r, prng_next(sim_stream(s, STREAM_MOMENTS)));
	if (!prng_chance(&r, s->swarm.moment_permille) ||
	    !sim_inject(s, kinds[s->swarm.moment].name))
		return;
	late = prng_chance(&r, 500);
	more = !late || prng_chance(&r, 600);
	if (late)
		is_late(s, h, &r);
	if (more)
		sim_at(s, prng_range(&r, 100, late ? 40 * MS : 10 * MS), happens, NULL,
		       prng_next(&r));
}
