/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hypervisord says about VMs: facts, the start register, libvirt's words in ours, health. */
#include "hypervisor/events.h"
#include "hypervisor/facts.h"
#include "hypervisor/health.h"
#include "hypervisor/observe.h"
#include "hypervisor/start_register.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VM "0000000a-0000-4000-8000-000000000001"
#define OTHER "0000000b-0000-4000-8000-000000000002"
#define ABSENT HV__OBSERVED__OBSERVED_ABSENT
#define RUNNING HV__OBSERVED__OBSERVED_RUNNING
#define PAUSED HV__OBSERVED__OBSERVED_PAUSED
#define INCOMING HV__OBSERVED__OBSERVED_INCOMING
#define UNKNOWN HV__OBSERVED__OBSERVED_UNKNOWN
#define NONE HV__CAUSE__CAUSE_NONE

/* ---- facts */

Test(hv_facts, only_changes_are_news)
{
	struct facts *fs = facts_new();

	cr_assert_null(facts_event(fs, VM, "a", ABSENT, NONE, false), "was never heard of");
	cr_assert_not_null(facts_event(fs, VM, "a", RUNNING, NONE, false));
	cr_assert_null(facts_event(fs, VM, "a", RUNNING, NONE, false));
	cr_assert_null(facts_look(fs, VM, "a", RUNNING, NONE, facts_mark(fs)));
	const struct fact *f = facts_event(fs, VM, "a", ABSENT, HV__CAUSE__CAUSE_CRASHED, false);

	cr_assert_not_null(f);
	cr_assert_eq(f->cause, HV__CAUSE__CAUSE_CRASHED);
	cr_assert_str_eq(f->name, "a");
	facts_free(fs);
}

Test(hv_facts, a_look_that_an_event_overtook_is_not_believed)
{
	struct facts *fs = facts_new();
	uint64_t mark;

	facts_event(fs, VM, "a", RUNNING, NONE, false);
	mark = facts_mark(fs);
	facts_event(fs, VM, "a", ABSENT, NONE, false);
	cr_assert(facts_newer(fs, VM, mark));
	cr_assert_null(facts_look(fs, VM, "a", RUNNING, NONE, mark));
	cr_assert_not_null(facts_look(fs, VM, "a", RUNNING, NONE, facts_mark(fs)));
	cr_assert_not(facts_newer(fs, OTHER, 0));
	facts_free(fs);
}

Test(hv_facts, a_touch_makes_earlier_looks_stale_and_says_nothing)
{
	struct facts *fs = facts_new();
	uint64_t mark = facts_mark(fs);

	facts_touch(fs, VM);
	cr_assert_null(facts_look(fs, VM, "a", RUNNING, NONE, mark));
	facts_free(fs);
}

Test(hv_facts, what_came_by_migration_is_incoming_until_it_is_resumed)
{
	struct facts *fs = facts_new();

	cr_assert_eq(facts_event(fs, VM, "a", INCOMING, NONE, true)->observed, INCOMING);
	cr_assert_null(facts_event(fs, VM, "a", PAUSED, NONE, false), "libvirt's own pause");
	cr_assert_eq(facts_refine(fs, VM, PAUSED), INCOMING);
	cr_assert_eq(facts_event(fs, VM, "a", RUNNING, NONE, false)->observed, RUNNING);
	cr_assert_eq(facts_event(fs, VM, "a", PAUSED, NONE, false)->observed, PAUSED);
	facts_free(fs);
}

Test(hv_facts, the_absent_are_dropped_unless_there_was_an_event_since)
{
	struct facts *fs = facts_new();
	uint64_t mark;

	facts_event(fs, VM, "a", RUNNING, NONE, false);
	facts_event(fs, VM, "a", ABSENT, NONE, false);
	mark = facts_mark(fs);
	facts_event(fs, OTHER, "b", RUNNING, NONE, false);
	facts_event(fs, OTHER, "b", ABSENT, NONE, false);
	facts_drop_absent(fs, mark);
	cr_assert_str_eq(facts_at(fs, 0)->uuid, OTHER);
	cr_assert_null(facts_at(fs, 1));
	facts_free(fs);
}

