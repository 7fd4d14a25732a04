/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/domain_xml.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define U "01234567-89ab-cdef-0123-456789abcdef"
#define OPEN "<domain type=\"kvm\"><name>web1</name>"
#define MEM "<memory>1024</memory>"

static enum hv_rc parse(const char *xml, struct domain_info *info, char **why)
{
	*why = NULL;
	return domain_xml_parse(xml, strlen(xml), info, why);
}

Test(domain_xml, an_ordinary_domain_is_read)
{
	struct domain_info info;
	char *why;
	const char *xml =
	    "<?xml version='1.0'?><domain type='kvm' id='3'><name>web1</name>"
	    "<uuid>" U "</uuid><title>Web &amp; co</title>"
	    "<memory unit='GiB'>2</memory><currentMemory unit='MiB'>512</currentMemory>"
	    "<vcpu placement='static' current='2'>4</vcpu></domain>";

	cr_assert_eq(parse(xml, &info, &why), HV_OK, "%s", why);
	cr_assert_str_eq(info.name, "web1");
	cr_assert_str_eq(info.uuid, U);
	cr_assert_str_eq(info.type, "kvm");
	cr_assert_eq(info.mem_mib, 2048);
	cr_assert_eq(info.current_mem_mib, 512);
	cr_assert_eq(info.vcpus, 4);
}

Test(domain_xml, what_is_missing_has_libvirts_defaults)
{
	struct domain_info info;
	char *why;

	cr_assert_eq(parse(OPEN MEM "</domain>", &info, &why), HV_OK, "%s", why);
	cr_assert_str_eq(info.uuid, "");
	cr_assert_eq(info.mem_mib, 1, "KiB is the unit");
	cr_assert_eq(info.current_mem_mib, 1);
	cr_assert_eq(info.vcpus, 1);
}

static const struct {
	const char *unit, *number;
	uint64_t mib;
} sizes[] = {
    {"b", "1048576", 1},     {"bytes", "1048577", 2}, {"k", "2048", 2},	       {"KiB", "2049", 3},
    {"kb", "1048576", 1000}, {"M", "7", 7},	      {"MB", "1000", 954},     {"gib", "3", 3072},
    {"GB", "1", 954},	     {"T", "1", 1048576},     {"TiB", "16", 16777216},
};

Test(domain_xml, every_unit_of_libvirt_is_understood_and_rounded_up)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct domain_info info = {0};
		char xml[256], *why;

		snprintf(xml, sizeof(xml), OPEN "<memory unit='%s'>%s</memory></domain>",
			 sizes[i].unit, sizes[i].number);
		cr_assert_eq(parse(xml, &info, &why), HV_OK, "%s: %s", sizes[i].unit, why);
		cr_assert_eq(info.mem_mib, sizes[i].mib, "%s", sizes[i].unit);
	}
}

Test(domain_xml, numa_cells_and_memory_modules_count_instead_of_memory)
{
	struct domain_info info;
	char *why;
	const char *xml = OPEN "<memory unit='MiB'>1</memory><cpu><numa>"
			       "<cell id='0' cpus='0' memory='512' unit='MiB'/>"
			       "<cell id='1' cpus='1' memory='262144'/></numa></cpu><devices>"
			       "<memory model='dimm'><target><size unit='MiB'>128</size></target>"
			       "</memory></devices></domain>";

	cr_assert_eq(parse(xml, &info, &why), HV_OK, "%s", why);
	cr_assert_eq(info.mem_mib, 512 + 256 + 128);
}

Test(domain_xml, uuids_get_one_form)
{
	struct domain_info info;
	char *why;

	cr_assert_eq(parse(OPEN "<uuid>0123456789ABCDEF0123456789abcdef</uuid>" MEM "</domain>",
			   &info, &why),
		     HV_OK, "%s", why);
	cr_assert_str_eq(info.uuid, U);
}

