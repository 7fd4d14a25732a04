/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading history files. */
#include "cli/history.h"

#include "proto/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 65536

struct reading {
	history_fn fn;
	void *user;
	const char *path;
	/* a beginning whose state is not whole yet */
	Hv__HistoryRecord *start;
	uint8_t *state;
	size_t state_len;
	bool begun, ended;
};

static void start_drop(struct reading *r)
{
	if (r->start)
		hv__history_record__free_unpacked(r->start, NULL);
	free(r->state);
	r->start = NULL;
	r->state = NULL;
	r->state_len = 0;
}

static void give_start(struct reading *r)
{
	struct history_item item = {.start = r->start->start, .state = r->state};

	if (r->state_len < r->start->start->state_len)
		return;
	r->begun = true;
	r->ended = !r->fn(r->user, &item);
	start_drop(r);
}

static enum hv_rc take_start(struct reading *r, Hv__HistoryRecord **record)
{
	if ((*record)->start->version != 1 || (*record)->start->state_len > HV_SNAPSHOT_MAX)
		return HV_REFUSED;
	start_drop(r);
	r->start = steal_ptr(*record);
	r->state = hv_xcalloc(1, r->start->start->state_len + 1);
	give_start(r);
	return HV_OK;
}

static enum hv_rc take_piece(struct reading *r, const Hv__HistoryState *m)
{
	if (!r->start || m->piece.len > r->start->start->state_len - r->state_len)
		return HV_CORRUPT;
	if (m->piece.len)
		memcpy(r->state + r->state_len, m->piece.data, m->piece.len);
	r->state_len += m->piece.len;
	give_start(r);
	return HV_OK;
}

static enum hv_rc take_entry(struct reading *r, const Hv__HistoryEntry *m)
{
	struct history_item item = {.entry = m};

	if (r->start || !r->begun || !m->entry || !m->entry->epoch)
		return HV_CORRUPT;
	r->ended = !r->fn(r->user, &item);
	return HV_OK;
}

static enum hv_rc take_record(struct reading *r, const uint8_t *data, size_t len)
{
	Hv__HistoryRecord *record = hv__history_record__unpack(NULL, len, data);
	enum hv_rc rc = HV_CORRUPT;

	if (!record)
		return HV_CORRUPT;
	switch (record->body_case) {
	case HV__HISTORY_RECORD__BODY_START:
		rc = take_start(r, &record);
		break;
	case HV__HISTORY_RECORD__BODY_STATE:
		rc = take_piece(r, record->state);
		break;
	case HV__HISTORY_RECORD__BODY_ENTRY:
		rc = take_entry(r, record->entry);
		break;
	case HV__HISTORY_RECORD__BODY__NOT_SET:
	case _HV__HISTORY_RECORD__BODY__CASE_IS_INT_SIZE:
		break;
	}
	if (record)
		hv__history_record__free_unpacked(record, NULL);
	return rc;
}

static enum hv_rc broken(const char *path, enum hv_rc rc, char **ret_why)
{
	*ret_why = rc == HV_REFUSED
		       ? hv_xasprintf("%s was written by a newer version", path)
		       : hv_xasprintf("%s is no history of clusterd, or it is damaged", path);
	return rc;
}

static enum hv_rc read_frames(struct reading *r, int fd, struct wire_reader *w, char **ret_why)
{
	const uint8_t *data;
	size_t len;
	ssize_t n;
	int got;

	while ((n = read(fd, wire_reader_room(w, READ_STEP), READ_STEP)) != 0) {
		enum hv_rc rc = HV_OK;

		if (n < 0) {
			*ret_why = hv_xasprintf("cannot read %s: %s", r->path, strerror(errno));
			return HV_IO;
		}
		wire_reader_added(w, (size_t)n);
		while ((got = wire_reader_next(w, &data, &len)) == 1 && rc == HV_OK && !r->ended)
			rc = take_record(r, data, len);
		if (got < 0)
			rc = HV_CORRUPT;
		if (rc != HV_OK)
			return broken(r->path, rc, ret_why);
		if (r->ended)
			break;
	}
	return HV_OK;
}

static enum hv_rc read_file(struct reading *r, int folder, const char *name, char **ret_why)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct wire_reader w;
	enum hv_rc rc;

	if (fd < 0) {
		*ret_why = hv_xasprintf("cannot open %s: %s", r->path, strerror(errno));
		return errno == ENOENT ? HV_NOT_FOUND : HV_IO;
	}
	wire_reader_init(&w);
	start_drop(r);
	rc = read_frames(r, fd, &w, ret_why);
	wire_reader_done(&w);
	close(fd);
	return rc;
}

static int is_history(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return len > 8 && strcmp(e->d_name + len - 8, ".history") == 0;
}

static enum hv_rc read_folder(struct reading *r, char **ret_why)
{
	struct dirent **names = NULL;
	int n = scandir(r->path, &names, is_history, alphasort);
	int folder = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum hv_rc rc = HV_OK;

	if (n <= 0) {
		*ret_why = n < 0 ? hv_xasprintf("cannot read %s: %s", r->path, strerror(errno))
				 : hv_xasprintf("there is no history in %s", r->path);
		rc = n < 0 && errno != ENOENT ? HV_IO : HV_NOT_FOUND;
	}
	for (int i = 0; i < n; i++) {
		if (rc == HV_OK && !r->ended) {
			rc = read_file(r, folder, names[i]->d_name, ret_why);
			if (rc == HV_NOT_FOUND) { /* the oldest one has just been deleted */
				free(steal_ptr(*ret_why));
				rc = HV_OK;
			}
		}
		free(names[i]);
	}
	free(names);
	if (folder >= 0)
		close(folder);
	return rc;
}

enum hv_rc history_read(const char *path, history_fn fn, void *user, char **ret_why)
{
	struct reading r = {.fn = fn, .user = user, .path = path};
	struct stat st;
	enum hv_rc rc;

	*ret_why = NULL;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		rc = read_folder(&r, ret_why);
	else
		rc = read_file(&r, AT_FDCWD, path, ret_why);
	start_drop(&r);
	if (rc == HV_OK && !r.begun) {
		*ret_why = hv_xasprintf("there is no history in %s", path);
		rc = HV_NOT_FOUND;
	}
	return rc;
}
