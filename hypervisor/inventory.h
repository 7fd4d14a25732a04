/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inventory.h - all that runs on this host, by one call to libvirt and one look at /proc.
 *
 * Three-valued: either libvirt answered and the list is complete, or nothing is known. Shut off
 * domains run nothing and are left out. QEMU processes that libvirt does not know are in it, as
 * UNKNOWN: what they are is for an administrator (or DESTROY) to settle. So are VMs of the start
 * register that are not there yet.
 */
#ifndef HV_HYPERVISOR_INVENTORY_H
#define HV_HYPERVISOR_INVENTORY_H

#include "hypervisor/observe.h"

struct inventory_item {
	char uuid[HV_UUID_LEN + 1], name[256];
	Hv__Observed observed;
	Hv__Cause cause;
};
struct inventory {
	bool complete;
	bool settling;		/* some are unknown for the moment only */
	char text[HV_TEXT_MAX]; /* why not; or what is odd about it */
	struct inventory_item *items;
	size_t count;
};

/* `c` may be NULL. Worker threads. The caller ends it with inventory_done(). */
void inventory_take(virConnectPtr c, struct inventory *ret);
void inventory_done(struct inventory *inv);
const struct inventory_item *inventory_find(const struct inventory *inv, const char *uuid);

#endif
