/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold of the state after every step. Each line here is a rule of a VM's life or of the
 * books. */
#include "resource/brain.h"

#include "resource/cluster_priv.h"
#include "resource/guest_plan.h"
#include "resource/rule.h"
#include "resource/watchdog.h"

#define MUST(cond, what)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			return what;                                                               \
	} while (0)

static bool state_has_owner(enum vm_state s)
{
	switch (s) {
	case VM_STOPPED:
	case VM_PENDING:
	case VM_FAILED:
	case VM_BLOCKED:
		return false;
	case VM_STARTING:
	case VM_RUNNING:
	case VM_MIGRATING:
	case VM_RESUMING:
	case VM_STOPPING:
	case VM_RECOVERING:
	case VM_PAUSED:
	case VM_CHECKING:
	case VM_FROZEN: /* without one it waits for vm->prefer */
		break;
	}
	return true;
}

/* What a frozen VM waits for. */
static const struct node *frozen_for(const struct cluster *c, const struct vm *vm)
{
	return cluster_node(c, vm->node ? vm->node : vm->prefer);
}

/* Which operation of its own may a VM in this state have? */
static bool op_suits(enum vm_state s, enum op_kind k)
{
	switch (s) {
	case VM_STARTING:
		return k == OP_VM_START;
	case VM_RUNNING:
		return k == OP_VM_PAUSE || k == OP_VM_RESET;
	case VM_MIGRATING:
		return k == OP_VM_MIGRATE;
	case VM_RESUMING:
		return k == OP_VM_RESUME;
	case VM_STOPPING:
		return k == OP_VM_STOP || k == OP_VM_DESTROY;
	case VM_CHECKING:
		return k == OP_VM_PROBE;
	case VM_PAUSED:
		return k == OP_VM_RESET;
	case VM_STOPPED:
	case VM_PENDING:
	case VM_FAILED:
	case VM_BLOCKED:
	case VM_RECOVERING:
	case VM_FROZEN:
		break;
	}
	return false;
}

static const char *check_vm_op(const struct cluster *c, const struct vm *vm)
{
	const struct operation *op = cluster_op(c, vm->op);

	if (!vm->op) {
		MUST(vm->state != VM_STARTING && vm->state != VM_MIGRATING,
		     "a VM that starts or migrates has no operation");
		return NULL;
	}
	MUST(op && op->state == OP_RUNNING, "a VM's operation is not in progress");
	MUST(op->vm && strcmp(op->vm, vm->uuid) == 0, "a VM's operation is another VM's");
	MUST(op_suits(vm->state, op->kind), "a VM's operation does not suit its state");
	MUST(op->node == vm->node,
	     "a VM's operation is carried out by another node than its owner");
	MUST(op->kind != OP_VM_MIGRATE || op->target == vm->target,
	     "a migration's target is not the VM's");
	MUST(op->kind != OP_VM_START || vm->stale_ops == 0 || op->cancel || cluster_barrier(c),
	     "a VM starts while an old copy may exist");
	return NULL;
}

static const char *check_guest(const struct vm *vm)
{
	const struct guest *g = &vm->guest;
	bool up = vm->state == VM_RUNNING || vm->state == VM_PAUSED;

	MUST(up || guest_has_no_facts(g), "something is known of a guest that is not up");
	MUST(!g->idle || g->heartbeat == HV__GUEST_HEARTBEAT__HEARTBEAT_LOST,
	     "a guest is idle that is not silent");
	MUST(g->n_resets <= GUEST_RESETS_MAX, "a guest's resets are too many to remember");
	for (size_t i = 1; i < g->n_resets; i++)
		MUST(g->resets_us[i - 1] <= g->resets_us[i], "a guest's resets are not in order");
	MUST(vm->ails == guest_ails(vm), "what ails a guest was not noticed");
	return NULL;
}

