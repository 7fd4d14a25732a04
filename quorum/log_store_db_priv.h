/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log_store_db_priv.h - shared by log_store_db.c (writing) and log_store_load.c (proving) only. */
#ifndef HV_QUORUM_LOG_STORE_DB_PRIV_H
#define HV_QUORUM_LOG_STORE_DB_PRIV_H

#include "proto/wire.h"
#include "quorum/log_store_db.h"

#include <sqlite3.h>

#define STORE_FORMAT 1
#define STORE_CHUNK (1U << 20)
#define STORE_CHUNKS_MAX                                                                           \
	(1U << 16) /* ids of one snapshot generation; HV_SNAPSHOT_MAX needs 1024                   \
		    */

enum store_sql {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_ENTRY_ADD,
	SQL_ENTRY_CRC,
	SQL_ENTRIES_CUT,
	SQL_ENTRIES_GARBAGE,
	SQL_ENTRIES_ALL,
	SQL_CHUNK_ADD,
	SQL_CHUNKS,
	SQL_CHUNKS_GARBAGE,
	SQL_STATE_GET,
	SQL_STATE_PUT,
	STORE_N_SQL,
};

struct store_db {
	sqlite3 *sql;
	sqlite3_stmt *st[STORE_N_SQL];
	struct store_state state; /* as committed */
	struct store_state next;  /* as the open transaction will leave it */
	bool garbage;
	int wal_pages;
};

/* The prepared statement, NULL on error; reset it with _cleanup_(store_sql_done). */
sqlite3_stmt *store_sql(struct store_db *db, enum store_sql which);
void store_sql_done(sqlite3_stmt **st);
/* The result code and text of SQLite's last error; replaces *ret_text. */
enum hv_rc store_sql_error(struct store_db *db, const char *what, char **ret_text);
uint32_t store_entry_crc(uint32_t prev, const struct rl_entry *e);
uint32_t store_state_crc(const struct store_state *s);

#endif
