/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state as bytes (proto/snapshot.proto). The messages borrow all strings from the state; only
 * the arrays of pointers and the messages themselves are made, in one allocation per kind.
 */
#include "resource/brain.h"

#include "proto/mutant.h"
#include "proto/snapshot.pb-c.h"
#include "resource/cluster_priv.h"
#include "resource/snapshot.h"
#include "resource/snapshot_guest.h"

#define STR(s) ((s) ? (s) : (char *)"")

/* `count` messages and the array of pointers to them. Both are freed by the caller. */
static void *messages(size_t count, size_t size, void ***ret_pointers)
{
	char *m = hv_xcalloc(count, size);

	*ret_pointers = hv_xcalloc(count, sizeof(void *));
	for (size_t i = 0; i < count; i++)
		(*ret_pointers)[i] = m + i * size;
	return m;
}

static void put_reason(Hv__SnapReason *m, const struct reason *r)
{
	hv__snap_reason__init(m);
	m->code = r->code;
	m->subject = STR(r->subject);
	m->text = STR(r->text);
	m->number = r->number;
	m->since_us = r->since_us;
}

static Hv__KeyValue **put_options(const struct option *o, size_t count)
{
	void **p;
	Hv__KeyValue *m = messages(count, sizeof(*m), &p);

	for (size_t i = 0; i < count; i++) {
		hv__key_value__init(&m[i]);
		m[i].key = o[i].key;
		m[i].value = o[i].value;
	}
	return (Hv__KeyValue **)p;
}

static void free_messages(void *pointers, size_t count)
{
	void **p = pointers;

	if (count)
		free(p[0]);
	free(p);
}

/* messages(0, ...) still allocated one byte for the messages: none to free then. */
static Hv__KeyValue **put_options_or_null(const struct option *o, size_t count)
{
	return count ? put_options(o, count) : NULL;
}

static void put_paths(Hv__SnapFenceDevice *m, const struct fence_device *d)
{
	void **p;
	Hv__SnapFencePath *paths;

	if (!d->n_paths)
		return;
	paths = messages(d->n_paths, sizeof(*paths), &p);
	for (size_t i = 0; i < d->n_paths; i++) {
		hv__snap_fence_path__init(&paths[i]);
		paths[i].node = d->paths[i].node;
		paths[i].rc = d->paths[i].rc;
		paths[i].wall_ms = d->paths[i].wall_ms;
	}
	m->paths = (Hv__SnapFencePath **)p;
	m->n_paths = d->n_paths;
}

static void put_device(Hv__SnapFenceDevice *m, const struct fence_device *d)
{
	hv__snap_fence_device__init(m);
	m->name = d->name;
	m->level = d->level;
	m->agent = d->agent;
	m->n_options = d->n_options;
	m->options = put_options_or_null(d->options, d->n_options);
	m->n_secrets = d->n_secrets;
	m->secrets = put_options_or_null(d->secrets, d->n_secrets);
	m->timeout_s = d->timeout_s;
	m->tested = d->tested;
	m->test_rc = d->test_rc;
	m->test_wall_ms = d->test_wall_ms;
	m->test_text = STR(d->test_text);
	m->delay_s = d->delay_s;
	m->delay_random_s = d->delay_random_s;
	m->waited = d->waited;
	m->shared = d->shared;
	m->unfence = d->unfence;
	m->unfenced = d->unfenced;
	m->test_us = d->test_us;
	m->test_round = d->test_round;
	put_paths(m, d);
}

static void put_devices(Hv__SnapNode *m, const struct node *n)
{
	void **p;
	Hv__SnapFenceDevice *d;

	if (!n->n_devices)
		return;
	d = messages(n->n_devices, sizeof(*d), &p);
	for (size_t i = 0; i < n->n_devices; i++)
		put_device(&d[i], n->devices[i]);
	m->devices = (Hv__SnapFenceDevice **)p;
	m->n_devices = n->n_devices;
}

static void put_brakes(Hv__SnapNode *m, const struct node *n)
{
	m->quarantined = n->quarantined;
	m->quarantine_us = n->quarantine_us;
	m->braked = n->braked;
	m->fence_forced = n->fence_forced;
	m->fence_delayed = n->fence_delayed;
	m->waited_only = n->waited_only;
	m->seen_levels = n->seen_levels;
	m->unfence_op = n->unfence_op;
	m->unfence_us = n->unfence_us;
	m->unfence_tries = n->unfence_tries;
	m->log_lost_us = n->log_lost_us;
}

