/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events.h - libvirt's domain events, translated into our words and handed to the main loop.
 *
 * libvirt's default event loop runs in a thread of its own; it also answers and sends keepalive.
 * Lifecycle events say what became of a VM (`known`). I/O errors, guest watchdogs and ended
 * migration jobs only say that it should be looked at. Defined, undefined and the like say nothing.
 * What concerns the health of the guest alone comes as `guest`, in some of these or by itself.
 */
#ifndef HV_HYPERVISOR_EVENTS_H
#define HV_HYPERVISOR_EVENTS_H

#include "hypervisor/mailbox.h"
#include "proto/ids.h"
#include "proto/log.pb-c.h"

#include <libvirt/libvirt.h>

enum guest_event {
	GUEST_EVENT_NONE,
	GUEST_EVENT_AGENT_HERE,	    /* its agent has opened its channel */
	GUEST_EVENT_REBOOTED,	    /* by itself, by a device of its, or by a reset of ours */
	GUEST_EVENT_WATCHDOG,	    /* fired, and QEMU did nothing about it */
	GUEST_EVENT_WATCHDOG_RESET, /* fired, and QEMU resets it */
	GUEST_EVENT_PANICKED,
};

struct domain_event {
	char uuid[HV_UUID_LEN + 1], name[256];
	bool known; /* observed and cause are told */
	Hv__Observed observed;
	Hv__Cause cause;
	bool arrived; /* by migration */
	bool look;    /* not known: it should be looked at */
	enum guest_event guest;
	const char *what; /* a few words for the log, static */
};
typedef void (*events_fn)(const struct domain_event *ev, void *user);

/* Registers libvirt's event loop, before any connection is opened, and starts its thread. */
bool events_start(struct mailbox *m, events_fn fn, void *user);
/* For each new connection. Events of a connection end with it. */
void events_register(virConnectPtr c);
/* What a lifecycle event means; false: nothing. Pure. */
bool events_translate(int event, int detail, struct domain_event *ret);
/* What it means that a guest's watchdog fired with this action (virDomainEventWatchdogAction).
 * Pure. */
enum guest_event events_watchdog(int action);

#endif
