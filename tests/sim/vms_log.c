/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hosts whose disk does not take the log, from outside: what can leave such a host does, once the
 * host had its time to come back.
 */
#include "resource/cluster_priv.h"
#include "resource/storage.h"

#include "tests/sim/vms.h"

#include <stdlib.h>

#define PATIENCE_US (30 * SEC) /* beyond manager_grace_ms */

static uint64_t grace_us(const struct cluster *c)
{
	return strtoull(cluster_setting(c, "manager_grace_ms"), NULL, 10) * MS;
}

static bool is_fine(const struct node *n)
{
	return n->state == NODE_ONLINE && n->admin == NODE_ACTIVE && n->leaving == NODE_STAYS &&
	       n->hypervisor_ok && !n->migrations_running;
}

/* Nothing holds it, and no rule speaks of it. */
static bool is_free(const struct node *n, const struct vm *vm)
{
	return vm->state == VM_RUNNING && vm->managed && !vm->lock && vm->live_migration &&
	       vm->intent == INTENT_STARTED && !vm->n_rules && !vm->op && !vm->retry_us &&
	       !vm->stale_ops && !vm->request && vm->reason.code != REASON_UNKNOWN &&
	       !storage_fault_of(vm, n);
}

static bool takes(const struct cluster *c, const struct node *n, const struct vm *vm)
{
	if (!is_fine(n) || n->quarantined || n->log_lost_us || n->n_bad_storage)
		return false;
	for (size_t i = 0; i < n->n_devices; i++)
		if (n->devices[i]->unfence && !n->devices[i]->unfenced)
			return false;
	/* Room that one of higher rank waits for is not given away. */
	return n->mem_used_mib + n->stale_mem_mib + vm->mem_mib <= n->mem_mib &&
	       n->vcpus_used + vm->vcpus <= n->cpus && !c->vms_in_state[VM_BLOCKED];
}

static bool could_leave(const struct cluster *c, const struct node *n)
{
	for (size_t i = 0; i < n->owned.count; i++)
		for (size_t k = 0; is_free(n, n->owned.items[i]) && k < cluster_node_count(c); k++)
			if (takes(c, cluster_node_at(c, k), n->owned.items[i]))
				return true;
	return false;
}

void vms_log_step(struct mind *m, uint64_t index)
{
	uint64_t now_us = cluster_now_us(m->c);

	for (size_t i = 0; i < cluster_node_count(m->c); i++) {
		const struct node *n = cluster_node_at(m->c, i);
		bool late = n->log_lost_us && now_us >= n->log_lost_us + grace_us(m->c) &&
			    cluster_arm(m->c) == ARMED && !cluster_barrier(m->c) && is_fine(n) &&
			    could_leave(m->c, n);

		if (n->id > ARRAY_SIZE(m->log_late_us))
			continue;
		if (!late)
			m->log_late_us[n->id - 1] = 0;
		else if (!m->log_late_us[n->id - 1])
			m->log_late_us[n->id - 1] = now_us;
		else if (now_us > m->log_late_us[n->id - 1] + PATIENCE_US)
			sim_fail(
			    m->s,
			    "node %u, entry %llu: VMs stay on node %u, whose disk does not take "
			    "the log",
			    m->h->id, (unsigned long long)index, n->id);
	}
}
