/* SPDX-License-Identifier: GPL-2.0-or-later */
/* brain_rules.h - what tests of rules share. */
#ifndef HV_TESTS_BRAIN_RULES_H
#define HV_TESTS_BRAIN_RULES_H

#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>

#define NODES HV__RULE_KIND__RULE_NODES
#define BAN HV__RULE_KIND__RULE_BAN
#define TOGETHER HV__RULE_KIND__RULE_TOGETHER
#define APART HV__RULE_KIND__RULE_APART
#define FOLLOW HV__RULE_KIND__RULE_FOLLOW
#define AFTER HV__RULE_KIND__RULE_AFTER

static inline struct world *count_world(unsigned nodes)
{
	struct world *w = world_new(nodes);

	set(w, "placement", "count");
	return w;
}

/* Nothing is left to do: another look, and time, change nothing. */
static inline void assert_quiet(struct world *w)
{
	all_succeed(w);
	for (int i = 0; i < 5; i++) {
		tick(w, 120000);
		cr_assert_eq(running_count(w, OP_VM_MIGRATE) + running_count(w, OP_VM_START) +
				 running_count(w, OP_VM_STOP),
			     0, "something still moves");
	}
}

static inline void lose(struct world *w, hv_node_id id, const char *left)
{
	view(w, left, "", false);
	fence_result(w, id, HV_OK);
}

#endif