Test(hv_facts, many_vms_are_kept_apart)
{
	struct facts *fs = facts_new();
	char uuid[HV_UUID_LEN + 1];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(uuid, sizeof(uuid), "%08x-0000-4000-8000-000000000001", i * 2654435761u);
		cr_assert_not_null(facts_event(fs, uuid, "x", RUNNING, NONE, false));
	}
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(uuid, sizeof(uuid), "%08x-0000-4000-8000-000000000001", i * 2654435761u);
		cr_assert_null(facts_event(fs, uuid, "x", RUNNING, NONE, false));
	}
	facts_free(fs);
}

/* ---- the start register */

static char dir[64];

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/hv_register_XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	strcat(dir, "/starting");
}

static void remove_dir(void)
{
	rmdir(dir);
	*strrchr(dir, '/') = '\0';
	rmdir(dir);
}

Test(hv_start_register, holds_a_vm_while_it_is_being_created, .init = make_dir, .fini = remove_dir)
{
	cr_assert(start_register_open(dir));
	cr_assert_not(start_register_holds(VM));
	start_register_begin(VM);
	cr_assert(start_register_holds(VM));
	cr_assert_not(start_register_holds(OTHER));
	start_register_end(VM, false);
	cr_assert_not(start_register_holds(VM));
}

Test(hv_start_register, a_call_lost_with_its_connection_settles_only_after_libvirt_was_heard)
{
	start_register_begin(VM);
	start_register_end(VM, true);
	cr_assert(start_register_holds(VM));
	start_register_heard();
	cr_assert(start_register_holds(VM), "not at once");
	start_register_begin(VM);
	start_register_end(VM, false);
	cr_assert(start_register_holds(VM), "another call that returns says nothing about it");
}

Test(hv_start_register, outlives_the_process, .init = make_dir, .fini = remove_dir)
{
	char path[128];
	FILE *f;
	char(*uuids)[HV_UUID_LEN + 1] = NULL;

	/* What a predecessor that was killed leaves behind. */
	mkdir(dir, 0700);
	snprintf(path, sizeof(path), "%s/%s", dir, VM);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fclose(f);
	cr_assert(start_register_open(dir));
	cr_assert(start_register_holds(VM));
	cr_assert_eq(start_register_list(&uuids), 1);
	cr_assert_str_eq(uuids[0], VM);
	free(uuids);
	cr_assert_eq(unlink(path), 0);
}

Test(hv_start_register, leaves_no_file_of_a_call_that_returned, .init = make_dir,
     .fini = remove_dir)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, VM);
	cr_assert(start_register_open(dir));
	start_register_begin(VM);
	cr_assert_eq(access(path, F_OK), 0);
	start_register_end(VM, false);
	cr_assert_neq(access(path, F_OK), 0);
}

/* ---- libvirt's words */

static const struct {
	int state, reason;
	Hv__Observed observed;
} states[] = {
    {VIR_DOMAIN_NOSTATE, 0, UNKNOWN},
    {VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, RUNNING},
    {VIR_DOMAIN_BLOCKED, 0, RUNNING},
    {VIR_DOMAIN_SHUTDOWN, 0, RUNNING},
    {VIR_DOMAIN_PMSUSPENDED, 0, RUNNING},
    {VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER, PAUSED},
    {VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_IOERROR, PAUSED},
    {VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_STARTING_UP, UNKNOWN},
    {VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION, INCOMING},
    {VIR_DOMAIN_PAUSED, 9999, PAUSED},
    {VIR_DOMAIN_CRASHED, 0, PAUSED},
    {VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_CRASHED, ABSENT},
    {9999, 0, UNKNOWN},
};

Test(hv_observe, every_state_has_its_meaning_and_what_is_new_is_unknown)
{
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		struct sight s;

		observe_state(states[i].state, states[i].reason, &s);
		cr_expect_eq(s.observed, states[i].observed, "state %d reason %d", states[i].state,
			     states[i].reason);
	}
}

