/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/ipc_server.h"

#include "clusterd/logging.h"
#include "proto/ipc.h"
#include "proto/wire.h"

#include <errno.h>
#include <qb/qbipcs.h>
#include <string.h>

/*
 * libqb 2.0 receives as many bytes as the client's header says, whatever the room
 * (lib/ipc_socket.c). The room is made larger than a datagram can be with the kernel's usual limit
 * (net.core.wmem_max, 208 KiB); that and the check of the peer keep the hole closed.
 */
#define RECEIVE_ROOM (512 * 1024)
#define RETRY_MS 20
#define HEADERS (sizeof(struct qb_ipc_response_header) + WIRE_HEADER_LEN)

struct client {
	uint64_t id;
	struct ipc_server *server;
	qb_ipcs_connection_t *conn;
	uid_t uid;
	bool outstanding;
	uint8_t *answer; /* that the socket did not take yet */
	size_t answer_len;
	unsigned tries;
	qb_loop_timer_handle retry;
};

struct ipc_server {
	qb_loop_t *loop;
	qb_ipcs_service_t *service;
	struct ipc_server_ops ops;
	void *user;
	uint64_t next_id;
	struct client *clients[IPC_SERVER_MAX_CLIENTS];
	size_t count;
	uid_t accepted_uid; /* of the connection that is being made */
};

static struct ipc_server *the_server;

static void disconnect_now(void *user)
{
	struct client *cl = user;

	cl->retry = 0;
	qb_ipcs_disconnect(cl->conn);
}

/* Not at once: libqb still uses the connection after its callback returns. */
static void disconnect(struct client *cl)
{
	if (cl->retry)
		qb_loop_timer_del(cl->server->loop, cl->retry);
	qb_loop_timer_add(cl->server->loop, QB_LOOP_MED, 0, cl, disconnect_now, &cl->retry);
}

/* ---- libqb's loop, without its argument */

static int32_t job_add(enum qb_loop_priority p, void *data, qb_loop_job_dispatch_fn fn)
{
	return qb_loop_job_add(the_server->loop, p, data, fn);
}
static int32_t dispatch_add(enum qb_loop_priority p, int32_t fd, int32_t events, void *data,
			    qb_ipcs_dispatch_fn_t fn)
{
	return qb_loop_poll_add(the_server->loop, p, fd, events, data, fn);
}
static int32_t dispatch_mod(enum qb_loop_priority p, int32_t fd, int32_t events, void *data,
			    qb_ipcs_dispatch_fn_t fn)
{
	return qb_loop_poll_mod(the_server->loop, p, fd, events, data, fn);
}
static int32_t dispatch_del(int32_t fd)
{
	return qb_loop_poll_del(the_server->loop, fd);
}

/* ---- clients */

static struct client *find(const struct ipc_server *s, uint64_t id)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->clients[i]->id == id)
			return s->clients[i];
	}
	return NULL;
}

static int32_t on_accept(qb_ipcs_connection_t *conn, uid_t uid, gid_t gid)
{
	struct ipc_server *s = the_server;

	if (uid != 0) {
		log_warning("control socket: user %u is not allowed in", (unsigned)uid);
		return -EACCES;
	}
	if (s->count == IPC_SERVER_MAX_CLIENTS) {
		log_warning("control socket: %d clients are connected, no more are taken",
			    IPC_SERVER_MAX_CLIENTS);
		return -EMFILE;
	}
	s->accepted_uid = uid;
	return 0;
}

static void on_created(qb_ipcs_connection_t *conn)
{
	struct ipc_server *s = the_server;
	struct client *cl;

	if (s->count == IPC_SERVER_MAX_CLIENTS) {
		qb_ipcs_disconnect(conn);
		return;
	}
	cl = hv_xcalloc(1, sizeof(*cl));
	cl->id = ++s->next_id;
	cl->server = s;
	cl->conn = conn;
	cl->uid = s->accepted_uid;
	qb_ipcs_context_set(conn, cl);
	s->clients[s->count++] = cl;
}

static int32_t on_closed(qb_ipcs_connection_t *conn)
{
	struct client *cl = qb_ipcs_context_get(conn);
	struct ipc_server *s = the_server;

	if (!cl)
		return 0;
	qb_ipcs_context_set(conn, NULL);
	for (size_t i = 0; i < s->count; i++) {
		if (s->clients[i] == cl) {
			s->clients[i] = s->clients[--s->count];
			break;
		}
	}
	if (cl->retry)
		qb_loop_timer_del(s->loop, cl->retry);
	s->ops.gone(s->user, cl->id);
	free(cl->answer);
	free(cl);
	return 0;
}

static void on_destroyed(qb_ipcs_connection_t *conn)
{
}

/* ---- requests */

