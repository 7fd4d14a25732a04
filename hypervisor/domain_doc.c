/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/domain_doc.h"

#include "hypervisor/domain_xml.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool domain_doc_refuse(struct verdict *v, enum hv_rc rc, const char *fmt, ...)
{
	char text[HV_TEXT_MAX];
	va_list ap;

	if (v->rc != HV_OK)
		return false;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++) /* it quotes the input, and is printed on terminals */
		if (*p < ' ' || *p > '~')
			*p = '?';
	v->rc = rc;
	v->why = hv_xstrdup(text);
	return false;
}

enum hv_rc domain_doc_verdict(struct verdict *v, char **ret_why)
{
	if (v->rc != HV_OK && ret_why)
		*ret_why = steal_ptr(v->why);
	free(v->why);
	return v->rc;
}

/* ---- reading */

void domain_doc_freep(xmlDocPtr *doc)
{
	if (*doc)
		xmlFreeDoc(*doc);
}

static void ctxt_freep(xmlParserCtxtPtr *ctxt)
{
	if (*ctxt)
		xmlFreeParserCtxt(*ctxt);
}

/* A document type is where entities, external files and blow-ups come from: stop right there. */
static void refuse_doctype(void *ctx, const xmlChar *name, const xmlChar *id, const xmlChar *uri)
{
	xmlParserCtxtPtr ctxt = ctx;

	((struct verdict *)ctxt->_private)->rc = HV_BAD_XML;
	xmlStopParser(ctxt);
}

/* Iterative: the depth is what is in question. */
static bool check_depth(const xmlNode *root, struct verdict *v)
{
	const xmlNode *n = root;
	unsigned depth = 1;

	while (n) {
		if (depth > DOMAIN_XML_DEPTH_MAX)
			return bad(v, "the elements are nested deeper than %d",
				   DOMAIN_XML_DEPTH_MAX);
		if (n->type == XML_ELEMENT_NODE && n->children) {
			n = n->children;
			depth++;
			continue;
		}
		while (n != root && !n->next) {
			n = n->parent;
			depth--;
		}
		n = n == root ? NULL : n->next;
	}
	return true;
}

static bool check_bytes(const void *xml, size_t len, struct verdict *v)
{
	if (len > HV_XML_MAX)
		return domain_doc_refuse(v, HV_TOO_LARGE,
					 "the domain XML has %zu bytes, the limit is %d", len,
					 HV_XML_MAX);
	if (!xml || len == 0)
		return bad(v, "the domain XML is empty");
	if (memchr(xml, 0, len))
		return bad(v, "the domain XML contains a zero byte: it must be UTF-8 text");
	return true;
}

/* libxml2's messages end in a newline. */
static void parse_failed(xmlParserCtxtPtr ctxt, struct verdict *v)
{
	const xmlError *e = xmlCtxtGetLastError(ctxt);
	const char *message = e && e->message ? e->message : "unknown error";

	bad(v, "not well-formed XML: line %d: %.*s", e ? e->line : 0, (int)strcspn(message, "\n"),
	    message);
}

xmlDocPtr domain_doc_read(const void *xml, size_t len, struct verdict *v)
{
	struct verdict doctype = {.rc = HV_OK};
	_cleanup_(ctxt_freep) xmlParserCtxtPtr ctxt = NULL;
	_cleanup_(domain_doc_freep) xmlDocPtr doc = NULL;

	if (!check_bytes(xml, len, v))
		return NULL;
	xmlInitParser();
	ctxt = xmlNewParserCtxt();
	hv_assert(ctxt);
	ctxt->_private = &doctype;
	ctxt->sax->internalSubset = refuse_doctype;
	doc = xmlCtxtReadMemory(ctxt, xml, (int)len, NULL, "UTF-8",
				XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
				    XML_PARSE_IGNORE_ENC);
	if (doctype.rc != HV_OK) {
		bad(v, "a document type (<!DOCTYPE ...>) is not allowed");
		return NULL;
	}
	if (!doc || !xmlDocGetRootElement(doc)) {
		parse_failed(ctxt, v);
		return NULL;
	}
	return check_depth(xmlDocGetRootElement(doc), v) ? steal_ptr(doc) : NULL;
}

bool doc_is_element(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && !n->ns && strcmp((const char *)n->name, name) == 0;
}

xmlNodePtr doc_next_element(xmlNodePtr n, const char *name)
{
	for (; n; n = n->next)
		if (doc_is_element(n, name))
			return n;
	return NULL;
}

xmlNodePtr doc_child(xmlNodePtr parent, const char *name)
{
	return parent ? doc_next_element(parent->children, name) : NULL;
}

xmlNodePtr doc_only_child(xmlNodePtr parent, const char *name, struct verdict *v)
{
	xmlNodePtr n = doc_child(parent, name);

	if (n && doc_next_element(n->next, name))
		bad(v, "<%s> is given more than once", name);
	return n;
}

char *doc_element_text(xmlNodePtr n)
{
	for (xmlNodePtr c = n->children; c; c = c->next)
		if (c->type != XML_TEXT_NODE && c->type != XML_CDATA_SECTION_NODE &&
		    c->type != XML_COMMENT_NODE)
			return NULL;
	return (char *)xmlNodeGetContent(n);
}

char *doc_attribute(xmlNodePtr n, const char *name)
{
	return (char *)xmlGetNoNsProp(n, (const xmlChar *)name);
}

void doc_xml_freep(char **p)
{
	if (*p)
		xmlFree(*p);
}

void doc_set_attribute(xmlNodePtr n, const char *name, const char *value)
{
	xmlSetProp(n, (const xmlChar *)name, (const xmlChar *)value);
}

char *domain_doc_text(xmlDocPtr doc, size_t *ret_len, struct verdict *v)
{
	xmlBufferPtr buf = xmlBufferCreate();
	char *text = NULL;

	hv_assert(buf);
	if (xmlNodeDump(buf, doc, xmlDocGetRootElement(doc), 0, 0) <= 0) {
		bad(v, "the domain XML could not be written");
	} else if (xmlBufferLength(buf) > HV_XML_MAX) {
		domain_doc_refuse(v, HV_TOO_LARGE,
				  "the completed domain XML has %d bytes, the limit is %d",
				  xmlBufferLength(buf), HV_XML_MAX);
	} else {
		text = hv_xstrndup((const char *)xmlBufferContent(buf), HV_XML_MAX);
		*ret_len = strlen(text);
	}
	xmlBufferFree(buf);
	return text;
}
