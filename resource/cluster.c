/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state's life cycle and what everyone may ask of it. */
#include "resource/setup.h"
#include "resource/storage.h"
#include "resource/cluster_priv.h"

static int timer_cmp(const void *a, const void *b)
{
	const struct vm *x = a, *y = b;

	if (x->retry_us != y->retry_us)
		return x->retry_us < y->retry_us ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int uuid_cmp(const void *a, const void *b)
{
	return strcmp(((const struct vm *)a)->uuid, ((const struct vm *)b)->uuid);
}

static int op_cmp(const void *a, const void *b)
{
	const struct operation *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int ended_cmp(const void *a, const void *b)
{
	const struct operation *x = a, *y = b;

	if (x->ended_us != y->ended_us)
		return x->ended_us < y->ended_us ? -1 : 1;
	return op_cmp(a, b);
}

static int due_cmp(const void *a, const void *b)
{
	const struct operation *x = a, *y = b;

	if (x->deadline_us != y->deadline_us)
		return x->deadline_us < y->deadline_us ? -1 : 1;
	return op_cmp(a, b);
}

struct cluster *cluster_new(void)
{
	struct cluster *c = hv_xcalloc(1, sizeof(*c));

	set_init(&c->vms, vm_cmp_name);
	set_init(&c->by_uuid, uuid_cmp);
	set_init(&c->ready, vm_cmp_rank);
	set_init(&c->blocked, vm_cmp_rank);
	set_init(&c->movers, vm_cmp_rank);
	set_init(&c->away, vm_cmp_name);
	set_init(&c->dirty, vm_cmp_rank);
	set_init(&c->noticed, vm_cmp_name);
	set_init(&c->uneasy, vm_cmp_name);
	set_init(&c->ailing, vm_cmp_name);
	set_init(&c->timers, timer_cmp);
	set_init(&c->ops, op_cmp);
	set_init(&c->stale, op_cmp);
	set_init(&c->due, due_cmp);
	set_init(&c->ended[0], ended_cmp);
	set_init(&c->ended[1], ended_cmp);
	c->journal = hv_xcalloc(HV_MAX_JOURNAL, sizeof(*c->journal));
	c->journal_first = c->journal_next = 1;
	settings_load(c);
	return c;
}

static void failover_free(struct failover *f)
{
	for (size_t i = 0; i < f->n_vms; i++)
		free(f->vms[i].name);
	free(f->vms);
	free(f->proof);
	free(f);
}

static void journal_line_done(struct journal_line *l)
{
	free(l->object);
	free(l->from);
	free(l->to);
	free(l->cause);
}

static void node_free(struct node *n)
{
	for (size_t i = 0; i < n->n_devices; i++)
		fence_device_free(n->devices[i]);
	set_done(&n->owned);
	set_done(&n->by_rank);
	set_done(&n->incoming);
	reason_clear(&n->reason);
	free(n->name);
	free(n->boot_id);
	free(n->health_text);
	storage_forget(n);
	setup_forget(n);
	free(n);
}

static void sets_done(struct cluster *c)
{
	struct set *sets[] = {&c->vms,	  &c->by_uuid,	&c->ready,    &c->blocked,
			      &c->movers, &c->dirty,	&c->timers,   &c->ops,
			      &c->stale,  &c->ended[0], &c->ended[1], &c->due,
			      &c->away,	  &c->noticed,	&c->uneasy,   &c->ailing};

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		set_done(sets[i]);
}

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->vms.count; i++)
		vm_free(c->vms.items[i]);
	for (size_t i = 0; i < c->ops.count; i++)
		op_free(c->ops.items[i]);
	for (uint64_t id = c->journal_first; id < c->journal_next; id++)
		journal_line_done(&c->journal[id % HV_MAX_JOURNAL]);
	for (size_t i = 0; i < c->n_failovers; i++)
		failover_free(c->failovers[i]);
	for (size_t i = 0; i < c->n_nodes; i++)
		node_free(c->nodes[i]);
	for (size_t i = 0; i < c->n_settings; i++) {
		free(c->settings[i].key);
		free(c->settings[i].value);
	}
	for (size_t i = 0; i < c->n_rules; i++)
		rule_free(c->rules[i]);
	for (size_t i = 0; i < c->n_groups; i++)
		vm_group_free(c->groups[i]);
	free(c->groups);
	sets_done(c);
	free(c->touched_vms);
	free(c->touched_ops);
	free(c->gone);
	free(c->journal);
	free(c);
}

