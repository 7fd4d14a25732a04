/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process takes its host's corosync down when it disturbs the others, as clusterd/corosync_hold
 * does: quorum/ringwatch decides, and the deed takes a moment.
 */
#include "tests/sim/sim.h"

static void watch_act(struct sim *s, struct host *h, uint64_t incarnation)
{
	struct process *p = &h->proc;

	if (!p->up || p->incarnation != incarnation || h->held == p->wants_down)
		return;
	if (!process_runs(h)) {
		sim_at(s, 10 * MS, watch_act, h, incarnation); /* when it goes on */
		return;
	}
	net_hold(s, h, p->wants_down);
}

void process_watch_look(struct sim *s, struct host *h)
{
	struct process *p = &h->proc;
	bool down;

	if (!p->up)
		return;
	down = ringwatch_step(&p->watch, host_mono_us(s, h), p->self_us);
	if (down && !p->wants_down && p->votes.kind == ITEM_VOTES && p->votes.quorate &&
	    p->votes.ring.seq == p->view_ring)
		sim_fail(s, "host %u has quorum and takes its corosync down", h->id);
	p->wants_down = down;
	if (p->wants_down != h->held)
		sim_at(s, sim_range(s, 20 * MS, 200 * MS, 1 * MS, 5 * MS), watch_act, h,
		       p->incarnation);
}

uint64_t process_watch_due_us(const struct sim *s, struct host *h)
{
	struct process *p = &h->proc;
	uint64_t due = ringwatch_due_us(&p->watch, host_mono_us(s, h), p->self_us);

	return due ? host_when_us(s, h, due) : 0;
}

void process_watch_start(struct sim *s, struct host *h)
{
	struct ringwatch_cfg cfg = ringwatch_preset(1000);

	if (s->storm)
		cfg = (struct ringwatch_cfg){.window_us = 200 * MS,
					     .mute_us = 60 * MS,
					     .pause_us = 100 * MS,
					     .pause_max_us = 800 * MS,
					     .calm_us = 500 * MS};
	ringwatch_init(&h->proc.watch, &cfg);
	if (h->held)
		ringwatch_resume(&h->proc.watch);
	process_watch_look(s, h);
}
