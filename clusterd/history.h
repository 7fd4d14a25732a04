/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history.h - what the brain of this node was given, kept for `hvcluster replay`.
 *
 * The log itself forgets what is before its snapshot. Here every state that the brain began with
 * and every entry that it applied stay, each with the digest of the state after it, in files
 * DIR/NNNNNNNN.history (proto/log.proto, HistoryRecord). A file begins with a state, so that the
 * oldest may go: together they stay below the bound, but for the two latest, which are always kept.
 *
 * A convenience, never part of a promise: nothing is synced, nobody waits for it, and a disk that
 * fails or does not keep up makes a gap, of which the log tells once. All writing is done by a
 * thread of its own.
 *
 * The files hold what the log holds, fence devices' secrets included: DIR is 0700, they are 0600.
 */
#ifndef HV_CLUSTERD_HISTORY_H
#define HV_CLUSTERD_HISTORY_H

#include "quorum/replog.h"

struct history;

#define HISTORY_QUEUE_MAX (64U << 20) /* bytes that wait for the disk; beyond, a gap */
#define HISTORY_MIB 64		      /* preset of the bound */

/* `max_bytes` 0: nothing is kept, and NULL returned. The folder is made when it is needed. */
struct history *history_new(const char *dir, uint64_t max_bytes, hv_node_id node,
			    uint64_t incarnation, const char *version);
/* Writes what is queued. */
void history_free(struct history *h);

/* The brain begins with this state (len 0: the empty one). NULL `h` is allowed here and below. */
void history_state(struct history *h, bool boot, uint64_t wall_ms, uint64_t index, uint64_t digest,
		   const uint8_t *snapshot, size_t len);
/* It has applied this entry. */
void history_entry(struct history *h, const struct rl_entry *entry, uint64_t digest);
/* The state as it is now: begins a new file, if the present one is large enough for that. */
void history_goes_on(struct history *h, uint64_t wall_ms, uint64_t index, uint64_t digest,
		     const uint8_t *snapshot, size_t len);

#endif
