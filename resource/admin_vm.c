/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests about VMs. */
#include "resource/admin.h"
#include "resource/failover.h"
#include "resource/guest_health.h"
#include "resource/journal.h"
#include "resource/operation.h"
#include "resource/placement.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"
#include "resource/storage.h"

#include <stdio.h>

static struct why asked(const char *actor)
{
	return WHY(ADMIN, .subject = actor);
}

static void set_intent(struct cluster *c, struct vm *vm, enum vm_intent intent, const char *actor)
{
	if (vm->intent != intent)
		journal_why(c, SEV_INFO, "vm", vm->name, vm_intent_name(vm->intent),
			    vm_intent_name(intent), asked(actor));
	vm->intent = intent;
	rules_notice(c, vm);
	vm_touch(c, vm);
	vm_dirty(c, vm);
}

static struct answer ask(struct cluster *c, struct vm *vm, enum vm_request r, uint32_t flags,
			 uint32_t timeout_s, hv_node_id target)
{
	struct operation *op = request_begin(c, vm, r, flags, timeout_s, target);

	if (!op)
		return answer_no(HV_LIMIT, "hvcluster status",
				 "too many operations are in progress");
	return answer_ok(op->id);
}

/* The largest node's memory; 0 when not every node has told its size. */
static uint64_t largest_node_mib(const struct cluster *c)
{
	uint64_t max = 0;

	for (size_t i = 0; i < c->n_nodes; i++) {
		if (!c->nodes[i]->configured)
			continue;
		if (c->nodes[i]->mem_mib == 0)
			return 0;
		if (c->nodes[i]->mem_mib > max)
			max = c->nodes[i]->mem_mib;
	}
	return max;
}

struct answer admin_vm_add(struct cluster *c, const char *actor, const Hv__VmAdd *cmd)
{
	uint64_t largest = largest_node_mib(c);
	struct vm *vm;

	if (vm_find_name(c, cmd->name))
		return answer_no(HV_EXISTS, "hvcluster vm list", "there is a VM '%s' already",
				 cmd->name);
	vm = vm_get(c, cmd->uuid);
	if (vm)
		return answer_no(HV_EXISTS, "hvcluster vm list", "VM '%s' has the uuid %s already",
				 vm->name, cmd->uuid);
	if (largest && cmd->mem_mib > largest)
		return answer_no(HV_NO_CAPACITY, "hvcluster node list",
				 "'%s' needs %llu MiB, the largest node has %llu MiB", cmd->name,
				 (unsigned long long)cmd->mem_mib, (unsigned long long)largest);
	if (c->vms.count >= HV_MAX_VMS || !op_room(c))
		return answer_no(HV_LIMIT, NULL, "the cluster holds as many VMs as it can: %u",
				 HV_MAX_VMS);
	vm = vm_new();
	vm->name = hv_xstrdup(cmd->name);
	vm->uuid = hv_xstrdup(cmd->uuid);
	vm->xml_len = strlen(cmd->xml);
	vm->xml = hv_xmemdup(cmd->xml, vm->xml_len);
	storage_needs(vm, cmd->storage, cmd->n_storage);
	vm->mem_mib = cmd->mem_mib;
	vm->vcpus = cmd->vcpus;
	vm->priority = cmd->priority;
	vm->stop_timeout_s = cmd->stop_timeout_s;
	vm->intent = cmd->started ? INTENT_STARTED : INTENT_STOPPED;
	vm->state = VM_STOPPED;
	vm->since_us = c->now_us;
	reason_copy(&vm->reason, asked(actor), c->now_us);
	hv_assert(vm_index(c, vm));
	journal_why(c, SEV_NOTICE, "vm", vm->name, "new", vm_state_name(VM_STOPPED), asked(actor));
	return cmd->started ? ask(c, vm, REQ_START, 0, 0, 0) : answer_ok(0);
}

/* Hands off: someone else is at work on it. */
static struct answer refuse_held(const struct vm *vm)
{
	char hint[128];

	if (!vm->managed) {
		snprintf(hint, sizeof(hint), "hvcluster vm set %s managed=on", vm->name);
		return answer_no(HV_REFUSED, hint, "VM '%s' is not managed by the cluster",
				 vm->name);
	}
	snprintf(hint, sizeof(hint), "hvcluster vm unlock %s", vm->name);
	return answer_no(HV_REFUSED, hint, "VM '%s' is locked: %s", vm->name, vm->lock);
}

/* A guest that does not run cannot shut itself down: it would only be waited for. */
static struct answer refuse_paused(const struct vm *vm)
{
	char hint[256];

