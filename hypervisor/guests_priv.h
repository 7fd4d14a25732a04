/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guests_priv.h - private to guests: the table of guests, shared by
 *
 *   guests.c        the table, who is watched, what is told
 *   guests_look.c   when who is asked, and what comes of it
 *   guests_facts.c  what libvirt's facts and events say of them
 */
#ifndef HV_HYPERVISOR_GUESTS_PRIV_H
#define HV_HYPERVISOR_GUESTS_PRIV_H

#include "hypervisor/beat.h"
#include "hypervisor/guest_look.h"
#include "hypervisor/guests.h"

enum look { LOOK_ASK, LOOK_DISKS };

struct guest {
	struct pool_task task; /* first */
	struct guests *gs;
	char uuid[HV_UUID_LEN + 1];
	bool here; /* as the facts say */
	Hv__Observed observed;
	/* heartbeat */
	bool watched;
	struct beat beat;
	uint64_t next_us;
	/* trouble */
	Hv__Cause stopped_by; /* of PAUSED: crashed, watchdog or I/O error; else none */
	uint64_t stopped_us;
	bool fired;	 /* its watchdog, to no effect */
	bool panicked;	 /* and what comes of it is not seen yet */
	bool resetting;	 /* a RESET job of ours is under way */
	bool reset_seen; /* ... and libvirt has said so */
	uint32_t own_resets;
	struct guest_disks disks; /* of an I/O error */
	bool back;
	/* the look that is under way */
	bool looking, given_up;
	_Atomic uint64_t began_us; /* 0: still in the queue */
	enum look look;
	unsigned turn, look_turn; /* what happened since it began makes it void */
	struct guest_heard heard;
	struct guest_disks seen;
	/* what was told last */
	Hv__GuestSeen said;
	char said_text[HV_TEXT_MAX];
};

struct guests {
	qb_loop_t *loop;
	struct pool *pool;
	struct conn *conn;
	char *probe;
	struct guests_hooks hooks;
	struct guest **items; /* ascending by UUID */
	size_t count, cap;
	qb_loop_timer_handle timer;
	uint64_t tick_due_us;
};

/* guests.c */
struct guest *guests_find(const struct guests *gs, const char *uuid); /* may be NULL */
struct guest *guests_get(struct guests *gs, const char *uuid);	      /* made if need be */
void guests_drop_idle(struct guests *gs); /* frees those of whom nothing is left to remember */
void guests_tell(struct guest *g);	  /* if it is news */

/* guests_look.c */
void guests_arm(struct guests *gs); /* sees to it that there is a next tick, if there is work */
uint64_t guest_jitter_us(const char *uuid, uint64_t every_us);
/* Nobody could tell for a while: silence begins anew, a look under way is void. */
void guest_begin_anew(struct guest *g);
/* It boots anew. */
void guest_rebooted(struct guest *g);

#endif
