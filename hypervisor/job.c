/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/job.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum phase { QUEUED, STEPPING, WAITING, ABANDONED };

struct job_private {
	struct pool_task task; /* first: a task is its private part */
	struct job *job;
	struct job_table *table;
	struct job_private *next; /* order of arrival */
	enum phase phase;
	enum job_step outcome; /* of the last step */
	bool woken;	       /* while it was stepping */
	uint64_t step_began_us;
	uint64_t wait_until_us;
	qb_loop_timer_handle timer;
	uint32_t said_permille;
	char said_progress[HV_TEXT_MAX];
};

struct job_table {
	qb_loop_t *loop;
	struct pool *pool;
	const struct job_backend *backend;
	void *user;
	struct job_private *first;
	size_t count;
};

static void on_timer(void *data);
static void start_turns(struct job_table *t);

/* ---- for steps */

uint64_t job_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * HV_US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}

bool job_expired(const struct job *j)
{
	return job_now_us() >= j->deadline_us;
}

enum job_step job_finish(struct job *j, enum hv_rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->text, sizeof(j->text), fmt, ap);
	va_end(ap);
	hv_text_flatten(j->text); /* libvirt passes on whole pages of what QEMU said */
	j->rc = rc;
	return JOB_DONE;
}

enum job_step job_wait(struct job *j, uint32_t ms)
{
	j->wait_ms = ms;
	return JOB_WAIT;
}

/* ---- life of a job */

static void job_freep(struct job **j)
{
	if (!*j)
		return;
	free((*j)->xml);
	free((*j)->target_uri);
	free((*j)->priv);
	free(*j);
}

static void disarm(struct job_private *p)
{
	if (p->timer)
		qb_loop_timer_del(p->table->loop, p->timer);
	p->timer = 0;
}

static void arm(struct job_private *p, uint64_t at_us)
{
	uint64_t now = job_now_us();
	uint64_t in_us = at_us > now ? at_us - now : 0;

	disarm(p);
	qb_loop_timer_add(p->table->loop, QB_LOOP_MED, in_us * 1000, p, on_timer, &p->timer);
}

static void forget(struct job_private *p)
{
	struct job_table *t = p->table;
	struct job_private **at = &t->first;
	struct job *j = p->job;

	disarm(p);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	t->count--;
	if (t->backend->release)
		t->backend->release(j, t->user);
	job_freep(&j);
}

static void answer(struct job_private *p)
{
	p->table->backend->answer(p->job, p->table->user);
}

static void answer_and_forget(struct job_private *p)
{
	struct job_table *t = p->table;

	answer(p);
	forget(p);
	start_turns(t);
}

/* ---- steps */

static void run_step(struct pool_task *task)
{
	struct job_private *p = (struct job_private *)task;

	p->outcome = p->table->backend->step(p->job, p->table->user);
}

static void step(struct job_private *p)
{
	p->phase = STEPPING;
	p->woken = false;
	p->step_began_us = job_now_us();
	pool_submit(p->table->pool, &p->task);
	arm(p, p->job->deadline_us > p->step_began_us + JOB_STUCK_US
		   ? p->job->deadline_us
		   : p->step_began_us + JOB_STUCK_US);
}

static void tell_progress(struct job_private *p)
{
	struct job *j = p->job;

	if (j->permille == p->said_permille && strcmp(j->progress, p->said_progress) == 0)
		return;
	p->said_permille = j->permille;
	memcpy(p->said_progress, j->progress, sizeof(p->said_progress));
	p->table->backend->progress(j, p->table->user);
}

static void time_out(struct job_private *p, const char *why)
{
	p->job->observed = HV__OBSERVED__OBSERVED_UNKNOWN;
	job_finish(p->job, HV_TIMEOUT, "%s", why);
	answer_and_forget(p);
}

static void step_done(struct pool_task *task)
{
	struct job_private *p = (struct job_private *)task;
	struct job_table *t = p->table;
	struct job *j = p->job;

	if (p->phase == ABANDONED) {
		t->backend->late(j, t->user);
		forget(p);
		start_turns(t);
	} else if (p->outcome == JOB_DONE) {
		answer_and_forget(p);
	} else if (p->step_began_us >= j->deadline_us) {
		time_out(p, "it could not be brought to an end in time");
	} else if (p->woken) {
		tell_progress(p);
		step(p);
	} else {
		tell_progress(p);
		p->phase = WAITING;
		p->wait_until_us =
		    j->wait_ms ? job_now_us() + j->wait_ms * HV_US_PER_MS : UINT64_MAX;
		arm(p, p->wait_until_us < j->deadline_us ? p->wait_until_us : j->deadline_us);
	}
}

