/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/control.h"

#include "clusterd/command.h"
#include "clusterd/host_time.h"
#include "clusterd/logging.h"
#include "proto/ipc.h"

#include <string.h>

enum wait_kind { WAIT_COMMAND, WAIT_OP, WAIT_EVENTS, WAIT_FORCE };

struct wait {
	uint64_t client;
	enum wait_kind kind;
	uint64_t deadline_us;
	/* COMMAND */
	uint64_t request, mark;
	char *object;
	Hv__ControlResponse *answer; /* ready, but held by the barrier */
	/* OP */
	hv_op_id op;
	uint64_t fingerprint;
	/* EVENTS */
	Hv__EventsRequest events;
};

struct control {
	qb_loop_t *loop;
	struct control_ops ops;
	void *user;
	struct wait *waits;
	size_t count, cap;
	uint64_t next_request;
	qb_loop_timer_handle timer;
	uint64_t timer_us;
};

/* ---- answers */

static Hv__ControlResponse *response_new(void)
{
	Hv__ControlResponse *r = hv_xcalloc(1, sizeof(*r));

	hv__control_response__init(r);
	return r;
}

/* Takes `r`. */
static void send(struct control *ctl, uint64_t client, const struct view *v, enum hv_rc rc,
		 Hv__ControlResponse *r)
{
	size_t len;
	uint8_t *data;

	r->rc = rc;
	r->stale = v && !v->current;
	if (v && r->node == protobuf_c_empty_string) {
		const struct node *n = cluster_node(v->c, v->self);

		r->node = n ? hv_xstrdup(n->name) : (char *)protobuf_c_empty_string;
	}
	len = hv__control_response__get_packed_size(r);
	hv_assert(len <= HV_IPC_MAX - 64);
	data = hv_xcalloc(1, len);
	hv__control_response__pack(r, data);
	hv__control_response__free_unpacked(r, NULL);
	ctl->ops.reply(ctl->user, client, data, len);
	free(data);
}

static void refuse(struct control *ctl, uint64_t client, const struct view *v, enum hv_rc rc,
		   const char *hint, const char *why)
{
	Hv__ControlResponse *r = response_new();

	view_fail(r, rc, hint, "%s", why);
	send(ctl, client, v, rc, r);
}

void control_malformed(struct control *ctl, uint64_t client, enum hv_rc rc, const char *why)
{
	refuse(ctl, client, NULL, rc, NULL, why);
}

/* ---- waits */

static void on_timer(void *user);

static void arm_timer(struct control *ctl)
{
	uint64_t at = 0, now;

	for (size_t i = 0; i < ctl->count; i++) {
		if (!at || ctl->waits[i].deadline_us < at)
			at = ctl->waits[i].deadline_us;
	}
	if (at == ctl->timer_us)
		return;
	if (ctl->timer)
		qb_loop_timer_del(ctl->loop, ctl->timer);
	ctl->timer = 0;
	ctl->timer_us = at;
	if (!at)
		return;
	now = mono_us();
	qb_loop_timer_add(ctl->loop, QB_LOOP_MED, at > now ? (at - now) * 1000 : 0, ctl, on_timer,
			  &ctl->timer);
}

static struct wait *wait_add(struct control *ctl, uint64_t client, enum wait_kind kind,
			     uint32_t wait_ms)
{
	struct wait *w;

	if (ctl->count == ctl->cap) {
		ctl->cap = ctl->cap ? 2 * ctl->cap : 16;
		ctl->waits = hv_xrealloc(ctl->waits, ctl->cap, sizeof(*ctl->waits));
	}
	w = &ctl->waits[ctl->count++];
	*w = (struct wait){.client = client, .kind = kind};
	w->deadline_us = mono_us() + (uint64_t)wait_ms * HV_US_PER_MS;
	return w;
}

static void wait_remove(struct control *ctl, struct wait *w)
{
	free(w->object);
	if (w->answer)
		hv__control_response__free_unpacked(w->answer, NULL);
	*w = ctl->waits[--ctl->count];
}

void control_gone(struct control *ctl, uint64_t client)
{
	for (size_t i = 0; i < ctl->count; i++) {
		if (ctl->waits[i].client == client) {
			wait_remove(ctl, &ctl->waits[i]);
			break;
		}
	}
	arm_timer(ctl);
}

size_t control_waiting(const struct control *ctl)
{
	return ctl->count;
}

/* ---- commands */

