/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must be true after every step and when all is healed. Nothing here believes the brain's own
 * books: what was asked is counted at the commands, what runs is looked at in the QEMUs, what is
 * under way at the hypervisors.
 */
#include "tests/sim/vms.h"

#include <string.h>

#define SETTLED_US (25 * SEC)

/* ---- I5: what was answered with OK stays done */

static void applied_here(struct mind *m, uint64_t id, uint64_t index)
{
	struct vms_world *w = vms_of(m->s);
	struct request *q;
	uint32_t bit = 1U << (m->h->id - 1);

	if (!id || id > w->n_requests)
		return;
	q = &w->requests[id - 1];
	/* In a minority epoch that is discarded it may have been before, to no effect. */
	if ((q->applied_by & bit) && q->index != index && !sim_minority_possible(m->s))
		sim_fail(m->s, "I3: node %u carries out request %llu twice: at %llu and at %llu",
			 m->h->id, (unsigned long long)id, (unsigned long long)q->index,
			 (unsigned long long)index);
	q->index = index;
	q->applied_by |= bit;
}

/* The state is now that of `index`: it holds what others say was done up to there. */
static void holds_up_to(struct mind *m, uint64_t index)
{
	struct vms_world *w = vms_of(m->s);
	uint32_t bit = 1U << (m->h->id - 1);

	for (size_t i = 0; i < w->n_requests; i++) {
		struct request *q = &w->requests[i];

		if (q->index > index)
			q->applied_by &= ~bit;
		else if (q->applied_by)
			q->applied_by |= bit;
	}
}

static const char *lost_request(struct sim *s, char *buf, size_t size)
{
	const struct vms_world *w = vms_of(s);
	uint32_t all = s->n == 32 ? UINT32_MAX : (1U << s->n) - 1;

	for (size_t i = 0; i < w->n_requests; i++) {
		const struct request *q = &w->requests[i];

		if (!q->acked || (q->applied_by & all) == all)
			continue;
		snprintf(buf, size,
			 "I5: request %zu was answered with OK, and not every node has applied it",
			 i + 1);
		return buf;
	}
	return NULL;
}

/* ---- each step */

void vms_check_before(struct mind *m, uint64_t index)
{
	if (!m->seen_entry)
		holds_up_to(m, index - 1);
	m->seen_entry = true;
}

/* I3: whoever owns a VM next has a higher epoch. */
static void check_epoch(struct mind *m, const struct vm *vm, int k, bool forget)
{
	if (!forget && vm->node && m->vm_node[k] && vm->node != m->vm_node[k] &&
	    vm->epoch <= m->vm_epoch[k])
		sim_fail(m->s, "I3: %s goes from node %u to %u, epoch %llu after %llu", vm->name,
			 m->vm_node[k], vm->node, (unsigned long long)vm->epoch,
			 (unsigned long long)m->vm_epoch[k]);
	if (!forget && vm->epoch < m->vm_epoch[k])
		sim_fail(m->s, "I3: the epoch of %s falls from %llu to %llu", vm->name,
			 (unsigned long long)m->vm_epoch[k], (unsigned long long)vm->epoch);
	if (vm->node || forget)
		m->vm_node[k] = vm->node;
	m->vm_epoch[k] = vm->epoch;
}

/* Removed while it is not managed, it runs on. A node that catches up tells old stories. */
static void see_let_go(const struct mind *m, const struct vm *vm, int k)
{
	struct let_go *l = &vms_of(m->s)->let_go[k];

	if (cluster_index(m->c) >= l->index)
		*l = (struct let_go){cluster_index(m->c), !vm->managed};
}

/* One that is added again under its uuid is another one. */
static void gone(struct mind *m, int k)
{
	m->vm_epoch[k] = m->vm_node[k] = 0;
	m->crash[k] = (struct crash_watch){0};
	vms_guest_forgiven(m->s, k);
	if (vms_of(m->s)->let_go[k].yes && mind_current(m))
		vms_left_behind(m->s, k);
}

/* Who starts it by hand where it is not knows what he does: the copy of a host that is lost is his
 * affair, but gone it must be in the end. */
static void doubled(struct sim *s, hv_node_id taken, int k)
{
	for (size_t i = 0; i < s->n; i++) {
		struct domain *d = vms_dom(s, s->hosts[i].id, k);

		if (s->hosts[i].id == taken || (d->state == DOM_ABSENT && !d->owed))
			continue;
		d->stray = d->state != DOM_ABSENT;
		d->owed = false;
	}
}

/* Taken over is what the cluster has seen: not a VM that is being started, or whose host is lost or
 * has not reported in this life. Then the state tells of a copy of before, and what a person starts
 * there meanwhile nobody sees. A node that catches up tells old stories. */