/*
 * The deadline is over and the step has not returned. It is answered now; its thread is the pool's
 * loss. A step that was still in the pool's queue never began.
 */
static void abandon(struct job_private *p)
{
	const char *doing = atomic_load(&p->job->doing);
	/* The step may still write to its job: answer with the constant parts of it. */
	struct job said = {.id = p->job->id, .attempt = p->job->attempt, .kind = p->job->kind};

	if (pool_give_up(p->table->pool, &p->task)) {
		time_out(p, "all workers are held up in calls to libvirt");
		return;
	}
	memcpy(said.uuid, p->job->uuid, sizeof(said.uuid));
	memcpy(said.name, p->job->name, sizeof(said.name));
	job_finish(&said, HV_TIMEOUT, "%s has not returned for %llu ms",
		   doing ? doing : "a call to libvirt",
		   (unsigned long long)(job_now_us() - p->step_began_us) / HV_US_PER_MS);
	p->phase = ABANDONED;
	p->table->backend->answer(&said, p->table->user);
	start_turns(p->table);
}

static void on_timer(void *data)
{
	struct job_private *p = data;
	uint64_t now = job_now_us();

	p->timer = 0;
	switch (p->phase) {
	case QUEUED:
		time_out(p, "another operation on this VM did not end in time");
		break;
	case STEPPING:
		if (now < p->job->deadline_us)
			arm(p, p->job->deadline_us);
		else
			abandon(p);
		break;
	case WAITING:
		step(p);
		break;
	case ABANDONED:
		break;
	}
}

/* ---- turns */

static bool is_long(const struct job *j)
{
	return j->kind == HV__HV_JOB_KIND__HV_JOB_STOP ||
	       j->kind == HV__HV_JOB_KIND__HV_JOB_MIGRATE;
}

static bool excludes(const struct job_private *earlier, const struct job_private *later)
{
	if (earlier->phase == ABANDONED || strcmp(earlier->job->uuid, later->job->uuid) != 0)
		return false;
	return !(later->job->kind == HV__HV_JOB_KIND__HV_JOB_PROBE && is_long(earlier->job));
}

static bool may_start(const struct job_private *p)
{
	for (const struct job_private *e = p->table->first; e != p; e = e->next)
		if (excludes(e, p))
			return false;
	return true;
}

static void start_turns(struct job_table *t)
{
	for (struct job_private *p = t->first; p; p = p->next)
		if (p->phase == QUEUED && may_start(p))
			step(p);
}

static void wake(struct job_private *p)
{
	if (p->phase == STEPPING)
		p->woken = true;
	else if (p->phase == WAITING)
		step(p);
}

static void end_early(struct job_private *p)
{
	atomic_store(&p->job->cancel, true);
	wake(p);
}

/* A DESTROY does not wait for a guest to shut down or a migration to converge. */
static void supersede(struct job_private *by)
{
	for (struct job_private *p = by->table->first; p != by; p = p->next) {
		if (p->phase == ABANDONED || strcmp(p->job->uuid, by->job->uuid) != 0 ||
		    p->job->kind == HV__HV_JOB_KIND__HV_JOB_DESTROY)
			continue;
		atomic_store(&p->job->superseded, true);
		end_early(p);
	}
}

/* ---- requests */

/*
 * A URI is opened by libvirtd as root, and its query part may name programs to run: only transport,
 * host, port and path.
 */
static bool uri_valid(const char *s)
{
	static const char *const schemes[] = {"qemu+tcp://", "qemu+tls://", "qemu+ssh://"};
	size_t skip = 0;

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strncmp(s, schemes[i], strlen(schemes[i])) == 0)
			skip = strlen(schemes[i]);
	if (!skip || strlen(s) > JOB_URI_MAX || !isalnum((unsigned char)s[skip]))
		if (!skip || s[skip] != '[')
			return false;
	for (s += skip; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr(".:_-[]/@", *s))
			return false;
	return true;
}

const char *job_request_fault(const Hv__HvJob *r)
{
	if (r->id == 0)
		return "the job has no id";
	if (r->kind != HV__HV_JOB_KIND__HV_JOB_RESET &&
	    (r->kind <= HV__HV_JOB_KIND__HV_JOB_NONE || r->kind > HV__HV_JOB_KIND__HV_JOB_PROBE))
		return "the kind of job is not known";
	if (!hv_uuid_valid(r->uuid))
		return "the VM's UUID is malformed";
	if (r->name[0] ? !hv_name_valid(r->name) : r->kind == HV__HV_JOB_KIND__HV_JOB_START)
		return "the VM's name is malformed";
	if (r->kind == HV__HV_JOB_KIND__HV_JOB_START && r->xml.len == 0)
		return "there is no domain XML";
	if (r->reset_if < HV__HV_RESET_IF__HV_RESET_ASKED ||
	    r->reset_if > HV__HV_RESET_IF__HV_RESET_WATCHDOG)
		return "the condition of the reset is not known";
	if (r->xml.len > HV_XML_MAX)
		return "the domain XML is too large";
	if (r->kind == HV__HV_JOB_KIND__HV_JOB_MIGRATE && !uri_valid(r->target_uri))
		return "the destination must be qemu+tls://HOST/system, or tcp or ssh, no "
		       "parameters";
	if (r->kind == HV__HV_JOB_KIND__HV_JOB_MIGRATE && !r->clear_text &&
	    strncmp(r->target_uri, "qemu+tcp:", 9) == 0)
		return "the destination would be reached in clear text, which was not allowed "
		       "(setting migration_tls)";
	return NULL;
}

