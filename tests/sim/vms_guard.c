/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a node does by itself without quorum: clusterd's guard in the rack. */
#include "tests/sim/vms.h"

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

/* Not from within the process that it ends. */
static void guard_reset(void *user)
{
	struct mind *m = user;

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

void mind_guard_look(struct mind *m)
{
	bool ignoring = guard_policy(m->c) == SELFGUARD_IGNORE;

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
