/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source: protobuf.dev, "Encoding"; protobuf-c 1.4, protobuf_c_message_unpack(). */
#include "proto/unpack.h"

#include <string.h>

#define ROOM_FIRST 1024
#define ROOM_MAX (256 << 10) /* a larger message is libprotobuf-c's */

#define KEY_BYTES 2    /* of numbers up to 2047 */
#define LENGTH_BYTES 4 /* 256 MiB */
#define VARINT_BYTES 10

enum wire { WIRE_VARINT = 0, WIRE_BYTES = 2 };

struct reader {
	const uint8_t *at, *end;
};

static void *take(struct unpack_room *room, size_t size)
{
	void *p = room->memory + room->used;

	size = (size + 7) & ~(size_t)7;
	room->full = size > room->cap - room->used;
	if (room->full)
		return NULL;
	room->used += size;
	return p;
}

static bool read_long_varint(struct reader *r, unsigned most, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < most && r->at < r->end; i++) {
		uint8_t byte = *r->at++;

		if (i == VARINT_BYTES - 1 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		*ret = value;
		return true;
	}
	return false;
}

static inline bool read_varint(struct reader *r, unsigned most, uint64_t *ret)
{
	if (r->at == r->end || *r->at >= 0x80)
		return read_long_varint(r, most, ret);
	*ret = *r->at++;
	return true;
}

static bool read_sub(struct reader *r, struct reader *ret)
{
	uint64_t len;

	if (!read_varint(r, LENGTH_BYTES, &len) || len > (uint64_t)(r->end - r->at))
		return false;
	*ret = (struct reader){r->at, r->at + len};
	r->at += len;
	return true;
}

/* ---- one value */

static bool read_number(struct reader *r, ProtobufCType type, void *at)
{
	uint64_t value;

	if (!read_varint(r, VARINT_BYTES, &value))
		return false;
	if (type == PROTOBUF_C_TYPE_UINT64)
		*(uint64_t *)at = value;
	else if (type == PROTOBUF_C_TYPE_UINT32 && value <= UINT32_MAX)
		*(uint32_t *)at = (uint32_t)value;
	else if ((type == PROTOBUF_C_TYPE_ENUM || type == PROTOBUF_C_TYPE_INT32) &&
		 (int64_t)value >= INT32_MIN && (int64_t)value <= INT32_MAX)
		*(int32_t *)at = (int32_t)value;
	else if (type == PROTOBUF_C_TYPE_BOOL && value <= 1)
		*(protobuf_c_boolean *)at = (protobuf_c_boolean)value;
	else
		return false;
	return true;
}

static bool read_string(const struct reader *r, char **ret, struct unpack_room *room)
{
	size_t len = (size_t)(r->end - r->at);
	char *text = take(room, len + 1);

	if (!text)
		return false;
	memcpy(text, r->at, len);
	text[len] = 0;
	*ret = text;
	return true;
}

static bool read_bytes(const struct reader *r, ProtobufCBinaryData *ret)
{
	ret->len = (size_t)(r->end - r->at);
	ret->data = ret->len ? (uint8_t *)r->at : NULL;
	return true;
}

static bool read_message(struct reader r, const ProtobufCMessageDescriptor *type, void **ret,
			 struct unpack_room *room);

static bool is_number(ProtobufCType type)
{
	return type == PROTOBUF_C_TYPE_UINT64 || type == PROTOBUF_C_TYPE_UINT32 ||
	       type == PROTOBUF_C_TYPE_BOOL || type == PROTOBUF_C_TYPE_ENUM ||
	       type == PROTOBUF_C_TYPE_INT32;
}

static bool read_value(struct reader *r, const ProtobufCFieldDescriptor *f, void *at,
		       struct unpack_room *room)
{
	struct reader sub;

	if (is_number(f->type))
		return read_number(r, f->type, at);
	if (!read_sub(r, &sub))
		return false;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		return read_message(sub, f->descriptor, at, room);
	if (f->type == PROTOBUF_C_TYPE_STRING)
		return read_string(&sub, at, room);
	return f->type == PROTOBUF_C_TYPE_BYTES && read_bytes(&sub, at);
}

/* ---- repeated fields */

static size_t value_size(ProtobufCType type)
{
	if (type == PROTOBUF_C_TYPE_UINT64)
		return sizeof(uint64_t);
	if (type == PROTOBUF_C_TYPE_BOOL)
		return sizeof(protobuf_c_boolean);
	if (type == PROTOBUF_C_TYPE_BYTES)
		return sizeof(ProtobufCBinaryData);
	return is_number(type) ? sizeof(uint32_t) : sizeof(void *);
}

