/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corosync_links - cpg_link, vote_link and nodelist against a real corosync of one node.
 *
 * A plain program: one story, told in steps, since each step costs a corosync start. Exit 77 with
 * the reason where it cannot run.
 */
#include "quorum/cpg_link.h"
#include "quorum/nodelist.h"
#include "quorum/vote_link.h"
#include "tests/integration/netcorosync.h"

#include <dirent.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);         \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static struct {
	qb_loop_t *loop;
	struct cpg_link *cpg;
	struct vote_link *vote;
	struct nodelist_watch *watch;

	int cpg_downs, vote_downs, confchgs, lists;
	char why[512];
	struct rl_ring ring, vote_ring;
	hv_node_id members[HV_MAX_NODES];
	size_t n_members, n_ring;
	bool answered, quorate;
	uint32_t quorum, device;
	struct nodelist list;

	uint32_t next_send, next_got;
	size_t biggest;
	const char *waiting_for;
	bool (*until)(void);
} t;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void look(void)
{
	if (t.until && t.until())
		qb_loop_stop(t.loop);
}

static void on_confchg(void *user, struct rl_ring ring, const hv_node_id *members, size_t n,
		       const hv_node_id *ring_members, size_t n_ring)
{
	CHECK(n <= HV_MAX_NODES && cpg_link_up(t.cpg));
	t.confchgs++;
	t.ring = ring;
	t.n_members = n;
	t.n_ring = n_ring;
	memcpy(t.members, members, n * sizeof(*members));
	look();
}

/* Messages: a running number, then that number's low byte again and again. */
static void on_deliver(void *user, hv_node_id sender, const uint8_t *data, size_t len)
{
	uint32_t number;

	CHECK(sender == 11 && len >= sizeof(number));
	memcpy(&number, data, sizeof(number));
	CHECK(number == t.next_got);
	for (size_t i = sizeof(number); i < len; i++)
		CHECK(data[i] == (uint8_t)number);
	t.next_got++;
	if (len > t.biggest)
		t.biggest = len;
	look();
}

static void on_cpg_down(void *user, const char *why)
{
	t.cpg_downs++;
	snprintf(t.why, sizeof(t.why), "%s", why);
	look();
}

static void on_quorum(void *user, struct rl_ring ring, bool quorate, uint32_t quorum,
		      uint32_t device)
{
	t.answered = true;
	t.vote_ring = ring;
	t.quorate = quorate;
	t.quorum = quorum;
	t.device = device;
	look();
}

static void on_vote_down(void *user, const char *why)
{
	t.vote_downs++;
	t.answered = false;
	look();
}

static void on_list(void *user, const struct nodelist *list)
{
	t.lists++;
	t.list = *list;
	look();
}

static void too_late(void *data)
{
	fprintf(stderr, "gave up waiting: %s; last word of the link: %s\n", t.waiting_for, t.why);
	exit(1);
}

static void wait_until(const char *what, bool (*until)(void))
{
	qb_loop_timer_handle timer;

	printf("- %s\n", what);
	fflush(stdout);
	t.waiting_for = what;
	if (until && until())
		return;
	t.until = until;
	qb_loop_timer_add(t.loop, QB_LOOP_LOW, 20 * 1000000000ULL, NULL, too_late, &timer);
	qb_loop_run(t.loop);
	qb_loop_timer_del(t.loop, timer);
	t.until = NULL;
}

static void stop_loop(void *data)
{
	qb_loop_stop(t.loop);
}

static void let_pass(unsigned int ms)
{
	qb_loop_timer_handle timer;

	qb_loop_timer_add(t.loop, QB_LOOP_LOW, ms * 1000000ULL, NULL, stop_loop, &timer);
	qb_loop_run(t.loop);
}

static enum hv_rc send_one(size_t len)
{
	static uint8_t buf[HV_CPG_MESSAGE_MAX];
	enum hv_rc rc;

	memset(buf, (uint8_t)t.next_send, len);
	memcpy(buf, &t.next_send, sizeof(t.next_send));
	rc = cpg_link_send(t.cpg, buf, len);
	if (rc == HV_OK)
		t.next_send++;
	return rc;
}

static int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* ------------------------------------------------------------- steps */

static bool both_down(void)
{
	return t.cpg_downs == 1 && t.vote_downs == 1;
}

static void without_corosync(void)
{
	struct nodelist list;
	char *text = NULL;

	CHECK(nodelist_read(&list, &text) == HV_COROSYNC_DOWN);
	CHECK(strstr(text, "not running"));
	free(text);
	wait_until("without corosync both links say so", both_down);
	CHECK(strstr(t.why, "not running"));
	let_pass(1500);
	CHECK(t.cpg_downs == 1 && t.vote_downs == 1); /* once, not with each retry */
	CHECK(cpg_link_self(t.cpg) == 0 && send_one(8) == HV_COROSYNC_DOWN);
}

static bool all_up(void)
{
	return cpg_link_up(t.cpg) && t.answered && t.lists > 0 && t.ring.seq == t.vote_ring.seq;
}

