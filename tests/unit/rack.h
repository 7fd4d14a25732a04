/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rack.h - a few replicated logs joined by an ideal ordered network, for unit tests: no time but
 * what the test says, disks that write when the test says so. The simulator is the place for
 * faults.
 */
#ifndef HV_TESTS_RACK_H
#define HV_TESTS_RACK_H

#include "quorum/replog.h"

#define RACK_NODES 6

struct rack_entry {
	struct rl_entry entry;
	uint8_t *data;
};
struct rack_node {
	hv_node_id id;
	struct replog *log;
	bool up, disk_stuck, paused;
	uint64_t incarnation;
	/* disk */
	struct rack_entry *disk;
	size_t n_disk;
	uint64_t promised, base_index;
	struct rl_epoch base_epoch, base_effective;
	uint8_t *snapshot;
	size_t snapshot_len;
	uint64_t written; /* last write that reached it */
	uint64_t told;	  /* and that the log was told of */
	/* brain: the text of all commands applied, and a hash over all that was applied */
	char *text;
	uint64_t digest, applied;
	unsigned applies, installs, diverged, views, statuses, writes;
	bool lie; /* reports a wrong digest */
	bool damaged;
	uint64_t behind_us; /* so much later is it than this node knows */
	/* what the view that it applied last says of the time, and of when it was seen to change */
	uint64_t view_us, detected_us;
	/* network: messages of the view not yet delivered */
	size_t pos;
};
struct rack_message {
	hv_node_id sender;
	uint8_t *data;
	size_t len;
};
struct rack {
	struct rack_node nodes[RACK_NODES];
	size_t n;
	uint64_t now_us, ring;
	uint64_t snapshot_every;
	bool two_node;
	uint32_t device_votes;
	/* one view at a time is enough here: nodes outside of it are cut off */
	struct rack_message *queue;
	size_t n_queue;
	hv_node_id view[RACK_NODES];
	size_t n_view;
	unsigned messages;
};

void rack_init(struct rack *r, size_t n);
void rack_done(struct rack *r);
struct rack_node *rack_node(struct rack *r, hv_node_id id);
void rack_boot(struct rack *r, hv_node_id id);
void rack_crash(struct rack *r, hv_node_id id);
/* A new view of these nodes (0 ends the list), quorum answers included. */
void rack_view(struct rack *r, ...);
void rack_view_without_votes(struct rack *r, ...);
void rack_votes(struct rack *r, bool quorate);
/* Delivers and writes until nothing moves. */
void rack_settle(struct rack *r);
/* Time passes, with ticks. */
void rack_pass(struct rack *r, uint64_t us);
enum hv_rc rack_propose(struct rack *r, hv_node_id id, const char *text);
enum hv_rc rack_fenced(struct rack *r, hv_node_id id, hv_node_id victim);
void rack_force(struct rack *r, hv_node_id id);
void rack_input(struct rack *r, hv_node_id id, const struct rl_input *in);
void rack_deliver_raw(struct rack *r, hv_node_id id, hv_node_id sender, const uint8_t *data,
		      size_t len);

#endif