	snprintf(hint, sizeof(hint), "hvcluster vm resume %s, or hvcluster vm stop %s --force",
		 vm->name, vm->name);
	return answer_no(HV_REFUSED, hint, "VM '%s' is paused: it cannot shut itself down",
			 vm->name);
}

struct answer admin_vm_remove(struct cluster *c, const char *actor, const Hv__VmRemove *cmd)
{
	struct vm *vm = vm_find_name(c, cmd->name);
	char hint[256];

	if (!vm)
		return answer_no_vm(cmd->name);
	if (vm->lock)
		return refuse_held(vm);
	if (vm->state != VM_STOPPED && !cmd->stop_first && vm->managed) {
		snprintf(hint, sizeof(hint),
			 "hvcluster vm stop %s --wait, or hvcluster vm remove %s --stop", vm->name,
			 vm->name);
		return answer_no(HV_REFUSED, hint, "VM '%s' is %s, not stopped", vm->name,
				 vm_state_name(vm->state));
	}
	if (vm->state == VM_PAUSED && vm->managed)
		return refuse_paused(vm);
	vm->removing = true;
	vm_reason(c, vm, asked(actor));
	set_intent(c, vm, INTENT_STOPPED, actor);
	return ask(c, vm, REQ_REMOVE, 0, 0, 0);
}

static struct answer refuse_removing(const struct vm *vm)
{
	return answer_no(HV_REFUSED, "hvcluster vm list", "VM '%s' is being removed", vm->name);
}

/* The VM that something is asked of: not about to go, and not in someone else's hands. */
static struct answer find_free(struct cluster *c, const char *name, struct vm **ret)
{
	struct vm *vm = vm_find_name(c, name);

	if (!vm)
		return answer_no_vm(name);
	if (vm->removing)
		return refuse_removing(vm);
	if (vm_held(vm))
		return refuse_held(vm);
	*ret = vm;
	return answer_ok(0);
}

/* May it be started on this node, if one is named? NULL rc: yes. */
static struct answer check_start_node(struct cluster *c, const struct vm *vm, const char *name,
				      hv_node_id *ret_id)
{
	const struct node *n = node_find_name(c, name);
	char text[160], hint[256];
	enum fit fit;

	if (!n)
		return answer_no_node(name);
	*ret_id = n->id;
	if (vm->node && vm->node != n->id) {
		snprintf(hint, sizeof(hint), "hvcluster vm migrate %s %s", vm->name, n->name);
		return answer_no(HV_REFUSED, hint, "VM '%s' is on %s already (%s)", vm->name,
				 node_name(c, vm->node), vm_state_name(vm->state));
	}
	fit = vm->node ? FIT_OK : placement_fit(c, vm, n, false);
	if (fit == FIT_OK || fit == FIT_BUSY || fit == FIT_AVOIDED)
		return answer_ok(0);
	snprintf(hint, sizeof(hint), "hvcluster vm start %s", vm->name);
	placement_describe(c, vm, n, fit, text, sizeof(text));
	return answer_no(fit == FIT_MEMORY || fit == FIT_CPU ? HV_NO_CAPACITY : HV_REFUSED, hint,
			 "%s cannot take '%s': %s", n->name, vm->name, text);
}

struct answer admin_vm_start(struct cluster *c, const char *actor, const Hv__VmStart *cmd)
{
	struct vm *vm = NULL;
	struct answer a = find_free(c, cmd->name, &vm);
	hv_node_id node = 0;
	char hint[128];

	if (a.rc != HV_OK)
		return a;
	if (*cmd->node) {
		a = check_start_node(c, vm, cmd->node, &node);
		if (a.rc != HV_OK)
			return a;
	}
	if (vm->state == VM_PAUSED && vm->intent == INTENT_STARTED) {
		snprintf(hint, sizeof(hint), "hvcluster vm resume %s", vm->name);
		return answer_no(HV_REFUSED, hint, "VM '%s' is paused on %s", vm->name,
				 node_name(c, vm->node));
	}
	vm_forget_failures(c, vm);
	guest_forget_resets(c, vm);
	vm->prefer = vm->node ? 0 : node;
	if (vm->state != VM_RUNNING)
		vm_reason(c, vm, asked(actor));
	set_intent(c, vm, INTENT_STARTED, actor);
	if (vm->state == VM_BLOCKED || (vm->state == VM_FROZEN && !vm->node))
		vm_move(c, vm, VM_PENDING, asked(actor));
	return ask(c, vm, REQ_START, 0, 0, 0);
}

