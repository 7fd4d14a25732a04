/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replog.h - the replicated log, pure: events in; messages, writes and commits out.
 *
 * PURE. No clock (the time comes in), no I/O, no randomness. The simulator and clusterd run this
 * object code. The rules are in doc/protocol.md. A driver (clusterd, the simulator) feeds inputs
 * one at a time and carries out the outputs in order before the next input:
 *
 *     rl_input(log, &in);
 *     while (rl_next_output(log, &out)) carry_out(&out);
 *
 * Contract between core and driver
 *  - RL_OUT_MULTICAST: hand the packed PeerMessage to CPG (agreed order). Delivered to ourselves
 * too. May be delayed, may be lost when the view changes, is never duplicated or reordered.
 *  - RL_OUT_WRITE: persist in order. When everything up to and including write number `write` is on
 *    stable storage, feed RL_IN_DURABLE with that number. A write is applied atomically: after a
 *    crash either all of it is there or none. Group commit across writes is welcome.
 *  - RL_OUT_APPLY: the entry is committed: give it to the brain, in this order, exactly once per
 * boot and snapshot lineage. After it the driver calls rl_set_digest(log, index, digest).
 *  - RL_OUT_INSTALL: replace the brain's state by these bytes (a snapshot at `index`; len 0 with
 * index 0: the empty state of a new cluster); the write that makes it durable was put out before.
 * It may go back: what a lineage applied behind its barrier is undone when the lineage is
 * discarded. The snapshot found at boot comes this way too, as the first output after rl_new().
 *  - RL_OUT_STATUS: rl_status() changed (active, inactive, coordinator, barrier): look.
 *  - RL_OUT_DIVERGED: our digest is not the majority's: the state is dropped, the core asks its
 *    peers for everything. Log it loudly.
 *  - rl_propose(), rl_gossip() and rl_force() make outputs too: carry them out as well.
 *  - A multicast that the driver cannot queue must not be dropped alone: leave the group
 * (RL_IN_EVICTED).
 *  - RL_OUT_GOSSIP: a member's Gossip came in (packed), ours included.
 *  - Behind a barrier (rl_status()->barrier > 0) a node answers no client: carried-over commands
 * may be applied then, and are only certain to stay once the barrier is lifted.
 *  - rl_proposal results: every proposal accepted by rl_propose() is delivered exactly once through
 *    RL_OUT_APPLY or is re-proposed by the core itself in the next epoch until it is; the brain
 *    skips what it has seen by (proposer, incarnation, seq). They are kept in order, but behind a
 *    barrier RL_FENCE overtakes waiting commands: its Event carries seq 0 ("not counted"), and the
 *    brain takes it twice without harm.
 *  - An RL_FENCE with a fenced_node is good for the epoch it was proposed in. What is not applied
 *    when the next one begins is forgotten (it may still be applied, as an entry of the old epoch,
 *    without lifting a barrier): whoever still needs a proof gets a new one.
 *  - Each input carries the driver's time: `now_us` for our own deadlines; `cluster_us` and
 * `wall_ms` for the one event that the log writes itself (the view).
 */
#ifndef HV_QUORUM_REPLOG_H
#define HV_QUORUM_REPLOG_H

#include "proto/base.h"
#include "proto/ids.h"
#include "proto/rc.h"

enum rl_entry_type {
	RL_VIEW = 1,	/* first entry of an epoch; data is an Event with a View body */
	RL_COMMAND = 2, /* anything that waits for a lifted barrier */
	RL_FENCE = 3, /* allowed behind the barrier; with fenced_node set it lifts that node's part
			 of it */
};

struct rl_epoch {
	uint64_t number;
	hv_node_id node;
	uint64_t incarnation;
};
int rl_epoch_cmp(const struct rl_epoch *a,
		 const struct rl_epoch *b); /* number, node, incarnation */

struct rl_entry {
	struct rl_epoch epoch;
	uint64_t index;
	enum rl_entry_type type;
	hv_node_id fenced_node;
	size_t len;
	const uint8_t *data; /* owned by whoever holds the entry */
};

