/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/failover.h"

static struct failover *failover_of(struct cluster *c, hv_node_id victim)
{
	for (size_t i = c->n_failovers; i-- > 0;)
		if (c->failovers[i]->victim == victim && !c->failovers[i]->done)
			return c->failovers[i];
	return NULL;
}

static void failover_drop_first(struct cluster *c)
{
	struct failover *f = c->failovers[0];

	for (size_t i = 0; i < f->n_vms; i++)
		free(f->vms[i].name);
	free(f->vms);
	free(f->proof);
	c->digest -= f->hash;
	free(f);
	c->n_failovers--;
	memmove(c->failovers, c->failovers + 1, c->n_failovers * sizeof(*c->failovers));
}

void failover_open(struct cluster *c, const struct node *victim, uint64_t detected_us)
{
	struct failover *f = hv_xcalloc(1, sizeof(*f));
	uint64_t last = c->n_failovers ? c->failovers[c->n_failovers - 1]->id : 0;

	if (c->n_failovers == HV_MAX_FAILOVERS)
		failover_drop_first(c);
	f->id = last + 1;
	f->victim = victim->id;
	f->wall_ms = c->wall_ms;
	f->detected_us = detected_us && detected_us < c->now_us ? detected_us : c->now_us;
	f->n_vms =
	    victim->owned.count < HV_MAX_FAILOVER_VMS ? victim->owned.count : HV_MAX_FAILOVER_VMS;
	f->vms = hv_xcalloc(f->n_vms, sizeof(*f->vms));
	for (size_t i = 0; i < f->n_vms; i++)
		f->vms[i].name = hv_xstrdup(((const struct vm *)victim->owned.items[i])->name);
	f->touched = true;
	c->failovers[c->n_failovers++] = f;
}

void failover_see_commit(struct cluster *c, uint64_t at_us)
{
	for (size_t i = 0; i < c->n_failovers; i++) {
		struct failover *f = c->failovers[i];

		if (f->view_us)
			continue;
		f->view_us = at_us > f->detected_us ? at_us : f->detected_us;
		f->touched = true;
	}
}

void failover_fence_ran(struct cluster *c, hv_node_id victim, uint64_t began_us, uint64_t ended_us)
{
	struct failover *f = failover_of(c, victim);

	if (!f || f->fenced_us)
		return;
	if (!f->fence_began_us)
		f->fence_began_us = began_us;
	f->fence_ended_us = ended_us;
	f->touched = true;
}

static void failover_check_done(struct failover *f)
{
	f->touched = true;
	if (!f->fenced_us)
		return;
	for (size_t i = 0; i < f->n_vms; i++)
		if (!f->vms[i].running_us && !f->vms[i].result)
			return;
	f->done = true;
}

void failover_proven(struct cluster *c, hv_node_id victim, const char *proof)
{
	struct failover *f = failover_of(c, victim);

	if (!f || f->fenced_us)
		return;
	f->fenced_us = c->now_us;
	f->proof = hv_xstrdup(proof);
	failover_check_done(f);
}

void failover_over(struct cluster *c, hv_node_id victim, const char *how)
{
	struct failover *f = failover_of(c, victim);

	if (!f || f->fenced_us)
		return;
	free(f->proof);
	f->proof = hv_xstrdup(how);
	f->done = true;
	f->touched = true;
}

static struct failover_vm *failover_vm_of(struct cluster *c, const struct vm *vm,
					  struct failover **ret_f)
{
	struct failover *f = vm->recover_from ? failover_of(c, vm->recover_from) : NULL;
	size_t lo = 0, hi = f ? f->n_vms : 0;

	*ret_f = f;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = strcmp(f->vms[mid].name, vm->name);

		if (d == 0)
			return &f->vms[mid];
		if (d < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

void failover_vm_placed(struct cluster *c, const struct vm *vm)
{
	struct failover *f;
	struct failover_vm *fv = failover_vm_of(c, vm, &f);

	if (!fv || fv->running_us)
		return;
	fv->node = vm->node;
	fv->decided_us = c->now_us;
	fv->hash = 0;
	f->touched = true;
}

void failover_vm_tried(struct cluster *c, const struct vm *vm, const Hv__OpResult *res)
{
	struct failover *f;
	struct failover_vm *fv = failover_vm_of(c, vm, &f);

	if (!fv || fv->running_us)
		return;
	fv->began_us = res->began_us;
	fv->ended_us = res->ended_us;
	fv->hash = 0;
	f->touched = true;
}

void failover_vm_settled(struct cluster *c, const struct vm *vm, bool running, enum hv_rc rc)
{
	struct failover *f;
	struct failover_vm *fv = failover_vm_of(c, vm, &f);

	if (!fv || fv->running_us)
		return;
	if (running) {
		fv->running_us = c->now_us;
		fv->node = vm->node;
	}
	fv->result = running ? HV_OK : rc;
	fv->hash = 0;
	failover_check_done(f);
}
