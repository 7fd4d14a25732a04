/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cluster.h - the replicated state: nodes, VMs, operations, journal, failovers, settings.
 * No policy.
 *
 * PURE, integers only. Changed only by brain_step(); everyone else reads. Iteration orders are
 * defined (nodes by id, VMs by name, operations by id) and never depend on addresses or hashes.
 * All times are cluster time in µs (event.at_us), 0 means "none".
 */
#ifndef HV_RESOURCE_CLUSTER_H
#define HV_RESOURCE_CLUSTER_H

#include "fence/timing.h"
#include "proto/base.h"
#include "proto/ids.h"
#include "proto/log.pb-c.h"
#include "proto/rc.h"
#include "resource/guest.h"
#include "resource/set.h"

/* ---- reasons: why, as data; reason_sentence() makes the text */
#include "resource/reason.h"

/* ---- nodes */
#define NODE_STATE_LIST(X)                                                                         \
	X(OFFLINE, "offline",                                                                      \
	  "not a member, nothing of ours can run there (never seen, left cleanly, or proven off)") \
	X(JOINING, "joining", "a member that has not yet reported what it runs")                   \
	X(ONLINE, "online", "a member that may hold VMs")                                          \
	X(MANAGER_DOWN, "manager-down",                                                            \
	  "corosync sees the node but its clusterd is gone or silent: VMs are left alone for a "   \
	  "grace period")                                                                          \
	X(LOST, "lost", "gone without proof: must be fenced before anything of its is started")    \
	X(FENCING, "fencing", "lost, and a fence device is at work")
enum node_state {
#define X(name, text, meaning) NODE_##name,
	NODE_STATE_LIST(X)
#undef X
};
enum node_admin { NODE_ACTIVE, NODE_DRAINING, NODE_MAINTENANCE };
/* Announced: the host is about to go down on purpose. */
enum node_leaving { NODE_STAYS, NODE_SHUTS_DOWN, NODE_REBOOTS };

struct option {
	char *key, *value;
};
/* The latest test of a device by this node. */
struct fence_path {
	hv_node_id node;
	uint32_t rc;
	uint64_t wall_ms;
};
struct fence_device {
	char *name, *agent;
	uint32_t level, timeout_s;
	uint32_t delay_s, delay_random_s; /* waited before it is used */
	bool shared;			  /* of several hosts: it does one thing at a time */
	bool waited;   /* its success says that time has passed, not that the node was seen off */
	bool unfence;  /* is to be told `on` before the node gets VMs */
	bool unfenced; /* was, since the node booted or was fenced last */
	struct option options[HV_MAX_DEVICE_OPTIONS];
	size_t n_options;
	struct option secrets[HV_MAX_DEVICE_OPTIONS]; /* never in any output, dump or journal */
	size_t n_secrets;
	bool tested;
	uint32_t test_rc;
	uint64_t test_wall_ms;
	char *test_text;
	uint64_t test_us;		       /* when its latest self-test was begun */
	uint32_t test_round;		       /* of its self-tests: who runs the next */
	struct fence_path paths[HV_MAX_NODES]; /* ascending node */
	size_t n_paths;
};

/* A folder or device that VMs' disks are in, and that cannot be used on a node. */
struct storage_fault {
	char *path, *text;
	bool hangs; /* it does not answer, else with errors */
	bool lasts; /* for a minute */
};

/* What a host said of its own configuration: sentences for people, "" where all is well. */
struct host_setup {
	char *hook, *certificate;	  /* NULL: it has not said */
	char *disk_lock, *disk_lock_text; /* its lock manager; what is wrong with that */
};

