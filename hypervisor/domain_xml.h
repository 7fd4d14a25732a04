/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain_xml.h - reads, checks and adjusts a libvirt domain XML, without a libvirt connection.
 *
 * Used where a VM is added (is this usable, what is it called, how large is it?) and where it is
 * started (what exactly is handed to libvirt). The text comes from outside and is not trusted: at
 * most HV_XML_MAX bytes of UTF-8, no document type, no entities but the five of XML itself, nothing
 * is loaded from anywhere, at most DOMAIN_XML_DEPTH_MAX elements deep. It is checked for what the
 * cluster relies on; all the rest is libvirt's to judge when the domain is started.
 *
 * Source: libvirt's formatdomain.html; units as in virScaleInteger() (KiB unless said otherwise).
 *
 * Results: HV_OK, HV_TOO_LARGE, or HV_BAD_XML. On failure *ret_why is a sentence with the cause
 * (malloc'ed, the caller frees; never NULL), and nothing else is touched. `ret_why` may be NULL.
 * Safe to call from several threads.
 */
#ifndef HV_HYPERVISOR_DOMAIN_XML_H
#define HV_HYPERVISOR_DOMAIN_XML_H

#include "proto/base.h"
#include "proto/ids.h"
#include "proto/rc.h"

#define DOMAIN_XML_DEPTH_MAX 32		  /* libvirt's own schema needs 9 */
#define DOMAIN_XML_MEM_MAX_MIB (1U << 24) /* 16 TiB: more than QEMU can give to a guest */
#define DOMAIN_XML_VCPUS_MAX 4096

/* What happens when the guest does not feed its watchdog device. */
enum domain_watchdog {
	DOMAIN_WATCHDOG_NONE,  /* it has none */
	DOMAIN_WATCHDOG_TELLS, /* action none or pause: we are told, and may act */
	DOMAIN_WATCHDOG_ACTS,  /* QEMU or libvirt does something by itself: reset, poweroff ... */
};

struct domain_info {
	char name[HV_NAME_MAX + 1];
	char uuid[HV_UUID_LEN + 1]; /* lower case; "" when the XML has none */
	char type[8];		    /* "kvm" or "qemu" */
	uint64_t mem_mib;	    /* what the guest may grow to without hotplug, rounded up */
	uint64_t current_mem_mib;   /* after ballooning (currentMemory); mem_mib when not given */
	uint32_t vcpus;		    /* most that may be online */
	/* Folders of its disks' files, and devices: absolute, ascending. Of more than fit the rest
	 * is left out; disks on the network are QEMU's own affair. */
	char storage[HV_MAX_VM_STORAGE][HV_PATH_MAX + 1];
	size_t n_storage;
	/* For the guest's health: domain_guest.h. */
	bool agent, panic; /* the devices are there */
	enum domain_watchdog watchdog;
};

enum hv_rc domain_xml_parse(const void *xml, size_t len, struct domain_info *ret_info,
			    char **ret_why);

/*
 * The same XML with this UUID in it: inserted when it had none, replaced when it had another.
 * *ret_xml is malloc'ed and zero-terminated, *ret_len does not count the zero.
 */
enum hv_rc domain_xml_set_uuid(const void *xml, size_t len, const char *uuid, char **ret_xml,
			       size_t *ret_len, char **ret_why);

/* The same with this name (which is valid: hv_name_valid()). */
enum hv_rc domain_xml_set_name(const void *xml, size_t len, const char *name, char **ret_xml,
			       size_t *ret_len, char **ret_why);

/*
 * What is handed to libvirt on a host. Differs from the input by this only:
 *  - without KVM on the host (`kvm` false) type='kvm' becomes 'qemu' (TCG), and a CPU that only KVM
 *    can give (host-passthrough) becomes 'maximum';
 *  - a disk without a driver type is 'raw': an image's format is never guessed from its content,
 *    which the guest can write;
 *  - the id, a trace of the host it was dumped on, goes.
 * *ret_note is NULL, or a sentence that says what was changed and a person should know (malloc'ed).
 */
enum hv_rc domain_xml_prepare(const void *xml, size_t len, bool kvm, char **ret_xml,
			      char **ret_note, char **ret_why);

#endif