static void put_bad_storage(Hv__SnapNode *m, const struct node *n)
{
	void **p;
	Hv__StorageSeen *list;

	if (!n->n_bad_storage)
		return;
	list = messages(n->n_bad_storage, sizeof(*list), &p);
	for (size_t i = 0; i < n->n_bad_storage; i++) {
		hv__storage_seen__init(&list[i]);
		list[i].path = n->bad_storage[i].path;
		list[i].text = n->bad_storage[i].text;
		list[i].hangs = n->bad_storage[i].hangs;
		list[i].lasts = n->bad_storage[i].lasts;
	}
	m->bad_storage = (Hv__StorageSeen **)p;
	m->n_bad_storage = n->n_bad_storage;
}

static void put_setup(Hv__SnapNode *m, const struct host_setup *is)
{
	if (!is->hook)
		return;
	m->setup = hv_xcalloc(1, sizeof(*m->setup));
	hv__host_setup__init(m->setup);
	m->setup->hook = is->hook;
	m->setup->certificate = is->certificate;
	m->setup->disk_lock = is->disk_lock;
	m->setup->disk_lock_text = is->disk_lock_text;
}

static void put_node(Hv__SnapNode *m, Hv__SnapReason *r, const struct node *n)
{
	hv__snap_node__init(m);
	m->id = n->id;
	m->name = n->name;
	m->votes = n->votes;
	m->state = n->state;
	m->admin = n->admin;
	m->configured = n->configured;
	m->boot_id = STR(n->boot_id);
	m->mem_mib = n->mem_mib;
	m->cpus = n->cpus;
	m->incarnation = n->incarnation;
	m->feature = n->feature;
	m->proposer_incarnation = n->seen_incarnation;
	m->proposer_seq = n->seen_seq;
	m->hypervisor_ok = n->hypervisor_ok;
	m->health_text = STR(n->health_text);
	put_bad_storage(m, n);
	put_setup(m, &n->setup);
	m->deadline_us = n->deadline_us;
	m->state_since_us = n->since_us;
	m->n_fences_us = n->n_fences;
	m->fences_us = (uint64_t *)n->fences_us;
	m->fence_attempt = n->fence_attempt;
	m->fence_level = n->fence_level;
	m->fence_device = n->fence_device;
	m->barrier = n->barrier;
	m->inventory_known = n->inventory_known;
	m->fence_op = n->fence_op;
	m->drain_op = n->drain_op;
	m->leaving = n->leaving;
	m->leaving_op = n->leaving_op;
	m->frozen = n->frozen;
	m->fence_wanted = n->fence_wanted;
	put_brakes(m, n);
	put_devices(m, n);
	m->watchdog_ms = n->watch.watchdog_ms;
	m->lease_ms = n->watch.lease_ms;
	m->device_ms = n->watch.device_ms;
	m->both_go_on = n->both_go_on;
	m->away_index = n->away_index;
	m->away_us = n->away_us;
	put_reason(r, &n->reason);
	m->reason = r;
}

static void put_vm(Hv__SnapVm *m, Hv__SnapReason *r, Hv__SnapGuest *g, const struct vm *vm)
{
	hv__snap_vm__init(m);
	m->uuid = vm->uuid;
	m->name = vm->name;
	m->xml = (ProtobufCBinaryData){.len = vm->xml_len, .data = vm->xml};
	m->mem_mib = vm->mem_mib;
	m->vcpus = vm->vcpus;
	m->priority = vm->priority;
	m->stop_timeout_s = vm->stop_timeout_s;
	m->intent = vm->intent;
	m->state = vm->state;
	m->node = vm->node;
	m->target = vm->target;
	m->epoch = vm->epoch;
	m->op = vm->op;
	m->attempts = vm->attempts;
	m->retry_us = MUTANT(timers_lost) ? 0 : vm->retry_us;
	m->since_us = vm->since_us;
	m->prefer = vm->prefer;
	m->removing = vm->removing;
	m->n_avoid = vm->n_avoid;
	m->avoid = (uint32_t *)vm->avoid;
	m->recover_from = vm->recover_from;
	m->want_paused = vm->want_paused;
	m->migrate_attempts = vm->migrate_attempts;
	m->arriving = vm->arriving;
	m->seen_on = vm->seen_on;
	m->restarts = vm->restarts;
	m->tries = vm->tries;
	m->no_failback = !vm->failback;
	m->no_live_migration = !vm->live_migration;
	m->unmanaged = !vm->managed;
	m->start_retries = vm->start_retries;
	m->max_relocate = vm->max_relocate + 1; /* 0: unlimited, also in snapshots of before */
	m->lock = STR(vm->lock);
	m->storage = vm->storage;
	m->n_storage = vm->n_storage;
	m->local_tries = vm->local_tries;
	m->relocations = vm->relocations;
	m->given_up = vm->given_up;
	m->relocating = vm->relocating;
	m->restart_limit = vm->restart_limit + 1;
	m->crashes_here = vm->crashes_here;
	m->crash_moves = vm->crash_moves;
	m->home = vm->home;
	if (!guest_is_plain(&vm->guest)) {
		snapshot_put_guest(g, &vm->guest);
		m->guest = g;
	}
	put_reason(r, &vm->reason);
	m->reason = r;
}

