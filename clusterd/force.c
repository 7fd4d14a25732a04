/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/force.h"

#include "clusterd/command.h"
#include "clusterd/logging.h"

#include <string.h>

/* By corosync's list: after a boot the state is only known when an epoch has begun. */
static const struct nodelist_node *node_named(const struct view *v, const char *name)
{
	for (size_t i = 0; v->list && i < v->list->n_nodes; i++)
		if (strcmp(v->list->nodes[i].name, name) == 0)
			return &v->list->nodes[i];
	return NULL;
}

const char *force_name(const struct view *v, hv_node_id id)
{
	for (size_t i = 0; v->list && i < v->list->n_nodes; i++)
		if (v->list->nodes[i].id == id)
			return v->list->nodes[i].name;
	return "?";
}

void force_missing(const struct view *v, struct node_set *ret)
{
	struct node_set seen;

	ret->n = 0;
	node_set_from(&seen, v->status->view, v->status->n_view);
	for (size_t i = 0; v->list && i < v->list->n_nodes; i++)
		if (!node_set_has(&seen, v->list->nodes[i].id))
			node_set_add(ret, v->list->nodes[i].id);
}

const char *force_refusal(const struct view *v)
{
	const struct rl_status *s = v->status;

	if (v->current)
		return "nothing is to be forced: this node is part of an active cluster";
	if (s->disk_failed)
		return "this node's disk failed: use another node, or repair it first";
	switch (s->phase) {
	case RL_DOWN:
		return "corosync does not run on this node: start it first";
	case RL_ACTIVE:
	case RL_SYNCING:
	case RL_ACTIVATING:
	case RL_LEFT_OUT:
		return "other members are at work: this node joins them by itself";
	case RL_NO_QUORUM:
	case RL_HELLO:
		break;
	}
	if (s->needs_state)
		return "this node's log is lost: force a node that still has one";
	if (!s->last_index)
		return "this node has never been part of a cluster: there is nothing to go on with";
	if (v->stuck_ms < FORCE_AFTER_MS)
		return "the nodes have been looking for each other for less than 10 seconds: wait";
	return NULL;
}

static enum hv_rc refuse(char **ret_text, char *text)
{
	*ret_text = text;
	return HV_REFUSED;
}

/* The list names all who are missing, and nobody else. */
static enum hv_rc check_names(const struct view *v, const Hv__QuorumForceRequest *req,
			      struct node_set *missing, char **ret_text)
{
	struct node_set named = {.n = 0};

	force_missing(v, missing);
	for (size_t i = 0; i < req->n_off; i++) {
		const struct nodelist_node *n = node_named(v, req->off[i]);

		if (!n)
			return refuse(ret_text,
				      hv_xasprintf("there is no node '%.64s'",
						   hv_name_valid(req->off[i]) ? req->off[i] : "?"));
		if (!node_set_has(missing, n->id))
			return refuse(ret_text, hv_xasprintf("corosync sees node '%s': it is not "
							     "off",
							     n->name));
		node_set_add(&named, n->id);
	}
	for (size_t i = 0; i < missing->n; i++)
		if (!node_set_has(&named, missing->ids[i]))
			return refuse(
			    ret_text,
			    hv_xasprintf("node '%s' is missing, too: nobody has said that it is "
					 "off",
					 force_name(v, missing->ids[i])));
	return HV_OK;
}

enum hv_rc force_begin(struct force *f, const struct view *v, const Hv__QuorumForceRequest *req,
		       const struct force_ops *ops, void *user, char **ret_text,
		       const char **ret_hint)
{
	const char *why = force_refusal(v);
	struct node_set missing;
	enum hv_rc rc;

	*ret_hint = "hvcluster quorum";
	if (why)
		return refuse(ret_text, hv_xstrdup(why));
	rc = check_names(v, req, &missing, ret_text);
	if (rc != HV_OK)
		return rc;
	rc = ops->begin(user, ret_text);
	if (rc != HV_OK)
		return rc;
	force_done(f);
	f->on = true;
	f->actor = hv_xasprintf("root@%s", force_name(v, v->self));
	for (size_t i = 0; i < missing.n; i++) {
		f->off[f->n_off++] = missing.ids[i];
		log_warning("quorum force: %s said that node %s is off", f->actor,
			    force_name(v, missing.ids[i]));
	}
	return HV_OK;
}

static uint64_t propose(const struct force *f, Hv__Command *cmd, enum rl_entry_type type,
			hv_node_id fenced, const struct force_ops *ops, void *user)
{
	Hv__Event ev = HV__EVENT__INIT;

	cmd->actor = f->actor;
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = cmd;
	return ops->propose(user, &ev, type, fenced);
}

/* RL_FENCE without a node: it may be said behind the barrier. */
static bool audit(const struct force *f, const struct cluster *c, const struct force_ops *ops,
		  void *user)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__QuorumForce force = HV__QUORUM_FORCE__INIT;
	char *names[HV_MAX_NODES];

	for (size_t i = 0; i < f->n_off; i++) {
		const struct node *n = cluster_node(c, f->off[i]);

		if (n)
			names[force.n_off++] = n->name;
	}
	force.off = names;
	cmd.body_case = HV__COMMAND__BODY_QUORUM_FORCE;
	cmd.quorum_force = &force;
	return propose(f, &cmd, RL_FENCE, 0, ops, user) != 0;
}

static uint64_t confirm(const struct force *f, const struct cluster *c, const struct node *n,
			const struct force_ops *ops, void *user)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__FenceConfirm body = HV__FENCE_CONFIRM__INIT;
	struct command_plan plan;
	uint64_t mark = 0;

	body.node = n->name;
	cmd.body_case = HV__COMMAND__BODY_FENCE_CONFIRM;
	cmd.fence_confirm = &body;
	if (command_prepare(c, &cmd, &plan) == HV_OK && plan.type == RL_FENCE)
		mark = propose(f, &cmd, plan.type, plan.fenced, ops, user);
	command_plan_done(&plan);
	return mark;
}

void force_look(struct force *f, const struct cluster *c, size_t barrier,
		const struct force_ops *ops, void *user)
{
	bool left = barrier > 0;

	if (!f->on)
		return;
	f->audited = f->audited || audit(f, c, ops, user);
	for (size_t i = 0; i < f->n_off; i++) {
		const struct node *n = cluster_node(c, f->off[i]);

		if (!n || !(n->barrier || n->state == NODE_LOST || n->state == NODE_FENCING))
			continue;
		left = true;
		if (!f->marks[i] || !ops->pending(user, f->marks[i]))
			f->marks[i] = confirm(f, c, n, ops, user);
	}
	f->on = left || !f->audited;
}

void force_done(struct force *f)
{
	free(f->actor);
	*f = (struct force){0};
}
