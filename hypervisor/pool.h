/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.h - a bounded pool of threads for calls that may block, and may never come back.
 *
 * A thread cannot be taken out of a call that hangs. So when the owner of a task has given it up
 * (pool_give_up), its thread counts as stuck and another may take its place, at most as many as the
 * pool has workers: 2 x workers threads are the most there ever are. When the call returns after
 * all, `done` is called as usual and the surplus thread ends. Threads are made when first needed.
 */
#ifndef HV_HYPERVISOR_POOL_H
#define HV_HYPERVISOR_POOL_H

#include "hypervisor/mailbox.h"

/* A detached thread with a small stack; signals are the main loop's, it gets none. */
bool thread_start(void *(*run)(void *), void *data);

struct pool;
struct pool_task {
	void (*run)(struct pool_task *t);  /* on a worker */
	void (*done)(struct pool_task *t); /* in the main loop, after run */
	/* the rest is the pool's */
	struct pool *pool;
	struct pool_task *next;
	enum { POOL_TASK_IDLE, POOL_TASK_QUEUED, POOL_TASK_RUNNING, POOL_TASK_STUCK } state;
};

struct pool *pool_new(struct mailbox *mailbox, unsigned workers);
/* Ends the idle threads. No task may be queued or running. NULL is fine. */
void pool_free(struct pool *p);
/* The task must stay where it is until `done`. Main loop only. */
void pool_submit(struct pool *p, struct pool_task *t);
/*
 * True: the task had not begun and is out of the queue, `done` will not be called. False: it is
 * running and counted as stuck from now on; `done` is called if it ever returns.
 */
bool pool_give_up(struct pool *p, struct pool_task *t);
/* Threads in calls that were given up. */
unsigned pool_stuck(struct pool *p);
/* No thread is left that could take a task: all are stuck. */
bool pool_exhausted(struct pool *p);

#endif
