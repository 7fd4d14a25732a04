/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/integration/netcorosync.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "test set-up: %s: %s\n", what, strerror(errno));
	exit(99);
}

static void loopback_up(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &ifr) == 0, "loopback");
	close(fd);
}

const char *netcorosync_enter(void)
{
	static const char *const private_dirs[] = {"/dev/shm", "/run", "/etc/corosync",
						   "/var/lib/corosync", "/var/log"};

	if (geteuid() != 0)
		return "it needs root for namespaces of its own";
	if (access("/usr/sbin/corosync", X_OK) != 0)
		return "corosync is not installed";
	if (unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return "this kernel or container gives no namespaces";
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
	for (size_t i = 0; i < sizeof(private_dirs) / sizeof(*private_dirs); i++)
		must(mount("none", private_dirs[i], "tmpfs", 0, "mode=0755,size=256m") == 0,
		     private_dirs[i]);
	must(sethostname("alpha", 5) == 0, "host name");
	must(mkdir("/run/corosync", 0755) == 0 || errno == EEXIST, "/run/corosync");
	must(mkdir("/var/log/corosync", 0755) == 0, "/var/log/corosync");
	loopback_up();
	return NULL;
}

void netcorosync_configure(int n_nodes, const char *alpha_name)
{
	static const char *const names[] = {"alpha", "beta", "gamma", "delta"};
	FILE *f = fopen("/etc/corosync/corosync.conf", "w");

	must(f != NULL && n_nodes <= 4, "corosync.conf");
	fprintf(f, "totem {\n version: 2\n cluster_name: linktest\n transport: knet\n token: 700\n"
		   " crypto_cipher: none\n crypto_hash: none\n}\n"
		   "quorum {\n provider: corosync_votequorum\n}\n"
		   "logging {\n to_stderr: no\n to_logfile: yes\n logfile: "
		   "/var/log/corosync/c.log\n to_syslog: no\n}\n"
		   "nodelist {\n");
	for (int i = 0; i < n_nodes; i++)
		fprintf(f, " node {\n  name: %s\n  nodeid: %d\n  ring0_addr: 127.0.0.%d\n }\n",
			i == 0 && alpha_name ? alpha_name : names[i], 11 + i, 1 + i);
	fprintf(f, "}\n");
	fclose(f);
}

pid_t netcorosync_start(void)
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/usr/sbin/corosync", "corosync", "-f", (char *)NULL);
		_exit(127);
	}
	return pid;
}

void netcorosync_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

bool netcorosync_reload(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open("/dev/null", O_WRONLY);

		dup2(fd, 1);
		execl("/usr/sbin/corosync-cfgtool", "corosync-cfgtool", "-R", (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}