static void refuse_not_current(struct control *ctl, uint64_t client, const struct view *v)
{
	refuse(ctl, client, v, HV_NO_QUORUM, "hvcluster status",
	       v->local_reason ? v->local_reason : "this node is not part of the active cluster");
}

static void propose_command(struct control *ctl, uint64_t client, const struct view *v,
			    Hv__Command *cmd, struct command_plan *plan)
{
	Hv__Event ev = HV__EVENT__INIT;
	const char *why = NULL;
	struct wait *w;
	uint64_t mark;

	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = cmd;
	ev.proposer = v->self;
	ev.at_us = v->now_us;
	if (!event_valid(&ev, &why)) {
		refuse(ctl, client, v, HV_BAD_INPUT, NULL, why ? why : "the command is malformed");
		return;
	}
	mark = ctl->ops.propose(ctl->user, &ev, plan->type, plan->fenced);
	if (!mark) {
		refuse(ctl, client, v, HV_LIMIT, "try again in a moment",
		       "too many requests are waiting to be committed");
		return;
	}
	w = wait_add(ctl, client, WAIT_COMMAND, CONTROL_COMMAND_MS);
	w->request = cmd->request;
	w->mark = mark;
	w->object = steal_ptr(plan->object);
}

static void do_command(struct control *ctl, uint64_t client, const struct view *v,
		       Hv__ControlRequest *req)
{
	Hv__Command *cmd = req->command;
	struct command_plan plan;
	const struct node *self = cluster_node(v->c, v->self);
	enum hv_rc rc;

	if (!v->current) {
		refuse_not_current(ctl, client, v);
		return;
	}
	if (cmd->actor != protobuf_c_empty_string)
		free(cmd->actor);
	cmd->actor = hv_xasprintf("root@%s", self ? self->name : "?");
	cmd->request = ctl->next_request++;
	rc = command_prepare(v->c, cmd, &plan);
	if (rc == HV_OK && plan.type == RL_COMMAND && v->status->barrier) {
		rc = HV_REFUSED;
		plan.text =
		    hv_xstrdup("too few members to act before the lost nodes are proven off");
		plan.hint = "hvcluster fence confirm NODE, once you have seen that it is off";
	}
	if (rc == HV_OK)
		propose_command(ctl, client, v, cmd, &plan);
	else
		refuse(ctl, client, v, rc, plan.hint, plan.text ? plan.text : hv_rc_text(rc));
	command_plan_done(&plan);
}

static Hv__ControlResponse *command_answer(const struct action *a, uint64_t index, struct wait *w)
{
	Hv__ControlResponse *r = response_new();

	r->rc = a->rc;
	view_fail(r, a->rc, a->hint, "%s", a->text ? a->text : "");
	r->body_case = HV__CONTROL_RESPONSE__BODY_COMMAND;
	r->command = hv_xcalloc(1, sizeof(*r->command));
	hv__command_response__init(r->command);
	r->command->op = a->op;
	r->command->index = index;
	if (w->object && a->rc == HV_OK)
		r->command->object = steal_ptr(w->object);
	return r;
}

void control_answer(struct control *ctl, const struct action *a, uint64_t index)
{
	for (size_t i = 0; i < ctl->count; i++) {
		struct wait *w = &ctl->waits[i];

		if (w->kind == WAIT_COMMAND && w->request == a->request && !w->answer) {
			w->answer = command_answer(a, index, w);
			return;
		}
	}
}

void control_dropped(struct control *ctl, uint64_t mark, enum hv_rc rc)
{
	for (size_t i = 0; i < ctl->count; i++) {
		struct wait *w = &ctl->waits[i];
		Hv__ControlResponse *r;

		if (w->kind != WAIT_COMMAND || w->mark != mark || w->answer)
			continue;
		r = response_new();
		r->rc = rc;
		view_fail(r, rc, "hvcluster status", "%s", hv_rc_text(rc));
		w->answer = r;
		return;
	}
}

/* ---- waiting for operations and events */

static void do_op(struct control *ctl, uint64_t client, const struct view *v,
		  Hv__ControlRequest *req)
{
	Hv__ControlResponse *r;
	struct wait *w;
	uint64_t fingerprint;
	uint32_t wait_ms =
	    req->op->wait_ms < CONTROL_WAIT_MAX_MS ? req->op->wait_ms : CONTROL_WAIT_MAX_MS;
	bool ended;

	fingerprint = view_op_fingerprint(v, req->op->id, &ended);
	if (!ended && wait_ms) {
		w = wait_add(ctl, client, WAIT_OP, wait_ms);
		w->op = req->op->id;
		w->fingerprint = fingerprint;
		return;
	}
	r = response_new();
	send(ctl, client, v, view_op(v, req->op->id, r), r);
}

