/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages as JSON: one key for each field, named as in proto/control.proto and in its order.
 * Fields of that file keep their names for ever, so the keys do too. Every key is always there:
 * what is absent is null, "", 0, false or []. A moment that has not come (all ones) is null.
 */
#include "cli/cli.h"
#include "cli/format.h"

#include <jansson.h>

static json_t *json_text(const char *text)
{
	/* protobuf-c does not check UTF-8, jansson insists on it */
	_cleanup_free_ char *clean = format_clean(text ? text : "", true);
	json_t *value = json_string(clean);

	hv_assert(value);
	return value;
}

static json_t *json_unsigned(uint64_t n)
{
	return n == FORMAT_NEVER ? json_null() : json_integer((json_int_t)n);
}

static json_t *json_value(const ProtobufCFieldDescriptor *field, const void *member)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		return json_integer(*(const int32_t *)member);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return json_integer(*(const int64_t *)member);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_integer(*(const uint32_t *)member);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return json_unsigned(*(const uint64_t *)member);
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)member);
	case PROTOBUF_C_TYPE_STRING:
		return json_text(*(const char *const *)member);
	case PROTOBUF_C_TYPE_MESSAGE: {
		const ProtobufCMessage *m = *(const ProtobufCMessage *const *)member;

		return m ? json_of(m) : json_null();
	}
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_BYTES:
		break; /* not in our vocabulary */
	}
	return json_null();
}

static size_t element_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM:
		break;
	}
	return 4;
}

static json_t *json_list(const ProtobufCFieldDescriptor *field, const char *base)
{
	size_t n = *(const size_t *)(base + field->quantifier_offset);
	const char *items = *(const char *const *)(base + field->offset);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list,
				      json_value(field, items + i * element_size(field->type)));
	return list;
}

json_t *json_of(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *d = message->descriptor;
	const char *base = (const char *)message;
	json_t *object = json_object();

	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];

		json_object_set_new(object, f->name,
				    f->label == PROTOBUF_C_LABEL_REPEATED
					? json_list(f, base)
					: json_value(f, base + f->offset));
	}
	return object;
}

void json_show(struct cli *cli, const Hv__ControlResponse *response, json_t *object, bool lines)
{
	json_object_set_new(object, "answered_by", json_text(response->node));
	json_object_set_new(object, "stale", json_boolean(response->stale));
	json_dumpf(object, cli->out.file, lines ? JSON_COMPACT : JSON_INDENT(2));
	fputc('\n', cli->out.file);
	json_decref(object);
}

void json_show_part(struct cli *cli, const Hv__ControlResponse *response, json_t *object,
		    const char *key)
{
	json_t *part = json_object();

	json_object_set(part, key, json_object_get(object, key));
	json_decref(object);
	json_show(cli, response, part, false);
}
