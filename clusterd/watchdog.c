/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/watchdog.h"

#include "proto/base.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/watchdog.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_LEN 64 /* one line, always as long */
#define RECORD_FORM "hvcluster-watchdog-1 %020" PRIu64 " %05" PRIu32

struct watchdog {
	char *path, *record_path;
	bool any_file;
	int fd, record_fd;
	struct watchdog_info info;
};

struct watchdog *watchdog_new(const char *path, bool any_file, const char *record_path)
{
	struct watchdog *w = hv_xcalloc(1, sizeof(*w));

	w->path = hv_xstrdup(path);
	w->record_path = hv_xstrdup(record_path);
	w->any_file = any_file;
	w->fd = w->record_fd = -1;
	return w;
}

void watchdog_free(struct watchdog *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	if (w->record_fd >= 0)
		close(w->record_fd);
	free(w->path);
	free(w->record_path);
	free(w);
}

const char *watchdog_name(const struct watchdog *w)
{
	return w->info.identity[0] ? (const char *)w->info.identity : "unnamed";
}

/* ---- the device */

static enum hv_rc refuse(struct watchdog *w, enum hv_rc rc, char **ret_text, char *text)
{
	*ret_text = text;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	return rc;
}

static enum hv_rc cannot_open(struct watchdog *w, char **ret_text)
{
	int error = errno;

	if (error == EBUSY)
		return refuse(w, HV_BUSY, ret_text,
			      hv_xasprintf("%s is in use by another program: clusterd must be the "
					   "only one that feeds it (systemd's RuntimeWatchdogSec, "
					   "watchdogd, wd_keepalive, sbd)",
					   w->path));
	return refuse(w, error == ENOENT || error == ENODEV ? HV_NOT_FOUND : HV_IO, ret_text,
		      hv_xasprintf("%s cannot be opened: %s; is its driver loaded?", w->path,
				   strerror(error)));
}

/* Before it is opened, which would start it. */
enum hv_rc watchdog_check(struct watchdog *w, char **ret_text)
{
	struct stat st;

	if (stat(w->path, &st) < 0)
		return cannot_open(w, ret_text);
	if (!S_ISCHR(st.st_mode) && !w->any_file)
		return refuse(w, HV_BAD_CONFIG, ret_text,
			      hv_xasprintf("%s is no character device; only with "
					   "--watchdog-any-file is another file taken for a "
					   "watchdog, for tests",
					   w->path));
	return HV_OK;
}

static enum hv_rc set_timeout(struct watchdog *w, uint32_t timeout_s, uint32_t *ret_ms,
			      char **ret_text)
{
	int s = (int)timeout_s, got = 0;

	if (ioctl(w->fd, WDIOC_GETSUPPORT, &w->info) < 0)
		return refuse(w, HV_BAD_CONFIG, ret_text,
			      hv_xasprintf("%s is no watchdog: %s", w->path, strerror(errno)));
	if (!(w->info.options & WDIOF_KEEPALIVEPING))
		return refuse(w, HV_BAD_CONFIG, ret_text,
			      hv_xasprintf("%s (%s) cannot be fed", w->path, watchdog_name(w)));
	/* One that cannot is used with what it has, if that will do. */
	if (w->info.options & WDIOF_SETTIMEOUT)
		(void)ioctl(w->fd, WDIOC_SETTIMEOUT, &s);
	if (ioctl(w->fd, WDIOC_GETTIMEOUT, &got) < 0 || got <= 0 || got > 86400)
		return refuse(w, HV_BAD_CONFIG, ret_text,
			      hv_xasprintf("%s (%s) does not say how long it waits", w->path,
					   watchdog_name(w)));
	*ret_ms = (uint32_t)got * 1000;
	return HV_OK;
}

enum hv_rc watchdog_open(struct watchdog *w, uint32_t timeout_s, uint32_t *ret_ms, char **ret_text)
{
	enum hv_rc rc = watchdog_check(w, ret_text);

	if (rc != HV_OK)
		return rc;
	w->fd = open(w->path, O_WRONLY | O_CLOEXEC);
	if (w->fd < 0)
		return cannot_open(w, ret_text);
	rc = set_timeout(w, timeout_s, ret_ms, ret_text);
	if (rc == HV_OK && !watchdog_feed(w))
		return refuse(w, HV_IO, ret_text,
			      hv_xasprintf("%s cannot be fed: %s", w->path, strerror(errno)));
	return rc;
}

bool watchdog_feed(struct watchdog *w)
{
	int unused = 0; /* _IOR, by the book */

	return ioctl(w->fd, WDIOC_KEEPALIVE, &unused) == 0;
}

bool watchdog_stop(struct watchdog *w)
{
	int disable = WDIOS_DISABLECARD;
	bool stopped = ioctl(w->fd, WDIOC_SETOPTIONS, &disable) == 0;
	bool unknown = !stopped && (errno == ENOTTY || errno == EOPNOTSUPP || errno == EINVAL);

	/* Refused: it will run on, whatever else is done. Not known: magic close, if it has that.
	 */
	if (!stopped && !(unknown && (w->info.options & WDIOF_MAGICCLOSE)))
		return false;
	if (write(w->fd, "V", 1) != 1 && !stopped)
		return false;
	close(w->fd);
	w->fd = -1;
	return true;
}

/* ---- the record */

void watchdog_record(struct watchdog *w, uint64_t boottime_us, uint32_t timeout_s)
{
	char line[RECORD_LEN];

	if (!boottime_us) {
		if (w->record_fd >= 0)
			close(w->record_fd);
		w->record_fd = -1;
		unlink(w->record_path);
		return;
	}
	if (w->record_fd < 0)
		w->record_fd = open(w->record_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (w->record_fd < 0)
		return; /* a restart will wait for a lease of its own */
	memset(line, ' ', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	line[snprintf(line, sizeof(line), RECORD_FORM, boottime_us, timeout_s)] = ' ';
	if (pwrite(w->record_fd, line, sizeof(line), 0) != (ssize_t)sizeof(line))
		unlink(w->record_path);
}

uint64_t watchdog_recorded(const struct watchdog *w, uint32_t timeout_s)
{
	char line[RECORD_LEN + 1] = "";
	uint64_t at_us = 0;
	uint32_t with_s = 0;
	int fd = open(w->record_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd >= 0 ? read(fd, line, RECORD_LEN) : -1;

	if (fd >= 0)
		close(fd);
	if (n != RECORD_LEN ||
	    sscanf(line, "hvcluster-watchdog-1 %20" SCNu64 " %5" SCNu32, &at_us, &with_s) != 2)
		return 0;
	return with_s == timeout_s ? at_us : 0;
}
