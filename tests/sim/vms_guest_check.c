/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests' health, from outside: what befalls guests and what administrators want done about it, at
 * random; what may never be done to one, and what must be in the end.
 */
#include "resource/guest_plan.h"
#include "resource/storage.h"

#include "tests/sim/vms.h"

#include <string.h>

#define LOOK_US (2 * SEC)    /* how often hypervisord looks: nobody knows better */
#define CLOCKS_PERMILLE 60UL /* hosts' clocks are so wrong at most */

static struct prng *chance(struct sim *s)
{
	return sim_stream(s, STREAM_GUEST);
}

void vms_guest_setup(struct sim *s)
{
	struct vms_world *w = vms_of(s);

	if (s->scenario || s->options->duel || s->options->lossy)
		return;
	w->guests = prng_chance(chance(s), 500) ? (unsigned)prng_range(chance(s), 50, 300) : 0;
	for (int k = 0; k < VMS; k++) {
		w->agents[k] = prng_chance(chance(s), 850);
		w->busy[k] = prng_chance(chance(s), 400);
	}
}

/* ---- by themselves */

static void goes_on(struct sim *s, struct host *h, uint64_t k)
{
	if (h->power && vms_dom(s, h->id, (int)k)->guest.hung)
		vms_guest_hangs(s, h, (int)k, false);
}

static bool is_there(struct sim *s, const struct host *h, uint64_t k)
{
	return h->power && !h->hung && !s->healing &&
	       vms_dom(s, h->id, (int)k)->state == DOM_RUNNING &&
	       !vms_move_active(s, h->id, (int)k);
}

static void bites(struct sim *s, struct host *h, uint64_t k)
{
	if (is_there(s, h, k))
		vms_guest_resets_itself(s, h, (int)k);
}

static void hangs_then(struct sim *s, struct host *h, uint64_t k)
{
	if (is_there(s, h, k))
		vms_guest_hangs(s, h, (int)k, true);
}

/* Its watchdog helps it, at times again and again; and then it does not. */
static void own_resets(struct sim *s, struct host *h, int k)
{
	bool often = prng_chance(chance(s), 500);

	bites(s, h, (uint64_t)k);
	for (uint64_t i = 1; often && i <= 3; i++)
		sim_at(s, i * 7 * SEC, bites, h, (uint64_t)k);
	if (often)
		sim_at(s, 30 * SEC, hangs_then, h, (uint64_t)k);
}

static void befalls(struct sim *s, struct host *h, int k)
{
	uint64_t x = prng_range(chance(s), 0, 99), us = prng_range(chance(s), SEC, 40 * SEC);

	if (x < 35 && sim_inject(s, "guest-hangs")) {
		vms_guest_hangs(s, h, k, true);
		if (prng_chance(chance(s), 300))
			sim_at(s, us, goes_on, h, (uint64_t)k);
	} else if (x >= 35 && x < 50 && sim_inject(s, "agent-dies")) {
		vms_guest_agent_dies(s, h, k);
	} else if (x >= 50 && x < 65 && sim_inject(s, "guest-panic")) {
		vms_guest_stops(s, h, k, HV__GUEST_TROUBLE__TROUBLE_PANICKED);
	} else if (x >= 65 && x < 75 && sim_inject(s, "guest-watchdog")) {
		vms_guest_stops(s, h, k, HV__GUEST_TROUBLE__TROUBLE_WATCHDOG);
	} else if (x >= 75 && x < 85 && sim_inject(s, "guest-io-error")) {
		vms_guest_stops(s, h, k,
				x & 1 ? HV__GUEST_TROUBLE__TROUBLE_NO_SPACE
				      : HV__GUEST_TROUBLE__TROUBLE_IO_ERROR);
		vms_guest_storage_back(s, h, k, us);
	} else if (x >= 85 && x < 90 && sim_inject(s, "guest-busy")) {
		vms_guest_busy(s, h, k, !vms_of(s)->busy[k]);
	} else if (x >= 90 && sim_inject(s, "guest-own-reset")) {
		own_resets(s, h, k);
	}
}

/* ---- administrators */

