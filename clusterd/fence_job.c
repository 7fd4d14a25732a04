/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/fence_job.h"

#include <string.h>

#define DEFAULT_TIMEOUT_S 60

struct fence_job {
	fence_done_fn done; /* NULL: the owner has let go; freed when the run ends */
	void *user;
	struct fence_off_run *off;
	struct fence_agent_run *run; /* status, or power on */
	bool over;
};

static void on_done(void *user, const struct fence_result *r)
{
	struct fence_job *j = user;

	j->over = true;
	j->off = NULL;
	j->run = NULL;
	if (!j->done) {
		free(j);
		return;
	}
	j->done(j->user, r);
}

static const struct fence_device *find_device(const struct node *n, const char *name)
{
	for (size_t i = 0; n && name && i < n->n_devices; i++) {
		if (strcmp(n->devices[i]->name, name) == 0)
			return n->devices[i];
	}
	return NULL;
}

static size_t gather_options(const struct fence_device *d, struct fence_option *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_options; i++)
		ret[n++] =
		    (struct fence_option){.key = d->options[i].key, .value = d->options[i].value};
	for (size_t i = 0; i < d->n_secrets; i++)
		ret[n++] = (struct fence_option){
		    .key = d->secrets[i].key, .value = d->secrets[i].value, .secret = true};
	return n;
}

struct fence_job *fence_job_start(qb_loop_t *loop, const struct node *victim,
				  const struct operation *op, fence_done_fn done, void *user)
{
	const struct fence_device *d = find_device(victim, op->device);
	struct fence_option options[2 * HV_MAX_DEVICE_OPTIONS];
	struct fence_call call = {.options = options};
	struct fence_job *j;
	uint32_t timeout_s;

	if (!d)
		return NULL;
	j = hv_xcalloc(1, sizeof(*j));
	j->done = done;
	j->user = user;
	timeout_s = op->timeout_s ? op->timeout_s : d->timeout_s;
	call.agent = d->agent;
	call.n_options = gather_options(d, options);
	call.timeout_ms = (timeout_s ? timeout_s : DEFAULT_TIMEOUT_S) * 1000;
	if (op->kind == OP_FENCE && !(op->flags & OP_F_POWER_ON)) {
		call.action = "off";
		call.waits = d->waited;
		j->off = fence_off_start(loop, &call, on_done, j);
		return j;
	}
	call.action = op->kind == OP_FENCE ? "on" : "status";
	j->run = fence_agent_start(loop, &call, on_done, j);
	return j;
}

void fence_job_cancel(struct fence_job *j)
{
	if (j->off)
		fence_off_cancel(j->off);
	else if (j->run)
		fence_agent_cancel(j->run);
}

void fence_job_free(struct fence_job *j)
{
	if (!j)
		return;
	if (j->over) {
		free(j);
		return;
	}
	j->done = NULL;
	fence_job_cancel(j);
}
