/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as domain XML: an error or a domain, never a crash; and what was accepted once stays
 * what it is when it is completed and prepared. Entry of libFuzzer; standalone.c runs it over
 * seeds.
 */
#include "hypervisor/domain_xml.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

#define UUID "01234567-89ab-cdef-0123-456789abcdef"

static void check_info(const struct domain_info *info)
{
	hv_assert(hv_name_valid(info->name));
	hv_assert(!info->uuid[0] || hv_uuid_valid(info->uuid));
	hv_assert(info->mem_mib > 0 && info->mem_mib <= DOMAIN_XML_MEM_MAX_MIB);
	hv_assert(info->current_mem_mib > 0 && info->current_mem_mib <= info->mem_mib);
	hv_assert(info->vcpus > 0 && info->vcpus <= DOMAIN_XML_VCPUS_MAX);
	hv_assert(strcmp(info->type, "kvm") == 0 || strcmp(info->type, "qemu") == 0);
}

static void check_same(const char *xml, size_t len, const struct domain_info *was)
{
	struct domain_info is;

	hv_assert(domain_xml_parse(xml, len, &is, NULL) == HV_OK);
	hv_assert(strcmp(is.name, was->name) == 0);
	hv_assert(is.mem_mib == was->mem_mib && is.vcpus == was->vcpus);
}

static void check_prepare(const uint8_t *data, size_t size, bool kvm,
			  const struct domain_info *info)
{
	_cleanup_free_ char *xml = NULL, *note = NULL, *why = NULL;
	enum hv_rc rc = domain_xml_prepare(data, size, kvm, &xml, &note, &why);

	hv_assert(rc == HV_OK || rc == HV_TOO_LARGE);
	if (rc == HV_OK)
		check_same(xml, strlen(xml), info);
}

static void check_set_uuid(const uint8_t *data, size_t size, const struct domain_info *info)
{
	_cleanup_free_ char *xml = NULL, *why = NULL;
	size_t len = 0;
	enum hv_rc rc = domain_xml_set_uuid(data, size, UUID, &xml, &len, &why);

	hv_assert(rc == HV_OK || rc == HV_TOO_LARGE);
	if (rc == HV_OK)
		check_same(xml, len, info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct domain_info info;
	_cleanup_free_ char *why = NULL;

	if (domain_xml_parse(data, size, &info, &why) != HV_OK) {
		hv_assert(why && why[0] && strlen(why) < HV_TEXT_MAX);
		return 0;
	}
	check_info(&info);
	check_set_uuid(data, size, &info);
	check_prepare(data, size, true, &info);
	check_prepare(data, size, false, &info);
	return 0;
}
