/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_look.h - asks libvirt about one guest: does its agent answer, does it do I/O, what is wrong
 * with its disks. Worker threads; each function may take some seconds, or as long as libvirtd
 * hangs.
 *
 * What the agent says comes from the guest and is not trusted: libvirtd reads it, with its limits
 * (qemu_agent.c); of the answer we use nothing but that there is one.
 */
#ifndef HV_HYPERVISOR_GUEST_LOOK_H
#define HV_HYPERVISOR_GUEST_LOOK_H

#include "hypervisor/beat.h"
#include "proto/ids.h"

#include <libvirt/libvirt.h>

#define GUEST_ASK_S 3 /* libvirt itself waits up to 5 s for an agent that was silent before */
#define GUEST_ASK_MOST_US                                                                          \
	(8 * HV_US_PER_S) /* an ask that took longer says more of us than of it                    \
			   */

struct guest_heard {
	enum beat_answer answer;
	bool io_known; /* only looked at when it was silent */
	uint64_t io;
};
/* `v` NULL: nobody knows. */
void guest_look_ask(virConnectPtr v, const char *uuid, struct guest_heard *ret);

/* The counters of what it does (beat_count_io). False: they cannot be had. */
bool guest_look_io(virDomainPtr d, uint64_t *ret_io);

struct guest_disks {
	bool known; /* QEMU has paused it for an error of a disk, and this is what is known of it */
	bool no_space; /* else another error */
	bool told;     /* all of what is in the way can be seen; else time has to do */
	bool back;     /* what can be seen is not in the way any more */
	char text[HV_TEXT_MAX];
};
/* `probe`: the path of storage-probe. */
void guest_look_disks(virConnectPtr v, const char *uuid, const char *probe,
		      struct guest_disks *ret);

#endif
