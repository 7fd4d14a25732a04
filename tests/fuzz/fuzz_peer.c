/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as messages of the other members of a running log: refused or taken, never a crash, an
 * endless exchange or a commit that we did not write first.
 *
 * The input is a row of frames, each: who sends it (one byte), its length (two bytes, little
 * endian), the message. What the log itself multicasts comes back to it, and what it writes is
 * durable at once, so that an input that opens an epoch goes on into it.
 */
#include "quorum/peer_msg.h"
#include "quorum/replog.h"

#include "tests/fuzz/arena.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define SELF 1
#define NODES 3
#define QUEUE_MAX 4096
#define OUTPUTS_MAX 100000 /* of one input: more is an endless exchange */

struct next {
	uint64_t write; /* durable; 0: a message of our own */
	uint8_t *data;
	size_t len;
};
struct run {
	struct replog *log;
	uint64_t now_us, applied, written;
	bool digest_due;
	unsigned outputs;
	struct next *queue; /* of QUEUE_MAX; its used part is `n_queue` long */
	size_t n_queue;
};

static uint8_t *no_snapshot(void *user _unused_, uint64_t index _unused_, size_t *ret_len)
{
	*ret_len = 1;
	return hv_xcalloc(1, 1);
}

/* An input that follows from an output waits until all outputs are carried out. */
static void later(struct run *r, const struct next *next)
{
	hv_assert(r->n_queue < QUEUE_MAX);
	r->queue[r->n_queue++] = *next;
}

static void carry_out(struct run *r, const struct rl_output *out)
{
	switch (out->kind) {
	case RL_OUT_MULTICAST:
		later(r, &(struct next){.data = hv_xmemdup(out->data, out->len), .len = out->len});
		break;
	case RL_OUT_WRITE:
		hv_assert(out->write->number > r->written);
		r->written = out->write->number;
		later(r, &(struct next){.write = r->written});
		break;
	case RL_OUT_APPLY:
		hv_assert(out->entry->index == r->applied + 1);
		r->applied = out->entry->index;
		r->digest_due = true;
		break;
	case RL_OUT_INSTALL:
		r->applied = out->index;
		break;
	case RL_OUT_STATUS:
	case RL_OUT_DIVERGED:
	case RL_OUT_GOSSIP:
		break;
	}
}

static void feed_one(struct run *r, struct rl_input *in)
{
	struct rl_output out;

	r->now_us += 1000;
	in->now_us = in->cluster_us = r->now_us;
	in->wall_ms = r->now_us / 1000;
	rl_input(r->log, in);
	while (rl_next_output(r->log, &out)) {
		hv_assert(r->outputs++ < OUTPUTS_MAX);
		carry_out(r, &out);
		if (r->digest_due)
			rl_set_digest(r->log, r->applied, r->applied);
		r->digest_due = false;
	}
}

static void feed(struct run *r, struct rl_input *in)
{
	feed_one(r, in);
	for (size_t i = 0; i < r->n_queue; i++) {
		struct next next = r->queue[i];
		struct rl_input more = {.kind = next.write ? RL_IN_DURABLE : RL_IN_DELIVER,
					.write = next.write,
					.sender = SELF,
					.data = next.data,
					.len = next.len};

		feed_one(r, &more);
		free(next.data);
	}
	r->n_queue = 0;
}

static void deliver(struct run *r, hv_node_id sender, const uint8_t *data, size_t len)
{
	struct rl_input in = {.kind = RL_IN_DELIVER, .sender = sender, .data = data, .len = len};

	feed(r, &in);
}

static void begin(struct run *r)
{
	static const hv_node_id members[NODES] = {1, 2, 3};
	struct rl_config cfg = {.self = SELF,
				.incarnation = 1,
				.feature = 1,
				.n_nodes = NODES,
				.hello_timeout_us = 300000,
				.ack_timeout_us = 2000000,
				.heartbeat_us = 250000,
				.snapshot_every = 4,
				.max_pending = 16};
	struct rl_boot boot = {0};
	struct rl_input view = {.kind = RL_IN_CONFCHG,
				.ring = {1, 1},
				.members = members,
				.n_members = NODES,
				.ring_members = members,
				.n_ring_members = NODES};
	struct rl_input votes = {
	    .kind = RL_IN_QUORUM, .ring = {1, 1}, .quorate = true, .quorum = 2};

	for (uint32_t i = 0; i < NODES; i++)
		cfg.nodes[i] = (struct rl_node_cfg){i + 1, 1};
	r->log = rl_new(&cfg, &boot, no_snapshot, NULL);
	feed(r, &view);
	feed(r, &votes);
}

/* Nothing may be left behind. Where it is not free of charge, one input in 16 is asked. */
static void end(struct run *r, struct run *prepared, bool freed)
{
	if (freed) {
		rl_free(r->log);
		hv_assert(arena_live() == 0);
	}
	if (arena_reset())
		return;
	if (!freed)
		rl_free(r->log);
	prepared->log = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct next queue[QUEUE_MAX];
	static struct run prepared;
	struct rl_input tick = {.kind = RL_IN_TICK};
	bool freed = fuzz_hash(data, size) % 16 == 0;
	struct run r;

	arena_enter();
	if (!prepared.log) {
		prepared = (struct run){.queue = queue};
		begin(&prepared);
		arena_keep();
	}
	r = prepared;
	while (size >= 3) {
		size_t len = (size_t)data[1] | (size_t)data[2] << 8;
		_cleanup_free_ uint8_t *frame = NULL;

		if (len > size - 3)
			len = size - 3;
		frame = hv_xmemdup(data + 3, len); /* its own block: a read beyond it is seen */
		deliver(&r, 1 + data[0] % (NODES + 1), frame, len);
		if (data[0] & 0x80) {
			r.now_us += 400000;
			feed(&r, &tick);
		}
		data += 3 + len;
		size -= 3 + len;
	}
	end(&r, &prepared, freed);
	return 0;
}
