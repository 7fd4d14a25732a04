/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static const struct unit {
	unsigned seconds;
	const char *one, *many;
} units[] = {
    {DAY, "day", "days"},
    {HOUR, "h", "h"},
    {MINUTE, "min", "min"},
    {1, "s", "s"},
};

/* The largest unit that fits in `s` at least once; the last one for 0. */
static size_t largest_unit(uint64_t s)
{
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(units) && s < units[i].seconds)
		i++;
	return i;
}

static const char *unit_name(const struct unit *u, uint64_t n)
{
	return n == 1 ? u->one : u->many;
}

const char *format_duration(char buf[FORMAT_LEN], uint64_t ms)
{
	uint64_t s = ms / 1000, n, rest;
	size_t i = largest_unit(s);

	if (s == 0) {
		snprintf(buf, FORMAT_LEN, "%" PRIu64 " ms", ms);
		return buf;
	}
	n = s / units[i].seconds;
	rest = s % units[i].seconds;
	if (i + 1 < ARRAY_SIZE(units) && rest / units[i + 1].seconds) {
		uint64_t m = rest / units[i + 1].seconds;

		snprintf(buf, FORMAT_LEN, "%" PRIu64 " %s %" PRIu64 " %s", n,
			 unit_name(&units[i], n), m, unit_name(&units[i + 1], m));
	} else {
		snprintf(buf, FORMAT_LEN, "%" PRIu64 " %s", n, unit_name(&units[i], n));
	}
	return buf;
}

const char *format_ago(char buf[FORMAT_LEN], uint64_t then_ms, uint64_t now_ms)
{
	uint64_t s = then_ms < now_ms ? (now_ms - then_ms) / 1000 : 0;
	size_t i = largest_unit(s);

	if (then_ms == 0)
		return "-";
	if (s == 0)
		return "now";
	s /= units[i].seconds;
	snprintf(buf, FORMAT_LEN, "%" PRIu64 " %s ago", s, unit_name(&units[i], s));
	return buf;
}

const char *format_moment(char buf[FORMAT_LEN], uint64_t then_ms, uint64_t now_ms)
{
	time_t then = (time_t)(then_ms / 1000), now = (time_t)(now_ms / 1000);
	struct tm t, today;

	if (then_ms == 0 || !localtime_r(&then, &t) || !localtime_r(&now, &today))
		return "-";
	if (t.tm_year != today.tm_year)
		strftime(buf, FORMAT_LEN, "%Y-%m-%d %H:%M:%S", &t);
	else if (t.tm_yday != today.tm_yday)
		strftime(buf, FORMAT_LEN, "%d %b %H:%M:%S", &t);
	else
		strftime(buf, FORMAT_LEN, "%H:%M:%S", &t);
	return buf;
}

/* GiB in tenths, rounded. */
static uint64_t gib_tenths(uint64_t mib)
{
	return mib / 1024 * 10 + (mib % 1024 * 10 + 512) / 1024;
}

const char *format_mib(char buf[FORMAT_LEN], uint64_t mib)
{
	uint64_t tenths = gib_tenths(mib);

	if (mib < 1024)
		snprintf(buf, FORMAT_LEN, "%" PRIu64 " MiB", mib);
	else
		snprintf(buf, FORMAT_LEN, "%" PRIu64 ".%" PRIu64 " GiB", tenths / 10, tenths % 10);
	return buf;
}

const char *format_mib_of(char buf[FORMAT_LEN], uint64_t used, uint64_t total)
{
	uint64_t u = gib_tenths(used), t = gib_tenths(total);

	if (total < 1024)
		snprintf(buf, FORMAT_LEN, "%" PRIu64 "/%" PRIu64 " MiB", used, total);
	else
		snprintf(buf, FORMAT_LEN, "%" PRIu64 ".%" PRIu64 "/%" PRIu64 ".%" PRIu64 " GiB",
			 u / 10, u % 10, t / 10, t % 10);
	return buf;
}

const char *format_us(char buf[FORMAT_LEN], uint64_t us)
{
	uint64_t ms = us / 1000;

	if (us == FORMAT_NEVER)
		return "-";
	snprintf(buf, FORMAT_LEN, "%" PRIu64 ".%03" PRIu64 " s", ms / 1000, ms % 1000);
	return buf;
}

const char *format_step_us(char buf[FORMAT_LEN], uint64_t from_us, uint64_t to_us)
{
	uint64_t us = to_us - from_us;

	if (from_us == FORMAT_NEVER || to_us == FORMAT_NEVER || to_us < from_us)
		return "";
	if (us < 10000)
		snprintf(buf, FORMAT_LEN, "+%" PRIu64 ".%" PRIu64 " ms", us / 1000,
			 us % 1000 / 100);
	else if (us < 1000000)
		snprintf(buf, FORMAT_LEN, "+%" PRIu64 " ms", us / 1000);
	else
		snprintf(buf, FORMAT_LEN, "+%" PRIu64 ".%" PRIu64 " s", us / 1000000,
			 us % 1000000 / 100000);
	return buf;
}

/* ---------------------------------------------------------------- text */

/* Length of the valid UTF-8 character at `p`, 0 if there is none (RFC 3629: no surrogates, nothing
 * overlong). */
static size_t utf8_length(const uint8_t *p)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80	     ? 1
		   : p[0] >> 5 == 6  ? 2
		   : p[0] >> 4 == 14 ? 3
		   : p[0] >> 3 == 30 ? 4
				     : 0;
	uint32_t c = n > 1 ? p[0] & (0x7fU >> n) : p[0];

	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (n > 1 && (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)))
		return 0;
	return n;
}

/* Also the C1 controls, U+0080 to U+009F: some terminals obey them. */
static bool is_control(const uint8_t *p, size_t n)
{
	return (n == 1 && (p[0] < 0x20 || p[0] == 0x7f)) || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

char *format_clean(const char *text, bool keep_lines)
{
	static const char unknown[] = "\xef\xbf\xbd"; /* U+FFFD */
	const uint8_t *p = (const uint8_t *)text;
	char *clean = hv_xcalloc(3, strlen(text) + 1), *q = clean;

	while (*p) {
		size_t n = utf8_length(p);

		if (n == 0) {
			memcpy(q, unknown, 3);
			q += 3;
			p++;
			continue;
		}
		if (is_control(p, n) && !(keep_lines && (*p == '\n' || *p == '\t')))
			*q++ = ' ';
		else
			q = (char *)memcpy(q, p, n) + n;
		p += n;
	}
	return clean;
}

static bool starts_character(char c)
{
	return ((uint8_t)c & 0xc0) != 0x80;
}

size_t format_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += starts_character(*text);
	return n;
}

size_t format_fit(const char *text, size_t columns)
{
	size_t i = 0;

	for (; text[i]; i++) {
		if (starts_character(text[i]) && columns-- == 0)
			break;
	}
	return i;
}

unsigned format_distance(const char *a, const char *b)
{
	unsigned row[64];
	size_t la = strnlen(a, 63), lb = strnlen(b, 63);

	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}
