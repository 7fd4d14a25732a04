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
 */
#include "hypervisor/conn.h"
#include "hypervisor/events.h"
#include "hypervisor/facts.h"
#include "hypervisor/health.h"
#include "hypervisor/inventory.h"
#include "hypervisor/job.h"
#include "hypervisor/lifecycle.h"
#include "hypervisor/link.h"
#include "hypervisor/migrate.h"
#include "hypervisor/qemu_proc.h"
#include "hypervisor/start_register.h"

#include <argp.h>
#include <errno.h>
#include <malloc.h>
#include <qb/qblog.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

#define PROTOCOL_VERSION 1
#define INVENTORY_EVERY_MS 30000
#define LOOK_TIMEOUT_MS 5000
#define INVENTORY_AFTER_UP_MS 2000 /* libvirtd may still be taking up its QEMUs again */
#define HEALTH_EVERY_MS 500

struct options {
	int fd, log_level;
	const char *uri, *run_dir;
	unsigned workers;
	uint64_t reserve_mib;
};

/* An inventory or a look at one VM, on its way through the pool. */
struct look {
	struct pool_task task; /* first */
	struct hypervisord *h;
	uint64_t mark;
	char uuid[HV_UUID_LEN + 1], name[256]; /* of the one VM; "": all */
	struct sight sight;
	struct inventory inv;
	bool given_up;
	qb_loop_timer_handle timer;
};

struct hypervisord {
	struct options opt;
	qb_loop_t *loop;
	struct mailbox *mailbox;
	struct pool *pool;
	struct job_table *jobs;
	struct conn *conn;
	struct link *link;
	struct facts *facts;
	/* health */
	bool connected, told, told_ok;
	uint64_t down_since_us;
	char down_why[HV_TEXT_MAX], version[32];
	/* inventory */
	struct look *running;
	bool again, full; /* one more is wanted; the next is to be told in full */
};

static struct hypervisord *the_one; /* for wake-ups from threads and signals */

static void want_inventory(struct hypervisord *h, bool full);
static void look_at(struct hypervisord *h, const char *uuid, const char *name);

/* ---- what we say */

static void send_body(struct hypervisord *h, Hv__HvMessage *m, Hv__HvMessage__BodyCase which)
{
	m->body_case = which;
	link_send(h->link, m);
}

static void say_fact(struct hypervisord *h, const struct fact *f)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__DomainSeen seen = HV__DOMAIN_SEEN__INIT;

	seen.uuid = (char *)f->uuid;
	seen.name = (char *)f->name;
	seen.observed = f->observed;
	seen.cause = f->cause;
	m.domain = &seen;
	send_body(h, &m, HV__HV_MESSAGE__BODY_DOMAIN);
}

static void say_health(struct hypervisord *h, bool ok, char *text)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvHealth health = HV__HV_HEALTH__INIT;

	health.libvirt_ok = ok;
	health.text = text;
	health.mem_mib = health_memory_mib(h->opt.reserve_mib);
	health.cpus = health_cpus();
	health.libvirt_version = h->version;
	m.health = &health;
	send_body(h, &m, HV__HV_MESSAGE__BODY_HEALTH);
}

static void say_ready(struct hypervisord *h)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvReady ready = HV__HV_READY__INIT;

	ready.version = PROTOCOL_VERSION;
	ready.pid = (uint32_t)getpid();
	m.ready = &ready;
	send_body(h, &m, HV__HV_MESSAGE__BODY_READY);
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
	char text[HV_TEXT_MAX];
	bool ok = health_judge(&signs, text);

	if (h->told ? ok == h->told_ok : ok && !h->connected)
		return;
	if (!ok)
		health_add_processes(text);
	qb_log(ok ? LOG_INFO : LOG_WARNING, "libvirt: %s", ok ? "answers" : text);
	if (ok && h->told)
		want_inventory(h, true);
	h->told = true;
	h->told_ok = ok;
	say_health(h, ok, text);
}

static void on_health_timer(void *data)
{
	struct hypervisord *h = data;
	qb_loop_timer_handle t;

	check_health(h);
	qb_loop_timer_add(h->loop, QB_LOOP_LOW, HEALTH_EVERY_MS * 1000000ULL, h, on_health_timer, &t);
}

/* ---- looks and inventories */

static void look_run(struct pool_task *task)
{
	struct look *k = (struct look *)task;
	_cleanup_lease_ struct conn_lease lease = { 0 };

	conn_lease(k->h->conn, &lease);
	if (k->uuid[0])
		observe(lease.v, k->uuid, &k->sight);
	else
		inventory_take(lease.v, &k->inv);
}

static void look_free(struct look *k)
{
	if (k->timer)
		qb_loop_timer_del(k->h->loop, k->timer);
	inventory_done(&k->inv);
	free(k);
}

