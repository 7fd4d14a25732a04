/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The heartbeat of one guest: when it is lost, when it is idle, and what counts for neither. */
#include "hypervisor/beat.h"

#include <criterion/criterion.h>

#define S HV_US_PER_S
#define UNKNOWN HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN
#define NEVER HV__GUEST_HEARTBEAT__HEARTBEAT_NEVER
#define OK HV__GUEST_HEARTBEAT__HEARTBEAT_OK
#define LOST HV__GUEST_HEARTBEAT__HEARTBEAT_LOST

static struct beat beat_of(bool answered)
{
	struct beat b;

	beat_begin(&b, 30, 120, answered, 1000 * S);
	return b;
}

static void silent(struct beat *b, uint64_t io, uint64_t at_s)
{
	beat_heard(b, BEAT_SILENT, true, io, (1000 + at_s) * S);
}

static void answers(struct beat *b, uint64_t at_s)
{
	beat_heard(b, BEAT_ANSWERED, false, 0, (1000 + at_s) * S);
}

/* The worked example of beat.h. */
Test(beat, a_guest_that_hangs_is_lost_and_then_idle)
{
	struct beat b = beat_of(false);

	answers(&b, 0);
	cr_assert_eq(b.state, OK);
	silent(&b, 7, 15);
	silent(&b, 7, 29);
	cr_assert_eq(b.state, OK, "29 s are not 30");
	silent(&b, 7, 45);
	cr_assert_eq(b.state, LOST);
	cr_assert_not(b.idle);
	silent(&b, 7, 134);
	cr_assert_not(b.idle, "119 s after the counters were first read");
	silent(&b, 7, 135);
	cr_assert(b.idle);
	answers(&b, 140);
	cr_assert_eq(b.state, OK);
	cr_assert_not(b.idle);
}

Test(beat, who_never_answered_cannot_be_lost)
{
	struct beat b = beat_of(false);

	cr_assert_eq(b.state, UNKNOWN);
	for (uint64_t t = 10; t < 3600; t += 10)
		silent(&b, 7, t);
	cr_assert_eq(b.state, NEVER);
	cr_assert_not(b.idle);
}

Test(beat, what_the_cluster_remembers_counts_as_an_answer)
{
	struct beat b = beat_of(true);

	silent(&b, 7, 10);
	cr_assert_eq(b.state, UNKNOWN);
	silent(&b, 7, 31);
	cr_assert_eq(b.state, LOST);
}

Test(beat, one_ask_without_an_answer_is_never_enough)
{
	struct beat b = beat_of(true);

	silent(&b, 7, 500);
	cr_assert_eq(b.state, UNKNOWN);
	silent(&b, 7, 501);
	cr_assert_eq(b.state, LOST);
}

Test(beat, a_guest_that_does_io_is_lost_but_not_idle)
{
	struct beat b = beat_of(true);

	for (uint64_t t = 10; t < 3600; t += 10)
		silent(&b, t, t);
	cr_assert_eq(b.state, LOST);
	cr_assert_not(b.idle);
	for (uint64_t t = 3600; t < 3710; t += 10)
		silent(&b, 5, t);
	cr_assert_not(b.idle, "its latest I/O was 100 s ago");
	silent(&b, 5, 3720);
	cr_assert(b.idle);
	silent(&b, 6, 3730);
	cr_assert_not(b.idle, "it has moved");
	cr_assert_eq(b.state, LOST);
}

Test(beat, without_counters_nothing_is_idle)
{
	struct beat b = beat_of(true);

	for (uint64_t t = 10; t < 1000; t += 10)
		beat_heard(&b, BEAT_SILENT, false, 0, (1000 + t) * S);
	cr_assert_eq(b.state, LOST);
	cr_assert_not(b.idle);
	silent(&b, 7, 1000);
	silent(&b, 7, 1100);
	beat_heard(&b, BEAT_SILENT, false, 0, 2110 * S);
	silent(&b, 7, 1121);
	cr_assert_not(b.idle, "it may have moved, and back");
	silent(&b, 7, 1241);
	cr_assert(b.idle);
}

Test(beat, time_in_which_nobody_looked_does_not_count)
{
	struct beat b = beat_of(true);

	silent(&b, 7, 10);
	silent(&b, 7, 20);
	beat_heard(&b, BEAT_NOBODY_KNOWS, false, 0, 1029 * S);
	silent(&b, 7, 40);
	silent(&b, 7, 50);
	cr_assert_neq(b.state, LOST, "21 s");
	silent(&b, 7, 60);
	cr_assert_eq(b.state, LOST);
	for (uint64_t t = 70; t < 200; t += 10)
		silent(&b, 7, t);
	cr_assert(b.idle);
	beat_break(&b, 1200 * S);
	cr_assert_eq(b.state, UNKNOWN, "what was lost is not known any more");
	cr_assert_not(b.idle);
	silent(&b, 7, 210);
	silent(&b, 7, 235);
	cr_assert_eq(b.state, LOST);
	cr_assert_not(b.idle, "the counters begin anew, too");
}

Test(beat, what_is_well_stays_so_while_nobody_looks)
{
	struct beat b = beat_of(false);

	answers(&b, 0);
	beat_break(&b, 1010 * S);
	cr_assert_eq(b.state, OK);
	beat_heard(&b, BEAT_NOBODY_KNOWS, false, 0, 9999 * S);
	cr_assert_eq(b.state, OK);
}

Test(beat, after_a_reboot_it_has_to_answer_first)
{
	struct beat b = beat_of(true);

	silent(&b, 7, 20);
	silent(&b, 7, 40);
	beat_reboot(&b, 1041 * S);
	cr_assert_eq(b.state, NEVER);
	for (uint64_t t = 50; t < 900; t += 10)
		silent(&b, 7, t);
	cr_assert_eq(b.state, NEVER);
	answers(&b, 900);
	silent(&b, 7, 910);
	silent(&b, 7, 931);
	cr_assert_eq(b.state, LOST);
}

Test(beat, it_is_asked_three_times_in_its_time)
{
	struct beat b = beat_of(false);

	cr_assert_eq(beat_every_us(&b), 10 * S);
	beat_want(&b, 6, 1);
	cr_assert_eq(beat_every_us(&b), 2 * S);
	beat_want(&b, 1, 1);
	cr_assert_eq(beat_every_us(&b), S);
	beat_want(&b, UINT32_MAX, UINT32_MAX);
	cr_assert_eq(beat_every_us(&b), 10 * S);
}

static const struct {
	const char *field;
	bool counts;
} fields[] = {
    {"block.0.rd.reqs", true},
    {"block.0.rd.bytes", true},
    {"block.13.wr.bytes", true},
    {"block.0.fl.reqs", true},
    {"block.0.rd.times", false},
    {"block.0.allocation", false},
    {"block.count", false},
    {"net.0.tx.bytes", true},
    {"net.0.tx.pkts", true},
    {"net.0.rx.bytes", false},
    {"net.0.rx.pkts", false},
    {"net.count", false},
    {"block..wr.bytes", false},
    {"block.0.wr.bytesx", false},
    {"block.0wr.bytes", false},
    {"xblock.0.wr.bytes", false},
    {"", false},
    {"net.", false},
};

Test(beat, only_what_the_guest_does_counts)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint64_t io = 0;

		beat_count_io(fields[i].field, 3, &io);
		cr_assert_eq(io, fields[i].counts ? 3 : 0, "%s", fields[i].field);
	}
}
