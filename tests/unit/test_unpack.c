/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unpack() says what libprotobuf-c says: of messages that it packed, of the same with some bytes
 * altered, and of the forms that protobuf allows and packing never gives.
 */
#include "proto/unpack.h"

#include "proto/log.pb-c.h"
#include "proto/snapshot.pb-c.h"

#include <criterion/criterion.h>
#include <string.h>

#define BYTES_MAX (1 << 20)
#define DEPTH 5

static uint64_t chance_state = 1;

static uint64_t chance(uint64_t n)
{
	chance_state = chance_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (chance_state >> 33) % n;
}

/* Of all lengths that a varint has. */
static uint64_t some_number(void)
{
	uint64_t high = chance(1ULL << 31) << 33 | chance(1ULL << 31) << 2 | chance(4);

	return chance(3) ? chance(100) : high >> chance(64);
}

/* ---- any message of a type */

static void *keep[200000];
static size_t n_keep;

static void *new (size_t size)
{
	cr_assert(n_keep < ARRAY_SIZE(keep));
	return keep[n_keep++] = hv_xcalloc(1, size);
}

static void free_all(void)
{
	while (n_keep)
		free(keep[--n_keep]);
}

static ProtobufCMessage *some_message(const ProtobufCMessageDescriptor *type, unsigned depth);

static void some_value(const ProtobufCFieldDescriptor *f, char *at, size_t i, unsigned depth)
{
	size_t len = (size_t)chance(40);
	uint8_t *bytes;

	switch ((int)f->type) {
	case PROTOBUF_C_TYPE_UINT64:
		((uint64_t *)at)[i] = some_number();
		return;
	case PROTOBUF_C_TYPE_UINT32:
		((uint32_t *)at)[i] = (uint32_t)some_number();
		return;
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_INT32:
		((int32_t *)at)[i] = (int32_t)some_number();
		return;
	case PROTOBUF_C_TYPE_BOOL:
		((protobuf_c_boolean *)at)[i] = (protobuf_c_boolean)chance(2);
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		((ProtobufCMessage **)at)[i] = some_message(f->descriptor, depth);
		return;
	default:
		break;
	}
	bytes = new (len + 1);
	for (size_t k = 0; k < len; k++)
		bytes[k] = (uint8_t)('a' + chance(26));
	if (f->type == PROTOBUF_C_TYPE_BYTES)
		((ProtobufCBinaryData *)at)[i] = (ProtobufCBinaryData){len, bytes};
	else
		((char **)at)[i] = (char *)bytes;
}

static void some_field(const ProtobufCFieldDescriptor *f, char *message, unsigned depth)
{
	char *at = message + f->offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t n = 1 + (size_t)chance(chance(50) ? 5 : 300);

		*(size_t *)(message + f->quantifier_offset) = n;
		*(void **)at = new (n * sizeof(ProtobufCBinaryData));
		for (size_t i = 0; i < n; i++)
			some_value(f, *(char **)at, i, depth);
		return;
	}
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		*(uint32_t *)(message + f->quantifier_offset) = f->id;
	some_value(f, at, 0, depth);
}

/* Of a oneof one member at most: `only` of all the message's. */
static ProtobufCMessage *some_message(const ProtobufCMessageDescriptor *type, unsigned depth)
{
	char *message = new (type->sizeof_message);
	unsigned only = (unsigned)chance(type->n_fields ? type->n_fields : 1);

	type->message_init((ProtobufCMessage *)message);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &type->fields[i];
		bool one_of = f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;

		if ((one_of && i != only) || (!one_of && chance(3) == 0) ||
		    (f->type == PROTOBUF_C_TYPE_MESSAGE && !depth))
			continue;
		some_field(f, message, depth - 1);
	}
	return (ProtobufCMessage *)message;
}

/* ---- the same as libprotobuf-c */

static size_t packed(const void *m, uint8_t **ret)
{
	*ret = NULL;
	if (!m)
		return 0;
	*ret = hv_xcalloc(1, protobuf_c_message_get_packed_size(m) + 1);
	return protobuf_c_message_pack(m, *ret);
}

/* true: it was read without libprotobuf-c. */
static bool same(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len)
{
	static struct unpack_room room;
	uint8_t *block = hv_xmemdup(data, len); /* of its own: a read beyond it is seen */
	ProtobufCMessage *theirs = protobuf_c_message_unpack(type, NULL, len, block);
	const void *ours = unpack(&room, type, block, len);
	uint8_t *a, *b;
	size_t n = packed(theirs, &a), k = packed(ours, &b);
	bool quick = ours && !room.general;

	cr_assert_eq(!ours, !theirs, "%s: only one of the two refuses it", type->name);
	cr_assert(n == k && (!n || memcmp(a, b, n) == 0), "%s: it reads differently", type->name);
	free(a);
	free(b);
	if (theirs)
		protobuf_c_message_free_unpacked(theirs, NULL);
	if (chance(10) == 0)
		unpack_done(&room);
	free(block);
	return quick;
}

static const ProtobufCMessageDescriptor *const types[] = {
    &hv__peer_message__descriptor, &hv__peer_message__descriptor, &hv__event__descriptor,
    &hv__snapshot__descriptor,	   &hv__heartbeat__descriptor,	  &hv__gossip__descriptor,
};

static uint8_t buffer[BYTES_MAX];

