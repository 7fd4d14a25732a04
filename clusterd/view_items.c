/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/view_items.h"

#include "resource/guest_health.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char *view_str(const char *s)
{
	return s && *s ? hv_xstrdup(s) : (char *)protobuf_c_empty_string;
}

enum hv_rc view_fail(Hv__ControlResponse *r, enum hv_rc rc, const char *hint, const char *fmt, ...)
{
	char text[HV_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->text = view_str(text);
	r->hint = view_str(hint);
	return rc;
}

const char *view_node_name(const struct view *v, hv_node_id id)
{
	const struct node *n = id ? cluster_node(v->c, id) : NULL;

	return n ? n->name : "";
}

/*
 * The two clocks differ by a constant but for the milliseconds between reading one and the other;
 * to the second it is the same for every event and on every node, so that what stands still looks
 * so.
 */
uint64_t view_wall_of(const struct view *v, uint64_t at_us)
{
	uint64_t now_ms = cluster_now_us(v->c) / HV_US_PER_MS, wall = cluster_wall_ms(v->c);
	uint64_t offset_ms;

	if (!at_us || wall < now_ms)
		return 0;
	offset_ms = (wall - now_ms + 500) / 1000 * 1000;
	return at_us / HV_US_PER_MS + offset_ms;
}

static char *reason_text(const struct reason *reason)
{
	_cleanup_free_ char *s = reason_sentence(reason);

	return view_str(s);
}

static void watchdog_info(const struct view *v, Hv__NodeInfo *i, const struct node *n)
{
	_cleanup_free_ char *text = cluster_watchdog_text(n);
	uint64_t proof_us = cluster_watchdog_proof_us(n);

	i->watchdog_ms = n->watch.watchdog_ms;
	i->lease_ms = n->watch.lease_ms;
	i->watchdog = view_str(text ? text : "");
	if (proof_us > v->now_us && n->state != NODE_OFFLINE)
		i->proof_in_ms = (proof_us - v->now_us) / HV_US_PER_MS;
}

Hv__NodeInfo *view_node_info(const struct view *v, const struct node *n)
{
	Hv__NodeInfo *i = hv_xcalloc(1, sizeof(*i));

	hv__node_info__init(i);
	i->id = n->id;
	i->name = view_str(n->name);
	i->state = view_str(node_state_name(n->state));
	i->admin = view_str(node_admin_name(n->admin));
	i->mem_mib = n->mem_mib;
	i->mem_used_mib = n->mem_used_mib;
	i->cpus = n->cpus;
	i->vcpus_used = n->vcpus_used;
	i->vms = n->vm_count;
	i->hypervisor_ok = n->hypervisor_ok;
	i->health = view_str(n->health_text);
	i->reason = reason_text(&n->reason);
	i->self = n->id == v->self;
	i->fence_devices = (uint32_t)n->n_devices;
	i->fencing = view_str(view_fencing_word(v, n));
	i->votes = n->votes;
	i->since_wall_ms = view_wall_of(v, n->since_us);
	i->boot_id = view_str(n->boot_id);
	i->coordinator = v->status->coordinator == n->id;
	i->feature = n->feature;
	i->leaving = view_str(n->leaving == NODE_STAYS ? "" : node_leaving_name(n->leaving));
	watchdog_info(v, i, n);
	i->n_bad_storage = n->n_bad_storage;
	i->bad_storage = n->n_bad_storage ? hv_xcalloc(n->n_bad_storage, sizeof(char *)) : NULL;
	for (size_t k = 0; k < n->n_bad_storage; k++)
		i->bad_storage[k] =
		    hv_xasprintf("%s: %s", n->bad_storage[k].path, n->bad_storage[k].text);
	i->setup = hv_xcalloc(VIEW_SETUP_MAX, sizeof(char *));
	i->n_setup = view_setup_lines(v, n, i->setup);
	i->disk_lock = view_str(n->setup.disk_lock);
	i->quarantined = n->quarantined;
	if (n->quarantine_us > v->now_us)
		i->quarantine_left_ms = (n->quarantine_us - v->now_us) / HV_US_PER_MS;
	i->braked = n->braked;
	i->log_lost = n->log_lost_us != 0;
	for (size_t k = 0; n->state == NODE_ONLINE && k < n->n_devices; k++)
		i->unfencing |= n->devices[k]->unfence && !n->devices[k]->unfenced;
	return i;
}

static const char *guest_word(const struct guest *g)
{
	static const char *const beats[] = {"unknown", "never", "ok", "lost"};
	static const char *const troubles[] = {"", "panicked", "watchdog", "no-space", "io-error"};

	if (g->trouble && (size_t)g->trouble < ARRAY_SIZE(troubles))
		return troubles[g->trouble];
	if (!g->heartbeat_s)
		return "off";
	return (size_t)g->heartbeat < ARRAY_SIZE(beats) ? beats[g->heartbeat] : "unknown";
}

Hv__VmInfo *view_vm_info(const struct view *v, const struct vm *vm)
{
	Hv__VmInfo *i = hv_xcalloc(1, sizeof(*i));
	_cleanup_free_ char *text = NULL;

	hv__vm_info__init(i);
	i->name = view_str(vm->name);
	i->uuid = view_str(vm->uuid);
	i->state = view_str(vm_state_name(vm->state));
	i->intent = view_str(vm_intent_name(vm->intent));
	i->node = view_str(view_node_name(v, vm->node));
	i->target = view_str(view_node_name(v, vm->target));
	i->mem_mib = vm->mem_mib;
	i->vcpus = vm->vcpus;
	i->priority = vm->priority;
	i->reason = reason_text(&vm->reason);
	i->since_wall_ms = view_wall_of(v, vm->since_us);
	i->op = vm->op;
	i->epoch = vm->epoch;
	i->attempts = vm->attempts;
	if (vm->retry_us > v->now_us)
		i->retry_in_ms = (vm->retry_us - v->now_us) / HV_US_PER_MS;
	i->guest = view_str(guest_word(&vm->guest));
	text = guest_trouble_text(v->c, vm);
	i->guest_text = view_str(text);
	return i;
}

/* What is known of how far it is; of a request, what is known of the operation at work for it. */
static const struct progress_item *progress_of(const struct view *v, const struct operation *op)
{
	const struct vm *vm = op->kind == OP_VM_REQUEST && op->vm ? cluster_vm(v->c, op->vm) : NULL;

	return progress_find(v->progress, vm && vm->op ? vm->op : op->id);
}

uint32_t view_op_permille(const struct view *v, const struct operation *op)
{
	const struct progress_item *p = progress_of(v, op);

	if (op->state == OP_DONE)
		return 1000;
	if (op->total > 1)
		return (uint32_t)(1000ULL * op->done / op->total);
	return p ? p->permille : 0;
}

Hv__OpInfo *view_op_info(const struct view *v, const struct operation *op)
{
	Hv__OpInfo *i = hv_xcalloc(1, sizeof(*i));
	const struct vm *vm = op->vm ? cluster_vm(v->c, op->vm) : NULL;
	const struct progress_item *p = progress_of(v, op);
	uint64_t end = op->state == OP_RUNNING ? v->now_us : op->ended_us;

	hv__op_info__init(i);
	i->id = op->id;
	i->kind = view_str(op_kind_name(op->kind));
	i->state = view_str(op_state_name(op->state));
	i->vm = view_str(vm ? vm->name : op->vm);
	i->node = view_str(view_node_name(v, op->node));
	i->target = view_str(view_node_name(v, op->target));
	i->attempt = op->attempt;
	i->rc = op->rc;
	i->text = view_str(op->text && *op->text	  ? op->text
			   : op->state == OP_RUNNING && p ? p->text
							  : NULL);
	i->done = op->done;
	i->total = op->total;
	i->permille = view_op_permille(v, op);
	i->age_ms = end > op->began_us ? (end - op->began_us) / HV_US_PER_MS : 0;
	i->victim = view_str(view_node_name(v, op->victim));
	i->device = view_str(op->device);
	i->parent = op->parent;
	i->ended = op->state != OP_RUNNING;
	return i;
}

Hv__EventInfo *view_event_info(const struct journal_line *line)
{
	Hv__EventInfo *i = hv_xcalloc(1, sizeof(*i));

	hv__event_info__init(i);
	i->id = line->id;
	i->wall_ms = line->wall_ms;
	i->object = view_str(line->object);
	i->from = view_str(line->from);
	i->to = view_str(line->to);
	i->cause = view_str(line->cause);
	i->severity = view_str(severity_name(line->severity));
	i->index = line->index;
	return i;
}

static Hv__KeyValue *key_value(const struct option *o)
{
	Hv__KeyValue *kv = hv_xcalloc(1, sizeof(*kv));

	hv__key_value__init(kv);
	kv->key = view_str(o->key);
	kv->value = view_str(o->value);
	return kv;
}

Hv__FenceDeviceInfo *view_fence_info(const struct view *v, const struct node *n,
				     const struct fence_device *d)
{
	Hv__FenceDeviceInfo *i = hv_xcalloc(1, sizeof(*i));

	hv__fence_device_info__init(i);
	i->node = view_str(n->name);
	i->device = view_str(d->name);
	i->level = d->level;
	i->agent = view_str(d->agent);
	i->timeout_s = d->timeout_s;
	i->tested = d->tested;
	i->test_rc = d->test_rc;
	i->test_text = view_str(d->test_text);
	i->test_wall_ms = d->test_wall_ms;
	i->options = hv_xcalloc(d->n_options, sizeof(*i->options));
	for (size_t k = 0; k < d->n_options; k++)
		i->options[i->n_options++] = key_value(&d->options[k]);
	i->secret_names = hv_xcalloc(d->n_secrets, sizeof(*i->secret_names));
	for (size_t k = 0; k < d->n_secrets; k++)
		i->secret_names[i->n_secret_names++] = view_str(d->secrets[k].key);
	i->delay_s = d->delay_s;
	i->delay_random_s = d->delay_random_s;
	i->proof = view_str(d->waited ? "waited" : "seen");
	i->require = view_str(cluster_must_see(v->c, n, d->level) ? "seen" : "any");
	i->unfence = d->unfence;
	i->unfenced = d->unfenced;
	i->shared = d->shared;
	i->paths = hv_xcalloc(d->n_paths, sizeof(*i->paths));
	for (size_t k = 0; k < d->n_paths; k++)
		i->paths[i->n_paths++] = view_path_info(v, &d->paths[k]);
	return i;
}

bool view_add(struct view_budget *b, void *list, size_t *count, void *item)
{
	void ***array = list;
	size_t size = protobuf_c_message_get_packed_size(item) + 8;

	if (size > b->left) {
		b->left = 0;
		protobuf_c_message_free_unpacked(item, NULL);
		return false;
	}
	b->left -= size;
	/* Doubling whenever the count is a power of two: no capacity to be kept. */
	if ((*count & (*count - 1)) == 0)
		*array = hv_xrealloc(*array, *count ? 2 * *count : 1, sizeof(void *));
	(*array)[(*count)++] = item;
	return true;
}

void view_events_of(const struct view *v, struct view_budget *b, const char *object, size_t limit,
		    Hv__EventInfo ***ret_list, size_t *ret_count)
{
	uint64_t first = cluster_journal_first(v->c), id = cluster_journal_next(v->c);
	const struct journal_line *found[64];
	size_t n = 0;

	while (id > first && n < limit && n < ARRAY_SIZE(found)) {
		const struct journal_line *line = cluster_journal(v->c, --id);

		if (line && strcmp(line->object, object) == 0)
			found[n++] = line;
	}
	while (n > 0 && view_add(b, ret_list, ret_count, view_event_info(found[n - 1])))
		n--;
}

void view_devices_of(const struct view *v, const struct node *n, struct view_budget *b,
		     Hv__FenceDeviceInfo ***list, size_t *count)
{
	for (size_t i = 0; i < n->n_devices; i++) {
		if (!view_add(b, list, count, view_fence_info(v, n, n->devices[i])))
			return;
	}
}

void view_take_strings(char **strings, size_t n, char ***ret_list, size_t *ret_count)
{
	for (size_t i = 0; i < n; i++) {
		if (strings[i][0] == '\0') {
			free(strings[i]);
			strings[i] = (char *)protobuf_c_empty_string;
		}
	}
	*ret_list = strings;
	*ret_count = n;
}
