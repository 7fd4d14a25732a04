/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Administrators' wishes about VMs: attributes, locks, rules, at random; and what the cluster has
 * promised of them, looked at in each operation that a step has begun.
 */
#include "resource/rule.h"
#include "tests/sim/vms.h"

#include <string.h>

#define RULE_VMS 4

struct wish {
	struct sim *s;
	struct host *h;
	struct prng *r;
	int k;
	Hv__Command cmd;
	Hv__VmSet set;
	Hv__KeyValue pair, *pairs[1];
	Hv__VmLock lock;
	Hv__RuleAdd add;
	Hv__RuleRemove remove;
	Hv__RuleNode node[3], *nodes[3];
	char name[16], hosts[3][32], *vms[RULE_VMS];
};

static void wish_set(struct wish *q)
{
	static const char *const wishes[][2] = {
	    {"priority", "5"},	      {"priority", "0"},      {"stop_timeout_s", "3"},
	    {"failback", "off"},      {"failback", "on"},     {"start_retries", "2"},
	    {"max_relocate", "1"},    {"max_relocate", "0"},  {"max_relocate", "unlimited"},
	    {"restart_limit", "0"},   {"restart_limit", "1"}, {"live_migration", "off"},
	    {"live_migration", "on"}, {"managed", "off"},     {"managed", "on"},
	    {"managed", "on"},	      {"managed", "maybe"},   {"colour", "blue"}};
	size_t i = (size_t)prng_range(q->r, 0, ARRAY_SIZE(wishes) - 1);

	hv__vm_set__init(&q->set);
	hv__key_value__init(&q->pair);
	q->set.name = vms_of(q->s)->name[q->k];
	q->pair.key = (char *)wishes[i][0];
	q->pair.value = (char *)wishes[i][1];
	q->pairs[0] = &q->pair;
	q->set.attributes = q->pairs;
	q->set.n_attributes = 1;
	q->cmd.body_case = HV__COMMAND__BODY_VM_SET;
	q->cmd.vm_set = &q->set;
}

static void wish_lock(struct wish *q)
{
	hv__vm_lock__init(&q->lock);
	q->lock.name = vms_of(q->s)->name[q->k];
	q->lock.reason = prng_chance(q->r, 600) ? "backup" : "";
	q->cmd.body_case = HV__COMMAND__BODY_VM_LOCK;
	q->cmd.vm_lock = &q->lock;
}

static void rule_name(struct wish *q)
{
	snprintf(q->name, sizeof(q->name), "rule%llu", (unsigned long long)prng_range(q->r, 0, 5));
}

static void wish_rule(struct wish *q)
{
	struct vms_world *w = vms_of(q->s);
	Hv__RuleKind kind = (Hv__RuleKind)prng_range(q->r, 1, 6);
	bool places = kind == HV__RULE_KIND__RULE_NODES || kind == HV__RULE_KIND__RULE_BAN;
	size_t most = q->s->n < 3 ? q->s->n : 3;

	rule_name(q);
	hv__rule_add__init(&q->add);
	q->add.name = q->name;
	q->add.kind = kind;
	q->add.hard = prng_chance(q->r, 500);
	q->add.mandatory = prng_chance(q->r, 500);
	q->add.n_vms = (size_t)prng_range(q->r, places ? 1 : 2, places ? 3 : RULE_VMS);
	if (kind == HV__RULE_KIND__RULE_FOLLOW || kind == HV__RULE_KIND__RULE_AFTER)
		q->add.n_vms = 2;
	for (size_t i = 0; i < q->add.n_vms; i++)
		q->vms[i] = w->name[(q->k + (int)i) % (int)w->max_vms];
	q->add.vms = q->vms;
	q->add.n_nodes = places ? (size_t)prng_range(q->r, 1, most) : 0;
	for (size_t i = 0; i < q->add.n_nodes; i++) {
		hv__rule_node__init(&q->node[i]);
		snprintf(q->hosts[i], sizeof(q->hosts[i]), "host%zu",
			 (i + (size_t)q->k) % q->s->n + 1);
		q->node[i].node = q->hosts[i];
		q->node[i].priority = (int32_t)prng_range(q->r, 0, 2);
		q->nodes[i] = &q->node[i];
	}
	q->add.nodes = q->nodes;
	q->cmd.body_case = HV__COMMAND__BODY_RULE_ADD;
	q->cmd.rule_add = &q->add;
}

