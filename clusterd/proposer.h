/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proposer.h - turns what this node has to say into log entries, each applied exactly once.
 *
 * No clock, no I/O. A proposal is put, and flushed to the log when the driver has carried out
 * everything else. Until then, and until it is applied, it is *pending* and known by its mark.
 * Counted events (RL_COMMAND) get a sequence number when the log accepts them, never before, so
 * that the log's order is the numbers' order; events that may overtake others behind a barrier
 * (RL_FENCE) carry 0, and the brain takes them twice without harm.
 *
 * What the log does not accept is handled by its answer: when it is full, the proposal waits for
 * the next flush; when this node is not active or waits behind a barrier, it is dropped and the
 * owner told: everyone who proposes is level-triggered and looks again when that has changed, and a
 * client gets an honest answer instead of a command that comes true an hour later.
 */
#ifndef HV_CLUSTERD_PROPOSER_H
#define HV_CLUSTERD_PROPOSER_H

#include "proto/log.pb-c.h"
#include "quorum/replog.h"

#define PROPOSER_MAX                                                                               \
	4096 /* proposals waiting or in flight; commands are refused above half of it */

struct proposer;
struct proposer_ops {
	/* Hands it to the log: HV_OK, HV_LIMIT, HV_NO_QUORUM, HV_REFUSED (see rl_propose). */
	enum hv_rc (*propose)(void *user, enum rl_entry_type type, hv_node_id fenced,
			      const uint8_t *data, size_t len);
	/* The proposal will not be applied. */
	void (*dropped)(void *user, uint64_t mark, enum hv_rc rc);
};
struct proposer *proposer_new(hv_node_id self, uint64_t incarnation, const struct proposer_ops *ops,
			      void *user);
void proposer_free(struct proposer *p);

/*
 * `ev` has its body; the rest is filled in here. Packed at once, so it may be freed afterwards.
 * Returns its mark, 0 when there is no room or the event is larger than HV_EVENT_MAX.
 */
uint64_t proposer_put(struct proposer *p, const Hv__Event *ev, enum rl_entry_type type,
		      hv_node_id fenced);
bool proposer_pending(const struct proposer *p, uint64_t mark);
size_t proposer_count(const struct proposer *p);

/* Hands what waits to the log, oldest first. */
void proposer_flush(struct proposer *p, uint64_t cluster_us, uint64_t wall_ms);
/* An event was committed and applied; those of others are ignored. */
void proposer_applied(struct proposer *p, const Hv__Event *ev);
/* The log holds nothing of ours that is not applied: whatever we thought to be in flight was
 * (inside a snapshot). */
void proposer_log_is_empty(struct proposer *p);

#endif
