/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/hv_client.h"

#include "clusterd/host_time.h"
#include "clusterd/logging.h"
#include "proto/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_FD 3
#define PAUSE_MIN_US (50 * HV_US_PER_MS)
#define PAUSE_MAX_US (5 * HV_US_PER_S)
#define HEALTHY_US (10 * HV_US_PER_S)
#define READ_ROOM 65536

extern char **environ;

struct hv_client {
	qb_loop_t *loop;
	char *path, *uri, *state_dir;
	struct hv_client_ops ops;
	void *user;
	pid_t pid; /* 0: none */
	int sock, pidfd;
	bool ready; /* it said so */
	uint64_t began_us, heard_us, pause_us;
	uint64_t ping_seq;
	struct wire_reader reader;
	uint8_t *out; /* not yet taken by the socket */
	size_t out_len, out_cap;
	bool wants_out;
	char why[128]; /* it is to be killed at the next safe moment; "" if not */
	qb_loop_timer_handle restart, ping;
};

static void start(void *user);
static int32_t on_socket(int32_t fd, int32_t revents, void *user);
static int32_t on_exit_of_child(int32_t fd, int32_t revents, void *user);
static void on_ping(void *user);

/* ---- starting */

static int spawn(struct hv_client *c, int child_sock, pid_t *ret_pid)
{
	char *argv[8] = {c->path, (char *)"--fd", (char *)"3", (char *)"--state-dir", c->state_dir};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	if (c->uri) {
		argv[5] = (char *)"--uri";
		argv[6] = c->uri;
	}
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	/* dup2 onto itself would leave close-on-exec set; glibc's action clears it in that case
	 * too. */
	posix_spawn_file_actions_adddup2(&actions, child_sock, CHILD_FD);
	posix_spawn_file_actions_addclosefrom_np(&actions, CHILD_FD + 1);
	r = posix_spawn(ret_pid, c->path, &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return r;
}

static void start_later(struct hv_client *c)
{
	qb_loop_timer_add(c->loop, QB_LOOP_MED, c->pause_us * 1000, c, start, &c->restart);
	c->pause_us *= 2;
	if (c->pause_us > PAUSE_MAX_US)
		c->pause_us = PAUSE_MAX_US;
}

static void start(void *user)
{
	struct hv_client *c = user;
	int sv[2], r;

	c->restart = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0) {
		log_error("hypervisord: socketpair: %s", strerror(errno));
		start_later(c);
		return;
	}
	r = spawn(c, sv[1], &c->pid);
	close(sv[1]);
	c->pidfd = r == 0 ? pidfd_open(c->pid, 0) : -1;
	if (r != 0 || c->pidfd < 0) {
		log_error("hypervisord: cannot start %s: %s", c->path, strerror(r ? r : errno));
		c->pid = 0;
		close(sv[0]);
		start_later(c);
		return;
	}
	fcntl(c->pidfd, F_SETFD, FD_CLOEXEC);
	c->sock = sv[0];
	c->began_us = c->heard_us = mono_us();
	wire_reader_init(&c->reader);
	qb_loop_poll_add(c->loop, QB_LOOP_HIGH, c->sock, POLLIN, c, on_socket);
	qb_loop_poll_add(c->loop, QB_LOOP_MED, c->pidfd, POLLIN, c, on_exit_of_child);
	log_info("hypervisord: started, pid %d", (int)c->pid);
}

/* ---- ending */

static void close_socket(struct hv_client *c)
{
	if (c->sock < 0)
		return;
	qb_loop_poll_del(c->loop, c->sock);
	close(c->sock);
	c->sock = -1;
	wire_reader_done(&c->reader);
	free(steal_ptr(c->out));
	c->out_len = c->out_cap = 0;
	c->wants_out = false;
}

/* From here on it is gone for us; its end is awaited, then it is started again. */
static void give_up(struct hv_client *c, const char *why)
{
	bool was_ready = c->ready;

	if (c->sock < 0)
		return;
	log_warning("hypervisord: %s", why);
	close_socket(c);
	c->ready = false;
	kill(c->pid, SIGKILL);
	if (was_ready)
		c->ops.down(c->user, why);
}

static void describe_exit(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "ended by signal %d", WTERMSIG(status));
	else
		snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
}

static int32_t on_exit_of_child(int32_t fd, int32_t revents, void *user)
{
	struct hv_client *c = user;
	int status = 0;
	char text[64];

	if (waitpid(c->pid, &status, WNOHANG) == 0)
		return 0;
	describe_exit(status, text, sizeof(text));
	qb_loop_poll_del(c->loop, c->pidfd);
	close(c->pidfd);
	c->pidfd = -1;
	if (mono_us() - c->began_us > HEALTHY_US)
		c->pause_us = PAUSE_MIN_US;
	c->pid = 0;
	if (c->sock >= 0) {
		bool was_ready = c->ready;

		log_warning("hypervisord: %s", text);
		close_socket(c);
		c->ready = false;
		if (was_ready)
			c->ops.down(c->user, text);
	}
	start_later(c);
	return 0;
}

/* ---- sending */

static void want_out(struct hv_client *c, bool on)
{
	if (c->wants_out == on)
		return;
	c->wants_out = on;
	qb_loop_poll_mod(c->loop, QB_LOOP_HIGH, c->sock, POLLIN | (on ? POLLOUT : 0), c, on_socket);
}

