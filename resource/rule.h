/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rule.h - what each kind of rule means for one VM: where it may not be, where it is better, when
 * it may start, when it must not run. doc/placement.md says the same with examples.
 *
 *     nodes     hard: only there. Among them those of the highest priority that are available come
 *               first. Not hard: rather there; elsewhere when none of them is available.
 *     ban       never there.
 *     together  hard: all that run, run on one node. Not hard: rather so.
 *     apart     hard: never two on one node. Not hard: rather not.
 *     follow    vms[0] runs where vms[1] runs, and only while that runs.
 *     after     vms[0] starts after vms[1] when both are due. mandatory: runs only while that runs.
 *
 * PURE. What a VM's rules say depends on nothing but places and states of the VMs that they name:
 * `vm->uneasy` is derived from that, kept up to date by rules_look(), and says which few VMs
 * moves.h has to think about. A step costs nothing for a VM without rules.
 */
#ifndef HV_RESOURCE_RULE_H
#define HV_RESOURCE_RULE_H

#include "resource/cluster_priv.h"

/* Where it is going to be: its migration's target, else its owner, 0 nowhere. */
static inline hv_node_id vm_goes_to(const struct vm *vm)
{
	return vm->target ? vm->target : vm->node;
}
/* It runs, whatever is being done with it. */
bool vm_is_up(const struct vm *vm);
/* It is not up, and is meant to be soon. */
bool vm_is_waiting(const struct vm *vm);

/*
 * A hard rule that keeps it from coming to this node, NULL none: nodes, ban, and apart when a
 * partner is, may be, or is coming there. (together: placement_group.h; follow: rules_gate().)
 */
const struct rule *rule_forbids(const struct cluster *c, const struct vm *vm, hv_node_id node);
/* The same for nodes and ban alone: what no other VM can change. */
const struct rule *rule_excludes(const struct vm *vm, hv_node_id node);
/* Is this hard rule broken by where the VM, one of its own, is (and stays)? */
bool rule_is_broken(const struct rule *r, const struct vm *vm);
/* A hard rule that is broken by where it is (and stays), NULL none. */
const struct rule *rule_broken(const struct vm *vm);
/* The rule by which it must not run now, NULL none; *ret_needs is the VM that it would need. */
const struct rule *rule_stops(const struct vm *vm, const struct vm **ret_needs);

/* How well a node suits it. */
struct standing {
	int64_t listed;	  /* rules of kind nodes that list it */
	int64_t priority; /* sum of the priorities that they give it */
	int64_t soft;	  /* minus: soft rules about other VMs that it would break */
};
struct standing rules_standing(const struct cluster *c, const struct vm *vm, hv_node_id node);
/* > 0: `a` is better. */
int standing_cmp(const struct standing *a, const struct standing *b);
/* The same without `soft`: what failback goes by. */
int standing_cmp_nodes(const struct standing *a, const struct standing *b);

/* Do its rules about nodes like `node` less than `than`? */
bool rules_node_worse(const struct cluster *c, const struct vm *vm, hv_node_id node,
		      hv_node_id than);

enum gate {
	GATE_OPEN,
	GATE_TURN,  /* another one starts, or arrives, first; or one that needs it, and runs, stops
		       first */
	GATE_NEEDS, /* another one must run, and does not */
};
/* May it start now? *ret_other: the other VM. */
enum gate rules_gate(const struct cluster *c, const struct vm *vm, const struct vm **ret_other);
/* The VM that it follows, NULL none. */
const struct vm *rules_leader(const struct vm *vm);
/* The node that it must be on because the VM that it follows is there, 0: any. */
hv_node_id rules_leader_node(const struct vm *vm);
/* The VM that it follows does not run, or is about to run elsewhere. */
bool rules_leader_moves(const struct vm *vm);
/* That will be over soon. */
bool rules_leader_comes(const struct vm *vm);
/* A VM that follows it is on its way to where it is: it stays until that has arrived. */
bool rules_awaited(const struct vm *vm);
/* Who needs it is just starting, or matters as much as `priority`: it is not stopped for that. */
bool rules_carries(const struct vm *vm, int32_t priority);
/* It follows another, or is followed: one wish alone does not move both. */
bool rules_tied(const struct vm *vm);
/* Those that need it run: they are stopped before it is. */
bool rules_hold_stop(const struct vm *vm);
/* The same where it stops to be started again: those that stop for that, and can be stopped. */
bool rules_hold_restart(const struct cluster *c, const struct vm *vm);

/* Do its rules want it elsewhere, or not to run now? */
bool rules_uneasy(const struct cluster *c, const struct vm *vm);
/* Look anew at all VMs that were noticed. True if one of them is uneasy. */
bool rules_look(struct cluster *c);

/* Has a rule of this kind as many VMs and nodes as it must? */
bool rule_counts_right(Hv__RuleKind kind, size_t vms, size_t nodes);

/* ---- rule_check.c: NULL, or why a rule, indexed already, cannot stand beside the others; the
 * caller frees */
char *rule_contradicts(const struct cluster *c, const struct rule *r);

#endif
