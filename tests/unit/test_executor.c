/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What clusterd's executor makes of the operations in the state: jobs, agents, results, proofs. */
#include "clusterd/executor.h"
#include "fence/fence_agent_dirs.h"
#include "tests/unit/small_cluster.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define UUID "11111111-2222-3333-4444-555555555555"

/* Takes down what leaves the executor. */
struct notes {
	unsigned jobs, cancels, proposals;
	hv_op_id job, cancelled, op;
	uint32_t attempt, rc, fenced;
	Hv__HvJobKind kind;
	Hv__Observed observed;
	size_t xml_len;
	bool fence, in_flight;
	hv_node_id proof_of;
	char text[128];
	qb_loop_t *loop;
};

static void note_request(void *user, const Hv__HvRequest *req)
{
	struct notes *n = user;

	if (req->body_case == HV__HV_REQUEST__BODY_JOB) {
		n->jobs++;
		n->job = req->job->id;
		n->attempt = req->job->attempt;
		n->kind = req->job->kind;
		n->xml_len = req->job->xml.len;
	} else if (req->body_case == HV__HV_REQUEST__BODY_CANCEL) {
		n->cancels++;
		n->cancelled = req->cancel->id;
	}
}

static uint64_t note_proposal(void *user, const Hv__Event *ev, bool fence, hv_node_id fenced)
{
	const Hv__OpResult *r = ev->op_result;
	struct notes *n = user;

	n->proposals++;
	n->op = r->op;
	n->rc = r->rc;
	n->observed = r->observed;
	n->fenced = r->fenced_node;
	n->fence = fence;
	n->proof_of = fenced;
	snprintf(n->text, sizeof(n->text), "%s", r->text);
	n->in_flight = true;
	return 1;
}

static bool still_pending(void *user, uint64_t mark)
{
	return mark && ((struct notes *)user)->in_flight;
}

static Hv__Cause no_cause(void *user _unused_, const char *uuid _unused_)
{
	return HV__CAUSE__CAUSE_NONE;
}

static uint64_t same_time(void *user _unused_, uint64_t mono_us)
{
	return mono_us;
}

static void stop_loop(void *user)
{
	qb_loop_stop(((struct notes *)user)->loop);
}

static struct executor *executor_of_host1(struct notes *n)
{
	static const struct executor_ops ops = {note_request, note_proposal, still_pending,
						no_cause,     same_time,     stop_loop};

	n->loop = qb_loop_create();
	return executor_new(n->loop, 1, &ops, n);
}

static void executor_drop(struct executor **e)
{
	executor_free(*e);
}
#define _cleanup_executor_ _cleanup_(executor_drop)

/* host1 is to start a VM: the operation. */
static const struct operation *start_on_host1(struct small *s)
{
	const struct vm *vm = small_vm_add(s, "web1", UUID, true);

	cr_assert_eq(vm->node, 1);
	return cluster_op(s->c, vm->op);
}

static void answer(struct executor *e, const struct operation *op, uint32_t attempt,
		   Hv__Observed observed)
{
	Hv__HvResult r = HV__HV_RESULT__INIT;

	r.id = op->id;
	r.attempt = attempt;
	r.observed = observed;
	r.text = "said\nso";
	executor_result(e, &r);
}

static void reconcile(struct executor *e, struct small *s, bool up)
{
	executor_reconcile(e, s->c, true, up, 1000);
}

/* ---- VM jobs */

Test(executor, a_start_goes_to_hypervisord_once_and_its_result_is_proposed_until_it_counts)
{
	struct notes n = {0};
	_cleanup_executor_ struct executor *e = executor_of_host1(&n);
	_cleanup_small_ struct small s = small_online();
	const struct operation *op = start_on_host1(&s);

	reconcile(e, &s, true);
	reconcile(e, &s, true);
	cr_assert_eq(n.jobs, 1);
	cr_assert(n.job == op->id && n.attempt == op->attempt && n.xml_len > 0);
	cr_assert_eq(n.kind, HV__HV_JOB_KIND__HV_JOB_START);
	cr_assert(executor_knows(e, op->id));
	cr_assert_eq(n.proposals, 0);

	answer(e, op, op->attempt, HV__OBSERVED__OBSERVED_RUNNING);
	reconcile(e, &s, true);
	cr_assert_eq(n.proposals, 1);
	cr_assert(n.op == op->id && n.observed == HV__OBSERVED__OBSERVED_RUNNING && !n.fence);
	cr_assert_str_eq(n.text, "said so");
	reconcile(e, &s, true);
	cr_assert_eq(n.proposals, 1, "it is on its way");
	n.in_flight = false;
	reconcile(e, &s, true);
	cr_assert_eq(n.proposals, 2, "it was lost");

	small_vm_runs(&s, "web1");
	executor_hint(e, n.op);
	reconcile(e, &s, true);
	cr_assert_eq(executor_jobs(e), 0);
	cr_assert_eq(n.cancels, 0);
}

