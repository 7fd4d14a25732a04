/* SPDX-License-Identifier: GPL-2.0-or-later */
/* snapshot.h - what encode and decode agree on beside proto/snapshot.proto. PURE. */
#ifndef HV_RESOURCE_SNAPSHOT_H
#define HV_RESOURCE_SNAPSHOT_H

/* Raised when an older program could not make sense of a newer snapshot; fields are otherwise only
 * added. */
#define SNAPSHOT_VERSION 1

#endif
