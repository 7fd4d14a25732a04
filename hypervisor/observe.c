/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/observe.h"

#include "hypervisor/conn.h"
#include "hypervisor/qemu_proc.h"
#include "hypervisor/start_register.h"

#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>

static void see(struct sight *s, Hv__Observed observed, Hv__Cause cause)
{
	s->observed = observed;
	s->cause = cause;
}

static void unknown(struct sight *s, const char *why)
{
	see(s, HV__OBSERVED__OBSERVED_UNKNOWN, HV__CAUSE__CAUSE_NONE);
	snprintf(s->text, sizeof(s->text), "%s", why);
}

static void paused_state(int reason, struct sight *s)
{
	Hv__Cause cause = HV__CAUSE__CAUSE_NONE;

	switch ((virDomainPausedReason)reason) {
	case VIR_DOMAIN_PAUSED_STARTING_UP:
		unknown(s, "libvirt is just starting it");
		return;
	case VIR_DOMAIN_PAUSED_MIGRATION: /* which end of it, observe_domain() finds out */
		see(s, HV__OBSERVED__OBSERVED_INCOMING, HV__CAUSE__CAUSE_MIGRATED);
		return;
	case VIR_DOMAIN_PAUSED_POSTCOPY:
	case VIR_DOMAIN_PAUSED_POSTCOPY_FAILED:
		cause = HV__CAUSE__CAUSE_MIGRATED;
		break;
	case VIR_DOMAIN_PAUSED_IOERROR:
		cause = HV__CAUSE__CAUSE_IO_ERROR;
		break;
	case VIR_DOMAIN_PAUSED_WATCHDOG:
		cause = HV__CAUSE__CAUSE_WATCHDOG;
		break;
	case VIR_DOMAIN_PAUSED_CRASHED:
		cause = HV__CAUSE__CAUSE_CRASHED;
		break;
	case VIR_DOMAIN_PAUSED_USER:
		cause = HV__CAUSE__CAUSE_ADMIN;
		break;
	case VIR_DOMAIN_PAUSED_UNKNOWN:
	case VIR_DOMAIN_PAUSED_SAVE:
	case VIR_DOMAIN_PAUSED_DUMP:
	case VIR_DOMAIN_PAUSED_FROM_SNAPSHOT:
	case VIR_DOMAIN_PAUSED_SHUTTING_DOWN:
	case VIR_DOMAIN_PAUSED_SNAPSHOT:
		break;
	}
	see(s, HV__OBSERVED__OBSERVED_PAUSED, cause);
}

static Hv__Cause shutoff_cause(int reason)
{
	switch ((virDomainShutoffReason)reason) {
	case VIR_DOMAIN_SHUTOFF_SHUTDOWN:
		return HV__CAUSE__CAUSE_GUEST_SHUTDOWN;
	case VIR_DOMAIN_SHUTOFF_DESTROYED:
		return HV__CAUSE__CAUSE_DESTROYED;
	case VIR_DOMAIN_SHUTOFF_CRASHED:
		return HV__CAUSE__CAUSE_CRASHED;
	case VIR_DOMAIN_SHUTOFF_MIGRATED:
		return HV__CAUSE__CAUSE_MIGRATED;
	case VIR_DOMAIN_SHUTOFF_FAILED:
	case VIR_DOMAIN_SHUTOFF_DAEMON:
		return HV__CAUSE__CAUSE_FAILED;
	case VIR_DOMAIN_SHUTOFF_SAVED:
	case VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT:
		return HV__CAUSE__CAUSE_ADMIN;
	case VIR_DOMAIN_SHUTOFF_UNKNOWN:
		break;
	}
	return HV__CAUSE__CAUSE_NONE;
}

void observe_state(int state, int reason, struct sight *ret)
{
	memset(ret, 0, sizeof(*ret));
	switch ((virDomainState)state) {
	case VIR_DOMAIN_RUNNING:
	case VIR_DOMAIN_BLOCKED:
	case VIR_DOMAIN_SHUTDOWN:    /* QEMU is still there */
	case VIR_DOMAIN_PMSUSPENDED: /* the guest sleeps by its own wish, and wakes by itself */
		see(ret, HV__OBSERVED__OBSERVED_RUNNING, HV__CAUSE__CAUSE_NONE);
		return;
	case VIR_DOMAIN_PAUSED:
		paused_state(reason, ret);
		return;
	case VIR_DOMAIN_CRASHED: /* kept for a dump: vCPUs stopped, QEMU still there */
		see(ret, HV__OBSERVED__OBSERVED_PAUSED, HV__CAUSE__CAUSE_CRASHED);
		return;
	case VIR_DOMAIN_SHUTOFF:
		see(ret, HV__OBSERVED__OBSERVED_ABSENT, shutoff_cause(reason));
		return;
	case VIR_DOMAIN_NOSTATE:
		break;
	}
	unknown(ret, "libvirt does not know its state");
}