static bool takes_over(const struct mind *m, const struct vm *vm)
{
	const struct node *n = cluster_node(m->c, vm->node);

	return n && n->state == NODE_ONLINE && vm->state != VM_STARTING &&
	       vm->state != VM_CHECKING && vm->state != VM_RECOVERING && mind_current(m);
}

static void check_vms(struct mind *m, bool forget)
{
	bool there[VMS] = {false};

	for (size_t i = 0; i < cluster_vm_count(m->c); i++) {
		const struct vm *vm = cluster_vm_at(m->c, i);
		int k = vms_find(m->s, vm->uuid);
		struct domain *d;

		if (k < 0)
			continue;
		there[k] = true;
		see_let_go(m, vm, k);
		check_epoch(m, vm, k, forget);
		d = vm->node ? vms_dom(m->s, vm->node, k) : NULL;
		if (d && d->stray && takes_over(m, vm)) {
			d->stray = false;
			d->owed = d->state != DOM_ABSENT;
			doubled(m->s, vm->node, k);
		}
		if (forget)
			m->wanted[k] = vm->intent == INTENT_STARTED;
	}
	for (int k = 0; k < VMS; k++)
		if (!there[k])
			gone(m, k);
}

static int vm_named(const struct mind *m, const char *name)
{
	const struct vm *vm = cluster_vm_by_name(m->c, name);

	return vm ? vms_find(m->s, vm->uuid) : -1;
}

static void want(struct mind *m, int k, bool started)
{
	if (k >= 0)
		m->wanted[k] = started;
}

/* What administrators want, from their commands alone. */
/* A removal that only waited for its end is done in the same step: it is seen in no state. */
static void follow_vm_set(struct mind *m, const Hv__VmSet *set)
{
	const struct vms_world *w = vms_of(m->s);
	int k = 0;

	while (k < VMS && strcmp(w->name[k], set->name) != 0)
		k++;
	for (size_t i = 0; k < VMS && i < set->n_attributes; i++)
		if (strcmp(set->attributes[i]->key, "managed") == 0 &&
		    cluster_index(m->c) >= w->let_go[k].index)
			vms_of(m->s)->let_go[k] = (struct let_go){
			    cluster_index(m->c), strcmp(set->attributes[i]->value, "off") == 0};
}

static void follow_command(struct mind *m, const Hv__Command *cmd)
{
	const struct operation *op;

	switch ((int)cmd->body_case) {
	case HV__COMMAND__BODY_VM_ADD:
		want(m, vms_find(m->s, cmd->vm_add->uuid), cmd->vm_add->started);
		return;
	case HV__COMMAND__BODY_VM_START:
		want(m, vm_named(m, cmd->vm_start->name), true);
		vms_guest_forgiven(m->s, vm_named(m, cmd->vm_start->name));
		return;
	case HV__COMMAND__BODY_VM_RESET:
		vms_guest_forgiven(m->s, vm_named(m, cmd->vm_reset->name));
		return;
	case HV__COMMAND__BODY_VM_STOP:
		want(m, vm_named(m, cmd->vm_stop->name), false);
		return;
	case HV__COMMAND__BODY_VM_REMOVE:
		want(m, vm_named(m, cmd->vm_remove->name), false);
		return;
	case HV__COMMAND__BODY_VM_SET:
		follow_vm_set(m, cmd->vm_set);
		return;
	case HV__COMMAND__BODY_OP_CANCEL:
		op = cluster_op(m->c, cmd->op_cancel->op);
		if (op && op->vm && op_request(op) == REQ_START)
			want(m, vms_find(m->s, op->vm), false);
		else if (op && op->vm && op_request(op) == REQ_STOP)
			want(m, vms_find(m->s, op->vm), true);
		return;
	}
}

/* Members are not fenced, but when asked for; a cluster that is disarmed begins nothing. */
static void check_hands_off(struct mind *m, uint64_t index, const struct operation *op)
{
	bool off = op->kind == OP_FENCE && !(op->flags & OP_F_POWER_ON);
	bool acts = op->kind == OP_VM_START || op->kind == OP_VM_MIGRATE || off;
	const struct node *n = cluster_node(m->c, op->victim);

	if (acts && cluster_arm(m->c) != ARMED)
		sim_fail(m->s, "node %u, entry %llu: a disarmed cluster begins a %s", m->h->id,
			 (unsigned long long)index, op_kind_name(op->kind));
	if (off && n && !n->fence_wanted && (n->state == NODE_ONLINE || n->state == NODE_JOINING))
		sim_fail(m->s, "node %u, entry %llu: node %u is fenced, and is a member", m->h->id,
			 (unsigned long long)index, n->id);
}

