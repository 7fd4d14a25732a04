/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipc.h - what clusterd and its clients (the hvcluster program) agree on over libqb IPC.
 *
 * Socket type QB_IPC_SOCKET, service name HV_IPC_NAME. A message in either direction is libqb's own
 * header (struct qb_ipc_request_header or qb_ipc_response_header), then one frame of proto/wire.h
 * with a packed ControlRequest or ControlResponse:
 *
 *     qb header (id, size; a response also has error = 0) | wire header | packed message
 *
 * `size` counts all of it and is at most HV_IPC_MAX. libqb does not tell the receiver how much
 * really arrived; the frame's own length and checksum find what is short (wire_frame_open()).
 * Both sides pass HV_IPC_MAX as the buffer size.
 *
 * One request is answered by one response, now or later; a client has one request outstanding. Its
 * reading side waits longer than what it asked the daemon to wait.
 */
#ifndef HV_PROTO_IPC_H
#define HV_PROTO_IPC_H

#define HV_IPC_NAME "hvcluster"
#define HV_IPC_VERSION 1 /* ControlRequest.version */

enum hv_ipc_id {
	HV_IPC_REQUEST = 1,
	HV_IPC_RESPONSE = 2,
};

#endif
