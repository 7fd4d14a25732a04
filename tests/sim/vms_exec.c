/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The executor of one node: compares the operations of the state with its jobs (as
 * clusterd/executor.h says). */
#include "tests/sim/vms.h"

static struct job *job_find(struct mind *m, hv_op_id op)
{
	for (size_t i = 0; i < m->n_jobs; i++)
		if (m->jobs[i].op == op)
			return &m->jobs[i];
	return NULL;
}

static bool ours(const struct mind *m, const struct operation *op)
{
	return op && op->state == OP_RUNNING && op->node == m->h->id && op->kind != OP_NODE_DRAIN &&
	       op->kind != OP_VM_REQUEST && op->kind != OP_NODE_SHUTDOWN;
}

/*
 * Behind a barrier fencing is all that is begun. What was begun before is kept: its result may be
 * on its way, and the same attempt must not be made twice.
 */
static bool may_begin(const struct mind *m, const struct operation *op)
{
	const struct node *n = cluster_node(m->c, m->h->id);

	if (op->kind == OP_FENCE)
		return true;
	if (cluster_barrier(m->c) || rl_status(m->h->proc.log)->barrier)
		return false;
	return op->kind == OP_VM_DESTROY || !n || n->state != NODE_JOINING;
}

static void job_remove(struct mind *m, size_t i)
{
	struct job *j = &m->jobs[i];

	if (!j->done)
		vms_cancel(m->s, m->h, j->op);
	m->jobs[i] = m->jobs[--m->n_jobs];
}

static bool is_fence(const struct job *j)
{
	return j->kind == OP_FENCE || j->kind == OP_FENCE_TEST;
}

static void job_send(struct mind *m, struct job *j, const struct operation *op)
{
	if (!is_fence(j) && vms_of(m->s)->hyper[m->h->id - 1].hvd_down)
		return; /* when it is back */
	j->running = true;
	j->cancelled = op->cancel;
	if (op->flags & OP_F_WATCHDOG) {
		j->began_us = mind_mono(m);
		return;
	}
	if (is_fence(j) && op->cancel) { /* as clusterd's executor: no agent is begun */
		j->done = true;
		j->rc = HV_CANCELLED;
		j->began_us = j->ended_us = mind_mono(m);
		return;
	}
	vms_call(m, op);
	if (op->cancel)
		vms_cancel(m->s, m->h, op->id);
}

void exec_hypervisor_up(struct mind *m)
{
	for (size_t i = 0; i < m->n_jobs; i++)
		if (!m->jobs[i].done && !is_fence(&m->jobs[i]))
			m->jobs[i].running = false;
	m->unsettled = true;
}

static void job_start(struct mind *m, const struct operation *op)
{
	struct job *j = job_find(m, op->id);

	if (!j) {
		if (m->n_jobs == m->cap_jobs) {
			m->cap_jobs = m->cap_jobs ? m->cap_jobs * 2 : 16;
			m->jobs = hv_xrealloc(m->jobs, m->cap_jobs, sizeof(*m->jobs));
		}
		j = &m->jobs[m->n_jobs++];
	} else if (j->attempt == op->attempt) {
		if (!j->running && !j->done)
			job_send(m, j, op);
		return;
	}
	*j = (struct job){.op = op->id, .attempt = op->attempt, .kind = op->kind};
	job_send(m, j, op);
}

static void propose_result(struct mind *m, struct job *j)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__OpResult r = HV__OP_RESULT__INIT;
	const struct operation *op = cluster_op(m->c, j->op);

	if (proposer_pending(m->proposer, j->mark))
		return;
	if (op && op->kind == OP_VM_DESTROY && op->deadline_us &&
	    j->observed != HV__OBSERVED__OBSERVED_ABSENT)
		return;
	r.op = j->op;
	r.attempt = j->attempt;
	r.node = m->h->id;
	r.rc = j->rc;
	r.text = j->rc == HV_OK ? "" : "simulated";
	r.observed = j->observed;
	if (j->kind == OP_VM_RESET && j->rc == HV_OK)
		r.evidence = "/simulated/evidence";
	if (op && op->vm && j->observed == HV__OBSERVED__OBSERVED_ABSENT)
		r.cause = intake_cause(m->intake, op->vm);
	r.began_us = cluster_time_at(&m->time, j->began_us);
	r.ended_us = cluster_time_at(&m->time, j->ended_us);
	r.fenced_node = j->fenced;
	ev.body_case = HV__EVENT__BODY_OP_RESULT;
	ev.op_result = &r;
	j->mark = mind_propose(m, &ev, j->kind == OP_FENCE ? RL_FENCE : RL_COMMAND, j->fenced);
}

/* As clusterd's executor: nothing is run, only waited for. */
static void wait_for_time(struct mind *m, struct job *j, const struct operation *op)
{
	uint64_t at_us = absence_proof_us(&m->absence, m->c, op);

	if (op->cancel || (at_us && mind_mono(m) >= at_us)) {
		j->done = true;
		j->rc = op->cancel ? HV_CANCELLED : HV_OK;
		j->fenced = op->cancel ? 0 : op->victim;
		j->ended_us = mind_mono(m);
		if (j->fenced) {
			vms_proven(m->s, j->fenced);
			vms_note(m->s, VMS_FENCED, -1, j->fenced, m->h->id, false);
		}
	} else if (at_us && (!m->proof_due_us || at_us < m->proof_due_us)) {
		m->proof_due_us = at_us;
	}
}

void exec_reconcile(struct mind *m)
{
	bool current = mind_current(m);

	for (size_t i = m->n_jobs; i-- > 0;) {
		const struct operation *op = cluster_op(m->c, m->jobs[i].op);

		/* Without quorum nobody is fenced; VM jobs go on, they are about VMs of this node.
		 */
		if (current ? !ours(m, op) : is_fence(&m->jobs[i]))
			job_remove(m, i);
		else if (current && op->cancel && !m->jobs[i].cancelled && !m->jobs[i].done) {
			m->jobs[i].cancelled = true;
			vms_cancel(m->s, m->h, op->id);
		}
	}
	m->proof_due_us = 0;
	if (!current)
		return;
	for (size_t i = 0; i < cluster_op_count(m->c); i++) {
		const struct operation *op = cluster_op_at(m->c, i);

		if (ours(m, op) && may_begin(m, op))
			job_start(m, op);
	}
	for (size_t i = 0; i < m->n_jobs; i++) {
		const struct operation *op = cluster_op(m->c, m->jobs[i].op);

		if (op->flags & OP_F_WATCHDOG && !m->jobs[i].done)
			wait_for_time(m, &m->jobs[i], op);
		if (m->jobs[i].done)
			propose_result(m, &m->jobs[i]);
	}
}

void exec_result(struct mind *m, const struct call *call, const struct outcome *out)
{
	struct job *j = job_find(m, call->op);

	if (!j || j->attempt != call->attempt || j->done)
		return;
	j->done = true;
	j->running = false;
	j->rc = out->rc;
	j->observed = out->observed;
	j->fenced = out->fenced;
	j->began_us = call->began_us;
	j->ended_us = mind_mono(m);
	if (call->kind == OP_VM_RESET && out->rc == HV_OK)
		intake_guest_reset(m->intake, vms_of(m->s)->uuid[call->vm]);
	if (call->vm >= 0 && out->observed != HV__OBSERVED__OBSERVED_UNKNOWN)
		intake_observed(m->intake, vms_of(m->s)->uuid[call->vm], out->observed);
}
