/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/executor.h"

#include "clusterd/absence.h"
#include "clusterd/fence_job.h"
#include "clusterd/logging.h"
#include "resource/guest_plan.h"
#include "resource/storage.h"

static_assert((int)RESET_ASKED == HV__HV_RESET_IF__HV_RESET_ASKED &&
		  (int)RESET_LOST == HV__HV_RESET_IF__HV_RESET_LOST &&
		  (int)RESET_PANICKED == HV__HV_RESET_IF__HV_RESET_PANICKED &&
		  (int)RESET_WATCHDOG == HV__HV_RESET_IF__HV_RESET_WATCHDOG,
	      "why a guest is reset has the same numbers in the state and in a job");

#define DEFAULT_JOB_MS 300000
#define MIGRATION_URI "qemu+%s://%s/system"

enum phase { PHASE_WAITING, PHASE_RUNNING, PHASE_DONE };

struct job {
	struct executor *owner;
	hv_op_id id;
	uint32_t attempt;
	enum op_kind kind;
	enum phase phase;
	bool cancelled;
	bool proves; /* a success of this fence job is the proof: the last device of its level, and
			not a power-on */
	bool waits;  /* for the victim's own watchdog: there is no agent */
	struct fence_job *fence;
	/* the result, once there is one */
	enum hv_rc rc;
	char *text;
	char *evidence; /* of a reset; NULL: none */
	Hv__Observed observed;
	uint64_t began_us, ended_us; /* CLOCK_MONOTONIC */
	hv_node_id victim;
	uint64_t mark;
};

struct executor {
	qb_loop_t *loop;
	hv_node_id self;
	struct executor_ops ops;
	void *user;
	struct job **jobs; /* pointers, because agents' callbacks hold them */
	size_t count, cap;
	hv_op_id *hints;
	size_t n_hints, cap_hints;
	bool rescan;
	uint64_t idle_since_us; /* not current since then; 0: current */
	struct absence absence;
	uint64_t proof_due_us; /* the next wait is over then; 0: none is known to end */
};

struct executor *executor_new(qb_loop_t *loop, hv_node_id self, const struct executor_ops *ops,
			      void *user)
{
	struct executor *e = hv_xcalloc(1, sizeof(*e));

	e->loop = loop;
	e->self = self;
	e->ops = *ops;
	e->user = user;
	e->rescan = true;
	return e;
}

static void job_free(struct job *j)
{
	fence_job_free(j->fence);
	free(j->text);
	free(j->evidence);
	free(j);
}

void executor_free(struct executor *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->count; i++)
		job_free(e->jobs[i]);
	free(e->jobs);
	free(e->hints);
	free(e);
}

size_t executor_jobs(const struct executor *e)
{
	return e->count;
}

/* ---- the table of jobs */

static struct job *job_find(const struct executor *e, hv_op_id id)
{
	for (size_t i = 0; i < e->count; i++) {
		if (e->jobs[i]->id == id)
			return e->jobs[i];
	}
	return NULL;
}

bool executor_knows(const struct executor *e, hv_op_id op)
{
	return job_find(e, op) != NULL;
}

static void job_remove(struct executor *e, struct job *j)
{
	for (size_t i = 0; i < e->count; i++) {
		if (e->jobs[i] != j)
			continue;
		e->jobs[i] = e->jobs[--e->count];
		job_free(j);
		return;
	}
}

static struct job *job_add(struct executor *e, const struct operation *op)
{
	struct job *j = hv_xcalloc(1, sizeof(*j));

	if (e->count == e->cap) {
		e->cap = e->cap ? 2 * e->cap : 32;
		e->jobs = hv_xrealloc(e->jobs, e->cap, sizeof(struct job *));
	}
	j->owner = e;
	j->id = op->id;
	j->attempt = op->attempt;
	j->kind = op->kind;
	j->victim = op->victim;
	j->waits = op->flags & OP_F_WATCHDOG;
	j->proves =
	    op->kind == OP_FENCE && (op->flags & OP_F_FINAL) && !(op->flags & OP_F_POWER_ON);
	e->jobs[e->count++] = j;
	return j;
}

