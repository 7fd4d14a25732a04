/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_marks.h - the two things about a guest that libvirt does not remember for us, kept as files
 * in /run, so that they outlive hypervisord and end with the host:
 *  - its watchdog device has fired, and was told to do nothing (action none);
 *  - which job has reset it, so that the same job sent again does not do so twice, and where it
 *    kept the evidence.
 * Any thread; /run is memory and does not block.
 */
#ifndef HV_HYPERVISOR_GUEST_MARKS_H
#define HV_HYPERVISOR_GUEST_MARKS_H

#include "proto/base.h"
#include "proto/ids.h"

/* `dir` is made if need be. False: errno; then nothing is remembered. */
bool guest_marks_open(const char *dir);

void guest_marks_set_fired(const char *uuid, bool fired);
bool guest_marks_fired(const char *uuid);
/* All of them, as they are now. */
void guest_marks_each_fired(void (*fn)(const char *uuid, void *user), void *user);

void guest_marks_set_reset(const char *uuid, hv_op_id job, const char *evidence);
bool guest_marks_reset_by(const char *uuid, hv_op_id job, char ret_evidence[HV_PATH_MAX + 1]);

/* The VM is not here any more. */
void guest_marks_forget(const char *uuid);

#endif
