/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/ids.h"
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <string.h>

Test(wire, crc32c_of_the_rfc_check_string)
{
	cr_assert_eq(wire_crc32c(0, "123456789", 9), 0xe3069283u);
}

static void add(struct wire_reader *r, const void *p, size_t n)
{
	memcpy(wire_reader_room(r, n), p, n);
	wire_reader_added(r, n);
}

Test(wire, frames_come_out_whole_however_they_arrive)
{
	struct wire_reader r;
	uint8_t h[WIRE_HEADER_LEN];
	const uint8_t *p = NULL;
	size_t len = 0;

	wire_reader_init(&r);
	wire_header_put(h, "hello", 5);
	for (size_t i = 0; i < sizeof(h); i++) {
		cr_assert_eq(wire_reader_next(&r, &p, &len), 0);
		add(&r, h + i, 1);
	}
	add(&r, "hell", 4);
	cr_assert_eq(wire_reader_next(&r, &p, &len), 0);
	add(&r, "oHVF1", 5);
	cr_assert_eq(wire_reader_next(&r, &p, &len), 1);
	cr_assert_eq(len, 5);
	cr_assert_arr_eq(p, "hello", 5);
	cr_assert_eq(wire_reader_next(&r, &p, &len), 0);
	wire_reader_done(&r);
}

Test(wire, broken_streams_are_refused)
{
	uint8_t h[WIRE_HEADER_LEN];
	const uint8_t *p;
	size_t len;

	for (int what = 0; what < 3; what++) {
		struct wire_reader r;

		wire_reader_init(&r);
		wire_header_put(h, "hello", 5);
		if (what == 0)
			h[0] ^= 1; /* magic */
		else if (what == 1)
			h[7] = 0xff; /* length */
		else
			h[8] ^= 1; /* checksum */
		add(&r, h, sizeof(h));
		add(&r, "hello", 5);
		cr_assert_eq(wire_reader_next(&r, &p, &len), -1, "case %d", what);
		wire_reader_done(&r);
	}
}

Test(wire, names)
{
	cr_assert(hv_name_valid("a"));
	cr_assert(hv_name_valid("Web-1.example_x"));
	cr_assert_not(hv_name_valid(""));
	cr_assert_not(hv_name_valid("-a"));
	cr_assert_not(hv_name_valid("a b"));
	cr_assert_not(hv_name_valid("a/b"));
	cr_assert(hv_uuid_valid("01234567-89ab-cdef-0123-456789abcdef"));
	cr_assert_not(hv_uuid_valid("01234567-89AB-cdef-0123-456789abcdef"));
}

Test(wire, what_another_program_said_becomes_one_line)
{
	char text[] = "\n\tqemu: Cannot read\r\n2026: load of\x1b[31m \x7f failed\n ",
	     none[] = " \n";

	hv_text_flatten(text);
	cr_assert_str_eq(text, "qemu: Cannot read 2026: load of [31m failed");
	hv_text_flatten(none);
	cr_assert_str_eq(none, "");
}

Test(wire, a_frame_in_one_buffer_is_opened_only_when_it_is_whole)
{
	uint8_t frame[WIRE_HEADER_LEN + 5];
	const uint8_t *p = NULL;
	size_t len = 0;

	wire_header_put(frame, "hello", 5);
	memcpy(frame + WIRE_HEADER_LEN, "hello", 5);
	cr_assert(wire_frame_open(frame, sizeof(frame), &p, &len));
	cr_assert_eq(len, 5);
	cr_assert_eq(memcmp(p, "hello", 5), 0);
	for (size_t n = 0; n < sizeof(frame); n++)
		cr_assert_not(wire_frame_open(frame, n, &p, &len));
	frame[WIRE_HEADER_LEN] ^= 1;
	cr_assert_not(wire_frame_open(frame, sizeof(frame), &p, &len));
}
