/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fence/agent_text.h"

#include "proto/ids.h"

#include <stdio.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define PIECE_MIN 4 /* shorter runs of a secret would blank half of the text */
#define SUMMARY_MAX (HV_TEXT_MAX / 2)

bool agent_name_valid(const char *name)
{
	static const char prefix[] = "fence_";
	size_t len = strlen(name);

	if (len > HV_NAME_MAX || strncmp(name, prefix, strlen(prefix)) != 0)
		return false;
	name += strlen(prefix);
	return *name && name[strspn(name, LETTERS DIGITS "_")] == '\0';
}

static size_t text_size(const char *s)
{
	return strlen(s) + 1;
}

static const char *put(char **at, const char *s)
{
	const char *copy = memcpy(*at, s, text_size(s));

	*at += text_size(s);
	return copy;
}

/* The first member so that agent_call_free() knows how much to wipe. */
struct call_block {
	struct fence_call call;
	size_t size;
	struct fence_option options[];
};

struct fence_call *agent_call_dup(const struct fence_call *call)
{
	size_t size = sizeof(struct call_block) + call->n_options * sizeof(struct fence_option);
	struct call_block *b;
	char *at;

	size += text_size(call->agent) + text_size(call->action);
	for (size_t i = 0; i < call->n_options; i++)
		size += text_size(call->options[i].key) + text_size(call->options[i].value);
	b = hv_xcalloc(1, size);
	b->size = size;
	at = (char *)(b->options + call->n_options);
	b->call = *call;
	b->call.agent = put(&at, call->agent);
	b->call.action = put(&at, call->action);
	b->call.options = b->options;
	for (size_t i = 0; i < call->n_options; i++) {
		b->options[i].key = put(&at, call->options[i].key);
		b->options[i].value = put(&at, call->options[i].value);
		b->options[i].secret = call->options[i].secret;
	}
	return &b->call;
}

void agent_call_free(struct fence_call *call)
{
	struct call_block *b = (struct call_block *)call;

	if (b)
		explicit_bzero(b, b->size);
	free(b);
}

static bool action_valid(const char *action)
{
	static const char *const known[] = {"off", "on", "reboot", "status", "monitor", "metadata"};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(action, known[i]) == 0)
			return true;
	return false;
}

/* The value is never part of the text: it may be the secret. */
static enum hv_rc check_option(const struct fence_option *o, char **ret_text)
{
	size_t len = strlen(o->key);

	if (len < 1 || len > HV_NAME_MAX || o->key[strspn(o->key, LETTERS CAPITALS DIGITS "_-")]) {
		*ret_text = hv_xasprintf("a fence option's name may hold letters, digits, '_' and "
					 "'-' only");
		return HV_BAD_INPUT;
	}
	if (strcmp(o->key, "action") == 0 || strcmp(o->key, "option") == 0) {
		*ret_text =
		    hv_xasprintf("fence option '%s' is the cluster's to set: leave it out", o->key);
		return HV_BAD_INPUT;
	}
	if (o->value[strcspn(o->value, "\r\n")]) {
		*ret_text = hv_xasprintf("the value of fence option '%s' has a line break", o->key);
		return HV_BAD_INPUT;
	}
	if (strlen(o->value) > HV_OPTION_MAX) {
		*ret_text = hv_xasprintf("the value of fence option '%s' is longer than %d bytes",
					 o->key, HV_OPTION_MAX);
		return HV_TOO_LARGE;
	}
	return HV_OK;
}

enum hv_rc agent_call_check(const struct fence_call *call, char **ret_text)
{
	if (!agent_name_valid(call->agent)) {
		*ret_text = hv_xasprintf("this is not the name of a fence agent: it must be fence_ "
					 "and lower-case letters, digits or '_'");
		return HV_BAD_INPUT;
	}
	if (!action_valid(call->action)) {
		*ret_text = hv_xasprintf("fence agents know off, on, reboot, status, monitor and "
					 "metadata only");
		return HV_BAD_INPUT;
	}
	if (call->n_options > 2 * HV_MAX_DEVICE_OPTIONS) {
		*ret_text = hv_xasprintf("%s has more than %d options", call->agent,
					 2 * HV_MAX_DEVICE_OPTIONS);
		return HV_TOO_LARGE;
	}
	for (size_t i = 0; i < call->n_options; i++) {
		enum hv_rc rc = check_option(&call->options[i], ret_text);

		if (rc != HV_OK)
			return rc;
	}
	return HV_OK;
}

/* Names under which fence_ipmilan is installed. */
static bool is_ipmilan(const char *agent)
{
	static const char *const names[] = {"fence_ipmilan", "fence_ipmilanplus", "fence_idrac",
					    "fence_ilo3",    "fence_ilo4",	  "fence_ilo5",
					    "fence_imm"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(agent, names[i]) == 0)
			return true;
	return false;
}

