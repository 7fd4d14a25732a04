/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process that waits for another host, and what frees it. The child stands for QEMU. */
#include "hypervisor/stuck.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static ssize_t receive(int fd)
{
	char c;
	struct iovec v = {.iov_base = &c, .iov_len = 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

	return recvmsg(fd, &m, 0);
}

/* Two ends of a TCP connection. */
static void tcp_pair(int fds[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int server = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(server, (struct sockaddr *)&a, sizeof(a)), 0);
	cr_assert_eq(listen(server, 1), 0);
	cr_assert_eq(getsockname(server, (struct sockaddr *)&a, &len), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(connect(fds[0], (struct sockaddr *)&a, len), 0);
	fds[1] = accept(server, NULL, NULL);
	cr_assert(fds[1] >= 0);
	close(server);
}

/* A child that receives; its exit code is what receive() returned. */
static pid_t child(int fd)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit((int)receive(fd) & 0xff);
	cr_assert(pid > 0);
	return pid;
}

static struct stuck_look wait_until_it_waits(pid_t pid)
{
	struct stuck_look look;

	for (int i = 0; i < 500; i++) {
		if (stuck_look(pid, &look))
			return look;
		poll(NULL, 0, 10);
	}
	cr_assert_fail("it does not wait");
	abort();
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

Test(stuck, who_waits_for_another_host_is_freed)
{
	struct stuck_look first, second;
	int fds[2], status;
	pid_t pid;

	tcp_pair(fds);
	pid = child(fds[0]);
	first = wait_until_it_waits(pid);
	poll(NULL, 0, 50);
	cr_assert(stuck_look(pid, &second));
	cr_assert_eq(memcmp(&first, &second, sizeof(first)), 0, "it did not run in between");
	cr_assert(stuck_free(pid, &second), "%s", strerror(errno));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "the connection has ended for it");
	cr_assert_eq(receive(fds[1]), 0, "and for the other end");
}

Test(stuck, who_got_something_meanwhile_is_left_alone)
{
	struct stuck_look look;
	int fds[2];
	pid_t pid;

	tcp_pair(fds);
	pid = fork();
	if (pid == 0)
		while (receive(fds[0]) > 0)
			;
	look = wait_until_it_waits(pid);
	cr_assert_eq(write(fds[1], "x", 1), 1);
	poll(NULL, 0, 200);
	cr_assert_not(stuck_free(pid, &look));
	cr_assert_eq(errno, EAGAIN);
	end(pid);
}

Test(stuck, who_waits_for_something_else_is_left_alone)
{
	struct stuck_look look;
	int fds[2];
	pid_t pid;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	pid = child(fds[0]);
	look = wait_until_it_waits(pid);
	cr_assert_not(stuck_free(pid, &look));
	cr_assert_eq(errno, ENOTSOCK);
	end(pid);

	pid = fork();
	if (pid == 0)
		for (;;)
			poll(NULL, 0, 1000);
	poll(NULL, 0, 100);
	cr_assert_not(stuck_look(pid, &look), "a poll is no receive");
	end(pid);
}

Test(stuck, one_that_is_not_there)
{
	struct stuck_look look = {.call = "47 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0"};

	cr_assert_not(stuck_look(0x3fffffff, &look));
	cr_assert_not(stuck_free(0x3fffffff, &look));
	stuck_end(NULL);
}
