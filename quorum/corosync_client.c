/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quorum/corosync_client.h"

#include <time.h>

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 1000

static void on_timer(void *data)
{
	struct corosync_retry *r = data;

	r->set = false;
	r->connect(r->user);
}

static void arm(struct corosync_retry *r, uint64_t ns)
{
	int32_t err;

	hv_assert(!r->set);
	err = qb_loop_timer_add(r->loop, QB_LOOP_MED, ns, r, on_timer, &r->timer);
	hv_assert(err == 0);
	r->set = true;
}

void corosync_retry_init(struct corosync_retry *r, qb_loop_t *loop, void (*connect)(void *user),
			 void *user)
{
	*r = (struct corosync_retry){
	    .loop = loop, .connect = connect, .user = user, .delay_ms = RETRY_MIN_MS};
	arm(r, 1);
}

void corosync_retry_later(struct corosync_retry *r)
{
	arm(r, r->delay_ms * 1000000ULL);
	r->delay_ms = r->delay_ms * 2 < RETRY_MAX_MS ? r->delay_ms * 2 : RETRY_MAX_MS;
}

void corosync_retry_reset(struct corosync_retry *r)
{
	r->delay_ms = RETRY_MIN_MS;
}

void corosync_retry_done(struct corosync_retry *r)
{
	if (r->set)
		qb_loop_timer_del(r->loop, r->timer);
	r->set = false;
}

/* The sentences for what a person can do something about; cs_strerror() for the rest. */
static const char *advice(cs_error_t err)
{
	if (err == CS_ERR_ACCESS || err == CS_ERR_SECURITY)
		return ": corosync does not allow this user; run as root or add the user to "
		       "/etc/corosync/uidgid.d";
	if (err == CS_ERR_LIBRARY || err == CS_ERR_NOT_EXIST)
		return ": corosync is not running on this host; start it with 'systemctl start "
		       "corosync'";
	if (err == CS_ERR_TRY_AGAIN)
		return ": corosync is not ready yet";
	return "";
}

char *corosync_error_text(cs_error_t err, const char *what)
{
	return hv_xasprintf("cannot %s%s (%s)", what, advice(err), cs_strerror(err));
}

uint64_t corosync_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * HV_US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}
