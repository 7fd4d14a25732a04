/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as the records that a store gives back at boot: the log begins with them, says what
 * they end with, applies those that a quorum confirms in their order, and goes on.
 *
 * The store proves order, types and checksums (quorum/log_store_load.c), so those are right here,
 * and the payload is anything. The input is a row of frames, each: what it is (one byte: kind,
 * whether a new epoch begins, whom a fence proof is for), its length (two bytes, little endian),
 * the payload. This node is alone in a cluster of one, or of three (first byte).
 */
#include "quorum/replog.h"

#include "tests/fuzz/arena.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define SELF 1
#define ENTRIES_MAX 64
#define OUTPUTS_MAX 10000

struct run {
	struct replog *log;
	uint64_t now_us, applied;
};

static uint8_t *no_snapshot(void *user _unused_, uint64_t index _unused_, size_t *ret_len)
{
	*ret_len = 1;
	return hv_xcalloc(1, 1);
}

static size_t records_from(const uint8_t *data, size_t size, struct rl_entry *ret)
{
	struct rl_epoch epoch = {1, 1, 1};
	size_t n = 0;

	while (size >= 3 && n < ENTRIES_MAX) {
		size_t len = (size_t)data[1] | (size_t)data[2] << 8;

		if (len > size - 3)
			len = size - 3;
		if (data[0] & 4)
			epoch.number++;
		ret[n] = (struct rl_entry){.epoch = epoch,
					   .index = n + 1,
					   .type = RL_VIEW + data[0] % 3,
					   .fenced_node = (data[0] >> 4) % 4,
					   .len = len,
					   .data = data + 3};
		n++;
		data += 3 + len;
		size -= 3 + len;
	}
	return n;
}

static void feed(struct run *r, struct rl_input *in);

static void carry_out(struct run *r)
{
	struct rl_output out;
	uint64_t durable = 0;
	_cleanup_free_ uint8_t *said = NULL;
	size_t said_len = 0;

	for (unsigned i = 0; rl_next_output(r->log, &out); i++) {
		hv_assert(i < OUTPUTS_MAX);
		if (out.kind == RL_OUT_WRITE)
			durable = out.write->number;
		if (out.kind == RL_OUT_MULTICAST) {
			free(said);
			said = hv_xmemdup(out.data, out.len);
			said_len = out.len;
		}
		if (out.kind == RL_OUT_APPLY) {
			hv_assert(out.entry->index == ++r->applied);
			rl_set_digest(r->log, r->applied, r->applied);
		}
	}
	if (durable)
		feed(r, &(struct rl_input){.kind = RL_IN_DURABLE, .write = durable});
	if (said)
		feed(r, &(struct rl_input){
			    .kind = RL_IN_DELIVER, .sender = SELF, .data = said, .len = said_len});
}

static void feed(struct run *r, struct rl_input *in)
{
	in->now_us = in->cluster_us = r->now_us += 1000;
	in->wall_ms = r->now_us / 1000;
	rl_input(r->log, in);
	carry_out(r);
}

/* The node's ring forms: hello, activate, the first entry of an epoch, all of its own. */
static void ring(struct run *r, uint32_t nodes)
{
	static const hv_node_id members[] = {SELF};

	feed(r, &(struct rl_input){.kind = RL_IN_CONFCHG,
				   .ring = {1, 1},
				   .members = members,
				   .n_members = 1,
				   .ring_members = members,
				   .n_ring_members = 1});
	feed(r,
	     &(struct rl_input){
		 .kind = RL_IN_QUORUM, .ring = {1, 1}, .quorate = true, .quorum = nodes / 2 + 1});
	for (unsigned i = 0; i < 3; i++) {
		r->now_us += 400000;
		feed(r, &(struct rl_input){.kind = RL_IN_TICK});
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rl_config cfg = {.self = SELF,
				.incarnation = 2,
				.feature = 1,
				.hello_timeout_us = 300000,
				.ack_timeout_us = 2000000,
				.heartbeat_us = 250000,
				.snapshot_every = 4,
				.max_pending = 16};
	struct rl_entry entries[ENTRIES_MAX];
	struct rl_boot boot = {.entries = entries, .promised = 100};
	struct run r = {0};

	if (size == 0)
		return 0;
	cfg.n_nodes = *data % 2 ? 3 : 1;
	for (uint32_t i = 0; i < cfg.n_nodes; i++)
		cfg.nodes[i] = (struct rl_node_cfg){i + 1, 1};
	arena_enter();
	boot.n_entries = records_from(data + 1, size - 1, entries);
	r.log = rl_new(&cfg, &boot, no_snapshot, NULL);
	ring(&r, cfg.n_nodes);
	hv_assert(cfg.n_nodes > 1 || r.applied > boot.n_entries);
	rl_free(r.log);
	hv_assert(arena_live() == 0);
	arena_reset();
	return 0;
}
