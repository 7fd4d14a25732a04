/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * driver_priv.h - what driver.c (inputs, outputs, life) and driver_ask.c (proposing, questions)
 * share.
 */
#ifndef HV_CLUSTERD_DRIVER_PRIV_H
#define HV_CLUSTERD_DRIVER_PRIV_H

#include "clusterd/cluster_time.h"
#include "clusterd/driver.h"
#include "clusterd/history.h"
#include "clusterd/proposer.h"
#include "quorum/cpg_link.h"
#include "quorum/log_store.h"
#include "quorum/vote_link.h"

struct driver {
	qb_loop_t *loop;
	struct driver_ops ops;
	void *user;
	hv_node_id self;
	struct log_store *store;
	struct cpg_link *cpg;
	struct vote_link *vote;
	struct replog *log;
	struct cluster *cluster;
	struct proposer *proposer;
	struct cluster_time time;
	struct history *history; /* NULL: none is kept */
	bool booted;		 /* the first state is there */
	struct action_list actions;
	struct rl_epoch applied_epoch; /* of the entry applied last; number 0 after an install */
	char *store_warning;
	qb_loop_timer_handle tick;
	uint64_t last_tick_us;
	struct rl_input votes; /* votequorum's answer, as it came */
	bool ignoring;	       /* quorum_loss=ignore is in force */
	bool forcing;	       /* told to go on: the log is told when votequorum has answered */
	unsigned divergences;
	bool turning, unsettled, closing, must_leave;
	enum rl_phase phase; /* as logged last */
	struct rl_epoch epoch;
	size_t barrier;
};

/* If that was asked for: the log may lead with what it holds. */
void driver_force_log(struct driver *d);
/* Carries out what the log has put out, and settles. */
void driver_turn(struct driver *d);

#endif
