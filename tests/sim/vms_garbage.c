/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I8: what makes no sense is harmless. Entries that no clusterd of ours would propose: bytes that
 * are no event, malformed ones, results of operations that are not, or not any more, of another
 * attempt or by another node, old events once more, reports of processes long gone and of nodes
 * that never were. None may change anything.
 */
#include "tests/sim/vms.h"

#include <string.h>

#define GARBAGE_WALL_MS 1 /* by which such an entry is known when it is applied */

struct junk {
	struct prng r;
	const struct cluster *c;
	size_t hosts;
	Hv__Event ev;
	Hv__OpResult result;
	Hv__NodeReport report;
	Hv__VmObserved observed;
	Hv__DomainSeen seen, *seen_list[1];
	Hv__HostHealth health;
	Hv__GuestHealth guest_health;
	Hv__GuestSeen guest;
	Hv__Command cmd;
	Hv__VmAdd add;
	Hv__FenceAdd fence;
	Hv__RuleAdd rule;
	Hv__NodesConfigured nodes;
	Hv__View view;
};

static void result(struct junk *j)
{
	size_t n = cluster_op_count(j->c);
	const struct operation *op =
	    n ? cluster_op_at(j->c, (size_t)prng_range(&j->r, 0, n - 1)) : NULL;

	/* One that is under way is the more interesting. */
	for (size_t i = 0; op && op->state != OP_RUNNING && i < n; i++)
		op = cluster_op_at(j->c, i);
	hv__op_result__init(&j->result);
	j->ev.body_case = HV__EVENT__BODY_OP_RESULT;
	j->ev.op_result = &j->result;
	j->result.op = op ? op->id : 77;
	j->result.attempt = op ? op->attempt : 1;
	j->result.node = op && op->node ? op->node : 1;
	j->result.observed = (Hv__Observed)prng_range(&j->r, 0, 4);
	j->result.fenced_node = op ? op->victim : 1;
	j->result.text = "";
	switch (prng_range(&j->r, 0, 2)) {
	case 0:
		j->result.op += 4096ULL << 20;
		break;
	case 1:
		j->result.attempt += 1 + (uint32_t)prng_range(&j->r, 0, 5);
		break;
	default:
		j->result.node += 1 + (uint32_t)prng_range(&j->r, 0, 40);
		break;
	}
}

static void seen_one(struct junk *j, const char *uuid)
{
	hv__domain_seen__init(&j->seen);
	j->seen.uuid = (char *)uuid;
	j->seen.name = "strange";
	j->seen.observed = (Hv__Observed)prng_range(&j->r, 1, 4);
	j->seen_list[0] = &j->seen;
}

static const char *some_uuid(struct junk *j)
{
	size_t n = cluster_vm_count(j->c);

	return n ? cluster_vm_at(j->c, (size_t)prng_range(&j->r, 0, n - 1))->uuid
		 : "99999999-0000-4000-8000-000000000000";
}

/* Of a process of this node that is gone, or of a node that never was. */
static void report(struct junk *j)
{
	bool stranger = prng_chance(&j->r, 500);

	hv__node_report__init(&j->report);
	seen_one(j, some_uuid(j));
	j->ev.body_case = HV__EVENT__BODY_NODE_REPORT;
	j->ev.node_report = &j->report;
	j->report.node = stranger ? 77 : (uint32_t)prng_range(&j->r, 1, j->hosts);
	j->report.boot_id = "an-earlier-boot";
	j->report.mem_mib = 1;
	j->report.inventory_known = prng_chance(&j->r, 500);
	j->report.n_domains = prng_chance(&j->r, 500);
	j->report.domains = j->seen_list;
	j->report.incarnation_seen = 1000000;
}

static void observed(struct junk *j)
{
	bool stranger = prng_chance(&j->r, 500);

	hv__vm_observed__init(&j->observed);
	seen_one(j, stranger ? some_uuid(j) : "99999999-0000-4000-8000-000000000000");
	j->ev.body_case = HV__EVENT__BODY_VM_OBSERVED;
	j->ev.vm_observed = &j->observed;
	j->observed.node = stranger ? 77 : (uint32_t)prng_range(&j->r, 1, j->hosts);
	j->observed.domain = &j->seen;
}

/* What this node said before its last event, once more. */
static void old_event(struct junk *j)
{
	hv__vm_observed__init(&j->observed);
	seen_one(j, some_uuid(j));
	j->ev.body_case = HV__EVENT__BODY_VM_OBSERVED;
	j->ev.vm_observed = &j->observed;
	j->ev.seq = 1;
	j->ev.incarnation = 0; /* made right when the proposer is known */
	j->observed.node = (uint32_t)prng_range(&j->r, 1, j->hosts);
	j->observed.domain = &j->seen;
}

static void health(struct junk *j)
{
	hv__host_health__init(&j->health);
	j->ev.body_case = HV__EVENT__BODY_HOST_HEALTH;
	j->ev.host_health = &j->health;
	j->health.node = 77;
	j->health.text = "";
}

/* Of a host that never was, or in words that nobody knows. */
static void guest(struct junk *j)
{
	bool stranger = prng_chance(&j->r, 500);

	hv__guest_health__init(&j->guest_health);
	hv__guest_seen__init(&j->guest);
	j->ev.body_case = HV__EVENT__BODY_GUEST_HEALTH;
	j->ev.guest_health = &j->guest_health;
	j->guest_health.node = stranger ? 77 : (uint32_t)prng_range(&j->r, 1, j->hosts);
	j->guest_health.guest = &j->guest;
	j->guest.uuid = (char *)some_uuid(j);
	j->guest.heartbeat = stranger ? HV__GUEST_HEARTBEAT__HEARTBEAT_LOST : 17;
	j->guest.idle = true;
	j->guest.trouble = HV__GUEST_TROUBLE__TROUBLE_PANICKED;
}

