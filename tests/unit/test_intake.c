/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/intake.h"
#include "tests/unit/small_cluster.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define UUID "11111111-2222-3333-4444-555555555555"
#define STRANGE "99999999-2222-3333-4444-555555555555"

/* Takes proposals down; they stay in flight until the test says otherwise. */
struct notes {
	unsigned reports, observed, healths;
	bool inventory_known, health_ok;
	size_t domains;
	Hv__Observed last;
	Hv__Cause cause;
	bool in_flight;
	unsigned guests;
	Hv__GuestHeartbeat beat;
	bool idle;
	char hook[64];
};

static uint64_t note(void *user, const Hv__Event *ev)
{
	struct notes *n = user;
	const char *why = "";
	Hv__Event stamped = *ev;

	stamped.proposer = 1;
	stamped.at_us = 1;
	cr_assert(event_valid(&stamped, &why), "%s", why);
	if (ev->body_case == HV__EVENT__BODY_NODE_REPORT) {
		n->reports++;
		n->inventory_known = ev->node_report->inventory_known;
		n->domains = ev->node_report->n_domains;
	} else if (ev->body_case == HV__EVENT__BODY_VM_OBSERVED) {
		n->observed++;
		n->last = ev->vm_observed->domain->observed;
		n->cause = ev->vm_observed->domain->cause;
	} else if (ev->body_case == HV__EVENT__BODY_GUEST_HEALTH) {
		n->guests++;
		n->beat = ev->guest_health->guest->heartbeat;
		n->idle = ev->guest_health->guest->idle;
	} else if (ev->body_case == HV__EVENT__BODY_HOST_HEALTH) {
		n->healths++;
		n->health_ok = ev->host_health->hypervisor_ok;
		if (ev->host_health->setup)
			snprintf(n->hook, sizeof(n->hook), "%s", ev->host_health->setup->hook);
		cr_assert_null(strchr(ev->host_health->text, '\n'), "an event holds one line");
	}
	return 1;
}

static bool still_in_flight(void *user, uint64_t mark)
{
	struct notes *n = user;

	return n->in_flight;
}

static void intake_drop(struct intake **in)
{
	intake_free(*in);
}
#define _cleanup_intake_ _cleanup_(intake_drop)

static struct intake *intake_on_host1(struct notes *n)
{
	static const struct intake_ops ops = {note, still_in_flight};
	struct intake *in = intake_new("boot", &ops, n);

	intake_set_self(in, 1, SMALL_INCARNATION);
	return in;
}

static void healthy(struct intake *in, bool ok, uint64_t now_us)
{
	Hv__HvHealth h = HV__HV_HEALTH__INIT;

	h.libvirt_ok = ok;
	h.text = ok ? "fine" : "libvirt does\nnot answer";
	h.mem_mib = 8192;
	h.cpus = 4;
	intake_health(in, &h, now_us);
}

/* A complete list of what runs here: nothing, or one domain. */
static void inventory(struct intake *in, const char *uuid, Hv__Observed observed)
{
	Hv__HvInventory inv = HV__HV_INVENTORY__INIT;
	Hv__DomainSeen d = HV__DOMAIN_SEEN__INIT, *list = &d;

	d.uuid = (char *)uuid;
	d.name = "vm";
	d.observed = observed;
	inv.complete = true;
	inv.domains = &list;
	inv.n_domains = uuid ? 1 : 0;
	intake_inventory(in, &inv);
}

static void event(struct intake *in, const char *uuid, Hv__Observed observed, Hv__Cause cause)
{
	Hv__DomainSeen d = HV__DOMAIN_SEEN__INIT;

	d.uuid = (char *)uuid;
	d.observed = observed;
	d.cause = cause;
	intake_domain(in, &d);
}

/* Host1 runs a VM, and intake has seen it. */
static struct small running(struct intake *in)
{
	struct small s = small_online();
	const struct vm *vm = small_vm_add(&s, "web1", UUID, true);

