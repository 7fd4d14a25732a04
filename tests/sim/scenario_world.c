/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state that is given at t = 0, made as it would come to be: a healthy cluster is formed, its
 * VMs are started where the file has them, then the cluster is disarmed; rules, settings and faults
 * are put in place while it decides nothing, and it is armed again when all of it is there.
 */
#include "tests/sim/scenario_priv.h"

#include <string.h>

#define NO_LIMIT_MIB (1U << 30)
#define NO_LIMIT_CPUS 65536
#define READY_US (60 * SEC)
#define NOTICED_US (2 * SEC) /* a loss is seen, and a new view has formed */

#define NODE_NAME(r, i) ((r)->sc->nodes[i].name)

bool world_cannot(struct scenario_run *r, const char *what)
{
	run_fail(r, "the state that is given cannot be made: %s", what);
	return false;
}

/* ---- what goes wrong on purpose */

static bool start_fails(struct sim *s, hv_node_id host, int k)
{
	struct scenario_run *r = s->scenario;
	const struct sc_vm *vm = &r->sc->vms[k];

	if (!r->live)
		return r->hold_starts[k];
	if (r->starts_failed[k] >= vm->start_fail_first ||
	    (vm->start_fail_on && !(vm->start_fail_on >> (host - 1) & 1)))
		return false;
	r->starts_failed[k]++;
	return true;
}

static bool stop_fails(struct sim *s, hv_node_id host, int k)
{
	struct scenario_run *r = s->scenario;
	const struct sc_vm *vm = &r->sc->vms[k];

	return vm->state == SC_VM_STOP_FAILED ? r->holder[k] == host
					      : r->live && vm->stop_always_fails;
}

static bool move_fails(struct sim *s, hv_node_id src, hv_node_id dst, int k)
{
	struct scenario_run *r = s->scenario;

	if (!r->live)
		return r->sc->vms[k].state == SC_VM_MIGRATE_FAILED_SOURCE;
	if (r->moves_failed[k] >= r->sc->vms[k].migrate_fail_first)
		return false;
	r->moves_failed[k]++;
	return true;
}

static bool move_waits(struct sim *s, hv_node_id src, int k)
{
	const struct scenario_run *r = s->scenario;

	return !r->live && r->sc->vms[k].state != SC_VM_MIGRATE_FAILED_SOURCE;
}

/* ---- the rack */

/*
 * A decision is about a cluster that has quorum, or has not, because the file says so. Where what
 * is lost, or may be fenced, would cost the quorum, nodes that only vote are added.
 */
static size_t voters(const struct scenario *sc)
{
	size_t lost = 1;

	if (!sc->decision || sc->settings.have_quorum == SC_NO)
		return 0;
	for (size_t i = 0; i < sc->n_nodes; i++)
		lost += sc->nodes[i].state != SC_ONLINE && sc->nodes[i].state != SC_DRAIN;
	if (sc->n_nodes == 1)
		lost = 1;
	return 2 * lost + 1 > sc->n_nodes ? 2 * lost + 1 - sc->n_nodes : 0;
}

/* In place of the one that every host of a scenario has. */
static void devices_of(struct scenario_run *r, size_t i)
{
	static const char *const names[] = {"first", "second", "third"};
	const struct sc_node *n = &r->sc->nodes[i];

	for (size_t k = 0; k < n->n_devices; k++) {
		struct device *d = &r->w->devices[i][k];

		*d = (struct device){.kind = n->devices[k].kind,
				     .level = (uint32_t)n->devices[k].level,
				     .delay_s = (uint32_t)n->devices[k].delay_s,
				     .delay_random_s = (uint32_t)n->devices[k].delay_random_s,
				     .waited = n->devices[k].waited,
				     .require_seen = n->devices[k].require_seen,
				     .unfence = n->devices[k].unfence,
				     .timeout_s = 20};
		snprintf(d->name, sizeof(d->name), "%s",
			 d->kind == DEVICE_OUTLET_A   ? "outleta"
			 : d->kind == DEVICE_OUTLET_B ? "outletb"
						      : names[k]);
		r->w->n_devices[i] = k + 1;
	}
}

