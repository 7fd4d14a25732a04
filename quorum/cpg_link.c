/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/cpg_link.h"

#include "quorum/corosync_client.h"

#include <corosync/cpg.h>
#include <string.h>
#include <unistd.h>

#define GROUP "hvcluster"
#define QUEUE_MAX 4096
#define QUEUE_BYTES_MAX (64U << 20)
#define SEND_RETRY_MIN_MS 2
#define SEND_RETRY_MAX_MS 50
#define EVENTS_AT_ONCE 256 /* per turn of the loop: a flood must not starve the timers */

/*
 *   DOWN -- initialise ok --> JOINING -- our own confchg and the ring are known --> UP
 *    ^                            |                                                  |
 *    +------- any error: finalise once, forget the queue, retry later ---------------+
 */
enum link_state { DOWN, JOINING, UP };

struct message {
	struct message *next;
	uint64_t queued_us;
	size_t len;
	uint8_t data[];
};

struct member_list {
	hv_node_id id[CPG_MEMBERS_MAX];
	size_t n;
};

struct cpg_link {
	qb_loop_t *loop;
	struct cpg_link_ops ops;
	void *user;
	enum link_state state;
	struct corosync_retry retry; /* of initialise, and of join while corosync is busy */
	cpg_handle_t handle;
	int fd;
	hv_node_id self;
	bool told_down;

	struct rl_ring ring;
	struct member_list ring_members, members; /* members: as CPG says, ghosts included */
	bool have_ring, have_members, changed;

	struct message *head, **tail;
	size_t n_queued, bytes_queued;
	qb_loop_timer_handle send_timer;
	bool send_timer_set;
	uint32_t send_delay_ms;
	uint64_t self_delivered_us;
};

/* ------------------------------------------------------------- member lists */

static bool list_has(const struct member_list *l, hv_node_id id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->id[i] == id)
			return true;
	return false;
}

/* Keeps it ascending, without repetition (two processes of one node). */
static void list_add(struct member_list *l, hv_node_id id)
{
	size_t i = l->n;

	if (list_has(l, id) || l->n == ARRAY_SIZE(l->id))
		return;
	for (; i > 0 && l->id[i - 1] > id; i--)
		l->id[i] = l->id[i - 1];
	l->id[i] = id;
	l->n++;
}

/* ------------------------------------------------------------- down and up */

static void drop_queue(struct cpg_link *l)
{
	while (l->head) {
		struct message *m = l->head;

		l->head = m->next;
		free(m);
	}
	l->tail = &l->head;
	l->n_queued = l->bytes_queued = 0;
	if (l->send_timer_set)
		qb_loop_timer_del(l->loop, l->send_timer);
	l->send_timer_set = false;
}

static void disconnect(struct cpg_link *l)
{
	if (l->state == DOWN)
		return;
	l->state = DOWN;
	if (l->fd >= 0)
		qb_loop_poll_del(l->loop, l->fd);
	l->fd = -1;
	cpg_finalize(l->handle); /* also when corosync is gone: frees the client's side */
	l->self = 0;
	l->have_ring = l->have_members = l->changed = false;
	drop_queue(l);
}

static void go_down(struct cpg_link *l, cs_error_t err, const char *what)
{
	_cleanup_free_ char *why = corosync_error_text(err, what);

	disconnect(l);
	if (!l->retry.set)
		corosync_retry_later(&l->retry);
	if (l->told_down)
		return;
	l->told_down = true;
	l->ops.down(l->user, why);
}

/* Both halves known: who is in the group, and which of those are in the ring. */
static void tell_members(struct cpg_link *l)
{
	struct member_list both = {.n = 0};

	if (!l->changed || !l->have_ring || !l->have_members)
		return;
	l->changed = false;
	if (!list_has(&l->members, l->self)) {
		if (l->state == UP)
			go_down(l, CS_ERR_LIBRARY, "stay in the process group");
		return;
	}
	for (size_t i = 0; i < l->members.n; i++)
		if (list_has(&l->ring_members, l->members.id[i]))
			list_add(&both, l->members.id[i]);
	if (l->state == JOINING) {
		l->state = UP;
		l->told_down = false;
		corosync_retry_done(&l->retry);
		corosync_retry_reset(&l->retry);
		l->self_delivered_us = corosync_now_us();
	}
	l->ops.confchg(l->user, l->ring, both.id, both.n, l->ring_members.id, l->ring_members.n);
}

