/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/lifecycle.h"

#include "hypervisor/domain_xml.h"
#include "hypervisor/qemu_proc.h"
#include "hypervisor/start_register.h"

#include <fcntl.h>
#include <libvirt/virterror.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What a job remembers between its steps, in job.phase. */
enum { PHASE_DESTROYED = 1, PHASE_ASKED = 2, PHASE_ASKED_AGENT = 4, PHASE_FAILED = 8 };
#define TRIES_SHIFT 8
#define RESUME_TRIES 20

static void domain_freep(virDomainPtr *d)
{
	if (*d)
		virDomainFree(*d);
}
#define _cleanup_domain_ _cleanup_(domain_freep)

static void doing(struct job *j, const char *what)
{
	atomic_store(&j->doing, what);
}

uint32_t lifecycle_deadline_ms(const struct job *j)
{
	static const uint32_t preset[] = {
	    [HV__HV_JOB_KIND__HV_JOB_START] = 60000,   [HV__HV_JOB_KIND__HV_JOB_STOP] = 0,
	    [HV__HV_JOB_KIND__HV_JOB_DESTROY] = 30000, [HV__HV_JOB_KIND__HV_JOB_MIGRATE] = 600000,
	    [HV__HV_JOB_KIND__HV_JOB_RESUME] = 30000,  [HV__HV_JOB_KIND__HV_JOB_PAUSE] = 30000,
	    [HV__HV_JOB_KIND__HV_JOB_PROBE] = 10000,   [HV__HV_JOB_KIND__HV_JOB_RESET] = 60000,
	};
	uint32_t ms = j->timeout_ms > 86400000 ? 86400000 : j->timeout_ms;

	if (j->kind == HV__HV_JOB_KIND__HV_JOB_STOP)
		return ms + 30000; /* the guest's grace, then as long as DESTROY has */
	return ms ? ms : preset[j->kind];
}

/* ---- what all steps share */

enum job_step lifecycle_cancelled(struct job *j)
{
	if (atomic_load(&j->superseded))
		return job_finish(j, HV_SUPERSEDED, "a request to destroy the VM took its place");
	return job_finish(j, HV_CANCELLED, "cancelled");
}

enum job_step lifecycle_again(struct job *j, uint32_t ms, const char *missing)
{
	if (job_expired(j))
		return job_finish(j, HV_TIMEOUT, "%s", missing);
	return job_wait(j, ms);
}

/*
 * A migration that an earlier hypervisord began goes on in libvirtd. To say "cancelled" before it
 * was looked at and aborted would let it end behind the cluster's back, so a connection is waited
 * for.
 */
static bool may_be_leaving(struct job *j)
{
	uint64_t until = job_now_us() + LIFECYCLE_CANCEL_MS * HV_US_PER_MS;

	if (j->kind != HV__HV_JOB_KIND__HV_JOB_MIGRATE || job_expired(j) ||
	    j->observed == HV__OBSERVED__OBSERVED_ABSENT)
		return false;
	if (j->deadline_us > until)
		j->deadline_us = until;
	return true;
}

bool lifecycle_look(struct job *j, virConnectPtr v, struct sight *s, enum job_step *ret_step)
{
	doing(j, "looking the VM up");
	observe(v, j->uuid, s);
	j->observed = s->observed;
	if (v)
		return true;
	if (atomic_load(&j->cancel) && !may_be_leaving(j))
		*ret_step = lifecycle_cancelled(j);
	else if (job_expired(j))
		*ret_step = job_finish(j, HV_HYPERVISOR_DOWN, "libvirt does not answer");
	else
		*ret_step = job_wait(j, 1000); /* woken when it is back */
	return false;
}

/* Best effort: what runs is not touched by it. */
static void make_transient(struct job *j, virDomainPtr d)
{
	doing(j, "virDomainUndefineFlags");
	virDomainUndefineFlags(
	    d, VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
		   VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_KEEP_NVRAM |
		   VIR_DOMAIN_UNDEFINE_KEEP_TPM);
}

static virDomainPtr lookup(virConnectPtr v, struct job *j)
{
	doing(j, "virDomainLookupByUUID");
	return virDomainLookupByUUIDString(v, j->uuid);
}

static void undefine_if_defined(virConnectPtr v, struct job *j, const struct sight *s)
{
	_cleanup_domain_ virDomainPtr d = s->defined ? lookup(v, j) : NULL;

	if (d)
		make_transient(j, d);
}

/* ---- START */

