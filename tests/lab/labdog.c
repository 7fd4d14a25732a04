/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labdog MOUNTPOINT MOUNT-NAMESPACE PID-FILE COMMAND...: the watchdog of a lab's host.
 *
 * A FUSE file system with one file, `watchdog`, that knows the kernel's watchdog ioctls: opening it
 * starts a timer, KEEPALIVE starts it anew, magic close stops it, and when it runs out COMMAND is
 * run, which resets the host. It lives outside of the host, as the real one does: a host that is
 * frozen or whose power is cut changes nothing here. SIGUSR1 stops the timer: the host is off.
 *
 * Two processes: the first one stays in the machine's mount namespace and runs COMMAND, the second
 * mounts and serves in the namespace that the hosts are made from. It is a regular file, since
 * there is no way to make a character device (CUSE); restricted FUSE ioctls cannot carry
 * SETOPTIONS' argument, so that it is refused.
 */
#define FUSE_USE_VERSION 35
#include "proto/base.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <linux/watchdog.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_NAME "/watchdog"
#define LOOK_NS 20000000
#define PRESET_S 60

extern char **environ;

static struct {
	pthread_mutex_t lock;
	bool running, opened, expect_close;
	int timeout_s;
	uint64_t due_ms;
	int bite_fd;
} dog = {.lock = PTHREAD_MUTEX_INITIALIZER, .timeout_s = PRESET_S};
static volatile sig_atomic_t host_is_off;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void feed(void)
{
	dog.running = true;
	dog.due_ms = now_ms() + (uint64_t)dog.timeout_s * 1000;
}

/* ---- the file */

static int dog_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	memset(st, 0, sizeof(*st));
	st->st_mode = strcmp(path, "/") == 0 ? S_IFDIR | 0755 : S_IFREG | 0600;
	st->st_nlink = 1;
	return strcmp(path, "/") == 0 || strcmp(path, FILE_NAME) == 0 ? 0 : -ENOENT;
}

static int dog_open(const char *path, struct fuse_file_info *fi)
{
	int rc = 0;

	(void)path;
	fi->direct_io = 1;
	pthread_mutex_lock(&dog.lock);
	if (dog.opened) {
		rc = -EBUSY;
	} else {
		dog.opened = true;
		dog.expect_close = false;
		feed();
	}
	pthread_mutex_unlock(&dog.lock);
	return rc;
}

static int dog_write(const char *path, const char *data, size_t len, off_t at,
		     struct fuse_file_info *fi)
{
	(void)path;
	(void)at;
	(void)fi;
	pthread_mutex_lock(&dog.lock);
	dog.expect_close = memchr(data, 'V', len) != NULL;
	feed();
	pthread_mutex_unlock(&dog.lock);
	return (int)len;
}

static int dog_release(const char *path, struct fuse_file_info *fi)
{
	(void)path;
	(void)fi;
	pthread_mutex_lock(&dog.lock);
	dog.opened = false;
	if (dog.expect_close)
		dog.running = false;
	pthread_mutex_unlock(&dog.lock);
	return 0;
}

static int answer(unsigned int cmd, void *data)
{
	static const struct watchdog_info info = {.options = WDIOF_SETTIMEOUT |
							     WDIOF_KEEPALIVEPING | WDIOF_MAGICCLOSE,
						  .identity = "lab"};

	switch (cmd) {
	case WDIOC_GETSUPPORT:
		memcpy(data, &info, sizeof(info));
		return 0;
	case WDIOC_KEEPALIVE:
		feed();
		return 0;
	case WDIOC_SETTIMEOUT:
		if (*(int *)data < 1 || *(int *)data > 3600)
			return -EINVAL;
		dog.timeout_s = *(int *)data;
		feed();
		return 0;
	case WDIOC_GETTIMEOUT:
		*(int *)data = dog.timeout_s;
		return 0;
	}
	return -ENOTTY;
}

static int dog_ioctl(const char *path, unsigned int cmd, void *arg, struct fuse_file_info *fi,
		     unsigned int flags, void *data)
{
	int rc;

	(void)path;
	(void)arg;
	(void)fi;
	(void)flags;
	pthread_mutex_lock(&dog.lock);
	rc = answer(cmd, data);
	pthread_mutex_unlock(&dog.lock);
	return rc;
}

/* ---- the timer */

static void *watch(void *unused)
{
	const struct timespec pause = {.tv_nsec = LOOK_NS};

	for (;;) {
		bool bite;

		nanosleep(&pause, NULL);
		pthread_mutex_lock(&dog.lock);
		if (host_is_off)
			dog.running = false;
		host_is_off = 0;
		bite = dog.running && now_ms() >= dog.due_ms;
		if (bite)
			dog.running = false;
		pthread_mutex_unlock(&dog.lock);
		if (bite && write(dog.bite_fd, "!", 1) != 1)
			return NULL;
	}
	return unused;
}

static void on_host_off(int sig)
{
	(void)sig;
	host_is_off = 1;
}

/* fuse_main() goes to the background no more: its threads are its own by then. */
static void *dog_init(struct fuse_conn_info *conn, struct fuse_config *cfg)
{
	pthread_t thread;

	(void)conn;
	cfg->kernel_cache = 0;
	if (pthread_create(&thread, NULL, watch, NULL) == 0)
		pthread_detach(thread);
	return NULL;
}

static int serve(char *program, char *mountpoint, const char *ns)
{
	static const struct fuse_operations ops = {.init = dog_init,
						   .getattr = dog_getattr,
						   .open = dog_open,
						   .write = dog_write,
						   .release = dog_release,
						   .ioctl = dog_ioctl};
	char *argv[] = {program, (char *)"-f", mountpoint, NULL};
	int fd = open(ns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNS) < 0) {
		perror(ns);
		return 1;
	}
	close(fd);
	signal(SIGUSR1, on_host_off);
	return fuse_main(3, argv, &ops, NULL);
}

/* ---- the bite */

static void bite(char **command)
{
	pid_t pid;

	if (posix_spawnp(&pid, command[0], NULL, NULL, command, environ) != 0)
		perror(command[0]);
	else
		waitpid(pid, NULL, 0);
}

static void write_pid(const char *path, pid_t pid)
{
	FILE *f = fopen(path, "we");

	if (!f)
		return;
	fprintf(f, "%d\n", (int)pid);
	fclose(f);
}

int main(int argc, char **argv)
{
	int fds[2];
	pid_t server;
	char c;

	if (argc < 5 || pipe2(fds, O_CLOEXEC) < 0) {
		fprintf(stderr, "usage: labdog MOUNTPOINT MOUNT-NAMESPACE PID-FILE COMMAND...\n");
		return 2;
	}
	server = fork();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		close(fds[0]);
		dog.bite_fd = fds[1];
		_exit(serve(argv[0], argv[1], argv[2]));
	}
	close(fds[1]);
	write_pid(argv[3], server);
	while (read(fds[0], &c, 1) == 1)
		bite(argv + 4);
	waitpid(server, NULL, 0);
	return 0;
}
