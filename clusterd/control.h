/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.h - requests of clients: a table from request to handler, and the answers that come
 * later.
 *
 * Views are answered at once. A command is checked (command.h), proposed, and answered when its
 * entry was applied; while a barrier stands, when it has gone, since only then it is certain.
 * Waiting for an operation or for events is answered when there is something new or the client's
 * time is up. A client has one request outstanding (ipc_server.h), so there are at most as many
 * waits as clients.
 */
#ifndef HV_CLUSTERD_CONTROL_H
#define HV_CLUSTERD_CONTROL_H

#include "clusterd/views.h"
#include "resource/brain.h"

#include <qb/qbloop.h>

#define CONTROL_COMMAND_MS                                                                         \
	15000 /* a command is committed within that, or the client is told that it is not known */
#define CONTROL_FORCE_MS                                                                           \
	9000 /* corosync has answered and the barrier is lifted, or something is wrong */
#define CONTROL_WAIT_MAX_MS 60000

struct control;
struct control_ops {
	/* Fills the view of now; false: there is none yet, *ret_rc and *ret_why say why. */
	bool (*view)(void *user, struct view *ret, enum hv_rc *ret_rc, const char **ret_why);
	/* Proposes and flushes; 0: not possible now. */
	uint64_t (*propose)(void *user, const Hv__Event *ev, enum rl_entry_type type,
			    hv_node_id fenced);
	/* `hvcluster quorum force`; *ret_text malloc'ed. */
	enum hv_rc (*force)(void *user, const struct view *v, const Hv__QuorumForceRequest *req,
			    char **ret_text, const char **ret_hint);
	void (*reply)(void *user, uint64_t client, const uint8_t *payload, size_t len);
};
struct control *control_new(qb_loop_t *loop, const struct control_ops *ops, void *user);
void control_free(struct control *ctl);

/* From the control socket. */
void control_request(struct control *ctl, uint64_t client, const uint8_t *payload, size_t len);
void control_malformed(struct control *ctl, uint64_t client, enum hv_rc rc, const char *why);
void control_gone(struct control *ctl, uint64_t client);

/* From the driver: the brain's answer to a command of this process; a proposal that was dropped;
 * anything changed. */
void control_answer(struct control *ctl, const struct action *reply, uint64_t index);
void control_dropped(struct control *ctl, uint64_t mark, enum hv_rc rc);
void control_settled(struct control *ctl);
size_t control_waiting(const struct control *ctl);

#endif
