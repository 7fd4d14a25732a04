/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/permit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEAD "hvcluster-managed 1\n"
#define TAIL "end\n"
#define LINE (HV_UUID_LEN + 1)

uint64_t permit_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * HV_US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}

static void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define _cleanup_close_ _cleanup_(closep)

/* ---- permits */

bool permit_write(int fd, uint64_t until_us)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", until_us);

	return pwrite(fd, text, (size_t)n, 0) == n;
}

bool permit_valid(const char *run_dir, const char *kind, const char *uuid, uint64_t now_us)
{
	_cleanup_free_ char *path = hv_xasprintf("%s/%s/%s", run_dir, kind, uuid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[32], *end;
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	if (n <= 0)
		return false;
	text[n] = '\0';
	errno = 0;
	return now_us < strtoull(text, &end, 10) && errno == 0 && *end == '\n';
}

static bool wanted(const char *uuid, char *const *uuids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(uuids[i], uuid) == 0)
			return true;
	return false;
}

static void drop_others(int dir, char *const *uuids, size_t n)
{
	DIR *d = fdopendir(dup(dir));
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && !wanted(e->d_name, uuids, n))
			unlinkat(dir, e->d_name, 0);
	if (d)
		closedir(d);
}

bool permit_set_incoming(const char *run_dir, char *const *uuids, size_t n, uint64_t until_us)
{
	_cleanup_free_ char *path = hv_xasprintf("%s/" PERMIT_INCOMING, run_dir);
	_cleanup_close_ int dir = -1;
	bool ok = true;

	mkdir(run_dir, 0755);
	mkdir(path, 0700);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;
	drop_others(dir, uuids, n);
	for (size_t i = 0; i < n; i++) {
		_cleanup_close_ int fd =
		    openat(dir, uuids[i], O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		ok = fd >= 0 && permit_write(fd, until_us) && ok;
	}
	return ok;
}

/* ---- the cluster's VMs */

static bool write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			return false;
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

bool permit_write_managed(const char *state_dir, char *const *uuids, size_t n)
{
	_cleanup_free_ char *path = hv_xasprintf("%s/" PERMIT_MANAGED, state_dir);
	_cleanup_free_ char *work = hv_xasprintf("%s.new", path);
	_cleanup_free_ char *text = hv_xcalloc(1, sizeof(HEAD) + n * LINE + sizeof(TAIL));
	_cleanup_close_ int fd = -1;
	char *p = stpcpy(text, HEAD);

	for (size_t i = 0; i < n; i++) {
		p = stpcpy(p, uuids[i]);
		*p++ = '\n';
	}
	p = stpcpy(p, TAIL);
	fd = open(work, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd >= 0 && write_all(fd, text, (size_t)(p - text)) && fsync(fd) == 0 &&
	       rename(work, path) == 0;
}

enum permit_answer permit_is_managed(const char *state_dir, const char *uuid)
{
	_cleanup_free_ char *path = hv_xasprintf("%s/" PERMIT_MANAGED, state_dir);
	FILE *f = fopen(path, "re");
	enum permit_answer answer = PERMIT_UNKNOWN;
	char line[64];
	bool found = false;

	if (!f)
		return errno == ENOENT ? PERMIT_NO : PERMIT_UNKNOWN;
	if (fgets(line, sizeof(line), f) && strcmp(line, HEAD) == 0)
		while (fgets(line, sizeof(line), f)) {
			if (strcmp(line, TAIL) == 0) {
				answer = found ? PERMIT_YES : PERMIT_NO;
				break;
			}
			found |= strncmp(line, uuid, HV_UUID_LEN) == 0 && line[HV_UUID_LEN] == '\n';
		}
	fclose(f);
	return answer;
}
