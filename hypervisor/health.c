/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/health.h"

#include "hypervisor/conn.h"
#include "hypervisor/qemu_proc.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

bool health_judge(const struct health_signs *s, char text[HV_TEXT_MAX])
{
	text[0] = '\0';
	if (s->exhausted)
		snprintf(text, HV_TEXT_MAX, "%u calls to libvirt do not return, no worker is left",
			 s->stuck);
	else if (s->pending_us >= CONN_STALLED_US)
		snprintf(text, HV_TEXT_MAX, "libvirtd does not answer: %s hangs",
			 s->connected ? "a simple request" : "opening a connection");
	else if (!s->connected && (s->was_ill || s->down_us >= HEALTH_DOWN_US))
		snprintf(text, HV_TEXT_MAX, "no connection to libvirtd: %.300s",
			 s->why[0] ? s->why : "not yet made");
	return !text[0];
}

void health_add_processes(char text[HV_TEXT_MAX])
{
	size_t len = strlen(text);

	snprintf(text + len, HV_TEXT_MAX - len, "; QEMU processes alive: %zu", qemu_proc_count());
}

uint64_t health_memory_rest(uint64_t total_mib, uint64_t reserve_mib)
{
	if (reserve_mib == 0) {
		reserve_mib = total_mib / 20;
		if (reserve_mib < 512)
			reserve_mib = 512;
		if (reserve_mib > total_mib / 2)
			reserve_mib = total_mib / 2;
	}
	return total_mib > reserve_mib ? total_mib - reserve_mib : 0;
}

uint64_t health_memory_mib(uint64_t reserve_mib)
{
	struct sysinfo si;

	if (sysinfo(&si) != 0)
		return 0;
	return health_memory_rest(((uint64_t)si.totalram * si.mem_unit) >> 20, reserve_mib);
}

uint32_t health_cpus(void)
{
	int n = get_nprocs();

	return n > 0 ? (uint32_t)n : 1;
}
