/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * balance.h - with the setting stickiness off, VMs are moved live for balance alone.
 *
 * PURE. One at a time, and only when nothing has changed for ten seconds and nothing is going on:
 * from a fuller node to an emptier
 * one, if the emptier is, with the VM, clearly better off than the fuller was. Each such move makes
 * the fullest nodes emptier, so it comes to an end.
 */
#ifndef HV_RESOURCE_BALANCE_H
#define HV_RESOURCE_BALANCE_H

#include "resource/cluster_priv.h"

void balance_settle(struct cluster *c);

#endif
