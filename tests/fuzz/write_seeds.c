/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * write_seeds DIR - writes the seeds that are made of packed messages: real ones, of a small
 * cluster and of three logs that talk to each other. Run it again when a message has changed (make
 * fuzz-seeds).
 */
#include "proto/base.h"

#include "tests/fuzz/seeds.h"

#include <stdio.h>
#include <stdlib.h>

static const char *top;

void seed_save(const char *folder, const char *name, const void *data, size_t len)
{
	_cleanup_free_ char *path = hv_xasprintf("%s/%s/%s", top, folder, name);
	FILE *f = fopen(path, "w");

	if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: write_seeds DIR\n");
		return 2;
	}
	top = argv[1];
	seeds_of_log();
	seeds_of_brain();
	seeds_of_ipc();
	return 0;
}
