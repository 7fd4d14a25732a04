/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim.h - a simulated rack: hosts with corosync, a clusterd process, a disk and a power supply, on
 * one virtual clock. All chance comes from the seed: the same seed gives the same trace, byte for
 * byte.
 *
 *   clock.c   events in time order, trace, failure
 *   net.c     messages in agreed order, CPG membership
 *   ring.c    rings with extended virtual synchrony
 *   votes.c   votequorum and a quorum device
 *   disk.c    durable state: atomic batches, lost when the power goes before they are done
 *   host.c    power, process, the driver of the log core (what clusterd does)
 *   patience.c  the logs' timeouts, in a storm and after it
 *   hold.c    who takes its own corosync down
 *   inject.c  streams of chance; injections are numbered and counted
 *   swarm.c   which cluster and which faults a seed has, and when; all is healed
 *   faults.c  what goes wrong (faults.h)
 *   moments.c   what goes wrong when one kind of message is said
 *   witness.c   a quorum device that some hosts do not reach
 *   lossy.c   hvsim run --lossy: an hour of lost messages and short pauses; nobody is fenced
 *   gone.c    what is gone for good: one host, or a majority; an administrator's word
 *   nodes.c   nodes are added and removed
 *   check.c   invariants of the log, looked at from outside
 *   check_status.c  what a node may say of itself, and do behind a barrier
 *   plain.c   a trivial state machine as the mind: for the log alone
 *   vms_*.c   the real brain with hypervisors, fence devices and administrators around it (vms.h)
 *   world.c   one run from boot to verdict
 *   trace.c   one line an event
 *   runner.c  many seeds in several processes (runner.h)
 *   shrink.c  which injections a failure needs
 *   main.c    the command line
 *
 * The code under test is the object code that ships: the pure libraries, and clusterd's clockless
 * parts.
 */
#ifndef HV_TESTS_SIM_SIM_H
#define HV_TESTS_SIM_SIM_H

#include "quorum/entries.h"
#include "quorum/replog.h"
#include "quorum/ringwatch.h"
#include "quorum/view.h"
#include "tests/sim/prng.h"

#include <stdio.h>

#define MS 1000ULL
#define SEC 1000000ULL
#define SIM_HOSTS 32
#define SIM_KINDS 128 /* of injections */

struct sim;
struct host;

/*
 * ---- chance. Each stream is drawn from for one purpose, so that leaving out an injection does not
 * shift the others. What decides about injections (FAULTS, ADMIN) draws the same numbers whatever
 * the state of the rack is: best one number a step, which seeds a generator of that step's own.
 */
enum sim_stream {
	STREAM_SWARM,	   /* the cluster, and which faults this seed has */
	STREAM_WORLD,	   /* latencies and order, in corosync and disks */
	STREAM_FAULTS,	   /* when and what */
	STREAM_ADMIN,	   /* commands */
	STREAM_LOAD,	   /* clients of the plain mind */
	STREAM_HYPERVISOR, /* durations and outcomes of calls, guests */
	STREAM_FENCE,	   /* of fences */
	STREAM_WATCHDOG,   /* which hosts have one, and what is done to those who feed them */
	STREAM_GUEST,	   /* what is in the VMs */
	STREAM_MOMENTS,	   /* what happens when a message is said */
	STREAM_WITNESS,	   /* who reaches the quorum device */
	STREAM_OUTAGE,	   /* a site without quorum for long */
	STREAM_POLICY,	   /* what is decided for the whole cluster, by seed or in a bad moment */
	STREAM_CRASH,	   /* guests that end again and again */
	STREAM_ALONE,	   /* one that goes on alone, and is gone when the others boot */
	STREAM_COUNT
};
struct prng *sim_stream(struct sim *s, enum sim_stream which);
/*
 * One injection (a fault, an administrator's command) happens now. `kind` is a static string:
 * injections are numbered from 1 in their order and counted by kind. false: the shrinker has
 * dropped this number; the caller, who has drawn its random numbers already, does nothing.
 */
bool sim_inject(struct sim *s, const char *kind);

/* ---- clock */
typedef void (*sim_fn)(struct sim *s, struct host *h, uint64_t arg);
void sim_at(struct sim *s, uint64_t delay_us, sim_fn fn, struct host *h, uint64_t arg);
void sim_run_until(struct sim *s, uint64_t at_us);
void sim_trace(struct sim *s, const char *fmt, ...) _printf_(2, 3);
/* The first failure stops the run. */
void sim_fail(struct sim *s, const char *fmt, ...) _printf_(2, 3);

