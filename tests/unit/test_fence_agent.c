/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fence/fence_agent.h"

#include "fence/agent_text.h"
#include "fence/fence_agent_dirs.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------- throw-away agents, one directory a
 * test */

static char dir[64];
static const char *dirs[] = {dir, NULL};
static qb_loop_t *loop;
static int n_done;
static struct fence_result got;
static char got_text[2048];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/hv-fence-XXXXXX");
	cr_assert(mkdtemp(dir));
	fence_agent_dirs = dirs;
	loop = qb_loop_create();
}

static void teardown(void)
{
	static const char *const names[] = {"fence_t", "pid", "seen", "count", "state"};
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
	qb_loop_destroy(loop);
}

TestSuite(fence_agent, .init = setup, .fini = teardown, .timeout = 30);

/* `$D` in the script is the test's directory. */
static void agent(const char *script)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/fence_t", dir);
	f = fopen(path, "w");
	fprintf(f, "#!/bin/sh\nD=%s\n%s\n", dir, script);
	fclose(f);
	chmod(path, 0755);
}

static char *slurp(const char *name)
{
	static char buf[8192];
	char path[128];
	ssize_t n;
	int fd;

	memset(buf, 0, sizeof(buf));
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return buf;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	for (ssize_t i = 0; i + 1 < n; i++) /* as in /proc */
		if (!buf[i])
			buf[i] = ' ';
	return buf;
}

static void on_done(void *user, const struct fence_result *r)
{
	n_done++;
	got = *r;
	snprintf(got_text, sizeof(got_text), "%s", r->text);
	qb_loop_stop(loop);
}

static const struct fence_option options[] = {
    {"ip", "192.0.2.7", false},
    {"username", "admin", false},
    {"password", "s3cr3t-Pa$$word", true},
};

static struct fence_call call_of(const char *action, uint32_t timeout_ms)
{
	return (struct fence_call){"fence_t",		action,	    options,
				   ARRAY_SIZE(options), timeout_ms, false};
}

static void run(const char *action, uint32_t timeout_ms)
{
	struct fence_call call = call_of(action, timeout_ms);

	n_done = 0;
	fence_agent_start(loop, &call, on_done, NULL);
	cr_assert_eq(n_done, 0, "done came from within start");
	qb_loop_run(loop);
	cr_assert_eq(n_done, 1);
}

static void run_off(uint32_t timeout_ms)
{
	struct fence_call call = call_of("off", timeout_ms);

	n_done = 0;
	fence_off_start(loop, &call, on_done, NULL);
	qb_loop_run(loop);
	cr_assert_eq(n_done, 1);
}

/* ------------------------------------------------------------- one agent */

Test(fence_agent, options_arrive_on_stdin_and_success_is_success)
{
	agent("cat > $D/seen; exit 0");
	run("off", 5000);
	cr_assert_eq(got.rc, HV_OK, "%s", got_text);
	cr_assert_eq(got.exit_status, 0);
	cr_assert_str_eq(slurp("seen"),
			 "action=off\nip=192.0.2.7\nusername=admin\npassword=s3cr3t-Pa$$word\n");
	cr_assert_geq(got.ended_us, got.began_us);
}

Test(fence_agent, nothing_secret_in_argv_or_environment)
{
	agent("cat /proc/$$/cmdline /proc/$$/environ > $D/seen; env >> $D/seen");
	setenv("CLUSTERD_PRIVATE", "inherited", 1);
	run("off", 5000);
	cr_assert_eq(got.rc, HV_OK);
	cr_assert(strstr(slurp("seen"), "fence_t"));
	cr_assert(strstr(slurp("seen"), "PATH="));
	cr_assert_null(strstr(slurp("seen"), "s3cr3t"));
	cr_assert_null(strstr(slurp("seen"), "192.0.2.7"));
	cr_assert_null(strstr(slurp("seen"), "inherited"));
}

