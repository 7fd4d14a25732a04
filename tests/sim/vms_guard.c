/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a node does by itself without quorum: clusterd's guard in the rack. */
#include "tests/sim/vms.h"

#define GUARDS_US SEC

static void guard_stop(void *user, const struct vm *vm, hv_op_id job, uint32_t timeout_s)
{
	struct mind *m = user;
	struct operation op = {.id = job,
			       .kind = OP_VM_STOP,
			       .state = OP_RUNNING,
			       .vm = vm->uuid,
			       .node = m->h->id,
			       .attempt = 1,
			       .timeout_s = timeout_s};

	vms_call(m, &op);
}

static void boot(struct sim *s, struct host *h, uint64_t arg)
{
	host_power_on(s, h);
}

static void reset(struct sim *s, struct host *h, uint64_t powers)
{
	if (!h->power || h->powers != powers)
		return;
	sim_trace(s, "host %u resets itself", h->id);
	vms_of(s)->self_resets[h->id - 1]++;
	host_power_off(s, h);
	sim_at(s, SEC, boot, h, 0);
}

/* Not before it has been without quorum for as long as the setting says. */
static void check_not_early(struct mind *m)
{
	uint64_t grace_us, since_us = m->lost_us ? m->lost_us : m->s->now_us;

	cluster_quorum_loss(m->c, &grace_us);
	if (m->s->now_us - since_us < grace_us * 9 / 10)
		sim_fail(m->s, "I7: host %u resets itself after %llu ms without quorum", m->h->id,
			 (unsigned long long)((m->s->now_us - since_us) / MS));
}

/* Not from within the process that it ends. */
static void guard_reset(void *user)
{
	struct mind *m = user;

	check_not_early(m);
	sim_at(m->s, 2 * SEC, reset, m->h, m->h->powers);
}

static const struct guard_ops ops = {.stop = guard_stop, .reset = guard_reset};

void mind_guard_start(struct mind *m)
{
	m->guard = guard_new(&ops, m);
}

static void votes_again(struct sim *s, struct host *h, uint64_t incarnation)
{
	if (process_runs(h) && h->proc.incarnation == incarnation)
		host_votes_again(s, h);
}

/*
 * I6 without a watchdog: whoever is to reset itself without quorum does it, if its clusterd has run
 * all the time and knows what runs there.
 */
static bool must_go(struct sim *s, const struct host *h, uint64_t *ret_grace_us)
{
	const struct mind *m = process_runs(h) ? h->proc.mind : NULL;

	if (!m || mind_current(m) || guard_policy(m->c) != SELFGUARD_SELF_FENCE)
		return false;
	cluster_quorum_loss(m->c, ret_grace_us);
	for (int k = 0; k < VMS; k++)
		if (vms_dom(s, h->id, k)->state == DOM_RUNNING && !vms_dom(s, h->id, k)->stray &&
		    cluster_vm(m->c, vms_of(s)->uuid[k]) &&
		    intake_has(m->intake, vms_of(s)->uuid[k]))
			return true;
	return false;
}

static void look_at_guards(struct sim *s, struct host *unused, uint64_t arg)
{
	sim_at(s, GUARDS_US, look_at_guards, NULL, 0);
	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[i];
		uint64_t *since_us = &vms_of(s)->must_go_us[i], grace_us = 0;

		if (!must_go(s, h, &grace_us) || *since_us < h->proc.started_us)
			*since_us = s->now_us;
		else if (s->now_us - *since_us > grace_us * 11 / 10 + 10 * SEC)
			sim_fail(s, "I6: host %u runs VMs %llu ms after it has lost quorum", h->id,
				 (unsigned long long)((s->now_us - *since_us) / MS));
	}
}

void vms_guard_setup(struct sim *s)
{
	if (!s->scenario)
		sim_at(s, GUARDS_US, look_at_guards, NULL, 0);
}

void mind_guard_look(struct mind *m)
{
	bool ignoring = guard_policy(m->c) == SELFGUARD_IGNORE;

	if (mind_current(m))
		m->lost_us = 0;
	else if (!m->lost_us)
		m->lost_us = m->s->now_us;
	m->guard_due_us = guard_reconcile(m->guard, m->c, m->intake, mind_current(m), mind_mono(m));
	if (ignoring == m->ignoring)
		return;
	m->ignoring = ignoring;
	sim_at(m->s, 0, votes_again, m->h, m->h->proc.incarnation);
}

void mind_told_votes(struct mind *m, bool *quorate, uint32_t *quorum)
{
	selfguard_quorum(m->ignoring ? SELFGUARD_IGNORE : SELFGUARD_FREEZE, quorate, quorum);
}
