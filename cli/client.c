/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/client.h"

#include "proto/base.h"
#include "proto/ids.h"
#include "proto/wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_MS                                                                                 \
	3000 /* clusterd never blocks: one that takes this long to accept is stopped or dying */
#define SLICE_MS 1000 /* how often libqb is made to look whether the server is still there */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void client_init(struct client *c)
{
	memset(c, 0, sizeof(*c));
}

static void disconnect(struct client *c)
{
	if (c->connection)
		qb_ipcc_disconnect(c->connection);
	c->connection = NULL;
}

void client_done(struct client *c)
{
	disconnect(c);
	free(c->buffer);
	c->buffer = NULL;
}

static enum client_result connect_result(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ENOENT:
	case ENOTCONN: /* it went away while we were at it */
	case ECONNRESET:
		return CLIENT_NO_DAEMON;
	case EACCES:
	case EPERM:
		return CLIENT_DENIED;
	default:
		errno = error;
		return CLIENT_TROUBLE;
	}
}

/* Not qb_ipcc_connect(): that waits without end for a server that is stopped. */
static enum client_result open_connection(struct client *c, const char *service)
{
	struct pollfd p = {.events = POLLIN};
	qb_ipcc_connection_t *connection = qb_ipcc_connect_async(service, HV_IPC_MAX, &p.fd);
	uid_t uid = (uid_t)-1;
	int n, rc;

	if (!connection)
		return connect_result(errno);
	do {
		n = poll(&p, 1, CONNECT_MS);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return CLIENT_HUNG; /* libqb has no way to give up a half-made connection: it ends
				       with the program */
	rc = qb_ipcc_connect_continue(connection);
	if (rc != 0)
		return connect_result(-rc);
	c->connection = connection;
	if (qb_ipcc_auth_get(connection, NULL, &uid, NULL) != 0 || (uid != 0 && uid != geteuid())) {
		disconnect(c);
		return CLIENT_IMPOSTOR;
	}
	return CLIENT_ANSWERED;
}

static enum client_result send_request(struct client *c, const Hv__ControlRequest *request)
{
	const size_t head = sizeof(struct qb_ipc_request_header);
	size_t n = hv__control_request__get_packed_size(request);
	size_t total = head + WIRE_HEADER_LEN + n;
	struct qb_ipc_request_header *header = (struct qb_ipc_request_header *)c->buffer;
	ssize_t sent;

	if (total > HV_IPC_MAX)
		return CLIENT_TOO_LARGE;
	memset(header, 0, head);
	header->id = HV_IPC_REQUEST;
	header->size = (int32_t)total;
	hv__control_request__pack(request, c->buffer + head + WIRE_HEADER_LEN);
	wire_header_put(c->buffer + head, c->buffer + head + WIRE_HEADER_LEN, n);
	sent = qb_ipcc_send(c->connection, c->buffer, total);
	explicit_bzero(c->buffer, total); /* may hold a fence device's password */
	if (sent == (ssize_t)total)
		return CLIENT_ANSWERED;
	errno = sent < 0 ? (int)-sent : EIO;
	/* A datagram goes whole or not at all: nothing was sent. */
	return sent == -ENOTCONN || sent == -ECONNREFUSED || sent == -EPIPE || sent == -ECONNRESET
		   ? CLIENT_NO_DAEMON
		   : CLIENT_TROUBLE;
}

static enum client_result receive_response(struct client *c, int timeout_ms,
					   Hv__ControlResponse **ret)
{
	const size_t head = sizeof(struct qb_ipc_response_header);
	const struct qb_ipc_response_header *header = (struct qb_ipc_response_header *)c->buffer;
	uint64_t deadline = now_ms() + (uint64_t)timeout_ms;
	const uint8_t *payload;
	size_t len;
	ssize_t n;

	do {
		uint64_t now = now_ms();

		if (now >= deadline)
			return CLIENT_SILENT;
		n = qb_ipcc_recv(c->connection, c->buffer, HV_IPC_MAX,
				 deadline - now < SLICE_MS ? (int)(deadline - now) : SLICE_MS);
	} while (n == -EAGAIN || n == -ETIMEDOUT || n == -EINTR);
	if (n < 0)
		return n == -EMSGSIZE || n == -EINVAL ? CLIENT_GARBLED : CLIENT_LOST;
	if ((size_t)n < head || header->id != HV_IPC_RESPONSE || header->size != n ||
	    !wire_frame_open(c->buffer + head, (size_t)n - head, &payload, &len))
		return CLIENT_GARBLED;
	*ret = hv__control_response__unpack(NULL, len, payload);
	return *ret ? CLIENT_ANSWERED : CLIENT_GARBLED;
}

enum client_result client_ask(struct client *c, const char *service,
			      const Hv__ControlRequest *request, int timeout_ms,
			      Hv__ControlResponse **ret)
{
	enum client_result result;

	if (!c->buffer)
		c->buffer = hv_xcalloc(1, HV_IPC_MAX);
	if (!c->connection) {
		result = open_connection(c, service);
		if (result != CLIENT_ANSWERED)
			return result;
	}
	result = send_request(c, request);
	if (result == CLIENT_ANSWERED)
		result = receive_response(c, timeout_ms, ret);
	if (result != CLIENT_ANSWERED)
		disconnect(c);
	return result;
}