Test(fence_agent, descriptors_and_signals_of_ours_are_not_inherited)
{
	int fd = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, on purpose */
	const char *ignored;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* The shell's own read: it blocks signals itself while it starts another program. */
	agent("while read l; do case $l in SigBlk*|SigIgn*) echo \"$l\" >> $D/seen;; esac; done < "
	      "/proc/$$/status\n"
	      "ulimit -c >> $D/seen; ls /proc/$$/fd >> $D/seen");
	run("off", 5000);
	cr_assert_eq(got.rc, HV_OK);
	cr_assert(strstr(slurp("seen"), "SigBlk:\t0000000000000000"), "%s", slurp("seen"));
	ignored = strstr(slurp("seen"), "SigIgn:\t");
	cr_assert(ignored);
	/* glibc keeps its own two, 32 and 33, ignored in a spawned child. */
	cr_assert_eq(strtoull(ignored + 8, NULL, 16) & 0x7fffffff, 0, "%s", ignored);
	/* 10 or so is the shell's own copy of its script. */
	for (int i = 3; i < 10; i++) {
		char line[8];

		snprintf(line, sizeof(line), "\n%d\n", i);
		cr_assert_null(strstr(slurp("seen"), line), "descriptor %d", i);
	}
	close(fd);
}

Test(fence_agent, failure_names_the_status_and_the_last_words)
{
	agent("echo 'Connecting'; echo 'Failed: Unable to obtain correct plug status' >&2; exit 1");
	run("off", 5000);
	cr_assert_eq(got.rc, HV_AGENT_FAILED);
	cr_assert_eq(got.exit_status, 1);
	cr_assert(strstr(got_text, "fence_t off: failed with exit status 1"), "%s", got_text);
	cr_assert(strstr(got_text, "Unable to obtain correct plug status"), "%s", got_text);
}

Test(fence_agent, a_signal_is_a_failure)
{
	agent("kill -SEGV $$");
	run("off", 5000);
	cr_assert_eq(got.rc, HV_AGENT_FAILED);
	cr_assert_eq(got.exit_status, -1);
}

Test(fence_agent, status_says_on_or_off_or_neither)
{
	agent("exit 0");
	run("status", 5000);
	cr_assert(got.rc == HV_OK && got.power_on && !got.power_off);
	agent("exit 2");
	run("status", 5000);
	cr_assert(got.rc == HV_OK && !got.power_on && got.power_off);
	agent("exit 1");
	run("status", 5000);
	cr_assert(got.rc == HV_AGENT_FAILED && !got.power_on && !got.power_off);
	agent("exit 2");
	run("off", 5000);
	cr_assert(got.rc == HV_AGENT_FAILED && !got.power_off, "2 means off for status only");
}

/* A zombie, which waits for whoever reaps orphans here, is dead. */
static bool alive(void)
{
	char path[64], stat[256] = "";
	long pid = strtol(slurp("pid"), NULL, 10);
	int fd;

	cr_assert_gt(pid, 1);
	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	cr_assert_geq(read(fd, stat, sizeof(stat) - 1), 0);
	close(fd);
	return *stat && !strstr(stat, ") Z ");
}

static bool gone_soon(void)
{
	for (int i = 0; i < 100 && alive(); i++)
		usleep(20000);
	return !alive();
}

Test(fence_agent, one_that_hangs_is_killed_with_its_children)
{
	agent("trap '' TERM INT; sleep 1000 & echo $! > $D/pid; wait");
	run("off", 300);
	cr_assert_eq(got.rc, HV_TIMEOUT);
	cr_assert(strstr(got_text, "no answer within 300 ms"), "%s", got_text);
	cr_assert_lt(got.ended_us - got.began_us, 3000000);
	cr_assert(gone_soon());
}

Test(fence_agent, children_left_behind_are_killed_and_not_waited_for)
{
	agent("sleep 1000 & echo $! > $D/pid; exit 0");
	run("off", 20000);
	cr_assert_eq(got.rc, HV_OK);
	cr_assert_lt(got.ended_us - got.began_us, 5000000);
	cr_assert(gone_soon());
}

static void cancel(void *data)
{
	fence_agent_cancel(data);
}

Test(fence_agent, cancel_kills_it)
{
	struct fence_call call = call_of("off", 20000);
	qb_loop_timer_handle t;
	struct fence_agent_run *r;

	agent("sleep 1000 & echo $! > $D/pid; wait");
	n_done = 0;
	r = fence_agent_start(loop, &call, on_done, NULL);
	qb_loop_timer_add(loop, QB_LOOP_MED, 300 * 1000000ULL, r, cancel, &t);
	qb_loop_run(loop);
	cr_assert_eq(got.rc, HV_CANCELLED);
	cr_assert(gone_soon());
}