/* Who would be asked to fence it, as the documentation has it: members that are online, else those
 * that join. */
static uint32_t able_to_fence(const struct cluster *c, hv_node_id victim)
{
	uint32_t online = 0, joining = 0;

	for (size_t i = 0; i < cluster_node_count(c); i++) {
		const struct node *n = cluster_node_at(c, i);

		if (n->id != victim && n->state == NODE_ONLINE)
			online |= 1U << (n->id - 1);
		if (n->id != victim && n->state == NODE_JOINING)
			joining |= 1U << (n->id - 1);
	}
	return online ? online : joining;
}

/* A node that has no way to the device is not asked for ever: the next try is another one's. */
static void check_fence_turn(struct mind *m, uint64_t index, const struct operation *op)
{
	uint32_t able = able_to_fence(m->c, op->victim);
	bool alone = !(able & (able - 1));

	if (op->kind != OP_FENCE || (op->flags & OP_F_POWER_ON) || !op->victim ||
	    op->victim > SIM_HOSTS)
		return;
	if (!alone && m->fence_tried[op->victim - 1].attempt + 1 == op->attempt &&
	    m->fence_tried[op->victim - 1].able == able &&
	    m->fence_tried[op->victim - 1].by == op->node)
		sim_fail(m->s, "node %u, entry %llu: node %u tries again to fence node %u",
			 m->h->id, (unsigned long long)index, op->node, op->victim);
	m->fence_tried[op->victim - 1].attempt = op->attempt;
	m->fence_tried[op->victim - 1].able = able;
	m->fence_tried[op->victim - 1].by = op->node;
}

/* Operations that this step began. */
static void check_begun(struct mind *m, uint64_t index)
{
	for (size_t i = cluster_op_count(m->c); i-- > 0;) {
		const struct operation *op = cluster_op_at(m->c, i);
		int k;

		if (op->id < index * 4096)
			return;
		vms_check_wishes(m, index, op);
		check_hands_off(m, index, op);
		check_fence_turn(m, index, op);
		vms_storage_check(m, index, op);
		vms_guest_check_begun(m, index, op);
		k = op->vm ? vms_find(m->s, op->vm) : -1;
		if (op->kind == OP_VM_START && k >= 0 && !m->wanted[k])
			sim_fail(m->s, "node %u, entry %llu: %s is started, and is to be stopped",
				 m->h->id, (unsigned long long)index, vms_of(m->s)->name[k]);
	}
}

static void check_state(struct mind *m, uint64_t index)
{
	struct vms_world *w = vms_of(m->s);
	/* A later epoch may replace what is applied; where nobody is lost, there is none. */
	bool replaced = sim_minority_possible(m->s) && !lossy(m->s);
	const char *broken;

	/* Equal digests, equal books: what was decoded from a snapshot has books of its own. */
	if (index <= w->checked && !m->to_check && !replaced)
		return;
	if (lossy(m->s) && index % 8)
		return; /* its hours are long, and its subject is another */
	if (index > w->checked)
		w->checked = index;
	if (m->to_check)
		m->to_check--;
	/* A digest that was not kept up to date stays wrong: it is seen a little later. */
	broken = index % 16 == 0 || m->to_check ? brain_check(m->c) : brain_check_quick(m->c);
	if (broken)
		sim_fail(m->s, "node %u, entry %llu: %s", m->h->id, (unsigned long long)index,
			 broken);
	if (cluster_op_count(m->c) > HV_MAX_OPS || proposer_count(m->proposer) > PROPOSER_MAX)
		sim_fail(m->s, "I7: node %u, entry %llu: a queue has no bounds", m->h->id,
			 (unsigned long long)index);
}

void vms_check_step(struct mind *m, uint64_t index, const Hv__Event *ev)
{
	for (size_t i = 0; i < m->actions.count; i++) {
		const struct action *a = &m->actions.items[i];

		if (a->kind != ACTION_REPLY)
			continue;
		applied_here(m, a->request, index);
		if (a->rc == HV_OK && ev->command) {
			follow_command(m, ev->command);
			brakes_command(m, ev->command);
		}
	}
	vms_guest_told(m, ev);
	check_begun(m, index);
	vms_crash_check(m, index, ev);
	brakes_step(m, index, ev);
	vms_log_step(m, index);
	check_vms(m, false);
	vms_guest_watch(m);
	check_state(m, index);
}

