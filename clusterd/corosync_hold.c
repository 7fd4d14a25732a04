/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/corosync_hold.h"

#include "clusterd/host_time.h"
#include "clusterd/logging.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_US (20 * HV_US_PER_S)  /* the program may take so long */
#define AGAIN_US (5 * HV_US_PER_S) /* corosync is not as it shall be: once more */
#define LOOK_US (1 * HV_US_PER_S)  /* while something is to be done */

extern char **environ;

struct corosync_hold {
	qb_loop_t *loop;
	const char *program;
	char boot_id[64];
	char *record;
	struct ringwatch watch;
	bool down;	/* as the watch wants it */
	bool ours;	/* we took it down, and it has not been seen up since */
	bool went_down; /* it was seen down since we took it down */
	bool link_up;
	uint64_t self_us;
	pid_t child;
	int pidfd;
	const char *verb;
	uint64_t run_us; /* when the program was run last */
	qb_loop_timer_handle timer;
	char text[192];
};

static void look(struct corosync_hold *h);

/* ---- the record: taken down by us, in this boot */

static bool record_found(const struct corosync_hold *h)
{
	char text[sizeof(h->boot_id)] = "";
	int fd = open(h->record, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return n > 0 && strcmp(text, h->boot_id) == 0;
}

/* Before corosync is stopped: if it cannot be written, a successor would leave corosync down. */
static bool record_write(const struct corosync_hold *h)
{
	size_t len = strlen(h->boot_id);
	int fd = open(h->record, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, h->boot_id, len) == (ssize_t)len;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* ---- the program */

static void child_over(struct corosync_hold *h)
{
	qb_loop_poll_del(h->loop, h->pidfd);
	close(h->pidfd);
	h->pidfd = -1;
	h->child = 0;
}

static int32_t on_exit_of_child(int32_t fd, int32_t events, void *user)
{
	struct corosync_hold *h = user;
	int status = 0;

	if (waitpid(h->child, &status, WNOHANG) == 0)
		return 0;
	child_over(h);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		log_error("'%s %s' failed (%s %d): %s corosync by hand", h->program, h->verb,
			  WIFEXITED(status) ? "status" : "signal",
			  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), h->verb);
	look(h);
	return 0;
}

static int spawn(struct corosync_hold *h)
{
	char *argv[] = {(char *)h->program, (char *)h->verb, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	r = posix_spawn(&h->child, h->program, &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

static void run(struct corosync_hold *h, const char *verb)
{
	int r;

	h->verb = verb;
	h->run_us = mono_us();
	r = spawn(h);
	if (r != 0) {
		h->child = 0;
		log_error("%s cannot be run: %s; %s corosync by hand (clusterd's option "
			  "--corosync-control)",
			  h->program, strerror(r), verb);
		return;
	}
	h->pidfd = pidfd_open(h->child, 0);
	hv_assert(h->pidfd >= 0);
	fcntl(h->pidfd, F_SETFD, FD_CLOEXEC);
	qb_loop_poll_add(h->loop, QB_LOOP_HIGH, h->pidfd, POLLIN, h, on_exit_of_child);
}

/* ---- looking */

static void on_timer(void *user)
{
	struct corosync_hold *h = user;

	h->timer = 0;
	look(h);
}

static void arm(struct corosync_hold *h, uint64_t now)
{
	uint64_t due = ringwatch_due_us(&h->watch, now, h->self_us), wait;

	if (h->timer)
		qb_loop_timer_del(h->loop, h->timer);
	h->timer = 0;
	if (h->ours && (!due || due > now + LOOK_US))
		due = now + LOOK_US;
	if (!due)
		return;
	wait = due > now ? due - now : 0;
	qb_loop_timer_add(h->loop, QB_LOOP_HIGH, (wait + HV_US_PER_MS) * 1000, h, on_timer,
			  &h->timer);
}

static void changed(struct corosync_hold *h, bool down)
{
	h->down = down;
	h->run_us = 0;
	if (!down) {
		log_notice("starting corosync again: does the network hear this host now?");
		return;
	}
	if (!record_write(h))
		log_error("%s cannot be written: %s; should clusterd end now, start corosync by "
			  "hand",
			  h->record, strerror(errno));
	h->ours = true;
	h->went_down = false;
	log_error(
	    "this host forms one ring after the other without quorum and keeps the others "
	    "from working: taking corosync down for %llu s. A link that loses packets in "
	    "one direction does that: look at cables, switch and firewall of this host",
	    (unsigned long long)((h->watch.until_us - mono_us() + HV_US_PER_S / 2) / HV_US_PER_S));
}

/* Corosync is what it shall be, or the program is at work on it. */
static void see_to_it(struct corosync_hold *h, uint64_t now)
{
	if (h->child > 0) {
		if (now > h->run_us + RUN_US)
			kill(h->child, SIGKILL);
		return;
	}
	if (!h->down && h->link_up) {
		h->ours = false;
		unlink(h->record);
		return;
	}
	if (h->down != h->link_up && h->run_us)
		return;
	if (!h->run_us || now > h->run_us + AGAIN_US)
		run(h, h->down ? "stop" : "start");
}

static void look(struct corosync_hold *h)
{
	uint64_t now = mono_us();
	bool down;

	if (!*h->program)
		return;
	h->went_down = h->went_down || (h->ours && !h->link_up);
	/* Somebody has started it by hand, after it was down. */
	if (h->down && h->link_up && h->went_down && h->child == 0)
		ringwatch_came_up(&h->watch);
	down = ringwatch_step(&h->watch, now, h->self_us);
	if (down != h->down)
		changed(h, down);
	if (h->ours)
		see_to_it(h, now);
	arm(h, now);
}

/* ---- from the links */

void corosync_hold_token(struct corosync_hold *h, uint32_t token_ms)
{
	h->watch.cfg = ringwatch_preset(token_ms);
}

void corosync_hold_ring(struct corosync_hold *h, struct rl_ring ring, const hv_node_id *members,
			size_t n)
{
	ringwatch_ring(&h->watch, mono_us(), ring, members, n);
}

void corosync_hold_votes(struct corosync_hold *h, struct rl_ring ring, bool quorate)
{
	ringwatch_votes(&h->watch, mono_us(), ring, quorate);
}

void corosync_hold_look(struct corosync_hold *h, uint64_t self_us, bool link_up)
{
	h->self_us = self_us;
	h->link_up = link_up;
	look(h);
}

const char *corosync_hold_doing(struct corosync_hold *h)
{
	uint64_t now = mono_us(), until = h->watch.until_us;

	if (!h->ours)
		return NULL;
	if (!h->down)
		return "corosync was taken down by clusterd and is being started again";
	snprintf(h->text, sizeof(h->text),
		 "taken out by itself for another %llu s: it formed ring after ring without quorum "
		 "(packets lost in one direction?)",
		 (unsigned long long)(until > now ? (until - now) / HV_US_PER_S + 1 : 0));
	return h->text;
}

/* ---- life */

struct corosync_hold *corosync_hold_new(qb_loop_t *loop, const struct corosync_hold_config *cfg)
{
	struct corosync_hold *h = hv_xcalloc(1, sizeof(*h));
	struct ringwatch_cfg preset = ringwatch_preset(0);

	h->loop = loop;
	h->program = cfg->program;
	h->pidfd = -1;
	snprintf(h->boot_id, sizeof(h->boot_id), "%s", cfg->boot_id);
	h->record = hv_xasprintf("%s/corosync-taken-down", cfg->state_dir);
	ringwatch_init(&h->watch, &preset);
	if (*h->program && record_found(h)) {
		log_notice("an earlier clusterd has taken corosync down: starting it");
		ringwatch_resume(&h->watch);
		h->ours = true;
		look(h);
	} else {
		unlink(h->record);
	}
	return h;
}

void corosync_hold_free(struct corosync_hold *h)
{
	if (!h)
		return;
	if (h->timer)
		qb_loop_timer_del(h->loop, h->timer);
	if (h->child > 0) {
		kill(h->child, SIGKILL);
		while (waitpid(h->child, NULL, 0) < 0 && errno == EINTR)
			;
		child_over(h);
	}
	free(h->record);
	free(h);
}