struct node {
	hv_node_id id;
	char *name; /* "node7" until the node list told us */
	uint32_t votes;
	bool configured; /* in corosync's nodelist */
	enum node_state state;
	enum node_admin admin;
	uint64_t since_us;    /* of this state */
	uint64_t deadline_us; /* MANAGER_DOWN: grace ends; LOST: the fence is tried again */
	char *boot_id;
	uint64_t incarnation; /* of its clusterd, from the view */
	uint32_t feature;
	uint64_t mem_mib;
	uint32_t cpus;
	bool inventory_known, hypervisor_ok;
	char *health_text;
	uint64_t
	    log_lost_us; /* since when its disk does not take the log (log_loss.h), 0: it does */
	struct storage_fault *bad_storage; /* ascending path (storage.h) */
	size_t n_bad_storage;
	struct host_setup setup; /* (setup.h) */
	bool barrier;		 /* lost member of a minority epoch, not yet proven off */
	uint64_t seen_incarnation, seen_seq; /* highest event of this proposer that was applied */
	struct fence_device *devices[HV_MAX_FENCE_DEVICES];
	size_t n_devices;
	uint32_t fence_attempt;		    /* attempts since it was lost */
	uint32_t fence_level, fence_device; /* where its fencing stands (fence/fence_plan.h) */
	hv_op_id fence_op, drain_op;
	enum node_leaving leaving;
	hv_op_id leaving_op;  /* what the announcer waits for, 0 none */
	bool frozen;	      /* its VMs wait for its return (setting node_shutdown) */
	bool fence_wanted;    /* is fenced although it is a member */
	bool fence_forced;    /* an administrator asked for it: no brake holds it */
	bool fence_delayed;   /* the delay of the device that is next has been waited for */
	bool braked;	      /* LOST: the brake holds its fencing (brake.h) */
	bool waited_only;     /* LOST: fenced, but only by devices that wait and do not see */
	uint32_t seen_levels; /* bit N: level N demands to have seen it off (fencing.h) */
	struct timing watch;  /* its watchdog, as it said (watchdog.h); all 0: none */
	bool both_go_on;      /* and feeds it without the others, too: time proves nothing */
	uint64_t away_index, away_us; /* since the view of this entry it is no member; 0: it is one
				       */
	uint64_t fences_us[8];	      /* latest proven fences, for the brakes */
	size_t n_fences;
	bool quarantined;	/* holds no VMs before it is released */
	uint64_t quarantine_us; /* when that is over, 0: for ever */
	hv_op_id unfence_op;	/* a device of it is being told `on` */
	uint64_t unfence_us;	/* when that is tried again, 0 at once */
	uint32_t unfence_tries;
	struct reason reason;
	/* derived, rebuilt on decode, never encoded: */
	uint64_t mem_used_mib; /* VMs that run here, start here, or migrate here */
	uint32_t vcpus_used, vm_count;
	uint32_t starts_running;
	uint32_t migrations_running; /* counted at both ends */
	uint32_t stale_ops;	     /* copies that may be here and are to be destroyed */
	uint64_t stale_mem_mib;	     /* what they hold until then */
	struct set by_rank;	     /* the same as owned, by priority descending, then name */
	struct set owned;	     /* VMs whose owner this is, by name */
	struct set incoming;	     /* VMs whose migration's target this is, by name */
	uint64_t hash;		     /* in the digest */
	bool touched;		     /* changed in this step */
};

/* ---- VMs */
struct rule;
struct vm_group;

#define VM_STATE_LIST(X)                                                                           \
	X(STOPPED, "stopped", "runs nowhere, and is meant to")                                     \
	X(STARTING, "starting", "its node has been told to start it")                              \
	X(RUNNING, "running", "runs on its node")                                                  \
	X(MIGRATING, "migrating", "leaves its node for the target; ownership still with the node") \
	X(RESUMING, "resuming",                                                                    \
	  "its paused copy is told to run: after a migration's ownership has gone to it, or as "   \
	  "asked")                                                                                 \
	X(STOPPING, "stopping", "its node has been told to stop it")                               \
	X(RECOVERING, "recovering", "its node is lost; waits for proof that it is off")            \
	X(PAUSED, "paused", "its vCPUs are stopped on its node")                                   \
	X(CHECKING, "checking",                                                                    \
	  "its node is asked what became of it; nothing is done before the answer")                \
	X(PENDING, "pending", "proven stopped, meant to run, waits for its turn to be placed")     \
	X(FAILED, "failed", "could not be started; tried again at retry_us")                       \
	X(BLOCKED, "blocked", "no node may hold it now; tried again when that may have changed")   \
	X(FROZEN, "frozen", "its node went down as announced and is expected back: it waits")
