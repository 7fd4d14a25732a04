/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_setup.h - what hypervisord says of its host's configuration: kept, and compared with what
 * the cluster knows.
 */
#ifndef HV_CLUSTERD_HOST_SETUP_H
#define HV_CLUSTERD_HOST_SETUP_H

#include "resource/brain.h"

/* Every sentence on one line and short enough for an event. hv__host_setup__free_unpacked() frees.
 */
Hv__HostSetup *host_setup_copy(const Hv__HostSetup *from);
/* `said` may be NULL: nothing to compare. */
bool host_setup_same(const Hv__HostSetup *said, const struct host_setup *known);

#endif
