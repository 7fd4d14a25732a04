/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * base.h - the few attributes and helpers that every folder uses.
 *
 * Source: GCC manual, "Common Function Attributes". Nothing here allocates or fails.
 */
#ifndef HV_PROTO_BASE_H
#define HV_PROTO_BASE_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _printf_(fmt, first) __attribute__((format(printf, fmt, first)))
#define _unused_ __attribute__((unused))
#define _noreturn_ __attribute__((noreturn))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The value of `p`, which no longer owns it. */
#define steal_ptr(p)                                                                               \
	({                                                                                         \
		typeof(p) *_pp = &(p);                                                             \
		typeof(p) _v = *_pp;                                                               \
		*_pp = NULL;                                                                       \
		_v;                                                                                \
	})

static inline void freep(void *p)
{
	free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(freep)

#define HV_US_PER_MS 1000ULL
#define HV_US_PER_S 1000000ULL

/*
 * Out of memory in pure code is fatal by design: a replica that drops an update is worse than one
 * that dies and comes back: what a replica computes must not depend on its memory. These never
 * return NULL.
 */
void *hv_xcalloc(size_t count, size_t size);
void *hv_xrealloc(void *p, size_t count, size_t size);
char *hv_xstrdup(const char *s);
char *hv_xstrndup(const char *s, size_t n);
void *hv_xmemdup(const void *p, size_t n);
/* Like asprintf, fatal when out of memory. The caller frees. */
char *hv_xasprintf(const char *fmt, ...) _printf_(1, 2);
char *hv_xvasprintf(const char *fmt, va_list ap) _printf_(1, 0);

/*
 * An assertion of ours failed. Stays on in production: prints and aborts, through a hook so that
 * the daemon can dump its blackbox and the simulator can name the seed.
 */
typedef void (*hv_panic_hook)(const char *file, int line, const char *what);
extern hv_panic_hook hv_on_panic;
_noreturn_ void hv_panic(const char *file, int line, const char *what);
#define hv_assert(cond)                                                                            \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			hv_panic(__FILE__, __LINE__, #cond);                                       \
	} while (0)

#endif
