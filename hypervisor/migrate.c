/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/migrate.h"

#include "hypervisor/domain_log.h"
#include "hypervisor/lifecycle.h"
#include "hypervisor/pool.h"
#include "hypervisor/reach.h"
#include "hypervisor/stuck.h"
#include "pki/pki.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LOOK, CALLING, WATCH, SETTLE };

/* One call, shared by its thread and its job; the last one frees it. */
struct call {
	atomic_uint users;
	struct conn *conn;
	char *uri;
	char *host; /* the name that its certificates must have */
	char port[REACH_PORT_LEN];
	bool clear_text, repeat;
	unsigned int flags;
	char uuid[HV_UUID_LEN + 1];
	/* written by the thread, read once `ended` is set */
	atomic_bool ended;
	bool ok, rpc; /* rpc: it failed because a libvirtd went away or was not there */
	char error[HV_TEXT_MAX];
	uint64_t began_us, ended_us;
};

/* What a job remembers between its steps. */
struct migration {
	struct call *call;
	struct stuck_watch *watch;
	enum hv_rc why;	     /* the end that was asked for: HV_OK none yet */
	uint64_t aborted_us; /* when libvirt was last asked to abort */
	char error[HV_TEXT_MAX];
	bool rpc;	   /* of the error: see struct call */
	bool left;	   /* libvirt's answer was that it is at the target */
	uint64_t first_us; /* when a call failed so for the first time */
};

static void (*wake_job)(const char *uuid);

void migrate_init(void (*wake)(const char *uuid))
{
	wake_job = wake;
}

/* ---- the call and its thread */

static void domain_freep(virDomainPtr *d)
{
	if (*d)
		virDomainFree(*d);
}
#define _cleanup_domain_ _cleanup_(domain_freep)

static void call_put(struct call *call)
{
	if (!call || atomic_fetch_sub(&call->users, 1) > 1)
		return;
	free(call->uri);
	free(call->host);
	free(call);
}

/*
 * libvirtd is reached by the host's name, QEMU by the address that libvirtd there tells
 * (migration_host): without this its certificate would have to be for that address, too.
 */
static int migrate_to(virDomainPtr d, const struct call *call)
{
	virTypedParameterPtr p = NULL;
	int n = 0, max = 0, r = -1;

	if (call->clear_text ||
	    virTypedParamsAddString(&p, &n, &max, VIR_MIGRATE_PARAM_TLS_DESTINATION, call->host) ==
		0)
		r = virDomainMigrateToURI3(d, call->uri, p, (unsigned)n, call->flags);
	virTypedParamsFree(p, n);
	return r;
}

/* libvirt and GnuTLS name the file or the host, but not what to do. */
static void add_tls_hint(struct call *call)
{
	static const char hint[] = "; see 'hvcluster pki show' on both hosts";
	size_t len = strlen(call->error);

	if (call->clear_text ||
	    (!strstr(call->error, "ertificate") && !strstr(call->error, "TLS") &&
	     !strstr(call->error, "x509") && !strstr(call->error, ".pem")))
		return;
	if (len > sizeof(call->error) - sizeof(hint))
		len = sizeof(call->error) - sizeof(hint);
	memcpy(call->error + len, hint, sizeof(hint));
}

/*
 * False: the call has failed before it was made. Only a repeated one is worth it: libvirtd logs an
 * error about a connection that says nothing.
 */
static bool target_reached(struct call *call)
{
	int err = reach(call->host, call->port);

	if (err == 0)
		return true;
	call->began_us = call->ended_us = job_now_us();
	call->rpc = err == ECONNREFUSED;
	snprintf(call->error, sizeof(call->error),
		 "libvirtd of %.100s (port %s) cannot be reached: %s", call->host, call->port,
		 strerror(err));
	return false;
}

/* The whole migration, on a connection of its own. */
static void migrate(struct call *call)
{
	_cleanup_lease_ struct conn_lease lease = {0};
	_cleanup_domain_ virDomainPtr d = NULL;
	const virError *e;

	if (call->repeat && !target_reached(call))
		return;
	conn_lease(call->conn, &lease);
	d = lease.v ? virDomainLookupByUUIDString(lease.v, call->uuid) : NULL;
	call->began_us = job_now_us();
	call->ok = d && migrate_to(d, call) == 0;
	call->ended_us = job_now_us();
	if (call->ok)
		return;
	e = virGetLastError();
	call->rpc = !lease.v || (e && e->domain == VIR_FROM_RPC);
	snprintf(call->error, sizeof(call->error), "%s%s",
		 call->rpc ? "a libvirtd went away in the middle: " : "", conn_error());
	add_tls_hint(call);
}

