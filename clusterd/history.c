/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/history.h"

#include "clusterd/logging.h"
#include "proto/log.pb-c.h"
#include "proto/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (1U << 20)
#define FILES 8 /* so many make up the bound, when states are small */

/* Frames that are written together. */
struct job {
	struct job *next;
	bool new_file;
	size_t len;
	uint8_t data[];
};

struct history {
	char *dir;
	uint64_t max_bytes;
	hv_node_id node;
	uint64_t incarnation;
	const char *version;
	uint64_t file_bytes; /* of the present file, as given to the writer */
	bool gap;	     /* nothing is taken until a state comes */
	pthread_t writer;

	pthread_mutex_t lock; /* below */
	pthread_cond_t work;
	struct job *head, **tail;
	size_t queued;
	bool stop, broken;
	int error; /* errno of the first failure, not told yet */

	int fd; /* the writer's */
	uint64_t number;
};

/* ---- the writer thread */

static uint64_t file_number(const char *name)
{
	uint64_t n = 0;
	int end = 0;

	if (sscanf(name, "%8" SCNu64 ".history%n", &n, &end) != 1 || !end || name[end])
		return 0;
	return n;
}

static char *file_path(const struct history *h, uint64_t number)
{
	return hv_xasprintf("%s/%08" PRIu64 ".history", h->dir, number);
}

