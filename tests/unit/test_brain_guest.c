/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests that hang, panic or are stopped by I/O errors: BEFORE / EVENT / AFTER. */
#include "resource/guest_plan.h"

#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>

#define BEAT_UNKNOWN HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN
#define BEAT_NEVER HV__GUEST_HEARTBEAT__HEARTBEAT_NEVER
#define BEAT_OK HV__GUEST_HEARTBEAT__HEARTBEAT_OK
#define BEAT_LOST HV__GUEST_HEARTBEAT__HEARTBEAT_LOST
#define WELL HV__GUEST_TROUBLE__TROUBLE_NONE
#define PANICKED HV__GUEST_TROUBLE__TROUBLE_PANICKED
#define BITTEN HV__GUEST_TROUBLE__TROUBLE_WATCHDOG
#define NO_SPACE HV__GUEST_TROUBLE__TROUBLE_NO_SPACE
#define IO_ERROR HV__GUEST_TROUBLE__TROUBLE_IO_ERROR

static void seen(struct world *w, hv_node_id node, const char *name, Hv__GuestSeen g)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__GuestHealth body = HV__GUEST_HEALTH__INIT;

	g.uuid = (char *)uuid_of(name);
	body.node = node;
	body.guest = &g;
	ev.body_case = HV__EVENT__BODY_GUEST_HEALTH;
	ev.guest_health = &body;
	step(w, &ev, node);
}

/* host1 says it of web1. */
static void beat(struct world *w, Hv__GuestHeartbeat heartbeat, bool idle)
{
	Hv__GuestSeen g = HV__GUEST_SEEN__INIT;

	g.heartbeat = heartbeat;
	g.idle = idle;
	seen(w, 1, "web1", g);
}

static void trouble(struct world *w, Hv__GuestTrouble t, bool storage_back)
{
	Hv__GuestSeen g = HV__GUEST_SEEN__INIT;

	g.trouble = t;
	g.storage_back = storage_back;
	g.text = t == NO_SPACE ? "vda: no space left" : "";
	seen(w, 1, "web1", g);
}

static void answer(struct world *w, enum hv_rc rc, Hv__Observed now, const char *evidence)
{
	const struct operation *o = vm_op(w, "web1");
	Hv__Event ev = HV__EVENT__INIT;
	Hv__OpResult r = HV__OP_RESULT__INIT;

	cr_assert(o && o->kind == OP_VM_RESET);
	r.op = o->id;
	r.attempt = o->attempt;
	r.node = o->node;
	r.rc = rc;
	r.text = rc == HV_REFUSED ? "it answers again" : "";
	r.observed = now;
	r.evidence = (char *)evidence;
	ev.body_case = HV__EVENT__BODY_OP_RESULT;
	ev.op_result = &r;
	step(w, &ev, r.node);
}

/* The host resets it, and it is up again: `after_s` later its agent answers. */
static void is_reset(struct world *w, unsigned after_s)
{
	answer(w, HV_OK, RUNNING, "/var/lib/hvcluster/evidence/web1");
	tick(w, after_s * 1000ULL);
	beat(w, BEAT_OK, false);
}

/* web1 runs on host1 with a heartbeat of 30 s, and has for long; its agent answers. */
static struct world *opted_in(void)
{
	struct world *w = world_new(3);

	running_vm(w, "web1", 1);
	vm_set(w, "web1", "heartbeat_s", "30");
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	tick(w, 200000);
	beat(w, BEAT_OK, false);
	return w;
}

static bool resetting(struct world *w)
{
	const struct operation *o = vm_op(w, "web1");

	return o && o->kind == OP_VM_RESET;
}

Test(guest, silent_and_idle_is_reset_with_its_evidence_told)
{
	struct world *w = opted_in();
	const struct vm *v;

	beat(w, BEAT_LOST, true);
	cr_assert(resetting(w));
	cr_assert_eq(op_reset_if(vm_op(w, "web1")), RESET_LOST);
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert(journal_has(w, "vm web1", "heartbeat ok", "heartbeat lost"));
	answer(w, HV_OK, RUNNING, "/evidence/web1");
	v = vm(w, "web1");
	assert_vm(w, "web1", VM_RUNNING, 1);
	cr_assert(!resetting(w));
	cr_assert_str_eq(v->guest.evidence, "/evidence/web1");
	cr_assert_eq(v->guest.n_resets, 1);
	cr_assert(!v->guest.answered, "it boots");
	cr_assert_eq(v->epoch, 1, "it is the same run of the same owner");
	cr_assert(journal_has(w, "vm web1", "resetting", "running"));
	world_free(w);
}