struct answer admin_vm_stop(struct cluster *c, const char *actor, const Hv__VmStop *cmd)
{
	struct vm *vm = NULL;
	struct answer a = find_free(c, cmd->name, &vm);

	if (a.rc != HV_OK)
		return a;
	if (vm->state == VM_PAUSED && !cmd->force)
		return refuse_paused(vm);
	if (vm->state != VM_RECOVERING && vm->state != VM_CHECKING)
		vm_reason(c, vm, asked(actor));
	set_intent(c, vm, INTENT_STOPPED, actor);
	return ask(c, vm, REQ_STOP, cmd->force ? OP_F_FORCE : 0, cmd->timeout_s, 0);
}

/* May it be migrated at all, now? */
static struct answer check_migrate(struct cluster *c, const struct vm *vm)
{
	char hint[128];

	if (vm->removing)
		return refuse_removing(vm);
	if (vm_held(vm))
		return refuse_held(vm);
	snprintf(hint, sizeof(hint), "hvcluster vm explain %s", vm->name);
	if (vm->state == VM_STOPPED)
		return answer_no(HV_REFUSED, "hvcluster vm start NAME NODE",
				 "VM '%s' is stopped: there is nothing to migrate", vm->name);
	if (vm->op || vm->stale_ops)
		return answer_no(HV_BUSY, hint, "VM '%s' is %s", vm->name,
				 vm->op ? vm_state_name(vm->state)
					: "waiting for an old copy's destruction");
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return answer_no(HV_REFUSED, hint,
				 "VM '%s' is %s, only a running or paused one can be migrated",
				 vm->name, vm_state_name(vm->state));
	if (vm->intent == INTENT_STOPPED)
		return answer_no(HV_BUSY, hint, "VM '%s' is to stop", vm->name);
	if (vm->state == VM_PAUSED && !vm->live_migration)
		return answer_no(HV_REFUSED, hint, "VM '%s' is paused, and not to be migrated live",
				 vm->name);
	if (!node_reachable(node_get(c, vm->node)))
		return answer_no(HV_HYPERVISOR_DOWN, "hvcluster node list",
				 "%s, where it runs, cannot migrate it now: %s",
				 node_name(c, vm->node),
				 node_state_name(node_get(c, vm->node)->state));
	return answer_ok(0);
}

static struct answer refuse_target(const struct cluster *c, const struct vm *vm,
				   const struct node *n, enum fit fit)
{
	char text[160], hint[128];

	if (fit == FIT_HERE)
		return answer_no(HV_REFUSED, "hvcluster node list", "VM '%s' is on %s already",
				 vm->name, n->name);
	snprintf(hint, sizeof(hint), "hvcluster vm explain %s", vm->name);
	placement_describe(c, vm, n, fit, text, sizeof(text));
	return answer_no(fit == FIT_MEMORY || fit == FIT_CPU ? HV_NO_CAPACITY : HV_REFUSED, hint,
			 "%s cannot take '%s': %s", n->name, vm->name, text);
}

static void prepare_to_migrate(struct cluster *c, struct vm *vm, struct why why)
{
	vm->migrate_attempts = 0;
	vm_set_home(c, vm, 0);
	vm_reason(c, vm, why);
}

/* Those that hard rules keep together with it go along. */
static void migrate_group(struct cluster *c, struct vm *vm, hv_node_id target)
{
	for (size_t i = 0; i < vm->group->n_vms; i++) {
		struct vm *m = vm->group->vms[i];

		if (m == vm || !vm_is_up(m) || vm_goes_to(m) == target || m->removing ||
		    m->intent == INTENT_STOPPED)
			continue;
		prepare_to_migrate(c, m, why_same(&vm->reason));
		request_begin(c, m, REQ_MIGRATE, OP_F_NAMED, 0, target);
	}
}

struct answer admin_vm_migrate(struct cluster *c, const char *actor, const Hv__VmMigrate *cmd)
{
	struct vm *vm = vm_find_name(c, cmd->name);
	const struct node *n = *cmd->node ? node_find_name(c, cmd->node) : NULL;
	hv_node_id placed = 0;
	struct answer a;
	enum fit fit;

