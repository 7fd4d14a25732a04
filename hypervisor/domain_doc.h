/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain_doc.h - private to domain_xml: reads an untrusted XML text into a tree, finds one's way in
 * it, and writes it out again. Knows the limits (domain_xml.h), nothing of what a domain is.
 */
#ifndef HV_HYPERVISOR_DOMAIN_DOC_H
#define HV_HYPERVISOR_DOMAIN_DOC_H

#include "proto/base.h"
#include "proto/ids.h"
#include "proto/rc.h"

#include <libxml/tree.h>

/* What went wrong, until it is handed to the caller. Begins as { HV_OK, NULL }. */
struct verdict {
	enum hv_rc rc;
	char *why;
};
/* Always false, so that a check reads `return bad(...)`. The first reason wins. */
bool domain_doc_refuse(struct verdict *v, enum hv_rc rc, const char *fmt, ...) _printf_(3, 4);
#define bad(v, ...) domain_doc_refuse(v, HV_BAD_XML, __VA_ARGS__)
/* Ends the verdict: its result, and its reason in *ret_why. */
enum hv_rc domain_doc_verdict(struct verdict *v, char **ret_why);

/* NULL: refused. */
xmlDocPtr domain_doc_read(const void *xml, size_t len, struct verdict *v);
/* The outermost element as text, without an XML declaration. malloc'ed; NULL: refused. */
char *domain_doc_text(xmlDocPtr doc, size_t *ret_len, struct verdict *v);
void domain_doc_freep(xmlDocPtr *doc);
#define _cleanup_doc_ _cleanup_(domain_doc_freep)

/* Elements without a namespace, by name. */
bool doc_is_element(const xmlNode *n, const char *name);
xmlNodePtr doc_next_element(xmlNodePtr n, const char *name); /* n itself, or after it */
xmlNodePtr doc_child(xmlNodePtr parent, const char *name);   /* the first; parent may be NULL */
/* NULL when there is none; more than one is refused: readers could disagree on which one counts. */
xmlNodePtr doc_only_child(xmlNodePtr parent, const char *name, struct verdict *v);

/* Freed by xmlFree(), that is by _cleanup_xml_. */
char *doc_element_text(xmlNodePtr n); /* NULL: it holds more than text */
char *doc_attribute(xmlNodePtr n, const char *name);
void doc_xml_freep(char **p);
#define _cleanup_xml_ _cleanup_(doc_xml_freep)
void doc_set_attribute(xmlNodePtr n, const char *name, const char *value);

#endif