static void do_events(struct control *ctl, uint64_t client, const struct view *v,
		      Hv__ControlRequest *req)
{
	bool nothing_new = !req->events->tail && req->events->since >= cluster_journal_next(v->c);
	uint32_t wait_ms =
	    req->events->wait_ms < CONTROL_WAIT_MAX_MS ? req->events->wait_ms : CONTROL_WAIT_MAX_MS;
	Hv__ControlResponse *r;

	if (nothing_new && wait_ms) {
		wait_add(ctl, client, WAIT_EVENTS, wait_ms)->events = *req->events;
		return;
	}
	r = response_new();
	send(ctl, client, v, view_events(v, req->events, r), r);
}

/* ---- quorum force: answered when the cluster works again */

static void do_quorum_force(struct control *ctl, uint64_t client, const struct view *v,
			    Hv__ControlRequest *req)
{
	_cleanup_free_ char *text = NULL;
	const char *hint = NULL;
	enum hv_rc rc = ctl->ops.force(ctl->user, v, req->quorum_force, &text, &hint);

	if (rc == HV_OK)
		wait_add(ctl, client, WAIT_FORCE, CONTROL_FORCE_MS);
	else
		refuse(ctl, client, v, rc, hint, text ? text : hv_rc_text(rc));
}

static Hv__ControlResponse *force_result(const struct view *v, bool expired, enum hv_rc *ret_rc)
{
	bool works = v->current && !v->status->barrier;
	Hv__ControlResponse *r;

	if (!works && !expired)
		return NULL;
	r = response_new();
	*ret_rc = HV_OK;
	if (!works)
		*ret_rc = view_fail(r, HV_UNCERTAIN, "hvcluster quorum; hvcluster status",
				    "the cluster does not work yet: %s",
				    v->local_reason ? v->local_reason
						    : "lost nodes are not yet proven off");
	r->body_case = HV__CONTROL_RESPONSE__BODY_COMMAND;
	r->command = hv_xcalloc(1, sizeof(*r->command));
	hv__command_response__init(r->command);
	return r;
}

/* The answer to a wait that is over, NULL while it is not. */
static Hv__ControlResponse *wait_result(struct wait *w, const struct view *v, bool expired,
					enum hv_rc *ret_rc)
{
	Hv__ControlResponse *r;
	bool ended;

	switch (w->kind) {
	case WAIT_COMMAND:
		if (w->answer && (v->status->barrier == 0 || w->answer->rc != HV_OK || expired)) {
			*ret_rc = (enum hv_rc)w->answer->rc;
			return steal_ptr(w->answer);
		}
		if (!expired)
			return NULL;
		r = response_new();
		*ret_rc = view_fail(r, HV_UNCERTAIN, "hvcluster events; hvcluster status",
				    "the cluster has not committed the request within %d s; it may "
				    "still take effect",
				    CONTROL_COMMAND_MS / 1000);
		return r;
	case WAIT_OP:
		if (!expired && view_op_fingerprint(v, w->op, &ended) == w->fingerprint && !ended)
			return NULL;
		r = response_new();
		*ret_rc = view_op(v, w->op, r);
		return r;
	case WAIT_EVENTS:
		if (!expired && w->events.since >= cluster_journal_next(v->c))
			return NULL;
		r = response_new();
		*ret_rc = view_events(v, &w->events, r);
		return r;
	case WAIT_FORCE:
		return force_result(v, expired, ret_rc);
	}
	return NULL;
}

void control_settled(struct control *ctl)
{
	struct view v;
	enum hv_rc rc;
	const char *why;
	uint64_t now = mono_us();
	size_t i = 0;

	if (!ctl->count || !ctl->ops.view(ctl->user, &v, &rc, &why))
		return;
	while (i < ctl->count) {
		struct wait *w = &ctl->waits[i];
		uint64_t client = w->client;
		Hv__ControlResponse *r = wait_result(w, &v, now >= w->deadline_us, &rc);

		if (!r) {
			i++;
			continue;
		}
		wait_remove(ctl, w);
		send(ctl, client, &v, rc, r);
	}
	arm_timer(ctl);
}

static void on_timer(void *user)
{
	struct control *ctl = user;

	ctl->timer = 0;
	ctl->timer_us = 0;
	control_settled(ctl);
	arm_timer(ctl);
}

