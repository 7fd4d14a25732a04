/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvdrive - drives a hypervisord by hand or from a test: plays clusterd on its socket.
 *
 *   hvdrive PATH/hypervisord [hypervisord's options] < commands
 *
 * One command a line; each answer and fact is one line on stdout, with the milliseconds since the
 * start. Jobs get the ids 1, 2, 3 ... in the order given.
 *
 *   start FILE | stop UUID NAME MS | destroy UUID NAME | pause UUID NAME | resume UUID NAME
 *   probe UUID NAME [MS] | migrate UUID NAME URI [MS] [paused_ok] [unsafe] [clear_text]
 *   reset UUID NAME [lost|panicked|watchdog]
 *   watch UUID[,UUID...] HEARTBEAT_S IDLE_S [answered]   watches these guests and no others; watch
 * - 1 1 cancel ID | refresh | ping N | again ID (sends the job again) | raw HEX wait ID [MS] until
 * the job is answered; fails after MS (60000) expect ID RC OBSERVED   fails unless that was the
 * answer (names as in the .proto files) until WORD MS       reads messages until one line contains
 * WORD sleep MS | kill (hypervisord, -9) | signal PIDFILE NUMBER | quit
 */
#include "hypervisor/domain_xml.h"
#include "proto/hypervisor.pb-c.h"
#include "proto/ids.h"
#include "proto/rc.h"
#include "proto/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 4096
#define WORDS_MAX 8

struct job {
	Hv__HvJob request; /* its strings are leaked: this is a test program that ends soon */
	bool answered;
	uint64_t sent_us;
	unsigned rc;
	Hv__Observed observed;
};

static struct {
	int fd;
	pid_t child;
	struct wire_reader in;
	struct job jobs[JOBS_MAX];
	size_t n_jobs;
	uint64_t began_ms;
	char last[8192]; /* the line last printed */
	unsigned lines;
} d;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t now_ms(void)
{
	return now_us() / 1000;
}

static _noreturn_ void fail(const char *what, const char *detail)
{
	printf("%6llu FAILED %s %s\n", (unsigned long long)(now_ms() - d.began_ms), what, detail);
	fflush(stdout);
	if (d.child > 0)
		kill(d.child, SIGTERM);
	exit(1);
}

static const char *observed_name(Hv__Observed o)
{
	const ProtobufCEnumValue *v =
	    protobuf_c_enum_descriptor_get_value(&hv__observed__descriptor, (int)o);

	return v ? v->name + strlen("OBSERVED_") : "?";
}

static const char *cause_name(Hv__Cause c)
{
	const ProtobufCEnumValue *v =
	    protobuf_c_enum_descriptor_get_value(&hv__cause__descriptor, (int)c);

	return v ? v->name + strlen("CAUSE_") : "?";
}

/* ---- messages */

static void line(const char *fmt, ...) _printf_(1, 2);
static void line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d.last, sizeof(d.last), fmt, ap);
	va_end(ap);
	printf("%6llu %s\n", (unsigned long long)(now_ms() - d.began_ms), d.last);
	fflush(stdout);
	d.lines++;
}

static void show_result(const Hv__HvResult *r)
{
	uint64_t took_us = 0;

	if (r->id >= 1 && r->id <= d.n_jobs) {
		struct job *j = &d.jobs[r->id - 1];

		if (j->answered)
			line("ANSWERED-TWICE %llu", (unsigned long long)r->id);
		j->answered = true;
		took_us = now_us() - j->sent_us;
		j->rc = r->rc;
		j->observed = r->observed;
	}
	line("result %llu attempt %u %s %s call %lld us of %lld us: %s%s%s",
	     (unsigned long long)r->id, r->attempt, hv_rc_name(r->rc), observed_name(r->observed),
	     (long long)(r->ended_us - r->began_us), (long long)took_us, r->text,
	     r->evidence[0] ? " evidence " : "", r->evidence);
}

