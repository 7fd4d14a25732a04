/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/fence_delay.h"

#include "proto/mutant.h"

/* What a side of a parted cluster has at stake. */
struct side {
	uint64_t priority;
	size_t vms;
	hv_node_id lowest;
};

static void side_add(struct side *s, const struct node *n)
{
	for (size_t i = 0; i < n->owned.count; i++) {
		const struct vm *vm = n->owned.items[i];

		if (!vm->managed || vm->intent != INTENT_STARTED)
			continue;
		s->vms++;
		s->priority += vm->priority > 0 ? (uint64_t)vm->priority : 0;
	}
	if (!s->lowest || n->id < s->lowest)
		s->lowest = n->id;
}

static bool matters_less(const struct side *a, const struct side *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority;
	if (a->vms != b->vms)
		return a->vms < b->vms;
	return a->lowest > b->lowest;
}

static uint64_t duel_us(const struct cluster *c, const struct node *victim)
{
	struct side ours = {0}, theirs = {0};

	if (!c->duel || !victim->barrier || victim->fence_attempt || MUTANT(both_shoot_at_once))
		return 0;
	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *n = c->nodes[i];

		if (node_is_member(n))
			side_add(&ours, n);
		else if (n->barrier)
			side_add(&theirs, n);
	}
	return matters_less(&ours, &theirs) ? c->tuning.fence_priority_delay_us : 0;
}

static uint64_t random_us(const struct cluster *c, const struct node *victim,
			  const struct fence_device *d)
{
	uint64_t h = hash_bytes(victim->id, d->name, strlen(d->name)), most = d->delay_random_s;

	h = hash_bytes(h, victim->name, strlen(victim->name));
	h ^= c->index * 0x9e3779b97f4a7c15ULL + c->now_us;
	h = hash_bytes(h, "random delay", 12);
	return most ? h % (most * 1000 + 1) * HV_US_PER_MS : 0;
}

uint64_t fence_delay_us(const struct cluster *c, const struct node *victim,
			const struct fence_device *d, const char **ret_why)
{
	uint64_t duel = duel_us(c, victim);

	*ret_why = duel ? "the other side's VMs matter more, and it goes first if it lives"
			: "its fence device is set to wait";
	if (MUTANT(delay_ignored))
		return duel;
	return d->delay_s * HV_US_PER_S + random_us(c, victim, d) + duel;
}
