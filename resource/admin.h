/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * admin.h - administrators' requests: accepted or refused, each answered exactly once.
 *
 * PURE. An answer says the result, the cause in one sentence, the next command to try, and the
 * operation to wait on (0: nothing to wait for). A request sets intent; the machines do the rest.
 */
#ifndef HV_RESOURCE_ADMIN_H
#define HV_RESOURCE_ADMIN_H

#include "resource/cluster_priv.h"

/* What a command's handler gives back; the texts are owned by it. */
struct answer {
	enum hv_rc rc;
	char *text, *hint;
	hv_op_id op;
};
void admin_command(struct cluster *c, const Hv__Event *ev);

/* Handlers, in admin_*.c. */
struct answer admin_vm_add(struct cluster *c, const char *actor, const Hv__VmAdd *cmd);
struct answer admin_vm_remove(struct cluster *c, const char *actor, const Hv__VmRemove *cmd);
struct answer admin_vm_start(struct cluster *c, const char *actor, const Hv__VmStart *cmd);
struct answer admin_vm_stop(struct cluster *c, const char *actor, const Hv__VmStop *cmd);
struct answer admin_vm_migrate(struct cluster *c, const char *actor, const Hv__VmMigrate *cmd);
struct answer admin_vm_pause(struct cluster *c, const char *actor, const Hv__VmPause *cmd);
struct answer admin_vm_resume(struct cluster *c, const char *actor, const Hv__VmResume *cmd);
struct answer admin_vm_reset(struct cluster *c, const char *actor, const Hv__VmReset *cmd);
struct answer admin_vm_cancel(struct cluster *c, const char *actor, struct operation *op);
struct answer admin_node_drain(struct cluster *c, const char *actor, const Hv__NodeDrain *cmd);
struct answer admin_node_resume(struct cluster *c, const char *actor, const Hv__NodeResume *cmd);
struct answer admin_fence_add(struct cluster *c, const char *actor, const Hv__FenceAdd *cmd);
struct answer admin_fence_level(struct cluster *c, const char *actor, const Hv__FenceLevel *cmd);
struct answer admin_fence_remove(struct cluster *c, const char *actor, const Hv__FenceRemove *cmd);
struct answer admin_fence_test(struct cluster *c, const char *actor, const Hv__FenceTest *cmd);
struct answer admin_fence_confirm(struct cluster *c, const char *actor,
				  const Hv__FenceConfirm *cmd);
struct answer admin_op_cancel(struct cluster *c, const char *actor, const Hv__OpCancel *cmd);
struct answer admin_setting_set(struct cluster *c, const char *actor, const Hv__SettingSet *cmd);

struct answer admin_vm_set(struct cluster *c, const char *actor, const Hv__VmSet *cmd);
struct answer admin_vm_lock(struct cluster *c, const char *actor, const Hv__VmLock *cmd);
struct answer admin_rule_add(struct cluster *c, const char *actor, const Hv__RuleAdd *cmd);
struct answer admin_rule_remove(struct cluster *c, const char *actor, const Hv__RuleRemove *cmd);
struct answer admin_node_shutdown(struct cluster *c, const char *actor,
				  const Hv__NodeShutdown *cmd);
struct answer admin_node_fence(struct cluster *c, const char *actor, const Hv__NodeFence *cmd);
struct answer admin_node_release(struct cluster *c, const char *actor, const Hv__NodeRelease *cmd);
struct answer admin_arm(struct cluster *c, const char *actor, const Hv__Arm *cmd);

struct answer answer_ok(hv_op_id op);
struct answer answer_no(enum hv_rc rc, const char *hint, const char *fmt, ...) _printf_(3, 4);
struct answer answer_no_vm(const char *name);
struct answer answer_disarmed(void);
struct answer answer_no_node(const char *name);

#endif
