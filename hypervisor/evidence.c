/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest-evidence URI UUID NAME DIR - what a guest that is about to be reset showed last, kept in a
 * folder of its own, DIR/NAME-TIME:
 *
 *   screen.png|.ppm   its screen, as QEMU gives it
 *   serial.txt        the end of its serial port's log, if its XML says where that is
 *   about.txt         its state as libvirt has it, and what could not be kept
 *
 * The folder's path is printed as soon as it is there; what may hang comes after that. Whoever
 * calls waits for a few seconds only and then resets the guest: what was written until then is
 * kept. The folders are root's alone, since a screen may show anything; EVIDENCE_PER_VM of a VM are
 * kept, EVIDENCE_ALL of all.
 *
 * Of what is kept here only the text of the XML is read; the guest's screen and words are copied.
 */
#include "hypervisor/domain_guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EVIDENCE_PER_VM 5
#define EVIDENCE_ALL 100
#define SCREEN_MAX                                                                                 \
	(16u << 20) /* an uncompressed 4K screen has 25 MB; QEMU 7.1 and later say PNG             \
		     */
#define SERIAL_MAX (64u << 10)
#define TIME_SIZE 17 /* 20260101T100000Z */
#define DIGITS "0123456789"

static int folder = -1; /* of this evidence */
static FILE *about;

static _printf_(1, 2) void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(about, fmt, ap);
	va_end(ap);
	fputc('\n', about);
	fflush(about);
}

static const char *libvirts_words(void)
{
	const virError *e = virGetLastError();

	return e && e->message ? e->message : "no reason given";
}

/* libvirt prints errors by itself otherwise. */
static void silence(void *user _unused_, virErrorPtr e _unused_)
{
}

/* ---- folders */

/* "NAME-20260101T100000Z", or with "-2" after it. Where its time begins; NULL: not one of ours. */
static const char *time_of(const char *entry)
{
	for (const char *t = strrchr(entry, 'T'); t && t - entry > 9; t--) {
		const char *at = t - 8;

		if (*t == 'T' && at[-1] == '-' && strspn(at, DIGITS) == 8 &&
		    strspn(t + 1, DIGITS) == 6 && t[7] == 'Z' && (!t[8] || t[8] == '-'))
			return at;
	}
	return NULL;
}

static bool is_of(const char *entry, const char *name)
{
	const char *t = time_of(entry);

	return t && (!name || ((size_t)(t - entry) == strlen(name) + 1 &&
			       strncmp(entry, name, strlen(name)) == 0));
}