static void wish_no_rule(struct wish *q)
{
	rule_name(q);
	hv__rule_remove__init(&q->remove);
	q->remove.name = q->name;
	q->cmd.body_case = HV__COMMAND__BODY_RULE_REMOVE;
	q->cmd.rule_remove = &q->remove;
}

void vms_wish(struct sim *s, struct host *h, struct prng *r, int k)
{
	struct wish q = {.s = s, .h = h, .r = r, .k = k};
	uint64_t x = prng_range(r, 0, 99);
	const char *what = x < 35   ? "vm set"
			   : x < 55 ? "vm lock"
			   : x < 80 ? "rule add"
				    : "rule remove";

	hv__command__init(&q.cmd);
	if (x < 35)
		wish_set(&q);
	else if (x < 55)
		wish_lock(&q);
	else if (x < 80)
		wish_rule(&q);
	else
		wish_no_rule(&q);
	if (sim_inject(s, what))
		admin_ask(s, h, &q.cmd, 0);
	if (x < 35 || x >= 55 || !prng_chance(r, 500) || !sim_inject(s, "rule add"))
		return;
	/* What is locked shall be elsewhere. */
	wish_rule(&q);
	admin_ask(s, h, &q.cmd, 0);
}

/* Locks end, and what is not managed is again: then all of it must come to rest by itself. */
void vms_wishes_over(struct sim *s, struct host *h)
{
	for (int k = 0; k < VMS; k++) {
		const struct vm *vm = cluster_vm(h->proc.mind->c, vms_of(s)->uuid[k]);
		bool locked = vm && vm->lock, unmanaged = vm && !vm->managed;
		char name[HV_NAME_MAX + 1];
		struct wish q = {.s = s, .h = h};

		if (!locked && !unmanaged)
			continue;
		snprintf(name, sizeof(name), "%s", vm->name);
		hv__command__init(&q.cmd);
		hv__vm_lock__init(&q.lock);
		hv__vm_set__init(&q.set);
		hv__key_value__init(&q.pair);
		q.lock.name = q.set.name = name;
		q.pair.key = "managed";
		q.pair.value = "on";
		q.pairs[0] = &q.pair;
		q.set.attributes = q.pairs;
		q.set.n_attributes = 1;
		q.cmd.vm_set = &q.set;
		q.cmd.body_case = HV__COMMAND__BODY_VM_SET;
		if (unmanaged)
			admin_ask(s, h, &q.cmd, 0);
		q.cmd.vm_lock = &q.lock;
		q.cmd.body_case = HV__COMMAND__BODY_VM_LOCK;
		if (locked)
			admin_ask(s, h, &q.cmd, 0);
	}
}

/* ---- promises */

static bool acts_on_vm(enum op_kind kind)
{
	return kind == OP_VM_START || kind == OP_VM_STOP || kind == OP_VM_MIGRATE ||
	       kind == OP_VM_PAUSE || kind == OP_VM_RESUME || kind == OP_VM_RESET;
}

/* Where the operation puts it: 0 nowhere new. */
static hv_node_id puts_on(const struct operation *op)
{
	return op->kind == OP_VM_START ? op->node : op->kind == OP_VM_MIGRATE ? op->target : 0;
}

static bool rule_names_node(const struct rule *r, hv_node_id node)
{
	for (size_t i = 0; i < r->n_nodes; i++)
		if (r->nodes[i].node == node)
			return true;
	return false;
}

static bool rule_names_vm(const struct rule *r, const struct vm *vm)
{
	for (size_t i = 0; i < r->n_vms; i++)
		if (strcmp(r->vms[i], vm->uuid) == 0)
			return true;
	return false;
}

/* Runs where it may stay: a group that leaves a node is for a while on two. */
static bool stays(const struct cluster *c, const struct vm *vm)
{
	const struct node *n = cluster_node(c, vm->node);

	return vm->state == VM_RUNNING && !vm->relocating && n && n->state == NODE_ONLINE &&
	       n->admin == NODE_ACTIVE && n->leaving == NODE_STAYS && n->hypervisor_ok;
}