static void put_op(Hv__SnapOp *m, const struct operation *op)
{
	hv__snap_op__init(m);
	m->id = op->id;
	m->kind = op->kind;
	m->state = op->state;
	m->vm = STR(op->vm);
	m->node = op->node;
	m->target = op->target;
	m->attempt = op->attempt;
	m->began_us = op->began_us;
	m->deadline_us = op->deadline_us;
	m->rc = op->rc;
	m->text = STR(op->text);
	m->ended_us = op->ended_us;
	m->device = STR(op->device);
	m->parent = op->parent;
	m->done = op->done;
	m->total = op->total;
	m->cancel = op->cancel;
	m->flags = op->flags;
	m->timeout_s = op->timeout_s;
	m->wait_us = op->wait_us;
	m->victim = op->victim;
	m->wall_ms = op->wall_ms;
}

static void put_journal(Hv__SnapJournal *m, const struct journal_line *l)
{
	hv__snap_journal__init(m);
	m->id = l->id;
	m->index = l->index;
	m->at_us = l->at_us;
	m->wall_ms = l->wall_ms;
	m->object = l->object;
	m->from = l->from;
	m->to = l->to;
	m->cause = l->cause;
	m->severity = l->severity;
}

static void put_failover(Hv__SnapFailover *m, const struct failover *f)
{
	void **p;
	Hv__SnapFailoverVm *v;

	hv__snap_failover__init(m);
	m->id = f->id;
	m->victim = f->victim;
	m->wall_ms = f->wall_ms;
	m->detected_us = f->detected_us;
	m->view_us = f->view_us;
	m->fence_began_us = f->fence_began_us;
	m->fence_ended_us = f->fence_ended_us;
	m->fenced_us = f->fenced_us;
	m->proof = STR(f->proof);
	m->done = f->done;
	if (!f->n_vms)
		return;
	v = messages(f->n_vms, sizeof(*v), &p);
	for (size_t i = 0; i < f->n_vms; i++) {
		hv__snap_failover_vm__init(&v[i]);
		v[i].name = f->vms[i].name;
		v[i].node = f->vms[i].node;
		v[i].decided_us = f->vms[i].decided_us;
		v[i].began_us = f->vms[i].began_us;
		v[i].ended_us = f->vms[i].ended_us;
		v[i].running_us = f->vms[i].running_us;
		v[i].result = f->vms[i].result;
	}
	m->vms = (Hv__SnapFailoverVm **)p;
	m->n_vms = f->n_vms;
}

static void put_nodes(Hv__Snapshot *s, Hv__SnapReason *reasons, const struct cluster *c)
{
	void **p;
	Hv__SnapNode *m;

	if (!c->n_nodes)
		return;
	m = messages(c->n_nodes, sizeof(*m), &p);
	for (size_t i = 0; i < c->n_nodes; i++)
		put_node(&m[i], &reasons[i], c->nodes[i]);
	s->nodes = (Hv__SnapNode **)p;
	s->n_nodes = c->n_nodes;
}

static void put_vms(Hv__Snapshot *s, Hv__SnapReason *reasons, Hv__SnapGuest *guests,
		    const struct cluster *c)
{
	void **p;
	Hv__SnapVm *m;

	if (!c->vms.count)
		return;
	m = messages(c->vms.count, sizeof(*m), &p);
	for (size_t i = 0; i < c->vms.count; i++)
		put_vm(&m[i], &reasons[i], &guests[i], c->vms.items[i]);
	s->vms = (Hv__SnapVm **)p;
	s->n_vms = c->vms.count;
}

static void put_rule(Hv__SnapRule *m, const struct rule *r)
{
	hv__snap_rule__init(m);
	m->name = r->name;
	m->kind = (uint32_t)r->kind;
	m->hard = r->hard;
	m->mandatory = r->mandatory;
	m->n_vms = r->n_vms;
	m->vms = r->vms;
	if (r->n_nodes) {
		void **p;
		Hv__SnapRuleNode *nodes = messages(r->n_nodes, sizeof(*nodes), &p);

		for (size_t i = 0; i < r->n_nodes; i++) {
			hv__snap_rule_node__init(&nodes[i]);
			nodes[i].node = r->nodes[i].node;
			nodes[i].priority = r->nodes[i].priority;
		}
		m->nodes = (Hv__SnapRuleNode **)p;
		m->n_nodes = r->n_nodes;
	}
}