static bool remove_folder(int dir, const char *entry)
{
	int fd = openat(dir, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.')
			unlinkat(fd, e->d_name, 0);
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return unlinkat(dir, entry, AT_REMOVEDIR) == 0;
}

/* Removes the oldest of those of `name` (NULL: of all) until `most` are left. */
static void keep(int dir, const char *name, size_t most)
{
	for (;;) {
		char oldest[256] = "";
		size_t count = 0;
		DIR *d = fdopendir(dup(dir));

		if (!d)
			return;
		rewinddir(d);
		for (struct dirent *e; (e = readdir(d));) {
			if (!is_of(e->d_name, name))
				continue;
			count++;
			if (!oldest[0] || strcmp(time_of(e->d_name), time_of(oldest)) < 0)
				snprintf(oldest, sizeof(oldest), "%s", e->d_name);
		}
		closedir(d);
		if (count <= most || !remove_folder(dir, oldest))
			return;
	}
}

static bool make_folder(int dir, const char *path, const char *name)
{
	struct timespec now;
	char stamp[TIME_SIZE];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	for (unsigned i = 1; i < 10; i++) {
		_cleanup_free_ char *entry = i == 1 ? hv_xasprintf("%s-%s", name, stamp)
						    : hv_xasprintf("%s-%s-%u", name, stamp, i);

		if (mkdirat(dir, entry, 0700) != 0) {
			if (errno == EEXIST)
				continue;
			return false;
		}
		folder = openat(dir, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		printf("%s/%s\n", path, entry);
		fflush(stdout);
		return folder >= 0;
	}
	return false;
}

static int create(const char *name)
{
	return openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* ---- what is kept */

static void keep_serial(const char *path)
{
	_cleanup_free_ char *text = hv_xcalloc(1, SERIAL_MAX);
	/* Not a pipe or terminal: those would be read away from somebody, or never end. */
	int in = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), out;
	struct stat st;
	ssize_t n;

	if (in < 0 || fstat(in, &st) != 0 || !S_ISREG(st.st_mode)) {
		note("serial port: %s is not a file that can be read", path);
		if (in >= 0)
			close(in);
		return;
	}
	n = pread(in, text, SERIAL_MAX, st.st_size > SERIAL_MAX ? st.st_size - SERIAL_MAX : 0);
	close(in);
	out = n >= 0 ? create("serial.txt") : -1;
	if (out < 0 || !write_all(out, text, (size_t)n))
		note("serial port: %s", strerror(errno));
	if (out >= 0)
		close(out);
}

static void find_serial(virDomainPtr d)
{
	char *xml = virDomainGetXMLDesc(d, 0);
	_cleanup_free_ char *path = xml ? domain_guest_serial(xml, strlen(xml)) : NULL;

	free(xml);
	if (path)
		keep_serial(path);
	else
		note("serial port: its XML names no file that it is kept in (<log file='...'/>)");
}

static const char *screen_name(const char *mime)
{
	if (strcmp(mime, "image/png") == 0)
		return "screen.png";
	return strcmp(mime, "image/x-portable-pixmap") == 0 ? "screen.ppm" : "screen.image";
}

static bool receive(virStreamPtr s, int out)
{
	static char buf[65536];
	size_t sum = 0;

	for (;;) {
		int n = virStreamRecv(s, buf, sizeof(buf));

		if (n == 0)
			return true;
		if (n < 0 || (sum += (size_t)n) > SCREEN_MAX || !write_all(out, buf, (size_t)n))
			return false;
	}
}

static void keep_screen(virConnectPtr v, virDomainPtr d)
{
	virStreamPtr s = virStreamNew(v, 0);
	char *mime = s ? virDomainScreenshot(d, s, 0, 0) : NULL;
	int out = mime ? create(screen_name(mime)) : -1;

	if (out < 0)
		note("screen: %s", mime ? strerror(errno) : libvirts_words());
	else if (!receive(s, out))
		note("screen: not whole: %s", libvirts_words());
	else
		virStreamFinish(s);
	if (out >= 0)
		close(out);
	free(mime);
	if (s)
		virStreamFree(s);
}

/* False: libvirt could not even be asked. */
static bool take(const char *uri, const char *uuid)
{
	virConnectPtr v = virConnectOpen(uri);
	virDomainPtr d = v ? virDomainLookupByUUIDString(v, uuid) : NULL;
	int state = -1, reason = -1;

	if (!d) {
		note("libvirt: %s", libvirts_words());
		return false;
	}
	virDomainGetState(d, &state, &reason, 0);
	note("state: %d, reason: %d (virDomainState)", state, reason);
	find_serial(d);
	keep_screen(v, d);
	virDomainFree(d);
	virConnectClose(v);
	return true;
}

int main(int argc, char **argv)
{
	int dir, fd;
	bool taken;

	if (argc != 5 || !hv_uuid_valid(argv[2]) || !hv_name_valid(argv[3])) {
		fprintf(stderr,
			"usage: guest-evidence URI UUID NAME DIR   (hypervisord calls it)\n");
		return 2;
	}
	umask(077);
	virSetErrorFunc(NULL, silence);
	if (mkdir(argv[4], 0700) != 0 && errno != EEXIST)
		return 1;
	dir = open(argv[4], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || !make_folder(dir, argv[4], argv[3]))
		return 1;
	fd = create("about.txt");
	about = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!about)
		return 1;
	note("VM %s (%s)", argv[3], argv[2]);
	taken = take(argv[1], argv[2]);
	keep(dir, argv[3], EVIDENCE_PER_VM);
	keep(dir, NULL, EVIDENCE_ALL);
	if (taken)
		note("complete");
	return fclose(about) == 0 && taken ? 0 : 1;
}
