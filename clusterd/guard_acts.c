/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guard does to this host: jobs for hypervisord, and the reset. */
#include "clusterd/clusterd_priv.h"

#include "clusterd/logging.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#define SYNC_NS (2000000000ULL) /* what is to be written may be on storage that is gone, too */

static void guard_stop(void *user, const struct vm *vm, hv_op_id id, uint32_t timeout_s)
{
	struct clusterd *d = user;
	Hv__HvJob job = HV__HV_JOB__INIT;
	Hv__HvRequest req = HV__HV_REQUEST__INIT;

	log_warning("without quorum for too long: shutting down VM %s", vm->name);
	job.id = id;
	job.attempt = 1;
	job.kind = HV__HV_JOB_KIND__HV_JOB_STOP;
	job.uuid = vm->uuid;
	job.name = vm->name;
	job.timeout_ms = timeout_s * 1000;
	req.body_case = HV__HV_REQUEST__BODY_JOB;
	req.job = &job;
	hv_client_send(d->hv, &req);
}

static void reset_now(void *user)
{
	(void)user;
	reboot(RB_AUTOBOOT);
	log_error("this host cannot be reset: %s; reset it by hand", strerror(errno));
}

static void *sync_disks(void *unused)
{
	sync();
	return unused;
}

static void guard_reset(void *user)
{
	struct clusterd *d = user;
	pthread_t thread;

	log_error("without quorum for too long: resetting this host (quorum_loss=self-fence)");
	if (pthread_create(&thread, NULL, sync_disks, NULL) == 0)
		pthread_detach(thread);
	qb_loop_timer_add(d->loop, QB_LOOP_HIGH, SYNC_NS, d, reset_now, NULL);
}

const struct guard_ops clusterd_guard_ops = {.stop = guard_stop, .reset = guard_reset};
