/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h - the connection to clusterd on this node (proto/ipc.h).
 *
 * Connects when the first request is sent. libqb's abstract sockets have no file permissions, so
 * anyone could pose as clusterd: the server must run as root, or as the user of this program.
 * One request is outstanding at a time; after any failure the connection is closed, so that a late
 * answer is never taken for the answer to a later request.
 */
#ifndef HV_CLI_CLIENT_H
#define HV_CLI_CLIENT_H

#include "proto/control.pb-c.h"
#include "proto/ipc.h"

#include <qb/qbipcc.h>

enum client_result {
	CLIENT_ANSWERED,
	/* nothing was sent: */
	CLIENT_NO_DAEMON, /* nobody listens */
	CLIENT_DENIED,	  /* clusterd does not talk to this user */
	CLIENT_IMPOSTOR,  /* who listens is neither root nor ourselves */
	CLIENT_HUNG,	  /* somebody listens and does not accept */
	CLIENT_TOO_LARGE, /* the request does not fit into a message */
	CLIENT_TROUBLE,	  /* anything else; errno */
	/* sent, and its fate is unknown: */
	CLIENT_LOST,	/* the connection ended before the answer */
	CLIENT_SILENT,	/* no answer in time */
	CLIENT_GARBLED, /* the answer is none */
};

struct client {
	qb_ipcc_connection_t *connection;
	uint8_t *buffer;
};

void client_init(struct client *c);
void client_done(struct client *c);
/* The answer is the caller's (hv__control_response__free_unpacked). Waits for at most `timeout_ms`.
 */
enum client_result client_ask(struct client *c, const char *service,
			      const Hv__ControlRequest *request, int timeout_ms,
			      Hv__ControlResponse **ret);

#endif
