/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * health.h - is the hypervisor layer of this host fit for work? One sentence when it is not.
 *
 * libvirt counts as ill when there has been no connection for HEALTH_DOWN_US (a restart of libvirtd
 * is no illness), when a call that should be instant hangs (conn.h), or when so many calls hang
 * that no worker is left. Ill says nothing about the VMs: the sentence says how many of their QEMU
 * processes are alive.
 */
#ifndef HV_HYPERVISOR_HEALTH_H
#define HV_HYPERVISOR_HEALTH_H

#include "proto/base.h"
#include "proto/ids.h"

#define HEALTH_DOWN_US (HV_US_PER_S / 2)

struct health_signs {
	bool connected;
	bool was_ill;	     /* then only a connection is a sign of health, not a short pause */
	uint64_t down_us;    /* for how long there has been no connection */
	uint64_t pending_us; /* for how long opening or the watchdog call hangs */
	bool exhausted;	     /* no worker left */
	unsigned stuck;	     /* calls that do not return */
	const char *why;     /* why there is no connection; "" unknown */
};
/* False: ill, and *text says why. Pure. */
bool health_judge(const struct health_signs *s, char text[HV_TEXT_MAX]);
/* Appends what /proc shows of the VMs. */
void health_add_processes(char text[HV_TEXT_MAX]);

/* What VMs may use: all memory less `reserve_mib` (0: 5 %, at least 512 MiB, at most half). */
uint64_t health_memory_mib(uint64_t reserve_mib);
uint64_t health_memory_rest(uint64_t total_mib, uint64_t reserve_mib); /* the rule. Pure */
uint32_t health_cpus(void);

#endif
