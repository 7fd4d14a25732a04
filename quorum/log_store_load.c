/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading the whole log at boot, and proving it. */
#include "quorum/log_store_db.h"
#include "quorum/log_store_db_priv.h"

#include <inttypes.h>
#include <string.h>

static enum hv_rc corrupt(char **ret_text, char *text)
{
	free(*ret_text);
	*ret_text = text;
	return HV_CORRUPT;
}

/* One integer or, with `ret_text_value`, one text; -1 if the file does not give it. */
static int64_t ask(struct store_db *db, const char *sql, char **ret_text_value)
{
	sqlite3_stmt *st = NULL;
	int64_t v = -1;

	if (sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW) {
		v = sqlite3_column_int64(st, 0);
		if (ret_text_value && sqlite3_column_text(st, 0))
			*ret_text_value = hv_xstrdup((const char *)sqlite3_column_text(st, 0));
	}
	sqlite3_finalize(st);
	return v;
}

static enum hv_rc check_file(struct store_db *db, char **ret_text)
{
	_cleanup_free_ char *found = NULL;
	int64_t version = ask(db, "PRAGMA user_version", NULL);
	int64_t tables = ask(db, "SELECT count(*) FROM sqlite_schema", NULL);

	if (version < 0 || tables < 0)
		return store_sql_error(db, "read", ret_text);
	if (version == 0 && tables == 0)
		return HV_NOT_FOUND;
	if (version > STORE_FORMAT && version < 1000) {
		*ret_text = hv_xasprintf("the log was written by a newer version (format %" PRId64
					 ", this one knows %d): install that version",
					 version, STORE_FORMAT);
		return HV_REFUSED;
	}
	if (version != STORE_FORMAT || tables != 3)
		return corrupt(ret_text, hv_xasprintf("the log has no tables of ours"));
	if (ask(db, "PRAGMA quick_check(1)", &found) < 0)
		return store_sql_error(db, "check", ret_text);
	if (!found || strcmp(found, "ok") != 0)
		return corrupt(ret_text, hv_xasprintf("the log's pages are damaged: %s",
						      found ? found : "no answer"));
	return HV_OK;
}

static enum hv_rc load_state(struct store_db *db, char **ret_text)
{
	_cleanup_(store_sql_done) sqlite3_stmt *st = store_sql(db, SQL_STATE_GET);
	struct store_state s;
	int col = 1, step;
	uint64_t crc;

	step = st ? sqlite3_step(st) : SQLITE_ERROR;
	if (step != SQLITE_ROW && step != SQLITE_DONE)
		return store_sql_error(db, "read", ret_text);
	if (step == SQLITE_DONE)
		return corrupt(ret_text, hv_xasprintf("the log's state is missing"));
#define X(name) s.name = (uint64_t)sqlite3_column_int64(st, col++);
	STORE_STATE_FIELDS(X)
#undef X
	crc = (uint64_t)sqlite3_column_int64(st, col);
	if (crc != store_state_crc(&s))
		return corrupt(ret_text, hv_xasprintf("the log's state fails its checksum"));
	db->state = s;
	return HV_OK;
}

static void boot_from_state(const struct store_state *s, struct rl_boot *boot)
{
	boot->promised = s->promised;
	boot->base_index = s->base_index;
	boot->base_epoch =
	    (struct rl_epoch){s->base_number, (hv_node_id)s->base_node, s->base_incarnation};
	boot->base_effective = (struct rl_epoch){s->effective_number, (hv_node_id)s->effective_node,
						 s->effective_incarnation};
	boot->damaged = s->damaged;
}

static enum hv_rc load_snapshot(struct store_db *db, struct rl_boot *boot, char **ret_text)
{
	_cleanup_(store_sql_done) sqlite3_stmt *st = store_sql(db, SQL_CHUNKS);
	const struct store_state *s = &db->state;
	uint64_t id = s->snapshot_id * STORE_CHUNKS_MAX;
	uint8_t *bytes;
	size_t at = 0, n;
	int step = SQLITE_DONE;

	if (s->snapshot_len > HV_SNAPSHOT_MAX)
		return corrupt(ret_text, hv_xasprintf("the snapshot has an impossible size"));
	if (!st)
		return store_sql_error(db, "read", ret_text);
	bytes = hv_xcalloc(1, s->snapshot_len);
	boot->snapshot = bytes;
	boot->snapshot_len = s->snapshot_len;
	sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
	while (at < s->snapshot_len && (step = sqlite3_step(st)) == SQLITE_ROW) {
		n = (size_t)sqlite3_column_bytes(st, 1);
		if ((uint64_t)sqlite3_column_int64(st, 0) != id++ || n == 0 ||
		    n > s->snapshot_len - at)
			break;
		memcpy(bytes + at, sqlite3_column_blob(st, 1), n);
		at += n;
	}
	if (step != SQLITE_ROW && step != SQLITE_DONE)
		return store_sql_error(db, "read", ret_text);
	if (at != s->snapshot_len || s->snapshot_crc != wire_crc32c(0, bytes, at))
		return corrupt(ret_text, hv_xasprintf("the snapshot fails its checksum"));
	return HV_OK;
}