Test(fence_agent, cancel_at_once_is_told_once)
{
	struct fence_call call = call_of("off", 20000);

	call.agent = "fence_absent";
	n_done = 0;
	fence_agent_cancel(fence_agent_start(loop, &call, on_done, NULL));
	qb_loop_run(loop);
	cr_assert_eq(n_done, 1);
	cr_assert_eq(got.rc, HV_CANCELLED);
}

Test(fence_agent, a_flood_of_output_is_bounded_and_does_not_stall)
{
	agent("head -c 3000000 /dev/zero | tr '\\0' x; exit 1");
	run("off", 20000);
	cr_assert_eq(got.rc, HV_AGENT_FAILED);
	cr_assert_lt(strlen(got_text), 400);
}

Test(fence_agent, an_echoed_password_is_blanked)
{
	agent("while read l; do echo \"$l\"; done; echo \"login with 's3cr3t-Pa\\$\\$word' "
	      "refused\"; exit 1");
	run("off", 5000);
	cr_assert_eq(got.rc, HV_AGENT_FAILED);
	cr_assert(strstr(got_text, "login with '***' refused"), "%s", got_text);
	cr_assert_null(strstr(got_text, "s3cr3t"), "%s", got_text);
	cr_assert_null(strstr(got_text, "word"), "%s", got_text);
	cr_assert(strstr(got_text, "admin"), "%s", got_text);
}

Test(fence_agent, one_that_closes_stdin_at_once_harms_nobody)
{
	signal(SIGPIPE, SIG_DFL);
	agent("exec 0<&-; exit 0");
	run("off", 5000);
	cr_assert_eq(got.rc, HV_OK);
}

Test(fence_agent, an_agent_that_is_not_there)
{
	struct fence_call call = call_of("off", 1000);

	call.agent = "fence_absent";
	n_done = 0;
	fence_agent_start(loop, &call, on_done, NULL);
	qb_loop_run(loop);
	cr_assert_eq(got.rc, HV_NO_AGENT);
	cr_assert(strstr(got_text, "fence_absent"), "%s", got_text);
	cr_assert_null(fence_agent_find("fence_absent"));
}

Test(fence_agent, bad_names_actions_and_options_are_refused)
{
	static const char *const names[] = {"",		 "t",	    "fence_",	 "../fence_t",
					    "fence_t/x", "fence_T", "fence_t;id"};
	static const struct fence_option bad[] = {{"a=b", "c", false},
						  {"", "c", false},
						  {"ip", "x\ny", true},
						  {"action", "on", false},
						  {"option", "on", false}};

	agent("exit 0");
	for (size_t i = 0; i < ARRAY_SIZE(names) + 1 + ARRAY_SIZE(bad); i++) {
		struct fence_call call = call_of("off", 1000);

		if (i < ARRAY_SIZE(names)) {
			call.agent = names[i];
		} else if (i == ARRAY_SIZE(names)) {
			call.action = "off\naction=on";
		} else {
			call.options = &bad[i - ARRAY_SIZE(names) - 1];
			call.n_options = 1;
		}
		fence_agent_start(loop, &call, on_done, NULL);
		qb_loop_run(loop);
		cr_assert_eq(got.rc, HV_BAD_INPUT, "case %zu: %s", i, got_text);
		cr_assert(*got_text);
	}
}