Test(guest, an_agent_that_dies_in_a_guest_that_works_resets_nothing)
{
	struct world *w = opted_in();

	beat(w, BEAT_LOST, false);
	tick(w, 600000);
	cr_assert(!resetting(w));
	beat(w, BEAT_OK, false);
	cr_assert(journal_has(w, "vm web1", "heartbeat lost", "heartbeat ok"));
	world_free(w);
}

Test(guest, who_is_not_opted_in_or_has_never_answered_is_left_alone)
{
	struct world *w = opted_in();

	vm_set(w, "web1", "heartbeat_s", "0");
	beat(w, BEAT_LOST, true);
	cr_assert(!resetting(w));
	vm_set(w, "web1", "heartbeat_s", "30");
	cr_assert(resetting(w), "now it is");
	answer(w, HV_OK, RUNNING, "");
	tick(w, 600000);
	beat(w, BEAT_NEVER, false);
	tick(w, 600000);
	cr_assert(!resetting(w));
	beat(w, BEAT_UNKNOWN, false);
	tick(w, 600000);
	cr_assert(!resetting(w));
	world_free(w);
}

Test(guest, what_has_just_been_started_or_moved_is_not_judged)
{
	struct world *w = world_new(3);

	running_vm(w, "web1", 1);
	vm_set(w, "web1", "heartbeat_s", "30");
	beat(w, BEAT_LOST, true);
	tick(w, 119000);
	cr_assert(!resetting(w));
	tick(w, 1000);
	cr_assert(resetting(w));
	is_reset(w, 1);
	beat(w, BEAT_LOST, true);
	tick(w, 118000);
	cr_assert(!resetting(w), "nor what was just reset");
	vm_migrate(w, "web1", "host2");
	all_succeed(w);
	assert_vm(w, "web1", VM_RUNNING, 2);
	cr_assert_eq(vm(w, "web1")->guest.heartbeat, BEAT_UNKNOWN, "host1 said it");
	beat(w, BEAT_LOST, true);
	tick(w, 600000);
	cr_assert(!resetting(w), "host1 has nothing to say of it any more");
	world_free(w);
}

Test(guest, a_host_that_cannot_tell_loses_no_heartbeat)
{
	struct world *w = opted_in();

	health(w, 1, false);
	beat(w, BEAT_LOST, true);
	tick(w, 600000);
	cr_assert(!resetting(w));
	health(w, 1, true);
	cr_assert(resetting(w), "it says so, and can be asked");
	answer(w, HV_REFUSED, RUNNING, "");
	health(w, 1, false);
	cr_assert_eq(vm(w, "web1")->guest.heartbeat, BEAT_UNKNOWN);
	health(w, 1, true);
	tick(w, 600000);
	cr_assert(!resetting(w), "what was said before is over");
	world_free(w);
}

Test(guest, refused_is_not_counted_and_tried_again_later)
{
	struct world *w = opted_in();

	beat(w, BEAT_LOST, true);
	answer(w, HV_REFUSED, RUNNING, "");
	cr_assert_eq(vm(w, "web1")->guest.n_resets, 0);
	cr_assert(!resetting(w));
	cr_assert(journal_has(w, "vm web1", "resetting", "not reset"));
	tick(w, 600000);
	cr_assert(resetting(w));
	world_free(w);
}

Test(guest, three_resets_within_an_hour_then_it_is_left_as_it_is)
{
	struct world *w = opted_in();

	for (unsigned i = 0; i < 3; i++) {
		beat(w, BEAT_LOST, true);
		cr_assert(resetting(w), "reset %u", i + 1);
		is_reset(w, 300);
	}
	beat(w, BEAT_LOST, true);
	cr_assert(!resetting(w));
	cr_assert(vm(w, "web1")->guest.held);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_GUEST_HELD);
	cr_assert(journal_has(w, "vm web1", "running", "not reset"));
	tick(w, 7200000);
	cr_assert(!resetting(w), "also when the hour is over");
	vm_reset(w, "web1");
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	cr_assert(resetting(w));
	is_reset(w, 300);
	cr_assert_eq(op(w, w->op)->state, OP_DONE);
	beat(w, BEAT_LOST, true);
	cr_assert(resetting(w), "it has all its resets again");
	world_free(w);
}

Test(guest, an_hour_later_there_are_resets_again)
{
	struct world *w = opted_in();

	for (unsigned i = 0; i < 5; i++) {
		beat(w, BEAT_LOST, true);
		cr_assert(resetting(w), "reset %u", i + 1);
		is_reset(w, 1201);
	}
	world_free(w);
}