static const char *check_vm(const struct cluster *c, const struct vm *vm)
{
	const struct node *n = cluster_node(c, vm->node), *t = cluster_node(c, vm->target);

	MUST((vm->node != 0) == state_has_owner(vm->state) || vm->state == VM_FROZEN,
	     "owner and state of a VM contradict each other");
	MUST(!vm->node || n, "a VM's owner is no node");
	MUST(!vm->target || t, "a VM's target is no node");
	MUST(!vm->target || vm->state == VM_MIGRATING || vm->state == VM_CHECKING,
	     "a VM that does not migrate has a target");
	MUST(vm->state != VM_MIGRATING || (vm->target && vm->target != vm->node),
	     "a migrating VM has no target");
	MUST(!vm->seen_on || vm->state == VM_CHECKING,
	     "a copy was seen and its owner is not asked");
	if (n) {
		bool lost = n->state == NODE_LOST || n->state == NODE_FENCING;

		MUST(n->state != NODE_OFFLINE, "a node that is proven off owns a VM");
		MUST(!lost || vm->state == VM_RECOVERING || vm->state == VM_FROZEN,
		     "a VM of a lost node is not recovering");
		MUST(vm->state != VM_RECOVERING || n->state != NODE_ONLINE,
		     "a VM recovers from a node that has reported");
	}
	MUST(vm->state != VM_FROZEN || (frozen_for(c, vm) && frozen_for(c, vm)->frozen),
	     "a VM is frozen for a node that is not waited for");
	MUST(vm->state != VM_FAILED || vm->retry_us || vm->given_up,
	     "a failed VM is not tried again");
	MUST(!vm->given_up || vm->state == VM_FAILED, "a VM is given up and has not failed");
	MUST(!vm->relocating || vm->state == VM_STOPPING,
	     "a VM is moved by stop and start and does not stop");
	MUST(vm->state == VM_RUNNING || vm->state == VM_STOPPED || vm->reason.code != REASON_NONE,
	     "a VM is not where it should be, without a reason");
	return check_guest(vm) ? check_guest(vm) : check_vm_op(c, vm);
}

static const char *check_node(const struct cluster *c, const struct node *n)
{
	const struct operation *fence = cluster_op(c, n->fence_op),
			       *drain = cluster_op(c, n->drain_op),
			       *leave = cluster_op(c, n->leaving_op),
			       *unfence = cluster_op(c, n->unfence_op);
	uint64_t mem = 0, stale_mem = 0;

	MUST((n->state == NODE_FENCING) == (n->fence_op != 0),
	     "fencing without an operation, or the other way round");
	MUST(!n->fence_op || (fence && fence->state == OP_RUNNING && fence->kind == OP_FENCE &&
			      fence->victim == n->id && fence->node != n->id),
	     "a node's fence operation is not one");
	MUST(!n->unfence_op ||
		 (unfence && unfence->state == OP_RUNNING && unfence->kind == OP_FENCE &&
		  unfence->victim == n->id && unfence->flags & OP_F_UNFENCE),
	     "a node's unfencing is not one");
	MUST(!n->braked || n->state == NODE_LOST, "the brake holds a node that is not lost");
	MUST(!n->log_lost_us || node_is_member(n), "who is no member is to keep the log");
	MUST(!n->quarantined || n->n_fences, "a node is in quarantine that was never fenced");
	MUST(!fence || !(fence->flags & OP_F_WATCHDOG) || (watchdog_counts(n) && fence->wait_us),
	     "time is waited for, and is no proof");
	MUST(!n->watch.watchdog_ms || n->away_index || c->watchdog_generation % 2 == 0,
	     "a member's watchdog counts while watchdogs are not in force");
	MUST(!node_is_member(n) || !n->away_index, "a member is away");
	MUST(!n->drain_op || (drain && drain->state == OP_RUNNING && drain->kind == OP_NODE_DRAIN &&
			      drain->target == n->id),
	     "a node's drain operation is not one");
	MUST(!n->leaving_op || (leave && leave->state == OP_RUNNING &&
				leave->kind == OP_NODE_SHUTDOWN && leave->target == n->id),
	     "a node's announced shutdown is not one");
	MUST(!n->leaving_op || n->leaving != NODE_STAYS,
	     "the operation of a shutdown that is not announced");
	MUST(!n->drain_op || n->admin == NODE_DRAINING,
	     "a drain operation of a node that is not drained");
	MUST(!n->barrier || n->state == NODE_LOST || n->state == NODE_FENCING ||
		 n->state == NODE_MANAGER_DOWN,
	     "a barrier of a node that is not lost");
	MUST(n->state != NODE_OFFLINE || (!n->owned.count && !n->stale_ops),
	     "a node that is proven off may run something");
	for (size_t i = 0; i < n->owned.count; i++)
		mem += ((const struct vm *)n->owned.items[i])->mem_mib;
	for (size_t i = 0; i < n->incoming.count; i++)
		mem += ((const struct vm *)n->incoming.items[i])->mem_mib;
	for (size_t i = 0; i < c->stale.count; i++) {
		const struct operation *op = c->stale.items[i];
		const struct vm *vm = cluster_vm(c, op->vm);

		stale_mem += op->node == n->id && vm ? vm->mem_mib : 0;
	}
	MUST(mem == n->mem_used_mib && stale_mem == n->stale_mem_mib &&
		 n->by_rank.count == n->owned.count &&
		 n->owned.count + n->incoming.count == n->vm_count,
	     "a node's books are wrong");
	return NULL;
}