/* Clocks of a host: how long it is up by its own account, what its wall clock says, and when (in
 * simulated time) it will have been up for so long. */
#define SIM_WALL_MS 1700000000000
uint64_t host_mono_us(const struct sim *s, const struct host *h);
uint64_t host_wall_ms(const struct sim *s, const struct host *h);
uint64_t host_when_us(const struct sim *s, const struct host *h, uint64_t mono_us);
void host_clock_rate(struct sim *s, struct host *h, int rate_ppm);

/* ---- net: what is on its way, and what has been ordered */
#define SIM_MAX_PENDING 256 /* proposals of a node in flight */
#define NET_QUEUE_MAX 4096  /* messages that a process has waiting, as clusterd has it */
enum item_kind { ITEM_MESSAGE, ITEM_CONF, ITEM_VOTES, ITEM_DISCONNECT };
struct conf {
	struct node_set members, ring_members;
};
struct item {
	enum item_kind kind;
	hv_node_id host;     /* MESSAGE: sender; CONF: who joined or left, 0 for a new ring */
	uint64_t connection; /* CONF: of the process that joined */
	bool leaves;
	struct blob *data; /* MESSAGE: its bytes; CONF: a struct conf */
	struct rl_ring ring;
	/* VOTES */
	bool quorate;
	uint32_t quorum, device_votes;
};
struct items {
	struct item *items;
	size_t n, cap;
};
struct ring {
	struct ring *next;
	uint64_t seq;
	uint64_t formed_us;
	struct node_set hosts;
	struct node_set cpg; /* at the end of `ordered` */
	struct items ordered;
	bool stalled;	     /* lost its token: nothing more is ordered */
	uint64_t stalled_us; /* since when */
	bool has_device;
};

/* ---- disk */
struct disk_entry {
	struct rl_entry entry;
	struct blob *blob;
};
struct disk {
	struct disk_entry *entries;
	size_t n, cap;
	uint64_t promised, base_index, incarnation;
	struct rl_epoch base_epoch, base_effective;
	struct blob *snapshot;
	bool damaged;
	uint64_t slow_us; /* added to each write */
	bool stuck, full;
};
struct write_copy {
	struct rl_write w;
	struct disk_entry *entries;
	struct blob *snapshot;
};

/* ---- the mind: the replicated state machine on top of the log */
struct mind;
struct mind_ops {
	struct mind *(*new)(struct sim *s, struct host *h);
	void (*free)(struct mind *m);
	void (*apply)(struct mind *m, const struct rl_entry *e);
	void (*install)(struct mind *m, uint64_t index, const uint8_t *data, size_t len);
	uint8_t *(*snapshot)(struct mind *m, uint64_t index, size_t *ret_len);
	uint64_t (*digest)(struct mind *m);
	uint64_t (*cluster_us)(struct mind *m);			    /* of the last applied event */
	void (*status)(struct mind *m, const struct rl_status *st); /* the log's status changed */
	/* What the log is told of votequorum's answer (setting quorum_loss); NULL: as it is. */
	void (*told_votes)(struct mind *m, bool *quorate, uint32_t *quorum);
	bool (*settled)(
	    struct mind *m); /* all outputs are carried out; true: it may have made more */
	/* Something to do at a time of its own (simulated; 0: no), and then it is done. */
	uint64_t (*next_us)(struct mind *m);
	void (*poll)(struct mind *m);
	void (*power_off)(struct sim *s, struct host *h); /* what runs on the host is gone */
	void (*heal)(struct sim *s);
	bool (*quiet)(struct sim *s); /* healed, and nothing more to wait for */
	void (*end)(struct sim *s);   /* healed and quiet: liveness */
	void (*start)(struct sim *s);
	void (*stop)(struct sim *s);
};
extern const struct mind_ops plain_mind;

