/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/guard.h"

#include <stdio.h>
#include <string.h>

/* A VM that was told to stop. */
struct told {
	char uuid[HV_UUID_LEN + 1];
	uint64_t until_us;
};

struct guard {
	struct guard_ops ops;
	void *user;
	struct selfguard self;
	bool stalled, reset;
	bool acted; /* this process was active once: it may have started something */
	enum selfguard_order order;
	uint64_t jobs;
	struct told *told;
	size_t n_told, cap_told;
};

struct guard *guard_new(const struct guard_ops *ops, void *user)
{
	struct guard *g = hv_xcalloc(1, sizeof(*g));

	g->ops = *ops;
	g->user = user;
	return g;
}

void guard_free(struct guard *g)
{
	if (!g)
		return;
	free(g->told);
	free(g);
}

void guard_stalled(struct guard *g)
{
	g->stalled = true;
}

enum selfguard_policy guard_policy(const struct cluster *c)
{
	uint64_t grace_us;

	return (enum selfguard_policy)cluster_quorum_loss(c, &grace_us);
}

const char *guard_doing(const struct guard *g)
{
	switch (g->order) {
	case GUARD_STOP:
		return "without quorum for too long: this node shuts its VMs down (quorum_loss)";
	case GUARD_RESET:
		return "without quorum for too long: this host resets itself (quorum_loss)";
	case GUARD_NONE:
		break;
	}
	return NULL;
}

static struct told *told_of(struct guard *g, const char *uuid)
{
	for (size_t i = 0; i < g->n_told; i++)
		if (strcmp(g->told[i].uuid, uuid) == 0)
			return &g->told[i];
	if (g->n_told == g->cap_told) {
		g->cap_told = g->cap_told ? g->cap_told * 2 : 16;
		g->told = hv_xrealloc(g->told, g->cap_told, sizeof(*g->told));
	}
	g->told[g->n_told] = (struct told){0};
	snprintf(g->told[g->n_told].uuid, sizeof(g->told[g->n_told].uuid), "%s", uuid);
	return &g->told[g->n_told++];
}

static void stop_all(struct guard *g, const struct cluster *c, const struct intake *in,
		     uint64_t now_us)
{
	for (size_t i = 0; i < cluster_vm_count(c); i++) {
		const struct vm *vm = cluster_vm_at(c, i);
		uint32_t timeout_s = cluster_stop_timeout_s(c, vm);
		struct told *told;

		if (!vm->managed || !intake_has(in, vm->uuid))
			continue;
		told = told_of(g, vm->uuid);
		if (now_us < told->until_us)
			continue;
		told->until_us = now_us + timeout_s * HV_US_PER_S + GUARD_AGAIN_US;
		g->ops.stop(g->user, vm, GUARD_JOB | ++g->jobs, timeout_s);
	}
}

/*
 * A reset is for the VMs that may run here. A host that has just booted and finds no quorum has
 * none: it is not reset for ever.
 */
static bool may_hold_vms(const struct guard *g, const struct cluster *c, const struct intake *in)
{
	const char *why;

	for (size_t i = 0; i < cluster_vm_count(c); i++)
		if (intake_has(in, cluster_vm_at(c, i)->uuid))
			return true;
	return g->acted && !intake_health_ok(in, &why);
}

uint64_t guard_reconcile(struct guard *g, const struct cluster *c, const struct intake *in,
			 bool active, uint64_t now_us)
{
	struct selfguard_input input = {.now_us = now_us, .active = active, .stalled = g->stalled};

	input.policy = (enum selfguard_policy)cluster_quorum_loss(c, &input.grace_us);
	g->order = selfguard_step(&g->self, &input);
	g->stalled = false;
	g->acted = g->acted || active;
	switch (g->order) {
	case GUARD_NONE:
		g->n_told = 0;
		g->reset = false;
		return selfguard_due_us(&g->self, &input);
	case GUARD_RESET:
		if (!g->reset && may_hold_vms(g, c, in)) {
			g->reset = true;
			g->ops.reset(g->user);
		}
		return g->reset ? 0 : now_us + GUARD_LOOK_US;
	case GUARD_STOP:
		break;
	}
	stop_all(g, c, in, now_us);
	return now_us + GUARD_LOOK_US;
}
