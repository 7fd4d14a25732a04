/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hosts that go down on purpose, fencing on request, arming: administrators' requests. */
#include "resource/admin.h"
#include "resource/arm.h"
#include "resource/brake.h"
#include "resource/fencing.h"
#include "resource/leaving.h"
#include "resource/node_machine.h"

#include <stdio.h>

struct answer admin_node_shutdown(struct cluster *c, const char *actor, const Hv__NodeShutdown *cmd)
{
	struct node *n = node_find_name(c, cmd->node);
	enum node_leaving to = cmd->reboot ? NODE_REBOOTS : NODE_SHUTS_DOWN;
	hv_op_id op;

	if (!n)
		return answer_no_node(cmd->node);
	if (cmd->cancel) {
		if (n->leaving != NODE_STAYS)
			leaving_cancel(c, n, actor);
		return answer_ok(0);
	}
	if (!node_is_member(n))
		return answer_no(HV_REFUSED, "hvcluster node list", "node '%s' is %s already",
				 n->name, node_state_name(n->state));
	if (n->leaving == to && n->leaving_op)
		return answer_ok(n->leaving_op);
	op = leaving_begin(c, n, cmd->reboot, actor);
	if (!op)
		return answer_no(HV_LIMIT, "hvcluster status",
				 "too many operations are in progress");
	return answer_ok(op);
}

struct answer admin_node_fence(struct cluster *c, const char *actor, const Hv__NodeFence *cmd)
{
	struct node *n = node_find_name(c, cmd->node);
	char hint[128];

	if (!n)
		return answer_no_node(cmd->node);
	if (n->state == NODE_OFFLINE)
		return answer_no(HV_REFUSED, "hvcluster node list", "node '%s' is off already",
				 n->name);
	if (!is_armed(c))
		return answer_disarmed();
	if (n->n_devices == 0) {
		snprintf(hint, sizeof(hint), "hvcluster fence add %s", n->name);
		return answer_no(HV_REFUSED, hint, "node '%s' has no fence device", n->name);
	}
	if (!node_want_fence(c, n, WHY(FENCE_ASKED, .subject = n->name, .text = actor)))
		return answer_no(HV_REFUSED, "hvcluster node list",
				 "no other member could fence node '%s'", n->name);
	n->fence_forced = true;
	fencing_settle(c, n); /* at once, so that there is something to wait for */
	return answer_ok(n->fence_op);
}

struct answer admin_node_release(struct cluster *c, const char *actor, const Hv__NodeRelease *cmd)
{
	struct node *n = node_find_name(c, cmd->node);

	if (!n)
		return answer_no_node(cmd->node);
	if (!n->quarantined)
		return answer_no(HV_REFUSED, "hvcluster node list",
				 "node '%s' is not in quarantine", n->name);
	brake_release(c, n, WHY(ADMIN, .subject = actor));
	return answer_ok(0);
}

struct answer admin_arm(struct cluster *c, const char *actor, const Hv__Arm *cmd)
{
	if (cmd->disarm)
		arm_disarm(c, cmd->ignore, actor);
	else
		arm_arm(c, actor);
	return answer_ok(0);
}
