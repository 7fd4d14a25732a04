/* SPDX-License-Identifier: GPL-2.0-or-later */
/* action.h - the closed list of outputs of a step (enum action_kind in brain.h), from inside. PURE.
 */
#ifndef HV_RESOURCE_ACTION_H
#define HV_RESOURCE_ACTION_H

#include "resource/cluster_priv.h"

void action_op(struct action_list *l, enum action_kind kind, const struct operation *op);
void action_journal(struct action_list *l, uint64_t line);
/* Takes over text and hint. */
void action_reply(struct action_list *l, const Hv__Event *ev, enum hv_rc rc, char *text, char *hint,
		  hv_op_id op);

#endif
