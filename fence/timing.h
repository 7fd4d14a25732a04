/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timing.h - when a host that is gone has provably been reset by its own watchdog.
 *
 * PURE. A host with a watchdog feeds it only while its lease is valid (fence/selfguard.h): it is a
 * member of an active epoch, and a heartbeat of its own that it *sent* less than `lease` ago has
 * come back to it through CPG in that epoch. What has come back was sent in a ring that the
 * survivors had not left yet (extended virtual synchrony), so the last one was sent before they saw
 * the membership change. (A host that stood still may order in a ring that they have left, once:
 * then its lease counts from earlier than the heartbeat, selfguard.h.)
 *
 * T = 5 s (what the device reads back), lease = 2 s, token + consensus = 1.1 s. The worst case,
 * second by second, by a clock that is right:
 *
 *     t =  0.0  host3 sends its last heartbeat that comes back, and is cut off
 *     t =  0.0  at the earliest the survivors see the membership change: *detected*. The deadline
 *               runs from here, on the clock of the node that will give the proof. (Usually they
 * see it at t = 1.1, token and consensus later.) t =  2.0  the lease is over: host3 checks at the
 * last moment, it is still valid; before it can feed, its clusterd is stopped (SIGSTOP, no CPU,
 * swap) t =  7.0  at the latest it goes on, and feeds: the last feed was at t = 2.0 or before, so
 * any later it is reset already. This is why T counts twice (sbd's msgwait, for the same reason).
 * The next check finds the lease expired. t = 12.0  host3 is reset: lease + 2 T t = 12.6  host3's
 * clock is 5 % slow: its 12 s took so long t = 13.3  the other clock is 5 % fast: 12.6 s take 13.3
 * s on it t = 13.7  the deadline: 12 s and a tenth, and half a second for what was rounded
 *
 * A lease that lies in the past after a thaw, and a ring that a thawed host still takes for its
 * own, are the self-guard's affair (a stale ring, TILT).
 *
 * Both bounds of a healthy cluster. A ring that forms anew takes token + consensus, and must not
 * cost the survivors their leases. And nobody is to be reset for pauses below the token's time (of
 * a process, of a host and with it of the whole ring), since nobody is lost by them. With the
 * shortest T, which is a second longer than the lease; token 1 s, consensus 1.2 s, lease 2.7 s, T =
 * 3.7 s:
 *
 *     t = 0.0  host3 sends a heartbeat, which comes back. From now on nothing is ordered: one host
 *              after the other stands still with the token, each for less than a second
 *     t = 1.8  at the earliest host3 feeds for the last time: it does so every T / 4 (0.9 s) while
 *              its lease lasts, until t = 2.7
 *     t = 5.5  host3 is reset: 1.8 + T
 *
 * After it the first heartbeat that is sent counts, within 0.4 s, or after a token more where the
 * lease was over (TILT): so the ring may stand for 3.9 s, which is nearly four such pauses without
 * a moment in between (TIMING_STAND_MS).
 */
#ifndef HV_FENCE_TIMING_H
#define HV_FENCE_TIMING_H

#include "proto/base.h"

#include <stdint.h>

#define TIMING_CLOCK_PERCENT 5	    /* by so much a clock may be wrong, either way */
#define TIMING_ROUNDING_MS 500U	    /* and a scheduler late */
#define TIMING_LEASE_MARGIN_MS 500U /* a heartbeat (400 ms) and what it takes to come back */
#define TIMING_HEARTBEATS_MS 1300U  /* three of them, and a late look */
#define TIMING_FEED_MARGIN_MS 1000U /* of T over the lease: a new epoch, a restart of clusterd */
#define TIMING_FEEDS 4		    /* in a T */
#define TIMING_LONGEST_MS 66000U    /* lease + 2 T + device: longer, and a tenth is too little */

/* `device_ms`: how long a quorum device may leave a host that is cut off its vote; 0: there is
 * none. */
#define TIMING_LEFT_MS(watchdog_ms, lease_ms, device_ms)                                           \
	((uint64_t)(lease_ms) + 2 * (uint64_t)(watchdog_ms) + (uint64_t)(device_ms))
#define TIMING_DEADLINE_MS(watchdog_ms, lease_ms, device_ms)                                       \
	(TIMING_LEFT_MS(watchdog_ms, lease_ms, device_ms) * 11 / 10 + TIMING_ROUNDING_MS)
/* What the worst pair of clocks makes of it: (1 + 5 %) / (1 - 5 %). */
#define TIMING_WORST_MS(left_ms)                                                                   \
	((uint64_t)(left_ms) * (100 + TIMING_CLOCK_PERCENT) / (100 - TIMING_CLOCK_PERCENT))

