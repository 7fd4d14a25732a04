/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * standalone - runs a fuzz entry over its seeds (or the FILEs given) and over damaged copies of
 * them, the same ones each time: an ordinary test where there is no libFuzzer.
 */
#include "proto/base.h"

#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INPUT_MAX 100000
#define DAMAGES 400 /* for each seed */

static uint64_t state = 88172645463325252ULL;
static unsigned inputs;

/* xorshift: the sequence is part of the test. */
static uint32_t random_below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return n ? (uint32_t)(state >> 11) % n : 0;
}

static size_t damage(uint8_t *p, size_t len)
{
	size_t at = random_below((uint32_t)len + 1), n = random_below(16);

	switch (random_below(5)) {
	case 0: /* cut */
		return at;
	case 1: /* a bit */
		if (at < len)
			p[at] ^= (uint8_t)(1u << random_below(8));
		return len;
	case 2: /* a byte of meaning */
		if (at < len)
			p[at] = (uint8_t) "<>&'\"/=! \0\xff-0"[random_below(14)];
		return len;
	case 3: /* a piece out */
		n = at + n > len ? len - at : n;
		memmove(p + at, p + at + n, len - at - n);
		return len - n;
	default: /* a piece twice */
		n = at + n > len ? len - at : n;
		memmove(p + at + n, p + at, len - at);
		return len + n;
	}
}

static void run_file(const char *path)
{
	_cleanup_free_ uint8_t *seed = hv_xcalloc(1, INPUT_MAX);
	_cleanup_free_ uint8_t *copy = hv_xcalloc(1, INPUT_MAX + 64);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, seed, INPUT_MAX - 1024) : -1;

	if (len < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
	LLVMFuzzerTestOneInput(seed, (size_t)len);
	for (unsigned i = 0; i < DAMAGES; i++) {
		size_t n = (size_t)len;

		memcpy(copy, seed, n);
		for (unsigned k = 0; k <= i % 4; k++)
			n = damage(copy, n);
		LLVMFuzzerTestOneInput(copy, n);
		inputs++;
	}
}

static void run_folder(const char *path)
{
	struct dirent **list = NULL;
	int n = scandir(path, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *file = hv_xasprintf("%s/%s", path, list[i]->d_name);

		if (list[i]->d_name[0] != '.')
			run_file(file);
		free(list[i]);
	}
	free(list);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run_file(argv[i]);
	if (argc < 2) { /* fuzz_NAME: seeds/NAME */
		const char *base = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
		_cleanup_free_ char *folder = NULL;

		base = strncmp(base, "lt-", 3) == 0 ? base + 3 : base;
		hv_assert(strncmp(base, "fuzz_", 5) == 0);
		folder = hv_xasprintf("%s/%s", FUZZ_SEEDS, base + 5);
		run_folder(folder);
	}
	printf("%u inputs\n", inputs);
	return inputs == 0;
}
