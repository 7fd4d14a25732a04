/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/mutant.h"

#include "proto/mutant.h"

#include <stdio.h>
#include <string.h>

#ifdef HV_MUTANT_AT_RUN_TIME
enum hv_mutant hv_mutant;

bool mutant_choose(const char *name)
{
	static const char *const names[] = {"none",
#define NAME(name, hunt, what) #name,
					    HV_MUTANTS(NAME)
#undef NAME
	};

	for (unsigned i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		hv_mutant = (enum hv_mutant)i;
		return true;
	}
	fprintf(stderr, "hvsim: there is no mutant %s: see proto/mutant.h\n", name);
	return false;
}
#else
bool mutant_choose(const char *name)
{
	fprintf(stderr, "hvsim: this simulator has no mutants (%s): try hvsim-mutants\n", name);
	return false;
}
#endif