static void show_inventory(const Hv__HvInventory *inv)
{
	char names[4096] = "";
	size_t len = 0;

	for (size_t i = 0; i < inv->n_domains && len < sizeof(names) - 400; i++)
		len += (size_t)sprintf(names + len, " %.64s:%s", inv->domains[i]->name,
				       observed_name(inv->domains[i]->observed));
	line("inventory %s %zu%s %s", inv->complete ? "complete" : "unknown", inv->n_domains, names,
	     inv->text);
}

static void show_guest(const Hv__GuestSeen *g)
{
	static const char *const beats[] = {"unknown", "never", "ok", "lost"};
	static const char *const troubles[] = {"none", "panicked", "watchdog", "no-space",
					       "io-error"};

	line("guest %.36s heartbeat %s%s trouble %s%s own-resets %u %s", g->uuid,
	     (unsigned)g->heartbeat < 4 ? beats[g->heartbeat] : "?", g->idle ? " idle" : "",
	     (unsigned)g->trouble < 5 ? troubles[g->trouble] : "?",
	     g->storage_back ? " storage-back" : "", g->own_resets, g->text);
}

static void show(const Hv__HvMessage *m)
{
	switch (m->body_case) {
	case HV__HV_MESSAGE__BODY_RESULT:
		show_result(m->result);
		break;
	case HV__HV_MESSAGE__BODY_PROGRESS:
		line("progress %llu %u %s", (unsigned long long)m->progress->id,
		     m->progress->permille, m->progress->text);
		break;
	case HV__HV_MESSAGE__BODY_DOMAIN:
		line("domain %s %s %s", m->domain->name, observed_name(m->domain->observed),
		     cause_name(m->domain->cause));
		break;
	case HV__HV_MESSAGE__BODY_GUEST:
		show_guest(m->guest);
		break;
	case HV__HV_MESSAGE__BODY_INVENTORY:
		show_inventory(m->inventory);
		break;
	case HV__HV_MESSAGE__BODY_HEALTH:
		line("health %s mem %llu cpus %u libvirt %s %s",
		     m->health->libvirt_ok ? "ok" : "ill", (unsigned long long)m->health->mem_mib,
		     m->health->cpus, m->health->libvirt_version, m->health->text);
		break;
	case HV__HV_MESSAGE__BODY_PONG:
		line("pong %llu", (unsigned long long)m->pong->seq);
		break;
	case HV__HV_MESSAGE__BODY_READY:
		line("ready version %u", m->ready->version);
		break;
	case HV__HV_MESSAGE__BODY_STORAGE:
		line("storage %zu bad", m->storage->n_bad);
		break;
	case HV__HV_MESSAGE__BODY_SETUP:
		line("setup lock %s", m->setup->disk_lock);
		break;
	case HV__HV_MESSAGE__BODY__NOT_SET:
	case _HV__HV_MESSAGE__BODY__CASE_IS_INT_SIZE:
		line("unknown message");
		break;
	}
}

/* Reads what comes within `ms`; returns after one message. False: nothing came. */
static bool pump(int ms)
{
	struct pollfd p = {.fd = d.fd, .events = POLLIN};
	const uint8_t *payload;
	size_t len;
	int got;
	ssize_t n;

	while ((got = wire_reader_next(&d.in, &payload, &len)) == 0) {
		if (poll(&p, 1, ms) <= 0)
			return false;
		n = read(d.fd, wire_reader_room(&d.in, 65536), 65536);
		if (n <= 0)
			fail("eof", "hypervisord is gone");
		wire_reader_added(&d.in, (size_t)n);
	}
	if (got < 0)
		fail("frame", "damaged");
	Hv__HvMessage *m = hv__hv_message__unpack(NULL, len, payload);

	if (!m)
		fail("frame", "not a message");
	show(m);
	hv__hv_message__free_unpacked(m, NULL);
	return true;
}

