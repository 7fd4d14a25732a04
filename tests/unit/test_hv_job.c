/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order, waiting and deadlines of jobs, with steps made for the purpose instead of libvirt's.
 */
#include "hypervisor/job.h"

#include <criterion/criterion.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VM_A "0000000a-0000-4000-8000-000000000001"
#define VM_B "0000000b-0000-4000-8000-000000000002"
#define GUARD_MS 8000

struct answer {
	uint64_t id;
	uint32_t attempt;
	enum hv_rc rc;
	Hv__Observed observed;
	char text[HV_TEXT_MAX];
};

/* One per test process: steps run on threads and find it here. */
static struct world {
	qb_loop_t *loop;
	struct mailbox *mailbox;
	struct pool *pool;
	struct job_table *jobs;
	uint32_t deadline_ms;
	struct answer answers[6000];
	size_t n_answers, wanted;
	unsigned late, progress;
	bool guard;
	sem_t go;		   /* lets one "hang" step return */
	atomic_uint busy, busiest; /* steps at a time */
	atomic_uint steps;
} w;

/* What a step does is told by the VM's name. */
static enum job_step fake_step(struct job *j, void *user _unused_)
{
	unsigned now = atomic_fetch_add(&w.busy, 1) + 1;
	enum job_step step = JOB_DONE;

	if (now > atomic_load(&w.busiest))
		atomic_store(&w.busiest, now);
	atomic_fetch_add(&w.steps, 1);
	j->observed = HV__OBSERVED__OBSERVED_RUNNING;
	if (atomic_load(&j->superseded))
		job_finish(j, HV_SUPERSEDED, "superseded");
	else if (atomic_load(&j->cancel))
		job_finish(j, HV_CANCELLED, "cancelled");
	else if (strcmp(j->name, "lines") == 0)
		job_finish(j, HV_HYPERVISOR, "%s", "it exited:\nqemu: cannot\topen it\r\n");
	else if (strcmp(j->name, "hang") == 0)
		sem_wait(&w.go);
	else if (strcmp(j->name, "slow") == 0)
		usleep(20000);
	else if (strcmp(j->name, "once") == 0 && j->phase++ == 0)
		step = job_wait(j, 0);
	else if (strcmp(j->name, "pause") == 0 && j->phase++ == 0)
		step = job_wait(j, 30);
	else if (strcmp(j->name, "tidy") == 0 && job_expired(j))
		job_finish(j, HV_TIMEOUT, "tidied up");
	else if (strcmp(j->name, "tidy") == 0 || strcmp(j->name, "never") == 0)
		step = job_wait(j, 0);
	j->permille = j->phase;
	atomic_fetch_sub(&w.busy, 1);
	return step;
}

static uint32_t fake_deadline(const struct job *j, void *user _unused_)
{
	return j->timeout_ms ? j->timeout_ms : w.deadline_ms;
}

static void fake_answer(const struct job *j, void *user _unused_)
{
	struct answer *a = &w.answers[w.n_answers++];

	a->id = j->id;
	a->attempt = j->attempt;
	a->rc = j->rc;
	a->observed = j->observed;
	memcpy(a->text, j->text, sizeof(a->text));
	if (w.n_answers >= w.wanted)
		qb_loop_stop(w.loop);
}

static void fake_progress(const struct job *j _unused_, void *user _unused_)
{
	w.progress++;
}

static void fake_late(const struct job *j _unused_, void *user _unused_)
{
	w.late++;
	qb_loop_stop(w.loop);
}

static const struct job_backend fake = {fake_step,     fake_deadline, fake_answer,
					fake_progress, fake_late,     NULL};

static void setup_with(unsigned workers)
{
	w.loop = qb_loop_create();
	w.mailbox = mailbox_new(w.loop);
	w.pool = pool_new(w.mailbox, workers);
	w.jobs = job_table_new(w.loop, w.pool, &fake, NULL);
	w.deadline_ms = 5000;
	sem_init(&w.go, 0, 0);
}

static void setup(void)
{
	setup_with(4);
}

static void guard(void *data _unused_)
{
	w.guard = true;
	qb_loop_stop(w.loop);
}

