/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/view_items.h"

#include "resource/guest_plan.h"
#include "fence/fence_plan.h"

#include <string.h>

#define LIST_LIMIT 500
#define EVENTS_SHOWN 20

static enum hv_rc no_node(Hv__ControlResponse *r, const char *name)
{
	return view_fail(r, HV_NOT_FOUND, "hvcluster node list", "there is no node '%.64s'", name);
}

static enum hv_rc no_vm(Hv__ControlResponse *r, const char *name)
{
	return view_fail(r, HV_NOT_FOUND, "hvcluster vm list", "there is no VM '%.64s'", name);
}

enum hv_rc view_vm_list(const struct view *v, const Hv__VmListRequest *req, Hv__ControlResponse *r)
{
	struct view_budget budget = {.left = VIEW_BYTES};
	const struct node *only = NULL;
	uint32_t limit = req->limit && req->limit < LIST_LIMIT ? req->limit : LIST_LIMIT;
	size_t n = cluster_vm_count(v->c);
	Hv__VmListResponse *list;

	if (req->node[0] && !(only = cluster_node_by_name(v->c, req->node)))
		return no_node(r, req->node);
	list = hv_xcalloc(1, sizeof(*list));
	hv__vm_list_response__init(list);
	r->body_case = HV__CONTROL_RESPONSE__BODY_VM_LIST;
	r->vm_list = list;
	for (size_t i = req->after[0] ? cluster_vm_lower_bound(v->c, req->after) : 0; i < n; i++) {
		const struct vm *vm = cluster_vm_at(v->c, i);

		if (only && vm->node != only->id && vm->target != only->id)
			continue;
		if (list->n_vms == limit ||
		    !view_add(&budget, &list->vms, &list->n_vms, view_vm_info(v, vm))) {
			list->more = true;
			break;
		}
	}
	return HV_OK;
}

static void add_placement(const struct view *v, const struct vm *vm, struct view_budget *b,
			  Hv__VmShowResponse *show)
{
	struct placement_line lines[HV_MAX_NODES];
	size_t n = brain_explain_placement(v->c, vm, lines, ARRAY_SIZE(lines));

	for (size_t i = 0; i < n; i++) {
		Hv__PlacementLine *item = hv_xcalloc(1, sizeof(*item));

		hv__placement_line__init(item);
		item->node = view_str(view_node_name(v, lines[i].node));
		item->fits = lines[i].fits;
		item->chosen = lines[i].chosen;
		item->score = lines[i].score;
		item->why = view_str(lines[i].why);
		view_add(b, &show->placement, &show->n_placement, item);
	}
}

static void add_attributes(const struct vm *vm, struct view_budget *b, Hv__VmShowResponse *show)
{
	for (size_t i = 0; i < vm_attribute_count(); i++) {
		_cleanup_free_ char *value = vm_attribute_text(vm, i);
		Hv__KeyValue *item = hv_xcalloc(1, sizeof(*item));

		hv__key_value__init(item);
		item->key = view_str(vm_attribute_at(i)->key);
		item->value = view_str(value);
		view_add(b, &show->attributes, &show->n_attributes, item);
	}
}

static void add_resets(const struct view *v, const struct vm *vm, Hv__VmShowResponse *show)
{
	const struct guest *g = &vm->guest;

	show->resets = guest_resets_counted(v->c, vm);
	show->reset_held = g->held;
	show->reset_wall_ms = g->reset_wall_ms;
	show->evidence_node = view_str(g->evidence ? view_node_name(v, g->evidence_node) : "");
	show->evidence = view_str(g->evidence);
}

enum hv_rc view_vm_show(const struct view *v, const Hv__VmShowRequest *req, Hv__ControlResponse *r)
{
	struct view_budget budget = {.left = VIEW_BYTES};
	const struct vm *vm = cluster_vm_by_name(v->c, req->name);
	Hv__VmShowResponse *show;

	if (!vm)
		return no_vm(r, req->name);
	show = hv_xcalloc(1, sizeof(*show));
	hv__vm_show_response__init(show);
	r->body_case = HV__CONTROL_RESPONSE__BODY_VM_SHOW;
	r->vm_show = show;
	show->vm = view_vm_info(v, vm);
	show->stop_timeout_s = vm->stop_timeout_s;
	show->lock = view_str(vm->lock);
	add_attributes(vm, &budget, show);
	add_resets(v, vm, show);
	view_rules_of(v, vm, &budget, &show->rules, &show->n_rules);
	if (req->xml && vm->xml_len) {
		show->xml = hv_xstrndup((const char *)vm->xml, vm->xml_len);
		budget.left -= vm->xml_len < budget.left ? vm->xml_len : budget.left;
	}
	if (req->explain) {
		_cleanup_free_ char *object = hv_xasprintf("vm %s", vm->name);
		size_t n;
		char **lines = brain_explain_vm(v->c, vm, &n);

		view_take_strings(lines, n, &show->explain, &show->n_explain);
		add_placement(v, vm, &budget, show);
		view_events_of(v, &budget, object, EVENTS_SHOWN, &show->events, &show->n_events);
	}
	return HV_OK;
}

