/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeds of fuzz_peer and fuzz_boot: what logs say to each other and keep. */
#include "quorum/replog.h"

#include "tests/fuzz/seeds.h"

#include <string.h>

#define LOGS 3

/* ---- three logs and the order in which their messages are delivered */

struct message {
	hv_node_id sender;
	uint8_t *data;
	size_t len;
};
static struct message queue[4096];
static size_t n_queue, n_delivered;
static struct replog *logs[LOGS];
static uint64_t now_us;

static uint8_t *snapshot(void *user _unused_, uint64_t index _unused_, size_t *ret_len)
{
	*ret_len = 1;
	return hv_xcalloc(1, 1);
}

static void feed(unsigned i, struct rl_input *in);

/* Carries out what log `i` has put out: all of it before the next input. */
static void carry_out(unsigned i)
{
	struct rl_output out;
	uint64_t written = 0;

	while (rl_next_output(logs[i], &out)) {
		if (out.kind == RL_OUT_MULTICAST && n_queue < ARRAY_SIZE(queue))
			queue[n_queue++] =
			    (struct message){i + 1, hv_xmemdup(out.data, out.len), out.len};
		else if (out.kind == RL_OUT_WRITE)
			written = out.write->number;
		else if (out.kind == RL_OUT_APPLY)
			rl_set_digest(logs[i], out.entry->index, out.entry->index);
	}
	if (written) {
		struct rl_input done = {.kind = RL_IN_DURABLE, .write = written};

		feed(i, &done);
	}
}

static void feed(unsigned i, struct rl_input *in)
{
	in->now_us = in->cluster_us = now_us += 10;
	rl_input(logs[i], in);
	carry_out(i);
}

static void deliver_all(void)
{
	for (; n_delivered < n_queue; n_delivered++)
		for (unsigned i = 0; i < LOGS; i++) {
			struct rl_input in = {.kind = RL_IN_DELIVER,
					      .sender = queue[n_delivered].sender,
					      .data = queue[n_delivered].data,
					      .len = queue[n_delivered].len};

			feed(i, &in);
		}
}

static void logs_start(void)
{
	static const hv_node_id members[LOGS] = {1, 2, 3};
	struct rl_boot boot = {0};

	for (unsigned i = 0; i < LOGS; i++) {
		struct rl_config cfg = {.self = i + 1,
					.incarnation = 1,
					.feature = 1,
					.n_nodes = LOGS,
					.hello_timeout_us = 300000,
					.ack_timeout_us = 2000000,
					.heartbeat_us = 250000,
					.snapshot_every = 4,
					.max_pending = 16};

		for (uint32_t k = 0; k < LOGS; k++)
			cfg.nodes[k] = (struct rl_node_cfg){k + 1, 1};
		logs[i] = rl_new(&cfg, &boot, snapshot, NULL);
	}
	for (unsigned i = 0; i < LOGS; i++) {
		struct rl_input view = {.kind = RL_IN_CONFCHG,
					.ring = {1, 1},
					.members = members,
					.n_members = LOGS,
					.ring_members = members,
					.n_ring_members = LOGS};
		struct rl_input votes = {
		    .kind = RL_IN_QUORUM, .ring = {1, 1}, .quorate = true, .quorum = 2};

		feed(i, &view);
		feed(i, &votes);
	}
	deliver_all();
}

/* What node 1 hears of the others, from message `from` on, as a row of frames. */
static void save_messages(const char *name, size_t from)
{
	_cleanup_free_ uint8_t *buf = NULL;
	size_t len = 0;

	for (size_t i = from; i < n_queue; i++) {
		const struct message *m = &queue[i];
		uint8_t head[3] = {(uint8_t)(m->sender - 1), (uint8_t)m->len,
				   (uint8_t)(m->len >> 8)};

		if (m->sender == 1 || m->len > UINT16_MAX)
			continue;
		buf = hv_xrealloc(buf, len + 3 + m->len, 1);
		memcpy(buf + len, head, 3);
		memcpy(buf + len + 3, m->data, m->len);
		len += 3 + m->len;
	}
	seed_save("peer", name, buf, len);
}

static void peer_seeds(void)
{
	struct rl_input tick = {.kind = RL_IN_TICK};
	uint8_t event[20] = {0x08, 0x01, 0x18, 0x01, 0x62, 0x00};

	logs_start();
	save_messages("activation", 0);
	for (unsigned k = 0; k < 6; k++) {
		rl_propose(logs[1 + k % 2], now_us, RL_COMMAND, 0, event, 6);
		carry_out(1 + k % 2);
		deliver_all();
	}
	now_us += 300000;
	for (unsigned i = 0; i < LOGS; i++)
		feed(i, &tick);
	deliver_all();
	save_messages("commits", 0);
	for (unsigned i = 0; i < LOGS; i++)
		rl_free(logs[i]);
	for (size_t i = 0; i < n_queue; i++)
		free(queue[i].data);
}

/* ---- what a store gives back */

static void record_add(uint8_t *buf, size_t *len, uint8_t kind, const Hv__Event *ev)
{
	size_t n = hv__event__get_packed_size(ev);

	buf[*len] = kind;
	buf[*len + 1] = (uint8_t)n;
	buf[*len + 2] = (uint8_t)(n >> 8);
	hv__event__pack(ev, buf + *len + 3);
	*len += 3 + n;
}

/* A whole epoch with two commands, then a minority epoch whose barrier a fence proof lifts. */
static void boot_seeds(void)
{
	Hv__Event view = HV__EVENT__INIT, tick = HV__EVENT__INIT;
	Hv__View body = HV__VIEW__INIT;
	Hv__Tick nothing = HV__TICK__INIT;
	uint32_t lost[] = {2};
	uint8_t buf[1024] = {0}; /* alone */
	size_t len = 1;

	view.body_case = HV__EVENT__BODY_VIEW;
	view.view = &body;
	tick.body_case = HV__EVENT__BODY_TICK;
	tick.tick = &nothing;
	tick.at_us = 1000;
	record_add(buf, &len, 0, &view);
	record_add(buf, &len, 1, &tick);
	record_add(buf, &len, 1, &tick);
	seed_save("boot", "whole", buf, len);
	body.minority = true;
	body.lost = lost;
	body.n_lost = 1;
	record_add(buf, &len, 0 + 4, &view);
	record_add(buf, &len, 1, &tick);
	seed_save("boot", "barrier", buf, len);
	record_add(buf, &len, 2 + (2 << 4), &tick);
	seed_save("boot", "fenced", buf, len);
	buf[0] = 1; /* one of three */
	seed_save("boot", "of-three", buf, len);
}

void seeds_of_log(void)
{
	peer_seeds();
	boot_seeds();
}
