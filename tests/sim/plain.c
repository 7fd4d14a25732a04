/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trivial state machine on top of the log: it remembers the highest number of each proposer,
 * skips what it has seen, and hashes the rest. Clients propose at every active node; the lost
 * members of a minority epoch are fenced (their power is really cut) before the barrier is lifted.
 */
#include "tests/sim/sim.h"

#include "proto/log.pb-c.h"

#include <string.h>

#define SEEN_MAX 512

struct seen {
	hv_node_id node;
	uint64_t incarnation, seq;
};
struct state {
	uint64_t digest, cluster_us, count;
	size_t n_seen;
	struct seen seen[SEEN_MAX];
	struct node_set lost; /* of the last view, without a fence entry since */
	struct node_set in_ring;
};
struct mind {
	struct sim *s;
	struct host *h;
	struct state st;
	bool fencing;
	bool active, barrier; /* as the log said last */
	uint64_t next_us;
};
struct payload {
	uint64_t magic, incarnation, seq, at_us;
	hv_node_id node;
	uint32_t filler;
};
#define MAGIC 0x70616c6c6f636b21ULL

/* What was answered to a client: must be there at the end. */
struct plain_world {
	struct seen acked[SEEN_MAX];
	size_t n_acked;
};

static struct seen *find(struct seen *list, size_t *n, hv_node_id node, uint64_t incarnation)
{
	for (size_t i = 0; i < *n; i++)
		if (list[i].node == node && list[i].incarnation == incarnation)
			return &list[i];
	hv_assert(*n < SEEN_MAX);
	list[*n] = (struct seen){node, incarnation, 0};
	return &list[(*n)++];
}

static struct mind *plain_new(struct sim *s, struct host *h)
{
	struct mind *m = hv_xcalloc(1, sizeof(*m));

	m->s = s;
	m->h = h;
	return m;
}

static void plain_free(struct mind *m)
{
	free(m);
}

static void mix(struct mind *m, uint64_t x)
{
	m->st.digest = (m->st.digest ^ x) * 0x9e3779b97f4a7c15 + 1;
}

static void apply_view(struct mind *m, const struct rl_entry *e)
{
	Hv__Event *ev = hv__event__unpack(NULL, e->len, e->data);

	hv_assert(ev && ev->body_case == HV__EVENT__BODY_VIEW);
	m->st.lost.n = 0;
	if (ev->view->minority)
		node_set_from(&m->st.lost, ev->view->lost, ev->view->n_lost);
	node_set_from(&m->st.in_ring, ev->view->in_ring, ev->view->n_in_ring);
	if (ev->at_us > m->st.cluster_us)
		m->st.cluster_us = ev->at_us;
	mix(m, ev->view->n_members);
	hv__event__free_unpacked(ev, NULL);
}

static void answered(struct mind *m, const struct payload *p)
{
	struct plain_world *w = m->s->mind_world;
	struct seen *a;

	/* Behind a barrier no client is answered. */
	if (p->node != m->h->id || p->incarnation != m->h->proc.incarnation ||
	    rl_status(m->h->proc.log)->barrier)
		return;
	a = find(w->acked, &w->n_acked, p->node, p->incarnation);
	if (a->seq < p->seq)
		a->seq = p->seq;
}

static void plain_apply(struct mind *m, const struct rl_entry *e)
{
	struct payload p;
	struct seen *seen;

	mix(m, e->index);
	mix(m, e->epoch.number * 64 + e->epoch.node);
	if (e->type == RL_VIEW) {
		apply_view(m, e);
		return;
	}
	if (e->type == RL_FENCE) {
		node_set_remove(&m->st.lost, e->fenced_node);
		mix(m, e->fenced_node);
		return;
	}
	hv_assert(e->len >= sizeof(p));
	memcpy(&p, e->data, sizeof(p));
	hv_assert(p.magic == MAGIC);
	if (p.at_us > m->st.cluster_us)
		m->st.cluster_us = p.at_us;
	seen = find(m->st.seen, &m->st.n_seen, p.node, p.incarnation);
	answered(m, &p);
	if (p.seq <= seen->seq)
		return;
	if (p.seq != seen->seq + 1)
		sim_fail(m->s, "I5: node %u, incarnation %llu: proposal %llu comes after %llu",
			 p.node, (unsigned long long)p.incarnation, (unsigned long long)p.seq,
			 (unsigned long long)seen->seq);
	seen->seq = p.seq;
	m->st.count++;
	mix(m, p.seq * 31 + p.node);
}

static void plain_install(struct mind *m, uint64_t index, const uint8_t *data, size_t len)
{
	memset(&m->st, 0, sizeof(m->st));
	if (!len)
		return;
	hv_assert(len >= offsetof(struct state, seen) && len <= sizeof(m->st));
	memcpy(&m->st, data, len);
	m->fencing = false;
}

static uint8_t *plain_snapshot(struct mind *m, uint64_t index, size_t *ret_len)
{
	*ret_len = sizeof(m->st);
	return hv_xmemdup(&m->st, sizeof(m->st));
}

static uint64_t plain_digest(struct mind *m)
{
	return m->st.digest;
}

static uint64_t plain_cluster_us(struct mind *m)
{
	/* The last event's time, and what has passed here since. */
	return m->st.cluster_us + (m->s->now_us - m->h->proc.applied_at_us) + 1;
}

static bool plain_settled(struct mind *m)
{
	return false;
}

static void plain_status(struct mind *m, const struct rl_status *st)
{
	m->active = st->phase == RL_ACTIVE;
	m->barrier = st->barrier;
}

