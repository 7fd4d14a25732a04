/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Administrators: commands at random nodes, answers remembered; and what must be true in the end.
 */
#include "tests/sim/vms.h"

#include <string.h>

/* request number: what was asked for, in its low bits */
#define REQUEST_ADD 1
#define REQUEST_OTHER 2
#define REQUEST_KIND(r) ((r)&3)
#define REQUEST_VM(r) ((int)((r) >> 2 & 63))

static struct host *active_host(struct sim *s)
{
	size_t first = (size_t)prng_range(sim_stream(s, STREAM_ADMIN), 0, s->n - 1);

	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[(first + i) % s->n];

		if (process_runs(h) && mind_current(h->proc.mind) &&
		    !rl_status(h->proc.log)->barrier)
			return h;
	}
	return NULL;
}

static void command(struct sim *s, struct host *h, Hv__Command *cmd, int k, unsigned kind)
{
	struct vms_world *w = s->mind_world;
	Hv__Event ev = HV__EVENT__INIT;

	cmd->request = ++w->requests << 8 | (uint64_t)k << 2 | kind;
	cmd->actor = "root@sim";
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = cmd;
	w->commands++;
	if (mind_propose(h->proc.mind, &ev, RL_COMMAND, 0))
		mind_wake(h->proc.mind);
}

void admin_command_at(struct sim *s, struct host *h, Hv__Command *cmd)
{
	command(s, h, cmd, 0, REQUEST_OTHER);
}

void admin_reply(struct mind *m, const struct action *a)
{
	struct vms_world *w = m->s->mind_world;

	sim_trace(m->s, "node %u answers request %llu: %s %s", m->h->id,
		  (unsigned long long)(a->request >> 8), hv_rc_name(a->rc), a->text ? a->text : "");
	/* Behind a barrier no client is answered. */
	if (REQUEST_KIND(a->request) == REQUEST_ADD && a->rc == HV_OK &&
	    !rl_status(m->h->proc.log)->barrier)
		w->asked[REQUEST_VM(a->request)].added = true;
}

static void add_vm(struct sim *s, struct host *h, int k)
{
	struct vms_world *w = s->mind_world;
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmAdd add = HV__VM_ADD__INIT;

	add.name = w->name[k];
	add.uuid = w->uuid[k];
	add.xml = "<domain/>";
	add.mem_mib = prng_range(sim_stream(s, STREAM_ADMIN), 1, 6) * 128;
	add.vcpus = 1;
	add.priority = (int32_t)prng_range(sim_stream(s, STREAM_ADMIN), 0, 3);
	add.started = prng_chance(sim_stream(s, STREAM_ADMIN), 850);
	cmd.body_case = HV__COMMAND__BODY_VM_ADD;
	cmd.vm_add = &add;
	if (sim_inject(s, "vm add"))
		command(s, h, &cmd, k, REQUEST_ADD);
}

static char *node_word(struct sim *s, char *buf, size_t size, unsigned permille)
{
	if (!prng_chance(sim_stream(s, STREAM_ADMIN), permille))
		return "";
	snprintf(buf, size, "host%llu",
		 (unsigned long long)prng_range(sim_stream(s, STREAM_ADMIN), 1, s->n));
	return buf;
}

