/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is written comes back: each kind of write, sizes, rights, times. Damage:
 * test_log_store_damage.c. */
#include "tests/unit/store_box.h"

#include <sys/stat.h>
#include <time.h>

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
	cr_assert_eq(log_store_open(b.dir, b.loop, &box_ops, &b, &second, &text), HV_BUSY);
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
