/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/guest_health.h"

#include "proto/mutant.h"
#include "resource/arm.h"
#include "resource/guest_plan.h"
#include "resource/journal.h"
#include "resource/operation.h"
#include "resource/vm_machine.h"

#define OK HV__GUEST_HEARTBEAT__HEARTBEAT_OK
#define LOST HV__GUEST_HEARTBEAT__HEARTBEAT_LOST
#define UNKNOWN HV__GUEST_HEARTBEAT__HEARTBEAT_UNKNOWN

/* ---- facts */

void guest_index(struct cluster *c, struct vm *vm)
{
	bool ails = !vm->gone && guest_ails(vm);

	if (ails == vm->ails)
		return;
	vm->ails = ails;
	if (ails)
		set_add(&c->ailing, vm);
	else
		set_remove(&c->ailing, vm);
}

static void set_text(char **to, const char *text)
{
	free(*to);
	*to = text && *text ? hv_xstrndup(text, HV_TEXT_MAX) : NULL;
}

static void forget(struct cluster *c, struct vm *vm)
{
	struct guest *g = &vm->guest;

	if (MUTANT(own_resets_told_again) && g->own_resets) {
		g->own_resets = 0;
		vm_touch(c, vm);
	}
	if (!guest_has_no_facts(g)) {
		g->heartbeat = UNKNOWN;
		g->trouble = HV__GUEST_TROUBLE__TROUBLE_NONE;
		g->idle = g->storage_back = false;
		set_text(&g->text, NULL);
		vm_touch(c, vm);
	}
	guest_index(c, vm);
}

/* It goes on living, wherever. */
static bool lives_on(enum vm_state s)
{
	return s == VM_RUNNING || s == VM_PAUSED || s == VM_MIGRATING || s == VM_RESUMING;
}

void guest_moves(struct cluster *c, struct vm *vm, enum vm_state to)
{
	struct guest *g = &vm->guest;

	if (!lives_on(to))
		g->asked = false;
	if (to == VM_STARTING) {
		g->answered = g->held = false;
		g->again_us = g->storage_us = g->resumed_us = 0;
		g->resumes = 0;
	}
	if (!MUTANT(guest_facts_outlive))
		forget(c, vm);
}

void guest_node_blind(struct cluster *c, const struct node *n)
{
	for (size_t i = c->ailing.count; i-- > 0;) {
		struct vm *vm = c->ailing.items[i];

		if (vm->node == n->id && vm->guest.heartbeat == LOST) {
			vm->guest.heartbeat = UNKNOWN;
			vm->guest.idle = false;
			vm_touch(c, vm);
			guest_index(c, vm);
		}
	}
}

void guest_storage_works(struct cluster *c, struct vm *vm)
{
	if (MUTANT(guest_storage_ignored))
		return;
	vm->guest.storage_us = c->now_us;
	vm_touch(c, vm);
}

static void remember(struct guest *g, uint64_t now_us)
{
	if (g->n_resets == GUEST_RESETS_MAX)
		memmove(g->resets_us, g->resets_us + 1, --g->n_resets * sizeof(g->resets_us[0]));
	g->resets_us[g->n_resets++] = now_us;
}

static void tell_heartbeat(struct cluster *c, const struct vm *vm, Hv__GuestHeartbeat now)
{
	const char *node = node_name(c, vm->node);

	if (now == LOST && vm->guest.heartbeat != LOST)
		journal_why(c, SEV_WARNING, "vm", vm->name, "heartbeat ok", "heartbeat lost",
			    WHY(GUEST_SILENT, .subject = node, .number = vm->guest.heartbeat_s));
	else if (now == OK && vm->guest.heartbeat == LOST)
		journal_why(c, SEV_NOTICE, "vm", vm->name, "heartbeat lost", "heartbeat ok",
			    WHY(GUEST_ANSWERS, .subject = node));
}

static struct why why_trouble(struct cluster *c, const struct vm *vm, Hv__GuestTrouble t,
			      const char *text)
{
	const char *node = node_name(c, vm->node);

	switch (t) {
	case HV__GUEST_TROUBLE__TROUBLE_PANICKED:
		return WHY(GUEST_PANICKED, .subject = node, .text = text);
	case HV__GUEST_TROUBLE__TROUBLE_WATCHDOG:
		return WHY(GUEST_WATCHDOG, .subject = node, .text = text);
	case HV__GUEST_TROUBLE__TROUBLE_NO_SPACE:
		return WHY(GUEST_NO_SPACE, .subject = node, .text = text);
	case HV__GUEST_TROUBLE__TROUBLE_IO_ERROR:
		return WHY(GUEST_IO_ERROR, .subject = node, .text = text);
	case HV__GUEST_TROUBLE__TROUBLE_NONE:
	case _HV__GUEST_TROUBLE_IS_INT_SIZE:
		break;
	}
	return why_same(&vm->reason);
}

