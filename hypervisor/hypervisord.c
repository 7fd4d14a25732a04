/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hypervisord - does to libvirt what clusterd asks for, and tells clusterd what happens there.
 *
 * Started and supervised by clusterd, at the other end of the socket `--fd`. It keeps nothing that
 * it could not find out again: it may be killed at any moment, and ends at once when clusterd does,
 * without touching a VM. Only the main loop logs and speaks; what blocks is done by threads
 * (pool.h, conn.h, events.h), which report through the mailbox.
 *
 *   link ---- requests ----> job --- steps on ---> pool --- lifecycle, migrate ---> libvirt
 *    ^                        |                                                      |
 *    +------ messages --------+---- facts <------------ events, inventory -----------+
 *    |                                |                                              |
 *    +------ messages ------------- guests <------ a pool of its own, which asks ----+
 */
#include "hypervisor/child.h"
#include "hypervisor/conn.h"
#include "hypervisor/events.h"
#include "hypervisor/facts.h"
#include "hypervisor/guest_marks.h"
#include "hypervisor/guests.h"
#include "hypervisor/health.h"
#include "hypervisor/job.h"
#include "hypervisor/lifecycle.h"
#include "hypervisor/link.h"
#include "hypervisor/looks.h"
#include "hypervisor/managed.h"
#include "hypervisor/migrate.h"
#include "hypervisor/options.h"
#include "hypervisor/permit.h"
#include "hypervisor/qemu_proc.h"
#include "hypervisor/reset.h"
#include "hypervisor/setup.h"
#include "hypervisor/start_register.h"
#include "hypervisor/tell.h"

#include <errno.h>
#include <malloc.h>
#include <qb/qblog.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INVENTORY_EVERY_MS 30000
#define INVENTORY_AFTER_UP_MS 2000 /* libvirtd may still be taking up its QEMUs again */
#define HEALTH_EVERY_MS 500

struct hypervisord {
	struct options opt;
	qb_loop_t *loop;
	struct mailbox *mailbox;
	struct pool *pool;
	struct job_table *jobs;
	struct conn *conn;
	struct link *link;
	struct facts *facts;
	struct looks *looks;
	struct managed *managed;
	struct storage *storage;
	struct guests *guests;
	/* health */
	bool connected, told, told_ok;
	uint64_t down_since_us;
	char down_why[HV_TEXT_MAX];
	_Atomic unsigned long version; /* libvirt's; set by conn's thread */
};

static struct hypervisord *the_one; /* for wake-ups from threads and signals */

#define VERSION_SIZE 32
static void version_text(struct hypervisord *h, char text[VERSION_SIZE])
{
	unsigned long v = atomic_load(&h->version);

	snprintf(text, VERSION_SIZE, "%lu.%lu.%lu", v / 1000000, v / 1000 % 1000, v % 1000);
}

/* ---- health */

/* At the start nothing is said until there is a connection, or until waiting for it is telling. */
static void check_health(struct hypervisord *h)
{
	uint64_t now = job_now_us();
	struct health_signs signs = {
	    .connected = h->connected,
	    .was_ill = h->told && !h->told_ok,
	    .down_us = h->connected ? 0 : now - h->down_since_us,
	    .pending_us = conn_pending_us(h->conn),
	    .exhausted = pool_exhausted(h->pool),
	    .stuck = pool_stuck(h->pool),
	    .why = h->down_why,
	};
	char text[HV_TEXT_MAX], version[VERSION_SIZE];
	bool ok = health_judge(&signs, text);

	if (h->told ? ok == h->told_ok : ok && !h->connected)
		return;
	if (!ok)
		health_add_processes(text);
	qb_log(ok ? LOG_INFO : LOG_WARNING, "libvirt: %s", ok ? "answers" : text);
	if (ok && h->told)
		looks_inventory(h->looks, true);
	h->told = true;
	h->told_ok = ok;
	version_text(h, version);
	tell_health(h->link, ok, text, health_memory_mib(h->opt.reserve_mib), health_cpus(),
		    version);
}

