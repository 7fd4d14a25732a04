/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * write_seeds DIR - writes the seeds of fuzz_peer, fuzz_event, fuzz_snapshot and fuzz_control that
 * are made of packed messages: real ones, of a small cluster and of three logs that talk to each
 * other. Run it again when a message has changed (make fuzz-seeds).
 */
#include "proto/control.pb-c.h"
#include "proto/wire.h"
#include "quorum/replog.h"
#include "tests/unit/small_cluster.h"

#include <stdio.h>

#define LOGS 3

static const char *top;

static void save(const char *folder, const char *name, const void *data, size_t len)
{
	_cleanup_free_ char *path = hv_xasprintf("%s/%s/%s", top, folder, name);
	FILE *f = fopen(path, "w");

	if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

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
	save("peer", name, buf, len);
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

/* ---- events, alone and in rows */

static uint8_t row[65536];
static size_t row_len;

static void row_add(const Hv__Event *ev)
{
	size_t len = hv__event__get_packed_size(ev);

	row[row_len] = (uint8_t)len;
	row[row_len + 1] = (uint8_t)(len >> 8);
	hv__event__pack(ev, row + row_len + 2);
	row_len += 2 + len;
}

static void row_event(Hv__Event *ev, hv_node_id proposer)
{
	static uint64_t seq = 100;

	ev->proposer = proposer;
	ev->incarnation = SMALL_INCARNATION;
	ev->seq = ++seq;
	ev->at_us = 1000000 * seq;
	row_add(ev);
}

static void row_command(Hv__Command *cmd)
{
	static uint64_t request = 100;
	Hv__Event ev = HV__EVENT__INIT;

	cmd->actor = "root@host1";
	cmd->request = ++request;
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = cmd;
	row_event(&ev, 1);
}

#define COMMAND(CASE, field, Type, init, ...)                                                      \
	do {                                                                                       \
		Hv__Command cmd_ = HV__COMMAND__INIT;                                              \
		Hv__##Type body_ = init;                                                           \
		__VA_ARGS__;                                                                       \
		cmd_.body_case = HV__COMMAND__BODY_##CASE;                                         \
		cmd_.field = &body_;                                                               \
		row_command(&cmd_);                                                                \
	} while (0)

static void vm_commands(void)
{
	COMMAND(VM_START, vm_start, VmStart, HV__VM_START__INIT, body_.name = "db");
	COMMAND(VM_MIGRATE, vm_migrate, VmMigrate, HV__VM_MIGRATE__INIT, body_.name = "web",
		body_.node = "host2");
	COMMAND(VM_PAUSE, vm_pause, VmPause, HV__VM_PAUSE__INIT, body_.name = "web");
	COMMAND(VM_RESUME, vm_resume, VmResume, HV__VM_RESUME__INIT, body_.name = "web");
	COMMAND(VM_STOP, vm_stop, VmStop, HV__VM_STOP__INIT, body_.name = "web",
		body_.force = true);
	COMMAND(VM_LOCK, vm_lock, VmLock, HV__VM_LOCK__INIT, body_.name = "db",
		body_.reason = "backup");
	COMMAND(VM_REMOVE, vm_remove, VmRemove, HV__VM_REMOVE__INIT, body_.name = "db",
		body_.stop_first = true);
}

static void set_commands(void)
{
	Hv__KeyValue kv = HV__KEY_VALUE__INIT, *kvs[] = {&kv};

	kv.key = "priority";
	kv.value = "5";
	COMMAND(VM_SET, vm_set, VmSet, HV__VM_SET__INIT, body_.name = "web", body_.attributes = kvs,
		body_.n_attributes = 1);
	COMMAND(SETTING_SET, setting_set, SettingSet, HV__SETTING_SET__INIT,
		body_.key = "placement", body_.value = "count");
}

static void rule_commands(void)
{
	Hv__RuleNode rn = HV__RULE_NODE__INIT, *rns[] = {&rn};
	char *vms[] = {"web", "db"};

	rn.node = "host1";
	rn.priority = 2;
	for (int kind = HV__RULE_KIND__RULE_NODES; kind <= HV__RULE_KIND__RULE_AFTER; kind++)
		COMMAND(RULE_ADD, rule_add, RuleAdd, HV__RULE_ADD__INIT, body_.name = "r",
			body_.kind = (Hv__RuleKind)kind, body_.vms = vms, body_.n_vms = 2,
			body_.nodes = rns, body_.n_nodes = 1, body_.hard = true);
	COMMAND(RULE_REMOVE, rule_remove, RuleRemove, HV__RULE_REMOVE__INIT, body_.name = "r");
}

static void fence_commands(void)
{
	Hv__KeyValue kv = HV__KEY_VALUE__INIT, *kvs[] = {&kv};
	Hv__KeyValue plug = HV__KEY_VALUE__INIT, *maps[] = {&plug};

	kv.key = "ip";
	kv.value = "192.0.2.1";
	plug.key = "host2";
	plug.value = "3";
	COMMAND(FENCE_ADD, fence_add, FenceAdd, HV__FENCE_ADD__INIT, body_.node = "host2",
		body_.device = "bmc", body_.agent = "fence_ipmilan", body_.options = kvs,
		body_.n_options = 1);
	COMMAND(FENCE_ADD, fence_add, FenceAdd, HV__FENCE_ADD__INIT, body_.device = "pdu",
		body_.agent = "fence_apc", body_.delay_s = 2, body_.delay_random_s = 3,
		body_.unfence = true, body_.waited = true, body_.map = maps, body_.n_map = 1);
	COMMAND(NODE_RELEASE, node_release, NodeRelease, HV__NODE_RELEASE__INIT,
		body_.node = "host2");
	COMMAND(FENCE_TEST, fence_test, FenceTest, HV__FENCE_TEST__INIT, body_.node = "host2",
		body_.device = "bmc");
	COMMAND(NODE_FENCE, node_fence, NodeFence, HV__NODE_FENCE__INIT, body_.node = "host2");
	COMMAND(FENCE_CONFIRM, fence_confirm, FenceConfirm, HV__FENCE_CONFIRM__INIT,
		body_.node = "host2");
	COMMAND(FENCE_REMOVE, fence_remove, FenceRemove, HV__FENCE_REMOVE__INIT,
		body_.node = "host2", body_.device = "bmc");
}

static void node_commands(void)
{
	COMMAND(NODE_DRAIN, node_drain, NodeDrain, HV__NODE_DRAIN__INIT, body_.node = "host1");
	COMMAND(NODE_RESUME, node_resume, NodeResume, HV__NODE_RESUME__INIT, body_.node = "host1");
	COMMAND(NODE_SHUTDOWN, node_shutdown, NodeShutdown, HV__NODE_SHUTDOWN__INIT,
		body_.node = "host2", body_.reboot = true);
	COMMAND(ARM, arm, Arm, HV__ARM__INIT, body_.disarm = true);
	COMMAND(OP_CANCEL, op_cancel, OpCancel, HV__OP_CANCEL__INIT, body_.op = 4096);
}

static void member_lost(void)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__View view = HV__VIEW__INIT;
	Hv__Member m = HV__MEMBER__INIT, *members[] = {&m};
	uint32_t lost[] = {2};

	m.node = 1;
	m.incarnation = SMALL_INCARNATION;
	m.feature = 1;
	view.members = members;
	view.n_members = 1;
	view.lost = lost;
	view.n_lost = 1;
	view.minority = true;
	ev.proposer = 1;
	ev.at_us = 500000000;
	ev.body_case = HV__EVENT__BODY_VIEW;
	ev.view = &view;
	row_add(&ev);
}

