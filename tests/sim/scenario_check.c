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

void names_of(const struct scenario_run *r, uint64_t set, char *buf, size_t size)
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

/* A cluster that is disarmed has frozen all VMs, or looks away from them. */
static bool arm_is(struct scenario_run *r, enum arm_state state)
{
	const struct cluster *c = run_cluster(r);

	return c && cluster_arm(c) == state;
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
		return vm && ((!at && vm->state == VM_FROZEN) || arm_is(r, DISARMED_FREEZE));
	case SC_S_UNKNOWN:
		return vm && is_unknown(r, vm);
	case SC_S_UNMANAGED:
		return !vm || !vm->managed || arm_is(r, DISARMED_IGNORE);
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

static void check_says(struct scenario_run *r, const struct sc_says *says, const char *when)
{
	_cleanup_free_ char *text = explain(r, belief(r, says->vm));

	if (!strstr(text, says->part))
		run_fail(r, "%s: it was expected to be said of %s: %s; explain: %.400s", when,
			 VM_NAME(r, says->vm), says->part, text);
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

/* ---- all of a checkpoint */

static void check_one(struct scenario_run *r, const struct sc_check *c, const char *when)
{
	check_finals(r, &c->finals, when);
	check_all(r, c, when);
	for (size_t i = 0; i < c->n_together; i++)
		check_together(r, c->together[i], false, when);
	for (size_t i = 0; i < c->n_apart; i++)
		check_together(r, c->apart[i], true, when);
	check_counts(r, c, when);
	for (size_t i = 0; i < c->n_says; i++)
		check_says(r, &c->says[i], when);
	check_one_of(r, c, when);
	check_one_set(r, c, when);
	check_facts(r, c);
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
