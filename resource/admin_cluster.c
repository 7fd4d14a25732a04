/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hosts that go down on purpose, fencing on request, arming: administrators' requests. */
#include "resource/admin.h"

struct answer admin_node_shutdown(struct cluster *c, const char *actor, const Hv__NodeShutdown *cmd)
{
	return answer_no(HV_REFUSED, NULL, "not available in this version");
}

struct answer admin_node_fence(struct cluster *c, const char *actor, const Hv__NodeFence *cmd)
{
	return answer_no(HV_REFUSED, NULL, "not available in this version");
}

struct answer admin_arm(struct cluster *c, const char *actor, const Hv__Arm *cmd)
{
	return answer_no(HV_REFUSED, NULL, "not available in this version");
}
