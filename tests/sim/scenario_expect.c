/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a scenario file expects. */
#include "tests/sim/scenario_json.h"

#include <string.h>

static const char *const state_words[] = {"any",     "running",		 "stopped",
					  "failed",  "pending_recovery", "frozen",
					  "unknown", "unmanaged",	 "stop_failed"};

/* ---- states of VMs */

static bool read_state(struct reader *r, json_t *v, enum sc_state *ret)
{
	int state = 0;

	if (!word_of(r, v, "a state", state_words, ARRAY_SIZE(state_words), &state))
		return false;
	*ret = (enum sc_state)state;
	return true;
}

/* {"state": "running", "on": ["a"]}, or the state alone. */
static bool read_final(struct reader *r, json_t *v, struct sc_final *f)
{
	static const char *const keys[] = {"state", "on", NULL};

	if (json_is_string(v))
		return read_state(r, v, &f->state);
	if (!only(r, v, "a VM's state", keys))
		return false;
	if (member(v, "state") && !read_state(r, member(v, "state"), &f->state))
		return false;
	if (!member(v, "state"))
		f->state = SC_S_RUNNING;
	return !member(v, "on") || nodes_of(r, member(v, "on"), "\"on\"", &f->on);
}

static bool read_finals(struct reader *r, json_t *o, struct sc_finals *ret)
{
	const char *name;
	json_t *v;

	if (!o)
		return true;
	if (!json_is_object(o))
		return bad(r, "\"final\" is not an object");
	ret->items = hv_xcalloc(json_object_size(o) + 1, sizeof(*ret->items));
	json_object_foreach(o, name, v)
	{
		struct sc_final *f = &ret->items[ret->n];

		f->vm = vm_named(r->sc, name);
		if (f->vm < 0)
			return bad(r, "\"final\": no VM \"%.60s\"", name);
		ret->n++;
		if (!read_final(r, v, f))
			return false;
	}
	return true;
}

/* ---- when */

static bool read_span(struct reader *r, json_t *o, struct sc_span *ret, bool *ret_at_end)
{
	json_t *before = member(o, "before_t"), *after = member(o, "after_t"),
	       *between = member(o, "between_t"), *at = member(o, "at");

	*ret = (struct sc_span){0, UINT64_MAX};
	if (at && !json_is_number(at) &&
	    (!json_is_string(at) || strcmp(json_string_value(at), "final")))
		return bad(r, "\"at\" is neither \"final\" nor a time");
	if (json_is_number(at) && !read_ms(r, at, "at", &ret->to_ms))
		return false;
	if (between && (!json_is_array(between) || json_array_size(between) != 2))
		return bad(r, "\"between_t\" is not a pair");
	if (between && (!read_ms(r, json_array_get(between, 0), "between_t", &ret->from_ms) ||
			!read_ms(r, json_array_get(between, 1), "between_t", &ret->to_ms)))
		return false;
	if (before && !read_ms(r, before, "before_t", &ret->to_ms))
		return false;
	if (after && !read_ms(r, after, "after_t", &ret->from_ms))
		return false;
	if (ret->from_ms > ret->to_ms)
		return bad(r, "a time that ends before it begins");
	*ret_at_end = ret->to_ms == UINT64_MAX;
	return true;
}

/* ---- never */

static bool read_never(struct reader *r, json_t *o)
{
	static const char *const kinds[] = {
	    "moved", "stopped",	 "started_on", "start_attempt_on",
	    "fence", "together", "overcommit", "started_before_fence"};
	static const char *const keys[] = {"kind",	"vm", "vms",	  "node",
					   "nodes",	"on", "before_t", "after_t",
					   "between_t", "at", NULL};
	struct sc_never *n = &r->sc->nevers[r->sc->n_nevers];
	json_t *vm, *node;
	bool at_end;
	int kind = -1;

	if (r->sc->n_nevers == SC_NEVERS)
		return bad(r, "more than %d of \"never\"", SC_NEVERS);
	if (!only(r, o, "never", keys) || !read_word(r, o, "kind", kinds, ARRAY_SIZE(kinds), &kind))
		return false;
	if (kind < 0)
		return bad(r, "never: without a kind");
	n->kind = (enum sc_never_kind)kind;
	vm = member(o, "vm") ? member(o, "vm") : member(o, "vms");
	node = member(o, "node") ? member(o, "node") : member(o, "nodes");
	node = node ? node : member(o, "on");
	if (vm && !vms_of_list(r, vm, "never", &n->vms))
		return false;
	if (node && !nodes_of(r, node, "never", &n->nodes))
		return false;
	if (kind == SC_N_TOGETHER && !n->vms)
		return bad(r, "never together: names no VMs");
	r->sc->n_nevers++;
	return read_span(r, o, &n->span, &at_end);
}

