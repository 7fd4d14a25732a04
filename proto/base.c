/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

hv_panic_hook hv_on_panic;

void hv_panic(const char *file, int line, const char *what)
{
	if (hv_on_panic)
		hv_on_panic(file, line, what);
	fprintf(stderr, "hvcluster: internal error at %s:%d: %s\n", file, line, what);
	abort();
}

void *hv_xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	hv_assert(p);
	return p;
}

void *hv_xrealloc(void *p, size_t count, size_t size)
{
	void *q;

	hv_assert(size && count <= SIZE_MAX / size);
	if (count == 0)
		count = 1;
	q = realloc(p, count * size);
	hv_assert(q);
	return q;
}

void *hv_xmemdup(const void *p, size_t n)
{
	void *q = hv_xcalloc(1, n);

	if (n)
		memcpy(q, p, n);
	return q;
}

char *hv_xstrndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *q = hv_xcalloc(1, len + 1);

	memcpy(q, s, len);
	return q;
}

char *hv_xstrdup(const char *s)
{
	return hv_xstrndup(s, strlen(s));
}

char *hv_xvasprintf(const char *fmt, va_list ap)
{
	va_list again;
	int n;
	char *q;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	hv_assert(n >= 0);
	q = hv_xcalloc(1, (size_t)n + 1);
	vsnprintf(q, (size_t)n + 1, fmt, ap);
	return q;
}

char *hv_xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *q;

	va_start(ap, fmt);
	q = hv_xvasprintf(fmt, ap);
	va_end(ap);
	return q;
}
