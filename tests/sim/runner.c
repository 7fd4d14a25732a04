/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/runner.h"
#include "tests/sim/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 64

static uint64_t running_seed;
static char panicked[256];
static bool panics_quietly;
static int panic_fd = -1;
static volatile sig_atomic_t stopped; /* SIGINT, SIGTERM: what was run counts, and is told */

struct message {       /* of a child to its parent, in one piece: pointers are the same in both */
	bool ok, died; /* its sender ends with it */
	uint64_t seed, cpu_us;
	struct sim_result result;
};

static void send_message(int fd, const struct message *m)
{
	const char *at = (const char *)m;
	size_t left = sizeof(*m);

	while (left) {
		ssize_t n = write(fd, at, left);

		if (n <= 0)
			_exit(2);
		at += n;
		left -= (size_t)n;
	}
}

static bool read_message(int fd, struct message *m)
{
	char *at = (char *)m;
	size_t left = sizeof(*m);

	while (left) {
		ssize_t n = read(fd, at, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		left -= (size_t)n;
	}
	return true;
}

static void on_panic(const char *file, int line, const char *what)
{
	struct message m = {.died = true, .seed = running_seed};

	snprintf(panicked, sizeof(panicked), "assertion at %s:%d: %s", file, line, what);
	if (!panics_quietly) {
		printf("seed %llu: %s\n", (unsigned long long)running_seed, panicked);
		fflush(stdout);
	}
	if (panic_fd < 0)
		return;
	snprintf(m.result.failure, sizeof(m.result.failure), "%s", panicked);
	send_message(panic_fd, &m);
	child_end(1);
}

static uint64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec / 1000;
}

static time_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

bool run_seed(uint64_t seed, const struct sim_options *o, struct sim_result *ret)
{
	bool ok;

	hv_on_panic = on_panic;
	running_seed = seed;
	ok = sim_run(seed, o, ret);
	if (!ok && !panics_quietly)
		printf("seed %llu: %s\n", (unsigned long long)seed, ret->failure);
	fflush(stdout);
	return ok;
}

/* ---- children */

struct runner {
	const struct sim_options *sim;
	uint64_t next, last, step;
	unsigned limit_s;
	pid_t pid;
	int fd;
};

/* SIGPROF ends the process, unless the next seed begins before. */
static void limit(unsigned seconds)
{
	struct itimerval t = {.it_value = {.tv_sec = (time_t)seconds}};

	setitimer(ITIMER_PROF, &t, NULL);
}

static void child(const struct runner *r, int fd)
{
	panic_fd = fd;
	for (uint64_t seed = r->next; seed <= r->last; seed += r->step) {
		struct message m = {.seed = seed};
		uint64_t began_us = cpu_us();

		limit(r->limit_s);
		m.ok = run_seed(seed, r->sim, &m.result);
		m.cpu_us = cpu_us() - began_us;
		send_message(fd, &m);
	}
	child_end(0);
}

static bool runner_start(struct runner *r)
{
	int fds[2];

	r->pid = 0;
	r->fd = -1;
	if (r->next > r->last)
		return true;
	if (pipe(fds) < 0)
		return false;
	fflush(stdout);
	r->pid = fork();
	if (r->pid == 0) {
		signal(SIGINT, SIG_IGN); /* from a terminal it comes to all */
		signal(SIGTERM, SIG_DFL);
		close(fds[0]);
		child(r, fds[1]);
	}
	close(fds[1]);
	r->fd = fds[0];
	return r->pid > 0;
}

static void runner_go(struct runner *r)
{
	if (runner_start(r))
		return;
	fprintf(stderr, "hvsim: cannot start a process: %s\n", strerror(errno));
	exit(2);
}

/* Its process has ended, in the middle of a seed of which it said nothing unless `told`. */
static void runner_ended(struct runner *r, bool told)
{
	int status = 0;

	close(r->fd);
	waitpid(r->pid, &status, 0);
	r->pid = 0;
	if (told || r->next > r->last)
		return;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
		printf("seed %llu: no end after %u s\n", (unsigned long long)r->next, r->limit_s);
	else
		printf("seed %llu: the simulator died, status %d\n", (unsigned long long)r->next,
		       status);
}

bool run_apart(uint64_t seed, const struct sim_options *o, struct sim_result *ret, bool quiet)
{
	struct runner r = {.sim = o, .next = seed, .last = seed, .step = 1};
	struct message m = {0};

	panics_quietly = quiet;
	runner_go(&r);
	if (!read_message(r.fd, &m))
		snprintf(m.result.failure, sizeof(m.result.failure), "the simulator died");
	close(r.fd);
	waitpid(r.pid, NULL, 0);
	*ret = m.result;
	return m.ok;
}

/* ---- progress */

static void bar(uint64_t done, uint64_t all, const struct totals *t, time_t began)
{
	const unsigned width = 32;
	unsigned full = (unsigned)(done * width / all);
	time_t passed = now_s() - began;
	char line[64];

	for (unsigned i = 0; i < width; i++)
		line[i] = i < full ? '#' : '.';
	line[width] = 0;
	printf("\r[%s] %llu of %llu seeds, %llu failed, %llu a second ", line,
	       (unsigned long long)done, (unsigned long long)all, (unsigned long long)t->failed,
	       (unsigned long long)(passed ? done / (uint64_t)passed : done));
	fflush(stdout);
}

struct progress {
	bool terminal;
	uint64_t done, all;
	time_t began, shown;
};

