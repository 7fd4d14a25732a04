/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/log_store.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
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

static void on_durable(void *user, uint64_t write)
{
	struct box *b = user;

	cr_assert_gt(write, b->durable);
	b->durable = write;
	if (b->durable >= b->want)
		qb_loop_stop(b->loop);
}

static void on_failed(void *user, enum hv_rc rc, const char *text)
{
	struct box *b = user;

	b->failures++;
	b->failed = rc;
	snprintf(b->failed_text, sizeof(b->failed_text), "%s", text);
	qb_loop_stop(b->loop);
}

static const struct log_store_ops ops = {on_durable, on_failed};

static void too_late(void *data)
{
	cr_assert_fail("the store did not answer within 20 s");
}

static void wait_for(struct box *b, uint64_t number)
{
	qb_loop_timer_handle t;

	b->want = number;
	if (b->durable >= number || b->failures)
		return;
	qb_loop_timer_add(b->loop, QB_LOOP_LOW, 20 * 1000000000ULL, NULL, too_late, &t);
	qb_loop_run(b->loop);
	qb_loop_timer_del(b->loop, t);
}

static enum hv_rc try_open(struct box *b, char **ret_text)
{
	if (!b->loop)
		b->loop = qb_loop_create();
	b->durable = b->number = 0;
	return log_store_open(b->dir, b->loop, &ops, b, &b->store, ret_text);
}

static void reopen(struct box *b)
{
	char *text = NULL;
	enum hv_rc rc;

	log_store_close(b->store);
	b->store = NULL;
	rc = try_open(b, &text);
	cr_assert_eq(rc, HV_OK, "%s", text);
}

static void box_open(struct box *b)
{
	char tmp[] = "/tmp/hv-store-XXXXXX";

	memset(b, 0, sizeof(*b));
	cr_assert(mkdtemp(tmp));
	snprintf(b->dir, sizeof(b->dir), "%s/log", tmp);
	reopen(b);
}

static void remove_dir(const char *dir)
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

static void box_done(struct box *b)
{
	log_store_close(b->store);
	qb_loop_destroy(b->loop);
	remove_dir(b->dir);
	*strrchr(b->dir, '/') = '\0';
	rmdir(b->dir);
}

/* ------------------------------------------------------------- writes, recognisable by index and
 * epoch */

static struct rl_epoch epoch(uint64_t number)
{
	return (struct rl_epoch){number, (hv_node_id)(number % 3 + 1), number * 10};
}

static struct rl_entry entry(uint64_t index, uint64_t number, char *buf, size_t size)
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

static void write_it(struct box *b, struct rl_write w)
{
	w.number = ++b->number;
	log_store_write(b->store, &w);
}

static void append(struct box *b, uint64_t from, uint64_t to, uint64_t number)
{
	for (uint64_t i = from; i <= to; i++) {
		char buf[64];
		struct rl_entry e = entry(i, number, buf, sizeof(buf));

		write_it(b, (struct rl_write){.entries = &e, .n_entries = 1});
	}
}

