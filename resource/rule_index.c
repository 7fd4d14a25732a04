/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of rules: ascending name. What a rule means is in rule.h. */
#include "resource/cluster_priv.h"

size_t cluster_rule_count(const struct cluster *c)
{
	return c->n_rules;
}

const struct rule *cluster_rule_at(const struct cluster *c, size_t i)
{
	return i < c->n_rules ? c->rules[i] : NULL;
}

/* Where it is, or where it would be put. */
static size_t rule_place(const struct cluster *c, const char *name, bool *ret_found)
{
	size_t lo = 0, hi = c->n_rules;

	*ret_found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int cmp = strcmp(c->rules[mid]->name, name);

		if (cmp == 0) {
			*ret_found = true;
			return mid;
		}
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct rule *cluster_rule_by_name(const struct cluster *c, const char *name)
{
	bool found;
	size_t i = rule_place(c, name, &found);

	return found ? c->rules[i] : NULL;
}

struct rule *rule_get(struct cluster *c, const char *name)
{
	return (struct rule *)cluster_rule_by_name(c, name);
}

bool rule_index(struct cluster *c, struct rule *r)
{
	bool found;
	size_t i = rule_place(c, r->name, &found);

	if (found || c->n_rules == HV_MAX_RULES)
		return false;
	memmove(c->rules + i + 1, c->rules + i, (c->n_rules - i) * sizeof(*c->rules));
	c->rules[i] = r;
	c->n_rules++;
	rule_touch(c, r);
	return true;
}

void rule_free(struct rule *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_vms; i++)
		free(r->vms[i]);
	free(r->vms);
	free(r->name);
	free(r);
}

void rule_forget(struct cluster *c, struct rule *r)
{
	bool found;
	size_t i = rule_place(c, r->name, &found);

	hv_assert(found && c->rules[i] == r);
	c->digest -= r->hash;
	memmove(c->rules + i, c->rules + i + 1, (c->n_rules - i - 1) * sizeof(*c->rules));
	c->n_rules--;
	rule_free(r);
}

void rule_touch(struct cluster *c, struct rule *r)
{
	r->touched = true;
}
