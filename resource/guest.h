/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest.h - health of a VM's guest: what the administrator wants done about it, what its host said
 * last, and what was done.
 *
 * PURE. Facts are of the owner's present copy: every change of the VM's state forgets them, and its
 * host says them anew. What is decided from them: guest_health.h.
 */
#ifndef HV_RESOURCE_GUEST_H
#define HV_RESOURCE_GUEST_H

#include "proto/ids.h"
#include "proto/log.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_RESETS_MAX 10 /* within a window: reset_limit */

struct guest {
	/* attributes (preset) */
	uint32_t heartbeat_s; /* silence after which its agent counts as lost; 0: not asked (0) */
	uint32_t heartbeat_idle_s;	  /* and so long without disk and network I/O (120) */
	uint32_t heartbeat_uptime_s;	  /* not reset before it has run so long here (120) */
	uint32_t reset_limit;		  /* resets within reset_window_s (3) */
	uint32_t reset_window_s;	  /* (3600) */
	bool panic_reset, watchdog_reset; /* else only reported (report) */
	bool io_resume; /* paused by an I/O error: resumed when that is over (wait) */
	/* facts */
	Hv__GuestHeartbeat heartbeat;
	bool idle;
	Hv__GuestTrouble trouble;
	bool storage_back;
	char *text; /* of the trouble; NULL none */
	uint32_t own_resets;
	/* what follows */
	bool answered; /* its agent has, since it was started or reset */
	bool asked;    /* an administrator wants it reset */
	bool held;     /* the limit was reached: not reset any more by itself */
	uint64_t resets_us[GUEST_RESETS_MAX]; /* latest ones, ascending */
	size_t n_resets;
	uint64_t reset_us;   /* the latest reset, also an administrator's */
	uint64_t storage_us; /* since when a storage that it had lacked works again */
	uint64_t again_us;   /* not reset before */
	uint64_t resumed_us; /* after an I/O error, the last time */
	uint32_t resumes;    /* in a row */
	uint64_t reset_wall_ms;
	hv_node_id evidence_node; /* of its latest reset */
	char *evidence;		  /* folder there; NULL: none was kept */
};

void guest_init(struct guest *g);
void guest_done(struct guest *g);
/* Nothing was set, said or done. */
bool guest_is_plain(const struct guest *g);
/* Its host has said nothing, or nothing that stands. */
bool guest_has_no_facts(const struct guest *g);

#endif
