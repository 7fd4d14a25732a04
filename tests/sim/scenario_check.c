/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Expectations against what happened. */
#include "tests/sim/scenario_priv.h"

#include <string.h>

#define VM_NAME(r, k) ((r)->sc->vms[k].name)
#define NODE_NAME(r, i) ((r)->sc->nodes[i].name)
#define HOST_NAME(r, id) ((r)->s.hosts[(id)-1].name)

static const char *const state_words[] = {"any",     "running",		 "stopped",
					  "failed",  "pending_recovery", "frozen",
					  "unknown", "unmanaged",	 "stop_failed"};

static bool has_node(uint64_t set, hv_node_id id)
{
	return id >= 1 && id <= SC_NODES && (set >> (id - 1) & 1);
}

static void names_of(const struct scenario_run *r, uint64_t set, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < r->sc->n_nodes && n < size; i++)
		if (set >> i & 1)
			n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? "," : "",
					      NODE_NAME(r, i));
}

/* ---- states of VMs */

static bool no_copy(struct scenario_run *r, int k)
{
	for (size_t i = 0; i < r->s.n; i++)
		if (r->s.hosts[i].power && r->w->dom[i][k].state != DOM_ABSENT)
			return false;
	return true;
}

static const struct vm *belief(struct scenario_run *r, int k)
{
	const struct cluster *c = run_cluster(r);

	return c ? cluster_vm_by_name(c, VM_NAME(r, k)) : NULL;
}

/* Nobody can tell at present whether it runs. */
static bool is_unknown(struct scenario_run *r, const struct vm *vm)
{
	const struct cluster *c = run_cluster(r);
	const struct node *n = c ? cluster_node(c, vm->node) : NULL;

	if (vm->state == VM_CHECKING || vm->state == VM_RECOVERING ||
	    vm->reason.code == REASON_UNKNOWN)
		return true;
	return n && (n->state != NODE_ONLINE || !n->hypervisor_ok);
}

static bool waits(const struct vm *vm)
{
	return vm->intent == INTENT_STARTED &&
	       (vm->state == VM_BLOCKED || vm->state == VM_PENDING || vm->state == VM_RECOVERING ||
		vm->state == VM_FAILED);
}

static bool stop_failed(struct scenario_run *r, int k, const struct vm *vm)
{
	return !no_copy(r, k) &&
	       (vm->state == VM_STOPPING || vm->reason.code == REASON_STOP_FAILED);
}

/* `vm` is what the cluster says, NULL: it says nothing. */
static bool state_is(struct scenario_run *r, int k, const struct vm *vm, enum sc_state state)
{
	hv_node_id at = r->holder[k];

	switch (state) {
	case SC_S_ANY:
		return true;
	case SC_S_RUNNING:
		return at && (!vm || (vm->state == VM_RUNNING && vm->node == at));
	case SC_S_STOPPED:
		return no_copy(r, k);
	case SC_S_FAILED:
		return vm && !at && (vm->state == VM_FAILED || vm->given_up);
	case SC_S_PENDING_RECOVERY:
		return vm && !at && waits(vm);
	case SC_S_FROZEN:
		return vm && !at && vm->state == VM_FROZEN;
	case SC_S_UNKNOWN:
		return vm && is_unknown(r, vm);
	case SC_S_UNMANAGED:
		return !vm || !vm->managed;
	case SC_S_STOP_FAILED:
		return vm && stop_failed(r, k, vm);
	}
	return false;
}

static hv_node_id place(struct scenario_run *r, int k, const struct vm *vm)
{
	return r->holder[k] ? r->holder[k] : vm ? vm->node : SC_NOBODY;
}

static bool final_holds(struct scenario_run *r, const struct sc_final *f)
{
	const struct vm *vm = belief(r, f->vm);
	hv_node_id at = place(r, f->vm, vm);

	if (!state_is(r, f->vm, vm, f->state))
		return false;
	if (!f->on || f->state == SC_S_STOPPED || f->state == SC_S_PENDING_RECOVERY)
		return true;
	return !at ? f->state != SC_S_RUNNING : has_node(f->on, at);
}

