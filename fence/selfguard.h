/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * selfguard.h - what a node without quorum does with its VMs, decided by itself alone.
 *
 * PURE. One machine per process. The setting quorum_loss, as it stood in the state that was
 * committed last, says what happens when this node could not act for quorum_loss_grace_ms:
 *
 *     freeze      nothing: they run on
 *     stop        they are shut down
 *     self-fence  the host resets itself, if VMs may run on it
 *     ignore      nothing here: the log goes on without quorum (selfguard_quorum())
 *
 *     t = 0 s     corosync loses the others: not active
 *     t = 0..30   the grace: a switch that restarts costs nothing
 *     t = 30 s    STOP or RESET, and for as long as this node is not active
 *
 * The order is a level: it is given at every step until the node is active again, and whoever
 * carries it out begins each thing once. The other nodes count nothing of it as proof: a VM of a
 * node that is gone waits for its fence, or for the deadline of its watchdog (fence/timing.h).
 *
 * A step is due as soon as the node ceases to be active; while it is, none is.
 *
 * After a stall (the host or this process stood still) the grace begins anew, since what this node
 * believed of its quorum while it stood is worth nothing: it watches first.
 */
#ifndef HV_FENCE_SELFGUARD_H
#define HV_FENCE_SELFGUARD_H

#include <stdbool.h>
#include <stdint.h>

/* In the order of the setting's words. */
enum selfguard_policy {
	SELFGUARD_FREEZE,
	SELFGUARD_STOP,
	SELFGUARD_SELF_FENCE,
	SELFGUARD_IGNORE,
};
enum selfguard_order {
	GUARD_NONE,
	GUARD_STOP,  /* shut down every VM of the cluster that runs here */
	GUARD_RESET, /* reset this host */
};

/* All zero at the start of the process. */
struct selfguard {
	bool begun, active; /* at the latest step */
	uint64_t ok_us; /* since when the grace runs: the step at which it ceased to be active */
};
struct selfguard_input {
	uint64_t now_us; /* CLOCK_MONOTONIC */
	bool active;	 /* may act: member of an active, quorate epoch */
	bool stalled;	 /* stood still since the step before */
	enum selfguard_policy policy;
	uint64_t grace_us;
};

enum selfguard_order selfguard_step(struct selfguard *g, const struct selfguard_input *in);
/* When to step again though nothing changed, 0: never. After a step with the same input. */
uint64_t selfguard_due_us(const struct selfguard *g, const struct selfguard_input *in);

/*
 * The lease: may the watchdog be fed now? Only while this node is active and a heartbeat of its own
 * that it sent less than `lease_us` ago has come back through CPG in that epoch. When it was *sent*
 * counts: what a stopped process reads later of what it sent before proves nothing.
 *
 * TILT. When this process was not stepped for `stall_us`, or the host was suspended, corosync on
 * this host may have stood still too, may take a ring for its own that the others have long left,
 * and may even deliver our own message in it once more (the token was in the socket). It finds out
 * within a token's time. So after such a gap only a heartbeat counts that was sent a whole lease
 * after it (the lease is longer than token + consensus). `stall_us` is below the token's time: who
 * stood still for less is not expelled.
 *
 *     t = 0.0   fed; the host is frozen
 *     t = 3.0   it thaws. The lease (2 s) is over; heartbeats that come back now do not count
 *     t = 5.0   one that was sent now counts again, if we are still a member. Else never, and the
 *               watchdog resets the host at t = 0 + T
 */
struct selfguard_lease {
	bool begun;
	uint64_t stepped_us, suspended_us; /* the step before */
	uint64_t floor_us;		   /* what was sent before does not count */
};
struct selfguard_lease_input {
	uint64_t now_us;	    /* CLOCK_MONOTONIC, read for this very check */
	uint64_t suspended_us;	    /* CLOCK_BOOTTIME less CLOCK_MONOTONIC */
	bool active;		    /* as above */
	uint64_t heartbeat_sent_us; /* the latest that came back in this epoch; 0: none */
	uint64_t lease_us, stall_us;
};
/* Until when it is valid (CLOCK_MONOTONIC); 0: it is not. */
uint64_t selfguard_lease_step(struct selfguard_lease *l, const struct selfguard_lease_input *in);

/*
 * What the log is told of votequorum's answer. With `ignore` a view without quorum counts as
 * quorate with whatever votes are there; its epoch is a whole one if it has the majority of nodes,
 * else a minority one behind its barrier: each lost member is fenced before anything is done.
 */
static inline void selfguard_quorum(enum selfguard_policy policy, bool *quorate, uint32_t *quorum)
{
	if (*quorate || policy != SELFGUARD_IGNORE)
		return;
	*quorate = true;
	*quorum = 1;
}

#endif
