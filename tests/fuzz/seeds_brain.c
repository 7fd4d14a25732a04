/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeds of fuzz_event, fuzz_snapshot and fuzz_history: a small cluster's events, states, history.
 */
#include "tests/fuzz/seeds.h"
#include "tests/unit/small_cluster.h"

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
	COMMAND(VM_RESET, vm_reset, VmReset, HV__VM_RESET__INIT, body_.name = "web");
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

	kv.key = "heartbeat_s";
	kv.value = "30";
	COMMAND(VM_SET, vm_set, VmSet, HV__VM_SET__INIT, body_.name = "web", body_.attributes = kvs,
		body_.n_attributes = 1);
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
	COMMAND(FENCE_ADD, fence_add, FenceAdd, HV__FENCE_ADD__INIT, body_.node = "host2",
		body_.device = "sbd", body_.agent = "fence_sbd", body_.require_seen = true,
		body_.waited = true, body_.level = 2);
	COMMAND(FENCE_LEVEL, fence_level, FenceLevel, HV__FENCE_LEVEL__INIT, body_.node = "host2",
		body_.level = 2, body_.seen = true);
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
	Hv__HostSetup setup = HV__HOST_SETUP__INIT;
	Hv__DomainSeen seen = HV__DOMAIN_SEEN__INIT, *domains[] = {&seen};

	EVENT(OP_RESULT, op_result, OpResult, HV__OP_RESULT__INIT, op->node, body_.op = op->id,
	      body_.attempt = op->attempt, body_.node = op->node,
	      body_.observed = HV__OBSERVED__OBSERVED_RUNNING);
	seen.uuid = DB_UUID;
	seen.name = "db";
	seen.observed = HV__OBSERVED__OBSERVED_RUNNING;
	EVENT(VM_OBSERVED, vm_observed, VmObserved, HV__VM_OBSERVED__INIT, 2, body_.node = 2,
	      body_.domain = &seen);
	setup.hook = "libvirt's hook is not installed";
	setup.disk_lock = "lockd";
	EVENT(HOST_HEALTH, host_health, HostHealth, HV__HOST_HEALTH__INIT, 2, body_.node = 2,
	      body_.text = "libvirtd does not answer", body_.mem_mib = 8192, body_.cpus = 4,
	      body_.setup = &setup);
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
		seed_save("event", names[i], row, row_len);
	}
	row_len = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		rows[i]();
	seed_save("event", "all", row, row_len);
}

/* ---- snapshots and requests */

static void save_snapshot(const char *name, const struct cluster *c)
{
	size_t len;
	_cleanup_free_ uint8_t *bytes = brain_encode(c, &len);

	seed_save("snapshot", name, bytes, len);
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

/* ---- history files: a beginning, its state, entries */

static void record_save_add(uint8_t *buf, size_t *len, const Hv__HistoryRecord *r)
{
	size_t n = hv__history_record__get_packed_size(r);

	buf[*len] = (uint8_t)n;
	buf[*len + 1] = (uint8_t)(n >> 8);
	hv__history_record__pack(r, buf + *len + 2);
	*len += 2 + n;
}

static void history_add_start(uint8_t *buf, size_t *len, uint8_t *state, size_t state_len)
{
	Hv__HistoryRecord r = HV__HISTORY_RECORD__INIT;
	Hv__HistoryStart start = HV__HISTORY_START__INIT;
	Hv__HistoryState piece = HV__HISTORY_STATE__INIT;

	start.version = 1;
	start.node = 1;
	start.incarnation = SMALL_INCARNATION;
	start.state_len = state_len;
	start.daemon = "1.0";
	r.body_case = HV__HISTORY_RECORD__BODY_START;
	r.start = &start;
	record_save_add(buf, len, &r);
	if (!state_len)
		return;
	piece.piece.data = state;
	piece.piece.len = state_len;
	r.body_case = HV__HISTORY_RECORD__BODY_STATE;
	r.state = &piece;
	record_save_add(buf, len, &r);
}

static void history_add_entry(uint8_t *buf, size_t *len, uint64_t index, uint8_t *data, size_t n)
{
	Hv__HistoryRecord r = HV__HISTORY_RECORD__INIT;
	Hv__HistoryEntry e = HV__HISTORY_ENTRY__INIT;
	Hv__LogEntry log = HV__LOG_ENTRY__INIT;
	Hv__EpochId epoch = HV__EPOCH_ID__INIT;

	epoch.number = epoch.node = epoch.incarnation = 1;
	log.epoch = &epoch;
	log.index = index;
	log.type = 2;
	log.data.data = data;
	log.data.len = n;
	e.entry = &log;
	r.body_case = HV__HISTORY_RECORD__BODY_ENTRY;
	r.entry = &e;
	record_save_add(buf, len, &r);
}

/* With what an export takes out: a fence device's password and one in domain XML. */
static void secret_commands(void)
{
	Hv__KeyValue kv = HV__KEY_VALUE__INIT, *kvs[] = {&kv};

	kv.key = "password";
	kv.value = "secret";
	COMMAND(FENCE_ADD, fence_add, FenceAdd, HV__FENCE_ADD__INIT, body_.node = "host2",
		body_.device = "bmc", body_.agent = "fence_ipmilan", body_.secrets = kvs,
		body_.n_secrets = 1);
	COMMAND(VM_ADD, vm_add, VmAdd, HV__VM_ADD__INIT, body_.name = "gfx",
		body_.uuid = "00000000-0000-4000-8000-000000000003",
		body_.xml = "<graphics passwd='secret'/>", body_.mem_mib = 512, body_.vcpus = 1);
}

static void history_seed(const char *name, const struct cluster *c)
{
	_cleanup_free_ uint8_t *state = NULL;
	static uint8_t buf[65536] = {0}; /* the first byte: frames */
	size_t len = 1, state_len = 0;
	uint64_t index = c ? cluster_index(c) : 0;

	if (c)
		state = brain_encode(c, &state_len);
	history_add_start(buf, &len, state, state_len);
	row_len = 0;
	secret_commands();
	for (size_t at = 0; at < row_len;) {
		size_t n = (size_t)row[at] | (size_t)row[at + 1] << 8;

		history_add_entry(buf, &len, ++index, row + at + 2, n);
		at += 2 + n;
	}
	seed_save("history", name, buf, len);
}

static void history_seeds(void)
{
	struct cluster *c = cluster_new();

	history_seed("from-nothing", NULL);
	history_seed("from-empty", c);
	cluster_free(c);
}

void seeds_of_brain(void)
{
	event_seeds();
	snapshot_seeds();
	history_seeds();
}