static void *run_call(void *data)
{
	struct call *call = data;

	migrate(call);
	atomic_store(&call->ended, true);
	wake_job(call->uuid);
	call_put(call);
	return NULL;
}

static struct call *call_start(struct job *j, struct conn *c, bool defined, bool repeat)
{
	struct call *call = hv_xcalloc(1, sizeof(*call));

	atomic_store(&call->users, 2);
	call->conn = c;
	call->uri = hv_xstrdup(j->target_uri);
	memcpy(call->uuid, j->uuid, sizeof(call->uuid));
	call->flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_PAUSED |
		      VIR_MIGRATE_ABORT_ON_ERROR | VIR_MIGRATE_AUTO_CONVERGE;
	if (j->unsafe)
		call->flags |= VIR_MIGRATE_UNSAFE;
	if (!j->clear_text)
		call->flags |= VIR_MIGRATE_TLS;
	call->clear_text = j->clear_text;
	call->repeat = repeat;
	reach_address(j->target_uri, &call->host, call->port);
	if (defined)
		call->flags |= VIR_MIGRATE_UNDEFINE_SOURCE;
	if (thread_start(run_call, call))
		return call;
	atomic_store(&call->users, 1);
	call_put(call);
	return NULL;
}

void migrate_release(struct job *j)
{
	struct migration *m = j->state;

	if (!m)
		return;
	call_put(m->call);
	stuck_end(m->watch);
	free(m);
	j->state = NULL;
}

/* ---- progress */

struct progress {
	bool known;	/* libvirt has said what is under way */
	bool migrating; /* out of this host */
	unsigned long long total, remaining, bps;
	unsigned long long iteration;
};

static void get_progress(virDomainPtr d, struct progress *ret)
{
	virTypedParameterPtr p = NULL;
	int n = 0, type = VIR_DOMAIN_JOB_NONE, operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;

	memset(ret, 0, sizeof(*ret));
	if (virDomainGetJobStats(d, &type, &p, &n, 0) != 0)
		return;
	ret->known = true;
	virTypedParamsGetInt(p, n, VIR_DOMAIN_JOB_OPERATION, &operation);
	ret->migrating =
	    type != VIR_DOMAIN_JOB_NONE && operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;
	virTypedParamsGetULLong(p, n, VIR_DOMAIN_JOB_DATA_TOTAL, &ret->total);
	virTypedParamsGetULLong(p, n, VIR_DOMAIN_JOB_DATA_REMAINING, &ret->remaining);
	virTypedParamsGetULLong(p, n, VIR_DOMAIN_JOB_MEMORY_BPS, &ret->bps);
	virTypedParamsGetULLong(p, n, VIR_DOMAIN_JOB_MEMORY_ITERATION, &ret->iteration);
	virTypedParamsFree(p, n);
}

/* Memory that was dirtied again lets the remainder grow; the bar does not go back. */
static void show_progress(struct job *j, const struct progress *p)
{
	uint32_t permille;

	if (p->total == 0 || p->remaining > p->total)
		return;
	permille = (uint32_t)((p->total - p->remaining) * 999 / p->total);
	if (permille > j->permille)
		j->permille = permille;
	snprintf(j->progress, sizeof(j->progress), "pass %llu, %llu of %llu MiB to go, %llu MiB/s",
		 p->iteration ? p->iteration : 1, p->remaining >> 20, p->total >> 20, p->bps >> 20);
}

/* ---- steps */

/* When the end is asked for or the time is over, libvirt is asked to abort, repeatedly. */
static void end_early(struct job *j, struct migration *m, virDomainPtr d)
{
	uint64_t now = job_now_us();

	if (m->why == HV_OK) {
		if (atomic_load(&j->cancel))
			m->why = atomic_load(&j->superseded) ? HV_SUPERSEDED : HV_CANCELLED;
		else if (job_expired(j))
			m->why = HV_TIMEOUT;
		else
			return;
		j->deadline_us = now + MIGRATE_SETTLE_MS * HV_US_PER_MS; /* once: it ends */
	}
	if (d && now - m->aborted_us >= HV_US_PER_S) {
		atomic_store(&j->doing, "virDomainAbortJob");
		virDomainAbortJob(d);
		m->aborted_us = now;
	}
}