/* One VM's state is told; one that cannot be told is no news, the next inventory will tell. */
static void look_done(struct pool_task *task)
{
	struct look *k = (struct look *)task;
	struct hypervisord *h = k->h;
	const struct fact *f = NULL;

	if (!k->given_up && k->sight.observed != HV__OBSERVED__OBSERVED_UNKNOWN)
		f = facts_look(h->facts, k->uuid, k->name, k->sight.observed, k->sight.cause,
			       k->mark);
	if (f) {
		say_fact(h, f);
		job_wake(h->jobs, k->uuid);
	}
	look_free(k);
}

static struct look *look_new(struct hypervisord *h, void (*done)(struct pool_task *),
			     void (*late)(void *))
{
	struct look *k = hv_xcalloc(1, sizeof(*k));

	k->task.run = look_run;
	k->task.done = done;
	k->h = h;
	k->mark = facts_mark(h->facts);
	qb_loop_timer_add(h->loop, QB_LOOP_MED, LOOK_TIMEOUT_MS * 1000000ULL, k, late, &k->timer);
	return k;
}

/* It hangs: nobody waits for it any longer. */
static void look_give_up(struct look *k)
{
	k->timer = 0;
	k->given_up = true;
	if (pool_give_up(k->h->pool, &k->task))
		look_free(k);
}

static void look_late(void *data)
{
	look_give_up(data);
}

static void look_at(struct hypervisord *h, const char *uuid, const char *name)
{
	struct look *k = look_new(h, look_done, look_late);

	snprintf(k->uuid, sizeof(k->uuid), "%s", uuid);
	snprintf(k->name, sizeof(k->name), "%s", name);
	pool_submit(h->pool, &k->task);
}

/* Says what is new; whoever was there and is not in it is absent. */
static void tell_changes(struct hypervisord *h, const struct look *k)
{
	const struct fact *f;

	for (size_t i = 0; i < k->inv.count; i++) {
		const struct inventory_item *it = &k->inv.items[i];

		f = facts_look(h->facts, it->uuid, it->name, it->observed, it->cause, k->mark);
		if (f && !h->full)
			say_fact(h, f);
	}
	for (size_t i = 0; (f = facts_at(h->facts, i)); i++) {
		if (f->observed == HV__OBSERVED__OBSERVED_ABSENT || inventory_find(&k->inv, f->uuid))
			continue;
		f = facts_look(h->facts, f->uuid, "", HV__OBSERVED__OBSERVED_ABSENT,
			       HV__CAUSE__CAUSE_NONE, k->mark);
		if (f && !h->full)
			say_fact(h, f);
	}
	facts_drop_absent(h->facts, k->mark);
}

/* What is known now, which is the inventory with the events that came in meanwhile. */
static void say_inventory(struct hypervisord *h, const struct inventory *inv)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvInventory full = HV__HV_INVENTORY__INIT;
	_cleanup_free_ Hv__DomainSeen *seen = NULL;
	_cleanup_free_ Hv__DomainSeen **list = NULL;
	const struct fact *f;
	size_t n = 0;

	while (inv->complete && facts_at(h->facts, n))
		n++;
	seen = hv_xcalloc(n, sizeof(*seen));
	list = hv_xcalloc(n, sizeof(*list));
	full.complete = inv->complete;
	full.text = (char *)inv->text;
	full.domains = list;
	for (size_t i = 0; i < n; i++) {
		f = facts_at(h->facts, i);
		if (f->observed == HV__OBSERVED__OBSERVED_ABSENT)
			continue;
		hv__domain_seen__init(&seen[i]);
		seen[i].uuid = (char *)f->uuid;
		seen[i].name = (char *)f->name;
		seen[i].observed = f->observed;
		seen[i].cause = f->cause;
		list[full.n_domains++] = &seen[i];
	}
	m.inventory = &full;
	send_body(h, &m, HV__HV_MESSAGE__BODY_INVENTORY);
}

static void inventory_over(struct hypervisord *h, const struct look *k)
{
	if (k->inv.complete)
		tell_changes(h, k);
	if (k->inv.text[0])
		qb_log(LOG_WARNING, "inventory: %s", k->inv.text);
	/* A failure while there is no connection is told when it was asked for; `up` asks again. */
	if (h->full)
		say_inventory(h, &k->inv);
	h->full = false;
	h->running = NULL;
	if (h->again) {
		h->again = false;
		want_inventory(h, false);
	}
}

static void inventory_finished(struct pool_task *task)
{
	struct look *k = (struct look *)task;

	if (!k->given_up)
		inventory_over(k->h, k);
	look_free(k);
}

