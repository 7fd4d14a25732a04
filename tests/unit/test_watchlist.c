/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/watchlist.h"

#include "tests/unit/small_cluster.h"

#include <criterion/criterion.h>

#define VM_A "00000000-0000-4000-8000-00000000000a"
#define VM_B "00000000-0000-4000-8000-00000000000b"

static struct {
	unsigned managed, incoming; /* messages */
	size_t n_managed, n_incoming;
	unsigned guests;
	size_t n_guests;
	uint32_t heartbeat_s;
	char first_managed[64], first_incoming[64];
} got;

static void take(void *user, const Hv__HvRequest *r)
{
	if (r->body_case == HV__HV_REQUEST__BODY_MANAGED) {
		got.managed++;
		got.n_managed = r->managed->n_uuids;
		if (got.n_managed)
			strcpy(got.first_managed, r->managed->uuids[0]);
	} else if (r->body_case == HV__HV_REQUEST__BODY_INCOMING) {
		got.incoming++;
		got.n_incoming = r->incoming->n_uuids;
		if (got.n_incoming)
			strcpy(got.first_incoming, r->incoming->uuids[0]);
	} else if (r->body_case == HV__HV_REQUEST__BODY_GUESTS) {
		got.guests++;
		got.n_guests = r->guests->n_guests;
		if (got.n_guests)
			got.heartbeat_s = r->guests->guests[0]->heartbeat_s;
	}
}

static const struct watchlist_ops ops = {take};

static void watchlist_drop(struct watchlist **w)
{
	watchlist_free(*w);
}
#define _cleanup_watchlist_ _cleanup_(watchlist_drop)

static void migrate(struct small *s, const char *name, const char *node)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmMigrate m = HV__VM_MIGRATE__INIT;

	m.name = (char *)name;
	m.node = (char *)node;
	cmd.body_case = HV__COMMAND__BODY_VM_MIGRATE;
	cmd.vm_migrate = &m;
	small_command(s, &cmd);
}

Test(watchlist, all_is_said_at_first_then_only_what_changes)
{
	_cleanup_small_ struct small s = small_online();
	_cleanup_watchlist_ struct watchlist *w = watchlist_new(&ops, NULL);
	uint64_t now = 1000000, again;

	small_vm_add(&s, "a", VM_A, true);
	again = watchlist_reconcile(w, s.c, 1, now);
	cr_assert_eq(got.managed, 1);
	cr_assert_eq(got.n_managed, 1);
	cr_assert_str_eq(got.first_managed, VM_A);
	cr_assert_eq(got.n_incoming, 0);
	cr_assert_eq(again, 0);
	small_vm_runs(&s, "a");
	again = watchlist_reconcile(w, s.c, 1, now);
	cr_assert_eq(again, now + WATCHLIST_GATHER_US);
	watchlist_reconcile(w, s.c, 1, again);
	cr_assert_eq(got.managed, 1, "the list is the same");
	small_vm_add(&s, "b", VM_B, false);
	again = watchlist_reconcile(w, s.c, 1, again);
	cr_assert_eq(got.managed, 1);
	watchlist_reconcile(w, s.c, 1, again);
	cr_assert_eq(got.managed, 2);
	cr_assert_eq(got.n_managed, 2);
}

Test(watchlist, a_new_hypervisord_is_told_all)
{
	_cleanup_small_ struct small s = small_online();
	_cleanup_watchlist_ struct watchlist *w = watchlist_new(&ops, NULL);

	small_vm_add(&s, "a", VM_A, true);
	watchlist_reconcile(w, s.c, 1, 1);
	watchlist_forget(w);
	watchlist_reconcile(w, s.c, 1, 2);
	cr_assert_eq(got.managed, 2);
	cr_assert_eq(got.incoming, 2);
}

