/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * start_register.h - the VMs that libvirtd may be about to create for us.
 *
 * While an entry is there, "no such domain" proves nothing. It is made before the call that creates
 * the domain and taken away after it. When the connection was lost during the call, libvirtd may
 * have taken the request and carry it out still (it was frozen, and thaws): then the entry stays
 * until START_SETTLE_US after libvirt was first heard again, which is ample for a request that was
 * in its queue to have become a domain that can be seen. An entry is also a file, so that it
 * outlives this process; the files are in /run and go when the host goes down, as do the domains.
 * Any thread.
 */
#ifndef HV_HYPERVISOR_START_REGISTER_H
#define HV_HYPERVISOR_START_REGISTER_H

#include "proto/base.h"
#include "proto/ids.h"

#define START_SETTLE_US (5 * HV_US_PER_S)

/* `dir` is made if need be; the files found in it are calls lost. False: errno; works without
 * files. */
bool start_register_open(const char *dir);
void start_register_begin(const char *uuid);
/* `lost`: the connection went away during the call. */
void start_register_end(const char *uuid, bool lost);
/* libvirt answers (again): lost calls begin to settle. */
void start_register_heard(void);
bool start_register_holds(const char *uuid);
/* All of them; the caller frees *ret_uuids. */
size_t start_register_list(char (**ret_uuids)[HV_UUID_LEN + 1]);

#endif
