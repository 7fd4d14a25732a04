/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mutant.h - which seeded bug (proto/mutant.h) this simulator has. */
#ifndef HV_TESTS_SIM_MUTANT_H
#define HV_TESTS_SIM_MUTANT_H

#include <stdbool.h>

/* false, and said why: there is no such mutant, or this simulator has none. */
bool mutant_choose(const char *name);

#endif
