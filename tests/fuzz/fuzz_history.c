/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a history file (clusterd --history, a debug bundle): `hvcluster replay` says what is
 * wrong with it or reads it, and a copy without secrets reads as the file itself does.
 *
 * The input is a row of frames, each a length (two bytes, little endian) and a HistoryRecord; they
 * are put into the file with right headers and checksums, so that what they hold is looked at. The
 * first byte, if odd, has the bytes written as they are.
 */
#include "cli/history.h"
#include "proto/wire.h"

#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_MAX 65536

static char path[64], copy[64];
static int fd = -1;

static void begin(void)
{
	fd = memfd_create("history", MFD_CLOEXEC);
	hv_assert(fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(copy, sizeof(copy), "/dev/shm/fuzz_history.%ld", (long)getpid());
	unlink(copy);
}

static void write_file(const uint8_t *data, size_t size)
{
	static uint8_t buf[FILE_MAX];
	size_t at = 0;
	bool as_it_is = size > 0 && *data % 2;

	for (data += size > 0, size -= size > 0; size >= 2 && !as_it_is;) {
		size_t len = (size_t)data[0] | (size_t)data[1] << 8;

		if (len > size - 2)
			len = size - 2;
		if (at + WIRE_HEADER_LEN + len > sizeof(buf))
			break;
		wire_header_put(buf + at, data + 2, len);
		memcpy(buf + at + WIRE_HEADER_LEN, data + 2, len);
		at += WIRE_HEADER_LEN + len;
		data += 2 + len;
		size -= 2 + len;
	}
	if (as_it_is)
		memcpy(buf, data, at = size < sizeof(buf) ? size : sizeof(buf));
	hv_assert(pwrite(fd, buf, at, 0) == (ssize_t)at && ftruncate(fd, (off_t)at) == 0);
}

struct seen {
	uint64_t starts, entries, sum;
};

/* Reads all that it is given: what lies outside a block would be seen. */
static bool look(void *user, const struct history_item *item)
{
	struct seen *s = user;

	if (item->start) {
		s->starts++;
		for (uint64_t i = 0; i < item->start->state_len; i++)
			s->sum += item->state[i];
	} else {
		s->entries++;
		for (size_t i = 0; i < item->entry->entry->data.len; i++)
			s->sum += item->entry->entry->data.data[i];
	}
	return true;
}

static void check_copy(const struct seen *was)
{
	struct secrets secrets = {0};
	struct seen is = {0};
	_cleanup_free_ char *why = NULL, *why_read = NULL;
	uint64_t entries = 0;
	enum hv_rc rc = history_export(path, copy, &secrets, &entries, &why);

	hv_assert(rc == HV_OK || (rc == HV_CORRUPT && why && *why));
	if (rc == HV_OK) {
		hv_assert(history_read(copy, look, &is, &why_read) == HV_OK);
		hv_assert(entries == was->entries && is.entries == entries);
		hv_assert(is.starts == was->starts);
	}
	secrets_done(&secrets);
	unlink(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = {0};
	_cleanup_free_ char *why = NULL;
	enum hv_rc rc;

	if (fd < 0)
		begin();
	write_file(data, size);
	rc = history_read(path, look, &seen, &why);
	if (rc != HV_OK)
		hv_assert(why && *why);
	else if (seen.starts)
		check_copy(&seen);
	return 0;
}