static void tell_trouble(struct cluster *c, struct vm *vm, const Hv__GuestSeen *seen)
{
	struct why why = why_trouble(c, vm, seen->trouble, *seen->text ? seen->text : NULL);

	if (seen->trouble == vm->guest.trouble || !seen->trouble)
		return;
	journal_why(c, SEV_ERROR, "vm", vm->name, guest_trouble_name(vm->guest.trouble),
		    guest_trouble_name(seen->trouble), why);
	vm_reason(c, vm, why);
}

static bool same_facts(const struct guest *g, const Hv__GuestSeen *seen)
{
	return g->heartbeat == seen->heartbeat && g->idle == seen->idle &&
	       g->trouble == seen->trouble && g->storage_back == seen->storage_back &&
	       g->own_resets == seen->own_resets && strcmp(g->text ? g->text : "", seen->text) == 0;
}

void guest_seen(struct cluster *c, const Hv__GuestHealth *ev)
{
	const Hv__GuestSeen *seen = ev->guest;
	const struct node *n = node_get(c, ev->node);
	struct vm *vm = vm_get(c, seen->uuid);
	struct guest *g;

	if (!vm || !n || n->state != NODE_ONLINE || vm->node != n->id ||
	    (vm->state != VM_RUNNING && vm->state != VM_PAUSED))
		return;
	g = &vm->guest;
	if (same_facts(g, seen))
		return;
	tell_heartbeat(c, vm, seen->heartbeat);
	tell_trouble(c, vm, seen);
	if (seen->own_resets > g->own_resets && MUTANT(own_resets_use_up_limit))
		remember(g, c->now_us);
	if (seen->own_resets > g->own_resets)
		journal_why(c, SEV_WARNING, "vm", vm->name, "running", "reset by itself",
			    WHY(GUEST_OWN_RESET, .subject = n->name, .text = seen->text));
	if (seen->heartbeat == OK || seen->heartbeat == LOST)
		g->answered = true;
	else if (seen->heartbeat == HV__GUEST_HEARTBEAT__HEARTBEAT_NEVER)
		g->answered = false;
	if (seen->heartbeat == OK && !seen->trouble)
		g->held = false;
	g->heartbeat = seen->heartbeat;
	g->idle = seen->idle && seen->heartbeat == LOST;
	g->trouble = seen->trouble;
	g->storage_back = seen->storage_back;
	g->own_resets = seen->own_resets;
	set_text(&g->text, seen->text);
	vm_touch(c, vm);
	vm_dirty(c, vm);
	guest_index(c, vm);
}

/* ---- an administrator */

void guest_forget_resets(struct cluster *c, struct vm *vm)
{
	vm->guest.n_resets = 0;
	vm->guest.held = false; /* `storage_us` stays: its storage is no better for it */
	vm_touch(c, vm);
}

void guest_ask_reset(struct cluster *c, struct vm *vm, bool asked)
{
	if (asked)
		guest_forget_resets(c, vm);
	vm->guest.asked = asked;
	vm_touch(c, vm);
	guest_index(c, vm);
}

/* ---- what is done */

static struct why why_reset(struct cluster *c, const struct vm *vm, enum reset_if cause,
			    const char *count)
{
	switch (cause) {
	case RESET_LOST:
		return WHY(GUEST_LOST, .number = vm->guest.heartbeat_s, .text = count);
	case RESET_PANICKED:
		return WHY(GUEST_PANICKED, .subject = node_name(c, vm->node), .text = count);
	case RESET_WATCHDOG:
		return WHY(GUEST_WATCHDOG, .subject = node_name(c, vm->node), .text = count);
	case RESET_ASKED:
		break;
	}
	return why_same(&vm->reason);
}

static void begin_reset(struct cluster *c, struct vm *vm, enum reset_if cause)
{
	struct guest *g = &vm->guest;
	struct op_spec spec = {.kind = OP_VM_RESET,
			       .vm = vm,
			       .node = vm->node,
			       .timeout_s = c->tuning.start_timeout_s,
			       .parent = vm->request,
			       .flags = OP_F_RESET(cause)};
	_cleanup_free_ char *count = NULL;

	if (!op_begin(c, &spec, vm))
		return;
	if (cause != RESET_ASKED)
		remember(g, c->now_us);
	count = hv_xasprintf("reset %u of %u within %u s", guest_resets_counted(c, vm),
			     g->reset_limit, g->reset_window_s);
	journal_why(c, SEV_WARNING, "vm", vm->name, vm_state_name(vm->state), "resetting",
		    why_reset(c, vm, cause, count));
}

