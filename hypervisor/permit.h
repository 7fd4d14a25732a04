/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * permit.h - which VMs are the cluster's, and which of them may be started on this host now: files
 * that hypervisord writes and libvirt's hook (hook.c) reads, so that nobody else starts a copy.
 *
 *   STATE/managed         the UUIDs of the cluster's VMs; on disk, so that it holds before clusterd
 * is up RUN/starting/UUID     hypervisord is creating it (start_register.h) RUN/incoming/UUID     a
 * migration that the cluster has decided on may bring it
 *
 * A permit holds the CLOCK_BOOTTIME at which it ends, so that what a crash leaves behind is soon
 * worth nothing. All this keeps root from mistakes, not from doing it.
 */
#ifndef HV_HYPERVISOR_PERMIT_H
#define HV_HYPERVISOR_PERMIT_H

#include "proto/base.h"
#include "proto/ids.h"

#define PERMIT_STARTING "starting"
#define PERMIT_INCOMING "incoming"
#define PERMIT_MANAGED "managed"
#define PERMIT_START_US (120 * HV_US_PER_S)
#define PERMIT_INCOMING_US (90 * HV_US_PER_S) /* renewed while the migration goes on */

/* CLOCK_BOOTTIME. */
uint64_t permit_now_us(void);

/* Written to an open file: "valid until". */
bool permit_write(int fd, uint64_t until_us);
/* Is there a permit for the VM, and has it not ended? `kind`: PERMIT_STARTING or PERMIT_INCOMING.
 */
bool permit_valid(const char *run_dir, const char *kind, const char *uuid, uint64_t now_us);

/* The permits of PERMIT_INCOMING become exactly these. False: errno; the others are written. */
bool permit_set_incoming(const char *run_dir, char *const *uuids, size_t n, uint64_t until_us);

/* Whole or not at all, and durable. False: errno. */
bool permit_write_managed(const char *state_dir, char *const *uuids, size_t n);
/* UNKNOWN: there is a list and it cannot be read, or its end is missing. No list: NO. */
enum permit_answer { PERMIT_NO, PERMIT_YES, PERMIT_UNKNOWN };
enum permit_answer permit_is_managed(const char *state_dir, const char *uuid);

#endif