/*
 * A libvirtd that was restarted is back in a moment; it is not worth an attempt of the cluster's.
 * Nor is what the next call may meet: the other one has not yet cleared away what had arrived
 * there.
 */
static bool once_more(const struct job *j, struct migration *m)
{
	uint64_t now = job_now_us();

	if ((!m->rpc && !m->first_us) || m->why != HV_OK || atomic_load(&j->cancel))
		return false;
	if (!m->first_us)
		m->first_us = now;
	return now - m->first_us < MIGRATE_RETRY_MS * HV_US_PER_MS;
}

static enum job_step again(struct job *j, struct migration *m)
{
	m->rpc = false;
	j->phase = LOOK;
	return job_wait(j, MIGRATE_PAUSE_MS);
}

static enum job_step failed(struct job *j, const struct migration *m)
{
	char stuck[STUCK_TEXT];

	switch ((int)m->why) {
	case HV_TIMEOUT:
		return job_finish(j, HV_TIMEOUT,
				  "the migration did not end in time and was aborted");
	case HV_CANCELLED:
	case HV_SUPERSEDED:
		return lifecycle_cancelled(j);
	}
	stuck_say(m->watch, stuck, sizeof(stuck));
	return job_finish(j, HV_HYPERVISOR, "%s%s", stuck,
			  m->error[0] ? m->error : "the migration that was under way failed");
}

/*
 * It is not here any more. Did it leave? When its migration failed, or nobody heard the end, it may
 * have run on here and ended later: the copy at the target is outdated then and must not run.
 */
static enum job_step gone(struct job *j, const struct migration *m)
{
	if (!m->left && !domain_log_left(j->name))
		return job_finish(j, HV_NOT_FOUND,
				  "it is not on this host any more, and libvirt does not say that "
				  "it left by migration%s%s",
				  m->error[0] ? ": " : "", m->error);
	j->permille = 1000;
	return job_finish(j, HV_OK, "%s", "");
}

/* The call is over. Not done before libvirt says where the VM stands. */
static enum job_step settle(struct job *j, struct migration *m, const struct sight *s)
{
	switch (s->observed) {
	case HV__OBSERVED__OBSERVED_ABSENT:
		return gone(j, m);
	case HV__OBSERVED__OBSERVED_RUNNING:
		return once_more(j, m) ? again(j, m) : failed(j, m);
	case HV__OBSERVED__OBSERVED_PAUSED: /* it waits to be resumed, which is more urgent */
		return failed(j, m);
	case HV__OBSERVED__OBSERVED_INCOMING:
	case HV__OBSERVED__OBSERVED_UNKNOWN:
	case _HV__OBSERVED_IS_INT_SIZE:
		break;
	}
	if (!job_expired(j))
		return job_wait(j, LIFECYCLE_AGAIN_MS);
	return job_finish(j, HV_TIMEOUT, "it is not certain what became of it: %.300s", s->text);
}

/*
 * libvirt's bookkeeping of a migration may outlast the call by a moment; "running" is then early.
 * So it is if the VM was seen before libvirt said that nothing is under way: a migration may have
 * ended between the two. What was seen then does not decide, the next look does.
 */
static enum job_step enter_settle(struct job *j, struct migration *m, const struct sight *s)
{
	uint64_t least = job_now_us() + MIGRATE_SETTLE_MS * HV_US_PER_MS;

	j->phase = SETTLE;
	if (j->ended_us < j->began_us)
		j->ended_us = job_now_us();
	if (j->deadline_us < least)
		j->deadline_us = least;
	if (s->observed != HV__OBSERVED__OBSERVED_ABSENT)
		return job_wait(j, MIGRATE_AGAIN_MS);
	return settle(j, m, s);
}

static enum job_step watch(struct job *j, struct migration *m, virDomainPtr d,
			   const struct sight *s)
{
	struct progress p = {0};

	if (s->observed == HV__OBSERVED__OBSERVED_ABSENT)
		return enter_settle(j, m, s);
	if (d)
		get_progress(d, &p);
	if (p.known && !p.migrating)
		return enter_settle(j, m, s);
	end_early(j, m, d);
	if (!p.known) /* a call that failed does not say that it is over */
		return job_wait(j, LIFECYCLE_AGAIN_MS);
	show_progress(j, &p);
	j->ended_us = 0; /* not yet, whatever became of our call */
	return job_wait(j, MIGRATE_PROGRESS_MS);
}

