/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/log_store_db.h"

#include "quorum/log_store_db_priv.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GARBAGE_ENTRIES 128 /* deleted with one commit */
#define GARBAGE_CHUNKS 2

static const char *const sql_text[STORE_N_SQL] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_ENTRY_ADD] =
	"INSERT INTO entries(idx, number, node, incarnation, type, fenced_node, crc, data) "
	"VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQL_ENTRY_CRC] = "SELECT crc FROM entries WHERE idx = ?1",
    [SQL_ENTRIES_CUT] = "DELETE FROM entries WHERE idx > ?1",
    [SQL_ENTRIES_GARBAGE] = "DELETE FROM entries WHERE idx IN (SELECT idx FROM entries "
			    "WHERE idx <= ?1 ORDER BY idx LIMIT ?2)",
    [SQL_ENTRIES_ALL] = "SELECT idx, number, node, incarnation, type, fenced_node, crc, data "
			"FROM entries WHERE idx > ?1 ORDER BY idx",
    [SQL_CHUNK_ADD] = "INSERT INTO snapshot_chunk(id, data) VALUES(?1, ?2)",
    [SQL_CHUNKS] = "SELECT id, data FROM snapshot_chunk WHERE id >= ?1 ORDER BY id",
    [SQL_CHUNKS_GARBAGE] = "DELETE FROM snapshot_chunk WHERE id IN (SELECT id FROM snapshot_chunk "
			   "WHERE id < ?1 ORDER BY id LIMIT ?2)",
    [SQL_STATE_GET] = "SELECT * FROM state WHERE id = 1",
    [SQL_STATE_PUT] = "REPLACE INTO state VALUES(1, "
#define X(name) "?,"
    STORE_STATE_FIELDS(X)
#undef X
	"?)",
};

static const char schema[] = "CREATE TABLE state(id INTEGER PRIMARY KEY CHECK(id = 1)"
#define X(name) ", " #name " INTEGER NOT NULL"
    STORE_STATE_FIELDS(X)
#undef X
	", crc INTEGER NOT NULL);"
	"CREATE TABLE entries(idx INTEGER PRIMARY KEY, number INTEGER NOT NULL, "
	"node INTEGER NOT NULL, incarnation INTEGER NOT NULL, "
	"type INTEGER NOT NULL, fenced_node INTEGER NOT NULL, "
	"crc INTEGER NOT NULL, data BLOB NOT NULL);"
	"CREATE TABLE snapshot_chunk(id INTEGER PRIMARY KEY, data BLOB NOT NULL);";

enum hv_rc store_sql_error(struct store_db *db, const char *what, char **ret_text)
{
	int code = sqlite3_extended_errcode(db->sql);
	const char *path = sqlite3_db_filename(db->sql, "main");
	const char *advice = "";
	enum hv_rc rc = HV_IO;

	if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB ||
	    (code & 0xff) == SQLITE_ERROR || (code & 0xff) == SQLITE_MISMATCH ||
	    (code & 0xff) == SQLITE_TOOBIG || (code & 0xff) == SQLITE_READONLY)
		rc = HV_CORRUPT; /* the rest: not our tables, impossible sizes, an unknown write
				    version */
	if (code == SQLITE_FULL)
		advice = "; free space on that disk, then restart clusterd";
	else if ((code & 0xff) == SQLITE_IOERR)
		advice = "; check that disk (kernel log)";
	free(*ret_text);
	*ret_text = hv_xasprintf(
	    "cannot %s the log %s: %s (SQLite %d%s%s)%s", what, path ? path : "",
	    sqlite3_errmsg(db->sql), code, sqlite3_system_errno(db->sql) ? ", " : "",
	    sqlite3_system_errno(db->sql) ? strerror(sqlite3_system_errno(db->sql)) : "", advice);
	return rc;
}

sqlite3_stmt *store_sql(struct store_db *db, enum store_sql which)
{
	sqlite3_stmt **st = &db->st[which];

	if (!*st && sqlite3_prepare_v3(db->sql, sql_text[which], -1, SQLITE_PREPARE_PERSISTENT, st,
				       NULL) != SQLITE_OK)
		return NULL;
	return *st;
}

void store_sql_done(sqlite3_stmt **st)
{
	if (*st) {
		sqlite3_reset(*st);
		sqlite3_clear_bindings(*st);
	}
}

