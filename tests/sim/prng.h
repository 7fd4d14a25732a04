/* SPDX-License-Identifier: GPL-2.0-or-later */
/* prng.h - the only source of chance in the simulator: xoshiro256**, seeded by splitmix64. */
#ifndef HV_TESTS_SIM_PRNG_H
#define HV_TESTS_SIM_PRNG_H

#include <stdbool.h>
#include <stdint.h>

/* calm: nothing happens by chance, and of every range it is the least. */
struct prng {
	uint64_t s[4];
	bool calm;
};
void prng_seed(struct prng *p, uint64_t seed);
uint64_t prng_next(struct prng *p);
/* lo..hi, both included. */
uint64_t prng_range(struct prng *p, uint64_t lo, uint64_t hi);
/* true in `permille` of 1000 cases. */
bool prng_chance(struct prng *p, unsigned permille);

#endif
