/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn.h - the connection to libvirt: opened, watched and opened again, for ever, by a thread of
 * its own. Nobody else waits for it.
 *
 * Three things end or doubt a connection:
 *  - it closes: libvirtd died (the socket says so at once);
 *  - keepalive: libvirtd's main loop does not answer (frozen, or worse); libvirt's client then
 *    closes the connection itself, after CONN_KEEPALIVE_S * (CONN_KEEPALIVE_COUNT + 1) at most, and
 *    every call that hangs in it returns with an error;
 *  - the watchdog call: a cheap request every CONN_WATCH_S, which needs one of libvirtd's workers.
 *    When it does not return the connection stays, but is reported as stalled: libvirtd answers
 *    keepalive while all its workers hang.
 * Opening a connection to a frozen libvirtd blocks until that is continued or killed: this, too, is
 * reported as stalled, and ends by itself.
 *
 * Reconnecting: at once, then every CONN_RETRY_MS, and after CONN_RETRY_LONG_S more slowly.
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

/* From any thread: a reference of one's own, to be given back by virConnectClose(), or NULL. */
virConnectPtr conn_get(struct conn *c);
void conn_putp(virConnectPtr *c);
#define _cleanup_conn_ _cleanup_(conn_putp)

/* Rises with every new connection; 0 before the first. */
uint64_t conn_generation(struct conn *c);
/* How long opening or the watchdog call has been hanging; 0 when neither does. */
uint64_t conn_pending_us(struct conn *c);

/* What libvirt says went wrong in the last call of this thread. Never NULL, one line. */
const char *conn_error(void);

#endif
