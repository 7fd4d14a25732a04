/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/events.h"

#include <libvirt/virterror.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

static struct {
	struct mailbox *mailbox;
	events_fn fn;
	void *user;
} to;

/* ---- translation */

static bool seen(struct domain_event *ev, Hv__Observed observed, Hv__Cause cause, const char *what)
{
	ev->known = true;
	ev->observed = observed;
	ev->cause = cause;
	ev->what = what;
	return true;
}

#define RUNNING(ev, what) seen(ev, HV__OBSERVED__OBSERVED_RUNNING, HV__CAUSE__CAUSE_NONE, what)
#define PAUSED(ev, why, what) seen(ev, HV__OBSERVED__OBSERVED_PAUSED, HV__CAUSE__CAUSE_##why, what)
#define GONE(ev, why, what) seen(ev, HV__OBSERVED__OBSERVED_ABSENT, HV__CAUSE__CAUSE_##why, what)

static bool started(int detail, struct domain_event *ev)
{
	if (detail != VIR_DOMAIN_EVENT_STARTED_MIGRATED)
		return RUNNING(ev, "started");
	ev->arrived = true;
	return seen(ev, HV__OBSERVED__OBSERVED_INCOMING, HV__CAUSE__CAUSE_MIGRATED,
		    "arrived by migration");
}

static bool suspended(int detail, struct domain_event *ev)
{
	switch ((virDomainEventSuspendedDetailType)detail) {
	case VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED: /* the source's last moment; what follows counts
						   */
		return false;
	case VIR_DOMAIN_EVENT_SUSPENDED_IOERROR:
		return PAUSED(ev, IO_ERROR, "paused: I/O error");
	case VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG:
		return PAUSED(ev, WATCHDOG, "paused by the guest's watchdog");
	case VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY:
	case VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED:
		return PAUSED(ev, MIGRATED, "paused for post-copy");
	case VIR_DOMAIN_EVENT_SUSPENDED_API_ERROR:
		return PAUSED(ev, FAILED, "paused: a call failed");
	case VIR_DOMAIN_EVENT_SUSPENDED_PAUSED:
	case VIR_DOMAIN_EVENT_SUSPENDED_RESTORED:
	case VIR_DOMAIN_EVENT_SUSPENDED_FROM_SNAPSHOT:
		break;
	}
	return PAUSED(ev, ADMIN, "paused");
}

static bool stopped(int detail, struct domain_event *ev)
{
	switch ((virDomainEventStoppedDetailType)detail) {
	case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
		return GONE(ev, GUEST_SHUTDOWN, "shut down");
	case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
		return GONE(ev, DESTROYED, "destroyed");
	case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
		return GONE(ev, CRASHED, "crashed");
	case VIR_DOMAIN_EVENT_STOPPED_MIGRATED:
		return GONE(ev, MIGRATED, "left by migration");
	case VIR_DOMAIN_EVENT_STOPPED_SAVED:
	case VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT:
		return GONE(ev, ADMIN, "saved or reverted by hand");
	case VIR_DOMAIN_EVENT_STOPPED_FAILED:
		break;
	}
	return GONE(ev, FAILED, "failed");
}

bool events_translate(int event, int detail, struct domain_event *ev)
{
	ev->arrived = false;
	ev->guest = GUEST_EVENT_NONE;
	switch ((virDomainEventType)event) {
	case VIR_DOMAIN_EVENT_STARTED:
		return started(detail, ev);
	case VIR_DOMAIN_EVENT_SUSPENDED:
		return suspended(detail, ev);
	case VIR_DOMAIN_EVENT_RESUMED:
		return RUNNING(ev, "resumed");
	case VIR_DOMAIN_EVENT_STOPPED:
		return stopped(detail, ev);
	case VIR_DOMAIN_EVENT_CRASHED: /* kept for a dump; if not, "stopped" follows */
		ev->guest = GUEST_EVENT_PANICKED;
		return PAUSED(ev, CRASHED, "the guest panicked");
	case VIR_DOMAIN_EVENT_SHUTDOWN: /* QEMU is still there: "stopped" follows */
	case VIR_DOMAIN_EVENT_PMSUSPENDED:
	case VIR_DOMAIN_EVENT_DEFINED:
	case VIR_DOMAIN_EVENT_UNDEFINED:
		break;
	}
	return false;
}

