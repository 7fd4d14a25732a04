/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipc_server.h - clusterd's side of the control socket (proto/ipc.h): peers, frames, answers.
 *
 * A peer must be root (its credentials are the kernel's). libqb hands over what the client wrote
 * into the header; nothing of it is believed: the size is checked against the buffer, the frame is
 * copied, then its length and checksum are checked, then its owner sees the payload.
 * A client has one request outstanding; one that sends a second is disconnected. Answers never
 * block: what the socket does not take is tried again for IPC_SERVER_PATIENCE_MS, then the client
 * is disconnected. A client is known by a number that is never used again.
 */
#ifndef HV_CLUSTERD_IPC_SERVER_H
#define HV_CLUSTERD_IPC_SERVER_H

#include "proto/base.h"
#include "proto/ids.h"
#include "proto/rc.h"

#include <qb/qbloop.h>
#include <sys/types.h>

#define IPC_SERVER_MAX_CLIENTS 64
#define IPC_SERVER_PATIENCE_MS 5000

struct ipc_server;
struct ipc_server_ops {
	/* One checked frame; valid during the call. Answer with ipc_server_reply(), now or later.
	 */
	void (*request)(void *user, uint64_t client, uid_t uid, const uint8_t *payload, size_t len);
	/* What came is no frame; the client waits for an answer all the same. */
	void (*malformed)(void *user, uint64_t client, enum hv_rc rc, const char *why);
	void (*gone)(void *user, uint64_t client);
};
/* One server a process (libqb's callbacks know no loop). NULL: *ret_text (malloc'ed) says why. */
struct ipc_server *ipc_server_new(qb_loop_t *loop, const char *name,
				  const struct ipc_server_ops *ops, void *user, char **ret_text);
/* The client may be gone: then nothing happens. `len` is at most HV_IPC_MAX minus the headers. */
void ipc_server_reply(struct ipc_server *s, uint64_t client, const uint8_t *payload, size_t len);
size_t ipc_server_clients(const struct ipc_server *s);
void ipc_server_free(struct ipc_server *s);

#endif
