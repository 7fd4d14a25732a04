/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests to the cluster, through the first node that answers. */
#include "tests/sim/scenario_priv.h"

#include <string.h>

#define ANSWER_US (20 * SEC)

static struct host *answering(struct scenario_run *r, bool behind_barrier)
{
	for (size_t i = 0; i < r->s.n; i++) {
		struct host *h = &r->s.hosts[i];

		if (process_runs(h) && mind_current(h->proc.mind) &&
		    (behind_barrier || !rl_status(h->proc.log)->barrier))
			return h;
	}
	return NULL;
}

size_t cmd_send(struct scenario_run *r, Hv__Command *cmd, hv_node_id confirmed)
{
	struct host *h = answering(r, confirmed != 0);
	Hv__Event ev = HV__EVENT__INIT;

	if (!h)
		return NO_REQUEST;
	if (r->n_requests == r->cap_requests) {
		r->cap_requests = r->cap_requests ? r->cap_requests * 2 : 64;
		r->requests = hv_xrealloc(r->requests, r->cap_requests, sizeof(*r->requests));
	}
	r->requests[r->n_requests] = (struct sc_request){.id = r->n_requests + 1};
	cmd->request = ++r->n_requests;
	cmd->actor = "root@scenario";
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = cmd;
	if (!mind_propose(h->proc.mind, &ev, confirmed ? RL_FENCE : RL_COMMAND, confirmed))
		return NO_REQUEST;
	mind_wake(h->proc.mind);
	return r->n_requests - 1;
}

void scenario_replied(struct scenario_run *r, const struct action *a)
{
	struct sc_request *q;

	if (!a->request || a->request > r->n_requests)
		return;
	q = &r->requests[a->request - 1];
	q->answered = true;
	q->rc = a->rc;
	snprintf(q->text, sizeof(q->text), "%s", a->text ? a->text : hv_rc_text(a->rc));
}

bool cmd_wait(struct scenario_run *r, size_t request)
{
	uint64_t end = r->s.now_us + ANSWER_US;

	if (request == NO_REQUEST)
		return false;
	while (!r->requests[request].answered && r->s.now_us < end && !r->s.failed)
		run_for(r, 5 * MS);
	return r->requests[request].answered;
}

static bool granted(struct scenario_run *r, size_t request)
{
	return cmd_wait(r, request) && r->requests[request].rc == HV_OK;
}

bool cmd_ask(struct scenario_run *r, Hv__Command *cmd, hv_node_id confirmed)
{
	return granted(r, cmd_send(r, cmd, confirmed));
}

/* ---- VMs */

#define VM_NAME(r, vm) ((r)->sc->vms[vm].name)

size_t cmd_vm_start(struct scenario_run *r, int vm, const char *node)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmStart c = HV__VM_START__INIT;

	c.name = VM_NAME(r, vm);
	if (node)
		c.node = (char *)node;
	cmd.body_case = HV__COMMAND__BODY_VM_START;
	cmd.vm_start = &c;
	return cmd_send(r, &cmd, 0);
}

size_t cmd_vm_stop(struct scenario_run *r, int vm, bool force)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmStop c = HV__VM_STOP__INIT;

	c.name = VM_NAME(r, vm);
	c.force = force;
	cmd.body_case = HV__COMMAND__BODY_VM_STOP;
	cmd.vm_stop = &c;
	return cmd_send(r, &cmd, 0);
}

size_t cmd_vm_add(struct scenario_run *r, int vm, bool started)
{
	const struct sc_vm *v = &r->sc->vms[vm];
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmAdd c = HV__VM_ADD__INIT;

	c.name = v->name;
	c.uuid = r->w->uuid[vm];
	c.xml = "<domain/>";
	c.mem_mib = v->mem_mib ? v->mem_mib : 1;
	c.vcpus = v->cpus ? (uint32_t)v->cpus : 1;
	c.priority = (int32_t)v->priority;
	if (v->guest.there)
		c.storage = vms_storage_of(vm, &c.n_storage);
	c.started = started;
	cmd.body_case = HV__COMMAND__BODY_VM_ADD;
	cmd.vm_add = &c;
	return cmd_send(r, &cmd, 0);
}

