/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/intake.h"

#include "clusterd/domain_mirror.h"
#include "clusterd/guest_mirror.h"
#include "clusterd/host_setup.h"
#include "proto/mutant.h"

#include <string.h>

#define REPORT_DOMAINS 800 /* with names of full length these fit an event */

struct intake {
	hv_node_id self;
	uint64_t incarnation;
	char *boot_id;
	struct intake_ops ops;
	void *user;
	struct domain_mirror *mirror;
	struct guest_mirror *guests;
	bool inventory_known;
	/* health */
	bool health_known, health_ok;
	char *health_text;
	uint64_t bad_since_us;
	uint64_t mem_mib;
	uint32_t cpus;
	Hv__StorageSeen **bad; /* storage that fails here, ascending */
	size_t n_bad;
	bool storage_known;
	Hv__HostSetup *setup; /* NULL: not said yet */
	/* report */
	uint64_t joining_since_us;
	uint64_t report_mark, health_mark;
	/* when to look */
	bool compare_now;
	uint64_t compare_at_us;
	uint64_t next_us;
};

struct intake *intake_new(const char *boot_id, const struct intake_ops *ops, void *user)
{
	struct intake *in = hv_xcalloc(1, sizeof(*in));

	in->boot_id = hv_xstrdup(boot_id);
	in->ops = *ops;
	in->user = user;
	in->mirror = domain_mirror_new();
	in->guests = guest_mirror_new(&(struct guest_mirror_ops){ops->propose, ops->pending}, user);
	in->health_text = hv_xstrdup("the hypervisor layer has not reported yet");
	return in;
}

void intake_set_self(struct intake *in, hv_node_id self, uint64_t incarnation)
{
	in->self = self;
	in->incarnation = incarnation;
}

static void drop_storage(struct intake *in)
{
	for (size_t i = 0; i < in->n_bad; i++)
		hv__storage_seen__free_unpacked(in->bad[i], NULL);
	free(in->bad);
	in->bad = NULL;
	in->n_bad = 0;
}

void intake_free(struct intake *in)
{
	if (!in)
		return;
	domain_mirror_free(in->mirror);
	guest_mirror_free(in->guests);
	drop_storage(in);
	if (in->setup)
		hv__host_setup__free_unpacked(in->setup, NULL);
	free(in->boot_id);
	free(in->health_text);
	free(in);
}

/* ---- what hypervisord said */

void intake_inventory(struct intake *in, const Hv__HvInventory *inv)
{
	in->inventory_known = inv->complete;
	if (!inv->complete)
		return;
	domain_mirror_replace(in->mirror, inv->domains, inv->n_domains);
	guest_mirror_back(in->guests);
	in->compare_now = true;
}

void intake_domain(struct intake *in, const Hv__DomainSeen *seen)
{
	if (!hv_uuid_valid(seen->uuid))
		return;
	domain_mirror_set(in->mirror, seen);
	if (seen->observed == HV__OBSERVED__OBSERVED_ABSENT)
		guest_mirror_forget(in->guests, seen->uuid);
	in->compare_now = true;
}

void intake_guest(struct intake *in, const Hv__GuestSeen *seen)
{
	guest_mirror_set(in->guests, seen);
	in->compare_now = true;
}

void intake_guest_reset(struct intake *in, const char *uuid)
{
	guest_mirror_reset(in->guests, uuid);
}

void intake_starting(struct intake *in, const char *uuid)
{
	Hv__DomainSeen seen = HV__DOMAIN_SEEN__INIT;
	const struct mirror_item *item = domain_mirror_find(in->mirror, uuid);

	hv_assert(hv_uuid_valid(uuid));
	if (MUTANT(absence_during_start))
		return;
	if (item && item->observed != HV__OBSERVED__OBSERVED_ABSENT)
		return;
	seen.uuid = (char *)uuid;
	seen.observed = HV__OBSERVED__OBSERVED_UNKNOWN;
	intake_domain(in, &seen);
	domain_mirror_find(in->mirror, uuid)->starting = true;
}

void intake_observed(struct intake *in, const char *uuid, Hv__Observed observed)
{
	Hv__DomainSeen seen = HV__DOMAIN_SEEN__INIT;
	const struct mirror_item *item = domain_mirror_find(in->mirror, uuid);

	/* The event that says why may have come first; its cause is worth more. */
	if (item && item->observed == observed)
		return;
	if (observed == HV__OBSERVED__OBSERVED_UNKNOWN)
		return;
	seen.uuid = (char *)uuid;
	seen.observed = observed;
	intake_domain(in, &seen);
}

