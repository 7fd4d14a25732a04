/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/child.h"

#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define POLL_NS 10000000L

static int spawn(const char *const argv[], int fd, int err_fd, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	int err;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, fd, STDOUT_FILENO);
	if (err_fd >= 0)
		posix_spawn_file_actions_adddup2(&files, err_fd, STDERR_FILENO);
	err = posix_spawnp(ret, argv[0], &files, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	return err;
}

int child_to_file(const char *const argv[], int fd, int err_fd, unsigned timeout_s)
{
	uint64_t end = cli_monotonic_ms() + timeout_s * 1000ULL;
	pid_t pid, got;
	int status = 0, err = spawn(argv, fd, err_fd, &pid);

	if (err)
		return -err;
	while ((got = waitpid(pid, &status, WNOHANG)) == 0) {
		nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
		if (cli_monotonic_ms() > end)
			kill(pid, SIGKILL);
	}
	if (got < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