Test(fence_agent, an_overlong_value_is_refused_without_being_shown)
{
	char value[2000];
	struct fence_option o = {"password", value, true};
	struct fence_call call = {"fence_t", "off", &o, 1, 1000, false};

	memset(value, 'q', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	agent("exit 0");
	fence_agent_start(loop, &call, on_done, NULL);
	qb_loop_run(loop);
	cr_assert_eq(got.rc, HV_TOO_LARGE);
	cr_assert_null(strstr(got_text, "qqqq"));
}

/* ------------------------------------------------------------- the proof */

/* $A is the action; the state file holds what the "device" is. */
#define READ_ACTION "while IFS='=' read k v; do [ $k = action ] && A=$v; done; echo $A >> $D/seen\n"

Test(fence_agent, off_is_proven_when_status_says_off)
{
	agent(READ_ACTION "case $A in off) echo off > $D/state;; status) grep -q off $D/state && "
			  "exit 2;; esac; exit 0");
	run_off(10000);
	cr_assert_eq(got.rc, HV_OK, "%s", got_text);
	cr_assert(got.power_off);
	cr_assert_str_eq(slurp("seen"), "off\nstatus\n");
}

Test(fence_agent, off_waits_until_status_says_off)
{
	agent(READ_ACTION "[ $A = status ] || exit 0; echo x >> $D/count; [ $(wc -l < $D/count) "
			  "-ge 3 ] && exit 2; exit 0");
	run_off(10000);
	cr_assert_eq(got.rc, HV_OK);
	cr_assert_str_eq(slurp("seen"), "off\nstatus\nstatus\nstatus\n");
	cr_assert_geq(got.ended_us - got.began_us, 400000);
}

Test(fence_agent, an_accepted_off_without_a_status_off_is_no_proof)
{
	agent("exit 0");
	run_off(900);
	cr_assert_eq(got.rc, HV_TIMEOUT);
	cr_assert_not(got.power_off);
	cr_assert(strstr(got_text, "not seen off"), "%s", got_text);
}

/* As fence_sbd: `off` does nothing where the slot says "off" already, and `status` reads the slot.
 */
#define SBD                                                                                        \
	READ_ACTION                                                                                \
	"case $A in off) [ -e $D/state ] || { echo off > $D/state; sleep 5; };; "                  \
	"reboot) echo reset > $D/state; sleep 1;; status) [ -e $D/state ] && exit 2;; "            \
	"esac; exit 0"

static void run_waiting(uint32_t timeout_ms)
{
	struct fence_call call = call_of("off", timeout_ms);

	call.waits = true;
	n_done = 0;
	fence_off_start(loop, &call, on_done, NULL);
	qb_loop_run(loop);
	cr_assert_eq(n_done, 1);
}

Test(fence_agent, one_that_waits_waits_also_when_the_poison_is_there_already)
{
	char path[128];

	agent(SBD);
	snprintf(path, sizeof(path), "%s/state", dir);
	fclose(fopen(path, "w"));
	run_waiting(10000);
	cr_assert_eq(got.rc, HV_OK, "%s", got_text);
	cr_assert(got.power_off);
	cr_assert_str_eq(slurp("seen"), "reboot\n");
	cr_assert_geq(got.ended_us - got.began_us, 900000);
	cr_assert(strstr(got_text, "nobody has seen it off"));
}

Test(fence_agent, one_that_waits_and_fails_proves_nothing_whatever_its_status_says)
{
	agent(READ_ACTION "[ $A = status ] && exit 2; echo no disk >&2; exit 1");
	run_waiting(10000);
	cr_assert_eq(got.rc, HV_AGENT_FAILED);
	cr_assert(!got.power_off);
	cr_assert_str_eq(slurp("seen"), "reboot\n");
}

Test(fence_agent, a_failing_status_is_asked_again)
{
	agent(READ_ACTION "[ $A = status ] || exit 0; echo x >> $D/count; [ $(wc -l < $D/count) "
			  "-ge 3 ] && exit 2; exit 1");
	run_off(10000);
	cr_assert_eq(got.rc, HV_OK, "%s", got_text);
}

Test(fence_agent, off_fails_but_the_node_is_off_already)
{
	agent(READ_ACTION "[ $A = status ] && exit 2; echo 'already off' >&2; exit 1");
	run_off(10000);
	cr_assert_eq(got.rc, HV_OK, "%s", got_text);
}

Test(fence_agent, off_fails_and_the_node_is_on)
{
	agent(READ_ACTION "[ $A = status ] && exit 0; echo 'permission denied' >&2; exit 1");
	run_off(10000);
	cr_assert_eq(got.rc, HV_AGENT_FAILED);
	cr_assert(strstr(got_text, "permission denied"), "%s", got_text);
	cr_assert_str_eq(slurp("seen"), "off\nstatus\n");
}

Test(fence_agent, an_off_that_hangs_is_a_time_out)
{
	agent("sleep 1000");
	run_off(400);
	cr_assert_eq(got.rc, HV_TIMEOUT);
	cr_assert_lt(got.ended_us - got.began_us, 3000000);
}

static void cancel_off(void *data)
{
	fence_off_cancel(data);
}

Test(fence_agent, a_cancelled_off_ends_whatever_it_was_doing)
{
	for (uint64_t ms = 20; ms < 400; ms += 60) {
		struct fence_call call = call_of("off", 20000);
		qb_loop_timer_handle t;
		struct fence_off_run *r;

		agent("sleep 0.05; exit 0");
		n_done = 0;
		r = fence_off_start(loop, &call, on_done, NULL);
		qb_loop_timer_add(loop, QB_LOOP_MED, ms * 1000000, r, cancel_off, &t);
		qb_loop_run(loop);
		cr_assert_eq(n_done, 1);
		cr_assert_eq(got.rc, HV_CANCELLED);
		cr_assert_lt(got.ended_us - got.began_us, 3000000);
	}
}

/* ------------------------------------------------------------- text */

static const char *blank(const char *secret, const char *text, bool cut)
{
	static char buf[256];
	struct fence_option o = {"password", secret, true};
	struct fence_call call = {"fence_t", "off", &o, 1, 1000, false};
	size_t len;

	snprintf(buf, sizeof(buf), "%s", text);
	len = agent_blank(&call, buf, strlen(buf), cut);
	buf[len] = '\0';
	return buf;
}

Test(agent_text, secrets_are_blanked_also_when_quoted)
{
	cr_assert_str_eq(blank("hunter2", "a hunter2 b hunter2hunter2", false), "a *** b ***");
	cr_assert_str_eq(blank("x", "axb", false), "a*b");
	cr_assert_str_eq(blank("it's-mine9", "-P 'it'\"'\"'s-mine9'", false),
			 "-P 'it'\"'\"'s-***'");
	cr_assert_str_eq(blank("", "nothing to hide", false), "nothing to hide");
	cr_assert_str_eq(blank("aba", "ababa", false), "***");
	cr_assert_str_eq(blank("secret", "the output ends in secre", true), "the output ends in ");
}

Test(agent_text, a_summary_is_the_last_words_in_one_clean_line)
{
	_cleanup_free_ char *a = agent_summary("first\n\n  second\tpart \x1b[1m\xff \n\n", 30);
	_cleanup_free_ char *b = agent_summary("", 0);
	_cleanup_free_ char *c = agent_summary("same\nsame\n", 10);

	cr_assert_str_eq(a, "first | second part [1m?");
	cr_assert_str_eq(b, "");
	cr_assert_str_eq(c, "same");
}

/* ------------------------------------------------------------- what fence_ipmilan is not told */

static char *stdin_of(const char *agent, const char *key, const char *value, const char *ipmitool)
{
	struct fence_option given[] = {{.key = "ip", .value = "10.0.0.1"},
				       {.key = key, .value = value},
				       {.key = "password", .value = "hunter 2", .secret = true}};
	struct fence_call call = {
	    .agent = agent, .action = "off", .options = given, .n_options = ARRAY_SIZE(given)};

	return agent_call_stdin(&call, ipmitool);
}

Test(fence_agent, fence_ipmilan_gets_an_ipmitool_of_ours_in_place_of_the_password)
{
	static const char *const plain[][3] = {{"fence_apc", "login", "x"},
					       {"fence_ipmilan", "ipmitool_path", "/opt/ipmitool"},
					       {"fence_ipmilan", "use_sudo", "1"}};
	char *text = stdin_of("fence_ipmilan", "login", "x", "/lib/ipmitool-quiet");

	cr_assert_str_eq(text, "action=off\nipmitool_path=/lib/ipmitool-quiet\nip=10.0.0.1\n"
			       "login=x\n# password hunter 2\n");
	free(text);
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		text = stdin_of(plain[i][0], plain[i][1], plain[i][2], "/lib/ipmitool-quiet");
		cr_assert(strstr(text, "\npassword=hunter 2\n"), "%s", text);
		free(text);
	}
	text = stdin_of("fence_ipmilan", "login", "x", NULL);
	cr_assert(strstr(text, "\npassword=hunter 2\n"), "%s", text);
	free(text);
}