/* Numbers are packed into one field; each has at least a byte. */
static bool read_packed(struct reader *r, const ProtobufCFieldDescriptor *f, size_t *ret_n,
			void **ret, struct unpack_room *room)
{
	size_t size = value_size(f->type), n = 0;
	struct reader sub;
	char *values;

	if (!read_sub(r, &sub) || sub.at == sub.end)
		return false;
	values = take(room, (size_t)(sub.end - sub.at) * size);
	while (values && sub.at < sub.end)
		if (!read_number(&sub, f->type, values + size * n++))
			return false;
	*ret_n = n;
	*ret = values;
	return values;
}

/* `r` stands behind the first key. How many there are in a row. */
static size_t count_row(struct reader r, const ProtobufCFieldDescriptor *f)
{
	uint64_t key = (uint64_t)f->id << 3 | WIRE_BYTES, next = key;
	struct reader sub;
	size_t n = 0;

	while (next == key && read_sub(&r, &sub)) {
		n++;
		if (!read_varint(&r, KEY_BYTES, &next))
			break;
	}
	return n;
}

static bool read_row(struct reader *r, const ProtobufCFieldDescriptor *f, size_t *ret_n, void **ret,
		     struct unpack_room *room)
{
	size_t size = value_size(f->type), n = count_row(*r, f);
	char *values = n ? take(room, n * size) : NULL;
	uint64_t key;

	if (!values)
		return false;
	for (size_t i = 0; i < n; i++) {
		/* The key of the next one was looked at when they were counted. */
		if ((i && !read_varint(r, KEY_BYTES, &key)) ||
		    !read_value(r, f, values + size * i, room))
			return false;
	}
	*ret_n = n;
	*ret = values;
	return true;
}

/* ---- fields */

/* The table's entry for the next field, from `i` on; NULL: not there, or not as we would pack it.
 */
static const ProtobufCFieldDescriptor *find(const ProtobufCMessageDescriptor *type, unsigned *i,
					    uint64_t key)
{
	const ProtobufCFieldDescriptor *f;
	bool packed;

	while (*i < type->n_fields && type->fields[*i].id < key >> 3)
		++*i;
	if (*i == type->n_fields)
		return NULL;
	f = &type->fields[(*i)++];
	packed = f->label == PROTOBUF_C_LABEL_REPEATED;
	if (f->id != key >> 3 ||
	    (key & 7) != (is_number(f->type) && !packed ? WIRE_VARINT : WIRE_BYTES))
		return NULL;
	return f;
}

static bool read_field(struct reader *r, const ProtobufCFieldDescriptor *f, char *message,
		       struct unpack_room *room)
{
	void *at = message + f->offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t *n = (size_t *)(message + f->quantifier_offset);

		return is_number(f->type) ? read_packed(r, f, n, at, room)
					  : read_row(r, f, n, at, room);
	}
	if (f->label != PROTOBUF_C_LABEL_NONE)
		return false;
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		uint32_t *which = (uint32_t *)(message + f->quantifier_offset);

		if (*which)
			return false;
		*which = f->id;
	}
	return read_value(r, f, at, room);
}

static bool read_message(struct reader r, const ProtobufCMessageDescriptor *type, void **ret,
			 struct unpack_room *room)
{
	char *message = take(room, type->sizeof_message);
	const ProtobufCFieldDescriptor *f;
	unsigned i = 0;
	uint64_t key;

	if (!message)
		return false;
	type->message_init((ProtobufCMessage *)message);
	while (r.at < r.end) {
		if (!read_varint(&r, KEY_BYTES, &key))
			return false;
		f = find(type, &i, key);
		if (!f || !read_field(&r, f, message, room))
			return false;
	}
	*ret = message;
	return true;
}

/* ---- rooms */

void unpack_done(struct unpack_room *room)
{
	if (room->general)
		protobuf_c_message_free_unpacked(room->general, NULL);
	free(room->memory);
	*room = (struct unpack_room){0};
}

static void enlarge(struct unpack_room *room)
{
	room->cap = room->cap ? room->cap * 4 : ROOM_FIRST;
	free(room->memory);
	room->memory = hv_xcalloc(1, room->cap);
}

const void *unpack(struct unpack_room *room, const ProtobufCMessageDescriptor *type,
		   const uint8_t *data, size_t len)
{
	void *message;

	if (room->general)
		protobuf_c_message_free_unpacked(steal_ptr(room->general), NULL);
	if (!room->memory)
		enlarge(room);
	for (;;) {
		room->used = 0;
		room->full = false;
		if (len && read_message((struct reader){data, data + len}, type, &message, room))
			return message;
		if (!room->full || room->cap >= ROOM_MAX)
			break;
		enlarge(room);
	}
	room->general = protobuf_c_message_unpack(type, NULL, len, data);
	return room->general;
}
