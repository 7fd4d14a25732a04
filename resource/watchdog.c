/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/watchdog.h"

#include "fence/fence_plan.h"
#include "proto/mutant.h"
#include "resource/arm.h"
#include "resource/journal.h"

bool cluster_watchdogs_on(const struct cluster *c)
{
	return is_armed(c) && strcmp(cluster_setting(c, "quorum_loss"), "ignore") != 0;
}

uint64_t cluster_watchdog_generation(const struct cluster *c)
{
	return c->watchdog_generation;
}

static void forget(struct cluster *c, struct node *n)
{
	if (!n->watch.watchdog_ms && !n->both_go_on)
		return;
	n->watch = (struct timing){0};
	n->both_go_on = false;
	node_touch(c, n);
}

static bool in_force(const struct cluster *c)
{
	return c->watchdog_generation % 2 == 0;
}

void watchdog_said(struct cluster *c, const Hv__NodeWatchdog *ev)
{
	struct node *n = node_get(c, ev->node);
	bool had;

	if (!node_is_member(n) || ev->incarnation_seen != n->incarnation || !in_force(c) ||
	    (ev->generation != c->watchdog_generation && !MUTANT(old_generation_counts)))
		return;
	had = n->watch.watchdog_ms;
	n->watch = (struct timing){ev->watchdog_ms, ev->lease_ms, ev->device_ms};
	n->both_go_on = ev->both_go_on;
	node_touch(c, n);
	if (had != (n->watch.watchdog_ms != 0))
		journal_why(c, SEV_NOTICE, "watchdog of", n->name, had ? "on" : "off",
			    had ? "off" : "on", WHY(WATCHDOG_SAID, .subject = n->name));
}

void watchdog_member(struct cluster *c, struct node *n, bool renewed)
{
	n->away_index = n->away_us = 0;
	if (renewed || !in_force(c))
		forget(c, n);
	node_touch(c, n);
}

void watchdog_away(struct cluster *c, struct node *n, const Hv__View *view)
{
	/* Between two views a device may have voted for the other side, which then fed again. */
	bool anew = view->minority || n->watch.device_ms;
	uint64_t detected_us = view->detected_us;

	if (n->away_index && (!anew || MUTANT(counted_while_the_other_had_quorum)))
		return;
	n->away_index = c->index;
	n->away_us = detected_us && detected_us < c->now_us ? detected_us : c->now_us;
	node_touch(c, n);
}

void watchdog_settle(struct cluster *c)
{
	if (cluster_watchdogs_on(c) == in_force(c))
		return;
	c->watchdog_generation++;
	if (in_force(c))
		return;
	for (size_t i = 0; i < c->n_nodes && !MUTANT(closed_watchdog_counts); i++)
		if (!c->nodes[i]->away_index)
			forget(c, c->nodes[i]);
}

bool watchdog_counts(const struct node *n)
{
	return n->watch.watchdog_ms && n->away_index &&
	       (!n->both_go_on || MUTANT(both_go_on_counts));
}

uint64_t watchdog_wait_us(const struct node *n)
{
	struct timing t = n->watch;

	if (MUTANT(deadline_without_second_t))
		t.watchdog_ms /= 2;
	return timing_deadline_us(&t);
}

uint64_t cluster_watchdog_proof_us(const struct node *n)
{
	return watchdog_counts(n) ? n->away_us + watchdog_wait_us(n) : 0;
}

bool cluster_watchdog_proves(const struct cluster *c, const struct node *n)
{
	return n->watch.watchdog_ms && !n->both_go_on &&
	       !cluster_must_see(c, n, FENCE_PLAN_WATCHDOG_LEVEL);
}

/* "5", "13.7" */
static char *seconds(uint64_t ms)
{
	if (ms % 1000 < 100)
		return hv_xasprintf("%llu", (unsigned long long)(ms / 1000));
	return hv_xasprintf("%llu.%llu", (unsigned long long)(ms / 1000),
			    (unsigned long long)(ms / 100 % 10));
}

char *cluster_watchdog_text(const struct node *n)
{
	_cleanup_free_ char *watchdog = seconds(n->watch.watchdog_ms);
	_cleanup_free_ char *lease = seconds(n->watch.lease_ms);
	_cleanup_free_ char *deadline = seconds(timing_deadline_us(&n->watch) / HV_US_PER_MS);

	if (!n->watch.watchdog_ms)
		return NULL;
	if (n->both_go_on)
		return hv_xasprintf(
		    "watchdog %s s; with two_node both hosts go on without each other, so time "
		    "proves nothing: add a quorum device or a fence device",
		    watchdog);
	return hv_xasprintf("watchdog %s s, lease %s s: proven off %s s after its loss", watchdog,
			    lease, deadline);
}
