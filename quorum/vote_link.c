/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/vote_link.h"

#include "quorum/corosync_client.h"

#include <corosync/cmap.h>
#include <corosync/votequorum.h>
#include <stdio.h>

#define DEVICE_POLL_NS 1000000000ULL

struct vote_link {
	qb_loop_t *loop;
	struct vote_link_ops ops;
	void *user;
	struct corosync_retry retry;
	bool up;
	bool told_down;
	votequorum_handle_t handle;
	int fd;

	struct rl_ring ring; /* the latest; votequorum's answer for it may still be to come */
	bool have_ring;
	struct rl_ring answer_ring; /* the ring that `quorate` is about */
	bool have_answer, quorate, changed;
	struct vote_info info;
	uint32_t told_device; /* votes */
	qb_loop_timer_handle poll;
};

static void disconnect(struct vote_link *l)
{
	if (!l->up)
		return;
	l->up = false;
	if (l->fd >= 0)
		qb_loop_poll_del(l->loop, l->fd);
	l->fd = -1;
	votequorum_finalize(l->handle);
	l->have_ring = l->have_answer = l->changed = false;
	l->info.known = false;
	if (l->poll)
		qb_loop_timer_del(l->loop, l->poll);
	l->poll = 0;
}

static void go_down(struct vote_link *l, cs_error_t err, const char *what)
{
	_cleanup_free_ char *why = corosync_error_text(err, what);

	disconnect(l);
	corosync_retry_later(&l->retry);
	if (l->told_down)
		return;
	l->told_down = true;
	l->ops.down(l->user, why);
}

static struct vote_link *link_of(votequorum_handle_t handle)
{
	void *context = NULL;

	hv_assert(votequorum_context_get(handle, &context) == CS_OK && context);
	return context;
}

/* Told when a ring is formed, before votequorum has counted the votes in it. */
static void on_nodelist(votequorum_handle_t handle, uint64_t context, votequorum_ring_id_t ring,
			uint32_t n, uint32_t *nodes)
{
	struct vote_link *l = link_of(handle);

	l->ring = (struct rl_ring){ring.nodeid, ring.seq};
	l->have_ring = true;
}

static void on_quorum(votequorum_handle_t handle, uint64_t context, uint32_t quorate, uint32_t n,
		      votequorum_node_t *nodes)
{
	struct vote_link *l = link_of(handle);

	l->quorate = quorate != 0;
	l->answer_ring = l->ring;
	l->have_answer = l->have_ring;
	l->changed = true;
}

static void on_expected_votes(votequorum_handle_t handle, uint64_t context, uint32_t expected)
{
	link_of(handle)->changed = true; /* the votes needed may be others now */
}

/* The device's votes count while it is registered, alive and casting its vote: votequorum(8). */
static uint32_t device_votes(const struct votequorum_info *info)
{
	const unsigned int counted = VOTEQUORUM_INFO_QDEVICE_REGISTERED |
				     VOTEQUORUM_INFO_QDEVICE_ALIVE |
				     VOTEQUORUM_INFO_QDEVICE_CAST_VOTE;

	return (info->flags & counted) == counted ? info->qdevice_votes : 0;
}

static void keep_info(struct vote_link *l, const struct votequorum_info *i)
{
	l->info = (struct vote_info){
	    .known = true,
	    .two_node = i->flags & VOTEQUORUM_INFO_TWONODE,
	    .wait_for_all = i->flags & VOTEQUORUM_INFO_WAIT_FOR_ALL,
	    .last_man_standing = i->flags & VOTEQUORUM_INFO_LAST_MAN_STANDING,
	    .auto_tie_breaker = i->flags & VOTEQUORUM_INFO_AUTO_TIE_BREAKER,
	    .expected = i->highest_expected,
	    .quorum = i->quorum,
	    .device = i->flags & VOTEQUORUM_INFO_QDEVICE_REGISTERED,
	    .device_votes = device_votes(i) > 0,
	    .device_has = i->qdevice_votes,
	};
	snprintf(l->info.device_name, sizeof(l->info.device_name), "%.*s", HV_NAME_MAX,
		 i->qdevice_name);
}

static void tell(struct vote_link *l);

/*
 * votequorum tells nobody when the quorum device gives or takes its votes and the ring stays
 * quorate: it is asked.
 */
static void on_poll(void *data)
{
	struct vote_link *l = data;
	struct votequorum_info info = {0};

	l->poll = 0;
	if (votequorum_getinfo(l->handle, VOTEQUORUM_QDEVICE_NODEID, &info) == CS_OK)
		l->changed = l->changed || device_votes(&info) != l->told_device;
	tell(l);
	if (l->up && !l->poll)
		qb_loop_timer_add(l->loop, QB_LOOP_MED, DEVICE_POLL_NS, l, on_poll, &l->poll);
}

