/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_crash - kill -9 in the middle of writing, again and again: what was acknowledged is there,
 * and each write is there whole or not at all.
 *
 * Write number k is a function of k and of the log before it, and sets the promise to k, so a
 * reopened store tells how far it came and must equal the model at exactly that point. A plain
 * program: processes and threads do not go well under a test framework.
 */
#include "quorum/log_store.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 25
#define MAX_LOG 20000
#define SNAPSHOT_MAX (3U << 20)

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);         \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* ------------------------------------------------------------- the model */

static struct model {
	uint64_t k; /* writes applied */
	uint64_t base, base_epoch, base_k;
	size_t snapshot_len;
	uint64_t last;
	uint64_t made_by[MAX_LOG]; /* made_by[i]: write that appended entry base + 1 + i */
} model;

static uint8_t snapshot[SNAPSHOT_MAX];

static uint64_t epoch_number(uint64_t k)
{
	return k / 100 + 1;
}

static struct rl_epoch epoch(uint64_t number)
{
	return (struct rl_epoch){number, (hv_node_id)(number % 3 + 1), number};
}

static uint64_t epoch_at(const struct model *m, uint64_t index)
{
	return index == m->base ? m->base_epoch : epoch_number(m->made_by[index - m->base - 1]);
}

static struct rl_entry entry_of(uint64_t index, uint64_t k, char buf[512])
{
	struct rl_entry e = {.epoch = epoch(epoch_number(k)), .index = index, .type = RL_COMMAND};

	e.len = 40 + (size_t)(index * 7 + k) % 460;
	memset(buf, (int)(index ^ k) & 0xff, 512);
	snprintf(buf, 40, "%" PRIu64 " by %" PRIu64, index, k);
	e.data = (uint8_t *)buf;
	return e;
}

static void model_append(struct model *m, size_t n, uint64_t k)
{
	for (size_t i = 0; i < n; i++) {
		CHECK(m->last - m->base < MAX_LOG);
		m->made_by[m->last++ - m->base] = k;
	}
}

static void model_rebase(struct model *m, uint64_t base, bool drop_all, uint64_t k)
{
	uint64_t number = drop_all ? epoch_number(k) : epoch_at(m, base);

	if (drop_all)
		m->last = base;
	else
		memmove(m->made_by, m->made_by + (base - m->base),
			(m->last - base) * sizeof(*m->made_by));
	m->base = base;
	m->base_epoch = number;
	m->base_k = k;
	m->snapshot_len = k % 40 == 8 ? SNAPSHOT_MAX : 1000 + k % 5000;
}

/* Makes write model.k + 1 and applies it to the model. */
static struct rl_write next_write(struct rl_entry entries[3], char bufs[3][512])
{
	struct model *m = &model;
	uint64_t k = ++m->k, room = m->last - m->base;
	struct rl_write w = {.number = k, .set_promised = true, .promised = k};

	if (k % 10 == 7) {
		w.truncate = true;
		w.keep_index = m->last = m->last - (k % 4 < room ? k % 4 : room);
	} else if (k % 10 == 8 || k % 50 == 49) {
		w.set_base = true;
		w.drop_all = k % 50 == 49;
		w.base_index = w.drop_all ? k * 2 : m->last - (k % 7 < room ? k % 7 : room);
		model_rebase(m, w.base_index, w.drop_all, k);
		w.base_epoch = w.base_effective = epoch(m->base_epoch);
		w.snapshot = snapshot;
		w.snapshot_len = m->snapshot_len;
		memset(snapshot, (int)(k & 0xff), m->snapshot_len);
	}
	w.n_entries = k % 10 == 8 ? 0 : 1 + k % 3;
	w.entries = entries;
	for (size_t i = 0; i < w.n_entries; i++)
		entries[i] = entry_of(m->last + 1 + i, k, bufs[i]);
	model_append(m, w.n_entries, k);
	return w;
}

