/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vms_call.h - between the two halves of hypervisord's jobs: vms_call.c has their order, waiting,
 * deadlines and answers, vms_job.c what they do.
 */
#ifndef HV_TESTS_SIM_VMS_CALL_H
#define HV_TESTS_SIM_VMS_CALL_H

#include "tests/sim/vms.h"

/* ---- vms_call.c: `n` is the slot of a call */
void call_at(struct sim *s, size_t n, uint64_t delay_us);
void call_again(struct sim *s,
		size_t n); /* looks again in a while, at its deadline at the latest */
void call_done(struct sim *s, struct host *h, size_t n, enum hv_rc rc, Hv__Observed observed);
void call_done_seen(struct sim *s, struct host *h, size_t n, enum hv_rc rc);

/* ---- vms_job.c */
void job_carry_out(struct sim *s, struct host *h, size_t n);
void job_start_in_doubt(struct sim *s, struct host *h, size_t n); /* its deadline is over */
void job_reset(struct sim *s, struct host *h, size_t n);	  /* vms_guest.c */
/* For a while hypervisord does not take its absence for proven. */
void job_register_keeps(struct sim *s, struct host *h, int k);

#endif
