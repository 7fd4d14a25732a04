/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/reach.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *preset_port(const char *uri)
{
	if (strncmp(uri, "qemu+tls:", 9) == 0)
		return "16514";
	if (strncmp(uri, "qemu+ssh:", 9) == 0)
		return "22";
	return "16509";
}

void reach_address(const char *uri, char **ret_host, char ret_port[REACH_PORT_LEN])
{
	const char *begin = strstr(uri, "://") + 3, *end = begin + strcspn(begin, "/"), *at, *colon;

	at = memchr(begin, '@', (size_t)(end - begin));
	if (at)
		begin = at + 1;
	if (*begin == '[') {
		begin++;
		at = begin + strcspn(begin, "]/");
		colon = *at == ']' ? at + 1 : at;
	} else {
		at = begin + strcspn(begin, ":/");
		colon = at;
	}
	*ret_host = hv_xstrndup(begin, (size_t)(at - begin));
	if (*colon == ':' && colon + 1 < end)
		snprintf(ret_port, REACH_PORT_LEN, "%.*s", (int)(end - colon - 1), colon + 1);
	else
		snprintf(ret_port, REACH_PORT_LEN, "%s", preset_port(uri));
}

/* The outcome of a connection that was begun. */
static int outcome(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int err = 0, n;

	do
		n = poll(&p, 1, REACH_MS);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	if (n == 0)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 ? err : errno;
}

static int try_one(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) != 0)
		err = errno == EINPROGRESS ? outcome(fd) : errno;
	close(fd);
	return err;
}

/* The first address that answers is enough, and one that does not is enough, too: time is bounded.
 */
int reach(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	int err = 0;

	if (getaddrinfo(host, port, &hints, &list) != 0)
		return 0;
	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		err = try_one(a);
		if (err == 0 || err == ETIMEDOUT)
			break;
	}
	freeaddrinfo(list);
	return err;
}