/* Lowest and highest number in the folder, and what all files hold. */
static void look(const struct history *h, uint64_t *ret_low, uint64_t *ret_high,
		 uint64_t *ret_bytes)
{
	DIR *dir = opendir(h->dir);
	struct dirent *e;
	struct stat st;

	*ret_low = *ret_high = *ret_bytes = 0;
	while (dir && (e = readdir(dir))) {
		uint64_t n = file_number(e->d_name);

		if (!n || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		*ret_bytes += (uint64_t)st.st_size;
		if (!*ret_low || n < *ret_low)
			*ret_low = n;
		if (n > *ret_high)
			*ret_high = n;
	}
	if (dir)
		closedir(dir);
}

static void delete_oldest(const struct history *h)
{
	uint64_t low, high, bytes;

	for (look(h, &low, &high, &bytes); bytes > h->max_bytes && low + 1 < high;
	     look(h, &low, &high, &bytes)) {
		_cleanup_free_ char *path = file_path(h, low);

		if (unlink(path) < 0)
			return;
	}
}

static int next_file(struct history *h)
{
	_cleanup_free_ char *path = NULL;
	uint64_t low, high, bytes;

	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	if (mkdir(h->dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	look(h, &low, &high, &bytes);
	h->number = high + 1;
	path = file_path(h, h->number);
	h->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (h->fd < 0)
		return -errno;
	delete_oldest(h);
	return 0;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int carry_out(struct history *h, const struct job *j)
{
	int err = j->new_file || h->fd < 0 ? next_file(h) : 0;

	return err ? err : write_all(h->fd, j->data, j->len);
}

static void *writer_main(void *arg)
{
	struct history *h = arg;

	for (;;) {
		struct job *j;
		int err;

		pthread_mutex_lock(&h->lock);
		while (!h->head && !h->stop)
			pthread_cond_wait(&h->work, &h->lock);
		j = h->head;
		if (j)
			h->head = j->next;
		if (!h->head)
			h->tail = &h->head;
		pthread_mutex_unlock(&h->lock);
		if (!j)
			return NULL;
		err = carry_out(h, j);
		pthread_mutex_lock(&h->lock);
		h->queued -= j->len;
		if (err && !h->broken) {
			h->broken = true;
			h->error = -err;
		}
		pthread_mutex_unlock(&h->lock);
		free(j);
	}
}

/* ---- the main loop's side */

struct history *history_new(const char *dir, uint64_t max_bytes, hv_node_id node,
			    uint64_t incarnation, const char *version)
{
	struct history *h;
	sigset_t all, old;
	int err;

	if (!max_bytes)
		return NULL;
	h = hv_xcalloc(1, sizeof(*h));
	h->dir = hv_xstrdup(dir);
	h->max_bytes = max_bytes;
	h->node = node;
	h->incarnation = incarnation;
	h->version = version;
	h->fd = -1;
	h->tail = &h->head;
	h->gap = true;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->work, NULL);
	sigfillset(&all); /* signals are the main loop's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&h->writer, NULL, writer_main, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	hv_assert(!err);
	return h;
}

void history_free(struct history *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_signal(&h->work);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->writer, NULL);
	if (h->fd >= 0)
		close(h->fd);
	pthread_cond_destroy(&h->work);
	pthread_mutex_destroy(&h->lock);
	free(h->dir);
	free(h);
}

/* What went wrong since, told once. False: nothing more is written. */
static bool healthy(struct history *h)
{
	bool broken;
	int error;

	pthread_mutex_lock(&h->lock);
	error = h->error;
	h->error = 0;
	broken = h->broken;
	pthread_mutex_unlock(&h->lock);
	if (error)
		log_warning(
		    "history: cannot write in %s: %s; it ends here until clusterd is restarted",
		    h->dir, strerror(error));
	return !broken;
}

/* Takes `j`. */
static void put(struct history *h, struct job *j)
{
	uint64_t bytes = j->len; /* what is queued is the writer's, and may be gone */
	bool new_file = j->new_file, room;

	if (!healthy(h)) {
		free(j);
		return;
	}
	pthread_mutex_lock(&h->lock);
	room = h->queued + bytes <= HISTORY_QUEUE_MAX || !h->head;
	if (room) {
		*h->tail = j;
		h->tail = &j->next;
		h->queued += bytes;
	}
	pthread_cond_signal(&h->work);
	pthread_mutex_unlock(&h->lock);
	if (room) {
		h->file_bytes = new_file ? bytes : h->file_bytes + bytes;
		return;
	}
	if (!h->gap)
		log_warning("history: the disk of %s does not keep up: there will be a gap",
			    h->dir);
	h->gap = true;
	free(j);
}

/* Adds a frame to the job, which may move. */
static struct job *add(struct job *j, const Hv__HistoryRecord *r)
{
	size_t len = hv__history_record__get_packed_size(r);
	uint8_t *at;

	j = hv_xrealloc(j, sizeof(*j) + j->len + WIRE_HEADER_LEN + len, 1);
	at = j->data + j->len;
	hv__history_record__pack(r, at + WIRE_HEADER_LEN);
	wire_header_put(at, at + WIRE_HEADER_LEN, len);
	j->len += WIRE_HEADER_LEN + len;
	return j;
}

static void put_state(struct history *h, Hv__HistoryStart *start, const uint8_t *snapshot)
{
	Hv__HistoryRecord r = HV__HISTORY_RECORD__INIT;
	struct job *j = hv_xcalloc(1, sizeof(*j));

	j->new_file = true;
	start->version = 1;
	start->node = h->node;
	start->incarnation = h->incarnation;
	start->daemon = (char *)h->version;
	r.body_case = HV__HISTORY_RECORD__BODY_START;
	r.start = start;
	j = add(j, &r);
	for (size_t at = 0; at < start->state_len; at += PIECE) {
		Hv__HistoryState state = HV__HISTORY_STATE__INIT;

		state.piece.data = (uint8_t *)snapshot + at;
		state.piece.len = start->state_len - at < PIECE ? start->state_len - at : PIECE;
		r.body_case = HV__HISTORY_RECORD__BODY_STATE;
		r.state = &state;
		j = add(j, &r);
	}
	h->gap = false;
	put(h, j);
}

void history_state(struct history *h, bool boot, uint64_t wall_ms, uint64_t index, uint64_t digest,
		   const uint8_t *snapshot, size_t len)
{
	Hv__HistoryStart start = HV__HISTORY_START__INIT;

	if (!h)
		return;
	start.reason =
	    boot ? HV__HISTORY_REASON__HISTORY_BOOT : HV__HISTORY_REASON__HISTORY_INSTALL;
	start.wall_ms = wall_ms;
	start.index = index;
	start.digest = digest;
	start.state_len = len;
	put_state(h, &start, snapshot);
}

void history_goes_on(struct history *h, uint64_t wall_ms, uint64_t index, uint64_t digest,
		     const uint8_t *snapshot, size_t len)
{
	Hv__HistoryStart start = HV__HISTORY_START__INIT;

	if (!h || (!h->gap && h->file_bytes < h->max_bytes / FILES))
		return;
	start.reason = HV__HISTORY_REASON__HISTORY_GOES_ON;
	start.wall_ms = wall_ms;
	start.index = index;
	start.digest = digest;
	start.state_len = len;
	put_state(h, &start, snapshot);
}

void history_entry(struct history *h, const struct rl_entry *entry, uint64_t digest)
{
	Hv__HistoryRecord r = HV__HISTORY_RECORD__INIT;
	Hv__HistoryEntry e = HV__HISTORY_ENTRY__INIT;
	Hv__LogEntry log = HV__LOG_ENTRY__INIT;
	Hv__EpochId epoch = HV__EPOCH_ID__INIT;

	if (!h || h->gap)
		return;
	epoch.number = entry->epoch.number;
	epoch.node = entry->epoch.node;
	epoch.incarnation = entry->epoch.incarnation;
	log.epoch = &epoch;
	log.index = entry->index;
	log.type = entry->type;
	log.fenced_node = entry->fenced_node;
	log.data.len = entry->len;
	log.data.data = (uint8_t *)entry->data;
	e.entry = &log;
	e.digest = digest;
	r.body_case = HV__HISTORY_RECORD__BODY_ENTRY;
	r.entry = &e;
	put(h, add(hv_xcalloc(1, sizeof(struct job)), &r));
}
