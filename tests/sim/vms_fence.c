/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fence devices: good ones, slow ones, such as share their host's power, such as fail, hang, lie or
 * talk nonsense; alone, in levels, or two to a level (a host with two power supplies is off when
 * both outlets are).
 *
 * As fence/fence_off.c: `off`, then `status` until off. Only a status of off is proof, so a device
 * that accepts `off` and leaves the host on ends in a time-out.
 */
#include "tests/sim/vms.h"

#include <string.h>

static struct prng *chance(struct sim *s)
{
	return sim_stream(s, STREAM_FENCE);
}

static void device_add(struct sim *s, size_t host, enum device_kind kind, uint32_t level)
{
	static const char *const names[] = {"bmc",  "ibmc",    "outleta", "outletb",
					    "liar", "garbage", "hangs",	  "slow"};
	struct vms_world *w = vms_of(s);
	struct device *d = &w->devices[host][w->n_devices[host]++];

	*d = (struct device){.kind = kind, .level = level};
	d->timeout_s = (uint32_t)prng_range(chance(s), 4, 20);
	d->delay_s = prng_chance(chance(s), 100) ? (uint32_t)prng_range(chance(s), 1, 6) : 0;
	d->delay_random_s = prng_chance(chance(s), 100) ? (uint32_t)prng_range(chance(s), 1, 6) : 0;
	d->waited = prng_chance(chance(s), 60);
	d->require_seen = d->waited && prng_chance(chance(s), 300);
	d->unfence = kind == DEVICE_BMC && prng_chance(chance(s), 150);
	snprintf(d->name, sizeof(d->name), "%s%zu", names[kind], host + 1);
}

/* Both are good, and neither waits by itself: all that decides is what matters more. */
static void duellist(struct sim *s, size_t host)
{
	struct device *d = &vms_of(s)->devices[host][0];

	device_add(s, host, DEVICE_BMC, 1);
	d->delay_s = d->delay_random_s = 0;
	d->timeout_s = 20;
	d->waited = d->require_seen = false;
}

void vms_fence_setup(struct sim *s)
{
	static const enum device_kind bad[] = {DEVICE_LIAR, DEVICE_GARBAGE, DEVICE_HANGS,
					       DEVICE_BMC_SHARED};

	for (size_t i = 0; i < s->n; i++) {
		uint64_t x = prng_range(chance(s), 0, 99);
		enum device_kind first = bad[prng_range(chance(s), 0, 3)];

		if (s->options->duel) {
			duellist(s, i);
		} else if (x < 40) {
			device_add(s, i, DEVICE_BMC, 1);
		} else if (x < 50) {
			device_add(s, i, DEVICE_BMC_SHARED, 1);
		} else if (x < 55) {
			device_add(s, i, DEVICE_SLOW, 1);
		} else if (x < 70) {
			device_add(s, i, first, 1);
			device_add(s, i, DEVICE_BMC, 2);
		} else if (x < 85) {
			device_add(s, i, DEVICE_OUTLET_A, 1);
			device_add(s, i, DEVICE_OUTLET_B, 1);
		} else if (x < 95) {
			device_add(s, i, DEVICE_BMC_SHARED, 1);
			device_add(s, i, DEVICE_OUTLET_A, 2);
			device_add(s, i, DEVICE_OUTLET_B, 2);
		} else if (x < 98) {
			device_add(s, i, first, 1);
		} /* else: an administrator is all it has */
	}
}

int vms_fence_device_find(struct sim *s, hv_node_id victim, const char *name)
{
	const struct vms_world *w = vms_of(s);

	for (size_t i = 0; i < w->n_devices[victim - 1]; i++)
		if (strcmp(w->devices[victim - 1][i].name, name) == 0)
			return (int)i;
	return -1;
}

static struct device *device_of(struct sim *s, const struct call *call)
{
	return call->device < 0 ? NULL : &vms_of(s)->devices[call->victim - 1][call->device];
}

/*
 * A host's second power supply is plugged in when both outlets are known to the cluster: before,
 * the one that is would be proof alone, though the host lives.
 */
static bool half_wired(struct sim *s, const struct call *call, const struct device *d)
{
	const struct process *p = &sim_host(s, call->host)->proc;
	const struct node *n = p->up ? cluster_node(p->mind->c, call->victim) : NULL;
	size_t outlets = 0;

	if (d->kind != DEVICE_OUTLET_A && d->kind != DEVICE_OUTLET_B)
		return false;
	for (size_t i = 0; n && i < n->n_devices; i++)
		outlets += strncmp(n->devices[i]->name, "outlet", strlen("outlet")) == 0;
	return outlets < 2;
}

/* For the agent that was called: the device, or the way to it. */
static bool dead(struct sim *s, const struct call *call, const struct device *d)
{
	const struct hyper *y = &vms_of(s)->hyper[call->victim - 1];

	return d->broken || half_wired(s, call, d) || vms_of(s)->hyper[call->host - 1].fence_cut ||
	       (d->kind == DEVICE_BMC_SHARED && y->mains_lost && !sim_host(s, call->victim)->power);
}