enum vm_state {
#define X(name, text, meaning) VM_##name,
	VM_STATE_LIST(X)
#undef X
};
enum vm_intent { INTENT_STOPPED, INTENT_STARTED };

struct vm {
	char *uuid, *name;
	uint8_t *xml;
	size_t xml_len;
	uint64_t mem_mib;
	uint32_t vcpus;
	int32_t priority;
	uint32_t stop_timeout_s;
	enum vm_intent intent;
	bool want_paused; /* the administrator paused it */
	bool removing;	  /* is deleted once stopped */
	enum vm_state state;
	hv_node_id node;    /* owner: where it runs or may run; 0 only when proven to run nowhere */
	hv_node_id target;  /* MIGRATING; CHECKING when a migration's outcome is not known */
	hv_node_id seen_on; /* CHECKING: a running copy was seen there, the owner is asked first */
	hv_node_id prefer;  /* asked for by the administrator, one time */
	uint64_t epoch;	    /* ownership epoch: strictly increases with every new owner */
	hv_op_id op;	    /* the operation in progress, 0 none */
	uint32_t attempts;  /* failed starts in a row */
	uint32_t restarts;  /* times it ended by itself soon after it had started, in a row */
	uint32_t tries;	    /* of this state's operation: stop, resume, probe */
	uint32_t migrate_attempts;
	bool arriving; /* to be resumed by its owner when it is found paused there */
	uint64_t retry_us;
	uint64_t since_us;
	hv_node_id avoid[HV_MAX_NODES]; /* where its start failed since it last ran */
	size_t n_avoid;
	hv_node_id recover_from; /* the lost node, for the failover's report */
	/* attributes that the administrator sets */
	bool failback;		/* goes back to a node that its rules prefer (preset: yes) */
	bool live_migration;	/* may be migrated live; else it is moved by stop and start (preset:
				   yes) */
	bool managed;		/* the cluster acts on it (preset: yes) */
	uint32_t start_retries; /* further tries on a node after the first (preset: 0) */
	uint32_t restart_limit; /* restarts on a node after crashes in a row (preset: 3) */
	uint32_t max_relocate;	/* other nodes that are tried before it is given up;
				   VM_RELOCATE_UNLIMITED */
	char **storage;		/* folders and devices that its disks are in, ascending */
	size_t n_storage;
	char *lock; /* a job outside needs it as it is: not moved, not stopped; NULL none */
	/* what follows from them */
	uint32_t local_tries;  /* failed starts on its present node, in a row */
	uint32_t relocations;  /* nodes that its start was taken to since it last ran */
	uint32_t crashes_here; /* in a row, on its present node */
	uint32_t crash_moves;  /* to other nodes because of them, in a row */
	bool given_up;	       /* FAILED, and not tried again by itself */
	bool relocating;       /* is stopped so that it can be started elsewhere */
	hv_node_id home;       /* goes back there when its maintenance is over, 0 none */
	struct guest guest;    /* health of what runs in it */
	struct reason reason;
	/* derived, rebuilt on decode, never encoded: */
	hv_op_id request;    /* the VM_REQUEST in progress, 0 none */
	uint32_t stale_ops;  /* copies being destroyed: it is not started while there are any */
	struct rule **rules; /* those that name it, ascending name */
	size_t n_rules;
	struct vm_group *group; /* hard together rules tie it to these; NULL none */
	bool uneasy;		/* its rules want it elsewhere, or not to run now (rule.h) */
	bool ails;		/* there is something to think about: its guest (guest_plan.h) */
	bool noticed;		/* in this step: is looked at anew for `uneasy` */
	uint64_t xml_hash, hash;
	bool touched, dirty, ready, gone;
};