static bool is_fence(enum op_kind kind)
{
	return kind == OP_FENCE || kind == OP_FENCE_TEST;
}

static void job_done(struct job *j, enum hv_rc rc, const char *text, Hv__Observed observed)
{
	j->phase = PHASE_DONE;
	j->rc = rc;
	free(j->text);
	j->text = hv_xstrndup(text ? text : "", HV_TEXT_MAX - 1);
	hv_text_flatten(j->text); /* an event that has other text in it is not proposed */
	j->observed = observed;
	j->mark = 0;
}

/* ---- VM jobs */

static Hv__HvJobKind job_kind(enum op_kind kind)
{
	switch (kind) {
	case OP_VM_START:
		return HV__HV_JOB_KIND__HV_JOB_START;
	case OP_VM_STOP:
		return HV__HV_JOB_KIND__HV_JOB_STOP;
	case OP_VM_DESTROY:
		return HV__HV_JOB_KIND__HV_JOB_DESTROY;
	case OP_VM_MIGRATE:
		return HV__HV_JOB_KIND__HV_JOB_MIGRATE;
	case OP_VM_RESUME:
		return HV__HV_JOB_KIND__HV_JOB_RESUME;
	case OP_VM_PAUSE:
		return HV__HV_JOB_KIND__HV_JOB_PAUSE;
	case OP_VM_PROBE:
		return HV__HV_JOB_KIND__HV_JOB_PROBE;
	case OP_VM_RESET:
		return HV__HV_JOB_KIND__HV_JOB_RESET;
	case OP_NONE:
	case OP_FENCE:
	case OP_FENCE_TEST:
	case OP_NODE_DRAIN:
	case OP_NODE_SHUTDOWN:
	case OP_VM_REQUEST:
		break;
	}
	return HV__HV_JOB_KIND__HV_JOB_NONE;
}

static uint32_t job_timeout_ms(const struct operation *op, uint64_t now_us)
{
	uint64_t left_ms;

	if (op->kind == OP_VM_STOP)
		return op->timeout_s * 1000;
	if (op->timeout_s)
		return op->timeout_s * 1000;
	if (!op->deadline_us)
		return DEFAULT_JOB_MS;
	left_ms = op->deadline_us > now_us ? (op->deadline_us - now_us) / HV_US_PER_MS : 1;
	return left_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)left_ms;
}

/* Its storage answers with errors here: libvirt then takes it for one that is not shared. The
 * target was chosen because it has it, and works there. */
static bool leaves_storage(const struct executor *e, const struct cluster *c, const struct vm *vm)
{
	const struct node *self = cluster_node(c, e->self);

	return self && storage_fault_of(vm, self);
}

static void send_vm_job(struct executor *e, struct job *j, const struct cluster *c,
			const struct operation *op)
{
	const struct vm *vm = cluster_vm(c, op->vm);
	const struct node *target = op->target ? cluster_node(c, op->target) : NULL;
	bool tls = cluster_migration_tls(c);
	_cleanup_free_ char *uri =
	    target ? hv_xasprintf(MIGRATION_URI, tls ? "tls" : "tcp", target->name) : NULL;
	Hv__HvJob job = HV__HV_JOB__INIT;
	Hv__HvRequest req = HV__HV_REQUEST__INIT;

	job.id = op->id;
	job.attempt = op->attempt;
	job.kind = job_kind(op->kind);
	job.uuid = op->vm;
	job.timeout_ms = job_timeout_ms(op, cluster_now_us(c));
	if (vm) {
		job.name = vm->name;
		job.paused_ok = op->flags & OP_F_PAUSED;
	}
	if (vm && op->kind == OP_VM_START)
		job.xml = (ProtobufCBinaryData){.len = vm->xml_len, .data = vm->xml};
	if (uri)
		job.target_uri = uri;
	if (op->kind == OP_VM_RESET)
		job.reset_if = (Hv__HvResetIf)op_reset_if(op);
	job.clear_text = !tls;
	job.unsafe = vm && leaves_storage(e, c, vm);
	req.body_case = HV__HV_REQUEST__BODY_JOB;
	req.job = &job;
	e->ops.request(e->user, &req);
	j->phase = PHASE_RUNNING;
	log_info("op %llu: %s %s attempt %u handed to hypervisord", (unsigned long long)op->id,
		 op_kind_name(op->kind), vm ? vm->name : op->vm, op->attempt);
}

