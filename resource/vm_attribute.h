/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vm_attribute.h - what the administrator sets of a VM, by key and word ("failback", "off").
 *
 * PURE. What each attribute does is the machines' business; here is how it is read and shown. The
 * table is in the order of its keys.
 */
#ifndef HV_RESOURCE_VM_ATTRIBUTE_H
#define HV_RESOURCE_VM_ATTRIBUTE_H

#include "resource/cluster_priv.h"

/* HV_OK, HV_NOT_FOUND (no such key), HV_BAD_INPUT; *ret_help: what it takes (static), unless
 * HV_NOT_FOUND. */
enum hv_rc vm_attribute_check(const char *key, const char *value, const char **ret_help);
/* Key and value were checked. False: it was so already. */
bool vm_attribute_set(struct cluster *c, struct vm *vm, const char *key, const char *value);

#endif