static void on_health_timer(void *data)
{
	struct hypervisord *h = data;
	qb_loop_timer_handle t;

	check_health(h);
	qb_loop_timer_add(h->loop, QB_LOOP_LOW, HEALTH_EVERY_MS * 1000000ULL, h, on_health_timer,
			  &t);
}

/* ---- inventories */

static void on_news(const struct fact *f, void *user)
{
	struct hypervisord *h = user;

	tell_fact(h->link, f);
	guests_facts(h->guests, h->facts, false);
	job_wake(h->jobs, f->uuid);
}

static void on_inventory(const struct inventory *inv, void *user)
{
	struct hypervisord *h = user;

	tell_inventory(h->link, inv, h->facts);
	guests_facts(h->guests, h->facts, inv->complete);
}

static void on_guest(const Hv__GuestSeen *seen, void *user)
{
	tell_guest(((struct hypervisord *)user)->link, seen);
}

static void on_odd(const char *text, void *user _unused_)
{
	qb_log(LOG_WARNING, "inventory: %s", text);
}

static void on_inventory_timer(void *data)
{
	struct hypervisord *h = data;
	qb_loop_timer_handle t;

	if (h->connected)
		looks_inventory(h->looks, false);
	qb_loop_timer_add(h->loop, QB_LOOP_LOW, INVENTORY_EVERY_MS * 1000000ULL, h,
			  on_inventory_timer, &t);
}

static void on_settled(void *data)
{
	struct hypervisord *h = data;

	if (h->connected)
		looks_inventory(h->looks, false);
}

/* ---- libvirt's connection and events */

static void on_opened(virConnectPtr c, void *user)
{
	struct hypervisord *h = user;
	unsigned long v;

	events_register(c);
	if (virConnectGetLibVersion(c, &v) == 0)
		atomic_store(&h->version, v);
}

static void on_up(void *user)
{
	struct hypervisord *h = user;
	qb_loop_timer_handle t;
	char version[VERSION_SIZE];

	h->connected = true;
	version_text(h, version);
	qb_log(LOG_INFO, "connected to libvirt %s", version);
	start_register_heard();
	check_health(h);
	looks_inventory(h->looks, true);
	job_wake(h->jobs, NULL);
	qb_loop_timer_add(h->loop, QB_LOOP_LOW, INVENTORY_AFTER_UP_MS * 1000000ULL, h, on_settled,
			  &t);
}

static void on_down(const char *why, void *user)
{
	struct hypervisord *h = user;

	if (h->connected)
		h->down_since_us = job_now_us();
	h->connected = false;
	snprintf(h->down_why, sizeof(h->down_why), "%s", why);
	qb_log(LOG_NOTICE, "no connection to libvirt: %s", why);
}

/* While we create a VM ourselves, "stopped" may be of the attempt before: the answer will tell. */
static void on_event(const struct domain_event *ev, void *user)
{
	struct hypervisord *h = user;
	const struct fact *f = NULL;
	bool gone = ev->known && ev->observed == HV__OBSERVED__OBSERVED_ABSENT;

	qb_log(LOG_DEBUG, "%s (%s): %s", ev->name, ev->uuid, ev->what);
	guests_event(h->guests, ev);
	if (!ev->known && !ev->look)
		return;
	if (!ev->known || (gone && start_register_holds(ev->uuid))) {
		facts_touch(h->facts, ev->uuid);
		looks_at(h->looks, ev->uuid, ev->name);
	} else {
		f = facts_event(h->facts, ev->uuid, ev->name, ev->observed, ev->cause, ev->arrived);
	}
	if (f)
		tell_fact(h->link, f);
	guests_facts(h->guests, h->facts, false);
	job_wake(h->jobs, ev->uuid);
}

/* ---- jobs */

