/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/cluster_time.h"

uint64_t cluster_time_at(const struct cluster_time *t, uint64_t mono_us)
{
	if (mono_us >= t->base_mono)
		return t->base_us + (mono_us - t->base_mono) +
		       (t->base_us + (mono_us - t->base_mono) == 0);
	if (t->base_mono - mono_us >= t->base_us)
		return 1;
	return t->base_us - (t->base_mono - mono_us);
}

void cluster_time_applied(struct cluster_time *t, uint64_t cluster_us, uint64_t mono_us)
{
	uint64_t estimate = cluster_time_at(t, mono_us);

	t->base_us = cluster_us > estimate ? cluster_us : estimate;
	t->base_mono = mono_us;
}

void cluster_time_installed(struct cluster_time *t, uint64_t cluster_us, uint64_t mono_us)
{
	t->base_us = cluster_us;
	t->base_mono = mono_us;
}