/* What the store found at boot. `entries` follow `base` without a gap. Borrowed during rl_new(). */
struct rl_boot {
	uint64_t promised;	    /* highest epoch number promised, durable */
	uint64_t base_index;	    /* snapshot's index, 0 for none */
	struct rl_epoch base_epoch; /* epoch of the entry at base_index */
	struct rl_epoch base_effective;
	const uint8_t *snapshot; /* state at base_index */
	size_t snapshot_len;
	const struct rl_entry *entries;
	size_t n_entries;
	bool damaged; /* the store was unusable: we hold nothing and may not be donor or lead */
};

struct rl_node_cfg {
	hv_node_id id;
	uint32_t votes;
};
struct rl_config {
	hv_node_id self;
	uint64_t
	    incarnation; /* of this process start; strictly increasing per node (durable counter) */
	uint32_t feature; /* highest feature level that we speak */
	struct rl_node_cfg nodes[HV_MAX_NODES];
	size_t n_nodes;
	uint64_t hello_timeout_us; /* wait for missing hellos, then go without */
	uint64_t ack_timeout_us;   /* a member silent for so long is left out */
	uint64_t heartbeat_us;
	uint64_t snapshot_every; /* entries between compactions */
	size_t max_pending;	 /* proposals in flight */
};

struct rl_ring {
	hv_node_id node;
	uint64_t seq;
};

enum rl_in_kind {
	RL_IN_TICK = 1, /* nothing but time: at rl_next_due_us(), or every heartbeat_us / 2 */
	RL_IN_CONFCHG,	/* CPG membership: `members`, intersected with the totem ring by the driver;
			   `ring`, `ring_members` */
	RL_IN_QUORUM,	/* votequorum's answer for `ring` */
	RL_IN_DELIVER,	/* a message of `sender` in agreed order */
	RL_IN_DURABLE,	/* writes up to number `write` are on disk */
	RL_IN_WRITE_FAILED, /* the disk refused: we stop acking and say so */
	RL_IN_DISCONNECT,   /* corosync is gone: no view, no quorum */
	RL_IN_NODES,	    /* the configured node list changed: `nodes` */
	RL_IN_EVICTED, /* self-delivery stopped or a gap in time was found: the driver leaves the
			  group and joins again; nothing until the next CONFCHG */
};
struct rl_input {
	enum rl_in_kind kind;
	uint64_t now_us;     /* CLOCK_MONOTONIC of this host */
	uint64_t cluster_us; /* the driver's estimate of cluster time: for View.at_us */
	uint64_t wall_ms;    /* for display */
	/* CONFCHG, QUORUM */
	struct rl_ring ring;
	const hv_node_id *members;
	size_t n_members;
	const hv_node_id *ring_members;
	size_t n_ring_members;
	bool quorate;
	uint32_t quorum;
	uint32_t device_votes;
	/* DELIVER */
	hv_node_id sender;
	const uint8_t *data;
	size_t len;
	/* DURABLE */
	uint64_t write;
	/* NODES */
	const struct rl_node_cfg *nodes;
	size_t n_nodes;
};

enum rl_out_kind {
	RL_OUT_MULTICAST = 1,
	RL_OUT_WRITE,
	RL_OUT_APPLY,
	RL_OUT_INSTALL,
	RL_OUT_STATUS,
	RL_OUT_DIVERGED,
	RL_OUT_GOSSIP
};

/* One atomic write. In this order: replace (truncate after keep_index, or everything for a
 * snapshot), append, promise. */
struct rl_write {
	uint64_t number;
	bool set_promised;
	uint64_t promised;
	bool set_base; /* a snapshot replaces base and all entries up to base_index */
	bool drop_all; /* with set_base: also every later entry (log replaced atomically) */
	uint64_t base_index;
	struct rl_epoch base_epoch, base_effective;
	const uint8_t *snapshot;
	size_t snapshot_len;
	bool truncate; /* entries above keep_index are removed first */
	uint64_t keep_index;
	const struct rl_entry *entries;
	size_t n_entries;
};
/* Everything pointed to stays valid until the next call of rl_next_output() or rl_input(); a driver
 * that hands it to a thread copies it. */
