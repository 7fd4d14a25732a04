/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random rules, losses, drains, requests and failures. After each step the state's invariants hold,
 * and a replica decoded anew comes to the same digest (brain_world). No VM is sent where a hard
 * rule of the moment forbids it. When all heals, everything comes to rest, and stays so.
 */
#include "tests/unit/brain_world.h"

#include "resource/rule.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define VMS 9
#define NODES_MAX 4
#define EVENTS 70
#define SEEDS 40
#define ROUNDS 120 /* of healing: a group that cannot start pauses for a minute at a time */

struct chance {
	uint64_t state;
};

static unsigned below(struct chance *ch, unsigned n)
{
	ch->state = ch->state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(ch->state >> 33) % n;
}

static const char *vm_name(unsigned i)
{
	static const char *const names[VMS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};

	return names[i % VMS];
}

static const char *node_word(unsigned i)
{
	static const char *const names[NODES_MAX] = {"host1", "host2", "host3", "host4"};

	return names[i % NODES_MAX];
}

static void random_rule(struct world *w, struct chance *ch)
{
	Hv__RuleKind kind = (Hv__RuleKind)(1 + below(ch, 6));
	bool places = kind == HV__RULE_KIND__RULE_NODES || kind == HV__RULE_KIND__RULE_BAN;
	bool two = kind == HV__RULE_KIND__RULE_FOLLOW || kind == HV__RULE_KIND__RULE_AFTER;
	unsigned first = below(ch, VMS), k = two ? 2 : (places ? 1 : 2) + below(ch, 2);
	char name[4], vms[64] = "", nodes[64] = "";

	snprintf(name, sizeof(name), "r%u", below(ch, 6));
	for (unsigned i = 0; i < k; i++)
		snprintf(vms + strlen(vms), sizeof(vms) - strlen(vms), "%s ", vm_name(first + i));
	if (places)
		snprintf(nodes, sizeof(nodes), "%s=%u %s", node_word(below(ch, 2)), below(ch, 3),
			 node_word(2 + below(ch, 2)));
	rule_add(w, name, kind, vms, nodes, below(ch, 3) > 0);
}

static void random_setting(struct world *w, struct chance *ch)
{
	static const char *const settings[][2] = {
	    {"placement", "count"},    {"placement", "capacity"}, {"placement", "pack"},
	    {"placement", "balanced"}, {"preemption", "on"},	  {"preemption", "off"},
	    {"stickiness", "on"},      {"stickiness", "off"},	  {"vcpus_per_cpu", "1"},
	    {"vcpus_per_cpu", "0"},    {"migrate_parallel", "1"}, {"migrate_parallel", "3"}};
	unsigned i = below(ch, ARRAY_SIZE(settings));

	set(w, settings[i][0], settings[i][1]);
}

/* One of the operations in progress is answered, one way or another. */
static void random_result(struct world *w, struct chance *ch)
{
	size_t n = cluster_op_count(w->c), from = n ? below(ch, (unsigned)n) : 0;

	for (size_t i = 0; i < n; i++) {
		const struct operation *o = cluster_op_at(w->c, (from + i) % n);
		bool fine = below(ch, 4) > 0;

		if (o->state != OP_RUNNING || !o->node || o->deadline_us)
			continue;
		if (o->kind == OP_FENCE && fine && node(w, o->victim)->state == NODE_FENCING)
			fence_result(w, o->victim, HV_OK);
		else if (o->kind == OP_VM_START || o->kind == OP_VM_RESUME)
			result_of(w, o, fine ? HV_OK : HV_HYPERVISOR, fine ? RUNNING : ABSENT, "");
		else if (o->kind == OP_VM_MIGRATE)
			result_of(w, o, fine ? HV_OK : HV_HYPERVISOR, fine ? ABSENT : RUNNING, "");
		else if (o->kind == OP_VM_STOP || o->kind == OP_VM_DESTROY)
			result_of(w, o, fine ? HV_OK : HV_TIMEOUT, fine ? ABSENT : RUNNING, "");
		else if (o->kind == OP_VM_PROBE)
			result_of(w, o, HV_OK, fine ? RUNNING : ABSENT, "");
		return;
	}
}