/* ------------------------------------------------------------- corosync's callbacks */

static struct cpg_link *link_of(cpg_handle_t handle)
{
	void *context = NULL;

	hv_assert(cpg_context_get(handle, &context) == CS_OK && context);
	return context;
}

/*
 * corosync tells the group's change and the ring's change one after the other, with nothing
 * between: they are told on together, before the next message or at the end of the batch.
 */
static void on_confchg(cpg_handle_t handle, const struct cpg_name *group,
		       const struct cpg_address *members, size_t n_members,
		       const struct cpg_address *left, size_t n_left,
		       const struct cpg_address *joined, size_t n_joined)
{
	struct cpg_link *l = link_of(handle);

	l->members.n = 0;
	for (size_t i = 0; i < n_members; i++)
		list_add(&l->members, members[i].nodeid);
	l->have_members = l->changed = true;
}

static void on_ring(cpg_handle_t handle, struct cpg_ring_id ring, uint32_t n_members,
		    const uint32_t *members)
{
	struct cpg_link *l = link_of(handle);

	l->ring = (struct rl_ring){ring.nodeid, ring.seq};
	l->ring_members.n = 0;
	for (uint32_t i = 0; i < n_members; i++)
		list_add(&l->ring_members, members[i]);
	l->have_ring = l->changed = true;
}

static void on_deliver(cpg_handle_t handle, const struct cpg_name *group, uint32_t node,
		       uint32_t pid, void *data, size_t len)
{
	struct cpg_link *l = link_of(handle);

	tell_members(l);
	if (l->state != UP)
		return; /* of a time before we were a member */
	if (node == l->self && pid == (uint32_t)getpid())
		l->self_delivered_us = corosync_now_us();
	l->ops.deliver(l->user, node, data, len);
}

static int32_t on_event(int32_t fd, int32_t revents, void *data)
{
	struct cpg_link *l = data;
	cs_error_t err = CS_OK;

	for (int i = 0; i < EVENTS_AT_ONCE && err == CS_OK && l->state != DOWN; i++)
		err = cpg_dispatch(l->handle, CS_DISPATCH_ONE_NONBLOCKING);
	if (l->state == DOWN)
		return 0;
	tell_members(l);
	if (err == CS_ERR_TRY_AGAIN && (revents & (POLLHUP | POLLERR)))
		err = CS_ERR_LIBRARY;
	if (err != CS_OK && err != CS_ERR_TRY_AGAIN && l->state != DOWN)
		go_down(l, err, "hear corosync");
	return 0;
}

/* ------------------------------------------------------------- joining */

static void join_group(struct cpg_link *l)
{
	struct cpg_name name = {.length = sizeof(GROUP) - 1, .value = GROUP};
	cs_error_t err = cpg_join(l->handle, &name);

	if (err == CS_ERR_TRY_AGAIN)
		corosync_retry_later(&l->retry); /* a ring is being formed */
	else if (err != CS_OK && err != CS_ERR_EXIST)
		go_down(l, err, "join the process group");
}

static cs_error_t initialise(struct cpg_link *l)
{
	cpg_model_v1_data_t model = {
	    .model = CPG_MODEL_V1,
	    .cpg_deliver_fn = on_deliver,
	    .cpg_confchg_fn = on_confchg,
	    .cpg_totem_confchg_fn = on_ring,
	    .flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF,
	};
	unsigned int self = 0;
	cs_error_t err =
	    cpg_model_initialize(&l->handle, CPG_MODEL_V1, (cpg_model_data_t *)&model, l);

	if (err != CS_OK)
		return err;
	l->state = JOINING;
	l->fd = -1;
	err = cpg_local_get(l->handle, &self);
	if (err == CS_OK)
		err = cpg_fd_get(l->handle, &l->fd);
	l->self = self;
	return err;
}

static bool messages_fit(struct cpg_link *l)
{
	uint32_t max = 0;

	return cpg_max_atomic_msgsize_get(l->handle, &max) == CS_OK && max >= HV_CPG_MESSAGE_MAX;
}

