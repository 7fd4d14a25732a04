/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * file.h - whole small files that an administrator names: domain XML, secrets.
 *
 * On failure *ret_why is a sentence with the cause (the caller frees): HV_IO for what cannot be
 * opened or read, HV_BAD_INPUT for what is no file or has the wrong content, HV_TOO_LARGE.
 */
#ifndef HV_CLI_FILE_H
#define HV_CLI_FILE_H

#include "proto/base.h"
#include "proto/rc.h"

#include <stdio.h>

/*
 * At most `max` bytes of `path`, or of `in` when that is "-". *ret_data is malloc'ed and
 * zero-terminated, *ret_len does not count the zero. Regular files and pipes only.
 */
enum hv_rc file_read(const char *path, FILE *in, size_t max, char **ret_data, size_t *ret_len,
		     char **ret_why);

/*
 * A secret: the one line in `path`, without its end. A fence agent reads options line by line, so
 * a value cannot have a line's end in it. *ret_warning is NULL, or says that others can read the
 * file. The caller frees with secret_free().
 */
enum hv_rc secret_from_file(const char *path, char **ret_secret, char **ret_warning,
			    char **ret_why);
/* The same from `in`; a terminal is asked without echo, with the prompt on `err`. */
enum hv_rc secret_from_stream(FILE *in, FILE *err, const char *prompt, char **ret_secret,
			      char **ret_why);
/* Overwrites it first. */
void secret_free(char *secret);

#endif
