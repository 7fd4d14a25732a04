/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/stuck.h"

#include "hypervisor/job.h"
#include "hypervisor/pool.h"
#include "hypervisor/qemu_proc.h"
#include "hypervisor/reach.h"
#include "hypervisor/sever.h"
#include "proto/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FINE, FREED, STUCK };
enum { LOOKS = 4 }; /* at least: this process may have stood still, too */

/* One for the thread, one for whoever began it; the last one frees it. */
struct stuck_watch {
	atomic_uint users;
	pthread_mutex_t lock;
	const atomic_bool *cancel; /* under the lock; NULL: the end */
	atomic_int result;	   /* one of these */
	atomic_int err;
	char uuid[HV_UUID_LEN + 1];
	char *host, port[REACH_PORT_LEN];
};

/* What the thread remembers between its looks. */
struct memory {
	pid_t pid; /* of QEMU; not positive: there is none */
	struct stuck_look look;
	unsigned same; /* how often it was seen, and since when */
	uint64_t since_us;
	unsigned cancelled;
	bool reached;
};

/* ---- one look */

static bool read_text(pid_t pid, const char *what, char *buf, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)pid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	return true;
}

/* "47 0x10 0x7ffc..." is a system call and its arguments; "running" and "-1 ..." are none. */
static bool parse_call(const char *text, int *ret_fd)
{
	unsigned long fd;
	long number;

	if (sscanf(text, "%ld %lx", &number, &fd) != 2)
		return false;
	*ret_fd = (int)fd;
	return number == SYS_recvmsg || number == SYS_sendmsg;
}

bool stuck_look(pid_t pid, struct stuck_look *ret)
{
	static const char key[] = "\nvoluntary_ctxt_switches:";
	char status[8192];
	const char *at;
	int fd;

	memset(ret, 0, sizeof(*ret));
	if (!read_text(pid, "syscall", ret->call, sizeof(ret->call)) ||
	    !parse_call(ret->call, &fd) || !read_text(pid, "status", status, sizeof(status)))
		return false;
	at = strstr(status, key);
	return at && sscanf(at + sizeof(key) - 1, "%llu", &ret->switches) == 1;
}

/* ---- the way out */

static bool is_tcp(int fd)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       (domain == AF_INET || domain == AF_INET6) && type == SOCK_STREAM;
}

static bool shut_down(int fd)
{
	if (is_tcp(fd))
		return shutdown(fd, SHUT_RDWR) == 0;
	errno = ENOTSOCK;
	return false;
}

/* The pidfd is taken before the last look: neither process nor descriptor can be another then. */
bool stuck_free(pid_t pid, const struct stuck_look *look)
{
	int process = (int)syscall(SYS_pidfd_open, pid, 0), number, fd, err = 0;
	struct stuck_look now;

	if (process < 0)
		return false;
	fd = parse_call(look->call, &number) ? (int)syscall(SYS_pidfd_getfd, process, number, 0)
					     : -1;
	if (fd < 0)
		err = errno;
	else if (!stuck_look(pid, &now) || memcmp(&now, look, sizeof(now)) != 0)
		err = EAGAIN; /* it goes on by itself */
	else if (!shut_down(fd))
		err = errno;
	if (fd >= 0)
		close(fd);
	close(process);
	errno = err;
	return err == 0;
}

/* ---- the watch */

static void put(struct stuck_watch *w)
{
	if (!w || atomic_fetch_sub(&w->users, 1) > 1)
		return;
	pthread_mutex_destroy(&w->lock);
	free(w->host);
	free(w);
}

/* False: the end. */
static bool ask(struct stuck_watch *w, bool *ret_cancel)
{
	bool on;

	pthread_mutex_lock(&w->lock);
	on = w->cancel;
	*ret_cancel = on && atomic_load(w->cancel);
	pthread_mutex_unlock(&w->lock);
	return on;
}

static void free_it(struct stuck_watch *w, pid_t pid, const struct stuck_look *look)
{
	if (stuck_free(pid, look)) {
		atomic_store(&w->result, FREED);
	} else if (errno != EAGAIN) {
		atomic_store(&w->err, errno);
		atomic_store(&w->result, STUCK);
	}
}

static void look_at_qemu(struct stuck_watch *w, struct memory *m, bool cancel)
{
	uint64_t patience_us = (cancel ? STUCK_ABORT_MS : STUCK_MS) * HV_US_PER_MS;
	struct stuck_look now;

	if (m->pid <= 0)
		return;
	if (!stuck_look(m->pid, &now)) {
		m->same = 0;
		return;
	}
	if (m->same++ == 0 || memcmp(&now, &m->look, sizeof(now)) != 0) {
		m->same = 1;
		m->since_us = job_now_us();
	}
	m->look = now;
	if (m->same < LOOKS || job_now_us() - m->since_us < patience_us)
		return;
	free_it(w, m->pid, &now);
	m->same = 0;
}

/* One that takes connections is left to libvirt. */
static void look_at_target(struct stuck_watch *w, struct memory *m)
{
	static const char *const programs[] = {"libvirtd", "virtqemud"};

	if (m->reached || m->cancelled++ < STUCK_ABORT_MS / STUCK_LOOK_MS)
		return;
	switch (reach(w->host, w->port)) {
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETUNREACH:
		for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
			sever(programs[i], w->host, w->port);
		break;
	default:
		m->reached = true;
	}
}

static void *watch(void *data)
{
	struct stuck_watch *w = data;
	struct memory m = {.pid = qemu_proc_find(w->uuid)};
	bool cancel;

	while (ask(w, &cancel)) {
		look_at_qemu(w, &m, cancel);
		if (cancel && m.same == 0) /* first things first: it blocks */
			look_at_target(w, &m);
		poll(NULL, 0, STUCK_LOOK_MS);
	}
	put(w);
	return NULL;
}

struct stuck_watch *stuck_begin(const char *uuid, const char *target_uri, const atomic_bool *cancel)
{
	struct stuck_watch *w = hv_xcalloc(1, sizeof(*w));

	atomic_store(&w->users, 2);
	pthread_mutex_init(&w->lock, NULL);
	w->cancel = cancel;
	snprintf(w->uuid, sizeof(w->uuid), "%s", uuid);
	reach_address(target_uri, &w->host, w->port);
	if (thread_start(watch, w))
		return w;
	atomic_store(&w->users, 1);
	put(w);
	return NULL;
}

void stuck_end(struct stuck_watch *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->cancel = NULL;
	pthread_mutex_unlock(&w->lock);
	put(w);
}

void stuck_say(const struct stuck_watch *w, char *text, size_t size)
{
	int result = w ? atomic_load(&w->result) : FINE;

	if (result == FREED)
		snprintf(text, size,
			 "QEMU stood still because the target did not answer, and its connection "
			 "was shut down: ");
	else if (result == STUCK)
		snprintf(text, size,
			 "QEMU stands still because the target does not answer, and its connection "
			 "could not be shut down (%s): ",
			 strerror(atomic_load(&w->err)));
	else
		text[0] = '\0';
}
