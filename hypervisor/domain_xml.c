/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/domain_xml.h"

#include "hypervisor/domain_doc.h"
#include "hypervisor/domain_guest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- numbers */

/* Decimal digits only: no sign, no space at the end, no overflow. */
static bool parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	while (isspace((unsigned char)*s))
		s++;
	if (!*s)
		return false;
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s) || v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*ret = v;
	return true;
}

/* "KiB" or "K" or "k": powers of 1024, "KB": powers of 1000, "b" and "bytes": one. */
static bool unit_bytes(const char *unit, uint64_t *ret)
{
	static const char letters[] = "kmgtpe";
	const char *at;
	uint64_t base = 1024, v = 1;

	if (strcasecmp(unit, "b") == 0 || strcasecmp(unit, "bytes") == 0) {
		*ret = 1;
		return true;
	}
	at = unit[0] ? strchr(letters, tolower((unsigned char)unit[0])) : NULL;
	if (!at)
		return false;
	if (strcasecmp(unit + 1, "b") == 0)
		base = 1000;
	else if (unit[1] && strcasecmp(unit + 1, "ib") != 0)
		return false;
	for (const char *l = letters; l <= at; l++)
		v *= base;
	*ret = v;
	return true;
}

/* Whole MiB, rounded up: a guest must not get more than was counted. */
static bool parse_size(const char *what, const char *number, const char *unit, uint64_t *ret_mib,
		       struct verdict *v)
{
	uint64_t n, scale, bytes;

	if (!number || !parse_u64(number, &n))
		return bad(v, "%s is not a whole number", what);
	if (!unit_bytes(unit ? unit : "KiB", &scale))
		return bad(v, "%s has an unknown unit '%s'", what, unit);
	if (__builtin_mul_overflow(n, scale, &bytes) || bytes > (uint64_t)DOMAIN_XML_MEM_MAX_MIB
								    << 20)
		return bad(v, "%s is larger than %u MiB", what, DOMAIN_XML_MEM_MAX_MIB);
	*ret_mib = (bytes + (1 << 20) - 1) >> 20;
	return true;
}

/* ---- checks, each of one thing that the cluster relies on */

static bool check_type(xmlNodePtr root, struct domain_info *info, struct verdict *v)
{
	_cleanup_xml_ char *type = NULL;

	if (!doc_is_element(root, "domain"))
		return bad(v, "the outermost element is <%s>, not <domain>", root->name);
	type = doc_attribute(root, "type");
	if (!type)
		return bad(v, "<domain> has no type: it must be 'kvm' or 'qemu'");
	if (strcmp(type, "kvm") != 0 && strcmp(type, "qemu") != 0)
		return bad(v, "domain type '%s' is not supported: it must be 'kvm' or 'qemu'",
			   type);
	snprintf(info->type, sizeof(info->type), "%s", type);
	return true;
}

static bool check_name(xmlNodePtr root, struct domain_info *info, struct verdict *v)
{
	xmlNodePtr n = doc_only_child(root, "name", v);
	_cleanup_xml_ char *name = n ? doc_element_text(n) : NULL;

	if (!n)
		return bad(v, "there is no <name>");
	if (!name || !hv_name_valid(name))
		return bad(
		    v,
		    "the name '%.80s' is not usable: 1 to %d letters, digits, '.', '_' or '-', "
		    "the first a letter or digit",
		    name ? name : "", HV_NAME_MAX);
	memcpy(info->name, name, strlen(name) + 1);
	return v->rc == HV_OK;
}

/* libvirt takes UUIDs with or without dashes, in either case; we keep one form. */
static bool normalise_uuid(const char *s, char out[HV_UUID_LEN + 1])
{
	size_t n = 0;

	for (; *s; s++) {
		if (*s == '-')
			continue;
		if (n == 8 || n == 13 || n == 18 || n == 23)
			out[n++] = '-';
		if (n >= HV_UUID_LEN || !isxdigit((unsigned char)*s))
			return false;
		out[n++] = (char)tolower((unsigned char)*s);
	}
	out[n] = '\0';
	return hv_uuid_valid(out) && strspn(out, "0-") != HV_UUID_LEN;
}