static enum job_step on_step(struct job *j, void *user)
{
	struct hypervisord *h = user;

	j->mark = facts_mark(h->facts);
	if (j->kind == HV__HV_JOB_KIND__HV_JOB_MIGRATE)
		return migrate_step(j, h->conn);
	if (j->kind == HV__HV_JOB_KIND__HV_JOB_RESET)
		return reset_step(j, h->conn);
	return lifecycle_step(j, h->conn);
}

static uint32_t on_deadline_ms(const struct job *j, void *user _unused_)
{
	return lifecycle_deadline_ms(j);
}

/* libvirt cannot tell; what does the host itself show? */
static void add_process(const struct job *j, char text[HV_TEXT_MAX])
{
	pid_t pid = qemu_proc_by_pidfile(j->name);
	size_t len = strlen(text);

	if (pid > 0)
		snprintf(text + len, HV_TEXT_MAX - len, "; its QEMU process %d is alive", (int)pid);
}

static void on_answer(const struct job *j, void *user)
{
	struct hypervisord *h = user;
	Hv__Observed observed = facts_refine(h->facts, j->uuid, j->observed);
	char text[HV_TEXT_MAX];

	memcpy(text, j->text, sizeof(text));
	if (j->rc == HV_TIMEOUT || j->rc == HV_HYPERVISOR_DOWN)
		add_process(j, text);
	if (j->kind == HV__HV_JOB_KIND__HV_JOB_RESET)
		guests_reset_ended(h->guests, j->uuid, j->rc == HV_OK);
	tell_result(h->link, j, observed, text);
	qb_log(j->rc == HV_OK ? LOG_INFO : LOG_WARNING, "job %llu, VM %s: %s%s%s",
	       (unsigned long long)j->id, j->name[0] ? j->name : j->uuid, hv_rc_text(j->rc),
	       text[0] ? ": " : "", text);
	if (facts_newer(h->facts, j->uuid, j->mark))
		looks_at(h->looks, j->uuid, j->name);
	else if (observed != HV__OBSERVED__OBSERVED_UNKNOWN)
		facts_look(h->facts, j->uuid, j->name, observed, HV__CAUSE__CAUSE_NONE, j->mark);
}

static void on_progress(const struct job *j, void *user)
{
	tell_progress(((struct hypervisord *)user)->link, j);
}

static void on_late(const struct job *j, void *user)
{
	qb_log(LOG_NOTICE, "job %llu: the call that had hung has returned",
	       (unsigned long long)j->id);
	looks_at(((struct hypervisord *)user)->looks, j->uuid, j->name);
}

static void on_release(struct job *j, void *user _unused_)
{
	if (j->kind == HV__HV_JOB_KIND__HV_JOB_RESET)
		reset_release(j);
	else
		migrate_release(j);
}

static const struct job_backend backend = {
    .step = on_step,
    .deadline_ms = on_deadline_ms,
    .answer = on_answer,
    .progress = on_progress,
    .late = on_late,
    .release = on_release,
};

static void wake_one(void *data)
{
	job_wake(the_one->jobs, data);
	free(data);
}

static void wake_from_thread(const char *uuid)
{
	mailbox_post(the_one->mailbox, wake_one, hv_xstrdup(uuid));
}

/* ---- clusterd */

static void on_managed_failed(const char *why)
{
	qb_log(LOG_ERR,
	       "%s/" PERMIT_MANAGED " cannot be written (%s): libvirt's hook does not know all "
	       "VMs of the cluster",
	       the_one->opt.state_dir, why);
}

static void on_storage(void *user)
{
	struct hypervisord *h = user;
	struct storage_trouble bad;

	if (!h->storage)
		return;
	for (size_t i = 0; storage_bad_at(h->storage, i, &bad); i++)
		qb_log(LOG_WARNING, "storage %s: %s", bad.path, bad.text);
	tell_storage(h->link, h->storage);
}

