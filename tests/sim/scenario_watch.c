/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What holds in every scenario, seen from what really happened, not from what the brain believes.
 *
 * 1 one copy at a time: the rack itself checks it (vms.h, I1)
 * 2 nothing is started while a host that had it was lost, and is neither fenced nor back
 * 3 without quorum nobody is fenced and nothing starts, unless quorum_loss says ignore
 * 4 the cluster creates no violation of a hard rule
 * 5 what is to be stopped is not started
 * 6 where all has settled, nothing more happens
 */
#include "tests/sim/scenario_priv.h"

#include <string.h>

#define QUORUM_LAG_US (3 * SEC) /* a call that was begun before goes on */
#define STILL_US (100 * SEC)

#define VM_NAME(r, k) ((r)->sc->vms[k].name)
#define HOST_NAME(r, id) ((r)->s.hosts[(id)-1].name)

/* ---- quorum, counted from outside */

static bool has_quorum(struct scenario_run *r, const struct host *h)
{
	size_t n = 0;

	for (size_t i = 0; i < r->s.n; i++) {
		const struct host *o = &r->s.hosts[i];

		n += o->power && !o->hung && o->group == h->group;
	}
	if (r->s.no_votes)
		return false;
	return r->s.two_node ? n > 0 : n * 2 > r->s.n;
}

static bool ignores_quorum(const struct scenario_run *r)
{
	const char *loss = r->sc->settings.quorum_loss;

	return loss && strcmp(loss, "ignore") == 0;
}

static void see_quorum(struct scenario_run *r)
{
	for (size_t i = 0; i < r->s.n; i++)
		if (has_quorum(r, &r->s.hosts[i]))
			r->quorate_us[i] = r->s.now_us;
}

static bool quorate_lately(const struct scenario_run *r, hv_node_id id)
{
	return ignores_quorum(r) ||
	       (r->quorate_us[id - 1] && r->s.now_us - r->quorate_us[id - 1] < QUORUM_LAG_US);
}

/* ---- hard rules */

static bool in_rule(const struct sc_rule *rule, int vm)
{
	for (size_t i = 0; i < rule->n_vms; i++)
		if (rule->vms[i] == vm)
			return true;
	return false;
}

static bool apart_from_all(struct scenario_run *r, const struct sc_rule *rule, int vm,
			   hv_node_id node)
{
	for (size_t i = 0; i < rule->n_vms; i++)
		if (rule->vms[i] != vm && r->there[rule->vms[i]] && r->holder[rule->vms[i]] == node)
			return false;
	return true;
}

bool rule_allows(struct scenario_run *r, const struct sc_rule *rule, int vm, hv_node_id node)
{
	bool listed = node <= r->sc->n_nodes && (rule->nodes >> (node - 1) & 1);

	if (!rule->hard || !in_rule(rule, vm))
		return true;
	switch (rule->kind) {
	case HV__RULE_KIND__RULE_NODES:
		return listed;
	case HV__RULE_KIND__RULE_BAN:
		return !listed;
	case HV__RULE_KIND__RULE_APART:
		return apart_from_all(r, rule, vm, node);
	case HV__RULE_KIND__RULE_FOLLOW:
		return vm != rule->vms[0] || r->holder[rule->vms[1]] == node ||
		       vms_dom(&r->s, node, rule->vms[1])->state != DOM_ABSENT;
	case HV__RULE_KIND__RULE_NONE:
	case HV__RULE_KIND__RULE_TOGETHER: /* on the way they may be parted: looked at in the end */
	case HV__RULE_KIND__RULE_AFTER:
	case _HV__RULE_KIND_IS_INT_SIZE:
		break;
	}
	return true;
}

static const char *rule_word(const struct sc_rule *rule)
{
	static const char *const words[] = {"none",  "nodes",  "ban",  "together",
					    "apart", "follow", "after"};

	return words[rule->kind];
}

/* ---- facts */

static struct fact *fact_add(struct scenario_run *r, enum fact_kind kind, int vm, hv_node_id node,
			     uint64_t at_us)
{
	if (r->n_facts == r->cap_facts) {
		r->cap_facts = r->cap_facts ? r->cap_facts * 2 : 128;
		r->facts = hv_xrealloc(r->facts, r->cap_facts, sizeof(*r->facts));
	}
	r->facts[r->n_facts] = (struct fact){.at_us = at_us, .kind = kind, .vm = vm, .node = node};
	return &r->facts[r->n_facts++];
}