static bool check_uuid(xmlNodePtr root, struct domain_info *info, struct verdict *v)
{
	xmlNodePtr n = doc_only_child(root, "uuid", v);
	_cleanup_xml_ char *uuid = n ? doc_element_text(n) : NULL;

	if (n && (!uuid || !normalise_uuid(uuid, info->uuid)))
		return bad(v, "the UUID '%.80s' is malformed", uuid ? uuid : "");
	return v->rc == HV_OK;
}

/* An optional size element. */
static bool check_size(xmlNodePtr root, const char *name, uint64_t *ret_mib, struct verdict *v)
{
	xmlNodePtr n = doc_only_child(root, name, v);
	_cleanup_xml_ char *number = NULL, *unit = NULL;
	char what[40];

	if (!n)
		return true;
	number = doc_element_text(n);
	unit = doc_attribute(n, "unit");
	snprintf(what, sizeof(what), "<%s>", name);
	return parse_size(what, number, unit, ret_mib, v) && v->rc == HV_OK;
}

/* NUMA cells override <memory>, and pluggable modules present from the start come on top. */
static bool check_numa(xmlNodePtr root, uint64_t *mem_mib, struct verdict *v)
{
	xmlNodePtr n = doc_child(doc_child(doc_child(root, "cpu"), "numa"), "cell");
	uint64_t sum = 0, one;

	if (!n)
		return true;
	for (; n; n = doc_next_element(n->next, "cell")) {
		_cleanup_xml_ char *number = doc_attribute(n, "memory"),
				   *unit = doc_attribute(n, "unit");

		if (!parse_size("the memory of a NUMA cell", number, unit, &one, v))
			return false;
		sum += one;
	}
	for (n = doc_child(doc_child(root, "devices"), "memory"); n;
	     n = doc_next_element(n->next, "memory")) {
		if (!check_size(doc_child(n, "target"), "size", (one = 0, &one), v))
			return false;
		sum += one;
	}
	*mem_mib = sum;
	return true;
}

static bool check_memory(xmlNodePtr root, struct domain_info *info, struct verdict *v)
{
	uint64_t mem = 0, current = 0;

	if (!check_size(root, "memory", &mem, v) || !check_numa(root, &mem, v) ||
	    !check_size(root, "currentMemory", &current, v))
		return false;
	if (mem == 0)
		return bad(v, "there is no <memory>, or it is 0");
	if (mem > DOMAIN_XML_MEM_MAX_MIB)
		return bad(v, "the memory is larger than %u MiB", DOMAIN_XML_MEM_MAX_MIB);
	if (current > mem)
		return bad(v, "<currentMemory> (%llu MiB) is more than <memory> (%llu MiB)",
			   (unsigned long long)current, (unsigned long long)mem);
	info->mem_mib = mem;
	info->current_mem_mib = current ? current : mem;
	return true;
}

static bool check_vcpus(xmlNodePtr root, struct domain_info *info, struct verdict *v)
{
	xmlNodePtr n = doc_only_child(root, "vcpu", v);
	_cleanup_xml_ char *number = n ? doc_element_text(n) : NULL;
	uint64_t vcpus = 1;

	if (n && (!number || !parse_u64(number, &vcpus)))
		return bad(v, "<vcpu> is not a whole number");
	if (vcpus == 0 || vcpus > DOMAIN_XML_VCPUS_MAX)
		return bad(v, "<vcpu> must be 1 to %d", DOMAIN_XML_VCPUS_MAX);
	info->vcpus = (uint32_t)vcpus;
	return v->rc == HV_OK;
}