static const struct {
	const char *xml, *cause; /* the cause must be named */
} malformed[] = {
    {"", "empty"},
    {"hello", "line 1"},
    {OPEN MEM, "line 1"},
    {OPEN MEM "</domain></domain>", "line 1"},
    {"<domain type='kvm'><name>a</name>\n<memory>1</memory\n</domain>", "line 3"},
    {"<!DOCTYPE domain>" OPEN MEM "</domain>", "document type"},
    {"<!DOCTYPE d [<!ENTITY a 'b'>]>" OPEN MEM "<title>&a;</title></domain>", "document type"},
    {"<!DOCTYPE d SYSTEM 'file:///etc/passwd'>" OPEN MEM "</domain>", "document type"},
    {OPEN MEM "<title>&unknown;</title></domain>", "unknown"},
    {"<network><name>a</name></network>", "<network>"},
    {"<x:domain xmlns:x='y' type='kvm'/>", "outermost"},
    {"<domain><name>a</name>" MEM "</domain>", "no type"},
    {"<domain type='xen'><name>a</name>" MEM "</domain>", "'xen'"},
    {"<domain type='kvm'>" MEM "</domain>", "<name>"},
    {"<domain type='kvm'><name/>" MEM "</domain>", "name"},
    {"<domain type='kvm'><name>a/b</name>" MEM "</domain>", "'a/b'"},
    {"<domain type='kvm'><name>a b</name>" MEM "</domain>", "'a b'"},
    {"<domain type='kvm'><name>-a</name>" MEM "</domain>", "'-a'"},
    {"<domain type='kvm'><name>a\nb</name>" MEM "</domain>", "'a?b'"},
    {"<domain type='kvm'><name>a<b/></name>" MEM "</domain>", "name"},
    {"<domain type='kvm'><name>1234567890123456789012345678901234567890123456789012345678901234"
     "</name>" MEM "</domain>",
     "name"},
    {OPEN "<name>b</name>" MEM "</domain>", "more than once"},
    {OPEN MEM MEM "</domain>", "more than once"},
    {OPEN MEM "<vcpu>1</vcpu><vcpu>2</vcpu></domain>", "more than once"},
    {OPEN MEM "<uuid>" U "</uuid><uuid>" U "</uuid></domain>", "more than once"},
    {OPEN MEM "<uuid>123</uuid></domain>", "'123'"},
    {OPEN MEM "<uuid>" U "0</uuid></domain>", "UUID"},
    {OPEN MEM "<uuid>x1234567-89ab-cdef-0123-456789abcdef</uuid></domain>", "UUID"},
    {OPEN MEM "<uuid>00000000-0000-0000-0000-000000000000</uuid></domain>", "UUID"},
    {OPEN MEM "<uuid></uuid></domain>", "UUID"},
    {OPEN "</domain>", "<memory>"},
    {OPEN "<memory>0</memory></domain>", "<memory>"},
    {OPEN "<memory>-1</memory></domain>", "<memory>"},
    {OPEN "<memory>1e3</memory></domain>", "<memory>"},
    {OPEN "<memory>12 34</memory></domain>", "<memory>"},
    {OPEN "<memory unit='XiB'>1</memory></domain>", "'XiB'"},
    {OPEN "<memory unit=''>1</memory></domain>", "unit"},
    {OPEN "<memory unit='KiBi'>1</memory></domain>", "'KiBi'"},
    {OPEN "<memory unit='TiB'>17</memory></domain>", "larger"},
    {OPEN "<memory unit='EiB'>18446744073709551615</memory></domain>", "<memory>"},
    {OPEN "<memory unit='EiB'>16</memory></domain>", "larger"},
    {OPEN "<memory>99999999999999999999999</memory></domain>", "<memory>"},
    {OPEN MEM "<currentMemory unit='MiB'>2</currentMemory></domain>", "<currentMemory>"},
    {OPEN "<cpu><numa><cell memory='x'/></numa></cpu></domain>", "NUMA"},
    {OPEN MEM "<vcpu>0</vcpu></domain>", "<vcpu>"},
    {OPEN MEM "<vcpu>4097</vcpu></domain>", "<vcpu>"},
    {OPEN MEM "<vcpu>4294967297</vcpu></domain>", "<vcpu>"},
    {OPEN MEM "<vcpu>two</vcpu></domain>", "<vcpu>"},
    {OPEN MEM "<vcpu/></domain>", "<vcpu>"},
    {OPEN MEM "<devices><disk><driver type='auto'/></disk></devices></domain>", "auto"},
    {"\xff\xfe<\0d\0", "line 1"},
    {OPEN MEM "<title>\xc3\x28</title></domain>", "line 1"},
    {OPEN MEM "<title>\x1b[2J</title></domain>", "line 1"},
};

