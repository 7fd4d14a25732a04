/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes, VMs and operations in the books: one setter for every member that an index depends on. */
#include "resource/cluster_priv.h"

#include "proto/mutant.h"
#include "resource/guest_health.h"

int vm_cmp_name(const void *a, const void *b)
{
	return strcmp(((const struct vm *)a)->name, ((const struct vm *)b)->name);
}

int vm_cmp_rank(const void *a, const void *b)
{
	const struct vm *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* ---- nodes */

struct node *node_get(struct cluster *c, hv_node_id id)
{
	return (struct node *)cluster_node(c, id);
}

struct node *node_find_name(struct cluster *c, const char *name)
{
	return (struct node *)cluster_node_by_name(c, name);
}

struct node *node_make(struct cluster *c, hv_node_id id)
{
	struct node *n = node_get(c, id);
	size_t i = 0;

	hv_assert(id != 0);
	if (n || c->n_nodes == HV_MAX_NODES)
		return n;
	n = hv_xcalloc(1, sizeof(*n));
	n->id = id;
	n->name = hv_xasprintf("node%u", id);
	n->state = NODE_OFFLINE;
	n->since_us = c->now_us;
	set_init(&n->owned, vm_cmp_name);
	set_init(&n->by_rank, vm_cmp_rank);
	set_init(&n->incoming, vm_cmp_name);
	while (i < c->n_nodes && c->nodes[i]->id < id)
		i++;
	memmove(c->nodes + i + 1, c->nodes + i, (c->n_nodes - i) * sizeof(*c->nodes));
	c->nodes[i] = n;
	c->n_nodes++;
	node_touch(c, n);
	return n;
}

const char *node_name(const struct cluster *c, hv_node_id id)
{
	const struct node *n = cluster_node(c, id);

	return n ? n->name : "(none)";
}

void node_touch(struct cluster *c, struct node *n)
{
	(void)c;
	n->touched = true;
}

void fence_device_free(struct fence_device *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n_options; i++) {
		free(d->options[i].key);
		free(d->options[i].value);
	}
	for (size_t i = 0; i < d->n_secrets; i++) {
		free(d->secrets[i].key);
		explicit_bzero(d->secrets[i].value, strlen(d->secrets[i].value));
		free(d->secrets[i].value);
	}
	free(d->name);
	free(d->agent);
	free(d->test_text);
	free(d);
}

/* ---- VMs */

struct vm *vm_get(struct cluster *c, const char *uuid)
{
	return (struct vm *)cluster_vm(c, uuid);
}

struct vm *vm_find_name(struct cluster *c, const char *name)
{
	return (struct vm *)cluster_vm_by_name(c, name);
}

struct vm *vm_new(void)
{
	struct vm *vm = hv_xcalloc(1, sizeof(*vm));

	vm->failback = vm->live_migration = vm->managed = true;
	vm->max_relocate = VM_RELOCATE_UNLIMITED;
	vm->restart_limit = VM_RESTART_LIMIT;
	guest_init(&vm->guest);
	return vm;
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	reason_clear(&vm->reason);
	free(vm->uuid);
	free(vm->name);
	free(vm->xml);
	free(vm->lock);
	guest_done(&vm->guest);
	for (size_t i = 0; i < vm->n_storage; i++)
		free(vm->storage[i]);
	free(vm->storage);
	free(vm->rules);
	free(vm);
}

void vm_touch(struct cluster *c, struct vm *vm)
{
	if (vm->touched || vm->gone)
		return;
	vm->touched = true;
	if (c->n_touched_vms == c->cap_touched_vms) {
		c->cap_touched_vms = c->cap_touched_vms ? c->cap_touched_vms * 2 : 64;
		c->touched_vms =
		    hv_xrealloc(c->touched_vms, c->cap_touched_vms, sizeof(*c->touched_vms));
	}
	c->touched_vms[c->n_touched_vms++] = vm;
}

void vm_dirty(struct cluster *c, struct vm *vm)
{
	if (vm->dirty || vm->gone)
		return;
	vm->dirty = true;
	set_add(&c->dirty, vm);
}

/* In the sets that depend on state and retry_us: what must be, is made so. */
static void vm_queue(struct cluster *c, struct vm *vm)
{
	bool ready = !vm->gone && vm->state == VM_PENDING && vm->retry_us == 0 && !vm_held(vm);

	if (ready == vm->ready)
		return;
	vm->ready = ready;
	if (ready)
		set_add(&c->ready, vm);
	else
		set_remove(&c->ready, vm);
}

