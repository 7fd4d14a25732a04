/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store_box.h - a store with its loop in a folder of its own, and writes that can be told apart. */
#ifndef HV_TESTS_STORE_BOX_H
#define HV_TESTS_STORE_BOX_H

#include "quorum/log_store.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------- one store and its loop */

struct box {
	qb_loop_t *loop;
	struct log_store *store;
	char dir[128];
	uint64_t durable, want;
	int failures;
	enum hv_rc failed;
	char failed_text[512];
	uint64_t number, index;
};

static inline void on_durable(void *user, uint64_t write)
{
	struct box *b = user;

	cr_assert_gt(write, b->durable);
	b->durable = write;
	if (b->durable >= b->want)
		qb_loop_stop(b->loop);
}

static inline void on_failed(void *user, enum hv_rc rc, const char *text)
{
	struct box *b = user;

	b->failures++;
	b->failed = rc;
	snprintf(b->failed_text, sizeof(b->failed_text), "%s", text);
	qb_loop_stop(b->loop);
}

static const struct log_store_ops box_ops = {on_durable, on_failed};

static inline void too_late(void *data)
{
	cr_assert_fail("the store did not answer within 20 s");
}

static inline void wait_for(struct box *b, uint64_t number)
{
	qb_loop_timer_handle t;

	b->want = number;
	if (b->durable >= number || b->failures)
		return;
	qb_loop_timer_add(b->loop, QB_LOOP_LOW, 20 * 1000000000ULL, NULL, too_late, &t);
	qb_loop_run(b->loop);
	qb_loop_timer_del(b->loop, t);
}

static inline enum hv_rc try_open(struct box *b, char **ret_text)
{
	if (!b->loop)
		b->loop = qb_loop_create();
	b->durable = b->number = 0;
	return log_store_open(b->dir, b->loop, &box_ops, b, &b->store, ret_text);
}

static inline void reopen(struct box *b)
{
	char *text = NULL;
	enum hv_rc rc;

	log_store_close(b->store);
	b->store = NULL;
	rc = try_open(b, &text);
	cr_assert_eq(rc, HV_OK, "%s", text);
}

static inline void box_open(struct box *b)
{
	char tmp[] = "/tmp/hv-store-XXXXXX";

	memset(b, 0, sizeof(*b));
	cr_assert(mkdtemp(tmp));
	snprintf(b->dir, sizeof(b->dir), "%s/log", tmp);
	reopen(b);
}

static inline void remove_dir(const char *dir)
{
	struct dirent *e;
	char path[512];
	DIR *d = opendir(dir);

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

static inline void box_done(struct box *b)
{
	log_store_close(b->store);
	qb_loop_destroy(b->loop);
	remove_dir(b->dir);
	*strrchr(b->dir, '/') = '\0';
	rmdir(b->dir);
}

/* On the closed store; the first column of the first row, or 0. */
static inline int64_t sql(struct box *b, const char *statement)
{
	char path[256];
	sqlite3 *db;
	sqlite3_stmt *st = NULL;
	int64_t value = 0;

	log_store_close(b->store);
	b->store = NULL;
	snprintf(path, sizeof(path), "%s/log.db", b->dir);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, statement, -1, &st, NULL), SQLITE_OK, "%s",
		     sqlite3_errmsg(db));
	if (sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	cr_assert_eq(sqlite3_finalize(st), SQLITE_OK, "%s", sqlite3_errmsg(db));
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
	return value;
}

/* ------------------------------------------------------------- writes, recognisable by index and
 * epoch */

static inline struct rl_epoch epoch(uint64_t number)
{
	return (struct rl_epoch){number, (hv_node_id)(number % 3 + 1), number * 10};
}

static inline struct rl_entry entry(uint64_t index, uint64_t number, char *buf, size_t size)
{
	struct rl_entry e = {.epoch = epoch(number), .index = index};

	e.type = index % 5 == 0 ? RL_FENCE : index % 7 == 0 ? RL_VIEW : RL_COMMAND;
	e.fenced_node = e.type == RL_FENCE ? 3 : 0;
	e.len = (size_t)snprintf(buf, size, "entry %lu of epoch %lu", (unsigned long)index,
				 (unsigned long)number);
	if (index % 11 == 0)
		e.len = 0;
	e.data = (const uint8_t *)buf;
	return e;
}

static inline void write_it(struct box *b, struct rl_write w)
{
	w.number = ++b->number;
	log_store_write(b->store, &w);
}

static inline void append(struct box *b, uint64_t from, uint64_t to, uint64_t number)
{
	for (uint64_t i = from; i <= to; i++) {
		char buf[64];
		struct rl_entry e = entry(i, number, buf, sizeof(buf));

		write_it(b, (struct rl_write){.entries = &e, .n_entries = 1});
	}
}

static inline void set_base(struct box *b, uint64_t index, uint64_t number, const char *state,
			    bool drop_all)
{
	write_it(b, (struct rl_write){.set_base = true,
				      .drop_all = drop_all,
				      .base_index = index,
				      .base_epoch = epoch(number),
				      .base_effective = epoch(number - 1),
				      .snapshot = (const uint8_t *)state,
				      .snapshot_len = strlen(state)});
}

static inline void check_entries(const struct rl_boot *boot, uint64_t from, uint64_t to,
				 uint64_t number)
{
	for (uint64_t i = from; i <= to; i++) {
		char buf[64];
		struct rl_entry want = entry(i, number, buf, sizeof(buf));
		const struct rl_entry *e = &boot->entries[i - boot->base_index - 1];

		cr_assert_eq(e->index, i);
		cr_assert_eq(e->type, want.type);
		cr_assert_eq(e->fenced_node, want.fenced_node);
		cr_assert_eq(e->epoch.number, want.epoch.number);
		cr_assert_eq(e->epoch.node, want.epoch.node);
		cr_assert_eq(e->epoch.incarnation, want.epoch.incarnation);
		cr_assert_eq(e->len, want.len);
		cr_assert_eq(memcmp(e->data, want.data, e->len), 0);
	}
}

#endif