static bool kvm_usable(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), version;

	if (fd < 0)
		return false;
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	close(fd);
	return version == KVM_API_VERSION;
}

/* The XML must be that of the VM that the job is about, or we would prove the wrong things. */
static enum hv_rc start_xml(struct job *j, char **ret_xml, char **ret_note)
{
	_cleanup_free_ char *why = NULL;
	struct domain_info info;
	enum hv_rc rc = domain_xml_parse(j->xml, j->xml_len, &info, &why);

	if (rc == HV_OK)
		rc = domain_xml_prepare(j->xml, j->xml_len, kvm_usable(), ret_xml, ret_note, &why);
	if (rc != HV_OK) {
		job_finish(j, rc, "%s", why);
	} else if (strcmp(info.uuid, j->uuid) != 0 || strcmp(info.name, j->name) != 0) {
		rc = HV_BAD_XML;
		job_finish(j, rc, "the XML is of VM '%s' (%s), not of '%s' (%s)", info.name,
			   info.uuid, j->name, j->uuid);
	}
	return rc;
}

/*
 * After a call that failed with `text`. Somebody else may have started it meanwhile, or a call of
 * ours that was lost: then the steps that follow look until it is certain, but do not try again.
 */
static enum job_step create_failed(struct job *j, const struct sight *s, const char *text)
{
	j->observed = s->observed;
	if (s->observed == HV__OBSERVED__OBSERVED_RUNNING)
		return job_finish(j, HV_OK, "it was started by somebody else meanwhile");
	job_finish(j, HV_HYPERVISOR, "%s", text);
	j->phase |= PHASE_FAILED;
	if (s->observed == HV__OBSERVED__OBSERVED_UNKNOWN && !s->orphan && !job_expired(j))
		return job_wait(j, LIFECYCLE_AGAIN_MS);
	return JOB_DONE;
}

static enum job_step create(struct job *j, virConnectPtr v)
{
	_cleanup_free_ char *xml = NULL, *note = NULL, *text = NULL;
	_cleanup_domain_ virDomainPtr d = NULL;
	struct sight s;
	bool lost;

	if (start_xml(j, &xml, &note) != HV_OK)
		return JOB_DONE;
	start_register_begin(j->uuid);
	doing(j, "virDomainCreateXML");
	j->began_us = job_now_us();
	d = virDomainCreateXML(v, xml, 0);
	j->ended_us = job_now_us();
	text = d ? NULL : hv_xstrdup(conn_error());
	lost = !d && virConnectIsAlive(v) != 1;
	start_register_end(j->uuid, lost);
	if (lost)
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, "the connection to libvirt was lost");
	if (!d) {
		observe(v, j->uuid, &s);
		return create_failed(j, &s, text);
	}
	observe_domain(d, &s);
	j->observed = s.observed;
	return job_finish(j, HV_OK, "%s", note ? note : "");
}

static enum job_step start_absent(struct job *j, virConnectPtr v, const struct sight *s)
{
	if (atomic_load(&j->cancel))
		return lifecycle_cancelled(j);
	if (job_expired(j))
		return job_finish(j, HV_TIMEOUT, "it could not be started in time");
	undefine_if_defined(v, j, s);
	return create(j, v);
}

/* A call that was lost is no obstacle: if it comes first after all, libvirt refuses the second. */
static enum job_step start_unknown(struct job *j, virConnectPtr v, const struct sight *s)
{
	if (s->orphan)
		return job_finish(j, HV_REFUSED, "%s: not started a second time", s->text);
	if (s->held)
		return start_absent(j, v, s);
	return lifecycle_again(j, LIFECYCLE_AGAIN_MS, s->text);
}

static enum job_step start_step(struct job *j, virConnectPtr v, const struct sight *s)
{
	if (j->phase & PHASE_FAILED) {
		_cleanup_free_ char *text = hv_xstrdup(j->text);

		return create_failed(j, s, text);
	}
	switch (s->observed) {
	case HV__OBSERVED__OBSERVED_RUNNING:
		undefine_if_defined(v, j, s);
		return job_finish(j, HV_OK, "it was running already");
	case HV__OBSERVED__OBSERVED_PAUSED:
		return job_finish(j, HV_REFUSED,
				  "it is there, but paused: starting does not resume");
	case HV__OBSERVED__OBSERVED_INCOMING:
		return job_finish(j, HV_REFUSED, "it is just arriving by migration");
	case HV__OBSERVED__OBSERVED_ABSENT:
		return start_absent(j, v, s);
	case HV__OBSERVED__OBSERVED_UNKNOWN:
	case _HV__OBSERVED_IS_INT_SIZE:
		break;
	}
	return start_unknown(j, v, s);
}

