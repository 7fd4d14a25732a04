/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/log_store_files.h"

#include "proto/wire.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DB_NAME "log.db"
#define DAMAGED DB_NAME ".damaged-"
#define MARK_SLOT_SIZE 4096 /* a block each: a torn write spoils one slot only */
#define MARK_MAGIC 0x314b52414d564855ULL

struct mark_slot {
	uint64_t magic, commit; /* little endian */
	uint32_t crc;
} __attribute__((packed));

static char *io_text(const struct store_files *f, const char *what, int err)
{
	const char *advice = err == ENOSPC || err == EDQUOT ? "; free space there"
			     : err == EACCES || err == EPERM
				 ? "; it must belong to the user that clusterd runs as"
				 : "";

	return hv_xasprintf("cannot %s in %s: %s%s", what, f->dir, strerror(err), advice);
}

static enum hv_rc open_dir(struct store_files *f, char **ret_text)
{
	struct stat st;

	if (mkdir(f->dir, 0700) < 0 && errno != EEXIST) {
		*ret_text =
		    hv_xasprintf("cannot make the log's directory %s: %s", f->dir, strerror(errno));
		return HV_IO;
	}
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (f->dir_fd < 0 || fstat(f->dir_fd, &st) < 0) {
		*ret_text =
		    hv_xasprintf("cannot open the log's directory %s: %s", f->dir, strerror(errno));
		return HV_IO;
	}
	if (st.st_uid != geteuid()) {
		*ret_text = hv_xasprintf("%s belongs to user %u, not to the user of clusterd: "
					 "chown it or move it away",
					 f->dir, (unsigned)st.st_uid);
		return HV_IO;
	}
	if ((st.st_mode & 0777) != 0700 && fchmod(f->dir_fd, 0700) < 0) {
		*ret_text = io_text(f, "restrict the permissions", errno);
		return HV_IO;
	}
	return HV_OK;
}

static enum hv_rc take_lock(struct store_files *f, char **ret_text)
{
	f->lock_fd = openat(f->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->lock_fd < 0) {
		*ret_text = io_text(f, "make the lock file", errno);
		return HV_IO;
	}
	if (flock(f->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK) {
			*ret_text = io_text(f, "lock", errno);
			return HV_IO;
		}
		*ret_text = hv_xasprintf("another process has the log in %s open: is clusterd "
					 "running already?",
					 f->dir);
		return HV_BUSY;
	}
	return HV_OK;
}

static uint32_t mark_crc(const struct mark_slot *s)
{
	return wire_crc32c(0, s, offsetof(struct mark_slot, crc));
}

/* A slot that cannot be read or proven is no witness: it is passed over, not believed. */
static enum hv_rc open_mark(struct store_files *f, char **ret_text)
{
	struct mark_slot s;

	f->mark_fd = openat(f->dir_fd, "mark", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->mark_fd < 0) {
		*ret_text = io_text(f, "open the mark file", errno);
		return HV_IO;
	}
	for (int i = 0; i < 2; i++) {
		if (pread(f->mark_fd, &s, sizeof(s), (off_t)i * MARK_SLOT_SIZE) !=
		    (ssize_t)sizeof(s))
			continue;
		if (s.magic != htole64(MARK_MAGIC) || s.crc != htole32(mark_crc(&s)))
			continue;
		if (le64toh(s.commit) > f->mark)
			f->mark = le64toh(s.commit);
	}
	return HV_OK;
}

int store_files_set_mark(struct store_files *f, uint64_t commit)
{
	struct mark_slot s = {.magic = htole64(MARK_MAGIC), .commit = htole64(commit)};
	off_t at = (off_t)(commit & 1) * MARK_SLOT_SIZE;

	s.crc = htole32(mark_crc(&s));
	if (pwrite(f->mark_fd, &s, sizeof(s), at) != (ssize_t)sizeof(s))
		return errno ? -errno : -EIO;
	f->mark = commit;
	return 0;
}

