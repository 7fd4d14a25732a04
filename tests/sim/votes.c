/* SPDX-License-Identifier: GPL-2.0-or-later */
/* votequorum: majority, two_node, wait_for_all, a quorum device. */
#include "tests/sim/sim.h"

/* wait_for_all: everyone is here, or somebody who has seen them all (votequorum(5)). */
static bool all_seen(struct sim *s, const struct ring *r)
{
	bool seen = r->hosts.n == s->n;

	for (size_t i = 0; i < r->hosts.n; i++)
		seen = seen || sim_host(s, r->hosts.ids[i])->seen_all;
	return seen;
}

void votes_arrive(struct sim *s, struct host *h, uint64_t ring)
{
	struct item it = {.kind = ITEM_VOTES};
	struct ring *r = h->ring;
	uint32_t expected = (uint32_t)s->n + s->device_votes;

	if (h->power && h->hung) {
		sim_at(s, 5 * MS, votes_arrive, h, ring); /* when it goes on */
		return;
	}
	if (!net_alive(h) || !r || r->seq != ring)
		return;
	h->seen_all = h->seen_all || all_seen(s, r);
	it.ring = (struct rl_ring){r->hosts.ids[0], r->seq};
	it.device_votes = r->has_device ? s->device_votes : 0;
	/* Told that there are no more: who comes back counts again. */
	if (s->forced)
		expected = (uint32_t)(s->forced > r->hosts.n ? s->forced : r->hosts.n);
	it.quorum = s->two_node ? 1 : expected / 2 + 1;
	it.quorate = r->hosts.n + it.device_votes >= it.quorum &&
		     (!s->wait_for_all || h->seen_all || s->forced) && !s->no_votes;
	process_receive(s, h, &it);
}

void net_votes(struct sim *s, struct host *h)
{
	if (h->ring)
		sim_at(s, prng_range(sim_stream(s, STREAM_WORLD), 0, 20 * MS), votes_arrive, h,
		       h->ring->seq);
}

void net_votes_anew(struct sim *s)
{
	for (size_t i = 0; i < s->n; i++)
		net_votes(s, &s->hosts[i]);
}

/*
 * A device with more than one vote (lms) makes few of many quorate. That they were not, without it,
 * they always hear first: the device's daemon has to ask its server.
 */
uint64_t votes_device_delay_us(const struct sim *s)
{
	return s->device_votes > 1 ? 10 * MS : 0;
}

static bool reaches_device(struct sim *s, const struct ring *r)
{
	for (size_t i = 0; i < r->hosts.n; i++)
		if (!sim_host(s, r->hosts.ids[i])->no_device)
			return true;
	return false;
}

/* One side only; the larger one, or the one with the lowest node. It keeps what it has. */
void votes_device(struct sim *s, struct host *h, uint64_t arg)
{
	struct ring *best = NULL;

	if (!s->device)
		return;
	for (struct ring *r = s->rings; r; r = r->next) {
		bool better = !best || r->hosts.n > best->hosts.n ||
			      (r->hosts.n == best->hosts.n && r->hosts.ids[0] < best->hosts.ids[0]);

		if (!r->stalled && better && reaches_device(s, r))
			best = r;
	}
	if (best && s->now_us < best->formed_us + votes_device_delay_us(s)) {
		sim_at(s, votes_device_delay_us(s), votes_device, NULL, 0);
		return;
	}
	for (struct ring *r = s->rings; r; r = r->next) {
		bool has = r == best;

		if (r->has_device == has || r->stalled)
			continue;
		r->has_device = has;
		for (size_t i = 0; i < r->hosts.n; i++)
			sim_at(s, sim_range(s, 10, 900 * MS, 10, 40 * MS), votes_arrive,
			       sim_host(s, r->hosts.ids[i]), r->seq);
	}
}
