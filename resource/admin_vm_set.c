/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes of VMs: administrators' requests. */
#include "resource/admin.h"
#include "resource/journal.h"
#include "resource/vm_attribute.h"
#include "resource/vm_machine.h"

/* All or none: every pair is looked at before the first is stored. */
static struct answer check_pairs(const Hv__VmSet *cmd)
{
	for (size_t i = 0; i < cmd->n_attributes; i++) {
		const Hv__KeyValue *kv = cmd->attributes[i];
		const char *help = NULL;
		enum hv_rc rc = vm_attribute_check(kv->key, kv->value, &help);

		if (rc == HV_NOT_FOUND)
			return answer_no(rc, "hvcluster help vm set", "a VM has no attribute '%s'",
					 kv->key);
		if (rc != HV_OK)
			return answer_no(rc, "hvcluster help vm set", "%s: '%s' does not fit: %s",
					 kv->key, kv->value, help);
	}
	return answer_ok(0);
}

static void set_pair(struct cluster *c, const char *actor, struct vm *vm, const Hv__KeyValue *kv)
{
	_cleanup_free_ char *what = NULL;

	if (!vm_attribute_set(c, vm, kv->key, kv->value))
		return;
	what = hv_xasprintf("%s=%s", kv->key, kv->value);
	journal_why(c, SEV_NOTICE, "vm", vm->name, "set", what, WHY(ADMIN, .subject = actor));
}

struct answer admin_vm_set(struct cluster *c, const char *actor, const Hv__VmSet *cmd)
{
	struct vm *vm = vm_find_name(c, cmd->name);
	struct answer a;

	if (!vm)
		return answer_no_vm(cmd->name);
	a = check_pairs(cmd);
	if (a.rc != HV_OK)
		return a;
	for (size_t i = 0; i < cmd->n_attributes; i++)
		set_pair(c, actor, vm, cmd->attributes[i]);
	c->freed = true;
	return a;
}

/* Where and as it is: that must be clear, and must not be about to change. */
static bool lockable(const struct vm *vm)
{
	bool calm = vm->state == VM_RUNNING || vm->state == VM_PAUSED || vm->state == VM_STOPPED;
	bool meant = (vm->intent == INTENT_STOPPED) == (vm->state == VM_STOPPED);

	return calm && meant && !vm->op && !vm->request && !vm->removing;
}

struct answer admin_vm_lock(struct cluster *c, const char *actor, const Hv__VmLock *cmd)
{
	struct vm *vm = vm_find_name(c, cmd->name);
	_cleanup_free_ char *text = NULL;
	bool lock = *cmd->reason;

	if (!vm)
		return answer_no_vm(cmd->name);
	if (lock && vm->lock)
		return answer_no(HV_REFUSED, "hvcluster vm unlock NAME",
				 "VM '%s' is locked already: %s", vm->name, vm->lock);
	if (!lock) {
		vm_unlock(c, vm, WHY(ADMIN, .subject = actor));
		return answer_ok(0);
	}
	if (!lockable(vm))
		return answer_no(HV_BUSY, "hvcluster vm explain NAME",
				 "VM '%s' is %s: it can be locked when that is over", vm->name,
				 vm_state_name(vm->state));
	text = hv_xasprintf("locked: %s", cmd->reason);
	journal_why(c, SEV_NOTICE, "vm", vm->name, "unlocked", text, WHY(ADMIN, .subject = actor));
	vm_set_lock(c, vm, cmd->reason);
	return answer_ok(0);
}