/* "NUMBER CRC\n", the checksum of the digits in hexadecimal. */
static void read_incarnation(struct store_files *f)
{
	char buf[64] = "";
	uint64_t number;
	uint32_t crc;
	ssize_t n;
	size_t digits;
	int fd = openat(f->dir_fd, "incarnation", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return;
	digits = strspn(buf, "0123456789");
	if (digits < 1 || digits > 20 || sscanf(buf, "%20" SCNu64 " %8" SCNx32, &number, &crc) != 2)
		return;
	if (crc == wire_crc32c(0, buf, digits))
		f->incarnation = number;
}

static int write_synced(int dir_fd, const char *name, const char *text)
{
	size_t len = strlen(text);
	int err = 0;
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	errno = ENOSPC; /* a short write says nothing */
	if (write(fd, text, len) != (ssize_t)len || fsync(fd) < 0)
		err = -errno;
	if (close(fd) < 0 && !err)
		err = -errno;
	return err;
}

enum hv_rc store_files_set_incarnation(struct store_files *f, uint64_t incarnation, char **ret_text)
{
	char digits[24], text[64];
	int err;

	snprintf(digits, sizeof(digits), "%" PRIu64, incarnation);
	snprintf(text, sizeof(text), "%s %08" PRIx32 "\n", digits,
		 wire_crc32c(0, digits, strlen(digits)));
	err = write_synced(f->dir_fd, "incarnation.new", text);
	if (!err && renameat(f->dir_fd, "incarnation.new", f->dir_fd, "incarnation") < 0)
		err = -errno;
	if (!err)
		err = store_files_sync_dir(f);
	if (err) {
		*ret_text = io_text(f, "write the start counter", -err);
		return HV_IO;
	}
	f->incarnation = incarnation;
	return HV_OK;
}

int store_files_sync_dir(struct store_files *f)
{
	return fsync(f->dir_fd) < 0 ? -errno : 0;
}

bool store_files_known(const struct store_files *f)
{
	return f->mark || f->incarnation;
}

enum hv_rc store_files_open(struct store_files *f, const char *dir, char **ret_text)
{
	enum hv_rc rc;

	*f = (struct store_files){.dir_fd = -1, .lock_fd = -1, .mark_fd = -1};
	f->dir = hv_xstrdup(dir);
	f->db_path = hv_xasprintf("%s/" DB_NAME, dir);
	rc = open_dir(f, ret_text);
	if (rc == HV_OK)
		rc = take_lock(f, ret_text);
	if (rc == HV_OK)
		rc = open_mark(f, ret_text);
	if (rc == HV_OK)
		read_incarnation(f);
	else
		store_files_close(f);
	return rc;
}

void store_files_close(struct store_files *f)
{
	int *fds[] = {&f->mark_fd, &f->lock_fd, &f->dir_fd};

	if (f->mark_fd >= 0)
		fsync(f->mark_fd); /* a clean stop leaves a clean witness; a failure costs only that
				    */
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	free(steal_ptr(f->dir));
	free(steal_ptr(f->db_path));
}

/* The N of "log.db.damaged-N"; 0 for other names and for companions such as "...-N-wal". */
static unsigned long damaged_number(const char *name)
{
	char *end;
	unsigned long n;

	if (strncmp(name, DAMAGED, strlen(DAMAGED)) != 0)
		return 0;
	n = strtoul(name + strlen(DAMAGED), &end, 10);
	return *end || n > 1000000 ? 0 : n;
}

static int newest_damaged(struct store_files *f, unsigned long *ret_newest)
{
	struct dirent *e;
	DIR *d;
	int fd = openat(f->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret_newest = 0;
	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while ((e = readdir(d)))
		if (damaged_number(e->d_name) > *ret_newest)
			*ret_newest = damaged_number(e->d_name);
	closedir(d);
	return 0;
}

static const char *const companions[] = {"-wal", "-journal", "-shm", ""};

static void remove_damaged(struct store_files *f, unsigned long n)
{
	for (size_t i = 0; i < ARRAY_SIZE(companions); i++) {
		_cleanup_free_ char *name = hv_xasprintf(DAMAGED "%lu%s", n, companions[i]);

		unlinkat(f->dir_fd, name, 0); /* a leftover costs space only */
	}
}

enum hv_rc store_files_move_aside(struct store_files *f, char **ret_name, char **ret_text)
{
	unsigned long newest;
	int err = newest_damaged(f, &newest);

	/* The write-ahead log goes first: left behind, it would be replayed into the new file. */
	for (size_t i = 0; !err && i < ARRAY_SIZE(companions); i++) {
		_cleanup_free_ char *from = hv_xasprintf(DB_NAME "%s", companions[i]);
		_cleanup_free_ char *to = hv_xasprintf(DAMAGED "%lu%s", newest + 1, companions[i]);

		if (renameat(f->dir_fd, from, f->dir_fd, to) < 0 && errno != ENOENT)
			err = -errno;
	}
	if (!err)
		err = store_files_sync_dir(f);
	if (err) {
		*ret_text = io_text(f, "move the damaged log aside", -err);
		return HV_IO;
	}
	if (newest >= STORE_KEEP_DAMAGED)
		remove_damaged(f, newest + 1 - STORE_KEEP_DAMAGED);
	*ret_name = hv_xasprintf("%s/" DAMAGED "%lu", f->dir, newest + 1);
	return HV_OK;
}
