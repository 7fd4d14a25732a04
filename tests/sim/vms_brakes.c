/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fencing promises beside the proof, looked at from each node's states and the commands that
 * were granted, never in the brain's own books: delays are waited for, no more nodes are fenced
 * within the window than may be, who was fenced too often or is not unfenced gets no VMs, waiting
 * is no proof where seeing is demanded, self-tests come one at a time and from every side.
 *
 * Duels (hvsim run --duel): two hosts whose network is parted again and again, and whose devices
 * both work: never are both off, and who boots is not fenced for it.
 */
#include "fence/fence_plan.h"
#include "resource/storage.h"
#include "tests/sim/vms.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_US (3600 * SEC)
#define NEVER_US (HOUR_US << 16)
#define WHOLE_US (8 * SEC) /* after that no fence of before is still under way */

static uint64_t setting(const struct cluster *c, const char *key)
{
	return strtoull(cluster_setting(c, key), NULL, 10);
}

static struct fence_watch *watch_of(struct mind *m, hv_node_id id)
{
	return id >= 1 && id <= SIM_HOSTS ? &m->watch[id - 1] : NULL;
}

static const struct fence_device *device_named(const struct node *n, const char *name)
{
	for (size_t i = 0; i < n->n_devices; i++)
		if (strcmp(n->devices[i]->name, name) == 0)
			return n->devices[i];
	return NULL;
}

/* ---- commands */

/* What a level demands; true: that was all. */
static bool demanded(struct fence_watch *w, const Hv__Command *cmd)
{
	if (cmd->body_case == HV__COMMAND__BODY_FENCE_LEVEL) {
		w->seen_levels &= ~(1U << cmd->fence_level->level);
		w->seen_levels |= (uint32_t)cmd->fence_level->seen << cmd->fence_level->level;
		return true;
	}
	if (cmd->body_case != HV__COMMAND__BODY_FENCE_ADD)
		return false;
	if (cmd->fence_add->require_seen)
		w->seen_levels |= 1U << (cmd->fence_add->level ? cmd->fence_add->level : 1);
	return true;
}

void brakes_command(struct mind *m, const Hv__Command *cmd)
{
	const struct node *n = NULL;
	struct fence_watch *w;

	if (cmd->body_case == HV__COMMAND__BODY_NODE_FENCE)
		n = cluster_node_by_name(m->c, cmd->node_fence->node);
	else if (cmd->body_case == HV__COMMAND__BODY_NODE_RELEASE)
		n = cluster_node_by_name(m->c, cmd->node_release->node);
	else if (cmd->body_case == HV__COMMAND__BODY_FENCE_REMOVE)
		n = cluster_node_by_name(m->c, cmd->fence_remove->node);
	else if (cmd->body_case == HV__COMMAND__BODY_FENCE_LEVEL)
		n = cluster_node_by_name(m->c, cmd->fence_level->node);
	else if (cmd->body_case == HV__COMMAND__BODY_FENCE_ADD)
		n = cluster_node_by_name(m->c, cmd->fence_add->node);
	w = n ? watch_of(m, n->id) : NULL;
	if (!w)
		return;
	if (demanded(w, cmd))
		return;
	if (cmd->body_case == HV__COMMAND__BODY_FENCE_REMOVE) { /* the next one is new */
		memset(m->tester[n->id - 1], 0, sizeof(m->tester[0]));
		return;
	}
	if (cmd->body_case == HV__COMMAND__BODY_NODE_FENCE) {
		w->forced = true;
		return;
	}
	w->quarantined_until = 0;
	if (w->n_fenced) {
		w->fenced_us[0] = w->fenced_us[w->n_fenced - 1];
		w->n_fenced = 1;
	}
}

/* ---- fences */

/*
 * A device's answer. The node's reason need not say so: with its VMs gone, its drain may be over. A
 * node that holds nothing needs no proof: an answer that is none only ended its fencing.
 */
static bool proves(const Hv__Event *ev, const struct node *n)
{
	return ev->body_case == HV__EVENT__BODY_OP_RESULT && ev->op_result->fenced_node == n->id &&
	       n->reason.code != REASON_NOTHING_DEPENDS;
}

