/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/bundle.h"

#include "cli/child.h"
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COMMAND_S 20
#define PACK_S 600

/* ---- life */

static char *bundle_name(void)
{
	char host[65] = "host", when[32];
	time_t now = (time_t)(cli_wall_ms() / 1000);
	struct tm tm;

	gethostname(host, sizeof(host) - 1);
	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	return hv_xasprintf("hvcluster-debug-%s-%s", host, when);
}

enum hv_rc bundle_open(struct bundle *b, char **ret_why)
{
	*b = (struct bundle){.fd = -1};
	b->parent = hv_xstrdup("/tmp/hvcluster-debug.XXXXXX");
	b->name = bundle_name();
	b->notes = hv_xstrdup("");
	if (!mkdtemp(b->parent)) {
		*ret_why = hv_xasprintf("cannot make a folder in /tmp: %s", strerror(errno));
		return HV_IO;
	}
	b->dir = hv_xasprintf("%s/%s", b->parent, b->name);
	if (mkdir(b->dir, 0700) == 0)
		b->fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->fd < 0) {
		*ret_why = hv_xasprintf("cannot make %s: %s", b->dir, strerror(errno));
		return HV_IO;
	}
	return HV_OK;
}

static void remove_one(void *user, const char *name, uint64_t bytes)
{
	struct bundle *b = user;

	unlinkat(b->fd, name, 0);
}

void bundle_close(struct bundle *b)
{
	if (b->fd >= 0) {
		bundle_list(b, remove_one, b);
		close(b->fd);
	}
	if (b->dir)
		rmdir(b->dir);
	if (b->parent)
		rmdir(b->parent);
	secrets_done(&b->secrets);
	free(b->parent);
	free(b->name);
	free(b->dir);
	free(b->notes);
	*b = (struct bundle){.fd = -1};
}

void bundle_note(struct bundle *b, const char *fmt, ...)
{
	_cleanup_free_ char *old = b->notes;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	b->notes = hv_xasprintf("%s%s\n", old, text);
}

/* ---- collecting */

static int make_file(struct bundle *b, const char *name)
{
	int fd = openat(b->fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		bundle_note(b, "%s: cannot be written: %s", name, strerror(errno));
	return fd;
}

void bundle_command(struct bundle *b, const char *name, const char *const argv[])
{
	int fd = make_file(b, name), status;

	if (fd < 0)
		return;
	status = child_to_file(argv, fd, fd, COMMAND_S);
	close(fd);
	if (status < 0) {
		bundle_note(b, "%s: %s cannot be run: %s", name, argv[0], strerror(-status));
		unlinkat(b->fd, name, 0);
	} else if (status) {
		bundle_note(b, "%s: %s ended with status %d", name, argv[0], status);
	}
}

static void write_text(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

void bundle_text(struct bundle *b, const char *name, const char *text)
{
	int fd = make_file(b, name);

	if (fd < 0)
		return;
	write_text(fd, text, strlen(text));
	close(fd);
}

/* "key: abc", "totem.key (str) = abc", but not "keyfile". */
static bool names_key(const char *line, size_t len)
{
	const char *at = line, *end = line + len;

	while ((at = memmem(at, (size_t)(end - at), "key", 3))) {
		const char *after = at + 3;
		bool begins = at == line || strchr(" \t.", at[-1]);

		if (begins && (after == end || strchr(" \t:=(", *after)))
			return true;
		at = after;
	}
	return false;
}

static void copy_lines(int fd, const char *text, size_t len, bool keys)
{
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) + 1 : len;

		if (keys && names_key(text, n))
			write_text(fd, "# a key, left out\n", 18);
		else
			write_text(fd, text, n);
		text += n;
		len -= n;
	}
}

/* The last `max` bytes. */
static char *read_end(int dir, const char *path, size_t max, size_t *ret_len)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *data = NULL;
	ssize_t n;

	*ret_len = 0;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		off_t from = (uint64_t)st.st_size > max ? st.st_size - (off_t)max : 0;

		max = (uint64_t)st.st_size < max ? (size_t)st.st_size : max;
		data = hv_xcalloc(1, max + 1);
		while (*ret_len < max &&
		       (n = pread(fd, data + *ret_len, max - *ret_len, from + (off_t)*ret_len)) > 0)
			*ret_len += (size_t)n;
	} else {
		errno = EINVAL;
	}
	close(fd);
	return data;
}

