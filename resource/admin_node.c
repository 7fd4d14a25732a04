/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests about nodes and their fence devices. */
#include "proto/mutant.h"
#include "resource/admin.h"
#include "resource/drain.h"
#include "resource/fence_test.h"
#include "resource/fencing.h"
#include "resource/journal.h"
#include "resource/leaving.h"
#include "resource/node_machine.h"
#include "resource/operation.h"

#include <stdio.h>

#define PLUG_OPTION "plug" /* as fence agents call an outlet on standard input */

static struct why asked(const char *actor)
{
	return WHY(ADMIN, .subject = actor);
}

static struct answer refuse_lost(const struct node *n)
{
	char hint[128];

	snprintf(hint, sizeof(hint), "hvcluster fence confirm %s", n->name);
	return answer_no(HV_REFUSED, hint,
			 "node '%s' is %s: its VMs are recovered when it is proven off", n->name,
			 node_state_name(n->state));
}

struct answer admin_node_drain(struct cluster *c, const char *actor, const Hv__NodeDrain *cmd)
{
	struct node *n = node_find_name(c, cmd->node);

	if (!n)
		return answer_no_node(cmd->node);
	if (n->admin == NODE_MAINTENANCE)
		return answer_ok(0);
	if (n->drain_op)
		return answer_ok(n->drain_op);
	if ((n->state == NODE_LOST || n->state == NODE_FENCING) && n->owned.count)
		return refuse_lost(n);
	if (!op_room(c))
		return answer_no(HV_LIMIT, "hvcluster status",
				 "too many operations are in progress");
	drain_begin(c, n, actor);
	return answer_ok(n->drain_op);
}

struct answer admin_node_resume(struct cluster *c, const char *actor, const Hv__NodeResume *cmd)
{
	struct node *n = node_find_name(c, cmd->node);

	if (!n)
		return answer_no_node(cmd->node);
	if (n->admin != NODE_ACTIVE)
		drain_cancel(c, n, actor);
	if (n->leaving != NODE_STAYS)
		leaving_cancel(c, n, actor);
	return answer_ok(0);
}

/* ---- fence devices */

static struct fence_device *device_find(const struct node *n, const char *name, size_t *ret_at)
{
	for (size_t i = 0; i < n->n_devices; i++) {
		if (strcmp(n->devices[i]->name, name) != 0)
			continue;
		*ret_at = i;
		return n->devices[i];
	}
	return NULL;
}

/* Devices stand in order of level, then name. */
static void device_insert(struct node *n, struct fence_device *d)
{
	size_t i = 0;

	while (i < n->n_devices &&
	       (n->devices[i]->level < d->level ||
		(n->devices[i]->level == d->level && strcmp(n->devices[i]->name, d->name) < 0)))
		i++;
	memmove(n->devices + i + 1, n->devices + i, (n->n_devices - i) * sizeof(*n->devices));
	n->devices[i] = d;
	n->n_devices++;
}

static size_t options_copy(struct option *to, Hv__KeyValue **from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		to[i] = (struct option){hv_xstrdup(from[i]->key), hv_xstrdup(from[i]->value)};
	return count;
}

static bool has_option(const Hv__FenceAdd *cmd, const char *key)
{
	for (size_t i = 0; i < cmd->n_options; i++)
		if (strcmp(cmd->options[i]->key, key) == 0)
			return true;
	return false;
}

/* Could this node have the device? HV_OK: yes. */
static struct answer device_fits(const struct node *n, const char *name, const Hv__FenceAdd *cmd)
{
	size_t at;

	if (!n)
		return answer_no_node(name);
	if (device_find(n, cmd->device, &at))
		return answer_no(HV_EXISTS, "hvcluster fence list",
				 "node '%s' has a fence device '%s' already", n->name, cmd->device);
	if (n->n_devices == HV_MAX_FENCE_DEVICES)
		return answer_no(HV_LIMIT, "hvcluster fence list",
				 "node '%s' has as many fence devices as it can have: %u", n->name,
				 HV_MAX_FENCE_DEVICES);
	return answer_ok(0);
}

/* `plug`: its outlet at a device of several hosts, or NULL. */
static void device_add(struct cluster *c, struct node *n, const Hv__FenceAdd *cmd, const char *plug,
		       const char *actor)
{
	struct fence_device *d = hv_xcalloc(1, sizeof(*d));

	d->name = hv_xstrdup(cmd->device);
	d->agent = hv_xstrdup(cmd->agent);
	d->level = cmd->level ? cmd->level : 1;
	d->timeout_s = cmd->timeout_s;
	d->delay_s = cmd->delay_s;
	d->delay_random_s = cmd->delay_random_s;
	d->waited = cmd->waited;
	d->unfence = cmd->unfence;
	d->shared = plug != NULL;
	d->n_options = options_copy(d->options, cmd->options, cmd->n_options);
	if (plug)
		d->options[d->n_options++] =
		    (struct option){hv_xstrdup(PLUG_OPTION), hv_xstrdup(plug)};
	d->n_secrets = options_copy(d->secrets, cmd->secrets, cmd->n_secrets);
	device_insert(n, d);
	if (cmd->require_seen)
		fencing_demand(c, n, d->level, true, actor);
	n->fence_delayed = false;
	if (n->fence_op) /* what was its last device may be none: the plan begins again */
		fencing_call_off(c, n);
	node_touch(c, n);
	journal_why(c, SEV_NOTICE, "fence device of", n->name, "none", d->name, asked(actor));
}