/* Runs a statement without rows; `args` are bound in order. */
static enum hv_rc run(struct store_db *db, enum store_sql which, const char *what, size_t n_args,
		      const uint64_t *args, char **ret_text)
{
	_cleanup_(store_sql_done) sqlite3_stmt *st = store_sql(db, which);

	for (size_t i = 0; st && i < n_args; i++)
		sqlite3_bind_int64(st, (int)i + 1, (sqlite3_int64)args[i]);
	if (!st || sqlite3_step(st) != SQLITE_DONE)
		return store_sql_error(db, what, ret_text);
	return HV_OK;
}

static uint32_t crc_u64(uint32_t crc, uint64_t v)
{
	v = htole64(v);
	return wire_crc32c(crc, &v, sizeof(v));
}

uint32_t store_entry_crc(uint32_t prev, const struct rl_entry *e)
{
	uint32_t crc = crc_u64(0, prev);

	crc = crc_u64(crc, e->index);
	crc = crc_u64(crc, e->epoch.number);
	crc = crc_u64(crc, e->epoch.node);
	crc = crc_u64(crc, e->epoch.incarnation);
	crc = crc_u64(crc, (uint64_t)e->type);
	crc = crc_u64(crc, e->fenced_node);
	crc = crc_u64(crc, e->len);
	return wire_crc32c(crc, e->data, e->len);
}

uint32_t store_state_crc(const struct store_state *s)
{
	uint32_t crc = 0;

#define X(name) crc = crc_u64(crc, s->name);
	STORE_STATE_FIELDS(X)
#undef X
	return crc;
}

static enum hv_rc put_state(struct store_db *db, char **ret_text)
{
	const uint64_t values[] = {
#define X(name) db->next.name,
	    STORE_STATE_FIELDS(X)
#undef X
		store_state_crc(&db->next),
	};

	return run(db, SQL_STATE_PUT, "write", ARRAY_SIZE(values), values, ret_text);
}

static int on_wal(void *user, sqlite3 *sql, const char *name, int pages)
{
	struct store_db *db = user;

	db->wal_pages = pages;
	return SQLITE_OK;
}

/* The last pragma's answer is the journal mode. */
static int is_wal(void *user, int n, char **values, char **names)
{
	*(bool *)user = n == 1 && values[0] && strcmp(values[0], "wal") == 0;
	return 0;
}

static enum hv_rc pragmas(struct store_db *db, char **ret_text)
{
	bool wal = false;
	/* Exclusive: no shared memory file, and nobody else writes between our transactions. */
	static const char setup[] = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cell_size_check=ON;"
				    "PRAGMA trusted_schema=OFF; PRAGMA synchronous=FULL;"
				    "PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY;"
				    "PRAGMA journal_mode=WAL;";

	sqlite3_extended_result_codes(db->sql, 1);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (sqlite3_exec(db->sql, setup, is_wal, &wal, NULL) != SQLITE_OK)
		return store_sql_error(db, "open", ret_text);
	sqlite3_wal_hook(db->sql, on_wal,
			 db); /* last: the pragma on checkpoints sets the same hook */
	if (!wal) {
		*ret_text = hv_xasprintf("the log's file system does not allow a write-ahead log");
		return HV_IO;
	}
	return HV_OK;
}

enum hv_rc store_db_open(const char *path, struct store_db **ret_db, char **ret_text)
{
	struct store_db *db = hv_xcalloc(1, sizeof(*db));
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
		    SQLITE_OPEN_EXRESCODE;
	enum hv_rc rc;

	if (sqlite3_open_v2(path, &db->sql, flags, NULL) != SQLITE_OK)
		rc = store_sql_error(db, "open", ret_text);
	else
		rc = pragmas(db, ret_text);
	if (rc == HV_OK)
		*ret_db = db;
	else
		store_db_close(db);
	return rc;
}

void store_db_close(struct store_db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(db->st); i++)
		sqlite3_finalize(db->st[i]);
	sqlite3_close(db->sql);
	free(db);
}

enum hv_rc store_db_create(struct store_db *db, const struct store_state *state, char **ret_text)
{
	_cleanup_free_ char *sql = hv_xasprintf("PRAGMA user_version=%d; %s", STORE_FORMAT, schema);
	enum hv_rc rc = store_db_begin(db, ret_text);

