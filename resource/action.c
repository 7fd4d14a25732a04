/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/action.h"

void action_list_init(struct action_list *l)
{
	*l = (struct action_list){0};
}

void action_list_clear(struct action_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i].text);
		free(l->items[i].hint);
	}
	l->count = 0;
}

void action_list_done(struct action_list *l)
{
	action_list_clear(l);
	free(l->items);
	*l = (struct action_list){0};
}

static struct action *action_add(struct action_list *l)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->items = hv_xrealloc(l->items, l->cap, sizeof(*l->items));
	}
	l->items[l->count] = (struct action){0};
	return &l->items[l->count++];
}

void action_op(struct action_list *l, enum action_kind kind, const struct operation *op)
{
	*action_add(l) = (struct action){.kind = kind, .op = op->id, .node = op->node};
}

void action_journal(struct action_list *l, uint64_t line)
{
	*action_add(l) = (struct action){.kind = ACTION_JOURNAL, .op = line};
}

void action_reply(struct action_list *l, const Hv__Event *ev, enum hv_rc rc, char *text, char *hint,
		  hv_op_id op)
{
	*action_add(l) = (struct action){
	    .kind = ACTION_REPLY,
	    .op = op,
	    .node = ev->proposer,
	    .incarnation = ev->incarnation,
	    .request = ev->command->request,
	    .rc = rc,
	    .text = text,
	    .hint = hint,
	};
}