static void cancel_vm_job(struct executor *e, hv_op_id id)
{
	Hv__HvCancel cancel = HV__HV_CANCEL__INIT;
	Hv__HvRequest req = HV__HV_REQUEST__INIT;

	cancel.id = id;
	req.body_case = HV__HV_REQUEST__BODY_CANCEL;
	req.cancel = &cancel;
	e->ops.request(e->user, &req);
}

void executor_result(struct executor *e, const Hv__HvResult *r)
{
	struct job *j = job_find(e, r->id);

	if (!j || j->attempt != r->attempt || j->phase != PHASE_RUNNING)
		return;
	j->began_us = r->began_us;
	j->ended_us = r->ended_us;
	free(j->evidence);
	j->evidence = *r->evidence ? hv_xstrndup(r->evidence, HV_PATH_MAX) : NULL;
	if (j->evidence)
		hv_text_flatten(j->evidence);
	job_done(j, (enum hv_rc)r->rc, r->text, r->observed);
	log_info("op %llu: %s: %s%s%s", (unsigned long long)j->id, op_kind_name(j->kind),
		 hv_rc_name(r->rc), j->text[0] ? ": " : "", j->text);
}

void executor_hypervisor_up(struct executor *e)
{
	for (size_t i = 0; i < e->count; i++) {
		struct job *j = e->jobs[i];

		if (is_fence(j->kind) || j->phase != PHASE_RUNNING)
			continue;
		j->phase = PHASE_WAITING;
		j->cancelled = false;
	}
	e->rescan = true;
}

/* ---- fence jobs */

static void fence_done(void *user, const struct fence_result *r)
{
	struct job *j = user;

	j->began_us = r->began_us;
	j->ended_us = r->ended_us;
	job_done(j, r->rc, r->text, HV__OBSERVED__OBSERVED_UNKNOWN);
	fence_job_free(steal_ptr(j->fence));
	log_notice("op %llu: %s of node %u: %s%s%s", (unsigned long long)j->id,
		   op_kind_name(j->kind), j->victim, hv_rc_name(r->rc), j->text[0] ? ": " : "",
		   j->text);
	j->owner->ops.wake(j->owner->user);
}

static void start_fence_job(struct executor *e, struct job *j, const struct cluster *c,
			    const struct operation *op)
{
	const struct node *victim = cluster_node(c, op->victim);

	j->phase = PHASE_RUNNING;
	if (j->waits) {
		log_notice("op %llu: %s is proven off by its watchdog %llu ms after its loss",
			   (unsigned long long)op->id, victim ? victim->name : "?",
			   (unsigned long long)(op->wait_us / HV_US_PER_MS));
		return;
	}
	log_notice("op %llu: %s of %s with device %s, attempt %u", (unsigned long long)op->id,
		   op_kind_name(op->kind), victim ? victim->name : "?",
		   op->device ? op->device : "?", op->attempt);
	j->fence = fence_job_start(e->loop, victim, op, fence_done, j);
	if (!j->fence)
		job_done(j, HV_NOT_FOUND, "this fence device does not exist any more",
			 HV__OBSERVED__OBSERVED_UNKNOWN);
}

/* Nothing is run: it is over when the victim has been away for so long, by our own clock. */
static void wait_for_watchdog(struct executor *e, struct job *j, const struct cluster *c,
			      const struct operation *op, uint64_t now_us)
{
	uint64_t at_us = absence_proof_us(&e->absence, c, op);

	if (at_us && now_us >= at_us) {
		j->began_us = at_us - op->wait_us;
		j->ended_us = now_us;
		job_done(j, HV_OK, NULL, HV__OBSERVED__OBSERVED_UNKNOWN);
		log_notice("op %llu: node %u has been away for %llu ms: its watchdog has reset it",
			   (unsigned long long)j->id, j->victim,
			   (unsigned long long)((now_us - j->began_us) / HV_US_PER_MS));
	} else if (at_us && (!e->proof_due_us || at_us < e->proof_due_us)) {
		e->proof_due_us = at_us;
	}
}