static void watch_start_of(struct scenario_run *r, int vm, hv_node_id node)
{
	if (!r->live)
		return;
	if (!r->wanted[vm] && !r->unmanaged[vm])
		run_fail(r, "%s is to be stopped, and was started on %s", VM_NAME(r, vm),
			 HOST_NAME(r, node));
	if (!quorate_lately(r, node))
		run_fail(r, "%s was started on %s, which has no quorum", VM_NAME(r, vm),
			 HOST_NAME(r, node));
	if (r->owed[vm] && r->owed[vm] != node)
		run_fail(r, "%s was started on %s, though %s was lost with it and is not fenced",
			 VM_NAME(r, vm), HOST_NAME(r, node), HOST_NAME(r, r->owed[vm]));
}

/* It begins to run there. */
static void watch_arrival(struct scenario_run *r, int vm, hv_node_id node)
{
	/* A migration that the file gives was begun before there were rules. */
	if (r->sc->vms[vm].state == SC_VM_MIGRATING && r->sc->vms[vm].migrating_to + 1 == (int)node)
		return;
	for (size_t i = 0; r->live && i < r->sc->n_rules; i++)
		if (!r->refused[i] && !rule_allows(r, &r->sc->rules[i], vm, node))
			run_fail(r, "%s came to run on %s against a hard rule (%s)", VM_NAME(r, vm),
				 HOST_NAME(r, node), rule_word(&r->sc->rules[i]));
}

static void runs(struct scenario_run *r, const struct vms_event *e)
{
	hv_node_id from = r->coming[e->vm] == e->host ? r->last[e->vm] : SC_NOBODY;
	struct fact *f;

	/* Only let go on: no change of place. */
	if (r->holder[e->vm] == e->host)
		return;
	if (!from && !r->by_hand)
		watch_start_of(r, e->vm, e->host);
	if (!r->by_hand)
		watch_arrival(r, e->vm, e->host);
	f = fact_add(r, FACT_START, e->vm, e->host, e->at_us);
	f->from = from;
	f->moves = !from && r->last[e->vm] && r->last[e->vm] != e->host;
	r->holder[e->vm] = r->last[e->vm] = e->host;
	r->coming[e->vm] = SC_NOBODY;
}

static void ends(struct scenario_run *r, const struct vms_event *e)
{
	struct fact *f = fact_add(r, FACT_STOP, e->vm, e->host, e->at_us);

	f->interrupts = r->holder[e->vm] == e->host || r->coming[e->vm] == e->host;
	if (r->holder[e->vm] == e->host)
		r->holder[e->vm] = SC_NOBODY;
	if (r->coming[e->vm] == e->host)
		r->coming[e->vm] = SC_NOBODY;
}

static void moved(struct scenario_run *r, const struct vms_event *e)
{
	struct fact *f = fact_add(r, FACT_MOVE, e->vm, e->host, e->at_us);

	f->to = e->other;
	f->moves = true;
	r->holder[e->vm] = SC_NOBODY;
	r->coming[e->vm] = e->other;
	r->last[e->vm] = e->host;
}

static void proven_off(struct scenario_run *r, hv_node_id id)
{
	for (int k = 0; k < VMS; k++)
		if (r->owed[k] == id)
			r->owed[k] = SC_NOBODY;
}

static void fenced(struct scenario_run *r, hv_node_id id, hv_node_id by, uint64_t at_us)
{
	fact_add(r, FACT_FENCE, -1, id, at_us);
	if (r->live && by && !quorate_lately(r, by))
		run_fail(r, "%s was fenced by %s, which has no quorum", HOST_NAME(r, id),
			 HOST_NAME(r, by));
	proven_off(r, id);
}

void watch_confirmed(struct scenario_run *r, hv_node_id id)
{
	if (sim_host(&r->s, id)->power)
		return;
	vms_proven(&r->s, id);
	proven_off(r, id);
}