static size_t some_packed(const ProtobufCMessageDescriptor *type)
{
	size_t len;

	do {
		free_all();
		len = protobuf_c_message_get_packed_size(
		    some_message(type, 1 + (unsigned)chance(DEPTH)));
	} while (len > BYTES_MAX - 64);
	len = protobuf_c_message_pack((ProtobufCMessage *)keep[0], buffer);
	free_all();
	return len;
}

Test(unpack, what_was_packed_is_read_here)
{
	size_t quick = 0, all = 3000;

	for (size_t i = 0; i < all; i++) {
		const ProtobufCMessageDescriptor *type = types[chance(ARRAY_SIZE(types))];
		size_t len = some_packed(type);

		quick += same(type, buffer, len);
	}
	cr_assert_gt(quick, all * 9 / 10, "%zu of %zu", quick, all);
}

static size_t alter(size_t len)
{
	size_t at = len ? (size_t)chance(len) : 0, n = 1 + (size_t)chance(12);

	switch (chance(6)) {
	case 0:
		return at; /* cut off */
	case 1:
		buffer[at] = (uint8_t)chance(256);
		return len;
	case 2:
		buffer[at] ^= (uint8_t)(1U << chance(8));
		return len;
	case 3: /* something is missing */
		n = n < len - at ? n : len - at;
		memmove(buffer + at, buffer + at + n, len - at - n);
		return len - n;
	case 4: /* something is there twice */
		n = n < len - at ? n : len - at;
		memmove(buffer + at + n, buffer + at, len - at);
		return len + n;
	default: /* a varint that is longer than it need be, or ends nowhere */
		memmove(buffer + at + 1, buffer + at, len - at);
		buffer[at] = 0x80;
		return len + 1;
	}
}

Test(unpack, what_was_altered_is_refused_or_read_as_libprotobuf_does)
{
	size_t quick = 0;

	for (size_t i = 0; i < 60000; i++) {
		const ProtobufCMessageDescriptor *type = types[chance(ARRAY_SIZE(types))];
		size_t len = some_packed(type);

		if (len > 4000)
			continue;
		for (uint64_t n = 1 + chance(2); n; n--)
			len = alter(len);
		quick += same(type, buffer, len);
	}
	cr_assert_gt(quick, 1000, "some are still well-formed: %zu", quick);
}

/* ---- forms that only others write */

#define READS_THE_SAME(quick, type, ...)                                                           \
	do {                                                                                       \
		static const uint8_t data[] = {__VA_ARGS__};                                       \
		cr_assert_eq(same(&hv__##type##__descriptor, data, sizeof(data)), quick);          \
	} while (0)

Test(unpack, fields_in_another_order_or_twice)
{
	READS_THE_SAME(true, epoch_id, 0x08, 5, 0x10, 2, 0x18, 1);
	READS_THE_SAME(false, epoch_id, 0x10, 2, 0x08, 5);
	READS_THE_SAME(false, epoch_id, 0x08, 5, 0x08, 6);
	/* Two of a oneof: the last counts. */
	READS_THE_SAME(false, peer_message, 0x72, 0, 0x7a, 0);
	/* A sub-message twice: they are merged. */
	READS_THE_SAME(false, ack, 0x0a, 2, 0x08, 5, 0x0a, 2, 0x10, 2);
}

Test(unpack, fields_that_are_unknown_or_of_another_type)
{
	READS_THE_SAME(false, epoch_id, 0x08, 5, 0x20, 7);
	READS_THE_SAME(false, epoch_id, 0x0a, 1, 5);
	READS_THE_SAME(false, epoch_id, 0x09, 1, 2, 3, 4, 5, 6, 7, 8);
	READS_THE_SAME(false, ack, 0x08, 5);
	READS_THE_SAME(false, epoch_id, 0x00, 5);
}

Test(unpack, numbers_that_are_long_or_too_large)
{
	READS_THE_SAME(true, epoch_id, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		       1);
	READS_THE_SAME(false, epoch_id, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		       2);
	READS_THE_SAME(false, epoch_id, 0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
		       0x80, 1);
	READS_THE_SAME(true, epoch_id, 0x10, 0x81, 0x80, 0); /* 1, the long way */
	READS_THE_SAME(false, epoch_id, 0x10, 0x80, 0x80, 0x80, 0x80, 0x20);
	READS_THE_SAME(false, heartbeat, 0x30, 2);
	READS_THE_SAME(false, epoch_id, 0x88, 0x80, 0, 5);
	READS_THE_SAME(false, ack, 0x0a, 0x82, 0x80, 0x80, 0x80, 0, 0x08, 5);
	READS_THE_SAME(false, epoch_id, 0x08);
	READS_THE_SAME(false, ack, 0x0a, 3, 0x08, 5);
}

Test(unpack, lists)
{
	READS_THE_SAME(true, hello, 0x7a, 3, 1, 2, 3);
	READS_THE_SAME(false, hello, 0x7a, 0);
	READS_THE_SAME(false, hello, 0x78, 1, 0x78, 2); /* not packed */
	READS_THE_SAME(false, hello, 0x7a, 1, 1, 0x7a, 1, 2);
	READS_THE_SAME(false, hello, 0x7a, 2, 1, 0x80);
}

Test(unpack, an_empty_message_is_one)
{
	struct unpack_room room = {0};
	const Hv__EpochId *id = unpack(&room, &hv__epoch_id__descriptor, (const uint8_t *)"", 0);

	cr_assert(id && id->number == 0);
	unpack_done(&room);
}