Test(executor, an_answer_to_an_earlier_attempt_is_nobody_s)
{
	struct notes n = {0};
	_cleanup_executor_ struct executor *e = executor_of_host1(&n);
	_cleanup_small_ struct small s = small_online();
	const struct operation *op = start_on_host1(&s);

	reconcile(e, &s, true);
	answer(e, op, op->attempt + 1, HV__OBSERVED__OBSERVED_RUNNING);
	reconcile(e, &s, true);
	cr_assert_eq(n.proposals, 0);
}

Test(executor, hypervisord_gets_what_runs_again_when_it_is_back)
{
	struct notes n = {0};
	_cleanup_executor_ struct executor *e = executor_of_host1(&n);
	_cleanup_small_ struct small s = small_online();

	start_on_host1(&s);
	reconcile(e, &s, false);
	cr_assert_eq(n.jobs, 0, "it is not there");
	executor_hypervisor_up(e);
	reconcile(e, &s, true);
	cr_assert_eq(n.jobs, 1);
	executor_hypervisor_up(e);
	reconcile(e, &s, true);
	cr_assert_eq(n.jobs, 2);
}

Test(executor, what_is_no_operation_any_more_is_cancelled)
{
	struct notes n = {0};
	_cleanup_executor_ struct executor *e = executor_of_host1(&n);
	_cleanup_small_ struct small s = small_online();
	hv_op_id id = start_on_host1(&s)->id;

	reconcile(e, &s, true);
	small_vm_runs(&s, "web1");
	executor_hint(e, id);
	reconcile(e, &s, true);
	cr_assert(n.cancels == 1 && n.cancelled == id);
	cr_assert_eq(executor_jobs(e), 0);
}

Test(executor, another_node_s_operations_are_left_alone)
{
	struct notes n = {0};
	_cleanup_small_ struct small s = small_online();
	static const struct executor_ops ops = {note_request, note_proposal, still_pending,
						no_cause,     same_time,     stop_loop};
	_cleanup_executor_ struct executor *e = executor_new(NULL, 2, &ops, &n);

	start_on_host1(&s);
	reconcile(e, &s, true);
	cr_assert(n.jobs == 0 && executor_jobs(e) == 0);
}

/* ---- fencing */

static char dir[64];
static const char *dirs[] = {dir, NULL};

static void agent(const char *script)
{
	char path[128];
	FILE *f;

	snprintf(dir, sizeof(dir), "/tmp/hv-executor-XXXXXX");
	cr_assert(mkdtemp(dir));
	fence_agent_dirs = dirs;
	snprintf(path, sizeof(path), "%s/fence_t", dir);
	f = fopen(path, "w");
	fprintf(f, "#!/bin/sh\nD=%s\n%s\n", dir, script);
	fclose(f);
	chmod(path, 0755);
}

static void agent_gone(void)
{
	static const char *const names[] = {"fence_t", "seen"};
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

#define OFF                                                                                        \
	"while IFS='=' read k v; do [ $k = action ] && A=$v; done; [ $A = status ] && exit 2; "    \
	"exit 0"

static void device(struct small *s, char *name)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__FenceAdd add = HV__FENCE_ADD__INIT;

	add.node = "host2";
	add.device = name;
	add.agent = "fence_t";
	cmd.body_case = HV__COMMAND__BODY_FENCE_ADD;
	cmd.fence_add = &add;
	small_command(s, &cmd);
}

/* A minority: nothing but fencing is begun before host2 is proven off. The operation. */
static const struct operation *host2_lost(struct small *s)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__View view = HV__VIEW__INIT;
	Hv__Member m = HV__MEMBER__INIT, *members[] = {&m};
	uint32_t lost[] = {2};

	m.node = 1;
	m.incarnation = SMALL_INCARNATION;
	m.feature = 1;
	view.members = members;
	view.n_members = 1;
	view.lost = lost;
	view.n_lost = 1;
	view.minority = true;
	ev.body_case = HV__EVENT__BODY_VIEW;
	ev.view = &view;
	small_step(s, &ev);
	for (size_t i = cluster_op_count(s->c); i-- > 0;)
		if (cluster_op_at(s->c, i)->kind == OP_FENCE &&
		    cluster_op_at(s->c, i)->state == OP_RUNNING)
			return cluster_op_at(s->c, i);
	cr_assert_fail("host2 is not fenced");
	return NULL;
}

