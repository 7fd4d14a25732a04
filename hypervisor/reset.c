/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/reset.h"

#include "hypervisor/child.h"
#include "hypervisor/guest_look.h"
#include "hypervisor/guest_marks.h"
#include "hypervisor/lifecycle.h"

#include <stdio.h>
#include <string.h>

enum { CHECK, WATCH, KEEP, DO, RUN };

struct reset {
	bool io_known;
	uint64_t io, io_us;
	unsigned tries;
	char note[HV_TEXT_MAX / 2]; /* of the evidence, if there is something to say */
};

static struct {
	char *uri, *folder, *program;
	atomic_uint slow;
} the;

void reset_init(const char *uri, const char *state_dir)
{
	the.uri = hv_xstrdup(uri);
	the.folder = hv_xasprintf("%s/evidence", state_dir);
	the.program = child_program("guest-evidence");
}

void reset_release(struct job *j)
{
	free(j->state);
	j->state = NULL;
}

static void domain_freep(virDomainPtr *d)
{
	if (*d)
		virDomainFree(*d);
}
#define _cleanup_domain_ _cleanup_(domain_freep)

static virDomainPtr lookup(virConnectPtr v, struct job *j)
{
	atomic_store(&j->doing, "virDomainLookupByUUID");
	return virDomainLookupByUUIDString(v, j->uuid);
}

static bool slow_begins(void)
{
	if (atomic_fetch_add(&the.slow, 1) < RESET_SLOW_MOST)
		return true;
	atomic_fetch_sub(&the.slow, 1);
	return false;
}

static void slow_ends(void)
{
	atomic_fetch_sub(&the.slow, 1);
}

static enum job_step no_longer(struct job *j, const char *why)
{
	return job_finish(j, HV_REFUSED, "%s: it was not reset", why);
}

static enum job_step next(struct job *j, unsigned phase)
{
	j->phase = phase;
	return job_wait(j, 1);
}

/* ---- is it still so? */

static enum job_step ask_again(struct job *j, virConnectPtr v)
{
	struct reset *r = j->state;
	_cleanup_domain_ virDomainPtr d = lookup(v, j);
	struct guest_heard heard;

	if (!d)
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, "libvirt does not find it");
	if (!slow_begins())
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, "other resets took too long");
	atomic_store(&j->doing, "asking the guest's agent");
	r->io_us = job_now_us();
	r->io_known = guest_look_io(d, &r->io);
	guest_look_ask(v, j->uuid, &heard);
	slow_ends();
	if (heard.answer == BEAT_ANSWERED)
		return no_longer(j, "its agent answers again");
	if (heard.answer == BEAT_NOBODY_KNOWS || !r->io_known)
		return lifecycle_again(j, 10 * LIFECYCLE_AGAIN_MS,
				       "nobody can say whether it still hangs");
	return next(j, WATCH);
}

static enum job_step watch_step(struct job *j, virConnectPtr v)
{
	struct reset *r = j->state;
	_cleanup_domain_ virDomainPtr d = lookup(v, j);
	uint64_t for_us = job_now_us() - r->io_us, io;

	if (for_us < RESET_WATCH_MS * HV_US_PER_MS)
		return job_wait(j, (uint32_t)(RESET_WATCH_MS - for_us / HV_US_PER_MS));
	if (!d || !guest_look_io(d, &io))
		return next(j, CHECK);
	if (io != r->io)
		return no_longer(j, "it does disk or network I/O");
	return next(j, KEEP);
}

static enum job_step check_step(struct job *j, virConnectPtr v, const struct sight *s)
{
	bool running = s->observed == HV__OBSERVED__OBSERVED_RUNNING;

	if (!j->state)
		j->state = hv_xcalloc(1, sizeof(struct reset));
	if (guest_marks_reset_by(j->uuid, j->id, j->evidence))
		return next(j, RUN);
	switch (j->reset_if) {
	case HV__HV_RESET_IF__HV_RESET_LOST:
		return running ? ask_again(j, v) : no_longer(j, "it is not running");
	case HV__HV_RESET_IF__HV_RESET_PANICKED:
		if (running || s->cause != HV__CAUSE__CAUSE_CRASHED)
			return no_longer(j, "its kernel is not in panic any more");
		break;
	case HV__HV_RESET_IF__HV_RESET_WATCHDOG:
		if (running ? !guest_marks_fired(j->uuid) : s->cause != HV__CAUSE__CAUSE_WATCHDOG)
			return no_longer(j, "its watchdog has not fired, or was dealt with");
		break;
	case HV__HV_RESET_IF__HV_RESET_ASKED:
	case _HV__HV_RESET_IF_IS_INT_SIZE:
		break;
	}
	return next(j, KEEP);
}

