/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why is it as it is: sentences for a person, most telling first. */
#include "resource/brain.h"

#include "resource/cluster_priv.h"
#include "resource/guest_health.h"
#include "resource/placement.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"

#include <stdio.h>

#define LINES_MAX 24

struct lines {
	char **line;
	size_t count;
};

static void add(struct lines *l, char *line)
{
	hv_assert(l->count < LINES_MAX);
	l->line[l->count++] = line;
}

static void add_state(struct lines *l, const struct cluster *c, const struct vm *vm)
{
	_cleanup_free_ char *why = reason_sentence(&vm->reason);
	const char *at = vm->node ? " on " : "", *node = vm->node ? node_name(c, vm->node) : "";

	if (vm->target)
		add(l, hv_xasprintf("%s is %s from %s to %s: %s", vm->name,
				    vm_state_name(vm->state), node, node_name(c, vm->target), why));
	else
		add(l, hv_xasprintf("%s is %s%s%s%s%s", vm->name, vm_state_name(vm->state), at,
				    node, *why ? ": " : "", why));
}

/* Time is at work for it. */
static void add_watchdog(struct lines *l, const struct cluster *c, const struct node *n)
{
	_cleanup_free_ char *text = cluster_watchdog_text(n);
	uint64_t at_us = cluster_watchdog_proof_us(n);

	if (!text || !cluster_watchdog_proves(c, n))
		return;
	if (at_us > c->now_us)
		add(l, hv_xasprintf("%s: %s; that is in %llu ms", n->name, text,
				    (unsigned long long)((at_us - c->now_us) / HV_US_PER_MS)));
	else
		add(l, hv_xasprintf("%s: %s", n->name, text));
}

static void add_wait(struct lines *l, const struct cluster *c, const struct vm *vm)
{
	const struct node *n = cluster_node(c, vm->node);

	if (vm->state == VM_RECOVERING && n && n->reason.code != REASON_NONE) {
		_cleanup_free_ char *why = reason_sentence(&n->reason);

		add(l, hv_xasprintf("node %s is %s: %s", n->name, node_state_name(n->state), why));
		add_watchdog(l, c, n);
	}
	if (vm->retry_us > c->now_us)
		add(l,
		    hv_xasprintf("it is tried again in %llu ms",
				 (unsigned long long)((vm->retry_us - c->now_us) / HV_US_PER_MS)));
	if (vm->stale_ops)
		add(l, hv_xasprintf("%u old copies of it are destroyed before it may start or move",
				    vm->stale_ops));
	if (c->arm != ARMED)
		add(l, hv_xasprintf("the cluster is %s: it begins nothing (hvcluster arm)",
				    arm_state_name(c->arm)));
	if (cluster_barrier(c))
		add(l, hv_xstrdup("nothing is started before each lost node is proven off"));
}

static void add_placement(struct lines *l, const struct cluster *c, const struct vm *vm)
{
	_cleanup_free_ char *why = NULL;

	if (vm->state != VM_BLOCKED && vm->state != VM_PENDING && vm->state != VM_FAILED)
		return;
	why = placement_why_none(c, vm, false);
	if (*why)
		add(l, hv_xasprintf("nodes that do not take it: %s", why));
}

static void add_crashes(struct lines *l, const struct cluster *c, const struct vm *vm)
{
	_cleanup_free_ char *why =
	    vm->crashes_here > vm->restart_limit ? vm_why_it_stays(c, vm) : NULL;

	add(l, hv_xasprintf("it crashed %u times in a row where it is: after %u restarts it is "
			    "started elsewhere%s%s",
			    vm->crashes_here, vm->restart_limit, why ? ", if it can be: " : "",
			    why ? why : ""));
}