/* ---- sets of VMs */

/* [["a","b"],["c","d"]], or one set alone. */
static bool read_sets(struct reader *r, json_t *v, const char *what, uint64_t **ret, size_t *n)
{
	json_t *item;
	size_t i;

	if (!v)
		return true;
	if (!json_is_array(v) || json_array_size(v) == 0)
		return bad(r, "%s: not a list", what);
	*ret = hv_xcalloc(json_array_size(v), sizeof(**ret));
	if (json_is_string(json_array_get(v, 0))) {
		*n = 1;
		return vms_of_list(r, v, what, &(*ret)[0]);
	}
	json_array_foreach(v, i, item)
	{
		if (!vms_of_list(r, item, what, &(*ret)[(*n)++]))
			return false;
	}
	return true;
}

/* Names: exactly one of these runs. Objects as in "final": exactly one of them holds. */
static bool read_one_of(struct reader *r, json_t *v, struct sc_check *c)
{
	json_t *item;
	size_t i;

	if (!v)
		return true;
	if (!json_is_array(v) || json_array_size(v) == 0)
		return bad(r, "exactly_one_of: not a list");
	c->one_of = hv_xcalloc(json_array_size(v), sizeof(*c->one_of));
	json_array_foreach(v, i, item)
	{
		struct sc_finals *f = &c->one_of[c->n_one_of++];

		if (json_is_string(item)) {
			f->items = hv_xcalloc(1, sizeof(*f->items));
			f->n = 1;
			f->items[0].state = SC_S_RUNNING;
			if (!vm_of(r, item, "exactly_one_of", &f->items[0].vm))
				return false;
		} else if (!json_is_object(item)) {
			return bad(r, "exactly_one_of: neither a name nor an object");
		} else if (!read_finals(r, member(item, "final") ? member(item, "final") : item,
					f)) {
			return false;
		}
	}
	return true;
}

/* ---- counts */