static void compare(const struct rl_boot *b)
{
	CHECK(!b->damaged);
	CHECK(b->promised == model.k);
	CHECK(b->base_index == model.base && b->base_epoch.number == model.base_epoch);
	CHECK(b->snapshot_len == model.snapshot_len);
	for (size_t i = 0; i < b->snapshot_len; i++)
		CHECK(b->snapshot[i] == (uint8_t)model.base_k);
	CHECK(b->n_entries == model.last - model.base);
	for (size_t i = 0; i < b->n_entries; i++) {
		char buf[512];
		struct rl_entry want = entry_of(model.base + 1 + i, model.made_by[i], buf);
		const struct rl_entry *e = &b->entries[i];

		CHECK(e->index == want.index && e->epoch.number == want.epoch.number);
		CHECK(e->len == want.len && memcmp(e->data, want.data, e->len) == 0);
	}
}

/* ------------------------------------------------------------- the writer, which will be killed */

static struct {
	qb_loop_t *loop;
	struct log_store *store;
	int report_fd;
	uint64_t durable;
} w;

static void feed(void *data)
{
	struct rl_entry entries[3];
	char bufs[3][512];
	qb_loop_timer_handle t;

	for (int i = 0; i < 20 && model.k < w.durable + 200; i++) {
		struct rl_write one = next_write(entries, bufs);

		log_store_write(w.store, &one);
	}
	qb_loop_timer_add(w.loop, QB_LOOP_MED, 200000, NULL, feed, &t);
}

static void on_durable(void *user, uint64_t number)
{
	w.durable = number;
	if (w.report_fd >= 0 && write(w.report_fd, &number, sizeof(number)) < 0)
		_exit(3);
}

static void on_failed(void *user, enum hv_rc rc, const char *text)
{
	fprintf(stderr, "the store failed: %s\n", text);
	_exit(4);
}

static void open_store(const char *dir)
{
	static const struct log_store_ops ops = {on_durable, on_failed};
	char *text = NULL;

	w.loop = qb_loop_create();
	if (log_store_open(dir, w.loop, &ops, NULL, &w.store, &text) != HV_OK) {
		fprintf(stderr, "cannot open: %s\n", text);
		exit(1);
	}
}

static void writer(const char *dir, int fd)
{
	w.report_fd = fd;
	w.durable = model.k;
	open_store(dir);
	log_store_boot_done(w.store);
	feed(NULL);
	qb_loop_run(w.loop);
	_exit(5);
}

/* Returns the last number that was acknowledged before the kill. */
static uint64_t kill_a_writer(const char *dir, unsigned int us)
{
	uint64_t number, acked = model.k;
	int pipe_fd[2], status;
	pid_t pid;

	CHECK(pipe(pipe_fd) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(pipe_fd[0]);
		writer(dir, pipe_fd[1]);
	}
	close(pipe_fd[1]);
	CHECK(read(pipe_fd[0], &number, sizeof(number)) ==
	      (ssize_t)sizeof(number)); /* it works by now */
	usleep(us);
	kill(pid, SIGKILL);
	do {
		CHECK(number > acked);
		acked = number;
	} while (read(pipe_fd[0], &number, sizeof(number)) == (ssize_t)sizeof(number));
	close(pipe_fd[0]);
	waitpid(pid, &status, 0);
	CHECK(WIFSIGNALED(status));
	return acked;
}

static void advance_model(uint64_t k)
{
	struct rl_entry entries[3];
	char bufs[3][512];

	while (model.k < k)
		next_write(entries, bufs);
}

static void remove_dir(const char *dir)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	while ((e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	rmdir(dir);
}

int main(void)
{
	char dir[] = "/tmp/hv-crash-XXXXXX";
	uint64_t acked, incarnation = 0, lost = 0;
	unsigned int seed = 7;

	CHECK(mkdtemp(dir));
	for (int round = 0; round < ROUNDS; round++) {
		acked = kill_a_writer(dir, (unsigned int)rand_r(&seed) % 60000);
		open_store(dir);
		CHECK(log_store_boot(w.store)->promised >= acked);
		CHECK(log_store_incarnation(w.store) > incarnation);
		incarnation = log_store_incarnation(w.store);
		advance_model(log_store_boot(w.store)->promised);
		compare(log_store_boot(w.store));
		lost += model.k - acked;
		log_store_close(w.store);
		qb_loop_destroy(w.loop);
	}
	remove_dir(dir);
	printf("%d kills, %" PRIu64 " writes, all acknowledged ones there; %" PRIu64
	       " more were durable and not yet told\n",
	       ROUNDS, model.k, lost);
	return 0;
}
