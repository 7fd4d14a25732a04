/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/link.h"

#include "proto/ids.h"
#include "proto/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_AT_ONCE 65536

struct link {
	qb_loop_t *loop;
	struct link_hooks hooks;
	int fd;
	struct wire_reader in;
	uint8_t *out;
	size_t out_len, out_cap;
	bool over;
};

static int32_t on_ready(int32_t fd, int32_t revents, void *data);

static void end(struct link *l, const char *why)
{
	if (l->over)
		return;
	l->over = true;
	l->hooks.ended(why, l->hooks.user);
}

/* ---- out */

static void want(struct link *l, bool writing)
{
	qb_loop_poll_mod(l->loop, QB_LOOP_MED, l->fd, POLLIN | (writing ? POLLOUT : 0), l,
			 on_ready);
}

static void keep(struct link *l, const void *data, size_t len)
{
	if (l->out_len + len > l->out_cap) {
		l->out_cap = l->out_len + len;
		l->out = hv_xrealloc(l->out, l->out_cap, 1);
	}
	memcpy(l->out + l->out_len, data, len);
	l->out_len += len;
}

/* True when nothing is left. */
static bool flush(struct link *l)
{
	size_t done = 0;
	ssize_t n = 0;

	while (done < l->out_len) {
		n = send(l->fd, l->out + done, l->out_len - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	memmove(l->out, l->out + done, l->out_len - done);
	l->out_len -= done;
	if (n < 0 && errno != EAGAIN)
		end(l, errno == EPIPE || errno == ECONNRESET ? NULL : strerror(errno));
	return l->out_len == 0;
}

void link_send(struct link *l, const Hv__HvMessage *m)
{
	size_t len = hv__hv_message__get_packed_size(m);
	uint8_t header[WIRE_HEADER_LEN];
	_cleanup_free_ uint8_t *packed = hv_xcalloc(1, len);
	bool idle = l->out_len == 0;

	if (l->over)
		return;
	hv_assert(len <= HV_HV_FRAME_MAX);
	hv__hv_message__pack(m, packed);
	wire_header_put(header, packed, len);
	keep(l, header, sizeof(header));
	keep(l, packed, len);
	if (idle && !flush(l) && !l->over)
		want(l, true);
	if (l->out_len > LINK_BACKLOG_MAX)
		end(l, "clusterd does not read its messages");
}

/* ---- in */

static bool take_frame(struct link *l, const uint8_t *payload, size_t len)
{
	Hv__HvRequest *r = hv__hv_request__unpack(NULL, len, payload);

	if (!r) {
		end(l, "a request could not be decoded");
		return false;
	}
	l->hooks.request(r, l->hooks.user);
	hv__hv_request__free_unpacked(r, NULL);
	return !l->over;
}

static void take_input(struct link *l)
{
	ssize_t n = recv(l->fd, wire_reader_room(&l->in, READ_AT_ONCE), READ_AT_ONCE, 0);
	const uint8_t *payload;
	size_t len;
	int got;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end(l, n == 0 || errno == ECONNRESET ? NULL : strerror(errno));
		return;
	}
	wire_reader_added(&l->in, (size_t)n);
	while ((got = wire_reader_next(&l->in, &payload, &len)) > 0)
		if (!take_frame(l, payload, len))
			return;
	if (got < 0)
		end(l, "a frame is damaged");
}

static int32_t on_ready(int32_t fd _unused_, int32_t revents, void *data)
{
	struct link *l = data;

	if (revents & POLLOUT && flush(l) && !l->over)
		want(l, false);
	if (!l->over && revents & (POLLIN | POLLHUP | POLLERR))
		take_input(l);
	return 0;
}

struct link *link_new(qb_loop_t *loop, int fd, const struct link_hooks *hooks)
{
	struct link *l;
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) != 0)
		return NULL;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return NULL;
	}
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return NULL;
	l = hv_xcalloc(1, sizeof(*l));
	l->loop = loop;
	l->fd = fd;
	l->hooks = *hooks;
	wire_reader_init(&l->in);
	qb_loop_poll_add(loop, QB_LOOP_MED, fd, POLLIN, l, on_ready);
	return l;
}

void link_free(struct link *l)
{
	if (!l)
		return;
	qb_loop_poll_del(l->loop, l->fd);
	close(l->fd);
	wire_reader_done(&l->in);
	free(l->out);
	free(l);
}
