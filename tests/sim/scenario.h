/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scenario.h - outcomes stated in the neutral form "vmha-scenario/1": one JSON object a file.
 *
 *   scenario_read.c    the reader's tools, the top of the file, settings
 *   scenario_parts.c   nodes, VMs, rules
 *   scenario_events.c  events
 *   scenario_expect.c  what is expected; scenario_steps.c: orders and tries
 *   scenario_cmd.c     requests to the cluster, as an administrator makes them
 *   scenario_world.c   the state that is given at t = 0; scenario_given.c: its VMs
 *   scenario_run.c     the timeline; scenario_ops.c: events; scenario_hosts.c: power and network
 *   scenario_guest.c   what is in VMs
 *   scenario_watch.c   what holds in every scenario, whatever the file says
 *   scenario_check.c   expectations of states; scenario_facts.c: of what happened
 *   scenario_main.c    hvsim scenario FILE...
 *
 * A timeline is played with its times; "settled" means that nothing is under way any more. Whatever
 * the reader does not know makes the file unusable: nothing is passed over in silence.
 *
 * Brakes and self-tests are off unless "cluster" says otherwise: a file's seconds are a slow
 * peer's, and its hosts may be lost one soon after the other.
 */
#ifndef HV_TESTS_SIM_SCENARIO_H
#define HV_TESTS_SIM_SCENARIO_H

#include "tests/sim/vms.h"

#define SC_NODES 24 /* the rest is for nodes that only vote */
#define SC_RULES 64
#define SC_EVENTS 256
#define SC_CHECKS 64
#define SC_NEVERS 64
#define SC_ORDER 32

enum sc_node_state {
	SC_ONLINE,
	SC_LOST,
	SC_OFF,
	SC_DRAIN,
	SC_MANAGER_DEAD,
	SC_JOIN_TIMEOUT,
	SC_FENCE_REQUESTED,
	SC_SHUTTING_DOWN,
};
/* Our own: "fence": [{"kind": "bmc", "level": 1, "delay_s": 5, "delay_random_s": 0, "proof":
 * "seen", "require": "any", "unfence": false}] */
struct sc_device {
	enum device_kind kind;
	uint64_t level, delay_s, delay_random_s;
	bool waited, require_seen, unfence;
};
struct sc_node {
	struct sc_device devices[DEVICES];
	size_t n_devices; /* 0: a good one */
	char *name;
	bool power, net; /* timeline, at t = 0 */
	enum sc_node_state state;
	uint64_t cpus, mem_mib; /* 0: no limit */
};

enum sc_vm_state {
	SC_VM_RUNNING,
	SC_VM_STOPPED,
	SC_VM_FAILED,
	SC_VM_STOP_FAILED,
	SC_VM_UNKNOWN,
	SC_VM_MIGRATING,
	SC_VM_MIGRATE_FAILED_SOURCE,
	SC_VM_MIGRATE_FAILED_TARGET,
	SC_VM_MAYBE_ON_BOTH,
};
enum sc_yes { SC_UNSAID, SC_NO, SC_YES };
#define SC_GUEST_ATTRIBUTES 8
struct sc_raw {
	char *key, *value;
};
/* Our own: what is in it, and what is to be done about its health (scenario_guest.c). */
struct sc_guest {
	bool there, agent, busy;
	struct sc_raw attributes[SC_GUEST_ATTRIBUTES];
	size_t n_attributes;
};
struct sc_vm {
	struct sc_guest guest;
	char *name;
	int node, migrating_to; /* index of a node, -1 none */
	bool wanted, managed;
	bool late; /* a later vm_add makes it */
	enum sc_vm_state state;
	uint64_t cpus, mem_mib;
	int64_t priority;
	enum sc_yes failback, live;
	int64_t start_retries, max_relocate; /* -1: not said */
	uint64_t start_fail_first, migrate_fail_first;
	uint64_t start_fail_on; /* nodes, 0 all */
	bool stop_always_fails;
};

struct sc_rule {
	Hv__RuleKind kind;
	bool hard, mandatory;
	int vms[VMS];
	size_t n_vms;
	uint64_t nodes;
	int64_t node_priority[SC_NODES];
};

enum sc_op {
	SC_POWER_ON,
	SC_POWER_OFF,
	SC_NET_DOWN,
	SC_NET_UP,
	SC_ONE_WAY, /* this node is heard, or hears, one way only */
	SC_BOTH_WAYS,
	SC_SHUTDOWN,
	SC_REBOOT,
	SC_FENCE_NODE, /* our own, as the next two */
	SC_FENCE_CONFIRM,
	SC_NODE_RELEASE,
	SC_MAINTENANCE_ON,
	SC_MAINTENANCE_OFF,
	SC_MIGRATE,
	SC_STOP_REQUEST,
	SC_SET_WANT,
	SC_VM_ADD,
	SC_VM_REMOVE,
	SC_EXTERNAL_MOVE,
	SC_SET_LOCK,
	SC_HA_DISARM,
	SC_HA_ARM,
	SC_VM_RESET, /* our own, as all that follow */
	SC_GUEST_HANGS,
	SC_GUEST_GOES_ON,
	SC_GUEST_AGENT_DIES,
	SC_GUEST_BUSY,
	SC_GUEST_IDLE,
	SC_GUEST_PANICS,
	SC_GUEST_WATCHDOG,
	SC_GUEST_NO_SPACE,
	SC_GUEST_IO_ERROR,
	SC_GUEST_CRASHES, /* its QEMU ends */
	SC_GUEST_SHUTS_DOWN,
	SC_GUEST_STORAGE_BACK,
	SC_STORAGE_BAD, /* of a node, from here on */
	SC_STORAGE_GOOD,
	SC_LIBVIRT_HANGS,
	SC_LIBVIRT_ANSWERS,
	SC_LOG_DISK_FAILS, /* the one under clusterd's log */
	SC_LOG_DISK_HANGS,
	SC_LOG_DISK_WELL,
};
enum sc_answer { SC_ANY_ANSWER, SC_REJECTED, SC_ACCEPTED };
struct sc_event {
	uint64_t t_ms;
	enum sc_op op;
	int node, vm; /* -1 none */
	bool want, unmanaged, ignore, force;
	char *lock; /* set_lock: NULL unlocks */
	enum sc_answer expect;
};