static void see(struct scenario_run *r, const struct vms_event *e)
{
	switch (e->kind) {
	case VMS_START_TRIED:
		fact_add(r, FACT_TRY, e->vm, e->host, e->at_us);
		if (!e->ok)
			watch_start_of(r, e->vm, e->host);
		break;
	case VMS_STARTED:
	case VMS_RESUMED:
		runs(r, e);
		break;
	case VMS_STOPPED:
		ends(r, e);
		break;
	case VMS_MOVED:
		moved(r, e);
		break;
	case VMS_FENCED:
		fenced(r, e->host, e->other, e->at_us);
		r->was_on[e->host - 1] = false;
		break;
	case VMS_MOVE_TRIED:
	case VMS_PAUSED:
		break;
	case VMS_RESET:
		if (e->ok)
			fact_add(r, FACT_RESET, e->vm, e->host, e->at_us);
		break;
	}
}

/* A host that goes off or starts anew, and nobody else did it: it reset itself. */
static void see_hosts(struct scenario_run *r)
{
	for (size_t i = 0; i < r->s.n; i++) {
		const struct host *h = &r->s.hosts[i];

		if (r->was_on[i] && (!h->power || h->powers != r->powers_seen[i]))
			fenced(r, h->id, SC_NOBODY, r->s.now_us);
		if (h->power && h->powers != r->powers_seen[i])
			proven_off(r, h->id);
		r->was_on[i] = h->power;
		r->powers_seen[i] = h->powers;
	}
}

void watch(struct scenario_run *r)
{
	if (!r->w)
		return;
	see_quorum(r);
	for (; r->log_seen < r->w->n_log; r->log_seen++)
		see(r, &r->w->log[r->log_seen]);
	see_hosts(r);
	/* A host that is reached again says itself what it runs. */
	for (int k = 0; k < VMS; k++) {
		const struct host *h = sim_host(&r->s, r->owed[k]);

		if (h && h->power && h->group == 0)
			r->owed[k] = SC_NOBODY;
	}
}

void watch_lost(struct scenario_run *r, hv_node_id id)
{
	for (int k = 0; k < VMS; k++)
		if (r->holder[k] == id || r->coming[k] == id)
			r->owed[k] = id;
}

void watch_start(struct scenario_run *r)
{
	watch(r);
	r->n_facts = 0;
	memcpy(r->at_start, r->holder, sizeof(r->at_start));
	r->live = true;
	r->t0_us = r->s.now_us;
}

/* ---- the end */

static void still(struct scenario_run *r)
{
	size_t before = r->n_facts;

	run_for(r, STILL_US);
	for (size_t i = before; i < r->n_facts; i++) {
		static const char *const words[] = {"", "starts", "stops", "moves", "is fenced"};
		const struct fact *f = &r->facts[i];

		if (f->kind == FACT_TRY)
			continue;
		run_fail(r, "all was settled, and then %s %s on %s",
			 f->vm >= 0 ? VM_NAME(r, f->vm) : "a node", words[f->kind],
			 HOST_NAME(r, f->node));
	}
}

/* Was it broken when it was given, or by hand? It may stand where it cannot be repaired. */
static bool inherited(const struct scenario_run *r, const struct sc_rule *rule)
{
	hv_node_id at = SC_NOBODY;

	for (size_t i = 0; i < r->sc->n_events; i++)
		if (r->sc->events[i].op == SC_EXTERNAL_MOVE && in_rule(rule, r->sc->events[i].vm))
			return true;
	for (size_t i = 0; i < rule->n_vms; i++) {
		hv_node_id was = r->at_start[rule->vms[i]];

		if (was && at && was != at)
			return true;
		at = was ? was : at;
	}
	return false;
}

/* Those that have to be on one node, and run: are they? */
static void parted(struct scenario_run *r, const struct sc_rule *rule)
{
	hv_node_id at = SC_NOBODY;

	for (size_t i = 0; i < rule->n_vms; i++) {
		hv_node_id here = r->holder[rule->vms[i]];

		if (here && at && here != at)
			run_fail(r, "in the end a hard rule (together) does not hold: %s is on %s",
				 VM_NAME(r, rule->vms[i]), HOST_NAME(r, here));
		at = here ? here : at;
	}
}

void watch_end(struct scenario_run *r)
{
	for (size_t i = 0; i < r->sc->n_rules; i++)
		if (!r->refused[i] && !inherited(r, &r->sc->rules[i]) && r->sc->rules[i].hard &&
		    r->sc->rules[i].kind == HV__RULE_KIND__RULE_TOGETHER)
			parted(r, &r->sc->rules[i]);
	still(r);
}
