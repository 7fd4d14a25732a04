/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fence_delay.h - how long a device waits before it is used.
 *
 * PURE. The sum of three parts, all of them data or settings, so that every replica waits alike:
 *
 *   delay_s         of the device, always
 *   delay_random_s  of the device: a part of it, drawn from the victim's and the device's name, the
 *                   entry and the time: another one each time
 *   priority        in a duel, before the first device: both halves of a cluster of two are active
 *                   behind their barriers, and each would fence the other. Whose VMs matter less
 *                   waits fence_priority_delay_ms; if the other half is alive, it is off by then.
 *
 * What matters: the sum of the priorities of the VMs that a side owns and that are meant to run
 * (those below 0 count as 0), then how many they are, then the lower node id. Both sides know the
 * same before they part, but for what was under way just then.
 */
#ifndef HV_RESOURCE_FENCE_DELAY_H
#define HV_RESOURCE_FENCE_DELAY_H

#include "resource/cluster_priv.h"

/* Before `d` is used against `victim`. *ret_why: what most of it is for, static. */
uint64_t fence_delay_us(const struct cluster *c, const struct node *victim,
			const struct fence_device *d, const char **ret_why);

#endif
