/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/conn.h"

#include "hypervisor/job.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct conn {
	struct mailbox *mailbox;
	struct conn_hooks hooks;
	char *uri;
	_Atomic uint64_t pending_since_us, generation;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool up;     /* leases are given */
	bool closed; /* libvirt says that the watch connection is over */
	struct idle {
		virConnectPtr v;
		uint64_t since_us;
	} idle[CONN_IDLE_MAX]; /* the latest used comes last */
	size_t n_idle;
	char why[HV_TEXT_MAX];
	/* of the thread */
	uint64_t down_since_us;
	char last_why[HV_TEXT_MAX];
};

/* ---- news for the main loop */

struct news {
	struct conn *conn;
	char *why; /* NULL: up */
};

static void deliver(void *data)
{
	struct news *n = data;

	if (n->why)
		n->conn->hooks.down(n->why, n->conn->hooks.user);
	else
		n->conn->hooks.up(n->conn->hooks.user);
	free(n->why);
	free(n);
}

static void tell(struct conn *c, const char *why)
{
	struct news *n = hv_xcalloc(1, sizeof(*n));

	n->conn = c;
	n->why = why ? hv_xstrdup(why) : NULL;
	mailbox_post(c->mailbox, deliver, n);
}

const char *conn_error(void)
{
	const virError *e = virGetLastError();

	return e && e->message ? e->message : "no reason given";
}

/* ---- the thread */

static const char *close_reason(int reason)
{
	switch ((virConnectCloseReason)reason) {
	case VIR_CONNECT_CLOSE_REASON_EOF:
		return "libvirtd closed the connection";
	case VIR_CONNECT_CLOSE_REASON_KEEPALIVE:
		return "libvirtd does not answer keepalive";
	case VIR_CONNECT_CLOSE_REASON_ERROR:
	case VIR_CONNECT_CLOSE_REASON_CLIENT:
		break;
	}
	return "the connection to libvirtd failed";
}

