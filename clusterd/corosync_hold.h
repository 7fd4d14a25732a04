/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corosync_hold.h - takes this host's corosync down and brings it back, as quorum/ringwatch.h says.
 *
 * The work is done by a program (clusterd's option --corosync-control; the one that ships speaks to
 * systemd): `PROGRAM stop` ends corosync so that nobody starts it again, `PROGRAM start` starts it.
 * One at a time, ended by force after 20 s, repeated after 5 s while corosync is not as it shall
 * be. Without a program (an empty path) corosync is never touched.
 *
 * That it was us who took it down is kept in a file with the id of this boot: a clusterd that is
 * started anew meanwhile starts corosync. What somebody else has stopped is left alone.
 */
#ifndef HV_CLUSTERD_COROSYNC_HOLD_H
#define HV_CLUSTERD_COROSYNC_HOLD_H

#include "quorum/ringwatch.h"

#include <qb/qbloop.h>

struct corosync_hold;
struct corosync_hold_config {
	const char *program; /* kept, not copied */
	const char *state_dir;
	const char *boot_id;
};
/* Starts corosync if an earlier process of this boot has left it down. */
struct corosync_hold *corosync_hold_new(qb_loop_t *loop, const struct corosync_hold_config *cfg);
void corosync_hold_free(struct corosync_hold *h);
/* corosync's token, once it is known: how long a ring may take. */
void corosync_hold_token(struct corosync_hold *h, uint32_t token_ms);
/* What the links say. */
void corosync_hold_ring(struct corosync_hold *h, struct rl_ring ring, const hv_node_id *members,
			size_t n);
void corosync_hold_votes(struct corosync_hold *h, struct rl_ring ring, bool quorate);
/* After each turn. `self_us`: when our own latest message came back. */
void corosync_hold_look(struct corosync_hold *h, uint64_t self_us, bool link_up);
/* Why corosync is down, for status; NULL: not by us. Valid until the next call. */
const char *corosync_hold_doing(struct corosync_hold *h);

#endif
