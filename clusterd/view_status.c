/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/view_items.h"

#include "resource/guest_health.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_ATTENTION 50
#define MAX_OPS 50
#define MAX_WARNINGS 64

static void add_string(char ***list, size_t *count, char *s)
{
	*list = hv_xrealloc(*list, *count + 1, sizeof(char *));
	(*list)[(*count)++] = s;
}

/* What is wrong with the cluster as a whole and needs somebody, beyond the states of nodes and VMs.
 */
static void add_setup(const struct view *v, const struct node *n, Hv__StatusResponse *s)
{
	char *lines[VIEW_SETUP_MAX];
	size_t count = n->state == NODE_ONLINE ? view_setup_lines(v, n, lines) : 0;

	for (size_t i = 0; i < count; i++) {
		if (s->n_warnings < MAX_WARNINGS)
			add_string(&s->warnings, &s->n_warnings,
				   hv_xasprintf("node %s: %s", n->name, lines[i]));
		free(lines[i]);
	}
}

static void add_warnings(const struct view *v, Hv__StatusResponse *s)
{
	for (size_t i = 0; i < v->n_warnings; i++)
		add_string(&s->warnings, &s->n_warnings, view_str(v->warnings[i]));
	if (cluster_arm(v->c) != ARMED)
		add_string(&s->warnings, &s->n_warnings,
			   hv_xasprintf("THE CLUSTER IS %s: nothing is fenced, started, stopped or "
					"moved before 'hvcluster arm'",
					cluster_arm(v->c) == ARMING ? "BEING ARMED" : "DISARMED"));
	if (v->current && cluster_barrier(v->c))
		add_string(&s->warnings, &s->n_warnings,
			   hv_xstrdup("too few members to act before the lost nodes are proven "
				      "off; if their fencing fails, check that they are off and "
				      "run 'hvcluster fence confirm NODE'"));
	if (!cluster_migration_tls(v->c))
		add_string(&s->warnings, &s->n_warnings,
			   hv_xstrdup("live migrations go over the network in clear text "
				      "(migration_tls=off)"));
	view_fence_warnings(v, MAX_WARNINGS, &s->warnings, &s->n_warnings);
	for (size_t i = 0; i < cluster_node_count(v->c) && s->n_warnings < MAX_WARNINGS; i++) {
		const struct node *n = cluster_node_at(v->c, i);

		add_setup(v, n, s);
		for (size_t k = 0; k < n->n_bad_storage && s->n_warnings < MAX_WARNINGS; k++)
			add_string(&s->warnings, &s->n_warnings,
				   hv_xasprintf("storage %s cannot be used on %s: %s",
						n->bad_storage[k].path, n->name,
						n->bad_storage[k].text));
		if (n->configured && !n->n_devices && !cluster_watchdog_proves(v->c, n))
			add_string(
			    &s->warnings, &s->n_warnings,
			    hv_xasprintf("node %s has no fence device: its VMs cannot be recovered "
					 "by themselves; see 'hvcluster fence add --help'",
					 n->name));
	}
}

static bool needs_attention(const struct vm *vm)
{
	bool up = vm->state == VM_RUNNING || (vm->state == VM_PAUSED && vm->want_paused);

	return vm->intent == INTENT_STARTED ? !up : vm->state != VM_STOPPED;
}

/* One UUID, two domains: the cluster asks the owner, and destroys the one that is nobody's. */
static void add_copy(const struct view *v, const struct vm *vm, hv_node_id node, const char *what,
		     Hv__StatusResponse *s)
{
	if (s->n_warnings < MAX_WARNINGS)
		add_string(
		    &s->warnings, &s->n_warnings,
		    hv_xasprintf("VM %s: A SECOND COPY on %s %s; who starts VMs of the cluster "
				 "by hand? see 'hvcluster vm explain %s'",
				 vm->name, view_node_name(v, node), what, vm->name));
}

static void add_guest(const struct view *v, const struct vm *vm, Hv__StatusResponse *s)
{
	_cleanup_free_ char *text = guest_trouble_text(v->c, vm);

	if (text)
		add_string(&s->warnings, &s->n_warnings, hv_xasprintf("VM %s: %s", vm->name, text));
}

