/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain_mirror.h - what the hypervisor layer said last of each domain of this host, by uuid, and
 * what the cluster was told of it. A domain that is not in it is absent.
 */
#ifndef HV_CLUSTERD_DOMAIN_MIRROR_H
#define HV_CLUSTERD_DOMAIN_MIRROR_H

#include "proto/ids.h"
#include "proto/log.pb-c.h"

#include <stdbool.h>
#include <stddef.h>

struct mirror_item {
	char uuid[HV_UUID_LEN + 1];
	char name[HV_NAME_MAX + 1]; /* cut if it is longer: an unmanaged domain's */
	Hv__Observed observed;
	Hv__Cause cause;
	bool confirmed; /* used while an inventory is taken over */
	bool starting;	/* the next inventory may be older than the start: its absence there says
			   nothing */
	/* the proposal in flight, and what was told last */
	uint64_t mark;
	bool told;
	Hv__Observed told_observed;
	uint64_t told_epoch;
	unsigned told_state;
	uint64_t told_us;
};

struct domain_mirror;
struct domain_mirror *domain_mirror_new(void);
void domain_mirror_free(struct domain_mirror *m);
/* A complete list: whatever is not in it is absent now. */
void domain_mirror_replace(struct domain_mirror *m, Hv__DomainSeen *const *domains, size_t count);
void domain_mirror_set(struct domain_mirror *m, const Hv__DomainSeen *seen);
/* NULL: nothing is known but that it is absent. Valid until the mirror changes. */
struct mirror_item *domain_mirror_find(struct domain_mirror *m, const char *uuid);
/* Makes an entry to remember what was told of it. There must be none. */
struct mirror_item *domain_mirror_add_absent(struct domain_mirror *m, const char *uuid);
/* Drops entries of absent domains of which nothing was told, but for those that were migrated away:
 * that is asked for later (intake_cause()). */
void domain_mirror_forget_absent(struct domain_mirror *m);
/* All that are not absent, for a report. The caller frees both arrays; the strings are the
 * mirror's. */
size_t domain_mirror_present(const struct domain_mirror *m, Hv__DomainSeen **ret_items,
			     Hv__DomainSeen ***ret_list);

#endif