Test(watchlist, the_target_of_a_migration_hears_at_once_and_again_while_it_lasts)
{
	_cleanup_small_ struct small s = small_online();
	_cleanup_watchlist_ struct watchlist *w = watchlist_new(&ops, NULL);
	uint64_t now = 1000000, again;
	hv_node_id node, other;

	small_vm_add(&s, "a", VM_A, true);
	small_vm_runs(&s, "a");
	node = cluster_vm_by_name(s.c, "a")->node;
	other = 3 - node;
	watchlist_reconcile(w, s.c, other, now);
	got.incoming = 0;
	migrate(&s, "a", other == 1 ? "host1" : "host2");
	watchlist_reconcile(w, s.c, other, now);
	cr_assert_eq(got.incoming, 1);
	cr_assert_eq(got.n_incoming, 1);
	cr_assert_str_eq(got.first_incoming, VM_A);
	again = watchlist_reconcile(w, s.c, other, now + WATCHLIST_GATHER_US);
	cr_assert_eq(again, now + WATCHLIST_RENEW_US);
	watchlist_reconcile(w, s.c, other, again);
	cr_assert_eq(got.incoming, 2);
}

Test(watchlist, the_source_expects_nothing)
{
	_cleanup_small_ struct small s = small_online();
	_cleanup_watchlist_ struct watchlist *w = watchlist_new(&ops, NULL);
	hv_node_id node;

	small_vm_add(&s, "a", VM_A, true);
	small_vm_runs(&s, "a");
	node = cluster_vm_by_name(s.c, "a")->node;
	migrate(&s, "a", node == 2 ? "host1" : "host2");
	watchlist_reconcile(w, s.c, node, 1);
	cr_assert_eq(got.incoming, 1);
	cr_assert_eq(got.n_incoming, 0);
}

Test(watchlist, what_is_in_others_hands_is_not_refused_to_them)
{
	_cleanup_small_ struct small s = small_online();
	_cleanup_watchlist_ struct watchlist *w = watchlist_new(&ops, NULL);
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__Arm arm = HV__ARM__INIT;

	small_vm_add(&s, "a", VM_A, true);
	arm.disarm = arm.ignore = true;
	cmd.body_case = HV__COMMAND__BODY_ARM;
	cmd.arm = &arm;
	small_command(&s, &cmd);
	watchlist_reconcile(w, s.c, 1, 1);
	cr_assert_eq(got.managed, 1);
	cr_assert_eq(got.n_managed, 0);
}

static void set(struct small *s, const char *name, const char *key, const char *value)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmSet m = HV__VM_SET__INIT;
	Hv__KeyValue kv = HV__KEY_VALUE__INIT, *list[] = {&kv};

	kv.key = (char *)key;
	kv.value = (char *)value;
	m.name = (char *)name;
	m.attributes = list;
	m.n_attributes = 1;
	cmd.body_case = HV__COMMAND__BODY_VM_SET;
	cmd.vm_set = &m;
	small_command(s, &cmd);
}

Test(watchlist, guests_that_are_to_be_asked_are_those_of_this_host_that_are_opted_in)
{
	_cleanup_small_ struct small s = small_online();
	_cleanup_watchlist_ struct watchlist *w = watchlist_new(&ops, NULL);
	uint64_t now = 1000000;

	small_vm_add(&s, "a", VM_A, true);
	small_vm_runs(&s, "a");
	watchlist_reconcile(w, s.c, 1, now);
	cr_assert_eq(got.guests, 1);
	cr_assert_eq(got.n_guests, 0);
	set(&s, "a", "heartbeat_s", "30");
	watchlist_reconcile(w, s.c, 1, watchlist_reconcile(w, s.c, 1, now));
	cr_assert_eq(got.guests, 2);
	cr_assert_eq(got.n_guests, 1);
	cr_assert_eq(got.heartbeat_s, 30);
	watchlist_forget(w);
	watchlist_reconcile(w, s.c, 2, 2 * now);
	cr_assert_eq(got.n_guests, 0, "on another host it is another's");
	watchlist_forget(w);
	set(&s, "a", "managed", "off");
	watchlist_reconcile(w, s.c, 1, 3 * now);
	cr_assert_eq(got.n_guests, 0, "nor one that is not managed");
}
