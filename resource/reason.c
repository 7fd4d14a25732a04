/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/reason.h"

#include "resource/cluster_priv.h"

#include <stdio.h>

void reason_set(struct reason *r, enum reason_code code, const char *subject, const char *text,
		uint64_t number, uint64_t since_us)
{
	/* Copied before the old ones are freed: they may be the same strings. */
	char *s = subject ? hv_xstrndup(subject, HV_TEXT_MAX) : NULL;
	char *t = text && *text ? hv_xstrndup(text, HV_TEXT_MAX) : NULL;

	reason_clear(r);
	*r = (struct reason){
	    .code = code, .subject = s, .text = t, .number = number, .since_us = since_us};
}

void reason_clear(struct reason *r)
{
	free(r->subject);
	free(r->text);
	*r = (struct reason){0};
}

void reason_copy(struct reason *r, struct why why, uint64_t now_us)
{
	reason_set(r, why.code, why.subject, why.text, why.number, now_us);
}

static const char *reason_form(enum reason_code code)
{
	switch (code) {
#define X(num, name, sentence)                                                                     \
	case REASON_##name:                                                                        \
		return sentence;
		REASON_LIST(X)
#undef X
	}
	return "";
}

/* The sentence without its ": %t" when there is no text to put there. */
static size_t form_len(const char *form, const char *text)
{
	size_t len = strlen(form);

	if (!text && len >= 4 && strcmp(form + len - 4, ": %t") == 0)
		len -= 4;
	return len;
}

char *why_sentence(struct why why)
{
	char buf[2 * HV_TEXT_MAX + 256], number[24];
	const char *form = reason_form(why.code);
	size_t n = 0, len = form_len(form, why.text);

	snprintf(number, sizeof(number), "%llu", (unsigned long long)why.number);
	for (size_t i = 0; i < len && n < sizeof(buf) - 1; i++) {
		const char *part = NULL;

		if (form[i] == '%' && form[i + 1] == 's')
			part = why.subject ? why.subject : "?";
		else if (form[i] == '%' && form[i + 1] == 't')
			part = why.text ? why.text : "no cause given";
		else if (form[i] == '%' && form[i + 1] == 'n')
			part = number;
		if (!part) {
			buf[n++] = form[i];
			continue;
		}
		i++;
		while (*part && n < sizeof(buf) - 1)
			buf[n++] = *part++;
	}
	buf[n] = '\0';
	return hv_xstrdup(buf);
}

char *reason_sentence(const struct reason *r)
{
	return why_sentence(why_same(r));
}

bool reason_known(uint32_t code)
{
#define X(num, name, sentence) || code == num
	return false REASON_LIST(X);
#undef X
}

const char *reason_code_name(enum reason_code code)
{
	switch (code) {
#define X(num, name, sentence)                                                                     \
	case REASON_##name:                                                                        \
		return #name;
		REASON_LIST(X)
#undef X
	}
	return "UNKNOWN";
}
