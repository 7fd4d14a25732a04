/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/start_register.h"

#include "hypervisor/job.h"
#include "hypervisor/permit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
	char uuid[HV_UUID_LEN + 1];
	unsigned calls;	   /* in progress */
	bool lost;	   /* one is over for us, perhaps not for libvirtd */
	uint64_t until_us; /* lost: when it counts as settled; 0: libvirt was not yet heard again */
	struct entry *next;
};

static struct {
	pthread_mutex_t lock;
	struct entry *first;
	int dir;
} reg = {.lock = PTHREAD_MUTEX_INITIALIZER, .dir = -1};

static struct entry **find(const char *uuid)
{
	struct entry **at = &reg.first;

	while (*at && strcmp((*at)->uuid, uuid) != 0)
		at = &(*at)->next;
	return at;
}

static struct entry *add(const char *uuid)
{
	struct entry *e = hv_xcalloc(1, sizeof(*e));

	hv_assert(hv_uuid_valid(uuid));
	memcpy(e->uuid, uuid, sizeof(e->uuid));
	e->next = reg.first;
	reg.first = e;
	return e;
}

static void drop(struct entry **at)
{
	struct entry *e = *at;

	*at = e->next;
	if (reg.dir >= 0)
		unlinkat(reg.dir, e->uuid, 0);
	free(e);
}

static void drop_settled(void)
{
	uint64_t now = job_now_us();

	for (struct entry **at = &reg.first; *at;) {
		if ((*at)->lost && (*at)->until_us && now >= (*at)->until_us)
			(*at)->lost = false;
		if ((*at)->calls == 0 && !(*at)->lost)
			drop(at);
		else
			at = &(*at)->next;
	}
}

static void adopt_files(void)
{
	DIR *d = fdopendir(dup(reg.dir));
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (hv_uuid_valid(e->d_name))
			add(e->d_name)->lost = true;
	if (d)
		closedir(d);
}

bool start_register_open(const char *dir)
{
	char parent[256];
	const char *slash = strrchr(dir, '/');

	snprintf(parent, sizeof(parent), "%.*s", (int)(slash ? slash - dir : 0), dir);
	if (parent[0])
		mkdir(parent, 0755);
	mkdir(dir, 0700);
	reg.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (reg.dir >= 0)
		adopt_files();
	return reg.dir >= 0;
}

void start_register_begin(const char *uuid)
{
	struct entry *e;
	int fd = -1;

	pthread_mutex_lock(&reg.lock);
	e = *find(uuid);
	if (!e)
		e = add(uuid);
	e->calls++;
	if (reg.dir >= 0)
		fd = openat(reg.dir, uuid, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	pthread_mutex_unlock(&reg.lock);
	if (fd < 0)
		return;
	permit_write(fd, permit_now_us() + PERMIT_START_US);
	close(fd);
}

void start_register_end(const char *uuid, bool lost)
{
	struct entry **at;

	pthread_mutex_lock(&reg.lock);
	at = find(uuid);
	hv_assert(*at && (*at)->calls > 0);
	(*at)->calls--;
	if (lost) {
		(*at)->lost = true;
		(*at)->until_us = 0;
	} else if ((*at)->calls == 0 && !(*at)->lost) {
		drop(at);
	}
	pthread_mutex_unlock(&reg.lock);
}

void start_register_heard(void)
{
	pthread_mutex_lock(&reg.lock);
	drop_settled();
	for (struct entry *e = reg.first; e; e = e->next)
		if (e->lost && !e->until_us)
			e->until_us = job_now_us() + START_SETTLE_US;
	pthread_mutex_unlock(&reg.lock);
}

bool start_register_holds(const char *uuid)
{
	bool holds;

	pthread_mutex_lock(&reg.lock);
	drop_settled();
	holds = *find(uuid);
	pthread_mutex_unlock(&reg.lock);
	return holds;
}

size_t start_register_list(char (**ret_uuids)[HV_UUID_LEN + 1])
{
	size_t n = 0;

	pthread_mutex_lock(&reg.lock);
	drop_settled();
	*ret_uuids = NULL;
	for (const struct entry *e = reg.first; e; e = e->next) {
		*ret_uuids = hv_xrealloc(*ret_uuids, n + 1, sizeof(**ret_uuids));
		memcpy((*ret_uuids)[n++], e->uuid, sizeof(e->uuid));
	}
	pthread_mutex_unlock(&reg.lock);
	return n;
}
