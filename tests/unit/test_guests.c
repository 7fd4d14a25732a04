/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hypervisord tells of guests from libvirt's facts and events, and what it remembers in /run.
 * Asking agents needs a libvirt: tests/e2e/test_guest_health.py.
 */
#include "hypervisor/child.h"
#include "hypervisor/guest_marks.h"
#include "hypervisor/guests.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VM "0000000a-0000-4000-8000-000000000001"
#define OTHER "0000000b-0000-4000-8000-000000000002"
#define RUNNING HV__OBSERVED__OBSERVED_RUNNING
#define PAUSED HV__OBSERVED__OBSERVED_PAUSED
#define ABSENT HV__OBSERVED__OBSERVED_ABSENT
#define UNKNOWN HV__OBSERVED__OBSERVED_UNKNOWN

static struct box {
	char dir[64];
	qb_loop_t *loop;
	struct mailbox *mailbox;
	struct guests *guests;
	struct facts *facts;
	/* the latest that was told */
	unsigned told;
	Hv__GuestSeen last;
	char text[HV_TEXT_MAX];
} b;

static void on_tell(const Hv__GuestSeen *seen, void *user _unused_)
{
	b.told++;
	b.last = *seen;
	snprintf(b.text, sizeof(b.text), "%s", seen->text);
}

static void begin(void)
{
	const struct guests_hooks hooks = {on_tell, NULL};

	b.loop = qb_loop_create();
	b.mailbox = mailbox_new(b.loop);
	b.guests = guests_new(b.loop, b.mailbox, "/nonexistent", &hooks);
	b.facts = facts_new();
}

static void set_up(void)
{
	snprintf(b.dir, sizeof(b.dir), "/tmp/test_guests.XXXXXX");
	cr_assert(mkdtemp(b.dir));
	cr_assert(guest_marks_open(b.dir));
	begin();
}

static void tear_down(void)
{
	guests_free(b.guests);
	facts_free(b.facts);
	mailbox_free(b.mailbox);
	qb_loop_destroy(b.loop);
	guest_marks_forget(VM);
	guest_marks_forget(OTHER);
	rmdir(b.dir);
}

TestSuite(guests, .init = set_up, .fini = tear_down);

static void fact(const char *uuid, Hv__Observed observed, Hv__Cause cause)
{
	facts_event(b.facts, uuid, "vm", observed, cause, false);
	guests_facts(b.guests, b.facts, false);
}

static void event(const char *uuid, enum guest_event what)
{
	struct domain_event ev = {.guest = what};

	snprintf(ev.uuid, sizeof(ev.uuid), "%s", uuid);
	guests_event(b.guests, &ev);
}

static void watch(const char *uuid, bool answered)
{
	Hv__HvGuest one = HV__HV_GUEST__INIT, *list[] = {&one};
	Hv__HvGuests all = HV__HV_GUESTS__INIT;

	one.uuid = (char *)uuid;
	one.heartbeat_s = 30;
	one.idle_s = 120;
	one.answered = answered;
	all.guests = list;
	all.n_guests = uuid ? 1 : 0;
	guests_want(b.guests, &all);
}

Test(guests, who_is_well_and_not_watched_is_not_told_of)
{
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	fact(VM, PAUSED, HV__CAUSE__CAUSE_ADMIN);
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	event(VM, GUEST_EVENT_REBOOTED);
	event(VM, GUEST_EVENT_AGENT_HERE);
	fact(VM, ABSENT, HV__CAUSE__CAUSE_DESTROYED);
	cr_assert_eq(b.told, 0);
}

Test(guests, a_panic_is_told_once_and_ends_when_the_guest_runs)
{
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	fact(VM, PAUSED, HV__CAUSE__CAUSE_CRASHED);
	cr_assert_eq(b.told, 1);
	cr_assert_str_eq(b.last.uuid, VM);
	cr_assert_eq(b.last.trouble, HV__GUEST_TROUBLE__TROUBLE_PANICKED);
	guests_facts(b.guests, b.facts, true);
	cr_assert_eq(b.told, 1);
	guests_tell_all(b.guests);
	cr_assert_eq(b.told, 2, "said again when asked");
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	cr_assert_eq(b.told, 3);
	cr_assert_eq(b.last.trouble, HV__GUEST_TROUBLE__TROUBLE_NONE);
	guests_tell_all(b.guests);
	cr_assert_eq(b.told, 3);
}

