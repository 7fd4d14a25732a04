/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage-probe PATH - does this folder or device answer, here and now? Exit status 0: yes; 1: no,
 * and why on stdout. It may hang as long as the storage does: its caller waits for it, not it for
 * anything.
 *
 * A folder: a small file of our own is written past the page cache, and read again. A folder that
 * may only be read is listed. A device: its first block is read. A full disk is not a lost one.
 */
#include "proto/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096

static int failed(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

/* Where O_DIRECT cannot be had (tmpfs, some FUSE) the kernel's cache answers, which is less. */
static int open_direct(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 && errno == EINVAL ? open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600) : fd;
}

static int probe_device(const char *path, void *block)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		return failed("it cannot be opened");
	if (pread(fd, block, BLOCK, 0) < 0)
		return failed("it cannot be read");
	return 0;
}

static int probe_list(const char *path)
{
	DIR *d = opendir(path);

	if (!d)
		return failed("it cannot be opened");
	errno = 0;
	if (!readdir(d) && errno)
		return failed("it cannot be listed");
	return 0;
}

static int probe_folder(const char *path, void *block)
{
	char host[65] = "host";
	_cleanup_free_ char *file = NULL;
	int fd;

	gethostname(host, sizeof(host) - 1);
	file = hv_xasprintf("%s/.hvcluster-probe-%s", path, host);
	fd = open_direct(file, O_RDWR | O_CREAT);
	if (fd < 0 && (errno == EROFS || errno == EACCES || errno == EPERM || errno == ENOSPC ||
		       errno == EDQUOT))
		return probe_list(path);
	if (fd < 0)
		return failed("a file in it cannot be opened");
	if (pwrite(fd, block, BLOCK, 0) != BLOCK || fdatasync(fd) != 0)
		return errno == ENOSPC || errno == EDQUOT ? 0 : failed("it cannot be written");
	if (pread(fd, block, BLOCK, 0) != BLOCK)
		return failed("what was just written cannot be read");
	return 0;
}

int main(int argc, char **argv)
{
	void *block = NULL;
	struct stat st;

	if (argc != 2) {
		fprintf(stderr, "usage: storage-probe PATH   (hypervisord calls it)\n");
		return 2;
	}
	if (posix_memalign(&block, BLOCK, BLOCK) != 0)
		return failed("no memory");
	memset(block, 'h', BLOCK);
	if (stat(argv[1], &st) != 0)
		return failed("it cannot be found");
	return S_ISDIR(st.st_mode) ? probe_folder(argv[1], block) : probe_device(argv[1], block);
}
