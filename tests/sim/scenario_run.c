/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The timeline: events at their times, or later where the cluster was still at work. */
#include "tests/sim/scenario_priv.h"

#include <stdarg.h>
#include <string.h>

#define SLICE_US (20 * MS)
#define CALM_US (8 * SEC)   /* nothing happened for so long, and nothing is under way */
#define MOST_US (240 * SEC) /* that an event waits longer than the file says */
#define BOOT_US (10 * SEC)  /* from power to clusterd, at most */
#define STOP_TRIES 3
#define SOON_US (12 * SEC) /* a retry that is further away is not waited for */

void run_fail(struct scenario_run *r, const char *fmt, ...)
{
	char text[900];
	va_list ap;

	if (r->n_fails == SC_FAILS)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = ' ';
	for (size_t i = 0; i < r->n_fails; i++)
		if (strcmp(r->fails[i], text) == 0)
			return;
	sim_trace(&r->s, "FAILED: %s", text);
	r->fails[r->n_fails++] = hv_xstrdup(text);
}

uint64_t run_time_us(const struct scenario_run *r, uint64_t t_ms)
{
	uint64_t at = r->t0_us, from = 0;

	if (t_ms == UINT64_MAX)
		return UINT64_MAX;
	for (size_t i = 0; i < r->n_marks; i++) {
		if (r->marks[i].t_ms > t_ms)
			break;
		from = r->marks[i].t_ms;
		at = r->marks[i].at_us;
	}
	return at + (t_ms - from) * MS;
}

static void mark(struct scenario_run *r, uint64_t t_ms)
{
	if (r->n_marks < SC_MARKS) {
		r->marks[r->n_marks].t_ms = t_ms;
		r->marks[r->n_marks++].at_us = r->s.now_us;
	}
}

/* ---- time */

void run_for(struct scenario_run *r, uint64_t us)
{
	uint64_t end = r->s.now_us + us;

	while (r->s.now_us < end && !r->s.failed) {
		uint64_t next = r->s.now_us + SLICE_US;

		sim_run_until(&r->s, next < end ? next : end);
		watch(r);
		run_leave_all(r);
	}
}

/* ---- settled */

const struct cluster *run_cluster(struct scenario_run *r)
{
	const struct host *best = NULL;

	for (size_t i = 0; i < r->s.n; i++) {
		const struct host *h = &r->s.hosts[i];

		if (!process_runs(h))
			continue;
		if (mind_current(h->proc.mind))
			return h->proc.mind->c;
		if (!best || h->proc.applied > best->proc.applied)
			best = h;
	}
	return best ? best->proc.mind->c : NULL;
}

static bool node_busy(const struct cluster *c, const struct node *n)
{
	switch (n->state) {
	case NODE_OFFLINE:
	case NODE_ONLINE:
		return false;
	case NODE_LOST:
		/* A brake or a long delay is nothing that goes on by itself. */
		return n->n_devices && cluster_node_vm_count(c, n->id) > 0 && !n->braked &&
		       !(n->fence_delayed && n->deadline_us > cluster_now_us(c) + SOON_US);
	case NODE_JOINING:
	case NODE_MANAGER_DOWN:
	case NODE_FENCING:
		break;
	}
	return true;
}

static bool vm_busy(const struct cluster *c, const struct vm *vm)
{
	switch (vm->state) {
	case VM_STARTING:
	case VM_MIGRATING:
	case VM_RESUMING:
	case VM_PENDING:
		return true;
	case VM_STOPPING: /* one that cannot be stopped may cost its host */
		return vm->tries < STOP_TRIES;
	case VM_RECOVERING:
	case VM_CHECKING:
	case VM_STOPPED:
	case VM_RUNNING:
	case VM_PAUSED:
	case VM_FAILED:
	case VM_BLOCKED:
	case VM_FROZEN:
		break;
	}
	return vm->retry_us && vm->retry_us < cluster_now_us(c) + SOON_US;
}

static bool busy(struct scenario_run *r)
{
	const struct cluster *c = run_cluster(r);

	for (size_t i = 0; i < r->s.n; i++) {
		const struct host *h = &r->s.hosts[i];

		if (r->leaving[i].on)
			return true;
		if (h->power && !h->proc.up && r->s.now_us - h->powered_us < BOOT_US)
			return true;
	}
	for (size_t i = 0; c && i < cluster_node_count(c); i++)
		if (node_busy(c, cluster_node_at(c, i)))
			return true;
	for (size_t i = 0; c && i < cluster_vm_count(c); i++)
		if (vm_busy(c, cluster_vm_at(c, i)))
			return true;
	return false;
}

