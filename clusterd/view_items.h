/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * view_items.h - one object of the state as one message; what the views are made of (private to
 * them).
 */
#ifndef HV_CLUSTERD_VIEW_ITEMS_H
#define HV_CLUSTERD_VIEW_ITEMS_H

#include "clusterd/views.h"

/* A copy that protobuf-c's free understands: NULL and "" become its own empty string. */
char *view_str(const char *s);
const char *view_node_name(const struct view *v, hv_node_id id); /* "" for 0 */
uint64_t view_wall_of(const struct view *v, uint64_t at_us);

Hv__NodeInfo *view_node_info(const struct view *v, const struct node *n);
Hv__VmInfo *view_vm_info(const struct view *v, const struct vm *vm);
Hv__OpInfo *view_op_info(const struct view *v, const struct operation *op);
uint32_t view_op_permille(const struct view *v, const struct operation *op);
Hv__EventInfo *view_event_info(const struct journal_line *line);
Hv__FenceDeviceInfo *view_fence_info(const struct view *v, const struct node *n,
				     const struct fence_device *d);

/*
 * Adds to an array of messages as long as the answer stays small; takes the item. False: it was not
 * added (and is freed), the list ends here.
 */
struct view_budget {
	size_t left;
};
/* What somebody should mend on a host; the caller frees each. */
#define VIEW_SETUP_MAX 3
size_t view_setup_lines(const struct view *v, const struct node *n, char *ret[VIEW_SETUP_MAX]);

bool view_add(struct view_budget *b, void *list, size_t *count, void *item);
/* The latest `limit` journal lines about one object ("vm web1"), oldest first. */
void view_events_of(const struct view *v, struct view_budget *b, const char *object, size_t limit,
		    Hv__EventInfo ***ret_list, size_t *ret_count);
/* The rules that name this VM. */
void view_rules_of(const struct view *v, const struct vm *vm, struct view_budget *b,
		   Hv__RuleInfo ***list, size_t *count);
/* All fence devices of one node. */
void view_devices_of(const struct view *v, const struct node *n, struct view_budget *b,
		     Hv__FenceDeviceInfo ***list, size_t *count);
/* A malloc'ed sequence of strings is handed over to a message. */
void view_take_strings(char **strings, size_t n, char ***ret_list, size_t *ret_count);

/* ---- view_fence.c */
/* One word about whether the node could be fenced if it had to be. */
const char *view_fencing_word(const struct view *v, const struct node *n);
Hv__FencePathInfo *view_path_info(const struct view *v, const struct fence_path *p);
void view_fence_summary(const struct view *v, Hv__StatusResponse *s);
/* Brakes, quarantine, devices that fail their tests; at most about `most` in all. */
void view_fence_warnings(const struct view *v, size_t most, char ***list, size_t *count);

#endif