static void watch_device(struct vote_link *l, const struct votequorum_info *info)
{
	l->told_device = device_votes(info);
	if (l->info.device && !l->poll)
		qb_loop_timer_add(l->loop, QB_LOOP_MED, DEVICE_POLL_NS, l, on_poll, &l->poll);
}

static void tell(struct vote_link *l)
{
	struct votequorum_info info = {0};
	cs_error_t err;

	if (!l->changed || !l->have_answer)
		return;
	/* Asked for the device, answered for the cluster; the device's record is always there. */
	err = votequorum_getinfo(l->handle, VOTEQUORUM_QDEVICE_NODEID, &info);
	if (err == CS_ERR_TRY_AGAIN)
		return; /* a ring is being formed: its own notification follows */
	if (err != CS_OK) {
		go_down(l, err, "ask votequorum for the votes");
		return;
	}
	l->changed = false;
	l->told_down = false;
	corosync_retry_reset(&l->retry);
	keep_info(l, &info);
	watch_device(l, &info);
	l->ops.quorum(l->user, l->answer_ring, l->quorate, info.quorum, device_votes(&info));
}

static int32_t on_event(int32_t fd, int32_t revents, void *data)
{
	struct vote_link *l = data;
	cs_error_t err = votequorum_dispatch(l->handle, CS_DISPATCH_ALL);

	if (err == CS_OK && (revents & (POLLHUP | POLLERR)))
		err = CS_ERR_LIBRARY;
	if (err != CS_OK && err != CS_ERR_TRY_AGAIN)
		go_down(l, err, "hear votequorum");
	else
		tell(l);
	return 0;
}

static cs_error_t initialise(struct vote_link *l)
{
	votequorum_callbacks_t callbacks = {
	    .votequorum_quorum_notify_fn = on_quorum,
	    .votequorum_expectedvotes_notify_fn = on_expected_votes,
	    .votequorum_nodelist_notify_fn = on_nodelist,
	};
	cs_error_t err = votequorum_initialize(&l->handle, &callbacks);

	if (err != CS_OK)
		return err;
	l->up = true;
	l->fd = -1;
	err = votequorum_context_set(l->handle, l);
	if (err == CS_OK)
		err = votequorum_fd_get(l->handle, &l->fd);
	if (err == CS_OK && qb_loop_poll_add(l->loop, QB_LOOP_HIGH, l->fd, POLLIN, l, on_event) < 0)
		err = CS_ERR_NO_RESOURCES;
	if (err == CS_OK)
		err = votequorum_trackstart(l->handle, 0, CS_TRACK_CURRENT | CS_TRACK_CHANGES);
	return err;
}

static void connect_link(void *user)
{
	struct vote_link *l = user;
	cs_error_t err = initialise(l);

	if (err != CS_OK)
		go_down(l, err,
			"reach votequorum (corosync.conf needs quorum { provider: "
			"corosync_votequorum })");
}

struct vote_link *vote_link_new(qb_loop_t *loop, const struct vote_link_ops *ops, void *user)
{
	struct vote_link *l = hv_xcalloc(1, sizeof(*l));

	l->loop = loop;
	l->ops = *ops;
	l->user = user;
	l->fd = -1;
	corosync_retry_init(&l->retry, loop, connect_link, l);
	return l;
}

const struct vote_info *vote_link_info(const struct vote_link *l)
{
	return &l->info;
}

/* Nobody is waited for any more: cmap_keys(7), quorum.cancel_wait_for_all. */
static cs_error_t cancel_wait(void)
{
	cmap_handle_t cmap;
	cs_error_t err = cmap_initialize(&cmap);

	if (err != CS_OK)
		return err;
	err = cmap_set_uint8(cmap, "quorum.cancel_wait_for_all", 1);
	cmap_finalize(cmap);
	return err;
}

enum hv_rc vote_link_force(struct vote_link *l, uint32_t votes, char **ret_text)
{
	cs_error_t err = CS_OK;

	if (!l->up || !l->info.known)
		return HV_COROSYNC_DOWN;
	if (l->info.wait_for_all)
		err = cancel_wait();
	/* With two_node one vote is enough as it is. */
	if (err == CS_OK && !l->info.two_node)
		err = votequorum_setexpected(l->handle, votes);
	if (err == CS_OK)
		return HV_OK;
	*ret_text = corosync_error_text(err, "tell votequorum how many votes there are");
	return HV_FAILED;
}

void vote_link_free(struct vote_link *l)
{
	if (!l)
		return;
	disconnect(l);
	corosync_retry_done(&l->retry);
	free(l);
}
