/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/ids.h"

#include "proto/base.h"

#include <string.h>

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool hv_name_valid(const char *s)
{
	size_t n;

	if (!s || !is_alnum(s[0]))
		return false;
	for (n = 1; s[n]; n++) {
		if (n >= HV_NAME_MAX)
			return false;
		if (!is_alnum(s[n]) && s[n] != '.' && s[n] != '_' && s[n] != '-')
			return false;
	}
	return true;
}

void hv_text_flatten(char *s)
{
	char *to = s;

	for (const char *from = s; *from; from++) {
		bool space = (unsigned char)*from <= ' ' || *from == 0x7f;

		if (!space)
			*to++ = *from;
		else if (to > s && to[-1] != ' ')
			*to++ = ' ';
	}
	while (to > s && to[-1] == ' ')
		to--;
	*to = '\0';
}

bool hv_uuid_valid(const char *s)
{
	size_t i;

	if (!s || strlen(s) != HV_UUID_LEN)
		return false;
	for (i = 0; i < HV_UUID_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		bool hex = (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f');

		if (dash ? s[i] != '-' : !hex)
			return false;
	}
	return true;
}
