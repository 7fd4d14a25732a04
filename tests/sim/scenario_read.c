/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/scenario_json.h"

#include <stdarg.h>
#include <string.h>

/* ---- tools */

bool bad(struct reader *r, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (r->why)
		return false;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* One line, whatever the file holds. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	r->why = hv_xstrdup(text);
	return false;
}

json_t *member(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return json_is_null(v) ? NULL : v;
}

static bool listed(const char *const *keys, const char *key)
{
	for (; *keys; keys++)
		if (strcmp(*keys, key) == 0)
			return true;
	return false;
}

bool only(struct reader *r, json_t *o, const char *what, const char *const *keys)
{
	const char *key;
	json_t *v;

	if (!json_is_object(o))
		return bad(r, "%s: not an object", what);
	json_object_foreach(o, key, v)
	{
		if (json_is_null(v) || listed(keys, key))
			continue;
		if (json_is_string(v) &&
		    (strncmp(key, "note", 4) == 0 || strncmp(key, "comment", 7) == 0))
			continue;
		return bad(r, "%s: \"%.60s\" is not known here", what, key);
	}
	return true;
}

bool read_bool(struct reader *r, json_t *o, const char *key, bool *ret)
{
	json_t *v = member(o, key);

	if (!v)
		return true;
	if (!json_is_boolean(v))
		return bad(r, "\"%s\": neither true nor false", key);
	*ret = json_is_true(v);
	return true;
}

bool read_yes(struct reader *r, json_t *o, const char *key, enum sc_yes *ret)
{
	bool b = false;

	if (!member(o, key))
		return true;
	if (!read_bool(r, o, key, &b))
		return false;
	*ret = b ? SC_YES : SC_NO;
	return true;
}

bool read_i64(struct reader *r, json_t *o, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	json_t *v = member(o, key);
	json_int_t n;

	if (!v)
		return true;
	if (!json_is_integer(v))
		return bad(r, "\"%s\": not an integer", key);
	n = json_integer_value(v);
	if (n < min || n > max)
		return bad(r, "\"%s\": %lld is out of range", key, (long long)n);
	*ret = n;
	return true;
}

bool read_u64(struct reader *r, json_t *o, const char *key, uint64_t max, uint64_t *ret)
{
	int64_t n = -1;

	if (!read_i64(r, o, key, 0, (int64_t)max, &n))
		return false;
	if (n >= 0)
		*ret = (uint64_t)n;
	return true;
}

bool read_ms(struct reader *r, json_t *v, const char *what, uint64_t *ret)
{
	double d;

	if (!json_is_number(v))
		return bad(r, "%s: not a time in seconds", what);
	d = json_number_value(v);
	if (!(d >= 0 && d <= 1e6))
		return bad(r, "%s: out of range", what);
	*ret = (uint64_t)(d * 1000 + 0.5);
	return true;
}

bool read_text(struct reader *r, json_t *o, const char *key, char **ret)
{
	json_t *v = member(o, key);

	if (!v)
		return true;
	if (!json_is_string(v))
		return bad(r, "\"%s\": not a text", key);
	free(*ret);
	*ret = hv_xstrdup(json_string_value(v));
	return true;
}

bool word_of(struct reader *r, json_t *v, const char *what, const char *const *words, size_t n,
	     int *ret)
{
	const char *s = json_string_value(v);

	for (size_t i = 0; s && i < n; i++)
		if (strcmp(words[i], s) == 0) {
			*ret = (int)i;
			return true;
		}
	return bad(r, "%s: \"%.60s\" is not known here", what, s ? s : "(not a text)");
}

bool read_word(struct reader *r, json_t *o, const char *key, const char *const *words, size_t n,
	       int *ret)
{
	json_t *v = member(o, key);

	return !v || word_of(r, v, key, words, n, ret);
}

/* ---- names */

int node_named(const struct scenario *sc, const char *name)
{
	for (size_t i = 0; i < sc->n_nodes; i++)
		if (strcmp(sc->nodes[i].name, name) == 0)
			return (int)i;
	return -1;
}

int vm_named(const struct scenario *sc, const char *name)
{
	for (size_t i = 0; i < sc->n_vms; i++)
		if (strcmp(sc->vms[i].name, name) == 0)
			return (int)i;
	return -1;
}

bool node_of(struct reader *r, json_t *v, const char *what, int *ret)
{
	const char *s = json_string_value(v);
	int i = s ? node_named(r->sc, s) : -1;

	if (i < 0)
		return bad(r, "%s: no node \"%.60s\"", what, s ? s : "(not a text)");
	*ret = i;
	return true;
}

