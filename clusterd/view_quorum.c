/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Votes, and what would become of the cluster if one more were lost. */
#include "clusterd/force.h"
#include "clusterd/view_items.h"

#include <stdio.h>
#include <string.h>

struct voters {
	struct vote_info info;
	struct node_list nodes;
	struct node_set present;
	struct node_set
	    holders; /* of them, those whose disk takes the log: what counts in the end */
};

static void voters_of(const struct view *v, struct voters *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (v->votes)
		ret->info = *v->votes;
	for (size_t i = 0; v->list && i < v->list->n_nodes; i++)
		ret->nodes.nodes[ret->nodes.n++] = (struct rl_node_cfg){
		    .id = v->list->nodes[i].id, .votes = v->list->nodes[i].votes};
	node_set_from(&ret->present, v->status->view, v->status->n_view);
	ret->holders = ret->present;
	for (size_t i = 0; i < v->status->n_learners; i++)
		node_set_remove(&ret->holders, v->status->learners[i]);
}

/* ---- one sentence about how many may go */

static char *lose_text(const struct view *v, const struct voters *w, unsigned may)
{
	const char *how = w->info.last_man_standing && may > 1 ? ", one after the other" : "";

	if (!w->info.known)
		return hv_xstrdup("votequorum has not said yet");
	if (!v->status->quorate)
		return hv_xstrdup("quorum is lost");
	if (w->info.two_node && may)
		return hv_xstrdup("may lose 1 more node, which must be proven off before anything "
				  "is begun");
	if (!may)
		return hv_xstrdup("MAY LOSE NO MORE NODE without losing quorum");
	return hv_xasprintf("may lose %u more node%s%s", may, may == 1 ? "" : "s", how);
}

uint32_t view_may_lose(const struct view *v, char **ret_text)
{
	struct voters w;
	unsigned may;

	voters_of(v, &w);
	may = v->status->quorate ? forecast_may_lose(&w.info, &w.nodes, &w.holders) : 0;
	*ret_text = lose_text(v, &w, may);
	return may;
}

/* ---- what each loss would mean */

static const char *without_quorum(const struct cluster *c)
{
	const char *what = cluster_setting(c, "quorum_loss");

	if (strcmp(what, "stop") == 0)
		return "VMs are shut down";
	if (strcmp(what, "self-fence") == 0)
		return "hosts with VMs reset themselves";
	if (strcmp(what, "ignore") == 0)
		return "quorum_loss=ignore: all goes on without it";
	return "VMs run on as they are";
}

static char *loss_text(const struct view *v, const struct node *n, const struct forecast *f)
{
	const char *device =
	    n->n_devices ? "" : "; it has no fence device: 'hvcluster fence confirm' is needed";

	if (!f->quorate)
		return hv_xasprintf("QUORUM IS LOST: nothing is begun, %s", without_quorum(v->c));
	if (f->minority)
		return hv_xasprintf("goes on, but begins nothing before %s is proven off%s",
				    n->name, device);
	return hv_xasprintf("goes on; its VMs start elsewhere when it is proven off%s", device);
}

static void add_loss(Hv__QuorumResponse *q, const char *name, bool device, const struct forecast *f,
		     char *text)
{
	Hv__QuorumLoss *l = hv_xcalloc(1, sizeof(*l));

	hv__quorum_loss__init(l);
	l->lost = view_str(name);
	l->device = device;
	l->quorate = f->quorate;
	l->proof_first = f->quorate && f->minority && !device;
	l->text = text;
	q->losses = hv_xrealloc(q->losses, q->n_losses + 1, sizeof(*q->losses));
	q->losses[q->n_losses++] = l;
}

static void add_device_loss(const struct view *v, const struct voters *w, Hv__QuorumResponse *q)
{
	struct forecast f = forecast_loss(&w->info, &w->nodes, &w->holders, 0);
	struct voters without = *w;
	unsigned may;

	if (!w->info.device_votes)
		return;
	without.info.device_votes = false;
	may = forecast_may_lose(&without.info, &w->nodes, &w->holders);
	add_loss(
	    q, "quorum device", true, &f,
	    f.quorate
		? hv_xasprintf("goes on, and may then lose %u node%s", may, may == 1 ? "" : "s")
		: hv_xasprintf("QUORUM IS LOST: nothing is begun, %s", without_quorum(v->c)));
}

static void add_losses(const struct view *v, const struct voters *w, Hv__QuorumResponse *q)
{
	for (size_t i = 0; i < w->present.n; i++) {
		const struct node *n = cluster_node(v->c, w->present.ids[i]);
		struct forecast f;

		if (!n)
			continue;
		f = forecast_loss(&w->info, &w->nodes, &w->holders, n->id);
		add_loss(q, n->name, false, &f, loss_text(v, n, &f));
	}
	add_device_loss(v, w, q);
}

static void add_nodes(const struct view *v, const struct voters *w, Hv__QuorumResponse *q)
{
	q->nodes = hv_xcalloc(w->nodes.n ? w->nodes.n : 1, sizeof(*q->nodes));
	for (size_t i = 0; i < w->nodes.n; i++) {
		Hv__QuorumNode *n = hv_xcalloc(1, sizeof(*n));

		hv__quorum_node__init(n);
		n->name = view_str(force_name(v, w->nodes.nodes[i].id));
		n->votes = w->nodes.nodes[i].votes;
		n->present = node_set_has(&w->present, w->nodes.nodes[i].id);
		q->nodes[q->n_nodes++] = n;
	}
}

static void add_force(const struct view *v, Hv__QuorumResponse *q)
{
	const char *why = force_refusal(v);
	struct node_set missing;

	q->can_force = !why;
	q->force_text = view_str(why);
	force_missing(v, &missing);
	q->missing = hv_xcalloc(missing.n ? missing.n : 1, sizeof(*q->missing));
	for (size_t i = 0; i < missing.n; i++)
		q->missing[q->n_missing++] = view_str(force_name(v, missing.ids[i]));
}

static char *mode_text(const struct vote_info *i)
{
	return hv_xasprintf("%s%s%s%s",
			    i->two_node ? "two_node"
			    : i->device ? "device"
					: "majority",
			    i->last_man_standing ? ", last_man_standing" : "",
			    i->wait_for_all ? ", wait_for_all" : "",
			    i->auto_tie_breaker ? ", auto_tie_breaker" : "");
}

enum hv_rc view_quorum(const struct view *v, Hv__ControlResponse *r)
{
	Hv__QuorumResponse *q = hv_xcalloc(1, sizeof(*q));
	struct voters w;

	hv__quorum_response__init(q);
	r->body_case = HV__CONTROL_RESPONSE__BODY_QUORUM;
	r->quorum = q;
	voters_of(v, &w);
	q->quorate = v->status->quorate;
	q->active = v->current;
	q->votes = v->status->votes + (w.info.device_votes ? w.info.device_has : 0);
	q->votes_needed = v->status->votes_needed;
	q->votes_expected = w.info.expected;
	q->mode = mode_text(&w.info);
	if (w.info.device) {
		q->device = view_str(w.info.device_name);
		q->device_votes = w.info.device_has;
		q->device_state = view_str(w.info.device_votes ? "votes" : "silent");
	}
	q->may_lose = view_may_lose(v, &q->may_lose_text);
	add_nodes(v, &w, q);
	if (q->quorate)
		add_losses(v, &w, q);
	add_force(v, q);
	return HV_OK;
}