	cr_assert_eq(vm->state, VM_STARTING);
	cr_assert_eq(vm->node, 1, "of equal hosts the lowest id is chosen");
	small_vm_runs(&s, "web1");
	cr_assert_eq(cluster_vm_by_name(s.c, "web1")->state, VM_RUNNING);
	healthy(in, true, 1);
	inventory(in, UUID, HV__OBSERVED__OBSERVED_RUNNING);
	intake_reconcile(in, s.c, 1);
	return s;
}

Test(intake, a_joining_node_reports_once_its_inventory_is_known)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = small_new();

	intake_reconcile(in, s.c, 1000);
	cr_assert_eq(n.reports, 0);
	healthy(in, true, 1000);
	inventory(in, STRANGE, HV__OBSERVED__OBSERVED_RUNNING);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.reports, 1);
	cr_assert(n.inventory_known);
	cr_assert_eq(n.domains, 1, "also what is not ours");
	n.in_flight = true;
	intake_reconcile(in, s.c, 3000);
	cr_assert_eq(n.reports, 1, "one is in flight");
}

Test(intake, a_host_with_more_domains_than_an_event_holds_reports_the_clusters_own)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = small_new();
	Hv__HvInventory inv = HV__HV_INVENTORY__INIT;
	static Hv__DomainSeen d[5000], *list[5000];
	static char uuid[5000][HV_UUID_LEN + 1];

	small_vm_add(&s, "web1", UUID, false);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(uuid[i], sizeof(uuid[i]), "00000000-0000-0000-0000-%012u", i);
		hv__domain_seen__init(&d[i]);
		d[i].uuid = i ? uuid[i] : UUID;
		d[i].observed = HV__OBSERVED__OBSERVED_RUNNING;
		list[i] = &d[i];
	}
	inv.complete = true;
	inv.domains = list;
	inv.n_domains = 5000;
	healthy(in, true, 1000);
	intake_inventory(in, &inv);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.reports, 1);
	cr_assert_eq(n.domains, 1);
}

Test(intake, it_reports_without_an_inventory_when_that_takes_too_long)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = small_new();

	intake_reconcile(in, s.c, 1000);
	cr_assert_eq(intake_next_us(in), 1000 + INTAKE_PATIENCE_US);
	intake_reconcile(in, s.c, 1000 + INTAKE_PATIENCE_US);
	cr_assert_eq(n.reports, 1);
	cr_assert_not(n.inventory_known);
}

Test(intake, nothing_is_said_about_a_join_of_an_earlier_process)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = small_new();

	intake_set_self(in, 1, SMALL_INCARNATION + 1);
	healthy(in, true, 1);
	inventory(in, NULL, 0);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.reports, 0);
}

Test(intake, what_is_as_believed_is_not_mentioned)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = running(in);

	cr_assert_eq(n.observed, 0);
}

/* Moved while it was paused: the copy at its new node has arrived and has never run. */
Test(intake, a_paused_vm_may_be_a_copy_that_has_only_arrived)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = running(in);
	Hv__Event ev = HV__EVENT__INIT;
	Hv__VmObserved seen = HV__VM_OBSERVED__INIT;
	Hv__DomainSeen d = HV__DOMAIN_SEEN__INIT;

	d.uuid = UUID;
	d.observed = HV__OBSERVED__OBSERVED_PAUSED;
	seen.node = 1;
	seen.domain = &d;
	ev.body_case = HV__EVENT__BODY_VM_OBSERVED;
	ev.vm_observed = &seen;
	small_step(&s, &ev);
	cr_assert_eq(cluster_vm(s.c, UUID)->state, VM_PAUSED);
	event(in, UUID, HV__OBSERVED__OBSERVED_INCOMING, HV__CAUSE__CAUSE_MIGRATED);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.observed, 0);
}

Test(intake, a_crash_is_told_with_its_cause)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = running(in);

	event(in, UUID, HV__OBSERVED__OBSERVED_ABSENT, HV__CAUSE__CAUSE_CRASHED);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.observed, 1);
	cr_assert_eq(n.last, HV__OBSERVED__OBSERVED_ABSENT);
	cr_assert_eq(n.cause, HV__CAUSE__CAUSE_CRASHED);
}

