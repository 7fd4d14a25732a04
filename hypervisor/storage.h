/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage.h - does the storage of the cluster's VMs work on this host? Three answers: good, bad,
 * and not known (yet), which is told as nothing.
 *
 * Each folder or device is probed by a process of its own (probe.c), every STORAGE_EVERY_MS: a
 * process may hang in the kernel (state D) and cannot then be killed. That is a fact about the
 * storage and holds up nobody: no second one is begun beside it, and hypervisord can end without
 * it, which it could not with a thread that hangs.
 *
 *   [idle] --every--> [probing] --ends, 0--> good          --ends, else--> bad, with its words
 *                        |
 *                        +--- STORAGE_HANG_MS ---> bad: "does not answer"; good again when one ends
 * well
 *
 * An error counts at its second time in a row: one may be a network that was just repaired. Main
 * loop.
 */
#ifndef HV_HYPERVISOR_STORAGE_H
#define HV_HYPERVISOR_STORAGE_H

#include "proto/base.h"
#include "proto/ids.h"

#include <qb/qbloop.h>

#define STORAGE_PROBE_BLIND 3 /* exit status of `storage-probe --room`: it cannot be seen */
#define STORAGE_EVERY_MS 2000
#define STORAGE_HANG_MS 8000
#define STORAGE_ERRORS 2
#define STORAGE_LASTS_MS 60000 /* from then on it is more than a hiccup */

struct storage_hooks {
	/* What is bad has changed; ask storage_bad_at(). */
	void (*changed)(void *user);
	void *user;
};

struct storage;
/* `program`: the path of storage-probe. */
struct storage *storage_new(qb_loop_t *loop, const char *program,
			    const struct storage_hooks *hooks);
/* What is to be probed from now on: absolute paths, ascending; others are forgotten. */
void storage_watch(struct storage *s, char *const *paths, size_t n);
struct storage_trouble {
	const char *path, *text;
	bool hangs; /* it does not answer; else it answers with errors */
	bool lasts;
};
/* The i-th that is bad, ascending; false after the last. */
bool storage_bad_at(const struct storage *s, size_t i, struct storage_trouble *ret);

#endif