static bool may_wait(const struct mind *m, const struct fence_watch *w, uint32_t level)
{
	return strcmp(cluster_setting(m->c, "fence_proof"), "seen") != 0 &&
	       !(w->seen_levels & 1U << level);
}

static void check_seen(struct mind *m, uint64_t index, const struct node *n,
		       const struct fence_watch *w)
{
	const struct operation *latest = NULL;
	const struct fence_device *d;

	for (size_t i = 0; i < cluster_op_count(m->c); i++) {
		const struct operation *op = cluster_op_at(m->c, i);

		if (op->kind == OP_FENCE && op->victim == n->id && op->state == OP_DONE &&
		    !(op->flags & OP_F_POWER_ON) && op->ended_us == cluster_now_us(m->c))
			latest = op;
	}
	if (latest && latest->flags & OP_F_WATCHDOG && !may_wait(m, w, FENCE_PLAN_WATCHDOG_LEVEL))
		sim_fail(m->s, "node %u, entry %llu: node %u counts as off, by time alone",
			 m->h->id, (unsigned long long)index, n->id);
	d = latest ? device_named(n, latest->device) : NULL;
	for (size_t i = 0; d && i < n->n_devices; i++)
		if (n->devices[i]->level == d->level && n->devices[i]->waited &&
		    !may_wait(m, w, d->level))
			sim_fail(m->s,
				 "node %u, entry %llu: node %u counts as off, and %s only waits",
				 m->h->id, (unsigned long long)index, n->id, n->devices[i]->name);
}

static void note_fence(struct mind *m, struct fence_watch *w)
{
	uint64_t now = cluster_now_us(m->c), most = setting(m->c, "quarantine_fences"),
		 s = setting(m->c, "quarantine_s"), count = 0;

	if (w->quarantined_until && w->quarantined_until <= now) { /* it was released */
		w->quarantined_until = 0;
		w->fenced_us[0] = w->fenced_us[w->n_fenced - 1];
		w->n_fenced = 1;
	}
	if (w->n_fenced == ARRAY_SIZE(w->fenced_us)) {
		w->n_fenced--;
		memmove(w->fenced_us, w->fenced_us + 1, w->n_fenced * sizeof(w->fenced_us[0]));
	}
	w->fenced_us[w->n_fenced++] = now;
	for (size_t i = 0; i < w->n_fenced; i++)
		count += w->fenced_us[i] + HOUR_US > now;
	if (most && count >= most)
		w->quarantined_until = s ? now + s * SEC : UINT64_MAX;
}

/* As both sides of a duel see what is at stake, each for itself. */
static void note_duel(struct mind *m, const struct node *lost)
{
	struct duel_view *v = &vms_of(m->s)->duel[m->h->id - 1];

	*v = (struct duel_view){.there = true, .at_us = m->s->now_us};
	for (size_t i = 0; i < cluster_vm_count(m->c); i++) {
		const struct vm *vm = cluster_vm_at(m->c, i);

		if (!vm->managed || vm->intent != INTENT_STARTED || !vm->node)
			continue;
		v->vms[vm->node == lost->id ? lost->id - 1 : m->h->id - 1]++;
		v->priority[vm->node == lost->id ? lost->id - 1 : m->h->id - 1] +=
		    vm->priority > 0 ? (uint64_t)vm->priority : 0;
	}
}

void brakes_switched_off(struct sim *s, hv_node_id victim, hv_node_id by)
{
	const struct duel_view *a, *b;

	if (!s->options->duel)
		return;
	if (!s->healing && s->hosts[1].group == 0 && s->now_us > s->whole_us + WHOLE_US)
		sim_fail(s, "duel: host %u is fenced by %u, and nothing has been wrong for long",
			 victim, by);
	a = &vms_of(s)->duel[victim - 1];
	b = &vms_of(s)->duel[by - 1];
	if (victim == by || sim_host(s, by)->power || !a->there || !b->there)
		return;
	/* What was under way when they parted one of them may know, and not the other. */
	if (memcmp(a->vms, b->vms, sizeof(a->vms)) == 0 &&
	    memcmp(a->priority, b->priority, sizeof(a->priority)) == 0)
		sim_fail(s, "duel: both hosts are off, host %u fenced by %u last", victim, by);
}

