/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log_store_files.h - private to log_store: the store's directory and the small files beside the
 * log.
 *
 *   lock         flock: one process at a time
 *   log.db       the log (log_store_db), with log.db-wal while it is open
 *   incarnation  the start counter, a second copy: survives the loss of log.db (written aside,
 *                fsync, rename)
 *   mark         the number of the last transaction that was acknowledged, in two alternating
 * slots. Written without a sync after the log's own sync, so it never runs ahead of an honest disk.
 * SQLite drops a damaged or cut-off tail of its write-ahead log silently; a log that is behind the
 * mark has lost what it had promised. log.db.damaged-N   what was moved aside, the last three
 *
 * The directory is 0700, the files 0600. Functions that fail give a malloc'ed text for people.
 */
#ifndef HV_QUORUM_LOG_STORE_FILES_H
#define HV_QUORUM_LOG_STORE_FILES_H

#include "proto/base.h"
#include "proto/rc.h"

#define STORE_KEEP_DAMAGED 3

struct store_files {
	char *dir, *db_path;
	int dir_fd, lock_fd, mark_fd;
	uint64_t mark;	      /* 0: none was found */
	uint64_t incarnation; /* 0: none was found */
};

/* Makes the directory (not its parents), locks it, reads the small files. HV_OK, HV_BUSY, HV_IO. */
enum hv_rc store_files_open(struct store_files *f, const char *dir, char **ret_text);
void store_files_close(struct store_files *f);
/* Has a store been here before? Then an empty log is a lost log. */
bool store_files_known(const struct store_files *f);
enum hv_rc store_files_set_incarnation(struct store_files *f, uint64_t incarnation,
				       char **ret_text);
/* Called from the writer thread. Returns 0 or -errno. */
int store_files_set_mark(struct store_files *f, uint64_t commit);
/* Renames log.db and its companions to log.db.damaged-N, removes the oldest of more than three. */
enum hv_rc store_files_move_aside(struct store_files *f, char **ret_name, char **ret_text);
int store_files_sync_dir(struct store_files *f);

#endif