uint64_t vms_fence_effect_us(struct sim *s, const struct call *call, uint64_t *ret_answer_us)
{
	const struct device *d = device_of(s, call);
	uint64_t timeout = (uint64_t)call->timeout_s * SEC, effect, answer;

	effect = prng_chance(chance(s), 100) ? prng_range(chance(s), SEC, 4 * SEC)
					     : prng_range(chance(s), 50 * MS, SEC);
	answer = prng_range(chance(s), 20 * MS, 500 * MS);
	if (d && d->kind == DEVICE_SLOW)
		answer = prng_range(chance(s), 2 * SEC, 30 * SEC);
	if (d && (d->kind == DEVICE_HANGS || d->kind == DEVICE_LIAR ||
		  (d->kind == DEVICE_BMC_SHARED && dead(s, call, d))))
		answer = timeout;
	*ret_answer_us =
	    effect + answer > timeout ? (timeout > effect ? timeout - effect : MS) : answer;
	return effect < timeout ? effect : timeout;
}

static void on_again(struct sim *s, struct host *h, uint64_t arg)
{
	host_power_on(s, h);
}

/* An outlet stays as it is; who switches a host on again switches both on. */
static bool *outlets(struct sim *s, hv_node_id victim)
{
	bool *off = vms_of(s)->hyper[victim - 1].outlet_off;

	if (off[0] && off[1] && sim_host(s, victim)->power)
		off[0] = off[1] = false;
	return off;
}

static void switch_off(struct sim *s, struct host *h, struct host *victim)
{
	struct vms_world *w = vms_of(s);
	/* Drawn at any rate, so that what is dropped changes nothing else. */
	uint64_t back = prng_range(chance(s), 2 * SEC, 15 * SEC);

	if (!victim->power) {
		vms_note(s, VMS_FENCED, -1, victim->id, h->id, false);
		return;
	}
	sim_trace(s, "host %u is fenced by %u", victim->id, h->id);
	w->fences++;
	w->fencing = true;
	host_power_off(s, victim);
	w->fencing = false;
	vms_note(s, VMS_FENCED, -1, victim->id, h->id, true);
	brakes_switched_off(s, victim->id, h->id);
	if (!s->scenario)
		sim_at(s, back, on_again, victim, 0);
}

void vms_fence_by_hand(struct sim *s, struct host *victim)
{
	switch_off(s, victim, victim);
}

void vms_fence_effect(struct sim *s, struct host *h, const struct call *call)
{
	struct host *victim = sim_host(s, call->victim);
	const struct device *d = device_of(s, call);
	bool *off = outlets(s, call->victim);

	if (call->kind == OP_FENCE_TEST || !d || dead(s, call, d))
		return;
	if (call->flags & OP_F_UNFENCE) {
		vms_of(s)->devices[call->victim - 1][call->device].told_on_boot = victim->powers;
		return;
	}
	if (call->flags & OP_F_POWER_ON) {
		if (d->kind != DEVICE_LIAR && d->kind != DEVICE_HANGS && d->kind != DEVICE_GARBAGE)
			host_power_on(s, victim);
		return;
	}
	switch (d->kind) {
	case DEVICE_BMC:
	case DEVICE_BMC_SHARED:
	case DEVICE_SLOW:
		switch_off(s, h, victim);
		return;
	case DEVICE_OUTLET_A:
	case DEVICE_OUTLET_B:
		off[d->kind == DEVICE_OUTLET_B] = true;
		if (off[0] && off[1])
			switch_off(s, h, victim);
		return;
	case DEVICE_LIAR:
	case DEVICE_GARBAGE:
	case DEVICE_HANGS:
		return;
	}
}

/* What `status` says in the end. */
static bool seen_off(struct sim *s, const struct call *call, const struct device *d)
{
	switch (d->kind) {
	case DEVICE_BMC:
	case DEVICE_BMC_SHARED:
	case DEVICE_SLOW:
		return !sim_host(s, call->victim)->power;
	case DEVICE_OUTLET_A:
	case DEVICE_OUTLET_B:
		return outlets(s, call->victim)[d->kind == DEVICE_OUTLET_B];
	case DEVICE_LIAR:
	case DEVICE_GARBAGE:
	case DEVICE_HANGS:
		break;
	}
	return false;
}

struct outcome vms_fence_answer(struct sim *s, const struct call *call)
{
	const struct device *d = device_of(s, call);
	struct outcome out = {HV_AGENT_FAILED, HV__OBSERVED__OBSERVED_UNKNOWN, 0};
	bool final = (call->flags & OP_F_FINAL) && !(call->flags & OP_F_POWER_ON);
	bool late = s->now_us >= call->asked_us + (uint64_t)call->timeout_s * SEC;

	if (!d) {
		out.rc = HV_NOT_FOUND;
	} else if (d->kind == DEVICE_HANGS || late) {
		out.rc = HV_TIMEOUT;
	} else if (d->kind == DEVICE_GARBAGE || dead(s, call, d)) {
		out.rc = HV_AGENT_FAILED;
	} else if ((call->flags & OP_F_UNFENCE) &&
		   d->told_on_boot != sim_host(s, call->victim)->powers) {
		out.rc = HV_AGENT_FAILED; /* it was broken when it was told */
	} else if (call->kind == OP_FENCE_TEST || (call->flags & OP_F_POWER_ON)) {
		out.rc = HV_OK;
	} else if (seen_off(s, call, d)) {
		out.rc = HV_OK;
		out.fenced = final ? call->victim : 0;
	} else {
		out.rc = HV_TIMEOUT;
	}
	return out;
}