/* ---- operations that this step began */

/* It is only waited for: no brake holds that. */
static bool by_time(struct mind *m, const struct node *n)
{
	const struct operation *op = cluster_op(m->c, n->fence_op);

	return op && (op->flags & OP_F_WATCHDOG);
}

static uint64_t in_window(struct mind *m, bool *ret_others)
{
	uint64_t window = setting(m->c, "fence_window_s") * SEC, now = cluster_now_us(m->c),
		 count = 0;

	*ret_others = false;
	for (size_t i = 0; i < cluster_node_count(m->c); i++) {
		const struct node *n = cluster_node_at(m->c, i);
		const struct fence_watch *w = watch_of(m, n->id);

		if (!w)
			continue;
		if (n->state == NODE_FENCING &&
		    ((w->was != NODE_FENCING && w->forced) || by_time(m, n))) {
			*ret_others = true; /* an administrator's, of this very step; or nothing is
					       done to it */
			continue;
		}
		count += n->state == NODE_FENCING ||
			 (w->n_fenced && w->fenced_us[w->n_fenced - 1] + window > now);
	}
	return count;
}

static void check_fence(struct mind *m, uint64_t index, const struct operation *op)
{
	const struct node *n = cluster_node(m->c, op->victim);
	struct fence_watch *w = watch_of(m, op->victim);
	const struct fence_device *d = n ? device_named(n, op->device) : NULL;
	uint64_t waited, most = 0;
	bool others;

	if (!w || !d || n->state != NODE_FENCING || n->fence_op != op->id)
		return;
	waited = w->was == NODE_LOST ? cluster_now_us(m->c) - w->lost_us : 0;
	if (waited < d->delay_s * SEC)
		sim_fail(m->s, "node %u, entry %llu: %s is used after %llu ms, its delay is %u s",
			 m->h->id, (unsigned long long)index, d->name,
			 (unsigned long long)(waited / MS), d->delay_s);
	for (size_t i = 0; i < cluster_node_count(m->c); i++)
		most += cluster_node_at(m->c, i)->configured;
	most = most / 2 ? most / 2 : 1;
	if (setting(m->c, "fence_window_s") && !w->forced && in_window(m, &others) > most)
		sim_fail(m->s, "node %u, entry %llu: node %u is fenced, one more than may be",
			 m->h->id, (unsigned long long)index, n->id);
}

/* The number in "boot-3-17". */
static uint64_t boot_of(const struct node *n)
{
	const char *dash = n->boot_id ? strrchr(n->boot_id, '-') : NULL;

	return dash ? strtoull(dash + 1, NULL, 10) : 0;
}

static void check_vm_comes(struct mind *m, uint64_t index, const struct operation *op)
{
	hv_node_id to = op->kind == OP_VM_MIGRATE ? op->target : op->node;
	const struct node *n = cluster_node(m->c, to);
	const struct fence_watch *w = watch_of(m, to);

	if (!n || !w)
		return;
	if (w->quarantined_until > cluster_now_us(m->c))
		sim_fail(m->s, "node %u, entry %llu: node %u was fenced too often, and gets a VM",
			 m->h->id, (unsigned long long)index, to);
	for (size_t i = 0; i < n->n_devices && to <= m->s->n; i++) {
		int k = vms_fence_device_find(m->s, to, n->devices[i]->name);

		if (k >= 0 && n->devices[i]->unfence &&
		    vms_of(m->s)->devices[to - 1][k].told_on_boot < boot_of(n))
			sim_fail(m->s,
				 "node %u, entry %llu: node %u gets a VM, and %s was not told",
				 m->h->id, (unsigned long long)index, to, n->devices[i]->name);
	}
}

static uint32_t online(const struct mind *m, hv_node_id but)
{
	uint32_t set = 0;

	for (size_t i = 0; i < cluster_node_count(m->c); i++) {
		const struct node *n = cluster_node_at(m->c, i);

		if (n->state == NODE_ONLINE && n->id != but && n->id <= SIM_HOSTS)
			set |= 1U << (n->id - 1);
	}
	return set;
}

