/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/pool.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#define STACK_SIZE (512 * 1024) /* libvirt's client needs some tens of KiB, libxml2 less */

bool thread_start(void *(*run)(void *), void *data)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, run, data);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err == 0;
}

struct pool {
	struct mailbox *mailbox;
	unsigned workers; /* wanted */
	pthread_mutex_t lock;
	pthread_cond_t wake, ended;
	struct pool_task *first, **end;
	unsigned threads, idle, queued, stuck;
	bool closing;
};

static void call_done(void *data)
{
	struct pool_task *t = data;

	t->done(t);
}

/* The lock is held before and after. */
static void run_first(struct pool *p)
{
	struct pool_task *t = p->first;

	p->first = t->next;
	if (!p->first)
		p->end = &p->first;
	p->queued--;
	t->state = POOL_TASK_RUNNING;
	pthread_mutex_unlock(&p->lock);
	t->run(t);
	pthread_mutex_lock(&p->lock);
	if (t->state == POOL_TASK_STUCK)
		p->stuck--;
	t->state = POOL_TASK_IDLE;
	mailbox_post(p->mailbox, call_done, t);
}

static unsigned allowed(const struct pool *p)
{
	unsigned extra = p->stuck < p->workers ? p->stuck : p->workers;

	return p->workers + extra;
}

static void *worker(void *data)
{
	struct pool *p = data;

	pthread_mutex_lock(&p->lock);
	while (!p->closing && p->threads <= allowed(p)) {
		if (p->first) {
			run_first(p);
			continue;
		}
		p->idle++;
		pthread_cond_wait(&p->wake, &p->lock);
		p->idle--;
	}
	p->threads--;
	pthread_cond_signal(&p->ended);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* The lock is held. When no thread can be made the task waits for one that exists. */
static void staff(struct pool *p)
{
	if (p->idle >= p->queued) {
		pthread_cond_signal(&p->wake);
		return;
	}
	if (p->threads >= allowed(p))
		return;
	p->threads++;
	if (!thread_start(worker, p))
		p->threads--;
}

struct pool *pool_new(struct mailbox *mailbox, unsigned workers)
{
	struct pool *p = hv_xcalloc(1, sizeof(*p));

	hv_assert(workers > 0);
	p->mailbox = mailbox;
	p->workers = workers;
	p->end = &p->first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->ended, NULL);
	return p;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->wake);
	while (p->threads > 0)
		pthread_cond_wait(&p->ended, &p->lock);
	pthread_mutex_unlock(&p->lock);
	free(p);
}

void pool_submit(struct pool *p, struct pool_task *t)
{
	pthread_mutex_lock(&p->lock);
	hv_assert(t->state == POOL_TASK_IDLE);
	t->pool = p;
	t->next = NULL;
	t->state = POOL_TASK_QUEUED;
	*p->end = t;
	p->end = &t->next;
	p->queued++;
	staff(p);
	pthread_mutex_unlock(&p->lock);
}

static void unlink_queued(struct pool *p, struct pool_task *t)
{
	struct pool_task **at = &p->first;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	if (!*at)
		p->end = at;
	p->queued--;
	t->state = POOL_TASK_IDLE;
}

bool pool_give_up(struct pool *p, struct pool_task *t)
{
	bool queued;

	pthread_mutex_lock(&p->lock);
	queued = t->state == POOL_TASK_QUEUED;
	if (queued) {
		unlink_queued(p, t);
	} else if (t->state == POOL_TASK_RUNNING) {
		t->state = POOL_TASK_STUCK;
		p->stuck++;
		if (p->queued > 0)
			staff(p);
	}
	pthread_mutex_unlock(&p->lock);
	return queued;
}

unsigned pool_stuck(struct pool *p)
{
	unsigned n;

	pthread_mutex_lock(&p->lock);
	n = p->stuck;
	pthread_mutex_unlock(&p->lock);
	return n;
}

bool pool_exhausted(struct pool *p)
{
	bool yes;

	pthread_mutex_lock(&p->lock);
	yes = p->stuck >= 2 * p->workers;
	pthread_mutex_unlock(&p->lock);
	return yes;
}
