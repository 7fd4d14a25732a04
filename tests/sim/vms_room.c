/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a host's VMs hold of its memory, seen from the QEMUs. */
#include "tests/sim/vms.h"

void vms_left_behind(struct sim *s, int k)
{
	for (size_t i = 0; i < s->n; i++)
		if (vms_of(s)->dom[i][k].state != DOM_ABSENT)
			vms_of(s)->dom[i][k].unplanned = true;
}

uint64_t vms_used_mib(struct sim *s, hv_node_id host, bool unplanned)
{
	uint64_t mib = 0;

	for (int k = 0; k < VMS; k++)
		if (vms_dom(s, host, k)->state != DOM_ABSENT &&
		    (unplanned || !vms_dom(s, host, k)->unplanned))
			mib += vms_of(s)->mem_mib[k];
	return mib;
}

void vms_check_room(struct sim *s, hv_node_id host, int k)
{
	const struct vms_world *w = vms_of(s);

	if (vms_used_mib(s, host, false) > w->host_mem_mib[host - 1])
		sim_fail(s, "host %u: with %s its VMs have %llu MiB, of %llu", host, w->name[k],
			 (unsigned long long)vms_used_mib(s, host, false),
			 (unsigned long long)w->host_mem_mib[host - 1]);
}
