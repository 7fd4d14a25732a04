/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NODE_MIB 8192
#define NODE_CPUS 8

/* ---- steps */

static void take_reply(struct world *w)
{
	w->replies = 0;
	for (size_t i = 0; i < w->out.count; i++) {
		const struct action *a = &w->out.items[i];

		if (a->kind != ACTION_REPLY)
			continue;
		w->replies++;
		w->rc = a->rc;
		w->op = a->op;
		snprintf(w->text, sizeof(w->text), "%s", a->text ? a->text : "");
		snprintf(w->hint, sizeof(w->hint), "%s", a->hint ? a->hint : "");
	}
}

static struct cluster *decoded(const struct world *w)
{
	size_t len;
	const char *why = NULL;
	uint8_t *bytes = brain_encode(w->c, &len);
	struct cluster *c = brain_decode(bytes, len, &why);

	free(bytes);
	cr_assert(c, "snapshot refused: %s", why);
	return c;
}

/* Decoded anew before this step, or the one that has followed since an earlier step. */
static void replica_prepare(struct world *w)
{
	if (w->follow && w->replica)
		return;
	cluster_free(w->replica);
	w->replica = w->twin && w->index ? decoded(w) : NULL;
}

static void replica_step(struct world *w, const Hv__Event *ev)
{
	struct action_list out;

	if (!w->replica)
		return;
	action_list_init(&out);
	brain_step(w->replica, w->index, ev, &out);
	cr_assert_eq(out.count, w->out.count);
	cr_assert_eq(cluster_digest(w->replica), cluster_digest(w->c),
		     "a replica decoded from a snapshot decides otherwise");
	action_list_done(&out);
}

static void keep(struct world *w, const Hv__Event *ev)
{
	size_t i = w->n_kept++ % ARRAY_SIZE(w->kept);

	free(w->kept[i]);
	w->kept_len[i] = hv__event__get_packed_size(ev);
	w->kept[i] = hv_xcalloc(1, w->kept_len[i] + 1);
	hv__event__pack(ev, w->kept[i]);
}

void step(struct world *w, Hv__Event *ev, hv_node_id proposer)
{
	const char *bad;

	replica_prepare(w);
	ev->at_us = w->now_us;
	ev->wall_ms = 1700000000000 + w->now_us / 1000;
	ev->proposer = proposer;
	ev->incarnation = w->incarnation[proposer];
	ev->seq = ev->body_case == HV__EVENT__BODY_VIEW ? 0 : ++w->seq[proposer];
	if (w->keep)
		keep(w, ev);
	action_list_clear(&w->out);
	brain_step(w->c, ++w->index, ev, &w->out);
	bad = brain_check(w->c);
	if (bad) {
		char *dump = brain_dump(w->c);

		fprintf(stderr, "%s", dump);
		free(dump);
	}
	cr_assert(!bad, "%s", bad);
	take_reply(w);
	replica_step(w, ev);
	w->now_us += 1000;
}

void tick(struct world *w, uint64_t ms)
{
	Hv__Tick t = HV__TICK__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	w->now_us += ms * 1000;
	ev.body_case = HV__EVENT__BODY_TICK;
	ev.tick = &t;
	step(w, &ev, 1);
}

void tick_due(struct world *w)
{
	uint64_t due = brain_next_deadline_us(w->c);

	cr_assert(due, "nothing is due");
	tick(w, due > w->now_us ? (due - w->now_us) / 1000 + 1 : 1);
}