static void vm_command(struct sim *s, struct host *h, int k)
{
	struct vms_world *w = s->mind_world;
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmStart start = HV__VM_START__INIT;
	Hv__VmStop stop = HV__VM_STOP__INIT;
	Hv__VmMigrate migrate = HV__VM_MIGRATE__INIT;
	Hv__VmPause pause = HV__VM_PAUSE__INIT;
	Hv__VmResume resume = HV__VM_RESUME__INIT;
	Hv__VmRemove gone = HV__VM_REMOVE__INIT;
	uint64_t x = prng_range(sim_stream(s, STREAM_ADMIN), 0, 99);
	const char *what;
	char node[16];

	start.name = stop.name = migrate.name = pause.name = resume.name = gone.name = w->name[k];
	start.node = migrate.node = node_word(s, node, sizeof(node), 400);
	if (x < 30) {
		what = "vm start";
		cmd.body_case = HV__COMMAND__BODY_VM_START;
		cmd.vm_start = &start;
	} else if (x < 42) {
		stop.force = prng_chance(sim_stream(s, STREAM_ADMIN), 300);
		what = "vm stop";
		cmd.body_case = HV__COMMAND__BODY_VM_STOP;
		cmd.vm_stop = &stop;
	} else if (x < 80) {
		what = "vm migrate";
		cmd.body_case = HV__COMMAND__BODY_VM_MIGRATE;
		cmd.vm_migrate = &migrate;
	} else if (x < 85) {
		what = "vm pause";
		cmd.body_case = HV__COMMAND__BODY_VM_PAUSE;
		cmd.vm_pause = &pause;
	} else if (x < 95) {
		what = "vm resume";
		cmd.body_case = HV__COMMAND__BODY_VM_RESUME;
		cmd.vm_resume = &resume;
	} else {
		gone.stop_first = true;
		what = "vm remove";
		cmd.body_case = HV__COMMAND__BODY_VM_REMOVE;
		cmd.vm_remove = &gone;
	}
	if (!sim_inject(s, what))
		return;
	w->asked[k].removed |= cmd.body_case == HV__COMMAND__BODY_VM_REMOVE;
	command(s, h, &cmd, k, REQUEST_OTHER);
}

static void node_command(struct sim *s, struct host *h, const struct host *target, bool drain)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__NodeDrain d = HV__NODE_DRAIN__INIT;
	Hv__NodeResume r = HV__NODE_RESUME__INIT;
	char name[16];

	snprintf(name, sizeof(name), "host%u", target->id);
	d.node = r.node = name;
	if (drain) {
		cmd.body_case = HV__COMMAND__BODY_NODE_DRAIN;
		cmd.node_drain = &d;
	} else {
		cmd.body_case = HV__COMMAND__BODY_NODE_RESUME;
		cmd.node_resume = &r;
	}
	command(s, h, &cmd, 0, REQUEST_OTHER);
}

/* The word of an administrator who has looked: only about a host that is off. */
static void confirm(struct sim *s, struct host *h, const struct host *target)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__FenceConfirm c = HV__FENCE_CONFIRM__INIT;
	Hv__Event ev = HV__EVENT__INIT;
	char name[16];

	if (target->power)
		return;
	snprintf(name, sizeof(name), "host%u", target->id);
	c.node = name;
	cmd.body_case = HV__COMMAND__BODY_FENCE_CONFIRM;
	cmd.fence_confirm = &c;
	cmd.actor = "root@sim";
	cmd.request = ++((struct vms_world *)s->mind_world)->requests << 8 | REQUEST_OTHER;
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = &cmd;
	if (mind_propose(h->proc.mind, &ev, RL_FENCE, target->id))
		mind_wake(h->proc.mind);
}

static void add_device(struct sim *s, struct host *h, const struct host *target)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__FenceAdd f = HV__FENCE_ADD__INIT;
	char name[16], device[16];

	snprintf(name, sizeof(name), "host%u", target->id);
	snprintf(device, sizeof(device), "bmc%u", target->id);
	f.node = name;
	f.device = device;
	f.level = 1;
	f.agent = "fence_ipmilan";
	f.timeout_s = 20;
	cmd.body_case = HV__COMMAND__BODY_FENCE_ADD;
	cmd.fence_add = &f;
	command(s, h, &cmd, 0, REQUEST_OTHER);
}

static bool add_devices(struct sim *s, struct host *h)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct node *n = cluster_node(h->proc.mind->c, s->hosts[i].id);

		if (n && n->configured && !n->n_devices) {
			add_device(s, h, &s->hosts[i]);
			return true;
		}
	}
	return false;
}

