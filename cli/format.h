/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * format.h - values as a person reads them: durations, moments, sizes, cleaned text.
 *
 * No I/O and no clock (the caller gives "now"). Functions that take `buf` write at most FORMAT_LEN
 * bytes there and return it.
 */
#ifndef HV_CLI_FORMAT_H
#define HV_CLI_FORMAT_H

#include "proto/base.h"

#define FORMAT_LEN 48
#define FORMAT_NEVER UINT64_MAX /* "has not happened" in the times of a failover's report */

/* "850 ms", "4 s", "2 min 5 s", "3 h 20 min", "5 days 2 h": the two largest units at most. */
const char *format_duration(char buf[FORMAT_LEN], uint64_t ms);
/* "now", "4 s ago", "4 min ago", "3 h ago", "5 days ago"; "-" when `then_ms` is 0. A moment in the
 * future is "now". */
const char *format_ago(char buf[FORMAT_LEN], uint64_t then_ms, uint64_t now_ms);
/* "14:05:09", with the date before it when that is not today: "21 Nov 14:05:09", "2025-11-21
 * 14:05:09". Local time. */
const char *format_moment(char buf[FORMAT_LEN], uint64_t then_ms, uint64_t now_ms);
/* "512 MiB", "2.0 GiB", "31 GiB". */
const char *format_mib(char buf[FORMAT_LEN], uint64_t mib);
/* "2.0/31.2 GiB": both in the unit of the larger one. */
const char *format_mib_of(char buf[FORMAT_LEN], uint64_t used, uint64_t total);
/* "12.345 s" of microseconds, "-" for FORMAT_NEVER. */
const char *format_us(char buf[FORMAT_LEN], uint64_t us);
/* "+0.4 ms", "+12 ms", "+2.3 s" between two moments; "" if one of them has not happened. */
const char *format_step_us(char buf[FORMAT_LEN], uint64_t from_us, uint64_t to_us);

/*
 * Text from elsewhere (agents, libvirt, guests) made fit for a terminal and for JSON: control
 * characters become spaces, or stay when they are a line's end or a tab and `keep_lines`; bytes
 * that are not UTF-8 become U+FFFD. The caller frees.
 */
char *format_clean(const char *text, bool keep_lines);
/* Columns that valid UTF-8 takes, one a character. */
size_t format_width(const char *text);
/* How many bytes of `text` take at most `columns` columns. */
size_t format_fit(const char *text, size_t columns);

/* Edits needed to turn one word into the other (Levenshtein), for did-you-mean. Words of up to 63
 * bytes. */
unsigned format_distance(const char *a, const char *b);

#endif