static bool read_counts(struct reader *r, json_t *o, struct sc_check *c)
{
	json_t *v = member(o, "count_per_node"), *per;
	const char *name;
	int node;

	for (size_t i = 0; i < SC_NODES; i++)
		c->count[i] = -1;
	if (!read_u64(r, o, "tolerance", 1000, &c->tolerance) || !v)
		return !r->why;
	if (json_is_integer(v)) {
		for (size_t i = 0; i < r->sc->n_nodes; i++)
			if (!read_i64(r, o, "count_per_node", 0, VMS, &c->count[i]))
				return false;
		return true;
	}
	if (!json_is_object(v))
		return bad(r, "count_per_node: not an object");
	json_object_foreach(v, name, per)
	{
		node = node_named(r->sc, name);
		if (strcmp(name, "tolerance") == 0 && node < 0) {
			if (!read_u64(r, v, name, 1000, &c->tolerance))
				return false;
			continue;
		}
		if (node < 0)
			return bad(r, "count_per_node: no node \"%.60s\"", name);
		if (!read_i64(r, v, name, 0, VMS, &c->count[node]))
			return false;
	}
	return true;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool read_sorted(struct reader *r, json_t *v, struct sc_check *c)
{
	json_t *item;
	size_t i;

	if (!v)
		return true;
	if (!json_is_array(v) || json_array_size(v) > r->sc->n_nodes)
		return bad(r, "sorted_counts: not a list of at most as many as there are nodes");
	json_array_foreach(v, i, item)
	{
		if (!json_is_integer(item) || json_integer_value(item) < 0)
			return bad(r, "sorted_counts: not a number");
		c->sorted[c->n_sorted++] = (uint64_t)json_integer_value(item);
	}
	c->has_sorted = true;
	qsort(c->sorted, c->n_sorted, sizeof(c->sorted[0]), by_value);
	return true;
}

/* ---- what is said of VMs */

static bool read_says(struct reader *r, json_t *o, struct sc_check *c)
{
	const char *name;
	json_t *v;

	if (!o)
		return true;
	if (!json_is_object(o) || json_object_size(o) > SC_SAYS)
		return bad(r, "explain: not an object of at most %d", SC_SAYS);
	json_object_foreach(o, name, v)
	{
		struct sc_says *says = &c->says[c->n_says++];

		says->vm = vm_named(r->sc, name);
		if (says->vm < 0 || !json_is_string(v))
			return bad(r, "explain: no VM \"%.60s\", or no text for it", name);
		says->part = hv_xstrdup(json_string_value(v));
	}
	return true;
}

/* ---- checkpoints */

static bool read_check(struct reader *r, json_t *o, struct sc_check *c)
{
	static const char *const keys[] = {"before_t",
					   "after_t",
					   "between_t",
					   "at",
					   "final",
					   "all_vms",
					   "together",
					   "apart",
					   "count_per_node",
					   "tolerance",
					   "sorted_counts",
					   "max_moves",
					   "order",
					   "start_attempts",
					   "guest_resets",
					   "explain",
					   "start_attempt_order",
					   "start_attempt_nodes_distinct_first",
					   "exactly_one_of",
					   "exactly_one_set_running",
					   NULL};
	json_t *distinct = member(o, "start_attempt_nodes_distinct_first");

	if (!only(r, o, "a checkpoint", keys) || !read_span(r, o, &c->span, &c->at_end) ||
	    !read_finals(r, member(o, "final"), &c->finals) || !read_counts(r, o, c) ||
	    !read_sorted(r, member(o, "sorted_counts"), c) ||
	    !read_u64(r, o, "max_moves", 100000, &c->max_moves) ||
	    !read_sets(r, member(o, "together"), "together", &c->together, &c->n_together) ||
	    !read_sets(r, member(o, "apart"), "apart", &c->apart, &c->n_apart) ||
	    !read_sets(r, member(o, "exactly_one_set_running"), "exactly_one_set_running",
		       &c->one_set, &c->n_one_set) ||
	    !read_order(r, member(o, "order"), c->order, &c->n_order) ||
	    !read_attempt_orders(r, member(o, "start_attempt_order"), c) ||
	    !read_one_of(r, member(o, "exactly_one_of"), c))
		return false;
	c->has_max_moves = member(o, "max_moves") != NULL;
	c->has_all = member(o, "all_vms") != NULL;
	if (c->has_all && !read_state(r, member(o, "all_vms"), &c->all))
		return false;
	if (member(o, "start_attempts") &&
	    !read_attempts(r, member(o, "start_attempts"), &c->attempts, &c->n_attempts))
		return false;
	if (member(o, "guest_resets") &&
	    !read_attempts(r, member(o, "guest_resets"), &c->resets, &c->n_resets))
		return false;
	if (!read_says(r, member(o, "explain"), c))
		return false;
	return !distinct || read_attempts(r, distinct, &c->distinct, &c->n_distinct);
}

static bool read_checks(struct reader *r, json_t *list)
{
	json_t *o;
	size_t i;

	if (!list)
		return true;
	if (!json_is_array(list) || json_array_size(list) > SC_CHECKS)
		return bad(r, "\"checkpoints\" is not a list of at most %d", SC_CHECKS);
	r->sc->checks = hv_xcalloc(json_array_size(list) + 1, sizeof(*r->sc->checks));
	json_array_foreach(list, i, o)
	{
		if (!read_check(r, o, &r->sc->checks[r->sc->n_checks++]))
			return false;
	}
	return true;
}

static bool read_fenced(struct reader *r, json_t *o)
{
	static const char *const keys[] = {"must", "may", NULL};

	if (!o)
		return true;
	if (!only(r, o, "fenced", keys))
		return false;
	r->sc->fenced_said = true;
	return (!member(o, "must") ||
		nodes_of(r, member(o, "must"), "fenced", &r->sc->fenced_must)) &&
	       (!member(o, "may") || nodes_of(r, member(o, "may"), "fenced", &r->sc->fenced_may));
}

bool read_expect(struct reader *r, json_t *o)
{
	static const char *const keys[] = {"final", "fenced", "never", "checkpoints", NULL};
	json_t *never, *item;
	size_t i;

	if (!o)
		return bad(r, "\"expect\" is missing");
	if (!only(r, o, "expect", keys) || !read_finals(r, member(o, "final"), &r->sc->finals) ||
	    !read_fenced(r, member(o, "fenced")))
		return false;
	never = member(o, "never");
	if (never && !json_is_array(never))
		return bad(r, "\"never\" is not a list");
	json_array_foreach(never, i, item)
	{
		if (!read_never(r, item))
			return false;
	}
	return read_checks(r, member(o, "checkpoints"));
}
