/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The feeder and this host's device: figures from the command line and corosync, and the end. */
#include "clusterd/clusterd_priv.h"

#include "clusterd/host_time.h"
#include "clusterd/logging.h"
#include "clusterd/watchdog.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define RECORD_DIR "/run/hvcluster"
#define LEAST_TIMEOUT_S 5
#define LEAVE_NS (3ULL * 1000000000)

static uint64_t suspended_us(void)
{
	uint64_t mono = mono_us(), boot = host_time_us(CLOCK_BOOTTIME);

	return boot > mono ? boot - mono : 0;
}

/* ---- the device */

/* What the device made of our timeout does not do: it must not be fed with it. */
static bool figures_hold(struct clusterd *d, uint32_t watchdog_ms)
{
	struct timing t = d->timing;
	const char *wrong;

	t.watchdog_ms = watchdog_ms;
	wrong = timing_wrong(&t, d->list.token_ms, d->list.consensus_ms);
	if (!wrong)
		return true;
	log_error("watchdog %s waits %u ms, with a lease of %u ms and corosync's token and "
		  "consensus of %u and %u ms: %s",
		  d->options->watchdog, watchdog_ms, t.lease_ms, d->list.token_ms,
		  d->list.consensus_ms, wrong);
	return false;
}

static bool dog_open(void *user, uint32_t *ret_ms)
{
	struct clusterd *d = user;
	_cleanup_free_ char *text = NULL;
	enum hv_rc rc = watchdog_open(d->dog, d->watchdog_s, ret_ms, &text);

	if (rc != HV_OK) {
		log_error("watchdog: %s", text);
		return false;
	}
	if (!figures_hold(d, *ret_ms)) {
		if (!watchdog_stop(d->dog))
			log_error("the watchdog cannot be stopped: this host will be reset");
		clusterd_end(d, HV_BAD_CONFIG);
		return false;
	}
	d->timing.watchdog_ms = *ret_ms;
	log_notice("watchdog %s (%s): open, resets this host after %u ms without a member's lease",
		   d->options->watchdog, watchdog_name(d->dog), *ret_ms);
	return true;
}

static void dog_feed(void *user)
{
	struct clusterd *d = user;

	if (!watchdog_feed(d->dog))
		log_error("the watchdog cannot be fed: %s", strerror(errno));
}

static bool dog_close(void *user)
{
	struct clusterd *d = user;
	bool stopped = watchdog_stop(d->dog);

	log_notice("watchdog %s: %s", d->options->watchdog,
		   stopped ? "stopped" : "its driver does not let it be stopped");
	return stopped;
}

static void dog_record(void *user, uint64_t from_us)
{
	struct clusterd *d = user;

	watchdog_record(d->dog, from_us ? from_us + suspended_us() : 0, d->watchdog_s);
}

static uint64_t dog_propose(void *user, const Hv__Event *ev)
{
	struct clusterd *d = user;

	return driver_propose(d->driver, ev, RL_COMMAND, 0);
}

static bool dog_pending(void *user, uint64_t mark)
{
	struct clusterd *d = user;

	return driver_pending(d->driver, mark);
}

static const struct feeder_ops feeder_ops = {.open = dog_open,
					     .feed = dog_feed,
					     .close = dog_close,
					     .record = dog_record,
					     .propose = dog_propose,
					     .pending = dog_pending};

/* ---- start */

static void choose_figures(struct clusterd *d)
{
	const struct options *o = d->options;
	uint32_t least = timing_least_lease_ms(d->list.token_ms, d->list.consensus_ms);
	uint32_t lease = o->watchdog_lease_ms ? o->watchdog_lease_ms : least;
	uint32_t least_s = (lease + TIMING_FEED_MARGIN_MS + 999) / 1000;

	d->watchdog_s = least_s > LEAST_TIMEOUT_S ? least_s : LEAST_TIMEOUT_S;
	if (o->watchdog_timeout_s)
		d->watchdog_s = o->watchdog_timeout_s;
	d->timing = (struct timing){
	    .watchdog_ms = d->watchdog_s * 1000, .lease_ms = lease, .device_ms = d->list.device_ms};
}

