/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/sever.h"

#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STATE_ESTABLISHED = 1, STATE_SYN_SENT = 2 }; /* of the kernel's table */

/* What to look for, and what was found. */
struct wanted {
	const struct addrinfo *to;
	unsigned port;
	unsigned long *inodes;
	size_t count;
};

static void file_closep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static void dir_closep(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Each 32 bits of an address are written as a number of this machine. */
bool tcp_row_parse(const char *line, struct tcp_row *ret)
{
	char text[40] = "";
	size_t words;

	memset(ret, 0, sizeof(*ret));
	if (sscanf(line,
		   " %*u: %*[0-9A-Fa-f]:%*x %32[0-9A-Fa-f]:%x %x %*x:%*x %*x:%*x %*x %*u %*u %lu",
		   text, &ret->port, &ret->state, &ret->inode) != 4)
		return false;
	words = strlen(text) / 8;
	if (words != 1 && words != 4)
		return false;
	ret->family = words == 1 ? AF_INET : AF_INET6;
	for (size_t i = words; i-- > 0;) {
		uint32_t word = (uint32_t)strtoul(text + 8 * i, NULL, 16);

		memcpy(ret->to + 4 * i, &word, sizeof(word));
		text[8 * i] = '\0';
	}
	return true;
}

static bool is_address(const struct tcp_row *row, const struct addrinfo *a)
{
	if ((int)row->family != a->ai_family)
		return false;
	if (a->ai_family == AF_INET)
		return memcmp(row->to, &((const struct sockaddr_in *)(void *)a->ai_addr)->sin_addr,
			      4) == 0;
	return memcmp(row->to, &((const struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_addr, 16) ==
	       0;
}

static bool is_wanted(const struct tcp_row *row, const struct wanted *w)
{
	if (row->state == STATE_SYN_SENT)
		return true;
	if (row->state != STATE_ESTABLISHED || row->port != w->port)
		return false;
	for (const struct addrinfo *a = w->to; a; a = a->ai_next)
		if (is_address(row, a))
			return true;
	return false;
}

static void collect(const char *path, struct wanted *w)
{
	_cleanup_(file_closep) FILE *f = fopen(path, "re");
	struct tcp_row row;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (!tcp_row_parse(line, &row) || !is_wanted(&row, w) || row.inode == 0)
			continue;
		w->inodes = hv_xrealloc(w->inodes, w->count + 1, sizeof(*w->inodes));
		w->inodes[w->count++] = row.inode;
	}
}

/* ---- whose they are */

static bool is_program(const char *pid, const char *program)
{
	char path[64], comm[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, comm, sizeof(comm) - 1);
	close(fd);
	if (n <= 0)
		return false;
	comm[n] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
	return strcmp(comm, program) == 0;
}

static bool leads_there(const char *path, const struct wanted *w)
{
	char text[64] = "";
	unsigned long inode;

	if (readlink(path, text, sizeof(text) - 1) <= 0 ||
	    sscanf(text, "socket:[%lu]", &inode) != 1)
		return false;
	for (size_t i = 0; i < w->count; i++)
		if (w->inodes[i] == inode)
			return true;
	return false;
}

/* Looked at again as our own copy: the number may be another's by then. */
static bool shut_down(int process, int number, const struct wanted *w)
{
	char path[64];
	int fd = (int)syscall(SYS_pidfd_getfd, process, number, 0);
	bool ok;

	if (fd < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ok = leads_there(path, w) && shutdown(fd, SHUT_RDWR) == 0;
	close(fd);
	return ok;
}

static unsigned sever_in(const char *pid, const struct wanted *w)
{
	_cleanup_(dir_closep) DIR *dir = NULL;
	int process = (int)syscall(SYS_pidfd_open, (pid_t)strtol(pid, NULL, 10), 0);
	const struct dirent *d;
	unsigned count = 0;
	char path[64];

	if (process < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%.16s/fd/%.16s", pid, d->d_name);
		if (leads_there(path, w))
			count += shut_down(process, (int)strtol(d->d_name, NULL, 10), w);
	}
	close(process);
	return count;
}

unsigned sever(const char *program, const char *host, const char *port)
{
	_cleanup_(dir_closep) DIR *dir = opendir("/proc");
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *to = NULL;
	struct wanted w = {.port = (unsigned)strtoul(port, NULL, 10)};
	const struct dirent *d;
	unsigned count = 0;

	if (getaddrinfo(host, port, &hints, &to) != 0)
		return 0;
	w.to = to;
	collect("/proc/self/net/tcp", &w);
	collect("/proc/self/net/tcp6", &w);
	while (w.count > 0 && dir && (d = readdir(dir)))
		if (d->d_name[0] >= '1' && d->d_name[0] <= '9' && is_program(d->d_name, program))
			count += sever_in(d->d_name, &w);
	free(w.inodes);
	freeaddrinfo(to);
	return count;
}
