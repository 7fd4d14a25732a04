/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Built without sanitizers and without builtins (no loop may become memcpy(), which looks at the
 * shadow): this file writes the shadow itself. AddressSanitizer has one shadow byte for eight: 0
 * all may be touched, 1 to 7 so many of them, 0xf7 none ("poisoned by user").
 */
#include "tests/fuzz/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZE ((size_t)16 << 20)
#define KEPT_MAX ((size_t)1 << 20)
#define GAP 32 /* between two blocks; its second half is the header of the latter */
#define LIVE 0x4c495645U
#define FREED 0x46524545U
#define POISON 0xf7f7f7f7f7f7f7f7U

struct head {
	uint32_t state, size;
	uint64_t unused;
};

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
void __asan_get_shadow_mapping(size_t *scale, size_t *offset);

static uint8_t arena[SIZE] __attribute__((aligned(64)));
static uint64_t kept_bytes[KEPT_MAX / 8], kept_shadow[KEPT_MAX / 64];
static uint8_t *shadow; /* of arena[0] */
static size_t used, kept;
static long live, kept_live;
static bool active;

static void copy(uint64_t *to, const uint64_t *from, size_t words)
{
	for (size_t i = 0; i < words; i++)
		to[i] = from[i];
}

/* Both ends are multiples of 64. */
static void poison(size_t from, size_t to)
{
	uint64_t *at = (uint64_t *)(void *)(shadow + from / 8);

	for (size_t i = 0; i < (to - from) / 64; i++)
		at[i] = POISON;
}

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

void arena_enter(void)
{
	if (!shadow) {
		size_t scale, offset;

		__asan_get_shadow_mapping(&scale, &offset);
		shadow = (uint8_t *)(((uintptr_t)arena >> scale) + offset);
		poison(0, SIZE);
	}
	active = true;
}

void arena_leave(void)
{
	active = false;
}

void arena_keep(void)
{
	kept = used = round_up(used, 64);
	kept_live = live;
	if (kept > KEPT_MAX)
		abort();
	copy(kept_bytes, (uint64_t *)(void *)arena, kept / 8);
	copy(kept_shadow, (uint64_t *)(void *)shadow, kept / 64);
}

bool arena_reset(void)
{
	poison(kept, round_up(used, 64));
	copy((uint64_t *)(void *)arena, kept_bytes, kept / 8);
	copy((uint64_t *)(void *)shadow, kept_shadow, kept / 64);
	used = kept;
	live = kept_live;
	active = false;
	return true;
}

long arena_live(void)
{
	return live;
}

static bool is_ours(const void *p)
{
	return (const uint8_t *)p >= arena && (const uint8_t *)p < arena + SIZE;
}

static struct head *head_of(void *p)
{
	struct head *h = (struct head *)p - 1;

	if ((uintptr_t)p % 16 || h->state != LIVE) {
		fprintf(stderr, "ERROR: arena: %p is no block, or was freed before\n", p);
		abort();
	}
	return h;
}

static uint8_t *take(size_t n)
{
	struct head *h;
	uint8_t *p, *s;

	n = n ? n : 1;
	if (n > SIZE - GAP || used + GAP + n + 64 > SIZE)
		return NULL;
	p = arena + used + GAP;
	h = (struct head *)(void *)p - 1;
	*h = (struct head){LIVE, (uint32_t)n, 0};
	used += GAP + round_up(n, 16);
	s = shadow + (size_t)(p - arena) / 8;
	for (size_t i = 0; i < n / 8; i++)
		s[i] = 0;
	if (n % 8)
		s[n / 8] = n % 8;
	live++;
	return p;
}

/* What is too much for the arena is the heap's. */
void *__wrap_malloc(size_t n)
{
	uint8_t *p = active ? take(n) : NULL;

	if (!p)
		return __real_malloc(n);
	for (size_t i = 0; i < n && i < 64; i++)
		p[i] = 0xbe;
	return p;
}

void *__wrap_calloc(size_t count, size_t size)
{
	uint8_t *p = NULL;

	if (active && (size == 0 || count <= SIZE / size))
		p = take(count * size);
	if (!p)
		return __real_calloc(count, size);
	for (size_t i = 0; i < count * size; i++)
		p[i] = 0;
	return p;
}

void *__wrap_realloc(void *p, size_t n)
{
	struct head *h;
	uint8_t *q;

	if (p && !is_ours(p))
		return __real_realloc(p, n);
	q = __wrap_malloc(n);
	if (!p || !q)
		return q;
	h = head_of(p);
	for (size_t i = 0; i < n && i < h->size; i++)
		q[i] = ((uint8_t *)p)[i];
	__wrap_free(p);
	return q;
}

void __wrap_free(void *p)
{
	struct head *h;
	uint8_t *s;

	if (!p || !is_ours(p)) {
		__real_free(p);
		return;
	}
	h = head_of(p);
	h->state = FREED;
	s = shadow + (size_t)((uint8_t *)p - arena) / 8;
	for (size_t i = 0; i < (h->size + 7) / 8; i++)
		s[i] = 0xfd; /* as freed heap memory, so that a report says "use after free" */
	live--;
}
