/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a domain XML has for the health of its guest, and what is said when it is missing. */
#include "hypervisor/domain_guest.h"

#include <criterion/criterion.h>
#include <string.h>

#define DOMAIN(devices)                                                                            \
	"<domain type='kvm'><name>web1</name><memory>1024</memory><devices>" devices               \
	"</devices></domain>"
#define CHANNEL(type, target, name)                                                                \
	"<channel type='" type "'><target type='" target "' name='" name "'/></channel>"

static struct domain_info info_of(const char *xml)
{
	struct domain_info info;
	char *why = NULL;

	cr_assert_eq(domain_xml_parse(xml, strlen(xml), &info, &why), HV_OK, "%s", why);
	return info;
}

static const struct {
	const char *xml;
	bool agent, panic;
	enum domain_watchdog watchdog;
} devices[] = {
    {DOMAIN(""), false, false, DOMAIN_WATCHDOG_NONE},
    {"<domain type='kvm'><name>web1</name><memory>1024</memory></domain>", false, false,
     DOMAIN_WATCHDOG_NONE},
    {DOMAIN(CHANNEL("unix", "virtio", "org.qemu.guest_agent.0")), true, false,
     DOMAIN_WATCHDOG_NONE},
    {DOMAIN(CHANNEL("spicevmc", "virtio", "com.redhat.spice.0")
		CHANNEL("unix", "virtio", "org.qemu.guest_agent.0")),
     true, false, DOMAIN_WATCHDOG_NONE},
    {DOMAIN(CHANNEL("pty", "virtio", "org.qemu.guest_agent.0")), false, false,
     DOMAIN_WATCHDOG_NONE},
    {DOMAIN(CHANNEL("unix", "xen", "org.qemu.guest_agent.0")), false, false, DOMAIN_WATCHDOG_NONE},
    {DOMAIN("<channel type='unix'/><channel/>"), false, false, DOMAIN_WATCHDOG_NONE},
    {DOMAIN("<panic model='isa'/>"), false, true, DOMAIN_WATCHDOG_NONE},
    {DOMAIN("<watchdog model='i6300esb' action='none'/>"), false, false, DOMAIN_WATCHDOG_TELLS},
    {DOMAIN("<watchdog model='ib700' action='pause'/>"), false, false, DOMAIN_WATCHDOG_TELLS},
    {DOMAIN("<watchdog model='i6300esb' action='reset'/>"), false, false, DOMAIN_WATCHDOG_ACTS},
    {DOMAIN("<watchdog model='i6300esb'/>"), false, false, DOMAIN_WATCHDOG_ACTS},
    {DOMAIN("<disk><panic/><watchdog action='none'/></disk>"), false, false, DOMAIN_WATCHDOG_NONE},
};

Test(domain_guest, the_devices_are_seen_where_they_count)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		struct domain_info info = info_of(devices[i].xml);

		cr_assert_eq(info.agent, devices[i].agent, "agent of %s", devices[i].xml);
		cr_assert_eq(info.panic, devices[i].panic, "panic of %s", devices[i].xml);
		cr_assert_eq(info.watchdog, devices[i].watchdog, "watchdog of %s", devices[i].xml);
	}
}

Test(domain_guest, what_is_missing_is_named_with_the_element_to_add)
{
	struct domain_info none = info_of(DOMAIN(""));
	struct domain_info resets = info_of(DOMAIN("<watchdog model='i6300esb'/>"));
	struct domain_info all = info_of(DOMAIN(
	    CHANNEL("unix", "virtio",
		    "org.qemu.guest_agent.0") "<panic/><watchdog model='ib700' action='none'/>"));

	cr_assert(strstr(domain_guest_missing(&none, DOMAIN_NEEDS_AGENT), "<channel type='unix'>"));
	cr_assert(strstr(domain_guest_missing(&none, DOMAIN_NEEDS_PANIC), "<panic model='isa'/>"));
	cr_assert(strstr(domain_guest_missing(&none, DOMAIN_NEEDS_WATCHDOG), "<watchdog model="));
	cr_assert(strstr(domain_guest_missing(&resets, DOMAIN_NEEDS_WATCHDOG), "acts by itself"));
	for (int need = DOMAIN_NEEDS_AGENT; need <= DOMAIN_NEEDS_WATCHDOG; need++)
		cr_assert_null(domain_guest_missing(&all, (enum domain_guest_need)need));
}

/* What one is told to add is what is looked for. */
Test(domain_guest, the_advice_can_be_followed)
{
	struct domain_info followed = info_of(
	    DOMAIN("<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/>"
		   "</channel><panic model='isa'/><watchdog model='i6300esb' action='none'/>"));

	for (int need = DOMAIN_NEEDS_AGENT; need <= DOMAIN_NEEDS_WATCHDOG; need++)
		cr_assert_null(domain_guest_missing(&followed, (enum domain_guest_need)need));
}

static const struct {
	const char *xml, *path;
} serials[] = {
    {DOMAIN(""), NULL},
    {DOMAIN("<serial type='pty'/>"), NULL},
    {DOMAIN("<serial type='file'><source path='/a.log' append='on'/></serial>"), "/a.log"},
    {DOMAIN("<serial type='pty'><log file='/b.log' append='on'/></serial>"), "/b.log"},
    {DOMAIN("<serial type='file'><source path='/a.log'/><log file='/b.log'/></serial>"), "/b.log"},
    {DOMAIN("<serial type='unix'><source path='/a.sock'/></serial>"), NULL},
    {DOMAIN("<serial type='pty'/><serial type='file'><source path='/2.log'/></serial>"), "/2.log"},
    {DOMAIN("<console type='pty'><log file='/c.log'/></console><serial type='pty'/>"), "/c.log"},
    {DOMAIN("<serial type='file'/>"), NULL},
    {"<domain", NULL},
    {"", NULL},
};

Test(domain_guest, the_serial_ports_file_is_found)
{
	for (size_t i = 0; i < ARRAY_SIZE(serials); i++) {
		char *path = domain_guest_serial(serials[i].xml, strlen(serials[i].xml));

		if (serials[i].path)
			cr_assert(path && strcmp(path, serials[i].path) == 0, "%s: %s",
				  serials[i].xml, path ? path : "nothing");
		else
			cr_assert_null(path, "%s: %s", serials[i].xml, path);
		free(path);
	}
}