Test(hv_observe, without_a_connection_nothing_is_known)
{
	struct sight s;

	observe(NULL, VM, &s);
	cr_assert_eq(s.observed, UNKNOWN);
	cr_assert(strstr(s.text, "connection"));
}

Test(hv_events, lifecycle_events_say_what_became_of_the_vm)
{
	static const struct {
		int event, detail;
		bool told, arrived;
		Hv__Observed observed;
		Hv__Cause cause;
	} cases[] = {
	    {VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_BOOTED, true, false, RUNNING, NONE},
	    {VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_MIGRATED, true, true, INCOMING,
	     HV__CAUSE__CAUSE_MIGRATED},
	    {VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_PAUSED, true, false, PAUSED,
	     HV__CAUSE__CAUSE_ADMIN},
	    {VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED, false, false, UNKNOWN,
	     NONE},
	    {VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_IOERROR, true, false, PAUSED,
	     HV__CAUSE__CAUSE_IO_ERROR},
	    {VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_MIGRATED, true, false, RUNNING,
	     NONE},
	    {VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN, true, false, ABSENT,
	     HV__CAUSE__CAUSE_GUEST_SHUTDOWN},
	    {VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_CRASHED, true, false, ABSENT,
	     HV__CAUSE__CAUSE_CRASHED},
	    {VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_MIGRATED, true, false, ABSENT,
	     HV__CAUSE__CAUSE_MIGRATED},
	    {VIR_DOMAIN_EVENT_STOPPED, 9999, true, false, ABSENT, HV__CAUSE__CAUSE_FAILED},
	    {VIR_DOMAIN_EVENT_SHUTDOWN, 0, false, false, UNKNOWN, NONE},
	    {VIR_DOMAIN_EVENT_DEFINED, 0, false, false, UNKNOWN, NONE},
	    {9999, 0, false, false, UNKNOWN, NONE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct domain_event ev = {.what = ""};
		bool told = events_translate(cases[i].event, cases[i].detail, &ev);

		cr_expect_eq(told, cases[i].told, "case %zu", i);
		cr_expect_eq(ev.observed, cases[i].observed, "case %zu", i);
		cr_expect_eq(ev.cause, cases[i].cause, "case %zu", i);
		cr_expect_eq(ev.arrived, cases[i].arrived, "case %zu", i);
	}
}

/* ---- health */

Test(hv_health, is_ill_only_for_a_reason_and_names_it)
{
	static const struct {
		struct health_signs s;
		const char *cause; /* NULL: well */
	} cases[] = {
	    {{.connected = true, .why = ""}, NULL},
	    {{.connected = false, .down_us = 100000, .why = "x"}, NULL},
	    {{.connected = false, .down_us = 600000, .why = "died"}, "died"},
	    {{.connected = false, .was_ill = true, .down_us = 1, .why = "died"}, "died"},
	    {{.connected = true, .was_ill = true, .why = ""}, NULL},
	    {{.connected = true, .pending_us = 1000000, .why = ""}, NULL},
	    {{.connected = true, .pending_us = 3000000, .why = ""}, "request hangs"},
	    {{.connected = false, .pending_us = 3000000, .why = ""}, "opening"},
	    {{.connected = true, .exhausted = true, .stuck = 12, .why = ""}, "12 calls"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[HV_TEXT_MAX];
		bool ok = health_judge(&cases[i].s, text);

		cr_expect_eq(ok, !cases[i].cause, "case %zu: %s", i, text);
		if (cases[i].cause)
			cr_expect(strstr(text, cases[i].cause), "case %zu: %s", i, text);
	}
}

Test(hv_health, a_share_of_the_memory_is_the_hosts_own)
{
	cr_assert_eq(health_memory_rest(100000, 0), 95000);
	cr_assert_eq(health_memory_rest(4096, 0), 4096 - 512);
	cr_assert_eq(health_memory_rest(600, 0), 300, "never more than half");
	cr_assert_eq(health_memory_rest(4096, 1000), 3096);
	cr_assert_eq(health_memory_rest(4096, 5000), 0);
	cr_assert_gt(health_memory_mib(0), 0);
	cr_assert_geq(health_cpus(), 1);
}
