/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/storage.h"

#include "hypervisor/job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct place {
	struct storage *owner;
	struct place *next;
	char *path;
	bool wanted;
	pid_t pid; /* of its probe, 0: none */
	int out;   /* what the probe says; ends when it does */
	uint64_t began_us;
	char said[HV_TEXT_MAX];
	size_t said_len;
	unsigned errors; /* in a row */
	bool bad, hangs, lasts;
	uint64_t bad_us; /* since when */
	char why[HV_TEXT_MAX];
};

struct storage {
	qb_loop_t *loop;
	char *program;
	struct storage_hooks hooks;
	struct place
	    *first; /* ascending path; those not wanted any more go when their probe has ended */
};

static void judge(struct place *p, bool bad, bool hangs, const char *why)
{
	uint64_t now = job_now_us();
	bool lasts, same;

	if (bad && !p->bad)
		p->bad_us = now;
	lasts = bad && now - p->bad_us >= STORAGE_LASTS_MS * HV_US_PER_MS;
	same = p->bad == bad && p->hangs == hangs && p->lasts == lasts;
	p->bad = bad;
	p->hangs = hangs;
	p->lasts = lasts;
	snprintf(p->why, sizeof(p->why), "%s", why);
	if (!same && p->wanted)
		p->owner->hooks.changed(p->owner->hooks.user);
}

/* ---- a probe */

static void ended(struct place *p)
{
	int status = 0;

	qb_loop_poll_del(p->owner->loop, p->out);
	close(p->out);
	p->out = -1;
	/* Its end of the pipe is closed, so it has done all that could hang. */
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
	p->said[p->said_len] = '\0';
	hv_text_flatten(p->said);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		p->errors = 0;
		judge(p, false, false, "");
	} else if (++p->errors >= STORAGE_ERRORS || p->bad) {
		/* one that could be killed at last says no more than before */
		judge(p, true, p->hangs && WIFSIGNALED(status),
		      p->said[0] ? p->said
		      : p->hangs ? "it does not answer"
				 : "its probe ended without a word");
	}
}

static int32_t on_output(int32_t fd, int32_t revents, void *user)
{
	struct place *p = user;
	ssize_t n = read(fd, p->said + p->said_len, sizeof(p->said) - 1 - p->said_len);

	if (n > 0)
		p->said_len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		ended(p);
	return 0;
}

static void begin(struct place *p)
{
	char *argv[] = {p->owner->program, p->path, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int out[2], r;

	if (pipe2(out, O_CLOEXEC | O_NONBLOCK) != 0)
		return;
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	r = posix_spawn(&p->pid, argv[0], &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	close(out[1]);
	if (r != 0) { /* our own fault, and says nothing of the storage */
		close(out[0]);
		p->pid = 0;
		return;
	}
	p->out = out[0];
	p->said_len = 0;
	p->began_us = job_now_us();
	qb_loop_poll_add(p->owner->loop, QB_LOOP_LOW, p->out, POLLIN, p, on_output);
}

static void look(struct place *p)
{
	if (!p->pid) {
		begin(p);
		return;
	}
	if (job_now_us() - p->began_us < STORAGE_HANG_MS * HV_US_PER_MS)
		return;
	judge(p, true, true, "it does not answer");
	kill(p->pid, SIGKILL); /* if it can die, the next one is begun */
}

/* ---- places */

static void drop_unwanted(struct storage *s)
{
	for (struct place **at = &s->first; *at;) {
		struct place *p = *at;

		if (p->wanted || p->pid) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		free(p->path);
		free(p);
	}
}

static void on_timer(void *data)
{
	struct storage *s = data;
	qb_loop_timer_handle t;

	drop_unwanted(s);
	for (struct place *p = s->first; p; p = p->next)
		if (p->wanted)
			look(p);
	qb_loop_timer_add(s->loop, QB_LOOP_LOW, STORAGE_EVERY_MS * 1000000ULL, s, on_timer, &t);
}

static void want(struct storage *s, const char *path)
{
	struct place **at = &s->first, *p;

	while (*at && strcmp((*at)->path, path) < 0)
		at = &(*at)->next;
	if (!*at || strcmp((*at)->path, path) != 0) {
		p = hv_xcalloc(1, sizeof(*p));
		p->owner = s;
		p->path = hv_xstrdup(path);
		p->out = -1;
		p->next = *at;
		*at = p;
		begin(p);
	}
	(*at)->wanted = true;
}

struct storage *storage_new(qb_loop_t *loop, const char *program, const struct storage_hooks *hooks)
{
	struct storage *s = hv_xcalloc(1, sizeof(*s));

	s->loop = loop;
	s->program = hv_xstrdup(program);
	s->hooks = *hooks;
	on_timer(s);
	return s;
}

void storage_watch(struct storage *s, char *const *paths, size_t n)
{
	for (struct place *p = s->first; p; p = p->next)
		p->wanted = false;
	for (size_t i = 0; i < n && i < HV_MAX_STORAGE; i++)
		if (paths[i][0] == '/' && strlen(paths[i]) <= HV_PATH_MAX)
			want(s, paths[i]);
	drop_unwanted(s);
	s->hooks.changed(s->hooks.user);
}

bool storage_bad_at(const struct storage *s, size_t i, struct storage_trouble *ret)
{
	for (const struct place *p = s->first; p; p = p->next) {
		if (!p->wanted || !p->bad || i-- > 0)
			continue;
		*ret = (struct storage_trouble){p->path, p->why, p->hangs, p->lasts};
		return true;
	}
	return false;
}
