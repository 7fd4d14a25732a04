/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sever.h - ends what this host's libvirtd has under way with a host that does not answer.
 *
 * Its own keepalive takes 30 s (preset), a connection that it is making two minutes, and for so
 * long a migration that was aborted does not end. What is shut down fails at once, as if the other
 * libvirtd had gone away.
 */
#ifndef HV_HYPERVISOR_SEVER_H
#define HV_HYPERVISOR_SEVER_H

#include "proto/base.h"

#include <sys/types.h>

/* A connection as /proc/net/tcp and tcp6 show it. */
struct tcp_row {
	unsigned family; /* of `to`, in network order */
	uint8_t to[16];
	unsigned port, state;
	unsigned long inode;
};
/* False: it is none (the heading). Pure. */
bool tcp_row_parse(const char *line, struct tcp_row *ret);

/*
 * Shuts down the TCP connections of processes named `program` to `host`, where they are established
 * with `port`, or still being made with any: that to a QEMU may go to another address. How many.
 */
unsigned sever(const char *program, const char *host, const char *port);

#endif
