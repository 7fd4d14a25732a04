/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests in a scenario file: scenario_guest.c. */
#include "tests/sim/scenario_json.h"

static bool read_pairs(struct reader *r, json_t *o, struct sc_guest *g)
{
	const char *key;
	json_t *v;

	if (!o)
		return true;
	if (!json_is_object(o) || json_object_size(o) > SC_GUEST_ATTRIBUTES)
		return bad(r, "guest: attributes are not an object, or too many");
	json_object_foreach(o, key, v)
	{
		if (!json_is_string(v))
			return bad(r, "guest: attribute \"%.60s\" is not a text", key);
		g->attributes[g->n_attributes].key = hv_xstrdup(key);
		g->attributes[g->n_attributes++].value = hv_xstrdup(json_string_value(v));
	}
	return true;
}

bool read_guest(struct reader *r, json_t *o, struct sc_guest *g)
{
	static const char *const keys[] = {"agent", "busy", "attributes", NULL};

	if (!o)
		return true;
	g->there = g->agent = true;
	return only(r, o, "guest", keys) && read_bool(r, o, "agent", &g->agent) &&
	       read_bool(r, o, "busy", &g->busy) && read_pairs(r, member(o, "attributes"), g);
}
