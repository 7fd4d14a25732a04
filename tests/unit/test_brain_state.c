/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state as a thing: snapshots, digests, dumps, bounds, malformed events, the machines' tables.
 */
#include "tests/unit/brain_world.h"

#include "proto/snapshot.pb-c.h"
#include "resource/node_machine.h"
#include "resource/vm_machine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* A state with something of everything in it. */
static struct world *rich_world(void)
{
	struct world *w = world_new(4);

	set(w, "migrate_parallel", "3");
	fence_add(w, "host4", "pdu", 2);
	running_vm(w, "a", 1);
	running_vm(w, "b", 2);
	running_vm(w, "c", 4);
	running_vm(w, "d", 1);
	vm_migrate(w, "a", "host2");
	vm_pause(w, "d");
	vm_add(w, "big1", 8100, 3, true);
	vm_add(w, "big2", 8100, -3, true);
	result(w, "big1", HV_HYPERVISOR, ABSENT);
	node_drain(w, "host2");
	view(w, "123", "", false);
	return w;
}

Test(brain_state, a_snapshot_comes_back_with_the_same_digest_and_dump)
{
	struct world *w = rich_world();
	const char *why = NULL;
	size_t len, len2;
	uint8_t *bytes = brain_encode(w->c, &len);
	struct cluster *c = brain_decode(bytes, len, &why);
	uint8_t *again;
	char *one = brain_dump(w->c), *two;

	cr_assert(c, "%s", why);
	cr_assert_eq(cluster_digest(c), cluster_digest(w->c));
	two = brain_dump(c);
	cr_assert_str_eq(one, two);
	again = brain_encode(c, &len2);
	cr_assert_eq(len, len2);
	cr_assert_arr_eq(bytes, again, len);
	free(again);
	free(one);
	free(two);
	free(bytes);
	cluster_free(c);
	world_free(w);
}

Test(brain_state, a_damaged_snapshot_is_refused_wherever_it_is_damaged)
{
	struct world *w = rich_world();
	const char *why = NULL;
	size_t len, taken = 0;
	uint8_t *bytes = brain_encode(w->c, &len);

	for (size_t i = 0; i < len; i += 1 + len / 3000) {
		struct cluster *c;

		bytes[i] ^= 0x11;
		c = brain_decode(bytes, len, &why);
		if (c)
			taken++;
		else
			cr_assert(why && *why);
		cluster_free(c);
		bytes[i] ^= 0x11;
	}
	/* What is left: bits that mean nothing, such as an unknown field's number or an empty
	 * text's. */
	cr_assert_lt(taken, 30, "%zu damaged snapshots were taken", taken);
	for (size_t cut = 1; cut < len; cut += 97) {
		struct cluster *c = brain_decode(bytes, len - cut, &why);

		cr_assert_null(c, "cut short by %zu", cut);
	}
	free(bytes);
	world_free(w);
}

/* Found by tests/fuzz: no VM could be said to wait for it, and the brain never ended it. */
Test(brain_state, an_operation_without_an_id_is_no_operation)
{
	struct world *w = rich_world();
	const char *why = NULL;
	size_t len;
	uint8_t *bytes = brain_encode(w->c, &len);
	Hv__Snapshot *m = hv__snapshot__unpack(NULL, len, bytes);

	cr_assert(m && m->n_ops > 0);
	m->ops[0]->id = 0;
	len = hv__snapshot__pack(m, bytes);
	cr_assert_null(brain_decode_stripped(bytes, len, &why));
	cr_assert(strstr(why, "without id"), "%s", why);
	hv__snapshot__free_unpacked(m, NULL);
	free(bytes);
	world_free(w);
}

Test(brain_state, the_same_events_give_the_same_dump)
{
	struct world *one = rich_world(), *two = rich_world();
	char *a = brain_dump(one->c), *b = brain_dump(two->c);

	cr_assert_str_eq(a, b);
	cr_assert_eq(cluster_digest(one->c), cluster_digest(two->c));
	free(a);
	free(b);
	world_free(one);
	world_free(two);
}