static void on_setup(const struct setup_seen *seen, void *user)
{
	struct hypervisord *h = user;

	if (*seen->hook)
		qb_log(LOG_WARNING, "%s", seen->hook);
	if (*seen->certificate)
		qb_log(LOG_WARNING, "%s", seen->certificate);
	tell_setup(h->link, seen);
}

/* In /run: that does not block. */
static void permit_arrivals(struct hypervisord *h, const Hv__HvIncoming *r)
{
	_cleanup_free_ char **uuids = hv_xcalloc(r->n_uuids + 1, sizeof(*uuids));
	size_t n = 0;

	for (size_t i = 0; i < r->n_uuids; i++)
		if (hv_uuid_valid(r->uuids[i]))
			uuids[n++] = r->uuids[i];
	if (!permit_set_incoming(h->opt.run_dir, uuids, n, permit_now_us() + PERMIT_INCOMING_US))
		qb_log(LOG_ERR,
		       "%s/" PERMIT_INCOMING " cannot be written (%s): libvirt's hook will refuse "
		       "migrations to this host",
		       h->opt.run_dir, strerror(errno));
}

static void on_request(const Hv__HvRequest *r, void *user)
{
	struct hypervisord *h = user;

	switch (r->body_case) {
	case HV__HV_REQUEST__BODY_JOB:
		if (r->job->kind == HV__HV_JOB_KIND__HV_JOB_RESET && hv_uuid_valid(r->job->uuid))
			guests_reset_begins(h->guests, r->job->uuid);
		job_submit(h->jobs, r->job);
		break;
	case HV__HV_REQUEST__BODY_CANCEL:
		job_cancel(h->jobs, r->cancel->id);
		break;
	case HV__HV_REQUEST__BODY_PING:
		tell_pong(h->link, r->ping->seq);
		break;
	case HV__HV_REQUEST__BODY_REFRESH:
		looks_inventory(h->looks, true);
		guests_tell_all(h->guests);
		break;
	case HV__HV_REQUEST__BODY_MANAGED:
		managed_set(h->managed, r->managed->uuids, r->managed->n_uuids);
		break;
	case HV__HV_REQUEST__BODY_STORAGES:
		storage_watch(h->storage, r->storages->paths, r->storages->n_paths);
		break;
	case HV__HV_REQUEST__BODY_INCOMING:
		permit_arrivals(h, r->incoming);
		break;
	case HV__HV_REQUEST__BODY_GUESTS:
		guests_want(h->guests, r->guests);
		guests_facts(h->guests, h->facts, false);
		break;
	case HV__HV_REQUEST__BODY__NOT_SET: /* of a later version: not for us */
	case _HV__HV_REQUEST__BODY__CASE_IS_INT_SIZE:
		qb_log(LOG_NOTICE, "a request of an unknown kind was ignored");
		break;
	}
}

/* At once, with whatever the threads are in: what libvirtd was asked for it does or does not. */
static void leave(int status)
{
	qb_log_fini();
	_exit(status);
}

static void on_ended(const char *why, void *user _unused_)
{
	if (why)
		qb_log(LOG_ERR, "the connection to clusterd is unusable: %s", why);
	else
		qb_log(LOG_INFO, "clusterd is gone");
	leave(why ? 1 : 0);
}

static int32_t on_signal(int32_t sig, void *data _unused_)
{
	qb_log(LOG_INFO, "signal %d", sig);
	leave(0);
	return 0;
}

/* ---- start */

static void start_logging(int level)
{
	qb_log_init("hypervisord", LOG_DAEMON, LOG_INFO);
	qb_log_ctl(QB_LOG_SYSLOG, QB_LOG_CONF_ENABLED, QB_FALSE);
	qb_log_filter_ctl(QB_LOG_STDERR, QB_LOG_FILTER_ADD, QB_LOG_FILTER_FILE, "*",
			  (uint8_t)level);
	qb_log_format_set(QB_LOG_STDERR, "%t hypervisord[%P] %7p %b");
	qb_log_ctl(QB_LOG_STDERR, QB_LOG_CONF_ENABLED, QB_TRUE);
}

