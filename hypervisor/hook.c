/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-hook - called by libvirtd before it starts a domain (https://libvirt.org/hooks.html):
 * refuses a VM of the cluster's that clusterd has not asked for.
 *
 *   ln -s .../qemu-hook /etc/libvirt/hooks/qemu.d/hvcluster     and restart libvirtd
 *   qemu-hook [--state-dir DIR] [--run-dir DIR] NAME OPERATION SUB-OPERATION EXTRA <XML
 *
 * It reads files (permit.h), waits a moment at most, and never calls libvirt, which waits for it.
 * What it says on stderr becomes libvirt's error message.
 */
#include "config.h"

#include "hypervisor/permit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 65536 /* libvirt puts <name> and <uuid> first */
/* A source may act on a decision before this host has heard of it. */
#define WAIT_US (5 * HV_US_PER_S)
#define LOOK_EVERY_MS 20

struct call {
	const char *state_dir, *run_dir, *name, *operation;
};

static bool parse(int argc, char **argv, struct call *ret)
{
	int i = 1;

	*ret = (struct call){.state_dir = HV_STATE_DIR, .run_dir = HV_RUN_DIR};
	for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
		if (strcmp(argv[i], "--state-dir") == 0)
			ret->state_dir = argv[i + 1];
		else if (strcmp(argv[i], "--run-dir") == 0)
			ret->run_dir = argv[i + 1];
		else
			return false;
	}
	if (argc - i < 2)
		return false;
	ret->name = argv[i];
	ret->operation = argv[i + 1];
	return true;
}

/* Before a QEMU is started, whatever for. What runs already ("reconnect") is nobody's to refuse. */
static bool is_a_beginning(const char *operation)
{
	static const char *const beginnings[] = {"prepare", "migrate", "restore"};

	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++)
		if (strcmp(operation, beginnings[i]) == 0)
			return true;
	return false;
}

/* The domain's own: the first in what libvirt writes. libvirtd waits until all of it was read. */
static bool read_uuid(char uuid[HV_UUID_LEN + 1])
{
	static char head[HEAD_MAX + 1], rest[4096];
	size_t n = fread(head, 1, HEAD_MAX, stdin);
	const char *p;

	while (fread(rest, 1, sizeof(rest), stdin) > 0)
		;
	head[n] = '\0';
	p = strstr(head, "<uuid>");
	if (!p || strlen(p + 6) < HV_UUID_LEN)
		return false;
	memcpy(uuid, p + 6, HV_UUID_LEN);
	uuid[HV_UUID_LEN] = '\0';
	return hv_uuid_valid(uuid);
}

static bool permitted(const struct call *c, const char *uuid)
{
	uint64_t now = permit_now_us();

	return permit_valid(c->run_dir, PERMIT_STARTING, uuid, now) ||
	       permit_valid(c->run_dir, PERMIT_INCOMING, uuid, now);
}

static bool wait_for_permit(const struct call *c, const char *uuid)
{
	const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};
	bool arrives = strcmp(c->operation, "migrate") == 0;
	uint64_t end = permit_now_us() + (arrives ? WAIT_US : 0);

	while (!permitted(c, uuid)) {
		if (permit_now_us() >= end)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

int main(int argc, char **argv)
{
	char uuid[HV_UUID_LEN + 1] = "";
	enum permit_answer managed;
	struct call c;

	if (!parse(argc, argv, &c)) {
		fprintf(stderr, "usage: qemu-hook [--state-dir DIR] [--run-dir DIR] NAME OPERATION "
				"SUB-OPERATION EXTRA <XML   (libvirt calls it)\n");
		return 2;
	}
	if (!is_a_beginning(c.operation) || !read_uuid(uuid))
		return 0;
	managed = permit_is_managed(c.state_dir, uuid);
	if (managed == PERMIT_NO || wait_for_permit(&c, uuid))
		return 0;
	if (managed == PERMIT_UNKNOWN)
		fprintf(
		    stderr,
		    "hvcluster: whether VM %s belongs to the cluster is not known: %s/%s cannot be "
		    "read; 'systemctl restart clusterd' writes it anew\n",
		    c.name, c.state_dir, PERMIT_MANAGED);
	else
		fprintf(
		    stderr,
		    "hvcluster: VM %s belongs to the cluster, which has not asked for it here: use "
		    "'hvcluster vm start %s' or 'vm migrate', or first 'hvcluster vm set %s "
		    "managed=off'\n",
		    c.name, c.name, c.name);
	return 1;
}