Hv__Cause intake_cause(const struct intake *in, const char *uuid)
{
	const struct mirror_item *item = domain_mirror_find(in->mirror, uuid);

	return item && item->observed == HV__OBSERVED__OBSERVED_ABSENT ? item->cause
								       : HV__CAUSE__CAUSE_NONE;
}

static void set_health(struct intake *in, bool ok, const char *text, uint64_t now_us)
{
	if (in->health_ok && !ok)
		in->bad_since_us = now_us;
	in->health_ok = ok;
	free(in->health_text);
	in->health_text = hv_xstrndup(text, HV_TEXT_MAX - 1);
	hv_text_flatten(in->health_text);
}

void intake_health(struct intake *in, const Hv__HvHealth *health, uint64_t now_us)
{
	in->health_known = true;
	set_health(in, health->libvirt_ok, health->text, now_us);
	if (health->mem_mib && health->mem_mib <= UINT32_MAX)
		in->mem_mib = health->mem_mib;
	if (health->cpus && health->cpus <= HV_MAX_CPUS)
		in->cpus = health->cpus;
}

void intake_storage(struct intake *in, const Hv__HvStorage *storage)
{
	drop_storage(in);
	in->storage_known = true;
	in->bad = hv_xcalloc(storage->n_bad + 1, sizeof(*in->bad));
	for (size_t i = 0; i < storage->n_bad && i < HV_MAX_STORAGE; i++) {
		Hv__StorageSeen *seen = hv_xcalloc(1, sizeof(*seen));

		hv__storage_seen__init(seen);
		seen->path = hv_xstrdup(storage->bad[i]->path);
		seen->text = hv_xstrndup(storage->bad[i]->text, HV_TEXT_MAX - 1);
		hv_text_flatten(seen->text);
		seen->hangs = storage->bad[i]->hangs;
		seen->lasts = storage->bad[i]->lasts;
		in->bad[in->n_bad++] = seen;
	}
}

void intake_setup(struct intake *in, const Hv__HostSetup *setup)
{
	if (in->setup)
		hv__host_setup__free_unpacked(in->setup, NULL);
	in->setup = host_setup_copy(setup);
}

void intake_hypervisor_gone(struct intake *in, const char *why, uint64_t now_us)
{
	char *text = hv_xasprintf("hypervisord: %s", why);

	in->inventory_known = false;
	guest_mirror_gone(in->guests);
	set_health(in, false, text, now_us);
	free(text);
}

bool intake_has(const struct intake *in, const char *uuid)
{
	const struct mirror_item *item = domain_mirror_find(in->mirror, uuid);

	return item && item->observed != HV__OBSERVED__OBSERVED_ABSENT;
}

bool intake_health_ok(const struct intake *in, const char **ret_why)
{
	*ret_why = in->health_text;
	return in->health_ok;
}

/* ---- proposing */

static bool in_flight(const struct intake *in, uint64_t mark)
{
	return mark && in->ops.pending(in->user, mark);
}

static void look_again_at(struct intake *in, uint64_t at_us)
{
	if (at_us && (!in->next_us || at_us < in->next_us))
		in->next_us = at_us;
}

/*
 * An event has a size. Where a host runs more than fits, domains that are not the cluster's are
 * left out, and names, which the cluster knows: 2,700 uuids fit.
 */
static void shorten(const struct cluster *c, Hv__NodeReport *report)
{
	size_t kept = 0;

	for (size_t i = 0; i < report->n_domains; i++) {
		if (!cluster_vm(c, report->domains[i]->uuid))
			continue;
		report->domains[i]->name = (char *)protobuf_c_empty_string;
		report->domains[kept++] = report->domains[i];
	}
	report->n_domains = kept;
}

static void propose_report(struct intake *in, const struct cluster *c, const struct node *n)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__NodeReport report = HV__NODE_REPORT__INIT;
	Hv__DomainSeen *seen = NULL;
	Hv__DomainSeen **list = NULL;

	report.node = in->self;
	report.boot_id = in->boot_id;
	report.mem_mib = in->mem_mib ? in->mem_mib : n->mem_mib;
	report.cpus = in->cpus ? in->cpus : n->cpus;
	report.inventory_known = in->inventory_known;
	report.incarnation_seen = in->incarnation;
	if (in->inventory_known)
		report.n_domains = domain_mirror_present(in->mirror, &seen, &list);
	report.domains = list;
	if (report.n_domains > REPORT_DOMAINS)
		shorten(c, &report);
	ev.body_case = HV__EVENT__BODY_NODE_REPORT;
	ev.node_report = &report;
	in->report_mark = in->ops.propose(in->user, &ev);
	free(list);
	free(seen);
}