	if (rc != HV_OK)
		return rc;
	if (sqlite3_exec(db->sql, sql, NULL, NULL, NULL) != SQLITE_OK) {
		store_sql_error(db, "create", ret_text);
		store_db_rollback(db);
		return HV_IO;
	}
	db->next = *state;
	return store_db_commit(db, ret_text);
}

struct store_state store_db_state(const struct store_db *db)
{
	return db->state;
}

enum hv_rc store_db_begin(struct store_db *db, char **ret_text)
{
	db->next = db->state;
	return run(db, SQL_BEGIN, "write", 0, NULL, ret_text);
}

void store_db_rollback(struct store_db *db)
{
	_cleanup_free_ char *text = NULL;

	if (!sqlite3_get_autocommit(db->sql))
		run(db, SQL_ROLLBACK, "roll back", 0, NULL, &text); /* the cause was told already */
}

void store_db_set_incarnation(struct store_db *db, uint64_t incarnation)
{
	db->next.incarnation = incarnation;
}

static enum hv_rc cut_after(struct store_db *db, uint64_t index, char **ret_text)
{
	return run(db, SQL_ENTRIES_CUT, "write", 1, &index, ret_text);
}

/* The chain's value after the entry `index`, which the log holds. */
static enum hv_rc crc_at(struct store_db *db, uint64_t index, uint64_t *ret_crc, char **ret_text)
{
	_cleanup_(store_sql_done) sqlite3_stmt *st = NULL;

	if (index == db->next.base_index) {
		*ret_crc = db->next.base_crc;
		return HV_OK;
	}
	st = store_sql(db, SQL_ENTRY_CRC);
	if (st)
		sqlite3_bind_int64(st, 1, (sqlite3_int64)index);
	if (!st || sqlite3_step(st) != SQLITE_ROW)
		return store_sql_error(db, "read back", ret_text);
	*ret_crc = (uint64_t)sqlite3_column_int64(st, 0);
	return HV_OK;
}

static enum hv_rc put_snapshot(struct store_db *db, const struct rl_write *w, char **ret_text)
{
	uint64_t id = ++db->next.snapshot_id * STORE_CHUNKS_MAX;

	hv_assert(w->snapshot_len <= HV_SNAPSHOT_MAX);
	for (size_t at = 0; at < w->snapshot_len; at += STORE_CHUNK, id++) {
		_cleanup_(store_sql_done) sqlite3_stmt *st = store_sql(db, SQL_CHUNK_ADD);
		size_t n = w->snapshot_len - at < STORE_CHUNK ? w->snapshot_len - at : STORE_CHUNK;

		if (st) {
			sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
			sqlite3_bind_blob64(st, 2, w->snapshot + at, n, SQLITE_STATIC);
		}
		if (!st || sqlite3_step(st) != SQLITE_DONE)
			return store_sql_error(db, "write", ret_text);
	}
	db->next.snapshot_len = w->snapshot_len;
	db->next.snapshot_crc = wire_crc32c(0, w->snapshot, w->snapshot_len);
	return HV_OK;
}

static enum hv_rc set_base(struct store_db *db, const struct rl_write *w, char **ret_text)
{
	struct store_state *s = &db->next;
	uint64_t crc = 0;
	bool keeps_tail = !w->drop_all && w->base_index <= s->last_index;
	enum hv_rc rc = HV_OK;

	hv_assert(w->drop_all || w->base_index >= s->base_index);
	if (keeps_tail)
		rc = crc_at(db, w->base_index, &crc, ret_text);
	else
		rc = cut_after(db, w->base_index, ret_text);
	if (rc == HV_OK)
		rc = put_snapshot(db, w, ret_text);
	s->base_index = w->base_index;
	s->base_number = w->base_epoch.number;
	s->base_node = w->base_epoch.node;
	s->base_incarnation = w->base_epoch.incarnation;
	s->effective_number = w->base_effective.number;
	s->effective_node = w->base_effective.node;
	s->effective_incarnation = w->base_effective.incarnation;
	s->base_crc = crc;
	if (!keeps_tail) {
		s->last_index = w->base_index;
		s->last_crc = crc;
	}
	db->garbage = true;
	return rc;
}

