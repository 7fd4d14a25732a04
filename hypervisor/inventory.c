/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/inventory.h"

#include "hypervisor/conn.h"
#include "hypervisor/qemu_proc.h"
#include "hypervisor/start_register.h"

#include <stdio.h>
#include <string.h>

static struct inventory_item *add(struct inventory *inv, const char *uuid, const char *name)
{
	struct inventory_item *it;

	/* Grown by doubling: 0, 1, 2, 4 ... are the full sizes. */
	if ((inv->count & (inv->count - 1)) == 0)
		inv->items =
		    hv_xrealloc(inv->items, inv->count ? 2 * inv->count : 1, sizeof(*inv->items));
	it = &inv->items[inv->count++];
	memset(it, 0, sizeof(*it));
	snprintf(it->uuid, sizeof(it->uuid), "%s", uuid);
	snprintf(it->name, sizeof(it->name), "%s", name ? name : "");
	return it;
}

const struct inventory_item *inventory_find(const struct inventory *inv, const char *uuid)
{
	for (size_t i = 0; i < inv->count; i++)
		if (strcmp(inv->items[i].uuid, uuid) == 0)
			return &inv->items[i];
	return NULL;
}

static void add_domain(struct inventory *inv, const virDomainStatsRecord *r)
{
	int state = VIR_DOMAIN_NOSTATE, reason = 0;
	char uuid[VIR_UUID_STRING_BUFLEN];
	struct inventory_item *it;
	struct sight s;

	if (virDomainGetUUIDString(r->dom, uuid) != 0)
		return;
	virTypedParamsGetInt(r->params, r->nparams, "state.state", &state);
	virTypedParamsGetInt(r->params, r->nparams, "state.reason", &reason);
	observe_state(state, reason, &s);
	/* Only these need a closer look, by calls of their own. */
	if (s.observed == HV__OBSERVED__OBSERVED_ABSENT ||
	    s.observed == HV__OBSERVED__OBSERVED_INCOMING)
		observe_domain(r->dom, &s);
	if (s.observed == HV__OBSERVED__OBSERVED_ABSENT)
		return;
	it = add(inv, uuid, virDomainGetName(r->dom));
	it->observed = s.observed;
	it->cause = s.cause;
	if (s.observed == HV__OBSERVED__OBSERVED_UNKNOWN)
		inv->settling = true;
}

static bool ask_libvirt(virConnectPtr c, struct inventory *inv)
{
	virDomainStatsRecordPtr *records = NULL;
	int n = virConnectGetAllDomainStats(c, VIR_DOMAIN_STATS_STATE, &records, 0);

	if (n < 0) {
		snprintf(inv->text, sizeof(inv->text), "%s", conn_error());
		return false;
	}
	for (int i = 0; i < n; i++)
		add_domain(inv, records[i]);
	virDomainStatsRecordListFree(records);
	return true;
}

/*
 * A QEMU that libvirt did not list may have been started since it answered: only one that is older
 * than that answer is odd, so the processes are listed first and those gone meanwhile looked up
 * again.
 */
static void add_orphans(virConnectPtr c, struct inventory *inv, const struct qemu_proc *procs,
			size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sight s;
		struct inventory_item *it;

		if (inventory_find(inv, procs[i].uuid))
			continue;
		observe(c, procs[i].uuid, &s);
		if (s.observed == HV__OBSERVED__OBSERVED_ABSENT)
			continue;
		it = add(inv, procs[i].uuid, procs[i].name);
		it->observed = s.observed;
		it->cause = s.cause;
		if (s.orphan)
			snprintf(inv->text, sizeof(inv->text), "VM %.255s: %.200s", it->name,
				 s.text);
	}
}

static void add_starting(struct inventory *inv)
{
	_cleanup_free_ char(*uuids)[HV_UUID_LEN + 1] = NULL;
	size_t n = start_register_list(&uuids);

	for (size_t i = 0; i < n; i++) {
		if (inventory_find(inv, uuids[i]))
			continue;
		add(inv, uuids[i], "")->observed = HV__OBSERVED__OBSERVED_UNKNOWN;
		inv->settling = true;
	}
}

void inventory_take(virConnectPtr c, struct inventory *inv)
{
	_cleanup_free_ struct qemu_proc *procs = NULL;
	size_t n = 0;

	memset(inv, 0, sizeof(*inv));
	if (!c) {
		snprintf(inv->text, sizeof(inv->text), "there is no connection to libvirt");
		return;
	}
	if (!qemu_proc_list(&procs, &n)) {
		snprintf(inv->text, sizeof(inv->text), "/proc cannot be read");
		return;
	}
	if (!ask_libvirt(c, inv))
		return;
	start_register_heard();
	add_orphans(c, inv, procs, n);
	add_starting(inv);
	inv->complete = virConnectIsAlive(c) == 1;
	if (!inv->complete)
		snprintf(inv->text, sizeof(inv->text), "the connection to libvirt was lost");
}

void inventory_done(struct inventory *inv)
{
	free(inv->items);
	memset(inv, 0, sizeof(*inv));
}
