/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/beat.h"

#include <ctype.h>
#include <string.h>

#define EVERY_MIN_US HV_US_PER_S
#define EVERY_MAX_US (10 * HV_US_PER_S)

static void silence_begins(struct beat *b, uint64_t now_us)
{
	b->heard_us = now_us;
	b->silent = 0;
	b->io_known = false;
	b->idle = false;
}

void beat_begin(struct beat *b, uint32_t heartbeat_s, uint32_t idle_s, bool answered,
		uint64_t now_us)
{
	memset(b, 0, sizeof(*b));
	beat_want(b, heartbeat_s, idle_s);
	b->answered = answered;
	silence_begins(b, now_us);
}

void beat_want(struct beat *b, uint32_t heartbeat_s, uint32_t idle_s)
{
	b->heartbeat_s = heartbeat_s;
	b->idle_s = idle_s;
}

void beat_break(struct beat *b, uint64_t now_us)
{
	silence_begins(b, now_us);
	if (b->state == HV__GUEST_HEARTBEAT__HEARTBEAT_LOST)
		b->state = HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN;
}

void beat_reboot(struct beat *b, uint64_t now_us)
{
	silence_begins(b, now_us);
	b->answered = false;
	b->state = HV__GUEST_HEARTBEAT__HEARTBEAT_NEVER;
}

static void note_io(struct beat *b, bool io_known, uint64_t io, uint64_t now_us)
{
	if (!io_known || !b->io_known || io != b->io)
		b->io_last_us = now_us;
	b->io_known = io_known;
	b->io = io;
}

static void heard_nothing(struct beat *b, uint64_t now_us)
{
	bool lost;

	if (!b->answered) {
		b->state = HV__GUEST_HEARTBEAT__HEARTBEAT_NEVER;
		return;
	}
	b->silent++;
	lost = b->silent >= BEAT_SILENT_MIN && now_us - b->heard_us >= b->heartbeat_s * HV_US_PER_S;
	if (lost)
		b->state = HV__GUEST_HEARTBEAT__HEARTBEAT_LOST;
	b->idle = lost && b->io_known && now_us - b->io_last_us >= b->idle_s * HV_US_PER_S;
}

void beat_heard(struct beat *b, enum beat_answer answer, bool io_known, uint64_t io,
		uint64_t now_us)
{
	switch (answer) {
	case BEAT_ANSWERED:
		silence_begins(b, now_us);
		b->answered = true;
		b->state = HV__GUEST_HEARTBEAT__HEARTBEAT_OK;
		break;
	case BEAT_SILENT:
		note_io(b, io_known, io, now_us);
		heard_nothing(b, now_us);
		break;
	case BEAT_NOBODY_KNOWS:
		beat_break(b, now_us);
		break;
	}
}

uint64_t beat_every_us(const struct beat *b)
{
	uint64_t third = b->heartbeat_s * HV_US_PER_S / 3;

	if (third < EVERY_MIN_US)
		return EVERY_MIN_US;
	return third > EVERY_MAX_US ? EVERY_MAX_US : third;
}

/* "block.12." or "net.3.": what follows; NULL: neither. */
static const char *after_index(const char *field, const char *group)
{
	size_t len = strlen(group);

	if (strncmp(field, group, len) != 0 || !isdigit((unsigned char)field[len]))
		return NULL;
	field += len;
	while (isdigit((unsigned char)*field))
		field++;
	return *field == '.' ? field + 1 : NULL;
}

void beat_count_io(const char *field, uint64_t value, uint64_t *io)
{
	static const char *const block[] = {"rd.reqs", "rd.bytes", "wr.reqs", "wr.bytes",
					    "fl.reqs"};
	static const char *const net[] = {"tx.pkts", "tx.bytes"};
	const char *what = after_index(field, "block.");

	for (size_t i = 0; what && i < ARRAY_SIZE(block); i++)
		if (strcmp(what, block[i]) == 0)
			*io += value;
	what = after_index(field, "net.");
	for (size_t i = 0; what && i < ARRAY_SIZE(net); i++)
		if (strcmp(what, net[i]) == 0)
			*io += value;
}
