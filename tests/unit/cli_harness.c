/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/cli_harness.h"

#include "cli/cli.h"
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <qb/qbipcs.h>
#include <qb/qbloop.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static qb_loop_t *loop;
static qb_ipcs_service_t *service;
static char name[64];
static const struct server *script;
static struct run run;
static int open_pipes;

/* ---------------------------------------------------------------- libqb's loop, without its
 * argument */

static int32_t job_add(enum qb_loop_priority p, void *data, qb_loop_job_dispatch_fn fn)
{
	return qb_loop_job_add(loop, p, data, fn);
}

static int32_t poll_add(enum qb_loop_priority p, int32_t fd, int32_t events, void *data,
			qb_ipcs_dispatch_fn_t fn)
{
	return qb_loop_poll_add(loop, p, fd, events, data, fn);
}

static int32_t poll_mod(enum qb_loop_priority p, int32_t fd, int32_t events, void *data,
			qb_ipcs_dispatch_fn_t fn)
{
	return qb_loop_poll_mod(loop, p, fd, events, data, fn);
}

static int32_t poll_del(int32_t fd)
{
	return qb_loop_poll_del(loop, fd);
}

/* ---------------------------------------------------------------- the server */

static void server_start(void *data);

static int32_t on_accept(qb_ipcs_connection_t *c, uid_t uid, gid_t gid)
{
	return -script->refuse;
}

static void on_created(qb_ipcs_connection_t *c)
{
	run.connections++;
}

static int32_t on_closed(qb_ipcs_connection_t *c)
{
	return 0;
}

static void on_destroyed(qb_ipcs_connection_t *c)
{
}

static void server_stop(void *data)
{
	qb_loop_timer_handle timer;

	if (service)
		qb_ipcs_destroy(service); /* ends the connections, too */
	service = NULL;
	if (data)
		qb_loop_timer_add(loop, QB_LOOP_MED, (uint64_t)script->back_ms * 1000000, NULL,
				  server_start, &timer);
}

static void send_response(qb_ipcs_connection_t *c, const Hv__ControlResponse *response,
			  enum server_act act)
{
	const size_t head = sizeof(struct qb_ipc_response_header);
	size_t n = hv__control_response__get_packed_size(response),
	       total = head + WIRE_HEADER_LEN + n;
	uint8_t *buffer = hv_xcalloc(1, total);
	struct qb_ipc_response_header *header = (struct qb_ipc_response_header *)buffer;

	hv__control_response__pack(response, buffer + head + WIRE_HEADER_LEN);
	wire_header_put(buffer + head, buffer + head + WIRE_HEADER_LEN, n);
	if (act == SERVER_GARBLE)
		memset(buffer + head, 'x', total - head);
	if (act == SERVER_SHORT)
		total -= n / 2 + 1;
	header->id = HV_IPC_RESPONSE;
	header->size = (int32_t)total;
	cr_assert_eq(qb_ipcs_response_send(c, buffer, total), (ssize_t)total);
	free(buffer);
}

static int32_t on_message(qb_ipcs_connection_t *c, void *data, size_t size)
{
	const size_t head = sizeof(struct qb_ipc_request_header);
	Hv__ControlResponse response = HV__CONTROL_RESPONSE__INIT;
	Hv__ControlRequest *request;
	const uint8_t *payload;
	qb_loop_timer_handle timer;
	enum server_act act;
	size_t len;

	cr_assert(wire_frame_open((uint8_t *)data + head, size - head, &payload, &len));
	request = hv__control_request__unpack(NULL, len, payload);
	cr_assert(request);
	cr_assert_eq(request->version, HV_IPC_VERSION);
	response.node = (char *)"host1";
	act = script->answer(request, ++run.requests, &response);
	if (act == SERVER_DIE)
		qb_loop_timer_add(loop, QB_LOOP_MED, 0, &response, server_stop, &timer);
	else if (act != SERVER_SILENCE)
		send_response(c, &response, act);
	hv__control_request__free_unpacked(request, NULL);
	return 0;
}

static void server_start(void *data)
{
	static struct qb_ipcs_service_handlers handlers = {
	    .connection_accept = on_accept,
	    .connection_created = on_created,
	    .msg_process = on_message,
	    .connection_closed = on_closed,
	    .connection_destroyed = on_destroyed,
	};
	static struct qb_ipcs_poll_handlers polls = {
	    .job_add = job_add,
	    .dispatch_add = poll_add,
	    .dispatch_mod = poll_mod,
	    .dispatch_del = poll_del,
	};

	service = qb_ipcs_create(name, 0, QB_IPC_SOCKET, &handlers);
	cr_assert(service);
	qb_ipcs_poll_handlers_set(service, &polls);
	qb_ipcs_enforce_buffer_size(service, HV_IPC_MAX);
	cr_assert_eq(qb_ipcs_run(service), 0);
}

