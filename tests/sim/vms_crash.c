/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that end again and again: their QEMU crashes some seconds after each start, or they shut
 * themselves down, or a person destroys them. What is promised: after restart_limit restarts on a
 * host because of crashes another one is tried, at most max_relocate times in a row; nothing else
 * takes a VM from a host that can hold it.
 *
 * Crashes are counted at the QEMUs, and in the entries that tell of them; never in the brain's own
 * books. Which host could hold a VM is judged so that, in doubt, nothing is said: by its memory if
 * all were there that the state or the host itself knows of, and of VMs without rules only.
 */
#include "resource/storage.h"
#include "tests/sim/vms.h"

#include <stdlib.h>
#include <string.h>

static struct prng *chance(struct sim *s)
{
	return sim_stream(s, STREAM_CRASH);
}

/* ---- they end */

static bool is_crash(Hv__Cause cause)
{
	return cause == HV__CAUSE__CAUSE_CRASHED || cause == HV__CAUSE__CAUSE_FAILED ||
	       cause == HV__CAUSE__CAUSE_WATCHDOG;
}

void vms_guest_ends(struct sim *s, struct host *h, int k, Hv__Cause cause)
{
	if (!h->power || h->hung || vms_dom(s, h->id, k)->state == DOM_ABSENT)
		return;
	vms_of(s)->crashes[h->id - 1][k] += is_crash(cause);
	vms_set(s, h, k, DOM_ABSENT, cause);
	if (process_runs(h))
		mind_wake(h->proc.mind);
}

static void ends(struct sim *s, struct host *h, uint64_t k)
{
	struct ending *e = &vms_of(s)->ending[k];

	e->armed = false;
	if (!e->left || s->healing || vms_dom(s, h->id, (int)k)->state != DOM_RUNNING)
		return;
	e->left--;
	vms_guest_ends(s, h, (int)k, e->cause);
}

void vms_crash_runs(struct sim *s, struct host *h, int k)
{
	struct vms_world *w = vms_of(s);
	struct ending *e = &w->ending[k];

	/* What it did elsewhere before counts there. What a person starts beside it is another. */
	for (size_t i = 0; i < s->n; i++)
		if (s->hosts[i].id != h->id && !vms_dom(s, h->id, k)->stray)
			w->crashes[i][k] = 0;
	if (!e->left || e->armed || s->healing)
		return;
	e->armed = true;
	sim_at(s, prng_range(chance(s), 300 * MS, 6 * SEC), ends, h, (uint64_t)k);
}

void vms_crash_setup(struct sim *s)
{
	bool on = prng_chance(chance(s), 400);
	unsigned weight = (unsigned)prng_range(chance(s), 5, 60);

	if (!s->scenario && !s->options->duel && !s->options->lossy)
		vms_of(s)->endings = on ? weight : 0;
}

/* The administrator has had enough of it, and sets its limits. */
static void set_limits(struct sim *s, struct host *h, uint64_t k, uint64_t x)
{
	static char *const values[] = {(char *)"0", (char *)"1", (char *)"2"};
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmSet set = HV__VM_SET__INIT;
	Hv__KeyValue pair[2] = {HV__KEY_VALUE__INIT, HV__KEY_VALUE__INIT},
		     *pairs[] = {&pair[0], &pair[1]};

	pair[0].key = (char *)"restart_limit";
	pair[0].value = values[x % 2];
	pair[1].key = (char *)"max_relocate";
	pair[1].value = values[x / 2 % 3];
	set.name = vms_of(s)->name[k];
	set.attributes = pairs;
	set.n_attributes = ARRAY_SIZE(pairs);
	cmd.body_case = HV__COMMAND__BODY_VM_SET;
	cmd.vm_set = &set;
	if (h && sim_inject(s, "vm set crash limits"))
		admin_ask(s, h, &cmd, 0);
}

void vms_crash_step(struct sim *s)
{
	static const Hv__Cause causes[] = {
	    HV__CAUSE__CAUSE_CRASHED,  HV__CAUSE__CAUSE_CRASHED,	HV__CAUSE__CAUSE_FAILED,
	    HV__CAUSE__CAUSE_WATCHDOG, HV__CAUSE__CAUSE_GUEST_SHUTDOWN, HV__CAUSE__CAUSE_DESTROYED};
	struct vms_world *w = vms_of(s);
	struct prng *r = chance(s);
	uint64_t k = prng_range(r, 0, w->max_vms - 1), times = prng_range(r, 1, 9);
	Hv__Cause cause = causes[prng_range(r, 0, ARRAY_SIZE(causes) - 1)];
	uint64_t limits = prng_range(r, 0, 11);

	if (!prng_chance(r, w->endings) || w->ending[k].left ||
	    !sim_inject(s, is_crash(cause) ? "guest-crash-loop" : "guest-end-loop"))
		return;
	if (limits < 6)
		set_limits(s, admin_host(s), k, limits);
	w->ending[k].left = (unsigned)times;
	w->ending[k].cause = cause;
	for (size_t i = 0; i < s->n; i++)
		if (s->hosts[i].power && vms_dom(s, s->hosts[i].id, (int)k)->state == DOM_RUNNING)
			vms_crash_runs(s, &s->hosts[i], (int)k);
}