bool run_settle(struct scenario_run *r, uint64_t most_us)
{
	uint64_t end = r->s.now_us + most_us;
	uint64_t quiet_since = r->n_facts ? r->facts[r->n_facts - 1].at_us : r->t0_us;
	size_t facts = r->n_facts;

	while (r->s.now_us < end && !r->s.failed) {
		if (busy(r) || facts != r->n_facts)
			quiet_since = r->s.now_us;
		else if (r->s.now_us - quiet_since >= CALM_US)
			return true;
		facts = r->n_facts;
		run_for(r, 500 * MS);
	}
	return false;
}

/* ---- events */

/* The hosts' own fates first: of one moment, no time passes between them. */
static void play_moment(struct scenario_run *r, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		run_event(r, &r->sc->events[i]);
}

/* The next time of the file after `t_ms` at which something is to be done or looked at. */
static uint64_t next_stop(const struct scenario *sc, uint64_t t_ms, size_t event)
{
	uint64_t next = event < sc->n_events ? sc->events[event].t_ms : UINT64_MAX;

	for (size_t i = 0; i < sc->n_checks; i++)
		if (!sc->checks[i].at_end && sc->checks[i].span.to_ms > t_ms &&
		    sc->checks[i].span.to_ms < next)
			next = sc->checks[i].span.to_ms;
	return next;
}

static void run_until_time(struct scenario_run *r, uint64_t t_ms)
{
	uint64_t at = run_time_us(r, t_ms);

	if (at > r->s.now_us)
		run_for(r, at - r->s.now_us);
	run_settle(r, MOST_US);
	mark(r, t_ms);
}

static void timeline(struct scenario_run *r)
{
	const struct scenario *sc = r->sc;
	uint64_t t_ms = 0;
	size_t i = 0;

	while (!r->s.failed) {
		size_t first = i;
		uint64_t next =
		    i == 0 && sc->n_events && sc->events[0].t_ms == 0 ? 0 : next_stop(sc, t_ms, i);

		if (next == UINT64_MAX)
			break;
		if (next > 0)
			run_until_time(r, next);
		check_at(r, next);
		while (i < sc->n_events && sc->events[i].t_ms <= next)
			i++;
		play_moment(r, first, i);
		mark(r, next);
		t_ms = next;
	}
	if (!r->s.failed)
		run_for(r, sc->settle_ms * MS);
	run_settle(r, MOST_US);
}

/* ---- the whole */

static void run_begin(struct scenario_run *r, const struct scenario *sc, FILE *trace)
{
	r->sc = sc;
	r->s = (struct sim){.seed = 1, .mind = &vms_mind, .trace = trace, .scenario = r};
	r->s.options = &r->options;
	r->s.result = &r->result;
	r->s.snapshot_every = 100000;
}

static char *verdict(struct scenario_run *r)
{
	char *text = NULL;

	if (r->s.failed)
		run_fail(r, "%s", r->result.failure);
	if (r->n_fails && r->refused_why[0])
		run_fail(r, "%s", r->refused_why);
	for (size_t i = 0; i < r->n_fails; i++) {
		char *more =
		    text ? hv_xasprintf("%s; %s", text, r->fails[i]) : hv_xstrdup(r->fails[i]);

		free(text);
		text = more;
	}
	return text;
}

static void run_end(struct scenario_run *r)
{
	sim_end(&r->s);
	for (size_t i = 0; i < r->n_fails; i++)
		free(r->fails[i]);
	free(r->facts);
	free(r->requests);
	free(r);
}

char *scenario_play(const struct scenario *sc, FILE *trace)
{
	struct scenario_run *r = hv_xcalloc(1, sizeof(*r));
	char *text;

	run_begin(r, sc, trace);
	if (world_make(r)) {
		timeline(r);
		if (!r->s.failed) {
			check_at(r, UINT64_MAX);
			check_whole(r);
			watch_end(r);
		}
	}
	text = verdict(r);
	run_end(r);
	return text;
}
