/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/setup.h"

#include "proto/log.pb-c.h"

static bool sentence_fits(const char *s)
{
	if (strlen(s) > HV_TEXT_MAX)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

bool setup_valid(const Hv__HostSetup *s)
{
	return !s || (sentence_fits(s->hook) && sentence_fits(s->certificate) &&
		      sentence_fits(s->disk_lock_text) && sentence_fits(s->disk_lock) &&
		      strlen(s->disk_lock) <= HV_NAME_MAX);
}

void setup_forget(struct node *n)
{
	free(n->setup.hook);
	free(n->setup.certificate);
	free(n->setup.disk_lock);
	free(n->setup.disk_lock_text);
	n->setup = (struct host_setup){0};
}

void setup_set(struct node *n, const Hv__HostSetup *s)
{
	if (!s)
		return;
	setup_forget(n);
	n->setup = (struct host_setup){hv_xstrdup(s->hook), hv_xstrdup(s->certificate),
				       hv_xstrdup(s->disk_lock), hv_xstrdup(s->disk_lock_text)};
}