/* ---- who could hold it */

static bool has_rules(const struct cluster *c, const struct vm *vm)
{
	for (size_t i = 0; i < cluster_rule_count(c); i++) {
		const struct rule *r = cluster_rule_at(c, i);

		for (size_t k = 0; k < r->n_vms; k++)
			if (strcmp(r->vms[k], vm->uuid) == 0)
				return true;
	}
	return false;
}

/* Of a device that says so it must have been told `on` since its boot: not gone into here. */
static bool may_need_unfencing(const struct node *n)
{
	for (size_t i = 0; i < n->n_devices; i++)
		if (n->devices[i]->unfence)
			return true;
	return false;
}

static bool takes_vms(const struct node *n)
{
	return n->state == NODE_ONLINE && n->admin == NODE_ACTIVE && n->leaving == NODE_STAYS &&
	       n->hypervisor_ok && !n->quarantined && !n->log_lost_us && !may_need_unfencing(n);
}

/* With all that is, comes, or was there, and this one beside them. */
static bool has_room(struct mind *m, const struct node *n, const struct vm *vm)
{
	uint64_t mib = vms_used_mib(m->s, n->id, true) + n->stale_mem_mib + vm->mem_mib;
	const struct operation *op;

	for (size_t i = 0; i < cluster_vm_count(m->c); i++) {
		const struct vm *o = cluster_vm_at(m->c, i);

		if (o != vm && (o->node == n->id || o->target == n->id || o->prefer == n->id))
			mib += o->mem_mib;
	}
	for (size_t i = 0; i < cluster_op_count(m->c); i++) {
		op = cluster_op_at(m->c, i);
		if (op->state == OP_RUNNING && op->kind == OP_VM_REQUEST && op->target == n->id)
			return false; /* somebody is asked to come */
	}
	return mib <= n->mem_mib && strcmp(cluster_setting(m->c, "vcpus_per_cpu"), "0") == 0;
}

static bool could_hold(struct mind *m, const struct node *n, const struct vm *vm)
{
	return n->id <= m->s->n && takes_vms(n) && !storage_fault_of(vm, n) && has_room(m, n, vm);
}

static const struct node *another(struct mind *m, const struct vm *vm, hv_node_id but)
{
	for (size_t i = 0; i < cluster_node_count(m->c); i++) {
		const struct node *n = cluster_node_at(m->c, i);

		if (n->id != but && could_hold(m, n, vm))
			return n;
	}
	return NULL;
}

/* ---- what entries tell */

static uint64_t window_us(const struct mind *m)
{
	return strtoull(cluster_setting(m->c, "restart_window_s"), NULL, 10) * SEC;
}

static void counts(struct mind *m, struct crash_watch *w, const Hv__DomainSeen *d, bool ran)
{
	if (ran && cluster_now_us(m->c) - w->since_us > window_us(m))
		w->surely = w->perhaps = w->moves = w->moves_perhaps = 0;
	if (!is_crash(d->cause))
		return;
	w->surely += ran;
	if (w->perhaps < UINT32_MAX)
		w->perhaps++;
}

/* It was seen to have ended where it ran. */
static void has_ended(struct mind *m, const Hv__VmObserved *ev)
{
	const struct vm *vm = cluster_vm(m->c, ev->domain->uuid);
	int k = vm ? vms_find(m->s, vm->uuid) : -1;
	struct crash_watch *w = k < 0 ? NULL : &m->crash[k];
	const struct node *here;
	uint32_t moves;
	bool ran;

	if (!w || ev->domain->observed != HV__OBSERVED__OBSERVED_ABSENT || w->on != ev->node)
		return;
	ran = (w->was == VM_RUNNING || w->was == VM_PAUSED) && !w->busy;
	counts(m, w, ev->domain, ran);
	if (!ran)
		return;
	here = cluster_node(m->c, ev->node);
	w->ended_on = ev->node;
	w->to_leave = w->may_stay = false;
	moves = w->moves_perhaps;
	w->moves_perhaps += w->perhaps > vm->restart_limit && moves < UINT32_MAX;
	if ((vm->state != VM_PENDING && vm->state != VM_STARTING) || !vm->managed || vm->lock ||
	    has_rules(m->c, vm) || cluster_arm(m->c) != ARMED || !here)
		return;
	w->may_stay = could_hold(m, here, vm);
	w->to_leave = w->surely > vm->restart_limit && moves < vm->max_relocate &&
		      (another(m, vm, ev->node) || (vm->node && vm->node != ev->node));
}

