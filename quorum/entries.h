/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * entries.h - the log in memory: a base (snapshot at base_index) and the entries that follow it.
 *
 * PURE. Knows what can be read from a log alone: where each index stands, which epoch is its last
 * and which its latest *effective* one (whole, or a minority epoch whose barrier its own fence
 * entries lift), and where two logs part. Two logs with an entry of the same epoch at the same
 * index are equal up to there.
 *
 * Bytes are shared by counted references (struct blob), so that outputs and transfers that are
 * under way outlive truncation and compaction.
 */
#ifndef HV_QUORUM_ENTRIES_H
#define HV_QUORUM_ENTRIES_H

#include "quorum/view.h"

struct blob {
	unsigned refs;
	size_t len;
	uint8_t *data;
};
struct blob *blob_copy(const uint8_t *data, size_t len);
/* Takes `data` (malloc'ed). */
struct blob *blob_take(uint8_t *data, size_t len);
struct blob *blob_ref(struct blob *b);
/* NULL is fine. */
void blob_unref(struct blob *b);

struct log_entry {
	struct rl_epoch epoch;
	enum rl_entry_type type;
	hv_node_id fenced_node;
	struct blob *blob;
};

struct lineage {
	struct rl_epoch current; /* epoch of the last view entry */
	struct rl_epoch effective;
	uint64_t effective_index; /* of its last entry; 0: not known */
	bool unknown; /* minority view whose barrier is not known: never lifted by what follows */
	struct node_set barrier; /* lost members of `current` without a fence entry */
};

struct entries {
	uint64_t base_index;
	struct rl_epoch base_epoch, base_effective;
	struct blob *snapshot; /* NULL: the empty state (base_index 0) */
	struct log_entry *items;
	size_t head, count, cap;
	struct lineage lineage;
};

/* Where a log's epochs end, newest first; the base counts as an entry. */
#define ENTRIES_MAX_RUNS 64
struct epoch_run {
	struct rl_epoch epoch;
	uint64_t last_index;
};

void entries_init(struct entries *e, const struct rl_boot *boot);
void entries_done(struct entries *e);
uint64_t entries_last_index(const struct entries *e);
struct rl_epoch entries_last_epoch(const struct entries *e);
struct rl_epoch entries_effective(const struct entries *e);
/* The last entry of that epoch: what comes after it has not had an effect. 0: not known. */
uint64_t entries_effective_index(const struct entries *e);
/* The entry at `index`, which must be above the base and at most the last. */
const struct log_entry *entries_at(const struct entries *e, uint64_t index);
/* The epoch at `index`, base included; false if it is not held. */
bool entries_epoch_at(const struct entries *e, uint64_t index, struct rl_epoch *ret);
/* Takes a reference of its own to en->blob. */
void entries_append(struct entries *e, const struct log_entry *en);
/* Removes what is above `keep`, which must be at least the base. */
void entries_truncate(struct entries *e, uint64_t keep);
/* The base moves up to `index`; its epoch must be the effective one there. Takes `snapshot`. */
void entries_compact(struct entries *e, uint64_t index, struct blob *snapshot);
/* Everything goes; a new base. Takes `snapshot`. */
void entries_reset(struct entries *e, uint64_t index, const struct rl_epoch *epoch,
		   const struct rl_epoch *effective, struct blob *snapshot);

size_t entries_runs(const struct entries *e, struct epoch_run ret[ENTRIES_MAX_RUNS]);
/* Highest index at which a log with these runs equals ours. false: below our base, or nothing in
 * common. */
bool entries_common(const struct entries *e, const struct epoch_run *runs, size_t n,
		    uint64_t *ret_index);

#endif
