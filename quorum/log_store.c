/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/log_store.h"

#include "quorum/log_store_db.h"
#include "quorum/log_store_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Pages (4 KiB) of write-ahead log that are moved home when idle, and under constant load. */
#define CHECKPOINT_IDLE 1000
#define CHECKPOINT_BUSY 8000

/* A queued write with all it points to, in one block. */
struct job {
	struct job *next;
	struct rl_write w;
};

struct log_store {
	struct store_files files;
	struct store_db *db; /* the writer's, once it runs */
	struct rl_boot boot;
	char *damage;
	uint64_t incarnation;
	qb_loop_t *loop;
	struct log_store_ops ops;
	void *user;
	int event_fd;
	pthread_t writer;
	bool writer_runs;

	pthread_mutex_t lock; /* below */
	pthread_cond_t work;
	struct job *head, **tail;
	bool stop;
	uint64_t durable;  /* highest committed write number */
	enum hv_rc failed; /* HV_OK while all is well */
	char *failed_text;

	uint64_t told;	  /* main loop: last number given to ops.durable */
	bool told_failed; /* main loop */
};

/* ------------------------------------------------------------- the writer thread */

static void free_jobs(struct job *j)
{
	while (j) {
		struct job *next = j->next;

		free(j);
		j = next;
	}
}

static enum hv_rc commit_group(struct log_store *s, const struct job *jobs, char **ret_text)
{
	enum hv_rc rc = store_db_begin(s->db, ret_text);
	int err;

	if (rc != HV_OK)
		return rc;
	for (const struct job *j = jobs; rc == HV_OK && j; j = j->next)
		rc = store_db_apply(s->db, &j->w, ret_text);
	if (rc == HV_OK)
		rc = store_db_commit(s->db, ret_text);
	else
		store_db_rollback(s->db);
	if (rc != HV_OK)
		return rc;
	err = store_files_set_mark(&s->files, store_db_state(s->db).commit_no);
	if (err) {
		*ret_text = hv_xasprintf("cannot write %s/mark: %s", s->files.dir, strerror(-err));
		return HV_IO;
	}
	return HV_OK;
}

static void report(struct log_store *s, uint64_t durable, enum hv_rc rc, char *text)
{
	static const uint64_t one = 1;

	pthread_mutex_lock(&s->lock);
	if (durable > s->durable)
		s->durable = durable;
	if (rc != HV_OK) {
		s->failed = rc;
		s->failed_text = text;
	}
	pthread_mutex_unlock(&s->lock);
	if (write(s->event_fd, &one, sizeof(one)) < 0)
		hv_assert(errno == EAGAIN); /* the counter is full: the loop is awake anyway */
}

/* Between two groups, when nobody waits: tidy up. One bounded step; false if there was none to do.
 */
static bool tidy(struct log_store *s, bool idle, enum hv_rc *ret_rc, char **ret_text)
{
	int pages = store_db_wal_pages(s->db);

	if (pages >= (idle ? CHECKPOINT_IDLE : CHECKPOINT_BUSY))
		*ret_rc = store_db_checkpoint(s->db, ret_text);
	else if (idle && store_db_has_garbage(s->db))
		*ret_rc = commit_group(s, NULL, ret_text);
	else
		return false;
	return true;
}

/* The queue, or NULL: nothing to do now (or, with `wait`, the end). */
static struct job *take_jobs(struct log_store *s, bool wait)
{
	struct job *j;

	pthread_mutex_lock(&s->lock);
	while (wait && !s->head && !s->stop)
		pthread_cond_wait(&s->work, &s->lock);
	j = s->head;
	s->head = NULL;
	s->tail = &s->head;
	pthread_mutex_unlock(&s->lock);
	return j;
}

static enum hv_rc write_jobs(struct log_store *s, struct job *jobs, char **ret_text)
{
	uint64_t last = 0;
	enum hv_rc rc = commit_group(s, jobs, ret_text);

	for (struct job *j = jobs; j; j = j->next)
		last = j->w.number;
	free_jobs(jobs);
	if (rc == HV_OK)
		report(s, last, HV_OK, NULL);
	return rc;
}

static void *writer_main(void *arg)
{
	struct log_store *s = arg;
	enum hv_rc rc = HV_OK;
	char *text = NULL;
	bool more = true;

	while (rc == HV_OK) {
		struct job *jobs = take_jobs(s, !more);

		if (jobs)
			rc = write_jobs(s, jobs, &text);
		else if (!more)
			return NULL; /* stop, and the queue is empty */
		if (rc == HV_OK)
			more = tidy(s, !jobs, &rc, &text) || jobs;
	}
	report(s, 0, rc, text);
	/* What comes now is refused: dropped here, so that memory stays bounded. */
	for (struct job *jobs; (jobs = take_jobs(s, true));)
		free_jobs(jobs);
	return NULL;
}

