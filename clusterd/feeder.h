/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * feeder.h - opens, feeds and closes this host's watchdog, and tells the cluster how it does.
 *
 * No clock, no I/O: times come in, the device is behind ops; the simulator runs it as it is. Rules:
 *
 *   - It is opened and fed only while the lease is valid (fence/selfguard.h) and this node is
 *     current: the view of its epoch is committed, so whoever counts it as lost later counts from
 *     after that view.
 *   - A process that was restarted finds the device running. It opens it (which feeds it once) only
 *     if the lease is valid by the record that the one before left in /run: a clusterd that crashes
 *     again and again does not feed for ever.
 *   - While watchdogs are not in force (disarmed, quorum_loss=ignore) it is closed. The state has
 *     forgotten our figures by then. A device that does not close is fed until they are in force
 *     again, lease or not: nobody counts on it.
 *   - Before it is closed for good (feeder_retire()) the state forgets our figures, too.
 *
 * It is fed at every quarter of its timeout; looked at more often, since a heartbeat counts for
 * the lease when it is seen to be back.
 */
#ifndef HV_CLUSTERD_FEEDER_H
#define HV_CLUSTERD_FEEDER_H

#include "fence/selfguard.h"
#include "fence/timing.h"
#include "resource/cluster.h"

struct feeder;
struct feeder_ops {
	/* Opens it, which feeds it and sets its timeout; what that has come to be is *ret_ms.
	 * False: it cannot be opened now. */
	bool (*open)(void *user, uint32_t *ret_ms);
	void (*feed)(void *user);
	/* False: it cannot be stopped. */
	bool (*close)(void *user);
	/* For the next process: when (CLOCK_MONOTONIC) our lease counts from; 0: the device is
	 * closed. */
	void (*record)(void *user, uint64_t from_us);
	uint64_t (*propose)(void *user, const Hv__Event *ev); /* as intake.h */
	bool (*pending)(void *user, uint64_t mark);
};
struct feeder_config {
	struct timing timing;
	uint64_t token_us, left_us; /* fence/selfguard.h */
	bool both_go_on;	    /* two_node without a witness */
};
struct feeder_now {
	uint64_t now_us, suspended_us; /* read for this very call */
	bool current;		       /* may act (driver_current()) */
	uint64_t heartbeat_back_us;    /* rl_status() */
};

struct feeder *feeder_new(const struct feeder_config *cfg, const struct feeder_ops *ops,
			  void *user);
void feeder_free(struct feeder *f); /* leaves the device as it is */
void feeder_set_self(struct feeder *f, hv_node_id self, uint64_t incarnation);
/* At the start, with the record that was found (0: none; in this process's CLOCK_MONOTONIC). */
void feeder_resume(struct feeder *f, uint64_t from_us, uint64_t now_us);
/* Looks, feeds, proposes. Returns when to be called again, 0: when something changes. */
uint64_t feeder_look(struct feeder *f, const struct cluster *c, const struct feeder_now *now);
/* Ask the cluster to forget it, and then close it. */
void feeder_retire(struct feeder *f, bool retire);
bool feeder_is_open(const struct feeder *f);
/* For status: what an operator must know, or NULL. Static. */
const char *feeder_trouble(const struct feeder *f);

#endif