/* ---- host */
struct process {
	bool up, paused, joined;
	struct item votes; /* the latest that it was told */
	struct ringwatch watch;
	bool wants_down;  /* its corosync, as the watch says */
	uint64_t self_us; /* a message of its own came back; host's clock */
	struct answer {	  /* and for the last two rings */
		uint64_t ring;
		bool quorate;
	} answers[2];
	uint64_t view_ring;
	uint64_t behind_us;  /* since when it is at work beside a later epoch, in one ring */
	bool behind_barrier; /* when its status changed last, and in this epoch */
	struct rl_epoch barrier_epoch;
	struct rl_epoch worked; /* the last epoch that it activated and that began */
	uint64_t incarnation;
	struct replog *log;
	struct mind *mind;
	uint64_t connection; /* to CPG */
	bool must_leave;   /* it stood still, or could not send: it joins anew with its next tick */
	uint64_t stood_us; /* since when it stands still */
	struct items inbox; /* delivered by corosync, not yet read */
	size_t inbox_pos;
	struct write_copy *queue; /* writes not yet begun */
	size_t n_queue, cap_queue;
	struct write_copy *batch; /* under way */
	size_t n_batch;
	uint64_t applied;
	struct rl_epoch applied_epoch; /* of that entry */
	uint64_t started_us;
	bool disk_failed;	/* the store has given up: it writes nothing more */
	uint64_t applied_at_us; /* simulated time of the last apply */
	uint64_t seq;		/* of proposals */
	uint64_t tick_at_us;	/* the tick that is on its way; 0: none */
	uint64_t polled_us;	/* the mind, the last time */
};
/* CLOCK_MONOTONIC from the power on, and the wall clock: wrong by as much as one likes. */
struct host_clock {
	uint64_t sim_us, mono_us; /* this moment in both times; from there on at this rate: */
	int rate_ppm;		  /* too fast; -50000 to 50000 */
	int64_t wall_ms;
};
struct host {
	struct sim *sim;
	hv_node_id id;
	struct host_clock clock;
	char name[HV_NAME_MAX + 1]; /* "host7", unless a scenario names it */
	bool power, hung, corosync_down;
	bool stopped;	  /* its corosync stands still; its process does not */
	bool stale_token; /* and has a token to handle when it goes on, of a ring that the others
			     may have left by then */
	bool held;	  /* its process has taken corosync down */
	bool ghost;	  /* CPG keeps a member of it that has left */
	bool no_device;	  /* it has no way to the quorum device */
	uint64_t try_again_us; /* CPG takes no messages until then */
	uint64_t connections;
	unsigned group;	     /* network partition */
	uint64_t powered_us; /* when */
	uint64_t powers;     /* times powered on: boot id */
	bool seen_all;	     /* wait_for_all is satisfied since this boot */
	struct ring *ring;
	size_t pos;	       /* items of the ring delivered */
	size_t reach;	       /* items of the ring received */
	uint64_t arrives_us;   /* lossy.c: the last of what is on its way to it */
	struct items outgoing; /* not yet ordered */
	size_t outgoing_pos;
	struct process proc;
	struct disk disk;
};

#define SIM_FAULTS 32
struct swarm {			     /* which faults this seed has, and how often */
	unsigned weight[SIM_FAULTS]; /* permille of the fault steps; of kinds in swarm.c */
	unsigned pace;		     /* so many times the least time between two steps */
	uint64_t faults_us;	     /* then all is healed */
	/* Storms: between two faults at most; timeouts near to what messages and disks take. */
	uint64_t gap_us, hello_us, ack_us, heartbeat_us, disk_us;
	/* Permille of the messages that CPG does not take at once; of the looks at which a client
	 * has something to propose, and then of those with a lot of it. */
	unsigned late, load, burst;
	/* Permille of the messages of one kind at which something happens (moments.c). */
	unsigned moment, moment_permille;
};
struct sim {
	uint64_t seed, now_us, order;
	struct prng streams[STREAM_COUNT];
	const struct sim_options *options;
	struct sim_result *result;
	struct sim_event *heap;
	size_t n_heap, cap_heap;
	FILE *trace;
	bool failed;

	const struct mind_ops *mind;
	struct host hosts[SIM_HOSTS];
	size_t n, n_before; /* configured hosts: the first ones; before the last change, or 0 */
	bool two_node, device, wait_for_all;
	uint32_t device_votes; /* 1 (ffsplit), or one less than hosts (lms) */
	bool storm; /* everything fails all the time, and timeouts are short: many views a second */
	bool hasty; /* those timeouts are in force */
	uint64_t snapshot_every;
	struct swarm swarm;
	bool healing;
	hv_node_id gone;	   /* all is healed but this host; 0: none */
	struct node_set destroyed; /* a majority that is not there any more */
	size_t forced; /* votes that an administrator has said are all there are; 0: he has not */
	struct ring *rings;
	uint64_t ring_seq;
	bool regroup_due;
	bool rings_apart;  /* a ring that breaks in two does not do it everywhere at once */
	uint64_t whole_us; /* when the network was last made one again */
	hv_node_id lonely; /* heard, or hears, one way only; 0: none */
	bool one_way_flaps;
	uint32_t one_way_count;
	struct lossy {				/* lossy.c */
		uint64_t held_from_us, held_us; /* the token: since when, until when */
		uint64_t rotation_us;		/* until when it goes round as it is */
		uint64_t messages, tokens;	/* lost */
	} lossy;
	uint64_t disturbed_us; /* since when the lonely host could have known, and has not gone */

