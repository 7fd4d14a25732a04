/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes back to a state. Nothing in them is trusted: each number is checked against its range, each
 * reference must lead somewhere, the digest must come out as written and brain_check() must agree.
 */
#include "resource/brain.h"

#include "fence/fence_plan.h"
#include "proto/snapshot.pb-c.h"
#include "proto/unpack.h"
#include "resource/cluster_priv.h"
#include "resource/journal.h"
#include "resource/rule.h"
#include "resource/setup.h"
#include "resource/storage.h"
#include "resource/snapshot.h"
#include "resource/snapshot_guest.h"

#define TRY(cond, why)                                                                             \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			*ret_why = why;                                                            \
			return false;                                                              \
		}                                                                                  \
	} while (0)

/* Empty on the wire means none in the state. */
static char *text_or_null(const char *s)
{
	return s && *s ? hv_xstrdup(s) : NULL;
}

static bool get_reason(struct reason *r, const Hv__SnapReason *m)
{
	if (!m)
		return true;
	if (!reason_known(m->code))
		return false;
	r->code = (enum reason_code)m->code;
	r->subject = text_or_null(m->subject);
	r->text = text_or_null(m->text);
	r->number = m->number;
	r->since_us = m->since_us;
	return true;
}

static size_t get_options(struct option *o, Hv__KeyValue **m, size_t count)
{
	for (size_t i = 0; i < count; i++)
		o[i] = (struct option){hv_xstrdup(m[i]->key), hv_xstrdup(m[i]->value)};
	return count;
}

static bool get_paths(struct fence_device *d, const Hv__SnapFenceDevice *m, const char **ret_why)
{
	TRY(m->n_paths <= ARRAY_SIZE(d->paths), "snapshot: too many paths to a fence device");
	for (size_t i = 0; i < m->n_paths; i++) {
		const Hv__SnapFencePath *p = m->paths[i];

		TRY(!i || p->node > m->paths[i - 1]->node,
		    "snapshot: the paths to a fence device are not in order");
		d->paths[d->n_paths++] = (struct fence_path){p->node, p->rc, p->wall_ms};
	}
	return true;
}

static bool get_device(struct node *n, const Hv__SnapFenceDevice *m, const char **ret_why)
{
	struct fence_device *d;

	TRY(m->n_options <= HV_MAX_DEVICE_OPTIONS && m->n_secrets <= HV_MAX_DEVICE_OPTIONS,
	    "snapshot: too many options of a fence device");
	TRY(hv_name_valid(m->name) && m->level >= 1 && m->level <= HV_MAX_FENCE_LEVELS,
	    "snapshot: bad fence device");
	d = hv_xcalloc(1, sizeof(*d));
	n->devices[n->n_devices++] = d;
	d->name = hv_xstrdup(m->name);
	d->agent = hv_xstrdup(m->agent);
	d->level = m->level;
	d->timeout_s = m->timeout_s;
	d->n_options = get_options(d->options, m->options, m->n_options);
	d->n_secrets = get_options(d->secrets, m->secrets, m->n_secrets);
	d->tested = m->tested;
	d->test_rc = m->test_rc;
	d->test_wall_ms = m->test_wall_ms;
	d->test_text = text_or_null(m->test_text);
	d->delay_s = m->delay_s;
	d->delay_random_s = m->delay_random_s;
	d->waited = m->waited;
	d->shared = m->shared;
	d->unfence = m->unfence;
	d->unfenced = m->unfenced;
	d->test_us = m->test_us;
	d->test_round = m->test_round;
	return get_paths(d, m, ret_why);
}

static void get_brakes(struct node *n, const Hv__SnapNode *m)
{
	n->quarantined = m->quarantined;
	n->quarantine_us = m->quarantine_us;
	n->braked = m->braked;
	n->fence_forced = m->fence_forced;
	n->fence_delayed = m->fence_delayed;
	n->waited_only = m->waited_only;
	n->seen_levels = m->seen_levels;
	n->unfence_op = m->unfence_op;
	n->unfence_us = m->unfence_us;
	n->unfence_tries = m->unfence_tries;
	n->log_lost_us = m->log_lost_us;
}

