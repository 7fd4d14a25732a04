/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replog_priv.h - the state of the replicated log, shared by its files and by nobody else:
 *
 *   replog.c      inputs, timers, status
 *   proposals.c   our own proposals, in order, until they are applied
 *   due.c         when the clock is to be looked at again
 *   hello.c       what a node says of its log when it looks for an epoch
 *   activation.c  who activates an epoch, when, with whom; leaving out and taking in
 *   accept.c      an activate is delivered: follow it or not; promises; the first entry
 *   commit.c      append, durable, ack, commit, apply; digests; who is silent
 *   catchup.c     how a laggard gets what it lacks
 */
#ifndef HV_QUORUM_REPLOG_PRIV_H
#define HV_QUORUM_REPLOG_PRIV_H

#include "quorum/entries.h"
#include "quorum/epoch.h"
#include "quorum/outbox.h"
#include "quorum/peer_msg.h"

#define REPORTS 8	  /* digests remembered of each member */
#define OWN_DIGESTS 1024  /* and of ourselves */
#define OWN_HEARTBEATS 16 /* whose return is waited for */
#define SYNC_PATIENCE 5	  /* a syncing member may be silent so many times longer */
#define BUFFER_MAX 65536  /* entries that a syncing member holds back; then it begins again */

/* The last thing that a peer said of its log. */
struct hello {
	bool valid;
	struct rl_ring ring;
	struct node_set members;
	uint64_t seen, promised, cluster_us;
	struct epoch_point point;
	bool caught_up, quorate, quorum_known, disk_failed;
};
struct peer {
	hv_node_id id;
	uint64_t incarnation;	 /* highest heard; messages of older ones are ignored */
	uint64_t epoch_heard_us; /* when it last spoke of an epoch in this view; 0: not since its
				    hello */
	struct hello hello;
};

/* A member of the epoch. */
struct member {
	hv_node_id id;
	uint64_t incarnation;
	uint32_t votes, feature;
	bool intact;  /* its promise counts: it has not lost its store */
	bool learner; /* follows without a vote */
	bool stalled; /* says that its disk does not take the log */
	bool promised;
	bool synced;
	uint64_t acked;
	uint64_t heard_us;
	uint64_t lag_target, lag_us; /* since lag_us it has not acked lag_target */
	uint64_t progress;
	struct {
		uint64_t index, digest;
	} reports[REPORTS];
	unsigned next_report;
};

struct epoch_state {
	bool active;
	bool begun;  /* its view entry was delivered */
	bool opened; /* we, the activating node, have sent it */
	bool minority;
	struct rl_epoch id;
	struct node_set members, lost, in_ring, barrier;
	struct member m[HV_MAX_NODES];
	struct vote_rule rule, promise_rule;
	uint32_t member_votes;
	hv_node_id donor;
	uint64_t first_index; /* of the view entry; 0 while we are syncing and do not know */
	uint64_t since_us;
	uint64_t promise_write; /* the write that makes our promise durable */
	bool promise_sent;
	uint64_t ack_from_write; /* earlier writes made another log durable */
	uint64_t acked;		 /* our last ack */
	uint64_t heartbeat_us, heartbeat_seq;
	uint64_t heartbeats_us[OWN_HEARTBEATS]; /* when they were sent, by number; */
	uint64_t heartbeat_back_us;		/* and the latest of them that came back */
};

/* Laggard: what has come so far, and the entries of the epoch that wait behind it. */
struct taking {
	bool on;
	bool running; /* a transfer that we can use is under way */
	uint64_t asked_us, moved_us, progress;
	uint64_t transfer;
	uint32_t parts, next_part;
	bool snapshot;
	uint64_t base_index, last_index, common_index, first_index;
	struct rl_epoch base_epoch, base_effective;
	uint8_t *state;
	uint64_t state_len, state_have;
	struct log_entry *got;
	size_t n_got, cap_got;
	struct log_entry *held;
	size_t n_held, cap_held;
};
/* Donor: one transfer at a time. */
struct giving {
	bool on;
	uint64_t transfer;
	bool snapshot;
	uint64_t base_index, last_index, common_index, first_index;
	struct rl_epoch base_epoch, base_effective, common_epoch;
	struct blob *state;
	struct log_entry *items;
	size_t n, pos;
	uint64_t state_pos;
	uint32_t part, parts;
};

struct proposal {
	enum rl_entry_type type;
	hv_node_id fenced_node;
	struct blob *blob;
	bool sent;    /* in the present epoch */
	bool applied; /* behind its barrier: it may have to be undone */
};

struct pending_write {
	uint64_t number, last_index, since_us;
};

struct replog {
	hv_node_id self;
	uint64_t incarnation;
	uint32_t feature;
	struct rl_config cfg; /* timeouts and limits; its node list is in `nodes` */
	rl_snapshot_fn snapshot_fn;
	void *user;

	uint64_t now_us, cluster_us, wall_ms;
	uint64_t ticked_us; /* the last RL_IN_TICK */
	struct node_list nodes;
	struct entries log;
	uint64_t promised;
	uint64_t commit_index, applied_index;
	struct outbox out;
	struct unpack_room room; /* of the message that is read */