Test(guest, hands_off_means_hands_off)
{
	struct world *w = opted_in();

	vm_lock(w, "web1", "backup");
	beat(w, BEAT_LOST, true);
	cr_assert(!resetting(w));
	vm_lock(w, "web1", "");
	cr_assert(resetting(w));
	is_reset(w, 300);
	vm_set(w, "web1", "managed", "off");
	beat(w, BEAT_LOST, true);
	cr_assert(!resetting(w));
	beat(w, BEAT_OK, false);
	vm_set(w, "web1", "managed", "on");
	disarm(w, false);
	beat(w, BEAT_LOST, true);
	tick(w, 600000);
	cr_assert(!resetting(w));
	arm(w);
	cr_assert(resetting(w));
	world_free(w);
}

Test(guest, a_panic_is_shown_or_reset_as_asked)
{
	struct world *w = opted_in();
	char **lines;
	size_t n;

	observed(w, 1, "web1", PAUSED, HV__CAUSE__CAUSE_CRASHED);
	trouble(w, PANICKED, false);
	assert_vm(w, "web1", VM_PAUSED, 1);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_GUEST_PANICKED);
	cr_assert(!resetting(w));
	lines = brain_explain_vm(w->c, vm(w, "web1"), &n);
	cr_assert(n >= 2 && strstr(lines[1], "guest panicked; left as it is"), "%s", lines[1]);
	for (size_t i = 0; i < n; i++)
		free(lines[i]);
	free(lines);
	vm_set(w, "web1", "guest_panic", "reset");
	cr_assert(resetting(w));
	cr_assert_eq(op_reset_if(vm_op(w, "web1")), RESET_PANICKED);
	answer(w, HV_OK, RUNNING, "/evidence/web1");
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(guest, a_watchdog_that_fired_is_as_a_panic)
{
	struct world *w = opted_in();

	vm_set(w, "web1", "guest_watchdog", "reset");
	observed(w, 1, "web1", PAUSED, HV__CAUSE__CAUSE_WATCHDOG);
	trouble(w, BITTEN, false);
	cr_assert_eq(op_reset_if(vm_op(w, "web1")), RESET_WATCHDOG);
	answer(w, HV_HYPERVISOR, PAUSED, "");
	assert_vm(w, "web1", VM_PAUSED, 1);
	cr_assert(!resetting(w));
	tick(w, 60000);
	cr_assert(resetting(w), "it failed, and is tried again");
	answer(w, HV_HYPERVISOR, ABSENT, "");
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING, "it ended: started afresh");
	world_free(w);
}