bool vm_of(struct reader *r, json_t *v, const char *what, int *ret)
{
	const char *s = json_string_value(v);
	int i = s ? vm_named(r->sc, s) : -1;

	if (i < 0)
		return bad(r, "%s: no VM \"%.60s\"", what, s ? s : "(not a text)");
	*ret = i;
	return true;
}

static bool set_of(struct reader *r, json_t *v, const char *what, uint64_t *ret,
		   bool (*one)(struct reader *r, json_t *v, const char *what, int *ret))
{
	uint64_t set = 0;
	json_t *item;
	size_t i;
	int n = 0;

	if (json_is_string(v)) {
		if (!one(r, v, what, &n))
			return false;
		*ret = 1ULL << n;
		return true;
	}
	if (!json_is_array(v))
		return bad(r, "%s: not a list of names", what);
	json_array_foreach(v, i, item)
	{
		if (!one(r, item, what, &n))
			return false;
		set |= 1ULL << n;
	}
	*ret = set;
	return true;
}

bool nodes_of(struct reader *r, json_t *v, const char *what, uint64_t *ret)
{
	return set_of(r, v, what, ret, node_of);
}

bool vms_of_list(struct reader *r, json_t *v, const char *what, uint64_t *ret)
{
	return set_of(r, v, what, ret, vm_of);
}

/* ---- settings */

static bool read_choice(struct reader *r, json_t *o, const char *key, const char *const *words,
			size_t n, char **ret)
{
	int i = -1;

	if (!read_word(r, o, key, words, n, &i))
		return false;
	if (i >= 0)
		*ret = hv_xstrdup(words[i]);
	return true;
}

static bool read_raw(struct reader *r, json_t *o, struct sc_settings *s)
{
	const char *key;
	json_t *v;

	if (!o)
		return true;
	if (!json_is_object(o) || json_object_size(o) > SC_RAW)
		return bad(r, "\"cluster\" is not an object of at most %d settings", SC_RAW);
	json_object_foreach(o, key, v)
	{
		if (!json_is_string(v))
			return bad(r, "\"cluster\": \"%.60s\" is not a text", key);
		s->raw[s->n_raw++] =
		    (struct sc_raw){hv_xstrdup(key), hv_xstrdup(json_string_value(v))};
	}
	return true;
}

static bool read_settings(struct reader *r, json_t *o)
{
	static const char *const keys[] = {"quorum",
					   "have_quorum",
					   "quorum_loss",
					   "fencing",
					   "watchdog",
					   "placement",
					   "stickiness",
					   "preemption",
					   "node_shutdown",
					   "maintenance_return",
					   "auto_rebalance",
					   "on_stop_failure",
					   "rebalance_on_start",
					   "cluster",
					   NULL};
	static const char *const quorum[] = {"majority"};
	static const char *const loss[] = {"ignore", "freeze", "stop", "self_fence"};
	static const char *const placement[] = {"count", "capacity", "pack", "load"};
	static const char *const shutdown[] = {"conditional", "freeze", "failover", "migrate"};
	static const char *const stop[] = {"block", "fence"};
	struct sc_settings *s = &r->sc->settings;
	char *unused = NULL;
	bool ok;

	if (!o)
		return true;
	ok =
	    only(r, o, "settings", keys) && read_yes(r, o, "auto_rebalance", &s->auto_rebalance) &&
	    read_yes(r, o, "rebalance_on_start", &s->rebalance_on_start) &&
	    read_raw(r, member(o, "cluster"), s) &&
	    read_choice(r, o, "quorum", quorum, ARRAY_SIZE(quorum), &unused) &&
	    read_yes(r, o, "have_quorum", &s->have_quorum) &&
	    read_choice(r, o, "quorum_loss", loss, ARRAY_SIZE(loss), &s->quorum_loss) &&
	    read_yes(r, o, "fencing", &s->fencing) && read_yes(r, o, "watchdog", &s->watchdog) &&
	    read_choice(r, o, "placement", placement, ARRAY_SIZE(placement), &s->placement) &&
	    read_yes(r, o, "stickiness", &s->stickiness) &&
	    read_yes(r, o, "preemption", &s->preemption) &&
	    read_choice(r, o, "node_shutdown", shutdown, ARRAY_SIZE(shutdown), &s->node_shutdown) &&
	    read_yes(r, o, "maintenance_return", &s->maintenance_return) &&
	    read_choice(r, o, "on_stop_failure", stop, ARRAY_SIZE(stop), &s->on_stop_failure);
	free(unused);
	if (ok && s->placement && strcmp(s->placement, "load") == 0)
		return bad(r, "settings: \"placement\": \"load\" is not there yet");
	return ok;
}

/* ---- the whole */