static void build_rack(struct scenario_run *r)
{
	static const struct timing watchdog = {.watchdog_ms = 5000, .lease_ms = 2000};
	const struct scenario *sc = r->sc;
	struct sim *s = &r->s;

	s->n = sc->n_nodes + voters(sc);
	if (s->n > SIM_HOSTS)
		s->n = SIM_HOSTS;
	s->two_node = !sc->decision && s->n == 2;
	s->wait_for_all = s->two_node;
	streams_start(s);
	for (unsigned i = 0; i < STREAM_COUNT; i++)
		s->streams[i].calm = true;
	for (size_t i = 0; i < s->n; i++)
		if (i < sc->n_nodes)
			snprintf(s->hosts[i].name, sizeof(s->hosts[i].name), "%s", NODE_NAME(r, i));
		else
			snprintf(s->hosts[i].name, sizeof(s->hosts[i].name), "only-votes.%zu", i);
	sim_begin(s);
	r->w = s->mind_world;
	r->w->keep_log = true;
	r->w->hooks.start_fails = start_fails;
	r->w->hooks.stop_fails = stop_fails;
	r->w->hooks.move_fails = move_fails;
	r->w->hooks.move_waits = move_waits;
	for (size_t i = 0; i < s->n; i++) {
		if (sc->settings.watchdog == SC_YES)
			vms_watch_give(s, s->hosts[i].id, &watchdog);
		r->w->host_mem_mib[i] = NO_LIMIT_MIB;
		r->w->host_cpus[i] = NO_LIMIT_CPUS;
		r->was_on[i] = true;
		r->powers_seen[i] = 1;
		if (i < sc->n_nodes)
			devices_of(r, i);
		host_power_on(s, &s->hosts[i]);
	}
}

static bool all_online(struct scenario_run *r)
{
	const struct cluster *c = run_cluster(r);
	size_t online = 0;

	for (size_t i = 0; c && i < cluster_node_count(c); i++) {
		const struct node *n = cluster_node_at(c, i);

		online += n->configured && n->state == NODE_ONLINE && n->hypervisor_ok;
	}
	return online == r->s.n;
}

bool world_wait_for(struct scenario_run *r, bool (*fn)(struct scenario_run *r), uint64_t most_us)
{
	uint64_t end = r->s.now_us + most_us;

	while (!fn(r)) {
		if (r->s.now_us >= end || r->s.failed)
			return false;
		run_for(r, 100 * MS);
	}
	return true;
}

/* Sizes count from now on: what the file has on a node is there, even where it is too much. */
static void limit_sizes(struct scenario_run *r)
{
	bool any_cpus = false;

	for (size_t k = 0; k < r->sc->n_vms; k++)
		any_cpus = any_cpus || r->sc->vms[k].cpus;
	for (size_t i = 0; i < r->sc->n_nodes; i++) {
		const struct sc_node *n = &r->sc->nodes[i];
		struct host *h = &r->s.hosts[i];

		if (n->mem_mib)
			r->w->host_mem_mib[i] = n->mem_mib;
		if (n->cpus && any_cpus)
			r->w->host_cpus[i] = (uint32_t)n->cpus;
		if (process_runs(h)) {
			vms_inventory(h->proc.mind);
			mind_wake(h->proc.mind);
		}
	}
	run_for(r, 200 * MS);
}

/* ---- settings */

static bool cmd_set(struct scenario_run *r, const char *key, const char *value)
{
	size_t request = cmd_setting(r, key, value);

	return cmd_wait(r, request) && r->requests[request].rc == HV_OK;
}

static void set(struct scenario_run *r, const char *key, const char *value)
{
	if (value)
		cmd_wait(r, cmd_setting(r, key, value));
}

static void set_yes(struct scenario_run *r, const char *key, enum sc_yes value)
{
	if (value != SC_UNSAID)
		set(r, key, value == SC_YES ? "on" : "off");
}

static bool fencing(const struct scenario_run *r)
{
	return r->sc->settings.fencing != SC_NO;
}

static void settings(struct scenario_run *r)
{
	const struct sc_settings *s = &r->sc->settings;
	const char *loss = s->quorum_loss;
	bool sized = s->placement && strcmp(s->placement, "count") != 0;

	if (loss)
		set(r, "quorum_loss", strcmp(loss, "self_fence") == 0 ? "self-fence" : loss);
	set(r, "node_shutdown", s->node_shutdown);
	set(r, "on_stop_failure", s->on_stop_failure);
	set(r, "placement", s->placement);
	set_yes(r, "maintenance_return", s->maintenance_return);
	/* To be balanced by itself is not to be sticky. */
	set_yes(r, "stickiness", s->auto_rebalance == SC_YES ? SC_NO : s->stickiness);
	set(r, "preemption", s->preemption == SC_NO ? "off" : "on");
	/* CPUs are a limit where a decision is about room. */
	if (sized && r->sc->decision)
		set(r, "vcpus_per_cpu", "1");
	if (r->sc->decision && fencing(r))
		set(r, "fence_lost", "always");
	/* A file's seconds are a slow peer's: its hosts may be lost one after the other. */
	set(r, "fence_test_interval_s", "0");
	set(r, "fence_window_s", "0");
	set(r, "quarantine_fences", "0");
	for (size_t i = 0; fencing(r) && i < r->s.n; i++)
		for (size_t k = 0; k < r->w->n_devices[i]; k++)
			cmd_wait(r, cmd_fence_add(r, r->s.hosts[i].id, k));
	for (size_t i = 0; i < s->n_raw; i++)
		if (!cmd_set(r, s->raw[i].key, s->raw[i].value))
			run_fail(r, "the setting %s=%s is refused", s->raw[i].key, s->raw[i].value);
}