static void inventory_late(void *data)
{
	struct look *k = data;
	struct hypervisord *h = k->h;
	struct look none = { .h = h };

	look_give_up(k);
	snprintf(none.inv.text, sizeof(none.inv.text), "libvirt did not answer within %d ms",
		 LOOK_TIMEOUT_MS);
	inventory_over(h, &none);
}

static void want_inventory(struct hypervisord *h, bool full)
{
	h->full |= full;
	if (h->running) {
		h->again = true;
		return;
	}
	h->running = look_new(h, inventory_finished, inventory_late);
	pool_submit(h->pool, &h->running->task);
}

static void on_inventory_timer(void *data)
{
	struct hypervisord *h = data;
	qb_loop_timer_handle t;

	if (h->connected)
		want_inventory(h, false);
	qb_loop_timer_add(h->loop, QB_LOOP_LOW, INVENTORY_EVERY_MS * 1000000ULL, h,
			  on_inventory_timer, &t);
}

static void on_settled(void *data)
{
	struct hypervisord *h = data;

	if (h->connected)
		want_inventory(h, false);
}

/* ---- libvirt's connection and events */

static void on_opened(virConnectPtr c, void *user)
{
	struct hypervisord *h = user;
	unsigned long v;

	events_register(c);
	if (virConnectGetLibVersion(c, &v) == 0)
		snprintf(h->version, sizeof(h->version), "%lu.%lu.%lu", v / 1000000,
			 v / 1000 % 1000, v % 1000);
}

static void on_up(void *user)
{
	struct hypervisord *h = user;
	qb_loop_timer_handle t;

	h->connected = true;
	qb_log(LOG_INFO, "connected to libvirt %s", h->version);
	start_register_heard();
	check_health(h);
	want_inventory(h, true);
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
	if (!ev->known || (gone && start_register_holds(ev->uuid))) {
		facts_touch(h->facts, ev->uuid);
		look_at(h, ev->uuid, ev->name);
	} else {
		f = facts_event(h->facts, ev->uuid, ev->name, ev->observed, ev->cause, ev->arrived);
	}
	if (f)
		say_fact(h, f);
	job_wake(h->jobs, ev->uuid);
}

/* ---- jobs */

static enum job_step on_step(struct job *j, void *user)
{
	struct hypervisord *h = user;

	j->mark = facts_mark(h->facts);
	if (j->kind == HV__HV_JOB_KIND__HV_JOB_MIGRATE)
		return migrate_step(j, h->conn);
	return lifecycle_step(j, h->conn);
}

static uint32_t on_deadline_ms(const struct job *j, void *user _unused_)
{
	return lifecycle_deadline_ms(j);
}

/* libvirt cannot tell; what does the host itself show? */
static void add_process(const struct job *j, char text[HV_TEXT_MAX])
{
	pid_t pid = qemu_proc_by_pidfile(j->name, j->uuid);
	size_t len = strlen(text);

	if (pid > 0)
		snprintf(text + len, HV_TEXT_MAX - len, "; its QEMU process %d is alive", (int)pid);
}

static void on_answer(const struct job *j, void *user)
{
	struct hypervisord *h = user;
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvResult r = HV__HV_RESULT__INIT;
	char text[HV_TEXT_MAX];

	memcpy(text, j->text, sizeof(text));
	if (j->rc == HV_TIMEOUT || j->rc == HV_HYPERVISOR_DOWN)
		add_process(j, text);
	r.id = j->id;
	r.attempt = j->attempt;
	r.rc = j->rc;
	r.text = text;
	r.observed = facts_refine(h->facts, j->uuid, j->observed);
	r.began_us = j->began_us;
	r.ended_us = j->ended_us;
	m.result = &r;
	send_body(h, &m, HV__HV_MESSAGE__BODY_RESULT);
	qb_log(j->rc == HV_OK ? LOG_INFO : LOG_WARNING, "job %llu, VM %s: %s%s%s",
	       (unsigned long long)j->id, j->name[0] ? j->name : j->uuid, hv_rc_text(j->rc),
	       text[0] ? ": " : "", text);
	if (facts_newer(h->facts, j->uuid, j->mark))
		look_at(h, j->uuid, j->name);
	else if (r.observed != HV__OBSERVED__OBSERVED_UNKNOWN)
		facts_look(h->facts, j->uuid, j->name, r.observed, HV__CAUSE__CAUSE_NONE, j->mark);
}

static void on_progress(const struct job *j, void *user)
{
	struct hypervisord *h = user;
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvProgress p = HV__HV_PROGRESS__INIT;

	p.id = j->id;
	p.permille = j->permille;
	p.text = (char *)j->progress;
	m.progress = &p;
	send_body(h, &m, HV__HV_MESSAGE__BODY_PROGRESS);
}

static void on_late(const struct job *j, void *user)
{
	qb_log(LOG_NOTICE, "job %llu: the call that had hung has returned",
	       (unsigned long long)j->id);
	look_at(user, j->uuid, j->name);
}