/* Runs the loop until so many answers are there in all. */
static void run_until(size_t answers)
{
	qb_loop_timer_handle t;

	w.wanted = answers;
	if (w.n_answers >= answers)
		return;
	qb_loop_timer_add(w.loop, QB_LOOP_LOW, GUARD_MS * 1000000ULL, NULL, guard, &t);
	qb_loop_run(w.loop);
	qb_loop_timer_del(w.loop, t);
	cr_assert_not(w.guard, "%zu of %zu answers came", w.n_answers, answers);
}

static void stop_loop(void *data _unused_)
{
	qb_loop_stop(w.loop);
}

static void run_ms(unsigned ms)
{
	qb_loop_timer_handle t;

	w.wanted = SIZE_MAX;
	qb_loop_timer_add(w.loop, QB_LOOP_LOW, ms * 1000000ULL, NULL, stop_loop, &t);
	qb_loop_run(w.loop);
}

static void submit(uint64_t id, uint32_t attempt, Hv__HvJobKind kind, const char *uuid,
		   const char *name, uint32_t timeout_ms)
{
	Hv__HvJob r = HV__HV_JOB__INIT;

	r.id = id;
	r.attempt = attempt;
	r.kind = kind;
	r.uuid = (char *)uuid;
	r.name = (char *)name;
	r.xml.data = (uint8_t *)"<x/>";
	r.xml.len = 4;
	r.target_uri = (char *)"qemu+tls://host2/system";
	r.timeout_ms = timeout_ms;
	job_submit(w.jobs, &r);
}

#define START HV__HV_JOB_KIND__HV_JOB_START
#define STOP HV__HV_JOB_KIND__HV_JOB_STOP
#define DESTROY HV__HV_JOB_KIND__HV_JOB_DESTROY
#define MIGRATE HV__HV_JOB_KIND__HV_JOB_MIGRATE
#define RESUME HV__HV_JOB_KIND__HV_JOB_RESUME
#define PROBE HV__HV_JOB_KIND__HV_JOB_PROBE

Test(hv_job, jobs_of_one_vm_run_one_after_the_other_in_order, .init = setup)
{
	for (uint64_t id = 1; id <= 8; id++)
		submit(id, 1, RESUME, VM_A, "slow", 0);
	run_until(8);
	for (uint64_t id = 1; id <= 8; id++)
		cr_assert_eq(w.answers[id - 1].id, id);
	cr_assert_eq(w.busiest, 1);
}

Test(hv_job, jobs_of_different_vms_run_at_the_same_time, .init = setup)
{
	submit(1, 1, START, VM_A, "hang", 0);
	submit(2, 1, START, VM_B, "quick", 0);
	run_until(1);
	cr_assert_eq(w.answers[0].id, 2);
	sem_post(&w.go);
	run_until(2);
}

Test(hv_job, a_waiting_job_holds_no_worker, .init = setup)
{
	char uuid[HV_UUID_LEN + 1];

	for (uint64_t id = 1; id <= 50; id++) {
		snprintf(uuid, sizeof(uuid), "0000000a-0000-4000-8000-%012llu",
			 (unsigned long long)id);
		submit(id, 1, STOP, uuid, "once", 0);
	}
	submit(99, 1, START, VM_B, "quick", 0);
	run_until(1);
	cr_assert_eq(w.answers[0].id, 99);
	job_wake(w.jobs, NULL);
	run_until(51);
}

Test(hv_job, it_is_taken_up_again_when_its_time_has_come, .init = setup)
{
	uint64_t began = job_now_us();

	submit(1, 1, STOP, VM_A, "pause", 0);
	run_until(1);
	cr_assert_geq(job_now_us() - began, 30000);
	cr_assert_eq(w.answers[0].rc, HV_OK);
	cr_assert_eq(w.progress, 1, "said once, when it changed");
}

Test(hv_job, an_event_of_its_vm_wakes_it_and_none_of_another, .init = setup)
{
	submit(1, 1, STOP, VM_A, "once", 0);
	run_ms(30);
	job_wake(w.jobs, VM_B);
	run_ms(30);
	cr_assert_eq(w.n_answers, 0);
	job_wake(w.jobs, VM_A);
	run_until(1);
}

