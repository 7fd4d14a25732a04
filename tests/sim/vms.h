/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vms.h - the brain in the simulated rack: hypervisors with VMs, fence devices, administrators, and
 * clusterd's own clockless parts (proposer, intake, ticker) around brain_step().
 *
 *   vms_mind.c     one node's brain, as clusterd's driver and wiring have it
 *   vms_exec.c     its executor: operations of the state addressed to this node, level-triggered
 *   vms_guard.c    what a node does by itself without quorum (setting quorum_loss)
 *   vms_watch.c    watchdogs, and how badly timed those who feed them can be; I6
 *   vms_qemu.c     what really runs where, and who is told; I1 and I2 are checked here
 *   vms_room.c     what hosts hold of their memory
 *   vms_call.c     hypervisord's jobs: order, waiting, deadlines, answers that are lost
 *   vms_job.c      what they do
 *   vms_move.c     live migrations between two libvirtds, phase by phase
 *   vms_fence.c    fence devices
 *   vms_guest.c    what is in the VMs, and how hypervisord sees it
 *   vms_guest_check.c  what befalls it, what may be done about it, and must
 *   vms_crash.c    guests that end again and again, and where they are started next
 *   vms_chance.c   what guests, libvirt, storage and people at a host's console do by themselves
 *   vms_admin.c    administrators' commands
 *   vms_back.c     who sets everything back when all is healed
 *   vms_policy.c   those about nodes and the whole cluster: fencing on request, shutdowns
 *   vms_wishes.c   those about VMs: attributes, locks, rules; and what they promise
 *   vms_brakes.c   delays, brakes, unfencing, self-tests, duels: what is promised
 *   vms_garbage.c  entries that make no sense
 *   vms_check.c    what must be true after every step, and when all is healed
 *
 * A world without swarm (all weights 0) has no chance in it but durations: the scenario runner
 * builds on that, makes its own VMs with vms_define(), and reads the log of what happened.
 */
#ifndef HV_TESTS_SIM_VMS_H
#define HV_TESTS_SIM_VMS_H

#include "clusterd/absence.h"
#include "clusterd/cluster_time.h"
#include "clusterd/feeder.h"
#include "clusterd/guard.h"
#include "clusterd/intake.h"
#include "clusterd/proposer.h"
#include "clusterd/ticker.h"
#include "proto/unpack.h"
#include "resource/brain.h"
#include "tests/sim/sim.h"

#define VMS 48
#define DEVICES 3 /* of one host */
#define HOST_MEM_MIB 4096
#define HOST_CPUS 8

enum dom { DOM_ABSENT, DOM_RUNNING, DOM_PAUSED, DOM_INCOMING };

/* What is in a VM, and what this host's hypervisord remembers of it. */
struct sim_guest {
	bool agent, dead;		 /* it has one; and that has died */
	bool hung;			 /* neither answers nor works, until it is reset */
	bool busy;			 /* does I/O all the time, or none */
	bool answered;			 /* its agent has, since it was started or reset */
	uint64_t ready_us;		 /* its agent answers from then on */
	uint64_t answered_us, worked_us; /* last time */
	uint64_t since_us;		 /* it is as it is */
	Hv__GuestTrouble trouble;
	bool storage_back;
	/* hypervisord */
	uint32_t heartbeat_s, idle_s; /* as it was told; 0: does not look */
	bool heard;		      /* it has answered since its start */
	bool inherits;		      /* was there before: the cluster knows whether it has */
	bool blind;		      /* could not look the last time */
	uint64_t silent_us, still_us, counted_us, blind_us;
	Hv__GuestHeartbeat beat, told_beat;
	uint32_t own_resets, told_own; /* by its own devices */
	bool idle, told_idle, told_back;
	Hv__GuestTrouble told_trouble;
	uint64_t gen; /* of its looks */
};

