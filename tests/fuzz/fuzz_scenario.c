/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a scenario file: unusable with a cause, or a scenario that can be freed again. */
#include "tests/sim/scenario.h"

#include "tests/fuzz/arena.h"
#include "tests/fuzz/fuzz.h"

static void one(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = hv_xmemdup(data, size), *why = NULL;
	struct scenario *sc = NULL;

	if (scenario_read(text, size, &sc, &why) == HV_OK) {
		hv_assert(sc);
		scenario_free(sc);
	} else {
		hv_assert(why && *why);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	arena_enter();
	one(data, size);
	hv_assert(arena_live() == 0);
	arena_reset();
	return 0;
}