#define WEB_UUID "00000000-0000-4000-8000-000000000001"
#define DB_UUID "00000000-0000-4000-8000-000000000002"

static struct small world_new(void)
{
	struct small s = small_online();

	small_vm_add(&s, "web", WEB_UUID, true);
	small_vm_add(&s, "db", DB_UUID, false);
	return s;
}

#define EVENT(CASE, field, Type, init, node, ...)                                                  \
	do {                                                                                       \
		Hv__Event ev_ = HV__EVENT__INIT;                                                   \
		Hv__##Type body_ = init;                                                           \
		__VA_ARGS__;                                                                       \
		ev_.body_case = HV__EVENT__BODY_##CASE;                                            \
		ev_.field = &body_;                                                                \
		row_event(&ev_, node);                                                             \
	} while (0)

/* What hosts say: the start of web worked, db was seen somewhere, a hypervisor layer has trouble.
 */
static void observations(void)
{
	_cleanup_small_ struct small s = world_new();
	const struct operation *op = cluster_op(s.c, cluster_vm_by_name(s.c, "web")->op);
	Hv__DomainSeen seen = HV__DOMAIN_SEEN__INIT, *domains[] = {&seen};

	EVENT(OP_RESULT, op_result, OpResult, HV__OP_RESULT__INIT, op->node, body_.op = op->id,
	      body_.attempt = op->attempt, body_.node = op->node,
	      body_.observed = HV__OBSERVED__OBSERVED_RUNNING);
	seen.uuid = DB_UUID;
	seen.name = "db";
	seen.observed = HV__OBSERVED__OBSERVED_RUNNING;
	EVENT(VM_OBSERVED, vm_observed, VmObserved, HV__VM_OBSERVED__INIT, 2, body_.node = 2,
	      body_.domain = &seen);
	EVENT(HOST_HEALTH, host_health, HostHealth, HV__HOST_HEALTH__INIT, 2, body_.node = 2,
	      body_.text = "libvirtd does not answer", body_.mem_mib = 8192, body_.cpus = 4);
	EVENT(TICK, tick, Tick, HV__TICK__INIT, 1, (void)0);
	seen.uuid = WEB_UUID;
	seen.name = "web";
	seen.observed = HV__OBSERVED__OBSERVED_ABSENT;
	seen.cause = HV__CAUSE__CAUSE_CRASHED;
	EVENT(NODE_REPORT, node_report, NodeReport, HV__NODE_REPORT__INIT, 1, body_.node = 1,
	      body_.boot_id = "boot", body_.mem_mib = 8192, body_.cpus = 4,
	      body_.inventory_known = true, body_.incarnation_seen = SMALL_INCARNATION,
	      body_.domains = domains, body_.n_domains = 1);
}