static void connect_link(void *user)
{
	struct cpg_link *l = user;
	cs_error_t err;

	if (l->state == JOINING) {
		join_group(l);
		return;
	}
	err = initialise(l);
	if (err != CS_OK)
		go_down(l, err, "reach corosync");
	else if (!messages_fit(l))
		go_down(l, CS_ERR_TOO_BIG, "send whole messages through corosync");
	else if (qb_loop_poll_add(l->loop, QB_LOOP_HIGH, l->fd, POLLIN, l, on_event) < 0)
		go_down(l, CS_ERR_NO_RESOURCES, "watch corosync");
	else
		join_group(l);
}

/* ------------------------------------------------------------- sending */

static void flush(struct cpg_link *l);

static void on_send_timer(void *data)
{
	struct cpg_link *l = data;

	l->send_timer_set = false;
	flush(l);
}

static void flush_later(struct cpg_link *l)
{
	if (l->send_timer_set)
		return;
	l->send_timer_set = qb_loop_timer_add(l->loop, QB_LOOP_HIGH, l->send_delay_ms * 1000000ULL,
					      l, on_send_timer, &l->send_timer) == 0;
	hv_assert(l->send_timer_set);
	l->send_delay_ms =
	    l->send_delay_ms * 2 < SEND_RETRY_MAX_MS ? l->send_delay_ms * 2 : SEND_RETRY_MAX_MS;
}

static void pop(struct cpg_link *l)
{
	struct message *m = l->head;

	l->head = m->next;
	if (!l->head)
		l->tail = &l->head;
	l->n_queued--;
	l->bytes_queued -= m->len;
	free(m);
}

static void flush(struct cpg_link *l)
{
	while (l->head) {
		struct iovec iov = {l->head->data, l->head->len};
		cs_error_t err = cpg_mcast_joined(l->handle, CPG_TYPE_AGREED, &iov, 1);

		if (err == CS_ERR_TRY_AGAIN) {
			flush_later(l);
			return;
		}
		if (err != CS_OK) {
			go_down(l, err, "send through corosync");
			return;
		}
		l->send_delay_ms = SEND_RETRY_MIN_MS;
		pop(l);
	}
}

enum hv_rc cpg_link_send(struct cpg_link *l, const uint8_t *data, size_t len)
{
	struct message *m;

	hv_assert(len <= HV_CPG_MESSAGE_MAX);
	if (l->state != UP)
		return HV_COROSYNC_DOWN;
	if (l->n_queued >= QUEUE_MAX || l->bytes_queued + len > QUEUE_BYTES_MAX)
		return HV_LIMIT;
	m = malloc(sizeof(*m) + len);
	if (!m)
		return HV_LIMIT;
	m->next = NULL;
	m->queued_us = corosync_now_us();
	m->len = len;
	memcpy(m->data, data, len);
	*l->tail = m;
	l->tail = &m->next;
	l->n_queued++;
	l->bytes_queued += len;
	if (!l->send_timer_set) {
		/* From the loop, not from here: a failure must not call back into our caller. */
		l->send_timer_set = qb_loop_timer_add(l->loop, QB_LOOP_HIGH, 1, l, on_send_timer,
						      &l->send_timer) == 0;
		hv_assert(l->send_timer_set);
	}
	return HV_OK;
}

/* ------------------------------------------------------------- life, questions */

struct cpg_link *cpg_link_new(qb_loop_t *loop, const struct cpg_link_ops *ops, void *user)
{
	struct cpg_link *l = hv_xcalloc(1, sizeof(*l));

	l->loop = loop;
	l->ops = *ops;
	l->user = user;
	l->fd = -1;
	l->tail = &l->head;
	l->send_delay_ms = SEND_RETRY_MIN_MS;
	corosync_retry_init(&l->retry, loop, connect_link, l);
	return l;
}

void cpg_link_free(struct cpg_link *l)
{
	if (!l)
		return;
	disconnect(l); /* finalise leaves the group */
	corosync_retry_done(&l->retry);
	free(l);
}

bool cpg_link_up(const struct cpg_link *l)
{
	return l->state == UP;
}

hv_node_id cpg_link_self(const struct cpg_link *l)
{
	return l->state == UP ? l->self : 0;
}

uint64_t cpg_link_unsent(const struct cpg_link *l, uint64_t *ret_oldest_us)
{
	if (ret_oldest_us)
		*ret_oldest_us = l->head ? l->head->queued_us : 0;
	return l->n_queued;
}

uint64_t cpg_link_self_delivered_us(const struct cpg_link *l)
{
	return l->self_delivered_us;
}
