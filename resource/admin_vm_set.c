/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes of VMs: administrators' requests. */
#include "resource/admin.h"
#include "resource/journal.h"
#include "resource/vm_attribute.h"

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

struct answer admin_vm_lock(struct cluster *c, const char *actor, const Hv__VmLock *cmd)
{
	struct vm *vm = vm_find_name(c, cmd->name);
	bool lock = *cmd->reason;

	if (!vm)
		return answer_no_vm(cmd->name);
	if (lock && vm->lock)
		return answer_no(HV_REFUSED, "hvcluster vm unlock NAME",
				 "VM '%s' is locked already: %s", vm->name, vm->lock);
	if (!lock && !vm->lock)
		return answer_ok(0);
	journal_why(c, SEV_NOTICE, "vm", vm->name, lock ? "unlocked" : "locked",
		    lock ? "locked" : "unlocked",
		    lock ? WHY(LOCKED, .text = cmd->reason) : WHY(ADMIN, .subject = actor));
	vm_set_lock(c, vm, lock ? cmd->reason : NULL);
	return answer_ok(0);
}
