/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peer_msg.h - peer messages on the border: unpack and check, once, before anyone reads them.
 *
 * PURE. What passes peer_msg_unpack() has every sub-message that its kind needs, lists no longer
 * than their maximum, numbers in their range. What does not is refused as a whole.
 */
#ifndef HV_QUORUM_PEER_MSG_H
#define HV_QUORUM_PEER_MSG_H

#include "quorum/epoch.h"
#include "proto/log.pb-c.h"
#include "proto/unpack.h"

#define PEER_MSG_VERSION 1

/* NULL: malformed. Valid until the room is used again, and as long as `data` (proto/unpack.h). */
const Hv__PeerMessage *peer_msg_unpack(struct unpack_room *room, const uint8_t *data, size_t len);
/* malloc'ed. */
uint8_t *peer_msg_pack(const Hv__PeerMessage *msg, size_t *ret_len);

Hv__EpochId peer_epoch_out(const struct rl_epoch *e);
/* NULL is the epoch before all others. */
struct rl_epoch peer_epoch_in(const Hv__EpochId *e);

#endif