static bool start_writer(struct log_store *s, char **ret_text)
{
	sigset_t all, old;
	int err;

	sigfillset(&all); /* signals are the main loop's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&s->writer, NULL, writer_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		*ret_text = hv_xasprintf("cannot start the log's writer thread: %s", strerror(err));
	s->writer_runs = !err;
	return !err;
}

/* ------------------------------------------------------------- the main loop's side */

static int32_t on_event(int32_t fd, int32_t revents, void *data)
{
	struct log_store *s = data;
	uint64_t count, durable;
	enum hv_rc failed;

	if (read(fd, &count, sizeof(count)) < 0)
		return 0;
	pthread_mutex_lock(&s->lock);
	durable = s->durable;
	failed = s->failed;
	pthread_mutex_unlock(&s->lock);
	if (durable > s->told) {
		s->told = durable;
		s->ops.durable(s->user, durable);
	}
	if (failed != HV_OK && !s->told_failed) {
		s->told_failed = true;
		s->ops.failed(s->user, failed, s->failed_text);
	}
	return 0;
}

static struct job *copy_write(const struct rl_write *w)
{
	size_t size = sizeof(struct job) + w->n_entries * sizeof(struct rl_entry);
	struct rl_entry *entries;
	struct job *j;
	uint8_t *at;

	for (size_t i = 0; i < w->n_entries; i++)
		size += w->entries[i].len;
	j = hv_xcalloc(1, size + (w->set_base ? w->snapshot_len : 0));
	j->w = *w;
	entries = (struct rl_entry *)(j + 1);
	at = (uint8_t *)(entries + w->n_entries);
	j->w.entries = entries;
	for (size_t i = 0; i < w->n_entries; i++) {
		entries[i] = w->entries[i];
		entries[i].data = at;
		if (entries[i].len)
			memcpy(at, w->entries[i].data, entries[i].len);
		at += entries[i].len;
	}
	j->w.snapshot = at;
	if (w->set_base && w->snapshot_len)
		memcpy(at, w->snapshot, w->snapshot_len);
	return j;
}

void log_store_write(struct log_store *s, const struct rl_write *w)
{
	struct job *j = copy_write(w);

	pthread_mutex_lock(&s->lock);
	*s->tail = j;
	s->tail = &j->next;
	pthread_mutex_unlock(&s->lock);
	pthread_cond_signal(&s->work);
}

void log_store_close(struct log_store *s)
{
	if (!s)
		return;
	if (s->writer_runs) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->work);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->writer, NULL);
	}
	if (s->event_fd >= 0) {
		qb_loop_poll_del(s->loop, s->event_fd);
		close(s->event_fd);
	}
	free_jobs(s->head);
	store_db_close(s->db);
	store_files_close(&s->files);
	store_boot_clear(&s->boot);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->lock);
	free(s->failed_text);
	free(s->damage);
	free(s);
}

/* ------------------------------------------------------------- opening */

/* SQLite would make the file with the process's umask: make it ourselves, 0600. */
static enum hv_rc make_file(struct log_store *s, char **ret_text)
{
	int fd = open(s->files.db_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || fchmod(fd, 0600) < 0) {
		*ret_text = hv_xasprintf("cannot open %s: %s", s->files.db_path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return HV_IO;
	}
	close(fd);
	return HV_OK;
}

static uint64_t wall_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec > 0 ? (uint64_t)ts.tv_sec : 1;
}

/* Everything is proven, or HV_CORRUPT, or HV_NOT_FOUND for a log that never was. */
static enum hv_rc open_and_prove(struct log_store *s, char **ret_text)
{
	enum hv_rc rc = make_file(s, ret_text);
	uint64_t commit;

	if (rc == HV_OK)
		rc = store_db_open(s->files.db_path, &s->db, ret_text);
	if (rc == HV_OK)
		rc = store_db_load(s->db, &s->boot, ret_text);
	if (rc == HV_NOT_FOUND && store_files_known(&s->files)) {
		*ret_text = hv_xasprintf("the log is empty, although this node has run before");
		return HV_CORRUPT;
	}
	if (rc != HV_OK)
		return rc;
	commit = store_db_state(s->db).commit_no;
	if (commit < s->files.mark) {
		*ret_text = hv_xasprintf("the last %" PRIu64 " transactions of the log are lost",
					 s->files.mark - commit);
		return HV_CORRUPT;
	}
	return HV_OK;
}

