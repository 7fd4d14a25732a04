/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes of VMs: administrators' requests. */
#include "resource/admin.h"

struct answer admin_vm_set(struct cluster *c, const char *actor, const Hv__VmSet *cmd)
{
	return answer_no(HV_REFUSED, NULL, "not available in this version");
}

struct answer admin_vm_lock(struct cluster *c, const char *actor, const Hv__VmLock *cmd)
{
	return answer_no(HV_REFUSED, NULL, "not available in this version");
}
