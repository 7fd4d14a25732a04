/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/clusterd_priv.h"

#include "clusterd/host_time.h"
#include "clusterd/logging.h"
#include "clusterd/proposer.h"

/* ---- between the parts and the driver */

static uint64_t propose_typed(void *user, const Hv__Event *ev, enum rl_entry_type type,
			      hv_node_id fenced)
{
	struct clusterd *d = user;

	return driver_propose(d->driver, ev, type, fenced);
}

static uint64_t propose_plain(void *user, const Hv__Event *ev)
{
	return propose_typed(user, ev, RL_COMMAND, 0);
}

static uint64_t propose_tick(void *user, const Hv__Event *ev, bool fence)
{
	return propose_typed(user, ev, fence ? RL_FENCE : RL_COMMAND, 0);
}

static uint64_t propose_result(void *user, const Hv__Event *ev, bool fence, hv_node_id fenced)
{
	return propose_typed(user, ev, fence ? RL_FENCE : RL_COMMAND, fenced);
}

static uint64_t propose_command(void *user, const Hv__Event *ev, enum rl_entry_type type,
				hv_node_id fenced)
{
	struct clusterd *d = user;

	/* The other half is for what this node itself has to say. */
	if (driver_proposals(d->driver) > PROPOSER_MAX / 2)
		return 0;
	return driver_propose(d->driver, ev, type, fenced);
}

static bool pending(void *user, uint64_t mark)
{
	struct clusterd *d = user;

	return driver_pending(d->driver, mark);
}

static Hv__Cause cause_of(void *user, const char *uuid)
{
	struct clusterd *d = user;

	return intake_cause(d->intake, uuid);
}

static uint64_t time_at(void *user, uint64_t at_mono_us)
{
	struct clusterd *d = user;

	return driver_time_at(d->driver, at_mono_us);
}

static void wake(void *user)
{
	struct clusterd *d = user;

	if (d->driver)
		driver_wake(d->driver);
}

static void to_hypervisord(void *user, const Hv__HvRequest *req)
{
	struct clusterd *d = user;

	if (req->body_case == HV__HV_REQUEST__BODY_JOB &&
	    req->job->kind == HV__HV_JOB_KIND__HV_JOB_START)
		intake_starting(d->intake, req->job->uuid);
	hv_client_send(d->hv, req);
}

static void to_client(void *user, uint64_t client, const uint8_t *payload, size_t len)
{
	struct clusterd *d = user;

	ipc_server_reply(d->ipc, client, payload, len);
}

/* ---- from the driver */

/* Entries of an earlier epoch are old news, said again after a restart: for the blackbox only. */
static void log_journal_line(struct clusterd *d, uint64_t id)
{
	static const uint8_t levels[] = {[SEV_INFO] = LOG_INFO,
					 [SEV_NOTICE] = LOG_NOTICE,
					 [SEV_WARNING] = LOG_WARNING,
					 [SEV_ERROR] = LOG_ERR};
	const struct journal_line *l = cluster_journal(driver_cluster(d->driver), id);
	uint8_t level;

	if (!l)
		return;
	level = driver_current(d->driver) ? levels[l->severity] : LOG_DEBUG;
	qb_log(level, "%s: %s -> %s: %s", l->object, l->from && *l->from ? l->from : "-",
	       l->to && *l->to ? l->to : "-", l->cause ? l->cause : "");
}

static void on_action(struct clusterd *d, uint64_t index, const struct action *a)
{
	switch (a->kind) {
	case ACTION_REPLY:
		if (a->node == driver_self(d->driver) &&
		    a->incarnation == driver_incarnation(d->driver))
			control_answer(d->control, a, index);
		break;
	case ACTION_OP_BEGUN:
	case ACTION_OP_CANCEL:
	case ACTION_OP_ENDED:
		executor_hint(d->executor, a->op);
		break;
	case ACTION_JOURNAL:
		log_journal_line(d, a->op);
		break;
	}
}

static void on_applied(void *user, uint64_t index, const Hv__Event *ev,
		       const struct action_list *actions)
{
	struct clusterd *d = user;

	for (size_t i = 0; i < actions->count; i++)
		on_action(d, index, &actions->items[i]);
	intake_state_changed(d->intake, mono_us(), false);
}

static void on_installed(void *user)
{
	struct clusterd *d = user;

	executor_installed(d->executor);
	intake_state_changed(d->intake, mono_us(), true);
}

static void on_due(void *user)
{
	struct clusterd *d = user;

	d->due = 0;
	driver_wake(d->driver);
}

static uint64_t sooner(uint64_t a_us, uint64_t b_us)
{
	return a_us && (!b_us || a_us < b_us) ? a_us : b_us;
}

/* One timer for all: `at_us` is CLOCK_MONOTONIC, 0 for never. */
static void arm_due(struct clusterd *d, uint64_t at_us)
{
	uint64_t now = mono_us(), wait = at_us > now ? at_us - now : 0;

	if (d->due)
		qb_loop_timer_del(d->loop, d->due);
	d->due = 0;
	if (at_us)
		qb_loop_timer_add(d->loop, QB_LOOP_HIGH, (wait + HV_US_PER_MS) * 1000, d, on_due,
				  &d->due);
}

