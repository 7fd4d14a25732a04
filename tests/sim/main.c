/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hvsim: the command line of the simulator. */
#include "tests/sim/mutant.h"
#include "tests/sim/runner.h"
#include "tests/sim/scenario.h"
#include "tests/sim/vms.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "usage: hvsim run [OPTION...] SEED\n"
    "       hvsim run [OPTION...] --seeds A..B [--jobs N] [--json FILE]\n"
    "       hvsim trace [OPTION...] SEED\n"
    "       hvsim shrink [OPTION...] SEED\n"
    "       hvsim scenario [--trace] FILE...\n"
    "\n"
    "Runs the shipped log and brain in a simulated rack. Each seed is one run with its own "
    "cluster, load\n"
    "and faults; the same seed gives the same trace. shrink drops what is not needed for a seed's "
    "failure.\n"
    "scenario plays files of the form vmha-scenario/1: 0 all hold, 1 some do not, 2 a file is "
    "unusable.\n"
    "\n"
    "  --log            the log alone, under a trivial state machine\n"
    "  --storm          faults all the time and short timeouts in every seed, not only in some\n"
    "  --calm           no faults: what the simulator costs\n"
    "  --lossy          an hour in which one message of twenty is lost and hosts pause, all "
    "below the\n"
    "                   token time: nobody may be fenced for it\n"
    "  --duel           two hosts whose network is parted again and again: never may both be off\n"
    "  --witness        a quorum device whose vote moves from one part to the other; with --storm "
    "every seed\n"
    "                   has one, too, and without it nothing else goes wrong\n"
    "  --nodes N        so many hosts in every seed\n"
    "  --vms N          so many VMs in every seed\n"
    "  --drop LIST      injections that are left out, by the numbers of the trace: 3,7..12,40..\n"
    "  --first          ends with the first seed that fails\n"
    "  --limit N        a seed that takes more than N seconds of the processor has failed\n"
    "  --mutant NAME    with this bug (proto/mutant.h; only hvsim-mutants has them)\n"
    "  --json FILE      figures of this run, one line more in FILE\n";

static bool read_number(const char *text, const char **ret_end, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	*ret_end = end;
	return end != text && *text >= '0' && *text <= '9' && errno == 0;
}

struct options {
	struct sim_options sim;
	const char *command, *json;
	bool many, have;
	uint64_t first, last;
	struct run_how how;
	struct sim_drop *drop;
	char flags[128]; /* what makes the seed another one, as it was written */
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
	uint64_t first, last;

	o->drop = hv_xcalloc(strlen(text) + 1, sizeof(*o->drop));
	o->sim.drop = o->drop;
	while (read_number(text, &end, &first) && first <= UINT32_MAX) {
		last = first;
		if (strncmp(end, "..", 2) == 0 && !read_number(end + 2, &end, &last))
			last = UINT32_MAX;
		if (last > UINT32_MAX)
			return false;
		o->drop[o->sim.n_drop++] = (struct sim_drop){(uint32_t)first, (uint32_t)last};
		if (!*end)
			return true;
		text = end + (*end == ',');
	}
	return false;
}

static void keep_flag(struct options *o, const char *word, const char *value)
{
	size_t used = strlen(o->flags);

	snprintf(o->flags + used, sizeof(o->flags) - used, "%s%s%s ", word, value ? " " : "",
		 value ? value : "");
}

static bool parse_switch(const char *word, struct options *o)
{
	if (strcmp(word, "--log") == 0)
		o->sim.mind = &plain_mind;
	else if (strcmp(word, "--storm") == 0)
		o->sim.storm = true;
	else if (strcmp(word, "--calm") == 0)
		o->sim.calm = true;
	else if (strcmp(word, "--lossy") == 0)
		o->sim.calm = o->sim.lossy = true;
	else if (strcmp(word, "--duel") == 0)
		o->sim.calm = o->sim.duel = true;
	else if (strcmp(word, "--witness") == 0)
		o->sim.witness = true;
	else if (strcmp(word, "--first") == 0)
		return o->how.first = true;
	else
		return false;
	keep_flag(o, word, NULL);
	return true;
}

static bool parse_value(const char *word, const char *value, struct options *o)
{
	const char *end;
	uint64_t n;

	if (strcmp(word, "--seeds") == 0)
		return o->have = parse_range(value, o);
	if (strcmp(word, "--drop") == 0)
		return parse_drop(value, o);
	if (strcmp(word, "--json") == 0) {
		o->json = value;
		return true;
	}
	if (strcmp(word, "--mutant") == 0)
		return mutant_choose(value);
	if (!read_number(value, &end, &n) || *end || !n || n > UINT32_MAX)
		return false;
	if (strcmp(word, "--jobs") == 0) {
		o->how.jobs = (unsigned)n;
		return n <= 64;
	}
	if (strcmp(word, "--limit") == 0) {
		o->how.limit_s = (unsigned)n;
		return true;
	}
	keep_flag(o, word, value);
	if (strcmp(word, "--nodes") == 0) {
		o->sim.n_nodes = (size_t)n;
		return n <= SIM_HOSTS;
	}
	o->sim.n_vms = (unsigned)n;
	return strcmp(word, "--vms") == 0 && n <= VMS;
}

static bool parse(int argc, char **argv, struct options *o)
{
	const char *end;

	if (argc < 3)
		return false;
	o->command = argv[1];
	for (int i = 2; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) != 0) {
			o->have = read_number(argv[i], &end, &o->first) && !*end;
		} else if (!parse_switch(argv[i], o)) {
			if (i + 1 == argc || !parse_value(argv[i], argv[i + 1], o))
				return false;
			i++;
		}
	}
	return o->have && !(o->many && strcmp(o->command, "run") != 0);
}

/* What goes with each other. */
static bool complete(struct options *o)
{
	o->sim.calm = o->sim.calm || (o->sim.witness && !o->sim.storm);
	return !(o->sim.witness && o->sim.duel);
}

static int run(const struct options *o)
{
	struct totals t = {0};
	struct sim_result res;
	clock_t began = clock();

	if (o->many) {
		run_many(o->first, o->last, &o->how, &o->sim, &t);
	} else {
		totals_add(&t, &res, run_seed(o->first, &o->sim, &res));
		t.cpu_us = (uint64_t)(clock() - began) * SEC / CLOCKS_PER_SEC;
	}
	totals_print(&t, stdout);
	if (o->json && !totals_json(&t, o->first, o->many ? o->last : o->first, o->json)) {
		fprintf(stderr, "hvsim: %s: %s\n", o->json, strerror(errno));
		return 2;
	}
	return t.failed ? 1 : t.stopped ? 2 : 0;
}

static int trace(struct options *o)
{
	struct sim_result res;

	o->sim.trace = stdout;
	return run_seed(o->first, &o->sim, &res) ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct options o = {.sim = {.mind = &vms_mind}, .how = {.jobs = 1}};
	int status = 2;

	/* Keep what a seed has freed for the next one. */
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	if (argc > 1 && strcmp(argv[1], "scenario") == 0)
		return scenario_main(argc - 2, argv + 2);
	if (!parse(argc, argv, &o) || !complete(&o))
		fputs(usage, stderr);
	else if (strcmp(o.command, "run") == 0)
		status = run(&o);
	else if (strcmp(o.command, "trace") == 0)
		status = trace(&o);
	else if (strcmp(o.command, "shrink") == 0)
		status = shrink(o.first, &o.sim, o.flags);
	else
		fputs(usage, stderr);
	free(o.drop);
	return status;
}