static void send_bytes(const void *p, size_t len)
{
	if (send(d.fd, p, len, MSG_NOSIGNAL) != (ssize_t)len)
		fail("send", strerror(errno));
}

static void send_request(const Hv__HvRequest *r)
{
	uint8_t header[WIRE_HEADER_LEN];
	size_t len = hv__hv_request__get_packed_size(r);
	_cleanup_free_ uint8_t *packed = hv_xcalloc(1, len);

	hv__hv_request__pack(r, packed);
	wire_header_put(header, packed, len);
	send_bytes(header, sizeof(header));
	send_bytes(packed, len);
}

/* ---- commands */

static void send_job(struct job *j)
{
	Hv__HvRequest r = HV__HV_REQUEST__INIT;

	r.body_case = HV__HV_REQUEST__BODY_JOB;
	r.job = &j->request;
	j->sent_us = now_us();
	send_request(&r);
}

static struct job *new_job(Hv__HvJobKind kind, const char *uuid, const char *name)
{
	struct job *j = &d.jobs[d.n_jobs++];

	if (d.n_jobs == JOBS_MAX)
		fail("job", "too many");
	hv__hv_job__init(&j->request);
	j->request.id = d.n_jobs;
	j->request.attempt = 1;
	j->request.kind = kind;
	j->request.uuid = hv_xstrdup(uuid);
	j->request.name = hv_xstrdup(name);
	return j;
}

static void do_start(const char *path)
{
	static uint8_t xml[HV_XML_MAX + 1];
	struct domain_info info;
	_cleanup_free_ char *why = NULL;
	struct job *j;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, xml, sizeof(xml)) : -1;

	if (n < 0)
		fail(path, strerror(errno));
	close(fd);
	if (domain_xml_parse(xml, (size_t)n, &info, &why) != HV_OK)
		fail(path, why);
	j = new_job(HV__HV_JOB_KIND__HV_JOB_START, info.uuid, info.name);
	j->request.xml.data = hv_xmemdup(xml, (size_t)n);
	j->request.xml.len = (size_t)n;
	send_job(j);
}

static unsigned long number(const char *s, unsigned long preset)
{
	return s ? strtoul(s, NULL, 10) : preset;
}

static void do_job(char **w, size_t n)
{
	static const struct {
		const char *word;
		Hv__HvJobKind kind;
	} kinds[] = {
	    {"stop", HV__HV_JOB_KIND__HV_JOB_STOP},   {"destroy", HV__HV_JOB_KIND__HV_JOB_DESTROY},
	    {"pause", HV__HV_JOB_KIND__HV_JOB_PAUSE}, {"resume", HV__HV_JOB_KIND__HV_JOB_RESUME},
	    {"probe", HV__HV_JOB_KIND__HV_JOB_PROBE}, {"migrate", HV__HV_JOB_KIND__HV_JOB_MIGRATE},
	};
	bool migrate = strcmp(w[0], "migrate") == 0;
	struct job *j;

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && n >= (migrate ? 4 : 3); i++) {
		if (strcmp(w[0], kinds[i].word) != 0)
			continue;
		j = new_job(kinds[i].kind, w[1], w[2]);
		if (migrate)
			j->request.target_uri = hv_xstrdup(w[3]);
		j->request.timeout_ms = (uint32_t)number(w[migrate ? 4 : 3], 0);
		for (size_t k = 4; k < n; k++) {
			j->request.paused_ok |= strcmp(w[k], "paused_ok") == 0;
			j->request.unsafe |= strcmp(w[k], "unsafe") == 0;
			j->request.clear_text |= strcmp(w[k], "clear_text") == 0;
		}
		send_job(j);
		return;
	}
	fail("command", w[0]);
}

static void do_reset(char **w)
{
	static const char *const conditions[] = {"", "lost", "panicked", "watchdog"};
	struct job *j = new_job(HV__HV_JOB_KIND__HV_JOB_RESET, w[1], w[2]);

	for (size_t i = 1; w[3] && i < ARRAY_SIZE(conditions); i++)
		if (strcmp(w[3], conditions[i]) == 0)
			j->request.reset_if = (Hv__HvResetIf)i;
	send_job(j);
}

