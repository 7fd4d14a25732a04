/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The digest of the state: the sum of one hash per object, so that a step rehashes what it touched
 * and nothing else. Computed from the state, never from its encoding. It finds replicas that have
 * drifted apart; it is no defence against someone who wants a collision.
 */
#include "resource/cluster_priv.h"

#include <endian.h>

/* Multiplication by an odd constant and a shift: each bit of the input reaches the upper half. */
static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 32);
}

uint64_t hash_bytes(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	h = mix(h, n);
	for (; n >= 8; n -= 8, b += 8) {
		uint64_t v;

		memcpy(&v, b, 8);
		h = mix(h, le64toh(v));
	}
	for (; n; n--)
		h = mix(h, *b++);
	return h;
}

static uint64_t str(uint64_t h, const char *s)
{
	return s ? hash_bytes(h, s, strlen(s)) : mix(h, 0x6e6f6e65);
}

static uint64_t reason(uint64_t h, const struct reason *r)
{
	h = mix(mix(h, r->code), r->number);
	return mix(str(str(h, r->subject), r->text), r->since_us);
}

static uint64_t options(uint64_t h, const struct option *o, size_t count)
{
	h = mix(h, count);
	for (size_t i = 0; i < count; i++)
		h = str(str(h, o[i].key), o[i].value);
	return h;
}

static uint64_t device(uint64_t h, const struct fence_device *d)
{
	h = str(str(h, d->name), d->agent);
	h = mix(mix(h, d->level), d->timeout_s);
	h = options(options(h, d->options, d->n_options), d->secrets, d->n_secrets);
	h = mix(mix(mix(mix(h, d->delay_s), d->delay_random_s), d->waited), d->shared);
	h = mix(mix(mix(mix(h, d->unfence), d->unfenced), d->test_us), d->test_round);
	for (size_t i = 0; i < d->n_paths; i++)
		h = mix(mix(mix(h, d->paths[i].node), d->paths[i].rc), d->paths[i].wall_ms);
	return str(mix(mix(mix(h, d->tested), d->test_rc), d->test_wall_ms),
		   d->test_text ? d->test_text : "");
}

static uint64_t hash_node(const struct node *n)
{
	uint64_t h = str(mix(1, n->id), n->name);

	h = mix(mix(mix(mix(h, n->votes), n->configured), n->state), n->admin);
	h = mix(mix(h, n->since_us), n->deadline_us);
	h = str(h, n->boot_id ? n->boot_id : "");
	h = mix(mix(mix(mix(h, n->incarnation), n->feature), n->mem_mib), n->cpus);
	h = mix(mix(h, n->inventory_known), n->hypervisor_ok);
	h = str(h, n->health_text ? n->health_text : "");
	h = mix(h, n->log_lost_us);
	for (size_t i = 0; i < n->n_bad_storage; i++)
		h = mix(mix(str(str(h, n->bad_storage[i].path), n->bad_storage[i].text),
			    n->bad_storage[i].hangs),
			n->bad_storage[i].lasts);
	h = str(str(h, n->setup.hook), n->setup.certificate);
	h = str(str(h, n->setup.disk_lock), n->setup.disk_lock_text);
	h = mix(mix(mix(h, n->barrier), n->seen_incarnation), n->seen_seq);
	h = mix(mix(mix(h, n->fence_attempt), n->fence_level), n->fence_device);
	h = mix(mix(h, n->fence_op), n->drain_op);
	h = mix(mix(mix(mix(h, n->leaving), n->leaving_op), n->frozen), n->fence_wanted);
	h = mix(mix(mix(mix(h, n->fence_forced), n->fence_delayed), n->braked), n->waited_only);
	h = mix(mix(mix(h, n->quarantined), n->quarantine_us), n->unfence_op);
	h = mix(mix(mix(h, n->unfence_us), n->unfence_tries), n->seen_levels);
	h = mix(mix(mix(h, n->watch.watchdog_ms), n->watch.lease_ms), n->watch.device_ms);
	h = mix(mix(mix(h, n->both_go_on), n->away_index), n->away_us);
	for (size_t i = 0; i < n->n_devices; i++)
		h = device(h, n->devices[i]);
	for (size_t i = 0; i < n->n_fences; i++)
		h = mix(h, n->fences_us[i]);
	return reason(h, &n->reason);
}