/* ---------------------------------------------------------------- the program */

static size_t split(char *line, char **argv, size_t max)
{
	size_t n = 0;

	for (char *save, *word = strtok_r(line, " ", &save); word && n < max;
	     word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
	return n;
}

static int run_program(const char *line, FILE *const *streams)
{
	_cleanup_free_ char *copy = hv_xstrdup(line);
	char *argv[64];
	size_t n = split(copy, argv, 63);

	return cli_main((int)n, argv, name, streams[0], streams[1], streams[2]);
}

/* `others`: the parent's ends of the pipes, or the end of the input would never come. Begins when
 * `go` can be read. */
static _noreturn_ void child(const char *line, int (*fn)(const char *service, FILE *out),
			     const int *ends, const int *others, int go)
{
	FILE *streams[3] = {fdopen(ends[0], "r"), fdopen(ends[1], "w"), fdopen(ends[2], "w")};
	int status;

	for (int i = 0; i < 4; i++)
		close(others[i]);
	if (read(go, &status, 1) != 1)
		_exit(99);
	alarm(25);
	unsetenv("LANG");
	unsetenv("LC_ALL");
	unsetenv("LC_CTYPE");
	setenv("TZ", "UTC", 1);
	dup2(ends[2], STDERR_FILENO);
	status = line ? run_program(line, streams) : fn(name, streams[1]);
	for (int i = 0; i < 3; i++)
		fflush(streams[i]);
	_exit(status);
}

static int32_t on_output(int32_t fd, int32_t events, void *data)
{
	char *text = data;
	size_t len = strlen(text);
	char more[4096];
	ssize_t n = read(fd, more, sizeof(more));

	if (n > 0) { /* what does not fit is read, and forgotten */
		size_t room = RUN_MAX - 1 - len;

		memcpy(text + len, more, (size_t)n < room ? (size_t)n : room);
		return 0;
	}
	qb_loop_poll_del(loop, fd);
	close(fd);
	if (--open_pipes == 0)
		qb_loop_stop(loop);
	return 0;
}

static void fill(int fd, const char *text)
{
	if (text)
		cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static struct run *run_child(const struct server *server, const char *line,
			     int (*fn)(const char *service, FILE *out))
{
	uint64_t began = cli_monotonic_ms();
	int in[2], out[2], err[2], go[2], status;
	pid_t pid;

	memset(&run, 0, sizeof(run));
	script = server;
	snprintf(name, sizeof(name), "hvcluster-test-%d", (int)getpid());
	loop = qb_loop_create();
	cr_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
		  pipe2(err, O_CLOEXEC) == 0 && pipe2(go, O_CLOEXEC) == 0);
	/* Before there is a service: its socket must be the server's alone, so that it can end. */
	pid = fork();
	cr_assert(pid >= 0);
	if (pid == 0)
		child(line, fn, (int[]){in[0], out[1], err[1]},
		      (int[]){in[1], out[0], err[0], go[1]}, go[0]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	close(go[0]);
	fill(in[1], server->in);
	if (server->uid)
		cr_assert_eq(setresuid(server->uid, server->uid, server->uid), 0);
	if (server->answer)
		server_start(NULL);
	fill(go[1], "!");
	open_pipes = 2;
	qb_loop_poll_add(loop, QB_LOOP_MED, out[0], POLLIN, run.out, on_output);
	qb_loop_poll_add(loop, QB_LOOP_MED, err[0], POLLIN, run.err, on_output);
	qb_loop_run(loop);
	server_stop(NULL);
	qb_loop_destroy(loop);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	run.took_ms = (long)(cli_monotonic_ms() - began);
	return &run;
}

struct run *cli_run(const struct server *server, const char *line)
{
	return run_child(server, line, NULL);
}

struct run *child_run(const struct server *server, int (*fn)(const char *service, FILE *out))
{
	return run_child(server, NULL, fn);
}

void must_have(const char *in, const char *text)
{
	cr_assert(strstr(in, text), "'%s' is not in:\n%s", text, in);
}

void must_lack(const char *in, const char *text)
{
	cr_assert(!strstr(in, text), "'%s' is in:\n%s", text, in);
}
