/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * managed.h - the list of the cluster's VMs on disk (permit.h), written by a worker: a disk may
 * hang.
 *
 * One write at a time; of several lists that come meanwhile the last one is written next. Main
 * loop.
 */
#ifndef HV_HYPERVISOR_MANAGED_H
#define HV_HYPERVISOR_MANAGED_H

#include "hypervisor/pool.h"

struct managed;
/* `failed` is called in the main loop with the cause. */
struct managed *managed_new(struct pool *pool, const char *state_dir,
			    void (*failed)(const char *why));
void managed_set(struct managed *m, char *const *uuids, size_t n);

#endif
