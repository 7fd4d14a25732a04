/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * brain.h - the one door to the cluster's mind.
 *
 * PURE: same state and same event give the same state and the same actions on every machine. A step
 * cannot fail: a refused request is a reply. After each event the brain settles: it looks at what
 * the event may have changed and decides all that follows (fences, starts, migrations, retries).
 */
#ifndef HV_RESOURCE_BRAIN_H
#define HV_RESOURCE_BRAIN_H

#include "resource/cluster.h"

enum action_kind {
	ACTION_REPLY =
	    1, /* answer to a command: proposer, incarnation, request, rc, text, hint, op */
	ACTION_OP_BEGUN,  /* op: for its executor (a hint: executors also scan, after a restart) */
	ACTION_OP_CANCEL, /* op: its executor should give up */
	ACTION_OP_ENDED,  /* op: no longer wanted, or finished */
	ACTION_JOURNAL,	  /* a new journal line, `op` is its id */
};
struct action {
	enum action_kind kind;
	hv_op_id op;
	hv_node_id node; /* OP_*: executor; REPLY: proposer */
	uint64_t incarnation, request;
	enum hv_rc rc;
	char *text, *hint; /* owned by the list; may be NULL */
};
struct action_list {
	struct action *items;
	size_t count, cap;
};
void action_list_init(struct action_list *l);
void action_list_clear(struct action_list *l); /* frees the texts, keeps the room */
void action_list_done(struct action_list *l);

/*
 * Is the event well-formed (ranges, names, lengths, exactly one body)? Run by the proposer before
 * proposing and by brain_step() itself (a malformed one is skipped, with a journal line).
 */
bool event_valid(const Hv__Event *ev, const char **ret_why);

/* Apply committed entry `index`. Indices strictly increase. `out` is appended to. */
void brain_step(struct cluster *c, uint64_t index, const Hv__Event *ev, struct action_list *out);

/*
 * The next moment (cluster time) at which a Tick would change something; 0: none, propose no ticks.
 * Behind a barrier it speaks of fencing only: the tick must then be proposed as an entry that
 * passes.
 */
uint64_t brain_next_deadline_us(const struct cluster *c);

/* Would `name` be placed, and where; one line a node. For explain. Returns count (<= max). */
struct placement_line {
	hv_node_id node;
	bool fits, chosen;
	int64_t score; /* lower is better */
	char why[160];
};
size_t brain_explain_placement(const struct cluster *c, const struct vm *vm,
			       struct placement_line *ret_lines, size_t max);
/* Sentences that answer "why is it as it is", most telling first; caller frees each and the array.
 */
char **brain_explain_vm(const struct cluster *c, const struct vm *vm, size_t *ret_count);
/* Is this hard rule broken by where the VM, one of its own, is? */
bool brain_rule_broken(const struct rule *r, const struct vm *vm);
/* What an unfinished drain waits for: "vm db1: no node can hold it: ..."; same ownership. */
char **brain_drain_held_by(const struct cluster *c, const struct node *n, size_t *ret_count);

/* Snapshot (proto/snapshot.proto). encode: malloc'ed bytes. decode: NULL when damaged, *ret_why
 * says why. */
uint8_t *brain_encode(const struct cluster *c, size_t *ret_len);
struct cluster *brain_decode(const uint8_t *data, size_t len, const char **ret_why);
/* The same for a snapshot from which secrets were taken: its digest cannot come out. For looking
 * at, never for a replica. */
struct cluster *brain_decode_stripped(const uint8_t *data, size_t len, const char **ret_why);

/* Invariants of the state itself: NULL, or what is broken. O(n): simulator and debug builds after
 * each step. */
const char *brain_check(const struct cluster *c);
/* The same without the digest, which costs as much as all the rest. */
const char *brain_check_quick(const struct cluster *c);

/* Canonical text of the state for golden files and traces (no secrets). Caller frees. */
char *brain_dump(const struct cluster *c);

#endif
