/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/clusterd_priv.h"

#include "clusterd/host_time.h"

#include <stdio.h>

const char *clusterd_local_reason(struct clusterd *d)
{
	const struct rl_status *s = driver_status(d->driver);

	if (driver_current(d->driver))
		return NULL;
	if (corosync_hold_doing(d->hold))
		return corosync_hold_doing(d->hold);
	if (!driver_corosync_up(d->driver))
		return "corosync is not running on this node";
	switch (s->phase) {
	case RL_DOWN:
		return "this node is joining corosync's group";
	case RL_NO_QUORUM:
		if (driver_votes(d->driver)->wait_for_all && s->votes >= s->votes_needed)
			return "this node has not seen all nodes since its start (wait_for_all); "
			       "if one is gone for good: hvcluster help quorum force";
		snprintf(d->reason, sizeof(d->reason),
			 "this node sees %u of %u votes, %u are needed", s->votes, s->votes_total,
			 s->votes_needed);
		return d->reason;
	case RL_HELLO:
		if (s->needs_state)
			return "this node's log was lost, and no member that can help has been "
			       "found yet";
		return "the members are comparing their logs";
	case RL_ACTIVATING:
		return "the members are agreeing on a new epoch";
	case RL_SYNCING:
	case RL_ACTIVE:
		return "this node is catching up";
	case RL_LEFT_OUT:
		return s->disk_failed
			   ? "this node's disk failed"
			   : "the other members left this node out; it joins again by itself";
	}
	return "this node is not active";
}

static size_t gather_warnings(struct clusterd *d)
{
	const char *why = NULL;
	size_t n = 0;

	if (driver_store_warning(d->driver))
		d->warnings[n++] = driver_store_warning(d->driver);
	if (driver_divergences(d->driver)) {
		snprintf(d->divergence, sizeof(d->divergence),
			 "the state of this node differed from the others' %u times and was "
			 "replaced: please report this",
			 driver_divergences(d->driver));
		d->warnings[n++] = d->divergence;
	}
	if (!intake_health_ok(d->intake, &why)) {
		snprintf(d->health, sizeof(d->health), "the hypervisor layer of this node: %s",
			 why);
		d->warnings[n++] = d->health;
	}
	if (d->feeder && feeder_trouble(d->feeder))
		d->warnings[n++] = feeder_trouble(d->feeder);
	return n;
}

bool clusterd_view(void *user, struct view *ret, enum hv_rc *ret_rc, const char **ret_why)
{
	struct clusterd *d = user;

	if (!d->driver) {
		*ret_rc = HV_COROSYNC_DOWN;
		*ret_why = d->waiting_for
			       ? d->waiting_for
			       : "corosync is not running on this node; clusterd waits for it";
		return false;
	}
	*ret = (struct view){.c = driver_cluster(d->driver),
			     .status = driver_status(d->driver),
			     .progress = &d->progress,
			     .self = driver_self(d->driver),
			     .current = driver_current(d->driver),
			     .now_us = driver_now_us(d->driver),
			     .cluster_name = d->list.cluster,
			     .list = &d->list,
			     .votes = driver_votes(d->driver),
			     .stuck_ms = d->stuck_us ? (mono_us() - d->stuck_us) / HV_US_PER_MS : 0,
			     .local_reason = clusterd_local_reason(d),
			     .warnings = d->warnings};
	ret->n_warnings = gather_warnings(d);
	return true;
}