/* One VM on one host. */
struct domain {
	struct sim_guest guest;
	enum dom state;
	bool whole;	  /* INCOMING: all of its memory has arrived */
	bool outdated;	  /* INCOMING, whole: its source ran on since */
	bool arrived;	  /* hypervisord saw it arrive, and says INCOMING until it runs */
	bool stray;	  /* started, moved or let run by a person at the console: not our sin */
	bool left;	  /* absent by migration, as libvirt's log has it */
	bool unplanned;	  /* a person put it there: nobody reckoned with it */
	bool owed;	  /* it ran here, and nobody has proof of its end yet: I2 */
	bool deaf;	  /* the guest does not heed a shutdown */
	bool stalled;	  /* waits for its storage: no call about it returns */
	bool create_lost; /* a call to create it is in libvirtd, and who made it is gone */
	uint64_t register_until_us; /* hypervisord does not yet take its absence for proven */
};

#define STORAGES 2 /* that VMs have their disks on */

/* One host's hypervisor layer. */
struct hyper {
	bool hung;     /* libvirtd answers nothing */
	bool down;     /* libvirtd is not there */
	bool hvd_down; /* hypervisord is not there */
	uint64_t life; /* of libvirtd: calls and migrations of an earlier one are over */
	bool bad;      /* hypervisord has said so */
	bool storage_bad[STORAGES], storage_hangs[STORAGES], storage_lasts[STORAGES];
	bool mains_lost;    /* its power went by itself, and with it what shares it */
	bool outlet_off[2]; /* a host with two power supplies */
	bool fence_cut;	    /* no agent that runs here reaches a fence device */
};

enum device_kind {
	DEVICE_BMC,	   /* good */
	DEVICE_BMC_SHARED, /* dead when its host's power is */
	DEVICE_OUTLET_A,   /* of two: the host is off when both are */
	DEVICE_OUTLET_B,
	DEVICE_LIAR,	/* accepts `off` and leaves the host on; its status says so */
	DEVICE_GARBAGE, /* its answers mean nothing */
	DEVICE_HANGS,	/* until the agent is killed */
	DEVICE_SLOW,
};
struct device {
	enum device_kind kind;
	uint32_t level, timeout_s, delay_s, delay_random_s;
	bool waited;	       /* the cluster is told that its success is not seen */
	bool require_seen;     /* and that its level is no proof then */
	bool unfence;	       /* its `on` is needed after each boot */
	uint64_t told_on_boot; /* the host's boot in which it was last told so */
	char name[16];
	bool broken; /* for a while */
};

/* A job that hypervisord or a fence agent works on. */
enum call_phase { CALL_WAITS, CALL_BEGUN, CALL_ANSWERS };
struct outcome {
	enum hv_rc rc;
	Hv__Observed observed;
	hv_node_id fenced;
};
struct call {
	bool used, cancelled, superseded, orphan;
	bool handed_over; /* a start that libvirtd works on: it is too late to cancel it */
	enum call_phase phase;
	uint32_t gen; /* of the slot: timers of an earlier use are void */
	hv_node_id host;
	uint64_t powers, incarnation; /* of the host and of the process that asked */
	hv_op_id op;
	uint32_t attempt;
	enum op_kind kind;
	int vm;
	hv_node_id target, victim;
	uint32_t flags, timeout_s;
	int device;
	uint64_t began_us;		/* CLOCK_MONOTONIC of the host */
	uint64_t asked_us, deadline_us; /* simulated time */
	struct outcome out;
};

/* libvirt's migration, protocol version 3, peer to peer. */
enum move_phase { MOVE_BEGIN, MOVE_PREPARE, MOVE_PERFORM, MOVE_FINISH, MOVE_CONFIRM };
struct move {
	bool used, cancel;
	bool hot;	 /* by a person, without VIR_MIGRATE_PAUSED */
	bool was_paused; /* and stays so */
	bool given_up; /* by the cluster, whose source is lost: what arrives is not reckoned with */
	uint32_t gen;
	enum move_phase phase;
	int vm;
	hv_node_id src, dst;
	uint64_t src_powers, dst_powers, src_life, dst_life, silent_us;
};