static void wait_for_watchdogs(struct executor *e, const struct cluster *c, uint64_t now_us)
{
	e->proof_due_us = 0;
	for (size_t i = 0; i < e->count; i++)
		if (e->jobs[i]->waits && e->jobs[i]->phase == PHASE_RUNNING)
			wait_for_watchdog(e, e->jobs[i], c, cluster_op(c, e->jobs[i]->id), now_us);
}

/* ---- results */

static void propose_result(struct executor *e, struct job *j, const struct operation *op)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__OpResult r = HV__OP_RESULT__INIT;

	if (e->ops.pending(e->user, j->mark))
		return;
	/* A copy that could not be destroyed: answered already, it waits for its next attempt. */
	if (op && op->kind == OP_VM_DESTROY && op->deadline_us &&
	    j->observed != HV__OBSERVED__OBSERVED_ABSENT)
		return;
	r.op = j->id;
	r.attempt = j->attempt;
	r.node = e->self;
	r.rc = j->rc;
	r.text = j->text;
	r.observed = j->observed;
	if (j->evidence)
		r.evidence = j->evidence;
	if (op && op->vm && j->observed == HV__OBSERVED__OBSERVED_ABSENT)
		r.cause = e->ops.cause(e->user, op->vm);
	r.began_us = j->began_us ? e->ops.time_at(e->user, j->began_us) : 0;
	r.ended_us = j->ended_us ? e->ops.time_at(e->user, j->ended_us) : 0;
	if (j->proves && j->rc == HV_OK)
		r.fenced_node = j->victim;
	ev.body_case = HV__EVENT__BODY_OP_RESULT;
	ev.op_result = &r;
	j->mark = e->ops.propose(e->user, &ev, j->kind == OP_FENCE, r.fenced_node);
}

/* ---- comparing with the state */

void executor_hint(struct executor *e, hv_op_id op)
{
	if (e->n_hints == e->cap_hints) {
		e->cap_hints = e->cap_hints ? 2 * e->cap_hints : 64;
		e->hints = hv_xrealloc(e->hints, e->cap_hints, sizeof(hv_op_id));
	}
	e->hints[e->n_hints++] = op;
}

void executor_rescan(struct executor *e)
{
	e->rescan = true;
}

void executor_installed(struct executor *e)
{
	absence_forget(&e->absence);
	executor_rescan(e);
}

static bool ours(const struct executor *e, const struct operation *op)
{
	return op && op->state == OP_RUNNING && op->node == e->self &&
	       (is_fence(op->kind) || job_kind(op->kind) != HV__HV_JOB_KIND__HV_JOB_NONE);
}

static void drop_job(struct executor *e, struct job *j)
{
	if (!is_fence(j->kind) && j->phase == PHASE_RUNNING && !j->cancelled)
		cancel_vm_job(e, j->id);
	job_remove(e, j);
}

/*
 * Until this node has told what it runs, only copies are destroyed: an operation from before may be
 * of another boot, and what its executor finds now does not answer it.
 */
static bool is_joining(const struct executor *e, const struct cluster *c)
{
	const struct node *n = cluster_node(c, e->self);

	return n && n->state == NODE_JOINING;
}

static void look_at(struct executor *e, const struct cluster *c, hv_op_id id, bool hypervisor_up)
{
	const struct operation *op = cluster_op(c, id);
	struct job *j = job_find(e, id);

	if (!ours(e, op)) {
		if (j)
			drop_job(e, j);
		return;
	}
	if (j && j->attempt != op->attempt) {
		/* hypervisord replaces the job of an id by its next attempt; an agent is killed. */
		job_remove(e, j);
		j = NULL;
	}
	if (!j)
		j = job_add(e, op);
	/* Called off while we were away: an agent that is started only to be killed may do its
	 * work. */
	if (j->phase == PHASE_WAITING && is_fence(j->kind) && op->cancel)
		job_done(j, HV_CANCELLED, NULL, HV__OBSERVED__OBSERVED_UNKNOWN);
	else if (j->phase == PHASE_WAITING && is_fence(j->kind))
		start_fence_job(e, j, c, op);
	else if (j->phase == PHASE_WAITING && hypervisor_up &&
		 (op->kind == OP_VM_DESTROY || !is_joining(e, c)))
		send_vm_job(e, j, c, op);
	if (op->cancel && !j->cancelled && j->phase == PHASE_RUNNING) {
		j->cancelled = true;
		log_info("op %llu: cancelling", (unsigned long long)id);
		if (j->waits)
			job_done(j, HV_CANCELLED, NULL, HV__OBSERVED__OBSERVED_UNKNOWN);
		else if (is_fence(j->kind))
			fence_job_cancel(j->fence);
		else
			cancel_vm_job(e, id);
	}
}