static void add_storage(struct domain_info *info, const char *path, size_t len)
{
	char text[HV_PATH_MAX + 1];
	size_t i = 0;

	if (!len || path[0] != '/' || len > HV_PATH_MAX || info->n_storage == HV_MAX_VM_STORAGE)
		return;
	memcpy(text, path, len);
	text[len] = '\0';
	for (size_t k = 0; k < len; k++)
		if ((unsigned char)text[k] < ' ' || text[k] == 0x7f)
			return;
	while (i < info->n_storage && strcmp(info->storage[i], text) < 0)
		i++;
	if (i < info->n_storage && strcmp(info->storage[i], text) == 0)
		return;
	memmove(info->storage[i + 1], info->storage[i],
		(info->n_storage - i) * sizeof(info->storage[0]));
	memcpy(info->storage[i], text, len + 1);
	info->n_storage++;
}

static void note_storage(xmlNodePtr disk, struct domain_info *info)
{
	xmlNodePtr source = doc_child(disk, "source");
	_cleanup_xml_ char *file = source ? doc_attribute(source, "file") : NULL;
	_cleanup_xml_ char *dev = source ? doc_attribute(source, "dev") : NULL;
	const char *slash = file ? strrchr(file, '/') : NULL;

	if (slash)
		add_storage(info, file, slash > file ? (size_t)(slash - file) : 1);
	if (dev)
		add_storage(info, dev, strlen(dev));
}

static bool check_disks(xmlNodePtr root, struct domain_info *info, struct verdict *v)
{
	xmlNodePtr n = doc_child(doc_child(root, "devices"), "disk");

	for (; n; n = doc_next_element(n->next, "disk")) {
		xmlNodePtr driver = doc_child(n, "driver");
		_cleanup_xml_ char *type = driver ? doc_attribute(driver, "type") : NULL;

		if (type && strcmp(type, "auto") == 0)
			return bad(v, "a disk has driver type 'auto': say what the image is, for "
				      "example 'raw' or 'qcow2' (formats are never guessed)");
		note_storage(n, info);
	}
	return true;
}

static bool check_doc(xmlDocPtr doc, struct domain_info *info, struct verdict *v)
{
	xmlNodePtr root = xmlDocGetRootElement(doc);

	memset(info, 0, sizeof(*info));
	if (!check_type(root, info, v) || !check_name(root, info, v) ||
	    !check_uuid(root, info, v) || !check_memory(root, info, v) ||
	    !check_vcpus(root, info, v) || !check_disks(root, info, v))
		return false;
	domain_guest_note(root, info);
	return true;
}

enum hv_rc domain_xml_parse(const void *xml, size_t len, struct domain_info *ret_info,
			    char **ret_why)
{
	struct verdict v = {.rc = HV_OK};
	struct domain_info info;
	_cleanup_doc_ xmlDocPtr doc = domain_doc_read(xml, len, &v);

	if (doc && check_doc(doc, &info, &v))
		*ret_info = info;
	return domain_doc_verdict(&v, ret_why);
}

/* ---- adjusting */

static void put_uuid(xmlNodePtr root, const char *uuid)
{
	xmlNodePtr n = doc_child(root, "uuid");

	if (n) {
		xmlNodeSetContent(n, (const xmlChar *)uuid);
		return;
	}
	n = xmlNewDocNode(root->doc, NULL, (const xmlChar *)"uuid", (const xmlChar *)uuid);
	hv_assert(n);
	xmlAddNextSibling(doc_child(root, "name"), n);
}

enum hv_rc domain_xml_set_uuid(const void *xml, size_t len, const char *uuid, char **ret_xml,
			       size_t *ret_len, char **ret_why)
{
	struct verdict v = {.rc = HV_OK};
	struct domain_info info;
	_cleanup_doc_ xmlDocPtr doc = domain_doc_read(xml, len, &v);
	char *text = NULL;
	size_t text_len = 0;

	if (!hv_uuid_valid(uuid))
		bad(&v, "the UUID '%.80s' is malformed", uuid ? uuid : "");
	else if (doc && check_doc(doc, &info, &v)) {
		put_uuid(xmlDocGetRootElement(doc), uuid);
		text = domain_doc_text(doc, &text_len, &v);
	}
	if (v.rc == HV_OK) {
		*ret_xml = text;
		*ret_len = text_len;
	}
	return domain_doc_verdict(&v, ret_why);
}

