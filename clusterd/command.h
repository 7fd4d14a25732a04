/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * command.h - an administrator's command before it is proposed: checked, completed, classified.
 *
 * What needs this host is done here, once, by the node that was asked: reading the domain XML,
 * making a uuid, looking for the fence agent. What needs the state is the brain's to judge, on all
 * nodes.
 */
#ifndef HV_CLUSTERD_COMMAND_H
#define HV_CLUSTERD_COMMAND_H

#include "proto/log.pb-c.h"
#include "quorum/replog.h"
#include "resource/cluster.h"

struct command_plan {
	enum rl_entry_type type;
	hv_node_id fenced; /* the entry proves this node to be off */
	char *object;	   /* malloc'ed name of what is made, or NULL */
	char *text;	   /* malloc'ed cause of a refusal */
	const char *hint;
};
/*
 * Completes `cmd` in place (its strings are malloc'ed, as protobuf-c unpacked them). HV_OK: propose
 * it as the plan says.
 */
enum hv_rc command_prepare(const struct cluster *c, Hv__Command *cmd, struct command_plan *ret);
void command_plan_done(struct command_plan *plan);

#endif