static void on_release(struct job *j, void *user _unused_)
{
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

static void pong(struct hypervisord *h, uint64_t seq)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvPong p = HV__HV_PONG__INIT;

	p.seq = seq;
	m.pong = &p;
	send_body(h, &m, HV__HV_MESSAGE__BODY_PONG);
}

static void on_request(const Hv__HvRequest *r, void *user)
{
	struct hypervisord *h = user;

	switch (r->body_case) {
	case HV__HV_REQUEST__BODY_JOB:
		job_submit(h->jobs, r->job);
		break;
	case HV__HV_REQUEST__BODY_CANCEL:
		job_cancel(h->jobs, r->cancel->id);
		break;
	case HV__HV_REQUEST__BODY_PING:
		pong(h, r->ping->seq);
		break;
	case HV__HV_REQUEST__BODY_REFRESH:
		want_inventory(h, true);
		break;
	case HV__HV_REQUEST__BODY_MANAGED:
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

static const char *const levels[] = { "emerg", "alert",	 "crit", "err",
				      "warning", "notice", "info", "debug" };

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'f':
		o->fd = (int)strtol(arg, NULL, 10);
		return 0;
	case 'u':
		o->uri = arg;
		return 0;
	case 'w':
		o->workers = (unsigned)strtoul(arg, NULL, 10);
		if (o->workers < 1 || o->workers > 64)
			argp_error(state, "--workers must be 1 to 64");
		return 0;
	case 'r':
		o->reserve_mib = strtoull(arg, NULL, 10);
		return 0;
	case 'd':
		o->run_dir = arg;
		return 0;
	case 'l':
		for (int i = 0; i < (int)ARRAY_SIZE(levels); i++)
			if (strcmp(arg, levels[i]) == 0) {
				o->log_level = i;
				return 0;
			}
		argp_error(state, "--log-level must be err, warning, notice, info or debug");
		return 0;
	case ARGP_KEY_END:
		if (o->fd < 0)
			argp_error(state, "--fd is missing: hypervisord is started by clusterd");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option option_table[] = {
	{ "fd", 'f', "N", 0, "The socket to clusterd", 0 },
	{ "uri", 'u', "URI", 0, "libvirt's URI (qemu:///system)", 0 },
	{ "workers", 'w', "N", 0, "Calls to libvirt at a time (6)", 0 },
	{ "reserve-mib", 'r', "N", 0, "Memory kept for the host itself (5 %, at least 512)", 0 },
	{ "run-dir", 'd', "DIR", 0, "Where starts under way are noted (/run/hvcluster)", 0 },
	{ "log-level", 'l', "LEVEL", 0, "err, warning, notice, info (preset) or debug", 0 },
	{ 0 },
};
static const struct argp argp = {
	.options = option_table,
	.parser = parse_option,
	.doc = "The hypervisor layer of hvcluster. Started and supervised by clusterd.",
};
const char *argp_program_version = "hypervisord " PACKAGE_VERSION;

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

	if (!start_register_open(dir))
		qb_log(LOG_WARNING,
		       "%s cannot be used (%s): a start that a crash of hypervisord interrupts will "
		       "not be remembered",
		       dir, strerror(errno));
}

/* Returns what failed, NULL when all is up. */
static const char *compose(struct hypervisord *h)
{
	const struct link_hooks link_hooks = { on_request, on_ended, h };
	const struct conn_hooks conn_hooks = { on_opened, on_up, on_down, h };

	h->loop = qb_loop_create();
	h->mailbox = h->loop ? mailbox_new(h->loop) : NULL;
	if (!h->mailbox)
		return "the main loop";
	h->facts = facts_new();
	h->pool = pool_new(h->mailbox, h->opt.workers);
	h->jobs = job_table_new(h->loop, h->pool, &backend, h);
	h->link = link_new(h->loop, h->opt.fd, &link_hooks);
	if (!h->link)
		return "the socket to clusterd (--fd)";
	add_signals(h);
	open_register(h);
	migrate_init(wake_from_thread);
	say_ready(h);
	if (!events_start(h->mailbox, on_event, h))
		return "libvirt's event loop";
	h->down_since_us = job_now_us();
	h->conn = conn_start(h->mailbox, h->opt.uri, &conn_hooks);
	return h->conn ? NULL : "the thread of the connection";
}

int main(int argc, char **argv)
{
	struct hypervisord *h = hv_xcalloc(1, sizeof(*h));
	const char *failed;

	the_one = h;
	h->opt = (struct options){ .fd = -1,
				   .log_level = LOG_INFO,
				   .uri = "qemu:///system",
				   .run_dir = "/run/hvcluster",
				   .workers = 6 };
	argp_parse(&argp, argc, argv, 0, NULL, &h->opt);
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