Test(brain_state, an_idle_cluster_has_no_deadline)
{
	struct world *w = world_new(3);

	running_vm(w, "a", 1);
	cr_assert_eq(brain_next_deadline_us(w->c), 0);
	world_free(w);
}

static void skipped(struct world *w, Hv__Event *ev)
{
	uint64_t lines = cluster_journal_next(w->c);
	const char *why = NULL;

	cr_assert(!event_valid(ev, &why) && why && *why);
	step(w, ev, 1);
	cr_assert_eq(cluster_journal_next(w->c), lines + 1);
	cr_assert_str_eq(cluster_journal(w->c, lines)->to, "skipped");
}

Test(brain_state, malformed_events_are_skipped_with_a_line)
{
	struct world *w = world_new(2);
	Hv__Event ev = HV__EVENT__INIT;
	Hv__View v = HV__VIEW__INIT;
	Hv__OpResult r = HV__OP_RESULT__INIT;
	Hv__VmObserved o = HV__VM_OBSERVED__INIT;
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmAdd add = HV__VM_ADD__INIT;

	w->twin = false;
	ev.proposer = 1;
	skipped(w, &ev);
	ev.body_case = HV__EVENT__BODY_VIEW;
	ev.view = &v;
	skipped(w, &ev);
	ev.body_case = HV__EVENT__BODY_OP_RESULT;
	ev.op_result = &r;
	skipped(w, &ev);
	r = (Hv__OpResult)HV__OP_RESULT__INIT;
	r.op = r.attempt = r.node = 1;
	r.rc = 4711;
	skipped(w, &ev);
	ev.body_case = HV__EVENT__BODY_VM_OBSERVED;
	ev.vm_observed = &o;
	o.node = 1;
	skipped(w, &ev); /* no domain */
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = &cmd;
	skipped(w, &ev);
	cmd.body_case = HV__COMMAND__BODY_VM_ADD;
	cmd.vm_add = &add;
	skipped(w, &ev);
	cmd.actor = (char *)"root\nof all evil";
	skipped(w, &ev);
	world_free(w);
}

Test(brain_state, the_journal_and_ended_operations_are_bounded)
{
	struct world *w = world_new(1);
	unsigned ended = 0;

	w->twin = false;
	running_vm(w, "a", 1);
	for (unsigned i = 0; i < 400; i++) {
		vm_stop(w, "a", true);
		result(w, "a", HV_OK, ABSENT);
		vm_start(w, "a", "");
		result(w, "a", HV_OK, RUNNING);
	}
	cr_assert_eq(cluster_journal_next(w->c) - cluster_journal_first(w->c), HV_MAX_JOURNAL);
	cr_assert_null(cluster_journal(w->c, cluster_journal_first(w->c) - 1));
	for (size_t i = 0; i < cluster_op_count(w->c); i++)
		ended += cluster_op_at(w->c, i)->state != OP_RUNNING;
	cr_assert_eq(ended, HV_MAX_ENDED_OPS);
	cr_assert(cluster_op(w->c, w->op), "the latest can still be asked for");
	world_free(w);
}

Test(brain_state, failover_reports_are_bounded)
{
	struct world *w = world_new(3);

	w->twin = false;
	running_vm(w, "a", 3);
	for (unsigned i = 0; i < HV_MAX_FAILOVERS + 4; i++) {
		view(w, "12", "", false);
		w->incarnation[3]++;
		w->seq[3] = 0;
		view(w, "123", "", false);
		report(w, 3, "a=running");
	}
	cr_assert_eq(cluster_failover_count(w->c), HV_MAX_FAILOVERS);
	cr_assert_eq(cluster_failover_at(w->c, 0)->id, 5);
	world_free(w);
}

