/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unpack.h - protobuf messages unpacked into one piece of memory, which the next one uses again.
 *
 * PURE. The result is that of protobuf_c_message_unpack(), which allocates every sub-message and
 * every string; whoever reads thousands a second reads them here. Only the form that packing gives
 * is read here: each field at most once, in ascending order, known, in its range. Whatever else
 * protobuf allows, and whatever is malformed, is left to libprotobuf-c: this decides what is fast,
 * never what is accepted.
 *
 *     struct unpack_room room = {0};
 *     const Hv__Ack *m = unpack(&room, &hv__ack__descriptor, data, len);
 *     ...
 *     unpack_done(&room);
 */
#ifndef HV_PROTO_UNPACK_H
#define HV_PROTO_UNPACK_H

#include "proto/base.h"

#include <protobuf-c/protobuf-c.h>

struct unpack_room {
	char *memory;
	size_t used, cap;
	bool full;		   /* there was not enough of it */
	ProtobufCMessage *general; /* libprotobuf-c had to read this one */
};

/*
 * NULL: malformed. Valid until the room is used again; fields of type bytes are not copied: they
 * point into `data`. Nobody may write to it or free it.
 */
const void *unpack(struct unpack_room *room, const ProtobufCMessageDescriptor *type,
		   const uint8_t *data, size_t len);
/* The room is empty again. */
void unpack_done(struct unpack_room *room);

#endif
