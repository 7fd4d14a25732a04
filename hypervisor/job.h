/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job.h - requests, one VM at a time: order, waiting, deadlines, cancelling. Knows no libvirt.
 *
 * A job is a row of steps. A step runs on a worker thread, makes at most one call that takes long,
 * and says either that the job is done or how long it wants to wait; while it waits it holds no
 * thread, and is taken up again at once when something happens to its VM (job_wake).
 *
 *            turn comes          WAIT                    every job is answered exactly once:
 *   [queued] ---------> [stepping] ----> [waiting]       with the result of its last step, or with
 *      |                 |   |   ^          |            HV_TIMEOUT and OBSERVED_UNKNOWN when it is
 *      | deadline        |   |   +----------+            still queued at its deadline, or its step
 *      v            DONE |   |    timer, wake, cancel    does not return (then it is abandoned)
 *   answered <-----------+   | deadline
 *                            v
 *                       [abandoned] -- the call returns after all --> backend's `late`
 *
 * Jobs of one VM run one after the other in the order of arrival, with these exceptions:
 *  - PROBE looks while a STOP or MIGRATE goes on: those take minutes;
 *  - DESTROY asks every earlier job of the VM to end (HV_SUPERSEDED);
 *  - an abandoned job holds nobody up (the backend must not take "not there" for proven while it
 * lasts). The same id and attempt again while the job is under way changes nothing: one answer will
 * come. The same id with another attempt is the same job, whose answer carries the newer attempt;
 * but after a cancel it is a new one, which waits for the end of the cancelled one.
 */
#ifndef HV_HYPERVISOR_JOB_H
#define HV_HYPERVISOR_JOB_H

#include "hypervisor/pool.h"
#include "proto/hypervisor.pb-c.h"
#include "proto/ids.h"
#include "proto/rc.h"

#include <stdatomic.h>

#define JOB_MAX 4096 /* one for each VM of a large host, and more: beyond it HV_LIMIT */
#define JOB_URI_MAX 512
#define JOB_STUCK_US                                                                               \
	(2 * HV_US_PER_S) /* a step that began just before the deadline gets this long */

enum job_step { JOB_DONE, JOB_WAIT };

struct job {
	/* What was asked. Constant. */
	uint64_t id;
	Hv__HvJobKind kind;
	char uuid[HV_UUID_LEN + 1], name[HV_NAME_MAX + 1];
	uint8_t *xml;
	size_t xml_len;
	char *target_uri;
	uint32_t timeout_ms;
	bool paused_ok, unsafe, clear_text;
	Hv__HvResetIf reset_if;
	uint64_t accepted_us;

	/* Asked to end early; read by steps. */
	atomic_bool cancel;
	atomic_bool superseded; /* by a DESTROY; then cancel is set, too */
	/* The call a step is in, for the answer should it never return. Static strings. */
	_Atomic(const char *) doing;

	_Atomic uint64_t deadline_us; /* a step may move it, to leave room for tidying up */

	/* Of the step that runs, else of the main loop. */
	uint32_t wait_ms;  /* with JOB_WAIT: 0 waits for a wake or the deadline */
	unsigned phase;	   /* the backend's; 0 at first */
	uint64_t mark;	   /* the backend's */
	void *state;	   /* the backend's; freed by its `release` */
	uint32_t permille; /* progress is sent when one of these two has changed */
	char progress[HV_TEXT_MAX];
	/* The answer. Preset: HV_OK, "", OBSERVED_UNKNOWN, 0, 0. */
	enum hv_rc rc;
	char text[HV_TEXT_MAX];
	Hv__Observed observed;
	uint64_t began_us, ended_us;
	char evidence[HV_PATH_MAX + 1]; /* RESET: where it is kept */

	/* Of the main loop. */
	uint32_t attempt;
	struct job_private *priv;
};

/* All but `step` are called in the main loop. */
struct job_backend {
	enum job_step (*step)(struct job *j, void *user);
	uint32_t (*deadline_ms)(const struct job *j, void *user);
	void (*answer)(const struct job *j, void *user);
	void (*progress)(const struct job *j, void *user);
	/* An abandoned job's step has returned: the VM should be looked at. */
	void (*late)(const struct job *j, void *user);
	/* Just before the job is freed; NULL: nothing to do. */
	void (*release)(struct job *j, void *user);
};

struct job_table;
struct job_table *job_table_new(qb_loop_t *loop, struct pool *pool,
				const struct job_backend *backend, void *user);
/* No step may be running. NULL is fine. */
void job_table_free(struct job_table *t);

/* What is wrong with a request, in a sentence; NULL: it is well-formed. Pure. */
const char *job_request_fault(const Hv__HvJob *request);
/* Takes a request, checks it, and answers at once if it is malformed or too much. */
void job_submit(struct job_table *t, const Hv__HvJob *request);
/* Unknown ids are ignored: the answer may be on its way. */
void job_cancel(struct job_table *t, uint64_t id);
/* Something happened to this VM (NULL: to all, for example libvirt is back). */
void job_wake(struct job_table *t, const char *uuid);
size_t job_count(const struct job_table *t);

/* For steps. Now, CLOCK_MONOTONIC. */
uint64_t job_now_us(void);
bool job_expired(const struct job *j);
/* Sets rc and text; returns JOB_DONE. */
enum job_step job_finish(struct job *j, enum hv_rc rc, const char *fmt, ...) _printf_(3, 4);
/* Sets wait_ms; returns JOB_WAIT. */
enum job_step job_wait(struct job *j, uint32_t ms);

#endif