/* What happened to QEMUs, for whoever wants to know afterwards. */
enum vms_event_kind {
	VMS_START_TRIED, /* by the cluster; ok: it runs */
	VMS_STARTED,
	VMS_STOPPED, /* of itself or asked */
	VMS_MOVE_TRIED,
	VMS_MOVED, /* gone from `host`, whole on `other` */
	VMS_RESUMED,
	VMS_PAUSED,
	VMS_RESET,  /* its guest; ok: not by an administrator */
	VMS_FENCED, /* vm -1: `host` was switched off by `other`; not ok: it was off */
};
struct vms_event {
	uint64_t at_us;
	enum vms_event_kind kind;
	int vm;
	hv_node_id host, other;
	bool ok;
};

/* What may go wrong on purpose: asked before each call has its effect; NULL: nothing. */
struct vms_hooks {
	bool (*start_fails)(struct sim *s, hv_node_id host, int vm);
	bool (*stop_fails)(struct sim *s, hv_node_id host, int vm);
	bool (*move_fails)(struct sim *s, hv_node_id src, hv_node_id dst, int vm);
	bool (*move_waits)(struct sim *s, hv_node_id src, int vm); /* its memory is on the way */
};

/* A host's /dev/watchdog, and what is up with it. */
struct watchdog {
	bool there, running, looked_at; /* looked_at: its event is on the way */
	uint64_t expires_us;
	int rate_ppm;		  /* of its clock */
	uint64_t record_us;	  /* in /run: CLOCK_MONOTONIC of a heartbeat; 0: none */
	uint64_t ambush_us;	  /* until then the next feed is held up */
	unsigned ambush_permille; /* of the lease: not before so much of it has gone by */
	uint64_t in_touch_us;	  /* last seen a working member, feeding, or without VMs: I6 */
	uint64_t crash_until_us;
	uint64_t said_us, closed_us; /* its host told the cluster of it; it was closed */
};
struct watchdogs {
	bool on;
	struct timing timing;
	uint64_t token_us, left_us; /* as fence/selfguard.h has them */
	uint32_t consensus_ms;
	struct watchdog hosts[SIM_HOSTS];
	uint64_t resets;
};

struct vms_swarm { /* permille of the chance steps, or of the calls */
	unsigned start_fails, start_slow, start_cut, call_fails, crash, shut_down, deaf, stall,
	    storage, io_error, libvirt_hangs, libvirt_ends, hvd_ends, move_fails, outside,
	    fence_breaks, fence_cut, foolish, garbage, wishes;
};

