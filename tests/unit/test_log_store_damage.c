/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is not whole is noticed: spoiled files, wrong rows, older copies, full disks. */
#include "tests/unit/store_box.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

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

Test(log_store_damage, a_spoiled_file_is_noticed_or_harmless)
{
	spoil_often("log.db", false, 150);
}

Test(log_store_damage, a_spoiled_write_ahead_log_is_noticed_or_harmless)
{
	spoil_often("log.db-wal", true, 150);
}

Test(log_store_damage, a_spoiled_mark_or_counter_is_no_reason_to_drop_a_good_log)
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

Test(log_store_damage, wrong_rows_in_a_sound_file_are_noticed)
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

Test(log_store_damage, a_newer_format_is_refused_and_left_alone)
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

Test(log_store_damage, damage_is_remembered_until_the_peers_filled_it)
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

Test(log_store_damage, only_three_damaged_logs_are_kept)
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

Test(log_store_damage, an_older_copy_of_the_log_is_noticed)
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

Test(log_store_damage, a_full_disk_is_told_once_and_nothing_is_called_durable_after_it)
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

Test(log_store_damage, a_full_file_system_is_named_and_costs_nothing_that_was_acknowledged)
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