static bool get_node_numbers(struct node *n, const Hv__SnapNode *m, const char **ret_why)
{
	TRY(m->state <= NODE_FENCING && m->admin <= NODE_MAINTENANCE && m->leaving <= NODE_REBOOTS,
	    "snapshot: unknown state of a node");
	TRY(m->seen_levels < 2U << FENCE_PLAN_WATCHDOG_LEVEL, "snapshot: unknown fence levels");
	TRY(m->n_fences_us <= ARRAY_SIZE(n->fences_us), "snapshot: too many fences of a node");
	n->state = (enum node_state)m->state;
	n->admin = (enum node_admin)m->admin;
	n->votes = m->votes;
	n->configured = m->configured;
	n->mem_mib = m->mem_mib;
	n->cpus = m->cpus;
	n->incarnation = m->incarnation;
	n->feature = m->feature;
	n->seen_incarnation = m->proposer_incarnation;
	n->seen_seq = m->proposer_seq;
	n->hypervisor_ok = m->hypervisor_ok;
	n->deadline_us = m->deadline_us;
	n->since_us = m->state_since_us;
	n->fence_attempt = m->fence_attempt;
	n->fence_level = m->fence_level;
	n->fence_device = m->fence_device;
	n->barrier = m->barrier;
	n->inventory_known = m->inventory_known;
	n->fence_op = m->fence_op;
	n->drain_op = m->drain_op;
	n->leaving = (enum node_leaving)m->leaving;
	n->leaving_op = m->leaving_op;
	n->frozen = m->frozen;
	n->fence_wanted = m->fence_wanted;
	get_brakes(n, m);
	TRY(TIMING_LEFT_MS(m->watchdog_ms, m->lease_ms, m->device_ms) <= TIMING_LONGEST_MS,
	    "snapshot: a watchdog's figures are out of range");
	n->watch = (struct timing){m->watchdog_ms, m->lease_ms, m->device_ms};
	n->both_go_on = m->both_go_on;
	n->away_index = m->away_index;
	n->away_us = m->away_us;
	n->n_fences = m->n_fences_us;
	for (size_t i = 0; i < n->n_fences; i++)
		n->fences_us[i] = m->fences_us[i];
	return true;
}

static bool get_node(struct cluster *c, const Hv__SnapNode *m, const char **ret_why)
{
	struct node *n;

	TRY(m->id && hv_name_valid(m->name), "snapshot: bad node id or name");
	TRY(!node_get(c, m->id) && !node_find_name(c, m->name), "snapshot: a node twice");
	n = node_make(c, m->id);
	TRY(n, "snapshot: too many nodes");
	free(n->name);
	n->name = hv_xstrdup(m->name);
	n->boot_id = text_or_null(m->boot_id);
	n->health_text = text_or_null(m->health_text);
	TRY(get_reason(&n->reason, m->reason), "snapshot: unknown reason of a node");
	TRY(storage_list_valid(m->bad_storage, m->n_bad_storage),
	    "snapshot: bad storage of a node");
	storage_set(n, m->bad_storage, m->n_bad_storage);
	TRY(setup_valid(m->setup), "snapshot: bad words about a host");
	setup_set(n, m->setup);
	TRY(m->n_devices <= HV_MAX_FENCE_DEVICES, "snapshot: too many fence devices");
	for (size_t i = 0; i < m->n_devices; i++)
		if (!get_device(n, m->devices[i], ret_why))
			return false;
	return get_node_numbers(n, m, ret_why);
}

static void get_vm_numbers(struct vm *vm, const Hv__SnapVm *m)
{
	vm->mem_mib = m->mem_mib;
	vm->vcpus = m->vcpus;
	vm->priority = m->priority;
	vm->stop_timeout_s = m->stop_timeout_s;
	vm->intent = (enum vm_intent)m->intent;
	vm->state = (enum vm_state)m->state;
	vm->node = m->node;
	vm->target = m->target;
	vm->epoch = m->epoch;
	vm->op = m->op;
	vm->attempts = m->attempts;
	vm->retry_us = m->retry_us;
	vm->since_us = m->since_us;
	vm->prefer = m->prefer;
	vm->removing = m->removing;
	vm->recover_from = m->recover_from;
	vm->want_paused = m->want_paused;
	vm->migrate_attempts = m->migrate_attempts;
	vm->arriving = m->arriving;
	vm->seen_on = m->seen_on;
	vm->restarts = m->restarts;
	vm->tries = m->tries;
	vm->failback = !m->no_failback;
	vm->live_migration = !m->no_live_migration;
	vm->managed = !m->unmanaged;
	vm->start_retries = m->start_retries;
	vm->max_relocate = m->max_relocate - 1;
	vm->local_tries = m->local_tries;
	vm->relocations = m->relocations;
	vm->given_up = m->given_up;
	vm->relocating = m->relocating;
	vm->restart_limit = m->restart_limit ? m->restart_limit - 1 : VM_RESTART_LIMIT;
	vm->crashes_here = m->crashes_here;
	vm->crash_moves = m->crash_moves;
	vm->home = m->home;
	vm->n_avoid = m->n_avoid;
	for (size_t i = 0; i < m->n_avoid; i++)
		vm->avoid[i] = m->avoid[i];
}

