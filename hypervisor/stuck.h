/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stuck.h - frees a QEMU whose main thread waits for a host that does not answer.
 *
 * libvirt connects to the target of a migration and gives QEMU the connection, which blocks. QEMU's
 * main thread does the TLS handshake on it, with the lock held that each device of the guest needs:
 * if the target is lost just then the guest stands still, no question to QEMU or about this domain
 * is answered, libvirt cannot abort, and nothing ever ends it, for the kernel has nothing to send
 * that could remain unanswered. So a main thread that has not left one receive or send on a TCP
 * connection for STUCK_MS (STUCK_ABORT_MS where the cluster wants an end) has this connection shut
 * down: the migration fails, the guest goes on.
 *
 * Any other wait of a QEMU is not touched: its main thread polls, and what it sends to storage or
 * consoles does not block. Once the handshake is done a thread of its own sends, and libvirt's
 * abort works.
 *
 * But the abort of a migration whose target is lost takes as long as libvirt waits for the other
 * libvirtd. Where the cluster wants it to end, and the target takes no connections, these are
 * severed after STUCK_ABORT_MS.
 */
#ifndef HV_HYPERVISOR_STUCK_H
#define HV_HYPERVISOR_STUCK_H

#include "proto/base.h"

#include <stdatomic.h>
#include <sys/types.h>

#define STUCK_MS 5000
#define STUCK_LOOK_MS 500
#define STUCK_ABORT_MS 2000
#define STUCK_TEXT 256

/* What a main thread does: the same twice means that it did not run in between. */
struct stuck_look {
	char call[STUCK_TEXT]; /* its system call, from /proc: number, arguments, stack, place */
	unsigned long long switches; /* how often it has waited */
};

/* False: it does not wait in a receive or send, or this cannot be seen. */
bool stuck_look(pid_t pid, struct stuck_look *ret);
/*
 * Shuts down the TCP connection that it waits for. False with errno: not done; ENOTSOCK also where
 * it is no TCP.
 */
bool stuck_free(pid_t pid, const struct stuck_look *look);

/*
 * Looks after a VM's migration, in a thread of its own, until stuck_end. `cancel` is read until
 * then. NULL: no thread.
 */
struct stuck_watch;
struct stuck_watch *stuck_begin(const char *uuid, const char *target_uri,
				const atomic_bool *cancel);
/* What it had to do, as the beginning of a sentence; "" if nothing. */
void stuck_say(const struct stuck_watch *w, char *text, size_t size);
void stuck_end(struct stuck_watch *w); /* waits for nothing; NULL is fine */

#endif
