/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/guest_marks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int folder = -1; /* set once, before there are threads */

#define FILE_NAME_SIZE (HV_UUID_LEN + 16)
static void file_name(char name[FILE_NAME_SIZE], const char *uuid, const char *what)
{
	snprintf(name, FILE_NAME_SIZE, "%.*s.%s", HV_UUID_LEN, uuid, what);
}

bool guest_marks_open(const char *dir)
{
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return false;
	folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder >= 0;
}

static void drop(const char *uuid, const char *what)
{
	char name[FILE_NAME_SIZE];

	file_name(name, uuid, what);
	unlinkat(folder, name, 0);
}

#define TEXT_SIZE (HV_PATH_MAX + 32)

/* A number, and perhaps a word after it. */
static void put(const char *uuid, const char *what, uint64_t number, const char *word)
{
	char name[FILE_NAME_SIZE], text[TEXT_SIZE];
	int len, fd;

	file_name(name, uuid, what);
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	len = snprintf(text, sizeof(text), "%llu %.*s\n", (unsigned long long)number, HV_PATH_MAX,
		       word);
	if (write(fd, text, (size_t)len) != len)
		unlinkat(folder, name, 0);
	close(fd);
}

static bool get(const char *uuid, const char *what, uint64_t *ret, char word[HV_PATH_MAX + 1])
{
	char name[FILE_NAME_SIZE], text[TEXT_SIZE] = "", *end;
	ssize_t n;
	int fd;

	file_name(name, uuid, what);
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	*ret = strtoull(text, &end, 10);
	end += *end == ' ';
	snprintf(word, HV_PATH_MAX + 1, "%.*s", (int)strcspn(end, "\n"), end);
	return true;
}

void guest_marks_set_fired(const char *uuid, bool fired)
{
	if (fired)
		put(uuid, "fired", 1, "");
	else
		drop(uuid, "fired");
}

bool guest_marks_fired(const char *uuid)
{
	char word[HV_PATH_MAX + 1];
	uint64_t n;

	return get(uuid, "fired", &n, word);
}

void guest_marks_each_fired(void (*fn)(const char *uuid, void *user), void *user)
{
	int fd = folder >= 0 ? openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	for (struct dirent *e; d && (e = readdir(d));) {
		char uuid[HV_UUID_LEN + 1];

		if (strlen(e->d_name) <= HV_UUID_LEN ||
		    strcmp(e->d_name + HV_UUID_LEN, ".fired") != 0)
			continue;
		snprintf(uuid, sizeof(uuid), "%.*s", HV_UUID_LEN, e->d_name);
		if (hv_uuid_valid(uuid))
			fn(uuid, user);
	}
	if (d)
		closedir(d);
}

void guest_marks_set_reset(const char *uuid, hv_op_id job, const char *evidence)
{
	put(uuid, "reset", job, evidence);
}

bool guest_marks_reset_by(const char *uuid, hv_op_id job, char ret_evidence[HV_PATH_MAX + 1])
{
	char word[HV_PATH_MAX + 1];
	uint64_t n;

	if (!get(uuid, "reset", &n, word) || n != job)
		return false;
	memcpy(ret_evidence, word, sizeof(word));
	return true;
}

void guest_marks_forget(const char *uuid)
{
	drop(uuid, "fired");
	drop(uuid, "reset");
}
