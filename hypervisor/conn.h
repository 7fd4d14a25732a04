/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn.h - the connections to libvirt: opened, watched and opened again, for ever.
 *
 * A thread of conn's own keeps the *watch* connection, over which events come. Three things end or
 * doubt it:
 *  - it closes: libvirtd died (the socket says so at once);
 *  - keepalive: libvirtd's main loop does not answer (frozen, or worse); libvirt's client then
 *    closes the connection itself, after CONN_KEEPALIVE_S * (CONN_KEEPALIVE_COUNT + 1) at most;
 *  - the watchdog call: a cheap request every CONN_WATCH_S, which needs one of libvirtd's workers.
 *    When it does not return the connection stays, but is reported as stalled: libvirtd answers
 *    keepalive while all its workers hang.
 * Opening a connection to a frozen libvirtd blocks until that is continued or killed: this, too, is
 * reported as stalled, and ends by itself. Reconnecting: at once, then every CONN_RETRY_MS, and
 * after CONN_RETRY_LONG_S more slowly.
 *
 * Everybody else *leases* a connection for as long as he makes calls, and has it for himself. This
 * is no luxury: with several threads calling on one connection, libvirt's client (seen with 9.0)
 * lets all but one of them hang when keepalive closes it, and crashes when libvirtd comes back.
 * Alone, a call that hangs returns with an error when keepalive gives up, as it should.
 */
#ifndef HV_HYPERVISOR_CONN_H
#define HV_HYPERVISOR_CONN_H

#include "hypervisor/mailbox.h"
#include "proto/ids.h"

#include <libvirt/libvirt.h>

#define CONN_KEEPALIVE_S 1
#define CONN_KEEPALIVE_COUNT 3
#define CONN_WATCH_S 2
#define CONN_STALLED_US (2 * HV_US_PER_S + HV_US_PER_S / 2)
#define CONN_RETRY_MS 50
#define CONN_RETRY_LONG_S 10
#define CONN_RETRY_LONG_MS 250
#define CONN_IDLE_MAX 8			/* kept for the next lease */
#define CONN_IDLE_US (10 * HV_US_PER_S) /* all but one are closed after so long without use */

struct conn_hooks {
	/* On conn's thread: a new connection, before anybody else may use it. Registers events. */
	void (*opened)(virConnectPtr c, void *user);
	/* In the main loop: it may be used; it is gone (or could not be opened), and why. */
	void (*up)(void *user);
	void (*down)(const char *why, void *user);
	void *user;
};

struct conn;
/* Starts the thread. libvirt's event loop must be registered already. NULL: no thread to be had. */
struct conn *conn_start(struct mailbox *m, const char *uri, const struct conn_hooks *hooks);

/* A connection for the caller alone. Any thread, but may block for some ms, or with libvirtd. */
struct conn_lease {
	struct conn *conn;
	virConnectPtr v; /* NULL: there is none now */
	uint64_t generation;
};
void conn_lease(struct conn *c, struct conn_lease *ret);
/* Given back; all objects got from it must be gone. NULL connection is fine. */
void conn_lease_end(struct conn_lease *l);
#define _cleanup_lease_ _cleanup_(conn_lease_end)

/* How long opening or the watchdog call has been hanging; 0 when neither does. */
uint64_t conn_pending_us(struct conn *c);

/* What libvirt says went wrong in this thread's last call. Never NULL; it may have several lines.
 */
const char *conn_error(void);

#endif