/* What only the coordinator has to say; when to look again. */
static uint64_t reconcile_ticker(struct clusterd *d)
{
	static const struct ticker_ops ticker_ops = {.propose = propose_tick, .pending = pending};
	const struct rl_status *s = driver_status(d->driver);
	uint64_t now_us = driver_now_us(d->driver), due_us;

	if (s->coordinator != driver_self(d->driver))
		return 0;
	due_us = ticker_reconcile(&d->ticker, driver_cluster(d->driver), &d->list, s, now_us,
				  &ticker_ops, d);
	if (!due_us)
		return 0;
	return mono_us() + (due_us > now_us ? due_us - now_us : 0);
}

static void say_status(struct clusterd *d, bool current)
{
	const struct rl_status *s = driver_status(d->driver);

	if (current)
		notify_status(d->notify, "active, %zu members, %zu VMs", s->n_members,
			      cluster_vm_count(driver_cluster(d->driver)));
	else
		notify_status(d->notify, "not active: %s", clusterd_local_reason(d));
}

static enum hv_rc force_quorum(void *user, char **ret_text)
{
	struct clusterd *d = user;

	return driver_force(d->driver, ret_text);
}

static const struct force_ops force_ops = {
    .begin = force_quorum, .propose = propose_typed, .pending = pending};

static enum hv_rc on_force(void *user, const struct view *v, const Hv__QuorumForceRequest *req,
			   char **ret_text, const char **ret_hint)
{
	struct clusterd *d = user;

	return force_begin(&d->force, v, req, &force_ops, d, ret_text, ret_hint);
}

static void on_settled(void *user)
{
	struct clusterd *d = user;
	const struct cluster *c = driver_cluster(d->driver);
	bool current = driver_current(d->driver);
	uint64_t at_us;

	if (current && !d->was_current) {
		executor_rescan(d->executor);
		intake_state_changed(d->intake, mono_us(), true);
	}
	d->was_current = current;
	if (current)
		d->stuck_us = 0;
	else if (!d->stuck_us)
		d->stuck_us = mono_us();
	at_us = executor_reconcile(d->executor, c, current, hv_client_up(d->hv), mono_us());
	if (current) {
		force_look(&d->force, c, driver_status(d->driver)->barrier, &force_ops, d);
		intake_reconcile(d->intake, c, mono_us());
		at_us = sooner(at_us, intake_next_us(d->intake));
		at_us = sooner(at_us, reconcile_ticker(d));
	}
	if (current && hv_client_up(d->hv))
		at_us = sooner(
		    at_us, watchlist_reconcile(d->watchlist, c, driver_self(d->driver), mono_us()));
	at_us = sooner(at_us, clusterd_watch_look(d));
	at_us = sooner(at_us, guard_reconcile(d->guard, c, d->intake, current, mono_us()));
	arm_due(d, at_us);
	control_settled(d->control);
	say_status(d, current);
	farewell_look(d->farewell, current ? cluster_node(c, driver_self(d->driver)) : NULL);
}

/* ---- the host goes down */

static bool announce(void *user, bool reboot)
{
	struct clusterd *d = user;
	const struct node *self = cluster_node(driver_cluster(d->driver), driver_self(d->driver));
	Hv__Event ev = HV__EVENT__INIT;
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__NodeShutdown down = HV__NODE_SHUTDOWN__INIT;

	if (!self)
		return false;
	if (self->leaving != NODE_STAYS && !self->leaving_op)
		return false; /* `hvcluster node shutdown` has seen to it */
	down.node = self->name;
	down.reboot = reboot;
	cmd.actor = (char *)"systemd";
	cmd.body_case = HV__COMMAND__BODY_NODE_SHUTDOWN;
	cmd.node_shutdown = &down;
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = &cmd;
	if (!propose_plain(d, &ev))
		return false;
	wake(d);
	return true;
}

static void farewell_over(void *user)
{
	struct clusterd *d = user;

	clusterd_leave(d);
}

const struct farewell_ops clusterd_farewell_ops = {.announce = announce, .over = farewell_over};

static void on_gossip(void *user, hv_node_id node, const Hv__Gossip *g)
{
	struct clusterd *d = user;

	progress_set(&d->progress, g->op, g->permille, g->text);
	control_settled(d->control);
}

static void on_dropped(void *user, uint64_t mark, enum hv_rc rc)
{
	struct clusterd *d = user;

	control_dropped(d->control, mark, rc);
}

static void look_at_corosync(struct clusterd *d)
{
	corosync_hold_look(d->hold, driver_self_delivered_us(d->driver),
			   driver_corosync_up(d->driver));
}

static void on_ring(void *user, struct rl_ring ring, const hv_node_id *members, size_t n)
{
	struct clusterd *d = user;

	corosync_hold_ring(d->hold, ring, members, n);
	look_at_corosync(d);
}

static void on_votes(void *user, struct rl_ring ring, bool quorate)
{
	struct clusterd *d = user;

	corosync_hold_votes(d->hold, ring, quorate);
	look_at_corosync(d);
}