static void node_count(struct node *n, const struct vm *vm, bool add)
{
	if (!n)
		return;
	n->mem_used_mib = add ? n->mem_used_mib + vm->mem_mib : n->mem_used_mib - vm->mem_mib;
	if (!add && MUTANT(memory_leaks))
		n->mem_used_mib += vm->mem_mib;
	n->vcpus_used = add ? n->vcpus_used + vm->vcpus : n->vcpus_used - vm->vcpus;
	n->vm_count = add ? n->vm_count + 1 : n->vm_count - 1;
}

void vm_count_node(struct cluster *c, struct vm *vm, bool add)
{
	struct node *owner = node_get(c, vm->node), *target = node_get(c, vm->target);

	node_count(owner, vm, add);
	node_count(target, vm, add);
	if (owner)
		add ? set_add(&owner->owned, vm) : set_remove(&owner->owned, vm);
	if (owner)
		add ? set_add(&owner->by_rank, vm) : set_remove(&owner->by_rank, vm);
	if (target)
		add ? set_add(&target->incoming, vm) : set_remove(&target->incoming, vm);
}

bool vm_index(struct cluster *c, struct vm *vm)
{
	hv_assert(vm->name && vm->uuid);
	if (cluster_vm(c, vm->uuid) || !set_add(&c->vms, vm))
		return false;
	set_add(&c->by_uuid, vm);
	vm->xml_hash = hash_bytes(0, vm->xml, vm->xml_len);
	c->vms_in_state[vm->state]++;
	if (vm->state == VM_BLOCKED)
		set_add(&c->blocked, vm);
	if (vm->retry_us)
		set_add(&c->timers, vm);
	if (vm->home)
		set_add(&c->away, vm);
	guest_index(c, vm);
	vm_queue(c, vm);
	vm_count_node(c, vm, true);
	vm_touch(c, vm);
	vm_dirty(c, vm);
	return true;
}

void vm_delete(struct cluster *c, struct vm *vm)
{
	rules_forget_vm(c, vm);
	vm_count_node(c, vm, false);
	set_remove(&c->timers, vm);
	set_remove(&c->blocked, vm);
	set_remove(&c->movers, vm);
	set_remove(&c->away, vm);
	set_remove(&c->dirty, vm);
	set_remove(&c->noticed, vm);
	set_remove(&c->uneasy, vm);
	vm->gone = true;
	guest_index(c, vm);
	vm_queue(c, vm);
	set_remove(&c->vms, vm);
	set_remove(&c->by_uuid, vm);
	c->vms_in_state[vm->state]--;
	c->digest -= vm->hash;
	if (c->n_gone == c->cap_gone) {
		c->cap_gone = c->cap_gone ? c->cap_gone * 2 : 8;
		c->gone = hv_xrealloc(c->gone, c->cap_gone, sizeof(*c->gone));
	}
	c->gone[c->n_gone++] = vm;
}

void vm_set_state(struct cluster *c, struct vm *vm, enum vm_state state)
{
	c->vms_in_state[vm->state]--;
	c->vms_in_state[state]++;
	if (vm->state == VM_BLOCKED)
		set_remove(&c->blocked, vm);
	if (state == VM_BLOCKED)
		set_add(&c->blocked, vm);
	vm->state = state;
	vm_queue(c, vm);
	rules_notice(c, vm);
	vm_touch(c, vm);
	vm_dirty(c, vm);
}

void vm_set_retry(struct cluster *c, struct vm *vm, uint64_t retry_us)
{
	if (vm->retry_us == retry_us)
		return;
	if (vm->retry_us)
		set_remove(&c->timers, vm);
	vm->retry_us = retry_us;
	if (retry_us)
		set_add(&c->timers, vm);
	vm_queue(c, vm);
	vm_touch(c, vm);
	vm_dirty(c, vm);
}

void vm_set_node(struct cluster *c, struct vm *vm, hv_node_id node)
{
	if (vm->node == node)
		return;
	hv_assert(node == 0 || node_get(c, node));
	if (vm->node)
		c->freed = true;
	if (vm->node && node && !MUTANT(crashes_follow))
		vm->crashes_here = 0; /* they were the other node's */
	vm->guest.own_resets = 0;     /* its next host counts its own */
	vm_count_node(c, vm, false);
	vm->node = node;
	vm_count_node(c, vm, true);
	rules_notice(c, vm);
	vm_touch(c, vm);
	vm_dirty(c, vm);
}

void vm_set_target(struct cluster *c, struct vm *vm, hv_node_id target)
{
	if (vm->target == target)
		return;
	hv_assert(target == 0 || node_get(c, target));
	if (vm->target)
		c->freed = true;
	vm_count_node(c, vm, false);
	vm->target = target;
	vm_count_node(c, vm, true);
	rules_notice(c, vm);
	vm_touch(c, vm);
	vm_dirty(c, vm);
}

