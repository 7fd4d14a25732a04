/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests about nodes and their fence devices. */
#include "proto/mutant.h"
#include "resource/admin.h"
#include "resource/drain.h"
#include "resource/fencing.h"
#include "resource/journal.h"
#include "resource/leaving.h"
#include "resource/node_machine.h"
#include "resource/operation.h"

#include <stdio.h>

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

struct answer admin_fence_add(struct cluster *c, const char *actor, const Hv__FenceAdd *cmd)
{
	struct node *n = node_find_name(c, cmd->node);
	struct fence_device *d;
	size_t at;

	if (!n)
		return answer_no_node(cmd->node);
	if (device_find(n, cmd->device, &at))
		return answer_no(HV_EXISTS, "hvcluster fence list",
				 "node '%s' has a fence device '%s' already", n->name, cmd->device);
	if (n->n_devices == HV_MAX_FENCE_DEVICES)
		return answer_no(HV_LIMIT, "hvcluster fence list",
				 "node '%s' has as many fence devices as it can have: %u", n->name,
				 HV_MAX_FENCE_DEVICES);
	d = hv_xcalloc(1, sizeof(*d));
	d->name = hv_xstrdup(cmd->device);
	d->agent = hv_xstrdup(cmd->agent);
	d->level = cmd->level ? cmd->level : 1;
	d->timeout_s = cmd->timeout_s;
	d->n_options = options_copy(d->options, cmd->options, cmd->n_options);
	d->n_secrets = options_copy(d->secrets, cmd->secrets, cmd->n_secrets);
	device_insert(n, d);
	if (n->fence_op) /* what was its last device may be none: the plan begins again */
		fencing_call_off(c, n);
	node_touch(c, n);
	journal_why(c, SEV_NOTICE, "fence device of", n->name, "none", d->name, asked(actor));
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
	n->fence_level = n->fence_device = 0; /* places have moved: the plan begins again */
	fence_device_free(d);
	node_touch(c, n);
	return answer_ok(0);
}

struct answer admin_fence_test(struct cluster *c, const char *actor, const Hv__FenceTest *cmd)
{
	struct node *n = node_find_name(c, cmd->node);
	struct op_spec spec = {.kind = OP_FENCE_TEST};
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
	spec.victim = n->id;
	spec.device = n->devices[at]->name;
	spec.timeout_s =
	    n->devices[at]->timeout_s ? n->devices[at]->timeout_s : c->tuning.fence_timeout_s;
	spec.node = fencing_executor(c, n->id, 1);
	if (!spec.node && node_is_member(n))
		spec.node =
		    n->id; /* alone: asking one's own device for its status is still a test */
	op = spec.node ? op_begin(c, &spec, NULL) : NULL;
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
