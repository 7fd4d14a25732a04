/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a node says of itself: its size, what it runs, whether its hypervisor layer answers. */
#include "resource/guest_health.h"
#include "resource/setup.h"
#include "resource/storage.h"
#include "resource/journal.h"
#include "resource/leaving.h"
#include "resource/node_machine.h"
#include "resource/operation.h"
#include "resource/unfence.h"
#include "resource/vm_machine.h"
#include "proto/mutant.h"

#define EARLIER "an earlier decision"

/* Every VM that may wait for this node is looked at. */
static void dirty_vms(struct cluster *c, struct node *n)
{
	for (size_t i = 0; i < n->owned.count; i++)
		vm_dirty(c, n->owned.items[i]);
	for (size_t i = 0; i < n->incoming.count; i++)
		vm_dirty(c, n->incoming.items[i]);
}

static void set_text(char **s, const char *text)
{
	char *copy = hv_xstrndup(text ? text : "", HV_TEXT_MAX);

	free(*s);
	*s = copy;
}

/* Has the host run without a break since it reported last? */
static bool same_boot(const struct node *n, const char *boot_id)
{
	return n->boot_id && *n->boot_id && strcmp(n->boot_id, boot_id) == 0;
}

/*
 * Absence proves no arrival any more: the VM may have run on, and ended with the host. Of an
 * outdated copy no one may make the VM.
 */
static void migrations_rebooted(struct cluster *c, struct node *n)
{
	for (size_t i = 0; i < n->owned.count; i++) {
		const struct vm *vm = n->owned.items[i];
		struct operation *op = vm->op ? op_get(c, vm->op) : NULL;

		if (op && op->kind == OP_VM_MIGRATE && op->node == n->id) {
			op->flags |= OP_F_REBOOTED;
			op_touch(c, op);
		}
	}
}

void node_report(struct cluster *c, const Hv__NodeReport *ev)
{
	struct node *n = node_get(c, ev->node);

	if (!node_is_member(n) || (ev->incarnation_seen && ev->incarnation_seen != n->incarnation))
		return;
	if (n->fence_wanted && same_boot(n, ev->boot_id) &&
	    node_want_fence(c, n, WHY(FENCE_ASKED, .subject = n->name, .text = EARLIER)))
		return;
	n->fence_wanted = n->fence_forced = false;
	if (!same_boot(n, ev->boot_id))
		unfence_due(c, n);
	if (n->leaving != NODE_STAYS && !same_boot(n, ev->boot_id))
		leaving_returned(c, n);
	if (!same_boot(n, ev->boot_id)) {
		migrations_rebooted(c, n);
		storage_forget(n); /* it will say so anew */
	}
	set_text(&n->boot_id, ev->boot_id);
	n->mem_mib = ev->mem_mib;
	n->cpus = ev->cpus;
	vm_reconcile(c, n, ev);
	n->inventory_known = ev->inventory_known;
	n->hypervisor_ok = ev->inventory_known;
	set_text(&n->health_text, ev->inventory_known ? "" : "it cannot tell what runs");
	node_touch(c, n);
	c->freed = true;
	if (n->state == NODE_JOINING) {
		node_move(c, n, NODE_ONLINE, WHY(REPORTED, .subject = n->name));
		vm_retry_given_up(c);
	}
	if (n->frozen && n->leaving == NODE_STAYS && n->inventory_known) {
		leaving_thaw(c, n, true);
		n->deadline_us = 0;
	}
	dirty_vms(c, n);
}

void node_health(struct cluster *c, const Hv__HostHealth *ev)
{
	struct node *n = node_get(c, ev->node);
	bool changed;

	if (!node_is_member(n))
		return;
	changed = n->hypervisor_ok != ev->hypervisor_ok;
	if (changed)
		journal_why(c, ev->hypervisor_ok ? SEV_NOTICE : SEV_WARNING, "node", n->name,
			    n->hypervisor_ok ? "hypervisor up" : "hypervisor down",
			    ev->hypervisor_ok ? "hypervisor up" : "hypervisor down",
			    ev->hypervisor_ok
				? WHY(REPORTED, .subject = n->name)
				: WHY(HYPERVISOR_DOWN, .subject = n->name, .text = ev->text));
	n->hypervisor_ok = ev->hypervisor_ok;
	if (!n->hypervisor_ok)
		guest_node_blind(c, n);
	set_text(&n->health_text, ev->text);
	if (ev->storage_told)
		storage_seen(c, n, ev->bad_storage, ev->n_bad_storage);
	setup_set(n, ev->setup);
	if (ev->mem_mib)
		n->mem_mib = ev->mem_mib;
	if (ev->cpus)
		n->cpus = ev->cpus;
	node_touch(c, n);
	c->freed = true;
	dirty_vms(c, n);
}
