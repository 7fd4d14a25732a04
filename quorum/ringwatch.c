/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/ringwatch.h"

#include "proto/mutant.h"

#include <string.h>

struct ringwatch_cfg ringwatch_preset(uint32_t token_ms)
{
	struct ringwatch_cfg cfg = {.window_us = 10 * HV_US_PER_S,
				    .mute_us = 3 * HV_US_PER_S,
				    .pause_us = 5 * HV_US_PER_S,
				    .pause_max_us = 120 * HV_US_PER_S,
				    .calm_us = 60 * HV_US_PER_S};
	uint64_t token_us = token_ms * HV_US_PER_MS;

	/* A lonely host needs token + consensus for its first ring and consensus for each further
	 * one; consensus is 1.2 tokens. */
	if (cfg.window_us < 6 * token_us)
		cfg.window_us = 6 * token_us;
	if (cfg.mute_us < 3 * token_us)
		cfg.mute_us = 3 * token_us;
	return cfg;
}

static bool same_ring(struct rl_ring a, struct rl_ring b)
{
	return a.node == b.node && a.seq == b.seq;
}

static void forget_rings(struct ringwatch *w)
{
	w->n_formed = 0;
	w->late = false;
	w->seen.n = 0;
}

static void forget_corosync(struct ringwatch *w)
{
	forget_rings(w);
	w->ring = w->quorate_ring = (struct rl_ring){0};
	w->quorate = false;
}

void ringwatch_init(struct ringwatch *w, const struct ringwatch_cfg *cfg)
{
	memset(w, 0, sizeof(*w));
	w->cfg = *cfg;
	w->next_pause_us = cfg->pause_us;
}

static void count_ring(struct ringwatch *w, uint64_t now_us)
{
	w->late = w->n_formed && now_us - w->formed_us[0] >= w->cfg.mute_us &&
		  now_us - w->formed_us[0] <= w->cfg.window_us;
	if (w->n_formed == RINGWATCH_RINGS) {
		memmove(&w->formed_us[0], &w->formed_us[1],
			(RINGWATCH_RINGS - 1) * sizeof(w->formed_us[0]));
		w->n_formed--;
	}
	w->formed_us[w->n_formed++] = now_us;
}

void ringwatch_ring(struct ringwatch *w, uint64_t now_us, struct rl_ring ring,
		    const hv_node_id *members, size_t n)
{
	bool brings = false;

	if (same_ring(ring, w->ring) || w->state == RINGWATCH_DOWN)
		return;
	w->ring = ring;
	if (w->quorate && same_ring(ring, w->quorate_ring))
		return;
	for (size_t i = 0; i < n; i++) {
		brings = brings || !node_set_has(&w->seen, members[i]);
		node_set_add(&w->seen, members[i]);
	}
	if (brings)
		w->n_formed = 0;
	count_ring(w, now_us);
}

void ringwatch_votes(struct ringwatch *w, uint64_t now_us, struct rl_ring ring, bool quorate)
{
	if (w->state == RINGWATCH_DOWN)
		return;
	if (quorate && !w->quorate)
		w->quorate_us = now_us;
	w->quorate = quorate;
	w->quorate_ring = ring;
	if (quorate && !MUTANT(leaves_with_quorum))
		forget_rings(w);
}

/* How many of the rings that count are young enough. */
static size_t recent(const struct ringwatch *w, uint64_t now_us)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_formed; i++)
		n += now_us - w->formed_us[i] <= w->cfg.window_us;
	return n;
}

static bool disturbs(const struct ringwatch *w, uint64_t now_us, uint64_t self_us)
{
	size_t rings = recent(w, now_us);

	if (w->quorate && !MUTANT(leaves_with_quorum))
		return false;
	if (rings >= (w->state == RINGWATCH_TRIAL ? RINGWATCH_TRIAL_RINGS : RINGWATCH_RINGS))
		return !MUTANT(lonely_stays);
	return rings >= RINGWATCH_MUTE_RINGS && (w->late || now_us > self_us + w->cfg.mute_us) &&
	       !MUTANT(lonely_stays);
}

static void go_down(struct ringwatch *w, uint64_t now_us)
{
	w->state = RINGWATCH_DOWN;
	w->until_us =
	    now_us + (MUTANT(lonely_never_returns) ? 3600 * HV_US_PER_S : w->next_pause_us);
	w->next_pause_us *= 2;
	if (w->next_pause_us > w->cfg.pause_max_us)
		w->next_pause_us = w->cfg.pause_max_us;
	forget_corosync(w);
}

bool ringwatch_step(struct ringwatch *w, uint64_t now_us, uint64_t self_us)
{
	if (w->state == RINGWATCH_DOWN) {
		if (now_us >= w->until_us)
			w->state = RINGWATCH_TRIAL;
		return w->state == RINGWATCH_DOWN;
	}
	if (w->state == RINGWATCH_TRIAL && w->quorate && now_us >= w->quorate_us + w->cfg.calm_us) {
		w->state = RINGWATCH_WATCHING;
		w->next_pause_us = w->cfg.pause_us;
	}
	if (disturbs(w, now_us, self_us))
		go_down(w, now_us);
	return w->state == RINGWATCH_DOWN;
}

void ringwatch_came_up(struct ringwatch *w)
{
	if (w->state == RINGWATCH_DOWN)
		w->state = RINGWATCH_TRIAL;
}

void ringwatch_resume(struct ringwatch *w)
{
	w->state = RINGWATCH_TRIAL;
}

uint64_t ringwatch_due_us(const struct ringwatch *w, uint64_t now_us, uint64_t self_us)
{
	if (w->state == RINGWATCH_DOWN)
		return w->until_us;
	if (w->quorate)
		return w->state == RINGWATCH_TRIAL ? w->quorate_us + w->cfg.calm_us : 0;
	if (recent(w, now_us) >= RINGWATCH_MUTE_RINGS)
		return self_us + w->cfg.mute_us + 1;
	return 0;
}
