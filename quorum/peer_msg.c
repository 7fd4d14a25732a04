/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/peer_msg.h"

Hv__EpochId peer_epoch_out(const struct rl_epoch *e)
{
	Hv__EpochId m = HV__EPOCH_ID__INIT;

	m.number = e->number;
	m.node = e->node;
	m.incarnation = e->incarnation;
	return m;
}

struct rl_epoch peer_epoch_in(const Hv__EpochId *e)
{
	struct rl_epoch r = {0};

	if (e)
		r = (struct rl_epoch){e->number, e->node, e->incarnation};
	return r;
}

static bool type_valid(uint32_t type)
{
	return type == RL_VIEW || type == RL_COMMAND || type == RL_FENCE;
}

static bool payload_valid(uint32_t type, size_t len)
{
	return type_valid(type) && len > 0 && len <= HV_EVENT_MAX;
}

/* Ascending, no zero, bounded: an honest sender has it so. */
static bool ids_valid(const uint32_t *ids, size_t n)
{
	if (n > HV_MAX_NODES)
		return false;
	for (size_t i = 0; i < n; i++)
		if (ids[i] == 0 || (i && ids[i] <= ids[i - 1]))
			return false;
	return true;
}

static bool id_in(const uint32_t *ids, size_t n, uint32_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static bool hello_valid(const Hv__Hello *m)
{
	return m->ring && ids_valid(m->members, m->n_members) && m->n_members > 0 &&
	       m->cluster_us <= UINT64_MAX / 2; /* as an event's */
}

static bool points_valid(const Hv__Activate *m)
{
	uint64_t votes = 0;

	if (m->n_points != m->n_members)
		return false;
	for (size_t i = 0; i < m->n_points; i++) {
		if (m->points[i]->node != m->members[i])
			return false;
		votes += m->points[i]->votes;
	}
	return votes <= UINT32_MAX / 2;
}

static bool activate_valid(const Hv__Activate *m)
{
	if (!m->ring || !m->epoch || m->epoch->number == 0 || m->n_members == 0)
		return false;
	if (m->again && !m->prev)
		return false;
	if (!ids_valid(m->members, m->n_members) || !ids_valid(m->lost, m->n_lost) ||
	    !ids_valid(m->in_ring, m->n_in_ring) || !ids_valid(m->view, m->n_view))
		return false;
	return points_valid(m) && id_in(m->members, m->n_members, m->donor) &&
	       id_in(m->members, m->n_members, m->epoch->node);
}

static bool chunk_entries_valid(const Hv__SyncChunk *m)
{
	for (size_t i = 0; i < m->n_entries; i++) {
		const Hv__LogEntry *e = m->entries[i];

		if (!e->epoch || e->index == 0 || !payload_valid(e->type, e->data.len))
			return false;
		if (i && e->index != m->entries[i - 1]->index + 1)
			return false;
	}
	return true;
}

static bool chunk_valid(const Hv__SyncChunk *m)
{
	if (!m->epoch || m->parts == 0 || m->part >= m->parts || m->transfer == 0)
		return false;
	if (m->state_len > HV_SNAPSHOT_MAX || m->state.len > m->state_len)
		return false;
	if (m->snapshot ? m->last_index < m->base_index : m->last_index < m->common_index)
		return false;
	return chunk_entries_valid(m);
}

static bool request_valid(const Hv__SyncRequest *m)
{
	if (!m->epoch || m->n_runs > 64)
		return false;
	for (size_t i = 0; i < m->n_runs; i++)
		if (!m->runs[i]->epoch)
			return false;
	return true;
}

static bool body_valid(const Hv__PeerMessage *m)
{
	switch (m->body_case) {
	case HV__PEER_MESSAGE__BODY_HELLO:
		return hello_valid(m->hello);
	case HV__PEER_MESSAGE__BODY_ACTIVATE:
		return activate_valid(m->activate);
	case HV__PEER_MESSAGE__BODY_PROMISE:
		return m->promise->epoch;
	case HV__PEER_MESSAGE__BODY_APPEND:
		return m->append->epoch && payload_valid(m->append->type, m->append->data.len);
	case HV__PEER_MESSAGE__BODY_ACK:
		return m->ack->epoch;
	case HV__PEER_MESSAGE__BODY_HEARTBEAT:
		return m->heartbeat->epoch;
	case HV__PEER_MESSAGE__BODY_SYNC_CHUNK:
		return chunk_valid(m->sync_chunk);
	case HV__PEER_MESSAGE__BODY_SYNC_DONE:
		return m->sync_done->epoch;
	case HV__PEER_MESSAGE__BODY_SYNC_REQUEST:
		return request_valid(m->sync_request);
	case HV__PEER_MESSAGE__BODY_GOSSIP:
		return true;
	case HV__PEER_MESSAGE__BODY__NOT_SET:
	case _HV__PEER_MESSAGE__BODY__CASE_IS_INT_SIZE:
		return false;
	}
	return false;
}

const Hv__PeerMessage *peer_msg_unpack(struct unpack_room *room, const uint8_t *data, size_t len)
{
	const Hv__PeerMessage *m;

	if (len == 0 || len > HV_CPG_MESSAGE_MAX)
		return NULL;
	m = unpack(room, &hv__peer_message__descriptor, data, len);
	return m && m->version != 0 && m->incarnation != 0 && body_valid(m) ? m : NULL;
}

uint8_t *peer_msg_pack(const Hv__PeerMessage *msg, size_t *ret_len)
{
	size_t len = hv__peer_message__get_packed_size(msg);
	uint8_t *p = hv_xcalloc(1, len);

	*ret_len = hv__peer_message__pack(msg, p);
	hv_assert(*ret_len == len && len <= HV_CPG_MESSAGE_MAX);
	return p;
}