struct rl_output {
	enum rl_out_kind kind;
	const uint8_t
	    *data; /* MULTICAST: packed PeerMessage; INSTALL: snapshot; GOSSIP: packed Gossip */
	size_t len;
	uint64_t index;	 /* INSTALL */
	hv_node_id node; /* GOSSIP: who said it */
	const struct rl_write *write;
	const struct rl_entry *entry; /* APPLY */
};

enum rl_phase {
	RL_DOWN,
	RL_NO_QUORUM,
	RL_HELLO,
	RL_ACTIVATING,
	RL_SYNCING,
	RL_ACTIVE,
	RL_LEFT_OUT
};
struct rl_status {
	enum rl_phase phase;
	struct rl_epoch epoch;
	hv_node_id coordinator; /* lowest active member; 0 when none */
	hv_node_id members[HV_MAX_NODES];
	size_t n_members;
	hv_node_id learners[HV_MAX_NODES]; /* of them, without a vote: their disk does not take
					      the log */
	size_t n_learners;
	bool minority;
	size_t barrier; /* lost members that still hold the barrier */
	uint64_t last_index, durable_index, commit_index, applied_index, base_index;
	bool quorate;
	uint32_t votes, votes_needed, votes_total;
	bool disk_failed;
	size_t pending;		       /* own proposals not yet applied */
	uint64_t feature_min;	       /* lowest feature among the members */
	bool caught_up;		       /* since this start: may lead a minority epoch */
	hv_node_id view[HV_MAX_NODES]; /* who is in the group now, members or not */
	size_t n_view;
	bool needs_state; /* our store was damaged or our state diverged, and no donor has helped
			     yet */
	uint64_t refused; /* peer messages that were malformed */
	/* When (now_us) the latest of our heartbeats was sent that has come back in this epoch; 0:
	 * none has. Whoever is expelled hears none any more: fence/selfguard.h. */
	uint64_t heartbeat_back_us;
};

struct replog;

/*
 * The brain's snapshot function: called inside rl_input() when the log is to be compacted or a
 * laggard needs the state at the applied index. Returns bytes owned by the log afterwards (malloc).
 */
typedef uint8_t *(*rl_snapshot_fn)(void *user, uint64_t index, size_t *ret_len);

struct replog *rl_new(const struct rl_config *cfg, const struct rl_boot *boot, rl_snapshot_fn fn,
		      void *user);
void rl_free(struct replog *log);
void rl_input(struct replog *log, const struct rl_input *in);
/* false: nothing left. */
bool rl_next_output(struct replog *log, struct rl_output *ret_out);
/*
 * When the next RL_IN_TICK is wanted, in the time of `now_us`; 0: not before another input. It may
 * lie in the past: then at once. Ask again after every input.
 */
uint64_t rl_next_due_us(const struct replog *log);
/*
 * Queue a proposal. HV_OK, HV_NO_QUORUM (not active), HV_LIMIT (too many in flight), HV_REFUSED
 * (behind the barrier and not RL_FENCE). The data is copied. Outputs are made.
 */
enum hv_rc rl_propose(struct replog *log, uint64_t now_us, enum rl_entry_type type,
		      hv_node_id fenced_node, const uint8_t *data, size_t len);
/* Not logged, best effort, to every member: packed PeerMessage with a Gossip body is made from
 * these. */
void rl_gossip(struct replog *log, const uint8_t *gossip, size_t len);
void rl_set_digest(struct replog *log, uint64_t index, uint64_t digest);
/*
 * The administrator's word ("quorum force", audited by the driver): this node may lead with what it
 * holds, although it was not caught up since its start or its store was damaged. Until the process
 * ends.
 */
void rl_force(struct replog *log, uint64_t now_us);
const struct rl_status *rl_status(const struct replog *log);
const char *rl_phase_name(enum rl_phase phase);

#endif