Test(guest, no_space_waits_or_goes_on_when_there_is_some)
{
	struct world *w = opted_in();

	observed(w, 1, "web1", PAUSED, HV__CAUSE__CAUSE_IO_ERROR);
	trouble(w, NO_SPACE, false);
	cr_assert_eq(vm(w, "web1")->reason.code, REASON_GUEST_NO_SPACE);
	trouble(w, NO_SPACE, true);
	assert_vm(w, "web1", VM_PAUSED, 1);
	cr_assert(!vm_op(w, "web1"), "its io_error is wait");
	trouble(w, NO_SPACE, false);
	vm_set(w, "web1", "io_error", "resume");
	cr_assert(!vm_op(w, "web1"), "there is no space yet");
	trouble(w, NO_SPACE, true);
	assert_vm(w, "web1", VM_RESUMING, 1);
	result(w, "web1", HV_OK, RUNNING);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(guest, resumed_and_stopped_again_it_goes_on_after_a_pause)
{
	struct world *w = opted_in();

	vm_set(w, "web1", "io_error", "resume");
	observed(w, 1, "web1", PAUSED, HV__CAUSE__CAUSE_IO_ERROR);
	trouble(w, IO_ERROR, true);
	assert_vm(w, "web1", VM_RESUMING, 1);
	result(w, "web1", HV_OK, PAUSED);
	assert_vm(w, "web1", VM_PAUSED, 1);
	trouble(w, IO_ERROR, true);
	assert_vm(w, "web1", VM_PAUSED, 1);
	tick(w, 60000);
	assert_vm(w, "web1", VM_RESUMING, 1);
	world_free(w);
}

Test(guest, a_guest_that_is_to_stop_is_not_reset_and_a_reset_is_called_off_for_it)
{
	struct world *w = opted_in();

	beat(w, BEAT_LOST, true);
	cr_assert(resetting(w));
	vm_stop(w, "web1", false);
	cr_assert(vm_op(w, "web1")->cancel);
	answer(w, HV_CANCELLED, RUNNING, "");
	assert_vm(w, "web1", VM_STOPPING, 1);
	all_succeed(w);
	assert_vm(w, "web1", VM_STOPPED, 0);
	world_free(w);
}

Test(guest, its_host_is_lost_in_the_middle_of_a_reset)
{
	struct world *w = opted_in();

	beat(w, BEAT_LOST, true);
	view(w, "23", "", false);
	assert_vm(w, "web1", VM_RECOVERING, 1);
	fence_result(w, 1, HV_OK);
	cr_assert_eq(vm(w, "web1")->state, VM_STARTING);
	all_succeed(w);
	cr_assert_eq(vm(w, "web1")->state, VM_RUNNING);
	cr_assert(!vm(w, "web1")->guest.answered, "it is a new life");
	world_free(w);
}

Test(guest, reset_by_hand_is_refused_where_there_is_nothing_to_reset)
{
	struct world *w = opted_in();

	vm_reset(w, "web2");
	cr_assert_eq(w->rc, HV_NOT_FOUND);
	vm_pause(w, "web1");
	all_succeed(w);
	vm_reset(w, "web1");
	cr_assert_eq(w->rc, HV_REFUSED);
	vm_resume(w, "web1");
	all_succeed(w);
	vm_reset(w, "web1");
	cr_assert_eq(w->rc, HV_OK);
	answer(w, HV_HYPERVISOR, RUNNING, "");
	cr_assert_eq(op(w, w->op)->state, OP_FAILED, "whoever waits is told");
	vm_stop(w, "web1", true);
	all_succeed(w);
	vm_reset(w, "web1");
	cr_assert_eq(w->rc, HV_REFUSED);
	world_free(w);
}

Test(guest, attributes_take_what_makes_sense)
{
	struct world *w = opted_in();
	static const char *const bad[][2] = {
	    {"heartbeat_s", "5"},	{"heartbeat_s", "-1"},	  {"heartbeat_idle_s", "0"},
	    {"guest_panic", "restart"}, {"guest_watchdog", "on"}, {"io_error", "reset"},
	    {"reset_limit", "0"},	{"reset_limit", "11"},	  {"reset_window_s", "1"}};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		vm_set(w, "web1", bad[i][0], bad[i][1]);
		cr_assert_eq(w->rc, HV_BAD_INPUT, "%s=%s", bad[i][0], bad[i][1]);
	}
	vm_set(w, "web1", "reset_limit", "1");
	cr_assert_eq(w->rc, HV_OK);
	world_free(w);
}

/* ---- guests whose QEMU ends */

static void crash(struct world *w, Hv__Cause cause)
{
	hv_node_id on = vm(w, "web1")->node;

	tick(w, 1000);
	observed(w, on, "web1", ABSENT, cause);
	for (unsigned i = 0; i < 20 && vm(w, "web1")->state == VM_PENDING; i++)
		tick(w, 60000);
	all_succeed(w);
	cr_assert_eq(vm(w, "web1")->state, VM_RUNNING);
}

Test(guest, one_that_crashes_again_and_again_is_tried_elsewhere)
{
	struct world *w = world_new(2);

	running_vm(w, "web1", 1);
	for (unsigned i = 0; i < 3; i++) {
		crash(w, HV__CAUSE__CAUSE_CRASHED);
		assert_vm(w, "web1", VM_RUNNING, 1);
	}
	crash(w, HV__CAUSE__CAUSE_CRASHED);
	assert_vm(w, "web1", VM_RUNNING, 2);
	cr_assert(journal_has(w, "vm web1", "restarted", "started elsewhere"));
	vm_set(w, "web1", "max_relocate", "1");
	for (unsigned i = 0; i < 6; i++)
		crash(w, HV__CAUSE__CAUSE_FAILED);
	assert_vm(w, "web1", VM_RUNNING, 2);
	world_free(w);
}

Test(guest, what_a_guest_or_a_person_ends_says_nothing_of_the_node)
{
	struct world *w = world_new(2);

	running_vm(w, "web1", 1);
	vm_set(w, "web1", "restart_limit", "0");
	for (unsigned i = 0; i < 4; i++)
		crash(w, i % 2 ? HV__CAUSE__CAUSE_GUEST_SHUTDOWN : HV__CAUSE__CAUSE_DESTROYED);
	assert_vm(w, "web1", VM_RUNNING, 1);
	crash(w, HV__CAUSE__CAUSE_CRASHED);
	assert_vm(w, "web1", VM_RUNNING, 2);
	world_free(w);
}

