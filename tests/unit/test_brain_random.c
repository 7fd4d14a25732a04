/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random valid events, sensible and senseless: whatever comes, the brain holds its invariants, and
 * a replica that was decoded from a snapshot on the way decides the same ever after.
 */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NODES 5
#define VMS 12
#define STEPS 400
#define SEEDS 80
#define TWIN_EVERY 16

struct chaos {
	struct world *w;
	uint64_t state; /* splitmix64 */
};

static uint64_t next(struct chaos *x)
{
	uint64_t z = (x->state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static unsigned upto(struct chaos *x, unsigned n)
{
	return (unsigned)(next(x) % n);
}

static const char *vm_name(struct chaos *x)
{
	static const char *const names[VMS] = {"a", "b", "c", "d", "e", "f",
					       "g", "h", "i", "j", "k", "l"};

	return names[upto(x, VMS)];
}

static const char *node_name_of(struct chaos *x)
{
	static const char *const names[NODES] = {"host1", "host2", "host3", "host4", "host5"};

	return names[upto(x, NODES)];
}

static void some_view(struct chaos *x)
{
	char members[NODES + 1], ring[NODES + 1];
	unsigned m = 0, r = 0;

	while (m == 0)
		for (unsigned i = 1; i <= NODES && m < sizeof(members); i++)
			if (upto(x, 4))
				members[m++] = (char)('0' + i);
	for (unsigned i = 1; i <= NODES; i++)
		if (upto(x, 3) == 0)
			ring[r++] = (char)('0' + i);
	members[m] = ring[r] = '\0';
	if (upto(x, 3) == 0) {
		unsigned id = 1 + upto(x, NODES);

		x->w->incarnation[id]++;
		x->w->seq[id] = 0;
	}
	view(x->w, members, ring, upto(x, 4) == 0);
}

static void some_report(struct chaos *x)
{
	static const char *const states[] = {"unknown", "absent", "running", "paused", "incoming"};
	hv_node_id id = 1 + upto(x, NODES);
	char text[512] = "";
	size_t n = 0;

	for (size_t i = 0; i < cluster_node_vm_count(x->w->c, id); i++) /* mostly the truth */
		if (upto(x, 5))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s=running ",
					      cluster_node_vm_at(x->w->c, id, i)->name);
	for (unsigned i = upto(x, 3); i; i--)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s=%s ", vm_name(x),
				      states[upto(x, 5)]);
	report(x->w, id, upto(x, 10) ? text : NULL);
}

static void some_result(struct chaos *x, bool good)
{
	size_t count = cluster_op_count(x->w->c), from = count ? upto(x, (unsigned)count) : 0;

	for (size_t i = 0; i < count; i++) {
		const struct operation *o = cluster_op_at(x->w->c, (from + i) % count);

		if (o->state != OP_RUNNING || !o->node)
			continue;
		if (o->kind == OP_FENCE && node(x->w, o->victim)->fence_op == o->id)
			fence_result(x->w, o->victim, good || upto(x, 2) ? HV_OK : HV_AGENT_FAILED);
		else if (good && o->kind != OP_VM_MIGRATE && o->kind != OP_VM_STOP &&
			 o->kind != OP_VM_DESTROY)
			result_of(x->w, o, HV_OK, o->kind == OP_VM_PAUSE ? PAUSED : RUNNING, "");
		else if (good)
			result_of(x->w, o, HV_OK, ABSENT, "");
		else
			result_of(x->w, o,
				  upto(x, 2)   ? HV_OK
				  : upto(x, 3) ? HV_HYPERVISOR
					       : HV_REFUSED,
				  (Hv__Observed)upto(x, 5), "as it happens");
		return;
	}
	tick(x->w, 500);
}

static void some_command(struct chaos *x)
{
	struct world *w = x->w;
	const char *name = vm_name(x), *on = upto(x, 2) ? node_name_of(x) : "";

	switch (upto(x, 14)) {
	case 0:
	case 1:
	case 2:
		vm_add(w, name, 256 + upto(x, 4000), (int32_t)upto(x, 3), upto(x, 4));
		return;
	case 3:
		vm_remove(w, name, upto(x, 2));
		return;
	case 4:
	case 5:
		vm_start(w, name, on);
		return;
	case 6:
		vm_stop(w, name, upto(x, 2));
		return;
	case 7:
		vm_migrate(w, name, on);
		return;
	case 8:
		if (upto(x, 3) == 0)
			vm_reset(w, name);
		else
			upto(x, 2) ? vm_pause(w, name) : vm_resume(w, name);
		return;
	case 9:
		node_drain(w, node_name_of(x));
		return;
	case 10:
		node_resume(w, node_name_of(x));
		return;
	case 11:
		upto(x, 2) ? fence_add(w, node_name_of(x), "pdu", 1 + upto(x, 2))
			   : fence_confirm(w, node_name_of(x));
		return;
	case 12:
		set(w, upto(x, 2) ? "start_parallel" : "migrate_parallel", upto(x, 2) ? "1" : "4");
		return;
	default:
		op_cancel_cmd(
		    w, cluster_op_count(w->c)
			   ? cluster_op_at(w->c, upto(x, (unsigned)cluster_op_count(w->c)))->id
			   : 1);
		return;
	}
}

