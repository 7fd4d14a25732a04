/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/forecast.h"

#include "quorum/epoch.h"

/* `of`: whose lowest node breaks a tie. */
static bool quorate(const struct vote_info *info, const struct node_list *nodes,
		    const struct node_set *left, const struct node_set *of, bool device,
		    uint32_t expected, uint32_t quorum)
{
	uint32_t votes = node_list_votes(nodes, left) + (device ? info->device_has : 0);

	if (!left->n)
		return false;
	if (votes >= quorum)
		return true;
	return info->auto_tie_breaker && 2 * votes == expected && left->ids[0] == of->ids[0];
}

struct forecast forecast_loss(const struct vote_info *info, const struct node_list *nodes,
			      const struct node_set *members, hv_node_id lost)
{
	struct node_set left = *members;
	struct forecast f;

	if (lost)
		node_set_remove(&left, lost);
	f.quorate = quorate(info, nodes, &left, members, info->device_votes && lost, info->expected,
			    info->quorum);
	f.minority = !epoch_is_whole(node_list_votes(nodes, &left), node_list_total(nodes));
	return f;
}

/* The worst loss: most votes; of equals, who breaks ties. */
static hv_node_id worst(const struct node_list *nodes, const struct node_set *of)
{
	const struct rl_node_cfg *w = NULL;

	for (size_t i = 0; i < of->n; i++) {
		const struct rl_node_cfg *n = node_list_find(nodes, of->ids[i]);

		if (n && (!w || n->votes > w->votes))
			w = n;
	}
	return w ? w->id : 0;
}

unsigned forecast_may_lose(const struct vote_info *info, const struct node_list *nodes,
			   const struct node_set *members)
{
	struct node_set left = *members, of = *members;
	uint32_t expected = info->expected, quorum = info->quorum;
	unsigned n = 0;

	if (!info->known || !quorate(info, nodes, &left, &of, info->device_votes, expected, quorum))
		return 0;
	while (left.n) {
		hv_node_id id = worst(nodes, &left);

		if (!id)
			break;
		node_set_remove(&left, id);
		if (!quorate(info, nodes, &left, &of, info->device_votes, expected, quorum))
			break;
		n++;
		if (!info->last_man_standing)
			continue;
		expected = node_list_votes(nodes, &left);
		quorum = expected / 2 + 1;
		of = left;
	}
	return n;
}