static bool get_vm(struct cluster *c, const Hv__SnapVm *m, const char **ret_why)
{
	struct vm *vm;

	TRY(hv_name_valid(m->name) && hv_uuid_valid(m->uuid), "snapshot: bad name or uuid of a VM");
	TRY(m->state < STATE_COUNT_VM && m->intent <= INTENT_STARTED,
	    "snapshot: unknown state of a VM");
	TRY(m->n_avoid <= HV_MAX_NODES && m->xml.len <= HV_XML_MAX,
	    "snapshot: a VM's list or XML is too long");
	TRY(m->mem_mib <= UINT32_MAX && m->vcpus <= HV_MAX_CPUS,
	    "snapshot: a VM's size is out of range");
	TRY(storage_paths_valid(m->storage, m->n_storage), "snapshot: bad storage of a VM");
	TRY(!m->guest || snapshot_guest_valid(m->guest), "snapshot: bad health of a guest");
	vm = vm_new();
	storage_needs(vm, m->storage, m->n_storage);
	vm->name = hv_xstrdup(m->name);
	vm->uuid = hv_xstrdup(m->uuid);
	vm->xml = hv_xmemdup(m->xml.data, m->xml.len);
	vm->xml_len = m->xml.len;
	get_vm_numbers(vm, m);
	free(vm->lock);
	vm->lock = text_or_null(m->lock);
	if (m->guest)
		snapshot_get_guest(&vm->guest, m->guest);
	if (!get_reason(&vm->reason, m->reason) || !vm_index(c, vm)) {
		vm_free(vm);
		*ret_why = "snapshot: a VM twice, or its reason is unknown";
		return false;
	}
	return true;
}

/* What its kind needs: everyone relies on it. */
static bool op_complete(const Hv__SnapOp *m)
{
	switch ((enum op_kind)m->kind) {
	case OP_VM_START:
	case OP_VM_STOP:
	case OP_VM_DESTROY:
	case OP_VM_MIGRATE:
	case OP_VM_RESUME:
	case OP_VM_PAUSE:
	case OP_VM_PROBE:
	case OP_VM_RESET:
		return *m->vm && m->node;
	case OP_FENCE:
	case OP_FENCE_TEST:
		return *m->device && m->victim && m->node;
	case OP_NODE_DRAIN:
	case OP_NODE_SHUTDOWN:
		return m->target;
	case OP_VM_REQUEST:
		return *m->vm;
	case OP_NONE:
		break;
	}
	return false;
}

static bool get_op(struct cluster *c, const Hv__SnapOp *m, const char **ret_why)
{
	struct operation *op = hv_xcalloc(1, sizeof(*op));

	op->id = m->id;
	if (!m->id || m->id / 4096 > c->index || m->state > OP_FAILED || !op_complete(m) ||
	    !set_add(&c->ops, op)) {
		free(op);
		*ret_why =
		    "snapshot: an operation twice, without id, incomplete or of unknown kind";
		return false;
	}
	op->kind = (enum op_kind)m->kind;
	op->state = (enum op_state)m->state;
	op->vm = text_or_null(m->vm);
	op->node = m->node;
	op->target = m->target;
	op->victim = m->victim;
	op->device = text_or_null(m->device);
	op->attempt = m->attempt;
	op->timeout_s = m->timeout_s;
	op->wait_us = m->wait_us;
	op->cancel = m->cancel;
	op->began_us = m->began_us;
	op->ended_us = m->ended_us;
	op->deadline_us = m->deadline_us;
	op->wall_ms = m->wall_ms;
	op->rc = m->rc;
	op->text = text_or_null(m->text);
	op->parent = m->parent;
	op->done = m->done;
	op->total = m->total;
	op->flags = m->flags;
	op_touch(c, op);
	if (op->state == OP_RUNNING)
		op_index(c, op, +1);
	else
		op_restore_ended(c, op);
	return true;
}