size_t cmd_vm_reset(struct scenario_run *r, int vm)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmReset c = HV__VM_RESET__INIT;

	c.name = VM_NAME(r, vm);
	cmd.body_case = HV__COMMAND__BODY_VM_RESET;
	cmd.vm_reset = &c;
	return cmd_send(r, &cmd, 0);
}

size_t cmd_vm_set(struct scenario_run *r, int vm, const char *key, const char *value)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmSet c = HV__VM_SET__INIT;
	Hv__KeyValue kv = HV__KEY_VALUE__INIT, *list[] = {&kv};

	kv.key = (char *)key;
	kv.value = (char *)value;
	c.name = VM_NAME(r, vm);
	c.attributes = list;
	c.n_attributes = 1;
	cmd.body_case = HV__COMMAND__BODY_VM_SET;
	cmd.vm_set = &c;
	return cmd_send(r, &cmd, 0);
}

static bool set_number(struct scenario_run *r, int vm, const char *key, int64_t value)
{
	char text[24];

	if (value < 0)
		return true;
	snprintf(text, sizeof(text), "%lld", (long long)value);
	return granted(r, cmd_vm_set(r, vm, key, text));
}

static bool set_yes(struct scenario_run *r, int vm, const char *key, enum sc_yes value)
{
	return value == SC_UNSAID ||
	       granted(r, cmd_vm_set(r, vm, key, value == SC_YES ? "on" : "off"));
}

bool cmd_vm_attributes(struct scenario_run *r, int vm)
{
	const struct sc_vm *v = &r->sc->vms[vm];

	return set_number(r, vm, "start_retries", v->start_retries) &&
	       set_number(r, vm, "max_relocate", v->max_relocate) &&
	       set_yes(r, vm, "failback", v->failback) &&
	       set_yes(r, vm, "live_migration", v->live) && guest_attributes(r, vm);
}

size_t cmd_vm_migrate(struct scenario_run *r, int vm, const char *node)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmMigrate c = HV__VM_MIGRATE__INIT;

	c.name = VM_NAME(r, vm);
	c.node = (char *)node;
	cmd.body_case = HV__COMMAND__BODY_VM_MIGRATE;
	cmd.vm_migrate = &c;
	return cmd_send(r, &cmd, 0);
}

size_t cmd_vm_remove(struct scenario_run *r, int vm)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmRemove c = HV__VM_REMOVE__INIT;

	c.name = VM_NAME(r, vm);
	cmd.body_case = HV__COMMAND__BODY_VM_REMOVE;
	cmd.vm_remove = &c;
	return cmd_send(r, &cmd, 0);
}

size_t cmd_vm_lock(struct scenario_run *r, int vm, const char *reason)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmLock c = HV__VM_LOCK__INIT;

	c.name = VM_NAME(r, vm);
	c.reason = (char *)reason;
	cmd.body_case = HV__COMMAND__BODY_VM_LOCK;
	cmd.vm_lock = &c;
	return cmd_send(r, &cmd, 0);
}

/* ---- the cluster */

size_t cmd_setting(struct scenario_run *r, const char *key, const char *value)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__SettingSet c = HV__SETTING_SET__INIT;

	c.key = (char *)key;
	c.value = (char *)value;
	cmd.body_case = HV__COMMAND__BODY_SETTING_SET;
	cmd.setting_set = &c;
	return cmd_send(r, &cmd, 0);
}

/* What is only disliked: rather on the other nodes. Who would only rather follow: rather together.
 */
static Hv__RuleKind kind_of(const struct sc_rule *rule)
{
	if (rule->kind == HV__RULE_KIND__RULE_BAN && !rule->hard)
		return HV__RULE_KIND__RULE_NODES;
	if (rule->kind == HV__RULE_KIND__RULE_FOLLOW && !rule->hard)
		return HV__RULE_KIND__RULE_TOGETHER;
	return rule->kind;
}