static bool op_concerns(const struct operation *op, const struct node *n)
{
	return op->state == OP_RUNNING &&
	       (op->node == n->id || op->target == n->id || op->victim == n->id);
}

enum hv_rc view_node_show(const struct view *v, const Hv__NodeShowRequest *req,
			  Hv__ControlResponse *r)
{
	struct view_budget budget = {.left = VIEW_BYTES};
	const struct node *n = cluster_node_by_name(v->c, req->name);
	_cleanup_free_ char *object = NULL;
	Hv__NodeShowResponse *show;

	if (!n)
		return no_node(r, req->name);
	show = hv_xcalloc(1, sizeof(*show));
	hv__node_show_response__init(show);
	r->body_case = HV__CONTROL_RESPONSE__BODY_NODE_SHOW;
	r->node_show = show;
	show->node = view_node_info(v, n);
	view_devices_of(v, n, &budget, &show->fence, &show->n_fence);
	object = hv_xasprintf("node %s", n->name);
	view_events_of(v, &budget, object, EVENTS_SHOWN, &show->events, &show->n_events);
	for (size_t i = 0; i < cluster_op_count(v->c) && show->n_ops < 100; i++) {
		const struct operation *op = cluster_op_at(v->c, i);

		if (op_concerns(op, n))
			view_add(&budget, &show->ops, &show->n_ops, view_op_info(v, op));
	}
	for (size_t i = 0; i < cluster_vm_count(v->c); i++) {
		const struct vm *vm = cluster_vm_at(v->c, i);

		if (vm->node != n->id && vm->target != n->id)
			continue;
		if (show->n_vms == LIST_LIMIT ||
		    !view_add(&budget, &show->vms, &show->n_vms, view_vm_info(v, vm))) {
			show->more = true;
			break;
		}
	}
	return HV_OK;
}

/* A drain says what it waits for. */
static void add_held_by(const struct view *v, const struct operation *op, Hv__OpInfo *info)
{
	for (size_t i = 0; op->state == OP_RUNNING && i < cluster_node_count(v->c); i++) {
		const struct node *n = cluster_node_at(v->c, i);
		size_t count;
		char **lines;

		if (n->drain_op != op->id)
			continue;
		lines = brain_drain_held_by(v->c, n, &count);
		view_take_strings(lines, count, &info->held_by, &info->n_held_by);
		return;
	}
}

enum hv_rc view_op(const struct view *v, hv_op_id id, Hv__ControlResponse *r)
{
	const struct operation *op = cluster_op(v->c, id);

	if (!op)
		return view_fail(r, HV_NOT_FOUND, "hvcluster events",
				 "there is no operation %llu (any more)", (unsigned long long)id);
	r->body_case = HV__CONTROL_RESPONSE__BODY_OP;
	r->op = view_op_info(v, op);
	if (op->kind == OP_NODE_DRAIN)
		add_held_by(v, op, r->op);
	return HV_OK;
}

uint64_t view_op_fingerprint(const struct view *v, hv_op_id id, bool *ret_ended)
{
	const struct operation *op = cluster_op(v->c, id);
	uint64_t f;

	*ret_ended = !op || op->state != OP_RUNNING;
	if (*ret_ended)
		return 0;
	f = (uint64_t)op->attempt << 48 | (uint64_t)op->done << 24 | op->total;
	return f * 1001 + view_op_permille(v, op);
}

static void add_watchdog(const struct view *v, const struct node *n, Hv__FenceListResponse *list)
{
	_cleanup_free_ char *text = cluster_watchdog_text(n);

	if (text)
		list->watchdogs[list->n_watchdogs++] =
		    hv_xasprintf("%s: %s%s", n->name, text,
				 cluster_must_see(v->c, n, FENCE_PLAN_WATCHDOG_LEVEL)
				     ? " (no proof here: nobody sees it, and seeing is demanded)"
				     : "");
}

enum hv_rc view_fence_list(const struct view *v, const Hv__FenceListRequest *req,
			   Hv__ControlResponse *r)
{
	struct view_budget budget = {.left = VIEW_BYTES};
	Hv__FenceListResponse *list;

	if (req->node[0] && !cluster_node_by_name(v->c, req->node))
		return no_node(r, req->node);
	list = hv_xcalloc(1, sizeof(*list));
	hv__fence_list_response__init(list);
	r->body_case = HV__CONTROL_RESPONSE__BODY_FENCE_LIST;
	r->fence_list = list;
	list->unprotected = hv_xcalloc(cluster_node_count(v->c), sizeof(char *));
	list->watchdogs = hv_xcalloc(cluster_node_count(v->c), sizeof(char *));
	for (size_t i = 0; i < cluster_node_count(v->c); i++) {
		const struct node *n = cluster_node_at(v->c, i);

		if (req->node[0] && strcmp(n->name, req->node) != 0)
			continue;
		add_watchdog(v, n, list);
		if (n->configured && !n->n_devices && !cluster_watchdog_proves(v->c, n))
			list->unprotected[list->n_unprotected++] = view_str(n->name);
		view_devices_of(v, n, &budget, &list->devices, &list->n_devices);
	}
	return HV_OK;
}
