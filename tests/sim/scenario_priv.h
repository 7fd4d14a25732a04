/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scenario_priv.h - private to scenario_*.c: a scenario that is being played. */
#ifndef HV_TESTS_SIM_SCENARIO_PRIV_H
#define HV_TESTS_SIM_SCENARIO_PRIV_H

#include "tests/sim/scenario.h"

#define SC_MARKS (2 * SC_EVENTS + 2 * SC_CHECKS + 8)
#define SC_FAILS 6 /* that are named */
#define SC_NOBODY 0

/* What happened to copies of VMs, in the order in which it did; hosts by node id. */
enum fact_kind {
	FACT_TRY,   /* a start was tried on `node` */
	FACT_START, /* it runs on `node`: started there, or arrived from `from` */
	FACT_STOP,  /* a copy on `node` ended */
	FACT_MOVE,  /* live, from `node`; it arrives on `to` */
	FACT_RESET, /* its guest, on `node`, by the cluster itself */
	FACT_FENCE, /* `node` went off by a device, or by itself */
};
struct fact {
	uint64_t at_us;
	enum fact_kind kind;
	int vm;
	hv_node_id node, to, from;
	bool interrupts; /* STOP: it ran until then */
	bool moves;	 /* MOVE, or a START on another node than before */
};

struct sc_request {
	uint64_t id;
	bool answered;
	enum hv_rc rc;
	char text[160];
	const struct sc_event *event; /* of the file, or NULL */
	bool tried_anywhere;	      /* a start that named a node is made without it */
};

/* A host on its way down. */
struct sc_leaving {
	bool on, reboot;
	unsigned phase;
	size_t request; /* number + 1 */
	uint64_t since_us, next_us;
};

struct scenario_run {
	struct sim s;
	struct sim_options options;
	struct sim_result result;
	const struct scenario *sc;
	struct vms_world *w;
	bool by_hand; /* what is seen now was done by a person */
	bool live;    /* t = 0 has come: faults of VMs are on, and all is watched */
	bool cannot_disarm;
	uint64_t t0_us;
	struct {
		uint64_t t_ms, at_us;
	} marks[SC_MARKS];
	size_t n_marks;
	struct sc_request *requests;
	size_t n_requests, cap_requests;
	struct sc_leaving leaving[SIM_HOSTS];
	uint64_t down_at_us[SIM_HOSTS]; /* we switched it off then */

	/* what is wanted now, and where it was last */
	bool wanted[VMS], unmanaged[VMS], there[VMS];
	hv_node_id holder[VMS], last[VMS], coming[VMS];
	hv_node_id at_start[VMS]; /* holder at t = 0 */
	hv_node_id owed[VMS];	  /* ran on a host that was lost, of which nothing is proven */
	uint64_t starts_failed[VMS], moves_failed[VMS];
	bool hold_starts[VMS]; /* before t = 0 it cannot be started */
	bool blind[VMS];

	struct fact *facts;
	size_t n_facts, cap_facts, log_seen;
	size_t n_given; /* the first so many are of what the file gives, done by nobody */
	uint64_t quorate_us[SIM_HOSTS]; /* when the host was last on a side with quorum */
	bool was_on[SIM_HOSTS];
	uint64_t powers_seen[SIM_HOSTS];

	bool refused[SC_RULES];
	char refused_why[256];
	char *fails[SC_FAILS];
	size_t n_fails;
};

/* ---- scenario_run.c */
void run_fail(struct scenario_run *r, const char *fmt, ...) _printf_(2, 3);
void run_for(struct scenario_run *r, uint64_t us);
/* Until nothing is under way any more; false: not within `most_us`. */
bool run_settle(struct scenario_run *r, uint64_t most_us);
/* The state as the cluster itself has it: of a node that may act, else of whoever knows most; NULL:
 * nobody is up. */
const struct cluster *run_cluster(struct scenario_run *r);
void run_power_off(struct scenario_run *r, hv_node_id id);
void run_one_way(struct scenario_run *r, hv_node_id id, bool loss); /* flapping: even ids */
void run_cut(struct scenario_run *r, hv_node_id id, bool cut);
void run_power_on(struct scenario_run *r, hv_node_id id);
void run_leave_all(struct scenario_run *r); /* those whose time has come */
void run_event(struct scenario_run *r, const struct sc_event *e);
void run_leave(struct scenario_run *r, hv_node_id id, bool reboot, size_t request);
/* When the time `t_ms` of the file was. */
uint64_t run_time_us(const struct scenario_run *r, uint64_t t_ms);