static void wish(struct sim *s, struct host *h, int k)
{
	static const char *const all[][2] = {
	    {"heartbeat_s", "10"},    {"heartbeat_idle_s", "10"},  {"heartbeat_uptime_s", "10"},
	    {"guest_panic", "reset"}, {"guest_watchdog", "reset"}, {"io_error", "resume"},
	    {"reset_limit", "3"},     {"reset_window_s", "300"}};
	static const char *const other[][2] = {
	    {"heartbeat_s", "15"},	 {"heartbeat_s", "0"},	    {"heartbeat_idle_s", "20"},
	    {"heartbeat_uptime_s", "0"}, {"guest_panic", "report"}, {"guest_watchdog", "report"},
	    {"io_error", "wait"},	 {"reset_limit", "1"},	    {"reset_window_s", "60"}};
	bool whole = prng_chance(chance(s), 600);
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmSet set = HV__VM_SET__INIT;
	Hv__KeyValue pair[ARRAY_SIZE(all)], *pairs[ARRAY_SIZE(all)];

	set.name = vms_of(s)->name[k];
	set.n_attributes = whole ? ARRAY_SIZE(all) : 2;
	for (size_t i = 0; i < set.n_attributes; i++) {
		size_t which = whole ? i : (size_t)prng_range(chance(s), 0, ARRAY_SIZE(other) - 1);

		hv__key_value__init(&pair[i]);
		pair[i].key = (char *)(whole ? all : other)[which][0];
		pair[i].value = (char *)(whole ? all : other)[which][1];
		pairs[i] = &pair[i];
	}
	set.attributes = pairs;
	cmd.body_case = HV__COMMAND__BODY_VM_SET;
	cmd.vm_set = &set;
	if (sim_inject(s, "vm set health"))
		admin_ask(s, h, &cmd, 0);
}

static void reset(struct sim *s, struct host *h, int k)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmReset body = HV__VM_RESET__INIT;

	body.name = vms_of(s)->name[k];
	cmd.body_case = HV__COMMAND__BODY_VM_RESET;
	cmd.vm_reset = &body;
	if (sim_inject(s, "vm reset"))
		admin_ask(s, h, &cmd, 0);
}

void vms_guest_step(struct sim *s)
{
	struct vms_world *w = vms_of(s);
	struct host *h, *at;
	uint64_t x;
	int k;

	if (!w->guests || !prng_chance(chance(s), w->guests))
		return;
	h = &s->hosts[prng_range(chance(s), 0, s->n - 1)];
	k = (int)prng_range(chance(s), 0, w->max_vms - 1);
	x = prng_range(chance(s), 0, 99);
	at = admin_host(s);
	if (x < 40 && at) {
		wish(s, at, k);
	} else if (x < 44 && at) {
		reset(s, at, k);
	} else {
		for (int i = 0; i < (int)w->max_vms && vms_dom(s, h->id, k)->state != DOM_RUNNING;
		     i++)
			k = (k + 1) % (int)w->max_vms;
		if (h->power && !h->hung && vms_dom(s, h->id, k)->state == DOM_RUNNING)
			befalls(s, h, k);
	}
}

void vms_guest_heal(struct sim *s)
{
	for (size_t i = 0; i < s->n; i++)
		for (int k = 0; k < VMS; k++)
			if (vms_dom(s, s->hosts[i].id, k)->guest.trouble)
				vms_guest_storage_back(s, &s->hosts[i], k, SEC);
}

/* ---- what may not be */

/* No more than may be within the window, as that was when this one was begun. */
static void check_limit(struct sim *s, const struct call *call)
{
	struct reset_log *l = &vms_of(s)->reset_log[call->vm];
	uint64_t begun_us = l->op == call->op ? l->begun_us : s->now_us;
	unsigned count = 0;

	for (size_t i = 0; i < l->n; i++)
		count +=
		    (begun_us - l->at_us[i]) * (1000 + CLOCKS_PERMILLE) / 1000 < l->window_s * SEC;
	if (l->op == call->op && count >= l->limit)
		sim_fail(s, "I7: %s is reset for the %uth time within %u s",
			 vms_of(s)->name[call->vm], count + 1, l->window_s);
	if (l->n == ARRAY_SIZE(l->at_us))
		memmove(l->at_us, l->at_us + 1, --l->n * sizeof(l->at_us[0]));
	l->at_us[l->n++] = begun_us;
}

/* It is being reset, and why. */
void vms_guest_check_reset(struct sim *s, struct host *h, const struct call *call,
			   enum reset_if cause)
{
	int k = call->vm;
	const struct sim_guest *g = &vms_dom(s, h->id, k)->guest;
	const char *name = vms_of(s)->name[k];

