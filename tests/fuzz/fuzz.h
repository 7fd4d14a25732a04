/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz.h - the entry that libFuzzer and standalone.c call. By hand, with clang:
 *   make fuzz-domain_xml && ./tests/fuzz/fuzz_domain_xml.fuzzer -max_total_time=60 SEEDS
 */
#ifndef HV_TESTS_FUZZ_H
#define HV_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