enum sc_state {
	SC_S_ANY,
	SC_S_RUNNING,
	SC_S_STOPPED,
	SC_S_FAILED,
	SC_S_PENDING_RECOVERY,
	SC_S_FROZEN,
	SC_S_UNKNOWN,
	SC_S_UNMANAGED,
	SC_S_STOP_FAILED,
};
struct sc_final {
	int vm;
	enum sc_state state;
	uint64_t on; /* nodes, 0: not said */
};
struct sc_finals {
	struct sc_final *items;
	size_t n;
};
/* A part of the run, in ms of the file; to: UINT64_MAX is the end. */
struct sc_span {
	uint64_t from_ms, to_ms;
};

enum sc_never_kind {
	SC_N_MOVED,
	SC_N_STOPPED,
	SC_N_STARTED_ON,
	SC_N_START_ATTEMPT_ON,
	SC_N_FENCE,
	SC_N_TOGETHER,
	SC_N_OVERCOMMIT,
	SC_N_STARTED_BEFORE_FENCE,
};
struct sc_never {
	enum sc_never_kind kind;
	uint64_t vms, nodes; /* 0: all */
	struct sc_span span;
};

enum sc_verb { SC_V_START, SC_V_STOP, SC_V_MIGRATE, SC_V_FENCE };
struct sc_step {
	enum sc_verb verb;
	int vm, node, to; /* -1 any */
	char *text;
};
struct sc_attempts {
	int vm;
	uint64_t min, max, nodes;
};
/* Our own: "explain": {"v": "stays there: rule home"}, a part of what is said of it. */
#define SC_SAYS 4
struct sc_says {
	int vm;
	char *part;
};
struct sc_check {
	bool at_end;
	struct sc_says says[SC_SAYS];
	size_t n_says;
	struct sc_span span;
	struct sc_finals finals;
	bool has_all;
	enum sc_state all;
	uint64_t *together, *apart; /* VMs */
	size_t n_together, n_apart;
	int64_t count[SC_NODES]; /* VMs that run there, -1 not said */
	uint64_t tolerance;
	bool has_sorted;
	uint64_t sorted[SC_NODES];
	size_t n_sorted;
	bool has_max_moves;
	uint64_t max_moves;
	struct sc_step order[SC_ORDER];
	size_t n_order;
	struct sc_attempts *attempts;
	size_t n_attempts;
	struct sc_step attempt_order[SC_ORDER];
	size_t n_attempt_order;
	struct sc_attempts *resets; /* of guests, by the cluster itself */
	size_t n_resets;
	struct sc_attempts *distinct; /* max: the first so many tries are on a node each */
	size_t n_distinct;
	struct sc_finals *one_of; /* exactly one holds */
	size_t n_one_of;
	uint64_t *one_set; /* of exactly one set all VMs run, of the others none */
	size_t n_one_set;
};

/* Our own: "cluster": {"fence_window_s": "60"}, settings as `hvcluster set` takes them. */
#define SC_RAW 16
struct sc_settings {
	struct sc_raw raw[SC_RAW];
	size_t n_raw;
	enum sc_yes have_quorum, fencing, watchdog, maintenance_return, stickiness, preemption,
	    auto_rebalance, rebalance_on_start;
	char *quorum_loss, *placement, *node_shutdown, *on_stop_failure; /* NULL: preset */
};

struct scenario {
	char *id;
	bool decision;
	struct sc_settings settings;
	struct sc_node nodes[SC_NODES];
	size_t n_nodes;
	struct sc_vm vms[VMS];
	size_t n_vms;
	struct sc_rule *rules;
	size_t n_rules;
	struct sc_event *events; /* by time */
	size_t n_events;
	uint64_t settle_ms;
	struct sc_finals finals;
	uint64_t fenced_must, fenced_may;
	bool fenced_said;
	struct sc_never nevers[SC_NEVERS];
	size_t n_nevers;
	struct sc_check *checks;
	size_t n_checks;
};

/*
 * HV_OK: *ret is the caller's (scenario_free). HV_BAD_INPUT: not of this form, or of a part of it
 * that is not known here: *ret_why (the caller frees) says what.
 */
enum hv_rc scenario_read(const char *text, size_t len, struct scenario **ret, char **ret_why);
void scenario_free(struct scenario *sc);

/* Plays it. NULL: everything holds; else what does not, in one line (the caller frees). */
char *scenario_play(const struct scenario *sc, FILE *trace);

/* hvsim scenario [--trace] FILE...: the exit status. */
int scenario_main(int argc, char **argv);

/* An answer of the cluster to one of our requests. */
struct scenario_run;
void scenario_replied(struct scenario_run *r, const struct action *a);

#endif
