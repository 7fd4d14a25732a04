/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `quorum force`, and what `hvcluster quorum` says: two nodes, of which host2 is not seen. */
#include "clusterd/force.h"
#include "tests/unit/small_cluster.h"

#include <criterion/criterion.h>

static struct rl_status status;
static struct vote_info votes;
static struct nodelist list = {
    .self = 1, .nodes = {{1, 1, "host1"}, {2, 1, "host2"}}, .n_nodes = 2};
static struct view view;
static struct force force;
static unsigned begun, audits, confirms;
static hv_node_id fenced;
static enum hv_rc begin_rc;

static enum hv_rc begin(void *user, char **ret_text)
{
	begun++;
	if (begin_rc != HV_OK)
		*ret_text = hv_xstrdup("corosync said no");
	return begin_rc;
}

static uint64_t propose(void *user, const Hv__Event *ev, enum rl_entry_type type, hv_node_id node)
{
	const char *why = NULL;
	Hv__Event checked = *ev;

	checked.proposer = 1;
	cr_assert(event_valid(&checked, &why), "%s", why);
	cr_assert_eq(type, RL_FENCE, "behind a barrier nothing else is taken");
	cr_assert_str_eq(ev->command->actor, "root@host1");
	if (ev->command->body_case == HV__COMMAND__BODY_QUORUM_FORCE) {
		audits++;
		cr_assert_str_eq(ev->command->quorum_force->off[0], "host2");
		small_step(user, (Hv__Event *)ev);
	} else {
		confirms++;
		fenced = node;
		cr_assert_str_eq(ev->command->fence_confirm->node, "host2");
	}
	return 7;
}

static bool pending(void *user, uint64_t mark)
{
	return false;
}

static const struct force_ops ops = {.begin = begin, .propose = propose, .pending = pending};

static struct view *lost_quorum(struct small *s)
{
	status = (struct rl_status){
	    .phase = RL_NO_QUORUM, .n_view = 1, .view = {1}, .votes = 1, .last_index = 9};
	votes = (struct vote_info){.known = true, .expected = 2, .quorum = 2};
	view = (struct view){.c = s->c,
			     .status = &status,
			     .list = &list,
			     .votes = &votes,
			     .self = 1,
			     .stuck_ms = FORCE_AFTER_MS,
			     .now_us = s->at_us,
			     .cluster_name = "demo"};
	return &view;
}

static enum hv_rc ask(struct small *s, const char *off, const char *word)
{
	_cleanup_free_ char *text = NULL;
	const char *hint = NULL;
	Hv__QuorumForceRequest req = HV__QUORUM_FORCE_REQUEST__INIT;
	char *names[] = {(char *)off};
	enum hv_rc rc;

	req.off = names;
	req.n_off = off ? 1 : 0;
	rc = force_begin(&force, &view, &req, &ops, s, &text, &hint);
	if (word)
		cr_assert(text && strstr(text, word), "'%s' lacks '%s'", text ? text : "", word);
	return rc;
}

Test(force, refused_where_it_is_not_needed_or_not_safe)
{
	_cleanup_small_ struct small s = small_online();
	struct view *v = lost_quorum(&s);

	v->current = true;
	cr_assert_eq(ask(&s, "host2", "active cluster"), HV_REFUSED);
	v->current = false;
	v->stuck_ms = FORCE_AFTER_MS - 1;
	cr_assert_eq(ask(&s, "host2", "10 seconds"), HV_REFUSED);
	v->stuck_ms = FORCE_AFTER_MS;
	for (int phase = RL_DOWN; phase <= RL_LEFT_OUT; phase++) {
		status.phase = (enum rl_phase)phase;
		if (phase != RL_NO_QUORUM && phase != RL_HELLO)
			cr_assert_eq(ask(&s, "host2", NULL), HV_REFUSED, "%s",
				     rl_phase_name(status.phase));
	}
	status.phase = RL_NO_QUORUM;
	status.last_index = 0;
	cr_assert_eq(ask(&s, "host2", "never"), HV_REFUSED);
	status.last_index = 9;
	status.needs_state = true;
	cr_assert_eq(ask(&s, "host2", "log is lost"), HV_REFUSED);
	status.needs_state = false;
	status.disk_failed = true;
	cr_assert_eq(ask(&s, "host2", "disk"), HV_REFUSED);
	cr_assert_eq(begun, 0);
}