/*
 * A libvirtd that was restarted between Perform and Confirm leaves the source paused and forgets
 * the migration: all had been sent, and what became of it there was not told. It will stay so. Two
 * looks that agree, for in between a migration may have ended.
 */
static bool left_paused(virDomainPtr d)
{
	int state, reason;

	return virDomainGetState(d, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED &&
	       reason == VIR_DOMAIN_PAUSED_MIGRATION;
}

/* Paused for a migration: the destination's copy, or the source in the last moment? */
static void tell_ends_apart(virDomainPtr d, struct sight *s)
{
	virTypedParameterPtr params = NULL;
	int n = 0, type = 0, operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;
	bool known = virDomainGetJobStats(d, &type, &params, &n, 0) == 0;

	if (known) {
		virTypedParamsGetInt(params, n, VIR_DOMAIN_JOB_OPERATION, &operation);
		virTypedParamsFree(params, n);
	}
	if (operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT)
		see(s, HV__OBSERVED__OBSERVED_RUNNING, HV__CAUSE__CAUSE_NONE);
	else if (known && type == VIR_DOMAIN_JOB_NONE && left_paused(d))
		see(s, HV__OBSERVED__OBSERVED_PAUSED, HV__CAUSE__CAUSE_MIGRATED);
	else if (operation != VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN)
		unknown(s, "libvirt has stopped it for a migration that cannot be seen");
}

void observe_domain(virDomainPtr d, struct sight *ret)
{
	int state, reason, persistent;

	memset(ret, 0, sizeof(*ret));
	if (virDomainGetState(d, &state, &reason, 0) != 0) {
		const virError *e = virGetLastError();

		if (e && e->code == VIR_ERR_NO_DOMAIN)
			see(ret, HV__OBSERVED__OBSERVED_ABSENT, HV__CAUSE__CAUSE_NONE);
		else
			unknown(ret, conn_error());
		return;
	}
	observe_state(state, reason, ret);
	if (ret->observed == HV__OBSERVED__OBSERVED_INCOMING)
		tell_ends_apart(d, ret);
	persistent = virDomainIsPersistent(d);
	ret->defined = persistent == 1;
	/* A transient domain that is shut off is just being made, or just going. */
	if (ret->observed == HV__OBSERVED__OBSERVED_ABSENT && persistent != 1) {
		const virError *e = persistent < 0 ? virGetLastError() : NULL;

		if (!e || e->code != VIR_ERR_NO_DOMAIN)
			unknown(ret, "libvirt is just creating or removing it");
	}
}

/* libvirt says that it is not there: is that all there is to say? */
static void cross_check(const char *uuid, struct sight *s)
{
	pid_t pid = qemu_proc_find(uuid);

	start_register_heard();
	if (pid != 0) {
		s->orphan = pid > 0;
		s->pid = pid > 0 ? pid : 0;
		unknown(s, "");
		snprintf(s->text, sizeof(s->text),
			 pid > 0 ? "libvirt does not know it, but its QEMU process %d is alive"
				 : "/proc cannot be read to see whether its QEMU is gone",
			 (int)pid);
	} else if (start_register_holds(uuid)) {
		unknown(s, "libvirtd may still be about to create it");
		s->held = true;
	}
}

static void domain_freep(virDomainPtr *d)
{
	if (*d)
		virDomainFree(*d);
}

void observe(virConnectPtr c, const char *uuid, struct sight *ret)
{
	_cleanup_(domain_freep) virDomainPtr d = NULL;
	const virError *e;

	memset(ret, 0, sizeof(*ret));
	if (!c) {
		unknown(ret, "there is no connection to libvirt");
		return;
	}
	d = virDomainLookupByUUIDString(c, uuid);
	e = d ? NULL : virGetLastError();
	if (d)
		observe_domain(d, ret);
	else if (e && e->code == VIR_ERR_NO_DOMAIN)
		see(ret, HV__OBSERVED__OBSERVED_ABSENT, HV__CAUSE__CAUSE_NONE);
	else
		unknown(ret, conn_error());
	if (ret->observed == HV__OBSERVED__OBSERVED_ABSENT)
		cross_check(uuid, ret);
}