	coverage_add(&s->result->coverage,
		     cause == RESET_ASKED  ? "guest: reset by an administrator"
		     : cause == RESET_LOST ? "guest: reset for its silence"
					   : "guest: reset for its panic or watchdog",
		     1);
	if (cause == RESET_ASKED)
		return;
	if (cause == RESET_LOST && (vms_guest_answers(s, h, k) || vms_guest_works(s, h, k)))
		sim_fail(s, "%s is reset, and is well", name);
	if (cause == RESET_LOST && !g->answered)
		sim_fail(s, "%s is reset for its silence, and has never answered", name);
	if (cause == RESET_LOST && s->now_us - g->worked_us + LOOK_US < g->idle_s * SEC)
		sim_fail(s, "%s is reset %llu ms after it did I/O", name,
			 (unsigned long long)((s->now_us - g->worked_us) / MS));
	if (cause == RESET_LOST && s->now_us - g->answered_us + LOOK_US < g->heartbeat_s * SEC)
		sim_fail(s, "%s is reset %llu ms after it answered", name,
			 (unsigned long long)((s->now_us - g->answered_us) / MS));
	check_limit(s, call);
}

/* An administrator wants it to have all its resets again. */
void vms_guest_forgiven(struct sim *s, int k)
{
	if (k >= 0)
		vms_of(s)->reset_log[k].n = 0;
}

/* It is said to have used up its resets: those that its own devices did take nothing from them. */
static void check_held(struct mind *m, const struct vm *vm, int k)
{
	const struct reset_log *l = &vms_of(m->s)->reset_log[k];
	unsigned count = 0;

	for (size_t i = 0; i < l->n_begun; i++)
		count +=
		    cluster_now_us(m->c) - l->begun[i] < (uint64_t)vm->guest.reset_window_s * SEC;
	if (vm->guest.held && !m->guest_held[k] && count < vm->guest.reset_limit &&
	    cluster_index(m->c) > vms_of(m->s)->checked && !sim_minority_possible(m->s))
		sim_fail(m->s, "%s is not reset any more, after %u resets of %u", vm->name, count,
			 vm->guest.reset_limit);
	m->guest_held[k] = vm->guest.held;
}

/* In the state, after each entry: since when it runs where it does, and has its storage. */
void vms_guest_watch(struct mind *m)
{
	if (!vms_of(m->s)->guests)
		return;
	for (size_t i = 0; i < cluster_vm_count(m->c); i++) {
		const struct vm *vm = cluster_vm_at(m->c, i);
		const struct node *n = cluster_node(m->c, vm->node);
		int k = vms_find(m->s, vm->uuid);

		if (k < 0)
			continue;
		if (vm->state != VM_RUNNING || m->guest_on[k] != vm->node ||
		    (n && storage_fault_of(vm, n)))
			m->guest_well_us[k] = cluster_now_us(m->c);
		check_held(m, vm, k);
		m->guest_on[k] = vm->node;
		m->guest_waits[k] = vm->state == VM_PAUSED && !vm->guest.storage_back;
	}
}

/* "reset by itself": no more often than it was so. */
static void count_own_resets(struct mind *m, int k)
{
	struct reset_log *l = &vms_of(m->s)->reset_log[k];

	if (cluster_index(m->c) <= vms_of(m->s)->checked || sim_minority_possible(m->s))
		return;
	for (size_t i = 0; i < m->actions.count; i++) {
		const struct action *a = &m->actions.items[i];
		const struct journal_line *j =
		    a->kind == ACTION_JOURNAL ? cluster_journal(m->c, a->op) : NULL;

		l->told += j && strcmp(j->to, "reset by itself") == 0;
	}
	if (l->told > l->own)
		sim_fail(m->s, "%s was reset by its own watchdog %llu times, and %llu were told",
			 vms_of(m->s)->name[k], (unsigned long long)l->own,
			 (unsigned long long)l->told);
}

/* What an entry says of a guest. */
void vms_guest_told(struct mind *m, const Hv__Event *ev)
{
	int k = ev->body_case == HV__EVENT__BODY_GUEST_HEALTH && ev->guest_health->guest
		    ? vms_find(m->s, ev->guest_health->guest->uuid)
		    : -1;

	if (k >= 0)
		m->guest_waits[k] = !ev->guest_health->guest->storage_back;
	if (k >= 0)
		count_own_resets(m, k);
}

/* Nodes that catch up tell old stories. */
static void note_reset(struct mind *m, struct reset_log *l, hv_op_id op, const struct vm *vm)
{
	struct sim *s = m->s;

	if (op <= l->op)
		return;
	if (l->n_begun == ARRAY_SIZE(l->begun))
		memmove(l->begun, l->begun + 1, --l->n_begun * sizeof(l->begun[0]));
	l->begun[l->n_begun++] = cluster_now_us(m->c);
	l->op = op;
	l->begun_us = s->now_us;
	l->limit = vm->guest.reset_limit;
	l->window_s = vm->guest.reset_window_s;
}