void bundle_file(struct bundle *b, const char *name, const char *path, bool keys)
{
	size_t len;
	_cleanup_free_ char *data = read_end(AT_FDCWD, path, BUNDLE_FILE_MAX, &len);
	int fd;

	if (!data) {
		bundle_note(b, "%s: %s cannot be read: %s", name, path, strerror(errno));
		return;
	}
	fd = make_file(b, name);
	if (fd < 0)
		return;
	copy_lines(fd, data, len, keys);
	close(fd);
}

void bundle_folder(struct bundle *b, const char *prefix, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		_cleanup_free_ char *name = hv_xasprintf("%s%s", prefix, e->d_name);
		_cleanup_free_ char *full = hv_xasprintf("%s/%s", path, e->d_name);

		if (*e->d_name != '.')
			bundle_file(b, name, full, false);
	}
	if (dir)
		closedir(dir);
}

void bundle_history(struct bundle *b, const char *path)
{
	_cleanup_free_ char *to = hv_xasprintf("%s/replay.history", b->dir), *why = NULL;
	uint64_t entries = 0;
	enum hv_rc rc = history_export(path, to, &b->secrets, &entries, &why);

	b->history = rc == HV_OK;
	if (rc == HV_OK)
		return;
	bundle_note(b, "replay.history: %s", why);
	if (!entries)
		unlink(to);
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

/* ---- looking */

void bundle_list(const struct bundle *b, bundle_fn fn, void *user)
{
	struct dirent **names = NULL;
	int n = scandir(b->dir, &names, NULL, alphasort);
	struct stat st;

	for (int i = 0; i < n; i++) {
		if (fstatat(b->fd, names[i]->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			fn(user, names[i]->d_name, (uint64_t)st.st_size);
		free(names[i]);
	}
	free(names);
}

struct cleaning {
	struct bundle *b;
	size_t files;
};

/* Over each secret, stars of its length. False if there was none. */
static bool mask(const struct secrets *s, char *data, size_t len)
{
	bool found = false;
	char *at;

	for (size_t i = 0; i < s->count; i++)
		while ((at = memmem(data, len, s->values[i], strlen(s->values[i])))) {
			memset(at, '*', strlen(s->values[i]));
			found = true;
		}
	return found;
}

static void clean_one(void *user, const char *name, uint64_t bytes)
{
	struct cleaning *c = user;
	size_t len;
	_cleanup_free_ char *data = read_end(c->b->fd, name, bytes, &len);
	int fd;

	if (!data || !mask(&c->b->secrets, data, len))
		return;
	c->files++;
	unlinkat(c->b->fd, name, 0);
	/* A history with stars in it is none; it should not have had any. */
	fd = ends_with(name, ".history") ? -1 : make_file(c->b, name);
	bundle_note(c->b, "%s: a secret was in it, %s", name,
		    fd < 0 ? "the file is left out" : "stars are there now");
	if (fd < 0)
		return;
	write_text(fd, data, len);
	close(fd);
}

size_t bundle_clean(struct bundle *b)
{
	struct cleaning c = {.b = b};

	bundle_list(b, clean_one, &c);
	return c.files;
}

/* ---- packing */

enum hv_rc bundle_pack(const struct bundle *b, const char *path, char **ret_why)
{
	const char *how = ends_with(path, ".tar.zst")				  ? "--zstd"
			  : ends_with(path, ".tar.gz") || ends_with(path, ".tgz") ? "--gzip"
										  : NULL;
	const char *const argv[] = {"tar", "--create", how, "-C", b->parent, b->name, NULL};
	int fd, status;

	if (!how) {
		*ret_why = hv_xasprintf("the name ends with .tar.zst or .tar.gz, not '%s'", path);
		return HV_BAD_INPUT;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		*ret_why = hv_xasprintf("cannot write %s: %s", path, strerror(errno));
		return HV_IO;
	}
	status = child_to_file(argv, fd, -1, PACK_S);
	close(fd);
	if (status == 0)
		return HV_OK;
	unlink(path);
	*ret_why = hv_xasprintf("tar %s ended with status %d", how, status);
	return HV_IO;
}
