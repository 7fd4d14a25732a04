/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arena.h - memory of one input, for the fuzzers that allocate more than they think.
 *
 * Between arena_enter() and arena_leave(), malloc() and its kin take from one block of memory and
 * never give the same bytes twice, until arena_reset() takes all of it back. What AddressSanitizer
 * finds in its own heap it finds here: bytes beyond a block, bytes of a freed one (for as long as
 * the input lasts, where a quarantine ends), and a block freed twice. A prepared state is made
 * once and kept: to come back to it is a copy.
 *
 * Only tests/fuzz/fuzzers links it (--wrap=malloc). Elsewhere the heap is the heap, arena_reset()
 * says so, and who allocated must free and prepare again.
 */
#ifndef HV_TESTS_ARENA_H
#define HV_TESTS_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#ifdef FUZZ_ARENA
void arena_enter(void);
void arena_leave(void);
/* What is allocated now is what arena_reset() comes back to, as it is now. */
void arena_keep(void);
/* True: all memory is as it was at arena_keep(), or free if there was none. Leaves. */
bool arena_reset(void);
/* Blocks that are allocated, kept ones too: 0 when everything was freed. */
long arena_live(void);
#else
static inline void arena_enter(void)
{
}
static inline void arena_leave(void)
{
}
static inline void arena_keep(void)
{
}
static inline bool arena_reset(void)
{
	return false;
}
static inline long arena_live(void)
{
	return 0;
}
#endif

#endif