static int by_uuid(const void *a, const void *b)
{
	const Hv__HvGuest *const *x = a, *const *y = b;

	return strcmp((*x)->uuid, (*y)->uuid);
}

#define WATCH_MAX 1024
static void do_watch(char **w)
{
	static Hv__HvGuest guests[WATCH_MAX], *list[WATCH_MAX];
	Hv__HvRequest r = HV__HV_REQUEST__INIT;
	Hv__HvGuests all = HV__HV_GUESTS__INIT;
	char *save = NULL;

	for (char *u = strtok_r(w[1], ",", &save); u && all.n_guests < WATCH_MAX;
	     u = strtok_r(NULL, ",", &save)) {
		Hv__HvGuest *g = &guests[all.n_guests];

		if (strcmp(u, "-") == 0)
			continue;
		hv__hv_guest__init(g);
		g->uuid = u;
		g->heartbeat_s = (uint32_t)number(w[2], 30);
		g->idle_s = (uint32_t)number(w[3], 120);
		g->answered = w[4] && strcmp(w[4], "answered") == 0;
		list[all.n_guests++] = g;
	}
	qsort(list, all.n_guests, sizeof(list[0]), by_uuid);
	all.guests = list;
	r.body_case = HV__HV_REQUEST__BODY_GUESTS;
	r.guests = &all;
	send_request(&r);
}

static struct job *job_of(const char *id)
{
	unsigned long i = number(id, 0);

	if (i < 1 || i > d.n_jobs)
		fail("no job", id ? id : "");
	return &d.jobs[i - 1];
}

static void do_wait(const char *id, const char *ms)
{
	const struct job *j = job_of(id);
	uint64_t end = now_ms() + number(ms, 60000);

	while (!j->answered) {
		uint64_t now = now_ms();

		if (now >= end || !pump((int)(end - now)))
			fail("wait", id);
	}
}

static void do_expect(const char *id, const char *rc, const char *observed)
{
	const struct job *j = job_of(id);

	if (!j->answered || !rc || strcmp(hv_rc_name(j->rc), rc) != 0 ||
	    (observed && strcmp(observed_name(j->observed), observed) != 0))
		fail("expect", id);
}

static void do_until(const char *word, const char *ms)
{
	uint64_t end = now_ms() + number(ms, 10000);
	unsigned lines = d.lines;

	for (;;) {
		uint64_t now = now_ms();

		if (d.lines != lines && strstr(d.last, word))
			return;
		if (now >= end || !pump((int)(end - now)))
			fail("until", word);
	}
}

static void do_sleep(const char *ms)
{
	uint64_t end = now_ms() + number(ms, 1000), now;

	while ((now = now_ms()) < end)
		pump((int)(end - now));
}

/* To libvirtd, for one. */
static void do_signal(const char *path, const char *signal_number)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned long pid;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		fail(path, strerror(errno));
	close(fd);
	pid = number(text, 0);
	if (pid < 2 || kill((pid_t)pid, (int)number(signal_number, 0)) != 0)
		fail("signal", path);
	line("signal %s to %s", signal_number, path);
}

static void do_raw(const char *hex)
{
	uint8_t bytes[512];
	size_t n = 0;
	unsigned v;

	for (; hex[0] && hex[1] && n < sizeof(bytes); hex += 2)
		if (sscanf(hex, "%2x", &v) == 1)
			bytes[n++] = (uint8_t)v;
	send_bytes(bytes, n);
}

