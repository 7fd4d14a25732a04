/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * child.h - another program, run to its end, its output in a file.
 */
#ifndef HV_CLI_CHILD_H
#define HV_CLI_CHILD_H

#include "proto/base.h"

/*
 * Runs argv (ends with NULL; found in PATH) with no input; its output goes to `fd`, its errors to
 * `err_fd` (-1: ours). Killed after `timeout_s`. Its exit status; 128 + the signal that ended it;
 * -errno if it could not be started.
 */
int child_to_file(const char *const argv[], int fd, int err_fd, unsigned timeout_s);

#endif
