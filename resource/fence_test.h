/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fence_test.h - are the fence devices there when they are needed? Each is asked for its status,
 * again and again.
 *
 * PURE. Every fence_test_interval_s each device has had a self-test: one at a time in the whole
 * cluster, spread evenly over that time, the one that was tested longest ago first. A device that
 * was never tested is tested at once. Each test of a device is run by the next online member, so
 * that in the end every host's way to it has been tried; the outcome is kept for each of them. A
 * change of it is an event: a way that fails, loudly.
 */
#ifndef HV_RESOURCE_FENCE_TEST_H
#define HV_RESOURCE_FENCE_TEST_H

#include "resource/cluster_priv.h"

/* Begins the next self-test when its time has come. */
void fence_test_settle(struct cluster *c);
/* When that is, 0: never. */
uint64_t fence_test_deadline_us(const struct cluster *c);
/* Begins a test of this device now, by the next member; NULL: nobody can run it. */
struct operation *fence_test_begin(struct cluster *c, struct node *n, struct fence_device *d);
void fence_test_result(struct cluster *c, struct operation *op, const Hv__OpResult *res);

#endif