static uint64_t guest(uint64_t h, const struct guest *g)
{
	h = mix(mix(mix(h, g->heartbeat_s), g->heartbeat_idle_s), g->heartbeat_uptime_s);
	h = mix(mix(mix(h, g->reset_limit), g->reset_window_s), g->panic_reset);
	h = mix(mix(mix(h, g->watchdog_reset), g->io_resume), (uint64_t)g->heartbeat);
	h = mix(mix(mix(h, g->idle), (uint64_t)g->trouble), g->storage_back);
	h = str(mix(mix(h, g->own_resets), g->answered), g->text ? g->text : "");
	h = mix(mix(mix(h, g->asked), g->held), g->reset_us);
	for (size_t i = 0; i < g->n_resets; i++)
		h = mix(h, g->resets_us[i]);
	h = mix(mix(mix(mix(h, g->again_us), g->storage_us), g->resumed_us), g->resumes);
	return str(mix(mix(h, g->reset_wall_ms), g->evidence_node), g->evidence ? g->evidence : "");
}

uint64_t hash_vm(const struct vm *vm)
{
	uint64_t h = str(str(2, vm->uuid), vm->name);

	h = mix(mix(mix(h, vm->xml_hash), vm->mem_mib), vm->vcpus);
	h = mix(mix(h, (uint64_t)(int64_t)vm->priority), vm->stop_timeout_s);
	h = mix(mix(mix(h, vm->intent), vm->want_paused), vm->removing);
	h = mix(mix(mix(mix(h, vm->state), vm->node), vm->target), vm->seen_on);
	h = mix(mix(mix(h, vm->prefer), vm->epoch), vm->op);
	h = mix(mix(mix(h, vm->attempts), vm->restarts), vm->tries);
	h = mix(mix(mix(h, vm->migrate_attempts), vm->arriving), vm->retry_us);
	h = mix(mix(h, vm->since_us), vm->recover_from);
	h = mix(mix(mix(h, vm->failback), vm->live_migration), vm->managed);
	h = str(mix(mix(h, vm->start_retries), vm->max_relocate), vm->lock ? vm->lock : "");
	h = mix(mix(mix(h, vm->local_tries), vm->relocations), vm->given_up);
	h = mix(mix(h, vm->relocating), vm->home);
	h = mix(mix(mix(h, vm->restart_limit), vm->crashes_here), vm->crash_moves);
	if (!guest_is_plain(&vm->guest))
		h = guest(h, &vm->guest);
	for (size_t i = 0; i < vm->n_storage; i++)
		h = str(h, vm->storage[i]);
	for (size_t i = 0; i < vm->n_avoid; i++)
		h = mix(h, vm->avoid[i]);
	return reason(h, &vm->reason);
}

uint64_t hash_rule(const struct rule *r)
{
	uint64_t h = mix(mix(mix(str(8, r->name), (uint64_t)r->kind), r->hard), r->mandatory);

	h = mix(mix(h, r->n_vms), r->n_nodes);
	for (size_t i = 0; i < r->n_vms; i++)
		h = str(h, r->vms[i]);
	for (size_t i = 0; i < r->n_nodes; i++)
		h = mix(mix(h, r->nodes[i].node), (uint64_t)(int64_t)r->nodes[i].priority);
	return h;
}

static uint64_t hash_op(const struct operation *op)
{
	uint64_t h = mix(mix(mix(3, op->id), op->kind), op->state);

	h = str(mix(mix(mix(h, op->node), op->target), op->victim), op->vm ? op->vm : "");
	h = str(mix(mix(h, op->attempt), op->timeout_s), op->device ? op->device : "");
	h = mix(mix(mix(mix(h, op->cancel), op->began_us), op->ended_us), op->deadline_us);
	h = str(mix(mix(h, op->wall_ms), op->rc), op->text ? op->text : "");
	return mix(mix(mix(mix(mix(h, op->parent), op->done), op->total), op->flags), op->wait_us);
}

uint64_t hash_journal(const struct journal_line *l)
{
	uint64_t h = mix(mix(mix(mix(4, l->id), l->index), l->at_us), l->wall_ms);

	return mix(str(str(str(str(h, l->object), l->from), l->to), l->cause), l->severity);
}