enum guest_event events_watchdog(int action)
{
	switch ((virDomainEventWatchdogAction)action) {
	case VIR_DOMAIN_EVENT_WATCHDOG_NONE:
		return GUEST_EVENT_WATCHDOG;
	case VIR_DOMAIN_EVENT_WATCHDOG_RESET:
		return GUEST_EVENT_WATCHDOG_RESET;
	case VIR_DOMAIN_EVENT_WATCHDOG_PAUSE: /* "suspended" tells */
	case VIR_DOMAIN_EVENT_WATCHDOG_POWEROFF:
	case VIR_DOMAIN_EVENT_WATCHDOG_SHUTDOWN:
	case VIR_DOMAIN_EVENT_WATCHDOG_DEBUG:
	case VIR_DOMAIN_EVENT_WATCHDOG_INJECTNMI:
		break;
	}
	return GUEST_EVENT_NONE;
}

/* ---- delivery */

static void deliver(void *data)
{
	to.fn(data, to.user);
	free(data);
}

static void post(virDomainPtr d, const struct domain_event *ev)
{
	struct domain_event *copy = hv_xmemdup(ev, sizeof(*ev));
	const char *name = virDomainGetName(d);

	if (virDomainGetUUIDString(d, copy->uuid) != 0) {
		free(copy);
		return;
	}
	snprintf(copy->name, sizeof(copy->name), "%s", name ? name : "");
	mailbox_post(to.mailbox, deliver, copy);
}

static void post_look(virDomainPtr d, const char *what)
{
	struct domain_event ev = {.what = what, .look = true};

	post(d, &ev);
}

static int on_lifecycle(virConnectPtr c _unused_, virDomainPtr d, int event, int detail,
			void *opaque _unused_)
{
	struct domain_event ev = {.what = ""};

	if (events_translate(event, detail, &ev))
		post(d, &ev);
	return 0;
}

static void on_io_error(virConnectPtr c _unused_, virDomainPtr d, const char *path _unused_,
			const char *alias _unused_, int action _unused_,
			const char *reason _unused_, void *opaque _unused_)
{
	post_look(d, "an I/O error on a disk");
}

static void on_watchdog(virConnectPtr c _unused_, virDomainPtr d, int action, void *opaque _unused_)
{
	struct domain_event ev = {.what = "the guest's watchdog fired", .look = true};

	ev.guest = events_watchdog(action);
	post(d, &ev);
}

static void on_reboot(virConnectPtr c _unused_, virDomainPtr d, void *opaque _unused_)
{
	struct domain_event ev = {.what = "the guest boots anew", .guest = GUEST_EVENT_REBOOTED};

	post(d, &ev);
}

static void on_agent(virConnectPtr c _unused_, virDomainPtr d, int state, int reason _unused_,
		     void *opaque _unused_)
{
	struct domain_event ev = {.what = "the guest's agent is there",
				  .guest = GUEST_EVENT_AGENT_HERE};

	if (state == VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED)
		post(d, &ev);
}

static void on_job(virConnectPtr c _unused_, virDomainPtr d, virTypedParameterPtr p _unused_,
		   int n _unused_, void *opaque _unused_)
{
	post_look(d, "a libvirt job ended");
}

void events_register(virConnectPtr c)
{
	static const struct {
		int id;
		virConnectDomainEventGenericCallback fn;
	} wanted[] = {
	    {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
	    {VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, VIR_DOMAIN_EVENT_CALLBACK(on_io_error)},
	    {VIR_DOMAIN_EVENT_ID_WATCHDOG, VIR_DOMAIN_EVENT_CALLBACK(on_watchdog)},
	    {VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK(on_reboot)},
	    {VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_agent)},
	    {VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, VIR_DOMAIN_EVENT_CALLBACK(on_job)},
	};

	/* One that cannot be had is made up for by the regular inventories. */
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		virConnectDomainEventRegisterAny(c, NULL, wanted[i].id, wanted[i].fn, NULL, NULL);
}

static void *run(void *data _unused_)
{
	const struct timespec breath = {.tv_nsec = 10000000};

	for (;;) {
		if (virEventRunDefaultImpl() == 0)
			continue;
		virResetLastError();
		nanosleep(&breath, NULL);
	}
	return NULL;
}

/* libvirt prints errors on stderr unless told otherwise; we report them where they are explained.
 */
static void silence(void *user _unused_, virErrorPtr e _unused_)
{
}

bool events_start(struct mailbox *m, events_fn fn, void *user)
{
	sigset_t all, old;
	pthread_t thread;
	int err;

	to.mailbox = m;
	to.fn = fn;
	to.user = user;
	virSetErrorFunc(NULL, silence);
	if (virInitialize() != 0 || virEventRegisterDefaultImpl() != 0)
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err == 0;
}