/* A private copy of the frame is opened: what lies in libqb's buffer is not looked at twice. */
static void take_frame(struct client *cl, const void *data, size_t size)
{
	struct ipc_server *s = cl->server;
	size_t len = size - sizeof(struct qb_ipc_request_header);
	uint8_t *frame =
	    hv_xmemdup((const uint8_t *)data + sizeof(struct qb_ipc_request_header), len);
	const uint8_t *payload;
	size_t payload_len;

	if (wire_frame_open(frame, len, &payload, &payload_len))
		s->ops.request(s->user, cl->id, cl->uid, payload, payload_len);
	else
		s->ops.malformed(s->user, cl->id, HV_BAD_INPUT,
				 "the request is truncated or damaged");
	free(frame);
}

static int32_t on_message(qb_ipcs_connection_t *conn, void *data, size_t claimed)
{
	struct client *cl = qb_ipcs_context_get(conn);
	struct qb_ipc_request_header header;
	int32_t room = qb_ipcs_connection_get_buffer_size(conn);

	if (!cl)
		return 0;
	memcpy(&header, data, sizeof(header));
	if (cl->outstanding) {
		log_warning("control socket: a client sent a second request before the answer to "
			    "its first");
		disconnect(cl);
		return 0;
	}
	cl->outstanding = true;
	if (header.size > HV_IPC_MAX || header.size > room)
		cl->server->ops.malformed(cl->server->user, cl->id, HV_TOO_LARGE,
					  "the request is larger than a control message may be");
	else if (header.size < (int32_t)sizeof(header) || header.id != HV_IPC_REQUEST)
		cl->server->ops.malformed(cl->server->user, cl->id, HV_BAD_INPUT,
					  "this is not a request of hvcluster");
	else
		take_frame(cl, data, (size_t)header.size);
	return 0;
}

/* ---- answers */

static void try_to_send(void *user)
{
	struct client *cl = user;
	ssize_t n = qb_ipcs_response_send(cl->conn, cl->answer, cl->answer_len);

	cl->retry = 0;
	if (n == (ssize_t)cl->answer_len) {
		free(cl->answer);
		cl->answer = NULL;
		return;
	}
	if ((n == -EAGAIN || n == -ENOBUFS || n == -ETIMEDOUT) &&
	    cl->tries++ < IPC_SERVER_PATIENCE_MS / RETRY_MS) {
		qb_loop_timer_add(cl->server->loop, QB_LOOP_MED, RETRY_MS * 1000000ULL, cl,
				  try_to_send, &cl->retry);
		return;
	}
	log_debug("control socket: a client does not take its answer: %s", strerror((int)-n));
	disconnect(cl);
}

void ipc_server_reply(struct ipc_server *s, uint64_t client, const uint8_t *payload, size_t len)
{
	struct client *cl = find(s, client);
	struct qb_ipc_response_header header = {.id = HV_IPC_RESPONSE, .error = 0};
	uint8_t *p;

	hv_assert(len <= HV_IPC_MAX - HEADERS);
	if (!cl || cl->answer)
		return;
	header.size = (int32_t)(HEADERS + len);
	p = hv_xcalloc(1, HEADERS + len);
	memcpy(p, &header, sizeof(header));
	memcpy(p + HEADERS, payload, len);
	wire_header_put(p + sizeof(header), p + HEADERS, len);
	cl->answer = p;
	cl->answer_len = HEADERS + len;
	cl->outstanding = false;
	cl->tries = 0;
	try_to_send(cl);
}

/* ---- life */

size_t ipc_server_clients(const struct ipc_server *s)
{
	return s->count;
}

struct ipc_server *ipc_server_new(qb_loop_t *loop, const char *name,
				  const struct ipc_server_ops *ops, void *user, char **ret_text)
{
	static struct qb_ipcs_service_handlers handlers = {on_accept, on_created, on_message,
							   on_closed, on_destroyed};
	static struct qb_ipcs_poll_handlers poll_handlers = {job_add, dispatch_add, dispatch_mod,
							     dispatch_del};
	struct ipc_server *s;
	int32_t r;

	hv_assert(!the_server);
	s = hv_xcalloc(1, sizeof(*s));
	s->loop = loop;
	s->ops = *ops;
	s->user = user;
	the_server = s;
	s->service = qb_ipcs_create(name, 0, QB_IPC_SOCKET, &handlers);
	if (s->service) {
		qb_ipcs_poll_handlers_set(s->service, &poll_handlers);
		qb_ipcs_enforce_buffer_size(s->service, RECEIVE_ROOM);
		r = qb_ipcs_run(s->service);
		if (r == 0)
			return s;
	} else {
		r = -errno;
	}
	*ret_text =
	    hv_xasprintf("the control socket '%s' cannot be opened: %s%s", name, strerror(-r),
			 r == -EADDRINUSE ? "; another clusterd is running on this host" : "");
	the_server = NULL;
	free(s);
	return NULL;
}

void ipc_server_free(struct ipc_server *s)
{
	if (!s)
		return;
	qb_ipcs_destroy(s->service);
	the_server = NULL;
	free(s);
}
