/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watchdog.h - this host's watchdog device, and the record of its lease in /run.
 *
 * The kernel's API (Documentation/watchdog/watchdog-api.rst): opening starts it and feeds it;
 * WDIOC_SETTIMEOUT sets whole seconds, of which the driver makes what it can, so what
 * WDIOC_GETTIMEOUT reads back counts; WDIOC_KEEPALIVE feeds. Closing lets it run on: that is how a
 * host is reset whose clusterd was killed. It is stopped by WDIOS_DISABLECARD, which a driver that
 * must not be stopped (nowayout) refuses, and by writing 'V' before closing (magic close).
 *
 * Who is fed when is clusterd/feeder.h's.
 */
#ifndef HV_CLUSTERD_WATCHDOG_H
#define HV_CLUSTERD_WATCHDOG_H

#include "proto/rc.h"

#include <stdbool.h>
#include <stdint.h>

struct watchdog;
/* Opens nothing yet. `any_file`: it need not be a character device (a lab's is a file). */
struct watchdog *watchdog_new(const char *path, bool any_file, const char *record_path);
/* Leaves the device running if it is open. */
void watchdog_free(struct watchdog *w);

/* Without opening it: is there such a device? HV_OK, or as watchdog_open(). */
enum hv_rc watchdog_check(struct watchdog *w, char **ret_text);
/*
 * HV_OK: it runs, with *ret_ms. HV_NOT_FOUND, HV_BUSY (another program has it), HV_IO,
 * HV_BAD_CONFIG (no device that can be fed); *ret_text (malloc'ed) explains.
 */
enum hv_rc watchdog_open(struct watchdog *w, uint32_t timeout_s, uint32_t *ret_ms, char **ret_text);
bool watchdog_feed(struct watchdog *w); /* false: errno says why */
/* Stops and closes it. False: it cannot be stopped, and is still open. */
bool watchdog_stop(struct watchdog *w);
const char *watchdog_name(const struct watchdog *w); /* what the driver calls itself */

/* The record: CLOCK_BOOTTIME of the heartbeat that the lease counts from; 0: the device is stopped.
 */
void watchdog_record(struct watchdog *w, uint64_t boottime_us, uint32_t timeout_s);
/* What the process before has left; 0: nothing, or with another timeout. */
uint64_t watchdog_recorded(const struct watchdog *w, uint32_t timeout_s);

#endif
