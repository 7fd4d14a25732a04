/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log_store.h - durable home of the replicated log: SQLite (WAL, synchronous=FULL), one writer
 * thread.
 *
 * Opening reads everything into memory and proves it: format, SQLite's own check, a chain of
 * CRC-32C over the entries, no gap, epochs in order, a snapshot that matches its checksum, and
 * nothing missing that was acknowledged (the mark, see log_store_files.h). What cannot be proven is
 * not guessed: the store is moved aside (log.db.damaged-N, the last three are kept), an empty one
 * is made and `boot.damaged` is set, so that the node resyncs from its peers. It stays set, over
 * restarts too, until a write brings entries or a snapshot.
 *
 * Writes are queued from the main loop and committed in groups: one transaction for all that is
 * queued, one sync. Callbacks run on the main loop (qb_loop, through an eventfd). After a failure
 * nothing is written any more: the caller says so to its peers and a restart tries again.
 *
 * Life cycle: open -> boot -> boot_done -> (write)* -> close (writes what is queued, no callbacks).
 * One process at a time (flock).
 */
#ifndef HV_QUORUM_LOG_STORE_H
#define HV_QUORUM_LOG_STORE_H

#include "quorum/replog.h"

#include <qb/qbloop.h>

struct log_store;

struct log_store_ops {
	void (*durable)(void *user, uint64_t write); /* all up to this number is on disk */
	void (*failed)(void *user, enum hv_rc rc,
		       const char *text); /* once; nothing is durable any more */
};

/*
 * HV_OK; HV_BUSY (another process has it), HV_IO, HV_REFUSED (a newer version wrote it). On failure
 * *ret_text (malloc'ed) explains and advises.
 */
enum hv_rc log_store_open(const char *dir, qb_loop_t *loop, const struct log_store_ops *ops,
			  void *user, struct log_store **ret_store, char **ret_text);
/* What was found; borrowed, released by log_store_boot_done(). */
const struct rl_boot *log_store_boot(const struct log_store *s);
void log_store_boot_done(struct log_store *s);
/* Why boot.damaged is set, or NULL. */
const char *log_store_damage(const struct log_store *s);
/*
 * The durable start counter, raised by each open: this process's incarnation. Kept twice; where
 * both copies are lost (or on the first start) it begins at the wall clock's seconds, above all
 * before.
 */
uint64_t log_store_incarnation(const struct log_store *s);
/* Copies what it needs. Numbers ascend. */
void log_store_write(struct log_store *s, const struct rl_write *w);
void log_store_close(struct log_store *s);

#endif