struct let_go {
	uint64_t index; /* of the state in which it was last seen */
	bool yes;	/* not managed there */
};
struct asked {
	bool added, removed; /* answered with OK; asked for at any time */
};
/* A command, from its proposal to its fate: what was answered is never lost (I5). */
struct request {
	int added_vm;	     /* -1: it does not add one */
	uint64_t index;	     /* of its entry; 0: not seen yet */
	uint32_t applied_by; /* bit of each host whose state holds it */
	bool acked;
};
/* What a side of a duel thinks is at stake on each host (vms_brakes.c). */
struct duel_view {
	bool there;
	uint64_t at_us, vms[2], priority[2];
};
struct reset_log {
	uint64_t begun[16]; /* as entries tell: cluster time */
	size_t n_begun;
	uint64_t own, told; /* by its own devices: really, and events of it */
	uint64_t at_us[32];
	size_t n;
	hv_op_id op; /* the latest that was begun, when, and what might be then */
	uint64_t begun_us;
	uint32_t limit, window_s;
};
/* It ends soon after each start, so many times more (vms_crash.c). */
struct ending {
	unsigned left;
	bool armed;
	Hv__Cause cause;
};
struct vms_world {
	unsigned endings; /* permille of the chance steps */
	struct ending ending[VMS];
	uint32_t crashes[SIM_HOSTS][VMS]; /* there, since it last ran elsewhere */
	unsigned guests; /* permille of the chance steps; 0: nothing befalls them */
	bool agents[VMS], busy[VMS];
	uint64_t guest_gen, resets;
	struct reset_log reset_log[VMS];
	uint64_t self_resets[SIM_HOSTS]; /* by quorum_loss=self-fence, or their watchdog */
	struct watchdogs watch;
	struct duel_view duel[2];
	char uuid[VMS][HV_UUID_LEN + 1], name[VMS][HV_NAME_MAX + 1];
	uint64_t mem_mib[VMS];
	struct domain dom[SIM_HOSTS][VMS];
	struct hyper hyper[SIM_HOSTS];
	uint64_t host_mem_mib[SIM_HOSTS];
	uint32_t host_cpus[SIM_HOSTS];
	struct device devices[SIM_HOSTS][DEVICES];
	size_t n_devices[SIM_HOSTS];
	bool fencing; /* a device is switching a host off just now */
	struct call *calls;
	size_t n_calls, cap_calls;
	struct move *moves;
	size_t n_moves, cap_moves;
	struct asked asked[VMS];
	struct let_go let_go[VMS];
	bool brakes_set;  /* once, when the devices are there */
	bool healed;	  /* administrators will do nothing more */
	uint64_t checked; /* highest index whose state was looked at */
	uint64_t asked_calls;
	struct request *requests;
	size_t n_requests, cap_requests;
	unsigned max_vms;
	struct vms_swarm swarm;
	struct vms_hooks hooks;
	uint32_t most_starts, most_migrations; /* highest settings so far */
	uint64_t starts, stops, migrations, fences, commands;
	struct vms_event *log;
	size_t n_log, cap_log;
	bool keep_log;
	uint64_t must_go_us[SIM_HOSTS]; /* since when it is to reset itself (vms_guard.c) */
	uint64_t view_index, view_us;	/* the latest view, and when it was applied first */
	bool storage_fences;		/* storage_loss=fence from the beginning */
	bool short_freeze;		/* frozen_timeout_s is short, and not 1800 */
	unsigned disarmed_at_word;	/* permille of what is said of a watchdog */
	uint64_t watch_index;		/* of the last of that which was applied by anyone */
	bool mute[SIM_HOSTS];		/* its clusterd does not report what runs */
};

/* One job of the executor. */
struct job {
	hv_op_id op;
	uint32_t attempt;
	enum op_kind kind;
	bool running, done, cancelled;
	enum hv_rc rc;
	Hv__Observed observed;
	hv_node_id fenced;
	uint64_t began_us, ended_us, mark;
};

/* What vms_brakes.c remembers of a node, and of who tested a device last. */
struct fence_watch {
	enum node_state was;
	bool forced, barrier;
	uint32_t seen_levels; /* as commands have asked */
	uint64_t lost_us, fenced_us[8], quarantined_until;
	uint64_t frozen_us, frozen_most_us; /* since when it is waited for, and how long at most */
	size_t n_fenced;
};
struct tester {
	hv_node_id by;
	uint32_t online;
};

/* What vms_crash.c remembers of a VM. */
struct crash_watch {
	enum vm_state was;
	uint64_t since_us; /* cluster time */
	hv_node_id on, last_on;
	bool busy; /* an operation was under way */
	/* crashes in a row where it is: the brain must have counted so many, and cannot have more
	 */
	uint32_t surely, perhaps;
	uint32_t moves, moves_perhaps; /* for its crashes, in a row: at least, at most */
	hv_node_id ended_on; /* by itself, and was not started yet; 0: nothing is said of it */
	bool to_leave;	     /* it must be started elsewhere, if that can be */
	bool may_stay;	     /* its node could hold it then */
};

