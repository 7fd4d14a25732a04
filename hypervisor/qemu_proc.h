/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu_proc.h - the QEMU processes of this host as /proc shows them: what is true when libvirt
 * cannot be asked, and what libvirt may have lost sight of.
 *
 * A QEMU that libvirt started carries "-name guest=NAME,..." and "-uuid UUID" on its command line.
 * A zombie (its command line is empty) does not run anything and is not listed. Reads files only;
 * some milliseconds for a few hundred processes. Safe from any thread, but reading the command line
 * of a process that hangs in the kernel may hang, too: in the main loop only what says "quick".
 */
#ifndef HV_HYPERVISOR_QEMU_PROC_H
#define HV_HYPERVISOR_QEMU_PROC_H

#include "proto/base.h"
#include "proto/ids.h"

#include <sys/types.h>

struct qemu_proc {
	pid_t pid;
	char uuid[HV_UUID_LEN + 1];
	char name[HV_NAME_MAX + 1]; /* "" when it has none that we could use */
};

/* All of them. The caller frees *ret_list. False: /proc cannot be read, nothing is known. */
bool qemu_proc_list(struct qemu_proc **ret_list, size_t *ret_count);
/* That of one VM: its pid; 0: there is none; -1: cannot tell. */
pid_t qemu_proc_find(const char *uuid);
/* Quick: how many there are. */
size_t qemu_proc_count(void);
/* Quick: the pid in libvirt's pid file of that name, if it is a QEMU. 0: the file leads nowhere. */
pid_t qemu_proc_by_pidfile(const char *name);
/* SIGKILL, if `pid` still is the QEMU of this VM. Returns false with errno. */
bool qemu_proc_kill(pid_t pid, const char *uuid);

#endif