Test(hv_job, an_event_during_a_step_is_not_lost, .init = setup)
{
	submit(1, 1, STOP, VM_A, "once", 0);
	job_wake(w.jobs, VM_A); /* its step was submitted just now and is not over for the loop */
	run_until(1);
	cr_assert_eq(w.steps, 2);
}

Test(hv_job, a_probe_looks_while_a_stop_or_migration_goes_on, .init = setup)
{
	submit(1, 1, STOP, VM_A, "never", 0);
	submit(2, 1, PROBE, VM_A, "quick", 0);
	submit(3, 1, MIGRATE, VM_B, "never", 0);
	submit(4, 1, PROBE, VM_B, "quick", 0);
	run_until(2);
	cr_assert_eq(w.answers[0].id + w.answers[1].id, 6);
}

Test(hv_job, a_probe_waits_for_a_start, .init = setup)
{
	submit(1, 1, START, VM_A, "hang", 0);
	submit(2, 1, PROBE, VM_A, "quick", 0);
	run_ms(50);
	cr_assert_eq(w.n_answers, 0);
	sem_post(&w.go);
	run_until(2);
	cr_assert_eq(w.answers[0].id, 1);
}

Test(hv_job, the_same_request_again_changes_nothing, .init = setup)
{
	submit(1, 1, STOP, VM_A, "once", 0);
	submit(1, 1, STOP, VM_A, "once", 0);
	run_ms(30);
	submit(1, 1, STOP, VM_A, "once", 0);
	job_wake(w.jobs, VM_A);
	run_until(1);
	run_ms(50);
	cr_assert_eq(w.n_answers, 1);
	cr_assert_eq(job_count(w.jobs), 0);
}

Test(hv_job, a_newer_attempt_is_the_same_job_and_is_named_in_the_answer, .init = setup)
{
	submit(1, 1, STOP, VM_A, "once", 0);
	run_ms(20);
	submit(1, 2, STOP, VM_A, "once", 0);
	job_wake(w.jobs, VM_A);
	run_until(1);
	cr_assert_eq(w.answers[0].attempt, 2);
	cr_assert_eq(w.steps, 2);
}

Test(hv_job, a_call_that_hangs_is_answered_at_the_deadline_and_holds_nobody_up, .init = setup)
{
	submit(1, 1, START, VM_A, "hang", 100);
	submit(2, 1, PROBE, VM_A, "quick", 4000);
	run_until(2);
	cr_assert_eq(w.answers[0].id, 1);
	cr_assert_eq(w.answers[0].rc, HV_TIMEOUT);
	cr_assert_eq(w.answers[0].observed, HV__OBSERVED__OBSERVED_UNKNOWN);
	cr_assert(strstr(w.answers[0].text, "has not returned"));
	cr_assert_eq(w.answers[1].rc, HV_OK);
	cr_assert_eq(pool_stuck(w.pool), 1);
	sem_post(&w.go);
	run_ms(2000); /* `late` stops the loop */
	cr_assert_eq(w.late, 1);
	cr_assert_eq(pool_stuck(w.pool), 0);
	cr_assert_eq(job_count(w.jobs), 0);
	cr_assert_eq(w.n_answers, 2, "no second answer");
}

static void setup_one_worker(void)
{
	setup_with(1);
}

Test(hv_job, a_stuck_worker_is_replaced_but_not_for_ever, .init = setup_one_worker)
{
	submit(1, 1, START, VM_A, "hang", 50);
	run_until(1);
	submit(2, 1, START, VM_B, "quick", 0);
	run_until(2);
	cr_assert_eq(w.answers[1].rc, HV_OK, "the replacement works");
	submit(3, 1, START, VM_B, "hang", 50);
	run_until(3);
	cr_assert(pool_exhausted(w.pool));
	submit(4, 1, PROBE, "0000000c-0000-4000-8000-000000000003", "quick", 50);
	run_until(4);
	cr_assert_eq(w.answers[3].rc, HV_TIMEOUT);
	cr_assert(strstr(w.answers[3].text, "all workers"), "%s", w.answers[3].text);
	sem_post(&w.go);
	sem_post(&w.go);
	while (w.late < 2)
		run_ms(500);
	cr_assert_not(pool_exhausted(w.pool));
	submit(5, 1, PROBE, VM_A, "quick", 0);
	run_until(5);
	cr_assert_eq(w.answers[4].rc, HV_OK, "healed");
}

