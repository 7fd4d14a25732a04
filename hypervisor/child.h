/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * child.h - runs a program of ours to its end, but not for longer than we can wait. Worker threads.
 *
 * What touches storage or waits for a guest may hang in the kernel, and a process that does so can
 * be left behind, which a thread cannot.
 */
#ifndef HV_HYPERVISOR_CHILD_H
#define HV_HYPERVISOR_CHILD_H

#include "proto/base.h"

#define CHILD_FAILED (-1) /* it could not be started (errno), or was killed by somebody else */
#define CHILD_HANGS (-2)  /* it was killed after `ms`; it may need a while to die */

/* What it prints goes to `out`, cut to fit and zero-terminated. Returns its exit status or one of
 * the above. */
int child_run(char *const argv[], uint32_t ms, char *out, size_t size);

/* The path of a program that is installed beside this one. Malloc'ed. */
char *child_program(const char *name);

#endif
