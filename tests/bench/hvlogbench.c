/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvlogbench serve DIR | measure DIR NODES - what a commit costs, with the daemon's own driver over
 * a real corosync and a real disk, without VMs. Run `serve` on the other hosts, `measure` on one:
 * when the cluster has NODES members it proposes entries one by one, then many at a time, and
 * prints JSON lines. tests/bench/commit does this in a lab.
 */
#include "clusterd/driver.h"
#include "clusterd/host_time.h"
#include "clusterd/logging.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONE_BY_ONE 3000
#define AT_A_TIME 256
#define MANY 30000
#define PASS_US 15000000ULL /* each pass ends after this time with what it has */

struct bench {
	qb_loop_t *loop;
	struct driver *driver;
	const char *dir;
	size_t nodes; /* 0: serve */
	uint64_t marks[AT_A_TIME];
	uint64_t began_us, pass_us; /* the entry in progress, the pass */
	uint64_t samples[ONE_BY_ONE];
	size_t n_samples, begun, done;
	bool latency_done;
};

static void emit(const struct bench *b, const char *metric, double value, const char *unit,
		 size_t n)
{
	printf("{\"bench\":\"log_commit_%zu\",\"metric\":\"%s\",\"value\":%.1f,\"unit\":\"%s\","
	       "\"n\":%zu}\n",
	       b->nodes, metric, value, unit, n);
	fflush(stdout);
}

static int by_value(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return (a > b) - (a < b);
}

static uint64_t propose(struct bench *b)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__Tick tick = HV__TICK__INIT;

	ev.body_case = HV__EVENT__BODY_TICK;
	ev.tick = &tick;
	return driver_propose(b->driver, &ev, RL_COMMAND, 0);
}

static void emit_latency(struct bench *b)
{
	qsort(b->samples, b->n_samples, sizeof(b->samples[0]), by_value);
	emit(b, "commit_min", (double)b->samples[0], "us", b->n_samples);
	emit(b, "commit_p50", (double)b->samples[b->n_samples / 2], "us", b->n_samples);
	emit(b, "commit_p99", (double)b->samples[b->n_samples * 99 / 100], "us", b->n_samples);
	emit(b, "commit_max", (double)b->samples[b->n_samples - 1], "us", b->n_samples);
}

static void one_by_one(struct bench *b)
{
	uint64_t now = mono_us();

	if (!b->pass_us)
		b->pass_us = now;
	if (b->marks[0]) {
		if (driver_pending(b->driver, b->marks[0]))
			return;
		b->samples[b->n_samples++] = now - b->began_us;
	}
	if (b->n_samples == ONE_BY_ONE || (b->n_samples && now - b->pass_us > PASS_US)) {
		emit_latency(b);
		b->latency_done = true;
		b->marks[0] = 0;
		b->pass_us = mono_us();
		return;
	}
	b->began_us = now;
	b->marks[0] = propose(b);
}

static void many(struct bench *b)
{
	uint64_t took = mono_us() - b->pass_us;

	for (size_t i = 0; i < AT_A_TIME; i++) {
		if (b->marks[i] && driver_pending(b->driver, b->marks[i]))
			continue;
		b->done += b->marks[i] != 0;
		b->marks[i] = 0;
		if (b->begun < MANY && (b->marks[i] = propose(b)))
			b->begun++;
	}
	if (b->done < MANY && took < PASS_US)
		return;
	emit(b, "entries_per_s", (double)b->done * 1e6 / (double)took, "1/s", b->done);
	qb_loop_stop(b->loop);
}

static void on_settled(void *user)
{
	struct bench *b = user;

	if (!b->nodes || !driver_current(b->driver) ||
	    driver_status(b->driver)->n_members != b->nodes)
		return;
	if (!b->latency_done)
		one_by_one(b);
	if (b->latency_done)
		many(b);
}

static void on_applied(void *user, uint64_t index, const Hv__Event *ev,
		       const struct action_list *actions)
{
}
static void on_installed(void *user)
{
}
static void on_gossip(void *user, hv_node_id node, const Hv__Gossip *gossip)
{
}
static void on_dropped(void *user, uint64_t mark, enum hv_rc rc)
{
}
static void on_fatal(void *user, enum hv_rc rc, const char *text)
{
	fprintf(stderr, "hvlogbench: %s\n", text);
	_Exit(1);
}

static void start(void *user)
{
	static const struct driver_ops ops = {on_applied, on_installed, on_settled,
					      on_gossip,  on_dropped,	on_fatal};
	struct bench *b = user;
	struct nodelist list;
	char *text = NULL;
	enum hv_rc rc = nodelist_read(&list, &text);

	if (rc == HV_COROSYNC_DOWN) {
		free(text);
		qb_loop_timer_add(b->loop, QB_LOOP_MED, 100 * 1000000ULL, b, start, NULL);
		return;
	}
	if (rc == HV_OK)
		rc = driver_open(b->loop, b->dir, 0, &list, &ops, b, &b->driver, &text);
	if (rc != HV_OK)
		on_fatal(b, rc, text ? text : hv_rc_text(rc));
}

int main(int argc, char **argv)
{
	static struct bench b;

	if (argc < 3 || (strcmp(argv[1], "measure") == 0) != (argc == 4)) {
		fprintf(stderr, "usage: hvlogbench serve DIR | measure DIR NODES\n");
		return 2;
	}
	b.dir = argv[2];
	b.nodes = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	logging_init(true, LOG_WARNING, b.dir);
	b.loop = qb_loop_create();
	start(&b);
	qb_loop_run(b.loop);
	driver_close(b.driver);
	return 0;
}