/* Members that only tell people something may have any name. */
static bool tells_only(json_t *v)
{
	json_t *item;
	size_t i;

	if (json_is_string(v) || json_is_null(v))
		return true;
	if (!json_is_array(v))
		return false;
	json_array_foreach(v, i, item)
	{
		if (!json_is_string(item))
			return false;
	}
	return true;
}

static bool known_members(struct reader *r, json_t *o)
{
	static const char *const keys[] = {"schema",   "kind",	 "id",	  "settings",
					   "nodes",    "vms",	 "rules", "events",
					   "settle_s", "expect", NULL};
	const char *key;
	json_t *v;

	json_object_foreach(o, key, v)
	{
		if (!listed(keys, key) && !tells_only(v))
			return bad(r, "\"%.60s\" is not known here", key);
	}
	return true;
}

static bool read_head(struct reader *r, json_t *o)
{
	static const char *const kinds[] = {"timeline", "decision"};
	const char *schema = json_string_value(member(o, "schema"));
	int kind = 0;

	if (!schema || strcmp(schema, "vmha-scenario/1") != 0)
		return bad(r, "\"schema\" is not \"vmha-scenario/1\"");
	if (!read_text(r, o, "id", &r->sc->id) || !known_members(r, o) ||
	    !read_word(r, o, "kind", kinds, ARRAY_SIZE(kinds), &kind))
		return false;
	if (!r->sc->id || !*r->sc->id || strlen(r->sc->id) > 200)
		return bad(r, "\"id\" is missing, or too long");
	for (const char *p = r->sc->id; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 127)
			return bad(r, "\"id\" is not one word");
	r->sc->decision = kind == 1;
	return true;
}

static bool read_all(struct reader *r, json_t *o)
{
	json_t *settle = member(o, "settle_s");

	if (!json_is_object(o))
		return bad(r, "not an object");
	r->sc->settle_ms = 300000;
	if (!read_head(r, o) || !read_settings(r, member(o, "settings")) ||
	    !read_nodes(r, member(o, "nodes")) || !read_vms(r, member(o, "vms")) ||
	    !read_events(r, member(o, "events")) || !read_rules(r, member(o, "rules")))
		return false;
	if (settle && !read_ms(r, settle, "settle_s", &r->sc->settle_ms))
		return false;
	if (r->sc->decision && r->sc->n_events)
		return bad(r, "a decision has no events");
	return read_expect(r, member(o, "expect"));
}

enum hv_rc scenario_read(const char *text, size_t len, struct scenario **ret, char **ret_why)
{
	struct reader r = {.sc = hv_xcalloc(1, sizeof(*r.sc))};
	json_error_t error;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	if (!root)
		bad(&r, "line %d: %s", error.line, error.text);
	if (root && read_all(&r, root)) {
		json_decref(root);
		*ret = r.sc;
		return HV_OK;
	}
	json_decref(root);
	scenario_free(r.sc);
	*ret_why = r.why;
	return HV_BAD_INPUT;
}

static void finals_done(struct sc_finals *f)
{
	free(f->items);
}

static void check_free(struct sc_check *c)
{
	finals_done(&c->finals);
	free(c->together);
	free(c->apart);
	free(c->attempts);
	free(c->distinct);
	free(c->resets);
	for (size_t i = 0; i < c->n_says; i++)
		free(c->says[i].part);
	free(c->one_set);
	for (size_t i = 0; i < c->n_one_of; i++)
		finals_done(&c->one_of[i]);
	free(c->one_of);
	for (size_t i = 0; i < c->n_order; i++)
		free(c->order[i].text);
	for (size_t i = 0; i < c->n_attempt_order; i++)
		free(c->attempt_order[i].text);
}

static void vm_done(struct sc_vm *vm)
{
	free(vm->name);
	for (size_t i = 0; i < vm->guest.n_attributes; i++) {
		free(vm->guest.attributes[i].key);
		free(vm->guest.attributes[i].value);
	}
}

void scenario_free(struct scenario *sc)
{
	if (!sc)
		return;
	for (size_t i = 0; i < sc->n_nodes; i++)
		free(sc->nodes[i].name);
	for (size_t i = 0; i < sc->n_vms; i++)
		vm_done(&sc->vms[i]);
	for (size_t i = 0; i < sc->n_events; i++)
		free(sc->events[i].lock);
	for (size_t i = 0; i < sc->n_checks; i++)
		check_free(&sc->checks[i]);
	finals_done(&sc->finals);
	free(sc->checks);
	free(sc->events);
	free(sc->rules);
	for (size_t i = 0; i < sc->settings.n_raw; i++) {
		free(sc->settings.raw[i].key);
		free(sc->settings.raw[i].value);
	}
	free(sc->settings.quorum_loss);
	free(sc->settings.placement);
	free(sc->settings.node_shutdown);
	free(sc->settings.on_stop_failure);
	free(sc->id);
	free(sc);
}