/* What `explain` says of it: the first sentences. */
static char *explain(struct scenario_run *r, const struct vm *vm)
{
	const struct cluster *c = run_cluster(r);
	size_t count = 0;
	char **lines = vm ? brain_explain_vm(c, vm, &count) : NULL;
	char *text = hv_xstrdup("");

	for (size_t i = 0; i < count; i++) {
		char *more = hv_xasprintf("%s%s%s", text, i ? ". " : "", lines[i]);

		free(text);
		text = more;
		free(lines[i]);
	}
	free(lines);
	return text;
}

static void describe(struct scenario_run *r, int k, char *buf, size_t size)
{
	const struct vm *vm = belief(r, k);
	hv_node_id at = r->holder[k];

	snprintf(buf, size, "%s%s; the cluster has it %s%s%s",
		 at ? "it runs on " : "it runs nowhere", at ? HOST_NAME(r, at) : "",
		 vm ? vm_state_name(vm->state) : "not at all", vm && vm->node ? " on " : "",
		 vm && vm->node ? HOST_NAME(r, vm->node) : "");
}

static void final_fail(struct scenario_run *r, const struct sc_final *f, const char *when)
{
	_cleanup_free_ char *why = explain(r, belief(r, f->vm));
	char found[256], on[256];

	names_of(r, f->on, on, sizeof(on));
	describe(r, f->vm, found, sizeof(found));
	run_fail(r, "%s: %s expected %s%s%s, found: %s; explain: %.400s", when, VM_NAME(r, f->vm),
		 state_words[f->state], *on ? " on " : "", on, found, why);
}

static void check_finals(struct scenario_run *r, const struct sc_finals *f, const char *when)
{
	for (size_t i = 0; i < f->n; i++)
		if (!final_holds(r, &f->items[i]))
			final_fail(r, &f->items[i], when);
}

static void check_all(struct scenario_run *r, const struct sc_check *c, const char *when)
{
	for (size_t k = 0; c->has_all && k < r->sc->n_vms; k++) {
		struct sc_final f = {.vm = (int)k, .state = c->all};

		if (r->there[k] && !final_holds(r, &f))
			final_fail(r, &f, when);
	}
}

/* ---- where VMs are, seen together */

static void check_together(struct scenario_run *r, uint64_t set, bool apart, const char *when)
{
	for (size_t k = 0; k < r->sc->n_vms; k++)
		for (size_t j = 0; j < k; j++) {
			hv_node_id a = r->holder[k], b = r->holder[j];

			if (!(set >> k & 1) || !(set >> j & 1) || !a || !b || (a == b) != apart)
				continue;
			run_fail(r, "%s: %s and %s expected %s, found on %s and %s", when,
				 VM_NAME(r, j), VM_NAME(r, k), apart ? "apart" : "together",
				 HOST_NAME(r, b), HOST_NAME(r, a));
		}
}