Test(brain_state, lists_are_in_order_and_found_by_name_uuid_and_page)
{
	struct world *w = world_new(1);
	static const char *const names[] = {"m", "a", "z", "k", "B", "0"};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		vm_add(w, names[i], 100, 0, false);
	for (size_t i = 1; i < cluster_vm_count(w->c); i++)
		cr_assert_lt(strcmp(cluster_vm_at(w->c, i - 1)->name, cluster_vm_at(w->c, i)->name),
			     0);
	cr_assert_str_eq(cluster_vm(w->c, uuid_of("k"))->name, "k");
	cr_assert_null(cluster_vm(w->c, uuid_of("nosuch")));
	cr_assert_str_eq(cluster_vm_at(w->c, cluster_vm_lower_bound(w->c, "a"))->name, "k");
	cr_assert_str_eq(cluster_vm_at(w->c, cluster_vm_lower_bound(w->c, "b"))->name, "k");
	cr_assert_eq(cluster_vm_lower_bound(w->c, "z"), cluster_vm_count(w->c));
	world_free(w);
}

Test(brain_state, every_state_has_its_words_and_can_be_left)
{
	for (unsigned s = 0; s <= VM_BLOCKED; s++) {
		bool out = false;

		cr_assert_gt(strlen(vm_state_meaning(s)), 10);
		for (unsigned t = 0; t <= VM_BLOCKED; t++)
			out |= t != s && vm_move_allowed(s, t);
		cr_assert(out, "%s is sticky", vm_state_name(s));
		cr_assert(!vm_move_allowed(s, s));
	}
	for (unsigned s = 0; s <= NODE_FENCING; s++) {
		bool out = false;

		cr_assert_gt(strlen(node_state_meaning(s)), 10);
		for (unsigned t = 0; t <= NODE_FENCING; t++)
			out |= t != s && node_move_allowed(s, t);
		cr_assert(out, "%s is sticky", node_state_name(s));
	}
	cr_assert(!vm_move_allowed(VM_STOPPED, VM_STARTING), "nothing starts unplaced");
	cr_assert(!vm_move_allowed(VM_RECOVERING, VM_STARTING), "nothing starts unproven");
	cr_assert(!node_move_allowed(NODE_LOST, NODE_ONLINE),
		  "nobody is online before it has reported");
}

Test(brain_state, reasons_are_sentences)
{
	struct reason r = {0};
	char *s;

	reason_set(&r, REASON_START_FAILED, "host1", "no such disk", 0, 1);
	s = reason_sentence(&r);
	cr_assert_str_eq(s, "its start on host1 failed: no such disk");
	free(s);
	reason_set(&r, REASON_START_FAILED, r.subject, NULL, 0, 1); /* from itself */
	s = reason_sentence(&r);
	cr_assert_str_eq(s, "its start on host1 failed");
	free(s);
	reason_set(&r, REASON_BACKOFF, NULL, "busy", 1500, 1);
	s = reason_sentence(&r);
	cr_assert_str_eq(s, "tried again after a pause of 1500 ms: busy");
	free(s);
	reason_clear(&r);
	s = reason_sentence(&r);
	cr_assert_str_eq(s, "");
	free(s);
}

Test(brain_state, a_cold_start_waits_for_slow_hosts_before_it_fences_them)
{
	struct world *w = world_new(3);

	running_vm(w, "a", 3);
	for (hv_node_id id = 1; id <= 3; id++)
		w->incarnation[id]++, w->seq[id] = 0;
	view(w, "12", "", false);
	assert_node(w, 3, NODE_LOST);
	report(w, 1, "");
	report(w, 2, "");
	assert_vm(w, "a", VM_RECOVERING, 3);
	cr_assert_eq(running_count(w, OP_FENCE), 0);

	view(w, "123", "", false);
	report(w, 3, "");
	cr_assert_eq(vm(w, "a")->state, VM_STARTING, "its own report proves that it runs nothing");
	world_free(w);
}

Test(brain_state, after_that_time_a_missing_host_is_fenced)
{
	struct world *w = world_new(3);

	running_vm(w, "a", 3);
	w->incarnation[1]++, w->incarnation[2]++;
	w->seq[1] = w->seq[2] = 0;
	view(w, "12", "", false);
	report(w, 1, "");
	report(w, 2, "");
	tick(w, 20001);
	assert_node(w, 3, NODE_FENCING);
	world_free(w);
}