static void do_small(char **w)
{
	Hv__HvRequest r = HV__HV_REQUEST__INIT;
	Hv__HvCancel cancel = HV__HV_CANCEL__INIT;
	Hv__HvPing ping = HV__HV_PING__INIT;
	Hv__HvRefresh refresh = HV__HV_REFRESH__INIT;

	if (w[0][0] == 'c') {
		cancel.id = number(w[1], 0);
		r.body_case = HV__HV_REQUEST__BODY_CANCEL;
		r.cancel = &cancel;
	} else if (w[0][0] == 'p') {
		ping.seq = number(w[1], 0);
		r.body_case = HV__HV_REQUEST__BODY_PING;
		r.ping = &ping;
	} else {
		r.body_case = HV__HV_REQUEST__BODY_REFRESH;
		r.refresh = &refresh;
	}
	send_request(&r);
}

/* False: the end. */
static bool command(char **w, size_t n)
{
	if (strcmp(w[0], "start") == 0 && n == 2)
		do_start(w[1]);
	else if (strcmp(w[0], "wait") == 0)
		do_wait(w[1], w[2]);
	else if (strcmp(w[0], "expect") == 0)
		do_expect(w[1], w[2], w[3]);
	else if (strcmp(w[0], "until") == 0 && n >= 2)
		do_until(w[1], w[2]);
	else if (strcmp(w[0], "sleep") == 0)
		do_sleep(w[1]);
	else if (strcmp(w[0], "signal") == 0 && n == 3)
		do_signal(w[1], w[2]);
	else if (strcmp(w[0], "again") == 0)
		send_job(job_of(w[1]));
	else if (strcmp(w[0], "reset") == 0 && n >= 3)
		do_reset(w);
	else if (strcmp(w[0], "watch") == 0 && n >= 4)
		do_watch(w);
	else if (strcmp(w[0], "raw") == 0 && n == 2)
		do_raw(w[1]);
	else if (strcmp(w[0], "cancel") == 0 || strcmp(w[0], "ping") == 0 ||
		 strcmp(w[0], "refresh") == 0)
		do_small(w);
	else if (strcmp(w[0], "kill") == 0)
		kill(d.child, SIGKILL);
	else if (strcmp(w[0], "quit") == 0)
		return false;
	else
		do_job(w, n);
	return true;
}

static void read_commands(void)
{
	char *w[WORDS_MAX + 1], *text = NULL, *save;
	size_t room = 0, n;

	while (getline(&text, &room, stdin) > 0) {
		n = 0;
		save = NULL;
		memset(w, 0, sizeof(w));
		for (char *p = strtok_r(text, " \t\n", &save); p && n < WORDS_MAX;
		     p = strtok_r(NULL, " \t\n", &save))
			w[n++] = p;
		if (n > 0 && w[0][0] != '#' && !command(w, n))
			break;
	}
	free(text);
}

static void start_child(char **argv)
{
	char fd_text[16];
	char *args[64] = {argv[1], "--fd", fd_text};
	size_t n = 3;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) != 0)
		fail("socketpair", strerror(errno));
	fcntl(sv[0], F_SETFD, FD_CLOEXEC);
	snprintf(fd_text, sizeof(fd_text), "%d", sv[1]);
	for (char **a = argv + 2; *a && n < ARRAY_SIZE(args) - 1; a++)
		args[n++] = *a;
	errno = posix_spawnp(&d.child, argv[1], NULL, NULL, args, environ);
	if (errno)
		fail(argv[1], strerror(errno));
	close(sv[1]);
	d.fd = sv[0];
}

/* hypervisord must end by itself when its clusterd does. */
static int end_child(void)
{
	int status = 0;

	close(d.fd);
	for (int i = 0; i < 200; i++) {
		if (waitpid(d.child, &status, WNOHANG) == d.child)
			return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : status != 0;
		poll(NULL, 0, 10);
	}
	fail("end", "hypervisord does not end when the socket is closed");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: hvdrive PATH/hypervisord [OPTION...] < commands\n");
		return 2;
	}
	d.began_ms = now_ms();
	wire_reader_init(&d.in);
	start_child(argv);
	read_commands();
	return end_child();
}