static void set_base(struct box *b, uint64_t index, uint64_t number, const char *state,
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

static void check_entries(const struct rl_boot *boot, uint64_t from, uint64_t to, uint64_t number)
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

/* ------------------------------------------------------------- tests */

Test(log_store, a_new_store_is_empty_and_not_damaged)
{
	struct box b;

	box_open(&b);
	cr_assert_not(log_store_boot(b.store)->damaged);
	cr_assert_null(log_store_damage(b.store));
	cr_assert_eq(log_store_boot(b.store)->n_entries, 0);
	cr_assert_eq(log_store_boot(b.store)->base_index, 0);
	cr_assert_eq(log_store_boot(b.store)->promised, 0);
	box_done(&b);
}

Test(log_store, every_kind_of_write_survives_a_reopening)
{
	struct box b;
	const struct rl_boot *boot;

	box_open(&b);
	append(&b, 1, 30, 4);
	write_it(&b, (struct rl_write){.set_promised = true, .promised = 9});
	write_it(&b, (struct rl_write){.truncate = true, .keep_index = 20});
	append(&b, 21, 25, 8);
	set_base(&b, 12, 4, "the state at twelve", false);
	wait_for(&b, b.number);
	reopen(&b);
	boot = log_store_boot(b.store);
	cr_assert_eq(boot->promised, 9);
	cr_assert_eq(boot->base_index, 12);
	cr_assert_eq(boot->base_epoch.number, 4);
	cr_assert_eq(boot->base_effective.incarnation, 30);
	cr_assert_eq(boot->snapshot_len, strlen("the state at twelve"));
	cr_assert_eq(memcmp(boot->snapshot, "the state at twelve", boot->snapshot_len), 0);
	cr_assert_eq(boot->n_entries, 13);
	check_entries(boot, 13, 20, 4);
	check_entries(boot, 21, 25, 8);
	box_done(&b);
}

Test(log_store, one_write_replaces_appends_and_promises)
{
	struct box b;
	char buf[3][64];
	struct rl_entry e[3];
	const struct rl_boot *boot;

	box_open(&b);
	append(&b, 1, 10, 2);
	for (size_t i = 0; i < 3; i++)
		e[i] = entry(5 + i, 6, buf[i], sizeof(buf[i]));
	write_it(&b, (struct rl_write){.set_promised = true,
				       .promised = 6,
				       .truncate = true,
				       .keep_index = 4,
				       .entries = e,
				       .n_entries = 3});
	wait_for(&b, b.number);
	reopen(&b);
	boot = log_store_boot(b.store);
	cr_assert_eq(boot->n_entries, 7);
	cr_assert_eq(boot->promised, 6);
	check_entries(boot, 1, 4, 2);
	check_entries(boot, 5, 7, 6);
	box_done(&b);
}

Test(log_store, a_snapshot_beyond_the_log_starts_it_anew)
{
	struct box b;

	box_open(&b);
	append(&b, 1, 10, 2);
	set_base(&b, 50, 3, "fifty", false);
	append(&b, 51, 53, 3);
	wait_for(&b, b.number);
	reopen(&b);
	cr_assert_eq(log_store_boot(b.store)->base_index, 50);
	cr_assert_eq(log_store_boot(b.store)->n_entries, 3);
	check_entries(log_store_boot(b.store), 51, 53, 3);
	box_done(&b);
}

Test(log_store, drop_all_replaces_a_longer_log_by_a_shorter_one)
{
	struct box b;

	box_open(&b);
	append(&b, 1, 400, 2);
	set_base(&b, 300, 2, "three hundred", false);
	set_base(&b, 40, 3, "forty", true); /* another lineage, behind our old base */
	append(&b, 41, 60, 3);
	wait_for(&b, b.number);
	reopen(&b);
	cr_assert_eq(log_store_boot(b.store)->base_index, 40);
	cr_assert_eq(log_store_boot(b.store)->n_entries, 20);
	cr_assert_eq(memcmp(log_store_boot(b.store)->snapshot, "forty", 5), 0);
	check_entries(log_store_boot(b.store), 41, 60, 3);
	box_done(&b);
}

Test(log_store, a_snapshot_of_many_chunks_comes_back_whole)
{
	struct box b;
	size_t len = 5 * 1024 * 1024 + 17;
	uint8_t *state = malloc(len);

	box_open(&b);
	for (size_t i = 0; i < len; i++)
		state[i] = (uint8_t)(i * 2654435761u >> 13);
	for (uint64_t base = 1; base <= 3; base++)
		write_it(&b, (struct rl_write){.set_base = true,
					       .drop_all = true,
					       .base_index = base,
					       .base_epoch = epoch(5),
					       .snapshot = state,
					       .snapshot_len = len - base});
	wait_for(&b, b.number);
	reopen(&b);
	cr_assert_eq(log_store_boot(b.store)->snapshot_len, len - 3);
	cr_assert_eq(memcmp(log_store_boot(b.store)->snapshot, state, len - 3), 0);
	free(state);
	box_done(&b);
}

Test(log_store, the_incarnation_rises_with_each_start_whichever_copy_is_lost)
{
	struct box b;
	uint64_t first, second, third;
	char path[256];

	box_open(&b);
	first = log_store_incarnation(b.store);
	reopen(&b);
	second = log_store_incarnation(b.store);
	cr_assert_gt(second, first);
	log_store_close(b.store);
	b.store = NULL;
	snprintf(path, sizeof(path), "%s/incarnation", b.dir);
	cr_assert_eq(unlink(path), 0);
	reopen(&b);
	third = log_store_incarnation(b.store);
	cr_assert_gt(third, second);
	log_store_close(b.store);
	b.store = NULL;
	snprintf(path, sizeof(path), "%s/log.db", b.dir);
	cr_assert_eq(unlink(path), 0);
	reopen(&b);
	cr_assert_gt(log_store_incarnation(b.store), third);
	cr_assert(log_store_boot(b.store)->damaged, "a log that vanished is not a new log");
	box_done(&b);
}

Test(log_store, only_one_process_has_it)
{
	struct box b;
	struct log_store *second = NULL;
	char *text = NULL;

	box_open(&b);
	cr_assert_eq(log_store_open(b.dir, b.loop, &ops, &b, &second, &text), HV_BUSY);
	cr_assert(strstr(text, b.dir), "%s", text);
	free(text);
	box_done(&b);
}

Test(log_store, nobody_else_may_read_it)
{
	struct box b;
	struct dirent *e;
	struct stat st;
	DIR *d;

	umask(0);
	box_open(&b);
	append(&b, 1, 3, 1);
	wait_for(&b, b.number);
	cr_assert_eq(stat(b.dir, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0700);
	d = opendir(b.dir);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		cr_assert_eq(fstatat(dirfd(d), e->d_name, &st, 0), 0);
		cr_assert_eq(st.st_mode & 0777, 0600, "%s is %o", e->d_name, st.st_mode & 0777);
	}
	closedir(d);
	box_done(&b);
}

Test(log_store, a_directory_that_cannot_be_made_is_explained)
{
	struct box b = {.dir = "/proc/no/such/place"};
	char *text = NULL;

	cr_assert_eq(try_open(&b, &text), HV_IO);
	cr_assert(strstr(text, "/proc/no/such/place"), "%s", text);
	free(text);
	qb_loop_destroy(b.loop);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

Test(log_store, ten_thousand_entries_are_read_at_boot_within_two_seconds)
{
	struct box b;
	uint64_t began;

	box_open(&b);
	append(&b, 1, 10000, 3);
	wait_for(&b, b.number);
	began = now_us();
	reopen(&b);
	cr_assert_eq(log_store_boot(b.store)->n_entries, 10000);
	cr_assert_lt(now_us() - began, 2000000);
	check_entries(log_store_boot(b.store), 1, 10000, 3);
	box_done(&b);
}

/* On the closed store; the first column of the first row, or 0. */
static int64_t sql(struct box *b, const char *statement)
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

Test(log_store, compaction_deletes_what_the_snapshot_replaces)
{
	struct box b;
	uint64_t index = 0;

	box_open(&b);
	for (int round = 0; round < 3; round++) {
		append(&b, index + 1, index + 2000, 3);
		index += 2000;
		set_base(&b, index - 10, 3, "state", false);
		wait_for(&b, b.number);
	}
	cr_assert_eq(sql(&b, "SELECT count(*) FROM entries"), 10);
	cr_assert_eq(sql(&b, "SELECT count(*) FROM snapshot_chunk"), 1);
	reopen(&b);
	check_entries(log_store_boot(b.store), index - 9, index, 3);
	box_done(&b);
}

Test(log_store, the_write_ahead_log_stays_small)
{
	struct box b;
	char path[256];
	struct stat st;

	box_open(&b);
	snprintf(path, sizeof(path), "%s/log.db-wal", b.dir);
	for (uint64_t i = 1; i <= 3000; i += 2) {
		append(&b, i, i + 1, 3);
		wait_for(&b, b.number);
	}
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_lt(st.st_size, 6 << 20, "%ld bytes", (long)st.st_size);
	box_done(&b);
}

/* ------------------------------------------------------------- damage */

static void copy_dir(const char *from, const char *to)
{
	struct dirent *e;
	DIR *d = opendir(from);

	cr_assert_eq(mkdir(to, 0700), 0);
	while ((e = readdir(d))) {
		char src[512], dst[512], buf[65536];
		int in, out;
		ssize_t n;

		if (e->d_name[0] == '.')
			continue;
		snprintf(src, sizeof(src), "%s/%s", from, e->d_name);
		snprintf(dst, sizeof(dst), "%s/%s", to, e->d_name);
		in = open(src, O_RDONLY);
		out = open(dst, O_WRONLY | O_CREAT, 0600);
		while ((n = read(in, buf, sizeof(buf))) > 0)
			cr_assert_eq(write(out, buf, (size_t)n), n);
		close(in);
		close(out);
	}
	closedir(d);
}

static void spoil(const char *dir, const char *name, unsigned *seed)
{
	char path[512];
	struct stat st;
	int fd, kind = rand_r(seed) % 4;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	cr_assert_eq(stat(path, &st), 0);
	fd = open(path, O_RDWR);
	if (kind == 0) {
		cr_assert_eq(ftruncate(fd, rand_r(seed) % st.st_size), 0);
	} else {
		off_t at = rand_r(seed) % st.st_size;
		uint8_t junk[512];
		size_t len = kind == 1 ? 1 : kind == 2 ? 16 : sizeof(junk);

		cr_assert_geq(pread(fd, junk, sizeof(junk), at), 0);
		for (size_t i = 0; i < len; i++)
			junk[i] = kind == 1 ? junk[i] ^ (uint8_t)(1 << rand_r(seed) % 8)
					    : (uint8_t)rand_r(seed);
		cr_assert_eq(pwrite(fd, junk, len, at), (ssize_t)len);
	}
	close(fd);
}

/* What a spoiled store may say: all that was acknowledged, or that it is damaged. Nothing between.
 */
static bool intact_or_damaged(const char *dir)
{
	struct box b = {0};
	const struct rl_boot *boot;
	char *text = NULL;
	enum hv_rc rc;
	bool damaged;

	snprintf(b.dir, sizeof(b.dir), "%s", dir);
	rc = try_open(&b, &text);
	cr_assert_eq(rc, HV_OK, "%s", text);
	boot = log_store_boot(b.store);
	damaged = boot->damaged;
	if (damaged) {
		cr_assert_not_null(log_store_damage(b.store));
		cr_assert_eq(boot->n_entries, 0);
		cr_assert_eq(boot->snapshot_len, 0);
		cr_assert_eq(boot->base_index, 0);
	} else {
		cr_assert_eq(boot->promised, 7);
		cr_assert_eq(boot->base_index, 20);
		cr_assert_eq(boot->n_entries, 60);
		cr_assert_eq(memcmp(boot->snapshot, "the state at twenty", 19), 0);
		check_entries(boot, 21, 60, 3);
		check_entries(boot, 61, 80, 6);
	}
	log_store_close(b.store);
	qb_loop_destroy(b.loop);
	remove_dir(dir);
	return damaged;
}

static void fill(struct box *b)
{
	append(b, 1, 70, 3);
	set_base(b, 20, 3, "the state at twenty", false);
	write_it(b, (struct rl_write){
			.truncate = true, .keep_index = 60, .set_promised = true, .promised = 7});
	append(b, 61, 80, 6);
	wait_for(b, b->number);
}

static void spoil_often(const char *what, bool open_while_copied, unsigned rounds)
{
	struct box b;
	unsigned seed = 1, damaged = 0;
	char copy[256];

	box_open(&b);
	fill(&b);
	if (!open_while_copied) {
		log_store_close(b.store);
		b.store = NULL;
	}
	for (unsigned i = 0; i < rounds; i++) {
		snprintf(copy, sizeof(copy), "%s-copy", b.dir);
		copy_dir(b.dir, copy);
		spoil(copy, what, &seed);
		damaged += intact_or_damaged(copy);
	}
	cr_assert_gt(damaged, rounds / 8, "only %u of %u were noticed", damaged, rounds);
	box_done(&b);
}

Test(log_store, a_spoiled_file_is_noticed_or_harmless)
{
	spoil_often("log.db", false, 150);
}

Test(log_store, a_spoiled_write_ahead_log_is_noticed_or_harmless)
{
	spoil_often("log.db-wal", true, 150);
}

Test(log_store, a_spoiled_mark_or_counter_is_no_reason_to_drop_a_good_log)
{
	static const char *const small[] = {"mark", "incarnation"};
	struct box b;
	unsigned seed = 5;
	char copy[256];

	box_open(&b);
	fill(&b);
	log_store_close(b.store);
	b.store = NULL;
	for (int i = 0; i < 40; i++) {
		snprintf(copy, sizeof(copy), "%s-copy", b.dir);
		copy_dir(b.dir, copy);
		spoil(copy, small[i % 2], &seed);
		cr_assert_not(intact_or_damaged(copy));
	}
	box_done(&b);
}

Test(log_store, wrong_rows_in_a_sound_file_are_noticed)
{
	static const char *const lies[] = {
	    "UPDATE state SET promised = promised - 1",
	    "UPDATE state SET last_index = last_index - 1",
	    "UPDATE state SET crc = crc + 1",
	    "DELETE FROM state",
	    "UPDATE entries SET data = x'00' WHERE idx = 65",
	    "UPDATE entries SET fenced_node = 9 WHERE idx = 70",
	    "UPDATE entries SET crc = crc + 1 WHERE idx = 33",
	    "UPDATE entries SET type = 7 WHERE idx = 33",
	    "DELETE FROM entries WHERE idx = 80",
	    "DELETE FROM entries WHERE idx = 50",
	    "UPDATE snapshot_chunk SET data = zeroblob(length(data))",
	    "DELETE FROM snapshot_chunk",
	    "DROP TABLE snapshot_chunk",
	    "PRAGMA user_version = 0",
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct box b;

		box_open(&b);
		fill(&b);
		sql(&b, lies[i]);
		reopen(&b);
		cr_assert(log_store_boot(b.store)->damaged, "%s", lies[i]);
		cr_assert_eq(log_store_boot(b.store)->n_entries, 0);
		box_done(&b);
	}
}

Test(log_store, a_newer_format_is_refused_and_left_alone)
{
	struct box b;
	char *text = NULL;

	box_open(&b);
	fill(&b);
	sql(&b, "PRAGMA user_version = 2");
	cr_assert_eq(try_open(&b, &text), HV_REFUSED);
	cr_assert(strstr(text, "newer version"), "%s", text);
	free(text);
	sql(&b, "PRAGMA user_version = 1");
	reopen(&b);
	cr_assert_eq(log_store_boot(b.store)->n_entries, 60);
	box_done(&b);
}

static void overwrite(struct box *b, const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

Test(log_store, damage_is_remembered_until_the_peers_filled_it)
{
	struct box b;
	uint64_t before;

	box_open(&b);
	fill(&b);
	before = log_store_incarnation(b.store);
	log_store_close(b.store);
	b.store = NULL;
	overwrite(&b, "log.db", "this is not a log, not at all");
	reopen(&b);
	cr_assert(log_store_boot(b.store)->damaged);
	cr_assert(strstr(log_store_damage(b.store), "log.db.damaged-1"), "%s",
		  log_store_damage(b.store));
	cr_assert_gt(log_store_incarnation(b.store), before);
	reopen(&b);
	cr_assert(log_store_boot(b.store)->damaged, "a restart heals nothing");
	set_base(&b, 90, 8, "from a peer", true);
	wait_for(&b, b.number);
	reopen(&b);
	cr_assert_not(log_store_boot(b.store)->damaged);
	cr_assert_null(log_store_damage(b.store));
	cr_assert_eq(log_store_boot(b.store)->base_index, 90);
	box_done(&b);
}

Test(log_store, only_three_damaged_logs_are_kept)
{
	struct box b;
	char path[256];
	struct stat st;

	box_open(&b);
	for (int i = 1; i <= 5; i++) {
		log_store_close(b.store);
		b.store = NULL;
		overwrite(&b, "log.db", "junk junk junk junk");
		reopen(&b);
	}
	for (int i = 1; i <= 5; i++) {
		snprintf(path, sizeof(path), "%s/log.db.damaged-%d", b.dir, i);
		cr_assert_eq(stat(path, &st) == 0, i >= 3, "%s", path);
	}
	box_done(&b);
}

Test(log_store, an_older_copy_of_the_log_is_noticed)
{
	struct box b;
	char old[256], path[256], src[512];

	box_open(&b);
	append(&b, 1, 5, 3);
	wait_for(&b, b.number);
	log_store_close(b.store);
	b.store = NULL;
	snprintf(old, sizeof(old), "%s-old", b.dir);
	copy_dir(b.dir, old);
	reopen(&b);
	append(&b, 6, 9, 3);
	wait_for(&b, b.number);
	log_store_close(b.store);
	b.store = NULL;
	snprintf(path, sizeof(path), "%s/log.db", b.dir);
	snprintf(src, sizeof(src), "%s/log.db", old);
	cr_assert_eq(rename(src, path), 0);
	remove_dir(old);
	reopen(&b);
	cr_assert(log_store_boot(b.store)->damaged);
	box_done(&b);
}

Test(log_store, a_full_disk_is_told_once_and_nothing_is_called_durable_after_it)
{
	struct box b;
	struct rlimit limit = {400 * 1024, RLIM_INFINITY};
	uint64_t acked;

	signal(SIGXFSZ, SIG_IGN); /* the limit then reads as EFBIG, a write error like any other */
	box_open(&b);
	append(&b, 1, 3, 3);
	wait_for(&b, b.number);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (uint64_t i = 4; i < 3000 && !b.failures; i += 50) {
		append(&b, i, i + 49, 3);
		wait_for(&b, b.number);
	}
	cr_assert_eq(b.failures, 1);
	cr_assert_eq(b.failed, HV_IO);
	cr_assert(strstr(b.failed_text, b.dir), "%s", b.failed_text);
	acked = b.durable;
	append(&b, 4001, 4010, 3);
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	reopen(&b);
	cr_assert_not(log_store_boot(b.store)->damaged, "%s", log_store_damage(b.store));
	cr_assert_geq(log_store_boot(b.store)->n_entries, acked);
	cr_assert_lt(log_store_boot(b.store)->n_entries, 3000);
	cr_assert_eq(b.failures, 1);
	box_done(&b);
}

Test(log_store, a_full_file_system_is_named_and_costs_nothing_that_was_acknowledged)
{
	struct box b;
	char parent[128];
	uint64_t acked;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		cr_skip_test("a file system of its own needs root");
	box_open(&b);
	log_store_close(b.store);
	b.store = NULL;
	remove_dir(b.dir);
	snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(b.dir, '/') - b.dir), b.dir);
	cr_assert_eq(mount("none", parent, "tmpfs", 0, "size=600k"), 0);
	reopen(&b);
	for (uint64_t i = 1; i < 20000 && !b.failures; i += 50) {
		append(&b, i, i + 49, 3);
		wait_for(&b, b.number);
	}
	cr_assert_eq(b.failures, 1);
	cr_assert(strstr(b.failed_text, "free space"), "%s", b.failed_text);
	acked = b.durable;
	cr_assert_gt(acked, 100);
	log_store_close(b.store);
	b.store = NULL;
	cr_assert_eq(mount("none", parent, "tmpfs", MS_REMOUNT, "size=8m"), 0);
	reopen(&b);
	cr_assert_not(log_store_boot(b.store)->damaged, "%s", log_store_damage(b.store));
	cr_assert_geq(log_store_boot(b.store)->n_entries, acked);
	log_store_close(b.store);
	b.store = NULL;
	umount(parent);
	box_done(&b);
}