/* Not ready to report is no reason to keep the others waiting for ever. */
static void reconcile_report(struct intake *in, const struct cluster *c, const struct node *n,
			     uint64_t now_us)
{
	bool joining = n->state == NODE_JOINING;
	bool ready = in->inventory_known && in->health_known;

	if (!joining)
		in->joining_since_us = 0;
	else if (!in->joining_since_us)
		in->joining_since_us = now_us;
	if (in_flight(in, in->report_mark))
		return;
	if (!joining && (n->inventory_known || n->state != NODE_ONLINE || !ready ||
			 MUTANT(inventory_not_resent)))
		return;
	if (joining && !ready && now_us - in->joining_since_us < INTAKE_PATIENCE_US) {
		look_again_at(in, in->joining_since_us + INTAKE_PATIENCE_US);
		return;
	}
	propose_report(in, c, n);
}

/* What it is called matters, what is said of it does not. */
static bool same_storage(const struct intake *in, const struct node *n)
{
	if (!in->storage_known)
		return true;
	if (in->n_bad != n->n_bad_storage)
		return false;
	for (size_t i = 0; i < in->n_bad; i++)
		if (strcmp(in->bad[i]->path, n->bad_storage[i].path) != 0 ||
		    in->bad[i]->hangs != n->bad_storage[i].hangs ||
		    in->bad[i]->lasts != n->bad_storage[i].lasts)
			return false;
	return true;
}

static void reconcile_health(struct intake *in, const struct node *n, uint64_t now_us)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__HostHealth health = HV__HOST_HEALTH__INIT;
	bool same_size =
	    (!in->mem_mib || in->mem_mib == n->mem_mib) && (!in->cpus || in->cpus == n->cpus);

	if (n->state != NODE_ONLINE || in_flight(in, in->health_mark))
		return;
	if (n->hypervisor_ok == in->health_ok && same_size && same_storage(in, n) &&
	    host_setup_same(in->setup, &n->setup))
		return;
	if (n->hypervisor_ok && !in->health_ok && now_us - in->bad_since_us < INTAKE_DEBOUNCE_US) {
		look_again_at(in, in->bad_since_us + INTAKE_DEBOUNCE_US);
		return;
	}
	health.node = in->self;
	health.hypervisor_ok = in->health_ok;
	health.text = in->health_text;
	health.mem_mib = in->mem_mib ? in->mem_mib : n->mem_mib;
	health.cpus = in->cpus ? in->cpus : n->cpus;
	health.storage_told = in->storage_known;
	health.bad_storage = in->bad;
	health.n_bad_storage = in->n_bad;
	health.setup = in->setup;
	ev.body_case = HV__EVENT__BODY_HOST_HEALTH;
	ev.host_health = &health;
	in->health_mark = in->ops.propose(in->user, &ev);
}

/* ---- VMs */

enum belief { BELIEF_NONE, BELIEF_ABSENT, BELIEF_RUNNING, BELIEF_PAUSED };

/* What the state says this host should see of the VM; NONE: nothing definite, an operation is at
 * work. */
static enum belief belief_here(const struct intake *in, const struct cluster *c,
			       const struct vm *vm)
{
	const struct operation *op = vm->op ? cluster_op(c, vm->op) : NULL;

	if (op && op->state == OP_RUNNING && (op->node == in->self || op->target == in->self))
		return BELIEF_NONE;
	if (vm->node != in->self) {
		bool coming = vm->state == VM_MIGRATING || vm->state == VM_RESUMING;

		return coming && vm->target == in->self ? BELIEF_NONE : BELIEF_ABSENT;
	}
	switch (vm->state) {
	case VM_RUNNING:
		return BELIEF_RUNNING;
	case VM_PAUSED:
		return BELIEF_PAUSED;
	case VM_STOPPED:
	case VM_PENDING:
	case VM_FAILED:
	case VM_BLOCKED:
		return BELIEF_ABSENT;
	case VM_STARTING:
	case VM_MIGRATING:
	case VM_RESUMING:
	case VM_STOPPING:
	case VM_RECOVERING:
	case VM_CHECKING:
	case VM_FROZEN:
		return BELIEF_NONE;
	}
	return BELIEF_NONE;
}

