/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * setup.h - what a host has said of its own configuration: libvirt's hook, its certificates, its
 * lock manager.
 *
 * PURE. Nothing is decided by it. It is kept here so that `status` of any node can say which host
 * needs somebody, and whether all hosts lock the VMs' disks as the setting disk_lock says.
 */
#ifndef HV_RESOURCE_SETUP_H
#define HV_RESOURCE_SETUP_H

#include "resource/cluster_priv.h"

bool setup_valid(const Hv__HostSetup *s); /* NULL is */
/* NULL: as before. */
void setup_set(struct node *n, const Hv__HostSetup *s);
void setup_forget(struct node *n);

#endif