static void some_guest(struct chaos *x)
{
	static const char *const wishes[][2] = {
	    {"heartbeat_s", "10"},	 {"heartbeat_s", "0"},	  {"guest_panic", "reset"},
	    {"guest_watchdog", "reset"}, {"io_error", "resume"},  {"reset_limit", "2"},
	    {"heartbeat_uptime_s", "5"}, {"reset_window_s", "60"}};
	const char *name = vm_name(x);
	unsigned wish = upto(x, 3 * ARRAY_SIZE(wishes));
	Hv__Event ev = HV__EVENT__INIT;
	Hv__GuestHealth body = HV__GUEST_HEALTH__INIT;
	Hv__GuestSeen seen = HV__GUEST_SEEN__INIT;

	if (wish < ARRAY_SIZE(wishes)) {
		vm_set(x->w, name, wishes[wish][0], wishes[wish][1]);
		return;
	}
	seen.uuid = (char *)uuid_of(name);
	seen.heartbeat = (Hv__GuestHeartbeat)upto(x, 4);
	seen.trouble = upto(x, 3) ? 0 : (Hv__GuestTrouble)upto(x, 5);
	seen.idle = upto(x, 2);
	seen.storage_back = upto(x, 2);
	seen.own_resets = upto(x, 2);
	body.node = vm(x->w, name) && upto(x, 4) ? vm(x->w, name)->node : 1 + upto(x, NODES);
	body.guest = &seen;
	ev.body_case = HV__EVENT__BODY_GUEST_HEALTH;
	ev.guest_health = &body;
	step(x->w, &ev, body.node ? body.node : 1);
}

static void some_event(struct chaos *x)
{
	unsigned what = upto(x, 100);

	if (what < 6)
		some_view(x);
	else if (what < 16)
		some_report(x);
	else if (what < 24)
		observed(x->w, 1 + upto(x, NODES), vm_name(x), (Hv__Observed)upto(x, 5),
			 (Hv__Cause)upto(x, 9));
	else if (what < 28)
		health(x->w, 1 + upto(x, NODES), upto(x, 3));
	else if (what < 36)
		tick(x->w, upto(x, 20000));
	else if (what < 42)
		some_guest(x);
	else if (what < 70)
		some_result(x, upto(x, 3));
	else
		some_command(x);
}

/* What must hold of two states in a row (I3). */
struct epochs {
	uint64_t of[VMS];
	hv_node_id node[VMS];
};

static void epochs_check(struct chaos *x, struct epochs *e)
{
	static const char *const names[VMS] = {"a", "b", "c", "d", "e", "f",
					       "g", "h", "i", "j", "k", "l"};

	for (unsigned i = 0; i < VMS; i++) {
		const struct vm *v = vm(x->w, names[i]);

		if (v && e->of[i] && v->epoch >= e->of[i])
			cr_assert(v->epoch > e->of[i] || !v->node || v->node == e->node[i] ||
				      !e->node[i],
				  "%s changed its owner in epoch %llu", names[i],
				  (unsigned long long)v->epoch);
		e->of[i] = v ? v->epoch : 0;
		e->node[i] = v ? v->node : 0;
	}
}

static void run(uint64_t seed)
{
	struct chaos x = {.w = world_new(NODES), .state = seed};
	struct epochs epochs = {0};

	x.w->twin = true;
	for (unsigned i = 0; i < STEPS; i++) {
		x.w->follow = i % TWIN_EVERY != 0;
		some_event(&x);
		epochs_check(&x, &epochs);
	}
	world_free(x.w);
}

Test(brain_random, holds_its_invariants_whatever_comes_1)
{
	for (uint64_t seed = 1; seed <= SEEDS / 2; seed++)
		run(seed);
}

Test(brain_random, holds_its_invariants_whatever_comes_2)
{
	for (uint64_t seed = SEEDS / 2 + 1; seed <= SEEDS; seed++)
		run(seed);
}