void view(struct world *w, const char *members, const char *lost_in_ring, bool minority)
{
	Hv__Member m[9], *mp[9];
	uint32_t lost[9], ring[9];
	Hv__View v = HV__VIEW__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	v.members = mp;
	v.lost = lost;
	v.in_ring = ring;
	for (hv_node_id id = 1; id <= 9; id++) {
		char digit = (char)('0' + id);

		if (strchr(members, digit)) {
			hv__member__init(&m[v.n_members]);
			m[v.n_members].node = id;
			m[v.n_members].incarnation = w->incarnation[id];
			m[v.n_members].learner = strchr(members, digit)[1] == '!';
			mp[v.n_members] = &m[v.n_members];
			v.n_members++;
		} else if (cluster_node(w->c, id)) {
			lost[v.n_lost++] = id;
			if (strchr(lost_in_ring, digit))
				ring[v.n_in_ring++] = id;
		}
	}
	v.minority = minority;
	v.duel = w->duel;
	v.detected_us = w->now_us > 500 ? w->now_us - 500 : 0;
	ev.body_case = HV__EVENT__BODY_VIEW;
	ev.view = &v;
	step(w, &ev, (hv_node_id)(members[0] - '0'));
}

static Hv__Observed word_observed(const char *word)
{
	static const char *const words[] = {"unknown", "absent", "running", "paused", "incoming"};

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i], word) == 0)
			return (Hv__Observed)i;
	cr_assert_fail("what is %s?", word);
	return UNKNOWN;
}