/* QEMU's STOP may overtake its GUEST_PANICKED inside libvirt. */
Test(guests, a_panic_that_is_first_told_as_a_pause_is_told)
{
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	fact(VM, PAUSED, HV__CAUSE__CAUSE_ADMIN);
	cr_assert_eq(b.told, 0);
	fact(VM, PAUSED, HV__CAUSE__CAUSE_CRASHED);
	cr_assert_eq(b.told, 1);
	cr_assert_eq(b.last.trouble, HV__GUEST_TROUBLE__TROUBLE_PANICKED);
	fact(VM, PAUSED, HV__CAUSE__CAUSE_NONE);
	cr_assert_eq(b.told, 1, "who knows no cause takes none back");
}

Test(guests, trouble_ends_when_the_vm_is_gone)
{
	fact(VM, PAUSED, HV__CAUSE__CAUSE_WATCHDOG);
	cr_assert_eq(b.last.trouble, HV__GUEST_TROUBLE__TROUBLE_WATCHDOG);
	fact(VM, ABSENT, HV__CAUSE__CAUSE_DESTROYED);
	cr_assert_eq(b.told, 2);
	cr_assert_eq(b.last.trouble, HV__GUEST_TROUBLE__TROUBLE_NONE);
	cr_assert_str_empty(b.text);
}

Test(guests, one_of_which_nobody_knows_keeps_its_trouble)
{
	fact(VM, PAUSED, HV__CAUSE__CAUSE_CRASHED);
	fact(VM, UNKNOWN, HV__CAUSE__CAUSE_NONE);
	cr_assert_eq(b.told, 1);
	cr_assert_eq(b.last.trouble, HV__GUEST_TROUBLE__TROUBLE_PANICKED);
}

/* By which kind of error is not known before libvirt was asked. */
Test(guests, a_disk_error_is_not_told_before_it_is_known)
{
	fact(VM, PAUSED, HV__CAUSE__CAUSE_IO_ERROR);
	cr_assert_eq(b.told, 0);
}

Test(guests, a_watchdog_that_fired_to_no_effect_is_remembered_until_a_reset)
{
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	event(VM, GUEST_EVENT_WATCHDOG);
	cr_assert_eq(b.last.trouble, HV__GUEST_TROUBLE__TROUBLE_WATCHDOG);
	cr_assert(guest_marks_fired(VM));
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	cr_assert_eq(b.last.trouble, HV__GUEST_TROUBLE__TROUBLE_WATCHDOG);
	event(VM, GUEST_EVENT_REBOOTED);
	cr_assert_eq(b.last.trouble, HV__GUEST_TROUBLE__TROUBLE_NONE);
	cr_assert_not(guest_marks_fired(VM));
	cr_assert_eq(b.last.own_resets, 0);
}

Test(guests, the_next_hypervisord_knows_of_the_watchdog_too)
{
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	event(VM, GUEST_EVENT_WATCHDOG);
	guest_marks_set_fired(OTHER, true);
	guests_free(b.guests);
	facts_free(b.facts);
	mailbox_free(b.mailbox);
	qb_loop_destroy(b.loop);
	begin();
	b.told = 0;
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	cr_assert(guest_marks_fired(OTHER), "it may only not have been seen yet");
	guests_facts(b.guests, b.facts, true);
	cr_assert_not(guest_marks_fired(OTHER), "it is gone");
	guests_tell_all(b.guests);
	cr_assert_str_eq(b.last.uuid, VM);
	cr_assert_eq(b.last.trouble, HV__GUEST_TROUBLE__TROUBLE_WATCHDOG);
}

