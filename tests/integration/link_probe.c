/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link_probe [SECONDS] - prints what the corosync clients tell, as it happens: a line each, with
 * the time in ms. It sends a small message every 100 ms and reports gaps in what comes back. For
 * trying out a cluster, a lab, a cable.
 */
#include "quorum/cpg_link.h"
#include "quorum/nodelist.h"
#include "quorum/vote_link.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define SEND_EVERY_NS 100000000ULL
#define GAP_US 400000

static qb_loop_t *loop;
static struct cpg_link *cpg;
static uint64_t began_us, heard_us[HV_MAX_NODES + 1];
static hv_node_id heard_of[HV_MAX_NODES + 1];

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * HV_US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}

static void say(const char *fmt, ...) _printf_(1, 2);
static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("%8.1f  ", (double)(now_us() - began_us) / 1000.0);
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	va_end(ap);
}

static void on_confchg(void *user, struct rl_ring ring, const hv_node_id *members, size_t n,
		       const hv_node_id *ring_members, size_t n_ring)
{
	char text[256] = "";
	size_t at = 0;

	for (size_t i = 0; i < n && at < sizeof(text) - 16; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, " %" PRIu32, members[i]);
	say("cpg     ring %" PRIu32 ".%" PRIx64 " (%zu nodes), members%s", ring.node, ring.seq,
	    n_ring, text);
}

static void on_deliver(void *user, hv_node_id sender, const uint8_t *data, size_t len)
{
	size_t i = 0;
	uint64_t now = now_us();

	while (i < HV_MAX_NODES && heard_of[i] && heard_of[i] != sender)
		i++;
	if (heard_of[i] && now - heard_us[i] > GAP_US)
		say("gap     node %" PRIu32 " heard again after %" PRIu64 " ms", sender,
		    (now - heard_us[i]) / 1000);
	heard_of[i] = sender;
	heard_us[i] = now;
}

static void on_cpg_down(void *user, const char *why)
{
	say("cpg     down: %s", why);
}

static void on_quorum(void *user, struct rl_ring ring, bool quorate, uint32_t quorum,
		      uint32_t device)
{
	say("votes   ring %" PRIu32 ".%" PRIx64 ": %s, needed %" PRIu32 ", device %" PRIu32,
	    ring.node, ring.seq, quorate ? "quorate" : "not quorate", quorum, device);
}

static void on_vote_down(void *user, const char *why)
{
	say("votes   down: %s", why);
}

static void on_list(void *user, const struct nodelist *list)
{
	say("list    cluster %s, token %" PRIu32 " ms, self %" PRIu32 ", %zu nodes", list->cluster,
	    list->token_ms, list->self, list->n_nodes);
	for (size_t i = 0; i < list->n_nodes; i++)
		say("list    node %" PRIu32 " %s, votes %" PRIu32, list->nodes[i].id,
		    list->nodes[i].name, list->nodes[i].votes);
}

static void send_again(void *data)
{
	static const uint8_t hello[] = "link_probe";
	qb_loop_timer_handle t;

	cpg_link_send(cpg, hello,
		      sizeof(hello)); /* while down nothing goes out, and `down` was said */
	qb_loop_timer_add(loop, QB_LOOP_MED, SEND_EVERY_NS, NULL, send_again, &t);
}

static void stop(void *data)
{
	qb_loop_stop(loop);
}

int main(int argc, char **argv)
{
	static const struct cpg_link_ops cpg_ops = {on_confchg, on_deliver, on_cpg_down};
	static const struct vote_link_ops vote_ops = {on_quorum, on_vote_down};
	unsigned long seconds = argc > 1 ? strtoul(argv[1], NULL, 10) : 3600;
	struct nodelist_watch *watch;
	struct vote_link *vote;
	qb_loop_timer_handle t;

	began_us = now_us();
	loop = qb_loop_create();
	cpg = cpg_link_new(loop, &cpg_ops, NULL);
	vote = vote_link_new(loop, &vote_ops, NULL);
	watch = nodelist_watch_new(loop, on_list, NULL);
	send_again(NULL);
	qb_loop_timer_add(loop, QB_LOOP_MED, seconds * 1000000000ULL, NULL, stop, &t);
	qb_loop_run(loop);
	cpg_link_free(cpg);
	vote_link_free(vote);
	nodelist_watch_free(watch);
	qb_loop_destroy(loop);
	return 0;
}