void node_forget(struct cluster *c, struct node *n)
{
	rules_forget_node(c, n);
	for (size_t i = 0; i < c->n_nodes; i++) {
		if (c->nodes[i] != n)
			continue;
		memmove(c->nodes + i, c->nodes + i + 1, (c->n_nodes - i - 1) * sizeof(*c->nodes));
		c->n_nodes--;
		c->digest -= n->hash;
		node_free(n);
		return;
	}
}

/* ---- queries */

uint64_t cluster_index(const struct cluster *c)
{
	return c->index;
}

uint64_t cluster_now_us(const struct cluster *c)
{
	return c->now_us;
}

uint64_t cluster_wall_ms(const struct cluster *c)
{
	return c->wall_ms;
}

uint64_t cluster_digest(const struct cluster *c)
{
	return c->digest + c->globals_hash;
}

uint32_t cluster_feature(const struct cluster *c)
{
	return c->feature;
}

bool cluster_barrier(const struct cluster *c)
{
	for (size_t i = 0; i < c->n_nodes; i++)
		if (c->nodes[i]->barrier)
			return true;
	return false;
}

size_t cluster_node_count(const struct cluster *c)
{
	return c->n_nodes;
}

const struct node *cluster_node_at(const struct cluster *c, size_t i)
{
	return i < c->n_nodes ? c->nodes[i] : NULL;
}

const struct node *cluster_node(const struct cluster *c, hv_node_id id)
{
	for (size_t i = 0; i < c->n_nodes; i++)
		if (c->nodes[i]->id == id)
			return c->nodes[i];
	return NULL;
}

const struct node *cluster_node_by_name(const struct cluster *c, const char *name)
{
	for (size_t i = 0; i < c->n_nodes; i++)
		if (strcmp(c->nodes[i]->name, name) == 0)
			return c->nodes[i];
	return NULL;
}

size_t cluster_vm_count(const struct cluster *c)
{
	return c->vms.count;
}

const struct vm *cluster_vm_at(const struct cluster *c, size_t i)
{
	return i < c->vms.count ? c->vms.items[i] : NULL;
}

const struct vm *cluster_vm(const struct cluster *c, const char *uuid)
{
	struct vm key = {.uuid = (char *)uuid};

	return uuid ? set_find(&c->by_uuid, &key) : NULL;
}

const struct vm *cluster_vm_by_name(const struct cluster *c, const char *name)
{
	struct vm key = {.name = (char *)name};

	return name ? set_find(&c->vms, &key) : NULL;
}

size_t cluster_vm_lower_bound(const struct cluster *c, const char *name)
{
	struct vm key = {.name = (char *)name};
	size_t i = set_lower(&c->vms, &key);
	const struct vm *vm = cluster_vm_at(c, i);

	return vm && strcmp(vm->name, name) == 0 ? i + 1 : i;
}

size_t cluster_node_vm_count(const struct cluster *c, hv_node_id node)
{
	const struct node *n = cluster_node(c, node);

	return n ? n->owned.count : 0;
}

const struct vm *cluster_node_vm_at(const struct cluster *c, hv_node_id node, size_t i)
{
	const struct node *n = cluster_node(c, node);

	return n && i < n->owned.count ? n->owned.items[i] : NULL;
}

size_t cluster_op_count(const struct cluster *c)
{
	return c->ops.count;
}

const struct operation *cluster_op_at(const struct cluster *c, size_t i)
{
	return i < c->ops.count ? c->ops.items[i] : NULL;
}

const struct operation *cluster_op(const struct cluster *c, hv_op_id id)
{
	struct operation key = {.id = id};

	return set_find(&c->ops, &key);
}

uint64_t cluster_journal_first(const struct cluster *c)
{
	return c->journal_first;
}

uint64_t cluster_journal_next(const struct cluster *c)
{
	return c->journal_next;
}

const struct journal_line *cluster_journal(const struct cluster *c, uint64_t id)
{
	return id >= c->journal_first && id < c->journal_next ? &c->journal[id % HV_MAX_JOURNAL]
							      : NULL;
}

size_t cluster_failover_count(const struct cluster *c)
{
	return c->n_failovers;
}

const struct failover *cluster_failover_at(const struct cluster *c, size_t i)
{
	return i < c->n_failovers ? c->failovers[i] : NULL;
}

uint32_t cluster_vms_in_state(const struct cluster *c, enum vm_state state)
{
	return (unsigned)state < STATE_COUNT_VM ? c->vms_in_state[state] : 0;
}

enum arm_state cluster_arm(const struct cluster *c)
{
	return c->arm;
}