static void check_test(struct mind *m, uint64_t index, const struct operation *op, bool asked)
{
	const struct operation *former = m->self_test ? cluster_op(m->c, m->self_test) : NULL;
	int k = op->victim <= m->s->n ? vms_fence_device_find(m->s, op->victim, op->device) : -1;
	struct tester *t = k < 0 ? NULL : &m->tester[op->victim - 1][k];
	uint32_t set = online(m, op->victim);

	if (!asked && former && former->state == OP_RUNNING)
		sim_fail(m->s, "node %u, entry %llu: two self-tests at a time", m->h->id,
			 (unsigned long long)index);
	if (!asked)
		m->self_test = op->id;
	if (!t)
		return;
	if (t->by == op->node && t->online == set && (set & (set - 1)))
		sim_fail(m->s, "node %u, entry %llu: %s is tested by node %u again", m->h->id,
			 (unsigned long long)index, op->device, op->node);
	*t = (struct tester){op->node, set};
}

static void check_begun(struct mind *m, uint64_t index, const Hv__Event *ev)
{
	bool asked = ev->body_case == HV__EVENT__BODY_COMMAND &&
		     ev->command->body_case == HV__COMMAND__BODY_FENCE_TEST;

	for (size_t i = cluster_op_count(m->c); i-- > 0;) {
		const struct operation *op = cluster_op_at(m->c, i);

		if (op->id < index * 4096)
			return;
		if (op->kind == OP_FENCE && !(op->flags & OP_F_POWER_ON))
			check_fence(m, index, op);
		else if (op->kind == OP_VM_START || op->kind == OP_VM_MIGRATE)
			check_vm_comes(m, index, op);
		else if (op->kind == OP_FENCE_TEST)
			check_test(m, index, op, asked);
	}
}

/* ---- patience */

/* Who joins has had the time to report: without quorum nobody can. */
static void check_patience(struct mind *m, uint64_t index, const struct node *n,
			   const struct fence_watch *w)
{
	struct vms_world *v = vms_of(m->s);

	if (w->was != NODE_JOINING || n->reason.code != REASON_JOIN_TIMEOUT ||
	    (n->state != NODE_LOST && n->state != NODE_FENCING) || index <= v->checked ||
	    sim_minority_possible(m->s) || m->s->scenario)
		return;
	if (m->s->now_us - v->view_us < 9 * SEC)
		sim_fail(m->s,
			 "node %u, entry %llu: node %u is fenced for not reporting, %llu ms after "
			 "the view",
			 m->h->id, (unsigned long long)index, n->id,
			 (unsigned long long)((m->s->now_us - v->view_us) / MS));
}

static void note_view(struct mind *m, uint64_t index, const Hv__Event *ev)
{
	struct vms_world *v = vms_of(m->s);

	if (ev->body_case != HV__EVENT__BODY_VIEW || index <= v->view_index)
		return;
	v->view_index = index;
	v->view_us = m->s->now_us;
}

/* A host's power is not cut for a VM that is not to be touched, nor where it would not help. */
static void check_worth(struct mind *m, uint64_t index, const struct node *n,
			const struct fence_watch *w)
{
	const struct vm *vm;
	bool others = false;

	if (n->reason.code != REASON_STORAGE_FENCE || w->was == n->state ||
	    (w->was != NODE_ONLINE && w->was != NODE_JOINING))
		return;
	vm = cluster_vm_by_name(m->c, n->reason.subject);
	for (size_t i = 0; i < cluster_node_count(m->c); i++) {
		const struct node *o = cluster_node_at(m->c, i);

		others = others || (o != n && o->state == NODE_ONLINE && o->hypervisor_ok &&
				    o->admin == NODE_ACTIVE && vm && !storage_fault_of(vm, o) &&
				    o->mem_mib >= vm->mem_mib);
	}
	if (!vm || vm->lock || !vm->managed || !others)
		sim_fail(m->s, "node %u, entry %llu: node %u is to be fenced for %s, which %s",
			 m->h->id, (unsigned long long)index, n->id, n->reason.subject,
			 others ? "is not to be touched" : "could run nowhere else");
}

