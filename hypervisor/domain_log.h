/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain_log.h - how a domain's latest life on this host ended, as libvirt wrote it down.
 *
 * A transient domain that is gone leaves nothing in libvirt that could be asked. Its log does tell,
 * also whoever was not there to hear the event:
 *
 *     2026-01-01 10:00:00.000+0000: starting up libvirt version: 9.0.0, ...
 *     2026-01-01 10:05:00.000+0000: shutting down, reason=migrated
 *
 * What QEMU itself prints stands between such lines; a line counts only with libvirt's time in
 * front of it. Source: libvirt's virDomainShutoffReason and qemuProcessStop().
 */
#ifndef HV_HYPERVISOR_DOMAIN_LOG_H
#define HV_HYPERVISOR_DOMAIN_LOG_H

#include "proto/base.h"
#include "proto/log.pb-c.h"

#define DOMAIN_LOG_DIR "/var/log/libvirt/qemu"
#define DOMAIN_LOG_TAIL 65536 /* bytes that are looked at */

/*
 * Did its latest life end by migration, and nothing begin since? False also where the log cannot be
 * read or does not say: who asks must take that for "not known". May block as files do: not in the
 * main loop.
 */
bool domain_log_left(const char *name);
/* The same of the log's last bytes. */
bool domain_log_says_left(const char *text, size_t len);

#endif