/* ---- DESTROY and STOP */

static enum job_step absent(struct job *j, virConnectPtr v, const struct sight *s)
{
	undefine_if_defined(v, j, s);
	return job_finish(j, HV_OK, "%s",
			  j->kind == HV__HV_JOB_KIND__HV_JOB_STOP && (j->phase & PHASE_DESTROYED)
			      ? "the guest did not shut down in time and was destroyed"
			      : "");
}

static enum job_step destroy_step(struct job *j, virConnectPtr v, struct sight *s)
{
	_cleanup_domain_ virDomainPtr d = NULL;

	if (s->observed == HV__OBSERVED__OBSERVED_ABSENT)
		return absent(j, v, s);
	if (s->orphan) {
		qemu_proc_kill(s->pid, j->uuid);
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, s->text);
	}
	d = lookup(v, j);
	if (!d)
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS,
				       s->text[0] ? s->text : "it is not certain that it is gone");
	doing(j, "virDomainDestroy");
	if (!j->began_us)
		j->began_us = job_now_us();
	if (virDomainDestroyFlags(d, VIR_DOMAIN_DESTROY_DEFAULT) == 0)
		j->phase |= PHASE_DESTROYED;
	else if (job_expired(j))
		return job_finish(j, HV_HYPERVISOR, "%s", conn_error());
	j->ended_us = job_now_us();
	observe(v, j->uuid, s);
	j->observed = s->observed;
	if (s->observed == HV__OBSERVED__OBSERVED_ABSENT)
		return absent(j, v, s);
	return lifecycle_again(j, LIFECYCLE_AGAIN_MS, "it was destroyed, but is not gone");
}

static uint64_t grace_end_us(const struct job *j)
{
	return j->accepted_us + j->timeout_ms * HV_US_PER_MS;
}

/* First the power button, which does not block, then also the agent, which may for some seconds. */
static void ask_guest(struct job *j, virDomainPtr d)
{
	doing(j, "virDomainShutdown");
	if (!(j->phase & PHASE_ASKED)) {
		virDomainShutdownFlags(d, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN);
		j->phase |= PHASE_ASKED;
		return;
	}
	if (virDomainShutdownFlags(d, VIR_DOMAIN_SHUTDOWN_GUEST_AGENT) != 0)
		virDomainShutdownFlags(d, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN);
	j->phase |= PHASE_ASKED_AGENT;
}

/* job.ended_us holds when the guest was last asked, until the job ends. */
static enum job_step ask_in_time(struct job *j, virConnectPtr v)
{
	uint32_t every = j->phase & PHASE_ASKED_AGENT ? STOP_ASK_EVERY_MS : STOP_ASK_AGENT_MS;
	uint64_t next = j->ended_us + every * HV_US_PER_MS, now = job_now_us();
	_cleanup_domain_ virDomainPtr d = NULL;

	if (!(j->phase & PHASE_ASKED) || now >= next) {
		d = lookup(v, j);
		if (d)
			ask_guest(j, d);
		if (!j->began_us)
			j->began_us = now;
		j->ended_us = now;
		next = now + every * HV_US_PER_MS;
	}
	if (next > grace_end_us(j))
		next = grace_end_us(j);
	return job_wait(j, next > now ? (uint32_t)((next - now) / HV_US_PER_MS) + 1 : 1);
}

static enum job_step stop_step(struct job *j, virConnectPtr v, struct sight *s)
{
	if (s->observed == HV__OBSERVED__OBSERVED_ABSENT) {
		j->ended_us = job_now_us();
		return absent(j, v, s);
	}
	if (atomic_load(&j->cancel))
		return lifecycle_cancelled(j);
	if (s->observed == HV__OBSERVED__OBSERVED_RUNNING && job_now_us() < grace_end_us(j))
		return ask_in_time(j, v);
	if (s->observed == HV__OBSERVED__OBSERVED_UNKNOWN && job_now_us() < grace_end_us(j))
		return job_wait(j, LIFECYCLE_AGAIN_MS);
	return destroy_step(j, v, s);
}

/* ---- RESUME, PAUSE, PROBE */

