/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What really runs where. QEMUs outlive clusterd and hypervisord and know nothing of the cluster.
 *
 * I1 no VM has running vCPUs on two hosts. A hung host may thaw: what it runs counts as running.
 * I2 nothing is started while a host that has power still has a copy that ran, nor before there is
 *    proof of that copy's end: its host's own word, a fence device's, an administrator's.
 * A copy that a person started at a host's console is not the cluster's sin; it is exempt until
 * the cluster has taken it over, and must be gone, or taken over, in the end.
 */
#include "tests/sim/vms.h"

#include <string.h>

struct vms_world *vms_of(struct sim *s)
{
	return s->mind_world;
}

int vms_find(const struct sim *s, const char *uuid)
{
	const struct vms_world *w = s->mind_world;
	size_t len = strlen(uuid);
	int last = len > 2 ? (uuid[len - 2] - '0') * 10 + uuid[len - 1] - '0' : -1;

	/* Those of a seed end with their number. */
	if (last >= 0 && last < VMS && strcmp(w->uuid[last], uuid) == 0)
		return last;
	for (int k = 0; k < VMS; k++)
		if (strcmp(w->uuid[k], uuid) == 0)
			return k;
	return -1;
}

void vms_define(struct sim *s, int k, const char *name, const char *uuid, uint64_t mem_mib)
{
	struct vms_world *w = vms_of(s);

	snprintf(w->name[k], sizeof(w->name[k]), "%s", name);
	snprintf(w->uuid[k], sizeof(w->uuid[k]), "%s", uuid);
	w->mem_mib[k] = mem_mib;
}

struct domain *vms_dom(struct sim *s, hv_node_id host, int k)
{
	return &vms_of(s)->dom[host - 1][k];
}

bool vms_layer_well(struct sim *s, hv_node_id host)
{
	const struct hyper *y = &vms_of(s)->hyper[host - 1];

	return !y->hung && !y->down && !y->hvd_down;
}

void vms_note(struct sim *s, enum vms_event_kind kind, int vm, hv_node_id host, hv_node_id other,
	      bool ok)
{
	struct vms_world *w = vms_of(s);

	if (!w->keep_log)
		return;
	if (w->n_log == w->cap_log) {
		w->cap_log = w->cap_log ? w->cap_log * 2 : 64;
		w->log = hv_xrealloc(w->log, w->cap_log, sizeof(*w->log));
	}
	w->log[w->n_log++] = (struct vms_event){s->now_us, kind, vm, host, other, ok};
}

/* As libvirt sees it: what has arrived whole is a paused domain like any other. */
enum dom vms_resting(struct sim *s, hv_node_id host, int k)
{
	const struct domain *d = vms_dom(s, host, k);

	return d->state == DOM_INCOMING && d->whole ? DOM_PAUSED : d->state;
}

/* hypervisord keeps a register of starts under way: absence then proves nothing. */
Hv__Observed vms_observed(struct sim *s, hv_node_id host, int k)
{
	const struct domain *d = vms_dom(s, host, k);

	if (d->stalled)
		return HV__OBSERVED__OBSERVED_UNKNOWN;
	switch (d->state) {
	case DOM_ABSENT:
		if (d->create_lost || s->now_us < d->register_until_us ||
		    vms_is_starting(s, host, k))
			return HV__OBSERVED__OBSERVED_UNKNOWN;
		return HV__OBSERVED__OBSERVED_ABSENT;
	case DOM_RUNNING:
		return HV__OBSERVED__OBSERVED_RUNNING;
	case DOM_PAUSED:
		return HV__OBSERVED__OBSERVED_PAUSED;
	case DOM_INCOMING:
		return d->arrived || !d->whole ? HV__OBSERVED__OBSERVED_INCOMING
					       : HV__OBSERVED__OBSERVED_PAUSED;
	}
	return HV__OBSERVED__OBSERVED_UNKNOWN;
}

static const char *dom_name(enum dom d)
{
	static const char *const names[] = {"absent", "running", "paused", "incoming"};

	return names[d];
}

/* ---- I1, I2 */

static void check_single(struct sim *s, hv_node_id host, int k)
{
	if (vms_dom(s, host, k)->stray)
		return;
	for (size_t i = 0; i < s->n; i++) {
		const struct host *o = &s->hosts[i];
		const struct domain *d = vms_dom(s, o->id, k);

		if (o->id != host && o->power && d->state == DOM_RUNNING && !d->stray)
			sim_fail(s, "I1: %s runs on hosts %u and %u", vms_of(s)->name[k], host,
				 o->id);
	}
}

void vms_check_takeover(struct sim *s, hv_node_id host, int k)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct host *o = &s->hosts[i];
		const struct domain *d = vms_dom(s, o->id, k);

		if (o->id == host || d->stray)
			continue;
		if (o->power && (d->state == DOM_RUNNING || d->state == DOM_PAUSED))
			sim_fail(s, "I2: %s is to run on host %u and is %s on host %u",
				 vms_of(s)->name[k], host, dom_name(d->state), o->id);
		else if (d->owed)
			sim_fail(s,
				 "I2: %s is to run on host %u; it ran on host %u, of which nobody "
				 "has proof that it is over",
				 vms_of(s)->name[k], host, o->id);
	}
}

void vms_proven(struct sim *s, hv_node_id host)
{
	for (int k = 0; k < VMS; k++)
		if (vms_dom(s, host, k)->state == DOM_ABSENT)
			vms_dom(s, host, k)->owed = false;
}