static void add_signals(struct hypervisord *h)
{
	qb_loop_signal_handle handle;

	signal(SIGPIPE, SIG_IGN);
	qb_loop_signal_add(h->loop, QB_LOOP_HIGH, SIGTERM, NULL, on_signal, &handle);
	qb_loop_signal_add(h->loop, QB_LOOP_HIGH, SIGINT, NULL, on_signal, &handle);
}

static void open_register(const struct hypervisord *h)
{
	_cleanup_free_ char *dir = hv_xasprintf("%s/starting", h->opt.run_dir);
	_cleanup_free_ char *marks = hv_xasprintf("%s/guests", h->opt.run_dir);

	if (!start_register_open(dir))
		qb_log(
		    LOG_WARNING,
		    "%s cannot be used (%s): a start that a crash of hypervisord interrupts will "
		    "not be remembered",
		    dir, strerror(errno));
	if (!guest_marks_open(marks))
		qb_log(LOG_WARNING,
		       "%s cannot be used (%s): a reset that a crash of hypervisord interrupts may "
		       "be done twice",
		       marks, strerror(errno));
}

/* Returns what failed, NULL when all is up. */
static const char *compose(struct hypervisord *h)
{
	const struct link_hooks link_hooks = {on_request, on_ended, h};
	const struct looks_hooks looks_hooks = {on_news, on_inventory, on_odd, h};
	const struct conn_hooks conn_hooks = {on_opened, on_up, on_down, h};
	const struct storage_hooks storage_hooks = {on_storage, h};
	const struct guests_hooks guests_hooks = {on_guest, h};
	_cleanup_free_ char *probe = child_program("storage-probe");

	h->loop = qb_loop_create();
	h->mailbox = h->loop ? mailbox_new(h->loop) : NULL;
	if (!h->mailbox)
		return "the main loop";
	h->facts = facts_new();
	h->pool = pool_new(h->mailbox, h->opt.workers);
	h->looks = looks_new(h->loop, h->pool, h->facts, &looks_hooks);
	h->managed = managed_new(h->pool, h->opt.state_dir, on_managed_failed);
	h->jobs = job_table_new(h->loop, h->pool, &backend, h);
	h->link = link_new(h->loop, h->opt.fd, &link_hooks);
	if (!h->link)
		return "the socket to clusterd (--fd)";
	h->storage = storage_new(h->loop, probe, &storage_hooks);
	setup_new(h->loop, h->pool, on_setup, h);
	add_signals(h);
	open_register(h);
	migrate_init(wake_from_thread);
	reset_init(h->opt.uri, h->opt.state_dir);
	h->guests = guests_new(h->loop, h->mailbox, probe, &guests_hooks);
	tell_ready(h->link);
	if (!events_start(h->mailbox, on_event, h))
		return "libvirt's event loop";
	h->down_since_us = job_now_us();
	h->conn = conn_start(h->mailbox, h->opt.uri, &conn_hooks);
	looks_use(h->looks, h->conn);
	guests_use(h->guests, h->conn);
	return h->conn ? NULL : "the thread of the connection";
}

int main(int argc, char **argv)
{
	struct hypervisord *h = hv_xcalloc(1, sizeof(*h));
	const char *failed;

	the_one = h;
	options_parse(&h->opt, argc, argv);
	mallopt(M_ARENA_MAX, 2); /* threads that mostly wait need no heaps of their own */
	start_logging(h->opt.log_level);
	failed = compose(h);
	if (failed) {
		qb_log(LOG_ERR, "%s could not be set up: %s", failed, strerror(errno));
		leave(1);
	}
	on_health_timer(h);
	on_inventory_timer(h);
	qb_loop_run(h->loop);
	leave(0);
}
