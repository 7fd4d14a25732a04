/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage.h - storage that cannot be used on a node, and what becomes of the VMs that need it.
 *
 * PURE. A VM needs the folders and devices that its disks are in. Each host probes them
 * (hypervisor/storage.h) and tells which ones do not work there; what it does not name is good, or
 * not known to be bad, which is the same here: only what was seen failing counts. A node on which a
 * storage fails gets no VM that needs it. Those that run there:
 *  - errors: leave live, to a node where it works, with the bounds of every other migration;
 *  - it hangs: stay. A migration would hang with it: QEMU waits for its disks before it goes, and
 *    libvirtd looks at the file system (seen: the call did not return, nor did others after it).
 * The guest waits, and goes on when the storage does; it does not run twice by being left alone.
 * With storage_loss=stay all stay. A node is fenced for it only with storage_loss=fence: when it
 * has hung for a minute, or a VM has failed to leave drain_tries times; and another node could run
 * the VM.
 */
#ifndef HV_RESOURCE_STORAGE_H
#define HV_RESOURCE_STORAGE_H

#include "resource/cluster_priv.h"

/* What the VM needs and the node does not have; NULL: nothing. */
const struct storage_fault *storage_fault_of(const struct vm *vm, const struct node *n);
/* The same for all of its group (rule `together`) that run or are meant to. */
const struct storage_fault *storage_fault_of_group(const struct vm *vm, const struct node *n);

/* Absolute paths, ascending, none twice, not too many. */
bool storage_paths_valid(char *const *paths, size_t count);
bool storage_list_valid(Hv__StorageSeen *const *list, size_t count);

/* What a new VM needs: copied. */
void storage_needs(struct vm *vm, char *const *paths, size_t count);
/* What fails on a node, instead of what was known: copied. */
void storage_set(struct node *n, Hv__StorageSeen *const *list, size_t count);
void storage_forget(struct node *n);
/* The node has told: the same, with an event for each change. */
void storage_seen(struct cluster *c, struct node *n, Hv__StorageSeen *const *list, size_t count);

/* Both of an armed cluster only. Nodes are fenced for it; before anything is moved or started in a
 * step, so that nothing goes where all is about to end. */
void storage_fence(struct cluster *c);
/* VMs leave. */
void storage_settle(struct cluster *c);

#endif
