/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * small_cluster.h - a state for tests of clusterd's parts, made by the real brain from real events:
 * two nodes, host1 (id 1) and host2 (id 2), both online, and VMs that host1 runs.
 */
#ifndef HV_TESTS_SMALL_CLUSTER_H
#define HV_TESTS_SMALL_CLUSTER_H

#include "resource/brain.h"

#include <string.h>

#define SMALL_INCARNATION 5

struct small {
	struct cluster *c;
	uint64_t index, at_us;
	struct action_list actions;
};

static inline void small_done(struct small *s)
{
	action_list_done(&s->actions);
	cluster_free(s->c);
}
#define _cleanup_small_ _cleanup_(small_done)

static inline void small_step(struct small *s, Hv__Event *ev)
{
	s->at_us += 1000;
	ev->at_us = s->at_us;
	ev->wall_ms = 1700000000000 + s->at_us / 1000;
	if (!ev->proposer)
		ev->proposer = 1;
	ev->incarnation = SMALL_INCARNATION;
	brain_step(s->c, ++s->index, ev, &s->actions);
}

/* Both nodes are members; each has yet to report. */
static inline void small_view(struct small *s)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__View view = HV__VIEW__INIT;
	Hv__Member m[2], *members[2] = {&m[0], &m[1]};

	for (uint32_t i = 0; i < 2; i++) {
		hv__member__init(&m[i]);
		m[i].node = i + 1;
		m[i].incarnation = SMALL_INCARNATION;
		m[i].feature = 1;
	}
	view.members = members;
	view.n_members = 2;
	ev.body_case = HV__EVENT__BODY_VIEW;
	ev.view = &view;
	small_step(s, &ev);
}

static inline void small_names(struct small *s)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__NodesConfigured body = HV__NODES_CONFIGURED__INIT;
	Hv__ConfiguredNode n[2], *nodes[2] = {&n[0], &n[1]};

	for (uint32_t i = 0; i < 2; i++) {
		hv__configured_node__init(&n[i]);
		n[i].id = i + 1;
		n[i].name = i ? "host2" : "host1";
		n[i].votes = 1;
	}
	body.nodes = nodes;
	body.n_nodes = 2;
	ev.body_case = HV__EVENT__BODY_NODES_CONFIGURED;
	ev.nodes_configured = &body;
	small_step(s, &ev);
}

static inline void small_report(struct small *s, hv_node_id node)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__NodeReport report = HV__NODE_REPORT__INIT;

	report.node = node;
	report.boot_id = "boot";
	report.mem_mib = 8192;
	report.cpus = 4;
	report.inventory_known = true;
	report.incarnation_seen = SMALL_INCARNATION;
	ev.body_case = HV__EVENT__BODY_NODE_REPORT;
	ev.node_report = &report;
	ev.proposer = node;
	small_step(s, &ev);
}

static inline struct small small_new(void)
{
	struct small s = {.c = cluster_new()};

	action_list_init(&s.actions);
	small_view(&s);
	small_names(&s);
	return s;
}

static inline struct small small_online(void)
{
	struct small s = small_new();

	small_report(&s, 1);
	small_report(&s, 2);
	return s;
}

static inline void small_command(struct small *s, Hv__Command *cmd)
{
	Hv__Event ev = HV__EVENT__INIT;

	cmd->actor = "root@host1";
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = cmd;
	small_step(s, &ev);
}

static inline const struct vm *small_vm_add(struct small *s, const char *name, const char *uuid,
					    bool started)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmAdd add = HV__VM_ADD__INIT;

	add.name = (char *)name;
	add.uuid = (char *)uuid;
	add.xml = "<domain/>";
	add.mem_mib = 512;
	add.vcpus = 1;
	add.started = started;
	cmd.body_case = HV__COMMAND__BODY_VM_ADD;
	cmd.vm_add = &add;
	small_command(s, &cmd);
	return cluster_vm_by_name(s->c, name);
}

/* The start that the state asks for has worked. */
static inline void small_vm_runs(struct small *s, const char *name)
{
	const struct vm *vm = cluster_vm_by_name(s->c, name);
	const struct operation *op = cluster_op(s->c, vm->op);
	Hv__Event ev = HV__EVENT__INIT;
	Hv__OpResult r = HV__OP_RESULT__INIT;

	r.op = op->id;
	r.attempt = op->attempt;
	r.node = op->node;
	r.observed = HV__OBSERVED__OBSERVED_RUNNING;
	ev.proposer = op->node;
	ev.body_case = HV__EVENT__BODY_OP_RESULT;
	ev.op_result = &r;
	small_step(s, &ev);
}

#endif
