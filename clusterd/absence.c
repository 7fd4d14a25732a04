/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/absence.h"

static struct absent *find(const struct absence *a, hv_node_id id)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->nodes[i].node == id)
			return (struct absent *)&a->nodes[i];
	return NULL;
}

void absence_look(struct absence *a, const struct cluster *c, uint64_t now_us)
{
	struct absence now = {.count = 0};

	for (size_t i = 0; i < cluster_node_count(c); i++) {
		const struct node *n = cluster_node_at(c, i);
		const struct absent *before = find(a, n->id);

		if (!n->away_index)
			continue;
		now.nodes[now.count] = (struct absent){n->id, n->away_index, now_us};
		if (before && before->index == n->away_index)
			now.nodes[now.count].since_us = before->since_us;
		now.count++;
	}
	*a = now;
}

void absence_forget(struct absence *a)
{
	a->count = 0;
}

uint64_t absence_proof_us(const struct absence *a, const struct cluster *c,
			  const struct operation *op)
{
	const struct node *n = cluster_node(c, op->victim);
	const struct absent *away = find(a, op->victim);

	if (!n || !away || !n->away_index || away->index != n->away_index)
		return 0;
	return away->since_us + op->wait_us;
}
