/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_time.h - the clocks of this host; the only place where clusterd asks for the time.
 *
 * Deadlines use CLOCK_MONOTONIC, which this host's children share; the wall clock is for display.
 */
#ifndef HV_CLUSTERD_HOST_TIME_H
#define HV_CLUSTERD_HOST_TIME_H

#include "proto/base.h"

#include <time.h>

static inline uint64_t host_time_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * HV_US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}

static inline uint64_t mono_us(void)
{
	return host_time_us(CLOCK_MONOTONIC);
}

static inline uint64_t wall_ms(void)
{
	return host_time_us(CLOCK_REALTIME) / HV_US_PER_MS;
}

#endif