Test(intake, a_vm_that_is_missing_from_a_complete_inventory_is_absent)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = running(in);

	inventory(in, NULL, 0);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.observed, 1);
	cr_assert_eq(n.last, HV__OBSERVED__OBSERVED_ABSENT);
}

Test(intake, an_incomplete_inventory_says_nothing_about_anybody)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = running(in);
	Hv__HvInventory inv = HV__HV_INVENTORY__INIT;

	intake_inventory(in, &inv);
	intake_state_changed(in, 2000, true);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.observed, 0);
}

Test(intake, the_same_difference_is_repeated_only_after_a_while)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = running(in);

	event(in, UUID, HV__OBSERVED__OBSERVED_PAUSED, HV__CAUSE__CAUSE_IO_ERROR);
	intake_reconcile(in, s.c, 2000);
	intake_state_changed(in, 2000, true);
	intake_reconcile(in, s.c, 3000);
	cr_assert_eq(n.observed, 1);
	cr_assert_eq(intake_next_us(in), 2000 + INTAKE_REPEAT_US);
	intake_reconcile(in, s.c, 2000 + INTAKE_REPEAT_US);
	cr_assert_eq(n.observed, 2);
}

Test(intake, while_an_operation_runs_here_its_executor_speaks_for_the_vm)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = small_online();
	const struct vm *vm = small_vm_add(&s, "web1", UUID, true);

	cr_assert_eq(vm->node, 1, "of equal hosts the lowest id is chosen");
	healthy(in, true, 1);
	inventory(in, UUID, HV__OBSERVED__OBSERVED_PAUSED);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.observed, 0);
}

Test(intake, a_copy_that_does_not_belong_here_is_told)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = small_online();

	small_vm_add(&s, "web1", UUID, false);
	healthy(in, true, 1);
	inventory(in, UUID, HV__OBSERVED__OBSERVED_RUNNING);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.observed, 1);
	cr_assert_eq(n.last, HV__OBSERVED__OBSERVED_RUNNING);
}

Test(intake, bad_health_is_told_when_it_lasts_and_good_health_at_once)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = running(in);
	unsigned before = n.healths;

	healthy(in, false, 1000);
	intake_reconcile(in, s.c, 1000);
	cr_assert_eq(n.healths, before);
	cr_assert_eq(intake_next_us(in), 1000 + INTAKE_DEBOUNCE_US);
	intake_reconcile(in, s.c, 1000 + INTAKE_DEBOUNCE_US);
	cr_assert_eq(n.healths, before + 1);
	cr_assert_not(n.health_ok);
}

Test(intake, an_inventory_that_is_older_than_a_start_does_not_make_it_absent)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = small_new();

	healthy(in, true, 1000);
	intake_starting(in, UUID);
	inventory(in, NULL, 0);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.reports, 1);
	cr_assert_eq(n.domains, 1, "as unknown");
	inventory(in, NULL, 0);
	intake_reconcile(in, s.c, 3000);
	cr_assert_eq(n.domains, 0, "the next one counts");
}

/* note() looks at each proposal: one that no node would take is never made. */
Test(intake, what_hypervisord_says_is_made_fit_for_an_event)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = running(in);
	Hv__HvHealth h = HV__HV_HEALTH__INIT;

	h.text = (char *)"libvirt says:\n\tno\x7f\n";
	h.mem_mib = UINT64_MAX;
	h.cpus = UINT32_MAX;
	intake_health(in, &h, 1000);
	intake_reconcile(in, s.c, 1000 + INTAKE_DEBOUNCE_US);
	cr_assert_eq(n.healths, 1);
	cr_assert_not(n.health_ok);
	inventory(in, UUID, (Hv__Observed)77);
	intake_reconcile(in, s.c, 2000 + INTAKE_DEBOUNCE_US);
	cr_assert_eq(n.last, HV__OBSERVED__OBSERVED_UNKNOWN);
}

