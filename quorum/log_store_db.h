/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log_store_db.h - private to log_store: the SQLite file. No thread, no loop, no policy.
 *
 * Tables
 *   state           one row: commit counter, start counter, promise, base, where the log ends; its
 * CRC entries         one row an entry; crc = CRC-32C over the previous entry's crc and the entry,
 * so a stale page of a discarded lineage cannot pass for the present one snapshot_chunk  the state
 * at base, in 1 MiB pieces, numbered by snapshot generation SQLite has no checksums of pages:
 * whatever is not under one of these CRCs is not believed.
 *
 * Entries up to base and chunks of old generations are garbage: invisible at once, deleted later in
 * bounded steps, so that compaction never holds up a commit.
 *
 * Functions return HV_OK, HV_IO (the environment: disk, permissions), HV_CORRUPT (the file proves
 * wrong), HV_NOT_FOUND (an empty file), HV_REFUSED (made by a newer version); on all but HV_OK and
 * HV_NOT_FOUND *ret_text is set (malloc'ed).
 */
#ifndef HV_QUORUM_LOG_STORE_DB_H
#define HV_QUORUM_LOG_STORE_DB_H

#include "quorum/replog.h"

/* All 64-bit, in the order of the table's columns and of the checksum. */
#define STORE_STATE_FIELDS(X)                                                                      \
	X(commit_no) /* +1 with each transaction, also across damage */                            \
	X(incarnation)                                                                             \
	X(damaged) /* found damaged, not yet filled by peers */                                    \
	X(promised)                                                                                \
	X(base_index)                                                                              \
	X(base_number)                                                                             \
	X(base_node)                                                                               \
	X(base_incarnation)                                                                        \
	X(effective_number)                                                                        \
	X(effective_node)                                                                          \
	X(effective_incarnation)                                                                   \
	X(base_crc) /* start of the chain of entry CRCs */                                         \
	X(snapshot_id)                                                                             \
	X(snapshot_len)                                                                            \
	X(snapshot_crc)                                                                            \
	X(last_index)                                                                              \
	X(last_crc)

struct store_state {
#define X(name) uint64_t name;
	STORE_STATE_FIELDS(X)
#undef X
};

struct store_db;

enum hv_rc store_db_open(const char *path, struct store_db **ret_db, char **ret_text);
/* Checkpoints what it can and closes. */
void store_db_close(struct store_db *db);
/* An empty file becomes a log. */
enum hv_rc store_db_create(struct store_db *db, const struct store_state *state, char **ret_text);
/* Proves everything and hands it over; the caller frees with store_boot_clear(). */
enum hv_rc store_db_load(struct store_db *db, struct rl_boot *ret_boot, char **ret_text);
void store_boot_clear(struct rl_boot *boot);

/* A copy of what the last commit left. */
struct store_state store_db_state(const struct store_db *db);
/* A transaction: begin, then apply and set_incarnation as wanted, then commit. Any failure rolls
 * back. */
enum hv_rc store_db_begin(struct store_db *db, char **ret_text);
enum hv_rc store_db_apply(struct store_db *db, const struct rl_write *w, char **ret_text);
void store_db_set_incarnation(struct store_db *db, uint64_t incarnation);
/* Also deletes a bounded piece of the garbage, if there is any. */
enum hv_rc store_db_commit(struct store_db *db, char **ret_text);
void store_db_rollback(struct store_db *db);
bool store_db_has_garbage(const struct store_db *db);
/* Pages in the write-ahead log that a checkpoint would move. */
int store_db_wal_pages(const struct store_db *db);
enum hv_rc store_db_checkpoint(struct store_db *db, char **ret_text);

#endif
