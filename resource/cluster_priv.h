/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cluster_priv.h - the state from inside resource/: what may change it, and the books that must be
 * kept.
 *
 * PURE. Two kinds of members: the state proper (encoded, hashed) and what is derived from it (sets,
 * counters). Derived members never decide anything that the state would not: a replica that was
 * just decoded from a snapshot and one that has run for weeks take the same next step. Hence the
 * rule that nothing but the state survives a step: `dirty`, `freed` and the touched lists are empty
 * at its end.
 */
#ifndef HV_RESOURCE_CLUSTER_PRIV_H
#define HV_RESOURCE_CLUSTER_PRIV_H

#include "resource/brain.h"
#include "resource/cluster.h"

#include <string.h>

#define STATE_COUNT_VM (VM_FROZEN + 1)
#define ENDED_WAITABLE (HV_MAX_ENDED_OPS * 3 / 4)
#define ENDED_OTHER (HV_MAX_ENDED_OPS / 4)

/* Settings that are words: in the order of their list in setting.c. */
enum node_shutdown { SHUTDOWN_CONDITIONAL, SHUTDOWN_FREEZE, SHUTDOWN_FAILOVER, SHUTDOWN_MIGRATE };
enum placement_mode { PLACE_BALANCED, PLACE_COUNT, PLACE_CAPACITY, PLACE_PACK };

/* The settings, as numbers. */
enum storage_loss { STORAGE_EVACUATE, STORAGE_STAY, STORAGE_FENCE_NODE }; /* as in the setting */
struct tuning {
	bool fence_always, fence_seen, power_on, maintenance_return, fence_on_stop_failure,
	    preemption, sticky;
	enum storage_loss storage_loss;
	enum node_shutdown node_shutdown;
	enum placement_mode placement;
	uint32_t vcpus_per_cpu;
	uint64_t frozen_timeout_us, join_timeout_us;
	uint64_t manager_grace_us, startup_grace_us, start_retry_us, start_retry_max_us,
	    fence_retry_us, fence_retry_max_us, restart_window_us;
	uint64_t fence_priority_delay_us, fence_window_us, fence_test_interval_us, quarantine_us;
	uint32_t quarantine_fences;
	uint64_t quorum_loss_grace_us;
	unsigned quorum_loss; /* as in its setting's list of words */
	uint32_t start_parallel, migrate_parallel, stop_timeout_s, start_timeout_s,
	    migrate_timeout_s, fence_timeout_s, drain_tries;
};

struct cluster {
	uint64_t index, now_us, wall_ms;
	uint32_t feature;
	bool minority;
	struct node *nodes[HV_MAX_NODES]; /* ascending id */
	size_t n_nodes;
	struct set vms;		      /* by name */
	struct set ops;		      /* by id */
	struct journal_line *journal; /* a ring of HV_MAX_JOURNAL */
	uint64_t journal_first, journal_next;
	struct failover *failovers[HV_MAX_FAILOVERS]; /* ascending id */
	size_t n_failovers;
	struct option settings[HV_MAX_SETTINGS]; /* those that were set, ascending key */
	size_t n_settings;
	struct rule *rules[HV_MAX_RULES]; /* ascending name */
	size_t n_rules;
	enum arm_state arm;
	bool duel;		      /* the lost of this minority may be one themselves */
	uint64_t test_us;	      /* when the latest self-test of a fence device was begun */
	hv_op_id test_op;	      /* that one, while it runs */
	uint64_t watchdog_generation; /* even: they are in force (watchdog.h) */
	uint64_t balance_us; /* stickiness off: when balance is looked at (balance.h), 0 never */

	/* derived */
	struct tuning tuning;
	struct set by_uuid;
	struct set ready;   /* PENDING and not pausing, by rank */
	struct set blocked; /* BLOCKED, by rank */
	struct set timers;  /* retry_us set, by time */
	struct set away;    /* have a home, by name */
	struct set movers;  /* have a request to migrate that has not begun, by rank */
	struct set stale;   /* operations that destroy a copy that is nobody's, by id */
	struct set ailing;  /* VMs whose guest does, by name */
	struct set uneasy;  /* VMs that their rules want elsewhere, or not to run now, by name */
	struct vm_group **groups;
	size_t n_groups;
	struct set due;	     /* requests that are waited for, by deadline */
	struct set ended[2]; /* ended operations by time: waitable ones, others */
	uint32_t vms_in_state[STATE_COUNT_VM];
	uint64_t digest; /* sum of the hashes below */
	uint64_t globals_hash;

	/* of the step in progress */
	struct set dirty;   /* VMs to look at, by rank */
	struct set noticed; /* VMs whose rules are to be looked at anew, by name */
	bool changed;	    /* what balance goes by may have */
	bool freed;	    /* something that kept a VM from being placed may have gone */
	uint32_t op_seq;
	struct vm **touched_vms;
	size_t n_touched_vms, cap_touched_vms;
	struct operation **touched_ops;
	size_t n_touched_ops, cap_touched_ops;
	struct vm **gone; /* deleted in this step; freed at its end */
	size_t n_gone, cap_gone;
	struct action_list *out;
};

/* Why something is done: becomes a reason or a journal line. Strings are borrowed. */
struct why {
	enum reason_code code;
	const char *subject, *text;
	uint64_t number;
};
#define WHY(name, ...) ((struct why){.code = REASON_##name, __VA_ARGS__})
static inline struct why why_same(const struct reason *r)
{
	return (struct why){r->code, r->subject, r->text, r->number};
}
char *why_sentence(struct why why); /* caller frees */

