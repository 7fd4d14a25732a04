/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/qemu_proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CMDLINE_MAX 131072 /* a domain with hundreds of devices; the UUID comes early */

static void dir_closep(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Bytes read, -1 on error. Not terminated. */
static ssize_t read_file(const char *path, char *buf, size_t size)
{
	size_t have = 0;
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while (have < size && (n = read(fd, buf + have, size - have)) > 0)
		have += (size_t)n;
	close(fd);
	return n < 0 ? -1 : (ssize_t)have;
}

/* "guest=NAME,debug-threads=on" or plain "NAME". */
static void take_name(const char *arg, char name[HV_NAME_MAX + 1])
{
	const char *from = strncmp(arg, "guest=", 6) == 0 ? arg + 6 : arg;
	size_t len = strcspn(from, ",");

	if (len > HV_NAME_MAX)
		return;
	memcpy(name, from, len);
	name[len] = '\0';
	if (!hv_name_valid(name))
		name[0] = '\0';
}

/* The words of a command line are separated by zeros; the last word may be cut. */
static bool parse_cmdline(char *buf, size_t len, struct qemu_proc *ret)
{
	const char *before = "";

	buf[len] = '\0';
	memset(ret, 0, sizeof(*ret));
	for (char *arg = buf; arg < buf + len; arg += strlen(arg) + 1) {
		if (strcmp(before, "-name") == 0)
			take_name(arg, ret->name);
		else if (strcmp(before, "-uuid") == 0 && hv_uuid_valid(arg))
			memcpy(ret->uuid, arg, sizeof(ret->uuid));
		before = arg;
	}
	return ret->uuid[0];
}

static bool comm_is_qemu(pid_t pid)
{
	char path[64], comm[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	n = read_file(path, comm, sizeof(comm));
	return n >= 4 && (memcmp(comm, "qemu", 4) == 0 || (n >= 3 && memcmp(comm, "kvm", 3) == 0));
}

static bool read_proc(pid_t pid, struct qemu_proc *ret)
{
	_cleanup_free_ char *buf = NULL;
	char path[64];
	ssize_t n;

	if (!comm_is_qemu(pid))
		return false;
	buf = hv_xcalloc(1, CMDLINE_MAX + 1);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	n = read_file(path, buf, CMDLINE_MAX);
	if (n <= 0 || !parse_cmdline(buf, (size_t)n, ret))
		return false;
	ret->pid = pid;
	return true;
}

static pid_t to_pid(const char *s)
{
	long v = 0;

	for (; isdigit((unsigned char)*s) && v < 100000000; s++)
		v = v * 10 + (*s - '0');
	return *s && *s != '\n' ? 0 : (pid_t)v;
}

bool qemu_proc_list(struct qemu_proc **ret_list, size_t *ret_count)
{
	_cleanup_(dir_closep) DIR *dir = opendir("/proc");
	struct qemu_proc *list = NULL, one;
	const struct dirent *d;
	size_t count = 0;

	if (!dir)
		return false;
	while ((d = readdir(dir))) {
		pid_t pid = to_pid(d->d_name);

		if (pid <= 0 || !read_proc(pid, &one))
			continue;
		list = hv_xrealloc(list, count + 1, sizeof(*list));
		list[count++] = one;
	}
	*ret_list = list;
	*ret_count = count;
	return true;
}

pid_t qemu_proc_find(const char *uuid)
{
	_cleanup_free_ struct qemu_proc *list = NULL;
	size_t count;

	if (!qemu_proc_list(&list, &count))
		return -1;
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].uuid, uuid) == 0)
			return list[i].pid;
	return 0;
}

size_t qemu_proc_count(void)
{
	_cleanup_(dir_closep) DIR *dir = opendir("/proc");
	const struct dirent *d;
	size_t count = 0;

	while (dir && (d = readdir(dir))) {
		pid_t pid = to_pid(d->d_name);

		count += pid > 0 && comm_is_qemu(pid);
	}
	return count;
}

pid_t qemu_proc_by_pidfile(const char *name)
{
	char path[128 + HV_NAME_MAX], text[32];
	ssize_t n;
	pid_t pid;

	if (!hv_name_valid(name))
		return 0;
	snprintf(path, sizeof(path), "/run/libvirt/qemu/%s.pid", name);
	n = read_file(path, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	pid = to_pid(text);
	return pid > 0 && comm_is_qemu(pid) ? pid : 0;
}

/* The pidfd is taken first and the identity checked after: the number cannot be given to another.
 */
bool qemu_proc_kill(pid_t pid, const char *uuid)
{
	struct qemu_proc one;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	bool ok;

	if (fd < 0)
		return false;
	errno = ESRCH;
	ok = read_proc(pid, &one) && strcmp(one.uuid, uuid) == 0 &&
	     syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;
	close(fd);
	return ok;
}
