/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders and numbers of tries in a scenario file. */
#include "tests/sim/scenario_json.h"

#include <string.h>

/* ---- order: "start vm1 on a", "stop vm1", "migrate vm1 from a to b", "fence b" */

static bool read_place(struct reader *r, char **words, struct sc_step *s)
{
	for (; words[0] && words[1]; words += 2) {
		int node = node_named(r->sc, words[1]);
		bool to = strcmp(words[0], "to") == 0;

		if (node < 0 ||
		    (!to && strcmp(words[0], "on") != 0 && strcmp(words[0], "from") != 0))
			return false;
		if (to)
			s->to = node;
		else
			s->node = node;
	}
	return !words[0];
}

static bool read_words(struct reader *r, char **words, size_t n, struct sc_step *s)
{
	static const char *const verbs[] = {"start", "stop", "migrate", "fence"};

	*s = (struct sc_step){.vm = -1, .node = -1, .to = -1};
	if (n < 2)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i], words[0]) == 0)
			s->verb = (enum sc_verb)i;
	if (strcmp(verbs[s->verb], words[0]) != 0)
		return false;
	if (s->verb == SC_V_FENCE) {
		s->node = node_named(r->sc, words[1]);
		return n == 2 && s->node >= 0;
	}
	s->vm = vm_named(r->sc, words[1]);
	return s->vm >= 0 && read_place(r, words + 2, s);
}

static bool read_step(struct reader *r, json_t *v, struct sc_step *ret)
{
	const char *text = json_string_value(v);
	_cleanup_free_ char *copy = NULL;
	char *words[9] = {NULL}, *save = NULL;
	size_t n = 0;

	if (!text)
		return bad(r, "order: not a text");
	copy = hv_xstrdup(text);
	for (char *w = strtok_r(copy, " ", &save); w && n < 8; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	if (!read_words(r, words, n, ret))
		return bad(r, "order: \"%.80s\" is not understood", text);
	ret->text = hv_xstrdup(text);
	return true;
}

bool read_order(struct reader *r, json_t *list, struct sc_step *ret, size_t *ret_n)
{
	json_t *v;
	size_t i;

	if (!list)
		return true;
	if (!json_is_array(list) || json_array_size(list) > SC_ORDER)
		return bad(r, "an order is not a list of at most %d", SC_ORDER);
	json_array_foreach(list, i, v)
	{
		if (!read_step(r, v, &ret[*ret_n]))
			return false;
		*ret_n += 1;
	}
	return true;
}

/* As an order; or VMs, or nodes, in the order in which they are tried. */
static bool read_attempt_order(struct reader *r, json_t *list, int of_vm, struct sc_check *c)
{
	json_t *v;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) + c->n_attempt_order > SC_ORDER)
		return bad(r, "start_attempt_order: not a list of at most %d", SC_ORDER);
	json_array_foreach(list, i, v)
	{
		struct sc_step *s = &c->attempt_order[c->n_attempt_order];
		const char *text = json_string_value(v);

		*s = (struct sc_step){.verb = SC_V_START, .vm = of_vm, .node = -1, .to = -1};
		if (text && of_vm >= 0)
			s->node = node_named(r->sc, text);
		else if (text)
			s->vm = vm_named(r->sc, text);
		if (text && (of_vm >= 0 ? s->node >= 0 : s->vm >= 0))
			s->text = hv_xstrdup(text);
		else if (!read_step(r, v, s))
			return false;
		c->n_attempt_order++;
	}
	return true;
}

bool read_attempt_orders(struct reader *r, json_t *v, struct sc_check *c)
{
	const char *name;
	json_t *list;
	int vm;

	if (!v)
		return true;
	if (!json_is_object(v))
		return read_attempt_order(r, v, -1, c);
	/* One VM and its nodes; several would be several orders. */
	if (json_object_size(v) != 1)
		return bad(r, "start_attempt_order: of more than one VM");
	json_object_foreach(v, name, list)
	{
		vm = vm_named(r->sc, name);
		if (vm < 0)
			return bad(r, "start_attempt_order: no VM \"%.60s\"", name);
		if (!read_attempt_order(r, list, vm, c))
			return false;
	}
	return true;
}

/* ---- numbers of tries: {"vm1": 3}, {"vm1": {"min": 1, "max": 3, "on": ["a"]}} */

static bool read_attempts_of(struct reader *r, json_t *v, struct sc_attempts *a)
{
	static const char *const keys[] = {"min", "max",  "count", "exactly", "vm",
					   "n",	  "node", "nodes", "on",      NULL};
	json_t *node;
	uint64_t n = UINT64_MAX;

	a->max = UINT64_MAX;
	if (json_is_integer(v)) {
		if (json_integer_value(v) < 0)
			return bad(r, "start_attempts: less than none");
		a->min = a->max = (uint64_t)json_integer_value(v);
		return true;
	}
	if (!only(r, v, "start_attempts", keys) || !read_u64(r, v, "count", 10000, &n) ||
	    !read_u64(r, v, "exactly", 10000, &n) || !read_u64(r, v, "n", 10000, &n))
		return false;
	if (n != UINT64_MAX)
		a->min = a->max = n;
	node = member(v, "node") ? member(v, "node") : member(v, "nodes");
	node = node ? node : member(v, "on");
	return read_u64(r, v, "min", 10000, &a->min) && read_u64(r, v, "max", 10000, &a->max) &&
	       (!node || nodes_of(r, node, "start_attempts", &a->nodes));
}

static bool one_attempts(struct reader *r, json_t *v, int vm, struct sc_attempts **ret, size_t *n)
{
	struct sc_attempts a = {.vm = vm};

	if (!read_attempts_of(r, v, &a))
		return false;
	*ret = hv_xrealloc(*ret, *n + 1, sizeof(**ret));
	(*ret)[(*n)++] = a;
	return true;
}

/* {"a": 2, "b": 1}: by node. */
static bool attempts_by_node(struct reader *r, json_t *v, int vm, struct sc_attempts **ret,
			     size_t *n)
{
	const char *name;
	json_t *item;

	json_object_foreach(v, name, item)
	{
		int node = node_named(r->sc, name);

		if (node < 0)
			return bad(r, "start_attempts: no node \"%.60s\"", name);
		if (!one_attempts(r, item, vm, ret, n))
			return false;
		(*ret)[*n - 1].nodes = 1ULL << node;
	}
	return true;
}

static bool is_by_node(const struct reader *r, json_t *v)
{
	const char *first = json_object_iter_key(json_object_iter(v));

	return first && node_named(r->sc, first) >= 0;
}

bool read_attempts(struct reader *r, json_t *v, struct sc_attempts **ret, size_t *n)
{
	const char *name;
	json_t *item;
	size_t i;
	int vm = -1;

	if (json_is_array(v)) {
		json_array_foreach(v, i, item)
		{
			if (!read_attempts(r, item, ret, n))
				return false;
		}
		return true;
	}
	if (!json_is_object(v))
		return bad(r, "start_attempts: not an object");
	if (json_is_string(member(v, "vm")))
		return vm_of(r, member(v, "vm"), "start_attempts", &vm) &&
		       one_attempts(r, v, vm, ret, n);
	json_object_foreach(v, name, item)
	{
		vm = vm_named(r->sc, name);
		if (vm < 0)
			return bad(r, "start_attempts: no VM \"%.60s\"", name);
		if (json_is_object(item) && is_by_node(r, item)
			? !attempts_by_node(r, item, vm, ret, n)
			: !one_attempts(r, item, vm, ret, n))
			return false;
	}
	return true;
}
