/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the log wants to look at its clock again: all patience of its files, in one place. */
#include "quorum/replog_priv.h"

struct due {
	uint64_t ticked_us, at_us;
};

/* What was due at the last tick has been looked at. */
static void due_at(struct due *d, uint64_t at_us)
{
	if (at_us > d->ticked_us && (!d->at_us || at_us < d->at_us))
		d->at_us = at_us;
}

static void due_hello(const struct replog *log, struct due *d)
{
	uint64_t patience = log->cfg.hello_timeout_us;

	due_at(d, log->hello_sent_us + hello_again_us(log));
	/* Our turn to lead comes with our rank: a step of patience for each that comes before. */
	for (size_t rank = 0; rank <= log->view.n; rank++)
		due_at(d, log->hello_since_us + patience * rank);
	for (size_t i = 0; i < log->n_peers; i++)
		if (log->peers[i].epoch_heard_us)
			due_at(d, log->peers[i].epoch_heard_us + 2 * log->cfg.ack_timeout_us + 1);
}

static void due_members(const struct replog *log, struct due *d)
{
	uint64_t patience = log->cfg.ack_timeout_us;

	for (size_t i = 0; i < log->ep.members.n; i++) {
		const struct member *m = &log->ep.m[i];

		if (m->id == log->self)
			continue;
		due_at(d, m->heard_us + patience + 1);
		due_at(d, m->heard_us + 2 * patience + 1);
		if (!m->learner && m->acked < entries_last_index(&log->log))
			due_at(d, m->lag_us + patience * (m->synced ? 1 : SYNC_PATIENCE) + 1);
	}
}

static void due_epoch(const struct replog *log, struct due *d)
{
	uint64_t patience = log->cfg.ack_timeout_us;
	uint64_t heartbeat_us = log->ep.heartbeat_us + log->cfg.heartbeat_us;

	/* An epoch that has just begun has never sent one: what is late is due at the next tick. */
	due_at(d, heartbeat_us > d->ticked_us ? heartbeat_us : d->ticked_us + 1);
	if (log->n_writes)
		due_at(d, rl_stalls_us(log) + 1);
	if (!log->ep.begun)
		due_at(d, log->ep.since_us + patience + 1);
	if (log->taking.on) {
		due_at(d, log->taking.moved_us + patience * SYNC_PATIENCE + 1);
		if (!log->taking.running)
			due_at(d, log->taking.asked_us + patience + 1);
	} else {
		due_members(log, d);
	}
}

uint64_t rl_next_due_us(const struct replog *log)
{
	struct due d = {.ticked_us = log->ticked_us};

	if (!log->in_view)
		return 0;
	if (log->activate_sent_us)
		due_at(&d, log->activate_sent_us + log->cfg.ack_timeout_us + 1);
	if (log->ep.active)
		due_epoch(log, &d);
	else
		due_hello(log, &d);
	return d.at_us;
}
