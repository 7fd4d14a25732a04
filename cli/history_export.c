/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A history without secrets. */
#include "cli/history.h"
#include "proto/snapshot.pb-c.h"
#include "proto/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE (1U << 20)

void secrets_add(struct secrets *s, const char *value)
{
	if (strlen(value) < SECRET_LEAST)
		return;
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->values[i], value) == 0)
			return;
	if (s->count == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 16;
		s->values = hv_xrealloc(s->values, s->cap, sizeof(char *));
	}
	s->values[s->count++] = hv_xstrdup(value);
}

void secrets_done(struct secrets *s)
{
	for (size_t i = 0; i < s->count; i++) {
		explicit_bzero(s->values[i], strlen(s->values[i]));
		free(s->values[i]);
	}
	free(s->values);
	*s = (struct secrets){0};
}

const char *secrets_in(const struct secrets *s, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < s->count; i++)
		if (memmem(data, len, s->values[i], strlen(s->values[i])))
			return s->values[i];
	return NULL;
}

/* ---- taking them out of a message */

static void strip_pairs(Hv__KeyValue **pairs, size_t n, struct secrets *s)
{
	for (size_t i = 0; i < n; i++) {
		secrets_add(s, pairs[i]->value);
		explicit_bzero(pairs[i]->value, strlen(pairs[i]->value));
	}
}

/* Of passwd='...' (graphics) the value, in place. Returns the new length. */
static size_t strip_xml(char *xml, size_t len, struct secrets *s)
{
	static const char mark[] = "passwd=";
	char *at = xml, *end = xml + len;

	while ((at = memmem(at, (size_t)(end - at), mark, sizeof(mark) - 1))) {
		char *value = at + sizeof(mark), *stop;
		_cleanup_free_ char *copy = NULL;

		at += sizeof(mark) - 1;
		if (at == end || (*at != '\'' && *at != '"'))
			continue;
		stop = memchr(value, *at, (size_t)(end - value));
		if (!stop)
			break;
		copy = hv_xstrndup(value, (size_t)(stop - value));
		secrets_add(s, copy);
		explicit_bzero(copy, strlen(copy));
		memmove(value, stop, (size_t)(end - stop));
		end -= stop - value;
	}
	return (size_t)(end - xml);
}

/* The event without them, packed anew. The caller frees. */
static uint8_t *strip_event(const ProtobufCBinaryData *in, struct secrets *s, size_t *ret_len)
{
	Hv__Event *ev = hv__event__unpack(NULL, in->len, in->data);
	Hv__Command *c = ev && ev->body_case == HV__EVENT__BODY_COMMAND ? ev->command : NULL;
	uint8_t *out;

	*ret_len = 0;
	if (!ev) /* every node skips it; what is in it is not known, so it stays here */
		return hv_xcalloc(1, 1);
	if (c && c->body_case == HV__COMMAND__BODY_FENCE_ADD)
		strip_pairs(c->fence_add->secrets, c->fence_add->n_secrets, s);
	if (c && c->body_case == HV__COMMAND__BODY_VM_ADD && *c->vm_add->xml) /* "" is read-only */
		c->vm_add->xml[strip_xml(c->vm_add->xml, strlen(c->vm_add->xml), s)] = '\0';
	*ret_len = hv__event__get_packed_size(ev);
	out = hv_xcalloc(1, *ret_len + 1);
	hv__event__pack(ev, out);
	hv__event__free_unpacked(ev, NULL);
	return out;
}

