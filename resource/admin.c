/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/admin.h"

#include "resource/action.h"
#include "resource/arm.h"
#include "resource/drain.h"
#include "resource/journal.h"
#include "resource/leaving.h"
#include "resource/operation.h"

#include <stdarg.h>
#include <stdio.h>

struct answer answer_ok(hv_op_id op)
{
	return (struct answer){.rc = HV_OK, .op = op};
}

struct answer answer_no(enum hv_rc rc, const char *hint, const char *fmt, ...)
{
	char text[HV_TEXT_MAX + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return (struct answer){
	    .rc = rc, .text = hv_xstrdup(text), .hint = hint ? hv_xstrdup(hint) : NULL};
}

struct answer answer_no_vm(const char *name)
{
	if (!hv_name_valid(name))
		return answer_no(HV_NOT_FOUND, "hvcluster vm list", "there is no VM of that name");
	return answer_no(HV_NOT_FOUND, "hvcluster vm list", "there is no VM '%s'", name);
}

struct answer answer_no_node(const char *name)
{
	if (!hv_name_valid(name))
		return answer_no(HV_NOT_FOUND, "hvcluster node list",
				 "there is no node of that name");
	return answer_no(HV_NOT_FOUND, "hvcluster node list", "there is no node '%s'", name);
}

struct answer answer_disarmed(void)
{
	return answer_no(HV_REFUSED, "hvcluster arm",
			 "the cluster is disarmed: it begins nothing before it is armed");
}

/* Requests that a disarmed cluster would have to act upon. */
static bool acts(const Hv__Command *cmd)
{
	switch (cmd->body_case) {
	case HV__COMMAND__BODY_VM_MIGRATE:
	case HV__COMMAND__BODY_VM_PAUSE:
	case HV__COMMAND__BODY_VM_RESUME:
	case HV__COMMAND__BODY_VM_RESET:
	case HV__COMMAND__BODY_FENCE_TEST:
	case HV__COMMAND__BODY_NODE_FENCE:
		return true;
	case HV__COMMAND__BODY_VM_REMOVE:
		return cmd->vm_remove->stop_first;
	case HV__COMMAND__BODY_VM_START: /* what is meant is kept for then */
	case HV__COMMAND__BODY_VM_STOP:
	case HV__COMMAND__BODY_VM_ADD:
	case HV__COMMAND__BODY_VM_SET:
	case HV__COMMAND__BODY_VM_LOCK:
	case HV__COMMAND__BODY_NODE_DRAIN:
	case HV__COMMAND__BODY_NODE_RESUME:
	case HV__COMMAND__BODY_NODE_SHUTDOWN:
	case HV__COMMAND__BODY_FENCE_ADD:
	case HV__COMMAND__BODY_FENCE_REMOVE:
	case HV__COMMAND__BODY_FENCE_CONFIRM:
	case HV__COMMAND__BODY_FENCE_LEVEL:
	case HV__COMMAND__BODY_OP_CANCEL:
	case HV__COMMAND__BODY_SETTING_SET:
	case HV__COMMAND__BODY_RULE_ADD:
	case HV__COMMAND__BODY_RULE_REMOVE:
	case HV__COMMAND__BODY_NODE_RELEASE:
	case HV__COMMAND__BODY_QUORUM_FORCE:
	case HV__COMMAND__BODY_ARM:
	case HV__COMMAND__BODY__NOT_SET:
	case _HV__COMMAND__BODY__CASE_IS_INT_SIZE:
		break;
	}
	return false;
}

struct answer admin_op_cancel(struct cluster *c, const char *actor, const Hv__OpCancel *cmd)
{
	struct operation *op = op_get(c, cmd->op);

