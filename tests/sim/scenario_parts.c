/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes, VMs and rules of a scenario file. */
#include "tests/sim/scenario_json.h"

#include <string.h>

static bool new_name(struct reader *r, json_t *o, const char *what, char **ret)
{
	const char *s = json_string_value(member(o, "name"));

	if (!s || !hv_name_valid(s))
		return bad(r, "%s: \"name\" is missing, or \"%.60s\" is not a name", what,
			   s ? s : "");
	*ret = hv_xstrdup(s);
	return true;
}

/* How much of something: a fraction counts as a whole; absent, null and 0: no limit, or none. */
static bool read_size(struct reader *r, json_t *o, const char *key, uint64_t max, uint64_t *ret)
{
	json_t *v = member(o, key);
	double d;

	if (!v)
		return true;
	if (!json_is_number(v))
		return bad(r, "\"%s\": not a number", key);
	d = json_number_value(v);
	if (!(d >= 0 && d <= (double)max))
		return bad(r, "\"%s\": out of range", key);
	*ret = (uint64_t)d;
	if ((double)*ret < d)
		*ret += 1;
	return true;
}

/* ---- nodes */

static bool read_device(struct reader *r, json_t *o, struct sc_device *d)
{
	static const char *const keys[] = {"kind",  "level",   "delay_s", "delay_random_s",
					   "proof", "require", "unfence", NULL};
	static const char *const kinds[] = {"bmc",  "bmc_shared", "outlet_a", "outlet_b",
					    "liar", "garbage",	  "hangs",    "slow"};
	static const char *const proofs[] = {"seen", "waited"}, *const demands[] = {"any", "seen"};
	int kind = DEVICE_BMC, proof = 0, demand = 0;

	d->level = 1;
	if (!only(r, o, "fence", keys) ||
	    !read_word(r, o, "kind", kinds, ARRAY_SIZE(kinds), &kind) ||
	    !read_word(r, o, "proof", proofs, ARRAY_SIZE(proofs), &proof) ||
	    !read_word(r, o, "require", demands, ARRAY_SIZE(demands), &demand) ||
	    !read_u64(r, o, "level", HV_MAX_FENCE_LEVELS, &d->level) ||
	    !read_u64(r, o, "delay_s", 3600, &d->delay_s) ||
	    !read_u64(r, o, "delay_random_s", 3600, &d->delay_random_s) ||
	    !read_bool(r, o, "unfence", &d->unfence))
		return false;
	d->kind = (enum device_kind)kind;
	d->waited = proof == 1;
	d->require_seen = demand == 1;
	return true;
}

static bool read_devices(struct reader *r, json_t *list, struct sc_node *n)
{
	json_t *o;
	size_t i;

	if (!list)
		return true;
	if (!json_is_array(list) || json_array_size(list) > DEVICES)
		return bad(r, "\"fence\" is not a list of at most %d", DEVICES);
	json_array_foreach(list, i, o)
	{
		if (!read_device(r, o, &n->devices[n->n_devices++]))
			return false;
	}
	return true;
}

static bool read_node(struct reader *r, json_t *o)
{
	static const char *const keys[] = {"name", "power",   "net",   "state",
					   "cpus", "mem_mib", "fence", NULL};
	static const char *const power[] = {"off", "on"}, *const net[] = {"down", "up"};
	static const char *const states[] = {
	    "online",	       "lost",		"off", "drain", "manager_dead", "join_timeout",
	    "fence_requested", "shutting_down",
	};
	struct scenario *sc = r->sc;
	struct sc_node *n = &sc->nodes[sc->n_nodes];
	int on = 1, up = 1, state = 0;
	char *name = NULL;

	if (sc->n_nodes == SC_NODES)
		return bad(r, "more than %d nodes", SC_NODES);
	if (!only(r, o, "a node", keys) || !new_name(r, o, "a node", &name))
		return false;
	if (node_named(sc, name) >= 0) {
		bad(r, "two nodes \"%s\"", name);
		free(name);
		return false;
	}
	n->name = name;
	sc->n_nodes++;
	if (!read_word(r, o, "power", power, 2, &on) || !read_word(r, o, "net", net, 2, &up) ||
	    !read_word(r, o, "state", states, ARRAY_SIZE(states), &state) ||
	    !read_size(r, o, "cpus", 65536, &n->cpus) ||
	    !read_size(r, o, "mem_mib", UINT32_MAX, &n->mem_mib) ||
	    !read_devices(r, member(o, "fence"), n))
		return false;
	n->power = on;
	n->net = up;
	n->state = (enum sc_node_state)state;
	return true;
}

bool read_nodes(struct reader *r, json_t *list)
{
	json_t *o;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) == 0)
		return bad(r, "\"nodes\" is missing");
	json_array_foreach(list, i, o)
	{
		if (!read_node(r, o))
			return false;
	}
	return true;
}

/* ---- VMs */

