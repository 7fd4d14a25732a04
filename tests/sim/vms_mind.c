/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One node's brain, as clusterd's driver and wiring have it. */
#include "tests/sim/vms.h"

#include <string.h>

uint64_t mind_mono(const struct mind *m)
{
	return host_mono_us(m->s, m->h);
}

static uint64_t mind_cluster_us(struct mind *m)
{
	return cluster_time_at(&m->time, mind_mono(m));
}

/* May act: active, and nothing that was committed before is still to come. */
bool mind_current(const struct mind *m)
{
	const struct rl_status *st = rl_status(m->h->proc.log);

	return st->phase == RL_ACTIVE && st->quorate &&
	       rl_epoch_cmp(&m->h->proc.applied_epoch, &st->epoch) == 0;
}

/* ---- proposing */

static enum hv_rc propose(void *user, enum rl_entry_type type, hv_node_id fenced,
			  const uint8_t *data, size_t len)
{
	struct mind *m = user;

	return process_propose(m->s, m->h, type, fenced, data, len);
}

static void dropped(void *user, uint64_t mark, enum hv_rc rc)
{
}

uint64_t mind_propose(struct mind *m, const Hv__Event *ev, enum rl_entry_type type,
		      hv_node_id fenced)
{
	const char *why = NULL;
	Hv__Event probe = *ev;

	probe.proposer = m->h->id;
	if (!event_valid(&probe, &why)) {
		sim_fail(m->s, "node %u would propose a malformed event: %s", m->h->id, why);
		return 0;
	}
	m->unsettled = true;
	return proposer_put(m->proposer, ev, type, fenced);
}

static uint64_t intake_propose(void *user, const Hv__Event *ev)
{
	return mind_propose(user, ev, RL_COMMAND, 0);
}

static uint64_t tick_propose(void *user, const Hv__Event *ev, bool fence)
{
	return mind_propose(user, ev, fence ? RL_FENCE : RL_COMMAND, 0);
}

static bool pending(void *user, uint64_t mark)
{
	struct mind *m = user;

	return proposer_pending(m->proposer, mark);
}

/* ---- life */

static void make_list(struct sim *s, struct host *h, struct nodelist *list)
{
	list->self = h->id;
	list->n_nodes = s->n;
	for (size_t i = 0; i < s->n; i++) {
		list->nodes[i].id = s->hosts[i].id;
		list->nodes[i].votes = 1;
		snprintf(list->nodes[i].name, sizeof(list->nodes[i].name), "%s", s->hosts[i].name);
	}
}

static struct mind *vms_new(struct sim *s, struct host *h)
{
	static const struct proposer_ops proposer_ops = {.propose = propose, .dropped = dropped};
	static const struct intake_ops intake_ops = {.propose = intake_propose, .pending = pending};
	struct mind *m = hv_xcalloc(1, sizeof(*m));
	char boot_id[32];

	m->s = s;
	m->h = h;
	m->c = cluster_new();
	cluster_time_installed(&m->time, cluster_now_us(m->c), mind_mono(m));
	action_list_init(&m->actions);
	m->proposer = proposer_new(h->id, h->proc.incarnation, &proposer_ops, m);
	snprintf(boot_id, sizeof(boot_id), "boot-%u-%llu", h->id, (unsigned long long)h->powers);
	m->intake = intake_new(boot_id, &intake_ops, m);
	intake_set_self(m->intake, h->id, h->proc.incarnation);
	mind_guard_start(m);
	mind_watch_start(m);
	make_list(s, h, &m->list);
	return m;
}

static void vms_free(struct mind *m)
{
	/* Its hypervisord ends with it. */
	if (m->h->power)
		vms_hypervisord_ends(m->s, m->h);
	guard_free(m->guard);
	feeder_free(m->feeder);
	intake_free(m->intake);
	proposer_free(m->proposer);
	action_list_done(&m->actions);
	cluster_free(m->c);
	free(m->jobs);
	unpack_done(&m->room);
	free(m);
}

/* ---- outputs of the log */

static void trace_journal(struct mind *m, const struct action *a)
{
	const struct journal_line *l = m->s->trace ? cluster_journal(m->c, a->op) : NULL;

	if (l)
		sim_trace(m->s, "node %u: %s: %s -> %s: %s", m->h->id, l->object, l->from, l->to,
			  l->cause);
}

static void take_actions(struct mind *m)
{
	for (size_t i = 0; i < m->actions.count; i++) {
		const struct action *a = &m->actions.items[i];

		if (a->kind == ACTION_JOURNAL)
			trace_journal(m, a);
		if (a->kind == ACTION_REPLY && a->node == m->h->id &&
		    a->incarnation == m->h->proc.incarnation)
			admin_reply(m, a);
	}
	action_list_clear(&m->actions);
}