static bool get_journal(struct cluster *c, const Hv__SnapJournal *m, const char **ret_why)
{
	struct journal_line l = {.id = m->id,
				 .index = m->index,
				 .at_us = m->at_us,
				 .wall_ms = m->wall_ms,
				 .severity = (enum severity)m->severity};

	TRY(m->severity <= SEV_ERROR && m->id == c->journal_next,
	    "snapshot: the journal has a gap");
	l.object = hv_xstrdup(m->object);
	l.from = hv_xstrdup(m->from);
	l.to = hv_xstrdup(m->to);
	l.cause = hv_xstrdup(m->cause);
	journal_restore(c, &l);
	return true;
}

static bool get_failover(struct cluster *c, const Hv__SnapFailover *m, const char **ret_why)
{
	struct failover *f;

	TRY(c->n_failovers < HV_MAX_FAILOVERS && m->n_vms <= HV_MAX_FAILOVER_VMS,
	    "snapshot: too many fail-overs, or VMs in one");
	f = hv_xcalloc(1, sizeof(*f));
	c->failovers[c->n_failovers++] = f;
	f->id = m->id;
	f->victim = m->victim;
	f->wall_ms = m->wall_ms;
	f->detected_us = m->detected_us;
	f->view_us = m->view_us;
	f->fence_began_us = m->fence_began_us;
	f->fence_ended_us = m->fence_ended_us;
	f->fenced_us = m->fenced_us;
	f->proof = text_or_null(m->proof);
	f->done = m->done;
	f->touched = true;
	f->vms = hv_xcalloc(m->n_vms, sizeof(*f->vms));
	f->n_vms = m->n_vms;
	for (size_t i = 0; i < m->n_vms; i++) {
		const Hv__SnapFailoverVm *v = m->vms[i];

		f->vms[i] = (struct failover_vm){.name = hv_xstrdup(v->name),
						 .node = v->node,
						 .decided_us = v->decided_us,
						 .began_us = v->began_us,
						 .ended_us = v->ended_us,
						 .running_us = v->running_us,
						 .result = v->result};
	}
	return true;
}

static bool get_rule(struct cluster *c, const Hv__SnapRule *m, const char **ret_why)
{
	struct rule *r;

	TRY(hv_name_valid(m->name) && m->kind > HV__RULE_KIND__RULE_NONE &&
		m->kind <= HV__RULE_KIND__RULE_AFTER,
	    "snapshot: a rule has no name or is of unknown kind");
	TRY(m->n_vms <= HV_MAX_RULE_VMS && m->n_nodes <= HV_MAX_NODES,
	    "snapshot: a rule's list is too long");
	for (size_t i = 0; i < m->n_vms; i++) {
		TRY(vm_get(c, m->vms[i]), "snapshot: a rule speaks of an unknown VM");
		for (size_t k = 0; k < i; k++)
			TRY(strcmp(m->vms[i], m->vms[k]) != 0, "snapshot: a VM twice in a rule");
	}
	TRY(rule_counts_right((Hv__RuleKind)m->kind, m->n_vms, m->n_nodes),
	    "snapshot: a rule has too few VMs or nodes, or too many");
	for (size_t i = 0; i < m->n_nodes; i++)
		TRY(node_get(c, m->nodes[i]->node), "snapshot: a rule speaks of an unknown node");
	r = hv_xcalloc(1, sizeof(*r));
	r->name = hv_xstrdup(m->name);
	r->kind = (Hv__RuleKind)m->kind;
	r->hard = m->hard;
	r->mandatory = m->mandatory;
	r->vms = hv_xcalloc(m->n_vms, sizeof(*r->vms));
	for (; r->n_vms < m->n_vms; r->n_vms++)
		r->vms[r->n_vms] = hv_xstrdup(m->vms[r->n_vms]);
	for (; r->n_nodes < m->n_nodes; r->n_nodes++)
		r->nodes[r->n_nodes] =
		    (struct rule_node){m->nodes[r->n_nodes]->node, m->nodes[r->n_nodes]->priority};
	if (rule_index(c, r))
		return true;
	rule_free(r);
	*ret_why = "snapshot: a rule twice, or too many";
	return false;
}

