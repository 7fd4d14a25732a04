/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * observe.h - what is true of one VM on this host: running, paused, absent, or unknown.
 *
 * The rules (hv.Observed):
 *  - ABSENT is a proof, on which the VM may be started elsewhere. It needs all of: libvirt answers
 *    and knows no domain of this UUID that is not shut off; /proc shows no QEMU of this UUID; and
 * no start of ours may still be on its way inside libvirtd (start_register.h).
 *  - A domain that is being created ("starting up") is UNKNOWN: it may yet fail or run.
 *  - A domain in any other active state is there: RUNNING if its vCPUs may run, also while libvirt
 *    stops it for the last moment of an outgoing migration or shuts it down; PAUSED if they do not;
 *    INCOMING while libvirt fills it from another host.
 *  - No answer is UNKNOWN, whatever was known before.
 *  - A shut off domain (someone defined it) runs nothing: ABSENT.
 */
#ifndef HV_HYPERVISOR_OBSERVE_H
#define HV_HYPERVISOR_OBSERVE_H

#include "proto/base.h"
#include "proto/ids.h"
#include "proto/log.pb-c.h"

#include <libvirt/libvirt.h>

struct sight {
	Hv__Observed observed;
	Hv__Cause cause;
	bool defined; /* libvirt keeps a definition of it (persistent) */
	bool held;    /* unknown only because the start register says so: start_register.h */
	bool orphan;  /* a QEMU process that libvirt does not know; then `pid` is its */
	pid_t pid;
	char text[HV_TEXT_MAX]; /* why it is unknown, "" else */
};

/* The meaning of libvirt's state and reason. Pure. */
void observe_state(int state, int reason, struct sight *ret);

/* Looks it up. `c` NULL: no connection. Worker threads. */
void observe(virConnectPtr c, const char *uuid, struct sight *ret);
/* Of a domain object that is at hand. */
void observe_domain(virDomainPtr d, struct sight *ret);

#endif