static void add_vms(const struct view *v, struct view_budget *b, Hv__StatusResponse *s)
{
	size_t n = cluster_vm_count(v->c);

	s->vms = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		const struct vm *vm = cluster_vm_at(v->c, i);

		if (vm->ails && s->n_warnings < MAX_WARNINGS)
			add_guest(v, vm, s);
		if (vm->seen_on)
			add_copy(v, vm, vm->seen_on, "was seen, its owner is asked", s);
		if (!needs_attention(vm))
			continue;
		if (s->attention_total++ < MAX_ATTENTION)
			view_add(b, &s->attention, &s->n_attention, view_vm_info(v, vm));
	}
}

static void add_counts(const struct view *v, Hv__StatusResponse *s)
{
	static const enum vm_state states[] = {
#define X(name, text, meaning) VM_##name,
	    VM_STATE_LIST(X)
#undef X
	};

	s->vm_states = hv_xcalloc(ARRAY_SIZE(states), sizeof(*s->vm_states));
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		uint32_t count = cluster_vms_in_state(v->c, states[i]);
		Hv__Count *item;

		if (!count)
			continue;
		item = hv_xcalloc(1, sizeof(*item));
		hv__count__init(item);
		item->name = view_str(vm_state_name(states[i]));
		item->count = count;
		s->vm_states[s->n_vm_states++] = item;
	}
}

static void add_ops(const struct view *v, struct view_budget *b, Hv__StatusResponse *s)
{
	size_t n = cluster_op_count(v->c);

	for (size_t i = 0; i < n; i++) {
		const struct operation *op = cluster_op_at(v->c, i);

		if (op->state != OP_RUNNING)
			continue;
		if (op->kind == OP_VM_DESTROY && cluster_vm(v->c, op->vm) &&
		    cluster_vm(v->c, op->vm)->op != op->id)
			add_copy(v, cluster_vm(v->c, op->vm), op->node, "is being destroyed", s);
		if (s->ops_total++ < MAX_OPS)
			view_add(b, &s->ops, &s->n_ops, view_op_info(v, op));
	}
}

static void add_log(const struct view *v, Hv__StatusResponse *s)
{
	const struct rl_status *st = v->status;

	s->quorate = st->quorate;
	s->active = v->current;
	s->epoch = hv_xasprintf("%" PRIu64 "/%u", st->epoch.number, st->epoch.node);
	s->applied = cluster_index(v->c);
	s->committed = st->commit_index;
	s->digest = hv_xasprintf("%016" PRIx64, cluster_digest(v->c));
	s->coordinator = view_str(view_node_name(v, st->coordinator));
	s->votes = st->votes;
	s->votes_needed = st->votes_needed;
	s->votes_total = st->votes_total;
	s->feature = cluster_feature(v->c);
}

enum hv_rc view_status(const struct view *v, Hv__ControlResponse *r)
{
	struct view_budget budget = {.left = VIEW_BYTES - 16384};
	Hv__StatusResponse *s = hv_xcalloc(1, sizeof(*s));

	hv__status_response__init(s);
	r->body_case = HV__CONTROL_RESPONSE__BODY_STATUS;
	r->status = s;
	s->cluster = view_str(v->cluster_name);
	s->version = view_str(HV_VERSION);
	s->local_reason = view_str(v->local_reason);
	s->may_lose = view_may_lose(v, &s->may_lose_text);
	add_log(v, s);
	for (size_t i = 0; i < cluster_node_count(v->c); i++)
		view_add(&budget, &s->nodes, &s->n_nodes,
			 view_node_info(v, cluster_node_at(v->c, i)));
	view_fence_summary(v, s);
	add_warnings(v, s);
	add_counts(v, s);
	add_ops(v, &budget, s);
	add_vms(v, &budget, s);
	return HV_OK;
}

enum hv_rc view_settings(const struct view *v, Hv__ControlResponse *r)
{
	struct view_budget budget = {.left = VIEW_BYTES};
	Hv__SettingsResponse *s = hv_xcalloc(1, sizeof(*s));

	hv__settings_response__init(s);
	r->body_case = HV__CONTROL_RESPONSE__BODY_SETTINGS;
	r->settings = s;
	for (size_t i = 0; i < setting_count(); i++) {
		const struct setting_info *info = setting_at(i);
		Hv__SettingInfo *item = hv_xcalloc(1, sizeof(*item));

		hv__setting_info__init(item);
		item->key = view_str(info->key);
		item->value = view_str(cluster_setting(v->c, info->key));
		item->preset = view_str(info->preset);
		item->help = view_str(info->help);
		view_add(&budget, &s->settings, &s->n_settings, item);
	}
	return HV_OK;
}
