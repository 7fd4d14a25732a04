/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/placement.h"

#include "proto/mutant.h"
#include "resource/vm_machine.h"

#include <stdio.h>

#define QUEUE_TEXT "the nodes that can hold it are busy with other starts"

static bool avoided(const struct vm *vm, hv_node_id id)
{
	for (size_t i = 0; i < vm->n_avoid; i++)
		if (vm->avoid[i] == id)
			return true;
	return false;
}

/* A copy that is still being destroyed holds its memory. */
static uint64_t placement_free_mib(const struct node *n)
{
	uint64_t used = n->mem_used_mib + n->stale_mem_mib;

	return n->mem_mib > used ? n->mem_mib - used : 0;
}

enum fit placement_fit(const struct cluster *c, const struct vm *vm, const struct node *n,
		       bool migrate)
{
	if (migrate && n->id == vm->node)
		return FIT_HERE;
	if (n->state != NODE_ONLINE)
		return FIT_OFFLINE;
	if (!node_takes_vms(n))
		return FIT_DRAINED;
	if (!n->hypervisor_ok)
		return FIT_HYPERVISOR;
	if (vm->mem_mib > placement_free_mib(n))
		return FIT_MEMORY;
	if (!migrate && avoided(vm, n->id))
		return FIT_AVOIDED;
	if (migrate ? n->migrations_running >= c->tuning.migrate_parallel
		    : n->starts_running >= c->tuning.start_parallel)
		return FIT_BUSY;
	return FIT_OK;
}

int64_t placement_score(const struct node *n)
{
	return (int64_t)n->vcpus_used * 1000 / (n->cpus ? n->cpus : 1);
}

static bool better(const struct node *a, const struct node *b)
{
	int64_t x = placement_score(a), y = placement_score(b);

	if (x != y)
		return x < y;
	return a->vm_count != b->vm_count ? a->vm_count < b->vm_count : a->id < b->id;
}

enum fit placement_pick(const struct cluster *c, const struct vm *vm, bool migrate,
			hv_node_id *ret_node)
{
	const struct node *best = NULL;
	bool busy = false, avoids = false;

	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *n = c->nodes[i];
		enum fit fit = placement_fit(c, vm, n, migrate);

		busy |= fit == FIT_BUSY;
		avoids |= fit == FIT_AVOIDED;
		if (fit == FIT_BUSY && n->id == vm->prefer && !migrate)
			return FIT_BUSY; /* asked for by name: worth waiting for */
		if (fit != FIT_OK)
			continue;
		if (!best || n->id == vm->prefer || (best->id != vm->prefer && better(n, best)))
			best = n;
	}
	if (best) {
		*ret_node = best->id;
		return FIT_OK;
	}
	return busy ? FIT_BUSY : avoids ? FIT_AVOIDED : FIT_MEMORY;
}

static const char *fit_cause(enum fit fit)
{
	switch (fit) {
	case FIT_OK:
		return "fits";
	case FIT_BUSY:
		return "busy";
	case FIT_AVOIDED:
		return "its start failed there";
	case FIT_HERE:
		return "where it is";
	case FIT_OFFLINE:
		return "not online";
	case FIT_DRAINED:
		return "drained";
	case FIT_HYPERVISOR:
		return "hypervisor layer down";
	case FIT_MEMORY:
		return "not enough memory";
	}
	return "";
}

char *placement_why_none(const struct cluster *c, const struct vm *vm, bool migrate)
{
	char *buf = hv_xcalloc(1, HV_TEXT_MAX + 1);
	size_t n = 0;

	for (enum fit fit = FIT_BUSY; fit <= FIT_MEMORY; fit++) {
		bool first = true;

		for (size_t i = 0; i < c->n_nodes && n < HV_TEXT_MAX; i++) {
			if (placement_fit(c, vm, c->nodes[i], migrate) != fit)
				continue;
			if (first && fit == FIT_MEMORY)
				n += (size_t)snprintf(
				    buf + n, HV_TEXT_MAX - n, "%s%s for %llu MiB: %s",
				    n ? "; " : "", fit_cause(fit), (unsigned long long)vm->mem_mib,
				    c->nodes[i]->name);
			else if (first)
				n += (size_t)snprintf(buf + n, HV_TEXT_MAX - n, "%s%s: %s",
						      n ? "; " : "", fit_cause(fit),
						      c->nodes[i]->name);
			else
				n += (size_t)snprintf(buf + n, HV_TEXT_MAX - n, ", %s",
						      c->nodes[i]->name);
			first = false;
		}
	}
	if (c->n_nodes == 0)
		snprintf(buf, HV_TEXT_MAX, "there is no node");
	return buf;
}

void placement_describe(const struct cluster *c, const struct vm *vm, const struct node *n,
			enum fit fit, char *buf, size_t len)
{
	unsigned long long mem_free = placement_free_mib(n);

	switch (fit) {
	case FIT_OK:
	case FIT_BUSY:
		snprintf(buf, len, "%llu of %llu MiB free, %u vCPUs on %u CPUs, %u VMs%s", mem_free,
			 (unsigned long long)n->mem_mib, n->vcpus_used, n->cpus, n->vm_count,
			 fit == FIT_BUSY ? "; busy with others now" : "");
		return;
	case FIT_AVOIDED:
		snprintf(buf, len, "its start failed there; tried again after the others");
		return;
	case FIT_HERE:
		snprintf(buf, len, "it is on this node");
		return;
	case FIT_OFFLINE:
		snprintf(buf, len, "the node is %s", node_state_name(n->state));
		return;
	case FIT_DRAINED:
		snprintf(buf, len, "the node is %s",
			 n->leaving != NODE_STAYS    ? "about to go down"
			 : n->admin == NODE_DRAINING ? "being drained"
						     : "in maintenance");
		return;
	case FIT_HYPERVISOR:
		snprintf(buf, len, "its hypervisor layer does not answer: %.80s",
			 n->health_text ? n->health_text : "no cause given");
		return;
	case FIT_MEMORY:
		snprintf(buf, len, "not enough memory: needs %llu MiB, %llu of %llu MiB free",
			 (unsigned long long)vm->mem_mib, mem_free, (unsigned long long)n->mem_mib);
		return;
	}
	(void)c;
}

