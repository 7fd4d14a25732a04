/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Administrators: commands of every kind at random nodes, sensible ones and foolish ones; what was
 * answered is remembered.
 */
#include "fence/fence_plan.h"
#include "tests/sim/scenario.h"
#include "tests/sim/vms_admin.h"

#include <string.h>

struct host *admin_host(struct sim *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[i];

		if (process_runs(h) && mind_current(h->proc.mind) &&
		    !rl_status(h->proc.log)->barrier)
			return h;
	}
	return NULL;
}

static struct host *any_admin_host(struct ask *a)
{
	size_t first = (size_t)prng_range(&a->r, 0, a->s->n - 1);

	for (size_t i = 0; i < a->s->n; i++) {
		struct host *h = &a->s->hosts[(first + i) % a->s->n];

		if (process_runs(h) && mind_current(h->proc.mind) &&
		    !rl_status(h->proc.log)->barrier)
			return h;
	}
	return NULL;
}

/* ---- asking, and being answered */

static uint64_t request_new(struct vms_world *w, int added_vm)
{
	if (w->n_requests == w->cap_requests) {
		w->cap_requests = w->cap_requests ? w->cap_requests * 2 : 64;
		w->requests = hv_xrealloc(w->requests, w->cap_requests, sizeof(*w->requests));
	}
	w->requests[w->n_requests++] = (struct request){.added_vm = added_vm};
	return w->n_requests;
}

bool admin_ask(struct sim *s, struct host *h, Hv__Command *cmd, hv_node_id confirmed)
{
	struct vms_world *w = vms_of(s);
	Hv__Event ev = HV__EVENT__INIT, probe;
	const char *why = "";
	bool add = cmd->body_case == HV__COMMAND__BODY_VM_ADD;
	int added = -1;

	cmd->actor = "root@sim";
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = cmd;
	probe = ev;
	probe.proposer = h->id;
	if (!event_valid(&probe, &why)) {
		sim_trace(s, "node %u refuses a command: %s", h->id, why);
		return false;
	}
	/* Under a foolish name it may be removed by somebody's nonsense. */
	if (add)
		added = vms_find(s, cmd->vm_add->uuid);
	if (added >= 0 && strcmp(w->name[added], cmd->vm_add->name) != 0)
		added = -1;
	cmd->request = request_new(w, added);
	w->commands++;
	if (!mind_propose(h->proc.mind, &ev, confirmed ? RL_FENCE : RL_COMMAND, confirmed))
		return false;
	mind_wake(h->proc.mind);
	return true;
}

void admin_command_at(struct sim *s, struct host *h, Hv__Command *cmd)
{
	admin_ask(s, h, cmd, 0);
}

void admin_reply(struct mind *m, const struct action *a)
{
	struct vms_world *w = vms_of(m->s);
	struct request *q;

	sim_trace(m->s, "node %u answers request %llu: %s %s", m->h->id,
		  (unsigned long long)a->request, hv_rc_name(a->rc), a->text ? a->text : "");
	if (m->s->scenario) {
		scenario_replied(m->s->scenario, a);
		return;
	}
	/* Behind a barrier no client is answered. */
	if (!a->request || a->request > w->n_requests || a->rc != HV_OK ||
	    rl_status(m->h->proc.log)->barrier)
		return;
	q = &w->requests[a->request - 1];
	q->acked = true;
	if (q->added_vm >= 0)
		w->asked[q->added_vm].added = true;
}

/* ---- words */

static char *word(struct ask *a, const char *text)
{
	char *to = a->name[a->n_names++ % ARRAY_SIZE(a->name)];

	snprintf(to, sizeof(a->name[0]), "%s", text);
	return to;
}

static char *nonsense(struct ask *a)
{
	static const char *const words[] = {
	    "",
	    "nobody",
	    "host0",
	    "host99",
	    "vm",
	    "-rf",
	    "../../etc/passwd",
	    "host1 ",
	    "a-name-that-is-as-long-as-a-name-may-be-and-then-some-more-letters-on-it",
	    "\t"};

	return word(a, words[prng_range(&a->r, 0, ARRAY_SIZE(words) - 1)]);
}