static bool epoch_before(const struct rl_epoch *a, const struct rl_epoch *b)
{
	if (a->number != b->number)
		return a->number < b->number;
	if (a->node != b->node)
		return a->node < b->node;
	return a->incarnation < b->incarnation;
}

static void entry_from_row(sqlite3_stmt *st, struct rl_entry *e)
{
	*e = (struct rl_entry){
	    .index = (uint64_t)sqlite3_column_int64(st, 0),
	    .epoch = {(uint64_t)sqlite3_column_int64(st, 1),
		      (hv_node_id)sqlite3_column_int64(st, 2),
		      (uint64_t)sqlite3_column_int64(st, 3)},
	    .type = (enum rl_entry_type)sqlite3_column_int64(st, 4),
	    .fenced_node = (hv_node_id)sqlite3_column_int64(st, 5),
	    .len = (size_t)sqlite3_column_bytes(st, 7),
	    .data = sqlite3_column_blob(st, 7), /* valid until the next step */
	};
}

/* NULL, or what is wrong with `e` as the successor of an entry of epoch `prev`. */
static const char *entry_fault(const struct rl_entry *e, uint64_t index,
			       const struct rl_epoch *prev, uint64_t stored_crc, uint64_t crc)
{
	if (e->index != index)
		return "is missing";
	if (stored_crc != crc)
		return "fails its checksum";
	if (e->type != RL_VIEW && e->type != RL_COMMAND && e->type != RL_FENCE)
		return "has an unknown type";
	if (epoch_before(&e->epoch, prev))
		return "is of an epoch before its predecessor's";
	return NULL;
}

static enum hv_rc load_entries(struct store_db *db, struct rl_boot *boot, char **ret_text)
{
	_cleanup_(store_sql_done) sqlite3_stmt *st = store_sql(db, SQL_ENTRIES_ALL);
	const struct store_state *s = &db->state;
	struct rl_epoch prev = boot->base_epoch;
	uint64_t index = s->base_index + 1;
	uint32_t crc = (uint32_t)s->base_crc;
	struct rl_entry *list = NULL;
	size_t n = 0, cap = 0;
	int step = SQLITE_ERROR;

	if (st)
		sqlite3_bind_int64(st, 1, (sqlite3_int64)s->base_index);
	while (st && (step = sqlite3_step(st)) == SQLITE_ROW) {
		struct rl_entry e;
		const char *fault;

		entry_from_row(st, &e);
		crc = store_entry_crc(crc, &e);
		fault = entry_fault(&e, index, &prev, (uint64_t)sqlite3_column_int64(st, 6), crc);
		if (fault)
			return corrupt(ret_text, hv_xasprintf("entry %" PRIu64 " of the log %s",
							      index, fault));
		if (n == cap) {
			cap = cap ? cap * 2 : 1024;
			list = hv_xrealloc(list, cap, sizeof(*list));
			boot->entries = list;
		}
		e.data = hv_xmemdup(e.data, e.len);
		list[n++] = e;
		boot->n_entries = n;
		prev = e.epoch;
		index++;
	}
	if (step != SQLITE_DONE)
		return store_sql_error(db, "read", ret_text);
	if (index - 1 != s->last_index || crc != s->last_crc)
		return corrupt(ret_text,
			       hv_xasprintf("the log ends at entry %" PRIu64 " instead of %" PRIu64,
					    index - 1, s->last_index));
	return HV_OK;
}

enum hv_rc store_db_load(struct store_db *db, struct rl_boot *ret_boot, char **ret_text)
{
	struct rl_boot boot = {0};
	enum hv_rc rc = check_file(db, ret_text);

	if (rc == HV_OK)
		rc = load_state(db, ret_text);
	if (rc == HV_OK) {
		boot_from_state(&db->state, &boot);
		rc = load_snapshot(db, &boot, ret_text);
	}
	if (rc == HV_OK)
		rc = load_entries(db, &boot, ret_text);
	if (rc != HV_OK) {
		store_boot_clear(&boot);
		return rc;
	}
	db->garbage = true; /* a crash may have left some */
	*ret_boot = boot;
	return HV_OK;
}

void store_boot_clear(struct rl_boot *boot)
{
	for (size_t i = 0; i < boot->n_entries; i++)
		free((void *)boot->entries[i].data);
	free((void *)boot->entries);
	free((void *)boot->snapshot);
	*boot = (struct rl_boot){0};
}
