/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipmitool-quiet: ipmitool(1) with the password in a file that nobody else sees.
 *
 * fence_ipmilan gives ipmitool its password as an argument, which every user of the host can read
 * until ipmitool has blanked it. So fence/agent_text.c does not give fence_ipmilan the password,
 * but this program for ipmitool, and on standard input, which fence_ipmilan leaves to its children,
 * a comment line that it skips:
 *
 *     # password SECRET
 *
 * We read that line, put the password into a memory file, leave out "-P ''", and become
 * "ipmitool -f /proc/self/fd/N ...". Nothing of it is in an argument, the environment or on a disk.
 */
#include "proto/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define MARK "# password "
#define ARGS_MAX 64
#define INPUT_MAX 131072

static int fail(const char *what)
{
	fprintf(stderr, "ipmitool-quiet: %s: %s\n", what, strerror(errno));
	return 1;
}

/* All of standard input, whoever has read it before us: it is a file. */
static ssize_t read_input(char *buf, size_t size)
{
	int fd = open("/proc/self/fd/0", O_RDONLY | O_CLOEXEC);
	ssize_t n = 0, len = 0;

	if (fd < 0)
		return -1;
	while ((size_t)len < size && (n = read(fd, buf + len, size - (size_t)len)) > 0)
		len += n;
	close(fd);
	return n < 0 ? -1 : len;
}

/* A file that holds the password, or -1. */
static int password_file(char *input, size_t len)
{
	char *line = input, *end;
	int fd;

	for (; line && line < input + len; line = end ? end + 1 : NULL) {
		end = memchr(line, '\n', len - (size_t)(line - input));
		if (strncmp(line, MARK, strlen(MARK)) == 0)
			break;
	}
	if (!line || line >= input + len) {
		errno = ENOENT;
		return -1;
	}
	line += strlen(MARK);
	end = end ? end : input + len;
	fd = memfd_create("ipmi-password", 0);
	if (fd >= 0 &&
	    (write(fd, line, (size_t)(end - line)) != end - line || lseek(fd, 0, SEEK_SET) < 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int main(int argc, char **argv)
{
	static char input[INPUT_MAX + 1];
	static const struct rlimit no_core = {0, 0};
	char file[32], *args[ARGS_MAX + 4];
	int n = 0, fd;
	ssize_t len;

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &no_core);
	if (argc < 1 || argc > ARGS_MAX) {
		errno = E2BIG;
		return fail("arguments");
	}
	len = read_input(input, INPUT_MAX);
	fd = len < 0 ? -1 : password_file(input, (size_t)len);
	explicit_bzero(input, sizeof(input));
	if (fd < 0)
		return fail("no password on standard input");
	snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
	args[n++] = (char *)"ipmitool";
	args[n++] = (char *)"-f";
	args[n++] = file;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-P") == 0) /* and the empty word after it */
			i++;
		else
			args[n++] = argv[i];
	}
	args[n] = NULL;
	execvp("ipmitool", args);
	return fail("ipmitool");
}
