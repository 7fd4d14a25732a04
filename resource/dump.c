/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Canonical text of the state, for golden files and traces: no secrets, no wall clock, no
 * sentences. */
#include "resource/brain.h"

#include "resource/cluster_priv.h"

#include <stdarg.h>
#include <stdio.h>

struct text {
	char *s;
	size_t len, cap;
};

_printf_(2, 3) static void put(struct text *t, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	hv_assert(n >= 0);
	if (t->len + (size_t)n + 1 > t->cap) {
		t->cap = (t->len + (size_t)n + 1) * 2;
		t->s = hv_xrealloc(t->s, t->cap, 1);
	}
	vsnprintf(t->s + t->len, t->cap - t->len, fmt, again);
	va_end(again);
	t->len += (size_t)n;
}

static void put_reason(struct text *t, const struct reason *r)
{
	put(t, " reason=%s", reason_code_name(r->code));
	if (r->subject)
		put(t, "(%s)", r->subject);
}

static void put_id(struct text *t, const char *key, uint64_t v)
{
	if (v)
		put(t, " %s=%llu", key, (unsigned long long)v);
}

static void put_node(struct text *t, const struct node *n)
{
	put(t, "node %u %s %s %s", n->id, n->name, node_state_name(n->state),
	    node_admin_name(n->admin));
	put(t, " mem=%llu/%llu cpus=%u/%u vms=%u", (unsigned long long)n->mem_used_mib,
	    (unsigned long long)n->mem_mib, n->vcpus_used, n->cpus, n->vm_count);
	put(t, "%s%s%s", n->configured ? "" : " unconfigured",
	    n->hypervisor_ok ? "" : " hypervisor-down", n->barrier ? " barrier" : "");
	put_id(t, "deadline", n->deadline_us);
	put_id(t, "watchdog", n->watch.watchdog_ms);
	put_id(t, "lease", n->watch.lease_ms);
	put_id(t, "quorum-device", n->watch.device_ms);
	put(t, "%s", n->both_go_on ? " both-go-on" : "");
	put_id(t, "seen-levels", n->seen_levels);
	put_id(t, "fence-op", n->fence_op);
	put_id(t, "fence-attempt", n->fence_attempt);
	put_id(t, "drain-op", n->drain_op);
	put_id(t, "unfence-op", n->unfence_op);
	put_id(t, "unfence-at", n->unfence_us);
	put_id(t, "quarantine-until", n->quarantine_us);
	put(t, "%s%s%s%s%s", n->quarantined ? " quarantined" : "", n->braked ? " braked" : "",
	    n->fence_forced ? " forced" : "", n->fence_delayed ? " delayed" : "",
	    n->waited_only ? " waited-only" : "");
	put_id(t, "log-lost-since", n->log_lost_us);
	for (size_t i = 0; i < n->n_bad_storage; i++)
		put(t, " bad-storage=%s%s%s", n->bad_storage[i].path,
		    n->bad_storage[i].hangs ? "(hangs)" : "",
		    n->bad_storage[i].lasts ? "(lasts)" : "");
	if (n->setup.disk_lock && *n->setup.disk_lock)
		put(t, " disk-lock=%s", n->setup.disk_lock);
	put_reason(t, &n->reason);
	put(t, "\n");
	for (size_t i = 0; i < n->n_devices; i++) {
		const struct fence_device *d = n->devices[i];

		put(t, "  device %s level=%u agent=%s options=%zu secrets=%zu", d->name, d->level,
		    d->agent, d->n_options, d->n_secrets);
		put_id(t, "delay", d->delay_s);
		put_id(t, "delay-random", d->delay_random_s);
		put(t, "%s%s%s%s", d->waited ? " waited" : "", d->shared ? " shared" : "",
		    d->unfence ? " unfence" : "", d->unfenced ? " unfenced" : "");
		put_id(t, "test-at", d->test_us);
		put(t, " paths=%zu\n", d->n_paths);
	}
}