	struct check *check;
	void *mind_world;	       /* of the mind: clients, VMs */
	struct scenario_run *scenario; /* a scenario file is played, NULL: a seed */
	bool no_votes;		       /* votequorum says that nobody is quorate */
};

/* One of two ranges, by the kind of weather; sim_range() from STREAM_WORLD. */
uint64_t sim_pick(const struct sim *s, struct prng *r, uint64_t lo, uint64_t hi, uint64_t storm_lo,
		  uint64_t storm_hi);
uint64_t sim_range(struct sim *s, uint64_t lo, uint64_t hi, uint64_t storm_lo, uint64_t storm_hi);
struct host *sim_host(struct sim *s, hv_node_id id);
bool sim_is_gone(const struct sim *s, hv_node_id id);
size_t sim_gone(const struct sim *s); /* how many */
bool sim_minority_possible(const struct sim *s);

/* net.c */
void items_push(struct items *q, const struct item *it); /* takes a reference */
void items_drop(struct items *q);			 /* it is empty, and keeps its memory */
void items_clear(struct items *q);			 /* it has none */
/* false: the queue is full. */
bool net_multicast(struct sim *s, struct host *h, const uint8_t *data, size_t len);
void net_join(struct sim *s, struct host *h);
void net_leave(struct sim *s, struct host *h); /* its process has ended or leaves */
void net_host_off(struct sim *s, struct host *h);
void net_corosync(struct sim *s, struct host *h, bool down);
void net_hold(struct sim *s, struct host *h, bool down); /* by its own process */
void net_stop(struct sim *s, struct host *h, bool stop); /* corosync stands still, or goes on */
bool net_alive(const struct host *h);			 /* its corosync runs */
void net_done(struct sim *s);
void net_deliver_upto(struct sim *s, struct host *h, size_t reach); /* within its ring */
void net_order_later(struct sim *s, struct host *h);
struct item net_conf_item(const struct ring *r); /* its data is the caller's */

/* ring.c */
void net_changed(struct sim *s,
		 bool host_came); /* hosts or partitions changed: rings will form anew */
/* Somebody is silent: no new ring before token and consensus. False: one is being formed. */
bool net_silent(struct sim *s);
void net_one_way(struct sim *s, hv_node_id lonely, bool flaps);
void net_one_way_over(struct sim *s);
void ring_stall(struct sim *s, struct ring *r); /* its token is lost */
void ring_drop_if_empty(struct sim *s, struct ring *r);

/* votes.c */
void net_votes(struct sim *s,
	       struct host *h);	    /* a votequorum client connects: it gets the answer */
void net_votes_anew(struct sim *s); /* everyone is told */
void votes_arrive(struct sim *s, struct host *h, uint64_t ring);
void votes_device(struct sim *s, struct host *unused, uint64_t arg);
uint64_t votes_device_delay_us(const struct sim *s);

/* disk.c */
void disk_write(struct sim *s, struct host *h, const struct rl_write *w);
void disk_process_gone(struct sim *s,
		       struct host *h); /* what was queued is lost, what was under way may be */
void disk_gives_up(struct sim *s, struct host *h);
void disk_kick(struct sim *s, struct host *h);
void disk_boot(struct host *h, struct rl_boot *ret, struct rl_entry **ret_entries);
void disk_damage(struct host *h);
void disk_done(struct disk *d);

/* host.c */
void host_init(struct sim *s, struct host *h, hv_node_id id);
void host_votes_again(struct sim *s, struct host *h); /* the latest, to the process */
void host_power_on(struct sim *s, struct host *h);
void host_power_off(struct sim *s, struct host *h);
void host_hang(struct sim *s, struct host *h, bool hang);
void process_start(struct sim *s, struct host *h);
void process_kill(struct sim *s, struct host *h);
void process_pause(struct sim *s, struct host *h, bool pause);
/* Its connection to corosync is lost. */
void process_disconnected(struct sim *s, struct host *h);
/* Corosync has something for the process. */
void process_receive(struct sim *s, struct host *h, const struct item *it);
void process_feed(struct sim *s, struct host *h, struct rl_input *in);
void process_drain(struct sim *s, struct host *h);
enum hv_rc process_propose(struct sim *s, struct host *h, enum rl_entry_type type,
			   hv_node_id fenced, const uint8_t *data, size_t len);
