/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vms.h - the brain in the simulated rack: hypervisors with VMs, fence devices, administrators, and
 * clusterd's own clockless parts (proposer, intake, ticker) around brain_step().
 *
 *   vms_mind.c   one node's brain, as clusterd's driver and wiring have it
 *   vms_exec.c   its executor: operations of the state addressed to this node, level-triggered
 *   vms_host.c   the hypervisors: what really runs; I1 and I2 are checked here, not in the brain
 *   vms_policy.c fencing on request
 *   vms_admin.c  administrators' commands, and what must be true when all is healed
 */
#ifndef HV_TESTS_SIM_VMS_H
#define HV_TESTS_SIM_VMS_H

#include "clusterd/cluster_time.h"
#include "clusterd/intake.h"
#include "clusterd/proposer.h"
#include "clusterd/ticker.h"
#include "resource/brain.h"
#include "tests/sim/sim.h"

#define VMS 14

enum dom { DOM_ABSENT, DOM_RUNNING, DOM_PAUSED, DOM_INCOMING };

/* A call that a hypervisor or a fence device works on. */
struct call {
	bool used, cancelled;
	hv_node_id host;
	uint64_t powers, incarnation; /* of the host and of the process that asked */
	hv_op_id op;
	uint32_t attempt;
	enum op_kind kind;
	int vm;
	hv_node_id target, victim;
	uint32_t flags;
	uint64_t began_us;
};

struct asked {
	bool added, removed; /* answered with OK; asked for at any time */
};
struct vms_world {
	uint64_t digest_check;
	char uuid[VMS][HV_UUID_LEN + 1], name[VMS][16];
	enum dom dom[SIM_HOSTS][VMS];
	struct call *calls;
	size_t n_calls, cap_calls;
	struct asked asked[VMS];
	bool fence_broken[SIM_HOSTS]; /* its BMC does not answer */
	bool hv_down[SIM_HOSTS];      /* its hypervisor layer does not answer */
	uint64_t requests;
	unsigned max_vms;
	uint64_t starts, migrations, fences, commands;
};

/* One job of the executor. */
struct job {
	hv_op_id op;
	uint32_t attempt;
	enum op_kind kind;
	bool running, done, cancelled;
	enum hv_rc rc;
	Hv__Observed observed;
	hv_node_id fenced;
	uint64_t began_us, ended_us, mark;
};

struct mind {
	struct sim *s;
	struct host *h;
	struct cluster *c;
	struct cluster_time time;
	struct action_list actions;
	struct proposer *proposer;
	struct intake *intake;
	struct ticker ticker;
	struct nodelist list;
	struct job *jobs;
	size_t n_jobs, cap_jobs;
	bool was_current, unsettled, inventory_sent;
	uint64_t due_us; /* cluster time */
	/* what check of epochs remembers of each VM */
	uint64_t vm_epoch[VMS];
	hv_node_id vm_node[VMS];
};

uint64_t mind_mono(const struct mind *m);
bool mind_current(const struct mind *m);
void mind_wake(struct mind *m);
uint64_t mind_propose(struct mind *m, const Hv__Event *ev, enum rl_entry_type type,
		      hv_node_id fenced);

void exec_reconcile(struct mind *m);
void exec_result(struct mind *m, const struct call *call, enum hv_rc rc, Hv__Observed observed,
		 hv_node_id fenced);

int vms_find(const struct sim *s, const char *uuid);
void vms_call(struct mind *m, const struct operation *op);
void vms_cancel(struct sim *s, struct host *h, hv_op_id op);
void vms_inventory(struct mind *m);
void vms_health(struct mind *m);
void vms_power_off(struct sim *s, struct host *h);
void vms_chance(struct sim *s); /* a guest or a part of a host does something by itself */
void vms_heal(struct sim *s);

void admin_step(struct sim *s);
void admin_reply(struct mind *m, const struct action *a);
/* A command of an administrator whose answer is of no consequence. */
void admin_command_at(struct sim *s, struct host *h, Hv__Command *cmd);
void admin_policy(struct sim *s, struct host *h, const struct host *target); /* vms_policy.c */
void admin_heal(struct sim *s);
/* NULL: all is as it should be. */
const char *admin_unsettled(struct sim *s, char *buf, size_t size);

extern const struct mind_ops vms_mind;

#endif
