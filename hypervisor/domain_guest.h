/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain_guest.h - what a domain XML has for the health of the guest: the agent's channel, a panic
 * device, a watchdog, and where the serial port's words are kept.
 *
 * The cluster does not rewrite an administrator's XML. Who asks for a guest's health where the
 * device for it is missing is told which element to add.
 *
 * Source: libvirt's formatdomain.html (channel, panic, watchdog, "Relation between serial ports and
 * consoles", "Consoles, serial, parallel & channel devices": log).
 */
#ifndef HV_HYPERVISOR_DOMAIN_GUEST_H
#define HV_HYPERVISOR_DOMAIN_GUEST_H

#include "hypervisor/domain_xml.h"

#define DOMAIN_AGENT_CHANNEL "org.qemu.guest_agent.0"

enum domain_guest_need {
	DOMAIN_NEEDS_AGENT,    /* a heartbeat is asked for */
	DOMAIN_NEEDS_PANIC,    /* a panic is to be acted on */
	DOMAIN_NEEDS_WATCHDOG, /* the cluster is to act when the guest's watchdog fires */
};
/* NULL: it is there. Else a sentence with the element to add; static. Pure. */
const char *domain_guest_missing(const struct domain_info *info, enum domain_guest_need need);

/*
 * The file in which the first serial port's (or console's) output is kept: its <log file=...>, or
 * its own file. NULL: there is none, or the XML cannot be read. Malloc'ed.
 */
char *domain_guest_serial(const void *xml, size_t len);

/* Of a device that is going through domain_xml_parse(). */
struct _xmlNode;
void domain_guest_note(struct _xmlNode *root, struct domain_info *info);

#endif