/* VMs that hard together rules tie to one node, directly or through others; ascending name. */
struct vm_group {
	struct vm **vms;
	size_t n_vms;
};

#define VM_RELOCATE_UNLIMITED UINT32_MAX
#define VM_RESTART_LIMIT 3

/* ---- rules: which VMs may or should run where (rule.h says what each kind means) */
struct rule_node {
	hv_node_id node;
	int32_t priority; /* higher is better */
};
struct rule {
	char *name;
	Hv__RuleKind kind;
	bool hard, mandatory;
	char **vms; /* uuids, in the order given */
	size_t n_vms;
	struct rule_node nodes[HV_MAX_NODES];
	size_t n_nodes;
	/* derived: */
	struct vm **members; /* the same as vms */
	uint64_t hash;
	bool touched;
};

/* Whole-cluster hands-off (arm.h). */
enum arm_state { ARMED, DISARMED_FREEZE, DISARMED_IGNORE, ARMING };

/*
 * ---- operations: pending work as part of the state. Executors are level-triggered on these.
 * Behind a barrier (cluster_barrier()) they carry out FENCE operations only.
 */
#define OP_KIND_LIST(X)                                                                            \
	X(NONE, "none")                                                                            \
	X(VM_START, "vm-start")                                                                    \
	X(VM_STOP, "vm-stop")	    /* graceful, destroy after timeout_s */                        \
	X(VM_DESTROY, "vm-destroy") /* also of a stale copy: then vm->op != id */                  \
	X(VM_MIGRATE, "vm-migrate") /* node: source, target: destination */                        \
	X(VM_RESUME, "vm-resume")                                                                  \
	X(VM_PAUSE, "vm-pause")                                                                    \
	X(VM_PROBE, "vm-probe")                                                                    \
	X(FENCE, "fence") /* node: executor, victim, device */                                     \
	X(FENCE_TEST, "fence-test")                                                                \
	X(NODE_DRAIN,                                                                              \
	  "node-drain") /* no executor: the brain's own, of node `target`, with done/total */      \
	X(VM_REQUEST,                                                                              \
	  "vm-request") /* what a client waits for: start, stop, migrate, remove as a whole */     \
	X(NODE_SHUTDOWN,                                                                           \
	  "node-shutdown") /* no executor: the brain's own, of node `target`: it may go down */    \
	X(VM_RESET, "vm-reset")
enum op_kind {
#define X(name, text) OP_##name,
	OP_KIND_LIST(X)
#undef X
};
enum op_state { OP_RUNNING, OP_DONE, OP_FAILED };

/* operation.flags */
#define OP_F_FINAL                                                                                 \
	0x01 /* FENCE: last device of its level, its success proves the victim off: set            \
		fenced_node */
