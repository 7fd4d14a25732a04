/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/child.h"

#include "hypervisor/job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEFT_MAX 64 /* that hang in the kernel and are dead only later */
#define DIES_MS 50

extern char **environ;

static struct {
	pthread_mutex_t lock;
	pid_t pids[LEFT_MAX];
	size_t count;
} left = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Those left behind that have died meanwhile. */
static void reap_left(void)
{
	size_t kept = 0;

	pthread_mutex_lock(&left.lock);
	for (size_t i = 0; i < left.count; i++)
		if (waitpid(left.pids[i], NULL, WNOHANG) == 0)
			left.pids[kept++] = left.pids[i];
	left.count = kept;
	pthread_mutex_unlock(&left.lock);
}

/* More than can be noted stay zombies until we end: each has cost a hung storage. */
static void leave(pid_t pid)
{
	kill(pid, SIGKILL);
	for (int i = 0; i < DIES_MS; i++) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		usleep(1000);
	}
	pthread_mutex_lock(&left.lock);
	if (left.count < LEFT_MAX)
		left.pids[left.count++] = pid;
	pthread_mutex_unlock(&left.lock);
}

static pid_t begin(char *const argv[], int out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int r;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	r = posix_spawn(&pid, argv[0], &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	errno = r;
	return r == 0 ? pid : -1;
}

/* Until it closes its output, which it does by ending. False: not in time. */
static bool listen_until(int fd, uint64_t until_us, char *out, size_t size)
{
	size_t len = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t now = job_now_us();
		char spill[256];
		ssize_t n;

		out[len] = '\0';
		if (now >= until_us)
			return false;
		if (poll(&p, 1, (int)((until_us - now) / HV_US_PER_MS) + 1) <= 0)
			continue;
		if (len + 1 < size)
			n = read(fd, out + len, size - 1 - len);
		else
			n = read(fd, spill, sizeof(spill));
		if (n == 0 || (n < 0 && errno != EINTR))
			return true;
		if (n > 0 && len + 1 < size)
			len += (size_t)n;
	}
}

int child_run(char *const argv[], uint32_t ms, char *out, size_t size)
{
	uint64_t until_us = job_now_us() + ms * HV_US_PER_MS;
	int fds[2], status = 0;
	bool ended;
	pid_t pid;

	out[0] = '\0';
	reap_left();
	if (pipe2(fds, O_CLOEXEC) != 0)
		return CHILD_FAILED;
	pid = begin(argv, fds[1]);
	close(fds[1]);
	ended = pid > 0 && listen_until(fds[0], until_us, out, size);
	close(fds[0]);
	if (pid < 0)
		return CHILD_FAILED;
	if (!ended) {
		leave(pid);
		return CHILD_HANGS;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return CHILD_FAILED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_FAILED;
}

char *child_program(const char *name)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	return hv_xasprintf("%.*s/%s", slash ? (int)(slash - self) : 0, self, name);
}
