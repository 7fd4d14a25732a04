/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/domain_guest.h"

#include "hypervisor/domain_doc.h"

#include <string.h>

static bool is(xmlNodePtr n, const char *attribute, const char *value)
{
	_cleanup_xml_ char *text = n ? doc_attribute(n, attribute) : NULL;

	return text && strcmp(text, value) == 0;
}

/* ---- devices */

static bool has_agent(xmlNodePtr devices)
{
	xmlNodePtr n = doc_child(devices, "channel");

	for (; n; n = doc_next_element(n->next, "channel")) {
		xmlNodePtr target = doc_child(n, "target");

		/* libvirt speaks to it only where the other end is its own socket */
		if (is(n, "type", "unix") && is(target, "type", "virtio") &&
		    is(target, "name", DOMAIN_AGENT_CHANNEL))
			return true;
	}
	return false;
}

/* Without a model it is the platform's; Hyper-V's is enlightenments that Linux tells nobody. */
static bool has_panic(xmlNodePtr devices)
{
	return doc_child(devices, "panic") != NULL;
}

/* libvirt's preset action is "reset". The first one counts: QEMU has one action for all. */
static enum domain_watchdog watchdog(xmlNodePtr devices)
{
	xmlNodePtr n = doc_child(devices, "watchdog");

	if (!n)
		return DOMAIN_WATCHDOG_NONE;
	return is(n, "action", "none") || is(n, "action", "pause") ? DOMAIN_WATCHDOG_TELLS
								   : DOMAIN_WATCHDOG_ACTS;
}

void domain_guest_note(xmlNodePtr root, struct domain_info *info)
{
	xmlNodePtr devices = doc_child(root, "devices");

	info->agent = has_agent(devices);
	info->panic = has_panic(devices);
	info->watchdog = watchdog(devices);
}

const char *domain_guest_missing(const struct domain_info *info, enum domain_guest_need need)
{
	switch (need) {
	case DOMAIN_NEEDS_AGENT:
		if (info->agent)
			return NULL;
		return "its XML has no channel for the guest's agent: add <channel type='unix'>"
		       "<target type='virtio' name='" DOMAIN_AGENT_CHANNEL "'/></channel> to "
		       "<devices>, and run qemu-guest-agent in the guest";
	case DOMAIN_NEEDS_PANIC:
		if (info->panic)
			return NULL;
		return "its XML has no panic device: add <panic model='isa'/> to <devices>, and "
		       "<on_crash>preserve</on_crash> to <domain>";
	case DOMAIN_NEEDS_WATCHDOG:
		if (info->watchdog == DOMAIN_WATCHDOG_TELLS)
			return NULL;
		if (info->watchdog == DOMAIN_WATCHDOG_ACTS)
			return "the watchdog in its XML acts by itself: write action='none' (or "
			       "'pause') in <watchdog>, so that the cluster is left to act";
		return "its XML has no watchdog: add <watchdog model='i6300esb' action='none'/> to "
		       "<devices>, and feed it in the guest";
	}
	hv_assert(!"a need that is not known");
	return NULL;
}

/* ---- the serial port */

static char *kept_in(xmlNodePtr port)
{
	_cleanup_xml_ char *log = NULL, *path = NULL;

	if (doc_child(port, "log"))
		log = doc_attribute(doc_child(port, "log"), "file");
	if (log)
		return hv_xstrdup(log);
	if (is(port, "type", "file") && doc_child(port, "source"))
		path = doc_attribute(doc_child(port, "source"), "path");
	return path ? hv_xstrdup(path) : NULL;
}

char *domain_guest_serial(const void *xml, size_t len)
{
	static const char *const ports[] = {"serial", "console"};
	struct verdict v = {.rc = HV_OK};
	_cleanup_doc_ xmlDocPtr doc = domain_doc_read(xml, len, &v);
	xmlNodePtr devices = doc ? doc_child(xmlDocGetRootElement(doc), "devices") : NULL;
	char *path = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		xmlNodePtr n = doc_child(devices, ports[i]);

		for (; n && !path; n = doc_next_element(n->next, ports[i]))
			path = kept_in(n);
	}
	free(v.why);
	return path;
}