	if (!op)
		return answer_no(HV_NOT_FOUND, "hvcluster status",
				 "there is no operation %llu, or it ended long ago",
				 (unsigned long long)cmd->op);
	if (op->state != OP_RUNNING)
		return answer_no(HV_REFUSED, NULL, "operation %llu has ended already",
				 (unsigned long long)cmd->op);
	switch (op->kind) {
	case OP_NODE_DRAIN:
		drain_cancel(c, node_get(c, op->target), actor);
		return answer_ok(0);
	case OP_NODE_SHUTDOWN:
		leaving_cancel(c, node_get(c, op->target), actor);
		return answer_ok(0);
	case OP_VM_REQUEST:
		return admin_vm_cancel(c, actor, op);
	case OP_VM_MIGRATE:
	case OP_FENCE_TEST:
		op_cancel(c, op);
		return answer_ok(op->id);
	case OP_FENCE:
		return answer_no(HV_REFUSED, "hvcluster fence confirm NODE",
				 "fencing is not cancelled: VMs wait for its proof");
	case OP_VM_START:
	case OP_VM_STOP:
	case OP_VM_DESTROY:
	case OP_VM_RESUME:
	case OP_VM_PAUSE:
	case OP_VM_PROBE:
	case OP_VM_RESET:
	case OP_NONE:
		break;
	}
	return answer_no(HV_REFUSED, "hvcluster vm start NAME, or vm stop NAME",
			 "a %s is not cancelled; ask for the opposite", op_kind_name(op->kind));
}

struct answer admin_setting_set(struct cluster *c, const char *actor, const Hv__SettingSet *cmd)
{
	_cleanup_free_ char *old = NULL, *cause = hv_xasprintf("asked for by %s", actor);
	const char *why = NULL;

	if (!setting_known(cmd->key))
		return answer_no(HV_NOT_FOUND, "hvcluster settings", "there is no setting '%s'",
				 cmd->key);
	old = hv_xstrdup(cluster_setting(c, cmd->key));
	if (setting_set(c, cmd->key, cmd->value, &why) != HV_OK)
		return answer_no(HV_BAD_INPUT, "hvcluster settings", "%s: '%s' does not fit: %s",
				 cmd->key, cmd->value, why);
	journal(c, SEV_NOTICE, "setting", cmd->key, old, cluster_setting(c, cmd->key), cause);
	c->freed = true;
	return answer_ok(0);
}

/* Only said: what it changes was changed in corosync and by the FenceConfirms that come with it. */
static struct answer admin_quorum_force(struct cluster *c, const char *actor,
					const Hv__QuorumForce *cmd)
{
	char names[HV_TEXT_MAX / 2] = "";
	_cleanup_free_ char *cause = NULL;
	size_t used = 0;

	for (size_t i = 0; i < cmd->n_off && used < sizeof(names) - HV_NAME_MAX - 3; i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
					 cmd->off[i]);
	cause = hv_xasprintf("%s said that it may go on%s%s%s", actor, *names ? ", and that " : "",
			     names, *names ? " cannot run any more" : "");
	journal(c, SEV_WARNING, "quorum", "", "lost", "forced", cause);
	return answer_ok(0);
}

static struct answer dispatch(struct cluster *c, const Hv__Command *cmd)
{
	const char *actor = *cmd->actor ? cmd->actor : "an administrator";

