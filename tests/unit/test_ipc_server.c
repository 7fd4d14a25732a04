/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real libqb on both sides: the server on a loop of this process, the client in a child. */
#include "clusterd/ipc_server.h"
#include "proto/ipc.h"
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <qb/qbipcc.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct seen {
	qb_loop_t *loop;
	struct ipc_server *server;
	unsigned requests, malformed, gone;
	enum hv_rc rc;
	char payload[64];
};

static void on_request(void *user, uint64_t client, uid_t uid, const uint8_t *payload, size_t len)
{
	struct seen *s = user;

	s->requests++;
	snprintf(s->payload, sizeof(s->payload), "%.*s", (int)len, (const char *)payload);
	ipc_server_reply(s->server, client, (const uint8_t *)"fine", 4);
}

static void on_malformed(void *user, uint64_t client, enum hv_rc rc, const char *why)
{
	struct seen *s = user;

	s->malformed++;
	s->rc = rc;
	ipc_server_reply(s->server, client, (const uint8_t *)"bad", 3);
}

static void on_gone(void *user, uint64_t client)
{
	struct seen *s = user;

	s->gone++;
}

static void on_timeout(void *user)
{
	struct seen *s = user;

	qb_loop_stop(s->loop);
}

static int32_t on_child(int32_t fd, int32_t revents, void *user)
{
	struct seen *s = user;

	/* A moment for what the child left behind. */
	qb_loop_timer_add(s->loop, QB_LOOP_LOW, 50 * 1000000ULL, s, on_timeout, NULL);
	return -1;
}

/* What a client does in the child; returns its exit status. */
typedef int (*client_fn)(qb_ipcc_connection_t *c);

static int run_child(const char *name, client_fn fn)
{
	qb_ipcc_connection_t *c = qb_ipcc_connect(name, HV_IPC_MAX);
	int status;

	if (!c)
		return 100;
	status = fn(c);
	qb_ipcc_disconnect(c);
	return status;
}

/* Serves one client; returns its exit status. */
static int serve(struct seen *s, client_fn fn)
{
	static const struct ipc_server_ops ops = {on_request, on_malformed, on_gone};
	char name[64], *text = NULL;
	int end[2], status = -1;
	pid_t pid;

	if (geteuid() != 0)
		cr_skip_test("the control socket lets only root in");
	snprintf(name, sizeof(name), "hvtest-%d", (int)getpid());
	s->loop = qb_loop_create();
	s->server = ipc_server_new(s->loop, name, &ops, s, &text);
	cr_assert(s->server, "%s", text);
	cr_assert_eq(pipe(end), 0);
	pid = fork();
	if (pid == 0) {
		close(end[0]);
		_exit(run_child(name, fn));
	}
	close(end[1]);
	qb_loop_poll_add(s->loop, QB_LOOP_LOW, end[0], POLLIN | POLLHUP, s, on_child);
	qb_loop_timer_add(s->loop, QB_LOOP_LOW, 5 * 1000000000ULL, s, on_timeout, NULL);
	qb_loop_run(s->loop);
	waitpid(pid, &status, 0);
	ipc_server_free(s->server);
	close(end[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
}

/* Sends `len` bytes that claim to be `claimed`; the answer's payload must be `want`. */
static int exchange(qb_ipcc_connection_t *c, uint8_t *message, size_t len, int32_t claimed,
		    const char *want)
{
	struct qb_ipc_request_header header = {.id = HV_IPC_REQUEST, .size = claimed};
	uint8_t answer[256];
	const uint8_t *payload;
	size_t payload_len;
	ssize_t n;

	memcpy(message, &header, sizeof(header));
	if (qb_ipcc_send(c, message, len) != (ssize_t)len)
		return 1;
	n = qb_ipcc_recv(c, answer, sizeof(answer), 2000);
	if (n < (ssize_t)sizeof(struct qb_ipc_response_header))
		return 2;
	if (!wire_frame_open(answer + sizeof(struct qb_ipc_response_header),
			     (size_t)n - sizeof(struct qb_ipc_response_header), &payload,
			     &payload_len))
		return 3;
	return payload_len == strlen(want) && memcmp(payload, want, payload_len) == 0 ? 0 : 4;
}

#define HEADER sizeof(struct qb_ipc_request_header)

static size_t hello(uint8_t *message)
{
	memcpy(message + HEADER + WIRE_HEADER_LEN, "hello", 5);
	wire_header_put(message + HEADER, message + HEADER + WIRE_HEADER_LEN, 5);
	return HEADER + WIRE_HEADER_LEN + 5;
}

static int whole_frames(qb_ipcc_connection_t *c)
{
	uint8_t m[128] = {0};
	size_t len = hello(m);

	for (int i = 0; i < 3; i++) {
		if (exchange(c, m, len, (int32_t)len, "fine"))
			return 10 + i;
	}
	return 0;
}

Test(ipc_server, whole_frames_are_answered_one_after_the_other)
{
	struct seen s = {0};

	cr_assert_eq(serve(&s, whole_frames), 0);
	cr_assert_eq(s.requests, 3);
	cr_assert_str_eq(s.payload, "hello");
	cr_assert_eq(s.malformed, 0);
	cr_assert_eq(s.gone, 1);
}

/* An honest frame first, whose bytes libqb's buffer still holds when the short one comes. */
static int truncated(qb_ipcc_connection_t *c)
{
	uint8_t m[128] = {0};
	size_t len = hello(m);
	int r = exchange(c, m, len, (int32_t)len, "fine");

	if (r)
		return 20 + r;
	memcpy(m + HEADER + WIRE_HEADER_LEN, "HELLO", 5);
	wire_header_put(m + HEADER, m + HEADER + WIRE_HEADER_LEN, 5);
	return exchange(c, m, len - 3, (int32_t)len, "bad");
}

Test(ipc_server, a_truncated_frame_is_refused_although_the_header_claims_all_of_it)
{
	struct seen s = {0};

	cr_assert_eq(serve(&s, truncated), 0);
	cr_assert_eq(s.requests, 1);
	cr_assert_eq(s.malformed, 1);
	cr_assert_eq(s.rc, HV_BAD_INPUT);
}

static int oversized(qb_ipcc_connection_t *c)
{
	static uint8_t m[HV_IPC_MAX];

	return exchange(c, m, sizeof(m), HV_IPC_MAX + 1, "bad");
}

Test(ipc_server, an_oversized_frame_is_refused)
{
	struct seen s = {0};

	cr_assert_eq(serve(&s, oversized), 0);
	cr_assert_eq(s.requests, 0);
	cr_assert_eq(s.rc, HV_TOO_LARGE);
}

static int header_only(qb_ipcc_connection_t *c)
{
	uint8_t m[64] = {0};

	return exchange(c, m, HEADER, HEADER, "bad");
}

Test(ipc_server, a_header_without_a_frame_is_refused)
{
	struct seen s = {0};

	cr_assert_eq(serve(&s, header_only), 0);
	cr_assert_eq(s.malformed, 1);
	cr_assert_eq(s.rc, HV_BAD_INPUT);
}

static int garbage(qb_ipcc_connection_t *c)
{
	uint8_t m[512];

	for (size_t i = 0; i < sizeof(m); i++)
		m[i] = (uint8_t)(i * 37);
	return exchange(c, m, sizeof(m), sizeof(m), "bad");
}

Test(ipc_server, garbage_is_refused)
{
	struct seen s = {0};

	cr_assert_eq(serve(&s, garbage), 0);
	cr_assert_eq(s.malformed, 1);
}
