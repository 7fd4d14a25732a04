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
 * A stale ring. Whoever stood still (host, corosync) may have been left by the others, and may not
 * know it: the ring's token waits in the socket, and corosync, once it goes on, orders and delivers
 * with it what this node has sent until then. That token is one (what the others sent again of it
 * is dropped by its number), and the others leave a silent host after `consensus` at the earliest:
 * after token and consensus, unless a ring was being formed anyway. So of a heartbeat that has come
 * back no more is believed than this: let `e` be the latest one that was back before it was sent.
 * `e` was ordered by another token than the stale one, so we were in the ring when `e` was sent,
 * and the others had not left us `left_us` (consensus, by the worst pair of clocks) later. The
 * lease counts from when the heartbeat was sent, but from no later than `e` + `left_us`.
 *
 * token 1 s, consensus 1.2 s (left_us 1.08 s), lease 2.7 s, a heartbeat every 0.4 s:
 *
 *     t = 0.0   a heartbeat is sent, comes back, is seen
 *     t = 0.1   the host stands still, for less than the token: nobody leaves it
 *     t = 1.05  it goes on, and sends the next one: 1.05 s after one that was back, it counts whole
 *     t = 1.45  and so does the next. Nothing was lost
 *
 *     t = 0.0   as before
 *     t = 0.1   the host stands still, or its ring does, for longer
 *     t = 2.1   the heartbeat of now comes back: by a stale token for all we know. The lease counts
 *               from t = 1.08: 1.68 s are left of it
 *     t = 2.5   the next one was sent when that one was back, and counts whole
 *
 * TILT. Where that leaves nothing, since it stood still for longer than the lease, or where the
 * host was suspended (no clock of ours ran), only a heartbeat counts that is sent a token's time
 * later: by then a corosync that was left has noticed, whatever was said here about its token.
 *
 *     t = 0.0   fed; the host is frozen
 *     t = 5.0   it thaws. The lease (2.7 s) is over
 *     t = 6.0   a heartbeat that is sent now counts again, if we are still a member. Else never,
 *               and the watchdog resets the host at t = 0 + T
 */
struct selfguard_lease {
	struct selfguard_heard {
		uint64_t sent_us, seen_us; /* seen_us: at which step we knew that it was back */
	} newer, older;
	bool begun;
	uint64_t suspended_us; /* at the step before */
	uint64_t floor_us;     /* what was sent before does not count */
	uint64_t from_us;      /* from when the lease counts; 0: there is none */
};
struct selfguard_lease_input {
	uint64_t now_us;	    /* CLOCK_MONOTONIC, read for this very check */
	uint64_t suspended_us;	    /* CLOCK_BOOTTIME less CLOCK_MONOTONIC */
	bool active;		    /* as above */
	uint64_t heartbeat_sent_us; /* the latest that came back in this epoch; 0: none */
	uint64_t lease_us, token_us;
	uint64_t left_us; /* fence/timing.h, timing_left_us() */
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
