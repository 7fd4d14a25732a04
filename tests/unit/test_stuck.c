/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who waits for another host, and what ends that. A child stands for QEMU, or for libvirtd. */
#include "hypervisor/sever.h"
#include "hypervisor/stuck.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

/* A container may forbid it. */
static void needs_descriptors_of(pid_t pid)
{
	int process = (int)syscall(SYS_pidfd_open, pid, 0);
	int fd = (int)syscall(SYS_pidfd_getfd, process, 2, 0);

	close(process);
	if (fd < 0)
		cr_skip_test("pidfd_getfd is not there: %s", strerror(errno));
	close(fd);
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
	needs_descriptors_of(pid);
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
	needs_descriptors_of(pid);
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
	needs_descriptors_of(pid);
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

Test(sever, a_row_of_the_kernel)
{
	static const uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	struct tcp_row row;

	cr_assert(
	    tcp_row_parse("   3: 0200000A:9A5C 0100000A:4082 02 00000001:00000000 01:00000064 "
			  "00000002     0        0 4711 2 0000000042330000 400 0 0 1 7",
			  &row));
	cr_assert_eq(row.family, AF_INET);
	cr_assert_eq(row.port, 16514);
	cr_assert_eq(row.state, 2);
	cr_assert_eq(row.inode, 4711);
	cr_assert_eq(memcmp(row.to, "\x0a\0\0\x01", 4), 0);
	cr_assert(tcp_row_parse("   0: 00000000000000000000000000000000:0016 "
				"B80D0120000000000000000001000000:4082 01 00000000:00000000 "
				"00:00000000 00000000     0        0 12 1 0000000042330000",
				&row));
	cr_assert_eq(row.family, AF_INET6);
	cr_assert_eq(memcmp(row.to, six, 16), 0);
	cr_assert_not(tcp_row_parse("  sl  local_address rem_address   st tx_queue", &row));
	cr_assert_not(tcp_row_parse("", &row));
}

Test(sever, only_of_that_program_and_only_with_that_port)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int fds[2], status;
	char port[8];
	pid_t pid;

	tcp_pair(fds);
	cr_assert_eq(getpeername(fds[0], (struct sockaddr *)&a, &len), 0);
	snprintf(port, sizeof(port), "%u", ntohs(a.sin_port));
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NAME, "hv-severed");
		_exit((int)receive(fds[0]) & 0xff);
	}
	needs_descriptors_of(pid);
	wait_until_it_waits(pid);
	cr_assert_eq(sever("hv-other", "127.0.0.1", port), 0);
	cr_assert_eq(sever("hv-severed", "127.0.0.1", "1"), 0);
	cr_assert_eq(sever("hv-severed", "127.0.0.2", port), 0);
	cr_assert_eq(waitpid(pid, &status, WNOHANG), 0, "it waits");
	cr_assert_eq(sever("hv-severed", "127.0.0.1", port), 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "the connection has ended for it");
}