/* One of the latest events with a few bytes changed, if it still unpacks. */
static Hv__Event *mutated(struct chaos *x)
{
	size_t kept = x->w->n_kept < 64 ? x->w->n_kept : 64, i = upto(x, (unsigned)kept);
	size_t len = x->w->kept_len[i];
	uint8_t *bytes = hv_xmemdup(x->w->kept[i], len);
	Hv__Event *ev;

	for (unsigned n = 1 + upto(x, 4); n; n--)
		bytes[upto(x, (unsigned)len)] ^= (uint8_t)(1u << upto(x, 8));
	ev = hv__event__unpack(NULL, len, bytes);
	free(bytes);
	return ev;
}

/* I8: what unpacks may be nonsense; it is skipped or has a lawful effect. */
static void feed_nonsense(struct chaos *x)
{
	size_t len;
	uint8_t *bytes = brain_encode(x->w->c, &len);
	const char *why = NULL;
	struct cluster *c = brain_decode(bytes, len, &why);
	struct action_list out;

	cr_assert(c, "%s", why);
	action_list_init(&out);
	for (unsigned i = 0; i < 150; i++) {
		Hv__Event *ev = mutated(x);

		if (!ev)
			continue;
		ev->seq = 0; /* never seen before */
		brain_step(c, cluster_index(c) + 1, ev, &out);
		action_list_clear(&out);
		why = brain_check(c);
		cr_assert(!why, "%s", why);
		hv__event__free_unpacked(ev, NULL);
	}
	action_list_done(&out);
	cluster_free(c);
	free(bytes);
}

Test(brain_random, takes_nonsense_for_what_it_is)
{
	for (uint64_t seed = 2000; seed < 2010; seed++) {
		struct chaos x = {.w = world_new(NODES), .state = seed};

		x.w->twin = false;
		x.w->keep = true;
		for (unsigned i = 0; i < STEPS; i++) {
			some_event(&x);
			if (i % 50 == 49)
				feed_nonsense(&x);
		}
		world_free(x.w);
	}
}

/* L1 in small: once faults stop, every VM that is meant to run runs, or has a named reason;
 * operations end. */
static void calm_down(struct chaos *x)
{
	struct world *w = x->w;

	for (hv_node_id id = 1; id <= NODES; id++)
		w->incarnation[id] += 100, w->seq[id] = 0;
	view(w, "12345", "", false);
	for (hv_node_id id = 1; id <= NODES; id++) {
		char text[512] = "";
		size_t n = 0;

		for (size_t i = 0; i < cluster_node_vm_count(w->c, id); i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s=running ",
					      cluster_node_vm_at(w->c, id, i)->name);
		report(w, id, text);
		node_resume(w, node(w, id)->name);
	}
	for (unsigned i = 0; i < 200; i++) {
		all_succeed(w);
		if (!brain_next_deadline_us(w->c))
			break;
		tick(w, (brain_next_deadline_us(w->c) - cluster_now_us(w->c)) / 1000 + 1);
	}
}

Test(brain_random, comes_to_rest_when_the_faults_stop)
{
	for (uint64_t seed = 1000; seed < 1040; seed++) {
		struct chaos x = {.w = world_new(NODES), .state = seed};

		x.w->twin = false;
		for (unsigned i = 0; i < STEPS; i++)
			some_event(&x);
		calm_down(&x);
		cr_assert_eq(brain_next_deadline_us(x.w->c), 0, "seed %llu: it never comes to rest",
			     (unsigned long long)seed);
		for (size_t i = 0; i < cluster_vm_count(x.w->c); i++) {
			const struct vm *v = cluster_vm_at(x.w->c, i);
			bool runs = v->state == VM_RUNNING || v->state == VM_PAUSED;

			cr_assert(v->intent == INTENT_STARTED
				      ? runs || (v->state == VM_BLOCKED &&
						 v->reason.code == REASON_NO_NODE_FITS)
				      : v->state == VM_STOPPED,
				  "seed %llu: %s is %s, meant to be %s", (unsigned long long)seed,
				  v->name, vm_state_name(v->state), vm_intent_name(v->intent));
		}
		for (size_t i = 0; i < cluster_op_count(x.w->c); i++)
			cr_assert_neq(cluster_op_at(x.w->c, i)->state, OP_RUNNING,
				      "seed %llu: operation %s never ends",
				      (unsigned long long)seed,
				      op_kind_name(cluster_op_at(x.w->c, i)->kind));
		world_free(x.w);
	}
}
