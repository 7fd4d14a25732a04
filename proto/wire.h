/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire.h - frames on a byte stream (clusterd <-> hypervisord): a 12-byte header, then a packed
 * protobuf message. The only file that touches raw bytes.
 *
 *   offset 0  4 bytes  magic "HVF1"
 *          4  4 bytes  payload length, little endian, at most HV_HV_FRAME_MAX
 *          8  4 bytes  CRC-32C of the payload, little endian
 *
 * A frame that does not fit this is a protocol error: the reader says so and the connection is
 * closed; nothing of it is parsed.
 */
#ifndef HV_PROTO_WIRE_H
#define HV_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEADER_LEN 12

/* CRC-32C (Castagnoli, RFC 3720 B.4) of `len` bytes, continuing from `crc` (0 at the start). */
uint32_t wire_crc32c(uint32_t crc, const void *data, size_t len);

/* Writes the header for a payload. `len` must be at most HV_HV_FRAME_MAX. */
void wire_header_put(uint8_t header[WIRE_HEADER_LEN], const void *payload, size_t len);

/*
 * One whole frame in one buffer of `len` bytes (a datagram): its payload, which lies in `frame`.
 * False if anything is wrong with it or bytes are missing; what follows the frame is not looked at.
 */
bool wire_frame_open(const void *frame, size_t len, const uint8_t **ret_payload, size_t *ret_len);

/* Reads a growing byte stream into frames. Owns its buffer. */
struct wire_reader {
	uint8_t *buf;
	size_t len, cap;
	size_t taken; /* bytes of the frame that was last handed out */
};
void wire_reader_init(struct wire_reader *r);
void wire_reader_done(struct wire_reader *r);
/* Room for at least `want` bytes at the end: where read(2) may write. */
uint8_t *wire_reader_room(struct wire_reader *r, size_t want);
void wire_reader_added(struct wire_reader *r, size_t n);
/*
 * The next whole frame: 1 and the payload (valid until the next call on `r`), 0 if more bytes are
 * needed, -1 if the stream is broken (bad magic, length or checksum).
 */
int wire_reader_next(struct wire_reader *r, const uint8_t **ret_payload, size_t *ret_len);

#endif
