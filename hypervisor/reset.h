/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reset.h - the steps of RESET: is it still wanted, keep what the guest shows, reset it, make it
 * run.
 *
 *   CHECK --(LOST: asked, silent)--> WATCH --RESET_WATCH_MS--> KEEP --> DO --> RUN --> running:
 * done |                                |
 *     +--------------------------------+--> HV_REFUSED: it is no longer so; nothing was done
 *
 * CHECK  the job's reset_if, as of now. LOST: the agent is asked once more, and between two
 * readings of its counters at least RESET_WATCH_MS apart the guest has done no I/O. KEEP
 * guest-evidence (evidence.c) gets RESET_EVIDENCE_MS for it, in a process of its own; then the
 * reset goes on with whatever is there. DO     virDomainReset. When it has succeeded that is noted
 * in /run (guest_marks.h): the same job sent again, to the next hypervisord, continues with RUN.
 * RUN    a guest that was stopped (panicked, its watchdog, a disk) is stopped still: it is resumed.
 *
 * At most RESET_SLOW_MOST jobs are in CHECK or KEEP at a time, which take seconds: the other
 * workers are for jobs that do not.
 */
#ifndef HV_HYPERVISOR_RESET_H
#define HV_HYPERVISOR_RESET_H

#include "hypervisor/conn.h"
#include "hypervisor/job.h"

#define RESET_WATCH_MS 2000
#define RESET_EVIDENCE_MS 4000
#define RESET_SLOW_MOST 2
#define RESET_TRIES 5

/* For the program that keeps evidence: libvirt's URI, and the folder that it keeps it in. */
void reset_init(const char *uri, const char *state_dir);
enum job_step reset_step(struct job *j, struct conn *c);
void reset_release(struct job *j);

#endif