static void on_link_down(void *user)
{
	look_at_corosync(user);
}

static void on_stalled(void *user)
{
	struct clusterd *d = user;

	guard_stalled(d->guard);
}

static void on_fatal(void *user, enum hv_rc rc, const char *text)
{
	struct clusterd *d = user;

	log_error("%s", text);
	clusterd_end(d, rc);
}

/* ---- from hypervisord */

static void on_hv_up(void *user)
{
	struct clusterd *d = user;

	if (d->executor)
		executor_hypervisor_up(d->executor);
	watchlist_forget(d->watchlist);
	wake(d);
}

static void on_hv_down(void *user, const char *why)
{
	struct clusterd *d = user;

	intake_hypervisor_gone(d->intake, why, mono_us());
	wake(d);
}

static void on_progress(struct clusterd *d, const Hv__HvProgress *p)
{
	Hv__Gossip g = HV__GOSSIP__INIT;

	if (!d->driver || !executor_knows(d->executor, p->id))
		return;
	g.op = p->id;
	g.permille = p->permille;
	g.text = p->text;
	driver_gossip(d->driver, &g);
}

static void on_result(struct clusterd *d, const Hv__HvResult *r)
{
	const struct operation *op =
	    d->driver ? cluster_op(driver_cluster(d->driver), r->id) : NULL;

	if (!op)
		return;
	executor_result(d->executor, r);
	if (op->kind == OP_VM_RESET && r->rc == HV_OK)
		intake_guest_reset(d->intake, op->vm);
	if (op->vm)
		intake_observed(d->intake, op->vm, r->observed);
}

static void on_hv_message(void *user, const Hv__HvMessage *msg)
{
	struct clusterd *d = user;

	switch (msg->body_case) {
	case HV__HV_MESSAGE__BODY_RESULT:
		on_result(d, msg->result);
		break;
	case HV__HV_MESSAGE__BODY_PROGRESS:
		on_progress(d, msg->progress);
		return;
	case HV__HV_MESSAGE__BODY_DOMAIN:
		intake_domain(d->intake, msg->domain);
		break;
	case HV__HV_MESSAGE__BODY_INVENTORY:
		intake_inventory(d->intake, msg->inventory);
		break;
	case HV__HV_MESSAGE__BODY_HEALTH:
		intake_health(d->intake, msg->health, mono_us());
		break;
	case HV__HV_MESSAGE__BODY_STORAGE:
		intake_storage(d->intake, msg->storage);
		break;
	case HV__HV_MESSAGE__BODY_GUEST:
		intake_guest(d->intake, msg->guest);
		break;
	case HV__HV_MESSAGE__BODY_SETUP:
		intake_setup(d->intake, msg->setup);
		break;
	case HV__HV_MESSAGE__BODY_PONG:
	case HV__HV_MESSAGE__BODY_READY:
	case HV__HV_MESSAGE__BODY__NOT_SET:
	case _HV__HV_MESSAGE__BODY__CASE_IS_INT_SIZE:
		return;
	}
	wake(d);
}

/* ---- from clients */

/* What a request proposed is taken to the log once the request is registered as waiting. */
static void on_request(void *user, uint64_t client, uid_t uid, const uint8_t *payload, size_t len)
{
	struct clusterd *d = user;
	size_t before = d->driver ? driver_proposals(d->driver) : 0;

	control_request(d->control, client, payload, len);
	if (d->driver && driver_proposals(d->driver) > before)
		wake(d);
}

static void on_malformed(void *user, uint64_t client, enum hv_rc rc, const char *why)
{
	struct clusterd *d = user;

	log_warning("control socket: %s", why);
	control_malformed(d->control, client, rc, why);
}

static void on_client_gone(void *user, uint64_t client)
{
	struct clusterd *d = user;

	control_gone(d->control, client);
}

/* ---- the wires */

const struct driver_ops clusterd_driver_ops = {
    .applied = on_applied,
    .installed = on_installed,
    .settled = on_settled,
    .gossip = on_gossip,
    .dropped = on_dropped,
    .ring = on_ring,
    .votes = on_votes,
    .link_down = on_link_down,
    .stalled = on_stalled,
    .fatal = on_fatal,
};
const struct intake_ops clusterd_intake_ops = {.propose = propose_plain, .pending = pending};
const struct executor_ops clusterd_executor_ops = {
    .request = to_hypervisord,
    .propose = propose_result,
    .pending = pending,
    .cause = cause_of,
    .time_at = time_at,
    .wake = wake,
};
const struct watchlist_ops clusterd_watchlist_ops = {.request = to_hypervisord};
const struct control_ops clusterd_control_ops = {
    .view = clusterd_view, .propose = propose_command, .force = on_force, .reply = to_client};
const struct hv_client_ops clusterd_hv_ops = {
    .up = on_hv_up, .down = on_hv_down, .message = on_hv_message};
const struct ipc_server_ops clusterd_ipc_ops = {
    .request = on_request, .malformed = on_malformed, .gone = on_client_gone};
