/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What somebody should mend on a host: its own words, and where its lock manager is not the one
 * that the cluster is to have. */
#include "clusterd/view_items.h"

#include <string.h>

static char *lock_differs(const struct node *n, const char *wanted)
{
	const char *has = n->setup.disk_lock;

	if (strcmp(wanted, "none") == 0)
		return hv_xasprintf(
		    "its libvirt locks the VMs' disks with %s, and disk_lock is none: "
		    "'hvcluster set disk_lock %s', or take lock_manager out of "
		    "/etc/libvirt/qemu.conf and restart libvirtd",
		    has, has);
	return hv_xasprintf("disk_lock is %s, and its libvirt uses %s: lock_manager = \"%s\" in "
			    "/etc/libvirt/qemu.conf, then restart libvirtd",
			    wanted, strcmp(has, "none") == 0 ? "no lock manager" : has, wanted);
}

size_t view_setup_lines(const struct view *v, const struct node *n, char *ret[VIEW_SETUP_MAX])
{
	const char *wanted = cluster_setting(v->c, "disk_lock");
	const struct host_setup *s = &n->setup;
	size_t count = 0;

	if (!s->hook)
		return 0;
	if (*s->hook)
		ret[count++] = hv_xstrdup(s->hook);
	if (*s->certificate && cluster_migration_tls(v->c))
		ret[count++] = hv_xstrdup(s->certificate);
	if (*s->disk_lock && strcmp(s->disk_lock, wanted) != 0)
		ret[count++] = lock_differs(n, wanted);
	else if (*s->disk_lock_text && strcmp(wanted, "none") != 0)
		ret[count++] = hv_xstrdup(s->disk_lock_text);
	return count;
}