/* The process before may have left it running. */
static void resume(struct clusterd *d)
{
	uint64_t now_us = mono_us(), recorded_us = watchdog_recorded(d->dog, d->watchdog_s);
	uint64_t ago_us = now_us + suspended_us() - recorded_us;

	if (recorded_us && ago_us < now_us)
		feeder_resume(d->feeder, now_us - ago_us, now_us);
}

enum hv_rc clusterd_watch_start(struct clusterd *d)
{
	struct feeder_config cfg;
	_cleanup_free_ char *text = NULL;

	if (!d->options->watchdog)
		return HV_OK;
	choose_figures(d);
	if (!figures_hold(d, d->timing.watchdog_ms))
		return HV_BAD_CONFIG;
	mkdir(RECORD_DIR, 0700);
	d->dog = watchdog_new(d->options->watchdog, d->options->watchdog_any_file,
			      RECORD_DIR "/watchdog");
	if (watchdog_check(d->dog, &text) != HV_OK) {
		log_error("watchdog: %s", text);
		return HV_BAD_CONFIG;
	}
	cfg = (struct feeder_config){.timing = d->timing,
				     .token_us = d->list.token_ms * HV_US_PER_MS,
				     .left_us = timing_left_us(d->list.consensus_ms),
				     .both_go_on = d->list.two_node};
	d->feeder = feeder_new(&cfg, &feeder_ops, d);
	resume(d);
	return d->end;
}

void clusterd_watch_recheck(struct clusterd *d)
{
	if (d->feeder && !figures_hold(d, d->timing.watchdog_ms))
		log_error(
		    "corosync's timeouts were changed: the watchdog goes on as it is, and may "
		    "reset healthy hosts; restart clusterd to have it choose a lease that fits");
}

uint64_t clusterd_watch_look(struct clusterd *d)
{
	struct feeder_now now;

	if (!d->feeder)
		return 0;
	if (d->leaving && !feeder_is_open(d->feeder))
		clusterd_end(d, HV_OK);
	now = (struct feeder_now){.suspended_us = suspended_us(),
				  .current = driver_current(d->driver),
				  .heartbeat_back_us = driver_status(d->driver)->heartbeat_back_us};
	now.now_us = mono_us();
	return feeder_look(d->feeder, driver_cluster(d->driver), &now);
}

/* ---- end */

static bool may_hold_vms(const struct clusterd *d)
{
	const struct cluster *c = driver_cluster(d->driver);
	const char *why;

	for (size_t i = 0; i < cluster_vm_count(c); i++)
		if (cluster_vm_at(c, i)->managed &&
		    intake_has(d->intake, cluster_vm_at(c, i)->uuid))
			return true;
	return !intake_health_ok(d->intake, &why);
}

static void end_armed(struct clusterd *d, const char *why)
{
	log_warning("the watchdog stays armed (%s): this host is reset in %u s unless clusterd is "
		    "started again before. To stop clusterd for longer: 'hvcluster node drain' "
		    "this host first, or 'hvcluster disarm'",
		    why, d->watchdog_s);
	clusterd_end(d, HV_OK);
}

static void on_leave_late(void *user)
{
	end_armed(user, "the cluster did not take note in time");
}

void clusterd_leave(struct clusterd *d)
{
	if (!d->feeder || !feeder_is_open(d->feeder)) {
		clusterd_end(d, HV_OK);
	} else if (d->leaving) {
		end_armed(d, "a second signal");
	} else if (!driver_current(d->driver)) {
		end_armed(d, "this node is not active");
	} else if (may_hold_vms(d)) {
		end_armed(d, "VMs of the cluster run here");
	} else {
		d->leaving = true;
		feeder_retire(d->feeder, true);
		qb_loop_timer_add(d->loop, QB_LOOP_HIGH, LEAVE_NS, d, on_leave_late,
				  &d->leave_late);
		driver_wake(d->driver);
	}
}

void clusterd_watch_stop(struct clusterd *d)
{
	if (d->leave_late)
		qb_loop_timer_del(d->loop, d->leave_late);
	feeder_free(d->feeder);
	watchdog_free(d->dog);
}