static struct answer map_fits(struct cluster *c, const Hv__FenceAdd *cmd)
{
	if (cmd->n_options == HV_MAX_DEVICE_OPTIONS)
		return answer_no(HV_LIMIT, NULL, "a device has at most %u options",
				 HV_MAX_DEVICE_OPTIONS);
	if (has_option(cmd, PLUG_OPTION) || has_option(cmd, "port"))
		return answer_no(HV_BAD_INPUT, "leave the option out",
				 "the map says what each host's outlet is: 'plug' is given twice");
	for (size_t i = 0; i < cmd->n_map; i++) {
		struct answer a =
		    device_fits(node_find_name(c, cmd->map[i]->key), cmd->map[i]->key, cmd);

		if (a.rc != HV_OK)
			return a;
		for (size_t k = 0; k < i; k++)
			if (strcmp(cmd->map[k]->key, cmd->map[i]->key) == 0)
				return answer_no(HV_BAD_INPUT, NULL,
						 "node '%s' is twice in the map", cmd->map[i]->key);
	}
	return answer_ok(0);
}

struct answer admin_fence_add(struct cluster *c, const char *actor, const Hv__FenceAdd *cmd)
{
	struct node *n = node_find_name(c, cmd->node);
	struct answer a = cmd->n_map ? map_fits(c, cmd) : device_fits(n, cmd->node, cmd);

	if (a.rc != HV_OK)
		return a;
	if (!cmd->n_map)
		device_add(c, n, cmd, NULL, actor);
	for (size_t i = 0; i < cmd->n_map; i++)
		device_add(c, node_find_name(c, cmd->map[i]->key), cmd, cmd->map[i]->value, actor);
	return a;
}

struct answer admin_fence_level(struct cluster *c, const char *actor, const Hv__FenceLevel *cmd)
{
	struct node *n = node_find_name(c, cmd->node);

	if (!n)
		return answer_no_node(cmd->node);
	fencing_demand(c, n, cmd->level, cmd->seen, actor);
	return answer_ok(0);
}

struct answer admin_fence_remove(struct cluster *c, const char *actor, const Hv__FenceRemove *cmd)
{
	struct node *n = node_find_name(c, cmd->node);
	struct fence_device *d;
	size_t at = 0;

	if (!n)
		return answer_no_node(cmd->node);
	d = device_find(n, cmd->device, &at);
	if (!d)
		return answer_no(HV_NOT_FOUND, "hvcluster fence list",
				 "node '%s' has no fence device of that name", n->name);
	if (n->fence_op && strcmp(op_get(c, n->fence_op)->device, d->name) == 0)
		return answer_no(HV_BUSY, "hvcluster status", "the device '%s' is fencing '%s' now",
				 d->name, n->name);
	journal_why(c, SEV_NOTICE, "fence device of", n->name, d->name, "none", asked(actor));
	n->n_devices--;
	memmove(n->devices + at, n->devices + at + 1, (n->n_devices - at) * sizeof(*n->devices));
	n->fence_delayed = false;
	n->fence_level = n->fence_device = 0; /* places have moved: the plan begins again */
	fence_device_free(d);
	node_touch(c, n);
	return answer_ok(0);
}

struct answer admin_fence_test(struct cluster *c, const char *actor, const Hv__FenceTest *cmd)
{
	struct node *n = node_find_name(c, cmd->node);
	const struct operation *op;
	size_t at = 0;

	(void)actor;
	if (!n)
		return answer_no_node(cmd->node);
	if (n->n_devices == 0)
		return answer_no(HV_NOT_FOUND, "hvcluster fence add",
				 "node '%s' has no fence device", n->name);
	if (*cmd->device && !device_find(n, cmd->device, &at))
		return answer_no(HV_NOT_FOUND, "hvcluster fence list",
				 "node '%s' has no fence device of that name", n->name);
	op = fence_test_begin(c, n, n->devices[at]);
	if (!op)
		return answer_no(HV_TRY_AGAIN, "hvcluster status",
				 "no member can run the test now");
	return answer_ok(op->id);
}

struct answer admin_fence_confirm(struct cluster *c, const char *actor, const Hv__FenceConfirm *cmd)
{
	struct node *n = node_find_name(c, cmd->node);

	if (!n)
		return answer_no_node(cmd->node);
	if (node_is_member(n))
		return answer_no(HV_REFUSED, "hvcluster node drain NODE",
				 "node '%s' is a member of the cluster: it is not off", n->name);
	if (n->state == NODE_MANAGER_DOWN)
		return answer_no(HV_REFUSED, "hvcluster node list",
				 "corosync still sees node '%s': it is not off", n->name);
	if (!MUTANT(word_of_earlier_loss) &&
	    (cmd->member || (cmd->incarnation && cmd->incarnation != n->incarnation)))
		return answer_no(HV_REFUSED, "hvcluster node list",
				 "node '%s' was a member when this was asked: look again", n->name);
	if (n->state != NODE_OFFLINE || n->barrier || n->frozen)
		fencing_confirm(c, n, actor);
	return answer_ok(0);
}
