/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * setup.h - what of this host's own configuration somebody should mend.
 *
 * Looked at every SETUP_EVERY_MS by a worker, from files alone, and told when it has changed:
 *
 *   hook         is qemu-hook among libvirt's hooks, and was libvirtd started after it came? It
 * looks for hooks when it starts. Without it nobody refuses a copy started by hand. certificate
 * what pki_fault() says, or that it ends within PKI_EXPIRES_SOON_S disk_lock    lock_manager in
 * qemu.conf: "none", "lockd", "sanlock". With one: does it listen, was qemu.conf changed after
 * libvirtd was started, do locks on block devices reach other hosts (file_lockspace_dir)?
 *
 * What disk_lock should be is the cluster's affair (setting disk_lock): here it is only read. That
 * a virtlockd which was restarted has lost the locks of VMs that run cannot be seen in a file.
 */
#ifndef HV_HYPERVISOR_SETUP_H
#define HV_HYPERVISOR_SETUP_H

#include "hypervisor/pool.h"
#include "proto/ids.h"

#include <qb/qbloop.h>

#define SETUP_EVERY_MS 15000

struct setup_seen {
	char hook[HV_TEXT_MAX], certificate[HV_TEXT_MAX];
	char disk_lock[16], disk_lock_text[HV_TEXT_MAX];
};
struct setup_place {
	const char *root;    /* "": this host */
	const char *sockets; /* /proc/net/unix */
	const char *hook;    /* path of qemu-hook, for what is to be typed */
	const char *host;    /* its name in certificates */
	uint64_t now_s;	     /* CLOCK_REALTIME */
};
/* May block on a disk. */
void setup_look(const struct setup_place *place, struct setup_seen *ret);

struct setup;
/* `changed` is called from the main loop, first when it has looked for the first time. Borrows all.
 */
struct setup *setup_new(qb_loop_t *loop, struct pool *pool,
			void (*changed)(const struct setup_seen *seen, void *user), void *user);

#endif