/* ---- guests */

static void guest(struct intake *in, Hv__GuestHeartbeat beat, bool idle)
{
	Hv__GuestSeen g = HV__GUEST_SEEN__INIT;

	g.uuid = UUID;
	g.heartbeat = beat;
	g.idle = idle;
	g.text = "two\nlines";
	intake_guest(in, &g);
}

/* The state learns what was proposed last. */
static void learn(struct small *s, const struct notes *n)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__GuestHealth body = HV__GUEST_HEALTH__INIT;
	Hv__GuestSeen g = HV__GUEST_SEEN__INIT;

	g.uuid = UUID;
	g.heartbeat = n->beat;
	g.idle = n->idle;
	g.text = "two lines";
	body.node = 1;
	body.guest = &g;
	ev.body_case = HV__EVENT__BODY_GUEST_HEALTH;
	ev.guest_health = &body;
	small_step(s, &ev);
}

Test(intake, what_a_guest_does_is_told_when_it_changes)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = running(in);

	cr_assert_eq(n.guests, 0);
	guest(in, HV__GUEST_HEARTBEAT__HEARTBEAT_OK, true);
	intake_reconcile(in, s.c, 1000);
	cr_assert_eq(n.guests, 1);
	cr_assert_eq(n.beat, HV__GUEST_HEARTBEAT__HEARTBEAT_OK);
	cr_assert(!n.idle, "idle is said of silent ones only");
	learn(&s, &n);
	intake_state_changed(in, 2000, true);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.guests, 1, "it is known");
	guest(in, HV__GUEST_HEARTBEAT__HEARTBEAT_LOST, true);
	n.in_flight = true;
	intake_reconcile(in, s.c, 3000);
	cr_assert_eq(n.guests, 1, "one is on its way");
	n.in_flight = false;
	intake_state_changed(in, 3000, true);
	intake_reconcile(in, s.c, 3000);
	cr_assert_eq(n.guests, 2);
	cr_assert(n.idle);
	learn(&s, &n);
	intake_guest_reset(in, UUID);
	intake_state_changed(in, 4000, true);
	intake_reconcile(in, s.c, 4000);
	cr_assert_eq(n.guests, 3, "bad news are taken back at once");
	cr_assert_eq(n.beat, HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN);
}

Test(intake, a_guest_that_was_well_may_be_unknown_for_a_while)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = running(in);

	guest(in, HV__GUEST_HEARTBEAT__HEARTBEAT_OK, false);
	intake_reconcile(in, s.c, 1000);
	learn(&s, &n);
	intake_hypervisor_gone(in, "restarted", 2000);
	intake_state_changed(in, 2000, true);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.guests, 1, "nobody can tell");
	healthy(in, true, 3000);
	inventory(in, UUID, HV__OBSERVED__OBSERVED_RUNNING);
	intake_reconcile(in, s.c, 3000);
	cr_assert_eq(n.guests, 1, "hypervisord asks it again in a moment");
	cr_assert(intake_next_us(in), "and if it does not, that is told");
	intake_state_changed(in, 3000 + 11 * HV_US_PER_S, true);
	intake_reconcile(in, s.c, 3000 + 11 * HV_US_PER_S);
	cr_assert_eq(n.guests, 2);
	cr_assert_eq(n.beat, HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN);
}

Test(intake, what_is_wrong_with_the_host_is_proposed_once)
{
	struct notes n = {0};
	_cleanup_intake_ struct intake *in = intake_on_host1(&n);
	_cleanup_small_ struct small s = running(in);
	Hv__HostSetup said = HV__HOST_SETUP__INIT;
	unsigned before = n.healths;

	said.hook = "not\ninstalled";
	said.disk_lock = "lockd";
	intake_setup(in, &said);
	intake_reconcile(in, s.c, 2000);
	cr_assert_eq(n.healths, before + 1);
	cr_assert_str_eq(n.hook, "not installed");
}