static bool read_faults(struct reader *r, json_t *o, struct sc_vm *vm)
{
	static const char *const keys[] = {"start_fail_first", "only_on", "migrate_fail_first",
					   "stop_always_fails", NULL};

	if (!o)
		return true;
	return only(r, o, "faults", keys) &&
	       read_u64(r, o, "start_fail_first", 1000000, &vm->start_fail_first) &&
	       read_u64(r, o, "migrate_fail_first", 1000000, &vm->migrate_fail_first) &&
	       read_bool(r, o, "stop_always_fails", &vm->stop_always_fails) &&
	       (!member(o, "only_on") ||
		nodes_of(r, member(o, "only_on"), "only_on", &vm->start_fail_on));
}

/* running, stopped; and left to itself. */
bool read_want(struct reader *r, json_t *o, bool *ret_wanted, bool *ret_unmanaged)
{
	static const char *const words[] = {"stopped", "running",  "unmanaged",
					    "ignored", "disabled", "started"};
	int want = -1;

	if (!read_word(r, o, "want", words, ARRAY_SIZE(words), &want) || want < 0)
		return !r->why;
	*ret_wanted = want == 1 || want == 5;
	*ret_unmanaged = want == 2 || want == 3;
	return true;
}

static bool read_place(struct reader *r, json_t *o, struct sc_vm *vm)
{
	json_t *node = member(o, "node"), *to = member(o, "migrating_to");

	vm->node = vm->migrating_to = -1;
	return (!node || node_of(r, node, "a VM's node", &vm->node)) &&
	       (!to || node_of(r, to, "migrating_to", &vm->migrating_to));
}

static bool read_attributes(struct reader *r, json_t *o, struct sc_vm *vm)
{
	uint64_t unused = 0;

	vm->start_retries = vm->max_relocate = -1;
	return read_size(r, o, "cpus", 65536, &vm->cpus) &&
	       read_size(r, o, "mem_mib", UINT32_MAX, &vm->mem_mib) &&
	       read_size(r, o, "load_cpu", UINT32_MAX, &unused) &&
	       read_size(r, o, "load_mem_mib", UINT32_MAX, &unused) &&
	       read_i64(r, o, "priority", -1000000, 1000000, &vm->priority) &&
	       read_yes(r, o, "failback", &vm->failback) &&
	       read_yes(r, o, "live_migratable", &vm->live) &&
	       read_i64(r, o, "start_retries", 0, 100, &vm->start_retries) &&
	       read_i64(r, o, "max_relocate", 0, 32, &vm->max_relocate) &&
	       read_faults(r, member(o, "faults"), vm) &&
	       read_guest(r, member(o, "guest"), &vm->guest);
}

static bool read_vm_state(struct reader *r, json_t *o, struct sc_vm *vm)
{
	static const char *const states[] = {
	    "running",
	    "stopped",
	    "failed",
	    "stop_failed",
	    "unknown",
	    "migrating",
	    "migrate_failed_source",
	    "migrate_failed_target",
	    "maybe_on_both",
	};
	int state = vm->wanted && vm->node >= 0 ? SC_VM_RUNNING : SC_VM_STOPPED;

	if (!read_word(r, o, "state", states, ARRAY_SIZE(states), &state))
		return false;
	vm->state = (enum sc_vm_state)state;
	if (vm->node < 0 && state != SC_VM_STOPPED)
		return bad(r, "VM \"%s\": this state needs a node", vm->name);
	if (vm->migrating_to < 0 && state >= SC_VM_MIGRATING)
		return bad(r, "VM \"%s\": this state needs \"migrating_to\"", vm->name);
	return true;
}

bool read_vm(struct reader *r, json_t *o, bool late)
{
	static const char *const keys[] = {"name",
					   "node",
					   "migrating_to",
					   "want",
					   "state",
					   "cpus",
					   "mem_mib",
					   "load_cpu",
					   "load_mem_mib",
					   "priority",
					   "failback",
					   "managed",
					   "unmanaged",
					   "live_migratable",
					   "start_retries",
					   "max_relocate",
					   "faults",
					   "guest",
					   NULL};
	struct scenario *sc = r->sc;
	struct sc_vm *vm = &sc->vms[sc->n_vms];
	bool managed = true, unmanaged = false, by_want = false;
	char *name = NULL;

	if (sc->n_vms == VMS)
		return bad(r, "more than %d VMs", VMS);
	if (!only(r, o, "a VM", keys) || !new_name(r, o, "a VM", &name))
		return false;
	if (vm_named(sc, name) >= 0) {
		bad(r, "two VMs \"%s\"", name);
		free(name);
		return false;
	}
	vm->name = name;
	sc->n_vms++;
	vm->late = late;
	vm->wanted = true;
	if (!read_want(r, o, &vm->wanted, &by_want) || !read_place(r, o, vm) ||
	    !read_attributes(r, o, vm) || !read_bool(r, o, "managed", &managed) ||
	    !read_bool(r, o, "unmanaged", &unmanaged) || !read_vm_state(r, o, vm))
		return false;
	vm->managed = managed && !unmanaged && !by_want;
	return true;
}

bool read_vms(struct reader *r, json_t *list)
{
	json_t *o;
	size_t i;

	if (list && !json_is_array(list))
		return bad(r, "\"vms\" is not a list");
	json_array_foreach(list, i, o)
	{
		if (!read_vm(r, o, false))
			return false;
	}
	return true;
}