/* ---- scenario_world.c: false: the state that is asked for could not be made (run_fail says) */
bool world_make(struct scenario_run *r);

void world_rules_again(struct scenario_run *r, int vm);	     /* those that waited for it */
bool world_cannot(struct scenario_run *r, const char *what); /* false */
bool world_wait_for(struct scenario_run *r, bool (*fn)(struct scenario_run *r), uint64_t most_us);

/* ---- scenario_given.c: VMs, before t = 0 and at it */
bool given_runs_before(const struct scenario_run *r, int k);
bool given_add_vms(struct scenario_run *r);
bool given_begin_vm_states(struct scenario_run *r);
void given_add_wanted(struct scenario_run *r, bool disarmed);
void given_start_wanted(struct scenario_run *r);
void given_leave_unmanaged(struct scenario_run *r);
void given_fault(struct scenario_run *r, int k);
void given_stops(struct scenario_run *r);
void given_starts(struct scenario_run *r);

/* ---- scenario_cmd.c: a request is made; its number, (size_t)-1: nobody takes it */
#define NO_REQUEST ((size_t)-1)
size_t cmd_send(struct scenario_run *r, Hv__Command *cmd, hv_node_id confirmed);
/* Runs until it is answered. */
bool cmd_wait(struct scenario_run *r, size_t request);
/* Both; true: it was granted. */
bool cmd_ask(struct scenario_run *r, Hv__Command *cmd, hv_node_id confirmed);
size_t cmd_vm_start(struct scenario_run *r, int vm, const char *node);
size_t cmd_vm_stop(struct scenario_run *r, int vm, bool force);
size_t cmd_vm_add(struct scenario_run *r, int vm, bool started);
size_t cmd_vm_set(struct scenario_run *r, int vm, const char *key, const char *value);
bool cmd_vm_attributes(struct scenario_run *r, int vm);
size_t cmd_vm_migrate(struct scenario_run *r, int vm, const char *node);
size_t cmd_vm_remove(struct scenario_run *r, int vm);
/* ---- scenario_guest.c */
void guest_prepare(struct scenario_run *r, int vm);
bool guest_attributes(struct scenario_run *r, int vm); /* as the file says; false: not taken */
void run_guest_event(struct scenario_run *r, const struct sc_event *e);

size_t cmd_vm_reset(struct scenario_run *r, int vm);
size_t cmd_vm_lock(struct scenario_run *r, int vm, const char *reason);
size_t cmd_setting(struct scenario_run *r, const char *key, const char *value);
size_t cmd_rule(struct scenario_run *r, const struct sc_rule *rule, unsigned number);
size_t cmd_drain(struct scenario_run *r, const char *node, bool drain);
size_t cmd_shutdown(struct scenario_run *r, const char *node, bool reboot);
size_t cmd_node_fence(struct scenario_run *r, const char *node);
size_t cmd_fence_add(struct scenario_run *r, hv_node_id id, size_t device);
size_t cmd_release(struct scenario_run *r, const char *node);
size_t cmd_fence_confirm(struct scenario_run *r, const char *node);
size_t cmd_arm(struct scenario_run *r, bool disarm, bool ignore);

/* ---- scenario_watch.c */
void watch_start(struct scenario_run *r); /* t = 0 */
void watch(struct scenario_run *r);	  /* takes note of what happened since */
void watch_lost(struct scenario_run *r, hv_node_id id);
void watch_confirmed(struct scenario_run *r, hv_node_id id); /* who says so has looked */
void watch_end(struct scenario_run *r); /* what must hold where all has settled */
bool rule_allows(struct scenario_run *r, const struct sc_rule *rule, int vm, hv_node_id node);

/* A set of nodes of the file. */
static inline bool has_node(uint64_t set, hv_node_id id)
{
	return id >= 1 && id <= SC_NODES && (set >> (id - 1) & 1);
}
void names_of(const struct scenario_run *r, uint64_t set, char *buf, size_t size);

/* ---- scenario_facts.c */
void check_facts(struct scenario_run *r, const struct sc_check *c);
void check_whole(struct scenario_run *r); /* fences, never */

/* ---- scenario_check.c */
/* Those whose time is `t_ms` (UINT64_MAX: the end). */
void check_at(struct scenario_run *r, uint64_t t_ms);

#endif