static uint8_t *strip_state(const uint8_t *data, size_t len, struct secrets *s, size_t *ret_len)
{
	Hv__Snapshot *m = hv__snapshot__unpack(NULL, len, data);
	uint8_t *out;

	if (!m)
		return NULL;
	for (size_t i = 0; i < m->n_nodes; i++)
		for (size_t k = 0; k < m->nodes[i]->n_devices; k++)
			strip_pairs(m->nodes[i]->devices[k]->secrets,
				    m->nodes[i]->devices[k]->n_secrets, s);
	for (size_t i = 0; i < m->n_vms; i++)
		if (m->vms[i]->xml.len)
			m->vms[i]->xml.len =
			    strip_xml((char *)m->vms[i]->xml.data, m->vms[i]->xml.len, s);
	*ret_len = hv__snapshot__get_packed_size(m);
	out = hv_xcalloc(1, *ret_len + 1);
	hv__snapshot__pack(m, out);
	hv__snapshot__free_unpacked(m, NULL);
	return out;
}

/* ---- writing */

struct export
{
	FILE *file;
	struct secrets *secrets;
	uint64_t entries;
	bool unreadable;
};

static void write_record(struct export *x, const Hv__HistoryRecord *r)
{
	size_t len = hv__history_record__get_packed_size(r);
	_cleanup_free_ uint8_t *data = hv_xcalloc(1, len);
	uint8_t header[WIRE_HEADER_LEN];

	hv__history_record__pack(r, data);
	wire_header_put(header, data, len);
	fwrite(header, 1, sizeof(header), x->file);
	fwrite(data, 1, len, x->file);
}

static bool export_start(struct export *x, const struct history_item *item)
{
	Hv__HistoryRecord r = HV__HISTORY_RECORD__INIT;
	Hv__HistoryStart start = *item->start;
	_cleanup_free_ uint8_t *state = NULL;
	size_t len = 0;

	if (start.state_len)
		state = strip_state(item->state, start.state_len, x->secrets, &len);
	if (start.state_len && !state) {
		x->unreadable = true;
		return false;
	}
	start.state_len = len;
	start.stripped = true;
	r.body_case = HV__HISTORY_RECORD__BODY_START;
	r.start = &start;
	write_record(x, &r);
	for (size_t at = 0; at < len; at += PIECE) {
		Hv__HistoryState piece = HV__HISTORY_STATE__INIT;

		piece.piece.data = state + at;
		piece.piece.len = len - at < PIECE ? len - at : PIECE;
		r.body_case = HV__HISTORY_RECORD__BODY_STATE;
		r.state = &piece;
		write_record(x, &r);
	}
	return true;
}

static bool export_item(void *user, const struct history_item *item)
{
	struct export *x = user;
	Hv__HistoryRecord r = HV__HISTORY_RECORD__INIT;
	Hv__HistoryEntry e;
	Hv__LogEntry log;
	_cleanup_free_ uint8_t *data = NULL;

	if (item->start)
		return export_start(x, item);
	e = *item->entry;
	log = *e.entry;
	data = strip_event(&log.data, x->secrets, &log.data.len);
	log.data.data = data;
	e.entry = &log;
	r.body_case = HV__HISTORY_RECORD__BODY_ENTRY;
	r.entry = &e;
	write_record(x, &r);
	x->entries++;
	return !ferror(x->file);
}

enum hv_rc history_export(const char *from, const char *to, struct secrets *secrets,
			  uint64_t *ret_entries, char **ret_why)
{
	int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct export x = {.file = fd >= 0 ? fdopen(fd, "w") : NULL, .secrets = secrets};
	enum hv_rc rc;

	if (!x.file) {
		*ret_why = hv_xasprintf("cannot write %s: %s", to, strerror(errno));
		return HV_IO;
	}
	rc = history_read(from, export_item, &x, ret_why);
	*ret_entries = x.entries;
	if ((ferror(x.file) | fclose(x.file)) && rc == HV_OK) {
		*ret_why = hv_xasprintf("cannot write %s: %s", to, strerror(errno));
		rc = HV_IO;
	}
	if (x.unreadable && rc == HV_OK) {
		*ret_why = hv_xasprintf("a state in %s cannot be read", from);
		rc = HV_CORRUPT;
	}
	return rc;
}