struct mind {
	struct crash_watch crash[VMS];
	struct fence_watch watch[SIM_HOSTS];
	struct tester tester[SIM_HOSTS][DEVICES];
	hv_op_id self_test;
	struct sim *s;
	struct host *h;
	struct cluster *c;
	struct unpack_room room; /* of the event that is applied */
	struct cluster_time time;
	struct action_list actions;
	struct proposer *proposer;
	struct intake *intake;
	struct ticker ticker;
	struct nodelist list;
	struct job *jobs;
	size_t n_jobs, cap_jobs;
	bool was_current, unsettled, inventory_sent;
	uint64_t due_us; /* cluster time */
	struct guard *guard;
	uint64_t lost_us;      /* since when it does not work; 0: it does */
	uint64_t guard_due_us; /* host's clock */
	struct feeder *feeder; /* NULL: no watchdog */
	uint64_t feeder_due_us;
	struct absence absence;
	uint64_t proof_due_us; /* a wait that is over then */
	bool ignoring;	       /* quorum_loss=ignore is in force */
	/* what the checks remember of each VM */
	uint64_t vm_epoch[VMS];
	hv_node_id vm_node[VMS];
	hv_node_id guest_on[VMS];
	uint64_t log_late_us[HV_MAX_NODES]; /* VMs could leave the node since (cluster time) */
	uint64_t guest_well_us[VMS]; /* runs there, and has its storage, since (cluster time) */
	bool guest_waits[VMS];	     /* for its storage */
	bool guest_held[VMS];
	uint64_t guests_index; /* of the state that hypervisord was told of last */
	bool wanted[VMS];
	struct {
		uint32_t attempt, able; /* who could have run the agent: bit of each host */
		hv_node_id by;
	} fence_tried[SIM_HOSTS];
	bool seen_entry;   /* since it was made */
	unsigned to_check; /* a state that was decoded: its books, too */
};

/* ---- vms_mind.c */
uint64_t mind_mono(const struct mind *m);
bool mind_current(const struct mind *m);
void mind_wake(struct mind *m);
uint64_t mind_propose(struct mind *m, const Hv__Event *ev, enum rl_entry_type type,
		      hv_node_id fenced);

/* ---- vms_guard.c */
void mind_guard_start(struct mind *m);
void vms_guard_setup(struct sim *s);
void mind_guard_look(struct mind *m); /* when all is settled */
void mind_told_votes(struct mind *m, bool *quorate, uint32_t *quorum);

/* ---- vms_outage.c */
void vms_outage_setup(struct sim *s);
void vms_outage_heal(struct sim *s);

/* ---- vms_watch.c */
void vms_watch_setup(struct sim *s);
void vms_watch_give(struct sim *s, hv_node_id host, const struct timing *t); /* scenarios */
void mind_watch_start(struct mind *m);
void mind_watch_look(struct mind *m); /* when all is settled */
void vms_watch_power_off(struct sim *s, struct host *h);
void vms_watch_heal(struct sim *s);

/* ---- vms_exec.c */
void exec_reconcile(struct mind *m);
void exec_result(struct mind *m, const struct call *call, const struct outcome *out);
void exec_hypervisor_up(struct mind *m); /* jobs under way are asked for again */

/* ---- vms_qemu.c */
struct vms_world *vms_of(struct sim *s);
int vms_find(const struct sim *s, const char *uuid); /* -1: none of ours */
void vms_define(struct sim *s, int k, const char *name, const char *uuid, uint64_t mem_mib);
struct domain *vms_dom(struct sim *s, hv_node_id host, int k);
enum dom vms_resting(struct sim *s, hv_node_id host, int k);
/* What hypervisord would say of it. */
Hv__Observed vms_observed(struct sim *s, hv_node_id host, int k);
/* It runs on `host`: whole copies elsewhere are older than what runs. */
void vms_runs_on(struct sim *s, hv_node_id host, int k);
void vms_set(struct sim *s, struct host *h, int k, enum dom d, Hv__Cause cause);
void vms_note(struct sim *s, enum vms_event_kind kind, int vm, hv_node_id host, hv_node_id other,
	      bool ok);
/* The cluster starts it there, or lets a paused copy of it run there: may it? I1, I2 */
void vms_check_takeover(struct sim *s, hv_node_id host, int k);
void vms_proven(struct sim *s, hv_node_id host); /* what ran there is known to be over */
void vms_tell(struct sim *s, struct host *h, int k, Hv__Cause cause);
void vms_inventory(struct mind *m);
bool vms_layer_well(struct sim *s, hv_node_id host);
void vms_power_off(struct sim *s, struct host *h);