uint64_t process_cluster_us(struct sim *s, struct host *h);
bool process_runs(const struct host *h); /* up, and neither paused nor hung */

/* patience.c */
void patience_config(const struct sim *s, struct rl_config *cfg);
void patience_begins(struct sim *s); /* timeouts of a storm are over */
void patience_ends(struct sim *s);   /* they come back; takes a moment */

/* hold.c */
void process_watch_start(struct sim *s, struct host *h);
void process_watch_look(struct sim *s, struct host *h);
uint64_t process_watch_due_us(const struct sim *s, struct host *h); /* 0: never */

/* gone.c: healed, and then something is gone for good */
void gone_one(struct sim *s);
bool gone_administrator(struct sim *s); /* a store was lost, and nobody leads; false: look again */
void gone_majority(struct sim *s);
void until_quiet(struct sim *s); /* world.c: everyone has agreed that nothing more is to be done */

/* lossy.c */
void lossy_start(struct sim *s);
/* All nothing unless --lossy. */
bool lossy(const struct sim *s);
uint64_t lossy_delay(struct sim *s, hv_node_id from, struct host *to, uint64_t usual_us);
void lossy_token(struct sim *s); /* it comes to somebody who has something to say */
void lossy_end(struct sim *s);	 /* what was lost is added up */

/* moments.c */
void moments_configure(struct sim *s);
void moments_said(struct sim *s, struct host *h, const uint8_t *data, size_t len);

/* witness.c */
void witness_start(struct sim *s);
void witness_heal(struct sim *s);

/* swarm.c */
void swarm_configure(struct sim *s);
void swarm_start(struct sim *s);
void swarm_heal(struct sim *s);

/* check.c */
void check_start(struct sim *s);
void check_stop(struct sim *s);
/* Around a write that reaches the disk, which ended at `old_last`. */
void check_before_write(struct sim *s, struct host *h, const struct write_copy *c);
void check_after_write(struct sim *s, struct host *h, const struct write_copy *c,
		       uint64_t old_last);
void check_applied(struct sim *s, struct host *h, const struct rl_entry *e);
void check_digest(struct sim *s, struct host *h, uint64_t index, uint64_t digest);
void check_end(struct sim *s);

/* check_status.c; of what a node's log puts out: its status has changed, an entry is applied behind
 * a barrier, the disk is to write. */
void check_status(struct sim *s, struct host *h, const struct rl_status *st);
void check_behind_barrier(struct sim *s, const struct host *h, const struct rl_entry *e);
void check_asked_write(struct sim *s, const struct host *h, const struct rl_write *w);

/* check.c: all members, same state; NULL or what is not so */
const char *check_quiet(struct sim *s, char *buf, size_t size);

/* inject.c */
void streams_start(struct sim *s);

/* world.c */
struct sim_drop { /* a range of numbers of injections */
	uint32_t first, last;
};
struct sim_options {
	const struct mind_ops *mind;
	bool storm, calm; /* each seed, not only some */
	bool lossy;	  /* nothing but lost messages and pauses below the token time */
	bool duel;	  /* two hosts whose network is parted again and again, and nothing else */
	bool witness;	  /* a quorum device whose vote moves; without a storm nothing else */
	size_t n_nodes;	  /* 0: as the seed has it */
	unsigned n_vms;
	FILE *trace;
	const struct sim_drop *drop; /* what is left out */
	size_t n_drop;
};
struct coverage_kind {
	const char *kind;
	uint64_t count;
};
struct coverage {
	struct coverage_kind kinds[SIM_KINDS];
	size_t n;
};
void coverage_add(struct coverage *c, const char *kind, uint64_t count);
struct sim_result {
	char failure[512]; /* empty: none */
	uint64_t events, simulated_us;
	uint32_t injections; /* how many, with those that were left out */
	struct coverage coverage;
};
/* true: nothing was wrong. */
bool sim_run(uint64_t seed, const struct sim_options *o, struct sim_result *ret);
/* The parts of a run: a rack without power; and its end. */
void sim_begin(struct sim *s);
void sim_end(struct sim *s);

#endif
