/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/driver_priv.h"

#include "clusterd/host_time.h"
#include "clusterd/logging.h"

uint64_t driver_propose(struct driver *d, const Hv__Event *ev, enum rl_entry_type type,
			hv_node_id fenced)
{
	const char *why = NULL;
	Hv__Event checked = *ev;

	/* The log would refuse it: its owner looks again when the barrier has gone. */
	if (!driver_current(d) || (type != RL_FENCE && rl_status(d->log)->barrier))
		return 0;
	checked.proposer = d->self;
	checked.at_us = driver_now_us(d);
	if (!event_valid(&checked, &why)) {
		log_error("internal: an event of ours is malformed and not proposed: %s", why);
		return 0;
	}
	return proposer_put(d->proposer, ev, type, fenced);
}

bool driver_pending(const struct driver *d, uint64_t mark)
{
	return proposer_pending(d->proposer, mark);
}

size_t driver_proposals(const struct driver *d)
{
	return proposer_count(d->proposer);
}

void driver_gossip(struct driver *d, const Hv__Gossip *gossip)
{
	uint8_t data[HV_TEXT_MAX + 64];
	size_t len = hv__gossip__get_packed_size(gossip);

	if (len > sizeof(data) || !driver_current(d))
		return;
	hv__gossip__pack(gossip, data);
	rl_gossip(d->log, data, len);
	driver_turn(d);
}

/* ---- queries */

const struct cluster *driver_cluster(const struct driver *d)
{
	return d->cluster;
}

const struct rl_status *driver_status(const struct driver *d)
{
	return rl_status(d->log);
}

hv_node_id driver_self(const struct driver *d)
{
	return d->self;
}

uint64_t driver_incarnation(const struct driver *d)
{
	return log_store_incarnation(d->store);
}

bool driver_current(const struct driver *d)
{
	const struct rl_status *s = rl_status(d->log);

	return s->phase == RL_ACTIVE && rl_epoch_cmp(&s->epoch, &d->applied_epoch) == 0;
}

bool driver_corosync_up(const struct driver *d)
{
	return d->cpg &&
	       cpg_link_up(d->cpg); /* not there yet when a snapshot is installed at the start */
}

uint64_t driver_self_delivered_us(const struct driver *d)
{
	return d->cpg ? cpg_link_self_delivered_us(d->cpg) : 0;
}

const struct vote_info *driver_votes(const struct driver *d)
{
	return vote_link_info(d->vote);
}

void driver_force_log(struct driver *d)
{
	if (!d->forcing)
		return;
	d->forcing = false;
	log_warning("quorum force: this node may lead with the log that it holds");
	rl_force(d->log, mono_us());
	driver_turn(d);
}

enum hv_rc driver_force(struct driver *d, char **ret_text)
{
	const struct rl_status *s = rl_status(d->log);
	enum hv_rc rc = HV_OK;

	d->forcing = true;
	if (s->quorate) {
		driver_force_log(d);
		return HV_OK;
	}
	rc = vote_link_force(d->vote, s->votes, ret_text);
	d->forcing = rc == HV_OK;
	return rc;
}

const char *driver_store_warning(const struct driver *d)
{
	return d->store_warning;
}

unsigned driver_divergences(const struct driver *d)
{
	return d->divergences;
}

uint64_t driver_time_at(const struct driver *d, uint64_t at_mono_us)
{
	return cluster_time_at(&d->time, at_mono_us);
}

uint64_t driver_now_us(const struct driver *d)
{
	return cluster_time_at(&d->time, mono_us());
}
