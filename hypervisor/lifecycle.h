/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lifecycle.h - the steps of START, STOP, DESTROY, PAUSE, RESUME and PROBE.
 *
 * Level-triggered: each step looks at the VM first and does what is still missing, so that a job
 * may be repeated after any crash and any loss of the connection. The answer carries what was seen
 * after the last thing that was done.
 *
 *   START    absent -> create; running -> done (adopted); paused, incoming -> HV_REFUSED: START
 * never resumes; an unknown QEMU process of this VM -> HV_REFUSED, a second one is never started.
 *   STOP     asks the guest at once (ACPI), again with its agent, then every STOP_ASK_EVERY_MS;
 * destroys it when timeout_ms is over, and at once if it is paused (it could not hear). DESTROY
 * until it is proven gone; a QEMU that libvirt has lost sight of is killed directly. RESUME   until
 * its vCPUs run. PAUSE: until they do not. Absent -> HV_NOT_FOUND. PROBE    until it is known.
 *
 * Domains are transient. If somebody has defined one of ours (libvirt would start it by itself on
 * boot if marked so), START, STOP and DESTROY take the definition away and leave what runs running.
 *
 * No connection: the step waits for one; HV_HYPERVISOR_DOWN at the deadline.
 */
#ifndef HV_HYPERVISOR_LIFECYCLE_H
#define HV_HYPERVISOR_LIFECYCLE_H

#include "hypervisor/conn.h"
#include "hypervisor/job.h"
#include "hypervisor/observe.h"

#define STOP_ASK_EVERY_MS 10000
#define STOP_ASK_AGENT_MS 3000 /* after the first, ACPI, had no effect */
#define LIFECYCLE_AGAIN_MS 100 /* between two looks at what is about to change */
#define LIFECYCLE_CANCEL_MS                                                                        \
	5000 /* a cancelled migration is looked at before that is said; no longer than this */

enum job_step lifecycle_step(struct job *j, struct conn *c);
/* How long a job may take when the request does not say. */
uint32_t lifecycle_deadline_ms(const struct job *j);

/* Shared with migrate.c: the beginning of each step; `v` may be NULL. False: *ret_step is to be
 * returned. */
bool lifecycle_look(struct job *j, virConnectPtr v, struct sight *ret_sight,
		    enum job_step *ret_step);
/* Why the job was asked to end: HV_CANCELLED or HV_SUPERSEDED. */
enum job_step lifecycle_cancelled(struct job *j);
/* Waits for the next look, or gives up at the deadline with what is `missing`. */
enum job_step lifecycle_again(struct job *j, uint32_t ms, const char *missing);

#endif