void vms_check_installed(struct mind *m, uint64_t index)
{
	m->to_check = 3;
	m->seen_entry = true;
	holds_up_to(m, index);
	memset(m->vm_node, 0, sizeof(m->vm_node));
	memset(m->vm_epoch, 0, sizeof(m->vm_epoch));
	memset(m->fence_tried, 0, sizeof(m->fence_tried));
	brakes_installed(m);
	vms_crash_installed(m);
	check_vms(m, true);
	vms_guest_watch(m);
	memset(m->guest_well_us, 0, sizeof(m->guest_well_us)); /* nobody knows since when */
}

/* ---- at the hypervisors: I7, no overcommit */

/* What a host that was cut off still does is not counted by the others. */
static bool is_member(const struct mind *m, hv_node_id host)
{
	const struct node *n = cluster_node(m->c, host);

	return n && (n->state == NODE_ONLINE || n->state == NODE_JOINING);
}

static uint32_t under_way(const struct mind *m, hv_node_id host, enum op_kind kind)
{
	const struct vms_world *w = vms_of(m->s);
	uint32_t count = 0;

	for (size_t i = 0; i < w->n_calls; i++) {
		const struct call *call = &w->calls[i];
		const struct host *h = &m->s->hosts[call->host - 1];

		if (call->used && call->kind == kind && !call->cancelled && !call->superseded &&
		    call->phase != CALL_ANSWERS && h->power && h->powers == call->powers)
			count +=
			    call->host == host ||
			    (kind == OP_VM_MIGRATE && call->target == host && h->proc.up &&
			     h->proc.incarnation == call->incarnation && is_member(m, call->host));
	}
	return count;
}

void vms_check_call(struct mind *m, const struct call *call)
{
	struct vms_world *w = vms_of(m->s);
	uint32_t count = under_way(m, call->host, call->kind);

	w->asked_calls++;
	if (call->kind == OP_VM_START && count > w->most_starts)
		sim_fail(m->s, "I7: host %u starts %u VMs at a time", call->host, count);
	if (call->kind == OP_VM_MIGRATE && count > w->most_migrations)
		sim_fail(m->s, "I7: host %u takes part in %u migrations at a time", call->host,
			 count);
}

/* ---- L1: every VM that can run runs, every other one is blocked with a reason; L2: every
 * operation ends */

static const struct cluster *state_of_all(struct sim *s)
{
	return s->hosts[0].proc.up ? s->hosts[0].proc.mind->c : NULL;
}

static hv_node_id host_with_room(struct sim *s, const struct cluster *c, int k)
{
	const struct vms_world *w = vms_of(s);

	for (size_t i = 0; i < s->n; i++) {
		const struct node *n = cluster_node(c, s->hosts[i].id);

		if (n && n->admin == NODE_ACTIVE && n->hypervisor_ok && !n->quarantined &&
		    vms_used_mib(s, n->id, true) + w->mem_mib[k] <= w->host_mem_mib[i])
			return n->id;
	}
	return 0;
}

static const char *vm_state_wrong(struct sim *s, const struct cluster *c, const struct vm *vm,
				  int k, char *buf, size_t size)
{
	_cleanup_free_ char *reason = reason_sentence(&vm->reason);

	switch (vm->state) {
	case VM_RUNNING:
	case VM_PAUSED:
	case VM_STOPPED:
		return NULL;
	case VM_BLOCKED:
		if (vm->reason.code == REASON_NO_NODE_FITS && !cluster_rule_count(c) &&
		    !vm->n_avoid && host_with_room(s, c, k)) {
			snprintf(buf, size, "%s is blocked: %s; host %u has room", vm->name, reason,
				 host_with_room(s, c, k));
			return buf;
		}
		if (vm->reason.code != REASON_NONE)
			return NULL;
		break;
	case VM_FAILED:
		if (vm->given_up && vm->reason.code != REASON_NONE)
			return NULL;
		break;
	case VM_STARTING:
	case VM_MIGRATING:
	case VM_RESUMING:
	case VM_STOPPING:
	case VM_RECOVERING:
	case VM_CHECKING:
	case VM_PENDING:
	case VM_FROZEN:
		break;
	}
	snprintf(buf, size, "%s is %s: %s", vm->name, vm_state_name(vm->state), reason);
	return buf;
}

static enum dom wanted_here(const struct vm *vm, hv_node_id host)
{
	if (!vm || vm->node != host)
		return DOM_ABSENT;
	return vm->state == VM_RUNNING	? DOM_RUNNING
	       : vm->state == VM_PAUSED ? DOM_PAUSED
					: DOM_ABSENT;
}

