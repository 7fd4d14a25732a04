/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/stuck.h"

#include "hypervisor/pool.h"
#include "hypervisor/qemu_proc.h"
#include "proto/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FINE, FREED, STUCK };

/* One for the thread, one for whoever began it; the last one frees it. */
struct stuck_watch {
	atomic_uint users;
	atomic_bool end;
	atomic_int result; /* one of these */
	atomic_int err;
	char uuid[HV_UUID_LEN + 1];
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
	if (w && atomic_fetch_sub(&w->users, 1) == 1)
		free(w);
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

static void *watch(void *data)
{
	struct stuck_watch *w = data;
	struct stuck_look before = {0}, now;
	pid_t pid = qemu_proc_find(w->uuid);
	unsigned same = 0;

	while (pid > 0 && !atomic_load(&w->end)) {
		if (!stuck_look(pid, &now))
			same = 0;
		else if (memcmp(&now, &before, sizeof(now)) != 0)
			same = 1;
		else
			same++;
		before = now;
		if (same > STUCK_MS / STUCK_LOOK_MS) {
			free_it(w, pid, &now);
			same = 0;
		}
		poll(NULL, 0, STUCK_LOOK_MS);
	}
	put(w);
	return NULL;
}

struct stuck_watch *stuck_begin(const char *uuid)
{
	struct stuck_watch *w = hv_xcalloc(1, sizeof(*w));

	atomic_store(&w->users, 2);
	snprintf(w->uuid, sizeof(w->uuid), "%s", uuid);
	if (thread_start(watch, w))
		return w;
	free(w);
	return NULL;
}

void stuck_end(struct stuck_watch *w)
{
	if (w)
		atomic_store(&w->end, true);
	put(w);
}

void stuck_say(const struct stuck_watch *w, char *text, size_t size)
{
	int result = w ? atomic_load(&w->result) : FINE;

	if (result == FREED)
		snprintf(text, size,
			 "QEMU stood still for %d s because the target did not answer, and its "
			 "connection was shut down: ",
			 STUCK_MS / 1000);
	else if (result == STUCK)
		snprintf(text, size,
			 "QEMU stands still because the target does not answer, and its connection "
			 "could not be shut down (%s): ",
			 strerror(atomic_load(&w->err)));
	else
		text[0] = '\0';
}