static void corosync_starts(void)
{
	wait_until("corosync starts: member, quorate, listed", all_up);
	CHECK(cpg_link_self(t.cpg) == 11);
	CHECK(t.n_members == 1 && t.members[0] == 11 && t.n_ring == 1);
	CHECK(t.ring.node == t.vote_ring.node && t.ring.node == 11 && t.ring.seq > 0);
	CHECK(t.quorate && t.quorum == 1 && t.device == 0);
	CHECK(t.list.self == 11 && t.list.n_nodes == 1);
	CHECK(strcmp(t.list.nodes[0].name, "alpha") == 0 && t.list.nodes[0].votes == 1);
	CHECK(strcmp(t.list.cluster, "linktest") == 0 && t.list.token_ms == 700);
}

static bool all_back(void)
{
	return t.next_got == t.next_send && cpg_link_unsent(t.cpg, NULL) == 0;
}

static void messages_pass(void)
{
	uint64_t began = now_us(), oldest = 0;

	for (int i = 0; i < 2000; i++)
		CHECK(send_one(4 + (size_t)i % 3000) == HV_OK);
	CHECK(send_one(HV_CPG_MESSAGE_MAX) == HV_OK);
	CHECK(send_one(4) == HV_OK);
	CHECK(cpg_link_unsent(t.cpg, &oldest) == 2002 && oldest >= began);
	wait_until("2,002 messages come back in order, the largest too", all_back);
	CHECK(t.biggest == HV_CPG_MESSAGE_MAX);
	CHECK(cpg_link_self_delivered_us(t.cpg) >= began &&
	      cpg_link_self_delivered_us(t.cpg) <= now_us());
	CHECK(cpg_link_unsent(t.cpg, &oldest) == 0 && oldest == 0);
}

static void queue_is_bounded(void)
{
	int n = 0;

	while (send_one(64) == HV_OK)
		CHECK(++n <= 4096);
	CHECK(n == 4096 && send_one(64) == HV_LIMIT);
	wait_until("a full queue of small messages drains", all_back);
	for (n = 0; send_one(HV_CPG_MESSAGE_MAX) == HV_OK; n++)
		CHECK(n < 128);
	CHECK(n >= 64);
	wait_until("a full queue of large messages drains", all_back);
}

static pid_t corosync_restarts(pid_t pid)
{
	int downs = t.cpg_downs, vote_downs = t.vote_downs, confchgs = t.confchgs;

	netcorosync_kill(pid);
	send_one(8); /* may be accepted still: it is lost with the view */
	let_pass(700);
	CHECK(t.cpg_downs == downs + 1 && t.vote_downs == vote_downs + 1);
	CHECK(!cpg_link_up(t.cpg) && send_one(8) == HV_COROSYNC_DOWN &&
	      cpg_link_unsent(t.cpg, NULL) == 0);
	t.next_got = t.next_send;
	pid = netcorosync_start();
	wait_until("corosync was killed and comes back", all_up);
	CHECK(t.confchgs > confchgs && t.cpg_downs == downs + 1);
	CHECK(send_one(100) == HV_OK);
	wait_until("messages pass again", all_back);
	return pid;
}

static bool two_listed(void)
{
	return t.list.n_nodes == 2 && t.answered && !t.quorate && t.quorum == 2;
}

static void nodelist_changes(void)
{
	netcorosync_configure(2, NULL);
	CHECK(netcorosync_reload());
	wait_until("a node is added and never comes: listed, no quorum", two_listed);
	CHECK(t.list.nodes[0].id == 11 && t.list.nodes[1].id == 12 &&
	      strcmp(t.list.nodes[1].name, "beta") == 0);
	CHECK(t.n_members == 1);
}

static bool not_permitted(void)
{
	struct nodelist list;
	char *text = NULL;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		_exit(nodelist_read(&list, &text) == HV_COROSYNC_DOWN && strstr(text, "uidgid.d")
			  ? 0
			  : 1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void bad_names_are_explained(void)
{
	struct nodelist list;
	char *text = NULL;

	netcorosync_configure(1, "not/a/name");
	CHECK(netcorosync_reload());
	CHECK(nodelist_read(&list, &text) == HV_BAD_INPUT);
	CHECK(strstr(text, "node 11"));
	free(text);
}

static void open_links(void)
{
	static const struct cpg_link_ops cpg_ops = {on_confchg, on_deliver, on_cpg_down};
	static const struct vote_link_ops vote_ops = {on_quorum, on_vote_down};

	t.cpg = cpg_link_new(t.loop, &cpg_ops, NULL);
	t.vote = vote_link_new(t.loop, &vote_ops, NULL);
	t.watch = nodelist_watch_new(t.loop, on_list, NULL);
}

static void close_links(void)
{
	cpg_link_free(t.cpg);
	vote_link_free(t.vote);
	nodelist_watch_free(t.watch);
}

int main(void)
{
	const char *why = netcorosync_enter();
	int descriptors;
	pid_t pid;

	if (why) {
		printf("skipped: %s\n", why);
		return 77;
	}
	t.loop = qb_loop_create();
	open_links();
	without_corosync();
	netcorosync_configure(1, NULL);
	pid = netcorosync_start();
	corosync_starts();
	messages_pass();
	queue_is_bounded();
	descriptors = open_descriptors();
	for (int i = 0; i < 2; i++)
		pid = corosync_restarts(pid);
	for (int i = 0; i < 50 && open_descriptors() != descriptors; i++)
		let_pass(100); /* the watch of the list comes back in its own time */
	CHECK(open_descriptors() == descriptors);
	CHECK(not_permitted());
	nodelist_changes();
	bad_names_are_explained();
	close_links();
	netcorosync_kill(pid);
	qb_loop_destroy(t.loop);
	printf("all well\n");
	return 0;
}
