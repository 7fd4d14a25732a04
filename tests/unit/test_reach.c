/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a libvirtd takes connections, and where it is by its URI. */
#include "hypervisor/reach.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void is(const char *uri, const char *host, const char *port)
{
	_cleanup_free_ char *h = NULL;
	char p[REACH_PORT_LEN];

	reach_address(uri, &h, p);
	cr_assert_str_eq(h, host, "%s: %s", uri, h);
	cr_assert_str_eq(p, port, "%s: %s", uri, p);
}

Test(reach, host_and_port_of_a_uri)
{
	is("qemu+tls://host2/system", "host2", "16514");
	is("qemu+tcp://host2/system", "host2", "16509");
	is("qemu+ssh://root@host2/system", "host2", "22");
	is("qemu+tls://host2:999/system", "host2", "999");
	is("qemu+tls://host2", "host2", "16514");
	is("qemu+tls://[fd00::2]/system", "fd00::2", "16514");
	is("qemu+tls://[fd00::2]:7/system", "fd00::2", "7");
	is("qemu+tls://[fd00::2", "fd00::2", "16514");
	is("qemu+tls://host2:/system", "host2", "16514");
	is("qemu+tls://host2:123456789/system", "host2", "12345");
}

/* A socket that listens on a port of its own. */
static int listening(int backlog, char port[REACH_PORT_LEN])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	if (backlog >= 0)
		cr_assert_eq(listen(fd, backlog), 0);
	snprintf(port, REACH_PORT_LEN, "%u", ntohs(a.sin_port));
	return fd;
}

Test(reach, one_that_listens_and_one_that_does_not)
{
	char port[REACH_PORT_LEN];
	int fd = listening(5, port);

	cr_assert_eq(reach("127.0.0.1", port), 0);
	close(fd);
	fd = listening(-1, port);
	cr_assert_eq(reach("127.0.0.1", port), ECONNREFUSED);
	close(fd);
}

Test(reach, a_name_that_is_not_known_is_left_to_libvirt)
{
	cr_assert_eq(reach("no-such-host.invalid", "16514"), 0);
}

/* A full queue of connections: packets get lost, as in a network that is cut. */
Test(reach, one_that_does_not_answer_is_not_waited_for, .timeout = 20)
{
	char port[REACH_PORT_LEN];
	int fd = listening(0, port), err = 0;

	for (int i = 0; i < 8 && err == 0; i++) {
		struct sockaddr_in a;
		socklen_t len = sizeof(a);
		int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
		connect(s, (struct sockaddr *)&a, sizeof(a)); /* stays, so that the queue is full */
	}
	cr_assert_eq(reach("127.0.0.1", port), ETIMEDOUT);
	close(fd);
}
