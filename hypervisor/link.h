/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link.h - the stream to clusterd: frames of proto/wire.h, HvRequest in, HvMessage out.
 *
 * What cannot be written at once is kept, up to LINK_BACKLOG_MAX: a clusterd that does not read for
 * so long is gone or broken, and either way the end of this process. Main loop only.
 */
#ifndef HV_HYPERVISOR_LINK_H
#define HV_HYPERVISOR_LINK_H

#include "proto/base.h"
#include "proto/hypervisor.pb-c.h"

#include <qb/qbloop.h>

#define LINK_BACKLOG_MAX (32U << 20)

struct link;
struct link_hooks {
	void (*request)(const Hv__HvRequest *r, void *user);
	/* The stream is over: `why` is NULL when clusterd closed it. Nothing of the link may be
	 * used. */
	void (*ended)(const char *why, void *user);
	void *user;
};

/* Makes `fd` non-blocking and keeps it. NULL: it is not a stream that can be polled (errno). */
struct link *link_new(qb_loop_t *loop, int fd, const struct link_hooks *hooks);
void link_free(struct link *l);
void link_send(struct link *l, const Hv__HvMessage *m);

#endif
