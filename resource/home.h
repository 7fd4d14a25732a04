/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * home.h - VMs that left a node for its maintenance go back when that is over (setting
 * maintenance_return).
 *
 * PURE. vm->home is set when a drain, or an announced shutdown, moves a VM away, and kept when its
 * new host is drained or lost in turn: home is where it came from at first. It is forgotten when
 * the VM is back, is stopped, is moved by an administrator, or cannot be moved.
 */
#ifndef HV_RESOURCE_HOME_H
#define HV_RESOURCE_HOME_H

#include "resource/cluster_priv.h"

/* It is about to go home: nothing else is to move it. */
bool home_calls(const struct cluster *c, const struct vm *vm);
/* All that may go home now. */
void home_settle(struct cluster *c);

#endif
