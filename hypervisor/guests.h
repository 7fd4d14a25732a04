/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guests.h - the health of the guests of this host: who is asked for a heartbeat, whom QEMU or a
 * device has stopped, and what is told of it to clusterd (GuestSeen), on change only.
 *
 * Two sources:
 *  - asks, of the guests that clusterd wants watched (HvGuests): each at its own moment, spread
 * over its interval by its UUID, through a pool of threads of its own. An agent that hangs holds
 * one of them for some seconds and never a job; a call that does not return costs one thread, and
 * its guest is not asked again before it does.
 *  - facts and events of all guests: panicked, paused for a disk, the watchdog device.
 *
 * Whoever is not running, or cannot be asked, is unknown: nothing is concluded from it (beat.h).
 * When the main loop itself was late by more than GUESTS_LATE_MS we stood still, and perhaps the
 * guests with us: all silence begins anew.
 *
 * Cost: a guest that answers is one call to look it up, one for its state and one to its agent,
 * every heartbeat_s / 3, at most every 10 s; nothing runs while nobody is watched. Main loop only.
 */
#ifndef HV_HYPERVISOR_GUESTS_H
#define HV_HYPERVISOR_GUESTS_H

#include "hypervisor/conn.h"
#include "hypervisor/events.h"
#include "hypervisor/facts.h"
#include "hypervisor/pool.h"
#include "proto/hypervisor.pb-c.h"

#define GUESTS_WORKERS 4	   /* asks at a time */
#define GUESTS_TICK_MS 500	   /* the least between two looks for who is due */
#define GUESTS_LATE_MS 2000	   /* a tick so late: this host or process stood still */
#define GUESTS_GIVE_UP_MS 20000	   /* an ask that has not returned */
#define GUESTS_DISKS_EVERY_MS 5000 /* is the storage of a guest paused for it back? */
#define GUESTS_DISKS_BLIND_MS                                                                      \
	30000 /* where that cannot be seen it is worth a try after so long                         \
	       */

struct guests_hooks {
	void (*tell)(const Hv__GuestSeen *seen, void *user);
	void *user;
};

struct guests;
/* `probe`: the path of storage-probe. */
struct guests *guests_new(qb_loop_t *loop, struct mailbox *mailbox, const char *probe,
			  const struct guests_hooks *hooks);
/* No look may be under way. NULL is fine. */
void guests_free(struct guests *gs);
void guests_use(struct guests *gs, struct conn *conn);

/* Who is to be watched from now on: all of them. Then all that is not (UNKNOWN, NONE) is told. */
void guests_want(struct guests *gs, const Hv__HvGuests *wanted);
void guests_tell_all(struct guests *gs);

/* What is known of VMs has changed. `complete`: of all, so that who is not in it is gone. */
void guests_facts(struct guests *gs, const struct facts *fs, bool complete);
/* An event of libvirt's. */
void guests_event(struct guests *gs, const struct domain_event *ev);
/* A RESET job of this VM begins, or has ended with this result. */
void guests_reset_begins(struct guests *gs, const char *uuid);
void guests_reset_ended(struct guests *gs, const char *uuid, bool done);

#endif