static struct job *job_from(const Hv__HvJob *r)
{
	struct job *j = hv_xcalloc(1, sizeof(*j));

	j->id = r->id;
	j->attempt = r->attempt;
	j->kind = r->kind;
	j->timeout_ms = r->timeout_ms;
	j->paused_ok = r->paused_ok;
	j->unsafe = r->unsafe;
	j->clear_text = r->clear_text;
	j->reset_if = r->reset_if;
	j->accepted_us = job_now_us();
	snprintf(j->uuid, sizeof(j->uuid), "%s", r->uuid);
	snprintf(j->name, sizeof(j->name), "%s", r->name);
	return j;
}

static void refuse(struct job_table *t, const Hv__HvJob *r, enum hv_rc rc, const char *why)
{
	_cleanup_(job_freep) struct job *j = job_from(r);

	job_finish(j, rc, "%s", why);
	t->backend->answer(j, t->user);
}

/* The latest of that id that is not given up. */
static struct job_private *find(struct job_table *t, uint64_t id)
{
	struct job_private *found = NULL;

	for (struct job_private *p = t->first; p; p = p->next)
		if (p->job->id == id && p->phase != ABANDONED)
			found = p;
	return found;
}

/* Is the request served by a job that is under way? One that was cancelled serves no new attempt.
 */
static bool under_way(struct job_table *t, const Hv__HvJob *r)
{
	struct job_private *p = find(t, r->id);

	if (!p)
		return false;
	if (p->job->attempt != r->attempt && atomic_load(&p->job->cancel))
		return false;
	p->job->attempt = r->attempt;
	return true;
}

static struct job_private *append(struct job_table *t, const Hv__HvJob *r)
{
	struct job_private *p = hv_xcalloc(1, sizeof(*p)), **at = &t->first;
	struct job *j = job_from(r);

	j->xml = hv_xmemdup(r->xml.data, r->xml.len);
	j->xml_len = r->xml.len;
	j->target_uri = hv_xstrdup(r->target_uri);
	j->deadline_us = j->accepted_us + t->backend->deadline_ms(j, t->user) * HV_US_PER_MS;
	j->priv = p;
	p->job = j;
	p->table = t;
	p->task.run = run_step;
	p->task.done = step_done;
	while (*at)
		at = &(*at)->next;
	*at = p;
	t->count++;
	return p;
}

void job_submit(struct job_table *t, const Hv__HvJob *r)
{
	const char *wrong = job_request_fault(r);
	struct job_private *p;

	if (wrong) {
		refuse(t, r, HV_BAD_INPUT, wrong);
		return;
	}
	if (under_way(t, r))
		return;
	if (t->count >= JOB_MAX) {
		refuse(t, r, HV_LIMIT, "too many jobs are waiting on this host");
		return;
	}
	p = append(t, r);
	if (r->kind == HV__HV_JOB_KIND__HV_JOB_DESTROY)
		supersede(p);
	arm(p, p->job->deadline_us);
	start_turns(t);
}

void job_cancel(struct job_table *t, uint64_t id)
{
	struct job_private *p = find(t, id);

	if (p)
		end_early(p); /* an earlier attempt of that id was cancelled before */
}

void job_wake(struct job_table *t, const char *uuid)
{
	for (struct job_private *p = t->first; p; p = p->next)
		if (!uuid || strcmp(p->job->uuid, uuid) == 0)
			wake(p);
}

size_t job_count(const struct job_table *t)
{
	return t->count;
}

struct job_table *job_table_new(qb_loop_t *loop, struct pool *pool,
				const struct job_backend *backend, void *user)
{
	struct job_table *t = hv_xcalloc(1, sizeof(*t));

	t->loop = loop;
	t->pool = pool;
	t->backend = backend;
	t->user = user;
	return t;
}

void job_table_free(struct job_table *t)
{
	if (!t)
		return;
	while (t->first)
		forget(t->first);
	free(t);
}