/* ---- the table */

typedef void (*handler_fn)(struct control *ctl, uint64_t client, const struct view *v,
			   Hv__ControlRequest *req);

#define VIEW_HANDLER(name, call)                                                                   \
	static void name(struct control *ctl, uint64_t client, const struct view *v,               \
			 Hv__ControlRequest *req)                                                  \
	{                                                                                          \
		Hv__ControlResponse *r = response_new();                                           \
		enum hv_rc rc = call;                                                              \
                                                                                                   \
		send(ctl, client, v, rc, r);                                                       \
	}
VIEW_HANDLER(do_status, view_status(v, r))
VIEW_HANDLER(do_vm_list, view_vm_list(v, req->vm_list, r))
VIEW_HANDLER(do_vm_show, view_vm_show(v, req->vm_show, r))
VIEW_HANDLER(do_node_show, view_node_show(v, req->node_show, r))
VIEW_HANDLER(do_report, view_report(v, req->report_failover, r))
VIEW_HANDLER(do_fence_list, view_fence_list(v, req->fence_list, r))
VIEW_HANDLER(do_rule_list, view_rule_list(v, req->rule_list, r))
VIEW_HANDLER(do_settings, view_settings(v, r))
VIEW_HANDLER(do_quorum, view_quorum(v, r))

static const struct {
	Hv__ControlRequest__BodyCase body;
	handler_fn handle;
} handlers[] = {
    {HV__CONTROL_REQUEST__BODY_STATUS, do_status},
    {HV__CONTROL_REQUEST__BODY_VM_LIST, do_vm_list},
    {HV__CONTROL_REQUEST__BODY_VM_SHOW, do_vm_show},
    {HV__CONTROL_REQUEST__BODY_NODE_SHOW, do_node_show},
    {HV__CONTROL_REQUEST__BODY_COMMAND, do_command},
    {HV__CONTROL_REQUEST__BODY_OP, do_op},
    {HV__CONTROL_REQUEST__BODY_EVENTS, do_events},
    {HV__CONTROL_REQUEST__BODY_REPORT_FAILOVER, do_report},
    {HV__CONTROL_REQUEST__BODY_FENCE_LIST, do_fence_list},
    {HV__CONTROL_REQUEST__BODY_SETTINGS, do_settings},
    {HV__CONTROL_REQUEST__BODY_RULE_LIST, do_rule_list},
    {HV__CONTROL_REQUEST__BODY_QUORUM, do_quorum},
    {HV__CONTROL_REQUEST__BODY_QUORUM_FORCE, do_quorum_force},
};

static void dispatch(struct control *ctl, uint64_t client, Hv__ControlRequest *req)
{
	struct view v;
	enum hv_rc rc = HV_INTERNAL;
	const char *why = "";

	if (!ctl->ops.view(ctl->user, &v, &rc, &why)) {
		refuse(ctl, client, NULL, rc,
		       rc == HV_COROSYNC_DOWN ? "systemctl start corosync; corosync-cfgtool -s"
					      : NULL,
		       why);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
		if (handlers[i].body == req->body_case) {
			handlers[i].handle(ctl, client, &v, req);
			return;
		}
	}
	refuse(ctl, client, &v, HV_PROTOCOL, "use the hvcluster program of the same version",
	       "this request is not known to this version of clusterd");
}

void control_request(struct control *ctl, uint64_t client, const uint8_t *payload, size_t len)
{
	Hv__ControlRequest *req = hv__control_request__unpack(NULL, len, payload);

	if (!req) {
		control_malformed(ctl, client, HV_BAD_INPUT, "the request is not a message");
		return;
	}
	dispatch(ctl, client, req);
	hv__control_request__free_unpacked(req, NULL);
	arm_timer(ctl);
}

/* ---- life */

struct control *control_new(qb_loop_t *loop, const struct control_ops *ops, void *user)
{
	struct control *ctl = hv_xcalloc(1, sizeof(*ctl));

	ctl->loop = loop;
	ctl->ops = *ops;
	ctl->user = user;
	ctl->next_request = 1;
	return ctl;
}

void control_free(struct control *ctl)
{
	if (!ctl)
		return;
	while (ctl->count)
		wait_remove(ctl, &ctl->waits[0]);
	if (ctl->timer)
		qb_loop_timer_del(ctl->loop, ctl->timer);
	free(ctl->waits);
	free(ctl);
}