static uint64_t hash_failover_vm(const struct failover_vm *v)
{
	uint64_t h = mix(str(7, v->name), v->node);

	return mix(mix(mix(mix(mix(h, v->decided_us), v->began_us), v->ended_us), v->running_us),
		   v->result);
}

static uint64_t hash_failover_head(const struct failover *f)
{
	uint64_t h = mix(mix(mix(5, f->id), f->victim), f->wall_ms);

	h = mix(mix(mix(h, f->detected_us), f->view_us), f->fence_began_us);
	return str(mix(mix(mix(h, f->fence_ended_us), f->fenced_us), f->done),
		   f->proof ? f->proof : "");
}

/* VMs are hashed each for itself: of a thousand that recover, one changes in a step. */
static uint64_t hash_failover_cached(struct failover *f)
{
	uint64_t h = hash_failover_head(f);

	for (size_t i = 0; i < f->n_vms; i++) {
		if (!f->vms[i].hash)
			f->vms[i].hash = hash_failover_vm(&f->vms[i]);
		h = mix(h, f->vms[i].hash);
	}
	return h;
}

static uint64_t hash_failover(const struct failover *f)
{
	uint64_t h = hash_failover_head(f);

	for (size_t i = 0; i < f->n_vms; i++)
		h = mix(h, hash_failover_vm(&f->vms[i]));
	return h;
}

static uint64_t hash_globals(const struct cluster *c)
{
	uint64_t h = mix(mix(mix(6, c->index), c->now_us), c->wall_ms);

	h = mix(mix(mix(mix(h, c->feature), c->minority), c->journal_next), c->arm);
	h = mix(mix(mix(mix(h, c->balance_us), c->duel), c->test_us), c->test_op);
	h = mix(mix(h, c->balance_us), c->watchdog_generation);
	return options(h, c->settings, c->n_settings);
}

static void renew(struct cluster *c, uint64_t *old, uint64_t new)
{
	c->digest += new - *old;
	*old = new;
}

void digest_update(struct cluster *c)
{
	for (size_t i = 0; i < c->n_touched_vms; i++) {
		struct vm *vm = c->touched_vms[i];

		vm->touched = false;
		if (!vm->gone)
			renew(c, &vm->hash, hash_vm(vm));
	}
	for (size_t i = 0; i < c->n_touched_ops; i++) {
		c->touched_ops[i]->touched = false;
		renew(c, &c->touched_ops[i]->hash, hash_op(c->touched_ops[i]));
	}
	for (size_t i = 0; i < c->n_nodes; i++) {
		if (c->nodes[i]->touched)
			renew(c, &c->nodes[i]->hash, hash_node(c->nodes[i]));
		c->nodes[i]->touched = false;
	}
	for (size_t i = 0; i < c->n_failovers; i++) {
		if (c->failovers[i]->touched)
			renew(c, &c->failovers[i]->hash, hash_failover_cached(c->failovers[i]));
		c->failovers[i]->touched = false;
	}
	for (size_t i = 0; i < c->n_rules; i++) {
		if (c->rules[i]->touched)
			renew(c, &c->rules[i]->hash, hash_rule(c->rules[i]));
		c->rules[i]->touched = false;
	}
	c->n_touched_vms = c->n_touched_ops = 0;
	c->globals_hash = hash_globals(c);
}

uint64_t digest_full(const struct cluster *c)
{
	uint64_t sum = hash_globals(c);

	for (size_t i = 0; i < c->vms.count; i++)
		sum += hash_vm(c->vms.items[i]);
	for (size_t i = 0; i < c->ops.count; i++)
		sum += hash_op(c->ops.items[i]);
	for (size_t i = 0; i < c->n_nodes; i++)
		sum += hash_node(c->nodes[i]);
	for (size_t i = 0; i < c->n_failovers; i++)
		sum += hash_failover(c->failovers[i]);
	for (size_t i = 0; i < c->n_rules; i++)
		sum += hash_rule(c->rules[i]);
	for (uint64_t id = c->journal_first; id < c->journal_next; id++)
		sum += hash_journal(cluster_journal(c, id));
	return sum;
}