size_t brain_explain_placement(const struct cluster *c, const struct vm *vm,
			       struct placement_line *ret_lines, size_t max)
{
	bool migrate = vm->node != 0;
	hv_node_id chosen = 0;
	size_t count = 0;

	if (placement_pick(c, vm, migrate, &chosen) != FIT_OK)
		chosen = 0;
	for (size_t i = 0; i < c->n_nodes && count < max; i++) {
		const struct node *n = c->nodes[i];
		enum fit fit = placement_fit(c, vm, n, migrate);
		struct placement_line *l = &ret_lines[count++];

		*l = (struct placement_line){.node = n->id,
					     .fits = fit == FIT_OK || fit == FIT_BUSY,
					     .chosen = n->id == chosen,
					     .score = placement_score(n)};
		placement_describe(c, vm, n, fit, l->why, sizeof(l->why));
	}
	return count;
}

/* ---- settling */

static bool start_slot_free(const struct cluster *c)
{
	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *n = c->nodes[i];

		if (node_reachable(n) && node_takes_vms(n) &&
		    n->starts_running < c->tuning.start_parallel)
			return true;
	}
	return false;
}

static bool any_place(const struct cluster *c)
{
	for (size_t i = 0; i < c->n_nodes; i++)
		if (node_reachable(c->nodes[i]) && node_takes_vms(c->nodes[i]))
			return true;
	return false;
}

static void block(struct cluster *c, struct vm *vm)
{
	_cleanup_free_ char *text = placement_why_none(c, vm, false);
	struct why why = WHY(NO_NODE_FITS, .text = text);

	if (vm->state == VM_BLOCKED)
		vm_reason(c, vm, why);
	else
		vm_move(c, vm, VM_BLOCKED, why);
}

static void fail(struct cluster *c, struct vm *vm)
{
	uint64_t pause =
	    backoff_us(c->tuning.start_retry_us, c->tuning.start_retry_max_us, vm->attempts);
	struct why why = why_same(&vm->reason);

	if (why.code != REASON_START_FAILED) /* it had to wait meanwhile */
		why = WHY(START_FAILED, .subject = node_name(c, vm->avoid[vm->n_avoid - 1]));
	vm->n_avoid = 0;
	vm_move(c, vm, VM_FAILED, why);
	vm_set_retry(c, vm, c->now_us + pause);
}

/* One VM that is PENDING and not pausing. False: too many operations, no use to go on. */
static bool place(struct cluster *c, struct vm *vm)
{
	hv_node_id node = 0;
	char text[160];

	switch (placement_pick(c, vm, false, &node)) {
	case FIT_OK:
		placement_describe(c, vm, node_get(c, node), FIT_OK, text, sizeof(text));
		return vm_start_on(c, vm, node, text);
	case FIT_BUSY:
		vm_reason(c, vm, WHY(QUEUED, .text = QUEUE_TEXT));
		return true;
	case FIT_AVOIDED:
		fail(c, vm);
		return true;
	case FIT_HERE:
	case FIT_OFFLINE:
	case FIT_DRAINED:
	case FIT_HYPERVISOR:
	case FIT_MEMORY:
		break;
	}
	block(c, vm);
	return true;
}

static struct vm **copy_of(const struct set *s, size_t *ret_count)
{
	*ret_count = s->count;
	return hv_xmemdup(s->items, s->count * sizeof(struct vm *));
}

static void reconsider_blocked(struct cluster *c)
{
	size_t count;
	_cleanup_free_ struct vm **vms = copy_of(&c->blocked, &count);

	for (size_t i = 0; i < count; i++) {
		enum fit fit;
		hv_node_id node;

		if (vms[i]->state != VM_BLOCKED)
			continue;
		fit = placement_pick(c, vms[i], false, &node);
		if (fit == FIT_OK || fit == FIT_BUSY || fit == FIT_AVOIDED)
			vm_move(c, vms[i], VM_PENDING, why_same(&vms[i]->reason));
		else
			block(c, vms[i]);
	}
}

/* Those that came to wait in this step and were not reached: the others know it already. */
static void say_queued(struct cluster *c)
{
	for (size_t i = 0; i < c->n_touched_vms; i++) {
		struct vm *vm = c->touched_vms[i];

		if (!vm->gone && vm->ready && vm->reason.code != REASON_STALE_COPY)
			vm_reason(c, vm, WHY(QUEUED, .text = QUEUE_TEXT));
	}
}

void placement_settle(struct cluster *c)
{
	if (c->freed) {
		c->freed = false;
		if (!MUTANT(blocked_for_ever))
			reconsider_blocked(c);
	}
	/* In order of rank, until every slot is taken; placing one takes it out of the set. */
	for (size_t i = 0; i < c->ready.count;) {
		struct vm *vm = c->ready.items[i];

		if (any_place(c) && !start_slot_free(c)) {
			say_queued(c);
			return;
		}
		if (vm->stale_ops && !MUTANT(start_beside_stale_copy))
			vm_reason(c, vm, WHY(STALE_COPY, .subject = "another node"));
		else if (!place(c, vm))
			return;
		i += vm->ready;
	}
}
