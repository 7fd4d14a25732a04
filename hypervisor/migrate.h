/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * migrate.h - the steps of MIGRATE: live, peer to peer, paused at the destination.
 *
 * The libvirt call lasts as long as the migration, so it has a thread of its own; the job's steps
 * look at its progress, carry out a cancel, and see to it that the answer says how things really
 * are afterwards. The two libvirtds do the migration between them: it goes on when this process
 * dies. A job that finds one under way (the same request after a crash) waits for its end.
 *
 *   [look] --> absent: HV_OK, it has left
 *     |  \---> a migration under way in libvirt --> [watch] --> left: HV_OK; still here: failed
 *     v
 *   [calling] -- the call ended --> [settle]: until libvirt says running, paused or absent
 *
 * VIR_MIGRATE_PAUSED: the destination never runs before its RESUME. libvirt documents that when the
 * last message of a migration is lost the source goes on while the destination may run; paused, it
 * does not. A call that failed because one of the two libvirtds went away, and left the VM running
 * here, is repeated for MIGRATE_RETRY_MS, if the target takes connections (reach.h): a restart
 * takes less. When the source's libvirtd dies after all has been sent, it leaves the VM paused
 * here, and perhaps a paused copy there: that is a failure, and the cluster resumes it here. A
 * guest that dirties its memory too fast is slowed down (auto-converge). A QEMU that the target's
 * silence has brought to a standstill is freed (stuck.h). At the deadline the
 * migration is aborted, and MIGRATE_SETTLE_MS are given for the domain to become definite again.
 */
#ifndef HV_HYPERVISOR_MIGRATE_H
#define HV_HYPERVISOR_MIGRATE_H

#include "hypervisor/conn.h"
#include "hypervisor/job.h"

#define MIGRATE_PROGRESS_MS 250
#define MIGRATE_AGAIN_MS 1 /* nothing is under way: to the look that decides */
#define MIGRATE_SETTLE_MS 20000
#define MIGRATE_RETRY_MS 5000
#define MIGRATE_PAUSE_MS 300

/* `wake` is called from other threads when a call has ended: it must lead to job_wake(uuid). */
void migrate_init(void (*wake)(const char *uuid));
enum job_step migrate_step(struct job *j, struct conn *c);
void migrate_release(struct job *j);

#endif