/* Its device has been closed since it was said that there is one: time proves nothing of it. */
static void check_watched(struct mind *m, uint64_t index, const Hv__Event *ev)
{
	struct vms_world *v = vms_of(m->s);
	const struct watchdog *d;
	const struct node *n;

	if (ev->body_case != HV__EVENT__BODY_NODE_WATCHDOG || index <= v->watch_index)
		return;
	v->watch_index = index;
	n = cluster_node(m->c, ev->node_watchdog->node);
	if (!n || !ev->node_watchdog->watchdog_ms || !n->watch.watchdog_ms || n->id > m->s->n ||
	    sim_minority_possible(m->s) || m->s->scenario)
		return;
	d = &v->watch.hosts[n->id - 1];
	if (d->closed_us > d->said_us)
		sim_fail(m->s,
			 "node %u, entry %llu: node %u counts as watched, and has closed its "
			 "watchdog since it said so",
			 m->h->id, (unsigned long long)index, n->id);
}

/* Who went down as announced is waited for, and not for ever. */
static void check_frozen(struct mind *m, uint64_t index, const struct node *n,
			 struct fence_watch *w)
{
	uint64_t most = setting(m->c, "frozen_timeout_s") * SEC, now = cluster_now_us(m->c);
	bool waits = n->frozen && cluster_arm(m->c) == ARMED &&
		     (n->state == NODE_LOST || n->state == NODE_OFFLINE);

	if (!waits || !most || !w->frozen_us) {
		w->frozen_us = waits ? now : 0;
		w->frozen_most_us = waits && w->frozen_most_us > most ? w->frozen_most_us : most;
		return;
	}
	if (w->frozen_most_us < most)
		w->frozen_most_us = most;
	if (now > w->frozen_us + w->frozen_most_us + WHOLE_US)
		sim_fail(m->s, "node %u, entry %llu: node %u is waited for for %llu s", m->h->id,
			 (unsigned long long)index, n->id,
			 (unsigned long long)((now - w->frozen_us) / SEC));
}

/* ---- each step */

void brakes_step(struct mind *m, uint64_t index, const Hv__Event *ev)
{
	note_view(m, index, ev);
	check_watched(m, index, ev);
	for (size_t i = 0; i < cluster_node_count(m->c); i++) {
		const struct node *n = cluster_node_at(m->c, i);
		struct fence_watch *w = watch_of(m, n->id);

		if (w && n->state == NODE_OFFLINE && w->was == NODE_FENCING && proves(ev, n)) {
			check_seen(m, index, n, w);
			note_fence(m, w);
		}
		if (w) {
			check_patience(m, index, n, w);
			check_worth(m, index, n, w);
			check_frozen(m, index, n, w);
		}
		if (w && n->barrier && !w->barrier && m->s->options->duel)
			note_duel(m, n);
	}
	check_begun(m, index, ev);
	for (size_t i = 0; i < cluster_node_count(m->c); i++) {
		const struct node *n = cluster_node_at(m->c, i);
		struct fence_watch *w = watch_of(m, n->id);

		if (!w)
			continue;
		if (n->state == NODE_LOST && w->was != NODE_LOST)
			w->lost_us = cluster_now_us(m->c);
		if (n->state == NODE_OFFLINE || n->state == NODE_ONLINE)
			w->forced = false;
		w->was = n->state;
		w->barrier = n->barrier;
	}
}

/* What came before is known by the state alone. */
void brakes_installed(struct mind *m)
{
	memset(m->watch, 0, sizeof(m->watch));
	memset(m->tester, 0, sizeof(m->tester));
	m->self_test = 0;
	for (size_t i = 0; i < cluster_node_count(m->c); i++) {
		const struct node *n = cluster_node_at(m->c, i);
		struct fence_watch *w = watch_of(m, n->id);

		if (!w)
			continue;
		w->was = n->state;
		w->barrier = n->barrier;
		w->forced = n->fence_forced;
		w->n_fenced = n->n_fences;
		memcpy(w->fenced_us, n->fences_us, n->n_fences * sizeof(n->fences_us[0]));
		if (n->quarantined)
			w->quarantined_until = n->quarantine_us ? n->quarantine_us : UINT64_MAX;
		w->seen_levels = n->seen_levels;
		w->frozen_us = n->frozen ? cluster_now_us(m->c) : 0;
		w->frozen_most_us = NEVER_US; /* the setting was another one, perhaps */
	}
}
