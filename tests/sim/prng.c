/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/prng.h"

/* Blackman, Vigna: xoshiro256** 1.0 and splitmix64 (public domain algorithms). */
void prng_seed(struct prng *p, uint64_t seed)
{
	p->calm = false;
	for (int i = 0; i < 4; i++) {
		uint64_t z = (seed += 0x9e3779b97f4a7c15);

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
		p->s[i] = z ^ (z >> 31);
	}
}

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

uint64_t prng_next(struct prng *p)
{
	uint64_t *s = p->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

uint64_t prng_range(struct prng *p, uint64_t lo, uint64_t hi)
{
	if (p->calm)
		return lo;
	return lo + prng_next(p) % (hi - lo + 1);
}

bool prng_chance(struct prng *p, unsigned permille)
{
	if (p->calm)
		return permille >= 1000;
	return prng_next(p) % 1000 < permille;
}