static void event_seeds(void)
{
	static void (*const rows[])(void) = {observations,  vm_commands,    set_commands,
					     rule_commands, fence_commands, node_commands,
					     member_lost};
	static const char *const names[] = {"observed", "vm",	"set", "rule",
					    "fence",	"node", "lost"};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		row_len = 0;
		rows[i]();
		save("event", names[i], row, row_len);
	}
	row_len = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		rows[i]();
	save("event", "all", row, row_len);
}

/* ---- snapshots and requests */

static void save_snapshot(const char *name, const struct cluster *c)
{
	size_t len;
	_cleanup_free_ uint8_t *bytes = brain_encode(c, &len);

	save("snapshot", name, bytes, len);
}

/* A row's events, applied to the state that fuzz_event begins with. */
static void snapshot_after(const char *name, void (*events)(void))
{
	_cleanup_small_ struct small s = world_new();

	row_len = 0;
	events();
	for (size_t at = 0; at < row_len;) {
		size_t n = (size_t)row[at] | (size_t)row[at + 1] << 8;
		Hv__Event *ev = hv__event__unpack(NULL, n, row + at + 2);

		brain_step(s.c, ++s.index, ev, &s.actions);
		hv__event__free_unpacked(ev, NULL);
		at += 2 + n;
	}
	save_snapshot(name, s.c);
}

static void all_commands(void)
{
	vm_commands();
	set_commands();
	rule_commands();
	fence_commands();
	node_commands();
	member_lost();
}

static void snapshot_seeds(void)
{
	struct cluster *c = cluster_new();

	save_snapshot("empty", c);
	cluster_free(c);
	snapshot_after("observed", observations);
	snapshot_after("rule", rule_commands);
	snapshot_after("fence", fence_commands);
	snapshot_after("lost", member_lost);
	snapshot_after("busy", all_commands);
}

static void save_request(const char *name, Hv__ControlRequest *r)
{
	uint8_t buf[4096];
	size_t len;

	r->version = 1;
	len = hv__control_request__pack(r, buf + WIRE_HEADER_LEN);
	wire_header_put(buf, buf + WIRE_HEADER_LEN, len);
	save("control", name, buf, WIRE_HEADER_LEN + len);
}

#define REQUEST(CASE, field, Type, init, ...)                                                      \
	do {                                                                                       \
		Hv__ControlRequest r_ = HV__CONTROL_REQUEST__INIT;                                 \
		Hv__##Type body_ = init;                                                           \
		__VA_ARGS__;                                                                       \
		r_.body_case = HV__CONTROL_REQUEST__BODY_##CASE;                                   \
		r_.field = &body_;                                                                 \
		save_request(#field, &r_);                                                         \
	} while (0)

static void control_seeds(void)
{
	Hv__VmAdd add = HV__VM_ADD__INIT;

	REQUEST(STATUS, status, StatusRequest, HV__STATUS_REQUEST__INIT, (void)0);
	REQUEST(VM_LIST, vm_list, VmListRequest, HV__VM_LIST_REQUEST__INIT, body_.limit = 10);
	REQUEST(VM_SHOW, vm_show, VmShowRequest, HV__VM_SHOW_REQUEST__INIT, body_.name = "web",
		body_.explain = true, body_.xml = true);
	REQUEST(NODE_SHOW, node_show, NodeShowRequest, HV__NODE_SHOW_REQUEST__INIT,
		body_.name = "host1");
	REQUEST(OP, op, OpRequest, HV__OP_REQUEST__INIT, body_.id = 4096, body_.wait_ms = 5);
	REQUEST(EVENTS, events, EventsRequest, HV__EVENTS_REQUEST__INIT, body_.limit = 5,
		body_.tail = true);
	REQUEST(REPORT_FAILOVER, report_failover, ReportRequest, HV__REPORT_REQUEST__INIT, (void)0);
	REQUEST(FENCE_LIST, fence_list, FenceListRequest, HV__FENCE_LIST_REQUEST__INIT, (void)0);
	REQUEST(SETTINGS, settings, SettingsRequest, HV__SETTINGS_REQUEST__INIT, (void)0);
	add.name = "new";
	add.xml =
	    "<domain type='kvm'><name>new</name><memory>262144</memory><vcpu>1</vcpu></domain>";
	REQUEST(COMMAND, command, Command, HV__COMMAND__INIT,
		body_.body_case = HV__COMMAND__BODY_VM_ADD, body_.vm_add = &add);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: write_seeds DIR\n");
		return 2;
	}
	top = argv[1];
	peer_seeds();
	event_seeds();
	snapshot_seeds();
	control_seeds();
	return 0;
}