static bool is_password(const struct fence_option *o)
{
	return o->secret && (strcmp(o->key, "password") == 0 || strcmp(o->key, "passwd") == 0);
}

/* An ipmitool of the administrator's own choice, or run by sudo, takes what fence_ipmilan says. */
static bool takes_quiet(const struct fence_call *call)
{
	bool password = false;

	for (size_t i = 0; i < call->n_options; i++) {
		const char *key = call->options[i].key;

		if (strncmp(key, "ipmitool", 8) == 0 || strstr(key, "sudo"))
			return false;
		password = password || is_password(&call->options[i]);
	}
	return password && is_ipmilan(call->agent);
}

char *agent_call_stdin(const struct fence_call *call, const char *ipmitool)
{
	size_t size = strlen("action=\n") + text_size(call->action), len;
	const char *quiet = ipmitool && takes_quiet(call) ? ipmitool : NULL;
	char *text, *at;

	for (size_t i = 0; i < call->n_options; i++)
		size += text_size(call->options[i].key) + text_size(call->options[i].value) +
			strlen("# ");
	if (quiet)
		size += strlen("ipmitool_path=\n") + text_size(quiet);
	text = hv_xcalloc(1, size);
	at = text + snprintf(text, size, "action=%s\n", call->action);
	if (quiet)
		at += snprintf(at, size - (size_t)(at - text), "ipmitool_path=%s\n", quiet);
	for (size_t i = 0; i < call->n_options; i++) {
		const struct fence_option *o = &call->options[i];
		bool hide = quiet && is_password(o);

		len = size - (size_t)(at - text);
		/* fence/ipmitool_quiet.c reads this line, fence_ipmilan skips it. */
		at += hide ? snprintf(at, len, "# password %s\n", o->value)
			   : snprintf(at, len, "%s=%s\n", o->key, o->value);
	}
	return text;
}

/* Marks each occurrence of `what`. */
static void mark(const char *buf, size_t len, const char *what, size_t n, bool *marks)
{
	const char *at = buf, *hit;

	while (n && (hit = memmem(at, len - (size_t)(at - buf), what, n))) {
		memset(marks + (hit - buf), true, n);
		at = hit + 1;
	}
}

static void mark_pieces(const char *buf, size_t len, const char *secret, bool *marks)
{
	size_t n;

	for (; *secret; secret += n ? n : 1) {
		n = strspn(secret, LETTERS CAPITALS DIGITS);
		if (n >= PIECE_MIN)
			mark(buf, len, secret, n, marks);
	}
}

/* A marked run becomes at most three asterisks. */
static size_t close_gaps(char *buf, size_t len, const bool *marks)
{
	size_t out = 0, run = 0;

	for (size_t i = 0; i < len; i++) {
		run = marks[i] ? run + 1 : 0;
		if (run <= 3)
			buf[out++] = run ? '*' : buf[i];
	}
	memset(buf + out, 0, len - out);
	return out;
}

size_t agent_blank(const struct fence_call *call, char *buf, size_t len, bool cut)
{
	_cleanup_free_ bool *marks = hv_xcalloc(len + 1, sizeof(*marks));
	size_t longest = 0;

	for (size_t i = 0; i < call->n_options; i++) {
		const char *secret = call->options[i].value;

		if (!call->options[i].secret)
			continue;
		mark(buf, len, secret, strlen(secret), marks);
		mark_pieces(buf, len, secret, marks);
		if (strlen(secret) > longest)
			longest = strlen(secret);
	}
	if (cut && longest > 1)
		len -= longest - 1 < len ? longest - 1 : len;
	return close_gaps(buf, len, marks);
}

/* One line's printable part, without blanks around; empty lines give 0. */
static size_t clean_line(const char *line, size_t n, char *out)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c <= ' ' || c == 0x7f)
			c = ' ';
		else if (c >= 0x80)
			c = '?'; /* our texts travel as UTF-8; an agent's may be anything */
		if (c == ' ' && (len == 0 || out[len - 1] == ' '))
			continue;
		out[len++] = (char)c;
	}
	while (len && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
	return len;
}

char *agent_summary(const char *buf, size_t len)
{
	char *text = hv_xstrdup("");
	_cleanup_free_ char *line = hv_xcalloc(1, len + 1);
	size_t end = len;

	/* From the last line backwards, as long as it fits; a repeated line says nothing new. */
	for (;;) {
		size_t start = end, n;
		char *joined;

		while (start > 0 && buf[start - 1] != '\n')
			start--;
		n = clean_line(buf + start, end - start, line);
		if (n && !strstr(text, line)) {
			if (*text && strlen(text) + n + 3 > SUMMARY_MAX)
				break;
			joined =
			    hv_xasprintf("%.*s%s%s", SUMMARY_MAX, line, *text ? " | " : "", text);
			free(text);
			text = joined;
		}
		if (start == 0)
			break;
		end = start - 1;
	}
	return text;
}
