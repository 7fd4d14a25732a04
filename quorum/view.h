/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * view.h - a set of nodes, and the list of configured nodes with their votes.
 *
 * PURE. Sets are sorted by id, without doubles, at most HV_MAX_NODES large: equal sets are equal
 * arrays. 0 is no node and is never a member.
 */
#ifndef HV_QUORUM_VIEW_H
#define HV_QUORUM_VIEW_H

#include "quorum/replog.h"

struct node_set {
	hv_node_id ids[HV_MAX_NODES];
	size_t n;
};

/* From any list: sorted, doubles and zeros dropped. false: more than HV_MAX_NODES differ; `ret` is
 * untouched. */
bool node_set_from(struct node_set *ret, const hv_node_id *ids, size_t n);
bool node_set_has(const struct node_set *s, hv_node_id id);
/* false when full. Adding a member again is no error. */
bool node_set_add(struct node_set *s, hv_node_id id);
void node_set_remove(struct node_set *s, hv_node_id id);
bool node_set_equal(const struct node_set *a, const struct node_set *b);
/* Every member of `a` is in `b`. */
bool node_set_within(const struct node_set *a, const struct node_set *b);

/* Configured nodes. */
struct node_list {
	struct rl_node_cfg nodes[HV_MAX_NODES]; /* ascending id */
	size_t n;
};
/* Sorted; doubles, zeros and what is too many are dropped (the adapter has refused such a list
 * before). */
void node_list_from(struct node_list *ret, const struct rl_node_cfg *nodes, size_t n);
const struct rl_node_cfg *node_list_find(const struct node_list *l, hv_node_id id);
uint32_t node_list_total(const struct node_list *l);
/* Votes of those of `s` that are configured. */
uint32_t node_list_votes(const struct node_list *l, const struct node_set *s);
/* Configured nodes that are not in `s`. */
void node_list_minus(const struct node_list *l, const struct node_set *s, struct node_set *ret);

#endif