Test(force, the_list_names_all_who_are_missing_and_nobody_else)
{
	_cleanup_small_ struct small s = small_online();

	lost_quorum(&s);
	cr_assert_eq(ask(&s, NULL, "host2"), HV_REFUSED);
	cr_assert_eq(ask(&s, "host1", "sees node"), HV_REFUSED);
	cr_assert_eq(ask(&s, "nobody", "no node"), HV_REFUSED);
	cr_assert_eq(begun, 0);
	cr_assert_eq(ask(&s, "host2", NULL), HV_OK);
	cr_assert_eq(begun, 1);
	force_done(&force);
}

Test(force, corosyncs_refusal_is_told)
{
	_cleanup_small_ struct small s = small_online();

	lost_quorum(&s);
	begin_rc = HV_FAILED;
	cr_assert_eq(ask(&s, "host2", "corosync said no"), HV_FAILED);
	cr_assert_not(force.on);
}

Test(force, it_is_audited_once_and_proves_until_the_barrier_is_lifted)
{
	_cleanup_small_ struct small s = small_online();
	Hv__Event ev = HV__EVENT__INIT;
	Hv__View lost = HV__VIEW__INIT;
	Hv__Member m = HV__MEMBER__INIT, *members[] = {&m};
	uint32_t gone[] = {2};

	lost_quorum(&s);
	cr_assert_eq(ask(&s, "host2", NULL), HV_OK);
	m.node = 1;
	m.incarnation = SMALL_INCARNATION;
	m.feature = 1;
	lost.members = members;
	lost.n_members = 1;
	lost.lost = gone;
	lost.n_lost = 1;
	lost.minority = true;
	ev.body_case = HV__EVENT__BODY_VIEW;
	ev.view = &lost;
	small_step(&s, &ev);
	cr_assert(cluster_barrier(s.c));
	force_look(&force, s.c, 1, &ops, &s);
	force_look(&force, s.c, 1, &ops, &s);
	cr_assert_eq(audits, 1);
	cr_assert_eq(confirms, 2, "a proof is good for one epoch only");
	cr_assert_eq(fenced, 2);
	cr_assert(force.on);
	force_done(&force);
}

Test(force, quorum_says_what_each_loss_would_mean)
{
	_cleanup_small_ struct small s = small_online();
	struct view *v = lost_quorum(&s);
	Hv__ControlResponse *r = hv_xcalloc(1, sizeof(*r));

	hv__control_response__init(r);
	status = (struct rl_status){.phase = RL_ACTIVE,
				    .quorate = true,
				    .n_view = 2,
				    .view = {1, 2},
				    .votes = 2,
				    .votes_needed = 2};
	votes.expected = 3;
	votes.device = votes.device_votes = true;
	votes.device_has = 1;
	v->current = true;
	cr_assert_eq(view_quorum(v, r), HV_OK);
	cr_assert_str_eq(r->quorum->mode, "device");
	cr_assert_eq(r->quorum->votes, 3);
	cr_assert_eq(r->quorum->may_lose, 1);
	cr_assert_eq(r->quorum->n_losses, 3);
	cr_assert(r->quorum->losses[0]->quorate && r->quorum->losses[0]->proof_first);
	cr_assert_str_eq(r->quorum->losses[2]->lost, "quorum device");
	cr_assert(r->quorum->losses[2]->quorate && !r->quorum->losses[2]->proof_first);
	cr_assert(strstr(r->quorum->losses[2]->text, "may then lose 0"));
	cr_assert(!r->quorum->can_force && r->quorum->n_missing == 0);
	hv__control_response__free_unpacked(r, NULL);
}