/* ---- rules */

static bool add_vms(struct reader *r, json_t *v, struct sc_rule *rule)
{
	json_t *item;
	size_t i;
	int vm = -1;

	if (json_is_string(v)) {
		if (!vm_of(r, v, "a rule", &vm))
			return false;
		rule->vms[rule->n_vms++] = vm;
		return true;
	}
	if (!json_is_array(v) || json_array_size(v) == 0 || rule->n_vms)
		return bad(r, "a rule: names no VM");
	json_array_foreach(v, i, item)
	{
		if (!vm_of(r, item, "a rule", &vm))
			return false;
		for (size_t k = 0; k < rule->n_vms; k++)
			if (rule->vms[k] == vm)
				return bad(r, "a rule: VM \"%s\" twice", r->sc->vms[vm].name);
		rule->vms[rule->n_vms++] = vm;
	}
	return true;
}

/* A list of names, or an object of name: priority. */
static bool add_nodes(struct reader *r, json_t *v, struct sc_rule *rule)
{
	const char *key;
	json_t *prio;
	int node;

	if (!json_is_object(v))
		return nodes_of(r, v, "a rule's nodes", &rule->nodes);
	json_object_foreach(v, key, prio)
	{
		node = node_named(r->sc, key);
		if (node < 0)
			return bad(r, "a rule: no node \"%.60s\"", key);
		if (!json_is_null(prio) &&
		    !read_i64(r, v, key, -1000000, 1000000, &rule->node_priority[node]))
			return false;
		rule->nodes |= 1ULL << node;
	}
	return true;
}

static bool rule_of_sets(struct reader *r, json_t *o, struct sc_rule *rule)
{
	static const char *const with_nodes[] = {"type", "name", "vms", "nodes", "hard", NULL};
	static const char *const without[] = {"type", "name", "vms", "hard", NULL};
	bool nodes =
	    rule->kind == HV__RULE_KIND__RULE_NODES || rule->kind == HV__RULE_KIND__RULE_BAN;

	rule->hard = true;
	if (!only(r, o, "a rule", nodes ? with_nodes : without) ||
	    !add_vms(r, member(o, "vms"), rule) || !read_bool(r, o, "hard", &rule->hard))
		return false;
	if (nodes && !add_nodes(r, member(o, "nodes"), rule))
		return false;
	if (nodes && !rule->nodes)
		return bad(r, "a rule: names no node");
	return true;
}

static bool rule_of_two(struct reader *r, json_t *o, struct sc_rule *rule)
{
	static const char *const follow[] = {"type", "name", "vm", "leader", "hard", NULL};
	static const char *const after[] = {"type", "name", "vm", "needs", "mandatory", NULL};
	bool is_after = rule->kind == HV__RULE_KIND__RULE_AFTER;

	rule->hard = rule->mandatory = true;
	if (!only(r, o, "a rule", is_after ? after : follow) || json_is_array(member(o, "vm")) ||
	    !add_vms(r, member(o, "vm"), rule) ||
	    !add_vms(r, member(o, is_after ? "needs" : "leader"), rule) ||
	    !read_bool(r, o, "mandatory", &rule->mandatory) ||
	    !read_bool(r, o, "hard", &rule->hard))
		return false;
	if (rule->n_vms != 2 || rule->vms[0] == rule->vms[1])
		return bad(r, "a rule: follow and after are of two VMs");
	return true;
}

static bool read_rule(struct reader *r, json_t *o)
{
	static const char *const types[] = {"nodes", "ban", "together", "apart", "follow", "after"};
	static const Hv__RuleKind kinds[] = {
	    HV__RULE_KIND__RULE_NODES, HV__RULE_KIND__RULE_BAN,	   HV__RULE_KIND__RULE_TOGETHER,
	    HV__RULE_KIND__RULE_APART, HV__RULE_KIND__RULE_FOLLOW, HV__RULE_KIND__RULE_AFTER};
	struct sc_rule *rule = &r->sc->rules[r->sc->n_rules];
	int type = -1;

	if (!json_is_object(o) || !read_word(r, o, "type", types, ARRAY_SIZE(types), &type))
		return bad(r, "a rule is not an object");
	if (type < 0)
		return bad(r, "a rule without a type");
	r->sc->n_rules++;
	rule->kind = kinds[type];
	if (rule->kind == HV__RULE_KIND__RULE_FOLLOW || rule->kind == HV__RULE_KIND__RULE_AFTER)
		return rule_of_two(r, o, rule);
	return rule_of_sets(r, o, rule);
}

bool read_rules(struct reader *r, json_t *list)
{
	json_t *o;
	size_t i;

	if (!list)
		return true;
	if (!json_is_array(list) || json_array_size(list) > SC_RULES)
		return bad(r, "\"rules\" is not a list of at most %d", SC_RULES);
	r->sc->rules = hv_xcalloc(json_array_size(list) + 1, sizeof(*r->sc->rules));
	json_array_foreach(list, i, o)
	{
		if (!read_rule(r, o))
			return false;
	}
	return true;
}