/* And what it leaves of it. */
#define TIMING_LEAST_MS(ms)                                                                        \
	((uint64_t)(ms) * (100 - TIMING_CLOCK_PERCENT) / (100 + TIMING_CLOCK_PERCENT))
/* For so long a ring may order nothing before a member is reset for it; TILT and the next heartbeat
 * (token + 500 ms) are taken off. */
#define TIMING_STAND_MS(watchdog_ms, lease_ms, token_ms)                                           \
	((lease_ms) + (watchdog_ms) - (watchdog_ms) / TIMING_FEEDS -                               \
	 (token_ms)-TIMING_LEASE_MARGIN_MS)

_Static_assert(TIMING_DEADLINE_MS(5000, 2000, 0) == 13700, "the worked example");
_Static_assert(TIMING_LEFT_MS(5000, 2000, 0) == 12000, "the worked example");
_Static_assert(TIMING_DEADLINE_MS(5000, 2000, 0) > TIMING_WORST_MS(12000), "the worked example");
/* The margin over the worst clocks falls with the length: it is least at the longest. */
_Static_assert(TIMING_LONGEST_MS * 11 / 10 + TIMING_ROUNDING_MS >=
		   TIMING_WORST_MS(TIMING_LONGEST_MS) + 150,
	       "a tenth and half a second cover two clocks that are wrong by 5 %");

_Static_assert(TIMING_LEAST_MS(1200) == 1085, "the example of selfguard.h");
/* The shortest lease (of a consensus that is the token's, the least that makes sense) and the
 * shortest T: more than two pauses of a token each, for every token. */
_Static_assert(TIMING_STAND_MS(2000 + 500 + TIMING_FEED_MARGIN_MS, 2000 + 500, 1000) > 2 * 1000,
	       "token and consensus of 1 s");
_Static_assert(TIMING_STAND_MS(200 + 500 + TIMING_FEED_MARGIN_MS, 200 + 500, 100) > 2 * 100,
	       "of 100 ms");
_Static_assert(TIMING_STAND_MS(3700, 2700, 1000) > 3 * 1000, "the second example");

/* One node's figures. watchdog_ms 0: it has none, and time proves nothing of it. */
struct timing {
	uint32_t watchdog_ms, lease_ms, device_ms;
};

/* From the membership change to the proof; 0: never. */
static inline uint64_t timing_deadline_us(const struct timing *t)
{
	if (!t->watchdog_ms)
		return 0;
	return TIMING_DEADLINE_MS(t->watchdog_ms, t->lease_ms, t->device_ms) * HV_US_PER_MS;
}

/*
 * The shortest lease that survives a ring that forms anew, in whole tenths of a second; where the
 * consensus is shorter than a heartbeat, each lease counts from only so long after the heartbeat
 * before, and must last until the next but one.
 */
static inline uint32_t timing_least_lease_ms(uint32_t token_ms, uint32_t consensus_ms)
{
	uint32_t ms = token_ms + consensus_ms + TIMING_LEASE_MARGIN_MS;
	uint32_t left = (uint32_t)TIMING_LEAST_MS(consensus_ms);

	if (ms + left < TIMING_HEARTBEATS_MS)
		ms = TIMING_HEARTBEATS_MS - left;
	return (ms + 99) / 100 * 100;
}

/* Who is silent is not left by the others before so much time has passed, by the worst clocks. */
static inline uint64_t timing_left_us(uint32_t consensus_ms)
{
	return TIMING_LEAST_MS(consensus_ms) * HV_US_PER_MS;
}

/* NULL: the inequality holds. Else which part of it does not. Static. */
static inline const char *timing_wrong(const struct timing *t, uint32_t token_ms,
				       uint32_t consensus_ms)
{
	if (t->lease_ms < token_ms + consensus_ms + TIMING_LEASE_MARGIN_MS)
		return "the lease is shorter than corosync's token and consensus and 500 ms: each "
		       "ring that forms anew would cost healthy hosts their lease";
	if (t->lease_ms + TIMING_LEAST_MS(consensus_ms) < TIMING_HEARTBEATS_MS)
		return "the lease and corosync's consensus are less than 1.3 s together: with a "
		       "heartbeat every 0.4 s the lease would be over before it is renewed";
	if (t->watchdog_ms < t->lease_ms + TIMING_FEED_MARGIN_MS)
		return "the watchdog's timeout is not a second longer than the lease: a host that "
		       "stood still for a moment would be reset";
	if (TIMING_LEFT_MS(t->watchdog_ms, t->lease_ms, t->device_ms) > TIMING_LONGEST_MS)
		return "lease, twice the watchdog's timeout and the quorum device's timeouts are "
		       "more than 66 s together: clocks that run 5 % wrong are not covered";
	return NULL;
}

#endif