Test(guest, with_no_other_node_it_is_restarted_where_it_is)
{
	struct world *w = world_new(2);

	running_vm(w, "web1", 1);
	node_drain(w, "host2");
	all_succeed(w);
	for (unsigned i = 0; i < 8; i++)
		crash(w, HV__CAUSE__CAUSE_CRASHED);
	assert_vm(w, "web1", VM_RUNNING, 1);
	world_free(w);
}

Test(guest, what_it_did_on_its_former_node_says_nothing_of_this_one)
{
	struct world *w = world_new(2);

	running_vm(w, "web1", 1);
	for (unsigned i = 0; i < 3; i++)
		crash(w, HV__CAUSE__CAUSE_CRASHED);
	vm_migrate(w, "web1", "host2");
	all_succeed(w);
	crash(w, HV__CAUSE__CAUSE_CRASHED);
	assert_vm(w, "web1", VM_RUNNING, 2);
	cr_assert_eq(vm(w, "web1")->crashes_here, 1);
	world_free(w);
}

/* host1 says so; it waits now, in a pause of some seconds. */
static void crashes_for_the_last_time(struct world *w)
{
	for (unsigned i = 0; i < 3; i++)
		crash(w, HV__CAUSE__CAUSE_CRASHED);
	tick(w, 1000);
	observed(w, 1, "web1", ABSENT, HV__CAUSE__CAUSE_CRASHED);
	cr_assert_eq(vm(w, "web1")->state, VM_PENDING);
}

static void says(struct world *w, const char *part)
{
	_cleanup_free_ char *sentence = reason_sentence(&vm(w, "web1")->reason);

	cr_assert(strstr(sentence, part), "%s", sentence);
}

Test(guest, it_is_said_why_one_that_crashes_stays)
{
	struct world *w = world_new(2);

	running_vm(w, "web1", 1);
	rule_add(w, "home", HV__RULE_KIND__RULE_BAN, "web1", "host2", true);
	crashes_for_the_last_time(w);
	says(w, "it ended 4 times in a row on host1, and stays there: rule home: host2");
	cr_assert(journal_has(w, "vm web1", "restarted", "started there again"));
	world_free(w);
	w = world_new(2);
	running_vm(w, "web1", 1);
	vm_set(w, "web1", "max_relocate", "0");
	crashes_for_the_last_time(w);
	says(w, "and stays there: it may be moved 0 times for that (max_relocate)");
	world_free(w);
}

Test(guest, the_other_node_may_be_gone_when_its_pause_is_over)
{
	struct world *w = world_new(2);

	running_vm(w, "web1", 1);
	crashes_for_the_last_time(w);
	node_drain(w, "host2");
	for (unsigned i = 0; i < 20 && vm(w, "web1")->state == VM_PENDING; i++)
		tick(w, 1000);
	assert_vm(w, "web1", VM_STARTING, 1);
	world_free(w);
}

/* ---- resets that the guest's own devices do */

/* host1 has seen so many, since it runs there. */
static void own(struct world *w, uint32_t resets)
{
	Hv__GuestSeen g = HV__GUEST_SEEN__INIT;

	g.own_resets = resets;
	g.heartbeat = BEAT_NEVER;
	seen(w, 1, "web1", g);
}

static unsigned own_resets_told(struct world *w)
{
	unsigned count = 0;

	for (uint64_t id = cluster_journal_first(w->c); id < cluster_journal_next(w->c); id++)
		count += strcmp(cluster_journal(w->c, id)->to, "reset by itself") == 0;
	return count;
}

Test(guest, a_reset_by_its_own_device_is_told_once)
{
	struct world *w = opted_in();

	own(w, 1);
	cr_assert_eq(own_resets_told(w), 1);
	vm_pause(w, "web1");
	all_succeed(w);
	vm_resume(w, "web1");
	all_succeed(w);
	own(w, 1);
	cr_assert_eq(own_resets_told(w), 1, "that was told before it was paused");
	own(w, 2);
	cr_assert_eq(own_resets_told(w), 2);
	beat(w, BEAT_OK, false);
	cr_assert_eq(vm(w, "web1")->guest.own_resets, 0, "a new hypervisord counts anew");
	world_free(w);
}

Test(guest, what_its_own_devices_do_takes_nothing_from_its_limit)
{
	struct world *w = opted_in();

	for (uint32_t i = 1; i <= 5; i++)
		own(w, i);
	cr_assert_eq(vm(w, "web1")->guest.n_resets, 0);
	tick(w, 200000);
	beat(w, BEAT_OK, false);
	beat(w, BEAT_LOST, true);
	cr_assert(resetting(w));
	world_free(w);
}