static void put_guest(struct text *t, const struct guest *g)
{
	static const char *const beats[] = {"", " beat=never", " beat=ok", " beat=lost"};

	put_id(t, "heartbeat", g->heartbeat_s);
	put(t, "%s%s", beats[g->heartbeat], g->idle ? " idle" : "");
	put_id(t, "trouble", (uint64_t)g->trouble);
	put_id(t, "own-resets", g->own_resets);
	put_id(t, "resets", g->n_resets);
	put_id(t, "reset-at", g->reset_us);
	put_id(t, "reset-again", g->again_us);
	put_id(t, "storage-since", g->storage_us);
	put_id(t, "resumes", g->resumes);
	put(t, "%s%s%s%s", g->storage_back ? " storage-back" : "", g->answered ? " answered" : "",
	    g->asked ? " reset-asked" : "", g->held ? " reset-held" : "");
}

static void put_vm(struct text *t, const struct vm *vm)
{
	put(t, "vm %s %s %s", vm->name, vm_state_name(vm->state), vm_intent_name(vm->intent));
	put_id(t, "node", vm->node);
	put_id(t, "target", vm->target);
	put_id(t, "seen-on", vm->seen_on);
	put_id(t, "epoch", vm->epoch);
	put_id(t, "op", vm->op);
	put_id(t, "request", vm->request);
	put_id(t, "attempts", vm->attempts);
	put_id(t, "restarts", vm->restarts);
	put_id(t, "crashes-here", vm->crashes_here);
	put_id(t, "crash-moves", vm->crash_moves);
	put_id(t, "tries", vm->tries);
	put_id(t, "migrate-attempts", vm->migrate_attempts);
	put_id(t, "retry", vm->retry_us);
	put_id(t, "stale", vm->stale_ops);
	put(t, "%s%s%s", vm->want_paused ? " want-paused" : "", vm->removing ? " removing" : "",
	    vm->arriving ? " arriving" : "");
	put_guest(t, &vm->guest);
	put_reason(t, &vm->reason);
	put(t, "\n");
}

static void put_op(struct text *t, const struct operation *op)
{
	put(t, "op %llu %s %s attempt=%u", (unsigned long long)op->id, op_kind_name(op->kind),
	    op_state_name(op->state), op->attempt);
	if (op->vm)
		put(t, " vm=%s", op->vm);
	put_id(t, "node", op->node);
	put_id(t, "target", op->target);
	put_id(t, "victim", op->victim);
	if (op->device)
		put(t, " device=%s", op->device);
	if (op->kind == OP_VM_REQUEST)
		put(t, " request=%s", vm_request_name(op_request(op)));
	put_id(t, "flags", op->flags & ((1u << OP_REQUEST_SHIFT) - 1));
	if (op->state != OP_RUNNING)
		put(t, " rc=%s", hv_rc_name(op->rc));
	put_id(t, "deadline", op->deadline_us);
	put_id(t, "wait", op->wait_us);
	if (op->total)
		put(t, " done=%u/%u", op->done, op->total);
	put(t, "%s\n", op->cancel ? " cancel" : "");
}

char *brain_dump(const struct cluster *c)
{
	struct text t = {0};

	put(&t, "cluster index=%llu now=%llu feature=%u%s%s%s", (unsigned long long)c->index,
	    (unsigned long long)c->now_us, c->feature, c->minority ? " minority" : "",
	    c->duel ? " duel" : "", cluster_barrier(c) ? " barrier" : "");
	put_id(&t, "test-at", c->test_us);
	put_id(&t, "test-op", c->test_op);
	put(&t, "\n");
	for (size_t i = 0; i < c->n_settings; i++)
		put(&t, "setting %s=%s\n", c->settings[i].key, c->settings[i].value);
	for (size_t i = 0; i < c->n_nodes; i++)
		put_node(&t, c->nodes[i]);
	for (size_t i = 0; i < c->vms.count; i++)
		put_vm(&t, c->vms.items[i]);
	for (size_t i = 0; i < c->ops.count; i++)
		put_op(&t, c->ops.items[i]);
	return t.s;
}
