/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/guest_look.h"

#include "hypervisor/child.h"
#include "hypervisor/job.h"
#include "hypervisor/storage.h"

#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PROBE_MS 4000
#define DISKS_MAX 32

static void domain_freep(virDomainPtr *d)
{
	if (*d)
		virDomainFree(*d);
}
#define _cleanup_domain_ _cleanup_(domain_freep)

static bool is_running(virDomainPtr d)
{
	int state, reason;

	return virDomainGetState(d, &state, &reason, 0) == 0 &&
	       (state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_BLOCKED);
}

/* ---- the agent */

/* A migration or save slows the guest down and stops it at the end: its silence says nothing. */
static bool is_busy(virDomainPtr d)
{
	virDomainJobInfo info;

	return virDomainGetJobInfo(d, &info) != 0 || info.type != VIR_DOMAIN_JOB_NONE;
}

static enum beat_answer ask_agent(virDomainPtr d)
{
	char *said = virDomainQemuAgentCommand(d, "{\"execute\":\"guest-ping\"}", GUEST_ASK_S, 0);
	const virError *e;

	if (said) {
		free(said);
		return BEAT_ANSWERED;
	}
	e = virGetLastError();
	switch (e ? e->code : VIR_ERR_OK) {
	case VIR_ERR_AGENT_UNRESPONSIVE: /* it has not opened its channel, or does not answer */
	case VIR_ERR_AGENT_UNSYNCED:
	case VIR_ERR_ARGUMENT_UNSUPPORTED: /* the VM has no channel for it */
		return BEAT_SILENT;
	default:
		return BEAT_NOBODY_KNOWS;
	}
}

bool guest_look_io(virDomainPtr d, uint64_t *ret_io)
{
	virDomainPtr list[] = {d, NULL};
	virDomainStatsRecordPtr *records = NULL;
	uint64_t io = 0;
	int n = virDomainListGetStats(list, VIR_DOMAIN_STATS_BLOCK | VIR_DOMAIN_STATS_INTERFACE,
				      &records, VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);

	if (n < 0)
		return false;
	/* With NOWAIT the figures are left out while libvirt is busy with the VM. */
	if (n == 1)
		for (int i = 0; i < records[0]->nparams; i++) {
			const virTypedParameter *p = &records[0]->params[i];

			if (p->type == VIR_TYPED_PARAM_ULLONG)
				beat_count_io(p->field, p->value.ul, &io);
		}
	virDomainStatsRecordListFree(records);
	*ret_io = io;
	return n == 1 && io > 0;
}

void guest_look_ask(virConnectPtr v, const char *uuid, struct guest_heard *ret)
{
	_cleanup_domain_ virDomainPtr d = NULL;
	uint64_t began = job_now_us();

	memset(ret, 0, sizeof(*ret));
	ret->answer = BEAT_NOBODY_KNOWS;
	d = v ? virDomainLookupByUUIDString(v, uuid) : NULL;
	if (!d || !is_running(d))
		return;
	ret->answer = ask_agent(d);
	if (ret->answer != BEAT_SILENT)
		return;
	if (!is_running(d) || is_busy(d) || job_now_us() - began > GUEST_ASK_MOST_US)
		ret->answer = BEAT_NOBODY_KNOWS;
	else
		ret->io_known = guest_look_io(d, &ret->io);
}

/* ---- its disks */

static bool paused_by_disk(virDomainPtr d)
{
	int state, reason;

	return virDomainGetState(d, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED &&
	       reason == VIR_DOMAIN_PAUSED_IOERROR;
}

/* The file or device of a disk, "vda". Malloc'ed; NULL: a disk on the network, or nobody knows. */
static char *path_of(virDomainPtr d, const char *disk)
{
	virDomainPtr list[] = {d, NULL};
	virDomainStatsRecordPtr *records = NULL;
	char *path = NULL;

	if (virDomainListGetStats(list, VIR_DOMAIN_STATS_BLOCK, &records, 0) != 1)
		return NULL;
	for (int i = 0; !path && i < records[0]->nparams; i++) {
		const virTypedParameter *p = &records[0]->params[i];
		const char *found = NULL;
		char field[VIR_TYPED_PARAM_FIELD_LENGTH];
		int n = 0;

		if (p->type != VIR_TYPED_PARAM_STRING || strcmp(p->value.s, disk) != 0 ||
		    sscanf(p->field, "block.%d.name", &n) != 1)
			continue;
		snprintf(field, sizeof(field), "block.%d.path", n);
		if (virTypedParamsGetString(records[0]->params, records[0]->nparams, field,
					    &found) == 1)
			path = hv_xstrdup(found);
	}
	virDomainStatsRecordListFree(records);
	return path;
}

static void probe_disk(const char *program, bool room, const char *path, struct guest_disks *ret)
{
	char *argv[] = {(char *)program, (char *)(room ? "--room" : "--disk"), (char *)path, NULL};
	char said[HV_TEXT_MAX];
	int status = child_run(argv, PROBE_MS, said, sizeof(said));

	if (status == STORAGE_PROBE_BLIND)
		ret->told = false;
	else if (status != 0)
		ret->back = false;
}

static void add_disk(virDomainPtr d, const virDomainDiskError *e, const char *probe,
		     struct guest_disks *ret)
{
	bool no_space = e->error == VIR_DOMAIN_DISK_ERROR_NO_SPACE;
	_cleanup_free_ char *path = path_of(d, e->disk);
	size_t len = strlen(ret->text);

	snprintf(ret->text + len, sizeof(ret->text) - len, "%s%s%s%s%s: %s", len ? "; " : "",
		 e->disk, path ? " (" : "", path ? path : "", path ? ")" : "",
		 no_space ? "no space left" : "I/O error");
	ret->no_space |= no_space;
	if (path && path[0] == '/')
		probe_disk(probe, no_space, path, ret);
	else
		ret->told = false;
}

void guest_look_disks(virConnectPtr v, const char *uuid, const char *probe, struct guest_disks *ret)
{
	_cleanup_domain_ virDomainPtr d = v ? virDomainLookupByUUIDString(v, uuid) : NULL;
	virDomainDiskError errors[DISKS_MAX] = {0};
	int n;

	memset(ret, 0, sizeof(*ret));
	if (!d || !paused_by_disk(d))
		return;
	n = virDomainGetDiskErrors(d, errors, DISKS_MAX, 0);
	if (n < 0)
		return;
	ret->known = true;
	ret->told = ret->back = n > 0;
	for (int i = 0; i < n; i++) {
		add_disk(d, &errors[i], probe, ret);
		free(errors[i].disk);
	}
	hv_text_flatten(ret->text);
}
