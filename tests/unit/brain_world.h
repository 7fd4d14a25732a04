/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * brain_world.h - a cluster in a test's hand: BEFORE is a few calls, EVENT is one, AFTER are
 * asserts.
 *
 * After each step the state's invariants are checked, and a replica that is decoded anew from a
 * snapshot before each step must come to the same digest: nothing but the state may decide.
 */
#ifndef HV_TESTS_BRAIN_WORLD_H
#define HV_TESTS_BRAIN_WORLD_H

#include "resource/brain.h"

struct world {
	struct cluster *c;
	uint64_t index, now_us;
	uint64_t seq[HV_MAX_NODES + 1], incarnation[HV_MAX_NODES + 1];
	unsigned boots[HV_MAX_NODES + 1]; /* a host that comes back from power off has the next */
	struct action_list out;		  /* of the latest step */
	bool duel;   /* minority views are such that the lost may be one, too */
	bool twin;   /* a decoded replica must decide the same */
	bool follow; /* the same replica goes on, it is not decoded anew */
	struct cluster *replica;
	bool keep; /* the latest events, packed */
	uint8_t *kept[64];
	size_t kept_len[64], n_kept;
	/* the latest answer to a command */
	enum hv_rc rc;
	char text[HV_TEXT_MAX + 1], hint[256];
	hv_op_id op;
	unsigned replies;
};

#define RUNNING HV__OBSERVED__OBSERVED_RUNNING
#define ABSENT HV__OBSERVED__OBSERVED_ABSENT
#define PAUSED HV__OBSERVED__OBSERVED_PAUSED
#define INCOMING HV__OBSERVED__OBSERVED_INCOMING
#define UNKNOWN HV__OBSERVED__OBSERVED_UNKNOWN

/* `nodes` nodes host1.. with 8192 MiB and 8 CPUs each, all online and reported empty, each with a
 * fence device "bmc". */
struct world *world_new(unsigned nodes);
/* The same, before anyone has joined. */
struct world *world_configured(unsigned nodes);
void world_free(struct world *w);

/* ---- events; each is one step */
void step(struct world *w, Hv__Event *ev, hv_node_id proposer);
void tick(struct world *w, uint64_t ms);
void tick_due(
    struct world *w); /* until the brain's next deadline, which there must be, has passed */
/* Members by a string of digits: "12" are nodes 1 and 2, "1!2" with node 1 as a learner.
 * lost_in_ring: those of the rest that corosync sees. */
void view(struct world *w, const char *members, const char *lost_in_ring, bool minority);
void report(struct world *w, hv_node_id node,
	    const char *seen); /* "web1=running db1=paused"; NULL: cannot tell */
void observed(struct world *w, hv_node_id node, const char *vm, Hv__Observed seen, Hv__Cause cause);
void health(struct world *w, hv_node_id node, bool ok);
void result_of(struct world *w, const struct operation *op, enum hv_rc rc, Hv__Observed seen,
	       const char *text);
/* The result of the VM's own operation. */
void result(struct world *w, const char *vm, enum hv_rc rc, Hv__Observed seen);
/* The result of the running fence operation against this node; proof when rc is HV_OK and it is the
 * final device. */
void fence_result(struct world *w, hv_node_id victim, enum hv_rc rc);
/* "My watchdog": 5 s with a lease of 2 s, or none. */
void watchdog(struct world *w, hv_node_id node, bool has);
void command(struct world *w, Hv__Command *cmd);

/* ---- commands in short; w->rc, w->text, w->op are the answer */
void vm_add(struct world *w, const char *name, uint64_t mem_mib, int32_t priority, bool started);
void vm_start(struct world *w, const char *name, const char *node);
void vm_stop(struct world *w, const char *name, bool force);
void vm_remove(struct world *w, const char *name, bool stop_first);
void vm_migrate(struct world *w, const char *name, const char *node);
void vm_pause(struct world *w, const char *name);
void vm_resume(struct world *w, const char *name);
void vm_reset(struct world *w, const char *name);
void vm_set(struct world *w, const char *name, const char *key, const char *value);
void vm_lock(struct world *w, const char *name, const char *reason); /* "": unlock */
void node_drain(struct world *w, const char *node);
void node_resume(struct world *w, const char *node);
void fence_add(struct world *w, const char *node, const char *device, uint32_t level);
/* Device, level, delays and the like from `m`, which fence_device() begins. */
Hv__FenceAdd fence_device(const char *name, uint32_t level);
void fence_add_with(struct world *w, const char *node, Hv__FenceAdd m);
void fence_level(struct world *w, const char *node, uint32_t level, bool seen);
void fence_remove(struct world *w, const char *node, const char *device);
void fence_test(struct world *w, const char *node, const char *device);
void node_release(struct world *w, const char *node);
void node_fence(struct world *w, const char *node);
void node_shutdown(struct world *w, const char *node, bool reboot);
void node_shutdown_cancel(struct world *w, const char *node);
void arm(struct world *w);
void disarm(struct world *w, bool ignore);
void fence_confirm(struct world *w, const char *node);
void fence_confirm_seen(struct world *w, const char *node, uint64_t incarnation, bool member);
void op_cancel_cmd(struct world *w, hv_op_id op);
void set(struct world *w, const char *key, const char *value);
/* VMs: "web1 web2". Nodes with priorities: "host1=2 host2", a missing one is 0. */
void rule_add(struct world *w, const char *name, Hv__RuleKind kind, const char *vms,
	      const char *nodes, bool hard);
void rule_remove(struct world *w, const char *name);

/* ---- many steps */
/* A VM that runs on that node: added, placed, started. */
void running_vm(struct world *w, const char *name, hv_node_id node);
struct world *world_with_web1(unsigned nodes, hv_node_id on); /* in a new world */
/* It goes down, or has gone, and comes back as another boot with the next view and report. */
void rebooted(struct world *w, hv_node_id id);
/* Every operation in progress succeeds, and what follows from that, until none is left. */
void all_succeed(struct world *w);

/* ---- looking */
const struct vm *vm(const struct world *w, const char *name);
const struct node *node(const struct world *w, hv_node_id id);
const struct operation *vm_op(const struct world *w, const char *name);
/* The n-th (from 0) running operation of this kind, NULL if there are fewer. */
const struct operation *running(const struct world *w, enum op_kind kind, unsigned nth);
unsigned running_count(const struct world *w, enum op_kind kind);
const struct operation *op(const struct world *w, hv_op_id id);
bool journal_has(const struct world *w, const char *object, const char *from, const char *to);
const char *uuid_of(const char *name); /* static buffers, a few calls deep */

#define assert_vm(w, name, st, on)                                                                 \
	do {                                                                                       \
		const struct vm *_v = vm(w, name);                                                 \
		cr_assert(_v, "no VM %s", name);                                                   \
		cr_assert(_v->state == (st) && _v->node == (on), "%s is %s on %u, not %s on %u",   \
			  name, vm_state_name(_v->state), _v->node, vm_state_name(st),             \
			  (unsigned)(on));                                                         \
	} while (0)
#define assert_node(w, id, st)                                                                     \
	cr_assert(node(w, id)->state == (st), "node %u is %s, not %s", (unsigned)(id),             \
		  node_state_name(node(w, id)->state), node_state_name(st))

#endif
