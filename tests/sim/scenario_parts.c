/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes, VMs, rules and events of a scenario file. */
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

static bool read_node(struct reader *r, json_t *o)
{
	static const char *const keys[] = {"name", "power",   "net", "state",
					   "cpus", "mem_mib", NULL};
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
	    !read_size(r, o, "mem_mib", UINT32_MAX, &n->mem_mib))
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
static bool read_want(struct reader *r, json_t *o, bool *ret_wanted, bool *ret_unmanaged)
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
	       read_faults(r, member(o, "faults"), vm);
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
	static const char *const keys[] = {"name",	    "node",
					   "migrating_to",  "want",
					   "state",	    "cpus",
					   "mem_mib",	    "load_cpu",
					   "load_mem_mib",  "priority",
					   "failback",	    "managed",
					   "unmanaged",	    "live_migratable",
					   "start_retries", "max_relocate",
					   "faults",	    NULL};
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
	if (!is_after && !rule->hard)
		return bad(r, "a rule: follow is always hard here");
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

/* ---- events */

static const char *const op_words[] = {
    "power_on",	      "power_off",	 "net_down", "net_up",	     "shutdown", "reboot",
    "maintenance_on", "maintenance_off", "migrate",  "stop_request", "set_want", "vm_add",
    "vm_remove",      "external_move",	 "set_lock", "ha_disarm",    "ha_arm"};

static bool node_event(enum sc_op op)
{
	return op <= SC_MAINTENANCE_OFF;
}

/* The VM to add: an object, or its members beside "op". One that is listed already is only late. */
static bool read_vm_add(struct reader *r, json_t *o, struct sc_event *e)
{
	json_t *v = member(o, "vm"), *copy;
	const char *key;
	bool ok;

	if (json_is_object(v)) {
		e->vm = (int)r->sc->n_vms;
		return read_vm(r, v, true);
	}
	if (!json_is_string(v))
		return bad(r, "vm_add: names no VM");
	e->vm = vm_named(r->sc, json_string_value(v));
	copy = json_copy(o);
	for (const char *const *k = (const char *const[]){"t", "op", "vm", "expect", NULL}; *k; k++)
		json_object_del(copy, *k);
	if (e->vm >= 0) {
		r->sc->vms[e->vm].late = true;
		key = json_object_iter_key(json_object_iter(copy));
		ok = !key || bad(r, "vm_add: \"%.60s\" is said of it elsewhere", key);
	} else {
		e->vm = (int)r->sc->n_vms;
		json_object_set(copy, "name", v);
		ok = read_vm(r, copy, true);
	}
	json_decref(copy);
	return ok;
}

static bool read_target(struct reader *r, json_t *o, struct sc_event *e)
{
	static const char *const keys[] = {"to", "node", "target"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (member(o, keys[i]))
			return node_of(r, member(o, keys[i]), op_words[e->op], &e->node);
	return bad(r, "%s: says not where to", op_words[e->op]);
}

static bool read_lock(struct reader *r, json_t *o, struct sc_event *e)
{
	static const char *const keys[] = {"lock", "reason", "value"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		json_t *v = member(o, keys[i]);

		if (json_is_true(v))
			e->lock = hv_xstrdup("lock");
		else if (json_is_string(v) && *json_string_value(v))
			e->lock = hv_xstrdup(json_string_value(v));
		else if (v && !json_is_false(v) && !json_is_string(v))
			return bad(r, "set_lock: neither a text nor null");
		if (e->lock)
			return true;
	}
	return true;
}

static bool read_vm_event(struct reader *r, json_t *o, struct sc_event *e)
{
	bool wanted = true;

	if (e->op == SC_VM_ADD)
		return read_vm_add(r, o, e);
	if (!member(o, "vm") || !vm_of(r, member(o, "vm"), op_words[e->op], &e->vm))
		return bad(r, "%s: names no VM", op_words[e->op]);
	if (e->op == SC_MIGRATE || e->op == SC_EXTERNAL_MOVE)
		return read_target(r, o, e);
	if (e->op == SC_SET_LOCK)
		return read_lock(r, o, e);
	if (e->op == SC_SET_WANT) {
		if (!member(o, "want"))
			return bad(r, "set_want: says not what");
		if (!read_want(r, o, &wanted, &e->unmanaged))
			return false;
		e->want = wanted;
	}
	return true;
}

static bool read_disarm(struct reader *r, json_t *o, struct sc_event *e)
{
	static const char *const keys[] = {"mode", "policy", "resource_mode", "value"};
	static const char *const words[] = {"freeze", "ignore"};
	int word = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!read_word(r, o, keys[i], words, ARRAY_SIZE(words), &word))
			return false;
	e->ignore = word == 1;
	return true;
}

