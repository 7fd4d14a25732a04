/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tell.h - the messages to clusterd, one function each. Borrows everything for the call.
 */
#ifndef HV_HYPERVISOR_TELL_H
#define HV_HYPERVISOR_TELL_H

#include "hypervisor/setup.h"
#include "hypervisor/storage.h"
#include "hypervisor/facts.h"
#include "hypervisor/inventory.h"
#include "hypervisor/job.h"
#include "hypervisor/link.h"

void tell_ready(struct link *l);
void tell_pong(struct link *l, uint64_t seq);
void tell_health(struct link *l, bool ok, const char *text, uint64_t mem_mib, uint32_t cpus,
		 const char *version);
void tell_fact(struct link *l, const struct fact *f);
/* What is known now: the inventory, with the events that came in since it was taken. */
void tell_inventory(struct link *l, const struct inventory *inv, const struct facts *fs);
void tell_guest(struct link *l, const Hv__GuestSeen *seen);
void tell_setup(struct link *l, const struct setup_seen *s);
void tell_storage(struct link *l, const struct storage *s);
void tell_result(struct link *l, const struct job *j, Hv__Observed observed, const char *text);
void tell_progress(struct link *l, const struct job *j);

#endif