	switch (cmd->body_case) {
	case HV__COMMAND__BODY_VM_ADD:
		return admin_vm_add(c, actor, cmd->vm_add);
	case HV__COMMAND__BODY_VM_REMOVE:
		return admin_vm_remove(c, actor, cmd->vm_remove);
	case HV__COMMAND__BODY_VM_START:
		return admin_vm_start(c, actor, cmd->vm_start);
	case HV__COMMAND__BODY_VM_STOP:
		return admin_vm_stop(c, actor, cmd->vm_stop);
	case HV__COMMAND__BODY_VM_MIGRATE:
		return admin_vm_migrate(c, actor, cmd->vm_migrate);
	case HV__COMMAND__BODY_VM_PAUSE:
		return admin_vm_pause(c, actor, cmd->vm_pause);
	case HV__COMMAND__BODY_VM_RESUME:
		return admin_vm_resume(c, actor, cmd->vm_resume);
	case HV__COMMAND__BODY_VM_RESET:
		return admin_vm_reset(c, actor, cmd->vm_reset);
	case HV__COMMAND__BODY_NODE_DRAIN:
		return admin_node_drain(c, actor, cmd->node_drain);
	case HV__COMMAND__BODY_NODE_RESUME:
		return admin_node_resume(c, actor, cmd->node_resume);
	case HV__COMMAND__BODY_FENCE_ADD:
		return admin_fence_add(c, actor, cmd->fence_add);
	case HV__COMMAND__BODY_FENCE_REMOVE:
		return admin_fence_remove(c, actor, cmd->fence_remove);
	case HV__COMMAND__BODY_FENCE_LEVEL:
		return admin_fence_level(c, actor, cmd->fence_level);
	case HV__COMMAND__BODY_FENCE_TEST:
		return admin_fence_test(c, actor, cmd->fence_test);
	case HV__COMMAND__BODY_FENCE_CONFIRM:
		return admin_fence_confirm(c, actor, cmd->fence_confirm);
	case HV__COMMAND__BODY_OP_CANCEL:
		return admin_op_cancel(c, actor, cmd->op_cancel);
	case HV__COMMAND__BODY_SETTING_SET:
		return admin_setting_set(c, actor, cmd->setting_set);
	case HV__COMMAND__BODY_VM_SET:
		return admin_vm_set(c, actor, cmd->vm_set);
	case HV__COMMAND__BODY_VM_LOCK:
		return admin_vm_lock(c, actor, cmd->vm_lock);
	case HV__COMMAND__BODY_RULE_ADD:
		return admin_rule_add(c, actor, cmd->rule_add);
	case HV__COMMAND__BODY_RULE_REMOVE:
		return admin_rule_remove(c, actor, cmd->rule_remove);
	case HV__COMMAND__BODY_NODE_SHUTDOWN:
		return admin_node_shutdown(c, actor, cmd->node_shutdown);
	case HV__COMMAND__BODY_NODE_FENCE:
		return admin_node_fence(c, actor, cmd->node_fence);
	case HV__COMMAND__BODY_NODE_RELEASE:
		return admin_node_release(c, actor, cmd->node_release);
	case HV__COMMAND__BODY_QUORUM_FORCE:
		return admin_quorum_force(c, actor, cmd->quorum_force);
	case HV__COMMAND__BODY_ARM:
		return admin_arm(c, actor, cmd->arm);
	case HV__COMMAND__BODY__NOT_SET:
	case _HV__COMMAND__BODY__CASE_IS_INT_SIZE:
		break;
	}
	return answer_no(HV_BAD_INPUT, NULL, "the command is empty");
}

/* Behind a barrier only what helps to lift it. */
static bool fences(const struct cluster *c, const Hv__Command *cmd)
{
	const struct node *n = cmd->body_case == HV__COMMAND__BODY_NODE_FENCE
				   ? cluster_node_by_name(c, cmd->node_fence->node)
				   : NULL;

	return cmd->body_case == HV__COMMAND__BODY_FENCE_CONFIRM ||
	       cmd->body_case == HV__COMMAND__BODY_QUORUM_FORCE ||
	       (n && (n->state == NODE_LOST || n->state == NODE_FENCING));
}

void admin_command(struct cluster *c, const Hv__Event *ev)
{
	struct answer a;

	if (cluster_barrier(c) && !fences(c, ev->command))
		a = answer_no(HV_TRY_AGAIN, "hvcluster status",
			      "too few members to act before each lost node is proven off");
	else if (!is_armed(c) && acts(ev->command))
		a = answer_disarmed();
	else
		a = dispatch(c, ev->command);
	action_reply(c->out, ev, a.rc, a.text, a.hint, a.op);
}