void report(struct world *w, hv_node_id id, const char *seen)
{
	Hv__DomainSeen d[64], *dp[64];
	Hv__NodeReport r = HV__NODE_REPORT__INIT;
	Hv__Event ev = HV__EVENT__INIT;
	_cleanup_free_ char *words = hv_xstrdup(seen ? seen : "");
	char *save = NULL, boot[24];

	for (char *s = strtok_r(words, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(s, '=');

		*eq = '\0';
		hv__domain_seen__init(&d[r.n_domains]);
		d[r.n_domains].uuid = (char *)uuid_of(s);
		d[r.n_domains].observed = word_observed(eq + 1);
		dp[r.n_domains] = &d[r.n_domains];
		r.n_domains++;
	}
	r.node = id;
	snprintf(boot, sizeof(boot), "boot-%u", w->boots[id]);
	r.boot_id = boot;
	r.mem_mib = NODE_MIB;
	r.cpus = NODE_CPUS;
	r.inventory_known = seen != NULL;
	r.domains = dp;
	r.incarnation_seen = w->incarnation[id];
	ev.body_case = HV__EVENT__BODY_NODE_REPORT;
	ev.node_report = &r;
	step(w, &ev, id);
}

void observed(struct world *w, hv_node_id id, const char *name, Hv__Observed seen, Hv__Cause cause)
{
	Hv__DomainSeen d = HV__DOMAIN_SEEN__INIT;
	Hv__VmObserved o = HV__VM_OBSERVED__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	d.uuid = (char *)uuid_of(name);
	d.observed = seen;
	d.cause = cause;
	o.node = id;
	o.domain = &d;
	ev.body_case = HV__EVENT__BODY_VM_OBSERVED;
	ev.vm_observed = &o;
	step(w, &ev, id);
}

void health(struct world *w, hv_node_id id, bool ok)
{
	Hv__HostHealth h = HV__HOST_HEALTH__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	h.node = id;
	h.hypervisor_ok = ok;
	h.text = (char *)(ok ? "" : "libvirtd does not answer");
	ev.body_case = HV__EVENT__BODY_HOST_HEALTH;
	ev.host_health = &h;
	step(w, &ev, id);
}

void watchdog(struct world *w, hv_node_id id, bool has)
{
	Hv__NodeWatchdog dog = HV__NODE_WATCHDOG__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	dog.node = id;
	dog.incarnation_seen = w->incarnation[id];
	dog.generation = cluster_watchdog_generation(w->c);
	dog.watchdog_ms = has ? 5000 : 0;
	dog.lease_ms = has ? 2000 : 0;
	ev.body_case = HV__EVENT__BODY_NODE_WATCHDOG;
	ev.node_watchdog = &dog;
	step(w, &ev, id);
}

static void send_result(struct world *w, const struct operation *o, enum hv_rc rc,
			Hv__Observed seen, const char *text, hv_node_id fenced)
{
	Hv__OpResult r = HV__OP_RESULT__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	r.op = o->id;
	r.attempt = o->attempt;
	r.node = o->node;
	r.rc = rc;
	r.text = (char *)text;
	r.observed = seen;
	r.began_us = w->now_us - 800;
	r.ended_us = w->now_us - 100;
	r.fenced_node = fenced;
	ev.body_case = HV__EVENT__BODY_OP_RESULT;
	ev.op_result = &r;
	step(w, &ev, o->node);
}

void result_of(struct world *w, const struct operation *o, enum hv_rc rc, Hv__Observed seen,
	       const char *text)
{
	send_result(w, o, rc, seen, text, 0);
}

void result(struct world *w, const char *name, enum hv_rc rc, Hv__Observed seen)
{
	const struct operation *o = vm_op(w, name);

	cr_assert(o, "%s has no operation", name);
	send_result(w, o, rc, seen, rc == HV_OK ? "" : "it did not work", 0);
}

void fence_result(struct world *w, hv_node_id victim, enum hv_rc rc)
{
	const struct operation *o = op(w, node(w, victim)->fence_op);

	cr_assert(o, "node %u is not being fenced", victim);
	send_result(w, o, rc, UNKNOWN, rc == HV_OK ? "" : "no answer from the BMC",
		    rc == HV_OK && (o->flags & OP_F_FINAL) ? victim : 0);
}

void command(struct world *w, Hv__Command *cmd)
{
	Hv__Event ev = HV__EVENT__INIT;
	hv_node_id proposer = 1;

	for (hv_node_id id = 9; id; id--)
		if (cluster_node(w->c, id) && node(w, id)->state == NODE_ONLINE)
			proposer = id;
	cmd->request = w->index + 1;
	cmd->actor = (char *)"root@host1";
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = cmd;
	w->rc = HV_INTERNAL;
	step(w, &ev, proposer);
	cr_assert_eq(w->replies, 1, "a command is answered exactly once");
}

/* ---- worlds */

struct world *world_configured(unsigned nodes)
{
	struct world *w = hv_xcalloc(1, sizeof(*w));
	Hv__ConfiguredNode n[9], *np[9];
	char names[9][16];
	Hv__NodesConfigured list = HV__NODES_CONFIGURED__INIT;
	Hv__Event ev = HV__EVENT__INIT;

	w->c = cluster_new();
	w->now_us = 1000000;
	w->twin = true;
	action_list_init(&w->out);
	for (unsigned i = 0; i <= HV_MAX_NODES; i++)
		w->incarnation[i] = 1;
	for (unsigned i = 0; i < nodes; i++) {
		snprintf(names[i], sizeof(names[i]), "host%u", i + 1);
		hv__configured_node__init(&n[i]);
		n[i].id = i + 1;
		n[i].name = names[i];
		n[i].votes = 1;
		np[i] = &n[i];
	}
	list.n_nodes = nodes;
	list.nodes = np;
	ev.body_case = HV__EVENT__BODY_NODES_CONFIGURED;
	ev.nodes_configured = &list;
	step(w, &ev, 1);
	/* What happens by itself, or only after a while, is on where a test asks for it. */
	set(w, "fence_test_interval_s", "0");
	set(w, "fence_window_s", "0");
	set(w, "quarantine_fences", "0");
	return w;
}

struct world *world_new(unsigned nodes)
{
	struct world *w = world_configured(nodes);
	char members[10] = "123456789", name[16];

	members[nodes] = '\0';
	view(w, members, "", false);
	for (hv_node_id id = 1; id <= nodes; id++)
		report(w, id, "");
	for (hv_node_id id = 1; id <= nodes; id++) {
		snprintf(name, sizeof(name), "host%u", id);
		fence_add(w, name, "bmc", 1);
		cr_assert_eq(w->rc, HV_OK);
		assert_node(w, id, NODE_ONLINE);
	}
	return w;
}

void world_free(struct world *w)
{
	action_list_done(&w->out);
	for (size_t i = 0; i < ARRAY_SIZE(w->kept); i++)
		free(w->kept[i]);
	cluster_free(w->replica);
	cluster_free(w->c);
	free(w);
}

void running_vm(struct world *w, const char *name, hv_node_id id)
{
	vm_add(w, name, 512, 0, false);
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	vm_start(w, name, node(w, id)->name);
	cr_assert_eq(w->rc, HV_OK, "%s", w->text);
	assert_vm(w, name, VM_STARTING, id);
	result(w, name, HV_OK, RUNNING);
	assert_vm(w, name, VM_RUNNING, id);
}

struct world *world_with_web1(unsigned nodes, hv_node_id on)
{
	struct world *w = world_new(nodes);

	running_vm(w, "web1", on);
	return w;
}

void rebooted(struct world *w, hv_node_id id)
{
	w->boots[id]++;
	w->incarnation[id]++;
	w->seq[id] = 0;
}

static bool answer(struct world *w, const struct operation *o)
{
	switch (o->kind) {
	case OP_VM_START:
	case OP_VM_RESUME:
	case OP_VM_PROBE:
	case OP_VM_RESET:
		result_of(w, o, HV_OK, RUNNING, "");
		return true;
	case OP_VM_STOP:
	case OP_VM_DESTROY:
	case OP_VM_MIGRATE:
		result_of(w, o, HV_OK, ABSENT, "");
		return true;
	case OP_VM_PAUSE:
		result_of(w, o, HV_OK, PAUSED, "");
		return true;
	case OP_FENCE:
	case OP_FENCE_TEST:
		send_result(w, o, HV_OK, UNKNOWN, "", o->flags & OP_F_FINAL ? o->victim : 0);
		return true;
	case OP_NODE_DRAIN:
	case OP_NODE_SHUTDOWN:
	case OP_VM_REQUEST:
	case OP_NONE:
		break;
	}
	return false;
}

void all_succeed(struct world *w)
{
	for (unsigned round = 0; round < 10000; round++) {
		bool any = false;

		for (size_t i = 0; i < cluster_op_count(w->c) && !any; i++) {
			const struct operation *o = cluster_op_at(w->c, i);

			any = o->state == OP_RUNNING && !o->deadline_us && answer(w, o);
		}
		if (!any)
			return;
	}
	cr_assert_fail("operations never end");
}

/* ---- looking */

const struct vm *vm(const struct world *w, const char *name)
{
	return cluster_vm_by_name(w->c, name);
}

const struct node *node(const struct world *w, hv_node_id id)
{
	return cluster_node(w->c, id);
}

const struct operation *op(const struct world *w, hv_op_id id)
{
	return cluster_op(w->c, id);
}

const struct operation *vm_op(const struct world *w, const char *name)
{
	return cluster_op(w->c, vm(w, name)->op);
}

const struct operation *running(const struct world *w, enum op_kind kind, unsigned nth)
{
	for (size_t i = 0; i < cluster_op_count(w->c); i++) {
		const struct operation *o = cluster_op_at(w->c, i);

		if (o->state == OP_RUNNING && o->kind == kind && nth-- == 0)
			return o;
	}
	return NULL;
}

unsigned running_count(const struct world *w, enum op_kind kind)
{
	unsigned n = 0;

	while (running(w, kind, n))
		n++;
	return n;
}

bool journal_has(const struct world *w, const char *object, const char *from, const char *to)
{
	for (uint64_t id = cluster_journal_first(w->c); id < cluster_journal_next(w->c); id++) {
		const struct journal_line *l = cluster_journal(w->c, id);

		if (strcmp(l->object, object) == 0 && strcmp(l->from, from) == 0 &&
		    strcmp(l->to, to) == 0)
			return true;
	}
	return false;
}
