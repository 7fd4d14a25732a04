/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/guest_plan.h"

#include "proto/mutant.h"
#include "resource/arm.h"
#include "resource/guest_health.h"
#include "resource/operation.h"
#include "resource/storage.h"
#include "resource/vm_machine.h"

static bool hangs(const struct guest *g)
{
	if (MUTANT(silence_without_answer) && g->heartbeat == HV__GUEST_HEARTBEAT__HEARTBEAT_NEVER)
		return g->heartbeat_s;
	return g->heartbeat_s && g->heartbeat == HV__GUEST_HEARTBEAT__HEARTBEAT_LOST &&
	       (g->idle || MUTANT(guest_io_ignored));
}

bool guest_ails(const struct vm *vm)
{
	return vm->guest.asked || vm->guest.trouble || hangs(&vm->guest);
}

enum reset_if op_reset_if(const struct operation *op)
{
	return (enum reset_if)(op->flags >> OP_RESET_SHIFT & 3);
}

const char *guest_trouble_name(Hv__GuestTrouble t)
{
	switch (t) {
	case HV__GUEST_TROUBLE__TROUBLE_PANICKED:
		return "guest panicked";
	case HV__GUEST_TROUBLE__TROUBLE_WATCHDOG:
		return "guest's watchdog fired";
	case HV__GUEST_TROUBLE__TROUBLE_NO_SPACE:
		return "no space";
	case HV__GUEST_TROUBLE__TROUBLE_IO_ERROR:
		return "I/O error";
	case HV__GUEST_TROUBLE__TROUBLE_NONE:
	case _HV__GUEST_TROUBLE_IS_INT_SIZE:
		break;
	}
	return "guest well";
}

unsigned guest_resets_counted(const struct cluster *c, const struct vm *vm)
{
	const struct guest *g = &vm->guest;
	uint64_t window_us = g->reset_window_s * HV_US_PER_S;
	unsigned count = 0;

	for (size_t i = 0; i < g->n_resets; i++)
		count += c->now_us - g->resets_us[i] < window_us;
	return count;
}

static struct guest_plan nothing(const char *why)
{
	return (struct guest_plan){.why_not = why};
}

/* Something else is being done with it, or nothing may be. */
static const char *not_free(const struct cluster *c, const struct vm *vm)
{
	const struct node *n = cluster_node(c, vm->node);
	const struct operation *req = cluster_op(c, vm->request);

	if (!is_armed(c))
		return "the cluster is disarmed";
	if (!vm->managed)
		return "it is not managed by the cluster";
	if (vm->lock)
		return "it is locked";
	if (vm->intent != INTENT_STARTED || vm->removing)
		return "it is to stop";
	if (vm->want_paused)
		return "it was paused on purpose";
	if (!node_reachable(n) || vm->reason.code == REASON_UNKNOWN)
		return "its node cannot tell how it is";
	if (vm->op || vm->target || vm->stale_ops || (req && op_request(req) != REQ_RESET) ||
	    (vm->state != VM_RUNNING && vm->state != VM_PAUSED))
		return "something else is being done with it";
	return NULL;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static struct guest_plan reset(const struct cluster *c, const struct vm *vm, enum reset_if cause)
{
	const struct guest *g = &vm->guest;
	struct guest_plan plan = {.deed = GUEST_RESET, .cause = cause};

	if (cause == RESET_ASKED)
		return plan;
	plan.at_us = g->again_us;
	if (cause == RESET_LOST && !MUTANT(guest_uptime_ignored))
		plan.at_us =
		    later(plan.at_us, later(later(vm->since_us, g->reset_us), g->storage_us) +
					  g->heartbeat_uptime_s * HV_US_PER_S);
	if (g->held)
		return nothing("it is not reset any more: its resets are used up");
	if (storage_fault_of(vm, cluster_node(c, vm->node)) && !MUTANT(guest_storage_ignored))
		return nothing("its storage cannot be used there, it may be waiting for that");
	if (plan.at_us <= c->now_us && guest_resets_counted(c, vm) >= g->reset_limit &&
	    !MUTANT(resets_not_limited))
		plan.deed = GUEST_HOLD;
	return plan;
}

static struct guest_plan resume(const struct cluster *c, const struct vm *vm)
{
	const struct guest *g = &vm->guest;
	struct guest_plan plan = {.deed = GUEST_RESUME};

	if (!g->io_resume)
		return nothing("its io_error is wait");
	if (vm->state != VM_PAUSED)
		return nothing("it is not paused any more");
	if ((!g->storage_back || storage_fault_of(vm, cluster_node(c, vm->node))) &&
	    !MUTANT(resumed_into_bad_storage))
		return nothing("its storage has not been seen to work again");
	if (g->resumes && c->now_us - g->resumed_us < c->tuning.restart_window_us)
		plan.at_us = g->resumed_us + backoff_us(c->tuning.start_retry_us,
							c->tuning.start_retry_max_us, g->resumes);
	return plan;
}

struct guest_plan guest_plan(const struct cluster *c, const struct vm *vm)
{
	const struct guest *g = &vm->guest;
	const char *busy = not_free(c, vm);

	if (busy)
		return nothing(busy);
	if (g->asked)
		return reset(c, vm, RESET_ASKED);
	switch (g->trouble) {
	case HV__GUEST_TROUBLE__TROUBLE_PANICKED:
		return g->panic_reset ? reset(c, vm, RESET_PANICKED)
				      : nothing("its guest_panic is report");
	case HV__GUEST_TROUBLE__TROUBLE_WATCHDOG:
		return g->watchdog_reset ? reset(c, vm, RESET_WATCHDOG)
					 : nothing("its guest_watchdog is report");
	case HV__GUEST_TROUBLE__TROUBLE_NO_SPACE:
	case HV__GUEST_TROUBLE__TROUBLE_IO_ERROR:
		return resume(c, vm);
	case HV__GUEST_TROUBLE__TROUBLE_NONE:
	case _HV__GUEST_TROUBLE_IS_INT_SIZE:
		break;
	}
	return hangs(g) && vm->state == VM_RUNNING ? reset(c, vm, RESET_LOST) : nothing(NULL);
}

char *guest_trouble_text(const struct cluster *c, const struct vm *vm)
{
	const struct guest *g = &vm->guest;
	struct guest_plan plan = guest_plan(c, vm);
	_cleanup_free_ char *what = NULL;
	uint64_t left_s = plan.at_us > c->now_us ? (plan.at_us - c->now_us) / HV_US_PER_S : 0;

	if (g->trouble)
		what = hv_xasprintf("%s%s%s", guest_trouble_name(g->trouble), g->text ? ": " : "",
				    g->text ? g->text : "");
	else if (hangs(g))
		what = hv_xasprintf("its guest agent has not answered for %u s, and it did no I/O "
				    "for %u s",
				    g->heartbeat_s, g->heartbeat_idle_s);
	else
		return NULL;
	if (g->held)
		return hv_xasprintf("%s; NOT RESET ANY MORE: %u resets within %u s; look at it, "
				    "then 'hvcluster vm reset %s'",
				    what, g->reset_limit, g->reset_window_s, vm->name);
	if (plan.deed == GUEST_NOTHING)
		return hv_xasprintf("%s; left as it is%s%s", what, plan.why_not ? ": " : "",
				    plan.why_not ? plan.why_not : "");
	return hv_xasprintf("%s; it is %s in %llu s", what,
			    plan.deed == GUEST_RESUME ? "resumed" : "reset",
			    (unsigned long long)left_s);
}
