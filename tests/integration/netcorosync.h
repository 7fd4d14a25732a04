/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netcorosync.h - a real corosync of one's own, in namespaces, for tests.
 *
 * netcorosync_enter() moves this process into new net, mount, ipc and uts namespaces with private
 * /dev/shm, /run, /etc/corosync, /var/lib/corosync and /var/log; nothing outside is touched, and
 * all of it is gone with the process. One node on the loopback interface; others may be configured
 * that never come.
 */
#ifndef HV_TESTS_NETCOROSYNC_H
#define HV_TESTS_NETCOROSYNC_H

#include <stdbool.h>
#include <sys/types.h>

/* NULL, or why it cannot be done here (not root, no corosync): exit with 77 then. */
const char *netcorosync_enter(void);
/* Nodes alpha (id 11, this one), beta (12), ...; only alpha runs. */
void netcorosync_configure(int n_nodes, const char *alpha_name);
/* Starts `corosync -f`; it dies with us. */
pid_t netcorosync_start(void);
/* Kills it (SIGKILL) and waits. */
void netcorosync_kill(pid_t pid);
/* corosync-cfgtool -R */
bool netcorosync_reload(void);

#endif
