/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * facts.h - what was last said about each VM of this host, so that only changes are said, and in
 * the order in which they happened.
 *
 * Two sources tell about a VM: libvirt's events, in order, and looks (a job's, an inventory's),
 * which were true at some moment between their beginning and now. An event that came in after a
 * look had begun may be newer than the look: then the look is not believed, and the VM is looked at
 * again. A mark is the number of events so far; a look notes it when it begins.
 *
 * A VM that came by migration and was never resumed since stays INCOMING here, which libvirt itself
 * calls just paused. (A new hypervisord does not know that any more, and says PAUSED.)
 *
 * Main loop only, but for facts_mark().
 */
#ifndef HV_HYPERVISOR_FACTS_H
#define HV_HYPERVISOR_FACTS_H

#include "proto/base.h"
#include "proto/ids.h"
#include "proto/log.pb-c.h"

struct fact {
	char uuid[HV_UUID_LEN + 1], name[256]; /* a foreign domain's name may be any */
	Hv__Observed observed;
	Hv__Cause cause;
	uint64_t event; /* number of its latest event; 0: none */
	bool incoming;
};

struct facts;
struct facts *facts_new(void);
void facts_free(struct facts *fs);

uint64_t facts_mark(const struct facts *fs);
/* Did an event of this VM come in after the mark? */
bool facts_newer(const struct facts *fs, const char *uuid, uint64_t mark);
/* PAUSED of a VM that came by migration is INCOMING. */
Hv__Observed facts_refine(const struct facts *fs, const char *uuid, Hv__Observed observed);

/*
 * An event. `arrived`: it came by migration. Returns the fact to be said, or NULL if it is no news;
 * valid until the next call.
 */
const struct fact *facts_event(struct facts *fs, const char *uuid, const char *name,
			       Hv__Observed observed, Hv__Cause cause, bool arrived);
/* An event that only says that something happened: earlier looks are not to be believed. */
void facts_touch(struct facts *fs, const char *uuid);
/* A look that began at `mark`; NULL if it is no news, or not to be believed. */
const struct fact *facts_look(struct facts *fs, const char *uuid, const char *name,
			      Hv__Observed observed, Hv__Cause cause, uint64_t mark);
/* All that is there, in no particular order, for comparing with an inventory; NULL at the end. */
const struct fact *facts_at(const struct facts *fs, size_t i);
/* Drops what is absent: no more to be said about it. */
void facts_drop_absent(struct facts *fs, uint64_t mark);

#endif
