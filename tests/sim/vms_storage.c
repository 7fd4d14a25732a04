/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Storage that fails on one host, as hypervisord's probes would tell: two of them, each VM has its
 * disks on one, the other or both. What is checked: no start and no migration goes to where the
 * state says that it would not find its disks. That guests hang meanwhile is "storage-stall"
 * (vms_chance.c).
 */
#include "resource/storage.h"

#include "tests/sim/vms.h"

#include <stdio.h>

static char *const paths[STORAGES] = {(char *)"/srv/a", (char *)"/srv/b"};

char **vms_storage_of(int k, size_t *ret_n)
{
	*ret_n = k % 3 == 2 ? 2 : 1;
	return (char **)(k % 3 == 1 ? &paths[1] : &paths[0]);
}

bool vms_storage_works(struct sim *s, hv_node_id host, int k)
{
	const bool *bad = vms_of(s)->hyper[host - 1].storage_bad;

	return k % 3 == 2 ? !bad[0] && !bad[1] : !bad[k % 3 == 1];
}

/* Beside it, so that its words come, change and go. */
static void setup_tell(struct mind *m, const struct hyper *y)
{
	Hv__HostSetup said = HV__HOST_SETUP__INIT;

	said.hook = y->storage_bad[0] ? "simulated:\nno hook" : "";
	said.certificate = y->storage_bad[1] ? "it ends soon" : "";
	said.disk_lock = y->storage_hangs[0] ? "lockd" : "none";
	said.disk_lock_text = y->storage_lasts[0] ? "virtlockd does not run" : "";
	intake_setup(m->intake, &said);
}

void vms_storage_tell(struct mind *m)
{
	const struct hyper *y = &vms_of(m->s)->hyper[m->h->id - 1];
	Hv__HvStorage body = HV__HV_STORAGE__INIT;
	Hv__StorageSeen seen[STORAGES], *list[STORAGES];

	body.bad = list;
	for (size_t i = 0; i < STORAGES; i++) {
		if (!y->storage_bad[i])
			continue;
		hv__storage_seen__init(&seen[i]);
		seen[i].path = paths[i];
		seen[i].text = "simulated:\nit does not work";
		seen[i].hangs = y->storage_hangs[i];
		seen[i].lasts = y->storage_lasts[i];
		list[body.n_bad++] = &seen[i];
	}
	intake_storage(m->intake, &body);
	setup_tell(m, y);
}

/* hypervisord says so if it is there, else when it is again (its inventory). A clusterd that is
 * stopped finds it in its socket. */
static void tell(struct sim *s, struct host *h)
{
	if (!h->power || !h->proc.up || !h->proc.mind || !vms_layer_well(s, h->id))
		return;
	vms_storage_tell(h->proc.mind);
	h->proc.mind->unsettled = true;
	if (process_runs(h))
		mind_wake(h->proc.mind);
}

static void well(struct sim *s, struct host *h, uint64_t i)
{
	bool *bad = &vms_of(s)->hyper[h->id - 1].storage_bad[i];

	if (!*bad)
		return;
	*bad = false;
	sim_trace(s, "host %u: storage %s is good again", h->id, paths[i]);
	tell(s, h);
}

static void lasts(struct sim *s, struct host *h, uint64_t i)
{
	struct hyper *y = &vms_of(s)->hyper[h->id - 1];

	if (!y->storage_bad[i])
		return;
	y->storage_lasts[i] = true;
	tell(s, h);
}

/* ---- seeds in which a host that cannot be left is to be fenced, and some VMs are locked */

void vms_storage_setup(struct sim *s)
{
	struct vms_world *w = vms_of(s);
	bool chosen = prng_chance(sim_stream(s, STREAM_OUTAGE), 150);

	if (!chosen || s->scenario || s->options->calm)
		return;
	w->storage_fences = true;
	w->swarm.storage = 60;
}

static void lock(struct sim *s, struct host *by, int k)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmLock l = HV__VM_LOCK__INIT;

	if (!sim_inject(s, "vm lock"))
		return;
	l.name = vms_of(s)->name[k];
	l.reason = (char *)"backup";
	cmd.body_case = HV__COMMAND__BODY_VM_LOCK;
	cmd.vm_lock = &l;
	admin_ask(s, by, &cmd, 0);
}

/* Half of those that run there: whoever looks after them says that they are not to be touched. */
static void lock_some(struct sim *s, const struct host *h)
{
	struct host *by = NULL;

	for (size_t i = 0; i < s->n && !by; i++)
		if (process_runs(&s->hosts[i]) && mind_current(s->hosts[i].proc.mind))
			by = &s->hosts[i];
	for (int k = 0; by && k < VMS; k++)
		if (vms_dom(s, h->id, k)->state == DOM_RUNNING &&
		    prng_chance(sim_stream(s, STREAM_OUTAGE), 500))
			lock(s, by, k);
}

void vms_storage_bad(struct sim *s, struct host *h, int k, uint64_t ms)
{
	uint64_t i = (uint64_t)k % STORAGES;
	bool *bad = &vms_of(s)->hyper[h->id - 1].storage_bad[i];

	if (*bad || !h->power)
		return;
	*bad = true;
	vms_of(s)->hyper[h->id - 1].storage_hangs[i] = k % 4 < 2;
	vms_of(s)->hyper[h->id - 1].storage_lasts[i] = false;
	sim_trace(s, "host %u: storage %s fails", h->id, paths[i]);
	if (vms_of(s)->storage_fences)
		lock_some(s, h);
	tell(s, h);
	if (k % 3 == 0)
		sim_at(s, ms * 500, lasts, h, i);
	sim_at(s, ms * 1000, well, h, i);
}

void vms_storage_good(struct sim *s, struct host *h)
{
	for (uint64_t i = 0; i < STORAGES; i++)
		well(s, h, i);
}

void vms_storage_check(struct mind *m, uint64_t index, const struct operation *op)
{
	const struct vm *vm = op->vm ? cluster_vm(m->c, op->vm) : NULL;
	hv_node_id to = op->kind == OP_VM_START	    ? op->node
			: op->kind == OP_VM_MIGRATE ? op->target
						    : 0;
	const struct node *n = to ? cluster_node(m->c, to) : NULL;
	const struct storage_fault *fault = vm && n ? storage_fault_of(vm, n) : NULL;

	if (fault)
		sim_fail(m->s,
			 "node %u, entry %llu: a %s of %s goes to node %u, where %s has failed",
			 m->h->id, (unsigned long long)index, op_kind_name(op->kind), vm->name, to,
			 fault->path);
}