/* What an administrator has set that decides here, and how far its tries are used up. */
static void add_limits(struct lines *l, const struct cluster *c, const struct vm *vm)
{
	if (!vm->managed)
		add(l, hv_xasprintf("the cluster only watches it, until 'hvcluster vm set %s "
				    "managed=on'",
				    vm->name));
	if (vm->lock)
		add(l, hv_xasprintf("it is locked (%s): neither moved, stopped nor started until "
				    "'hvcluster vm unlock %s'",
				    vm->lock, vm->name));
	if (vm->attempts)
		add(l, hv_xasprintf("its start has failed %u times in a row", vm->attempts));
	if (vm->local_tries)
		add(l, hv_xasprintf("%u of %u further tries on its node are used up",
				    vm->local_tries, vm->start_retries));
	if (vm->relocations && vm->max_relocate != VM_RELOCATE_UNLIMITED)
		add(l, hv_xasprintf("it was taken to %u other nodes, of %u that it may be taken to",
				    vm->relocations, vm->max_relocate));
	if (vm->crashes_here > 1)
		add_crashes(l, c, vm);
	if (vm->given_up)
		add(l, hv_xasprintf("it is tried again when a node joins, its limits change, or "
				    "after 'hvcluster vm start %s'",
				    vm->name));
}

static void add_guest(struct lines *l, const struct cluster *c, const struct vm *vm)
{
	const struct guest *g = &vm->guest;
	char *trouble = guest_trouble_text(c, vm);

	if (trouble)
		add(l, trouble);
	else if (g->heartbeat == HV__GUEST_HEARTBEAT__HEARTBEAT_LOST)
		add(l,
		    hv_xasprintf("its guest agent has not answered for %u s, but it does disk or "
				 "network I/O: it is left alone",
				 g->heartbeat_s));
	if (g->reset_us)
		add(l,
		    hv_xasprintf("it was reset %llu s ago; %s%s%s%s",
				 (unsigned long long)((c->now_us - g->reset_us) / HV_US_PER_S),
				 g->evidence ? "what was kept before is in " : "nothing was kept",
				 g->evidence ? g->evidence : "", g->evidence ? " on " : "",
				 g->evidence ? node_name(c, g->evidence_node) : ""));
}

bool brain_rule_broken(const struct rule *r, const struct vm *vm)
{
	return (vm->state == VM_RUNNING || vm->state == VM_PAUSED) && rule_is_broken(r, vm);
}

/* What its rules want, when that is not so; why it stays nevertheless. */
static void add_rules(struct lines *l, const struct cluster *c, const struct vm *vm)
{
	const struct rule *broken = vm->uneasy ? rule_broken(vm) : NULL;
	_cleanup_free_ char *why = NULL;
	const struct rule *stops;
	const struct vm *other = NULL;
	hv_node_id target = 0;

	if (!vm->uneasy)
		return;
	stops = rule_stops(vm, &other);
	if (stops)
		add(l, hv_xasprintf("rule %s: it must not run while VM %s does not", stops->name,
				    other->name));
	if (placement_pick(c, vm, true, &target) != FIT_OK)
		why = placement_why_none(c, vm, true);
	if (broken)
		add(l, hv_xasprintf("rule %s (%s) is broken where it is%s%s", broken->name,
				    rule_kind_name(broken->kind), why ? "; it cannot move: " : "",
				    why ? why : ""));
	else if (!vm->failback && !vm->group)
		add(l, hv_xstrdup("its rules like another node better, but its failback is off"));
	else if (!why && rules_node_worse(c, vm, vm->node, target))
		add(l, hv_xasprintf("its rules like %s better", node_name(c, target)));
}

char **brain_explain_vm(const struct cluster *c, const struct vm *vm, size_t *ret_count)
{
	struct lines l = {.line = hv_xcalloc(LINES_MAX, sizeof(char *))};
	const struct operation *op = cluster_op(c, vm->op);

	add_state(&l, c, vm);
	if (op && op->node)
		add(&l,
		    hv_xasprintf("%s was told to %s %llu ms ago (operation %llu, attempt %u)",
				 node_name(c, op->node), op_kind_name(op->kind),
				 (unsigned long long)((c->now_us - op->began_us) / HV_US_PER_MS),
				 (unsigned long long)op->id, op->attempt));
	add_wait(&l, c, vm);
	add_guest(&l, c, vm);
	add_placement(&l, c, vm);
	add_rules(&l, c, vm);
	add_limits(&l, c, vm);
	*ret_count = l.count;
	return l.line;
}
