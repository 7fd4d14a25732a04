/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as what a fence agent prints, and as the options it was given: no secret is left in
 * what is kept of it, and that is one printable line.
 *
 * The input is two secrets, each a length (one byte, at most 63) and its bytes, then the output.
 */
#include "fence/agent_text.h"
#include "proto/ids.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

/* Without what ends a string, and without the asterisks that stand for a secret. */
static char *secret_from(const uint8_t **data, size_t *size)
{
	size_t len = *size ? **data & 63 : 0;
	char *s;

	if (*size == 0)
		return hv_xstrdup("");
	if (len > *size - 1)
		len = *size - 1;
	s = hv_xstrndup((const char *)*data + 1, len);
	for (char *p = s; *p; p++)
		if (*p == '*')
			*p = 'x';
	*data += 1 + len;
	*size -= 1 + len;
	return s;
}

static void check_call(const struct fence_call *call)
{
	_cleanup_free_ char *why = NULL, *text = NULL;

	if (agent_call_check(call, &why) != HV_OK) {
		hv_assert(why && *why && strlen(why) < HV_TEXT_MAX);
		return;
	}
	text = agent_call_stdin(call, NULL);
	hv_assert(strncmp(text, "action=off\nip=", 14) == 0);
	for (size_t lines = 0, i = 0; text[i]; i++) {
		lines += text[i] == '\n';
		hv_assert(lines <= 1 + call->n_options);
	}
}

static void check_summary(const char *buf, size_t len)
{
	_cleanup_free_ char *line = agent_summary(buf, len);

	hv_assert(strlen(line) < HV_TEXT_MAX);
	for (const char *p = line; *p; p++)
		hv_assert(*p >= ' ' && *p < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *one = secret_from(&data, &size), *two = secret_from(&data, &size);
	const struct fence_option options[] = {
	    {"ip", "192.0.2.1", false}, {"password", one, true}, {"snmp_community", two, true}};
	const struct fence_call call = {
	    .agent = "fence_ipmilan", .action = "off", .options = options, .n_options = 3};
	_cleanup_free_ char *buf = hv_xmemdup(data, size);
	size_t len;

	check_call(&call);
	len = agent_blank(&call, buf, size, false);
	hv_assert(len <= size);
	for (size_t i = 1; i < 3; i++)
		hv_assert(!*options[i].value ||
			  !memmem(buf, len, options[i].value, strlen(options[i].value)));
	check_summary(buf, len);
	return 0;
}