/* ---- vms_call.c */
void vms_call(struct mind *m, const struct operation *op);
void vms_cancel(struct sim *s, struct host *h, hv_op_id op);
/* Something that calls about this VM (-1: any) on this host may wait for has changed. */
void vms_kick(struct sim *s, struct host *h, int k);
void vms_hypervisord_ends(struct sim *s, struct host *h);
bool vms_is_starting(struct sim *s, hv_node_id host, int k);

/* ---- vms_job.c */
void vms_creates_again(struct sim *s, struct host *h); /* libvirt works on what it was asked for */

/* ---- vms_move.c */
bool vms_move_begin(struct sim *s, struct host *h, int k, hv_node_id target, bool hot);
bool vms_move_active(struct sim *s, hv_node_id host, int k);
void vms_move_abort(struct sim *s, hv_node_id host, int k);
/* The target was told to destroy what came of it, and nothing had. */
void vms_move_given_up(struct sim *s, hv_node_id target, int k);

/* ---- vms_fence.c */
void vms_fence_setup(struct sim *s); /* which devices each host has */
int vms_fence_device_find(struct sim *s, hv_node_id victim, const char *name);
uint64_t vms_fence_effect_us(struct sim *s, const struct call *call, uint64_t *ret_answer_us);
void vms_fence_effect(struct sim *s, struct host *h, const struct call *call);
void vms_fence_by_hand(struct sim *s, struct host *victim); /* and on again, after a while */
struct outcome vms_fence_answer(struct sim *s, const struct call *call);

/* ---- vms_crash.c */
void vms_crash_setup(struct sim *s);
void vms_crash_step(struct sim *s);
void vms_crash_runs(struct sim *s, struct host *h, int k); /* it has just begun to run */
/* It ends, not by the cluster's hand: a crash, its own shutdown, a person's destroy. */
void vms_guest_ends(struct sim *s, struct host *h, int k, Hv__Cause cause);
void vms_crash_check(struct mind *m, uint64_t index, const Hv__Event *ev);
void vms_crash_installed(struct mind *m);

/* ---- vms_chance.c */
void vms_chance_setup(struct sim *s);
void vms_chance_step(struct sim *s);
void vms_chance_start(struct sim *s, struct host *h);	     /* it begins to start a VM */
void vms_libvirt(struct sim *s, struct host *h, bool hangs); /* scenarios */
void vms_chance_heal(struct sim *s);

/* ---- vms_admin.c */
struct host *admin_host(struct sim *s); /* a node that answers, or NULL */
/* RL_FENCE for a confirmation, about this node. False: not taken. */
bool admin_ask(struct sim *s, struct host *h, Hv__Command *cmd, hv_node_id confirmed);
/* A command of an administrator whose answer is of no consequence. */
void admin_command_at(struct sim *s, struct host *h, Hv__Command *cmd);
void admin_policy(struct sim *s, struct host *h, struct host *target); /* vms_policy.c */
void admin_policy_heal(struct sim *s, struct host *h);
void vms_policy_setup(struct sim *s);
void vms_policy_at_word(struct sim *s, struct host *h); /* it speaks of its watchdog */
void admin_brakes(struct sim *s, struct host *h);	/* as each seed has them */
void admin_step(struct sim *s);
void admin_reply(struct mind *m, const struct action *a);

/* ---- vms_back.c */
void admin_heal(struct sim *s);

/* ---- vms_wishes.c */
void vms_wish(struct sim *s, struct host *h, struct prng *r, int k);
void vms_wishes_over(struct sim *s, struct host *h);
/* The step has begun it: may it? */
void vms_check_wishes(struct mind *m, uint64_t index, const struct operation *op);