static void flush(struct hv_client *c)
{
	size_t done = 0;

	while (done < c->out_len) {
		ssize_t n = send(c->sock, c->out + done, c->out_len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* full, or gone: then reading finds out */
		done += (size_t)n;
	}
	memmove(c->out, c->out + done, c->out_len - done);
	c->out_len -= done;
	want_out(c, c->out_len > 0);
}

static uint8_t *room(struct hv_client *c, size_t want)
{
	if (c->out_cap - c->out_len < want) {
		c->out_cap = c->out_len + want;
		c->out = hv_xrealloc(c->out, c->out_cap, 1);
	}
	return c->out + c->out_len;
}

void hv_client_send(struct hv_client *c, const Hv__HvRequest *req)
{
	size_t len = hv__hv_request__get_packed_size(req);
	uint8_t *p;

	if (c->sock < 0 || !c->ready)
		return;
	if (len > HV_HV_FRAME_MAX || c->out_len + len > HV_CLIENT_UNSENT_MAX) {
		snprintf(c->why, sizeof(c->why), "it takes no more requests");
		return;
	}
	p = room(c, WIRE_HEADER_LEN + len);
	hv__hv_request__pack(req, p + WIRE_HEADER_LEN);
	wire_header_put(p, p + WIRE_HEADER_LEN, len);
	c->out_len += WIRE_HEADER_LEN + len;
	if (!c->wants_out)
		flush(c);
}

/* ---- receiving */

static void take(struct hv_client *c, const Hv__HvMessage *msg)
{
	c->heard_us = mono_us();
	switch (msg->body_case) {
	case HV__HV_MESSAGE__BODY_READY:
		c->ready = true;
		log_info("hypervisord: ready");
		c->ops.up(c->user);
		break;
	case HV__HV_MESSAGE__BODY_RESULT:
	case HV__HV_MESSAGE__BODY_PROGRESS:
	case HV__HV_MESSAGE__BODY_DOMAIN:
	case HV__HV_MESSAGE__BODY_INVENTORY:
	case HV__HV_MESSAGE__BODY_HEALTH:
	case HV__HV_MESSAGE__BODY_STORAGE:
	case HV__HV_MESSAGE__BODY_SETUP:
	case HV__HV_MESSAGE__BODY_GUEST:
		c->ops.message(c->user, msg);
		break;
	case HV__HV_MESSAGE__BODY_PONG:
	case HV__HV_MESSAGE__BODY__NOT_SET:
	case _HV__HV_MESSAGE__BODY__CASE_IS_INT_SIZE:
		break;
	}
}

/* False: the stream is broken. */
static bool take_frames(struct hv_client *c)
{
	const uint8_t *payload;
	size_t len;
	int r;

	while ((r = wire_reader_next(&c->reader, &payload, &len)) == 1) {
		Hv__HvMessage *msg = hv__hv_message__unpack(NULL, len, payload);

		if (!msg)
			return false;
		take(c, msg);
		hv__hv_message__free_unpacked(msg, NULL);
	}
	return r == 0;
}

static int32_t on_socket(int32_t fd, int32_t revents, void *user)
{
	struct hv_client *c = user;
	ssize_t n;

	if (revents & POLLOUT)
		flush(c);
	n = recv(fd, wire_reader_room(&c->reader, READ_ROOM), READ_ROOM, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		give_up(c, n < 0 ? strerror(errno) : "closed its socket");
		return 0;
	}
	wire_reader_added(&c->reader, (size_t)n);
	if (!take_frames(c))
		give_up(c, "sent what is not a message");
	return 0;
}

static void on_ping(void *user)
{
	struct hv_client *c = user;
	Hv__HvPing ping = HV__HV_PING__INIT;
	Hv__HvRequest req = HV__HV_REQUEST__INIT;

	qb_loop_timer_add(c->loop, QB_LOOP_LOW, HV_CLIENT_PING_US * 1000, c, on_ping, &c->ping);
	if (c->sock < 0)
		return;
	if (!c->why[0] && mono_us() - c->heard_us > HV_CLIENT_SILENCE_US)
		snprintf(c->why, sizeof(c->why), "does not answer");
	if (c->why[0]) {
		give_up(c, c->why);
		c->why[0] = '\0';
		return;
	}
	ping.seq = ++c->ping_seq;
	req.body_case = HV__HV_REQUEST__BODY_PING;
	req.ping = &ping;
	hv_client_send(c, &req);
}

/* ---- life */

bool hv_client_up(const struct hv_client *c)
{
	return c->ready;
}

struct hv_client *hv_client_new(qb_loop_t *loop, const char *path, const char *uri,
				const char *state_dir, const struct hv_client_ops *ops, void *user)
{
	struct hv_client *c = hv_xcalloc(1, sizeof(*c));

	c->loop = loop;
	c->path = hv_xstrdup(path);
	c->uri = uri ? hv_xstrdup(uri) : NULL;
	c->state_dir = hv_xstrdup(state_dir);
	c->ops = *ops;
	c->user = user;
	c->sock = c->pidfd = -1;
	c->pause_us = PAUSE_MIN_US;
	start(c);
	qb_loop_timer_add(loop, QB_LOOP_LOW, HV_CLIENT_PING_US * 1000, c, on_ping, &c->ping);
	return c;
}

void hv_client_free(struct hv_client *c)
{
	struct pollfd p;

	if (!c)
		return;
	close_socket(c);
	if (c->pidfd >= 0) {
		qb_loop_poll_del(c->loop, c->pidfd);
		p = (struct pollfd){.fd = c->pidfd, .events = POLLIN};
		if (poll(&p, 1, 1000) == 0)
			kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
		close(c->pidfd);
	}
	if (c->restart)
		qb_loop_timer_del(c->loop, c->restart);
	qb_loop_timer_del(c->loop, c->ping);
	free(c->path);
	free(c->uri);
	free(c->state_dir);
	free(c);
}
