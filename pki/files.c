/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pki/pki_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

uint64_t pki_now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec;
}

static enum hv_rc failed(const char *what, const char *path, char **ret_why)
{
	*ret_why = hv_xasprintf("cannot %s %s: %s", what, path, strerror(errno));
	return HV_IO;
}

static void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define _cleanup_close_ _cleanup_(closep)

enum hv_rc pki_file_read(const char *path, gnutls_datum_t *ret, char **ret_why)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_datum_ gnutls_datum_t d = {0};
	struct stat st;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st) != 0)
		return failed("read", path, ret_why);
	if (!S_ISREG(st.st_mode) || st.st_size > PKI_FILE_MAX) {
		*ret_why = hv_xasprintf("%s is no certificate and no key", path);
		return HV_BAD_INPUT;
	}
	d.data = gnutls_malloc((size_t)st.st_size + 1);
	hv_assert(d.data);
	n = pread(fd, d.data, (size_t)st.st_size, 0);
	if (n < 0)
		return failed("read", path, ret_why);
	d.size = (unsigned)n;
	*ret = d;
	d.data = NULL;
	return HV_OK;
}

static bool write_all(int fd, const gnutls_datum_t *data)
{
	size_t done = 0;

	while (done < data->size) {
		ssize_t n = write(fd, data->data + done, data->size - done);

		if (n < 0 && errno != EINTR)
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) == 0;
}

enum hv_rc pki_file_write(const char *path, const gnutls_datum_t *data, mode_t mode, gid_t gid,
			  char **ret_why)
{
	_cleanup_free_ char *work = hv_xasprintf("%s.new", path);
	_cleanup_close_ int fd = -1;

	unlink(work);
	fd = open(work, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return failed("make", work, ret_why);
	if ((gid != (gid_t)-1 && fchown(fd, (uid_t)-1, gid) != 0) || fchmod(fd, mode) != 0 ||
	    !write_all(fd, data) || rename(work, path) != 0) {
		enum hv_rc rc = failed("write", path, ret_why);

		unlink(work);
		return rc;
	}
	return HV_OK;
}

enum hv_rc pki_folder_make(const char *path, mode_t mode, char **ret_why)
{
	_cleanup_free_ char *part = hv_xstrdup(path);

	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return failed("make the folder", part, ret_why);
		*slash = '/';
	}
	if (mkdir(path, mode) != 0 && errno != EEXIST)
		return failed("make the folder", path, ret_why);
	return HV_OK;
}
