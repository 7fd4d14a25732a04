/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Administrators decide about nodes and the whole cluster: fencing on request. */
#include "tests/sim/vms.h"

static void fence(struct sim *s, struct host *h, const struct host *target)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__NodeFence f = HV__NODE_FENCE__INIT;
	char name[16];

	snprintf(name, sizeof(name), "host%u", target->id);
	f.node = name;
	cmd.body_case = HV__COMMAND__BODY_NODE_FENCE;
	cmd.node_fence = &f;
	admin_command_at(s, h, &cmd);
}

void admin_policy(struct sim *s, struct host *h, const struct host *target)
{
	if (prng_chance(sim_stream(s, STREAM_ADMIN), 250))
		fence(s, h, target);
}
