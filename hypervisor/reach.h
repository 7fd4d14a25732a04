/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reach.h - does a libvirtd take connections? Asked before libvirt is told to use it once more.
 *
 * libvirt connects without a timeout of its own: where packets get lost it waits for the kernel's
 * (two minutes), and a migration that has begun so can neither be aborted nor does it say where it
 * stands. Blocks for REACH_MS at most; for threads that may.
 */
#ifndef HV_HYPERVISOR_REACH_H
#define HV_HYPERVISOR_REACH_H

#include "proto/base.h"

#define REACH_MS 3000
#define REACH_PORT_LEN 6

/*
 * The host and port of "qemu+tls://[user@]HOST[:PORT]/system", HOST perhaps in brackets; without a
 * port that of the transport. The caller frees *ret_host.
 */
void reach_address(const char *uri, char **ret_host, char ret_port[REACH_PORT_LEN]);
/*
 * 0: it takes connections. Else errno: ECONNREFUSED is one that may be back in a moment; ETIMEDOUT,
 * EHOSTUNREACH and the like mean that nothing comes through. A name that is not known counts as
 * reached: libvirt says it better.
 */
int reach(const char *host, const char *port);

#endif
