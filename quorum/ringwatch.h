/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ringwatch.h - when this host has to take its corosync down, and when to bring it back.
 *
 * PURE. One machine per process. When host A hears B and B does not hear A, corosync never comes to
 * rest: one of the two, the *lonely* host, forms a ring of its own again and again, and each time
 * disturbs the others, who are quorate and yet deliver nothing to anyone. No callback says so. Only
 * the lonely host can end it: it takes its corosync down by itself, and tries again after growing
 * pauses. As measured with corosync 3.1.7, token 1000 ms, each ordered pair of three hosts:
 *
 *     t = 0 s         the loss begins
 *     t = 2.2..3.8    the lonely host's first ring, not quorate; then one every 1.2 s (consensus):
 *     t = 4.6..6.2    its third one: DOWN
 *                     or, where the others get a ring for a second every 3.2 s, and commit in it:
 *     t = 4.3..7.8    its first ring, then one every 3.2 s:
 *     t = 7.5..11.1   its second one, long after the first: DOWN
 *     + 0.2           the others have a ring that stays
 *     + 5 s           it returns; in vain: down again with its second ring, after about 3 s
 *     + 10, 20, 40, 80, 120, 120, ...
 *
 *              third ring, late second, or mute     the pause is over, or someone started it
 *   WATCHING ---------------------------> DOWN ----------------------------------> TRIAL
 *      ^                                    ^                                        |
 *      |                                    +--------------- second ring ------------+
 *      +----------------- quorate for ringwatch_cfg.calm_us: pauses begin anew ------+
 *
 * What counts is a ring that was formed within `window_us` and is not known to be quorate. A ring
 * that brings somebody new since quorum was lost begins the count anew: hosts that boot one after
 * the other find each other, and that is no disturbance. *Late*: the second ring comes when the
 * first is older than `mute_us`. *Mute*: there are two, and no message of our own has come back for
 * so long.
 *
 * A host that has quorum never takes its corosync down, nor one that forms no rings: a host that is
 * simply alone has one ring and keeps it. So at the worst a host without quorum, which may do
 * nothing anyway, joins later by the pause.
 */
#ifndef HV_QUORUM_RINGWATCH_H
#define HV_QUORUM_RINGWATCH_H

#include "quorum/view.h"

#define RINGWATCH_RINGS 3 /* not quorate, one after the other: the network is at fault */
#define RINGWATCH_TRIAL_RINGS 2
#define RINGWATCH_MUTE_RINGS 2

struct ringwatch_cfg {
	uint64_t window_us;		 /* within which rings count */
	uint64_t mute_us;		 /* three tokens or more: see above */
	uint64_t pause_us, pause_max_us; /* first and longest; doubled each time */
	uint64_t calm_us;		 /* quorate for so long: all is forgotten */
};
/* For a token of so many ms; 0: not known. */
struct ringwatch_cfg ringwatch_preset(uint32_t token_ms);

enum ringwatch_state { RINGWATCH_WATCHING, RINGWATCH_DOWN, RINGWATCH_TRIAL };
struct ringwatch {
	struct ringwatch_cfg cfg;
	enum ringwatch_state state;
	struct rl_ring ring;		     /* the latest */
	struct node_set seen;		     /* in rings since quorum was lost */
	uint64_t formed_us[RINGWATCH_RINGS]; /* of those that count, the latest last */
	size_t n_formed;
	bool late;    /* the latest was the second or later one, long after the first */
	bool quorate; /* as answered last */
	struct rl_ring quorate_ring;
	uint64_t quorate_us; /* since when */
	uint64_t until_us;   /* DOWN: the pause's end */
	uint64_t next_pause_us;
};

void ringwatch_init(struct ringwatch *w, const struct ringwatch_cfg *cfg);
/* CPG told of `ring`; the same ring again (processes came and went) is no new one. */
void ringwatch_ring(struct ringwatch *w, uint64_t now_us, struct rl_ring ring,
		    const hv_node_id *members, size_t n);
/* votequorum's answer for `ring`, which CPG may not have told of yet. */
void ringwatch_votes(struct ringwatch *w, uint64_t now_us, struct rl_ring ring, bool quorate);
/*
 * After any of the two and when due. `self_us`: when the latest message of our own came back, or
 * the connection was made. true: corosync shall be down, for as long as this is said.
 */
bool ringwatch_step(struct ringwatch *w, uint64_t now_us, uint64_t self_us);
/* Corosync runs although we had taken it down: whoever started it will know why. */
void ringwatch_came_up(struct ringwatch *w);
/* An earlier process of this boot took it down: the first look is a trial. */
void ringwatch_resume(struct ringwatch *w);
/* When to step again though nothing was told, 0: never. */
uint64_t ringwatch_due_us(const struct ringwatch *w, uint64_t now_us, uint64_t self_us);

#endif