/* One that contradicts others is refused, and the scenario goes on without it, as the cluster does.
 */
static void add_rule(struct scenario_run *r, size_t i)
{
	size_t request = cmd_rule(r, &r->sc->rules[i], (unsigned)i + 1);

	r->refused[i] = !cmd_wait(r, request) || r->requests[request].rc != HV_OK;
	if (r->refused[i] && !r->refused_why[0])
		snprintf(r->refused_why, sizeof(r->refused_why), "rule %zu was refused: %s", i + 1,
			 request == NO_REQUEST ? "nobody answers" : r->requests[request].text);
}

static void rules(struct scenario_run *r)
{
	for (size_t i = 0; i < r->sc->n_rules; i++)
		add_rule(r, i);
}

void world_rules_again(struct scenario_run *r, int vm)
{
	for (size_t i = 0; i < r->sc->n_rules; i++)
		for (size_t k = 0; r->refused[i] && k < r->sc->rules[i].n_vms; k++)
			if (r->sc->rules[i].vms[k] == vm)
				add_rule(r, i);
}

static bool ask_arm(struct scenario_run *r, bool disarm)
{
	size_t request;

	if (r->cannot_disarm)
		return false;
	request = cmd_arm(r, disarm, false);
	return cmd_wait(r, request) && r->requests[request].rc == HV_OK;
}

/* ---- nodes */

static void silence(struct scenario_run *r, hv_node_id id)
{
	struct host *h = sim_host(&r->s, id);

	r->w->mute[id - 1] = true;
	process_kill(&r->s, h);
	process_start(&r->s, h);
}

static void node_fault(struct scenario_run *r, size_t i)
{
	const struct sc_node *n = &r->sc->nodes[i];
	hv_node_id id = (hv_node_id)i + 1;

	switch (n->state) {
	case SC_LOST:
		run_power_off(r, id);
		break;
	case SC_MANAGER_DEAD:
		watch_lost(r, id);
		process_kill(&r->s, sim_host(&r->s, id));
		break;
	case SC_JOIN_TIMEOUT:
		silence(r, id);
		break;
	case SC_OFF:
	case SC_ONLINE:
	case SC_DRAIN:
	case SC_FENCE_REQUESTED:
	case SC_SHUTTING_DOWN:
		break;
	}
	if (!sim_host(&r->s, id)->power)
		return;
	if (!n->power)
		run_power_off(r, id);
	else if (!n->net)
		run_cut(r, id, true);
}

static bool is_off(const struct sc_node *n)
{
	return n->state == SC_OFF || !n->power;
}

static bool holds_wanted(const struct scenario_run *r, size_t node)
{
	for (size_t k = 0; k < r->sc->n_vms; k++)
		if (given_runs_before(r, (int)k) && r->sc->vms[k].wanted &&
		    r->sc->vms[k].node == (int)node)
			return true;
	return false;
}

/* Whose end is known: an administrator says so. */
static void confirm_off(struct scenario_run *r)
{
	for (size_t i = 0; i < r->sc->n_nodes; i++)
		if (is_off(&r->sc->nodes[i]) && !holds_wanted(r, i))
			cmd_wait(r, cmd_fence_confirm(r, NODE_NAME(r, i)));
}

/* Requests that belong to the state. What is refused while it is disarmed is asked for again. */
static void node_requests(struct scenario_run *r, bool *done)
{
	for (size_t i = 0; i < r->sc->n_nodes; i++) {
		const struct sc_node *n = &r->sc->nodes[i];
		size_t request = NO_REQUEST;

		if (done[i])
			continue;
		if (n->state == SC_DRAIN)
			request = cmd_drain(r, n->name, true);
		else if (n->state == SC_FENCE_REQUESTED)
			request = cmd_node_fence(r, n->name);
		else if (n->state == SC_SHUTTING_DOWN)
			request = cmd_shutdown(r, n->name, false);
		else
			continue;
		done[i] = cmd_wait(r, request) && r->requests[request].rc == HV_OK;
		if (done[i] && n->state == SC_SHUTTING_DOWN)
			run_leave(r, (hv_node_id)i + 1, false, request);
	}
}