void vm_set_home(struct cluster *c, struct vm *vm, hv_node_id home)
{
	if (vm->home == home)
		return;
	if (vm->home)
		set_remove(&c->away, vm);
	vm->home = home;
	if (home)
		set_add(&c->away, vm);
	vm_touch(c, vm);
}

void vm_set_lock(struct cluster *c, struct vm *vm, const char *reason)
{
	char *copy = reason ? hv_xstrdup(reason) : NULL;

	if (!copy && !vm->lock)
		return;
	free(vm->lock);
	vm->lock = copy;
	c->freed = true;
	rules_notice(c, vm); /* who leads it does not go where it cannot come */
	vm_queue(c, vm);
	vm_touch(c, vm);
	vm_dirty(c, vm);
}

void vm_set_managed(struct cluster *c, struct vm *vm, bool managed)
{
	vm->managed = managed;
	rules_notice(c, vm);
	vm_queue(c, vm);
	vm_touch(c, vm);
	vm_dirty(c, vm);
}

/* The rank is what many sets are ordered by: it leaves them and comes back. */
void vm_set_priority(struct cluster *c, struct vm *vm, int32_t priority)
{
	struct node *owner = node_get(c, vm->node);
	struct set *sets[] = {&c->ready, &c->blocked, &c->movers, &c->dirty,
			      owner ? &owner->by_rank : NULL};
	bool in[ARRAY_SIZE(sets)];

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		in[i] = sets[i] && set_remove(sets[i], vm);
	vm->priority = priority;
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (in[i])
			set_add(sets[i], vm);
	vm_touch(c, vm);
}

/* ---- operations */

struct operation *op_get(struct cluster *c, hv_op_id id)
{
	return (struct operation *)cluster_op(c, id);
}

void op_free(struct operation *op)
{
	if (!op)
		return;
	free(op->vm);
	free(op->device);
	free(op->text);
	free(op);
}

void op_touch(struct cluster *c, struct operation *op)
{
	if (op->touched)
		return;
	op->touched = true;
	if (c->n_touched_ops == c->cap_touched_ops) {
		c->cap_touched_ops = c->cap_touched_ops ? c->cap_touched_ops * 2 : 64;
		c->touched_ops =
		    hv_xrealloc(c->touched_ops, c->cap_touched_ops, sizeof(*c->touched_ops));
	}
	c->touched_ops[c->n_touched_ops++] = op;
}

static void count(uint32_t *n, int sign)
{
	hv_assert(sign > 0 || *n > 0);
	*n = sign > 0 ? *n + 1 : *n - 1;
}

static bool op_is_stale(const struct operation *op, const struct vm *vm)
{
	return op->kind == OP_VM_DESTROY && (!vm || vm->op != op->id);
}

/* Books of a running operation, kept in (+1) or taken out (-1). */
void op_index(struct cluster *c, struct operation *op, int sign)
{
	struct vm *vm = op->vm ? vm_get(c, op->vm) : NULL;
	struct node *n = node_get(c, op->node), *target = node_get(c, op->target);

	if (op_is_stale(op, vm)) {
		sign > 0 ? set_add(&c->stale, op) : set_remove(&c->stale, op);
		if (vm)
			count(&vm->stale_ops, sign);
		if (n)
			count(&n->stale_ops, sign);
		if (n && vm)
			n->stale_mem_mib = sign > 0 ? n->stale_mem_mib + vm->mem_mib
						    : n->stale_mem_mib - vm->mem_mib;
	}
	if (op->kind == OP_VM_START && n)
		count(&n->starts_running, sign);
	if (op->kind == OP_VM_MIGRATE && n)
		count(&n->migrations_running, sign);
	if (op->kind == OP_VM_MIGRATE && target)
		count(&target->migrations_running, sign);
	if (op->kind == OP_VM_REQUEST && op->deadline_us)
		sign > 0 ? set_add(&c->due, op) : set_remove(&c->due, op);
	if (op->kind == OP_VM_REQUEST && vm) {
		vm->request = sign > 0 ? op->id : 0;
		if (op_request(op) != REQ_MIGRATE)
			return;
		sign > 0 ? set_add(&c->movers, vm) : set_remove(&c->movers, vm);
	}
}

/* Ended operations that no one will ask for any more. */
void op_trim(struct cluster *c)
{
	static const size_t limit[2] = {ENDED_WAITABLE, ENDED_OTHER};

	for (int i = 0; i < 2; i++) {
		while (c->ended[i].count > limit[i]) {
			struct operation *op = c->ended[i].items[0];

			set_remove(&c->ended[i], op);
			set_remove(&c->ops, op);
			c->digest -= op->hash;
			op_free(op);
		}
	}
}