#define OP_F_POWER_ON 0x02 /* FENCE: not off but on, best effort, after the proof */
#define OP_F_PAUSED 0x04   /* VM_MIGRATE: it is paused and stays so */
#define OP_F_FORCE 0x08	   /* VM_REQUEST to stop: destroy at once */
#define OP_F_NAMED 0x10	   /* VM_REQUEST to migrate: the administrator named the target */
#define OP_F_OFFLINE 0x20  /* VM_REQUEST to migrate: begun, by stop and start */
#define OP_F_UNFENCE 0x80  /* FENCE, POWER_ON: of a member, by itself (unfence.h) */
#define OP_F_REBOOTED 0x40 /* VM_MIGRATE: its node has booted since it was begun */
#define OP_REQUEST_SHIFT 8 /* VM_REQUEST: enum vm_request, 8 bits */
enum vm_request {
	REQ_NONE,
	REQ_START,
	REQ_STOP,
	REQ_REMOVE,
	REQ_MIGRATE,
	REQ_PAUSE,
	REQ_RESUME,
	REQ_RESET
};
#define OP_F_WATCHDOG 0x10000 /* FENCE: no agent; wait for wait_us since the victim left */
#define OP_RESET_SHIFT 20     /* VM_RESET: enum reset_if, 2 bits */
#define OP_F_RESET(i) ((uint32_t)(i) << OP_RESET_SHIFT)
/* Why a guest is reset, and what its host makes sure of right before: as HvResetIf. */
enum reset_if { RESET_ASKED, RESET_LOST, RESET_PANICKED, RESET_WATCHDOG };
#define OP_F_REQUEST(r) ((uint32_t)(r) << OP_REQUEST_SHIFT)

struct operation {
	hv_op_id id;
	enum op_kind kind;
	enum op_state state;
	char *vm;	 /* uuid, or NULL */
	hv_node_id node; /* executor; 0: the brain itself */
	hv_node_id target, victim;
	char *device;
	uint32_t attempt; /* starts at 1; a result of another attempt is ignored */
	uint32_t timeout_s;
	uint64_t wait_us;
	bool cancel; /* the executor is asked to give up; it still answers */
	uint64_t began_us, ended_us, deadline_us;
	uint64_t wall_ms;
	uint32_t rc;
	char *text;
	hv_op_id parent; /* what this is part of (a drain, a request) */
	uint32_t done, total;
	uint32_t flags;
	/* derived: */
	uint64_t hash;
	bool touched;
};

/* ---- journal: each change of state in one line */
enum severity { SEV_INFO, SEV_NOTICE, SEV_WARNING, SEV_ERROR };
struct journal_line {
	uint64_t id, index, at_us, wall_ms;
	char *object; /* "vm web1", "node host2", "cluster" */
	char *from, *to, *cause;
	enum severity severity;
	uint64_t hash; /* derived */
};

struct failover_vm {
	char *name;
	hv_node_id node;
	uint64_t decided_us, began_us, ended_us, running_us;
	uint32_t result; /* enum hv_rc; meaningful when running_us or ended_us is set */
	/* derived: */
	uint64_t hash; /* 0: not known, the digest computes it anew */
};
struct failover {
	uint64_t id;
	hv_node_id victim;
	uint64_t wall_ms, detected_us, view_us, fence_began_us, fence_ended_us, fenced_us;
	char *proof;
	bool done;
	struct failover_vm *vms; /* ascending name */
	size_t n_vms;
	/* derived: */
	uint64_t hash;
	bool touched;
};

struct cluster;

/* ---- life cycle and queries; every returned pointer is borrowed and valid until the next
 * brain_step() */
struct cluster *cluster_new(void);
void cluster_free(struct cluster *c);

uint64_t cluster_index(const struct cluster *c); /* of the last entry applied */
uint64_t cluster_now_us(const struct cluster *c);
uint64_t cluster_wall_ms(const struct cluster *c);
uint64_t cluster_digest(const struct cluster *c); /* O(1): kept up to date by each step */
uint32_t cluster_feature(const struct cluster *c);
bool cluster_barrier(
    const struct cluster *c); /* a lost member of a minority epoch is not yet proven off */

size_t cluster_node_count(const struct cluster *c);
const struct node *cluster_node_at(const struct cluster *c, size_t i); /* ascending id */
const struct node *cluster_node(const struct cluster *c, hv_node_id id);
const struct node *cluster_node_by_name(const struct cluster *c, const char *name);
size_t cluster_vm_count(const struct cluster *c);
const struct vm *cluster_vm_at(const struct cluster *c, size_t i); /* ascending name */
const struct vm *cluster_vm(const struct cluster *c, const char *uuid);
const struct vm *cluster_vm_by_name(const struct cluster *c, const char *name);
size_t cluster_vm_lower_bound(const struct cluster *c,
			      const char *name); /* first i with name > `name` */