/* ---- evidence */

static void read_path(struct job *j, char *said)
{
	said[strcspn(said, "\n")] = '\0';
	if (said[0] == '/' && strlen(said) <= HV_PATH_MAX)
		memcpy(j->evidence, said, strlen(said) + 1);
}

static enum job_step keep_step(struct job *j)
{
	const char *name = hv_name_valid(j->name) ? j->name : j->uuid;
	char *argv[] = {the.program, the.uri, j->uuid, (char *)name, the.folder, NULL};
	struct reset *r = j->state;
	char said[HV_TEXT_MAX];
	int status;

	if (!slow_begins())
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, "other resets took too long");
	atomic_store(&j->doing, "keeping evidence");
	status = child_run(argv, RESET_EVIDENCE_MS, said, sizeof(said));
	slow_ends();
	read_path(j, said);
	if (!j->evidence[0])
		snprintf(r->note, sizeof(r->note), "no evidence could be kept in %.200s",
			 the.folder);
	else if (status != 0)
		snprintf(r->note, sizeof(r->note), "the evidence is not complete%s",
			 status == CHILD_HANGS ? ": it took too long" : "");
	return next(j, DO);
}

/* ---- reset */

static enum job_step do_step(struct job *j, virConnectPtr v)
{
	_cleanup_domain_ virDomainPtr d = lookup(v, j);
	struct reset *r = j->state;

	if (!d)
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, "libvirt does not find it");
	atomic_store(&j->doing, "virDomainReset");
	j->began_us = job_now_us();
	if (virDomainReset(d, 0) != 0) {
		if (++r->tries >= RESET_TRIES || job_expired(j))
			return job_finish(j, HV_HYPERVISOR, "virDomainReset: %s", conn_error());
		return job_wait(j, 5 * LIFECYCLE_AGAIN_MS);
	}
	j->ended_us = job_now_us();
	guest_marks_set_reset(j->uuid, j->id, j->evidence);
	guest_marks_set_fired(j->uuid, false);
	return next(j, RUN);
}

static enum job_step run_step(struct job *j, virConnectPtr v, const struct sight *s)
{
	struct reset *r = j->state;
	_cleanup_domain_ virDomainPtr d = NULL;

	if (s->observed == HV__OBSERVED__OBSERVED_RUNNING)
		return job_finish(j, HV_OK, "%s", r->note);
	if (s->observed != HV__OBSERVED__OBSERVED_PAUSED)
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, s->text);
	d = lookup(v, j);
	atomic_store(&j->doing, "virDomainResume");
	if (d && virDomainResume(d) != 0 && job_expired(j))
		return job_finish(j, HV_HYPERVISOR, "it was reset, but not resumed: %s",
				  conn_error());
	return lifecycle_again(j, LIFECYCLE_AGAIN_MS, "it was reset, but does not run");
}

enum job_step reset_step(struct job *j, struct conn *c)
{
	_cleanup_lease_ struct conn_lease lease = {0};
	enum job_step step = JOB_DONE;
	struct sight s;

	atomic_store(&j->doing, "opening a connection to libvirt");
	conn_lease(c, &lease);
	if (!lifecycle_look(j, lease.v, &s, &step))
		return step;
	if (s.observed == HV__OBSERVED__OBSERVED_ABSENT)
		return job_finish(j, HV_NOT_FOUND, "it is not on this host");
	if (s.observed == HV__OBSERVED__OBSERVED_INCOMING)
		return no_longer(j, "it is just arriving by migration");
	if (j->phase < RUN && atomic_load(&j->cancel))
		return lifecycle_cancelled(j);
	if (s.observed == HV__OBSERVED__OBSERVED_UNKNOWN)
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, s.text);
	switch (j->phase) {
	case CHECK:
		return check_step(j, lease.v, &s);
	case WATCH:
		return watch_step(j, lease.v);
	case KEEP:
		return keep_step(j);
	case DO:
		return do_step(j, lease.v);
	default:
		return run_step(j, lease.v, &s);
	}
}