static void malformed_command(struct junk *j)
{
	hv__command__init(&j->cmd);
	j->ev.body_case = HV__EVENT__BODY_COMMAND;
	j->ev.command = &j->cmd;
	j->cmd.actor = prng_chance(&j->r, 300) ? "root\033[2J" : "root@sim";
	switch (prng_range(&j->r, 0, 3)) {
	case 0:
		return;
	case 1:
		hv__vm_add__init(&j->add);
		j->add.name = "../x";
		j->add.uuid = (char *)some_uuid(j);
		j->cmd.body_case = HV__COMMAND__BODY_VM_ADD;
		j->cmd.vm_add = &j->add;
		return;
	case 2:
		hv__fence_add__init(&j->fence);
		j->fence.node = "host1";
		j->fence.device = "bmc";
		j->fence.agent = "rm";
		j->cmd.body_case = HV__COMMAND__BODY_FENCE_ADD;
		j->cmd.fence_add = &j->fence;
		return;
	default:
		hv__rule_add__init(&j->rule);
		j->rule.name = "r";
		j->rule.kind = (Hv__RuleKind)99;
		j->cmd.body_case = HV__COMMAND__BODY_RULE_ADD;
		j->cmd.rule_add = &j->rule;
		return;
	}
}

static void malformed(struct junk *j)
{
	switch (prng_range(&j->r, 0, 3)) {
	case 0:
		return; /* no body */
	case 1:
		hv__nodes_configured__init(&j->nodes);
		j->ev.body_case = HV__EVENT__BODY_NODES_CONFIGURED;
		j->ev.nodes_configured = &j->nodes;
		return;
	case 2:
		hv__view__init(&j->view);
		j->ev.body_case = HV__EVENT__BODY_VIEW;
		j->ev.view = &j->view;
		return;
	default:
		seen_one(j, "no uuid");
		hv__vm_observed__init(&j->observed);
		j->observed.node = 1;
		j->observed.domain = prng_chance(&j->r, 500) ? &j->seen : NULL;
		j->ev.body_case = HV__EVENT__BODY_VM_OBSERVED;
		j->ev.vm_observed = &j->observed;
		return;
	}
}

/* Empty fields of a message may not be NULL strings when it is packed; they are not, here. */
static void propose_bytes(struct sim *s, struct host *h, struct junk *j)
{
	uint8_t bytes[64];
	size_t n = (size_t)prng_range(&j->r, 1, sizeof(bytes));

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)prng_next(&j->r);
	bytes[0] = 0xff; /* no field has that number and type */
	process_propose(s, h, RL_COMMAND, 0, bytes, n);
}

static void propose(struct sim *s, struct host *h, struct junk *j)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	j->ev.wall_ms = GARBAGE_WALL_MS;
	j->ev.proposer = h->id;
	if (j->ev.seq)
		j->ev.incarnation = cluster_node(j->c, h->id)->seen_incarnation;
	if (j->ev.seq && !j->ev.incarnation)
		return; /* it has said nothing yet */
	len = hv__event__get_packed_size(&j->ev);
	data = hv_xcalloc(1, len + 1);
	hv__event__pack(&j->ev, data);
	process_propose(s, h, RL_COMMAND, 0, data, len);
}

void vms_garbage_step(struct sim *s)
{
	static void (*const kinds[])(struct junk * j) = {
	    result,   result, report, observed, old_event, health, guest, malformed_command,
	    malformed};
	struct junk j = {.hosts = s->n};
	struct host *h = admin_host(s);
	uint64_t pick;

	prng_seed(&j.r, prng_next(sim_stream(s, STREAM_ADMIN)));
	if (!prng_chance(&j.r, vms_of(s)->swarm.garbage) || !h || !sim_inject(s, "garbage"))
		return;
	j.c = h->proc.mind->c;
	hv__event__init(&j.ev);
	pick = prng_range(&j.r, 0, ARRAY_SIZE(kinds));
	if (pick == ARRAY_SIZE(kinds) || !cluster_node(j.c, h->id)) {
		propose_bytes(s, h, &j);
	} else {
		kinds[pick](&j);
		propose(s, h, &j);
	}
	mind_wake(h->proc.mind);
}

/* ---- when it is applied */

static char *state_text(const struct mind *m)
{
	_cleanup_free_ char *dump = brain_dump(m->c);
	const char *rest = strchr(dump, '\n'); /* the first line has the index */

	return hv_xstrdup(rest ? rest : "");
}

char *vms_garbage_before(const struct mind *m, const Hv__Event *ev)
{
	bool garbage = !ev || ev->wall_ms == GARBAGE_WALL_MS;

	return garbage ? state_text(m) : NULL;
}

void vms_garbage_after(const struct mind *m, uint64_t index, const char *before)
{
	_cleanup_free_ char *after = before ? state_text(m) : NULL;

	if (before && strcmp(before, after) != 0)
		sim_trace(m->s, "before:%safter:%s", before, after);
	if (before && strcmp(before, after) != 0)
		sim_fail(m->s, "I8: node %u, entry %llu makes no sense, and has changed the state",
			 m->h->id, (unsigned long long)index);
}