Test(guests, resets_by_its_own_devices_are_counted)
{
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	event(VM, GUEST_EVENT_WATCHDOG_RESET);
	cr_assert_eq(b.last.own_resets, 1);
	cr_assert_eq(b.last.trouble, HV__GUEST_TROUBLE__TROUBLE_NONE);
	event(VM, GUEST_EVENT_WATCHDOG_RESET);
	cr_assert_eq(b.last.own_resets, 2);
	/* on_crash restart */
	event(VM, GUEST_EVENT_PANICKED);
	fact(VM, PAUSED, HV__CAUSE__CAUSE_CRASHED);
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	cr_assert_eq(b.last.own_resets, 3);
	fact(VM, ABSENT, HV__CAUSE__CAUSE_GUEST_SHUTDOWN);
	cr_assert_eq(b.last.own_resets, 0);
}

Test(guests, a_reset_of_ours_is_not_its_own)
{
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	event(VM, GUEST_EVENT_PANICKED);
	fact(VM, PAUSED, HV__CAUSE__CAUSE_CRASHED);
	guests_reset_begins(b.guests, VM);
	event(VM, GUEST_EVENT_REBOOTED);
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	guests_reset_ended(b.guests, VM, true);
	cr_assert_eq(b.last.own_resets, 0);
	cr_assert_eq(b.last.trouble, HV__GUEST_TROUBLE__TROUBLE_NONE);
}

Test(guests, a_watched_guest_is_told_of_when_it_reboots)
{
	watch(VM, true);
	fact(VM, RUNNING, HV__CAUSE__CAUSE_NONE);
	cr_assert_eq(b.told, 0, "unknown until it was asked");
	event(VM, GUEST_EVENT_REBOOTED);
	cr_assert_eq(b.last.heartbeat, HV__GUEST_HEARTBEAT__HEARTBEAT_NEVER);
	watch(NULL, false);
	cr_assert_eq(b.last.heartbeat, HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN);
}

Test(guests, what_is_no_uuid_is_not_watched)
{
	watch("../../etc/passwd", false);
	watch("", true);
	event(VM, GUEST_EVENT_REBOOTED);
	cr_assert_eq(b.told, 0);
}

/* ---- marks */

Test(guests, a_reset_is_remembered_by_its_job_and_its_evidence)
{
	char path[HV_PATH_MAX + 1] = "before", longest[HV_PATH_MAX + 1];

	cr_assert_not(guest_marks_reset_by(VM, 7, path));
	cr_assert_str_eq(path, "before");
	guest_marks_set_reset(VM, 7, "/var/lib/hvcluster/evidence/a b");
	cr_assert(guest_marks_reset_by(VM, 7, path));
	cr_assert_str_eq(path, "/var/lib/hvcluster/evidence/a b");
	cr_assert_not(guest_marks_reset_by(VM, 8, path));
	cr_assert_not(guest_marks_reset_by(OTHER, 7, path));
	memset(longest, 'x', HV_PATH_MAX);
	longest[HV_PATH_MAX] = '\0';
	guest_marks_set_reset(VM, UINT64_MAX, longest);
	cr_assert(guest_marks_reset_by(VM, UINT64_MAX, path));
	cr_assert_str_eq(path, longest);
	guest_marks_set_reset(VM, 9, "");
	cr_assert(guest_marks_reset_by(VM, 9, path));
	cr_assert_str_empty(path);
	guest_marks_forget(VM);
	cr_assert_not(guest_marks_reset_by(VM, 9, path));
}

/* ---- children */

static int run(uint32_t ms, char *out, size_t size, const char *script)
{
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};

	return child_run(argv, ms, out, size);
}

Test(child, its_words_and_its_status_are_had)
{
	char out[16];

	cr_assert_eq(run(5000, out, sizeof(out), "echo hello; exit 3"), 3);
	cr_assert_str_eq(out, "hello\n");
	cr_assert_eq(run(5000, out, sizeof(out), "yes | head -c 200000"), 0,
		     "more than it has room");
	cr_assert_eq(strlen(out), sizeof(out) - 1);
	cr_assert_eq(run(5000, out, sizeof(out), "kill -9 $$"), CHILD_FAILED);
}