/* Of the rule's other VMs: how many are, or may be, on this node, and how many elsewhere. */
static void others(const struct cluster *c, const struct rule *r, const struct vm *vm,
		   hv_node_id node, size_t *ret_here, size_t *ret_elsewhere)
{
	*ret_here = *ret_elsewhere = 0;
	for (size_t i = 0; i < r->n_vms; i++) {
		const struct vm *o = cluster_vm(c, r->vms[i]);

		if (!o || o == vm || !o->node)
			continue;
		if (o->node == node || o->target == node)
			++*ret_here;
		else if (stays(c, o))
			++*ret_elsewhere;
	}
}

/* What it needs is there: by a rule to follow, on the same node. */
static bool lacks(const struct cluster *c, const struct rule *r, const struct vm *vm,
		  hv_node_id node)
{
	bool follows = r->kind == HV__RULE_KIND__RULE_FOLLOW;
	const struct vm *other;

	if (!(follows || (r->kind == HV__RULE_KIND__RULE_AFTER && r->mandatory)) ||
	    strcmp(r->vms[0], vm->uuid) != 0)
		return false;
	other = cluster_vm(c, r->vms[1]);
	if (!other)
		return false;
	return !vm_is_up(other) || (follows && other->node != node && other->target != node);
}

static const char *broken_rule(const struct cluster *c, const struct vm *vm,
			       const struct operation *op, hv_node_id node)
{
	for (size_t i = 0; i < cluster_rule_count(c); i++) {
		const struct rule *r = cluster_rule_at(c, i);
		size_t here, elsewhere;

		if (op->kind == OP_VM_START && lacks(c, r, vm, node))
			return r->name;
		if (!r->hard || !rule_names_vm(r, vm))
			continue;
		others(c, r, vm, node, &here, &elsewhere);
		if ((r->kind == HV__RULE_KIND__RULE_NODES && !rule_names_node(r, node)) ||
		    (r->kind == HV__RULE_KIND__RULE_BAN && rule_names_node(r, node)) ||
		    (r->kind == HV__RULE_KIND__RULE_APART && here) ||
		    (r->kind == HV__RULE_KIND__RULE_TOGETHER && op->kind == OP_VM_START && !here &&
		     elsewhere))
			return r->name;
	}
	return NULL;
}

/* It gives way, as of this step, to one that does not matter more. */
static bool gives_way_for_nothing(const struct cluster *c, const struct vm *vm)
{
	const struct vm *other;

	if (vm->reason.code != REASON_PREEMPTED || vm->since_us != cluster_now_us(c) ||
	    (vm->state != VM_MIGRATING && vm->state != VM_STOPPING))
		return false;
	other = cluster_vm_by_name(c, vm->reason.subject);
	return other && other->priority <= vm->priority;
}

void vms_check_wishes(struct mind *m, uint64_t index, const struct operation *op)
{
	const struct vm *vm = op->vm ? cluster_vm(m->c, op->vm) : NULL;
	hv_node_id node = puts_on(op);
	const struct node *n = node ? cluster_node(m->c, node) : NULL;
	const char *why = NULL, *rule = NULL;

	/* What a scenario is about is looked at in what runs: scenario_watch.c. */
	if (!vm || !acts_on_vm(op->kind) || m->s->scenario)
		return;
	/* A migration that was under way is brought to its end: its copy is let run. */
	if (!vm->managed && op->kind != OP_VM_RESUME)
		why = "is not managed";
	else if (vm->lock)
		why = "is locked";
	else if (op->kind == OP_VM_MIGRATE && !vm->live_migration && !(op->flags & OP_F_PAUSED))
		why = "is not to be migrated live";
	else if (n && (n->state != NODE_ONLINE || n->admin != NODE_ACTIVE || !n->hypervisor_ok ||
		       n->log_lost_us))
		why = "is put on a node that takes none";
	else if (gives_way_for_nothing(m->c, vm))
		why = "makes room for one of no higher priority";
	else if (node)
		rule = broken_rule(m->c, vm, op, node);
	if (why || rule)
		sim_fail(m->s, "node %u, entry %llu: %s of %s to node %u, which %s%s", m->h->id,
			 (unsigned long long)index, op_kind_name(op->kind), vm->name, node,
			 why ? why : "breaks ", rule ? rule : "");
}