static void vms_apply(struct mind *m, const struct rl_entry *e)
{
	const Hv__Event *ev = unpack(&m->room, &hv__event__descriptor, e->data, e->len);
	Hv__Event nothing = HV__EVENT__INIT;
	_cleanup_free_ char *before = vms_garbage_before(m, ev);

	vms_check_before(m, e->index);
	brain_step(m->c, e->index, ev ? ev : &nothing, &m->actions);
	vms_garbage_after(m, e->index, before);
	cluster_time_applied(&m->time, cluster_now_us(m->c), mind_mono(m));
	vms_check_step(m, e->index, ev ? ev : &nothing);
	take_actions(m);
	if (ev)
		proposer_applied(m->proposer, ev);
	intake_state_changed(m->intake, mind_mono(m), false);
	m->unsettled = true;
}

static void vms_install(struct mind *m, uint64_t index, const uint8_t *data, size_t len)
{
	const char *why = "it is damaged";
	struct cluster *c = len ? brain_decode(data, len, &why) : cluster_new();

	if (!c) {
		sim_fail(m->s, "node %u: snapshot at %llu: %s", m->h->id, (unsigned long long)index,
			 why);
		return;
	}
	cluster_free(m->c);
	m->c = c;
	absence_forget(&m->absence);
	vms_check_installed(m, index);
	cluster_time_installed(&m->time, cluster_now_us(c), mind_mono(m));
	m->was_current = false;
	m->unsettled = true;
}

static uint8_t *vms_snapshot(struct mind *m, uint64_t index, size_t *ret_len)
{
	hv_assert(cluster_index(m->c) == index);
	return brain_encode(m->c, ret_len);
}

static uint64_t vms_digest(struct mind *m)
{
	return cluster_digest(m->c);
}

static void vms_status(struct mind *m, const struct rl_status *st)
{
	m->unsettled = true;
}

/* As clusterd's wiring: when all that was put out is carried out. */
static bool vms_settled(struct mind *m)
{
	static const struct ticker_ops ops = {.propose = tick_propose, .pending = pending};
	bool current;

	if (!m->unsettled)
		return false;
	m->unsettled = false;
	current = mind_current(m);
	if (proposer_count(m->proposer) && rl_status(m->h->proc.log)->pending == 0)
		proposer_log_is_empty(m->proposer);
	if (current && !m->was_current)
		intake_state_changed(m->intake, mind_mono(m), true);
	m->was_current = current;
	absence_look(&m->absence, m->c, mind_mono(m));
	exec_reconcile(m);
	m->due_us = 0;
	if (current) {
		if (!((struct vms_world *)m->s->mind_world)->mute[m->h->id - 1])
			intake_reconcile(m->intake, m->c, mind_mono(m));
		if (rl_status(m->h->proc.log)->coordinator == m->h->id)
			m->due_us =
			    ticker_reconcile(&m->ticker, m->c, &m->list, rl_status(m->h->proc.log),
					     mind_cluster_us(m), &ops, m);
	}
	mind_guard_look(m);
	mind_watch_look(m);
	vms_guest_sync(m);
	m->unsettled = false;
	proposer_flush(m->proposer, mind_cluster_us(m), host_wall_ms(m->s, m->h));
	return true;
}

void mind_wake(struct mind *m)
{
	m->unsettled = true;
	process_drain(m->s, m->h);
}

