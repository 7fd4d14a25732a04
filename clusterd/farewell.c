/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/farewell.h"

#include "clusterd/logging.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct farewell {
	qb_loop_t *loop;
	struct farewell_ops ops;
	void *user;
	pid_t child;
	int fd; /* its output; -1: it has ended */
	char text[8192];
	size_t len;
	bool announced, begun;
	qb_loop_timer_handle timer;
};

enum node_leaving farewell_read_jobs(const char *text)
{
	static const char *const reboots[] = {"reboot.target", "kexec.target",
					      "soft-reboot.target"};
	static const char *const ends[] = {"poweroff.target", "halt.target", "shutdown.target"};

	for (size_t i = 0; i < ARRAY_SIZE(reboots); i++)
		if (strstr(text, reboots[i]))
			return NODE_REBOOTS;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (strstr(text, ends[i]))
			return NODE_SHUTS_DOWN;
	return NODE_STAYS;
}

static void end_child(struct farewell *f)
{
	if (f->fd >= 0) {
		qb_loop_poll_del(f->loop, f->fd);
		close(f->fd);
	}
	f->fd = -1;
	if (f->child > 0) {
		kill(f->child, SIGKILL);
		while (waitpid(f->child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	f->child = 0;
}

static void set_timer(struct farewell *f, uint64_t us, qb_loop_timer_dispatch_fn fn)
{
	if (f->timer)
		qb_loop_timer_del(f->loop, f->timer);
	f->timer = 0;
	qb_loop_timer_add(f->loop, QB_LOOP_HIGH, us * 1000, f, fn, &f->timer);
}

static void on_late(void *user)
{
	struct farewell *f = user;

	f->timer = 0;
	log_warning("the VMs of this host did not all leave in time: stopping all the same");
	f->ops.over(f->user);
}

static void answered(struct farewell *f)
{
	enum node_leaving leaving = farewell_read_jobs(f->text);

	end_child(f);
	if (leaving == NODE_STAYS || !f->ops.announce(f->user, leaving == NODE_REBOOTS)) {
		f->ops.over(f->user);
		return;
	}
	log_notice("this host %s: announced; its VMs leave it or are shut down",
		   leaving == NODE_REBOOTS ? "reboots" : "shuts down");
	f->announced = true;
	set_timer(f, FAREWELL_US, on_late);
}

static void on_silent(void *user)
{
	struct farewell *f = user;

	f->timer = 0;
	log_warning("systemd does not say what it is at");
	answered(f);
}

static int32_t on_output(int32_t fd, int32_t events, void *user)
{
	struct farewell *f = user;
	ssize_t n = read(fd, f->text + f->len, sizeof(f->text) - 1 - f->len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0) {
		f->len += (size_t)n;
		f->text[f->len] = '\0';
		if (f->len < sizeof(f->text) - 1)
			return 0;
	}
	answered(f);
	return 0;
}

static bool ask(struct farewell *f)
{
	char *argv[] = {(char *)"systemctl", (char *)"list-jobs", (char *)"--no-legend",
			(char *)"--plain", NULL};
	posix_spawn_file_actions_t actions;
	int pipe_fd[2], rc;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return false;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], STDOUT_FILENO);
	rc = posix_spawnp(&f->child, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fd[1]);
	if (rc != 0) {
		f->child = 0;
		close(pipe_fd[0]);
		return false;
	}
	f->fd = pipe_fd[0];
	fcntl(f->fd, F_SETFL, O_NONBLOCK);
	qb_loop_poll_add(f->loop, QB_LOOP_HIGH, f->fd, POLLIN | POLLHUP, f, on_output);
	return true;
}

struct farewell *farewell_begin(qb_loop_t *loop, const struct farewell_ops *ops, void *user)
{
	struct farewell *f = hv_xcalloc(1, sizeof(*f));

	f->loop = loop;
	f->ops = *ops;
	f->user = user;
	f->fd = -1;
	if (!ask(f)) {
		free(f);
		return NULL;
	}
	set_timer(f, FAREWELL_ASK_US, on_silent);
	return f;
}

void farewell_look(struct farewell *f, const struct node *self)
{
	if (!f || !f->announced || !self)
		return;
	f->begun = f->begun || self->leaving != NODE_STAYS;
	if (f->begun && !self->leaving_op) {
		f->announced = false;
		f->ops.over(f->user);
	}
}

void farewell_free(struct farewell *f)
{
	if (!f)
		return;
	if (f->timer)
		qb_loop_timer_del(f->loop, f->timer);
	end_child(f);
	free(f);
}
