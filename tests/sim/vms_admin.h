/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vms_admin.h - an administrator's next command: what vms_admin.c, who gives all of them, and
 * vms_back.c, who sets everything back, have in common.
 */
#ifndef HV_TESTS_SIM_VMS_ADMIN_H
#define HV_TESTS_SIM_VMS_ADMIN_H

#include "tests/sim/vms.h"

/* One step has one number from the stream, which seeds all its choices: leaving out a command
 * does not change the next. */
struct ask {
	struct sim *s;
	struct host *h;
	struct prng r;
	bool foolish;
	int k;
	hv_node_id confirmed;
	char name[8][80];
	size_t n_names;
	Hv__Command cmd;
	Hv__VmAdd vm_add;
	Hv__VmRemove vm_remove;
	Hv__VmStart vm_start;
	Hv__VmStop vm_stop;
	Hv__VmMigrate vm_migrate;
	Hv__VmPause vm_pause;
	Hv__VmResume vm_resume;
	Hv__NodeDrain node_drain;
	Hv__NodeResume node_resume;
	Hv__FenceAdd fence_add;
	Hv__FenceLevel fence_level;
	Hv__FenceRemove fence_remove;
	Hv__FenceTest fence_test;
	Hv__FenceConfirm fence_confirm;
	Hv__OpCancel op_cancel;
	Hv__SettingSet setting_set;
	Hv__NodeRelease node_release;
};

/* `h`: a node that answers, or NULL. */
void ask_init(struct ask *a, struct sim *s);
void ask_node_drain(struct ask *a);
/* The word of an administrator who has looked: only about a host that is off, or a member, where it
 * must be refused. Else the command stays empty. */
void ask_confirm(struct ask *a, const struct host *v);
/* True: there were some, and one was asked for. */
bool ask_missing_device(struct ask *a);

#endif
