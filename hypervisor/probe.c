/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage-probe PATH - does this folder or device answer, here and now? Exit status 0: yes; 1: no,
 * and why on stdout. It may hang as long as the storage does: its caller waits for it, not it for
 * anything.
 *
 * A folder: a small file of our own is written past the page cache, and read again. A folder that
 * may only be read is listed. A device: its first block is read. A full disk is not a lost one.
 *
 * storage-probe --disk PATH - the same of a disk's file or device: its first block is read, and its
 * folder probed. storage-probe --room PATH - is there room again for what this file wants to grow
 * by? A device that has run out of space behind our back (a thin LUN) cannot be asked:
 * STORAGE_PROBE_BLIND.
 */
#include "hypervisor/storage.h"
#include "proto/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BLOCK 4096
#define ROOM_BYTES (64ULL << 20) /* enough for a guest to go on for a moment ... */
#define ROOM_PART 20		 /* ... or a 20th of a small file system */

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

static int probe_folder_of(const char *path, void *block)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder = NULL;

	if (!slash)
		return 0;
	folder = hv_xasprintf("%.*s", slash > path ? (int)(slash - path) : 1, path);
	return probe_folder(folder, block);
}

static int probe_room(const char *path, const struct stat *st)
{
	struct statvfs fs;
	unsigned long long room, wanted;

	if (!S_ISREG(st->st_mode)) {
		printf("a device's room cannot be seen\n");
		return STORAGE_PROBE_BLIND;
	}
	if (statvfs(path, &fs) != 0)
		return failed("its file system does not say");
	room = (unsigned long long)fs.f_bavail * fs.f_frsize;
	wanted = (unsigned long long)fs.f_blocks * fs.f_frsize / ROOM_PART;
	if (wanted > ROOM_BYTES)
		wanted = ROOM_BYTES;
	printf("%llu MiB are free\n", room >> 20);
	return room >= wanted && room > 0 ? 0 : 1;
}

static int probe(const char *what, const char *path, void *block)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return failed("it cannot be found");
	if (strcmp(what, "--room") == 0)
		return probe_room(path, &st);
	if (S_ISDIR(st.st_mode))
		return probe_folder(path, block);
	if (strcmp(what, "--disk") == 0 && S_ISREG(st.st_mode) && probe_folder_of(path, block) != 0)
		return 1;
	return probe_device(path, block);
}

int main(int argc, char **argv)
{
	const char *what = argc == 3 ? argv[1] : "";
	void *block = NULL;

	if (argc < 2 || argc > 3 ||
	    (argc == 3 && strcmp(what, "--disk") != 0 && strcmp(what, "--room") != 0)) {
		fprintf(stderr, "usage: storage-probe [--disk|--room] PATH   (hypervisord calls "
				"it)\n");
		return 2;
	}
	if (posix_memalign(&block, BLOCK, BLOCK) != 0)
		return failed("no memory");
	memset(block, 'h', BLOCK);
	return probe(what, argv[argc - 1], block);
}