/* `vm` NULL: the cluster does not know it. */
static const char *vm_wrong(struct sim *s, const struct vm *vm, int k, char *buf, size_t size)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct domain *d = vms_dom(s, s->hosts[i].id, k);
		enum dom should = wanted_here(vm, s->hosts[i].id);

		if (!vm && (d->stray || vms_of(s)->let_go[k].yes))
			continue; /* a person's own */
		/* Paused, it may have been moved: it has then never been resumed. */
		if (d->state == should || (should == DOM_PAUSED && d->state == DOM_INCOMING))
			continue;
		snprintf(buf, size, "%s is %s on node %u, but host %zu has state %d of it",
			 vms_of(s)->name[k], vm ? vm_state_name(vm->state) : "not known",
			 vm ? vm->node : 0, i + 1, d->state);
		return buf;
	}
	if (vm && vm->managed && (vm->intent == INTENT_STARTED) == (vm->state == VM_STOPPED)) {
		snprintf(buf, size, "%s is %s, which was not asked for", vm->name,
			 vm_state_name(vm->state));
		return buf;
	}
	return NULL;
}

static const char *vms_wrong(struct sim *s, const struct cluster *c, char *buf, size_t size)
{
	const struct vms_world *w = vms_of(s);

	for (int k = 0; k < VMS; k++) {
		const struct vm *vm = cluster_vm(c, w->uuid[k]);

		if (vm && vm_state_wrong(s, c, vm, k, buf, size))
			return buf;
		if (vm_wrong(s, vm, k, buf, size) || (vm && vms_guest_wrong(s, vm, k, buf, size)))
			return buf;
		if (!vm && w->asked[k].added && !w->asked[k].removed) {
			snprintf(buf, size, "I5: %s was added, answered, and is not there",
				 w->name[k]);
			return buf;
		}
	}
	return NULL;
}

/* A drain ends, or says what holds it. */
static const char *drain_wrong(const struct cluster *c, char *buf, size_t size)
{
	for (size_t i = 0; i < cluster_node_count(c); i++) {
		const struct node *n = cluster_node_at(c, i);
		bool held = n->reason.code == REASON_HELD && n->reason.text && *n->reason.text;

		if (n->admin == NODE_ACTIVE || (n->admin == NODE_DRAINING && held) ||
		    (n->admin == NODE_MAINTENANCE && !n->vm_count))
			continue;
		snprintf(buf, size, "L2: node %u is %s, with %u VMs", n->id,
			 node_admin_name(n->admin), n->vm_count);
		return buf;
	}
	return NULL;
}

const char *vms_check_unsettled(struct sim *s, char *buf, size_t size)
{
	const struct cluster *c = state_of_all(s);

	if (!c)
		return "host 1 has no process";
	if (!vms_of(s)->healed)
		return "administrators are not through yet";
	for (size_t i = 0; i < cluster_node_count(c); i++)
		if (cluster_node_at(c, i)->state != NODE_ONLINE) {
			snprintf(buf, size, "node %u is %s", cluster_node_at(c, i)->id,
				 node_state_name(cluster_node_at(c, i)->state));
			return buf;
		}
	if (vms_wrong(s, c, buf, size) || drain_wrong(c, buf, size))
		return buf;
	for (size_t i = 0; i < cluster_op_count(c); i++) {
		const struct operation *op = cluster_op_at(c, i);

		if (op->state == OP_RUNNING) {
			snprintf(buf, size, "operation %llu, %s of %s, has not ended",
				 (unsigned long long)op->id, op_kind_name(op->kind),
				 op->vm ? op->vm : "a node");
			return buf;
		}
	}
	if (brain_next_deadline_us(c)) {
		snprintf(buf, size, "something is due at %llu, and it is %llu",
			 (unsigned long long)brain_next_deadline_us(c),
			 (unsigned long long)cluster_now_us(c));
		return buf;
	}
	return lost_request(s, buf, size);
}

/* A settled, healthy cluster does nothing, and writes nothing. */
void vms_check_settled(struct sim *s)
{
	const struct vms_world *w = vms_of(s);
	uint64_t calls = w->asked_calls, index = cluster_index(state_of_all(s));
	char buf[256];

	sim_run_until(s, s->now_us + SETTLED_US);
	if (s->failed)
		return;
	if (w->asked_calls != calls)
		sim_fail(s, "all was quiet, and yet %llu operations have been begun since",
			 (unsigned long long)(w->asked_calls - calls));
	else if (vms_check_unsettled(s, buf, sizeof(buf)))
		sim_fail(s, "it was settled, and then: %s", buf);
	else if (cluster_index(state_of_all(s)) != index)
		sim_fail(s, "all was quiet, and yet %llu entries have been written since",
			 (unsigned long long)(cluster_index(state_of_all(s)) - index));
}
