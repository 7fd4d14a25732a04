/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz.h - the entry that libFuzzer and standalone.c call. By hand, with clang, in a build folder:
 *   make fuzzers && ../tests/fuzz/fuzzers run 1000000 peer event
 */
#ifndef HV_TESTS_FUZZ_H
#define HV_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* FNV-1a: what only some inputs are asked for, their bytes decide. */
static inline uint64_t fuzz_hash(const uint8_t *data, size_t size)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < size; i++)
		h = (h ^ data[i]) * 1099511628211ULL;
	return h ^ h >> 32;
}

#endif
