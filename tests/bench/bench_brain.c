/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The brain alone, at three sizes: the usual steps, the loss of a node until the last of its VMs
 * runs, and the snapshot. Nothing but brain_step() is between the two readings of the clock.
 */
#include "resource/brain.h"
#include "tests/bench/bench.h"

#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VM_MIB 1024
#define XML_BYTES 3000 /* of a small server's domain */
#define USUAL_STEPS 2000
#define LOSSES 9
#define SNAPSHOTS 9

static const struct size {
	const char *name;
	unsigned vms, nodes;
} sizes[] = {
    {"brain_100_vms_3_nodes", 100, 3},
    {"brain_1000_vms_16_nodes", 1000, 16},
    {"brain_10000_vms_32_nodes", 10000, 32},
};

struct rack {
	const struct size *size;
	struct cluster *c;
	struct action_list out;
	uint64_t index, now_us, incarnation;
	uint64_t seq[HV_MAX_NODES + 1];
	hv_node_id away; /* not a member */
	/* the steps measured: how long, how many instructions (perf_fd) */
	uint64_t *ns, *instructions;
	size_t n;
	uint64_t actions;
};

/* Counts this thread's instructions in user mode; -1 where the kernel or the processor does not. */
static int perf_fd = -1;

static void perf_open(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_HARDWARE,
				    .size = sizeof(a),
				    .config = PERF_COUNT_HW_INSTRUCTIONS,
				    .exclude_kernel = 1,
				    .exclude_hv = 1};

	if (perf_fd < 0)
		perf_fd = (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

static uint64_t perf_count(void)
{
	uint64_t count = 0;

	if (perf_fd >= 0 && read(perf_fd, &count, sizeof(count)) != sizeof(count))
		count = 0;
	return count;
}

/* ---- events */

static void step(struct rack *r, Hv__Event *ev, hv_node_id proposer)
{
	uint64_t counted, began;

	r->now_us += 100;
	ev->at_us = r->now_us;
	ev->wall_ms = 1700000000000 + r->now_us / 1000;
	ev->proposer = proposer;
	ev->incarnation = r->incarnation;
	ev->seq = ev->body_case == HV__EVENT__BODY_VIEW ? 0 : ++r->seq[proposer];
	action_list_clear(&r->out);
	counted = perf_count();
	began = bench_now_ns();
	brain_step(r->c, ++r->index, ev, &r->out);
	if (r->ns)
		r->ns[r->n] = bench_now_ns() - began;
	if (r->ns)
		r->instructions[r->n++] = perf_count() - counted;
	r->actions += r->out.count;
}

static void tick(struct rack *r)
{
	Hv__Tick tick = HV__TICK__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	ev.body_case = HV__EVENT__BODY_TICK;
	ev.tick = &tick;
	step(r, &ev, 1);
}

static void view(struct rack *r)
{
	Hv__Member m[HV_MAX_NODES], *mp[HV_MAX_NODES];
	uint32_t lost[HV_MAX_NODES];
	Hv__View v = HV__VIEW__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	v.members = mp;
	v.lost = lost;
	for (hv_node_id id = 1; id <= r->size->nodes; id++) {
		if (id == r->away) {
			lost[v.n_lost++] = id;
			continue;
		}
		hv__member__init(&m[v.n_members]);
		m[v.n_members].node = id;
		m[v.n_members].incarnation = r->incarnation;
		m[v.n_members].feature = 1;
		mp[v.n_members] = &m[v.n_members];
		v.n_members++;
	}
	v.detected_us = r->now_us;
	ev.body_case = HV__EVENT__BODY_VIEW;
	ev.view = &v;
	step(r, &ev, 1);
}

static void names(struct rack *r)
{
	Hv__ConfiguredNode n[HV_MAX_NODES], *np[HV_MAX_NODES];
	char text[HV_MAX_NODES][16];
	Hv__NodesConfigured list = HV__NODES_CONFIGURED__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	list.nodes = np;
	for (; list.n_nodes < r->size->nodes; list.n_nodes++) {
		unsigned i = (unsigned)list.n_nodes;

		snprintf(text[i], sizeof(text[i]), "host%u", i + 1);
		hv__configured_node__init(&n[i]);
		n[i].id = i + 1;
		n[i].name = text[i];
		n[i].votes = 1;
		np[i] = &n[i];
	}
	ev.body_case = HV__EVENT__BODY_NODES_CONFIGURED;
	ev.nodes_configured = &list;
	step(r, &ev, 1);
}

/* A node joins and runs nothing. Half as much again as its share fits on it. */
static void report(struct rack *r, hv_node_id node)
{
	Hv__NodeReport report = HV__NODE_REPORT__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	report.node = node;
	report.boot_id = (char *)"boot";
	report.mem_mib = (uint64_t)VM_MIB * (r->size->vms / r->size->nodes + 2) * 3 / 2;
	report.cpus = 64;
	report.inventory_known = true;
	report.incarnation_seen = r->incarnation;
	ev.body_case = HV__EVENT__BODY_NODE_REPORT;
	ev.node_report = &report;
	step(r, &ev, node);
}

static void command(struct rack *r, Hv__Command *cmd)
{
	Hv__Event ev = HV__EVENT__INIT;

	cmd->request = r->index + 1;
	cmd->actor = (char *)"root@host1";
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = cmd;
	step(r, &ev, 1);
}

static void fence_add(struct rack *r, hv_node_id node)
{
	Hv__FenceAdd add = HV__FENCE_ADD__INIT;
	Hv__Command cmd = HV__COMMAND__INIT;
	char name[16];

	snprintf(name, sizeof(name), "host%u", node);
	add.node = name;
	add.device = (char *)"bmc";
	add.agent = (char *)"fence_ipmilan";
	add.level = 1;
	cmd.body_case = HV__COMMAND__BODY_FENCE_ADD;
	cmd.fence_add = &add;
	command(r, &cmd);
}

static void vm_add(struct rack *r, unsigned i, uint64_t mem_mib, char *xml)
{
	Hv__VmAdd add = HV__VM_ADD__INIT;
	Hv__Command cmd = HV__COMMAND__INIT;
	char name[16], uuid[HV_UUID_LEN + 1];

	snprintf(name, sizeof(name), "vm%05u", i);
	snprintf(uuid, sizeof(uuid), "%08x-0000-4000-8000-%012x", i * 2654435761U, i);
	add.name = name;
	add.uuid = uuid;
	add.xml = xml;
	add.mem_mib = mem_mib;
	add.vcpus = 1;
	add.started = true;
	cmd.body_case = HV__COMMAND__BODY_VM_ADD;
	cmd.vm_add = &add;
	command(r, &cmd);
}

static void result(struct rack *r, const struct operation *op)
{
	Hv__OpResult res = HV__OP_RESULT__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	res.op = op->id;
	res.attempt = op->attempt;
	res.node = op->node;
	res.observed = op->kind == OP_VM_STOP || op->kind == OP_VM_DESTROY
			   ? HV__OBSERVED__OBSERVED_ABSENT
			   : HV__OBSERVED__OBSERVED_RUNNING;
	res.began_us = r->now_us;
	res.ended_us = r->now_us;
	if (op->kind == OP_FENCE && op->flags & OP_F_FINAL)
		res.fenced_node = op->victim;
	ev.body_case = HV__EVENT__BODY_OP_RESULT;
	ev.op_result = &res;
	step(r, &ev, op->node);
}

static void observed(struct rack *r, const struct vm *vm, Hv__Observed seen, Hv__Cause cause)
{
	Hv__DomainSeen d = HV__DOMAIN_SEEN__INIT;
	Hv__VmObserved o = HV__VM_OBSERVED__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	d.uuid = vm->uuid;
	d.observed = seen;
	d.cause = cause;
	o.node = vm->node;
	o.domain = &d;
	ev.body_case = HV__EVENT__BODY_VM_OBSERVED;
	ev.vm_observed = &o;
	step(r, &ev, vm->node);
}

/* Every operation in progress works, oldest first, until there is none. */
static void all_succeed(struct rack *r)
{
	for (;;) {
		const struct operation *next = NULL;

		for (size_t i = 0; i < cluster_op_count(r->c) && !next; i++) {
			const struct operation *op = cluster_op_at(r->c, i);

			next = op->state == OP_RUNNING && op->node ? op : NULL;
		}
		if (!next)
			return;
		result(r, next);
	}
}

/* ---- the rack */

static struct rack *rack_new(const struct size *size)
{
	struct rack *r = hv_xcalloc(1, sizeof(*r));
	char xml[XML_BYTES + 1];

	memset(xml, 'x', XML_BYTES);
	xml[XML_BYTES] = '\0';
	r->size = size;
	r->c = cluster_new();
	r->incarnation = 1;
	action_list_init(&r->out);
	names(r);
	view(r);
	for (hv_node_id id = 1; id <= size->nodes; id++) {
		report(r, id);
		fence_add(r, id);
	}
	for (unsigned i = 0; i < size->vms; i++) {
		vm_add(r, i, VM_MIB, xml);
		all_succeed(r);
	}
	return r;
}

static void rack_free(struct rack *r)
{
	action_list_done(&r->out);
	cluster_free(r->c);
	free(r->ns);
	free(r->instructions);
	free(r);
}

static size_t running(const struct rack *r)
{
	size_t n = 0;

	for (size_t i = 0; i < cluster_vm_count(r->c); i++)
		n += cluster_vm_at(r->c, i)->state == VM_RUNNING;
	return n;
}

static void record(struct rack *r, size_t most)
{
	free(r->ns);
	free(r->instructions);
	r->ns = hv_xcalloc(most, sizeof(*r->ns));
	r->instructions = hv_xcalloc(most, sizeof(*r->instructions));
	r->n = 0;
}

static void emit_steps(const struct rack *r, const char *metric)
{
	bench_emit_spread(r->size->name, metric, "us", 1000, r->ns, r->n);
	if (perf_fd >= 0)
		bench_emit_spread(r->size->name, metric, "instructions", 1, r->instructions, r->n);
}

/* ---- what is measured */

static const struct vm *some_vm(const struct rack *r, size_t k)
{
	return cluster_vm_at(r->c, k * 7919 % r->size->vms);
}

static void measure_usual(struct rack *r)
{
	record(r, USUAL_STEPS);
	for (size_t k = 0; k < USUAL_STEPS; k++)
		tick(r);
	emit_steps(r, "step_tick_idle");

	record(r, USUAL_STEPS);
	for (size_t k = 0; k < USUAL_STEPS; k++)
		observed(r, some_vm(r, k), HV__OBSERVED__OBSERVED_RUNNING, HV__CAUSE__CAUSE_NONE);
	emit_steps(r, "step_vm_observed_as_known");
}

/* A VM crashes and is placed anew; then its start has worked. */
static void measure_crashes(struct rack *r, const char *crash, const char *start)
{
	size_t crashes = r->size->vms < USUAL_STEPS / 4 ? r->size->vms : USUAL_STEPS / 4;
	uint64_t *ends = hv_xcalloc(crashes, sizeof(*ends));
	size_t n_ends = 0;

	record(r, 2 * crashes);
	for (size_t k = 0; k < crashes; k++) {
		const struct vm *vm = some_vm(r, k);
		const struct operation *op;

		r->n = k;
		observed(r, vm, HV__OBSERVED__OBSERVED_ABSENT, HV__CAUSE__CAUSE_CRASHED);
		op = cluster_op(r->c, vm->op);
		if (!op)
			continue;
		result(r, op);
		ends[n_ends++] = r->ns[r->n - 1];
	}
	r->n = crashes;
	emit_steps(r, crash);
	bench_emit_spread(r->size->name, start, "us", 1000, ends, n_ends);
	free(ends);
}

static uint64_t sum(const uint64_t *v, size_t n)
{
	uint64_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += v[i];
	return total;
}

static uint64_t largest(const uint64_t *v, size_t n)
{
	uint64_t max = 0;

	for (size_t i = 0; i < n; i++)
		max = v[i] > max ? v[i] : max;
	return max;
}

/* The node is gone, fenced, and its VMs are started elsewhere: all steps that this takes. */
static bool lose(struct rack *r, hv_node_id node, uint64_t *ret_ns, uint64_t *ret_largest,
		 uint64_t *ret_instructions)
{
	size_t lost = cluster_node_vm_count(r->c, node);

	record(r, 16 + 8 * lost);
	r->away = node;
	view(r);
	all_succeed(r);
	*ret_ns = sum(r->ns, r->n);
	*ret_largest = largest(r->ns, r->n);
	*ret_instructions = sum(r->instructions, r->n);
	return running(r) == r->size->vms && lost > 0;
}

static void start_on(struct rack *r, const char *vm, hv_node_id node)
{
	Hv__VmStop stop = HV__VM_STOP__INIT;
	Hv__VmStart start = HV__VM_START__INIT;
	Hv__Command cmd = HV__COMMAND__INIT;
	char name[16];

	snprintf(name, sizeof(name), "host%u", node);
	stop.name = start.name = (char *)vm;
	start.node = name;
	cmd.body_case = HV__COMMAND__BODY_VM_STOP;
	cmd.vm_stop = &stop;
	command(r, &cmd);
	all_succeed(r);
	cmd.body_case = HV__COMMAND__BODY_VM_START;
	cmd.vm_start = &start;
	command(r, &cmd);
	all_succeed(r);
}

/* It comes back, empty, and the others lend it what it had, by stop and start. */
static void come_back(struct rack *r, hv_node_id node)
{
	free(steal_ptr(r->ns));
	r->away = 0;
	view(r);
	report(r, node);
	for (size_t k = 0; cluster_node_vm_count(r->c, node) < r->size->vms / r->size->nodes; k++) {
		const struct vm *vm = cluster_vm_at(r->c, k);

		if (vm->node == node)
			continue;
		start_on(r, vm->name, node);
	}
}

static bool measure_losses(struct rack *r)
{
	uint64_t ns[LOSSES], max[LOSSES], ins[LOSSES], steps = 0;

	for (size_t i = 0; i < LOSSES; i++) {
		hv_node_id node = r->size->nodes;

		r->now_us += 24 * 3600000000ULL; /* no brake */
		if (!lose(r, node, &ns[i], &max[i], &ins[i])) {
			fprintf(stderr, "hvbench: %s: VMs did not recover\n", r->size->name);
			return false;
		}
		steps = r->n;
		come_back(r, node);
	}
	bench_emit(r->size->name, "node_lost_steps", (double)steps, "steps", 1);
	bench_emit_spread(r->size->name, "node_lost_until_all_run", "us", 1000, ns, LOSSES);
	bench_emit_spread(r->size->name, "node_lost_largest_step", "us", 1000, max, LOSSES);
	if (perf_fd >= 0)
		bench_emit_spread(r->size->name, "node_lost_until_all_run", "instructions", 1, ins,
				  LOSSES);
	return true;
}

/* The same crashes where one VM of ten is blocked: as large as a node, it is reconsidered whenever
 * memory comes free. */
static void measure_blocked(struct rack *r)
{
	char xml[] = "<domain/>";

	free(steal_ptr(r->ns));
	for (unsigned i = 0; i < r->size->vms / 10; i++)
		vm_add(r, r->size->vms + i, cluster_node_at(r->c, 0)->mem_mib, xml);
	measure_crashes(r, "step_vm_crashed_and_placed_tenth_blocked",
			"step_start_result_tenth_blocked");
}

static bool measure_snapshot(struct rack *r)
{
	uint64_t encode[SNAPSHOTS], decode[SNAPSHOTS];
	size_t len = 0;

	for (size_t i = 0; i < SNAPSHOTS; i++) {
		uint64_t began = bench_now_ns();
		_cleanup_free_ uint8_t *bytes = brain_encode(r->c, &len);
		const char *why = "";
		struct cluster *copy;
		bool same;

		encode[i] = bench_now_ns() - began;
		began = bench_now_ns();
		copy = brain_decode(bytes, len, &why);
		decode[i] = bench_now_ns() - began;
		same = copy && cluster_digest(copy) == cluster_digest(r->c);
		cluster_free(copy);
		if (!same) {
			fprintf(stderr, "hvbench: %s: the snapshot is not the state. %s\n",
				r->size->name, why);
			return false;
		}
	}
	bench_emit_spread(r->size->name, "snapshot_encode", "us", 1000, encode, SNAPSHOTS);
	bench_emit_spread(r->size->name, "snapshot_decode", "us", 1000, decode, SNAPSHOTS);
	bench_emit(r->size->name, "snapshot_size", (double)len, "bytes", 1);
	return true;
}

bool bench_brain(void)
{
	bool ok = true;

	perf_open();
	if (perf_fd < 0)
		fprintf(stderr, "hvbench: brain: no instruction counts: this kernel or processor "
				"does not count them\n");
	for (size_t i = 0; i < ARRAY_SIZE(sizes) && ok; i++) {
		struct rack *r = rack_new(&sizes[i]);

		ok = running(r) == sizes[i].vms;
		if (!ok)
			fprintf(stderr, "hvbench: %s: not every VM runs\n", sizes[i].name);
		if (ok) {
			measure_usual(r);
			measure_crashes(r, "step_vm_crashed_and_placed", "step_start_result");
		}
		ok = ok && measure_losses(r) && measure_snapshot(r);
		if (ok)
			measure_blocked(r);
		rack_free(r);
	}
	return ok;
}