static void hold(struct cluster *c, struct vm *vm)
{
	_cleanup_free_ char *text = hv_xasprintf("%u s", vm->guest.reset_window_s);
	struct why why = WHY(GUEST_HELD, .number = vm->guest.reset_limit, .text = text);

	vm->guest.held = true;
	journal_why(c, SEV_ERROR, "vm", vm->name, vm_state_name(vm->state), "not reset", why);
	vm_reason(c, vm, why);
	vm_touch(c, vm);
}

static void resume(struct cluster *c, struct vm *vm)
{
	struct guest *g = &vm->guest;

	if (c->now_us - g->resumed_us >= c->tuning.restart_window_us)
		g->resumes = 0;
	if (g->resumes < UINT32_MAX)
		g->resumes++;
	g->resumed_us = c->now_us;
	vm->arriving = false;
	vm_move(c, vm, VM_RESUMING, WHY(GUEST_STORAGE_BACK, .subject = node_name(c, vm->node)));
}

static void settle_one(struct cluster *c, struct vm *vm)
{
	struct guest_plan plan = guest_plan(c, vm);

	if (plan.deed == GUEST_HOLD)
		hold(c, vm);
	if (plan.at_us > c->now_us)
		return;
	if (plan.deed == GUEST_RESET)
		begin_reset(c, vm, plan.cause);
	else if (plan.deed == GUEST_RESUME)
		resume(c, vm);
}

void guest_settle(struct cluster *c)
{
	size_t count = c->ailing.count;
	_cleanup_free_ struct vm **vms =
	    count ? hv_xmemdup(c->ailing.items, count * sizeof(*vms)) : NULL;

	for (size_t i = 0; i < count && !MUTANT(guest_never_reset); i++)
		settle_one(c, vms[i]);
}

uint64_t guest_deadline_us(const struct cluster *c)
{
	uint64_t deadline = 0;

	for (size_t i = 0; i < c->ailing.count; i++) {
		struct guest_plan plan = guest_plan(c, c->ailing.items[i]);
		uint64_t at_us = plan.at_us > c->now_us ? plan.at_us : c->now_us + HV_US_PER_S;

		if (plan.deed != GUEST_NOTHING && (!deadline || at_us < deadline))
			deadline = at_us;
	}
	return deadline;
}

/* ---- its end */

static void was_reset(struct cluster *c, struct vm *vm, const Hv__OpResult *res)
{
	struct guest *g = &vm->guest;
	const char *node = node_name(c, vm->node);
	_cleanup_free_ char *where = *res->evidence
					 ? hv_xasprintf("evidence is in %s there", res->evidence)
					 : hv_xstrdup("no evidence was kept");
	struct why why = WHY(GUEST_WAS_RESET, .subject = node, .text = where);

	g->answered = false;
	g->reset_us = c->now_us;
	g->reset_wall_ms = c->wall_ms;
	g->evidence_node = vm->node;
	set_text(&g->evidence, res->evidence);
	journal_why(c, SEV_WARNING, "vm", vm->name, "resetting", "running", why);
	forget(c, vm);
	vm_running(c, vm, why);
}

static void was_not_reset(struct cluster *c, struct vm *vm, enum reset_if cause,
			  const Hv__OpResult *res)
{
	struct guest *g = &vm->guest;
	struct why gone = WHY(GONE, .subject = node_name(c, vm->node));

	/* Refused: nothing was done, and it does not count. */
	if (res->rc == HV_REFUSED && cause != RESET_ASKED && g->n_resets)
		g->n_resets--;
	g->again_us = c->now_us + c->tuning.start_retry_us;
	journal_why(c, res->rc == HV_REFUSED ? SEV_NOTICE : SEV_WARNING, "vm", vm->name,
		    "resetting", "not reset",
		    WHY(GUEST_NOT_RESET, .subject = node_name(c, vm->node),
			.text = *res->text ? res->text : NULL));
	vm_owner_says(c, vm, res->observed, gone);
}

void guest_reset_result(struct cluster *c, struct vm *vm, const struct operation *op,
			const Hv__OpResult *res)
{
	struct operation *req = request_of(c, vm);
	bool good = res->rc == HV_OK && res->observed == HV__OBSERVED__OBSERVED_RUNNING;

	vm->guest.asked = false;
	vm_touch(c, vm);
	if (good)
		was_reset(c, vm, res);
	else
		was_not_reset(c, vm, op_reset_if(op), res);
	guest_index(c, vm);
	if (req && req->state == OP_RUNNING && op_request(req) == REQ_RESET)
		request_end(c, vm,
			    good      ? HV_OK
			    : res->rc ? res->rc
				      : HV_FAILED,
			    good && *res->evidence ? res->evidence : res->text);
}