size_t cluster_node_vm_count(const struct cluster *c,
			     hv_node_id node); /* VMs that this node owns */
const struct vm *cluster_node_vm_at(const struct cluster *c, hv_node_id node,
				    size_t i); /* ascending name */
size_t cluster_op_count(const struct cluster *c);
const struct operation *cluster_op_at(const struct cluster *c,
				      size_t i); /* ascending id, running and recently ended */
const struct operation *cluster_op(const struct cluster *c, hv_op_id id);
uint64_t cluster_journal_first(const struct cluster *c); /* ids first..next-1 are held */
uint64_t cluster_journal_next(const struct cluster *c);
const struct journal_line *cluster_journal(const struct cluster *c, uint64_t id);
size_t cluster_failover_count(const struct cluster *c);
const struct failover *cluster_failover_at(const struct cluster *c, size_t i); /* ascending id */
enum arm_state cluster_arm(const struct cluster *c);
size_t cluster_rule_count(const struct cluster *c);
const struct rule *cluster_rule_at(const struct cluster *c, size_t i); /* ascending name */
const struct rule *cluster_rule_by_name(const struct cluster *c, const char *name);
uint32_t cluster_vms_in_state(const struct cluster *c, enum vm_state state);

/* Watchdogs (watchdog.h): are they in force; in which generation; when time proves this node off
 * (cluster time, for display; 0: never); its figures as a sentence (caller frees; NULL: none). */
bool cluster_watchdogs_on(const struct cluster *c);
uint64_t cluster_watchdog_generation(const struct cluster *c);
uint64_t cluster_watchdog_proof_us(const struct node *n);
char *cluster_watchdog_text(const struct node *n);
/* Is this level of its devices no proof unless they have all seen it off, not waited? */
bool cluster_must_see(const struct cluster *c, const struct node *n, uint32_t level);
/* Will time prove it off when it is lost, or does it? */
bool cluster_watchdog_proves(const struct cluster *c, const struct node *n);

enum vm_request op_request(const struct operation *op); /* of a VM_REQUEST */
const char *vm_request_name(enum vm_request r);
const char *node_state_name(enum node_state s);
const char *node_admin_name(enum node_admin a);
const char *vm_state_name(enum vm_state s);
const char *vm_intent_name(enum vm_intent i);
const char *node_leaving_name(enum node_leaving l);
const char *arm_state_name(enum arm_state a);
const char *rule_kind_name(Hv__RuleKind k);
const char *op_kind_name(enum op_kind k);
const char *op_state_name(enum op_state s);
const char *severity_name(enum severity s);

/* ---- settings: a table of known keys, integers or words; `cluster_setting` gives the preset when
 * not set */
struct setting_info {
	const char *key, *preset, *help;
};
size_t setting_count(void);
const struct setting_info *setting_at(size_t i);
const char *cluster_setting(const struct cluster *c, const char *key);
/* quorum_loss as its place among the setting's words (fence/selfguard.h), and its grace. */
unsigned cluster_quorum_loss(const struct cluster *c, uint64_t *ret_grace_us);
/* Live migrations are encrypted (setting migration_tls). */
bool cluster_migration_tls(const struct cluster *c);
/* How long a graceful shutdown of this VM may take. */
uint32_t cluster_stop_timeout_s(const struct cluster *c, const struct vm *vm);

/* ---- attributes of VMs that the administrator sets: a table as well */
struct vm_attribute_info {
	const char *key, *help;
};
size_t vm_attribute_count(void);
const struct vm_attribute_info *vm_attribute_at(size_t i);
/* "on", "3", "unlimited": of attribute i. Caller frees. */
char *vm_attribute_text(const struct vm *vm, size_t i);

#endif