static uint64_t count_on(const struct scenario_run *r, size_t node)
{
	uint64_t n = 0;

	for (size_t k = 0; k < r->sc->n_vms; k++)
		n += r->holder[k] == (hv_node_id)node + 1;
	return n;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Fewer numbers than nodes: those of the nodes that hold most. */
static void check_sorted(struct scenario_run *r, const struct sc_check *c, const char *when)
{
	uint64_t found[SC_NODES];
	size_t n = r->sc->n_nodes, skip = n - c->n_sorted;

	for (size_t i = 0; i < n; i++)
		found[i] = count_on(r, i);
	qsort(found, n, sizeof(found[0]), by_value);
	for (size_t i = 0; i < n; i++) {
		uint64_t want = i < skip ? 0 : c->sorted[i - skip];

		if (found[i] == want)
			continue;
		run_fail(r,
			 "%s: numbers of VMs on nodes expected to be others: in order, place "
			 "%zu has %llu instead of %llu",
			 when, i + 1, (unsigned long long)found[i], (unsigned long long)want);
		return;
	}
}

static void check_counts(struct scenario_run *r, const struct sc_check *c, const char *when)
{
	for (size_t i = 0; i < r->sc->n_nodes; i++) {
		uint64_t found = count_on(r, i), want = (uint64_t)c->count[i];
		uint64_t off = found > want ? found - want : want - found;

		if (c->count[i] >= 0 && off > c->tolerance)
			run_fail(r, "%s: %llu VMs expected on %s, found %llu", when,
				 (unsigned long long)want, NODE_NAME(r, i),
				 (unsigned long long)found);
	}
	if (c->has_sorted)
		check_sorted(r, c, when);
}

static void check_one_of(struct scenario_run *r, const struct sc_check *c, const char *when)
{
	size_t holds = 0;

	for (size_t i = 0; i < c->n_one_of; i++) {
		bool all = true;

		for (size_t k = 0; k < c->one_of[i].n; k++)
			all = all && final_holds(r, &c->one_of[i].items[k]);
		holds += all;
	}
	if (c->n_one_of && holds != 1)
		run_fail(r, "%s: exactly one of %zu outcomes expected, found %zu", when,
			 c->n_one_of, holds);
}

static void check_one_set(struct scenario_run *r, const struct sc_check *c, const char *when)
{
	size_t whole = 0, partly = 0;

	for (size_t i = 0; i < c->n_one_set; i++) {
		bool all = true, any = false;

		for (size_t k = 0; k < r->sc->n_vms; k++) {
			if (!(c->one_set[i] >> k & 1))
				continue;
			all = all && r->holder[k];
			any = any || r->holder[k];
		}
		whole += all;
		partly += any && !all;
	}
	if (c->n_one_set && (whole != 1 || partly))
		run_fail(r,
			 "%s: exactly one of %zu sets of VMs expected to run, found %zu whole and "
			 "%zu in parts",
			 when, c->n_one_set, whole, partly);
}

/* ---- what happened */

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

static void check_order(struct scenario_run *r, const struct sc_check *c)
{
	size_t at = 0;

	for (size_t i = 0; i < c->n_order; i++) {
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

static uint64_t count_tries(const struct scenario_run *r, const struct sc_check *c,
			    const struct sc_attempts *a)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->n_facts; i++) {
		const struct fact *f = &r->facts[i];

		n += f->kind == FACT_TRY && f->vm == a->vm && within(r, f, &c->span) &&
		     (!a->nodes || has_node(a->nodes, f->node));
	}
	return n;
}

static void check_attempts(struct scenario_run *r, const struct sc_check *c)
{
	for (size_t i = 0; i < c->n_attempts; i++) {
		const struct sc_attempts *a = &c->attempts[i];
		uint64_t n = count_tries(r, c, a);

		if (n < a->min || n > a->max)
			run_fail(r, "%s: %llu%s tries to start expected, found %llu",
				 VM_NAME(r, a->vm),
				 (unsigned long long)(n < a->min ? a->min : a->max),
				 a->min == a->max ? ""
				 : n < a->min	  ? " or more"
						  : " or fewer",
				 (unsigned long long)n);
	}
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

static void check_one(struct scenario_run *r, const struct sc_check *c, const char *when)
{
	check_finals(r, &c->finals, when);
	check_all(r, c, when);
	for (size_t i = 0; i < c->n_together; i++)
		check_together(r, c->together[i], false, when);
	for (size_t i = 0; i < c->n_apart; i++)
		check_together(r, c->apart[i], true, when);
	check_counts(r, c, when);
	check_one_of(r, c, when);
	check_one_set(r, c, when);
	check_order(r, c);
	check_attempt_order(r, c);
	check_attempts(r, c);
	for (size_t i = 0; i < c->n_distinct; i++)
		check_distinct(r, c, &c->distinct[i]);
	check_moves(r, c);
}

void check_at(struct scenario_run *r, uint64_t t_ms)
{
	char when[32] = "in the end";

	if (t_ms != UINT64_MAX)
		snprintf(when, sizeof(when), "at %llu s", (unsigned long long)t_ms / 1000);
	else
		check_finals(r, &r->sc->finals, when);
	for (size_t i = 0; i < r->sc->n_checks; i++) {
		const struct sc_check *c = &r->sc->checks[i];

		if (t_ms == UINT64_MAX ? c->at_end : !c->at_end && c->span.to_ms == t_ms)
			check_one(r, c, when);
	}
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
