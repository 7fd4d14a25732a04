/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes on hypervisord's socket: frames come out as they went in, however they are cut, and a
 * request is answered or ignored, never more. The jobs' steps do nothing here.
 */
#include "hypervisor/job.h"
#include "proto/wire.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

static unsigned answers;

static enum job_step no_step(struct job *j, void *user _unused_)
{
	return job_finish(j, HV_OK, "%s", "");
}

static uint32_t no_deadline(const struct job *j _unused_, void *user _unused_)
{
	return 1000;
}

static void count(const struct job *j, void *user _unused_)
{
	hv_assert(strlen(j->text) < HV_TEXT_MAX);
	answers++;
}

static void nothing(const struct job *j _unused_, void *user _unused_)
{
}

static const struct job_backend none = {no_step, no_deadline, count, nothing, nothing, NULL};

/* A job that is taken is not run: its worker would outlive this input. */
static void submit(const Hv__HvRequest *r)
{
	static qb_loop_t *loop;
	struct job_table *t;

	if (!loop)
		loop = qb_loop_create();
	t = job_table_new(loop, NULL, &none, NULL);
	answers = 0;
	if (r->body_case == HV__HV_REQUEST__BODY_JOB && job_request_fault(r->job)) {
		job_submit(t, r->job);
		hv_assert(answers == 1 && job_count(t) == 0);
	} else if (r->body_case == HV__HV_REQUEST__BODY_CANCEL) {
		job_cancel(t, r->cancel->id);
	}
	job_table_free(t);
}

static void unpack(const uint8_t *payload, size_t len)
{
	Hv__HvRequest *r = hv__hv_request__unpack(NULL, len, payload);

	if (!r)
		return;
	submit(r);
	hv__hv_request__free_unpacked(r, NULL);
}

static void as_stream(const uint8_t *data, size_t size, size_t piece)
{
	struct wire_reader in;
	const uint8_t *payload;
	size_t len;
	int got = 0;

	wire_reader_init(&in);
	for (size_t at = 0; at < size && got >= 0; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		memcpy(wire_reader_room(&in, n), data + at, n);
		wire_reader_added(&in, n);
		while ((got = wire_reader_next(&in, &payload, &len)) > 0)
			unpack(payload, len);
	}
	wire_reader_done(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unpack(data, size);
	if (size > 0)
		as_stream(data, size, 1 + data[0] % 40);
	return 0;
}