static void random_node(struct world *w, struct chance *ch)
{
	static const char *const views[] = {"123", "124", "234", "134", "1234"};

	switch (below(ch, 4)) {
	case 0:
		view(w, views[below(ch, ARRAY_SIZE(views))], "", false);
		for (hv_node_id id = 1; id <= NODES_MAX; id++)
			if (node(w, id)->state == NODE_JOINING)
				report(w, id, "");
		return;
	case 1:
		node_drain(w, node_word(below(ch, NODES_MAX)));
		return;
	default:
		node_resume(w, node_word(below(ch, NODES_MAX)));
		return;
	}
}

static void random_event(struct world *w, struct chance *ch)
{
	const char *name = vm_name(below(ch, VMS));
	unsigned x = below(ch, 100);

	if (x < 12)
		random_rule(w, ch);
	else if (x < 15)
		rule_remove(w, "r1");
	else if (x < 20)
		random_setting(w, ch);
	else if (x < 30)
		vm_migrate(w, name, below(ch, 2) ? node_word(below(ch, NODES_MAX)) : "");
	else if (x < 36)
		vm_stop(w, name, below(ch, 4) == 0);
	else if (x < 44)
		vm_start(w, name, "");
	else if (x < 47)
		vm_set(w, name, "priority", below(ch, 2) ? "5" : "0");
	else if (x < 49)
		vm_set(w, name, "failback", below(ch, 2) ? "on" : "off");
	else if (x < 51)
		vm_set(w, name, "live_migration", below(ch, 2) ? "on" : "off");
	else if (x < 60)
		random_node(w, ch);
	else if (x < 66)
		tick(w, 1 + below(ch, 30000));
	else
		random_result(w, ch);
}

/* What the latest step began must not be against a hard rule about places. */
static void assert_lawful(struct world *w, uint64_t seed)
{
	for (size_t i = 0; i < w->out.count; i++) {
		const struct operation *o = cluster_op(w->c, w->out.items[i].op);
		const struct vm *v;
		const struct rule *r;
		hv_node_id to;

		if (w->out.items[i].kind != ACTION_OP_BEGUN || !o || o->attempt > 1 || !o->vm ||
		    (o->kind != OP_VM_START && o->kind != OP_VM_MIGRATE))
			continue;
		v = cluster_vm(w->c, o->vm);
		to = o->kind == OP_VM_START ? o->node : o->target;
		r = rule_excludes(v, to);
		cr_assert_null(r, "seed %llu: %s is sent to %u against %s",
			       (unsigned long long)seed, v->name, to, r->name);
		for (size_t k = 0; k < v->n_rules; k++) {
			const struct rule *apart = v->rules[k];

			for (size_t m = 0;
			     apart->hard && apart->kind == HV__RULE_KIND__RULE_APART &&
			     m < apart->n_vms;
			     m++)
				cr_assert(apart->members[m] == v ||
					      (apart->members[m]->node != to &&
					       apart->members[m]->target != to),
					  "seed %llu: %s is sent to %s, against %s",
					  (unsigned long long)seed, v->name,
					  apart->members[m]->name, apart->name);
		}
	}
}

static unsigned begun(const struct world *w)
{
	unsigned n = 0;

	for (size_t i = 0; i < w->out.count; i++)
		n += w->out.items[i].kind == ACTION_OP_BEGUN;
	return n;
}

static void heal(struct world *w, uint64_t seed)
{
	view(w, "1234", "", false);
	for (hv_node_id id = 1; id <= NODES_MAX; id++) {
		if (node(w, id)->state == NODE_JOINING)
			report(w, id, "");
		node_resume(w, node_word(id - 1));
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		all_succeed(w);
		tick(w, 20000);
		assert_lawful(w, seed);
	}
	for (unsigned i = 0; i < 10; i++) {
		tick(w, 70000);
		cr_assert_eq(begun(w), 0, "seed %llu: it does not come to rest",
			     (unsigned long long)seed);
	}
}

static void play(uint64_t seed)
{
	struct chance ch = {seed * 7919 + 1};
	struct world *w = world_new(NODES_MAX);

	w->twin = true;
	for (unsigned i = 0; i < VMS; i++)
		vm_add(w, vm_name(i), 512 + 512 * below(&ch, 6), (int32_t)below(&ch, 3),
		       below(&ch, 4) > 0);
	for (unsigned i = 0; i < EVENTS; i++) {
		random_event(w, &ch);
		assert_lawful(w, seed);
	}
	heal(w, seed);
	world_free(w);
}

Test(brain_rules_random, lawful_and_at_rest_in_the_end)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		play(seed);
}
