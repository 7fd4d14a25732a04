/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happened, against what was expected of it: order, tries, moves, fences, and what never may.
 */
#include "tests/sim/scenario_priv.h"

#include <string.h>

#define VM_NAME(r, k) ((r)->sc->vms[k].name)
#define HOST_NAME(r, id) ((r)->s.hosts[(id)-1].name)

static bool within(const struct scenario_run *r, const struct fact *f, const struct sc_span *span)
{
	return f->at_us >= run_time_us(r, span->from_ms) && f->at_us <= run_time_us(r, span->to_ms);
}

static bool step_is(const struct fact *f, const struct sc_step *s)
{
	hv_node_id node = (hv_node_id)(s->node + 1), to = (hv_node_id)(s->to + 1);

	if (s->vm >= 0 && f->vm != s->vm)
		return false;
	switch (s->verb) {
	case SC_V_START:
		return f->kind == FACT_START && (!node || f->node == node) &&
		       (!to || f->node == to);
	case SC_V_STOP:
		return (f->kind == FACT_STOP || f->kind == FACT_MOVE) && (!node || f->node == node);
	case SC_V_MIGRATE:
		return f->kind == FACT_MOVE &&
		       (!node || f->node == node || (!to && f->to == node)) && (!to || f->to == to);
	case SC_V_FENCE:
		return f->kind == FACT_FENCE && (!node || f->node == node);
	}
	return false;
}

/* What has failed before there is anything to do has stopped, whatever else is to stop first. */
static bool given_stopped(const struct scenario_run *r, const struct sc_step *s)
{
	for (size_t i = 0; i < r->n_given; i++)
		if (s->verb == SC_V_STOP && step_is(&r->facts[i], s))
			return true;
	return false;
}

static void check_order(struct scenario_run *r, const struct sc_check *c)
{
	size_t at = 0;

	for (size_t i = 0; i < c->n_order; i++) {
		if (given_stopped(r, &c->order[i]))
			continue;
		while (at < r->n_facts && !(within(r, &r->facts[at], &c->span) &&
					    step_is(&r->facts[at], &c->order[i])))
			at++;
		if (at == r->n_facts) {
			run_fail(r, "\"%s\" expected%s%s, found nothing of it", c->order[i].text,
				 i ? " after " : "", i ? c->order[i - 1].text : "");
			return;
		}
		at++;
	}
}

/* Tries to start, of one VM or of all that are named. */
static void check_attempt_order(struct scenario_run *r, const struct sc_check *c)
{
	size_t i = 0;

	for (size_t at = 0; at < r->n_facts && i < c->n_attempt_order; at++) {
		const struct fact *f = &r->facts[at];
		const struct sc_step *s = &c->attempt_order[i];
		struct fact as_start = *f;

		as_start.kind = FACT_START;
		if (f->kind == FACT_TRY && within(r, f, &c->span) && step_is(&as_start, s))
			i++;
	}
	if (i < c->n_attempt_order)
		run_fail(r, "tries to start expected in an order: \"%s\" is missing at place %zu",
			 c->attempt_order[i].text, i + 1);
}

static uint64_t count_of(const struct scenario_run *r, const struct sc_check *c,
			 const struct sc_attempts *a, enum fact_kind kind)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->n_facts; i++) {
		const struct fact *f = &r->facts[i];

		n += f->kind == kind && f->vm == a->vm && within(r, f, &c->span) &&
		     (!a->nodes || has_node(a->nodes, f->node));
	}
	return n;
}

static void check_count(struct scenario_run *r, const struct sc_check *c,
			const struct sc_attempts *a, enum fact_kind kind, const char *what)
{
	uint64_t n = count_of(r, c, a, kind);

	if (n < a->min || n > a->max)
		run_fail(r, "%s: %llu%s %s expected, found %llu", VM_NAME(r, a->vm),
			 (unsigned long long)(n < a->min ? a->min : a->max),
			 a->min == a->max ? ""
			 : n < a->min	  ? " or more"
					  : " or fewer",
			 what, (unsigned long long)n);
}

static void check_attempts(struct scenario_run *r, const struct sc_check *c)
{
	for (size_t i = 0; i < c->n_attempts; i++)
		check_count(r, c, &c->attempts[i], FACT_TRY, "tries to start");
	for (size_t i = 0; i < c->n_resets; i++)
		check_count(r, c, &c->resets[i], FACT_RESET, "resets of its guest");
}

static void check_distinct(struct scenario_run *r, const struct sc_check *c,
			   const struct sc_attempts *a)
{
	uint64_t seen = 0, n = 0;

	for (size_t i = 0; i < r->n_facts && n < a->max; i++) {
		const struct fact *f = &r->facts[i];

		if (f->kind != FACT_TRY || f->vm != a->vm || !within(r, f, &c->span))
			continue;
		if (has_node(seen, f->node)) {
			run_fail(
			    r, "%s: its first %llu tries expected on a node each, found %s twice",
			    VM_NAME(r, a->vm), (unsigned long long)a->max, HOST_NAME(r, f->node));
			return;
		}
		seen |= 1ULL << (f->node - 1);
		n++;
	}
	if (a->max != UINT64_MAX && n < a->max)
		run_fail(r, "%s: %llu tries to start expected, found %llu", VM_NAME(r, a->vm),
			 (unsigned long long)a->max, (unsigned long long)n);
}

static void check_moves(struct scenario_run *r, const struct sc_check *c)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->n_facts; i++)
		n += r->facts[i].moves && within(r, &r->facts[i], &c->span);
	if (c->has_max_moves && n > c->max_moves)
		run_fail(r, "at most %llu moves expected, found %llu",
			 (unsigned long long)c->max_moves, (unsigned long long)n);
}