static bool agrees(enum belief belief, Hv__Observed observed)
{
	switch (belief) {
	case BELIEF_NONE:
		return true;
	case BELIEF_ABSENT:
		return observed == HV__OBSERVED__OBSERVED_ABSENT;
	case BELIEF_RUNNING:
		return observed == HV__OBSERVED__OBSERVED_RUNNING;
	case BELIEF_PAUSED: /* one that was moved while it was paused has never run here */
		return observed == HV__OBSERVED__OBSERVED_PAUSED ||
		       observed == HV__OBSERVED__OBSERVED_INCOMING;
	}
	return true;
}

/* The brain was told this already, and nothing that matters changed on its side. */
static bool told(struct intake *in, const struct mirror_item *item, const struct vm *vm,
		 uint64_t now_us)
{
	if (!item->told || item->told_observed != item->observed || item->told_epoch != vm->epoch ||
	    item->told_state != vm->state)
		return false;
	if (item->observed == HV__OBSERVED__OBSERVED_UNKNOWN)
		return true;
	if (now_us - item->told_us >= INTAKE_REPEAT_US && !MUTANT(told_for_ever))
		return false;
	look_again_at(in, item->told_us + INTAKE_REPEAT_US);
	return true;
}

static void propose_observed(struct intake *in, struct mirror_item *item, const struct vm *vm,
			     uint64_t now_us)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__VmObserved body = HV__VM_OBSERVED__INIT;
	Hv__DomainSeen seen = HV__DOMAIN_SEEN__INIT;

	seen.uuid = item->uuid;
	seen.name = vm->name;
	seen.observed = item->observed;
	seen.cause = item->cause;
	body.node = in->self;
	body.domain = &seen;
	ev.body_case = HV__EVENT__BODY_VM_OBSERVED;
	ev.vm_observed = &body;
	item->mark = in->ops.propose(in->user, &ev);
	if (!item->mark) {
		in->compare_now = true; /* at the next occasion */
		return;
	}
	item->told = true;
	item->told_observed = item->observed;
	item->told_epoch = vm->epoch;
	item->told_state = vm->state;
	item->told_us = now_us;
}

static void reconcile_vm(struct intake *in, const struct cluster *c, const struct vm *vm,
			 uint64_t now_us)
{
	enum belief belief = belief_here(in, c, vm);
	struct mirror_item *item = domain_mirror_find(in->mirror, vm->uuid);
	bool unsaid;

	if (belief == BELIEF_NONE || (!item && belief == BELIEF_ABSENT))
		return;
	if (!item)
		item = domain_mirror_add_absent(in->mirror, vm->uuid);
	if (in_flight(in, item->mark))
		return;
	/* What was said last is no longer so: that has to be taken back, too. */
	unsaid = item->told && item->told_observed != item->observed &&
		 item->told_observed == HV__OBSERVED__OBSERVED_UNKNOWN;
	if (agrees(belief, item->observed) && !unsaid) {
		item->told = false;
		return;
	}
	if (!told(in, item, vm, now_us))
		propose_observed(in, item, vm, now_us);
}

static void reconcile_vms(struct intake *in, const struct cluster *c, uint64_t now_us)
{
	size_t n = cluster_vm_count(c);

	for (size_t i = 0; i < n; i++)
		reconcile_vm(in, c, cluster_vm_at(c, i), now_us);
	domain_mirror_forget_absent(in->mirror);
}

/* ---- when */

void intake_state_changed(struct intake *in, uint64_t now_us, bool all)
{
	if (all)
		in->compare_now = true;
	else if (!in->compare_at_us)
		in->compare_at_us = now_us + INTAKE_GATHER_US;
}

void intake_reconcile(struct intake *in, const struct cluster *c, uint64_t now_us)
{
	const struct node *n = cluster_node(c, in->self);
	bool due = in->next_us && now_us >= in->next_us;

	if (due)
		in->next_us = 0;
	/* Not yet the node that joined with this process: what is said of it is about an earlier
	 * one. */
	if (!n || n->incarnation != in->incarnation)
		return;
	reconcile_report(in, c, n, now_us);
	if (n->state != NODE_ONLINE)
		return;
	reconcile_health(in, n, now_us);
	if (!in->inventory_known || !n->inventory_known)
		return;
	if (!in->compare_now && !due && !(in->compare_at_us && now_us >= in->compare_at_us))
		return;
	in->compare_now = false; /* a proposal that is not taken sets it again */
	in->compare_at_us = 0;
	reconcile_vms(in, c, now_us);
	look_again_at(in, guest_mirror_reconcile(in->guests, c, in->self, now_us));
}

uint64_t intake_next_us(const struct intake *in)
{
	if (!in->next_us || (in->compare_at_us && in->compare_at_us < in->next_us))
		return in->compare_at_us;
	return in->next_us;
}