static const char *const *event_keys(enum sc_op op)
{
	static const char *const node[] = {"t", "op", "expect", "node", NULL};
	static const char *const vm[] = {"t", "op", "expect", "vm", NULL};
	static const char *const stop[] = {"t", "op", "expect", "vm", "timeout", "timeout_s", NULL};
	static const char *const move[] = {"t",	   "op",     "expect", "vm",   "to",
					   "node", "target", "live",   "from", NULL};
	static const char *const want[] = {"t", "op", "expect", "vm", "want", NULL};
	static const char *const lock[] = {"t",	   "op",     "expect", "vm",
					   "lock", "reason", "value",  NULL};
	static const char *const arm[] = {
	    "t", "op", "expect", "mode", "policy", "resource_mode", "value", NULL};

	if (node_event(op))
		return node;
	if (op == SC_MIGRATE || op == SC_EXTERNAL_MOVE)
		return move;
	if (op == SC_SET_WANT)
		return want;
	if (op == SC_SET_LOCK)
		return lock;
	if (op == SC_HA_DISARM || op == SC_HA_ARM)
		return arm;
	return op == SC_VM_ADD ? NULL : op == SC_STOP_REQUEST ? stop : vm;
}

static bool read_timeout(struct reader *r, json_t *o, struct sc_event *e)
{
	static const char *const keys[] = {"timeout", "timeout_s"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		json_t *v = member(o, keys[i]);

		if (v && !json_is_number(v))
			return bad(r, "stop_request: the timeout is not a number");
		e->force = e->force || (v && json_number_value(v) <= 0);
	}
	return true;
}

static bool read_event(struct reader *r, json_t *o)
{
	static const char *const answers[] = {"any", "rejected", "accepted"};
	struct sc_event *e = &r->sc->events[r->sc->n_events];
	const char *const *keys;
	int op = -1, answer = 0;

	if (!json_is_object(o) || !member(o, "op") ||
	    !read_word(r, o, "op", op_words, ARRAY_SIZE(op_words), &op))
		return bad(r, "an event without an \"op\"");
	r->sc->n_events++;
	e->op = (enum sc_op)op;
	e->node = e->vm = -1;
	keys = event_keys(e->op);
	if ((keys && !only(r, o, op_words[op], keys)) || !member(o, "t") ||
	    !read_ms(r, member(o, "t"), "an event's time", &e->t_ms) ||
	    !read_word(r, o, "expect", answers, ARRAY_SIZE(answers), &answer))
		return bad(r, "%s: \"t\" is missing", op_words[op]);
	e->expect = (enum sc_answer)answer;
	if (e->op == SC_HA_DISARM || e->op == SC_HA_ARM)
		return read_disarm(r, o, e);
	if (!node_event(e->op))
		return read_vm_event(r, o, e) && read_timeout(r, o, e);
	if (!member(o, "node"))
		return bad(r, "%s: names no node", op_words[op]);
	return node_of(r, member(o, "node"), op_words[op], &e->node);
}

/* By time; those of one time stay in the order in which they stand. */
static void sort_events(struct scenario *sc)
{
	for (size_t i = 1; i < sc->n_events; i++) {
		struct sc_event e = sc->events[i];
		size_t k = i;

		for (; k > 0 && sc->events[k - 1].t_ms > e.t_ms; k--)
			sc->events[k] = sc->events[k - 1];
		sc->events[k] = e;
	}
}

bool read_events(struct reader *r, json_t *list)
{
	json_t *o;
	size_t i;

	if (!list)
		return true;
	if (!json_is_array(list) || json_array_size(list) > SC_EVENTS)
		return bad(r, "\"events\" is not a list of at most %d", SC_EVENTS);
	r->sc->events = hv_xcalloc(json_array_size(list) + 1, sizeof(*r->sc->events));
	json_array_foreach(list, i, o)
	{
		if (!read_event(r, o))
			return false;
	}
	sort_events(r->sc);
	return true;
}