void check_facts(struct scenario_run *r, const struct sc_check *c)
{
	check_order(r, c);
	check_attempt_order(r, c);
	check_attempts(r, c);
	for (size_t i = 0; i < c->n_distinct; i++)
		check_distinct(r, c, &c->distinct[i]);
	check_moves(r, c);
}

/* ---- never */

static bool of_vm(const struct sc_never *n, const struct fact *f)
{
	return f->vm >= 0 && (!n->vms || (n->vms >> f->vm & 1));
}

static bool of_node(const struct sc_never *n, hv_node_id id)
{
	return !n->nodes || has_node(n->nodes, id);
}

/* More on a node than it has, by the arrival of this one. */
static bool overcommits(const struct scenario_run *r, const hv_node_id *at, const struct fact *f)
{
	const struct sc_node *n = &r->sc->nodes[f->node - 1];
	uint64_t mem = 0, cpus = 0;

	if (f->node > r->sc->n_nodes)
		return false;
	for (size_t k = 0; k < r->sc->n_vms; k++) {
		mem += at[k] == f->node ? r->sc->vms[k].mem_mib : 0;
		cpus += at[k] == f->node ? r->sc->vms[k].cpus : 0;
	}
	return (n->mem_mib && mem > n->mem_mib) || (n->cpus && cpus > n->cpus);
}

static bool meets(const struct scenario_run *r, const struct sc_never *n, const hv_node_id *at,
		  const struct fact *f)
{
	for (size_t k = 0; k < r->sc->n_vms; k++)
		if ((int)k != f->vm && (n->vms >> k & 1) && at[k] == f->node)
			return true;
	return false;
}

static bool before_fence(const struct scenario_run *r, const struct sc_never *n, size_t at)
{
	for (size_t i = at; i < r->n_facts; i++)
		if (r->facts[i].kind == FACT_FENCE && of_node(n, r->facts[i].node) && n->nodes)
			return r->facts[i].node != r->facts[at].node;
	return false;
}

static const char *breaks(const struct scenario_run *r, const struct sc_never *n,
			  const hv_node_id *at, size_t i)
{
	const struct fact *f = &r->facts[i];

	switch (n->kind) {
	case SC_N_MOVED:
		return f->moves && of_vm(n, f) ? "is moved" : NULL;
	case SC_N_STOPPED:
		return f->kind == FACT_STOP && f->interrupts && of_vm(n, f) ? "is interrupted"
									    : NULL;
	case SC_N_STARTED_ON:
		return f->kind == FACT_START && of_vm(n, f) && of_node(n, f->node) ? "is started"
										   : NULL;
	case SC_N_START_ATTEMPT_ON:
		return f->kind == FACT_TRY && of_vm(n, f) && of_node(n, f->node)
			   ? "is tried to be started"
			   : NULL;
	case SC_N_FENCE:
		return f->kind == FACT_FENCE && of_node(n, f->node) ? "is fenced" : NULL;
	case SC_N_TOGETHER:
		return f->kind == FACT_START && of_vm(n, f) && of_node(n, f->node) &&
			       meets(r, n, at, f)
			   ? "joins one that it should not meet"
			   : NULL;
	case SC_N_OVERCOMMIT:
		return f->kind == FACT_START && of_node(n, f->node) && overcommits(r, at, f)
			   ? "is more than there is room for"
			   : NULL;
	case SC_N_STARTED_BEFORE_FENCE:
		return f->kind == FACT_START && of_vm(n, f) && before_fence(r, n, i)
			   ? "is started before the node is fenced"
			   : NULL;
	}
	return NULL;
}

static void check_never(struct scenario_run *r, const struct sc_never *n)
{
	hv_node_id at[VMS];

	memcpy(at, r->at_start, sizeof(at));
	for (size_t i = 0; i < r->n_facts; i++) {
		const struct fact *f = &r->facts[i];
		const char *what;

		if (f->kind == FACT_START)
			at[f->vm] = f->node;
		else if ((f->kind == FACT_STOP && f->interrupts) || f->kind == FACT_MOVE)
			at[f->vm] = SC_NOBODY;
		what = within(r, f, &n->span) ? breaks(r, n, at, i) : NULL;
		if (what)
			run_fail(r, "never expected, found: %s %s on %s",
				 f->vm >= 0 ? VM_NAME(r, f->vm) : "a node", what,
				 HOST_NAME(r, f->node));
	}
}

/* ---- fences */

static void check_fences(struct scenario_run *r)
{
	uint64_t done = 0, wrong;
	char names[256];

	if (!r->sc->fenced_said)
		return;
	for (size_t i = 0; i < r->n_facts; i++)
		if (r->facts[i].kind == FACT_FENCE && r->facts[i].node <= r->sc->n_nodes)
			done |= 1ULL << (r->facts[i].node - 1);
	wrong = r->sc->fenced_must & ~done;
	names_of(r, wrong, names, sizeof(names));
	if (wrong)
		run_fail(r, "expected to be fenced, and was not: %s", names);
	wrong = done & ~(r->sc->fenced_must | r->sc->fenced_may);
	names_of(r, wrong, names, sizeof(names));
	if (wrong)
		run_fail(r, "not expected to be fenced, and was: %s", names);
}

void check_whole(struct scenario_run *r)
{
	check_fences(r);
	for (size_t i = 0; i < r->sc->n_nevers; i++)
		check_never(r, &r->sc->nevers[i]);
}