static const char *check_op(const struct cluster *c, const struct operation *op)
{
	const struct vm *vm = op->vm ? cluster_vm(c, op->vm) : NULL;

	if (op->state != OP_RUNNING)
		return NULL;
	MUST(op->kind != OP_VM_REQUEST || (vm && vm->request == op->id),
	     "a request is not its VM's");
	MUST(op->kind != OP_VM_REQUEST || op->deadline_us, "a request may be waited for for ever");
	MUST(op->kind != OP_VM_DESTROY || vm, "a copy of a VM that is not there is destroyed");
	MUST(op->kind != OP_VM_DESTROY || vm->op == op->id || vm->node != op->node,
	     "an owner's copy is destroyed as a stale one");
	MUST(op->kind == OP_VM_REQUEST || op->kind == OP_NODE_DRAIN ||
		 op->kind == OP_NODE_SHUTDOWN || op->node,
	     "an operation has no executor");
	return NULL;
}

static const char *check_books(const struct cluster *c)
{
	uint32_t in_state[STATE_COUNT_VM] = {0};
	size_t ailing = 0;

	for (size_t i = 0; i < c->vms.count; i++) {
		in_state[((const struct vm *)c->vms.items[i])->state]++;
		ailing += ((const struct vm *)c->vms.items[i])->ails;
	}
	MUST(ailing == c->ailing.count, "the ailing are counted wrongly");
	MUST(memcmp(in_state, c->vms_in_state, sizeof(in_state)) == 0,
	     "the VMs are counted wrongly");
	MUST(c->by_uuid.count == c->vms.count && c->blocked.count == in_state[VM_BLOCKED],
	     "an index has lost a VM");
	return NULL;
}

static size_t count_rules_of(const struct cluster *c, const struct vm *vm)
{
	size_t count = 0;

	for (size_t i = 0; i < c->n_rules; i++)
		for (size_t k = 0; k < c->rules[i]->n_vms; k++)
			count += c->rules[i]->members[k] == vm;
	return count;
}

static bool in_its_group(const struct vm *vm)
{
	for (size_t i = 0; vm->group && i < vm->group->n_vms; i++)
		if (vm->group->vms[i] == vm)
			return true;
	return !vm->group;
}

static const char *check_rules(const struct cluster *c)
{
	size_t uneasy = 0;

	for (size_t i = 0; i < c->n_rules; i++) {
		const struct rule *r = c->rules[i];

		MUST(rule_counts_right(r->kind, r->n_vms, r->n_nodes),
		     "a rule has too few VMs or nodes, or too many");
		MUST(!i || strcmp(c->rules[i - 1]->name, r->name) < 0,
		     "the rules are not in order");
		for (size_t k = 0; k < r->n_vms; k++)
			MUST(r->members[k] == cluster_vm(c, r->vms[k]),
			     "a rule's VM is not its VM");
		for (size_t k = 0; k < r->n_nodes; k++)
			MUST(cluster_node(c, r->nodes[k].node), "a rule's node is no node");
	}
	for (size_t i = 0; i < c->vms.count; i++) {
		const struct vm *vm = c->vms.items[i];

		MUST(vm->n_rules == (c->n_rules ? count_rules_of(c, vm) : 0),
		     "a VM's list of rules is wrong");
		MUST(vm->uneasy == rules_uneasy(c, vm), "what a VM's rules want was not noticed");
		MUST(in_its_group(vm), "a VM is not in its group");
		uneasy += vm->uneasy;
	}
	MUST(uneasy == c->uneasy.count && c->noticed.count == 0, "the uneasy are counted wrongly");
	return NULL;
}

const char *brain_check_quick(const struct cluster *c)
{
	const char *bad = check_books(c);

	if (!bad)
		bad = check_rules(c);
	for (size_t i = 0; !bad && i < c->n_nodes; i++)
		bad = check_node(c, c->nodes[i]);
	for (size_t i = 0; !bad && i < c->vms.count; i++)
		bad = check_vm(c, c->vms.items[i]);
	for (size_t i = 0; !bad && i < c->ops.count; i++)
		bad = check_op(c, c->ops.items[i]);
	return bad;
}

const char *brain_check(const struct cluster *c)
{
	const char *bad = brain_check_quick(c);

	if (!bad && digest_full(c) != cluster_digest(c))
		bad = "the digest was not kept up to date";
	return bad;
}
