/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fence_agent.h - runs one action of one fence-agents program, asynchronously.
 *
 * Any program of the fence-agents API (FenceAgentAPI.md): options one per line on stdin, exit
 * status 0 ok (status: on), 2 status: off, else failure. Started by posix_spawn with an empty
 * environment but PATH, LANG and HOME, in a process group of its own, descriptors closed, no core
 * dumps; nothing of the options is in argv or the environment. stdin is a memory file, so an agent
 * that does not read it holds up nobody. stdout+stderr are read up to 16 KiB, the rest is
 * discarded; secrets that an agent echoes are blanked in the text we keep. At the deadline the
 * whole group is killed; what an agent leaves in its group when it exits is killed too. Agents are
 * looked for in /usr/sbin and /usr/local/sbin only, by a name that matches fence_[a-z0-9_]+.
 *
 * The caller's strings are copied, and wiped afterwards. An agent whose clusterd is killed runs on
 * until its service manager ends the control group; the next executor's `off` is harmless then.
 * What an agent hands to programs of its own is its affair, with one exception: fence_ipmilan would
 * give the password to ipmitool as an argument, for all to read until ipmitool has blanked it. With
 * fence_agent_ipmitool() set it does not get the password (fence/ipmitool_quiet.c).
 */
#ifndef HV_FENCE_FENCE_AGENT_H
#define HV_FENCE_FENCE_AGENT_H

#include "proto/base.h"
#include "proto/rc.h"

#include <qb/qbloop.h>

struct fence_option {
	const char *key, *value;
	bool secret;
};
struct fence_call {
	const char *agent;
	const char *action; /* off, on, reboot, status, monitor, metadata */
	const struct fence_option *options;
	size_t n_options;
	uint32_t timeout_ms;
	bool waits; /* fence_off_start(): its success is that time has passed (fence_sbd) */
};
struct fence_result {
	enum hv_rc rc;		  /* HV_OK, HV_AGENT_FAILED, HV_TIMEOUT, HV_NO_AGENT, HV_CANCELLED,
				     HV_BAD_INPUT, HV_TOO_LARGE, HV_FAILED (no process) */
	int exit_status;	  /* of the agent; -1 if it was killed */
	bool power_on, power_off; /* action status: which of both it said */
	const char *text;	  /* one line: cause, no secrets */
	uint64_t began_us, ended_us; /* CLOCK_MONOTONIC */
};
typedef void (*fence_done_fn)(void *user, const struct fence_result *result);

/* Where ipmitool-quiet is, copied; NULL, or a file that cannot be run: nowhere. False: nowhere. */
bool fence_agent_ipmitool(const char *path);

struct fence_agent_run;
/* Starts it; `done` is called exactly once, from the loop, never from here; `run` ends with it.
 * NULL never. */
struct fence_agent_run *fence_agent_start(qb_loop_t *loop, const struct fence_call *call,
					  fence_done_fn done, void *user);
/* Kills the process group; `done` is called with HV_CANCELLED. */
void fence_agent_cancel(struct fence_agent_run *run);
/* Is there such an agent? Path, or NULL. Static buffer free: caller frees. */
char *fence_agent_find(const char *name);

/*
 * Proof: `off`, then `status` every 200 ms until it says off or the deadline passes. HV_OK here,
 * and only here, means that the node was seen off. An already-off node is success, also where the
 * device refuses to switch it off: the status decides. The call's action is ignored; its timeout is
 * for all.
 *
 * A device that waits is told `reboot`, and its success is all there is: HV_OK then means that it
 * has waited. fence_sbd's `status` tells what was written into the host's slot, not what became of
 * the host, and its `off` does nothing where that is "off" already: of two fencers, the first
 * killed a moment after it had written the poison, the second would at once have "proof" of a host
 * that has not read it yet. `reboot` writes it again and waits for all of msgwait.
 */
struct fence_off_run;
struct fence_off_run *fence_off_start(qb_loop_t *loop, const struct fence_call *call,
				      fence_done_fn done, void *user);
void fence_off_cancel(struct fence_off_run *run);

#endif
