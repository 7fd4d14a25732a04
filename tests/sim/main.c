/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hvsim: the command line of the simulator. */
#include "tests/sim/vms.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "usage: hvsim run [--log] [--storm] SEED\n"
    "       hvsim run [--log] [--storm] --seeds A..B [--jobs N]\n"
    "       hvsim trace [--log] [--storm] [--drop N,N...] SEED\n"
    "\n"
    "Runs the shipped log and brain in a simulated rack. Each seed is one run with its own "
    "cluster, load\n"
    "and faults; the same seed gives the same trace. --log: the log alone, under a trivial state "
    "machine.\n"
    "--storm: faults all the time and short timeouts in every seed, not only in some.\n"
    "--drop: injections that are left out, by the numbers of the trace.\n";

static uint64_t running_seed;

static void on_panic(const char *file, int line, const char *what)
{
	printf("seed %llu: assertion at %s:%d: %s\n", (unsigned long long)running_seed, file, line,
	       what);
	fflush(stdout);
}

static bool read_number(const char *text, const char **ret_end, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	*ret_end = end;
	return end != text && *text >= '0' && *text <= '9' && errno == 0;
}

struct share {
	uint64_t first, last, step;
	struct sim_options sim;
};

static bool run_seed(uint64_t seed, const struct sim_options *o)
{
	struct sim_result res;
	bool ok;

	running_seed = seed;
	ok = sim_run(seed, o, &res);
	if (!ok)
		printf("seed %llu: %s\n", (unsigned long long)seed, res.failure);
	fflush(stdout);
	return ok;
}

/* One byte a seed: a child that dies leaves its present seed without one. */
static void child(const struct share *j, int fd)
{
	for (uint64_t seed = j->first; seed <= j->last; seed += j->step) {
		char verdict = run_seed(seed, &j->sim) ? '.' : 'F';

		if (write(fd, &verdict, 1) != 1)
			_exit(2);
	}
	_exit(0);
}

struct runner {
	struct share job;
	pid_t pid;
	int fd;
	uint64_t next;
};

static bool runner_start(struct runner *r)
{
	int fds[2];

	if (pipe(fds) < 0)
		return false;
	fflush(stdout);
	r->job.first = r->next;
	r->pid = fork();
	if (r->pid == 0) {
		close(fds[0]);
		child(&r->job, fds[1]);
	}
	close(fds[1]);
	r->fd = fds[0];
	return r->pid > 0;
}

static void runner_go(struct runner *r)
{
	if (r->next > r->job.last || runner_start(r))
		return;
	fprintf(stderr, "hvsim: cannot start a process: %s\n", strerror(errno));
	exit(2);
}

static void runner_collect(struct runner *r, uint64_t *passed, uint64_t *failed)
{
	char verdict;

	while (r->next <= r->job.last) {
		if (read(r->fd, &verdict, 1) == 1) {
			*(verdict == '.' ? passed : failed) += 1;
			r->next += r->job.step;
			continue;
		}
		/* It died in this seed: count it and go on after it. */
		waitpid(r->pid, NULL, 0);
		close(r->fd);
		*failed += 1;
		r->next += r->job.step;
		runner_go(r);
	}
	if (r->pid)
		waitpid(r->pid, NULL, 0);
}

static int run_many(uint64_t first, uint64_t last, unsigned jobs, const struct sim_options *o)
{
	struct runner runners[64] = {0};
	uint64_t passed = 0, failed = 0;

	for (unsigned i = 0; i < jobs; i++) {
		runners[i].job = (struct share){first + i, last, jobs, *o};
		runners[i].next = first + i;
		runner_go(&runners[i]);
	}
	for (unsigned i = 0; i < jobs; i++)
		if (runners[i].pid)
			runner_collect(&runners[i], &passed, &failed);
	printf("%llu passed, %llu failed\n", (unsigned long long)passed,
	       (unsigned long long)failed);
	return failed ? 1 : 0;
}

struct options {
	struct sim_options sim;
	bool trace, many;
	uint64_t first, last;
	uint64_t jobs;
	uint32_t *drop;
};

static bool parse_range(const char *text, struct options *o)
{
	const char *end;

	if (!read_number(text, &end, &o->first) || strncmp(end, "..", 2) != 0)
		return false;
	o->many = true;
	return read_number(end + 2, &end, &o->last) && !*end && o->first <= o->last;
}

static bool parse_drop(const char *text, struct options *o)
{
	const char *end = text;
	uint64_t n;

	o->drop = hv_xcalloc(strlen(text) + 1, sizeof(*o->drop));
	o->sim.drop = o->drop;
	while (read_number(text, &end, &n) && n <= UINT32_MAX) {
		o->drop[o->sim.n_drop++] = (uint32_t)n;
		if (!*end)
			return true;
		text = end + (*end == ',');
	}
	return false;
}

static bool parse(int argc, char **argv, struct options *o)
{
	bool have = false;
	const char *end;

	if (argc < 3 || (strcmp(argv[1], "run") != 0 && strcmp(argv[1], "trace") != 0))
		return false;
	o->trace = strcmp(argv[1], "trace") == 0;
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--log") == 0) {
			o->sim.mind = &plain_mind;
		} else if (strcmp(argv[i], "--storm") == 0) {
			o->sim.storm = true;
		} else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
			have = parse_range(argv[++i], o);
		} else if (strcmp(argv[i], "--drop") == 0 && i + 1 < argc) {
			if (!parse_drop(argv[++i], o))
				return false;
		} else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc) {
			if (!read_number(argv[++i], &end, &o->jobs) || *end || !o->jobs ||
			    o->jobs > 64)
				return false;
		} else {
			have = read_number(argv[i], &end, &o->first) && !*end;
		}
	}
	return have && !(o->trace && o->many);
}

int main(int argc, char **argv)
{
	struct options o = {.sim = {.mind = &vms_mind}, .jobs = 1};
	bool ok;

	hv_on_panic = on_panic;
	if (!parse(argc, argv, &o)) {
		fputs(usage, stderr);
		return 2;
	}
	if (o.many)
		return run_many(o.first, o.last, (unsigned)o.jobs, &o.sim);
	if (o.trace)
		o.sim.trace = stdout;
	ok = run_seed(o.first, &o.sim);
	free(o.drop);
	if (!o.trace)
		printf("%d passed, %d failed\n", ok, !ok);
	return ok ? 0 : 1;
}