static void put_rules(Hv__Snapshot *s, const struct cluster *c)
{
	void **p;
	Hv__SnapRule *m;

	if (!c->n_rules)
		return;
	m = messages(c->n_rules, sizeof(*m), &p);
	for (size_t i = 0; i < c->n_rules; i++)
		put_rule(&m[i], c->rules[i]);
	s->rules = (Hv__SnapRule **)p;
	s->n_rules = c->n_rules;
}

static void put_lists(Hv__Snapshot *s, const struct cluster *c)
{
	size_t lines = (size_t)(c->journal_next - c->journal_first);
	void **p;

	if (c->ops.count) {
		Hv__SnapOp *m = messages(c->ops.count, sizeof(*m), &p);

		for (size_t i = 0; i < c->ops.count; i++)
			put_op(&m[i], c->ops.items[i]);
		s->ops = (Hv__SnapOp **)p;
		s->n_ops = c->ops.count;
	}
	if (lines) {
		Hv__SnapJournal *m = messages(lines, sizeof(*m), &p);

		for (size_t i = 0; i < lines; i++)
			put_journal(&m[i], cluster_journal(c, c->journal_first + i));
		s->journal = (Hv__SnapJournal **)p;
		s->n_journal = lines;
	}
	if (c->n_failovers) {
		Hv__SnapFailover *m = messages(c->n_failovers, sizeof(*m), &p);

		for (size_t i = 0; i < c->n_failovers; i++)
			put_failover(&m[i], c->failovers[i]);
		s->failovers = (Hv__SnapFailover **)p;
		s->n_failovers = c->n_failovers;
	}
	s->settings = put_options_or_null(c->settings, c->n_settings);
	s->n_settings = c->n_settings;
}

static void snapshot_done(Hv__Snapshot *s)
{
	for (size_t i = 0; i < s->n_nodes; i++) {
		for (size_t k = 0; k < s->nodes[i]->n_devices; k++) {
			free_messages(s->nodes[i]->devices[k]->options,
				      s->nodes[i]->devices[k]->n_options);
			free_messages(s->nodes[i]->devices[k]->secrets,
				      s->nodes[i]->devices[k]->n_secrets);
			free_messages(s->nodes[i]->devices[k]->paths,
				      s->nodes[i]->devices[k]->n_paths);
		}
		free_messages(s->nodes[i]->devices, s->nodes[i]->n_devices);
		free_messages(s->nodes[i]->bad_storage, s->nodes[i]->n_bad_storage);
		free(s->nodes[i]->setup);
	}
	for (size_t i = 0; i < s->n_failovers; i++)
		free_messages(s->failovers[i]->vms, s->failovers[i]->n_vms);
	for (size_t i = 0; i < s->n_rules; i++)
		free_messages(s->rules[i]->nodes, s->rules[i]->n_nodes);
	free_messages(s->rules, s->n_rules);
	free_messages(s->nodes, s->n_nodes);
	free_messages(s->vms, s->n_vms);
	free_messages(s->ops, s->n_ops);
	free_messages(s->journal, s->n_journal);
	free_messages(s->failovers, s->n_failovers);
	free_messages(s->settings, s->n_settings);
}

uint8_t *brain_encode(const struct cluster *c, size_t *ret_len)
{
	_cleanup_free_ Hv__SnapReason *reasons =
	    hv_xcalloc(c->n_nodes + c->vms.count, sizeof(*reasons));
	_cleanup_free_ Hv__SnapGuest *guests = hv_xcalloc(c->vms.count, sizeof(*guests));
	Hv__Snapshot s = HV__SNAPSHOT__INIT;
	uint8_t *buf;

	s.version = SNAPSHOT_VERSION;
	s.index = c->index;
	s.now_us = c->now_us;
	s.wall_ms = c->wall_ms;
	s.feature = c->feature;
	s.minority = c->minority;
	s.arm = c->arm;
	s.balance_us = c->balance_us;
	s.duel = c->duel;
	s.test_us = c->test_us;
	s.test_op = c->test_op;
	s.watchdog_generation = c->watchdog_generation;
	s.digest = cluster_digest(c);
	s.next_journal = c->journal_next;
	put_nodes(&s, reasons, c);
	put_vms(&s, reasons + c->n_nodes, guests, c);
	put_rules(&s, c);
	put_lists(&s, c);
	*ret_len = hv__snapshot__get_packed_size(&s);
	buf = hv_xcalloc(1, *ret_len);
	hv__snapshot__pack(&s, buf);
	snapshot_done(&s);
	return buf;
}