static bool any_off(const struct scenario_run *r)
{
	for (size_t i = 0; i < r->sc->n_nodes; i++)
		if (is_off(&r->sc->nodes[i]))
			return true;
	return false;
}

static bool any_lost(const struct scenario_run *r)
{
	for (size_t i = 0; i < r->sc->n_nodes; i++) {
		const struct sc_node *n = &r->sc->nodes[i];

		if (is_off(n) || !n->net || (n->state != SC_ONLINE && n->state != SC_DRAIN))
			return true;
	}
	return false;
}

/* Will those that are left be able to decide? */
static bool majority_left(const struct scenario_run *r)
{
	size_t left = r->s.n;

	for (size_t i = 0; i < r->sc->n_nodes; i++)
		left -= is_off(&r->sc->nodes[i]) || !r->sc->nodes[i].net ||
			r->sc->nodes[i].state == SC_LOST;
	return left * 2 > r->s.n;
}

/* ---- t = 0 */

static void go_live(struct scenario_run *r, bool armed)
{
	bool done[SC_NODES] = {false};

	if (r->sc->settings.have_quorum == SC_NO) {
		r->s.no_votes = true;
		net_votes_anew(&r->s);
		run_for(r, NOTICED_US);
	}
	watch_start(r);
	given_stops(r);
	for (size_t i = 0; i < r->sc->n_nodes; i++)
		node_fault(r, i);
	for (size_t k = 0; k < r->sc->n_vms; k++)
		if (!r->sc->vms[k].late)
			given_fault(r, (int)k);
	watch(r);
	r->n_given = r->n_facts;
	memset(r->hold_starts, 0, sizeof(r->hold_starts));
	if (any_lost(r))
		run_for(r, NOTICED_US);
	if (any_off(r))
		confirm_off(r);
	node_requests(r, done);
	if (!armed)
		ask_arm(r, false);
	node_requests(r, done);
	given_starts(r);
}

static bool keeps_quorum(const struct scenario_run *r)
{
	const char *loss = r->sc->settings.quorum_loss;

	/* Behind a barrier it could not be armed again. */
	return r->sc->settings.have_quorum != SC_NO ||
	       (loss && strcmp(loss, "ignore") == 0 && !any_lost(r));
}

static void drain_voters(struct scenario_run *r)
{
	for (size_t i = r->sc->n_nodes; i < r->s.n; i++)
		cmd_wait(r, cmd_drain(r, r->s.hosts[i].name, true));
}

/* Nothing that is wanted is on it, and the others can do without: it went down as announced. */
static bool goes_down_before(const struct scenario_run *r, size_t i)
{
	return is_off(&r->sc->nodes[i]) && !holds_wanted(r, i) && majority_left(r);
}

static bool all_down(struct scenario_run *r)
{
	const struct cluster *c = run_cluster(r);

	for (size_t i = 0; i < r->sc->n_nodes; i++) {
		const struct node *n = c ? cluster_node(c, (hv_node_id)i + 1) : NULL;

		if (goes_down_before(r, i) && (!n || n->state != NODE_OFFLINE))
			return false;
	}
	return true;
}

static bool take_down(struct scenario_run *r)
{
	for (size_t i = 0; i < r->sc->n_nodes; i++) {
		size_t request;

		if (!goes_down_before(r, i))
			continue;
		request = cmd_shutdown(r, NODE_NAME(r, i), false);
		cmd_wait(r, request);
		run_leave(r, (hv_node_id)i + 1, false, request);
	}
	return world_wait_for(r, all_down, READY_US) ||
	       world_cannot(r, "a node does not go down cleanly");
}

bool world_make(struct scenario_run *r)
{
	bool armed;

	build_rack(r);
	if (!world_wait_for(r, all_online, READY_US))
		return world_cannot(r, "the nodes do not all come up");
	drain_voters(r);
	if (!given_add_vms(r))
		return false;
	if (!take_down(r) || !given_begin_vm_states(r))
		return false;
	r->cannot_disarm = !keeps_quorum(r);
	r->cannot_disarm = !ask_arm(r, true);
	armed = r->cannot_disarm;
	if (armed)
		limit_sizes(r);
	settings(r);
	given_leave_unmanaged(r);
	given_add_wanted(r, !armed);
	rules(r);
	if (!armed)
		limit_sizes(r);
	else
		given_start_wanted(r);
	/* Too few will be left to say so: it is armed, and they go at once. */
	if (!armed && !majority_left(r) && !r->sc->decision) {
		ask_arm(r, false);
		armed = true;
	}
	go_live(r, armed);
	return !r->s.failed;
}