Test(child, one_that_hangs_is_left_in_time)
{
	char out[16];

	cr_assert_eq(run(200, out, sizeof(out), "echo path; exec sleep 100"), CHILD_HANGS);
	cr_assert_str_eq(out, "path\n", "what it said before counts");
}

Test(child, one_that_cannot_be_started_is_said)
{
	char *argv[] = {(char *)"/nonexistent/program", NULL}, out[16];

	cr_assert_eq(child_run(argv, 1000, out, sizeof(out)), CHILD_FAILED);
	cr_assert_str_empty(out);
}

/* ---- evidence, of the VM that libvirt's own test driver makes up */

#define TEST_VM "6695eb01-f6a4-8304-79aa-97f2502e193f"

static int take_evidence(const char *uri, const char *name, const char *dir,
			 char path[HV_PATH_MAX + 1])
{
	char *argv[] = {(char *)EVIDENCE, (char *)uri, (char *)TEST_VM,
			(char *)name,	  (char *)dir, NULL};
	int status = child_run(argv, 30000, path, HV_PATH_MAX + 1);

	path[strcspn(path, "\n")] = '\0';
	return status;
}

Test(evidence, five_of_each_vm_are_kept_and_only_root_may_look)
{
	char dir[] = "/tmp/test_evidence.XXXXXX", path[HV_PATH_MAX + 1];
	char first[HV_PATH_MAX + 1], other[HV_PATH_MAX + 1], screen[HV_PATH_MAX + 32];
	struct stat st;

	cr_assert(mkdtemp(dir));
	cr_assert_eq(take_evidence("test:///default", "web", dir, other), 0);
	cr_assert_eq(take_evidence("test:///default", "web-1", dir, first), 0);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(take_evidence("test:///default", "web-1", dir, path), 0);
	cr_assert_neq(stat(first, &st), 0, "the oldest went");
	cr_assert_eq(stat(other, &st), 0, "another VM's did not");
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0700);
	snprintf(screen, sizeof(screen), "%s/screen.png", path);
	cr_assert_eq(stat(screen, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_gt(st.st_size, 1000);
	cr_assert_eq(take_evidence("nonsense:///", "web", dir, path), 1);
	cr_assert_eq(stat(path, &st), 0, "why there is none is in the folder");
	cr_assert_eq(take_evidence("test:///default", "../up", dir, path), 2);
	cr_assert_str_empty(path);
	cr_assert_eq(child_run((char *[]){(char *)"/bin/rm", (char *)"-r", dir, NULL}, 5000, path,
			       sizeof(path)),
		     0);
}

/* ---- libvirt's words */

Test(guest_events, what_a_watchdog_did_decides)
{
	cr_assert_eq(events_watchdog(VIR_DOMAIN_EVENT_WATCHDOG_NONE), GUEST_EVENT_WATCHDOG);
	cr_assert_eq(events_watchdog(VIR_DOMAIN_EVENT_WATCHDOG_RESET), GUEST_EVENT_WATCHDOG_RESET);
	cr_assert_eq(events_watchdog(VIR_DOMAIN_EVENT_WATCHDOG_PAUSE), GUEST_EVENT_NONE,
		     "the state tells");
	cr_assert_eq(events_watchdog(VIR_DOMAIN_EVENT_WATCHDOG_POWEROFF), GUEST_EVENT_NONE);
	cr_assert_eq(events_watchdog(4711), GUEST_EVENT_NONE, "of a later libvirt");
}

Test(guest_events, a_panic_comes_with_its_state)
{
	struct domain_event ev = {.guest = GUEST_EVENT_REBOOTED};

	cr_assert(
	    events_translate(VIR_DOMAIN_EVENT_CRASHED, VIR_DOMAIN_EVENT_CRASHED_PANICKED, &ev));
	cr_assert_eq(ev.guest, GUEST_EVENT_PANICKED);
	cr_assert_eq(ev.observed, PAUSED);
	cr_assert_eq(ev.cause, HV__CAUSE__CAUSE_CRASHED);
	cr_assert(events_translate(VIR_DOMAIN_EVENT_RESUMED, 0, &ev));
	cr_assert_eq(ev.guest, GUEST_EVENT_NONE);
}