/* ---- changes, and who is told */

void vms_tell(struct sim *s, struct host *h, int k, Hv__Cause cause)
{
	struct vms_world *w = vms_of(s);
	Hv__DomainSeen seen = HV__DOMAIN_SEEN__INIT;

	if (!h->power || !h->proc.up || !h->proc.mind || !vms_layer_well(s, h->id))
		return;
	seen.uuid = w->uuid[k];
	seen.name = w->name[k];
	seen.observed = vms_observed(s, h->id, k);
	seen.cause = cause;
	if (seen.observed == HV__OBSERVED__OBSERVED_ABSENT)
		vms_dom(s, h->id, k)->owed = false;
	intake_domain(h->proc.mind->intake, &seen);
	h->proc.mind->unsettled = true;
}

/* It runs on `host`: what had arrived elsewhere is of before that. */
void vms_runs_on(struct sim *s, hv_node_id host, int k)
{
	for (size_t i = 0; i < s->n; i++) {
		struct domain *d = vms_dom(s, s->hosts[i].id, k);

		if (s->hosts[i].id != host && d->state == DOM_INCOMING && d->whole)
			d->outdated = true;
	}
}

void vms_set(struct sim *s, struct host *h, int k, enum dom to, Hv__Cause cause)
{
	struct domain *d = vms_dom(s, h->id, k);
	enum dom from = d->state;

	if (from == to)
		return;
	sim_trace(s, "host %u: %s %s -> %s%s", h->id, vms_of(s)->name[k], dom_name(from),
		  dom_name(to), d->stray ? " (stray)" : "");
	d->unplanned = to != DOM_ABSENT && (d->unplanned || d->stray);
	d->state = to;
	d->left = to == DOM_ABSENT && cause == HV__CAUSE__CAUSE_MIGRATED;
	d->stalled = d->stalled && to != DOM_ABSENT;
	if (to == DOM_ABSENT) {
		bool owed = d->owed, whole = from != DOM_INCOMING || d->whole;

		d->whole = d->arrived = d->stray = d->deaf = d->outdated = false;
		d->owed = owed;
		if (whole)
			vms_note(s, VMS_STOPPED, k, h->id, 0, true);
	} else if (to == DOM_RUNNING) {
		if (d->outdated && !d->stray)
			sim_fail(s,
				 "I1: %s is resumed on host %u with a memory from before it ran on",
				 vms_of(s)->name[k], h->id);
		if (!d->stray) /* what a person starts beside it is not its next life */
			vms_runs_on(s, h->id, k);
		d->whole = d->arrived = d->outdated = false;
		d->owed = !d->stray;
		vms_note(s, from == DOM_ABSENT ? VMS_STARTED : VMS_RESUMED, k, h->id, 0, true);
		check_single(s, h->id, k);
	} else if (to == DOM_PAUSED) {
		vms_note(s, VMS_PAUSED, k, h->id, 0, true);
	}
	vms_tell(s, h, k, cause);
	vms_guest_changes(s, h, k, from, to);
	if (to == DOM_RUNNING)
		vms_crash_runs(s, h, k);
}

void vms_power_off(struct sim *s, struct host *h)
{
	struct vms_world *w = vms_of(s);
	struct hyper *y = &w->hyper[h->id - 1];

	for (int k = 0; k < VMS; k++) {
		struct domain *d = vms_dom(s, h->id, k);

		if (d->state == DOM_RUNNING)
			vms_note(s, VMS_STOPPED, k, h->id, 0, false);
		*d = (struct domain){.owed = d->owed};
	}
	vms_watch_power_off(s, h);
	*y = (struct hyper){.life = y->life + 1,
			    .mains_lost = !w->fencing,
			    .outlet_off = {y->outlet_off[0], y->outlet_off[1]}};
}

/* ---- what a process is told of everything */

static void health(struct mind *m)
{
	struct vms_world *w = vms_of(m->s);
	Hv__HvHealth health = HV__HV_HEALTH__INIT;

	health.libvirt_ok = !w->hyper[m->h->id - 1].hung && !w->hyper[m->h->id - 1].down;
	health.text = health.libvirt_ok ? "" : "simulated: libvirt does not answer";
	health.mem_mib = w->host_mem_mib[m->h->id - 1];
	health.cpus = w->host_cpus[m->h->id - 1];
	intake_health(m->intake, &health, mind_mono(m));
	vms_storage_tell(m);
	m->unsettled = true;
}

void vms_inventory(struct mind *m)
{
	struct vms_world *w = vms_of(m->s);
	Hv__HvInventory inv = HV__HV_INVENTORY__INIT;
	Hv__DomainSeen seen[VMS], *pointers[VMS];

	if (!vms_layer_well(m->s, m->h->id))
		return;
	inv.complete = true;
	inv.domains = pointers;
	for (int k = 0; k < VMS; k++) {
		Hv__Observed observed = vms_observed(m->s, m->h->id, k);

		if (observed == HV__OBSERVED__OBSERVED_ABSENT) {
			vms_dom(m->s, m->h->id, k)->owed = false;
			continue;
		}
		hv__domain_seen__init(&seen[k]);
		seen[k].uuid = w->uuid[k];
		seen[k].name = w->name[k];
		seen[k].observed = observed;
		pointers[inv.n_domains++] = &seen[k];
	}
	intake_inventory(m->intake, &inv);
	m->inventory_sent = true;
	w->hyper[m->h->id - 1].bad = false;
	health(m);
	vms_guests_anew(m);
}