static void progress(struct progress *p, const struct totals *t)
{
	time_t now = now_s();

	p->done++;
	if (p->terminal && (now != p->shown || p->done == p->all)) {
		bar(p->done, p->all, t, p->began);
		p->shown = now;
		if (p->done == p->all)
			printf("\n");
	} else if (!p->terminal && now >= p->shown + 60) {
		p->shown = now;
		printf("%llu of %llu seeds, %llu failed\n", (unsigned long long)p->done,
		       (unsigned long long)p->all, (unsigned long long)t->failed);
		fflush(stdout);
	}
}

/* ---- many */

/* One seed more of this runner. */
static void collect(struct runner *r, struct totals *t, struct progress *p)
{
	struct message m = {0};
	bool told = read_message(r->fd, &m);

	if (!told || m.died)
		runner_ended(r, told);
	if (!told && r->next > r->last)
		return;
	t->cpu_us += m.cpu_us;
	totals_add(t, &m.result, m.ok);
	progress(p, t);
	r->next += r->step;
	if (!r->pid)
		runner_go(r);
}

static void on_stop(int number)
{
	stopped = 1;
}

/* Seeds under way are given up. */
static void stop_all(struct runner *runners, unsigned jobs)
{
	for (unsigned i = 0; i < jobs; i++) {
		if (!runners[i].pid)
			continue;
		kill(runners[i].pid, SIGTERM);
		close(runners[i].fd);
		waitpid(runners[i].pid, NULL, 0);
		runners[i].pid = 0;
	}
}

void run_many(uint64_t first, uint64_t last, const struct run_how *how, const struct sim_options *o,
	      struct totals *ret)
{
	struct runner runners[JOBS_MAX];
	struct pollfd fds[JOBS_MAX];
	struct progress p = {isatty(STDOUT_FILENO), 0, last - first + 1, now_s(), now_s()};
	const struct sigaction stop = {.sa_handler = on_stop};
	unsigned jobs = how->jobs;
	bool any = true;

	hv_assert(jobs <= JOBS_MAX);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	for (unsigned i = 0; i < jobs; i++) {
		runners[i] = (struct runner){o, first + i, last, jobs, how->limit_s, 0, -1};
		runner_go(&runners[i]);
	}
	while (any && !stopped) {
		any = false;
		for (unsigned i = 0; i < jobs; i++) {
			fds[i] = (struct pollfd){runners[i].pid ? runners[i].fd : -1, POLLIN, 0};
			any = any || runners[i].pid;
		}
		if (!any || poll(fds, jobs, -1) < 0)
			continue;
		for (unsigned i = 0; i < jobs; i++)
			if (fds[i].fd >= 0 && fds[i].revents)
				collect(&runners[i], ret, &p);
		if (how->first && ret->failed)
			stop_all(runners, jobs);
	}
	ret->stopped = stopped;
	if (stopped)
		stop_all(runners, jobs);
}

/* ---- sums */

void totals_add(struct totals *t, const struct sim_result *r, bool ok)
{
	*(ok ? &t->passed : &t->failed) += 1;
	t->events += r->events;
	t->simulated_us += r->simulated_us;
	for (size_t i = 0; i < r->coverage.n; i++) {
		t->injections += r->coverage.kinds[i].count;
		coverage_add(&t->coverage, r->coverage.kinds[i].kind, r->coverage.kinds[i].count);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct coverage_kind *)a)->kind,
		      ((const struct coverage_kind *)b)->kind);
}

void totals_print(const struct totals *t, FILE *f)
{
	struct coverage c = t->coverage;
	uint64_t cpu = t->cpu_us ? t->cpu_us : 1;
	uint64_t seeds = t->passed + t->failed;

	qsort(c.kinds, c.n, sizeof(c.kinds[0]), by_name);
	for (size_t i = 0; i < c.n; i++)
		fprintf(f, "  %-34s%12llu\n", c.kinds[i].kind,
			(unsigned long long)c.kinds[i].count);
	fprintf(f,
		"%.1f hours simulated in %.1f s of one core: %llu times real time, %.1f seeds a "
		"second, %llu injections, %llu events\n",
		(double)t->simulated_us / 3.6e9, (double)cpu / 1e6,
		(unsigned long long)(t->simulated_us / cpu), (double)seeds * 1e6 / (double)cpu,
		(unsigned long long)t->injections, (unsigned long long)t->events);
	fprintf(f, "%llu passed, %llu failed%s\n", (unsigned long long)t->passed,
		(unsigned long long)t->failed, t->stopped ? "; stopped before the last seed" : "");
}

bool totals_json(const struct totals *t, uint64_t first, uint64_t last, const char *path)
{
	FILE *f = fopen(path, "ae");

	if (!f)
		return false;
	fprintf(f, "{\"first\": %llu, \"last\": %llu, \"passed\": %llu, \"failed\": %llu, ",
		(unsigned long long)first, (unsigned long long)last, (unsigned long long)t->passed,
		(unsigned long long)t->failed);
	if (t->stopped)
		fprintf(f, "\"stopped\": true, ");
	fprintf(f, "\"simulated_s\": %llu, \"cpu_ms\": %llu, \"events\": %llu, \"injections\": {",
		(unsigned long long)(t->simulated_us / SEC), (unsigned long long)(t->cpu_us / 1000),
		(unsigned long long)t->events);
	for (size_t i = 0; i < t->coverage.n; i++)
		fprintf(f, "%s\"%s\": %llu", i ? ", " : "", t->coverage.kinds[i].kind,
			(unsigned long long)t->coverage.kinds[i].count);
	fprintf(f, "}}\n");
	return fclose(f) == 0;
}
