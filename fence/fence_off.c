/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The proof that a node is off: `off`, then `status` until it says off.
 *
 *   OFF -- ok -------> STATUS -- off -------------------------------> proven
 *    |                  |  ^ -- on, or failed -- 200 ms --+
 *    |                  |  +-----------------------------+
 *    | failed           | deadline -------------------------------> time-out
 *    v                  v
 *   STATUS once: off -> proven (it was off already); else -> failed
 *
 * Of a device that waits: REBOOT -- ok -> it has waited (fence_agent.h says why).
 */
#include "fence/fence_agent.h"

#include "fence/agent_text.h"

#include <string.h>
#include <time.h>

#define STATUS_EVERY_US (200 * HV_US_PER_MS)

struct fence_off_run {
	qb_loop_t *loop;
	fence_done_fn done;
	void *user;
	struct fence_call *call;
	struct fence_agent_run *agent; /* the one that runs now */
	qb_loop_timer_handle timer;
	bool timer_set;
	bool cancelled;
	bool asking;	   /* it is `status` that runs */
	char *off_failure; /* why `off` failed */
	char *status_text; /* what the last `status` said */
	uint64_t began_us, deadline_us;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * HV_US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}

static void finish(struct fence_off_run *run, enum hv_rc rc, int exit_status, const char *text)
{
	struct fence_result r = {.rc = rc,
				 .exit_status = exit_status,
				 .power_off = rc == HV_OK,
				 .text = text,
				 .began_us = run->began_us,
				 .ended_us = now_us()};

	run->done(run->user, &r);
	if (run->timer_set)
		qb_loop_timer_del(run->loop, run->timer);
	agent_call_free(run->call);
	free(run->off_failure);
	free(run->status_text);
	free(run);
}

static void finish_late(struct fence_off_run *run)
{
	_cleanup_free_ char *text =
	    hv_xasprintf("%s was told to switch the node off, but it was not seen off within "
			 "%u ms: %s",
			 run->call->agent, run->call->timeout_ms,
			 run->status_text ? run->status_text : "no status");

	finish(run, HV_TIMEOUT, -1, text);
}

static void on_agent(void *user, const struct fence_result *r);

static void ask_status(struct fence_off_run *run)
{
	struct fence_call call = *run->call;
	uint64_t now = now_us();

	if (now >= run->deadline_us) {
		finish_late(run);
		return;
	}
	call.action = "status";
	call.timeout_ms = (uint32_t)((run->deadline_us - now) / HV_US_PER_MS) + 1;
	run->asking = true;
	run->agent = fence_agent_start(run->loop, &call, on_agent, run);
}

static void on_pause_over(void *data)
{
	struct fence_off_run *run = data;

	run->timer_set = false;
	if (run->cancelled)
		finish(run, HV_CANCELLED, -1, "cancelled");
	else
		ask_status(run);
}

static void pause_for(struct fence_off_run *run, uint64_t us)
{
	int32_t err =
	    qb_loop_timer_add(run->loop, QB_LOOP_HIGH, us * 1000, run, on_pause_over, &run->timer);

	hv_assert(err == 0);
	run->timer_set = true;
}

static void after_reboot(struct fence_off_run *run, const struct fence_result *r)
{
	_cleanup_free_ char *text = hv_xasprintf(
	    "%s: has waited for as long as it takes; nobody has seen it off", run->call->agent);

	finish(run, r->rc, r->exit_status, r->rc == HV_OK ? text : r->text);
}

static void after_off(struct fence_off_run *run, const struct fence_result *r)
{
	if (r->rc != HV_OK && r->rc != HV_AGENT_FAILED) {
		finish(run, r->rc, r->exit_status, r->text);
		return;
	}
	/* Some devices refuse to switch off what is off: the status decides. */
	if (r->rc == HV_AGENT_FAILED)
		run->off_failure = hv_xstrdup(r->text);
	ask_status(run);
}

static void after_status(struct fence_off_run *run, const struct fence_result *r)
{
	_cleanup_free_ char *text = NULL;

	if (r->rc == HV_OK && r->power_off) {
		text = hv_xasprintf("%s: seen off%s", run->call->agent,
				    run->off_failure ? " (it was off already)" : "");
		finish(run, HV_OK, 0, text);
		return;
	}
	if (run->off_failure) {
		text = hv_xasprintf("%s; then %s", run->off_failure, r->text);
		finish(run, HV_AGENT_FAILED, r->exit_status, text);
		return;
	}
	free(run->status_text);
	run->status_text = hv_xstrdup(r->text);
	if (r->rc == HV_OK || r->rc == HV_AGENT_FAILED)
		pause_for(run, STATUS_EVERY_US);
	else if (r->rc == HV_TIMEOUT)
		finish_late(run);
	else
		finish(run, r->rc, r->exit_status, r->text);
}

static void on_agent(void *user, const struct fence_result *r)
{
	struct fence_off_run *run = user;

	run->agent = NULL;
	if (run->cancelled)
		finish(run, HV_CANCELLED, r->exit_status, "cancelled");
	else if (run->call->waits)
		after_reboot(run, r);
	else if (run->asking)
		after_status(run, r);
	else
		after_off(run, r);
}

struct fence_off_run *fence_off_start(qb_loop_t *loop, const struct fence_call *call,
				      fence_done_fn done, void *user)
{
	struct fence_off_run *run = hv_xcalloc(1, sizeof(*run));
	struct fence_call off = *call;

	off.action = call->waits ? "reboot" : "off";
	run->loop = loop;
	run->done = done;
	run->user = user;
	run->call = agent_call_dup(&off);
	run->began_us = now_us();
	run->deadline_us = run->began_us + call->timeout_ms * HV_US_PER_MS;
	run->agent = fence_agent_start(loop, run->call, on_agent, run);
	return run;
}

void fence_off_cancel(struct fence_off_run *run)
{
	run->cancelled = true;
	if (run->agent)
		fence_agent_cancel(run->agent);
	if (run->timer_set) { /* between two questions: end at once, from the loop */
		qb_loop_timer_del(run->loop, run->timer);
		pause_for(run, 1);
	}
}