static void scan(struct executor *e, const struct cluster *c, bool hypervisor_up)
{
	size_t n = cluster_op_count(c);

	for (size_t i = e->count; i > 0; i--)
		look_at(e, c, e->jobs[i - 1]->id, hypervisor_up);
	for (size_t i = 0; i < n; i++) {
		const struct operation *op = cluster_op_at(c, i);

		if (ours(e, op) && !job_find(e, op->id))
			look_at(e, c, op->id, hypervisor_up);
	}
}

static void stop_fencing(struct executor *e)
{
	for (size_t i = e->count; i > 0; i--) {
		struct job *j = e->jobs[i - 1];

		if (!is_fence(j->kind))
			continue;
		log_notice("op %llu: %s of node %u is given up: this node is not part of a quorate "
			   "cluster",
			   (unsigned long long)j->id, op_kind_name(j->kind), j->victim);
		job_remove(e, j);
	}
}

static bool is_fencing(const struct executor *e)
{
	for (size_t i = 0; i < e->count; i++)
		if (is_fence(e->jobs[i]->kind))
			return true;
	return false;
}

static uint64_t wait_to_be_current(struct executor *e, uint64_t now_us)
{
	e->rescan = true;
	if (!e->idle_since_us)
		e->idle_since_us = now_us;
	if (!is_fencing(e))
		return 0;
	if (now_us - e->idle_since_us < EXECUTOR_FENCE_GRACE_US)
		return e->idle_since_us + EXECUTOR_FENCE_GRACE_US;
	stop_fencing(e);
	return 0;
}

/*
 * The log forgets the proofs of an earlier epoch (quorum/replog.h), and so do we: if the operation
 * is still there, the agent runs again. An agent that has not ended yet proves what is true at its
 * end.
 */
static void forget_proofs(struct executor *e)
{
	for (size_t i = e->count; i > 0; i--) {
		struct job *j = e->jobs[i - 1];

		if (j->phase != PHASE_DONE || !j->proves || j->rc != HV_OK)
			continue;
		log_info("op %llu: the proof is of an earlier epoch", (unsigned long long)j->id);
		job_remove(e, j);
	}
}

uint64_t executor_reconcile(struct executor *e, const struct cluster *c, bool current,
			    bool hypervisor_up, uint64_t now_us)
{
	bool barrier = cluster_barrier(c);
	/* Behind the barrier nothing but fencing begins: what is decided there may be discarded. */
	bool vm_jobs = hypervisor_up && !barrier;

	absence_look(&e->absence, c, now_us);
	if (!current)
		return wait_to_be_current(e, now_us);
	if (e->idle_since_us)
		forget_proofs(e);
	e->idle_since_us = 0;
	if (e->rescan)
		scan(e, c, vm_jobs);
	else
		for (size_t i = 0; i < e->n_hints; i++)
			look_at(e, c, e->hints[i], vm_jobs);
	/* What waited for it is found when the barrier is lifted, or the report is in. */
	e->rescan = barrier || is_joining(e, c);
	e->n_hints = 0;
	wait_for_watchdogs(e, c, now_us);
	for (size_t i = 0; i < e->count; i++) {
		if (e->jobs[i]->phase == PHASE_DONE)
			propose_result(e, e->jobs[i], cluster_op(c, e->jobs[i]->id));
	}
	return e->proof_due_us;
}
