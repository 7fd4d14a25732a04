/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/host_setup.h"

#include <string.h>

static char *line(const char *from, size_t max)
{
	char *s = hv_xstrndup(from, max);

	hv_text_flatten(s);
	return s;
}

Hv__HostSetup *host_setup_copy(const Hv__HostSetup *from)
{
	Hv__HostSetup *s = hv_xcalloc(1, sizeof(*s));

	hv__host_setup__init(s);
	s->hook = line(from->hook, HV_TEXT_MAX);
	s->certificate = line(from->certificate, HV_TEXT_MAX);
	s->disk_lock = line(from->disk_lock, HV_NAME_MAX);
	s->disk_lock_text = line(from->disk_lock_text, HV_TEXT_MAX);
	return s;
}

bool host_setup_same(const Hv__HostSetup *said, const struct host_setup *known)
{
	return !said || (known->hook && strcmp(said->hook, known->hook) == 0 &&
			 strcmp(said->certificate, known->certificate) == 0 &&
			 strcmp(said->disk_lock, known->disk_lock) == 0 &&
			 strcmp(said->disk_lock_text, known->disk_lock_text) == 0);
}
