/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events of a scenario file. */
#include "tests/sim/scenario_json.h"

#include <string.h>

static const char *const op_words[] = {
    "power_on",	       "power_off",	   "net_down",		 "net_up",
    "one_way",	       "both_ways",	   "shutdown",		 "reboot",
    "fence_node",      "fence_confirm",	   "node_release",	 "maintenance_on",
    "maintenance_off", "migrate",	   "stop_request",	 "set_want",
    "vm_add",	       "vm_remove",	   "external_move",	 "set_lock",
    "ha_disarm",       "ha_arm",	   "vm_reset",		 "guest_hangs",
    "guest_goes_on",   "guest_agent_dies", "guest_busy",	 "guest_idle",
    "guest_panics",    "guest_watchdog",   "guest_no_space",	 "guest_io_error",
    "guest_crashes",   "guest_shuts_down", "guest_storage_back", "storage_bad",
    "storage_good",    "libvirt_hangs",	   "libvirt_answers",	 "log_disk_fails",
    "log_disk_hangs",  "log_disk_well"};

static bool node_event(enum sc_op op)
{
	return op <= SC_MAINTENANCE_OFF || op >= SC_STORAGE_BAD;
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