/* When this host's clock stands where the cluster's time will be `cluster_us`. */
static uint64_t mono_of(const struct cluster_time *t, uint64_t cluster_us)
{
	return cluster_us > t->base_us ? t->base_mono + (cluster_us - t->base_us) : t->base_mono;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static uint64_t vms_next(struct mind *m)
{
	uint64_t next = intake_next_us(m->intake), at = 0;

	if (!m->inventory_sent && vms_layer_well(m->s, m->h->id))
		at = m->h->proc.started_us + 300 * MS + 1;
	if (next)
		at = earlier(at, host_when_us(m->s, m->h, next));
	if (m->guard_due_us)
		at = earlier(at, host_when_us(m->s, m->h, m->guard_due_us));
	if (m->feeder_due_us)
		at = earlier(at, host_when_us(m->s, m->h, m->feeder_due_us));
	if (m->proof_due_us)
		at = earlier(at, host_when_us(m->s, m->h, m->proof_due_us));
	if (m->due_us)
		at = earlier(at, host_when_us(m->s, m->h, mono_of(&m->time, m->due_us)));
	return at;
}

static void vms_poll(struct mind *m)
{
	uint64_t next = intake_next_us(m->intake);
	bool feeder = m->feeder_due_us && mind_mono(m) >= m->feeder_due_us;

	if (!m->inventory_sent && m->s->now_us - m->h->proc.started_us > 300 * MS)
		vms_inventory(m);
	if ((next && mind_mono(m) >= next) ||
	    (m->guard_due_us && mind_mono(m) >= m->guard_due_us) ||
	    (m->proof_due_us && mind_mono(m) >= m->proof_due_us) ||
	    (m->due_us && mind_cluster_us(m) >= m->due_us))
		m->unsettled = true;
	if (feeder && lossy(m->s))
		mind_watch_look(m); /* alone: hours of nothing else */
	else if (feeder)
		m->unsettled = true;
}

static void chance(struct sim *s, struct host *h, uint64_t arg)
{
	if (s->healing)
		return;
	vms_chance_step(s);
	admin_step(s);
	vms_garbage_step(s);
	vms_guest_step(s);
	vms_crash_step(s);
	sim_at(s,
	       prng_range(sim_stream(s, STREAM_ADMIN), 10 * MS, 400 * MS) * s->swarm.pace *
		   (lossy(s) ? 3 : 1),
	       chance, NULL, 0);
}

static void vms_start(struct sim *s)
{
	static const uint64_t sizes[] = {2048, 3072, 4096, 4096, 8192};
	struct vms_world *w = hv_xcalloc(1, sizeof(*w));
	struct prng *r = sim_stream(s, STREAM_SWARM);

	s->mind_world = w;
	w->max_vms = (unsigned)(prng_chance(r, 30) ? prng_range(r, 20, 40) : prng_range(r, 2, 20));
	if (s->options->n_vms)
		w->max_vms = s->options->n_vms;
	for (int k = 0; k < VMS; k++) {
		char name[16], uuid[HV_UUID_LEN + 1];

		snprintf(name, sizeof(name), "vm%d", k);
		snprintf(uuid, sizeof(uuid), "00000000-0000-4000-8000-%012d", k);
		vms_define(s, k, name, uuid, prng_range(r, 1, 6) * 128);
	}
	for (size_t i = 0; i < s->n; i++) {
		w->host_mem_mib[i] = sizes[prng_range(r, 0, ARRAY_SIZE(sizes) - 1)];
		w->host_cpus[i] = (uint32_t)prng_range(r, 2, 16);
	}
	w->most_starts = 8;
	w->most_migrations = 2;
	vms_fence_setup(s);
	vms_watch_setup(s);
	vms_guard_setup(s);
	vms_outage_setup(s);
	vms_chance_setup(s);
	vms_guest_setup(s);
	vms_crash_setup(s);
	vms_storage_setup(s);
	vms_policy_setup(s);
	if (!s->scenario)
		sim_at(s, 3 * SEC, chance, NULL, 0);
}

static void vms_stop(struct sim *s)
{
	struct vms_world *w = vms_of(s);

	free(w->calls);
	free(w->moves);
	free(w->requests);
	free(w->log);
	free(w);
}

/* A pause that is not over will end with an entry. */
static bool vms_quiet(struct sim *s)
{
	const struct process *p = &s->hosts[0].proc;
	char buf[256];

	return !vms_check_unsettled(s, buf, sizeof(buf)) && !brain_next_deadline_us(p->mind->c);
}

static void vms_heal_all(struct sim *s)
{
	vms_watch_heal(s);
	vms_outage_heal(s);
	vms_chance_heal(s);
	vms_guest_heal(s);
	admin_heal(s);
}

static void vms_end(struct sim *s)
{
	struct vms_world *w = vms_of(s);
	char buf[256];
	const char *why = vms_check_unsettled(s, buf, sizeof(buf));

	if (why) {
		_cleanup_free_ char *dump = s->trace ? brain_dump(s->hosts[0].proc.mind->c) : NULL;

		sim_fail(s, "L1: long after all was healed: %s", why);
		sim_trace(s, "%s", dump ? dump : "");
	}
	if (!why)
		vms_check_settled(s);
	sim_trace(s, "end: %llu commands, %llu starts, %llu migrations, %llu fences",
		  (unsigned long long)w->commands, (unsigned long long)w->starts,
		  (unsigned long long)w->migrations, (unsigned long long)w->fences);
}

const struct mind_ops vms_mind = {
    .new = vms_new,
    .free = vms_free,
    .apply = vms_apply,
    .install = vms_install,
    .snapshot = vms_snapshot,
    .digest = vms_digest,
    .cluster_us = mind_cluster_us,
    .status = vms_status,
    .told_votes = mind_told_votes,
    .settled = vms_settled,
    .next_us = vms_next,
    .poll = vms_poll,
    .power_off = vms_power_off,
    .start = vms_start,
    .stop = vms_stop,
    .heal = vms_heal_all,
    .quiet = vms_quiet,
    .end = vms_end,
};