static enum hv_rc truncate_log(struct store_db *db, uint64_t keep, char **ret_text)
{
	struct store_state *s = &db->next;
	enum hv_rc rc;

	hv_assert(keep >= s->base_index);
	if (keep >= s->last_index)
		return HV_OK;
	rc = crc_at(db, keep, &s->last_crc, ret_text);
	if (rc == HV_OK)
		rc = cut_after(db, keep, ret_text);
	s->last_index = keep;
	return rc;
}

static enum hv_rc append(struct store_db *db, const struct rl_entry *e, char **ret_text)
{
	_cleanup_(store_sql_done) sqlite3_stmt *st = store_sql(db, SQL_ENTRY_ADD);
	struct store_state *s = &db->next;

	hv_assert(e->index == s->last_index + 1);
	s->last_crc = store_entry_crc((uint32_t)s->last_crc, e);
	s->last_index = e->index;
	if (!st)
		return store_sql_error(db, "write", ret_text);
	sqlite3_bind_int64(st, 1, (sqlite3_int64)e->index);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)e->epoch.number);
	sqlite3_bind_int64(st, 3, e->epoch.node);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)e->epoch.incarnation);
	sqlite3_bind_int64(st, 5, (sqlite3_int64)e->type);
	sqlite3_bind_int64(st, 6, e->fenced_node);
	sqlite3_bind_int64(st, 7, (sqlite3_int64)s->last_crc);
	sqlite3_bind_blob64(st, 8, e->len ? e->data : (const uint8_t *)"", e->len, SQLITE_STATIC);
	if (sqlite3_step(st) != SQLITE_DONE)
		return store_sql_error(db, "write", ret_text);
	return HV_OK;
}

enum hv_rc store_db_apply(struct store_db *db, const struct rl_write *w, char **ret_text)
{
	enum hv_rc rc = HV_OK;

	if (w->set_base)
		rc = set_base(db, w, ret_text);
	if (rc == HV_OK && w->truncate)
		rc = truncate_log(db, w->keep_index, ret_text);
	for (size_t i = 0; rc == HV_OK && i < w->n_entries; i++)
		rc = append(db, &w->entries[i], ret_text);
	if (w->set_promised) {
		hv_assert(w->promised >= db->next.promised);
		db->next.promised = w->promised;
	}
	/* What an active epoch gives us fills the store again. */
	if (w->set_base || w->n_entries)
		db->next.damaged = 0;
	return rc;
}

static enum hv_rc sweep(struct store_db *db, char **ret_text)
{
	uint64_t entries[] = {db->next.base_index, GARBAGE_ENTRIES};
	uint64_t chunks[] = {db->next.snapshot_id * STORE_CHUNKS_MAX, GARBAGE_CHUNKS};
	int n;
	enum hv_rc rc;

	rc = run(db, SQL_ENTRIES_GARBAGE, "write", 2, entries, ret_text);
	n = sqlite3_changes(db->sql);
	if (rc == HV_OK)
		rc = run(db, SQL_CHUNKS_GARBAGE, "write", 2, chunks, ret_text);
	db->garbage = n == GARBAGE_ENTRIES || sqlite3_changes(db->sql) == GARBAGE_CHUNKS;
	return rc;
}

enum hv_rc store_db_commit(struct store_db *db, char **ret_text)
{
	enum hv_rc rc = HV_OK;

	db->next.commit_no++;
	if (db->garbage)
		rc = sweep(db, ret_text);
	if (rc == HV_OK)
		rc = put_state(db, ret_text);
	if (rc == HV_OK)
		rc = run(db, SQL_COMMIT, "write", 0, NULL, ret_text);
	if (rc == HV_OK)
		db->state = db->next;
	else
		store_db_rollback(db);
	return rc;
}

bool store_db_has_garbage(const struct store_db *db)
{
	return db->garbage;
}

int store_db_wal_pages(const struct store_db *db)
{
	return db->wal_pages;
}

enum hv_rc store_db_checkpoint(struct store_db *db, char **ret_text)
{
	int moved = -1, left = -1;

	if (sqlite3_wal_checkpoint_v2(db->sql, NULL, SQLITE_CHECKPOINT_PASSIVE, &left, &moved) !=
	    SQLITE_OK)
		return store_sql_error(db, "checkpoint", ret_text);
	db->wal_pages = 0;
	return HV_OK;
}