	/* CPG view */
	bool in_view, left_out;
	struct rl_ring ring;
	struct node_set view, ring_members;
	uint64_t detected_us; /* by our clock: the time of the cluster may leap meanwhile */
	struct {
		bool known, quorate;
		struct rl_ring ring;
		uint32_t quorum, device_votes;
	} votes;
	uint64_t seen;		 /* highest activate number delivered in this view */
	uint64_t hello_since_us; /* since when we look for an epoch */
	uint64_t hello_sent_us;
	unsigned hello_count;
	uint64_t activate_sent_us; /* 0: none of ours is under way */
	bool want_again;	   /* nodes or votes changed under a running epoch */
	struct peer peers[HV_MAX_NODES];
	size_t n_peers;

	struct epoch_state ep;
	struct taking taking;
	struct giving giving;
	uint64_t transfers;
	bool caught_up, live, needs_state, disk_failed;
	bool stalled; /* our disk does not take the log: as we say it */

	/* durability */
	uint64_t next_write, durable_write, durable_index;
	struct pending_write *writes;
	size_t writes_head, n_writes, writes_cap;

	struct proposal *pending;
	size_t pending_head, n_pending, pending_cap, n_unsent;

	struct {
		uint64_t index, digest;
	} digests[OWN_DIGESTS];
	uint64_t brain_index, brain_digest;

	bool status_dirty;
	struct rl_status status;
	uint64_t refused;
};

/* replog.c */
void rl_send(struct replog *log, Hv__PeerMessage *m);
struct peer *rl_peer(struct replog *log, hv_node_id id);
bool rl_ring_equal(const struct rl_ring *a, const struct rl_ring *b);
bool rl_quorate(const struct replog *log); /* votequorum's answer for this view's ring is yes */
/* Numbers the write, remembers how far the log reaches after it, puts it out. */
uint64_t rl_write(struct replog *log, struct rl_write *w, uint64_t first, uint64_t last);
bool rl_is_active(const struct replog *log); /* begun and holding the epoch's log */
bool rl_stalled(const struct replog *log);   /* our disk does not take the log now */
/* With writes under way: after this time it does not. */
uint64_t rl_stalls_us(const struct replog *log);

/* proposals.c */
void proposals_flush(struct replog *log);
void proposals_unsent(struct replog *log); /* a new epoch: all are to be sent again */
void proposals_applied(struct replog *log, const struct log_entry *en);
void proposals_certain(struct replog *log); /* the barrier is lifted: what was applied stays */
void proposals_done(struct replog *log);

/* hello.c */
void hello_view(struct replog *log); /* a new view was set: begin to look for an epoch */
void hello_send(struct replog *log);
void hello_in(struct replog *log, struct peer *p, const Hv__PeerMessage *msg);
/* Leave the epoch; with a view, look for another one. */
void hello_leave_epoch(struct replog *log);
void hello_own_point(const struct replog *log, struct epoch_point *ret);
bool hello_current(const struct replog *log, const struct peer *p);
void hello_tick(struct replog *log);
uint64_t hello_again_us(const struct replog *log);

/* activation.c */
void activation_try(struct replog *log); /* the first epoch of a view */
void activation_again(
    struct replog *log); /* the next one within it, if members are to be left out or taken in */

/* accept.c */
void accept_activate(struct replog *log, hv_node_id sender, const Hv__Activate *m);
void accept_promise(struct replog *log, hv_node_id sender, const Hv__Promise *m);
void accept_durable(struct replog *log);

/* commit.c */
struct member *commit_member(struct replog *log, hv_node_id id);
struct member *commit_heard(struct replog *log, hv_node_id sender, const Hv__EpochId *epoch);
void commit_append(struct replog *log, hv_node_id sender, const Hv__Append *m);
void commit_ack(struct replog *log, hv_node_id sender, const Hv__Ack *m);
void commit_heartbeat(struct replog *log, hv_node_id sender, const Hv__Heartbeat *m);
void commit_durable(struct replog *log);
/* Is our disk as we last said it is? If not, say so. */
void commit_stalled(struct replog *log);
void commit_advance(struct replog *log);
/* Not heard of; or has not acked for too long, and is to. */
bool commit_silent(const struct replog *log, const struct member *m);
void commit_tick(struct replog *log);
void commit_compact(struct replog *log);
void commit_rewind(struct replog *log); /* the brain goes back to the base */

/* catchup.c */
void catchup_begin(struct replog *log);
void catchup_stop(struct replog *log); /* both roles */
void catchup_hold(struct replog *log, const struct log_entry *en);
void catchup_request(struct replog *log, hv_node_id sender, const Hv__SyncRequest *m);
void catchup_chunk(struct replog *log, hv_node_id sender, const Hv__SyncChunk *m);
void catchup_done(struct replog *log, hv_node_id sender, const Hv__SyncDone *m);
void catchup_tick(struct replog *log);

#endif