static bool get_settings(struct cluster *c, const Hv__Snapshot *s, const char **ret_why)
{
	const char *why = NULL;

	for (size_t i = 0; i < s->n_settings; i++)
		TRY(setting_set(c, s->settings[i]->key, s->settings[i]->value, &why) == HV_OK,
		    "snapshot: unknown setting or bad value");
	return true;
}

static bool get_all(struct cluster *c, const Hv__Snapshot *s, const char **ret_why)
{
	TRY(s->version == SNAPSHOT_VERSION,
	    "snapshot: of a version that this program does not know");
	TRY(s->n_vms <= HV_MAX_VMS && s->n_ops <= HV_MAX_OPS + HV_MAX_ENDED_OPS &&
		s->n_journal <= HV_MAX_JOURNAL,
	    "snapshot: a list is too long");
	c->index = s->index;
	c->now_us = s->now_us;
	c->wall_ms = s->wall_ms;
	c->feature = s->feature;
	c->minority = s->minority;
	TRY(s->arm <= ARMING, "snapshot: unknown state of arming");
	c->arm = (enum arm_state)s->arm;
	c->balance_us = s->balance_us;
	c->duel = s->duel;
	c->test_us = s->test_us;
	c->test_op = s->test_op;
	c->watchdog_generation = s->watchdog_generation;
	c->journal_first = c->journal_next = s->n_journal ? s->journal[0]->id : s->next_journal;
	TRY(c->journal_next <= s->next_journal, "snapshot: the journal has a gap");
	for (size_t i = 0; i < s->n_nodes; i++)
		if (!get_node(c, s->nodes[i], ret_why))
			return false;
	for (size_t i = 0; i < s->n_vms; i++)
		if (!get_vm(c, s->vms[i], ret_why))
			return false;
	for (size_t i = 0; i < s->n_rules; i++)
		if (!get_rule(c, s->rules[i], ret_why))
			return false;
	rules_group(c);
	for (size_t i = 0; i < s->n_ops; i++)
		if (!get_op(c, s->ops[i], ret_why))
			return false;
	for (size_t i = 0; i < s->n_journal; i++)
		if (!get_journal(c, s->journal[i], ret_why))
			return false;
	for (size_t i = 0; i < s->n_failovers; i++)
		if (!get_failover(c, s->failovers[i], ret_why))
			return false;
	TRY(c->journal_next == s->next_journal, "snapshot: the journal has a gap");
	return get_settings(c, s, ret_why);
}

/* What was marked while it was built is of no step. */
static void forget_step(struct cluster *c)
{
	for (size_t i = 0; i < c->dirty.count; i++)
		((struct vm *)c->dirty.items[i])->dirty = false;
	c->dirty.count = 0;
	c->freed = false;
}

static struct cluster *decode(const uint8_t *data, size_t len, bool stripped, const char **ret_why)
{
	struct unpack_room room = {0};
	const Hv__Snapshot *s =
	    len <= HV_SNAPSHOT_MAX ? unpack(&room, &hv__snapshot__descriptor, data, len) : NULL;
	struct cluster *c = cluster_new();
	bool good = false;

	*ret_why = "snapshot: not readable";
	if (s && get_all(c, s, ret_why)) {
		rules_look(c);
		forget_step(c);
		digest_update(c);
		*ret_why = brain_check(c);
		good = !*ret_why && (stripped || cluster_digest(c) == s->digest);
		if (!*ret_why && !good)
			*ret_why = "snapshot: its digest does not come out";
	}
	unpack_done(&room);
	if (good)
		return c;
	cluster_free(c);
	return NULL;
}

struct cluster *brain_decode(const uint8_t *data, size_t len, const char **ret_why)
{
	return decode(data, len, false, ret_why);
}

struct cluster *brain_decode_stripped(const uint8_t *data, size_t len, const char **ret_why)
{
	return decode(data, len, true, ret_why);
}
