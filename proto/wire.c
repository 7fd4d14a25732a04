/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/wire.h"

#include "proto/base.h"
#include "proto/ids.h"

#include <string.h>

static const uint8_t magic[4] = {'H', 'V', 'F', '1'};

/* Half-byte table: small; for processors without an instruction of their own. */
static const uint32_t crc_nibble[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static uint32_t crc_portable(uint32_t crc, const uint8_t *p, size_t len)
{
	while (len--) {
		crc ^= *p++;
		crc = (crc >> 4) ^ crc_nibble[crc & 15];
		crc = (crc >> 4) ^ crc_nibble[crc & 15];
	}
	return crc;
}

#ifdef __x86_64__
/* The processor's own instruction: snapshots of many MiB are checked before each commit and at
 * boot. */
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const uint8_t *p,
							    size_t len)
{
	uint64_t c = crc, word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		c = __builtin_ia32_crc32di(c, word);
	}
	crc = (uint32_t)c;
	while (len--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}
#endif

uint32_t wire_crc32c(uint32_t crc, const void *data, size_t len)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_sse42(~crc, data, len);
#endif
	return ~crc_portable(~crc, data, len);
}

static void put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void wire_header_put(uint8_t header[WIRE_HEADER_LEN], const void *payload, size_t len)
{
	hv_assert(len <= HV_HV_FRAME_MAX);
	memcpy(header, magic, sizeof(magic));
	put_le32(header + 4, (uint32_t)len);
	put_le32(header + 8, wire_crc32c(0, payload, len));
}

bool wire_frame_open(const void *frame, size_t len, const uint8_t **ret_payload, size_t *ret_len)
{
	const uint8_t *p = frame;
	uint32_t payload;

	if (len < WIRE_HEADER_LEN || memcmp(p, magic, sizeof(magic)) != 0)
		return false;
	payload = get_le32(p + 4);
	if (payload > HV_HV_FRAME_MAX || payload > len - WIRE_HEADER_LEN)
		return false;
	if (wire_crc32c(0, p + WIRE_HEADER_LEN, payload) != get_le32(p + 8))
		return false;
	*ret_payload = p + WIRE_HEADER_LEN;
	*ret_len = payload;
	return true;
}

void wire_reader_init(struct wire_reader *r)
{
	memset(r, 0, sizeof(*r));
}

void wire_reader_done(struct wire_reader *r)
{
	free(r->buf);
	memset(r, 0, sizeof(*r));
}

static void drop_taken(struct wire_reader *r)
{
	if (!r->taken)
		return;
	memmove(r->buf, r->buf + r->taken, r->len - r->taken);
	r->len -= r->taken;
	r->taken = 0;
}

uint8_t *wire_reader_room(struct wire_reader *r, size_t want)
{
	drop_taken(r);
	if (r->cap - r->len < want) {
		r->cap = r->len + want;
		r->buf = hv_xrealloc(r->buf, r->cap, 1);
	}
	return r->buf + r->len;
}

void wire_reader_added(struct wire_reader *r, size_t n)
{
	hv_assert(n <= r->cap - r->len);
	r->len += n;
}

int wire_reader_next(struct wire_reader *r, const uint8_t **ret_payload, size_t *ret_len)
{
	uint32_t len;

	drop_taken(r);
	if (r->len < WIRE_HEADER_LEN)
		return 0;
	if (memcmp(r->buf, magic, sizeof(magic)) != 0)
		return -1;
	len = get_le32(r->buf + 4);
	if (len > HV_HV_FRAME_MAX)
		return -1;
	if (r->len - WIRE_HEADER_LEN < len)
		return 0;
	if (wire_crc32c(0, r->buf + WIRE_HEADER_LEN, len) != get_le32(r->buf + 8))
		return -1;
	r->taken = WIRE_HEADER_LEN + len;
	*ret_payload = r->buf + WIRE_HEADER_LEN;
	*ret_len = len;
	return 1;
}