	if (!vm)
		return answer_no_vm(cmd->name);
	if (*cmd->node && !n)
		return answer_no_node(cmd->node);
	a = check_migrate(c, vm);
	if (a.rc != HV_OK)
		return a;
	fit = n ? placement_fit(c, vm, n, true) : placement_pick(c, vm, true, &placed);
	if (fit != FIT_OK && fit != FIT_BUSY && n)
		return refuse_target(c, vm, n, fit);
	if (fit != FIT_OK && fit != FIT_BUSY) {
		_cleanup_free_ char *text = placement_why_none(c, vm, true);

		return answer_no(HV_NO_CAPACITY, "hvcluster node list",
				 "no other node can take '%s': %s", vm->name, text);
	}
	prepare_to_migrate(c, vm, asked(actor));
	if (vm->group) {
		n = n ? n : node_get(c, placed);
		migrate_group(c, vm, n->id);
	}
	return ask(c, vm, REQ_MIGRATE, n ? OP_F_NAMED : 0, 0, n ? n->id : 0);
}

struct answer admin_vm_pause(struct cluster *c, const char *actor, const Hv__VmPause *cmd)
{
	struct vm *vm = NULL;
	struct answer a = find_free(c, cmd->name, &vm);

	if (a.rc != HV_OK)
		return a;
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return answer_no(HV_REFUSED, "hvcluster vm list", "VM '%s' is %s, not running",
				 vm->name, vm_state_name(vm->state));
	vm->want_paused = true;
	vm->arriving = false;
	if (vm->retry_us)
		vm_set_retry(c, vm, 0);
	vm_reason(c, vm, asked(actor));
	vm_touch(c, vm);
	vm_dirty(c, vm);
	return ask(c, vm, REQ_PAUSE, 0, 0, 0);
}

struct answer admin_vm_resume(struct cluster *c, const char *actor, const Hv__VmResume *cmd)
{
	struct vm *vm = NULL;
	struct answer a = find_free(c, cmd->name, &vm);

	if (a.rc != HV_OK)
		return a;
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED && vm->state != VM_RESUMING)
		return answer_no(HV_REFUSED, "hvcluster vm list", "VM '%s' is %s, not paused",
				 vm->name, vm_state_name(vm->state));
	vm->want_paused = false;
	vm->arriving = vm->state != VM_RUNNING || vm->op;
	if (vm->retry_us)
		vm_set_retry(c, vm, 0);
	vm_reason(c, vm, asked(actor));
	vm_touch(c, vm);
	vm_dirty(c, vm);
	return ask(c, vm, REQ_RESUME, 0, 0, 0);
}

struct answer admin_vm_reset(struct cluster *c, const char *actor, const Hv__VmReset *cmd)
{
	struct vm *vm = NULL;
	struct answer a = find_free(c, cmd->name, &vm);
	char hint[128];

	if (a.rc != HV_OK)
		return a;
	snprintf(hint, sizeof(hint), "hvcluster vm resume %s", vm->name);
	if (vm->want_paused)
		return answer_no(HV_REFUSED, hint, "VM '%s' is paused on purpose", vm->name);
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return answer_no(HV_REFUSED, "hvcluster vm list",
				 "VM '%s' is %s: only what runs can be reset", vm->name,
				 vm_state_name(vm->state));
	if (vm->intent == INTENT_STOPPED)
		return answer_no(HV_BUSY, "hvcluster vm explain NAME", "VM '%s' is to stop",
				 vm->name);
	vm_reason(c, vm, asked(actor));
	guest_ask_reset(c, vm, true);
	vm_dirty(c, vm);
	return ask(c, vm, REQ_RESET, 0, 0, 0);
}

/* The request is taken back: intent as it was before it. */
struct answer admin_vm_cancel(struct cluster *c, const char *actor, struct operation *op)
{
	struct vm *vm = vm_get(c, op->vm);

	if (!vm)
		return answer_no(HV_NOT_FOUND, NULL, "its VM is gone");
	switch (op_request(op)) {
	case REQ_START:
		set_intent(c, vm, INTENT_STOPPED, actor);
		break;
	case REQ_REMOVE:
		vm->removing = false;
		break;
	case REQ_STOP:
		set_intent(c, vm, INTENT_STARTED, actor);
		break;
	case REQ_PAUSE:
		vm->want_paused = false;
		break;
	case REQ_MIGRATE:
		if (vm->op && op_get(c, vm->op)->kind == OP_VM_MIGRATE)
			op_cancel(c, op_get(c, vm->op));
		break;
	case REQ_RESET:
		guest_ask_reset(c, vm, false);
		break;
	case REQ_RESUME:
	case REQ_NONE:
		break;
	}
	vm_reason(c, vm, WHY(CANCELLED, .subject = actor));
	vm_touch(c, vm);
	vm_dirty(c, vm);
	request_end(c, vm, HV_CANCELLED, NULL);
	return answer_ok(0);
}
