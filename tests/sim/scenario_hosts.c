/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of hosts: power, network, on their way down. */
#include "tests/sim/scenario_priv.h"

#define LEAVE_MOST_US (400 * SEC) /* a host that wants to go down waits so long for its VMs */
#define LEAVE_ALONE_US (10 * SEC) /* and so long where nobody answers */
#define REBOOT_US (20 * SEC)

void run_power_off(struct scenario_run *r, hv_node_id id)
{
	struct host *h = sim_host(&r->s, id);

	watch(r);
	watch_lost(r, id);
	r->down_at_us[id - 1] = r->s.now_us;
	host_power_off(&r->s, h);
	r->was_on[id - 1] = false;
}

void run_power_on(struct scenario_run *r, hv_node_id id)
{
	struct host *h = sim_host(&r->s, id);

	watch(r);
	run_cut(r, id, false);
	host_power_on(&r->s, h);
	r->was_on[id - 1] = true;
	r->powers_seen[id - 1] = h->powers;
}

void run_cut(struct scenario_run *r, hv_node_id id, bool cut)
{
	struct host *h = sim_host(&r->s, id);
	unsigned group = cut ? id : 0;

	if (h->group == group)
		return;
	watch(r);
	if (cut)
		watch_lost(r, id);
	sim_trace(&r->s, "host %u: %s", id, cut ? "cut off" : "reached again");
	h->group = group;
	net_changed(&r->s, !cut);
}

void run_one_way(struct scenario_run *r, hv_node_id id, bool loss)
{
	watch(r);
	if (loss)
		watch_lost(r, id);
	if (!loss)
		net_one_way_over(&r->s);
	else if (!r->s.lonely)
		net_one_way(&r->s, id, id % 2 == 0);
}

void run_leave(struct scenario_run *r, hv_node_id id, bool reboot, size_t request)
{
	struct sc_leaving *l = &r->leaving[id - 1];

	*l = (struct sc_leaving){.on = true,
				 .reboot = reboot,
				 .request = request + 1,
				 .since_us = r->s.now_us,
				 .next_us = r->s.now_us};
}

/* Does the cluster want it to wait? */
static bool may_go(struct scenario_run *r, struct sc_leaving *l, hv_node_id id)
{
	uint64_t waited = r->s.now_us - l->since_us;
	const struct sc_request *q = l->request ? &r->requests[l->request - 1] : NULL;
	const struct cluster *c = run_cluster(r);
	const struct node *n = c ? cluster_node(c, id) : NULL;
	const struct operation *op;

	if (!q || waited > LEAVE_MOST_US)
		return true;
	if (!q->answered)
		return waited > LEAVE_ALONE_US;
	if (q->rc != HV_OK || !n)
		return true;
	op = n->leaving_op ? cluster_op(c, n->leaving_op) : NULL;
	return !op || op->state != OP_RUNNING;
}

/* What still runs there is ended by the host. */
static void stop_guests(struct scenario_run *r, struct host *h)
{
	for (int k = 0; k < VMS; k++)
		if (vms_dom(&r->s, h->id, k)->state != DOM_ABSENT)
			vms_set(&r->s, h, k, DOM_ABSENT, HV__CAUSE__CAUSE_GUEST_SHUTDOWN);
	if (process_runs(h))
		mind_wake(h->proc.mind);
}

static void leave_step(struct scenario_run *r, hv_node_id id)
{
	struct sc_leaving *l = &r->leaving[id - 1];
	struct host *h = sim_host(&r->s, id);

	l->next_us = r->s.now_us + 500 * MS;
	switch (l->phase) {
	case 0:
		if (!may_go(r, l, id))
			return;
		stop_guests(r, h);
		break;
	case 1:
		process_kill(&r->s, h);
		break;
	case 2:
		r->was_on[id - 1] = false;
		host_power_off(&r->s, h);
		l->next_us = r->s.now_us + REBOOT_US;
		l->on = l->reboot;
		break;
	default:
		run_power_on(r, id);
		l->on = false;
	}
	l->phase++;
}

void run_leave_all(struct scenario_run *r)
{
	for (hv_node_id id = 1; id <= r->s.n; id++) {
		struct sc_leaving *l = &r->leaving[id - 1];

		if (!l->on || l->next_us > r->s.now_us)
			continue;
		/* It was fenced meanwhile. */
		if (l->phase <= 2 && !sim_host(&r->s, id)->power)
			l->on = false;
		else
			leave_step(r, id);
	}
}