Test(domain_xml, malformed_input_is_refused_with_its_cause)
{
	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
		struct domain_info info = {.vcpus = 77};
		char *why;

		cr_expect_eq(parse(malformed[i].xml, &info, &why), HV_BAD_XML, "case %zu: %s", i,
			     malformed[i].xml);
		cr_assert_not_null(why, "case %zu", i);
		cr_expect(strstr(why, malformed[i].cause), "case %zu: '%s' does not name '%s'", i,
			  why, malformed[i].cause);
		cr_expect_eq(info.vcpus, 77, "case %zu: output untouched on failure", i);
		free(why);
	}
}

Test(domain_xml, a_zero_byte_is_refused)
{
	struct domain_info info;
	char *why = NULL;
	const char xml[] = OPEN MEM "</domain>\0";

	cr_assert_eq(domain_xml_parse(xml, sizeof(xml) - 1, &info, &why), HV_BAD_XML);
	cr_assert(strstr(why, "zero byte"));
	free(why);
}

Test(domain_xml, another_encoding_declared_does_not_change_how_it_is_read)
{
	struct domain_info info;
	char *why;

	cr_assert_eq(parse("<?xml version='1.0' encoding='UTF-7'?>" OPEN MEM
			   "<title>+ADw-name+AD4-b</title></domain>",
			   &info, &why),
		     HV_OK, "%s", why);
	cr_assert_str_eq(info.name, "web1");
}

static char *nested(unsigned levels, size_t *ret_len)
{
	char *xml = hv_xcalloc(1, 256 + levels * 7), *p = xml;

	p += sprintf(p, OPEN MEM);
	for (unsigned i = 0; i < levels; i++)
		p += sprintf(p, "<a>");
	for (unsigned i = 0; i < levels; i++)
		p += sprintf(p, "</a>");
	p += sprintf(p, "</domain>");
	*ret_len = (size_t)(p - xml);
	return xml;
}

Test(domain_xml, depth_is_limited)
{
	static const struct {
		unsigned levels;
		enum hv_rc rc;
	} cases[] = {{DOMAIN_XML_DEPTH_MAX - 1, HV_OK},
		     {DOMAIN_XML_DEPTH_MAX, HV_BAD_XML},
		     {5000, HV_BAD_XML}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct domain_info info;
		size_t len;
		_cleanup_free_ char *xml = nested(cases[i].levels, &len), *why = NULL;

		cr_assert_eq(domain_xml_parse(xml, len, &info, &why), cases[i].rc, "%u levels",
			     cases[i].levels);
	}
}

Test(domain_xml, size_is_limited)
{
	struct domain_info info;
	_cleanup_free_ char *xml = hv_xcalloc(1, HV_XML_MAX + 2), *why = NULL;
	size_t len = (size_t)sprintf(xml, OPEN MEM "</domain>");

	memset(xml + len, ' ', HV_XML_MAX - len);
	cr_assert_eq(domain_xml_parse(xml, HV_XML_MAX, &info, NULL), HV_OK);
	xml[HV_XML_MAX] = ' ';
	cr_assert_eq(domain_xml_parse(xml, HV_XML_MAX + 1, &info, &why), HV_TOO_LARGE);
	cr_assert(strstr(why, "65536"));
}

Test(domain_xml, a_uuid_is_inserted_or_replaced)
{
	static const char *const xmls[] = {
	    OPEN MEM "</domain>",
	    OPEN "<uuid>ffffffff-89ab-cdef-0123-456789abcdef</uuid>" MEM "</domain>",
	};

	for (size_t i = 0; i < ARRAY_SIZE(xmls); i++) {
		struct domain_info info;
		_cleanup_free_ char *out = NULL, *why = NULL;
		size_t len = 0;

		cr_assert_eq(domain_xml_set_uuid(xmls[i], strlen(xmls[i]), U, &out, &len, &why),
			     HV_OK, "%s", why);
		cr_assert_eq(strlen(out), len);
		cr_assert_str_eq(out, OPEN "<uuid>" U "</uuid>" MEM "</domain>");
		cr_assert_eq(domain_xml_parse(out, len, &info, NULL), HV_OK);
		cr_assert_str_eq(info.uuid, U);
	}
}