/* As libvirt hands on what QEMU printed; an event with line breaks would be refused. */
Test(hv_job, a_text_of_several_lines_becomes_one, .init = setup)
{
	submit(1, 1, START, VM_A, "lines", 0);
	run_until(1);
	cr_assert_eq(w.answers[0].rc, HV_HYPERVISOR);
	cr_assert_str_eq(w.answers[0].text, "it exited: qemu: cannot open it");
}

Test(hv_job, a_job_that_waits_gets_a_last_step_at_its_deadline, .init = setup)
{
	submit(1, 1, STOP, VM_A, "tidy", 60);
	run_until(1);
	cr_assert_eq(w.answers[0].rc, HV_TIMEOUT);
	cr_assert_str_eq(w.answers[0].text, "tidied up");
	cr_assert_eq(w.answers[0].observed, HV__OBSERVED__OBSERVED_RUNNING);
}

Test(hv_job, one_that_would_wait_on_is_ended_and_nothing_is_claimed, .init = setup)
{
	submit(1, 1, STOP, VM_A, "never", 60);
	run_until(1);
	cr_assert_eq(w.answers[0].rc, HV_TIMEOUT);
	cr_assert_eq(w.answers[0].observed, HV__OBSERVED__OBSERVED_UNKNOWN);
}

Test(hv_job, a_job_whose_turn_does_not_come_is_answered_at_its_deadline, .init = setup)
{
	submit(1, 1, STOP, VM_A, "never", 0);
	submit(2, 1, RESUME, VM_A, "quick", 60);
	run_until(1);
	cr_assert_eq(w.answers[0].id, 2);
	cr_assert_eq(w.answers[0].rc, HV_TIMEOUT);
	cr_assert(strstr(w.answers[0].text, "another operation"));
}

Test(hv_job, cancel_reaches_a_waiting_job_and_leaves_others_alone, .init = setup)
{
	submit(1, 1, STOP, VM_A, "never", 0);
	submit(2, 1, STOP, VM_B, "never", 0);
	run_ms(20);
	job_cancel(w.jobs, 1);
	job_cancel(w.jobs, 12345);
	run_until(1);
	cr_assert_eq(w.answers[0].id, 1);
	cr_assert_eq(w.answers[0].rc, HV_CANCELLED);
	cr_assert_eq(w.answers[0].observed, HV__OBSERVED__OBSERVED_RUNNING, "looked up afresh");
	cr_assert_eq(job_count(w.jobs), 1);
}

Test(hv_job, a_new_attempt_after_a_cancel_is_a_new_job, .init = setup)
{
	submit(1, 1, START, VM_A, "hang", 0);
	run_ms(20);
	job_cancel(w.jobs, 1);
	submit(1, 1, START, VM_A, "quick", 0);
	submit(1, 2, START, VM_A, "quick", 0);
	submit(1, 2, START, VM_A, "quick", 0);
	cr_assert_eq(job_count(w.jobs), 2);
	sem_post(&w.go);
	run_until(2);
	cr_assert_eq(w.answers[0].attempt, 1);
	cr_assert_eq(w.answers[1].attempt, 2);
	cr_assert_eq(w.answers[1].rc, HV_OK);
}

Test(hv_job, a_destroy_does_not_wait_for_a_guest_to_shut_down, .init = setup)
{
	submit(1, 1, STOP, VM_A, "never", 0);
	submit(2, 1, RESUME, VM_A, "quick", 0);
	submit(3, 1, STOP, VM_B, "never", 0);
	run_ms(20);
	submit(4, 1, DESTROY, VM_A, "quick", 0);
	run_until(3);
	for (size_t i = 0; i < 2; i++)
		cr_assert_eq(w.answers[i].rc, HV_SUPERSEDED);
	cr_assert_eq(w.answers[2].id, 4);
	cr_assert_eq(w.answers[2].rc, HV_OK);
	cr_assert_eq(job_count(w.jobs), 1, "the other VM's stop goes on");
}

