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

#endif
