/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The logs' timeouts: clusterd's; in a storm short ones, near to what messages and disks take.
 *
 * After a storm the log must come to rest with the short ones. What is waited for from then on (a
 * VM's next attempt, that nothing more is done) takes minutes, in which they would make hundreds of
 * heartbeats a second that say nothing: then all nodes get clusterd's. Those are constants there,
 * so the log has no input for it, and its state is changed from outside.
 */
#include "tests/sim/sim.h"

#include "quorum/replog_priv.h"

#define HASTE_US SEC /* until everyone has been heard of at the new pace */

static void heartbeats(const struct sim *s, struct rl_config *cfg)
{
	cfg->hello_timeout_us = s->hasty ? s->swarm.hello_us : SEC;
	cfg->heartbeat_us = s->hasty ? s->swarm.heartbeat_us : 400 * MS;
}

static void silence(const struct sim *s, struct rl_config *cfg)
{
	cfg->ack_timeout_us = s->hasty ? s->swarm.ack_us : 3 * SEC;
}

void patience_config(const struct sim *s, struct rl_config *cfg)
{
	heartbeats(s, cfg);
	silence(s, cfg);
}

static void tell_all(struct sim *s, void (*change)(const struct sim *s, struct rl_config *cfg))
{
	for (size_t i = 0; i < s->n; i++) {
		struct replog *log = s->hosts[i].proc.log;

		if (!s->hosts[i].proc.up)
			continue;
		change(s, &log->cfg);
		log->ticked_us = 0; /* what was not yet due then may have been by these */
	}
}

void patience_begins(struct sim *s)
{
	if (!s->hasty)
		return;
	sim_trace(s, "timeouts are as usual");
	s->hasty = false;
	tell_all(s, silence);
	tell_all(s, heartbeats);
}

void patience_ends(struct sim *s)
{
	if (!s->storm || s->hasty)
		return;
	sim_trace(s, "timeouts are those of a storm");
	s->hasty = true;
	tell_all(s, heartbeats);
	sim_run_until(s, s->now_us + HASTE_US);
	tell_all(s, silence);
}