static enum hv_rc start_afresh(struct log_store *s, bool damaged, char **ret_text)
{
	struct store_state state = {.damaged = damaged, .commit_no = s->files.mark};

	s->boot.damaged = damaged;
	return store_db_create(s->db, &state, ret_text);
}

/* `why` says what is wrong with the log. */
static enum hv_rc replace_damaged(struct log_store *s, char *why, char **ret_text)
{
	_cleanup_free_ char *reason = why, *aside = NULL;
	enum hv_rc rc;

	store_boot_clear(&s->boot);
	store_db_close(steal_ptr(s->db));
	rc = store_files_move_aside(&s->files, &aside, ret_text);
	if (rc != HV_OK)
		return rc;
	s->damage = hv_xasprintf("%s: moved aside to %s; everything is fetched from the peers",
				 reason, aside);
	rc = make_file(s, ret_text);
	if (rc == HV_OK)
		rc = store_db_open(s->files.db_path, &s->db, ret_text);
	return rc == HV_OK ? start_afresh(s, true, ret_text) : rc;
}

static enum hv_rc raise_incarnation(struct log_store *s, char **ret_text)
{
	uint64_t a = store_db_state(s->db).incarnation, b = s->files.incarnation;
	enum hv_rc rc;

	s->incarnation = a || b ? (a > b ? a : b) + 1 : wall_seconds();
	rc = store_db_begin(s->db, ret_text);
	if (rc != HV_OK)
		return rc;
	store_db_set_incarnation(s->db, s->incarnation);
	rc = store_db_commit(s->db, ret_text);
	if (rc == HV_OK)
		rc = store_files_set_incarnation(&s->files, s->incarnation, ret_text);
	if (rc == HV_OK && store_files_set_mark(&s->files, store_db_state(s->db).commit_no) < 0) {
		*ret_text = hv_xasprintf("cannot write %s/mark", s->files.dir);
		rc = HV_IO;
	}
	return rc;
}

static enum hv_rc open_log(struct log_store *s, const char *dir, char **ret_text)
{
	char *why = NULL;
	enum hv_rc rc = store_files_open(&s->files, dir, ret_text);

	if (rc != HV_OK)
		return rc;
	rc = open_and_prove(s, &why);
	if (rc == HV_NOT_FOUND)
		rc = start_afresh(s, false, ret_text);
	else if (rc == HV_CORRUPT)
		rc = replace_damaged(s, why, ret_text);
	else if (rc != HV_OK)
		*ret_text = why;
	if (rc == HV_OK && s->boot.damaged && !s->damage)
		s->damage = hv_xstrdup("the log was found damaged at an earlier start and has not "
				       "been filled by the peers since");
	return rc == HV_OK ? raise_incarnation(s, ret_text) : rc;
}

enum hv_rc log_store_open(const char *dir, qb_loop_t *loop, const struct log_store_ops *ops,
			  void *user, struct log_store **ret_store, char **ret_text)
{
	struct log_store *s = hv_xcalloc(1, sizeof(*s));
	enum hv_rc rc;

	*ret_text = NULL;
	s->files = (struct store_files){.dir_fd = -1, .lock_fd = -1, .mark_fd = -1};
	s->loop = loop;
	s->ops = *ops;
	s->user = user;
	s->tail = &s->head;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = open_log(s, dir, ret_text);
	if (rc == HV_OK && (s->event_fd < 0 || qb_loop_poll_add(loop, QB_LOOP_HIGH, s->event_fd,
								POLLIN, s, on_event) < 0)) {
		*ret_text = hv_xasprintf("cannot watch the log's writer");
		rc = HV_IO;
	}
	if (rc == HV_OK && !start_writer(s, ret_text))
		rc = HV_IO;
	if (rc == HV_OK)
		*ret_store = s;
	else
		log_store_close(s);
	return rc;
}

const struct rl_boot *log_store_boot(const struct log_store *s)
{
	return &s->boot;
}

void log_store_boot_done(struct log_store *s)
{
	store_boot_clear(&s->boot);
}

const char *log_store_damage(const struct log_store *s)
{
	return s->damage;
}

uint64_t log_store_incarnation(const struct log_store *s)
{
	return s->incarnation;
}