enum hv_rc domain_xml_set_name(const void *xml, size_t len, const char *name, char **ret_xml,
			       size_t *ret_len, char **ret_why)
{
	struct verdict v = {.rc = HV_OK};
	struct domain_info info;
	_cleanup_doc_ xmlDocPtr doc = domain_doc_read(xml, len, &v);
	char *text = NULL;
	size_t text_len = 0;

	hv_assert(hv_name_valid(name));
	if (doc && check_doc(doc, &info, &v)) {
		/* A valid name has none of XML's special characters. */
		xmlNodeSetContent(doc_child(xmlDocGetRootElement(doc), "name"),
				  (const xmlChar *)name);
		text = domain_doc_text(doc, &text_len, &v);
	}
	if (v.rc == HV_OK) {
		*ret_xml = text;
		*ret_len = text_len;
	}
	return domain_doc_verdict(&v, ret_why);
}

/* host-passthrough hands the real CPU to the guest; only KVM can. 'maximum' is TCG's best. */
static bool emulate(xmlNodePtr root)
{
	xmlNodePtr cpu = doc_child(root, "cpu");
	_cleanup_xml_ char *mode = cpu ? doc_attribute(cpu, "mode") : NULL;

	doc_set_attribute(root, "type", "qemu");
	if (!mode || strcmp(mode, "host-passthrough") != 0)
		return false;
	doc_set_attribute(cpu, "mode", "maximum");
	xmlUnsetProp(cpu, (const xmlChar *)"check");
	xmlUnsetProp(cpu, (const xmlChar *)"migratable");
	return true;
}

static void disks_say_raw(xmlNodePtr root)
{
	xmlNodePtr n = doc_child(doc_child(root, "devices"), "disk");

	for (; n; n = doc_next_element(n->next, "disk")) {
		xmlNodePtr driver = doc_child(n, "driver");
		_cleanup_xml_ char *type = doc_attribute(n, "type");

		if (type && strcmp(type, "dir") == 0) /* QEMU's FAT view of a folder */
			continue;
		if (!driver)
			driver = xmlNewChild(n, NULL, (const xmlChar *)"driver", NULL);
		hv_assert(driver);
		if (!xmlHasProp(driver, (const xmlChar *)"type"))
			doc_set_attribute(driver, "type", "raw");
	}
}

enum hv_rc domain_xml_prepare(const void *xml, size_t len, bool kvm, char **ret_xml,
			      char **ret_note, char **ret_why)
{
	struct verdict v = {.rc = HV_OK};
	struct domain_info info;
	_cleanup_doc_ xmlDocPtr doc = domain_doc_read(xml, len, &v);
	char *text = NULL, *note = NULL;
	size_t text_len = 0;

	if (doc && check_doc(doc, &info, &v)) {
		xmlNodePtr root = xmlDocGetRootElement(doc);

		if (!kvm && strcmp(info.type, "kvm") == 0)
			note = hv_xasprintf("this host has no usable /dev/kvm: emulated (slow)%s",
					    emulate(root) ? ", CPU 'maximum' instead of "
							    "'host-passthrough'"
							  : "");
		disks_say_raw(root);
		xmlUnsetProp(root, (const xmlChar *)"id");
		text = domain_doc_text(doc, &text_len, &v);
	}
	if (v.rc == HV_OK) {
		*ret_xml = text;
		*ret_note = steal_ptr(note);
	}
	free(note);
	return domain_doc_verdict(&v, ret_why);
}