void vms_guest_check_begun(struct mind *m, uint64_t index, const struct operation *op)
{
	const struct vm *vm = op->vm ? cluster_vm(m->c, op->vm) : NULL;
	int k = op->vm ? vms_find(m->s, op->vm) : -1;
	const char *why = NULL;

	if (!vm || k < 0)
		return;
	if (op->kind == OP_VM_RESET && op_reset_if(op) != RESET_ASKED)
		note_reset(m, &vms_of(m->s)->reset_log[k], op->id, vm);
	if (op->kind == OP_VM_RESUME && vm->reason.code == REASON_GUEST_STORAGE_BACK &&
	    m->guest_waits[k] && vms_of(m->s)->guests)
		why = "is resumed before its storage was seen to work";
	if (op->kind == OP_VM_RESET && op_reset_if(op) == RESET_LOST) {
		const struct guest *g = &vm->guest;

		if (g->heartbeat != HV__GUEST_HEARTBEAT__HEARTBEAT_LOST || !g->heartbeat_s)
			why = "is reset, and its heartbeat is not lost";
		else if (!g->idle)
			why = "is reset, and does I/O";
		else if (vms_of(m->s)->guests &&
			 cluster_now_us(m->c) - m->guest_well_us[k] < g->heartbeat_uptime_s * SEC)
			why = "is reset, and has just been started, moved or given its storage";
	}
	if (why)
		sim_fail(m->s, "node %u, entry %llu: %s %s", m->h->id, (unsigned long long)index,
			 vm->name, why);
}

/* ---- what must be, in the end */

/* Whatever hypervisord believes: it was heard, is silent, does nothing, and nobody helps it. */
static bool hangs(struct sim *s, const struct host *h, const struct vm *vm, int k)
{
	const struct sim_guest *g = &vms_dom(s, h->id, k)->guest;

	return vm->state == VM_RUNNING && vm->guest.heartbeat_s && g->heard && g->answered &&
	       !vms_guest_answers(s, h, k) && !vms_guest_works(s, h, k);
}

/* What hypervisord will say in the end, and the state with it. */
static bool is_known(struct sim *s, const struct host *h, const struct vm *vm, int k)
{
	const struct sim_guest *g = &vms_dom(s, h->id, k)->guest;
	bool answers = vms_guest_answers(s, h, k);
	bool boots = g->agent && !g->dead && !g->hung && s->now_us < g->ready_us;
	Hv__GuestHeartbeat in_the_end = answers	   ? HV__GUEST_HEARTBEAT__HEARTBEAT_OK
					: g->heard ? HV__GUEST_HEARTBEAT__HEARTBEAT_LOST
						   : HV__GUEST_HEARTBEAT__HEARTBEAT_NEVER;

	if (vm->guest.own_resets != g->own_resets)
		return false;
	if (!vm->guest.heartbeat_s || vm->state != VM_RUNNING)
		return true;
	return !boots && g->beat == in_the_end && vm->guest.heartbeat == g->beat;
}

const char *vms_guest_wrong(struct sim *s, const struct vm *vm, int k, char *buf, size_t size)
{
	const struct host *h = vm->node ? sim_host(s, vm->node) : NULL;
	const struct sim_guest *g = h ? &vms_dom(s, h->id, k)->guest : NULL;
	const char *what = NULL;
	bool left_alone;

	if (!h || !vm->managed || (vm->state != VM_RUNNING && vm->state != VM_PAUSED))
		return NULL;
	left_alone = vm->lock || vm->intent != INTENT_STARTED || vm->want_paused;
	/* Also of one of which nothing is made, something is still to be said. */
	if (!is_known(s, h, vm, k))
		what = "is not yet known to be as it is";
	else if (left_alone)
		return NULL;
	else if (g->trouble >= HV__GUEST_TROUBLE__TROUBLE_NO_SPACE && vm->guest.io_resume)
		what = "has its storage back, and is not resumed";
	else if (vm->guest.held)
		return NULL;
	else if (g->trouble == HV__GUEST_TROUBLE__TROUBLE_PANICKED && vm->guest.panic_reset)
		what = "panicked, and is not reset";
	else if (g->trouble == HV__GUEST_TROUBLE__TROUBLE_WATCHDOG && vm->guest.watchdog_reset)
		what = "was stopped by its watchdog, and is not reset";
	else if (hangs(s, h, vm, k))
		what = "hangs, and is not reset";
	if (!what)
		return NULL;
	snprintf(buf, size, "the guest of %s %s", vm->name, what);
	return buf;
}
