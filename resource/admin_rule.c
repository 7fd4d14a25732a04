/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules: administrators' requests. */
#include "resource/admin.h"

struct answer admin_rule_add(struct cluster *c, const char *actor, const Hv__RuleAdd *cmd)
{
	return answer_no(HV_REFUSED, NULL, "not available in this version");
}

struct answer admin_rule_remove(struct cluster *c, const char *actor, const Hv__RuleRemove *cmd)
{
	return answer_no(HV_REFUSED, NULL, "not available in this version");
}