/* Whoever says something of it may have had his reasons. */
static void is_asked(struct mind *m, const Hv__Command *cmd)
{
	const char *name = cmd->body_case == HV__COMMAND__BODY_VM_START	    ? cmd->vm_start->name
			   : cmd->body_case == HV__COMMAND__BODY_VM_SET	    ? cmd->vm_set->name
			   : cmd->body_case == HV__COMMAND__BODY_VM_MIGRATE ? cmd->vm_migrate->name
			   : cmd->body_case == HV__COMMAND__BODY_VM_STOP    ? cmd->vm_stop->name
			   : cmd->body_case == HV__COMMAND__BODY_VM_LOCK    ? cmd->vm_lock->name
									    : NULL;
	const struct vm *vm = name ? cluster_vm_by_name(m->c, name) : NULL;
	int k = vm ? vms_find(m->s, vm->uuid) : -1;

	if (k < 0)
		return;
	m->crash[k].surely = m->crash[k].moves = 0;
	m->crash[k].ended_on = 0;
}

/* ---- where it is started next */

static void fails(struct mind *m, uint64_t index, const struct vm *vm, const char *what,
		  hv_node_id node)
{
	sim_fail(m->s, "node %u, entry %llu: %s %s (host %u)", m->h->id, (unsigned long long)index,
		 vm->name, what, node);
}

static void starts(struct mind *m, uint64_t index, const struct operation *op)
{
	const struct vm *vm = cluster_vm(m->c, op->vm);
	int k = vm ? vms_find(m->s, vm->uuid) : -1;
	struct crash_watch *w = k < 0 ? NULL : &m->crash[k];
	const struct node *left;
	bool news = index > vms_of(m->s)->checked; /* who catches up tells old stories */
	uint32_t really;

	if (w && w->ended_on != op->node)
		w->surely = 0; /* where it begins anew */
	if (!w || !w->ended_on || has_rules(m->c, vm) || m->s->scenario)
		return;
	left = cluster_node(m->c, w->ended_on);
	really = news ? vms_of(m->s)->crashes[w->ended_on - 1][k] : UINT32_MAX;
	if (w->to_leave && op->node == w->ended_on && another(m, vm, op->node))
		fails(m, index, vm, "keeps crashing, and is started there again", op->node);
	if (op->node == w->ended_on && w->surely > vm->restart_limit)
		w->surely = 0; /* nobody else could take it: it has its tries there again */
	if (op->node != w->ended_on && w->may_stay && left && could_hold(m, left, vm)) {
		if (w->perhaps <= vm->restart_limit || really <= vm->restart_limit)
			fails(m, index, vm, "did not crash too often, and has to leave",
			      w->ended_on);
		if (++w->moves > vm->max_relocate)
			fails(m, index, vm, "is taken away once more than it may be", w->ended_on);
		coverage_add(&m->s->result->coverage, "guest: moved for its crashes", 1);
	}
	w->ended_on = 0;
}

/* After each entry. */
static void remembers(struct mind *m)
{
	for (size_t i = 0; i < cluster_vm_count(m->c); i++) {
		const struct vm *vm = cluster_vm_at(m->c, i);
		int k = vms_find(m->s, vm->uuid);
		struct crash_watch *w = k < 0 ? NULL : &m->crash[k];

		if (!w)
			continue;
		if (vm->node && vm->node != w->last_on) {
			w->surely = 0;
			w->perhaps = w->last_on ? 0 : w->perhaps; /* from a state: unknown */
			w->last_on = vm->node;
		}
		if (vm->state == VM_RECOVERING)
			w->surely = w->moves = 0; /* no grudge after the loss of its host */
		if (vm->state != w->was)
			w->since_us = cluster_now_us(m->c);
		w->was = vm->state;
		w->on = vm->node;
		w->busy = vm->op != 0;
	}
}

void vms_crash_check(struct mind *m, uint64_t index, const Hv__Event *ev)
{
	if (ev->body_case == HV__EVENT__BODY_COMMAND)
		is_asked(m, ev->command);
	if (ev->body_case == HV__EVENT__BODY_VM_OBSERVED && ev->vm_observed->domain)
		has_ended(m, ev->vm_observed);
	for (size_t i = cluster_op_count(m->c); i-- > 0;) {
		const struct operation *op = cluster_op_at(m->c, i);

		if (op->id < index * 4096)
			break;
		if (op->kind == OP_VM_START)
			starts(m, index, op);
	}
	remembers(m);
}

void vms_crash_installed(struct mind *m)
{
	memset(m->crash, 0, sizeof(m->crash));
	remembers(m);
	for (int k = 0; k < VMS; k++) /* nobody knows */
		m->crash[k].perhaps = m->crash[k].moves_perhaps = UINT32_MAX;
}