/* ---- vms_brakes.c */
void brakes_command(struct mind *m, const Hv__Command *cmd); /* it was granted */
void brakes_step(struct mind *m, uint64_t index, const Hv__Event *ev);
void brakes_installed(struct mind *m);
/* A device of `victim` has switched it off, for `by`. */
void brakes_switched_off(struct sim *s, hv_node_id victim, hv_node_id by);

/* ---- vms_garbage.c */
void vms_garbage_step(struct sim *s);
/* The state as text, if the entry makes no sense; the caller frees. ev NULL: it is no event. */
char *vms_garbage_before(const struct mind *m, const Hv__Event *ev);
void vms_garbage_after(const struct mind *m, uint64_t index, const char *before);

/* ---- vms_log.c */
/* What can leave a host whose disk does not take the log has done so. */
void vms_log_step(struct mind *m, uint64_t index);

/* ---- vms_storage.c */
/* What VM k needs: static. */
char **vms_storage_of(int k, size_t *ret_n);
void vms_storage_setup(struct sim *s);
void vms_storage_bad(struct sim *s, struct host *h, int k, uint64_t ms);
void vms_storage_good(struct sim *s, struct host *h); /* all of it */
void vms_storage_tell(struct mind *m);
bool vms_storage_works(struct sim *s, hv_node_id host, int k);
/* An operation that this entry has begun: not where the storage that it needs has failed. */
void vms_storage_check(struct mind *m, uint64_t index, const struct operation *op);

/* ---- vms_guest.c */
bool vms_guest_answers(struct sim *s, const struct host *h, int k);
bool vms_guest_works(struct sim *s, const struct host *h, int k);
void vms_guest_changes(struct sim *s, struct host *h, int k, enum dom from, enum dom to);
void vms_guest_moves(struct sim *s, hv_node_id src, hv_node_id dst, int k);
void vms_guest_sync(struct mind *m); /* what the state says of them to hypervisord */
void vms_guests_anew(struct mind *m);
void vms_guest_hangs(struct sim *s, struct host *h, int k, bool hangs);
void vms_guest_agent_dies(struct sim *s, struct host *h, int k);
void vms_guest_busy(struct sim *s, struct host *h, int k, bool busy);
void vms_guest_resets_itself(struct sim *s, struct host *h, int k);
void vms_guest_stops(struct sim *s, struct host *h, int k, Hv__GuestTrouble t);
void vms_guest_storage_back(struct sim *s, struct host *h, int k, uint64_t after_us);

/* ---- vms_guest_check.c */
void vms_guest_setup(struct sim *s);
void vms_guest_step(struct sim *s);
void vms_guest_heal(struct sim *s);
void vms_guest_check_reset(struct sim *s, struct host *h, const struct call *call,
			   enum reset_if cause);
void vms_guest_forgiven(struct sim *s, int k);
void vms_guest_watch(struct mind *m);
void vms_guest_told(struct mind *m, const Hv__Event *ev);
void vms_guest_check_begun(struct mind *m, uint64_t index, const struct operation *op);
/* Of a VM of the state of all, when all is healed; NULL: it is as it should be. */
const char *vms_guest_wrong(struct sim *s, const struct vm *vm, int k, char *buf, size_t size);

/* ---- vms_room.c */
/* `unplanned`: also what nobody could reckon with. */
uint64_t vms_used_mib(struct sim *s, hv_node_id host, bool unplanned);
void vms_check_room(struct sim *s, hv_node_id host, int k); /* a start has succeeded */
/* The cluster has forgotten it: what runs of it is nobody's, and not reckoned with. */
void vms_left_behind(struct sim *s, int k);

/* ---- vms_check.c */
void vms_check_before(struct mind *m, uint64_t index);
void vms_check_step(struct mind *m, uint64_t index, const Hv__Event *ev);
void vms_check_installed(struct mind *m, uint64_t index);
void vms_check_call(struct mind *m, const struct call *call); /* it was just made */
void vms_check_settled(struct sim *s); /* runs on for a while: nothing may happen */
/* NULL: all is as it should be. */
const char *vms_check_unsettled(struct sim *s, char *buf, size_t size);

extern const struct mind_ops vms_mind;

#endif