Test(domain_xml, no_uuid_is_put_into_garbage_and_no_garbage_as_a_uuid)
{
	_cleanup_free_ char *out = NULL, *why = NULL, *why2 = NULL;
	const char *xml = OPEN MEM "</domain>";
	size_t len = 0;

	cr_assert_eq(domain_xml_set_uuid("<x/>", 4, U, &out, &len, &why), HV_BAD_XML);
	cr_assert_eq(domain_xml_set_uuid(xml, strlen(xml), "1'/>", &out, &len, &why2), HV_BAD_XML);
	cr_assert_null(out);
}

Test(domain_xml, a_name_takes_the_place_of_the_one_it_had)
{
	struct domain_info info;
	_cleanup_free_ char *out = NULL, *why = NULL;
	const char *xml = OPEN MEM "</domain>";
	size_t len = 0;

	cr_assert_eq(domain_xml_set_name(xml, strlen(xml), "other-1", &out, &len, &why), HV_OK,
		     "%s", why);
	cr_assert_eq(strlen(out), len);
	cr_assert_eq(domain_xml_parse(out, len, &info, NULL), HV_OK);
	cr_assert_str_eq(info.name, "other-1");
}

static char *prepared(const char *xml, bool kvm, char **ret_note)
{
	char *out = NULL, *why = NULL;

	*ret_note = NULL;
	cr_assert_eq(domain_xml_prepare(xml, strlen(xml), kvm, &out, ret_note, &why), HV_OK, "%s",
		     why);
	return out;
}

Test(domain_xml, with_kvm_only_the_trace_of_another_host_goes)
{
	_cleanup_free_ char *note = NULL;
	_cleanup_free_ char *out = prepared("<domain type='kvm' id='3'><name>web1</name>" MEM
					    "<cpu mode='host-passthrough'/></domain>",
					    true, &note);

	cr_assert_null(note);
	cr_assert_not(strstr(out, "id="));
	cr_assert(strstr(out, "type=\"kvm\""));
	cr_assert(strstr(out, "host-passthrough"));
}

Test(domain_xml, without_kvm_it_is_emulated_and_says_so)
{
	_cleanup_free_ char *note = NULL;
	_cleanup_free_ char *out = prepared(
	    OPEN MEM "<cpu mode='host-passthrough' check='none' migratable='on'/></domain>", false,
	    &note);

	cr_assert(strstr(out, "type=\"qemu\""));
	cr_assert(strstr(out, "<cpu mode=\"maximum\"/>"));
	cr_assert(note && strstr(note, "/dev/kvm"));
}

Test(domain_xml, a_domain_that_asks_for_emulation_is_left_alone)
{
	_cleanup_free_ char *note = NULL;
	_cleanup_free_ char *out =
	    prepared("<domain type='qemu'><name>a</name>" MEM "</domain>", false, &note);

	cr_assert(strstr(out, "type=\"qemu\""));
	cr_assert_null(note);
}

Test(domain_xml, image_formats_are_never_left_to_guessing)
{
	_cleanup_free_ char *note = NULL;
	_cleanup_free_ char *out =
	    prepared(OPEN MEM "<devices><disk type='file'><source file='/a'/></disk>"
			      "<disk type='file'><driver name='qemu'/><source file='/b'/></disk>"
			      "<disk type='file'><driver type='qcow2'/><source file='/c'/></disk>"
			      "</devices></domain>",
		     true, &note);
	unsigned raw = 0, qcow2 = 0;

	for (const char *p = out; (p = strstr(p, "type=\"raw\"")); p++)
		raw++;
	for (const char *p = out; (p = strstr(p, "type=\"qcow2\"")); p++)
		qcow2++;
	cr_assert_eq(raw, 2);
	cr_assert_eq(qcow2, 1);
}