/* Resume or suspend: `fn`. A call that fails may succeed soon: libvirt is still busy with a job. */
static enum job_step call_vcpus(struct job *j, virConnectPtr v, int (*fn)(virDomainPtr),
				const char *what, Hv__Observed wanted)
{
	_cleanup_domain_ virDomainPtr d = lookup(v, j);
	unsigned tries = j->phase >> TRIES_SHIFT;

	if (!d)
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, "libvirt does not find it");
	doing(j, what);
	if (!j->began_us)
		j->began_us = job_now_us();
	if (fn(d) == 0) {
		struct sight s;

		j->ended_us = job_now_us();
		observe_domain(d, &s);
		j->observed = s.observed;
		if (s.observed == wanted)
			return job_finish(j, HV_OK, "%s", "");
		return lifecycle_again(j, LIFECYCLE_AGAIN_MS, "the call succeeded without effect");
	}
	j->ended_us = job_now_us();
	j->phase += 1 << TRIES_SHIFT;
	if (tries >= RESUME_TRIES || job_expired(j))
		return job_finish(j, HV_HYPERVISOR, "%s: %s", what, conn_error());
	return job_wait(j, LIFECYCLE_AGAIN_MS);
}

static enum job_step not_found(struct job *j)
{
	return job_finish(j, HV_NOT_FOUND, "it is not on this host");
}

static enum job_step resume_step(struct job *j, virConnectPtr v, const struct sight *s)
{
	if (s->observed == HV__OBSERVED__OBSERVED_RUNNING)
		return job_finish(j, HV_OK, "%s", "");
	if (s->observed == HV__OBSERVED__OBSERVED_ABSENT)
		return not_found(j);
	if (atomic_load(&j->cancel))
		return lifecycle_cancelled(j);
	if (s->observed == HV__OBSERVED__OBSERVED_PAUSED)
		return call_vcpus(j, v, virDomainResume, "virDomainResume",
				  HV__OBSERVED__OBSERVED_RUNNING);
	return lifecycle_again(j, LIFECYCLE_AGAIN_MS,
			       s->text[0] ? s->text : "its migration has not ended");
}

static enum job_step pause_step(struct job *j, virConnectPtr v, const struct sight *s)
{
	if (s->observed == HV__OBSERVED__OBSERVED_PAUSED ||
	    s->observed == HV__OBSERVED__OBSERVED_INCOMING)
		return job_finish(j, HV_OK, "%s", "");
	if (s->observed == HV__OBSERVED__OBSERVED_ABSENT)
		return not_found(j);
	if (atomic_load(&j->cancel))
		return lifecycle_cancelled(j);
	if (s->observed == HV__OBSERVED__OBSERVED_RUNNING)
		return call_vcpus(j, v, virDomainSuspend, "virDomainSuspend",
				  HV__OBSERVED__OBSERVED_PAUSED);
	return lifecycle_again(j, LIFECYCLE_AGAIN_MS, s->text);
}

static enum job_step probe_step(struct job *j, const struct sight *s)
{
	if (s->observed != HV__OBSERVED__OBSERVED_UNKNOWN || s->orphan)
		return job_finish(j, HV_OK, "%s", s->text);
	if (atomic_load(&j->cancel))
		return lifecycle_cancelled(j);
	return lifecycle_again(j, 2 * LIFECYCLE_AGAIN_MS, s->text);
}

enum job_step lifecycle_step(struct job *j, struct conn *c)
{
	_cleanup_lease_ struct conn_lease lease = {0};
	enum job_step step = JOB_DONE;
	virConnectPtr v;
	struct sight s;

	doing(j, "opening a connection to libvirt");
	conn_lease(c, &lease);
	v = lease.v;
	if (!lifecycle_look(j, v, &s, &step))
		return step;
	switch (j->kind) {
	case HV__HV_JOB_KIND__HV_JOB_START:
		return start_step(j, v, &s);
	case HV__HV_JOB_KIND__HV_JOB_STOP:
		return stop_step(j, v, &s);
	case HV__HV_JOB_KIND__HV_JOB_DESTROY:
		return destroy_step(j, v, &s);
	case HV__HV_JOB_KIND__HV_JOB_RESUME:
		return resume_step(j, v, &s);
	case HV__HV_JOB_KIND__HV_JOB_PAUSE:
		return pause_step(j, v, &s);
	case HV__HV_JOB_KIND__HV_JOB_PROBE:
		return probe_step(j, &s);
	case HV__HV_JOB_KIND__HV_JOB_MIGRATE: /* migrate.c */
	case HV__HV_JOB_KIND__HV_JOB_RESET:
	case HV__HV_JOB_KIND__HV_JOB_NONE:
	case _HV__HV_JOB_KIND_IS_INT_SIZE:
		break;
	}
	return job_finish(j, HV_INTERNAL, "no steps for this kind of job");
}