/* ---- order */
int vm_cmp_name(const void *a, const void *b);
int vm_cmp_rank(const void *a, const void *b); /* priority descending, then name */

/* ---- nodes */
struct node *node_get(struct cluster *c, hv_node_id id); /* NULL: no such node */
struct node *node_find_name(struct cluster *c, const char *name);
struct node *node_make(struct cluster *c,
		       hv_node_id id);		     /* found or new; NULL: HV_MAX_NODES reached */
void node_forget(struct cluster *c, struct node *n); /* must hold nothing */
const char *node_name(const struct cluster *c, hv_node_id id);
void node_touch(struct cluster *c, struct node *n);
static inline bool node_is_member(const struct node *n)
{
	return n && (n->state == NODE_ONLINE || n->state == NODE_JOINING);
}
/* May its executor be given new work on VMs? */
static inline bool node_reachable(const struct node *n)
{
	return n && n->state == NODE_ONLINE && n->hypervisor_ok;
}
/* Every device of it that must say so has been told `on`. */
bool node_unfenced(const struct node *n);
/* Is it to hold VMs that it does not hold now? */
static inline bool node_takes_vms(const struct node *n)
{
	return n && n->admin == NODE_ACTIVE && n->leaving == NODE_STAYS && !n->quarantined &&
	       !n->log_lost_us && node_unfenced(n);
}
void fence_device_free(struct fence_device *d);

/* ---- VMs: every member that an index depends on has its setter */
/* Hands off: not started, stopped or moved by the cluster. What it began before goes on. */
static inline bool vm_held(const struct vm *vm)
{
	return !vm->managed || vm->lock;
}
struct why vm_held_why(const struct vm *vm); /* borrows its lock's text */
struct vm *vm_get(struct cluster *c, const char *uuid);
struct vm *vm_find_name(struct cluster *c, const char *name);
struct vm *vm_new(void);
void vm_free(struct vm *vm);
bool vm_index(struct cluster *c, struct vm *vm); /* takes it in; false: name or uuid exists */
void vm_delete(struct cluster *c,
	       struct vm *vm); /* out of every index; memory stays until the step ends */
void vm_touch(struct cluster *c, struct vm *vm);
void vm_dirty(struct cluster *c, struct vm *vm); /* to be looked at before the step ends */
void vm_set_state(struct cluster *c, struct vm *vm, enum vm_state state);
void vm_set_node(struct cluster *c, struct vm *vm, hv_node_id node);
void vm_set_target(struct cluster *c, struct vm *vm, hv_node_id target);
void vm_set_retry(struct cluster *c, struct vm *vm, uint64_t retry_us);
void vm_set_lock(struct cluster *c, struct vm *vm, const char *reason); /* NULL: unlocked */
void vm_set_managed(struct cluster *c, struct vm *vm, bool managed);
void vm_set_priority(struct cluster *c, struct vm *vm, int32_t priority);
void vm_set_home(struct cluster *c, struct vm *vm, hv_node_id home);
void vm_count_node(struct cluster *c, struct vm *vm,
		   bool add); /* owner's and target's books, for decode */

/* ---- operations */
struct operation *op_get(struct cluster *c, hv_op_id id);
void op_free(struct operation *op);
void op_touch(struct cluster *c, struct operation *op);
void op_index(struct cluster *c, struct operation *op,
	      int sign); /* counters and sets that depend on it */
void op_restore_ended(struct cluster *c, struct operation *op);
void op_trim(struct cluster *c);

/* ---- rules */
struct rule *rule_get(struct cluster *c, const char *name);
bool rule_index(struct cluster *c, struct rule *r);  /* takes it in; false: exists, or too many */
void rule_unlink(struct cluster *c, struct rule *r); /* out of the list: the caller's */
void rule_forget(struct cluster *c, struct rule *r); /* out of the list, and freed */
void rules_forget_vm(struct cluster *c, struct vm *vm);		/* it is deleted */
void rules_forget_node(struct cluster *c, struct node *n);	/* it is forgotten */
bool rules_need_node(const struct cluster *c, hv_node_id node); /* a hard rule has no other */
void rules_group(struct cluster *c); /* after rules were indexed or forgotten: vm->group anew */
/* The VM's place or state changed: it and those that its rules tie to it are looked at anew. */
void rules_notice(struct cluster *c, struct vm *vm);
void rule_free(struct rule *r);
void vm_group_free(struct vm_group *g);
void rule_touch(struct cluster *c, struct rule *r);

/* ---- digest */
uint64_t hash_vm(const struct vm *vm);
uint64_t hash_rule(const struct rule *r);
uint64_t hash_bytes(uint64_t h, const void *p, size_t n);
uint64_t hash_journal(const struct journal_line *l);
void digest_update(struct cluster *c); /* rehash what was touched */
uint64_t digest_full(const struct cluster *c);

/* ---- settings */
void settings_load(struct cluster *c); /* tuning from settings */
/* HV_OK, HV_NOT_FOUND (key), HV_BAD_INPUT (*ret_why: what it takes, static). An empty value: back
 * to the preset. */
enum hv_rc setting_set(struct cluster *c, const char *key, const char *value, const char **ret_why);
bool setting_known(const char *key);

void reason_copy(struct reason *r, struct why why, uint64_t now_us);

#endif
