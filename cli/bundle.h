/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bundle.h - a folder of what a bug report needs, then one archive of it.
 *
 * What cannot be collected is named in the folder's README, and is no failure: the bundle is wanted
 * most when things are bad. No file leaves with a secret in it: bundle_clean() looks for each that
 * is known in every file.
 */
#ifndef HV_CLI_BUNDLE_H
#define HV_CLI_BUNDLE_H

#include "cli/history.h"

#define BUNDLE_FILE_MAX (32U << 20) /* of a log, its end */

struct bundle {
	char *parent; /* the temporary folder that holds it */
	char *name;   /* "hvcluster-debug-host1-20261121-140509" */
	char *dir;    /* parent/name */
	int fd;
	struct secrets secrets;
	char *notes; /* what is missing, and why; a line each */
	bool history;
};

/* HV_OK or HV_IO with *ret_why. */
enum hv_rc bundle_open(struct bundle *b, char **ret_why);
/* Removes the folder. */
void bundle_close(struct bundle *b);

void bundle_note(struct bundle *b, const char *fmt, ...) _printf_(2, 3);
/* What a program says; argv ends with NULL. */
void bundle_command(struct bundle *b, const char *name, const char *const argv[]);
/* A file's end. Lines of a configuration that name a key are left out with `keys`. */
void bundle_file(struct bundle *b, const char *name, const char *path, bool keys);
void bundle_folder(struct bundle *b, const char *prefix, const char *path);
void bundle_text(struct bundle *b, const char *name, const char *text);
/* clusterd's history without secrets, which are then known. */
void bundle_history(struct bundle *b, const char *path);

/*
 * Looks for every known secret in every file, writes stars over it (a history that has one is
 * removed) and notes it. Returns in how many files one was.
 */
size_t bundle_clean(struct bundle *b);
typedef void (*bundle_fn)(void *user, const char *name, uint64_t bytes);
void bundle_list(const struct bundle *b, bundle_fn fn, void *user);
/* By the end of its name: .tar.zst, .tar.gz, .tgz. HV_OK, HV_BAD_INPUT, HV_IO. Mode 0600. */
enum hv_rc bundle_pack(const struct bundle *b, const char *path, char **ret_why);

#endif