static const struct operation *fencing(struct small *s, unsigned devices)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__SettingSet set = HV__SETTING_SET__INIT;

	set.key = "fence_test_interval_s"; /* no self-test beside it */
	set.value = "0";
	cmd.body_case = HV__COMMAND__BODY_SETTING_SET;
	cmd.setting_set = &set;
	small_command(s, &cmd);
	device(s, "bmc");
	if (devices > 1)
		device(s, "pdu");
	return host2_lost(s);
}

Test(executor, the_last_device_s_success_is_the_proof, .fini = agent_gone)
{
	struct notes n = {0};
	_cleanup_executor_ struct executor *e = executor_of_host1(&n);
	_cleanup_small_ struct small s = small_online();
	const struct operation *op;

	agent(OFF);
	op = fencing(&s, 1);
	reconcile(e, &s, true);
	qb_loop_run(n.loop);
	reconcile(e, &s, true);
	cr_assert_eq(n.proposals, 1);
	cr_assert(n.op == op->id && n.rc == HV_OK, "%s", n.text);
	cr_assert(n.fenced == 2 && n.fence && n.proof_of == 2);
}

Test(executor, one_of_two_devices_proves_nothing, .fini = agent_gone)
{
	struct notes n = {0};
	_cleanup_executor_ struct executor *e = executor_of_host1(&n);
	_cleanup_small_ struct small s = small_online();

	agent(OFF);
	fencing(&s, 2);
	reconcile(e, &s, true);
	qb_loop_run(n.loop);
	reconcile(e, &s, true);
	cr_assert(n.proposals == 1 && n.rc == HV_OK && n.fence);
	cr_assert(n.fenced == 0 && n.proof_of == 0);
}

Test(executor, an_agent_that_fails_is_a_result_without_a_proof, .fini = agent_gone)
{
	struct notes n = {0};
	_cleanup_executor_ struct executor *e = executor_of_host1(&n);
	_cleanup_small_ struct small s = small_online();

	agent("echo no route >&2; exit 1");
	fencing(&s, 1);
	reconcile(e, &s, true);
	qb_loop_run(n.loop);
	reconcile(e, &s, true);
	cr_assert(n.proposals == 1 && n.rc == HV_AGENT_FAILED && n.fenced == 0 && n.proof_of == 0);
	cr_assert(strstr(n.text, "no route"), "%s", n.text);
}

Test(executor, behind_the_barrier_only_fencing_begins, .fini = agent_gone)
{
	struct notes n = {0};
	_cleanup_executor_ struct executor *e = executor_of_host1(&n);
	_cleanup_small_ struct small s = small_online();

	agent("touch $D/seen; sleep 60");
	start_on_host1(&s);
	fencing(&s, 1);
	cr_assert(cluster_barrier(s.c));
	reconcile(e, &s, true);
	cr_assert_eq(n.jobs, 0);
	cr_assert_eq(executor_jobs(e), 2, "the start waits beside the fence");
}

Test(executor, a_part_without_quorum_gives_fencing_up, .fini = agent_gone)
{
	struct notes n = {0};
	_cleanup_executor_ struct executor *e = executor_of_host1(&n);
	_cleanup_small_ struct small s = small_online();

	agent("sleep 60");
	fencing(&s, 1);
	reconcile(e, &s, true);
	cr_assert_eq(executor_jobs(e), 1);
	cr_assert_eq(executor_reconcile(e, s.c, false, true, 5000), 5000 + EXECUTOR_FENCE_GRACE_US);
	cr_assert_eq(executor_jobs(e), 1, "a view change takes milliseconds");
	executor_reconcile(e, s.c, false, true, 5000 + EXECUTOR_FENCE_GRACE_US);
	cr_assert_eq(executor_jobs(e), 0);
}

Test(executor, a_proof_of_an_earlier_epoch_is_had_again, .fini = agent_gone)
{
	struct notes n = {0};
	_cleanup_executor_ struct executor *e = executor_of_host1(&n);
	_cleanup_small_ struct small s = small_online();

	agent(OFF "; echo");
	fencing(&s, 1);
	reconcile(e, &s, true);
	qb_loop_run(n.loop);
	executor_reconcile(e, s.c, false, true, 2000);
	n.in_flight = false;
	reconcile(e, &s, true);
	cr_assert_eq(n.proposals, 0, "the agent runs again first");
	qb_loop_run(n.loop);
	reconcile(e, &s, true);
	cr_assert(n.proposals == 1 && n.fenced == 2);
}