static char *vm_word(struct ask *a)
{
	bool any = a->foolish && prng_chance(&a->r, 500);

	return any ? nonsense(a) : word(a, vms_of(a->s)->name[a->k]);
}

static char *host_word(struct ask *a)
{
	char name[16];
	bool any = a->foolish && prng_chance(&a->r, 500);

	snprintf(name, sizeof(name), "host%llu", (unsigned long long)prng_range(&a->r, 1, a->s->n));
	return any ? nonsense(a) : word(a, name);
}

static char *host_or_none(struct ask *a)
{
	return prng_chance(&a->r, 400) ? host_word(a) : word(a, "");
}

/* ---- one command each */

#define BODY(a, NAME, name)                                                                        \
	((a)->cmd.body_case = HV__COMMAND__BODY_##NAME, (a)->cmd.name = &(a)->name, &(a)->name)

static void ask_vm_add(struct ask *a)
{
	struct vms_world *w = vms_of(a->s);

	hv__vm_add__init(BODY(a, VM_ADD, vm_add));
	a->vm_add.name = a->foolish ? vm_word(a) : word(a, w->name[a->k]);
	a->vm_add.uuid = w->uuid[a->k];
	a->vm_add.xml = "<domain/>";
	a->vm_add.storage = vms_storage_of(a->k, &a->vm_add.n_storage);
	a->vm_add.mem_mib = w->mem_mib[a->k];
	a->vm_add.vcpus = (uint32_t)prng_range(&a->r, 1, 4);
	a->vm_add.priority = (int32_t)prng_range(&a->r, 0, 3);
	a->vm_add.started = prng_chance(&a->r, 850);
	a->vm_add.stop_timeout_s = (uint32_t)prng_range(&a->r, 1, 15);
}

static void ask_vm_remove(struct ask *a)
{
	hv__vm_remove__init(BODY(a, VM_REMOVE, vm_remove));
	a->vm_remove.name = vm_word(a);
	a->vm_remove.stop_first = prng_chance(&a->r, 600);
}

static void ask_vm_start(struct ask *a)
{
	hv__vm_start__init(BODY(a, VM_START, vm_start));
	a->vm_start.name = vm_word(a);
	a->vm_start.node = host_or_none(a);
}

static void ask_vm_stop(struct ask *a)
{
	hv__vm_stop__init(BODY(a, VM_STOP, vm_stop));
	a->vm_stop.name = vm_word(a);
	a->vm_stop.force = prng_chance(&a->r, 300);
	a->vm_stop.timeout_s = (uint32_t)prng_range(&a->r, 0, 10);
}

static void ask_vm_migrate(struct ask *a)
{
	hv__vm_migrate__init(BODY(a, VM_MIGRATE, vm_migrate));
	a->vm_migrate.name = vm_word(a);
	a->vm_migrate.node = host_or_none(a);
}

static void ask_vm_pause(struct ask *a)
{
	hv__vm_pause__init(BODY(a, VM_PAUSE, vm_pause));
	a->vm_pause.name = vm_word(a);
}

static void ask_vm_resume(struct ask *a)
{
	hv__vm_resume__init(BODY(a, VM_RESUME, vm_resume));
	a->vm_resume.name = vm_word(a);
}

void ask_node_drain(struct ask *a)
{
	hv__node_drain__init(BODY(a, NODE_DRAIN, node_drain));
	a->node_drain.node = host_word(a);
}

static void ask_node_resume(struct ask *a)
{
	hv__node_resume__init(BODY(a, NODE_RESUME, node_resume));
	a->node_resume.node = host_word(a);
}

static void ask_node_release(struct ask *a)
{
	hv__node_release__init(BODY(a, NODE_RELEASE, node_release));
	a->node_release.node = host_word(a);
}

static const struct device *any_device(struct ask *a, hv_node_id *ret_host)
{
	const struct vms_world *w = vms_of(a->s);
	size_t host = (size_t)prng_range(&a->r, 0, a->s->n - 1);
	uint64_t d = prng_range(&a->r, 0, DEVICES - 1);

	*ret_host = (hv_node_id)host + 1;
	return d < w->n_devices[host] ? &w->devices[host][d] : NULL;
}

static bool is_outlet(const struct device *d)
{
	return d->kind == DEVICE_OUTLET_A || d->kind == DEVICE_OUTLET_B;
}

/* `keep_outlets`: who takes away one of two outlets says that the other is proof, which is a lie.
 */
static void device_command(struct ask *a, bool keep_outlets, char **ret_node, char **ret_device)
{
	hv_node_id host;
	const struct device *d = any_device(a, &host);
	char name[16];

	if (d && keep_outlets && is_outlet(d))
		d = NULL;

	snprintf(name, sizeof(name), "host%u", host);
	*ret_node = a->foolish ? host_word(a) : word(a, name);
	*ret_device = d && !a->foolish ? word(a, d->name) : nonsense(a);
}

static void ask_fence_remove(struct ask *a)
{
	hv__fence_remove__init(BODY(a, FENCE_REMOVE, fence_remove));
	device_command(a, true, &a->fence_remove.node, &a->fence_remove.device);
}

static void ask_fence_test(struct ask *a)
{
	hv__fence_test__init(BODY(a, FENCE_TEST, fence_test));
	device_command(a, false, &a->fence_test.node, &a->fence_test.device);
}

static void ask_fence_level(struct ask *a)
{
	hv__fence_level__init(BODY(a, FENCE_LEVEL, fence_level));
	a->fence_level.node = host_word(a);
	a->fence_level.level =
	    prng_chance(&a->r, 200)
		? FENCE_PLAN_WATCHDOG_LEVEL
		: (uint32_t)prng_range(&a->r, 1, a->foolish ? HV_MAX_FENCE_LEVELS : 2);
	a->fence_level.seen = prng_chance(&a->r, 400);
}

static void fence_add(struct ask *a, const struct host *victim, const struct device *d)
{
	char name[16];

	snprintf(name, sizeof(name), "host%u", victim->id);
	hv__fence_add__init(BODY(a, FENCE_ADD, fence_add));
	a->fence_add.node = word(a, name);
	a->fence_add.device = word(a, d->name);
	a->fence_add.level = d->level;
	a->fence_add.agent = "fence_ipmilan";
	a->fence_add.timeout_s = d->timeout_s;
	a->fence_add.delay_s = d->delay_s;
	a->fence_add.delay_random_s = d->delay_random_s;
	a->fence_add.waited = d->waited;
	a->fence_add.require_seen = d->require_seen;
	a->fence_add.unfence = d->unfence;
}

void ask_confirm(struct ask *a, const struct host *v)
{
	const struct node *n = cluster_node(a->h->proc.mind->c, v->id);
	char name[16];

	bool member = n && (n->state == NODE_ONLINE || n->state == NODE_JOINING ||
			    n->state == NODE_MANAGER_DOWN);

	if (v->power && !member)
		return;
	snprintf(name, sizeof(name), "host%u", v->id);
	hv__fence_confirm__init(BODY(a, FENCE_CONFIRM, fence_confirm));
	a->fence_confirm.node = word(a, name);
	a->fence_confirm.incarnation = n ? n->incarnation : 0;
	a->fence_confirm.member = member;
	/* As clusterd/command.c: an entry that passes a barrier, if it is to be taken. */
	if (n && (n->state == NODE_LOST || n->state == NODE_FENCING || n->barrier))
		a->confirmed = v->id;
}

static void ask_fence_confirm(struct ask *a)
{
	ask_confirm(a, &a->s->hosts[prng_range(&a->r, 0, a->s->n - 1)]);
}

static void ask_op_cancel(struct ask *a)
{
	const struct cluster *c = a->h->proc.mind->c;
	size_t n = cluster_op_count(c);
	uint64_t pick = prng_range(&a->r, 0, 63);

	hv__op_cancel__init(BODY(a, OP_CANCEL, op_cancel));
	a->op_cancel.op = a->foolish || n == 0 ? prng_next(&a->r) >> 20
					       : cluster_op_at(c, n - 1 - (size_t)pick % n)->id;
}

static void ask_setting(struct ask *a)
{
	static const struct {
		const char *key, *values[3];
	} sane[] = {{"start_timeout_s", {"3", "8", "60"}},
		    {"migrate_timeout_s", {"3", "20", "1800"}},
		    {"stop_timeout_s", {"0", "2", "20"}},
		    {"start_parallel", {"1", "2", "8"}},
		    {"migrate_parallel", {"1", "2", "4"}},
		    {"start_retry_ms", {"100", "1000", "3000"}},
		    {"start_retry_max_ms", {"1000", "5000", "60000"}},
		    {"fence_retry_ms", {"100", "2000", "5000"}},
		    {"fence_lost", {"needed", "always", "needed"}},
		    {"after_fence", {"off", "on", "off"}},
		    {"manager_grace_ms", {"0", "3000", "10000"}},
		    {"drain_tries", {"1", "3", "5"}},
		    {"restart_window_s", {"0", "5", "600"}},
		    {"startup_grace_ms", {"0", "5000", "20000"}},
		    {"fence_window_s", {"0", "20", "300"}},
		    {"quarantine_fences", {"0", "1", "3"}},
		    {"quarantine_s", {"0", "20", "600"}},
		    {"fence_test_interval_s", {"0", "20", "600"}},
		    {"fence_priority_delay_ms", {"0", "3000", "8000"}},
		    {"fence_proof", {"any", "seen", "any"}},
		    {"placement", {"count", "capacity", "pack"}},
		    {"stickiness", {"off", "on", "off"}},
		    {"preemption", {"on", "off", "on"}},
		    {"on_stop_failure", {"fence", "block", "fence"}},
		    {"storage_loss", {"evacuate", "fence", "stay"}}};
	size_t i = (size_t)prng_range(&a->r, 0, ARRAY_SIZE(sane) - 1);
	const struct setting_info *any =
	    setting_at((size_t)prng_range(&a->r, 0, setting_count() - 1));

	hv__setting_set__init(BODY(a, SETTING_SET, setting_set));
	a->setting_set.key = word(a, a->foolish ? any->key : sane[i].key);
	a->setting_set.value =
	    a->foolish ? nonsense(a) : word(a, sane[i].values[prng_range(&a->r, 0, 2)]);
}

/* ---- a step */

static const struct ask_kind {
	const char *name;
	unsigned weight;
	void (*fn)(struct ask *a);
} kinds[] = {
    {"vm start", 120, ask_vm_start},	   {"vm stop", 50, ask_vm_stop},
    {"vm migrate", 150, ask_vm_migrate},   {"vm pause", 20, ask_vm_pause},
    {"vm resume", 40, ask_vm_resume},	   {"vm remove", 20, ask_vm_remove},
    {"node drain", 30, ask_node_drain},	   {"node resume", 70, ask_node_resume},
    {"node release", 8, ask_node_release}, {"fence confirm", 20, ask_fence_confirm},
    {"fence remove", 4, ask_fence_remove}, {"fence test", 8, ask_fence_test},
    {"op cancel", 30, ask_op_cancel},	   {"setting", 40, ask_setting},
    {"fence level", 8, ask_fence_level},
};

static void put(struct ask *a, const char *what)
{
	struct vms_world *w = vms_of(a->s);

	if (a->cmd.body_case == HV__COMMAND__BODY__NOT_SET || !sim_inject(a->s, what))
		return;
	if (a->cmd.body_case == HV__COMMAND__BODY_VM_REMOVE) {
		int k = 0;

		while (k < VMS && strcmp(w->name[k], a->vm_remove.name) != 0)
			k++;
		if (k < VMS)
			w->asked[k].removed = true;
	}
	if (a->cmd.body_case == HV__COMMAND__BODY_SETTING_SET) {
		uint32_t n = (uint32_t)strtoul(a->setting_set.value, NULL, 10);

		if (strcmp(a->setting_set.key, "start_parallel") == 0 && n > w->most_starts)
			w->most_starts = n;
		if (strcmp(a->setting_set.key, "migrate_parallel") == 0 && n > w->most_migrations)
			w->most_migrations = n;
	}
	if (!admin_ask(a->s, a->h, &a->cmd, a->confirmed))
		return;
	if (a->confirmed && !sim_host(a->s, a->confirmed)->power)
		vms_proven(a->s, a->confirmed);
}

bool ask_missing_device(struct ask *a)
{
	const struct vms_world *w = vms_of(a->s);
	const struct cluster *c = a->h->proc.mind->c;

	for (size_t i = 0; i < a->s->n; i++) {
		const struct node *n = cluster_node(c, a->s->hosts[i].id);

		for (size_t d = 0; n && n->configured && d < w->n_devices[i]; d++) {
			bool there = false;

			for (size_t j = 0; j < n->n_devices; j++)
				there |= strcmp(n->devices[j]->name, w->devices[i][d].name) == 0;
			if (there)
				continue;
			fence_add(a, &a->s->hosts[i], &w->devices[i][d]);
			put(a, "fence add");
			return true;
		}
	}
	return false;
}

void ask_init(struct ask *a, struct sim *s)
{
	memset(a, 0, sizeof(*a));
	a->s = s;
	prng_seed(&a->r, prng_next(sim_stream(s, STREAM_ADMIN)));
	hv__command__init(&a->cmd);
	a->k = (int)prng_range(&a->r, 0, vms_of(s)->max_vms - 1);
	a->foolish = prng_chance(&a->r, vms_of(s)->swarm.foolish);
	a->h = any_admin_host(a);
}

/* What matters where changes, and nothing else. */
static void duel_step(struct ask *a, uint64_t x)
{
	static char *const priorities[] = {"0", "1", "5", "-3"};
	Hv__VmSet set = HV__VM_SET__INIT;
	Hv__KeyValue kv = HV__KEY_VALUE__INIT, *list[] = {&kv};

	if (x % 20 >= 3)
		return;
	if (x % 20 == 0) {
		ask_vm_start(a);
		put(a, "vm start");
		return;
	}
	if (x % 20 == 1) {
		ask_vm_migrate(a);
		put(a, "vm migrate");
		return;
	}
	kv.key = "priority";
	kv.value = priorities[prng_range(&a->r, 0, ARRAY_SIZE(priorities) - 1)];
	set.name = vm_word(a);
	set.attributes = list;
	set.n_attributes = 1;
	a->cmd.body_case = HV__COMMAND__BODY_VM_SET;
	a->cmd.vm_set = &set;
	put(a, "vm set");
}

void admin_step(struct sim *s)
{
	struct vms_world *w = vms_of(s);
	struct ask a;
	uint64_t x, sum = 0;
	size_t i = 0;

	ask_init(&a, s);
	x = prng_range(&a.r, 0, 999);
	/* Devices first: most of the time there are all. */
	if (!a.h || ((x < 800 || s->now_us < 10 * SEC) && ask_missing_device(&a)))
		return;
	if (!w->brakes_set) {
		w->brakes_set = true;
		admin_brakes(s, a.h);
	}
	for (size_t j = 0; j < ARRAY_SIZE(kinds); j++)
		sum += kinds[j].weight;
	x = prng_range(&a.r, 0, sum * 2 - 1);
	if (!cluster_vm(a.h->proc.mind->c, w->uuid[a.k]) && !w->asked[a.k].removed) {
		ask_vm_add(&a);
		put(&a, "vm add");
		return;
	}
	if (s->options->duel || s->options->lossy || (s->options->witness && !s->storm)) {
		duel_step(&a, x);
		return;
	}
	while (i < ARRAY_SIZE(kinds) && x >= kinds[i].weight)
		x -= kinds[i++].weight;
	if (i == ARRAY_SIZE(kinds)) {
		x = prng_range(&a.r, 0, 999);
		if (x < 60)
			admin_policy(s, a.h, &s->hosts[(size_t)a.k % s->n]);
		else if (x < 60 + w->swarm.wishes)
			vms_wish(s, a.h, &a.r, a.k);
		return;
	}
	kinds[i].fn(&a);
	put(&a, kinds[i].name);
}
