/* SPDX-License-Identifier: GPL-2.0-or-later */
/* snapshot_guest.h - health of guests in a snapshot, and back. PURE; messages borrow the strings.
 */
#ifndef HV_RESOURCE_SNAPSHOT_GUEST_H
#define HV_RESOURCE_SNAPSHOT_GUEST_H

#include "proto/snapshot.pb-c.h"
#include "resource/guest.h"

void snapshot_put_guest(Hv__SnapGuest *m, const struct guest *g);
bool snapshot_guest_valid(const Hv__SnapGuest *m);
/* Into one that guest_init() has made. */
void snapshot_get_guest(struct guest *g, const Hv__SnapGuest *m);

#endif