Test(hv_job, malformed_requests_are_answered_and_nothing_is_run, .init = setup)
{
	static const char *const uris[] = {"",
					   "qemu:///system",
					   "test:///default",
					   "qemu+tcp://",
					   "qemu+tcp:///system",
					   "qemu+ext:///system?command=/tmp/x",
					   "qemu+ssh://h/system?netcat=/tmp/x",
					   "qemu+tcp://h/system;x",
					   "qemu+tcp://-oProxyCommand=x/system"};
	Hv__HvJob r = HV__HV_JOB__INIT;

	submit(0, 1, START, VM_A, "quick", 0);
	submit(1, 1, HV__HV_JOB_KIND__HV_JOB_NONE, VM_A, "quick", 0);
	submit(1, 1, (Hv__HvJobKind)77, VM_A, "quick", 0);
	submit(1, 1, START, "", "quick", 0);
	submit(1, 1, START, "../../etc", "quick", 0);
	submit(1, 1, START, VM_A, "", 0);
	submit(1, 1, START, VM_A, "a/b", 0);
	r.id = 1;
	r.kind = START;
	r.uuid = (char *)VM_A;
	r.name = (char *)"quick";
	job_submit(w.jobs, &r); /* no XML */
	for (size_t i = 0; i < ARRAY_SIZE(uris); i++) {
		r.kind = MIGRATE;
		r.clear_text = true;
		r.target_uri = (char *)uris[i];
		job_submit(w.jobs, &r);
	}
	cr_assert_eq(w.n_answers, 8 + ARRAY_SIZE(uris));
	for (size_t i = 0; i < w.n_answers; i++) {
		cr_assert_eq(w.answers[i].rc, HV_BAD_INPUT, "case %zu", i);
		cr_assert_eq(w.answers[i].observed, HV__OBSERVED__OBSERVED_UNKNOWN);
	}
	cr_assert_eq(w.steps, 0);
}

Test(hv_job, destinations_of_every_transport_are_taken, .init = setup)
{
	static const char *const uris[] = {
	    "qemu+tls://host2/system", "qemu+tls://10.1.2.3:16514/system",
	    "qemu+ssh://root@host2/system", "qemu+tls://[fe80::1]/system"};
	Hv__HvJob r = HV__HV_JOB__INIT;

	r.kind = MIGRATE;
	r.uuid = (char *)VM_A;
	r.name = (char *)"quick";
	for (size_t i = 0; i < ARRAY_SIZE(uris); i++) {
		r.id = i + 1;
		r.target_uri = (char *)uris[i];
		job_submit(w.jobs, &r);
	}
	run_until(ARRAY_SIZE(uris));
	for (size_t i = 0; i < ARRAY_SIZE(uris); i++)
		cr_assert_eq(w.answers[i].rc, HV_OK, "%s", w.answers[i].text);
}

Test(hv_job, clear_text_only_where_it_is_allowed, .init = setup)
{
	Hv__HvJob r = HV__HV_JOB__INIT;

	r.id = 1;
	r.kind = MIGRATE;
	r.uuid = (char *)VM_A;
	r.name = (char *)"quick";
	r.target_uri = (char *)"qemu+tcp://host2/system";
	job_submit(w.jobs, &r);
	cr_assert_eq(w.n_answers, 1);
	cr_assert_eq(w.answers[0].rc, HV_BAD_INPUT);
	cr_assert(strstr(w.answers[0].text, "clear text"), "%s", w.answers[0].text);
	r.id = 2;
	r.clear_text = true;
	job_submit(w.jobs, &r);
	run_until(2);
	cr_assert_eq(w.answers[1].rc, HV_OK, "%s", w.answers[1].text);
}

Test(hv_job, more_than_a_host_can_need_is_refused, .init = setup)
{
	for (uint64_t id = 1; id <= JOB_MAX; id++)
		submit(id, 1, STOP, VM_A, "never", 0);
	cr_assert_eq(w.n_answers, 0);
	submit(JOB_MAX + 1, 1, STOP, VM_A, "never", 0);
	cr_assert_eq(w.n_answers, 1);
	cr_assert_eq(w.answers[0].rc, HV_LIMIT);
}
