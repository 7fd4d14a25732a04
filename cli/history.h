/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history.h - the files of `clusterd --history` (proto/log.proto, HistoryRecord): read, and written
 * anew without secrets.
 *
 * Reading needs nobody's leave: the files are only ever appended to. What is not whole at the end
 * of a file is still being written, and is left out.
 */
#ifndef HV_CLI_HISTORY_H
#define HV_CLI_HISTORY_H

#include "proto/base.h"
#include "proto/ids.h"
#include "proto/log.pb-c.h"
#include "proto/rc.h"

/* A stretch's beginning with its whole state, or an entry. Borrowed. */
struct history_item {
	const Hv__HistoryStart *start; /* or NULL */
	const uint8_t *state;	       /* start->state_len bytes */
	const Hv__HistoryEntry *entry; /* or NULL */
};
/* False ends the reading. */
typedef bool (*history_fn)(void *user, const struct history_item *item);

/*
 * Reads `path`: a file, or a folder with *.history files, in the order of their names. HV_OK,
 * HV_IO, HV_NOT_FOUND (no such file, or a folder without any), HV_CORRUPT (nothing of the kind, or
 * damaged; what came before was read). *ret_why (malloc'ed) says what is wrong.
 */
enum hv_rc history_read(const char *path, history_fn fn, void *user, char **ret_why);

/* Values that must not leave the cluster; each once, none shorter than SECRET_LEAST. */
#define SECRET_LEAST 3
struct secrets {
	char **values;
	size_t count, cap;
};
void secrets_add(struct secrets *s, const char *value);
void secrets_done(struct secrets *s); /* overwrites them */
/* The first of them that is in `data`, or NULL. */
const char *secrets_in(const struct secrets *s, const uint8_t *data, size_t len);

/*
 * A copy of the history at `from` as one file `to` (0600) without secrets: the values of fence
 * devices' secrets and passwords in domain XML become empty. What was taken out is added to
 * `secrets`. *ret_entries: how many entries it holds.
 */
enum hv_rc history_export(const char *from, const char *to, struct secrets *secrets,
			  uint64_t *ret_entries, char **ret_why);

#endif