/* On libvirt's event thread. */
static void on_close(virConnectPtr v _unused_, int reason, void *opaque)
{
	struct conn *c = opaque;

	pthread_mutex_lock(&c->lock);
	c->closed = true;
	snprintf(c->why, sizeof(c->why), "%s", close_reason(reason));
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* Sleeps until the connection is over or the time is. The lock is held. */
static void sleep_ms(struct conn *c, uint32_t ms)
{
	uint64_t until_us = job_now_us() + ms * HV_US_PER_MS;
	struct timespec ts = {.tv_sec = (time_t)(until_us / HV_US_PER_S),
			      .tv_nsec = (long)(until_us % HV_US_PER_S) * 1000};

	while (!c->closed &&
	       pthread_cond_clockwait(&c->changed, &c->lock, CLOCK_MONOTONIC, &ts) != ETIMEDOUT)
		;
}

static void pending(struct conn *c, bool begins)
{
	atomic_store(&c->pending_since_us, begins ? job_now_us() : 0);
}

static virConnectPtr open_any(struct conn *c)
{
	virConnectPtr v = virConnectOpen(c->uri);

	if (v && virConnectSetKeepAlive(v, CONN_KEEPALIVE_S, CONN_KEEPALIVE_COUNT) != 0) {
		virConnectClose(v);
		v = NULL;
	}
	return v;
}

static virConnectPtr open_watch(struct conn *c)
{
	virConnectPtr v;

	pending(c, true);
	v = open_any(c);
	if (v && virConnectRegisterCloseCallback(v, on_close, c, NULL) != 0) {
		virConnectClose(v);
		v = NULL;
	}
	if (v)
		c->hooks.opened(v, c->hooks.user);
	else
		snprintf(c->why, sizeof(c->why), "%s", conn_error());
	pending(c, false);
	return v;
}

/* With one connection in store, so that the first job need not wait for its own. */
static void go_up(struct conn *c)
{
	struct conn_lease first = {.conn = c};

	pending(c, true);
	first.v = open_any(c);
	pending(c, false);
	pthread_mutex_lock(&c->lock);
	c->up = true;
	first.generation = atomic_fetch_add(&c->generation, 1) + 1;
	pthread_mutex_unlock(&c->lock);
	conn_lease_end(&first);
	c->last_why[0] = '\0';
	tell(c, NULL);
}

/* The connection that has been idle longest, if it is to be closed now. */
static virConnectPtr take_old(struct conn *c)
{
	virConnectPtr v = NULL;

	pthread_mutex_lock(&c->lock);
	if (c->n_idle > (c->up ? 1 : 0) &&
	    (!c->up || job_now_us() - c->idle[0].since_us >= CONN_IDLE_US)) {
		v = c->idle[0].v;
		memmove(c->idle, c->idle + 1, --c->n_idle * sizeof(c->idle[0]));
	}
	pthread_mutex_unlock(&c->lock);
	return v;
}

static void close_old(struct conn *c)
{
	virConnectPtr v;

	while ((v = take_old(c)))
		virConnectClose(v);
}

/* Until the connection is over. The lock is held on return from each wait only. */
static void watch(struct conn *c, virConnectPtr v)
{
	unsigned long version;
	bool closed;

	do {
		pthread_mutex_lock(&c->lock);
		sleep_ms(c, CONN_WATCH_S * 1000);
		closed = c->closed;
		pthread_mutex_unlock(&c->lock);
		if (closed)
			break;
		pending(c, true);
		if (virConnectGetLibVersion(v, &version) != 0)
			closed = virConnectIsAlive(v) != 1;
		close_old(c);
		pending(c, false);
	} while (!closed);
}

static void go_down(struct conn *c, virConnectPtr v)
{
	pthread_mutex_lock(&c->lock);
	c->up = false;
	if (!c->closed) {
		snprintf(c->why, sizeof(c->why), "the connection to libvirtd failed");
		c->closed = true;
	}
	pthread_mutex_unlock(&c->lock);
	virConnectUnregisterCloseCallback(v, on_close);
	virConnectClose(v);
	close_old(c);
	c->down_since_us = job_now_us();
}

/* The same reason again is no news. */
static void tell_down(struct conn *c)
{
	if (strcmp(c->why, c->last_why) == 0)
		return;
	memcpy(c->last_why, c->why, sizeof(c->last_why));
	tell(c, c->why);
}

static void *run(void *data)
{
	struct conn *c = data;

	c->down_since_us = job_now_us();
	for (;;) {
		virConnectPtr v;
		uint64_t down_us;

		c->closed = false;
		v = open_watch(c);
		if (v) {
			go_up(c);
			watch(c, v);
			go_down(c, v);
			tell_down(c);
			continue;
		}
		tell_down(c);
		down_us = job_now_us() - c->down_since_us;
		pthread_mutex_lock(&c->lock);
		c->closed = false;
		sleep_ms(c, down_us < CONN_RETRY_LONG_S * HV_US_PER_S ? CONN_RETRY_MS
								      : CONN_RETRY_LONG_MS);
		pthread_mutex_unlock(&c->lock);
	}
	return NULL;
}

/* ---- for others */

struct conn *conn_start(struct mailbox *m, const char *uri, const struct conn_hooks *hooks)
{
	struct conn *c = hv_xcalloc(1, sizeof(*c));
	sigset_t all, old;
	pthread_t thread;
	int err;

	c->mailbox = m;
	c->hooks = *hooks;
	c->uri = hv_xstrdup(uri);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, NULL, run, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err == 0)
		return c;
	free(c->uri);
	free(c);
	errno = err;
	return NULL;
}

void conn_lease(struct conn *c, struct conn_lease *ret)
{
	bool up;

	memset(ret, 0, sizeof(*ret));
	ret->conn = c;
	pthread_mutex_lock(&c->lock);
	up = c->up;
	ret->generation = atomic_load(&c->generation);
	if (up && c->n_idle > 0)
		ret->v = c->idle[--c->n_idle].v;
	pthread_mutex_unlock(&c->lock);
	if (up && !ret->v)
		ret->v = open_any(c);
}

void conn_lease_end(struct conn_lease *l)
{
	struct conn *c = l->conn;
	virConnectPtr v = steal_ptr(l->v);
	bool alive;

	if (!v)
		return;
	alive = virConnectIsAlive(v) == 1;
	pthread_mutex_lock(&c->lock);
	if (alive && c->up && l->generation == atomic_load(&c->generation) &&
	    c->n_idle < CONN_IDLE_MAX) {
		c->idle[c->n_idle++] = (struct idle){.v = steal_ptr(v), .since_us = job_now_us()};
	}
	pthread_mutex_unlock(&c->lock);
	if (v)
		virConnectClose(v);
}

uint64_t conn_pending_us(struct conn *c)
{
	uint64_t since = atomic_load(&c->pending_since_us);
	uint64_t now = job_now_us();

	return since && now > since ? now - since : 0;
}