/* A lost connection need not be a lost migration: whether libvirt still works on it, WATCH sees. */
static void call_ended(struct job *j, struct migration *m)
{
	struct call *call = steal_ptr(m->call);

	j->began_us = call->began_us;
	j->ended_us = call->ended_us;
	if (!call->ok)
		snprintf(m->error, sizeof(m->error), "%s", call->error);
	m->rpc = call->rpc;
	m->left = call->ok;
	call_put(call);
	j->phase = WATCH;
}

/* What libvirt would say later and less clearly: our own certificates are not good. */
static char *tls_fault(const struct job *j)
{
	char host[HV_NAME_MAX + 1] = "";

	if (j->clear_text)
		return NULL;
	gethostname(host, HV_NAME_MAX);
	host[strcspn(host, ".")] = '\0';
	return pki_fault("", host, pki_now_s());
}

static enum job_step begin(struct job *j, struct migration *m, virDomainPtr d, struct conn *c,
			   const struct sight *s)
{
	_cleanup_free_ char *fault = NULL;
	struct progress p;

	get_progress(d, &p);
	if (p.migrating) {
		j->phase = WATCH;
		j->began_us = job_now_us();
		return watch(j, m, d, s);
	}
	if (!p.known)
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, "libvirt does not say what it is at");
	if (atomic_load(&j->cancel))
		return lifecycle_cancelled(j);
	if (job_expired(j))
		return job_finish(j, HV_TIMEOUT, "the migration did not begin in time");
	fault = tls_fault(j);
	if (fault)
		return job_finish(j, HV_REFUSED, "no encrypted migration: %s", fault);
	m->call = call_start(j, c, s->defined, m->first_us > 0);
	if (!m->call)
		return job_finish(j, HV_LIMIT, "no thread could be made for the migration");
	j->phase = CALLING;
	return job_wait(j, MIGRATE_PROGRESS_MS);
}

static enum job_step look(struct job *j, struct migration *m, virDomainPtr d, struct conn *c,
			  const struct sight *s)
{
	switch (s->observed) {
	case HV__OBSERVED__OBSERVED_ABSENT:
		return gone(j, m);
	case HV__OBSERVED__OBSERVED_INCOMING:
		return job_finish(j, HV_REFUSED, "it is just arriving by migration");
	case HV__OBSERVED__OBSERVED_PAUSED:
		if (!j->paused_ok)
			return job_finish(j, HV_REFUSED,
					  s->cause == HV__CAUSE__CAUSE_MIGRATED
					      ? "a migration that lost its libvirtd left it paused"
					      : "it is paused");
		break;
	case HV__OBSERVED__OBSERVED_RUNNING:
		break;
	case HV__OBSERVED__OBSERVED_UNKNOWN:
	case _HV__OBSERVED_IS_INT_SIZE:
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, s->text);
	}
	if (!d)
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, "libvirt does not find it");
	return begin(j, m, d, c, s);
}

enum job_step migrate_step(struct job *j, struct conn *c)
{
	_cleanup_lease_ struct conn_lease lease = {0};
	_cleanup_domain_ virDomainPtr d = NULL;
	struct migration *m;
	enum job_step step = JOB_DONE;
	struct sight s;

	if (!j->state) {
		j->state = m = hv_xcalloc(1, sizeof(*m));
		m->watch = stuck_begin(j->uuid, j->target_uri, &j->cancel);
	}
	m = j->state;
	if (m->call && atomic_load(&m->call->ended))
		call_ended(j, m);
	conn_lease(c, &lease);
	if (!lifecycle_look(j, lease.v, &s, &step))
		return step;
	d = virDomainLookupByUUIDString(lease.v, j->uuid);
	switch (j->phase) {
	case LOOK:
		return look(j, m, d, c, &s);
	case CALLING:
		if (d) {
			struct progress p;

			get_progress(d, &p);
			show_progress(j, &p);
		}
		end_early(j, m, d);
		return job_wait(j, MIGRATE_PROGRESS_MS);
	case WATCH:
		return watch(j, m, d, &s);
	default:
		return settle(j, m, &s);
	}
}
