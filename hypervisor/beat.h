/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * beat.h - the heartbeat of one guest: what was heard, and for how long nothing was. Pure.
 *
 *              answered                       answered
 *   UNKNOWN ------------> OK <------------------------------ LOST
 *      |                   |     silent for heartbeat_s,       ^
 *      | silent, and       |     asked BEAT_SILENT_MIN times   |
 *      v never answered    +-----------------------------------+
 *    NEVER
 *
 * Silence counts only while we did look: whenever nobody could tell (libvirt did not answer, the
 * VM was not running, we ourselves stood still) it begins anew, and LOST becomes UNKNOWN. A guest
 * that was reset or has rebooted has to answer once before it can be lost again.
 *
 * `idle` is said of a LOST guest that did no disk I/O and sent nothing for idle_s. What it was
 * sent does not count: broadcasts reach a dead guest as well.
 *
 * Worked example, heartbeat_s = 30, idle_s = 120, asked every 10 s, an ask may take 5 s. The guest
 * hangs just after an answer at 0 s. Asked at 10 s (silence known at 15 s; the counters are read
 * for the first time), 25, 40 (known at 45 s: LOST, 45 >= 30), ... 130 s (known at 135 s: idle,
 * 135 - 15 >= 120). So idle_s counts from the first ask without an answer: at the most one interval
 * and one ask later than the hang.
 */
#ifndef HV_HYPERVISOR_BEAT_H
#define HV_HYPERVISOR_BEAT_H

#include "proto/base.h"
#include "proto/log.pb-c.h"

#define BEAT_SILENT_MIN 2 /* asks without an answer: one may be bad luck */

enum beat_answer {
	BEAT_ANSWERED,
	BEAT_SILENT,
	BEAT_NOBODY_KNOWS, /* it could not be asked, or is not running */
};

struct beat {
	/* What is wanted. */
	uint32_t heartbeat_s, idle_s;
	/* What was heard. */
	Hv__GuestHeartbeat state;
	bool idle;
	bool answered;	     /* since it was started or reset */
	unsigned silent;     /* asks in a row */
	uint64_t heard_us;   /* its latest answer, or when silence began to count */
	bool io_known;	     /* of the looks since silence began */
	uint64_t io;	     /* its counters then */
	uint64_t io_last_us; /* when they were last seen to move, or first seen */
};

/* `answered`: it has, as somebody remembers. */
void beat_begin(struct beat *b, uint32_t heartbeat_s, uint32_t idle_s, bool answered,
		uint64_t now_us);
/* Other times are wanted; what was heard stays. */
void beat_want(struct beat *b, uint32_t heartbeat_s, uint32_t idle_s);
/* An ask has ended so, now. `io`: the counters just after it; `io_known`: they could be had. */
void beat_heard(struct beat *b, enum beat_answer answer, bool io_known, uint64_t io,
		uint64_t now_us);
/* Nobody looked for a while: silence begins anew. */
void beat_break(struct beat *b, uint64_t now_us);
/* It was reset, or boots anew by itself. */
void beat_reboot(struct beat *b, uint64_t now_us);
/* How often it is asked. */
uint64_t beat_every_us(const struct beat *b);

/*
 * Adds one of libvirt's statistics ("block.0.wr.bytes", 512) to the counters of what a guest does,
 * if it is one that shows life. The sum may wrap: only that it moves counts.
 */
void beat_count_io(const char *field, uint64_t value, uint64_t *io);

#endif