static void propose(struct mind *m)
{
	uint8_t data[3000] = {0};
	struct payload p = {
	    .magic = MAGIC, .node = m->h->id, .incarnation = m->h->proc.incarnation};
	size_t len = sizeof(p) + (prng_chance(sim_stream(m->s, STREAM_LOAD), 50)
				      ? (size_t)prng_range(sim_stream(m->s, STREAM_LOAD), 0, 2900)
				      : 8);

	p.seq = m->h->proc.seq + 1;
	p.at_us = process_cluster_us(m->s, m->h);
	memcpy(data, &p, sizeof(p));
	if (process_propose(m->s, m->h, RL_COMMAND, 0, data, len) == HV_OK)
		m->h->proc.seq++;
}

/* ---- fencing */

static void again_on(struct sim *s, struct host *h, uint64_t arg)
{
	host_power_on(s, h);
}

static void fenced(struct sim *s, struct host *h, uint64_t arg)
{
	hv_node_id victim = (hv_node_id)(arg >> 32);
	struct mind *m = h->proc.mind;
	struct payload p = {.magic = MAGIC, .node = h->id};

	/* A fence under way goes on when the one who asked for it is gone; but not when it is not
	 * wanted any more. */
	if (process_runs(h) && h->proc.incarnation == (arg & 0xffffffff) &&
	    !node_set_has(&m->st.lost, victim)) {
		m->fencing = false;
		return;
	}
	/* One host is out of order for good: if an agent of it that is still under way cut the
	 * other one's power, nobody could lead but by an administrator's word. */
	if (s->gone == h->id)
		return;
	sim_trace(s, "host %u is fenced by %u", victim, h->id);
	host_power_off(s, sim_host(s, victim));
	sim_at(s, sim_range(s, 500 * MS, 8 * SEC, MS, 150 * MS), again_on, sim_host(s, victim), 0);
	/* Who stands still misses the answer, and asks again when it goes on. */
	if (h->proc.up && h->proc.incarnation == (arg & 0xffffffff))
		m->fencing = false;
	if (!process_runs(h) || h->proc.incarnation != (arg & 0xffffffff))
		return;
	p.at_us = process_cluster_us(s, h);
	process_propose(s, h, RL_FENCE, victim, (const uint8_t *)&p, sizeof(p));
	process_drain(s, h);
}

static void fence(struct mind *m)
{
	const struct rl_status *st = rl_status(m->h->proc.log);
	uint64_t delay = sim_range(m->s, 50 * MS, 2 * SEC, MS, 40 * MS);

	if (m->fencing || st->phase != RL_ACTIVE || !st->barrier || st->coordinator != m->h->id ||
	    !m->st.lost.n)
		return;
	m->fencing = true;
	/* Corosync still sees it: its daemon may be on the way. */
	if (node_set_has(&m->st.in_ring, m->st.lost.ids[0]))
		delay += m->s->storm ? 200 * MS : 4 * SEC;
	sim_at(m->s, delay, fenced, m->h,
	       (uint64_t)m->st.lost.ids[0] << 32 | m->h->proc.incarnation);
}

static uint64_t plain_next(struct mind *m)
{
	if (!m->active || (m->s->healing && !m->barrier))
		return 0;
	return m->next_us > m->s->now_us ? m->next_us : m->s->now_us;
}

static void plain_poll(struct mind *m)
{
	struct prng *rng = sim_stream(m->s, STREAM_LOAD);
	const struct swarm *w = &m->s->swarm;
	unsigned burst = prng_chance(rng, m->s->storm ? w->burst : 20) ? 60 : 3;

	/* The cluster's load does not grow with its size. */
	m->next_us =
	    m->s->now_us + sim_pick(m->s, rng, 30 * MS, 600 * MS, MS, 20 * MS) * m->s->n / 3;
	if (rl_status(m->h->proc.log)->phase != RL_ACTIVE)
		return;
	fence(m);
	if (m->s->healing || !prng_chance(rng, m->s->storm ? w->load : 300))
		return;
	for (uint64_t n = prng_range(rng, 1, burst); n; n--)
		propose(m);
}

static void plain_power_off(struct sim *s, struct host *h)
{
}

static void plain_heal(struct sim *s)
{
}

static bool plain_quiet(struct sim *s)
{
	return true;
}

static void plain_start(struct sim *s)
{
	s->mind_world = hv_xcalloc(1, sizeof(struct plain_world));
}

static void plain_stop(struct sim *s)
{
	free(s->mind_world);
}

static void plain_end(struct sim *s)
{
	struct plain_world *w = s->mind_world;
	struct state *st = &s->hosts[0].proc.mind->st;

	for (size_t i = 0; i < w->n_acked && !s->failed; i++) {
		struct seen *a = &w->acked[i],
			    *seen = find(st->seen, &st->n_seen, a->node, a->incarnation);

		if (seen->seq < a->seq)
			sim_fail(s, "I5: node %u was told that %llu is done, but only %llu are",
				 a->node, (unsigned long long)a->seq,
				 (unsigned long long)seen->seq);
	}
	sim_trace(s, "end: %llu commands, digest %016llx", (unsigned long long)st->count,
		  (unsigned long long)st->digest);
}

const struct mind_ops plain_mind = {
    .new = plain_new,
    .free = plain_free,
    .apply = plain_apply,
    .install = plain_install,
    .snapshot = plain_snapshot,
    .digest = plain_digest,
    .cluster_us = plain_cluster_us,
    .status = plain_status,
    .settled = plain_settled,
    .next_us = plain_next,
    .poll = plain_poll,
    .heal = plain_heal,
    .quiet = plain_quiet,
    .power_off = plain_power_off,
    .start = plain_start,
    .stop = plain_stop,
    .end = plain_end,
};