size_t cmd_rule(struct scenario_run *r, const struct sc_rule *rule, unsigned number)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__RuleAdd c = HV__RULE_ADD__INIT;
	Hv__RuleNode node[SC_NODES], *nodes[SC_NODES];
	bool others = rule->kind == HV__RULE_KIND__RULE_BAN && !rule->hard;
	char *vms[VMS], name[16];

	snprintf(name, sizeof(name), "rule%u", number);
	c.name = name;
	c.kind = kind_of(rule);
	c.hard = rule->hard;
	c.mandatory = rule->mandatory;
	c.vms = vms;
	for (size_t i = 0; i < rule->n_vms; i++)
		vms[c.n_vms++] = VM_NAME(r, rule->vms[i]);
	c.nodes = nodes;
	for (size_t i = 0; i < r->sc->n_nodes; i++) {
		if ((bool)(rule->nodes >> i & 1) == others)
			continue;
		hv__rule_node__init(&node[i]);
		node[i].node = r->sc->nodes[i].name;
		node[i].priority = (int32_t)rule->node_priority[i];
		nodes[c.n_nodes++] = &node[i];
	}
	cmd.body_case = HV__COMMAND__BODY_RULE_ADD;
	cmd.rule_add = &c;
	return cmd_send(r, &cmd, 0);
}

size_t cmd_drain(struct scenario_run *r, const char *node, bool drain)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__NodeDrain d = HV__NODE_DRAIN__INIT;
	Hv__NodeResume back = HV__NODE_RESUME__INIT;

	d.node = back.node = (char *)node;
	if (drain) {
		cmd.body_case = HV__COMMAND__BODY_NODE_DRAIN;
		cmd.node_drain = &d;
	} else {
		cmd.body_case = HV__COMMAND__BODY_NODE_RESUME;
		cmd.node_resume = &back;
	}
	return cmd_send(r, &cmd, 0);
}

size_t cmd_shutdown(struct scenario_run *r, const char *node, bool reboot)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__NodeShutdown c = HV__NODE_SHUTDOWN__INIT;

	c.node = (char *)node;
	c.reboot = reboot;
	cmd.body_case = HV__COMMAND__BODY_NODE_SHUTDOWN;
	cmd.node_shutdown = &c;
	return cmd_send(r, &cmd, 0);
}

size_t cmd_node_fence(struct scenario_run *r, const char *node)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__NodeFence c = HV__NODE_FENCE__INIT;

	c.node = (char *)node;
	cmd.body_case = HV__COMMAND__BODY_NODE_FENCE;
	cmd.node_fence = &c;
	return cmd_send(r, &cmd, 0);
}

size_t cmd_fence_add(struct scenario_run *r, hv_node_id id, size_t device)
{
	const struct device *d = &r->w->devices[id - 1][device];
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__FenceAdd c = HV__FENCE_ADD__INIT;

	c.node = r->s.hosts[id - 1].name;
	c.device = (char *)d->name;
	c.level = d->level;
	c.agent = "fence_ipmilan";
	c.timeout_s = 20;
	c.delay_s = d->delay_s;
	c.delay_random_s = d->delay_random_s;
	c.waited = d->waited;
	c.require_seen = d->require_seen;
	c.unfence = d->unfence;
	cmd.body_case = HV__COMMAND__BODY_FENCE_ADD;
	cmd.fence_add = &c;
	return cmd_send(r, &cmd, 0);
}

size_t cmd_release(struct scenario_run *r, const char *node)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__NodeRelease c = HV__NODE_RELEASE__INIT;

	c.node = (char *)node;
	cmd.body_case = HV__COMMAND__BODY_NODE_RELEASE;
	cmd.node_release = &c;
	return cmd_send(r, &cmd, 0);
}

size_t cmd_fence_confirm(struct scenario_run *r, const char *node)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__FenceConfirm c = HV__FENCE_CONFIRM__INIT;
	hv_node_id id = 0;

	for (size_t i = 0; i < r->s.n; i++)
		if (strcmp(r->s.hosts[i].name, node) == 0)
			id = r->s.hosts[i].id;
	c.node = (char *)node;
	cmd.body_case = HV__COMMAND__BODY_FENCE_CONFIRM;
	cmd.fence_confirm = &c;
	return cmd_send(r, &cmd, id);
}

size_t cmd_arm(struct scenario_run *r, bool disarm, bool ignore)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__Arm c = HV__ARM__INIT;

	c.disarm = disarm;
	c.ignore = ignore;
	cmd.body_case = HV__COMMAND__BODY_ARM;
	cmd.arm = &c;
	return cmd_send(r, &cmd, 0);
}