void admin_step(struct sim *s)
{
	struct vms_world *w = s->mind_world;
	struct host *h = active_host(s),
		    *target = &s->hosts[prng_range(sim_stream(s, STREAM_ADMIN), 0, s->n - 1)];
	int k = (int)prng_range(sim_stream(s, STREAM_ADMIN), 0, w->max_vms - 1);
	uint64_t x = prng_range(sim_stream(s, STREAM_ADMIN), 0, 999);

	if (!h || add_devices(s, h))
		return;
	if (!cluster_vm(h->proc.mind->c, w->uuid[k])) {
		if (!w->asked[k].removed)
			add_vm(s, h, k);
	} else if (x < 400) {
		vm_command(s, h, k);
	} else if (x < 430) {
		if (sim_inject(s, "node drain"))
			node_command(s, h, target, true);
	} else if (x < 500) {
		if (sim_inject(s, "node resume"))
			node_command(s, h, target, false);
	} else if (x < 520 && sim_inject(s, "fence confirm")) {
		confirm(s, h, target);
	} else if (x < 540) {
		admin_policy(s, h, target);
	}
}

static void resume_all(struct sim *s, struct host *unused, uint64_t arg)
{
	struct host *h = active_host(s);

	for (size_t i = 0; h && i < s->n; i++)
		node_command(s, h, &s->hosts[i], false);
	if (h)
		add_devices(s, h);
	if (arg)
		sim_at(s, 10 * SEC, resume_all, NULL, arg - 1);
}

void admin_heal(struct sim *s)
{
	sim_at(s, 8 * SEC, resume_all, NULL, 2);
}

/* ---- L1: every VM that can run runs, every other one is blocked with a reason; every operation
 * ends */

static const char *vm_unsettled(struct sim *s, const struct vm *vm, char *buf, size_t size)
{
	struct vms_world *w = s->mind_world;
	int k = vms_find(s, vm->uuid);
	_cleanup_free_ char *reason = reason_sentence(&vm->reason);
	enum dom want = DOM_ABSENT;

	switch (vm->state) {
	case VM_RUNNING:
		want = DOM_RUNNING;
		break;
	case VM_PAUSED:
		want = DOM_PAUSED;
		break;
	case VM_STOPPED:
	case VM_FROZEN:
		break;
	case VM_BLOCKED:
		if (vm->reason.code != REASON_NONE)
			break;
		/* fall through */
	case VM_STARTING:
	case VM_MIGRATING:
	case VM_RESUMING:
	case VM_STOPPING:
	case VM_RECOVERING:
	case VM_CHECKING:
	case VM_PENDING:
	case VM_FAILED:
		snprintf(buf, size, "%s is %s: %s", vm->name, vm_state_name(vm->state), reason);
		return buf;
	}
	for (size_t i = 0; i < s->n; i++) {
		bool owner = vm->node == s->hosts[i].id && want != DOM_ABSENT;

		/* Paused, it may have been moved: it has then never been resumed. */
		if (owner && want == DOM_PAUSED && w->dom[i][k] == DOM_INCOMING)
			continue;
		if (w->dom[i][k] != (owner ? want : DOM_ABSENT)) {
			snprintf(buf, size, "%s is %s on node %u, but host %zu has state %d of it",
				 vm->name, vm_state_name(vm->state), vm->node, i + 1, w->dom[i][k]);
			return buf;
		}
	}
	if ((vm->intent == INTENT_STARTED) == (vm->state == VM_STOPPED)) {
		snprintf(buf, size, "%s is %s, which was not asked for", vm->name,
			 vm_state_name(vm->state));
		return buf;
	}
	return NULL;
}

const char *admin_unsettled(struct sim *s, char *buf, size_t size)
{
	struct vms_world *w = s->mind_world;
	const struct cluster *c = s->hosts[0].proc.up ? s->hosts[0].proc.mind->c : NULL;

	if (!c)
		return "host 1 has no process";
	for (size_t i = 0; i < cluster_node_count(c); i++)
		if (cluster_node_at(c, i)->state != NODE_ONLINE) {
			snprintf(buf, size, "node %u is %s", cluster_node_at(c, i)->id,
				 node_state_name(cluster_node_at(c, i)->state));
			return buf;
		}
	for (size_t i = 0; i < cluster_vm_count(c); i++)
		if (vm_unsettled(s, cluster_vm_at(c, i), buf, size))
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
	for (int k = 0; k < VMS; k++)
		if (w->asked[k].added && !w->asked[k].removed && !cluster_vm(c, w->uuid[k])) {
			snprintf(buf, size, "I5: %s was added, answered, and is not there",
				 w->name[k]);
			return buf;
		}
	return NULL;
}
